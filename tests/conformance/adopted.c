/* SPDX-License-Identifier: MIT */
/* Connections that were accepted elsewhere; and what a program may ask of an engine's streams. */
#include "suite.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- connections of the test's own ----------------------------------------------------------- */

/* A listener of this suite's family, and its name. */
static int make_listener(struct server *server, char *name, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr *address = suite.family == FAMILY_TCP4   ? (struct sockaddr *)&in
                               : suite.family == FAMILY_TCP6 ? (struct sockaddr *)&in6
                                                             : (struct sockaddr *)&un;
    socklen_t room = suite.family == FAMILY_TCP4   ? sizeof(in)
                     : suite.family == FAMILY_TCP6 ? sizeof(in6)
                                                   : sizeof(un);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%.90s/elsewhere", suite.directory);
    unlink(un.sun_path);
    CHECK(server, fd >= 0 && bind(fd, address, room) == 0 && listen(fd, 100) == 0);
    CHECK_SAME(server, getsockname(fd, address, &room), 0);
    if (suite.family == FAMILY_UNIX)
        snprintf(name, size, "unix:%s", un.sun_path);
    else
        snprintf(name, size, suite.family == FAMILY_TCP4 ? "127.0.0.1:%d" : "[::1]:%d",
                 ntohs(suite.family == FAMILY_TCP4 ? in.sin_port : in6.sin6_port));
    return fd;
}

/* A connection: the peer's end is returned, *ours is to be given away. */
static int connect_elsewhere(struct server *server, int *ours)
{
    char name[200];
    int listener = make_listener(server, name, sizeof(name)), peer = peer_connect(name);

    CHECK(server, peer >= 0);
    *ours = accept4(listener, NULL, NULL, 0);
    CHECK(server, *ours >= 0);
    close(listener);
    return peer;
}

/* ---- adopt ----------------------------------------------------------------------------------- */

/* The first half of the payload has been read elsewhere; its descriptor does not block. */
static void adopt_payload(struct server *server, uint64_t tag, size_t first_size, size_t size)
{
    uint8_t *first = malloc(first_size + 1);
    uint64_t id = 0;
    int ours, peer = connect_elsewhere(server, &ours);

    payload_fill(tag, 0, first, first_size);
    CHECK_SAME(server, fcntl(ours, F_SETFL, O_NONBLOCK), 0);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, first, first_size, &id));
    CHECK(server, id > 0);
    free(first);
    CHECK_OK(server, peer_send_payload(peer, tag, first_size, size, 65536));
    CHECK_OK(server, peer_finish(peer, NULL, 0));
    CHECK_SAME(server, server_await_tag(server, tag)->id, id);
}

static void adopt_some(struct server *server)
{
    const size_t sizes[][2] = {{0, 100},
                               {100, 100},
                               {PAYLOAD_TAG_SIZE - 1, 1000},
                               {3000, 8e6},
                               {LB_FIRST_MAX, LB_FIRST_MAX},
                               {LB_FIRST_MAX, 1e6}};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);

    server_begin(server, count);
    for (size_t i = 0; i < count; i++)
        adopt_payload(server, i + 1, sizes[i][0], sizes[i][1]);
    server_await_ends(server, count);
    for (size_t i = 0; i < count; i++)
        server_check_payload(server, i + 1, sizes[i][1], LB_END_EOF);
    server_finish(server);
}

static void adopted_with_what_was_read(void **state)
{
    adopt_some(*state);
}

static ssize_t take_little(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                           size_t size)
{
    (void)data;
    if (lb_stream_alarm(stream, 0) != 0)
        ledger_complain(entry->ledger, "there is no alarm");
    return size < 7000 ? (ssize_t)size : 7000;
}

static void adopted_by_a_sink_that_pauses(void **state)
{
    struct server *server = *state;

    server->sink.flags = LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = take_little;
    adopt_some(server);
}

static int none_by_listener(struct ledger_entry *entry, struct lb_stream *stream)
{
    if (lb_stream_listener(stream) != -ENOENT)
        ledger_complain(entry->ledger, "an adopted connection came by a listener");
    return 0;
}

