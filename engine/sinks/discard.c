/* SPDX-License-Identifier: MIT */
#include "sinks.h"

static ssize_t discard_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

const struct lb_builtin lb_sink_discard = {
    .sink = {LB_SINK_INIT, .name = "discard", .write = discard_write},
    .help = "received, then dropped",
};
