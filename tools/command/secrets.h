/* SPDX-License-Identifier: MIT */
#ifndef SECRETS_H
#define SECRETS_H

#include <stddef.h>

/* Before the first private key is read or made, and before libcrypto is used: from now on such keys
 * live in memory that is in no dump, and isn't swapped where that much may be locked; and nothing
 * of one that was read is left elsewhere. streams: at most so many at once in TLS. */
void secrets_keep(size_t streams);

#endif
