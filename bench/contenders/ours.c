/* SPDX-License-Identifier: MIT */
/* lastbyte, through its public library and with its default options. The built-in sinks are used
 * as they are, but wrapped: a stream's beginning and end pass through here, to be counted and
 * checked. */
#include "arrivals.h"
#include "identity.h"
#include "payload.h"
#include "switches.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <lastbyte/lastbyte.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Streams that nothing is taken from until the driver says so. */
struct held {
    uint64_t *ids; /* of those that have begun; NULL: none is held */
    atomic_uint count;
    atomic_bool released;
    struct lb_engine *engine;
};

struct ours {
    struct lb_wrap wrap; /* first: the sink's context */
    struct receiver *receiver;
    struct lb_sink sink;
    FILE *digests;
    struct held held;
    char address[RECEIVER_ADDRESS_SIZE];
    const char *listen[2];
};

static int error_of(enum lb_end end, int rc)
{
    if (rc < 0)
        return -rc;
    switch (end) {
    case LB_END_EOF:
        return 0;
    case LB_END_RESET:
        return ECONNRESET;
    case LB_END_TIMEOUT:
        return ETIMEDOUT;
    default:
        return EIO;
    }
}

/* ---- a built-in sink ------------------------------------------------------------------------- */

static int open_counted(struct lb_stream *stream, void *context)
{
    const struct ours *ours = context;
    const struct lb_sink *inner = ours->wrap.inner;

    arrivals_open(ours->receiver->arrivals);
    return inner->open ? inner->open(stream, ours->wrap.inner_context) : 0;
}

static int end_checked(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct ours *ours = context;
    const struct lb_sink *inner = ours->wrap.inner;
    uint64_t bytes = lb_stream_bytes(stream);
    int rc = inner->end ? inner->end(stream, ours->wrap.inner_context, end) : 0;

    if (rc != -EINPROGRESS)
        arrivals_end(ours->receiver->arrivals, bytes, error_of(end, rc));
    return rc;
}

static int use_builtin(struct ours *ours, const char *specification, bool direct)
{
    struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .direct = direct};
    struct lb_error error = {LB_ERROR_INIT};
    int rc;

    if (strncmp(specification, "hash", 4) == 0) {
        int fd = memfd_create("digests", MFD_CLOEXEC);

        ours->digests = fd < 0 ? NULL : fdopen(fd, "r+");
        if (!ours->digests)
            return receiver_fail(ours->receiver, "memfd_create", errno);
        options.output_fd = fd;
    }
    ours->sink = (struct lb_sink){LB_SINK_INIT, .open = open_counted, .end = end_checked};
    rc =
        lb_sink_open(&ours->wrap.inner, &ours->wrap.inner_context, specification, &options, &error);
    if (rc == 0)
        rc = lb_sink_wrap(&ours->sink, &ours->wrap, &error);
    return rc < 0 ? receiver_fail(ours->receiver, error.text, 0) : 0;
}

/* ---- a sink that looks at what comes --------------------------------------------------------- */

static int open_tally(struct lb_stream *stream, void *context)
{
    struct ours *ours = context;

    if (ours->held.ids)
        ours->held.ids[atomic_fetch_add(&ours->held.count, 1)] = lb_stream_id(stream);
    tally_begin(ours->receiver, lb_stream_state(stream));
    return 0;
}

static ssize_t write_tally(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    const struct ours *ours = context;

    if (ours->held.ids && !atomic_load(&ours->held.released))
        return 0;
    tally_take(ours->receiver, lb_stream_state(stream), data, size);
    return (ssize_t)size;
}

static int end_tally(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct ours *ours = context;

    tally_end(ours->receiver, lb_stream_state(stream), error_of(end, 0));
    return 0;
}

static const struct lb_sink tally_sink = {
    LB_SINK_INIT,       .name = "tally",      .state_size = sizeof(struct tally),
    .open = open_tally, .write = write_tally, .end = end_tally,
};

