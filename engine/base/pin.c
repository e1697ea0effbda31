/* SPDX-License-Identifier: MIT */
#include "pin.h"

#include "pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

static const char form[] = "sha256//";

enum { FORM_SIZE = sizeof(form) - 1, DIGITS = 44 };

const char *lb_pin_write(const struct lb_pin *pin, char text[LB_PIN_TEXT_SIZE])
{
    memcpy(text, form, FORM_SIZE);
    EVP_EncodeBlock((unsigned char *)text + FORM_SIZE, pin->bytes, LB_PIN_SIZE);
    return text;
}

int lb_pin_read(struct lb_pin *pin, const char *text)
{
    unsigned char bytes[DIGITS / 4 * 3]; /* the padding's byte too */
    char again[LB_PIN_TEXT_SIZE];

    if (strlen(text) != FORM_SIZE + DIGITS || memcmp(text, form, FORM_SIZE) != 0 ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text + FORM_SIZE, DIGITS) != sizeof(bytes))
        return -EINVAL;
    memcpy(pin->bytes, bytes, LB_PIN_SIZE);
    /* What decodes to a pin, but is not how it is written, is a typo. */
    return strcmp(lb_pin_write(pin, again), text) == 0 ? 0 : -EINVAL;
}

int lb_pin_of(struct lb_pin *pin, const X509 *certificate)
{
    unsigned char *info = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &info);
    int rc = size > 0 && EVP_Digest(info, (size_t)size, pin->bytes, NULL, EVP_sha256(), NULL) == 1
                 ? 0
                 : -EIO;

    OPENSSL_free(info);
    ERR_clear_error();
    return rc;
}

int lb_pin_of_file(struct lb_pin *pin, const char *path)
{
    BIO *file = lb_pem_open(path);
    X509 *certificate;
    int rc = -EBADMSG;

    if (!file)
        return -errno;
    certificate = PEM_read_bio_X509(file, NULL, lb_pem_no_passphrase, NULL);
    BIO_free(file);
    if (certificate)
        rc = lb_pin_of(pin, certificate);
    X509_free(certificate);
    ERR_clear_error();
    return rc;
}
