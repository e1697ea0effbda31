/* SPDX-License-Identifier: MIT */
#include "settle.h"

#include "clock.h"
#include "cores.h"
#include "descriptors.h"
#include "error.h"
#include "filter.h"
#include "given_sink.h"
#include "seal.h"
#include "sized.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The pool for sinks that may pause many streams at a time: each of those keeps a slot. */
static const struct lb_pool_shape pausing_shape = {.slot_size = 16 << 10, .slots = 64};

/* Defaults, for what is left as zero too. */
enum {
    DEFAULT_STREAMS = 10000,
    DEFAULT_KEEPALIVE_MS = 120000,
    DEFAULT_GATHER_US = 1000,
    DEFAULT_HANDSHAKE_MS = 10000,
    DEFAULT_HANDSHAKES = 256
};

enum { SLOT_SIZE_THROTTLED = 4096, SLOTS_THROTTLED = 64 };

static const char *const default_listen[] = {":1090", NULL};

static const struct lb_config defaults = {
    .size = sizeof(defaults),
    .listen = default_listen,
    .backend = "auto",
    .max_streams = DEFAULT_STREAMS,
    .drain_ms = 10000,
    .keepalive_ms = DEFAULT_KEEPALIVE_MS,
    .gather_max_us = DEFAULT_GATHER_US,
    .handshake_timeout_ms = DEFAULT_HANDSHAKE_MS,
    .max_handshakes = DEFAULT_HANDSHAKES,
    .note_level = LB_NOTE_WARNING,
};

static const struct lb_layout config_layout = {
    .name = "struct lb_config",
    .first = LB_FIRST_LAYOUT(struct lb_config, note_context),
    .known = sizeof(struct lb_config),
};

/* ---- taking ---------------------------------------------------------------------------------- */

int lb_config_init_sized(struct lb_config *config, size_t size)
{
    if (!config || size < config_layout.first || size > LB_SIZED_MAX)
        return -EINVAL;
    memset(config, 0, size);
    config->size = size;
    return lb_sized_give(&config_layout, config, &defaults);
}

static int check_tls(const struct lb_config *config, struct lb_error *error)
{
    const char *min = config->tls_min, *records = config->tls_records;

    if (!config->tls)
        return 0;
    if (!config->tls_cert || !config->tls_key)
        return lb_error_set(error, -EINVAL, "TLS without a certificate and its key");
    if (min && strcmp(min, "1.2") != 0 && strcmp(min, "1.3") != 0)
        return lb_error_set(error, -EINVAL, "TLS %s: the least may be 1.2 or 1.3", min);
    if (records && strcmp(records, "own") != 0 && strcmp(records, "libssl") != 0)
        return lb_error_set(error, -EINVAL, "TLS records by %s: by own or libssl", records);
    if (config->tls_allow_fin && config->receipt && !config->seal)
        return lb_error_set(error, -EINVAL,
                            "a receipt for what ends without TLS's close_notify would prove "
                            "nothing: leave out one of the two, or let streams be sealed");
    return 0;
}

static int check_rest(const struct lb_config *config, struct lb_error *error)
{
    cpu_set_t cores;

    if (config->unix_mode > 0777)
        return lb_error_set(error, -EINVAL, "mode %o of a Unix socket: at most 777",
                            config->unix_mode);
    if (config->greeting_size > LB_GREETING_MAX)
        return lb_error_set(error, -EINVAL, "a greeting of %zu bytes: at most %d",
                            config->greeting_size, LB_GREETING_MAX);
    if (config->greeting_size > 0 && !config->greeting)
        return lb_error_set(error, -EINVAL, "a greeting of %zu bytes that is NULL",
                            config->greeting_size);
    if (config->allow_uid_count > 0 && !config->allow_uids)
        return lb_error_set(error, -EINVAL, "a list of %zu users that is NULL",
                            config->allow_uid_count);
    if ((unsigned)config->note_level > LB_NOTE_WARNING)
        return lb_error_set(error, -EINVAL, "there is no level %d of notes", config->note_level);
    if (config->cpus && lb_cores_parse(&cores, config->cpus, error) < 0)
        return -EINVAL;
    if (config->max_handshakes > LB_HANDSHAKES_MAX)
        return lb_error_set(error, -EINVAL, "%u handshakes at once: at most %d",
                            config->max_handshakes, LB_HANDSHAKES_MAX);
    if (config->seal_key && !config->seal)
        return lb_error_set(error, -EINVAL, "a seal key without seal: nothing would be checked");
    if (config->seal_key && config->seal_key_size < LB_SEAL_KEY_MIN)
        return lb_error_set(error, -EINVAL, "a seal key of %zu bytes: at least %d",
                            config->seal_key_size, LB_SEAL_KEY_MIN);
    return check_tls(config, error);
}

