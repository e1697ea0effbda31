/* SPDX-License-Identifier: MIT */
/* What objects are called: PREFIX, the time, a number, the receiver's mark and a random part.
 * Nothing in it is a peer's. */
#ifndef S3_KEY_H
#define S3_KEY_H

#include <stdbool.h>
#include <stddef.h>

enum {
    S3_NAME_SIZE = 256, /* of a key with its NUL: it fits into a receipt */
    S3_PREFIX_MAX = 150,
    S3_MARK_MAX = 32,
};

/* Only A-Z a-z 0-9 . _ - and, in a prefix, /. */
bool s3_key_is_mark(const char *text);
bool s3_key_is_prefix(const char *text);
bool s3_key_is_bucket(const char *text);

/* A key that no other stream has, of this receiver or of any other. Returns 0 or -errno. */
int s3_key_make(char key[S3_NAME_SIZE], const char *prefix, const char *mark);

/* Was key made with these? */
bool s3_key_is_ours(const char *key, const char *prefix, const char *mark);

#endif
