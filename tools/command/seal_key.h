/* SPDX-License-Identifier: MIT */
#ifndef SEAL_KEY_H
#define SEAL_KEY_H

#include "seal.h"

/* The key of --seal-key=FILE: every byte of a file that is nobody else's to read or to change. */

/* Returns an exit status after telling what is wrong; then there is no key. */
int seal_key_read(struct lb_seal_key *key, const char *path);

/* Leaves nothing of it in memory. */
void seal_key_done(struct lb_seal_key *key);

#endif
