/* SPDX-License-Identifier: MIT */
#ifndef SECRETS_H
#define SECRETS_H

/* Before the first private key is read: from now on such keys live in memory that is in no dump,
 * and isn't swapped if that much may be locked. */
void secrets_keep(void);

#endif
