/* SPDX-License-Identifier: MIT */
/* Listeners over TCP and borrowed ones: what is bound, what is refused, and what is left behind. */
#include "unit.h"

#include "support.h"

#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_list(struct lb_listener_list *list, unsigned sockets, struct lb_error *error,
                     const char *first, const char *second)
{
    const struct lb_listener_options options = {.sockets = sockets};
    const char *const addresses[] = {first, second, NULL};

    return lb_listener_open(list, addresses, &options, error);
}

/* Opens one address that must work. */
static struct lb_listener_list open_one(const char *address, unsigned sockets)
{
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};

    if (open_list(&list, sockets, &error, address, NULL) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(list.count, 1);
    return list;
}

static unsigned port_of(const char *name)
{
    return (unsigned)strtoul(strrchr(name, ':') + 1, NULL, 10);
}

static unsigned bound_port(int fd)
{
    struct sockaddr_in6 address = {0}; /* holds an IPv4 address too, the port at the same place */
    socklen_t size = sizeof(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin6_port);
}

static int get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

/* Connects, and tells which of the listener's sockets got the peer. */
static unsigned connect_to(const struct lb_listener *listener, const char *address)
{
    struct pollfd pollers[8];
    int fd = peer_connect(address), accepted = -1;
    unsigned chosen = 0;

    if (fd < 0)
        fail_msg("%s: %s", address, strerror(-fd));
    for (unsigned i = 0; i < listener->count; i++)
        pollers[i] = (struct pollfd){.fd = listener->fds[i], .events = POLLIN};
    assert_int_equal(poll(pollers, listener->count, patience_ms()), 1);
    while (!pollers[chosen].revents)
        chosen++;
    accepted = accept4(listener->fds[chosen], NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    close(accepted);
    close(fd);
    return chosen;
}

static bool has_ipv6(void)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return has;
}

/* ---- what is bound --------------------------------------------------------------------------- */

static void port_0_is_a_free_one(void **state)
{
    struct lb_listener_list list = open_one("127.0.0.1:0", 1);
    const struct lb_listener *listener = &list.items[0];
    char name[40];

    (void)state;
    assert_int_equal(listener->count, 1);
    assert_int_not_equal(bound_port(listener->fds[0]), 0);
    snprintf(name, sizeof(name), "127.0.0.1:%u", bound_port(listener->fds[0]));
    assert_string_equal(listener->name, name);
    assert_null(listener->file.path);
    assert_false(listener->borrowed);
    connect_to(listener, listener->name);
    lb_listener_close(&list);
    assert_null(list.items);
}

