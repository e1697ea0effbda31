/* SPDX-License-Identifier: MIT */
/* What is under way at the store of an object that has several parts: nothing can be seen of it
 * before it is completed, which s3_publication does, and nothing is left once it is aborted. */
#ifndef S3_MULTIPART_H
#define S3_MULTIPART_H

#include "etags.h"
#include "loop.h"
#include "part.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero at first. All on the loop's thread. */
struct s3_multipart {
    /* What its owner sets. done: something has been done, or has gone wrong, and then why. */
    struct s3_loop *loop;
    const char *key;
    void (*done)(struct s3_multipart *multipart, const char *wrong,
                 const struct s3_outcome *outcome);
    void *owner;

    struct s3_part *parts;     /* that are not stored yet */
    struct s3_etags etags;     /* of those that are */
    struct s3_request request; /* which begins it, or aborts it */
    char *id;                  /* encoded; NULL: nothing has begun */
    char *query;               /* that names it */
    bool aborted;
};

/* One more part, which is its own now. */
void s3_multipart_add(struct s3_multipart *multipart, struct s3_part *part);

/* Sends what was not sent yet, once it has begun, until until_ns of the loop's clock. */
void s3_multipart_proceed(struct s3_multipart *multipart, uint64_t until_ns);

/* Takes its parts back. */
void s3_multipart_drop(struct s3_multipart *multipart);

/* Without parts. Returns false if there is nothing to abort. */
bool s3_multipart_abort(struct s3_multipart *multipart);

/* Takes back all that is asked, without done. */
void s3_multipart_close(struct s3_multipart *multipart);

#endif