/* All at once, many more than may be under way. */
static void adopted_ones_wait_their_turn(void **state)
{
    enum { PEERS = 40 };
    struct server *server = *state;
    int ours, peers[PEERS];

    server->config.max_streams = 3;
    server->config.workers = 2;
    server->ledger.hooks.open = none_by_listener;
    server_begin(server, PEERS);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = connect_elsewhere(server, &ours);
        CHECK_OK(server, lb_engine_adopt(server->engine, ours, "12345678", 8, NULL));
    }
    for (int i = 0; i < PEERS; i++)
        CHECK_SAME(server, shutdown(peers[i], SHUT_WR), 0);
    server_await_ends(server, PEERS);
    for (int i = 0; i < PEERS; i++) {
        server_check_bytes(server, (size_t)i, "12345678", 8, LB_END_EOF);
        close(peers[i]);
    }
    CHECK(server, atomic_load(&server->ledger.most_under_way) <= 3);
    server_finish(server);
}

/* Before it starts nobody looks; after its end nobody takes one, and the descriptor is closed. */
static void adopted_before_and_after(void **state)
{
    struct server *server = *state;
    int ours, peer, again;

    server_open(server, 1);
    peer = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, "12345678", 8, NULL));
    server_start(server);
    CHECK_OK(server, peer_finish(peer, NULL, 0));
    server_await_ends(server, 1);
    server_check_bytes(server, 0, "12345678", 8, LB_END_EOF);
    lb_engine_stop(server->engine);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    peer = connect_elsewhere(server, &again);
    CHECK_SAME(server, -lb_engine_adopt(server->engine, again, NULL, 0, NULL), ESHUTDOWN);
    CHECK_SAME(server, fcntl(again, F_GETFD), -1);
    close(peer);
    server_finish(server);
}

/* One that nobody comes for is closed with its engine. */
static void adopted_and_never_started(void **state)
{
    struct server *server = *state;
    int ours, peer;

    server_open(server, 1);
    peer = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, "12345678", 8, NULL));
    CHECK_OK(server, lb_engine_close(server->engine));
    server->engine = NULL;
    close(peer);
    CHECK_SAME(server, process_count_fds(), server->fds);
}

static void adopted_connections_have_receipts(void **state)
{
    struct server *server = *state;
    char receipt[100];
    int ours, peer;

    server->config.receipt = "xxh3";
    server_begin(server, 1);
    peer = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, "12", 2, NULL));
    CHECK_OK(server, peer_send(peer, "345678", 6));
    CHECK_SAME(server, shutdown(peer, SHUT_WR), 0);
    CHECK_OK(server, peer_receive(peer, receipt, 10));
    CHECK(server, memcmp(receipt, "ok 8 xxh3:", 10) == 0);
    CHECK_OK(server, peer_await_eof(peer));
    close(peer);
    server_finish(server);
}

/* What was read elsewhere counts for the limits, and a stop ends it as any other. */
static void adopted_ones_keep_the_limits(void **state)
{
    struct server *server = *state;
    uint8_t first[600];
    int ours, limited, stopped;

    server->config.max_bytes = 1000;
    server->config.workers = 2;
    server_begin(server, 2);
    payload_fill(1, 0, first, sizeof(first));
    limited = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, first, sizeof(first), NULL));
    CHECK_OK(server, peer_send_payload(limited, 1, sizeof(first), 1200, 600));
    AWAIT(server, atomic_load(&server->ledger.ended) == 1);
    server_check_payload(server, 1, 1000, LB_END_LIMIT);
    payload_fill(2, 0, first, sizeof(first));
    stopped = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, first, sizeof(first), NULL));
    AWAIT(server, atomic_load(&server_await_tag(server, 2)->bytes) == sizeof(first));
    lb_engine_stop(server->engine);
    lb_engine_stop(server->engine);
    server_await_ends(server, 2);
    server_check_payload(server, 2, sizeof(first), LB_END_STOPPED);
    close(limited);
    close(stopped);
    server_finish(server);
}

