/* SPDX-License-Identifier: MIT */
/* The stream table: fixed memory, the last freed first, zeroed, and safe from late events. And who
 * a stream's peer is. */
#include "unit.h"

#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CAPACITY = 5, STATE_SIZE = 33 };

static int setup(void **state)
{
    struct lb_stream_table *table = malloc(sizeof(*table));

    *state = table;
    return lb_stream_table_init(table, STATE_SIZE, CAPACITY);
}

static int teardown(void **state)
{
    lb_stream_table_done(*state);
    free(*state);
    return 0;
}

static struct lb_stream *add(struct lb_stream_table *table)
{
    struct lb_stream *stream = lb_stream_table_add(table);

    assert_non_null(stream);
    stream->state = LB_STREAM_RECEIVING;
    return stream;
}

static void retire(struct lb_stream_table *table, struct lb_stream *stream)
{
    stream->state = LB_STREAM_FREE;
    lb_stream_table_retire(table, stream);
}

static void retire_and_reuse(struct lb_stream_table *table, struct lb_stream *stream)
{
    retire(table, stream);
    lb_stream_table_reuse(table);
}

/* Walks the live list both ways. */
static void assert_live(const struct lb_stream_table *table, struct lb_stream *const *expected,
                        size_t count)
{
    const struct lb_stream *stream = table->live, *previous = NULL;

    assert_int_equal(table->used, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(stream, expected[i]);
        assert_ptr_equal(stream->previous, previous);
        previous = stream;
        stream = stream->next;
    }
    assert_null(stream);
}

static void holds_as_many_as_it_should(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *streams[CAPACITY];

    for (int i = 0; i < CAPACITY; i++) {
        streams[i] = add(table);
        assert_int_equal((uintptr_t)streams[i] % 16, 0);
        assert_ptr_equal(&streams[i]->conn, streams[i]);
        assert_int_equal((uintptr_t)lb_stream_state(streams[i]) % 16, 0);
        /* Each may fill its sink's state without touching another's. */
        memset(lb_stream_state(streams[i]), 0xff, STATE_SIZE);
    }
    assert_null(lb_stream_table_add(table));
    assert_int_equal(table->used, CAPACITY);
    for (int i = 0; i < CAPACITY; i++) {
        assert_int_equal(streams[i]->state, LB_STREAM_RECEIVING);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(streams[i], streams[j]);
    }
}

static void keeps_a_list_of_the_live(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *a = add(table), *b = add(table), *c = add(table), *d = add(table);

    assert_live(table, (struct lb_stream *[]){d, c, b, a}, 4);
    retire(table, b); /* in the middle */
    assert_live(table, (struct lb_stream *[]){d, c, a}, 3);
    retire(table, d); /* the head */
    assert_live(table, (struct lb_stream *[]){c, a}, 2);
    retire(table, a); /* the tail */
    assert_live(table, (struct lb_stream *[]){c}, 1);
    retire(table, c);
    assert_live(table, NULL, 0);
}

static void reuses_the_last_freed_first(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *a = add(table), *b = add(table), *c = add(table);

    retire_and_reuse(table, b);
    retire_and_reuse(table, a);
    retire_and_reuse(table, c);
    assert_ptr_equal(lb_stream_table_add(table), c);
    assert_ptr_equal(lb_stream_table_add(table), a);
    assert_ptr_equal(lb_stream_table_add(table), b);
    /* Memory that was never touched comes last. */
    assert_int_equal(table->touched, 3);
    assert_non_null(lb_stream_table_add(table));
    assert_int_equal(table->touched, 4);
}

static void zeroes_what_it_reuses(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *stream = add(table);

    memset(&stream->conn, 0xff, sizeof(stream->conn));
    stream->id = stream->session.meter.bytes = 7;
    stream->peer.family = AF_INET;
    memset(lb_stream_state(stream), 0xff, STATE_SIZE);
    retire_and_reuse(table, stream);
    assert_ptr_equal(lb_stream_table_add(table), stream);
    assert_int_equal(stream->state, LB_STREAM_FREE);
    stream->next = stream->previous = NULL;
    for (size_t i = 0; i < table->stride; i++)
        assert_int_equal(((const uint8_t *)stream)[i], 0);
}

