/* SPDX-License-Identifier: MIT */
#ifndef S3_PART_H
#define S3_PART_H

#include "loop.h"
#include "memory.h"
#include "sha256.h"

struct s3_upload;

/* A part of a stream: blocks that fill, and the request that brings them to the store. */
struct s3_part {
    struct s3_task task;       /* first: hands it over */
    struct s3_request request; /* its payload is set by whoever fills the part */
    struct s3_memory *memory;
    struct s3_lease *lease;
    unsigned number;
    size_t size; /* in all */
    size_t room; /* that it may have */

    /* Its payload's hash, where that is not reckoned as bytes come. */
    struct s3_sha256 sum;
    bool in_sum;

    /* Its upload's, once it is handed over. */
    struct s3_upload *upload;
    struct s3_part *next;
    char *query;
    bool sent;

    unsigned count;
    struct iovec blocks[];
};

/* An empty part with room for so many bytes, that takes its blocks from a lease. NULL: no memory.
 */
struct s3_part *s3_part_open(struct s3_memory *memory, struct s3_lease *lease, unsigned number,
                             size_t room);

/* Where its next bytes go. Returns how many do, or 0: there is no block now, and the lease's stream
 * is woken. */
size_t s3_part_room(struct s3_part *part, uint8_t **data);

/* So many have come there. */
void s3_part_add(struct s3_part *part, size_t size);

/* Gives back its blocks, too. */
void s3_part_close(struct s3_part *part);

/* Those of an upload that are handed over, and not stored yet. */
void s3_parts_add(struct s3_part **first, struct s3_part *part);
void s3_parts_remove(struct s3_part **first, const struct s3_part *part);

/* Takes back what is asked for them, and closes them all. */
void s3_parts_drop(struct s3_part **first, struct s3_loop *loop);

#endif