static int check_config(const struct lb_config *config, struct lb_error *error)
{
    if (!config->listen || !config->listen[0])
        return lb_error_set(error, -EINVAL, "no address to listen on");
    if (config->workers > LB_WORKERS_MAX && config->workers != LB_NO_THREADS)
        return lb_error_set(error, -EINVAL, "%u workers: at most %d", config->workers,
                            LB_WORKERS_MAX);
    if (config->max_streams > LB_STREAMS_MAX)
        return lb_error_set(error, -EINVAL, "%u streams at once: at most %d", config->max_streams,
                            LB_STREAMS_MAX);
    if (config->slot_size > LB_SLOT_SIZE_MAX)
        return lb_error_set(error, -EINVAL, "a slot of %zu bytes: at most 1G", config->slot_size);
    if (config->slots > LB_SLOTS_MAX)
        return lb_error_set(error, -EINVAL, "%u slots: at most %d", config->slots, LB_SLOTS_MAX);
    if (config->gather_max_us > LB_GATHER_US_MAX && config->gather_max_us != LB_NO_GATHER)
        return lb_error_set(error, -EINVAL, "gathering for %u us: at most %d",
                            config->gather_max_us, LB_GATHER_US_MAX);
    if (config->tune > LB_TUNE_LATENCY)
        return lb_error_set(error, -EINVAL, "there is no tune %" PRIu64, config->tune);
    if (config->keepalive_ms > LB_KEEPALIVE_MS_MAX && config->keepalive_ms != LB_NO_KEEPALIVE)
        return lb_error_set(error, -EINVAL, "keepalive of %u ms: at most %d", config->keepalive_ms,
                            LB_KEEPALIVE_MS_MAX);
    if (config->rate_limit && config->min_rate > config->rate_limit)
        return lb_error_set(error, -EINVAL,
                            "a least rate of %" PRIu64 " above the rate limit of %" PRIu64
                            ": no stream could keep both",
                            config->min_rate, config->rate_limit);
    return check_rest(config, error);
}

int lb_settle_take(struct lb_config *config, struct lb_sink *sink, const struct lb_config *given,
                   struct lb_error *error)
{
    int rc;

    *config = defaults;
    rc = lb_sized_take(&config_layout, config, given, error);
    if (rc == 0)
        rc = lb_given_sink_take(sink, config->sink, error);
    if (rc < 0)
        return rc;
    config->sink = sink;
    return check_config(config, error);
}

/* ---- settling -------------------------------------------------------------------------------- */

static unsigned usable_cores(const struct lb_config *config)
{
    unsigned cores;
    cpu_set_t set;

    if (config->cpus && lb_cores_parse(&set, config->cpus, NULL) == 0)
        cores = (unsigned)CPU_COUNT(&set);
    else
        cores = lb_cores_usable("");
    return cores < LB_WORKERS_MAX ? cores : LB_WORKERS_MAX;
}

static unsigned default_workers(const struct lb_backend *backend, const struct lb_config *config)
{
    unsigned workers = backend->workers ? backend->workers : usable_cores(config);
    unsigned listeners = 0, sockets, most;

    while (config->listen && config->listen[listeners])
        listeners++;
    sockets = backend->shared_listeners ? 0 : listeners;
    most = lb_descriptors_workers(config->sink, sockets + lb_descriptors_ahead(backend, listeners));
    return workers < most ? workers : most;
}

/* A slot is the least that a stream gets at once: small against what its rate allows in a second.
 */
static struct lb_pool_shape throttled_shape(struct lb_pool_shape shape,
                                            const struct lb_config *config)
{
    uint64_t rate = config->rate_limit ? config->rate_limit : config->total_rate_limit;

    if (config->total_rate_limit && config->total_rate_limit < rate)
        rate = config->total_rate_limit;
    while (shape.slot_size > SLOT_SIZE_THROTTLED && shape.slot_size > rate / 32) {
        shape.slot_size /= 2;
        if (shape.slots < SLOTS_THROTTLED)
            shape.slots *= 2;
    }
    return shape;
}