/* An event of the same batch may name a stream that ended meanwhile: it must find a stream that
 * says so, not another one. */
static void keeps_the_retired_for_late_events(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *streams[CAPACITY];

    for (int i = 0; i < CAPACITY; i++)
        streams[i] = add(table);
    streams[2]->id = 42;
    retire(table, streams[2]);
    assert_null(lb_stream_table_add(table));
    assert_int_equal(streams[2]->state, LB_STREAM_FREE);
    assert_int_equal(streams[2]->id, 42);
    lb_stream_table_reuse(table);
    assert_ptr_equal(lb_stream_table_add(table), streams[2]);
}

static void refuses_what_does_not_fit(void **state)
{
    struct lb_stream_table table;

    (void)state;
    assert_int_equal(lb_stream_table_init(&table, SIZE_MAX, 1), -EOVERFLOW);
    lb_stream_table_done(&table);
    assert_int_equal(lb_stream_table_init(&table, SIZE_MAX / 4, 8), -EOVERFLOW);
    lb_stream_table_done(&table);
    /* What a size_t can say, and no machine has. */
    assert_int_equal(lb_stream_table_init(&table, SIZE_MAX - 65536, 1), -ENOMEM);
    lb_stream_table_done(&table);
}

static void retire_alive(void *argument)
{
    lb_stream_table_retire(argument, add(argument));
}

static void retiring_the_living_is_misuse(void **state)
{
    SKIP_IF(!has_assertions(), "built without assertions");
    assert_misuse(retire_alive, *state);
}

/* Random adding and retiring, against a plain array. */
static void holds_against_random_use(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *streams[CAPACITY];
    unsigned used = 0;
    uint64_t id = 0;

    srandom(1);
    for (int i = 0; i < 5000; i++) {
        if (random() % 2) {
            struct lb_stream *stream = lb_stream_table_add(table);

            if (stream) {
                assert_true(used < CAPACITY);
                assert_int_equal(stream->id, 0);
                stream->state = LB_STREAM_RECEIVING;
                stream->id = ++id;
                streams[used++] = stream;
            }
        } else if (used > 0) {
            unsigned victim = (unsigned)random() % used;

            retire(table, streams[victim]);
            streams[victim] = streams[--used];
        }
        if (random() % 4 == 0)
            lb_stream_table_reuse(table);
        assert_int_equal(table->used, used);
        for (unsigned k = 0; k < used; k++)
            assert_int_equal(streams[k]->state, LB_STREAM_RECEIVING);
    }
}

/* ---- peers ----------------------------------------------------------------------------------- */

/* A connected pair over a listener at address: [0] is the accepted side. */
static bool connect_pair(const struct sockaddr *address, socklen_t size, int pair[2])
{
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof(bound);
    int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, address, size) < 0) {
        close(listener);
        return false;
    }
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &bound_size), 0);
    pair[1] = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[1], (struct sockaddr *)&bound, bound_size), 0);
    pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pair[0] >= 0);
    close(listener);
    return true;
}

static unsigned own_port(int fd)
{
    struct sockaddr_in6 name = {0}; /* holds an IPv4 address too, the port at the same place */
    socklen_t size = sizeof(name);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return ntohs(name.sin6_port);
}

static void assert_peer(int fd, const char *expected)
{
    struct lb_stream stream = {0};
    char name[LB_PEER_SIZE];

    lb_peer_get(&stream.peer, fd);
    assert_ptr_equal(lb_stream_peer(&stream, name), name);
    assert_string_equal(name, expected);
}

static void names_an_ipv4_peer(void **state)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char expected[LB_PEER_SIZE];
    int pair[2] = {-1, -1};

    (void)state;
    assert_true(connect_pair((const struct sockaddr *)&address, sizeof(address), pair));
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", own_port(pair[1]));
    assert_peer(pair[0], expected);
    close(pair[0]);
    close(pair[1]);
}

static void names_an_ipv6_peer(void **state)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char expected[LB_PEER_SIZE];
    int pair[2] = {-1, -1};

    (void)state;
    SKIP_IF(!connect_pair((const struct sockaddr *)&address, sizeof(address), pair),
            "this machine has no IPv6");
    snprintf(expected, sizeof(expected), "[::1]:%u", own_port(pair[1]));
    assert_peer(pair[0], expected);
    close(pair[0]);
    close(pair[1]);
}