/* Each to the worker that has the fewest. */
static void adopted_ones_are_spread(void **state)
{
    enum { WORKERS = 3 };
    struct server *server = *state;
    int ours, peers[WORKERS];

    server->config.workers = WORKERS;
    server_begin(server, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        peers[i] = connect_elsewhere(server, &ours);
        CHECK_OK(server, lb_engine_adopt(server->engine, ours, "1", 1, NULL));
    }
    AWAIT(server, atomic_load(&server->ledger.opened) == WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct lb_worker_stats worker = {LB_WORKER_STATS_INIT};

        CHECK_OK(server, lb_engine_worker_stats(server->engine, i, &worker));
        CHECK_SAME(server, worker.streams, 1);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK_OK(server, peer_finish(peers[i], NULL, 0));
    server_finish(server);
}

/* ---- descriptors from another process -------------------------------------------------------- */

static int pass(int channel, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
    return sendmsg(channel, &message, 0) == 1 ? 0 : -errno;
}

static int take(int channel)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    int fd = -1;

    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

/* Another process accepts, and hands its connections over. */
static void accepted_by_another_process(void **state)
{
    enum { PEERS = 8 };
    struct server *server = *state;
    int channel[2], listener, peers[PEERS];
    char name[200];
    pid_t child;

    listener = make_listener(server, name, sizeof(name));
    CHECK_SAME(server, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
    child = fork();
    if (child == 0) {
        int status = 0;

        for (int i = 0; i < PEERS; i++)
            status |= pass(channel[1], accept(listener, NULL, NULL));
        _exit(status != 0);
    }
    CHECK(server, child > 0);
    close(listener);
    close(channel[1]);
    server_begin(server, PEERS);
    for (uint64_t i = 0; i < PEERS; i++) {
        peers[i] = peer_connect(name);
        CHECK(server, peers[i] >= 0);
        CHECK_OK(server, peer_send_payload(peers[i], i + 1, 0, 70000, 10000));
    }
    for (int i = 0; i < PEERS; i++)
        CHECK_OK(server, lb_engine_adopt(server->engine, take(channel[0]), NULL, 0, NULL));
    for (int i = 0; i < PEERS; i++)
        CHECK_OK(server, peer_finish(peers[i], NULL, 0));
    CHECK_SAME(server, waitpid(child, NULL, 0), child);
    close(channel[0]);
    server_await_ends(server, PEERS);
    for (uint64_t i = 0; i < PEERS; i++)
        server_check_payload(server, i + 1, 70000, LB_END_EOF);
    server_finish(server);
}

/* ---- ends and lists -------------------------------------------------------------------------- */

static void one_is_ended(void **state)
{
    struct server *server = *state;
    int first, second;

    server->config.workers = 2;
    server_begin(server, 2);
    first = server_connect(server);
    second = server_connect(server);
    CHECK_OK(server, peer_send_payload(first, 1, 0, 1000, 1000));
    CHECK_OK(server, peer_send_payload(second, 2, 0, 1000, 1000));
    CHECK_OK(server, lb_engine_end(server->engine, server_await_tag(server, 1)->id));
    CHECK_OK(server, lb_engine_end(server->engine, 99));
    server_await_ends(server, 1);
    CHECK_OK(server, peer_finish(second, NULL, 0));
    close(first);
    server_await_ends(server, 2);
    server_check_payload(server, 1, 1000, LB_END_STOPPED);
    server_check_payload(server, 2, 1000, LB_END_EOF);
    server_finish(server);
}

static atomic_uint refused;
static _Atomic uint64_t refused_id;

static void note_refusal(void *context, const struct lb_engine_event *event)
{
    struct server *server = context;

    if (event->type != LB_ENGINE_REFUSED)
        return;
    if (event->end != LB_END_STOPPED || strcmp(event->reason, "ended") != 0)
        ledger_complain(&server->ledger, "refused as %s, %s", lb_end_name(event->end),
                        event->reason);
    atomic_store(&refused_id, event->id);
    atomic_fetch_add(&refused, 1);
}

static int adopt_one(struct server *server, uint64_t *id)
{
    int ours, peer = connect_elsewhere(server, &ours);

    CHECK_OK(server, lb_engine_adopt(server->engine, ours, "1234567", 7, id));
    return peer;
}

/* They wait for the one stream that there may be, and go on in their order without those that are
 * ended; whose place among the streams of their peer another one can have. */
static void some_are_ended_before_they_begin(void **state)
{
    enum { WAITING = 4, ENDED = 2 };
    static const int which[ENDED] = {WAITING - 1, 1};
    struct server *server = *state;
    uint64_t ids[WAITING + 1];
    int first, peers[WAITING + 1];

    atomic_store(&refused, 0);
    server->config.max_streams = 1;
    server->config.max_streams_per_peer = WAITING + 1;
    server->config.event = note_refusal;
    server->config.event_context = server;
    server_begin(server, 4);
    first = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    for (int i = 0; i < WAITING; i++)
        peers[i] = adopt_one(server, &ids[i]);
    for (unsigned i = 0; i < ENDED; i++) {
        uint64_t id = ids[which[i]];

        CHECK_OK(server, lb_engine_end(server->engine, id));
        AWAIT(server, atomic_load(&refused) == i + 1);
        CHECK_SAME(server, atomic_load(&refused_id), id);
        CHECK_OK(server, lb_engine_end(server->engine, id)); /* there is none any more */
        (void)peer_await_eof(peers[which[i]]);
        close(peers[which[i]]);
    }
    peers[WAITING] = adopt_one(server, &ids[WAITING]);
    CHECK_OK(server, peer_finish(first, NULL, 0));
    for (unsigned i = 0; i <= WAITING; i += 2)
        CHECK_OK(server, peer_finish(peers[i], "8", 1));
    server_await_ends(server, 4);
    for (unsigned i = 0; i <= WAITING; i += 2)
        CHECK_SAME(server, server_entry(server, 1 + i / 2)->id, ids[i]);
    AWAIT(server, server_stats(server).streams == 4 + ENDED);
    CHECK_SAME(server, server_stats(server).refused, ENDED);
    CHECK_SAME(server, server_stats(server).ends[LB_END_STOPPED], ENDED);
    server_finish(server);
}

/* Its prelude is a front's header, which does not come. */
static void one_is_ended_in_its_prelude(void **state)
{
    static const char *const fronts[] = {"0.0.0.0/0", "::/0", "unix", NULL};
    struct server *server = *state;
    struct lb_stream_info info = {LB_STREAM_INFO_INIT};
    uint64_t id;
    int peer, ours;

    if (suite.filtered)
        skip(); /* whose filters know no fronts */
    atomic_store(&refused, 0);
    server->config.proxy_protocol = fronts;
    server->config.event = note_refusal;
    server->config.event_context = server;
    server_begin(server, 1);
    peer = connect_elsewhere(server, &ours);
    CHECK_OK(server, lb_engine_adopt(server->engine, ours, NULL, 0, &id));
    AWAIT(server, lb_engine_streams(server->engine, &info, 1) == 1 && info.state &&
                      strcmp(info.state, "entering") == 0);
    CHECK_SAME(server, info.id, id);
    CHECK_OK(server, lb_engine_end(server->engine, id));
    CHECK_OK(server, lb_engine_end(server->engine, id));
    AWAIT(server, atomic_load(&refused) == 1);
    CHECK_SAME(server, atomic_load(&refused_id), id);
    (void)peer_await_eof(peer);
    close(peer);
    CHECK_SAME(server, server_stats(server).failed_preludes, 1);
    CHECK_SAME(server, server_stats(server).streams, 0);
    server_finish(server);
}

static void streams_are_listed(void **state)
{
    enum { PEERS = 3 };
    struct server *server = *state;
    struct lb_stream_info infos[PEERS] = {{LB_STREAM_INFO_INIT}};
    uint64_t bytes = 0;
    int peers[PEERS];

    server->config.workers = PEERS;
    server_open(server, PEERS);
    CHECK_SAME(server, lb_engine_streams(server->engine, infos, PEERS), 0);
    server_start(server);
    for (uint64_t i = 0; i < PEERS; i++) {
        peers[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(peers[i], i + 1, 0, 1000 * (i + 1), 10000));
        AWAIT(server, atomic_load(&server_await_tag(server, i + 1)->bytes) == 1000 * (i + 1));
    }
    CHECK_SAME(server, lb_engine_streams(server->engine, NULL, 0), PEERS);
    CHECK_SAME(server, lb_engine_streams(server->engine, infos, 1), PEERS);
    CHECK_SAME(server, infos[1].id, 0);
    CHECK_SAME(server, lb_engine_streams(server->engine, infos, PEERS), PEERS);
    for (int i = 0; i < PEERS; i++) {
        char name[LB_PEER_SIZE];

        CHECK_SAME(server, infos[i].bytes, 1000 * infos[i].id);
        CHECK_OK(server, peer_name(peers[infos[i].id - 1], name, sizeof(name)));
        CHECK(server, strcmp(infos[i].peer, name) == 0);
        CHECK(server, strcmp(infos[i].state, "receiving") == 0);
        CHECK(server, infos[i].age_ms < (uint64_t)patience_ms());
        bytes += infos[i].bytes;
    }
    CHECK_SAME(server, bytes, 6000);
    for (int i = 0; i < PEERS; i++)
        CHECK_OK(server, peer_finish(peers[i], NULL, 0));
    server_finish(server);
}

static void the_end_can_be_polled(void **state)
{
    struct server *server = *state;
    struct pollfd end;
    int fd;

    server->config.count = 1;
    server_begin(server, 1);
    end = (struct pollfd){.fd = lb_engine_end_fd(server->engine), .events = POLLIN};
    fd = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 1);
    CHECK_SAME(server, poll(&end, 1, 0), 0);
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    CHECK_SAME(server, poll(&end, 1, patience_ms()), 1);
    CHECK_OK(server, lb_engine_wait(server->engine, -1));
    server_finish(server);
}

/* ---- a reload -------------------------------------------------------------------------------- */

enum { SOCKETS_MAX = 8 };

static struct {
    struct lb_engine *engine;
    char names[SOCKETS_MAX][20];
    size_t count;
} heir;

static void inherit(struct server *server)
{
    const char *listen[SOCKETS_MAX + 1] = {NULL};
    struct lb_config config = server->config;
    struct lb_error error = {LB_ERROR_INIT};
    int fd;

    for (heir.count = 0; (fd = lb_engine_listener(server->engine, heir.count)) >= 0; heir.count++) {
        CHECK(server, heir.count < SOCKETS_MAX);
        snprintf(heir.names[heir.count], sizeof(heir.names[0]), "fd:%d", dup(fd));
        listen[heir.count] = heir.names[heir.count];
    }
    CHECK(server, fd == -ENOENT && heir.count > 0);
    config.listen = listen;
    if (lb_engine_open(&heir.engine, &config, &error) != 0)
        server_give_up(server, __FILE__, __LINE__, "the heir: %s", error.text);
    CHECK_OK(server, lb_engine_start(heir.engine));
}

/* While some are under way and others come, the second engine starts and the first one stops. */
static bool reload(struct server *server)
{
    if (atomic_load(&server->ledger.opened) < 4)
        return false;
    inherit(server);
    lb_engine_stop(server->engine);
    return true;
}

/* Another engine takes the first one's sockets over, while peers come: none is lost. */
static void reloaded_under_traffic(void **state)
{
    struct server *server = *state;
    struct many_peers many = {.server = server,
                              .first_tag = 1,
                              .peers = scale_count(400, 60),
                              .at_once = 20,
                              .gate = reload,
                              .size_min = 8,
                              .size_max = 4000};

    server->config.workers = suite_is_blocking() ? 4 : 2;
    server_begin(server, many.peers);
    many_peers_run(&many);
    CHECK_OK(server, lb_engine_wait(server->engine, patience_ms()));
    server_await_ends(server, many.peers);
    lb_engine_stop(heir.engine);
    CHECK_OK(server, lb_engine_wait(heir.engine, patience_ms()));
    many_peers_check(&many);
    CHECK(server, server_stats(server).ends[LB_END_EOF] < many.peers);
    CHECK_OK(server, lb_engine_close(heir.engine));
    CHECK_OK(server, lb_engine_close(server->engine));
    server->engine = NULL;
    for (size_t i = 0; i < heir.count; i++)
        close(atoi(heir.names[i] + strlen("fd:")));
    if (!suite_is_tcp()) /* nobody removes what was lent */
        CHECK_SAME(server, unlink(server->path + strlen("unix:")), 0);
    CHECK_SAME(server, process_count_fds(), server->fds);
}

const struct test_case adopted_cases[] = {
    {"adopted_with_what_was_read", adopted_with_what_was_read, FAMILY_ANY, 0},
    {"adopted_by_a_sink_that_pauses", adopted_by_a_sink_that_pauses, FAMILY_ANY, 0},
    {"adopted_ones_wait_their_turn", adopted_ones_wait_their_turn, FAMILY_ANY, 0},
    {"adopted_before_and_after", adopted_before_and_after, FAMILY_ANY, 0},
    {"adopted_and_never_started", adopted_and_never_started, FAMILY_ANY, 0},
    {"adopted_connections_have_receipts", adopted_connections_have_receipts, FAMILY_ANY, 0},
    {"adopted_ones_keep_the_limits", adopted_ones_keep_the_limits, FAMILY_ANY, 0},
    {"adopted_ones_are_spread", adopted_ones_are_spread, FAMILY_ANY, 0},
    {"accepted_by_another_process", accepted_by_another_process, FAMILY_ANY, 0},
    {"one_is_ended", one_is_ended, FAMILY_ANY, 0},
    {"some_are_ended_before_they_begin", some_are_ended_before_they_begin, FAMILY_ANY, 0},
    {"one_is_ended_in_its_prelude", one_is_ended_in_its_prelude, FAMILY_ANY, 0},
    {"streams_are_listed", streams_are_listed, FAMILY_ANY, 0},
    {"the_end_can_be_polled", the_end_can_be_polled, FAMILY_ANY, 0},
    {"reloaded_under_traffic", reloaded_under_traffic, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
