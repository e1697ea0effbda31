/* SPDX-License-Identifier: MIT */
#include "tls_context.h"

#include "clock.h"
#include "pem.h"
#include "tls.h"
#include "tls_clients.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_NS LB_NS_PER_S

/* By what a changed file is known. */
struct version {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct lb_tls_context {
    const struct lb_config *config;
    SSL_CTX_keylog_cb_func on_secret;
    struct lb_tls_clients clients;
    pthread_mutex_t lock; /* of all below */
    SSL_CTX *current;
    struct version versions[3]; /* of the files, as they were last looked at */
    uint64_t looked_ns;
};

/* ---- making ---------------------------------------------------------------------------------- */

static int refuse(struct lb_error *error, const char *path, const char *what)
{
    const char *why = lb_tls_complaint();
    int rc =
        lb_error_set(error, -EBADMSG, "%s: %s%s%s", path, what, why ? ": " : "", why ? why : "");

    ERR_clear_error();
    return rc;
}

static int open_file(BIO **file, const char *path, struct lb_error *error)
{
    *file = lb_pem_open(path);
    return *file ? 0 : lb_error_set(error, -errno, "%s: %s", path, strerror(errno));
}

/* A chain ends where nothing more begins. */
static bool use_issuers(SSL_CTX *ctx, BIO *file)
{
    X509 *issuer;

    while ((issuer = PEM_read_bio_X509(file, NULL, lb_pem_no_passphrase, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, issuer) == 1)
            continue;
        X509_free(issuer);
        return false;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return false;
    ERR_clear_error();
    return true;
}

static int use_chain(SSL_CTX *ctx, const char *path, struct lb_error *error)
{
    X509 *certificate;
    bool done;
    BIO *file;
    int rc = open_file(&file, path, error);

    if (rc < 0)
        return rc;
    certificate = PEM_read_bio_X509_AUX(file, NULL, lb_pem_no_passphrase, NULL);
    done = certificate && SSL_CTX_use_certificate(ctx, certificate) == 1 && use_issuers(ctx, file);
    X509_free(certificate);
    BIO_free(file);
    return done ? 0 : refuse(error, path, "no certificate that can be used");
}

static int use_key(SSL_CTX *ctx, const char *path, struct lb_error *error)
{
    EVP_PKEY *key;
    bool done;
    BIO *file;
    int rc = open_file(&file, path, error);

    if (rc < 0)
        return rc;
    key = PEM_read_bio_PrivateKey(file, NULL, lb_pem_no_passphrase, NULL);
    done = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(file);
    return done ? 0
                : refuse(error, path,
                         "no key of that certificate that can be used (a key without a "
                         "passphrase)");
}

static int make(SSL_CTX **made, struct lb_tls_context *context, struct lb_error *error)
{
    const struct lb_config *config = context->config;
    SSL_CTX *ctx;
    int rc;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return lb_error_set(error, -ENOMEM, "out of memory");
    SSL_CTX_set_keylog_callback(ctx, context->on_secret);
    rc = lb_tls_configure(ctx, config->tls_min && strcmp(config->tls_min, "1.2") == 0);
    if (rc < 0)
        refuse(error, "TLS", "this libssl can't be used");
    else
        rc = use_chain(ctx, config->tls_cert, error);
    if (rc == 0)
        rc = use_key(ctx, config->tls_key, error);
    if (rc == 0)
        rc = lb_tls_clients_ask(&context->clients, ctx, error);
    if (rc == 0)
        *made = ctx;
    else
        SSL_CTX_free(ctx);
    return rc;
}

/* ---- changed files --------------------------------------------------------------------------- */

static struct version version_of(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return (struct version){0};
    return (struct version){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

static bool is_same(const struct version *a, const struct version *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Takes note of what the files are now. Returns whether that is another than before. */
static bool have_changed(struct lb_tls_context *context)
{
    const struct lb_config *config = context->config;
    const char *paths[] = {config->tls_cert, config->tls_key, config->tls_client_ca};
    bool changed = false;

    for (int i = 0; i < 3 && paths[i]; i++) {
        struct version now = version_of(paths[i]);

        changed = changed || !is_same(&now, &context->versions[i]);
        context->versions[i] = now;
    }
    return changed;
}

static void look(struct lb_tls_context *context, struct lb_notes *notes)
{
    struct lb_engine_event event = {.type = LB_ENGINE_CERTIFICATE, .reason = "renewed"};
    struct lb_error error = {LB_ERROR_INIT};
    uint64_t now_ns = lb_clock_ns();
    SSL_CTX *made = NULL;

    if (now_ns - context->looked_ns < LOOK_NS)
        return;
    context->looked_ns = now_ns;
    if (!have_changed(context))
        return;
    event.error = make(&made, context, &error);
    if (event.error < 0) {
        event.reason = "kept";
        lb_note(notes, LB_NOTE_WARNING, "TLS: the certificate stays as it was: %s", error.text);
    } else {
        SSL_CTX_free(context->current); /* streams under way keep theirs */
        context->current = made;
        lb_note(notes, LB_NOTE_DETAIL, "TLS: a changed certificate was taken up: %s",
                context->config->tls_cert);
    }
    lb_notes_tell_now(notes, event);
}

/* ---- the whole ------------------------------------------------------------------------------- */

int lb_tls_context_open(struct lb_tls_context **opened, const struct lb_config *config,
                        SSL_CTX_keylog_cb_func on_secret, struct lb_error *error)
{
    struct lb_tls_context *context = calloc(1, sizeof(*context));
    int rc;

    if (!context)
        return lb_error_set(error, -ENOMEM, "out of memory");
    context->config = config;
    context->on_secret = on_secret;
    pthread_mutex_init(&context->lock, NULL);
    rc = lb_tls_clients_open(&context->clients, config, error);
    have_changed(context); /* before they are read */
    context->looked_ns = lb_clock_ns();
    if (rc == 0)
        rc = make(&context->current, context, error);
    if (rc == 0)
        *opened = context;
    else
        lb_tls_context_close(context);
    return rc;
}

void lb_tls_context_close(struct lb_tls_context *context)
{
    SSL_CTX_free(context->current);
    lb_tls_clients_close(&context->clients);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

SSL *lb_tls_context_meet(struct lb_tls_context *context, struct lb_notes *notes)
{
    SSL *ssl;

    pthread_mutex_lock(&context->lock);
    look(context, notes);
    ssl = SSL_new(context->current);
    pthread_mutex_unlock(&context->lock);
    return ssl;
}