static void sockets_are_as_asked_for(void **state)
{
    const struct lb_listener_options options = {.sockets = 3, .rcvbuf = 65536, .backlog = 7};
    const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct lb_listener_list list;

    (void)state;
    assert_int_equal(lb_listener_open(&list, addresses, &options, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        int fd = list.items[0].fds[i];

        assert_int_equal(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        /* The kernel doubles it (socket(7)). */
        assert_int_equal(get_int(fd, SOL_SOCKET, SO_RCVBUF), 2 * 65536);
        assert_int_equal(lb_listener_fd(&list.items[0], i), fd);
    }
    lb_listener_close(&list);
}

static void several_sockets_share_one_port(void **state)
{
    enum { SOCKETS = 4, PEERS = 200 };
    struct lb_listener_list list = open_one("127.0.0.1:0", SOCKETS);
    const struct lb_listener *listener = &list.items[0];
    unsigned peers[SOCKETS] = {0};

    (void)state;
    assert_int_equal(listener->count, SOCKETS);
    for (unsigned i = 0; i < SOCKETS; i++)
        assert_int_equal(bound_port(listener->fds[i]), port_of(listener->name));
    for (unsigned i = 0; i < PEERS; i++)
        peers[connect_to(listener, listener->name)]++;
    /* By a hash of the peer's port: (3/4)^200 is the chance that one gets none. */
    for (unsigned i = 0; i < SOCKETS; i++)
        assert_int_not_equal(peers[i], 0);
    lb_listener_close(&list);
}

static void no_host_means_both_families(void **state)
{
    for (unsigned sockets = 1; sockets <= 2; sockets++) {
        struct lb_listener_list list = open_one(":0", sockets);
        const struct lb_listener *listener = &list.items[0];
        char address[40];

        (void)state;
        snprintf(address, sizeof(address), "127.0.0.1:%u", port_of(listener->name));
        connect_to(listener, address);
        if (has_ipv6()) {
            assert_int_equal(strncmp(listener->name, "[::]:", 5), 0);
            snprintf(address, sizeof(address), "[::1]:%u", port_of(listener->name));
            connect_to(listener, address);
        }
        lb_listener_close(&list);
    }
}

/* [::] asked for by name is IPv6 and nothing else. */
static void a_given_family_stays_alone(void **state)
{
    struct lb_listener_list list;
    char address[40];

    (void)state;
    SKIP_IF(!has_ipv6(), "this machine has no IPv6");
    list = open_one("[::]:0", 1);
    connect_to(&list.items[0], list.items[0].name);
    snprintf(address, sizeof(address), "127.0.0.1:%u", port_of(list.items[0].name));
    assert_int_equal(peer_connect(address), -ECONNREFUSED);
    lb_listener_close(&list);
}

static void a_name_has_one_port_on_all_its_addresses(void **state)
{
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    if (open_list(&list, 2, &error, "localhost:0", NULL) < 0)
        fail_msg("%s", error.text);
    assert_true(list.count >= 1);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.items[i].count, 2);
        assert_int_equal(port_of(list.items[i].name), port_of(list.items[0].name));
        connect_to(&list.items[i], list.items[i].name);
    }
    lb_listener_close(&list);
}

static void several_addresses_keep_their_order(void **state)
{
    struct lb_listener_list list;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    snprintf(address.sun_path, sizeof(address.sun_path), "unix:@lastbyte-unit-%d", getpid());
    assert_int_equal(open_list(&list, 1, NULL, address.sun_path, "127.0.0.1:0"), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, address.sun_path);
    assert_int_equal(strncmp(list.items[1].name, "127.0.0.1:", 10), 0);
    lb_listener_close(&list);
}

/* ---- a port in use --------------------------------------------------------------------------- */

struct foreigner {
    pid_t child;
    int hold; /* the child ends when this is closed */
    unsigned port;
};

static void be_foreign(int option, bool listening, int report, int hold)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    unsigned port;
    char byte;

    if (fd < 0 || (option && setsockopt(fd, SOL_SOCKET, option, &one, sizeof(one)) < 0) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        (listening && listen(fd, 1) < 0))
        _exit(1);
    port = bound_port(fd);
    if (write(report, &port, sizeof(port)) != sizeof(port) || read(hold, &byte, 1) != 0)
        _exit(1);
    _exit(0);
}

/* Another program that has a port of 127.0.0.1. */
static struct foreigner start_foreigner(int option, bool listening)
{
    struct foreigner foreigner;
    int report[2], hold[2];

    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    foreigner.child = fork();
    assert_true(foreigner.child >= 0);
    if (foreigner.child == 0) {
        close(hold[1]);
        be_foreign(option, listening, report[1], hold[0]);
    }
    close(report[1]);
    close(hold[0]);
    assert_int_equal(read(report[0], &foreigner.port, sizeof(foreigner.port)),
                     sizeof(foreigner.port));
    close(report[0]);
    foreigner.hold = hold[1];
    return foreigner;
}

static void end_foreigner(const struct foreigner *foreigner)
{
    int status;

    close(foreigner->hold);
    assert_int_equal(waitpid(foreigner->child, &status, 0), foreigner->child);
    assert_int_equal(status, 0);
}

static void assert_in_use(const char *host, unsigned port, unsigned sockets)
{
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char address[40];

    snprintf(address, sizeof(address), "%s:%u", host, port);
    assert_int_equal(open_list(&list, sockets, &error, address, NULL), -EADDRINUSE);
    assert_int_equal(error.code, -EADDRINUSE);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, "another"));
    assert_null(list.items);
}

