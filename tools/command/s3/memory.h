/* SPDX-License-Identifier: MIT */
/* The memory of all streams that go to a store: blocks of one size, and who may have how many. As
 * much is reserved at the start, and touched only as it is used.
 *
 * A stream's lease begins with one block, from a share that is kept for those. Once it needs more
 * it takes its turn for two parts, and keeps room for those to its end: so that whoever has begun a
 * part can fill it, and nobody waits for somebody who waits. Whatever nobody waits for, it may use
 * on top, so that more of its parts are under way at a time. */
#ifndef S3_MEMORY_H
#define S3_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { S3_BLOCK_SIZE = 256 << 10 };

struct s3_memory;

/* One stream's. All zero at first, but for its id; the memory's from then on. */
struct s3_lease {
    uint64_t id;       /* the stream's number */
    unsigned promised; /* blocks that it can have for certain, sooner or later */
    unsigned extra;    /* that it has on top */
    unsigned used;
    bool small;   /* its one block is of the share for those */
    bool waiting; /* is to be woken: it has its turn, or a block of its own is free again */
    bool queued;
    struct s3_lease *next; /* in the queue */
};

/* part is the size of a first part. wake is called from any thread, under a lock, with a stream's
 * number. Returns NULL if there is no memory. size has room for two parts at least. */
struct s3_memory *s3_memory_open(size_t size, size_t part, void (*wake)(void *context, uint64_t id),
                                 void *context);
void s3_memory_close(struct s3_memory *memory);

/* A block, or NULL: then the stream is woken when it should ask again. From any thread. */
void *s3_memory_take(struct s3_memory *memory, struct s3_lease *lease);

/* One of its blocks is free again. */
void s3_memory_give(struct s3_memory *memory, struct s3_lease *lease, void *block);

/* From now on the stream takes none, and is not woken. */
void s3_memory_ask_no_more(struct s3_memory *memory, struct s3_lease *lease);

/* The lease ends, whatever it still waits for; its blocks have been given back. */
void s3_memory_leave(struct s3_memory *memory, struct s3_lease *lease);

/* Asks for room for two parts of so many bytes, where nobody waits; where somebody does, what a
 * lease has more than others is given up again. Returns the bytes that a part may have now. */
size_t s3_memory_grow(struct s3_memory *memory, struct s3_lease *lease, size_t part);

#endif
