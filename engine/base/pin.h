/* SPDX-License-Identifier: MIT */
/* Pins: who somebody is in TLS without anybody's authority. The SHA-256 of a public key (its
 * SubjectPublicKeyInfo), in the form that curl's --pinnedpubkey takes: sha256//BASE64. */
#ifndef LB_PIN_H
#define LB_PIN_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LB_PIN_SIZE = 32,
    LB_PIN_TEXT_SIZE = 8 + 44 + 1, /* with its NUL */
};

struct lb_pin {
    uint8_t bytes[LB_PIN_SIZE];
};

/* 0 or -EINVAL. */
int lb_pin_read(struct lb_pin *pin, const char *text);

/* Returns text. */
const char *lb_pin_write(const struct lb_pin *pin, char text[LB_PIN_TEXT_SIZE]);

/* Of a certificate's key. 0 or -EIO. */
int lb_pin_of(struct lb_pin *pin, const X509 *certificate);

/* Of the first certificate in a PEM file. 0; -errno if it can't be opened; -EBADMSG: there is
 * none. */
int lb_pin_of_file(struct lb_pin *pin, const char *path);

static inline bool lb_pin_is_in(const struct lb_pin *pin, const struct lb_pin *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (__builtin_memcmp(pin->bytes, list[i].bytes, LB_PIN_SIZE) == 0)
            return true;
    return false;
}

#endif
