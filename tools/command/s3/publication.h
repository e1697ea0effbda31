/* SPDX-License-Identifier: MIT */
/* The one request by which an object comes to be there: either it has all of it, or the list of the
 * parts that an upload has brought. Where its answer leaves open what came of it, the store is
 * asked for the object. */
#ifndef S3_PUBLICATION_H
#define S3_PUBLICATION_H

#include "loop.h"
#include "multipart.h"
#include "part.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum s3_result { S3_PENDING, S3_STORED, S3_FAILED, S3_IN_DOUBT };

/* All zero at first. */
struct s3_publication {
    /* What its owner sets. */
    struct s3_loop *loop;
    const char *key;
    uint64_t size;       /* the object's */
    uint64_t timeout_ns; /* how long one question may take */
    void (*done)(struct s3_publication *publication);
    void *owner;

    /* What came of it, pending until it is done. */
    enum s3_result result;
    const char *wrong; /* static, why it isn't S3_STORED; the request's outcome has the rest */

    struct s3_request request;
    struct iovec list; /* of the parts, as it is sent */
    bool lost;         /* an attempt had no answer, or none that was whole */
};

/* The part is all of it, signed, and stays its owner's; until_ns is of the loop's clock. */
void s3_publication_put(struct s3_publication *publication, const struct s3_part *part,
                        uint64_t until_ns);

/* All its parts are stored. Returns 0, or -ENOMEM: nothing is asked. */
int s3_publication_complete(struct s3_publication *publication,
                            const struct s3_multipart *multipart, uint64_t until_ns);

/* Takes back what is asked, without done. */
void s3_publication_close(struct s3_publication *publication);

#endif
