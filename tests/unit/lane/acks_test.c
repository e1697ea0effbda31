/* SPDX-License-Identifier: MIT */
/* Delayed ACKs: that the kernel sends fewer then, that this ends by itself, and whose are delayed.
 */
#include "unit.h"

#include "acks.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGE = 64,
    MESSAGES = 100,
    SAMPLE = 8,
    ATTEMPTS = 50, /* a machine that stops for 40 ms ends the delaying */
    PATIENCE_MS = 10000
};

struct connection {
    struct lb_acks acks;
    int fd, peer;
};

static void connect_pair(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;

    *connection = (struct connection){.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(connection->peer, (struct sockaddr *)&address, size), 0);
    setsockopt(connection->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = accept(listener, NULL, NULL);
    assert_true(connection->fd >= 0);
    close(listener);
}

static void disconnect(struct connection *connection)
{
    close(connection->fd);
    close(connection->peer);
}

static void exchange(const struct connection *connection)
{
    char message[MESSAGE] = {0};

    assert_int_equal(send(connection->peer, message, sizeof(message), MSG_NOSIGNAL), MESSAGE);
    assert_int_equal(recv(connection->fd, message, sizeof(message), MSG_WAITALL), MESSAGE);
}

static unsigned segments_sent(const struct connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    assert_int_equal(getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_segs_out;
}

static bool acks_at_once(const struct connection *connection)
{
    int quick = -1;
    socklen_t size = sizeof(quick);

    assert_int_equal(getsockopt(connection->fd, IPPROTO_TCP, TCP_QUICKACK, &quick, &size), 0);
    return quick;
}

static void received(struct connection *connection, int count, size_t size, bool worth)
{
    while (count-- > 0)
        lb_acks_received(&connection->acks, connection->fd, size, worth);
}

static void delay(struct connection *connection)
{
    received(connection, SAMPLE, MESSAGE, true);
    assert_true(connection->acks.delayed);
}

static unsigned acks_of_exchanges(bool delayed)
{
    struct connection connection;
    unsigned count;

    connect_pair(&connection);
    if (delayed)
        delay(&connection);
    count = segments_sent(&connection);
    for (int i = 0; i < MESSAGES; i++)
        exchange(&connection);
    count = segments_sent(&connection) - count;
    disconnect(&connection);
    return count;
}

static void spares_every_other_one(void **state)
{
    unsigned delayed = MESSAGES;

    (void)state;
    for (int i = 0; i < ATTEMPTS && delayed > MESSAGES * 2 / 3; i++)
        delayed = acks_of_exchanges(true);
    assert_in_range(delayed, 0, MESSAGES * 2 / 3);
    assert_in_range(acks_of_exchanges(false), MESSAGES * 9 / 10, MESSAGES + 1);
}

/* Which is why a peer that waits for its ACK waits once. */
static void ends_with_the_first_one_that_was_waited_for(void **state)
{
    struct connection connection;
    int left_ms = PATIENCE_MS;

    (void)state;
    connect_pair(&connection);
    delay(&connection);
    assert_false(acks_at_once(&connection));
    exchange(&connection);
    for (; !acks_at_once(&connection) && left_ms > 0; left_ms--)
        poll(NULL, 0, 1);
    assert_true(left_ms > 0);
    disconnect(&connection);
}

static void begins_where_it_is_worth_it(void **state)
{
    struct connection connection;

    (void)state;
    connect_pair(&connection);
    received(&connection, 10 * SAMPLE, MESSAGE, false);
    assert_true(acks_at_once(&connection));
    /* A stream of a few messages has nothing to gain. */
    received(&connection, SAMPLE - 1, MESSAGE, true);
    assert_true(acks_at_once(&connection));
    received(&connection, 1, MESSAGE, true);
    assert_false(acks_at_once(&connection));
    received(&connection, 10 * SAMPLE, MESSAGE, true);
    received(&connection, 1, MESSAGE, false);
    assert_true(acks_at_once(&connection));
    /* Nobody has failed, so that it may begin as soon as it did. */
    received(&connection, SAMPLE, MESSAGE, true);
    assert_false(acks_at_once(&connection));
    disconnect(&connection);
}

/* Nagle's algorithm: one message goes, the others wait for its ACK and go together. */
static void receive_lumps(struct connection *connection)
{
    for (int i = 0; i < SAMPLE; i++)
        received(connection, 1, i % 2 ? 2 * MESSAGE : MESSAGE, true);
}

/* In samples, until ACKs are delayed again. */
static int wait_for_try(struct connection *connection)
{
    int samples = 0;

    for (; acks_at_once(connection) && samples < 1000; samples++)
        received(connection, SAMPLE, MESSAGE, true);
    return samples;
}

static void tries_ever_less_with_a_peer_that_is_held_up(void **state)
{
    struct connection connection;
    int last = 0;

    (void)state;
    connect_pair(&connection);
    delay(&connection);
    for (int i = 0; i < 5; i++) {
        int samples;

        receive_lumps(&connection);
        assert_true(acks_at_once(&connection));
        samples = wait_for_try(&connection);
        assert_in_range(samples, last ? 2 * last - 1 : SAMPLE, 999);
        last = samples;
    }
    disconnect(&connection);
}

/* One that was only slow once, as machines are, is soon where it was. */
static void forgives(void **state)
{
    struct connection connection;
    int first;

    (void)state;
    connect_pair(&connection);
    delay(&connection);
    receive_lumps(&connection);
    first = wait_for_try(&connection);
    received(&connection, 10 * SAMPLE, MESSAGE, true);
    assert_false(acks_at_once(&connection));
    receive_lumps(&connection);
    assert_int_equal(wait_for_try(&connection), first);
    disconnect(&connection);
}

/* Its kernel has ended the delaying: a message's ACK was waited for. */
static void takes_a_late_ack_for_a_failure(void **state)
{
    struct connection connection;
    const int quick = 1;

    (void)state;
    connect_pair(&connection);
    delay(&connection);
    setsockopt(connection.fd, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick));
    received(&connection, SAMPLE, MESSAGE, true);
    assert_false(connection.acks.delayed);
    assert_in_range(wait_for_try(&connection), SAMPLE, 999);
    disconnect(&connection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spares_every_other_one),
        cmocka_unit_test(ends_with_the_first_one_that_was_waited_for),
        cmocka_unit_test(begins_where_it_is_worth_it),
        cmocka_unit_test(tries_ever_less_with_a_peer_that_is_held_up),
        cmocka_unit_test(forgives),
        cmocka_unit_test(takes_a_late_ack_for_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
