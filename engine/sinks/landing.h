/* SPDX-License-Identifier: MIT */
/*
 * Where a stream's bytes land in a directory: a partial, written the ordinary way or past the page
 * cache, that is published or kept at the end.
 *
 * A sink whose streams land somewhere begins its context with a struct lb_directory and its
 * streams' state with a struct lb_landing; then the functions that take a stream are its own, as
 * struct lb_sink describes them.
 */
#ifndef LB_LANDING_H
#define LB_LANDING_H

#include "partial.h"

struct lb_landing {
    struct lb_partial partial;
    struct lb_direct_slots *slots; /* NULL: written the ordinary way */
};

/* As lb_partial_open. A stream whose sender wants a receipt is refused if none can be given here
 * any more, and any if nobody would find it. */
int lb_landing_open(struct lb_stream *stream, struct lb_directory *directory, const char *name);

/* What end promises has to be on the disk by then. */
bool lb_landing_syncs(const struct lb_stream *stream, const struct lb_directory *directory);

ssize_t lb_landing_write(struct lb_stream *stream, void *context, const void *data, size_t size);
ssize_t lb_landing_place(struct lb_stream *stream, void *context, void **data);
int lb_landing_target(struct lb_stream *stream, void *context);

/* No more will be written: waits until all is in the file. Returns 0, or -errno for what is not. */
int lb_landing_flush(struct lb_landing *landing);

/* Flushed: gives the file its name. Returns 0, LB_UNSETTLED, or -errno with it closed, and still
 * called NAME.receiving. */
int lb_landing_publish(struct lb_landing *landing, const struct lb_stream *stream);

/* Nobody is told "ok" for what lands where nobody looks: 0 or -ESTALE. Without a receipt a stream
 * ends where it began. */
int lb_landing_check(const struct lb_stream *stream, struct lb_directory *directory);

/* Publishes what is complete, and keeps the rest as NAME.partial. */
int lb_landing_end(struct lb_stream *stream, void *context, enum lb_end end);

int lb_landing_settle(struct lb_stream *const *streams, size_t count, void *context);

bool lb_landing_timing(void *context, size_t index, struct lb_timing *timing);

#endif
