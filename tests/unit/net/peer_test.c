/* SPDX-License-Identifier: MIT */
/* A peer: whether it waits for us, and whether it is there at all. */
#include "unit.h"

#include "support.h"

#include "peer.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 4096, FAR_TOO_MUCH = 1 << 28 };

/* Connected: ours, and the peer's. */
struct pair {
    union lb_peer peer;
    int ours, theirs;
};

static void connect_tcp(struct pair *pair)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    pair->theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair->theirs, (struct sockaddr *)&address, size), 0);
    pair->ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
}

static void connect_unix(struct pair *pair)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pair->ours = fds[0];
    pair->theirs = fds[1];
}

static void (*const connects[])(struct pair *) = {connect_tcp, connect_unix};

enum { FAMILIES = sizeof(connects) / sizeof(connects[0]) };

static struct pair begin(int family)
{
    struct pair pair;

    connects[family](&pair);
    lb_peer_get(&pair.peer, pair.ours);
    return pair;
}

static void end(const struct pair *pair)
{
    close(pair->ours);
    if (pair->theirs >= 0)
        close(pair->theirs);
}

/* Says how much waits, too. */
static bool is_ahead(const struct pair *pair, size_t piece, uint64_t *waiting)
{
    return lb_peer_is_ahead(&pair->peer, pair->ours, piece, waiting);
}

static void who_sends_little_is_not_ahead(void **state)
{
    uint64_t waiting;

    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        struct pair pair = begin(family);

        assert_false(is_ahead(&pair, PIECE, &waiting));
        assert_int_equal(waiting, 0);
        assert_int_equal(peer_send(pair.theirs, "12345", 5), 0);
        assert_false(is_ahead(&pair, PIECE, &waiting));
        assert_int_equal(waiting, 5);
        end(&pair);
    }
}

static void who_has_sent_a_piece_is_ahead(void **state)
{
    const char bytes[PIECE] = "";
    uint64_t waiting;

    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        struct pair pair = begin(family);

        assert_int_equal(peer_send(pair.theirs, bytes, PIECE), 0);
        assert_true(is_ahead(&pair, PIECE, &waiting));
        assert_int_equal(waiting, PIECE);
        end(&pair);
    }
}

/* However large a piece is: no more fits. By writes as small as a line. */
static void who_has_filled_the_connection_is_ahead(void **state)
{
    uint64_t waiting;

    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        struct pair pair = begin(family);

        while (send(pair.theirs, "a line\n..", 9, MSG_DONTWAIT) > 0)
            ;
        assert_true(is_ahead(&pair, FAR_TOO_MUCH, &waiting));
        end(&pair);
    }
}

static void who_has_said_all_is_ahead(void **state)
{
    uint64_t waiting;

    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        struct pair pair = begin(family);

        assert_int_equal(peer_send(pair.theirs, "1", 1), 0);
        assert_int_equal(shutdown(pair.theirs, SHUT_WR), 0);
        assert_true(is_ahead(&pair, PIECE, &waiting));
        assert_int_equal(waiting, 1);
        end(&pair);
    }
}

static void a_half_close_is_no_leave(void **state)
{
    (void)state;
    for (int family = 0; family < FAMILIES; family++) {
        struct pair pair = begin(family);

        assert_false(lb_peer_has_left(pair.ours));
        assert_int_equal(shutdown(pair.theirs, SHUT_WR), 0);
        assert_false(lb_peer_has_left(pair.ours));
        end(&pair);
    }
}

/* Also where bytes of its own wait for us still. */
static void who_closes_a_unix_socket_has_left(void **state)
{
    struct pair pair = begin(1);

    (void)state;
    assert_int_equal(peer_send(pair.theirs, "12345", 5), 0);
    close(pair.theirs);
    assert_true(lb_peer_has_left(pair.ours));
    pair.theirs = -1;
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_sends_little_is_not_ahead),
        cmocka_unit_test(who_has_sent_a_piece_is_ahead),
        cmocka_unit_test(who_has_filled_the_connection_is_ahead),
        cmocka_unit_test(who_has_said_all_is_ahead),
        cmocka_unit_test(a_half_close_is_no_leave),
        cmocka_unit_test(who_closes_a_unix_socket_has_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
