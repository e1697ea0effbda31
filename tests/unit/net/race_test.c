/* SPDX-License-Identifier: MIT */
/* lb_connect to names whose addresses don't all answer, and to a resolver that doesn't. The
 * resolver is this file: -Wl,--wrap=getaddrinfo. */
#include "unit.h"

#include "listener.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_MS = 200, FULL_MAX = 16, TRIES = 10 };

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **list);

/* What the name "many.example" stands for; NULL-terminated. */
static _Atomic(const char *const *) numbers;
/* "mute.example" is answered once this is open. */
static struct gate answers;

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **list)
{
    struct addrinfo **end = list;

    if (hints->ai_flags & AI_NUMERICHOST || !host || !strstr(host, ".example"))
        return __real_getaddrinfo(host, port, hints, list);
    if (strcmp(host, "mute.example") == 0)
        gate_wait(&answers);
    for (const char *const *number = numbers; *number; number++) {
        int rc = __real_getaddrinfo(*number, port, hints, end);

        if (rc)
            return rc;
        end = &(*end)->ai_next;
    }
    return 0;
}

static struct lb_listener_list listen_at(const char *host, unsigned port, int backlog)
{
    const struct lb_listener_options options = {.sockets = 1, .backlog = backlog};
    char address[80];
    const char *const addresses[] = {address, NULL};
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};

    snprintf(address, sizeof(address), "%s:%u", host, port);
    if (lb_listener_open(&list, addresses, &options, &error) < 0)
        fail_msg("%s", error.text);
    return list;
}

static unsigned port_of(const struct lb_listener_list *list)
{
    return (unsigned)strtoul(strrchr(list->items[0].name, ':') + 1, NULL, 10);
}

/* An address that takes no more connections, and refuses none. */
struct dead {
    struct lb_listener_list list;
    int fds[FULL_MAX];
    unsigned count, port;
};

static struct dead dead_open(void)
{
    struct dead dead = {.list = listen_at("127.0.0.1", 0, 1)};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct pollfd poller = {.events = POLLOUT};