/* Also the SO_REUSEPORT of another program: sharing its peers silently would lose streams. */
static void a_port_in_use_is_an_error(void **state)
{
    static const int options[] = {0, SO_REUSEADDR, SO_REUSEPORT};

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct foreigner foreigner = start_foreigner(options[i], true);

        for (unsigned sockets = 1; sockets <= 4; sockets += 3) {
            assert_in_use("127.0.0.1", foreigner.port, sockets);
            assert_in_use("", foreigner.port, sockets);
        }
        end_foreigner(&foreigner);
    }
}

/* Bound only, as by a server that starts at the same time. */
static void a_port_bound_is_an_error(void **state)
{
    static const int options[] = {0, SO_REUSEPORT};

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct foreigner foreigner = start_foreigner(options[i], false);

        assert_in_use("127.0.0.1", foreigner.port, 1);
        assert_in_use("127.0.0.1", foreigner.port, 4);
        end_foreigner(&foreigner);
    }
}

static void our_own_port_is_in_use_too(void **state)
{
    struct lb_listener_list list = open_one("127.0.0.1:0", 4);

    (void)state;
    assert_in_use("127.0.0.1", port_of(list.items[0].name), 1);
    assert_in_use("127.0.0.1", port_of(list.items[0].name), 4);
    lb_listener_close(&list);
}

