/* SPDX-License-Identifier: MIT */
/* Who may come in: everybody else is turned away at once, and nobody else notices. */
#include "suite.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 100000 };

/* Connects, and is turned away, perhaps before connect has returned: the other side closes without
 * having taken a byte. */
static void be_refused(struct server *server, uint64_t refused)
{
    int fd = peer_connect(server->address);

    CHECK(server, fd >= 0 || fd == -ECONNRESET);
    if (fd >= 0)
        (void)peer_send_payload(fd, 99, 0, SIZE, SIZE);
    AWAIT(server, server_stats(server).refused == refused);
    if (fd < 0)
        return;
    CHECK(server, peer_await_eof(fd) != -EAGAIN);
    close(fd);
}

static void be_served(struct server *server, uint64_t tag)
{
    struct sender *sender;

    CHECK_OK(server, sender_start(&sender, server_connect(server), tag, SIZE, SIZE));
    CHECK_OK(server, sender_join(sender));
    server_check_payload(server, tag, SIZE, LB_END_EOF);
}

static void check_all_refused(struct server *server, uint64_t count)
{
    CHECK_SAME(server, server_stats(server).ends[LB_END_LIMIT], count);
    CHECK_SAME(server, atomic_load(&server->ledger.opened), 0);
    server_finish(server);
    CHECK_SAME(server, server->stats.partial, 0);
}

static void denied_peers(void **state)
{
    static const char *const deny[] = {"203.0.113.0/24", "127.0.0.0/8", "::1", NULL};
    struct server *server = *state;

    server->config.deny = deny;
    server_begin(server, 10);
    for (uint64_t i = 1; i <= 10; i++)
        be_refused(server, i);
    check_all_refused(server, 10);
}

static void allowed_peers(void **state)
{
    static const char *const allow[] = {"203.0.113.0/24", "127.0.0.1", "::1/128", NULL};
    struct server *server = *state;

    server->config.allow = allow;
    server_begin(server, 5);
    for (uint64_t tag = 1; tag <= 5; tag++)
        be_served(server, tag);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 0);
}

static void peers_that_are_not_allowed(void **state)
{
    static const char *const allow[] = {"203.0.113.0/24", "2001:db8::/32", NULL};
    struct server *server = *state;

    server->config.allow = allow;
    server_begin(server, 10);
    for (uint64_t i = 1; i <= 10; i++)
        be_refused(server, i);
    check_all_refused(server, 10);
}

/* Who was turned away is none of those that were asked for. */
static void refusals_are_not_counted(void **state)
{
    static const char *const deny[] = {"127.0.0.1", "::1", NULL};
    struct server *server = *state;

    server->config.deny = deny;
    server->config.count = 3;
    server->config.max_streams = 1;
    server_begin(server, 10);
    for (uint64_t i = 1; i <= 10; i++)
        be_refused(server, i);
    CHECK_SAME(server, lb_engine_wait(server->engine, 0), -ETIMEDOUT);
    check_all_refused(server, 10);
}

static void this_user(void **state)
{
    struct server *server = *state;
    const uid_t uids[] = {geteuid() + 1, geteuid()};

    server->config.allow_uids = uids;
    server->config.allow_uid_count = 2;
    server_begin(server, 5);
    for (uint64_t tag = 1; tag <= 5; tag++)
        be_served(server, tag);
    server_finish(server);
}

static void not_this_user(void **state)
{
    struct server *server = *state;
    const uid_t uids[] = {geteuid() + 1};

    server->config.allow_uids = uids;
    server->config.allow_uid_count = 1;
    server_begin(server, 10);
    for (uint64_t i = 1; i <= 10; i++)
        be_refused(server, i);
    check_all_refused(server, 10);
}

static void the_sockets_mode(void **state)
{
    static const unsigned modes[] = {0600, 0777, 0660};
    struct server *server = *state;
    const char *path = server->path + strlen("unix:");
    struct stat status;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        server->config.unix_mode = modes[i];
        server_begin(server, 1);
        CHECK_SAME(server, stat(path, &status), 0);
        CHECK_SAME(server, status.st_mode & 07777, modes[i]);
        server_finish(server);
    }
}

static void some_of_one_peer(void **state)
{
    enum { LIMIT = 3 };
    struct server *server = *state;
    int fds[LIMIT];

    server->config.max_streams_per_peer = LIMIT;
    server_begin(server, 20);
    for (uint64_t i = 0; i < LIMIT; i++) {
        fds[i] = server_connect(server);
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, 0, SIZE / 2, SIZE));
        server_await_tag(server, i + 1);
    }
    for (uint64_t i = 1; i <= 5; i++)
        be_refused(server, i);
    /* One goes, one may come. */
    CHECK_OK(server, peer_finish(fds[0], NULL, 0));
    AWAIT(server, server_stats(server).active == LIMIT - 1);
    fds[0] = server_connect(server);
    CHECK_OK(server, peer_send_payload(fds[0], 9, 0, SIZE, SIZE));
    server_await_tag(server, 9);
    be_refused(server, 6);
    for (uint64_t i = 1; i < LIMIT; i++)
        CHECK_OK(server, peer_send_payload(fds[i], i + 1, SIZE / 2, SIZE, SIZE));
    for (int i = 0; i < LIMIT; i++)
        CHECK_OK(server, peer_finish(fds[i], NULL, 0));
    server_check_payload(server, 1, SIZE / 2, LB_END_EOF);
    server_check_payload(server, 2, SIZE, LB_END_EOF);
    server_check_payload(server, 3, SIZE, LB_END_EOF);
    server_check_payload(server, 9, SIZE, LB_END_EOF);
    server_finish(server);
    CHECK_SAME(server, server->stats.refused, 6);
    CHECK_SAME(server, server->stats.partial, 0);
}

const struct test_case admission_cases[] = {
    {"denied_peers", denied_peers, FAMILY_TCP, 0},
    {"allowed_peers", allowed_peers, FAMILY_TCP, 0},
    {"peers_that_are_not_allowed", peers_that_are_not_allowed, FAMILY_TCP, 0},
    {"refusals_are_not_counted", refusals_are_not_counted, FAMILY_TCP, 0},
    {"this_user", this_user, FAMILY_UNIX, 0},
    {"not_this_user", not_this_user, FAMILY_UNIX, 0},
    {"the_sockets_mode", the_sockets_mode, FAMILY_UNIX, 0},
    {"some_of_one_peer", some_of_one_peer, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
