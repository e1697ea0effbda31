/* SPDX-License-Identifier: MIT */
/* lb_connect: every form of address, and what is said when it does not work. */
#include "unit.h"

#include "support.h"

#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LIMIT_MS = 150 };

static struct lb_listener_list listen_at(const char *address, int backlog)
{
    const struct lb_listener_options options = {.sockets = 1, .backlog = backlog};
    const char *const addresses[] = {address, NULL};
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};

    if (lb_listener_open(&list, addresses, &options, &error) < 0)
        fail_msg("%s", error.text);
    return list;
}

static unsigned port_of(const struct lb_listener_list *list)
{
    return (unsigned)strtoul(strrchr(list->items[0].name, ':') + 1, NULL, 10);
}

/* Connects by address, and checks that the descriptor is what was promised. */
static void assert_connects(const struct lb_listener_list *list, const char *address,
                            int timeout_ms)
{
    struct lb_error error = {LB_ERROR_INIT};
    int fd = lb_connect(address, timeout_ms, &error), accepted;
    struct timeval limit;
    socklen_t size = sizeof(limit);
    char byte = 0;

    if (fd < 0)
        fail_msg("%s", error.text);
    assert_string_equal(error.text, "");
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    /* The limit was for connecting, not for sending. */
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &size), 0);
    assert_int_equal(limit.tv_sec, 0);
    assert_int_equal(limit.tv_usec, 0);
    accepted = accept4(list->items[0].fds[0], NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(accepted);
    close(fd);
}

static void connects_over_tcp(void **state)
{
    struct lb_listener_list list = listen_at("127.0.0.1:0", 0);

    (void)state;
    assert_connects(&list, list.items[0].name, -1);
    assert_connects(&list, list.items[0].name, patience_ms());
    lb_listener_close(&list);
}

/* No host, and a name with several addresses of which perhaps not all answer. */
static void connects_to_localhost(void **state)
{
    static const char *const hosts[] = {"", "localhost"};
    struct lb_listener_list list = listen_at("127.0.0.1:0", 0);
    char address[40];

    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(address, sizeof(address), "%s:%u", hosts[i], port_of(&list));
        assert_connects(&list, address, patience_ms());
    }
    lb_listener_close(&list);
}

static void connects_to_every_address_that_listens(void **state)
{
    struct lb_listener_list list = listen_at(":0", 0);

    (void)state;
    /* As the person is told it, though no host was given. */
    assert_connects(&list, list.items[0].name, patience_ms());
    lb_listener_close(&list);
}

static void connects_over_unix_sockets(void **state)
{
    char directory[80], address[110];
    struct lb_listener_list list;

    (void)state;
    assert_int_equal(directory_make(directory, sizeof(directory)), 0);
    snprintf(address, sizeof(address), "unix:%s/socket", directory);
    list = listen_at(address, 0);
    assert_connects(&list, address, -1);
    assert_connects(&list, address, patience_ms());
    lb_listener_close(&list);
    directory_remove(directory);

    snprintf(address, sizeof(address), "unix:@lastbyte-unit-%d", getpid());
    list = listen_at(address, 0);
    assert_connects(&list, address, 0);
    lb_listener_close(&list);
}

static void assert_fails(const char *address, int timeout_ms, int expected)
{
    unsigned fds = process_count_fds();
    struct lb_error error = {LB_ERROR_INIT};

    assert_int_equal(lb_connect(address, timeout_ms, &error), expected);
    assert_int_equal(error.code, expected);
    assert_non_null(strstr(error.text, address));
    assert_null(strchr(error.text, '\n'));
    assert_int_equal(lb_connect(address, timeout_ms, NULL), expected);
    assert_int_equal(process_count_fds(), fds);
}

