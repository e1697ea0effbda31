/* SPDX-License-Identifier: MIT */
/* One stream in the calling thread: an engine of one worker that is not a thread. */
#include "backend_choice.h"
#include "door.h"
#include "filter.h"
#include "settle.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
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

static int run(struct lb_worker *worker, int fd, enum lb_end *end)
{
    /* The worker closes what it receives from; the caller keeps its own. */
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), rc;

    if (copy < 0)
        return -errno;
    rc = lb_worker_begin(worker);
    if (rc == 0)
        lb_entrance_adopt(&worker->entrance, copy);
    else
        close(copy);
    lb_worker_run(worker);
    if (rc == 0 && end)
        *end = end_of(worker);
    return rc;
}

static int receive_one(const struct lb_rules *rules, int fd, enum lb_end *end)
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
        rc = run(&worker, fd, end);
        lb_worker_done(&worker);
    }
    lb_notes_done(&silence);
    lb_door_done(&door);
    return rc;
}

int lb_receive_fd(int fd, const struct lb_sink *sink, void *context, enum lb_end *end)
{
    const struct lb_backend *backend;
    struct lb_sink taken;
    struct lb_rules rules = {.sink = &taken, .sink_context = context, .max_streams = 1};
    int rc = lb_settle_take_sink(&taken, sink, NULL);

    if (rc == 0)
        rc = lb_peer_check(fd);
    if (rc == 0)
        rc = lb_choice_make(&backend, "blocking", NULL, NULL, NULL);
    if (rc != 0)
        return rc;
    rules.backend = backend;
    rules.pool = backend->shape(taken.flags & LB_SINK_MAY_PAUSE);
    lb_rules_lay_out(&rules);
    return receive_one(&rules, fd, end);
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
    default:
        return collection->error ? collection->error : -EIO;
    }
}

int lb_collect_fd(int fd, size_t limit, void **data, size_t *size)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "collect", .write = collect};
    struct collection collection = {.limit = limit};
    enum lb_end end = LB_END_ERROR;
    int rc;

    if (!data || !size)
        return -EINVAL;
    rc = lb_receive_fd(fd, &sink, &collection, &end);
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
