/* SPDX-License-Identifier: MIT */
/* What accepted sockets inherit from their listener, so that a peer that vanishes is missed. */
#include "unit.h"

#include "listener.h"
#include "support.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

struct settings {
    int on, idle, interval, user_timeout;
};

static struct settings settings_of(int fd)
{
    return (struct settings){
        .on = get_int(fd, SOL_SOCKET, SO_KEEPALIVE),
        .idle = get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE),
        .interval = get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL),
        .user_timeout = get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT),
    };
}

/* What an accepted socket has, of a listener for that address with sockets for some workers. */
static struct settings accepted_from(const char *address, unsigned sockets, unsigned keepalive_ms)
{
    const struct lb_listener_options options = {.sockets = sockets, .keepalive_ms = keepalive_ms};
    const char *const addresses[] = {address, NULL};
    struct lb_listener_list list;
    struct settings settings;
    int peer, accepted;

    assert_int_equal(lb_listener_open(&list, addresses, &options, NULL), 0);
    for (unsigned i = 1; i < list.items[0].count; i++) {
        settings = settings_of(list.items[0].fds[i]);
        assert_int_equal(settings.on, keepalive_ms > 0);
    }
    peer = peer_connect(list.items[0].name);
    assert_true(peer >= 0);
    /* With several sockets the peer may be at another one. */
    accepted = sockets > 1 ? dup(list.items[0].fds[0]) : accept(list.items[0].fds[0], NULL, NULL);
    assert_true(accepted >= 0);
    settings = settings_of(accepted);
    close(accepted);
    close(peer);
    lb_listener_close(&list);
    return settings;
}

static void connections_inherit_it(void **state)
{
    static const struct {
        unsigned ms;
        int idle, interval;
    } cases[] = {
        {120000, 60, 15}, {1000, 1, 1}, {1, 1, 1},
        {2500, 1, 1},     {9999, 5, 1}, {32767000, 16383, 4095},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned sockets = 1; sockets <= 2; sockets++) {
            struct settings settings = accepted_from("127.0.0.1:0", sockets, cases[i].ms);

            assert_int_equal(settings.on, 1);
            assert_int_equal(settings.idle, cases[i].idle);
            assert_int_equal(settings.interval, cases[i].interval);
            assert_int_equal(settings.user_timeout, cases[i].ms);
        }
    }
}

static void it_can_be_left_off(void **state)
{
    (void)state;
    assert_int_equal(accepted_from("127.0.0.1:0", 1, 0).on, 0);
    assert_int_equal(accepted_from("127.0.0.1:0", 1, 0).user_timeout, 0);
}

/* A borrowed listener's connections are as mortal as others. */
static void a_borrowed_listener_gets_it(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[20];

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    snprintf(name, sizeof(name), "fd:%d", fd);
    assert_int_equal(accepted_from(name, 1, 8000).user_timeout, 8000);
    close(fd);
}

static void a_unix_socket_has_none(void **state)
{
    const struct lb_listener_options options = {.sockets = 1, .keepalive_ms = 8000};
    char address[60];
    const char *const addresses[] = {address, NULL};
    struct lb_listener_list list;

    (void)state;
    snprintf(address, sizeof(address), "unix:@lastbyte-keepalive-test-%d", (int)getpid());
    assert_int_equal(lb_listener_open(&list, addresses, &options, NULL), 0);
    assert_int_equal(get_int(list.items[0].fds[0], SOL_SOCKET, SO_KEEPALIVE), 0);
    lb_listener_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_inherit_it),
        cmocka_unit_test(it_can_be_left_off),
        cmocka_unit_test(a_borrowed_listener_gets_it),
        cmocka_unit_test(a_unix_socket_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