static void tells_when_nobody_listens(void **state)
{
    struct lb_listener_list list = listen_at("127.0.0.1:0", 0);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    char address[160], directory[80];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    snprintf(address, sizeof(address), "%s", list.items[0].name);
    lb_listener_close(&list);
    assert_fails(address, -1, -ECONNREFUSED);
    assert_fails(address, patience_ms(), -ECONNREFUSED);

    assert_int_equal(directory_make(directory, sizeof(directory)), 0);
    snprintf(path.sun_path, sizeof(path.sun_path), "%s/socket", directory);
    snprintf(address, sizeof(address), "unix:%s", path.sun_path);
    assert_fails(address, -1, -ENOENT);
    assert_int_equal(bind(fd, (const struct sockaddr *)&path, sizeof(path)), 0);
    assert_fails(address, -1, -ECONNREFUSED);
    close(fd);
    assert_fails(address, LIMIT_MS, -ECONNREFUSED);
    assert_int_equal(unlink(path.sun_path), 0);
    fd = open(path.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_fails(address, -1, -ENOTSOCK);
    directory_remove(directory);
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    assert_fails("nonsense", -1, -EINVAL);
    assert_fails("[::1:80", 5, -EINVAL);
    assert_fails("fd:3", -1, -EINVAL);
    assert_fails("unix:", -1, -EINVAL);
}

/* ---- a full backlog -------------------------------------------------------------------------- */

static void assert_times_out(const char *address)
{
    uint64_t begin = time_now_ns();
    struct lb_error error = {LB_ERROR_INIT};

    assert_int_equal(lb_connect(address, LIMIT_MS, &error), -ETIMEDOUT);
    assert_true(time_now_ns() - begin >= (uint64_t)LIMIT_MS * 1000000);
    assert_true(time_now_ns() - begin < (uint64_t)patience_ms() * 1000000);
    assert_non_null(strstr(error.text, address));
    assert_int_equal(lb_connect(address, 0, NULL), -ETIMEDOUT);
}

/* Connects until the backlog is full. Returns how many descriptors are in fds. */
static unsigned fill_tcp(const struct lb_listener *listener, int *fds, unsigned max)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    assert_int_equal(getsockname(listener->fds[0], (struct sockaddr *)&address, &size), 0);
    for (unsigned count = 0; count < max; count++) {
        struct pollfd poller = {.events = POLLOUT};

        fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fds[count] >= 0);
        if (connect(fds[count], (const struct sockaddr *)&address, size) < 0)
            assert_int_equal(errno, EINPROGRESS);
        poller.fd = fds[count];
        if (poll(&poller, 1, LIMIT_MS) == 0)
            return count + 1;
    }
    return max;
}

static void a_full_tcp_backlog_times_out(void **state)
{
    struct lb_listener_list list = listen_at("127.0.0.1:0", 1);
    int fds[16];
    unsigned count = fill_tcp(&list.items[0], fds, 16);

    (void)state;
    assert_true(count < 16);
    assert_times_out(list.items[0].name);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    lb_listener_close(&list);
}

static unsigned fill_unix(const char *name, int *fds, unsigned max)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));

    memcpy(address.sun_path + 1, name, strlen(name));
    for (unsigned count = 0; count < max; count++) {
        fds[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fds[count] >= 0);
        if (connect(fds[count], (const struct sockaddr *)&address, size) < 0) {
            assert_int_equal(errno, EAGAIN);
            return count + 1;
        }
    }
    return max;
}

static void a_full_unix_backlog_times_out(void **state)
{
    struct lb_listener_list list;
    char address[60];
    int fds[16];
    unsigned count;

    (void)state;
    snprintf(address, sizeof(address), "unix:@lastbyte-unit-full-%d", getpid());
    list = listen_at(address, 1);
    count = fill_unix(address + strlen("unix:@"), fds, 16);
    assert_true(count < 16);
    assert_times_out(address);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    lb_listener_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_over_tcp),
        cmocka_unit_test(connects_to_localhost),
        cmocka_unit_test(connects_to_every_address_that_listens),
        cmocka_unit_test(connects_over_unix_sockets),
        cmocka_unit_test(tells_when_nobody_listens),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(a_full_tcp_backlog_times_out),
        cmocka_unit_test(a_full_unix_backlog_times_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