/* Waits for the driver, then has every stream's sink called. */
static void *release_held(void *argument)
{
    struct ours *ours = argument;
    struct held *held = &ours->held;
    char byte;

    while (read(ours->receiver->release_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    atomic_store(&held->released, true);
    for (unsigned i = 0; i < atomic_load(&held->count); i++)
        lb_engine_wake(held->engine, held->ids[i]);
    return NULL;
}

static int hold(struct ours *ours)
{
    if (ours->receiver->release_fd < 0)
        return receiver_fail(ours->receiver, "nobody would release what is held", 0);
    ours->held.ids = calloc(ours->receiver->trial->streams, sizeof(*ours->held.ids));
    if (!ours->held.ids)
        return receiver_fail(ours->receiver, "out of memory", 0);
    ours->sink = tally_sink;
    ours->sink.flags = LB_SINK_MAY_PAUSE;
    return 0;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static int choose_sink(struct ours *ours, const struct contender *contender)
{
    const struct trial *trial = ours->receiver->trial;
    unsigned demands = trial->workload->demands;
    bool hashes = strcmp(contender->sink, "discard") != 0;
    char specification[PATH_MAX];

    if (demands & DEMAND_FILES) {
        bool one = demands & DEMAND_ONE;

        snprintf(specification, sizeof(specification), "%s:%s%s", one ? "file" : "dir",
                 ours->receiver->directory, one ? "/received" : "");
        return use_builtin(ours, specification, contender->direct);
    }
    if (demands & DEMAND_STALL)
        return hold(ours);
    if ((demands & DEMAND_CONTENT) || (trial->verify && !hashes)) {
        ours->sink = tally_sink;
        return 0;
    }
    return use_builtin(ours, contender->sink, false);
}

static int open_engine(struct ours *ours, struct lb_engine **engine,
                       const struct contender *contender)
{
    const struct trial *trial = ours->receiver->trial;
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};

    snprintf(ours->address, sizeof(ours->address), "%s:0", trial->address);
    ours->listen[0] = ours->address;
    lb_config_init(&config);
    config.listen = ours->listen;
    config.backend = contender->backend;
    config.sink = &ours->sink;
    config.sink_context = ours;
    config.slot_size = trial->slot_size;
    config.slots = trial->slots;
    config.gather_max_us = trial->gather_max_us ? trial->gather_max_us : contender->gather_max_us;
    config.tune = contender->tune;
    if (contender->switches && contender->switches->gather)
        config.tune = LB_TUNE_SAVE_CPU;
    else if (contender->switches)
        config.gather_max_us = LB_NO_GATHER;
    config.rcvbuf = trial->rcvbuf;
    config.count = trial->streams;
    if (trial->workload->demands & DEMAND_TLS) {
        config.tls = true;
        config.tls_cert = config.tls_key = identity_path();
    }
    if (config.max_streams < trial->streams)
        config.max_streams = trial->streams;
    if (lb_engine_open(engine, &config, &error) < 0)
        return receiver_fail(ours->receiver, error.text, 0);
    return 0;
}

static int run_engine(struct ours *ours, struct lb_engine *engine)
{
    int rc = lb_engine_start(engine);
    pthread_t releaser;

    if (rc < 0)
        return receiver_fail(ours->receiver, "lb_engine_start", -rc);
    ours->held.engine = engine;
    if (ours->held.ids && pthread_create(&releaser, NULL, release_held, ours) != 0)
        return receiver_fail(ours->receiver, "pthread_create", 0);
    receiver_ready(ours->receiver, lb_engine_address(engine, 0));
    lb_engine_wait(engine, -1);
    receiver_done(ours->receiver);
    if (ours->held.ids)
        pthread_join(releaser, NULL);
    return 0;
}

/* Each line begins with the digest of a stream, and no two streams are alike. */
static void check_digests(const struct ours *ours)
{
    const struct trial *trial = ours->receiver->trial;
    char line[256], digest[PAYLOAD_DIGEST_SIZE];
    unsigned found = 0;

    for (unsigned i = 0; i < trial->streams; i++) {
        bool seen = false;

        payload_digest(i, trial->stream_bytes, digest);
        rewind(ours->digests);
        while (!seen && fgets(line, sizeof(line), ours->digests))
            seen = strncmp(line, digest, sizeof(digest) - 1) == 0;
        found += seen;
    }
    if (found != trial->streams)
        arrivals_wrong(ours->receiver->arrivals, "%u of %u digests are right", found,
                       trial->streams);
}

int ours_receive(const struct contender *contender, struct receiver *receiver)
{
    struct ours ours = {.wrap = {LB_WRAP_INIT}, .receiver = receiver};
    struct lb_engine *engine = NULL;
    int rc;

    switches_set(contender->switches);
    switches_record(receiver->schedule);
    rc = choose_sink(&ours, contender);
    if (rc == 0)
        rc = open_engine(&ours, &engine, contender);
    if (rc == 0)
        rc = run_engine(&ours, engine);
    lb_engine_close(engine);
    if (rc == 0 && ours.digests && receiver->trial->verify)
        check_digests(&ours);
    free(ours.held.ids);
    lb_sink_close(ours.wrap.inner, ours.wrap.inner_context);
    if (ours.digests)
        fclose(ours.digests);
    return rc;
}

const char *ours_missing(const struct contender *contender, char *buffer, size_t size)
{
    static struct lb_probe probe = {LB_PROBE_INIT};

    if (probe.backends == 0)
        lb_probe(&probe);
    for (size_t i = 0; i < probe.backends; i++) {
        const struct lb_feature *feature = &probe.features[i];

        if (strcmp(feature->name, contender->backend) != 0)
            continue;
        snprintf(buffer, size, "%s", feature->why);
        return feature->usable ? NULL : buffer;
    }
    return "lastbyte has no such backend";
}