static void names_a_unix_peer(void **state)
{
    char expected[LB_PEER_SIZE];
    int pair[2] = {-1, -1};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    snprintf(expected, sizeof(expected), "unix:pid=%d,uid=%d", getpid(), (int)getuid());
    assert_peer(pair[0], expected);
    close(pair[0]);
    close(pair[1]);
}

static void a_peer_may_be_unknown(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_true(fd >= 0);
    assert_peer(fd, "unknown");
    close(fd);
    assert_peer(-1, "unknown");
}

static void the_longest_name_fits(void **state)
{
    struct lb_stream stream = {0};
    char name[LB_PEER_SIZE];

    (void)state;
    stream.peer.in6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = 0xffff, .sin6_scope_id = UINT32_MAX};
    memset(&stream.peer.in6.sin6_addr, 0xff, sizeof(stream.peer.in6.sin6_addr));
    lb_stream_peer(&stream, name);
    assert_string_equal(name, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    memset(&stream.peer, 0, sizeof(stream.peer));
    stream.peer.un.family = AF_UNIX;
    stream.peer.un.pid = stream.peer.un.uid = INT32_MIN;
    lb_stream_peer(&stream, name);
    assert_string_equal(name, "unix:pid=-2147483648,uid=-2147483648");
}

/* By its number, and before it has that, by the one that it will have. */
static void finds_by_number(void **state)
{
    struct lb_stream_table *table = *state;
    struct lb_stream *first = add(table), *second = add(table), *third = add(table);
    const uint64_t same_bucket = 1 + table->mask + 1;

    lb_stream_table_number(table, first, 1);
    lb_stream_table_promise(table, second, same_bucket);
    lb_stream_table_promise(table, third, 2);
    assert_ptr_equal(lb_stream_table_find(table, 1), first);
    assert_ptr_equal(lb_stream_table_find(table, same_bucket), second);
    assert_int_equal(second->id, 0);
    assert_int_equal(lb_stream_number(second), same_bucket);
    lb_stream_table_number(table, second, same_bucket);
    assert_int_equal(second->id, same_bucket);
    assert_ptr_equal(lb_stream_table_find(table, same_bucket), second);
    retire(table, third);
    assert_null(lb_stream_table_find(table, 2));
    retire(table, first);
    assert_ptr_equal(lb_stream_table_find(table, same_bucket), second);
    retire(table, second);
    assert_null(lb_stream_table_find(table, same_bucket));
    assert_null(lb_stream_table_find(table, 0));
}

/* From wherever it stands; the others keep their order. */
static void takes_one_out_of_a_queue(void **state)
{
    (void)state;
    for (int out = 0; out < 3; out++) {
        struct lb_stream streams[4];
        struct lb_stream_queue queue = {0};

        for (int i = 0; i < 3; i++)
            lb_stream_queue_put(&queue, &streams[i]);
        assert_false(lb_stream_queue_remove(&queue, &streams[3]));
        assert_true(lb_stream_queue_remove(&queue, &streams[out]));
        assert_false(lb_stream_queue_remove(&queue, &streams[out]));
        lb_stream_queue_put(&queue, &streams[3]);
        assert_int_equal(queue.count, 3);
        for (int i = 0; i < 4; i++)
            if (i != out)
                assert_ptr_equal(lb_stream_queue_take(&queue), &streams[i]);
        assert_null(lb_stream_queue_take(&queue));
        assert_false(lb_stream_queue_remove(&queue, &streams[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_as_many_as_it_should, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_a_list_of_the_live, setup, teardown),
        cmocka_unit_test_setup_teardown(reuses_the_last_freed_first, setup, teardown),
        cmocka_unit_test_setup_teardown(zeroes_what_it_reuses, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_the_retired_for_late_events, setup, teardown),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test_setup_teardown(retiring_the_living_is_misuse, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_against_random_use, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_by_number, setup, teardown),
        cmocka_unit_test(takes_one_out_of_a_queue),
        cmocka_unit_test(names_an_ipv4_peer),
        cmocka_unit_test(names_an_ipv6_peer),
        cmocka_unit_test(names_a_unix_peer),
        cmocka_unit_test(a_peer_may_be_unknown),
        cmocka_unit_test(the_longest_name_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
