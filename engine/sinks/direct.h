/* SPDX-License-Identifier: MIT */
/*
 * Writing past the page cache: a stream's bytes are received into slots that are aligned as
 * O_DIRECT wants them, and each slot is written, whole, from where it was received into. Writers,
 * threads of their own, do that while the stream fills its next slots. What is left at its end,
 * less than a block, is written the ordinary way.
 *
 * A stream has all slots it will ever need from its begin to its end, so no stream waits for
 * another.
 */
#ifndef LB_DIRECT_H
#define LB_DIRECT_H

#include <lastbyte/lastbyte.h>

/* What the streams of one sink share. */
struct lb_direct;

/* One stream's slots. */
struct lb_direct_slots;

enum { LB_DIRECT_THREADS = 2 }; /* that write, for all streams */

/* sets: how many streams may write so at a time. On success *result is owned by the caller
 * (lb_direct_close). Fails with -EOPNOTSUPP and error filled where the file system of the directory
 * has no O_DIRECT. */
int lb_direct_open(struct lb_direct **result, int directory_fd, unsigned sets,
                   const char *sink_name, const char *argument, struct lb_error *error);

/* No stream may use it any more. direct may be NULL. */
void lb_direct_close(struct lb_direct *direct);

/* Slots for a stream whose file is fd, and empty; NULL if all are in use: then write as ever. */
struct lb_direct_slots *lb_direct_claim(struct lb_direct *direct, int fd);

/* Where the stream's next bytes go; see struct lb_sink, place. */
ssize_t lb_direct_place(struct lb_direct_slots *slots, struct lb_stream *stream, void **data);

/* data is what has come there: not what a filter has made, which comes from elsewhere. */
bool lb_direct_has(const struct lb_direct_slots *slots, const void *data);

/* size bytes have come there. */
void lb_direct_put(struct lb_direct_slots *slots, size_t size);

/* The stream is over: waits until all is written, and frees the slots. On failure the file has what
 * came before the first byte that could not be written. Any thread. Returns 0 or -errno. */
int lb_direct_flush(struct lb_direct_slots *slots);

#endif