static struct lb_pool_shape choose_pool(const struct lb_rules *rules,
                                        const struct lb_config *config)
{
    bool may_pause = rules->sink->flags & LB_SINK_MAY_PAUSE;
    bool many = !(rules->sink->flags & LB_SINK_SERIAL) && !rules->backend->one_stream_per_worker;
    struct lb_pool_shape shape =
        may_pause && many ? pausing_shape : rules->backend->shape(may_pause);

    if (rules->throttle)
        shape = throttled_shape(shape, config);
    if (config->slot_size)
        shape.slot_size = config->slot_size;
    if (config->slots)
        shape.slots = config->slots;
    return shape;
}

static void settle_config(struct lb_config *config, const struct lb_backend *backend)
{
    if (!config->max_streams)
        config->max_streams = DEFAULT_STREAMS;
    if (!config->keepalive_ms)
        config->keepalive_ms = DEFAULT_KEEPALIVE_MS;
    if (!config->gather_max_us)
        config->gather_max_us = DEFAULT_GATHER_US;
    if (!config->handshake_timeout_ms)
        config->handshake_timeout_ms = DEFAULT_HANDSHAKE_MS;
    if (!config->max_handshakes)
        config->max_handshakes = DEFAULT_HANDSHAKES;
    if (!config->workers)
        config->workers = default_workers(backend, config);
    /* A worker that could never get a stream would only hold peers in its backlog. */
    if (config->count && config->count < config->workers)
        config->workers = (unsigned)config->count;
    if (config->sink->flags & LB_SINK_SERIAL) {
        config->workers = 1;
        config->max_streams = 1;
    }
    if (config->workers > config->max_streams)
        config->workers = config->max_streams;
}

static int choose_digest(struct lb_digest_method *method, const char *name, struct lb_error *error)
{
    int rc = name ? lb_digest_choose(method, name) : 0;

    if (rc == -ENOTSUP)
        return lb_error_set(error, rc,
                            "receipts with %s: this libcrypto does not offer it; use xxh3", name);
    if (rc < 0)
        return lb_error_set(error, rc, "receipts with %s: unknown algorithm; use xxh3 or sha256",
                            name);
    return 0;
}

static int choose_filters(struct lb_rules *rules, const struct lb_config *config,
                          struct lb_error *error)
{
    for (size_t i = 0; lb_filters[i]; i++) {
        const void *settings = NULL;
        int rc = lb_filters[i]->settle(config, &settings, error);

        if (rc < 0)
            return rc;
        if (!settings)
            continue;
        assert(rules->filter_count < LB_FILTERS_MAX);
        rules->filters[rules->filter_count++] =
            (struct lb_filter_use){.filter = lb_filters[i], .settings = settings};
    }
    return 0;
}

static uint64_t gather_max_ns(const struct lb_config *config)
{
    bool never = config->gather_max_us == LB_NO_GATHER || config->tune == LB_TUNE_LATENCY;

    return never ? 0 : config->gather_max_us * UINT64_C(1000);
}

int lb_settle(struct lb_rules *rules, struct lb_config *config, const struct lb_backend *backend,
              struct lb_throttle_limits *throttle, struct lb_error *error)
{
    bool own_loop = config->workers == LB_NO_THREADS;
    int rc;

    if (own_loop && !backend->poll_fd)
        return lb_error_set(error, -EINVAL,
                            "the backend %s needs threads, and can't run in a loop of the "
                            "program's own; use another one, or auto",
                            backend->name);
    if (own_loop) {
        config->workers = 1;
        config->gather_max_us = LB_NO_GATHER; /* a loop must not sleep in one of its turns */
    }
    settle_config(config, backend);
    lb_throttle_limits_init(throttle, config->rate_limit, config->total_rate_limit);
    *rules = (struct lb_rules){
        .sink = config->sink,
        .sink_context = config->sink_context,
        .backend = backend,
        .greeting = config->greeting,
        .greeting_size = config->greeting_size,
        .throttle = config->rate_limit || config->total_rate_limit ? throttle : NULL,
        .max_streams = config->max_streams,
        .drain_ns = config->drain_ms == LB_NO_DRAIN ? 0 : config->drain_ms * LB_NS_PER_MS,
        .gather_max_ns = gather_max_ns(config),
        .saving = config->tune == LB_TUNE_SAVE_CPU,
        .handshake_ns = config->handshake_timeout_ms * LB_NS_PER_MS,
        .no_splice = config->no_splice,
        .unrestricted = config->unrestricted,
        .ignore_empty = config->ignore_empty,
        .own_loop = own_loop,
    };
    rules->pool = choose_pool(rules, config);
    lb_limits_init(&rules->limits, config);
    rc = choose_filters(rules, config, error);
    if (rc < 0)
        return rc;
    lb_rules_lay_out(rules);
    return choose_digest(&rules->receipt, config->receipt, error);
}