/* A server that comes back at once must get its port, whatever its last peers left behind. */
static void a_port_is_free_again_after_close(void **state)
{
    struct lb_listener_list list = open_one("127.0.0.1:0", 2);
    char address[40];
    int peer, accepted;

    (void)state;
    snprintf(address, sizeof(address), "%s", list.items[0].name);
    peer = peer_connect(address);
    assert_true(peer >= 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(fcntl(list.items[0].fds[i], F_SETFL, O_NONBLOCK), 0);
    accepted = accept4(list.items[0].fds[0], NULL, NULL, SOCK_CLOEXEC);
    if (accepted < 0)
        accepted = accept4(list.items[0].fds[1], NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    close(accepted); /* first, so that TIME_WAIT is at the server's side */
    close(peer);
    lb_listener_close(&list);
    list = open_one(address, 2);
    assert_string_equal(list.items[0].name, address);
    lb_listener_close(&list);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void a_failure_leaves_nothing_behind(void **state)
{
    struct foreigner foreigner = start_foreigner(0, true);
    unsigned fds = process_count_fds();
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char directory[100], path[150], unix_address[160], taken[40];
    (void)state;

    assert_int_equal(directory_make(directory, sizeof(directory)), 0);
    snprintf(path, sizeof(path), "%s/socket", directory);
    snprintf(unix_address, sizeof(unix_address), "unix:%s", path);
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", foreigner.port);
    assert_int_equal(open_list(&list, 2, &error, unix_address, taken), -EADDRINUSE);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(open_list(&list, 2, &error, "127.0.0.1:0", taken), -EADDRINUSE);
    assert_int_equal(process_count_fds(), fds);
    end_foreigner(&foreigner);
    directory_remove(directory);
}

static void says_which_address_is_wrong(void **state)
{
    static const struct {
        const char *address;
        int result;
    } cases[] = {
        {"nonsense", -EINVAL},
        {"[::1:80", -EINVAL},
        {"fd:x", -EINVAL},
        {"192.0.2.1:0", -EADDRNOTAVAIL}, /* TEST-NET-1: nobody's */
        {"unix:/nonexistent/lastbyte", -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lb_listener_list list;
        struct lb_error error = {LB_ERROR_INIT};

        assert_int_equal(open_list(&list, 1, &error, "127.0.0.1:0", cases[i].address),
                         cases[i].result);
        assert_int_equal(error.code, cases[i].result);
        assert_non_null(strstr(error.text, cases[i].address));
        assert_null(strstr(error.text, "127.0.0.1"));
        assert_null(list.items);
    }
}

/* ---- fd:N ------------------------------------------------------------------------------------ */

static void borrows_a_descriptor(void **state)
{
    struct lb_listener_list own = open_one("127.0.0.1:0", 1), list;
    int fd = own.items[0].fds[0];
    char address[20];

    (void)state;
    snprintf(address, sizeof(address), "fd:%d", fd);
    list = open_one(address, 4); /* one socket can't become four: all workers share it */
    assert_int_equal(list.items[0].count, 1);
    for (unsigned worker = 0; worker < 4; worker++)
        assert_int_equal(lb_listener_fd(&list.items[0], worker), fd);
    assert_string_equal(list.items[0].name, own.items[0].name);
    connect_to(&list.items[0], list.items[0].name);
    lb_listener_close(&list);
    /* It is not ours to close. */
    connect_to(&own.items[0], own.items[0].name);
    lb_listener_close(&own);
}

static void refuses_other_descriptors(void **state)
{
    int pipes[2], pair[2];
    int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int closed = fcntl(datagrams, F_DUPFD_CLOEXEC, 0);
    int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    close(closed);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    /* pipe2 may have got the number of the one that was closed. */
    closed = pair[1] + 100;
    {
        const struct {
            int fd, result;
        } cases[] = {{pipes[0], -ENOTSOCK},
                     {pair[0], -ENOTSOCK},
                     {datagrams, -ENOTSOCK},
                     {fresh, -ENOTSOCK},
                     {closed, -EBADF}};

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct lb_listener_list list;
            struct lb_error error = {LB_ERROR_INIT};
            char address[20];

            snprintf(address, sizeof(address), "fd:%d", cases[i].fd);
            errno = EBADF; /* what an earlier call left must not matter */
            assert_int_equal(open_list(&list, 1, &error, address, NULL), cases[i].result);
            assert_non_null(strstr(error.text, address));
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    close(pair[0]);
    close(pair[1]);
    close(datagrams);
    close(fresh);
}

static void refuses_one_descriptor_twice(void **state)
{
    struct lb_listener_list own = open_one("127.0.0.1:0", 1), list;
    struct lb_error error = {LB_ERROR_INIT};
    char address[20];

    (void)state;
    snprintf(address, sizeof(address), "fd:%d", own.items[0].fds[0]);
    assert_int_equal(open_list(&list, 1, &error, address, address), -EINVAL);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, "twice"));
    connect_to(&own.items[0], own.items[0].name);
    lb_listener_close(&own);
}

/* Its peers would have no name, and nobody has tried whether their streams end as they should. */
static void refuses_other_families(void **state)
{
    const struct sockaddr_vm any = {
        .svm_family = AF_VSOCK, .svm_port = VMADDR_PORT_ANY, .svm_cid = VMADDR_CID_ANY};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char address[20];

    (void)state;
    if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 1) < 0) {
        print_message("no vsock(7) here\n");
        close(fd);
        skip();
    }
    snprintf(address, sizeof(address), "fd:%d", fd);
    assert_int_equal(open_list(&list, 1, &error, address, NULL), -EAFNOSUPPORT);
    assert_non_null(strstr(error.text, address));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_is_a_free_one),
        cmocka_unit_test(sockets_are_as_asked_for),
        cmocka_unit_test(several_sockets_share_one_port),
        cmocka_unit_test(no_host_means_both_families),
        cmocka_unit_test(a_given_family_stays_alone),
        cmocka_unit_test(a_name_has_one_port_on_all_its_addresses),
        cmocka_unit_test(several_addresses_keep_their_order),
        cmocka_unit_test(a_port_in_use_is_an_error),
        cmocka_unit_test(a_port_bound_is_an_error),
        cmocka_unit_test(our_own_port_is_in_use_too),
        cmocka_unit_test(a_port_is_free_again_after_close),
        cmocka_unit_test(a_failure_leaves_nothing_behind),
        cmocka_unit_test(says_which_address_is_wrong),
        cmocka_unit_test(borrows_a_descriptor),
        cmocka_unit_test(refuses_other_descriptors),
        cmocka_unit_test(refuses_one_descriptor_twice),
        cmocka_unit_test(refuses_other_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
