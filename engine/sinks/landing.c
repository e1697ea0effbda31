/* SPDX-License-Identifier: MIT */
#include "landing.h"
#include "direct.h"
#include "output.h"

#include <errno.h>

bool lb_landing_syncs(const struct lb_stream *stream, const struct lb_directory *directory)
{
    return directory->sync && lb_stream_receipt(stream);
}

int lb_landing_check(const struct lb_stream *stream, struct lb_directory *directory)
{
    return lb_stream_receipt(stream) ? lb_directory_check(directory) : 0;
}

int lb_landing_open(struct lb_stream *stream, struct lb_directory *directory, const char *name)
{
    struct lb_landing *landing = lb_stream_state(stream);
    int rc = lb_landing_syncs(stream, directory) ? atomic_load(&directory->failed) : 0;

    if (rc == 0)
        rc = lb_directory_check(directory);
    if (rc == 0)
        rc = lb_partial_open(&landing->partial, directory, name);
    if (rc == 0 && directory->direct)
        landing->slots = lb_direct_claim(directory->direct, landing->partial.fd);
    return rc;
}

ssize_t lb_landing_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct lb_landing *landing = lb_stream_state(stream);
    int rc = 0;

    (void)context;
    if (landing->slots && !lb_direct_has(landing->slots, data)) {
        /* So will all others: the slots, which are empty, are free for streams that they are for.
         */
        rc = lb_direct_flush(landing->slots);
        landing->slots = NULL;
        if (rc < 0)
            return rc;
    }
    if (landing->slots)
        lb_direct_put(landing->slots, size);
    else
        rc = lb_file_write(landing->partial.fd, data, size);
    return rc < 0 ? rc : (ssize_t)size;
}

ssize_t lb_landing_place(struct lb_stream *stream, void *context, void **data)
{
    const struct lb_landing *landing = lb_stream_state(stream);

    (void)context;
    return landing->slots ? lb_direct_place(landing->slots, stream, data) : -EOPNOTSUPP;
}

int lb_landing_target(struct lb_stream *stream, void *context)
{
    const struct lb_landing *landing = lb_stream_state(stream);

    (void)context;
    return landing->partial.fd;
}

int lb_landing_flush(struct lb_landing *landing)
{
    return landing->slots ? lb_direct_flush(landing->slots) : 0;
}

int lb_landing_publish(struct lb_landing *landing, const struct lb_stream *stream)
{
    bool sync = lb_landing_syncs(stream, landing->partial.directory);
    int rc = lb_partial_publish(&landing->partial, sync);

    return rc == 0 && sync ? LB_UNSETTLED : rc;
}

int lb_landing_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct lb_landing *landing = lb_stream_state(stream);
    int flushed = lb_landing_flush(landing);
    int rc;

    if (end == LB_END_EOF && flushed == 0)
        flushed = lb_landing_check(stream, context);
    if (end != LB_END_EOF || flushed < 0) {
        rc = lb_partial_keep(&landing->partial);
        return flushed < 0 ? flushed : rc;
    }
    rc = lb_landing_publish(landing, stream);
    if (rc < 0)
        lb_partial_set_apart(&landing->partial);
    return rc;
}

int lb_landing_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    int rc = lb_directory_sync(context);

    for (size_t i = 0; rc < 0 && i < count; i++) {
        const struct lb_landing *landing = lb_stream_state(streams[i]);

        lb_partial_withdraw(&landing->partial);
    }
    return rc;
}

bool lb_landing_timing(void *context, size_t index, struct lb_timing *timing)
{
    const struct lb_directory *directory = context;

    if (index > 0)
        return false;
    timing->name = "fsync";
    timing->help = "of an fsync(2), of a file or of the directory that it lands in";
    lb_durations_tell(&directory->syncs, timing);
    return true;
}