    dead.port = port_of(&dead.list);
    address.sin_port = htons((uint16_t)dead.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    do {
        assert_true(dead.count < FULL_MAX);
        poller.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        dead.fds[dead.count++] = poller.fd;
        if (connect(poller.fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
            assert_int_equal(errno, EINPROGRESS);
    } while (poll(&poller, 1, LIMIT_MS) > 0);
    return dead;
}

static void dead_close(struct dead *dead)
{
    for (unsigned i = 0; i < dead->count; i++)
        close(dead->fds[i]);
    lb_listener_close(&dead->list);
}

static int connect_to(const char *name, unsigned port, unsigned flags, int timeout_ms,
                      struct lb_error *error)
{
    char address[80];

    snprintf(address, sizeof(address), "%s:%u", name, port);
    return lb_connect_with(address, flags, timeout_ms, error);
}

/* Returns a connection to many.example that took less than within_ms. The machine may be busy
 * elsewhere for all of that, so one of some tries will do: what is wrong is wrong each time. */
static int connect_within(unsigned port, int timeout_ms, int within_ms)
{
    struct lb_error error = {LB_ERROR_INIT};

    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = time_now_ns();
        int fd = connect_to("many.example", port, 0, timeout_ms, &error);

        if (fd >= 0 && time_now_ns() - begin < (uint64_t)within_ms * 1000000)
            return fd;
        if (fd >= 0)
            close(fd);
        else if (fd != -ETIMEDOUT)
            fail_msg("%s", error.text);
    }
    fail_msg("not within %d ms: %s", within_ms, error.text);
    return -1;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void a_dead_first_address_holds_up_nobody(void **state)
{
    static const char *const both[] = {"127.0.0.1", "127.0.0.2", NULL};
    struct dead dead = dead_open();
    struct lb_listener_list live = listen_at("127.0.0.2", dead.port, 0);
    int limits[] = {-1, patience_ms(), LIMIT_MS};

    (void)state;
    numbers = both;
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof(peer);
        /* Long before the kernel would give the first one up. */
        int fd = connect_within(dead.port, limits[i], patience_ms());

        assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
        assert_int_equal(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK + 1);
        close(fd);
    }
    lb_listener_close(&live);
    dead_close(&dead);
}

static void only_dead_addresses_time_out(void **state)
{
    static const char *const twice[] = {"127.0.0.1", "127.0.0.1", NULL};
    struct dead dead = dead_open();
    unsigned fds = process_count_fds();
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    numbers = twice;
    assert_int_equal(connect_to("many.example", dead.port, 0, LIMIT_MS, &error), -ETIMEDOUT);
    assert_non_null(strstr(error.text, "many.example"));
    assert_int_equal(process_count_fds(), fds);
    dead_close(&dead);
}

static void a_refusal_makes_it_the_next_ones_turn(void **state)
{
    static const char *const many[] = {"127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.5",
                                       "127.0.0.6", "127.0.0.7", "127.0.0.2", NULL};
    struct lb_listener_list live = listen_at("127.0.0.2", 0, 0);
    int fd;

    (void)state;
    numbers = many;
    /* Six times a quarter of a second would be the wait for each. */
    close(connect_within(port_of(&live), -1, 1500));
    numbers = many + 6;
    fd = port_of(&live);
    lb_listener_close(&live);
    assert_int_equal(connect_to("many.example", (unsigned)fd, 0, -1, NULL), -ECONNREFUSED);
}

static void families_take_turns(void **state)
{
    /* With three dead ones before it the IPv6 address would be the fourth. */
    static const char *const many[] = {"127.0.0.1", "127.0.0.1", "127.0.0.1", "::1", NULL};
    struct dead dead = dead_open();
    const struct lb_listener_options options = {.sockets = 1};
    char address[40];
    const char *const addresses[] = {address, NULL};
    struct lb_listener_list live;

    (void)state;
    snprintf(address, sizeof(address), "[::1]:%u", dead.port);
    if (lb_listener_open(&live, addresses, &options, NULL) < 0) {
        dead_close(&dead);
        skip(); /* no IPv6 here */
    }
    numbers = many;
    close(connect_within(dead.port, -1, 600));
    lb_listener_close(&live);
    dead_close(&dead);
}

static void one_family_alone(void **state)
{
    struct lb_listener_list live = listen_at("127.0.0.1", 0, 0);
    struct lb_error error = {LB_ERROR_INIT};
    int fd = connect_to("localhost", port_of(&live), LB_CONNECT_IPV4, patience_ms(), &error);

    (void)state;
    if (fd < 0)
        fail_msg("%s", error.text);
    close(fd);
    assert_int_equal(connect_to("127.0.0.1", port_of(&live), LB_CONNECT_IPV6, -1, &error),
                     -EHOSTUNREACH);
    assert_string_equal(error.text, "127.0.0.1: no IPv6 address");
    assert_int_equal(connect_to("[::1]", port_of(&live), LB_CONNECT_IPV4, -1, &error),
                     -EHOSTUNREACH);
    assert_string_equal(error.text, "::1: no IPv4 address");
    assert_int_equal(connect_to("127.0.0.1", port_of(&live), 1u << 31, -1, &error), -EINVAL);
    lb_listener_close(&live);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static int accept_from(const struct lb_listener_list *list)
{
    struct pollfd poller = {.fd = list->items[0].fds[0], .events = POLLIN};

    assert_int_equal(poll(&poller, 1, patience_ms()), 1);
    return accept4(poller.fd, NULL, NULL, SOCK_CLOEXEC);
}

static void a_close_is_a_reset_where_that_is_asked_for(void **state)
{
    struct lb_listener_list list = listen_at("127.0.0.1", 0, 0);
    char byte;

    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        int fd = connect_to("127.0.0.1", port_of(&list), reset ? LB_CONNECT_RESET : 0, -1, NULL);
        int accepted = accept_from(&list);

        assert_true(fd >= 0 && accepted >= 0);
        close(fd);
        assert_int_equal(recv(accepted, &byte, 1, 0), reset ? -1 : 0);
        if (reset)
            assert_int_equal(errno, ECONNRESET);
        close(accepted);
    }
    lb_listener_close(&list);
}

/* ---- the resolver ---------------------------------------------------------------------------- */

/* How many there were before the first test. */
static unsigned threads;

static void await_threads(void)
{
    while (process_count_threads() > threads)
        time_nap();
}

static void a_mute_resolver_counts(void **state)
{
    static const char *const number[] = {"127.0.0.1", NULL};
    struct lb_listener_list live = listen_at("127.0.0.1", 0, 0);
    uint64_t begin = time_now_ns();
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    numbers = number;
    await_threads(); /* of other tests */
    assert_int_equal(gate_init(&answers), 0);
    assert_int_equal(connect_to("mute.example", port_of(&live), 0, LIMIT_MS, &error), -ETIMEDOUT);
    assert_true(time_now_ns() - begin >= (uint64_t)LIMIT_MS * 1000000);
    assert_true(time_now_ns() - begin < (uint64_t)patience_ms() * 1000000);
    assert_string_equal(error.text, "mute.example: the resolver doesn't answer");
    /* Once it has answered nothing is left of that. */
    assert_int_equal(process_count_threads(), threads + 1);
    gate_open(&answers);
    await_threads();
    int fd = connect_to("mute.example", port_of(&live), 0, patience_ms(), &error);
    assert_true(fd >= 0);
    close(fd);
    gate_done(&answers);
    lb_listener_close(&live);
}

static void link_local_addresses_need_an_interface(void **state)
{
    const struct lb_listener_options options = {.sockets = 1};
    static const char *const addresses[] = {"[fe80::1]:1", NULL};
    struct lb_listener_list list;
    static const char *const number[] = {"fe80::1", NULL};
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    numbers = number;
    assert_int_equal(connect_to("[fe80::1]", 1, 0, -1, &error), -EINVAL);
    assert_non_null(strstr(error.text, "[fe80::1%eth0]:1"));
    assert_int_equal(connect_to("many.example", 1, 0, patience_ms(), &error), -EINVAL);
    assert_non_null(strstr(error.text, "needs its interface"));
    assert_int_equal(lb_listener_open(&list, addresses, &options, &error), -EINVAL);
    assert_non_null(strstr(error.text, "[fe80::1%eth0]:1"));
    assert_int_equal(connect_to("[fe80::1%nowhere0]", 1, 0, -1, &error), -EHOSTUNREACH);
    assert_non_null(strstr(error.text, "no interface nowhere0"));
}

/* As where a host stands in two lines of /etc/hosts. */
static void an_address_that_comes_twice_is_bound_once(void **state)
{
    static const char *const twice[] = {"127.0.0.1", "127.0.0.2", "127.0.0.1", NULL};
    struct lb_listener_list list;

    (void)state;
    numbers = twice;
    list = listen_at("many.example", 0, 0);
    assert_int_equal(list.count, 2);
    lb_listener_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_comes_twice_is_bound_once),
        cmocka_unit_test(a_dead_first_address_holds_up_nobody),
        cmocka_unit_test(only_dead_addresses_time_out),
        cmocka_unit_test(a_refusal_makes_it_the_next_ones_turn),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(one_family_alone),
        cmocka_unit_test(a_close_is_a_reset_where_that_is_asked_for),
        cmocka_unit_test(a_mute_resolver_counts),
        cmocka_unit_test(link_local_addresses_need_an_interface),
    };

    threads = process_count_threads();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
