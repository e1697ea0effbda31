/* SPDX-License-Identifier: MIT */
/* One stream in the calling thread: an engine of one worker that is not a thread. */
#include "backend_choice.h"
#include "door.h"
#include "filter.h"
#include "given_sink.h"
#include "settle.h"
#include "sized.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum lb_end end_of(const struct lb_worker *worker)
{
    struct lb_stats stats = {LB_STATS_INIT};

    lb_counters_add(&stats, &worker->lane.counters);
    for (int end = 0; end < LB_END_COUNT; end++)
        if (stats.ends[end] > 0)
            return (enum lb_end)end;
    return LB_END_ERROR;
}

/* What is readable there ends the stream. */
static int watch_cancel(struct lb_worker *worker, int fd)
{
    struct lb_lane *lane = &worker->lane;

    return fd ? lane->backend->watch(lane->backend_state, fd, POLLIN, &worker->stops) : 0;
}

static int run(struct lb_worker *worker, int fd, int cancel_fd, enum lb_end *end)
{
    /* The worker closes what it receives from; the caller keeps its own. */
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), rc;

    if (copy < 0)
        return -errno;
    rc = lb_worker_begin(worker);
    if (rc == 0)
        rc = watch_cancel(worker, cancel_fd);
    if (rc == 0)
        lb_entrance_adopt(&worker->entrance, copy);
    else
        close(copy);
    if (rc < 0)
        lb_door_stop_now(worker->lane.door);
    lb_worker_run(worker);
    if (rc == 0 && end)
        *end = end_of(worker);
    return rc;
}

static int receive_one(const struct lb_rules *rules, int fd, int cancel_fd, enum lb_end *end)
{
    struct lb_door door = {.gate = {.max_streams = 1, .count = 1}};
    struct lb_notes silence;
    const struct lb_worker_shares shares = {rules, &door, &silence};
    struct lb_worker worker;
    int rc = lb_door_init(&door, 1);

    if (rc < 0)
        return rc;
    lb_notes_init(&silence);
    rc = lb_worker_init(&worker, &shares, NULL, 0, NULL);
    if (rc == 0) {
        rc = run(&worker, fd, cancel_fd, end);
        lb_worker_done(&worker);
    }
    lb_notes_done(&silence);
    lb_door_done(&door);
    return rc;
}

static int take_options(struct lb_receive_options *taken, const struct lb_receive_options *given)
{
    static const struct lb_layout layout = {
        .name = "struct lb_receive_options",
        .first = LB_FIRST_LAYOUT(struct lb_receive_options, cancel_fd),
        .known = sizeof(struct lb_receive_options),
    };
    int rc;

    *taken = (struct lb_receive_options){LB_RECEIVE_OPTIONS_INIT};
    rc = given ? lb_sized_take(&layout, taken, given, NULL) : 0;
    if (rc == 0 && taken->cancel_fd && fcntl(taken->cancel_fd, F_GETFD) < 0)
        rc = -errno;
    return rc;
}

static void set_limits(struct lb_rules *rules, const struct lb_receive_options *options)
{
    const struct lb_config config = {
        .max_bytes = options->max_bytes,
        .idle_timeout_ms = options->idle_timeout_ms,
        .max_time_ms = options->max_time_ms,
        .min_rate = options->min_rate,
        .min_rate_window_ms = options->min_rate_window_ms,
    };

    lb_limits_init(&rules->limits, &config);
}

int lb_receive_fd_with(int fd, const struct lb_sink *sink, void *context,
                       const struct lb_receive_options *given, enum lb_end *end)
{
    const struct lb_backend *backend;
    struct lb_receive_options options;
    struct lb_sink taken;
    struct lb_rules rules = {.sink = &taken, .sink_context = context, .max_streams = 1};
    int rc = lb_given_sink_take(&taken, sink, NULL);

    if (rc == 0)
        rc = take_options(&options, given);
    if (rc == 0)
        rc = lb_peer_check(fd);
    if (rc == 0)
        rc = lb_choice_make(&backend, "blocking", NULL, NULL, NULL);
    if (rc != 0)
        return rc;
    set_limits(&rules, &options);
    rules.backend = backend;
    rules.pool = backend->shape(taken.flags & LB_SINK_MAY_PAUSE);
    lb_rules_lay_out(&rules);
    return receive_one(&rules, fd, options.cancel_fd, end);
}

int lb_receive_fd(int fd, const struct lb_sink *sink, void *context, enum lb_end *end)
{
    return lb_receive_fd_with(fd, sink, context, NULL, end);
}

/* ---- into memory ----------------------------------------------------------------------------- */

struct collection {
    char *data; /* capacity + 1 bytes */
    size_t size, capacity, limit;
    int error;
};

static int grow(struct collection *collection, size_t needed)
{
    size_t capacity = collection->capacity ? collection->capacity : 4096;
    char *data;

    if (needed > collection->limit)
        return -EMSGSIZE;
    while (capacity < needed)
        capacity = capacity > collection->limit / 2 ? collection->limit : capacity * 2;
    if (collection->data && capacity == collection->capacity)
        return 0;
    data = realloc(collection->data, capacity + 1);
    if (!data)
        return -ENOMEM;
    collection->data = data;
    collection->capacity = capacity;
    return 0;
}

static ssize_t collect(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct collection *collection = context;

    (void)stream;
    collection->error = size > SIZE_MAX - 1 - collection->size
                            ? -EMSGSIZE
                            : grow(collection, collection->size + size);
    if (collection->error)
        return collection->error;
    memcpy(collection->data + collection->size, data, size);
    collection->size += size;
    return (ssize_t)size;
}

static int error_of_end(enum lb_end end, const struct collection *collection)
{
    switch (end) {
    case LB_END_EOF:
        return 0;
    case LB_END_RESET:
        return -ECONNRESET;
    case LB_END_TIMEOUT:
        return -ETIMEDOUT;
    case LB_END_LIMIT:
        return -EDQUOT;
    case LB_END_STOPPED:
        return -ECANCELED;
    default:
        return collection->error ? collection->error : -EIO;
    }
}

int lb_collect_fd(int fd, size_t limit, void **data, size_t *size)
{
    return lb_collect_fd_with(fd, limit, NULL, data, size);
}

int lb_collect_fd_with(int fd, size_t limit, const struct lb_receive_options *options, void **data,
                       size_t *size)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "collect", .write = collect};
    struct collection collection = {.limit = limit};
    enum lb_end end = LB_END_ERROR;
    int rc;

    if (!data || !size)
        return -EINVAL;
    rc = lb_receive_fd_with(fd, &sink, &collection, options, &end);
    if (rc == 0)
        rc = error_of_end(end, &collection);
    if (rc == 0)
        rc = grow(&collection, collection.size);
    if (rc != 0) {
        free(collection.data);
        return rc;
    }
    collection.data[collection.size] = '\0';
    *data = collection.data;
    *size = collection.size;
    return 0;
}
