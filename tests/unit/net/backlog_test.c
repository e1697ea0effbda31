/* SPDX-License-Identifier: MIT */
/* The backlog: who waits there, who can be taken out of it, and who can't come to it any more. */
#include "unit.h"

#include "support.h"

#include "backlog.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 3 };

static struct lb_listener_list list;
static char directory[100], path[140];

static const char *addresses[] = {"127.0.0.1:0", path};

static void open_at(const char *address)
{
    const struct lb_listener_options options = {.sockets = 1};
    const char *const at[] = {address, NULL};
    struct lb_error error = {LB_ERROR_INIT};

    if (lb_listener_open(&list, at, &options, &error) < 0)
        fail_msg("%s", error.text);
}

static int connect_one(void)
{
    int fd = peer_connect(list.items[0].name);

    if (fd < 0)
        fail_msg("%s: %s", list.items[0].name, strerror(-fd));
    return fd;
}

static int take(bool shared)
{
    int index = -1,
        fd = shared ? lb_backlog_take_shared(&list, &index) : lb_backlog_take(&list, 0, &index);

    if (fd >= 0)
        assert_int_equal(index, 0);
    return fd;
}

/* Takes out who waits, if anybody does. */
static bool takes(bool shared)
{
    int fd = take(shared);

    if (fd < 0)
        assert_int_equal(fd, -EAGAIN);
    else
        close(fd);
    return fd >= 0;
}

static void who_waits_can_be_taken(const char *address)
{
    int peer;

    open_at(address);
    assert_false(lb_backlog_waits(&list, 0));
    assert_false(takes(false));
    peer = connect_one();
    assert_true(lb_backlog_waits(&list, 0));
    assert_false(takes(true));
    assert_true(takes(false));
    assert_false(lb_backlog_waits(&list, 0));
    close(peer);
    lb_listener_close(&list);
}

/* A Unix socket says so, one of TCP does not answer. */
static void assert_not_let_in(void)
{
    int late = peer_connect_begin(list.items[0].name);
    struct pollfd poller = {.fd = late, .events = POLLOUT};

    if (list.items[0].is_unix)
        assert_int_equal(late, -ECONNREFUSED);
    else
        assert_int_equal(poll(&poller, 1, 20), 0);
    if (late >= 0)
        close(late);
}

static void who_waits_when_it_is_frozen_alone_can_be_taken(const char *address)
{
    int peers[PEERS], last;
    char byte;

    open_at(address);
    for (int i = 0; i < PEERS; i++)
        peers[i] = connect_one();
    lb_backlog_freeze(&list, 0);
    assert_not_let_in();
    assert_true(lb_backlog_waits(&list, 0));
    for (int i = 0; i < PEERS - 1; i++)
        assert_true(takes(false));
    /* And what its peer sends arrives. */
    assert_int_equal(peer_send(peers[PEERS - 1], "x", 1), 0);
    last = take(false);
    assert_true(last >= 0);
    assert_int_equal(peer_receive(last, &byte, 1), 0);
    close(last);
    assert_not_let_in();
    assert_false(takes(false));
    for (int i = 0; i < PEERS; i++)
        close(peers[i]);
    lb_listener_close(&list);
}

static void each_address(void (*test)(const char *address))
{
    assert_int_equal(directory_make(directory, sizeof(directory)), 0);
    snprintf(path, sizeof(path), "unix:%s/socket", directory);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        test(addresses[i]);
    directory_remove(directory);
}

static void taken(void **state)
{
    (void)state;
    each_address(who_waits_can_be_taken);
}

static void frozen(void **state)
{
    (void)state;
    each_address(who_waits_when_it_is_frozen_alone_can_be_taken);
}

/* Whose it is may want it still. */
static void what_is_borrowed_is_not_frozen(void **state)
{
    struct lb_listener_list owned;
    char borrowed[20];
    int peer;

    (void)state;
    open_at("127.0.0.1:0");
    owned = list;
    snprintf(borrowed, sizeof(borrowed), "fd:%d", owned.items[0].fds[0]);
    open_at(borrowed);
    lb_backlog_freeze(&list, 0);
    peer = connect_one();
    assert_false(lb_backlog_waits(&list, 0));
    assert_false(takes(false));
    assert_true(takes(true));
    close(peer);
    lb_listener_close(&list);
    lb_listener_close(&owned);
}

/* Whose listener is borrowed isn't marked, so that others who accept from it are not surprised. */
static void connections_of_a_borrowed_socket_are_marked(void **state)
{
    struct lb_listener_list owned;
    struct linger linger = {0};
    socklen_t size = sizeof(linger);
    char borrowed[20];
    int fd, peer;

    (void)state;
    open_at("127.0.0.1:0");
    owned = list;
    assert_int_equal(setsockopt(owned.items[0].fds[0], SOL_SOCKET, SO_LINGER, &linger, size), 0);
    snprintf(borrowed, sizeof(borrowed), "fd:%d", owned.items[0].fds[0]);
    open_at(borrowed);
    peer = connect_one();
    fd = take(true);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size), 0);
    assert_int_equal(linger.l_onoff, 0);
    lb_listener_mark(fd);
    close(fd);
    assert_int_equal(peer_await_eof(peer), -ECONNRESET);
    close(peer);
    lb_listener_close(&list);
    lb_listener_close(&owned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),
        cmocka_unit_test(frozen),
        cmocka_unit_test(what_is_borrowed_is_not_frozen),
        cmocka_unit_test(connections_of_a_borrowed_socket_are_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
