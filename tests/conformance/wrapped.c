/* SPDX-License-Identifier: MIT */
/* Sinks that wrap others (lb_sink_wrap): what the wrapper hasn't is the other's, with a context, a
 * state and a worker's state of its own for each. */
#include "suite.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 200000 };

/* The wrapper: it counts, in a state that is not the ledger's. */
struct wrapper {
    struct lb_wrap wrap; /* first */
    struct server *server;
    struct lb_sink sink;
    atomic_uint opened, ended;
    _Atomic uint64_t bytes;
    uint8_t change; /* what each byte is changed by */
};

struct counted {
    uint64_t bytes;
    char mark[5]; /* nothing that others' alignment would come of */
};

static struct counted *state_of(const struct wrapper *wrapper, const struct lb_stream *stream)
{
    struct counted *counted = lb_wrap_state(&wrapper->wrap, stream);

    if ((uintptr_t)counted % 16 != 0)
        ledger_complain(&wrapper->server->ledger, "the wrapper's state is not aligned");
    return counted;
}

static int wrapper_open(struct lb_stream *stream, void *context)
{
    struct wrapper *wrapper = context;
    const struct lb_sink *inner = wrapper->wrap.inner;
    struct counted *counted = state_of(wrapper, stream);

    atomic_fetch_add(&wrapper->opened, 1);
    if (counted->bytes || counted->mark[0])
        ledger_complain(&wrapper->server->ledger, "the wrapper's state is not zeroed");
    counted->mark[0] = 1;
    return inner->open ? inner->open(stream, wrapper->wrap.inner_context) : 0;
}

static ssize_t wrapper_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct wrapper *wrapper = context;
    uint8_t *changed = malloc(size);
    ssize_t taken;

    if (!changed)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        changed[i] = ((const uint8_t *)data)[i] ^ wrapper->change;
    taken = wrapper->wrap.inner->write(stream, wrapper->wrap.inner_context, changed, size);
    free(changed);
    if (taken > 0)
        state_of(wrapper, stream)->bytes += (uint64_t)taken;
    return taken;
}

static int wrapper_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct wrapper *wrapper = context;
    const struct counted *counted = state_of(wrapper, stream);
    int rc = wrapper->wrap.inner->end(stream, wrapper->wrap.inner_context, end);

    if (!counted->mark[0])
        ledger_complain(&wrapper->server->ledger, "the wrapper's state is lost");
    if (rc == -EINPROGRESS)
        return rc;
    atomic_fetch_add(&wrapper->bytes, counted->bytes);
    atomic_fetch_add(&wrapper->ended, 1);
    return rc;
}

/* Wraps what the server would use, with the calls of calls. */
static void wrap(struct server *server, struct wrapper *wrapper, struct lb_sink calls)
{
    struct lb_error error = {LB_ERROR_INIT};

    wrapper->wrap = (struct lb_wrap){LB_WRAP_INIT};
    wrapper->wrap.inner = server->config.sink ? server->config.sink : &server->sink;
    wrapper->wrap.inner_context =
        server->config.sink ? server->config.sink_context : &server->ledger;
    wrapper->server = server;
    wrapper->sink = calls;
    wrapper->sink.size = sizeof(calls);
    wrapper->sink.state_size = sizeof(struct counted);
    if (lb_sink_wrap(&wrapper->sink, &wrapper->wrap, &error) != 0)
        server_give_up(server, __FILE__, __LINE__, "%s", error.text);
    server->config.sink = &wrapper->sink;
    server->config.sink_context = wrapper;
}

static void serve(struct server *server, size_t streams)
{
    server_begin(server, streams);
    for (uint64_t tag = 1; tag <= streams; tag++) {
        int fd = server_connect(server);

        CHECK_OK(server, peer_send_payload(fd, tag, 0, SIZE, 65536));
        CHECK_OK(server, peer_finish(fd, NULL, 0));
    }
    server_await_ends(server, streams);
    for (uint64_t tag = 1; tag <= streams; tag++)
        server_check_payload(server, tag, SIZE, LB_END_EOF);
    server_finish(server);
}

static const struct lb_sink around = {LB_SINK_INIT, .open = wrapper_open, .end = wrapper_end};
static const struct lb_sink between = {LB_SINK_INIT, .open = wrapper_open, .write = wrapper_write,
                                       .end = wrapper_end};

/* It has no write: the ledger's is called, and a beginning and an end come by. */
static void wrapped_around(void **state)
{
    struct server *server = *state;
    struct wrapper wrapper = {.change = 0};

    wrap(server, &wrapper, around);
    CHECK(server, strcmp(wrapper.sink.name, "ledger") == 0);
    serve(server, 4);
    CHECK_SAME(server, wrapper.opened, 4);
    CHECK_SAME(server, wrapper.ended, 4);
    CHECK_SAME(server, wrapper.bytes, 0);
}

/* Two of them: each has its own context and state, and what one changes the other changes back. */
static void wrapped_twice(void **state)
{
    struct server *server = *state;
    struct wrapper nearer = {.change = 0x5a}, farther = {.change = 0x5a};

    wrap(server, &nearer, between);
    wrap(server, &farther, between);
    serve(server, 4);
    CHECK_SAME(server, nearer.bytes, 4 * SIZE);
    CHECK_SAME(server, farther.bytes, 4 * SIZE);
    CHECK_SAME(server, nearer.ended + farther.ended, 8);
}

