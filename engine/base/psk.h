/* SPDX-License-Identifier: MIT */
/* Pre-shared keys of TLS, from a file of lines IDENTITY:HEXKEY; blank ones and those that begin
 * with # are comments. */
#ifndef LB_PSK_H
#define LB_PSK_H

#include "error.h"

#include <stddef.h>

enum {
    LB_PSK_IDENTITY_MAX = 127, /* bytes */
    LB_PSK_KEY_MIN = 16,
    LB_PSK_KEY_MAX = 64,
};

struct lb_psk {
    char identity[LB_PSK_IDENTITY_MAX + 1];
    unsigned char key[LB_PSK_KEY_MAX];
    size_t key_size;
};

/* Zeroed: none. */
struct lb_psk_list {
    struct lb_psk *items;
    size_t count;
};

/* 0, or -errno with error, which names the file, and nothing left behind: -EPERM for a file that
 * others can read or write (secret.h). */
int lb_psk_read(struct lb_psk_list *list, const char *path, struct lb_error *error);
void lb_psk_done(struct lb_psk_list *list);

/* NULL: there is none of that identity. */
const struct lb_psk *lb_psk_find(const struct lb_psk_list *list, const void *identity, size_t size);

#endif
