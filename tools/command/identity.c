/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include "command.h"
#include "console.h"
#include "quote.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char *path, const char *why)
{
    char name[LB_QUOTE_SIZE];

    console_tell("--tls-dir: %s: %s", lb_quote_name(path, name), why);
    return STATUS_NO_START;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* systemd names several, one behind the other. */
static size_t first_of(const char *list)
{
    return strcspn(list, ":");
}

static bool find_directory(char path[PATH_MAX], const char *given)
{
    const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size = -1;

    if (given)
        size = snprintf(path, PATH_MAX, "%s", given);
    else if (state && *state)
        size = snprintf(path, PATH_MAX, "%.*s", (int)first_of(state), state);
    else if (xdg && *xdg == '/')
        size = snprintf(path, PATH_MAX, "%s/lastbyte", xdg);
    else if (home && *home == '/')
        size = snprintf(path, PATH_MAX, "%s/.local/state/lastbyte", home);
    return size > 0 && size < PATH_MAX;
}

/* Those above it are made, too, for our user alone. */
static int make_directory(const char *path)
{
    char part[PATH_MAX];

    snprintf(part, sizeof(part), "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whoever else can write there could put his own key in the place of ours. */
static int open_directory(const char *path)
{
    int rc = make_directory(path), fd = -1;
    struct stat status;

    if (rc == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        refuse(path, strerror(rc < 0 ? -rc : errno));
        return -1;
    }
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
        !(status.st_mode & (S_IWGRP | S_IWOTH)))
        return fd;
    close(fd);
    refuse(path, status.st_uid != geteuid() ? "belongs to another user; use a directory of your own"
                                            : "others can write there; chmod 700 it");
    return -1;
}

/* ---- the key --------------------------------------------------------------------------------- */

static bool set_name(X509 *certificate)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"lastbyte",
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1;
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    BIGNUM *number = NULL;
    bool done;

    if (RAND_bytes(bytes, sizeof(bytes)) == 1)
        number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return done;
}

/* Whoever pins a key doesn't look at dates; RFC 5280 has one that says "no end". */
static bool set_dates(X509 *certificate)
{
    return X509_gmtime_adj(X509_getm_notBefore(certificate), -24L * 3600) &&
           ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z") == 1;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();

    if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) && set_name(certificate) && set_dates(certificate) &&
        X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool write_pem(int fd)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make_certificate(key) : NULL;
    BIO *file = certificate ? BIO_new_fd(fd, BIO_NOCLOSE) : NULL;
    bool done = file && PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
                PEM_write_bio_X509(file, certificate) == 1 && fsync(fd) == 0;

    BIO_free(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return done;
}

/* It is there whole, or not at all; if somebody else was faster, his is the one. */
static int make(int directory, const char *path, const char *name)
{
    char temporary[64];
    bool done;
    int fd;

    snprintf(temporary, sizeof(temporary), ".%s.%ld", name, (long)getpid());
    unlinkat(directory, temporary, 0);
    fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(path, strerror(errno));
    done = write_pem(fd);
    close(fd);
    if (done)
        done = linkat(directory, temporary, directory, name, 0) == 0 || errno == EEXIST;
    int error = errno;
    unlinkat(directory, temporary, 0);
    fsync(directory);
    return done ? STATUS_OK : refuse(path, error ? strerror(error) : "no key could be made");
}

int identity_find(char path[PATH_MAX], const char *directory, const char *name)
{
    char state[PATH_MAX];
    int status = STATUS_OK, fd, size;
    struct stat is;

    if (!find_directory(state, directory)) {
        console_tell("--tls: nowhere to keep a key; use --tls-dir=DIR");
        return STATUS_NO_START;
    }
    size = snprintf(path, PATH_MAX, "%s/%s", state, name);
    if (size >= PATH_MAX)
        return refuse(state, strerror(ENAMETOOLONG));
    fd = open_directory(state);
    if (fd < 0)
        return STATUS_NO_START;
    if (fstatat(fd, name, &is, 0) < 0)
        status = make(fd, path, name);
    else if (is.st_mode & (S_IRWXG | S_IRWXO))
        status = refuse(path, "others can read or write it; remove it, and a new key is made");
    close(fd);
    return status;
}