static ssize_t pause_often(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                           size_t size)
{
    (void)data;
    if (lb_stream_alarm(stream, 0) != 0)
        ledger_complain(entry->ledger, "there is no alarm");
    return size < 30000 ? (ssize_t)size : 30000;
}

/* Flags are passed on: it may pause, and its end may block. */
static void wrapped_with_flags(void **state)
{
    struct server *server = *state;
    struct wrapper wrapper = {.change = 0};

    server->sink.flags = LB_SINK_MAY_PAUSE | LB_SINK_SLOW_END;
    server->ledger.slow_end = true;
    server->ledger.hooks.write = pause_often;
    wrap(server, &wrapper, between);
    serve(server, 2);
    CHECK_SAME(server, wrapper.bytes, 2 * SIZE);
}

/* ---- a built-in sink ------------------------------------------------------------------------- */

/* One stream, which the receipt names. */
static void receive_into(struct server *server, struct wrapper *wrapper, const char *specification)
{
    uint8_t *payload = malloc(SIZE), *got = malloc(SIZE + 1);
    char path[300], receipt[400] = "", *id;
    int fd, file;

    CHECK_OK(server, lb_sink_open(&wrapper->wrap.inner, &wrapper->wrap.inner_context, specification,
                                  NULL, NULL));
    CHECK_OK(server, lb_sink_wrap(&wrapper->sink, &wrapper->wrap, NULL));
    server->config.sink = &wrapper->sink;
    server->config.sink_context = wrapper;
    server->config.receipt = "xxh3";
    server_begin(server, 1);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, SIZE, 65536));
    CHECK_SAME(server, shutdown(fd, SHUT_WR), 0);
    for (size_t have = 0; have < sizeof(receipt) - 1 && !strchr(receipt, '\n');) {
        ssize_t part = recv(fd, receipt + have, sizeof(receipt) - 1 - have, 0);

        CHECK(server, part > 0);
        have += (size_t)part;
    }
    close(fd);
    CHECK(server, strncmp(receipt, "ok 200000 xxh3:", 15) == 0);
    id = strrchr(receipt, ' ') + 1;
    id[strcspn(id, "\n")] = '\0';
    snprintf(path, sizeof(path), "%s/%s", specification + strlen("dir:"), id);
    file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(server, file >= 0);
    payload_fill(1, 0, payload, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        payload[i] ^= wrapper->sink.write == wrapper_write ? wrapper->change : 0;
    CHECK_SAME(server, read(file, got, SIZE + 1), SIZE);
    CHECK(server, memcmp(got, payload, SIZE) == 0);
    close(file);
    CHECK_SAME(server, unlink(path), 0);
    server_close(server);
    CHECK_OK(server, lb_sink_close(wrapper->wrap.inner, wrapper->wrap.inner_context));
    free(payload);
    free(got);
}

/* With its receipt id, its settle and its splicing; and, where the wrapper takes the bytes itself,
 * every one of them comes by. */
static void a_directory_is_wrapped(void **state)
{
    struct server *server = *state;
    char specification[300];
    struct wrapper wrapper = {.wrap = {LB_WRAP_INIT}, .server = server, .change = 0x5a};

    snprintf(specification, sizeof(specification), "dir:%s", suite.directory);
    wrapper.sink = around;
    wrapper.sink.state_size = sizeof(struct counted);
    receive_into(server, &wrapper, specification);
    CHECK_SAME(server, wrapper.bytes, 0);
    wrapper.sink = between;
    wrapper.sink.state_size = sizeof(struct counted);
    receive_into(server, &wrapper, specification);
    CHECK_SAME(server, wrapper.bytes, SIZE);
    CHECK_SAME(server, wrapper.ended, 2);
}

/* ---- what a worker's streams share ----------------------------------------------------------- */

static int give_context(void *context, unsigned worker, void **state)
{
    (void)worker;
    *state = context;
    return 0;
}

static void take_back(void *context, void *state)
{
    if (state != context)
        ledger_complain(context, "worker_close has another state than worker_open has made");
}

static int look_at_worker(struct ledger_entry *entry, struct lb_stream *stream)
{
    if (lb_stream_worker(stream) != entry->ledger)
        ledger_complain(entry->ledger, "worker_open had another context than the sink's");
    return 0;
}

static void a_wrapped_sinks_workers(void **state)
{
    struct server *server = *state;
    struct wrapper wrapper = {.change = 0};

    server->sink.worker_open = give_context;
    server->sink.worker_close = take_back;
    server->ledger.hooks.open = look_at_worker;
    wrap(server, &wrapper, around);
    serve(server, 2);
}

const struct test_case wrapped_cases[] = {
    {"wrapped_around", wrapped_around, FAMILY_ANY, 0},
    {"wrapped_twice", wrapped_twice, FAMILY_ANY, 0},
    {"wrapped_with_flags", wrapped_with_flags, FAMILY_ANY, 0},
    {"a_directory_is_wrapped", a_directory_is_wrapped, FAMILY_ANY, 0},
    {"a_wrapped_sinks_workers", a_wrapped_sinks_workers, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
