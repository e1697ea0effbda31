/* SPDX-License-Identifier: MIT */
/* Several listeners share what a wait may accept: descriptors are counted by that. */
#include "unit.h"

#include "backend.h"
#include "listener.h"
#include "pool.h"
#include "support.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LISTENERS = 3, PEERS = 6, EVENTS = 64, LIMIT = 4 };

static const struct lb_backend *find_epoll(void)
{
    size_t i = 0;

    while (strcmp(lb_backends[i]->name, "epoll") != 0)
        i++;
    return lb_backends[i];
}

/* Waits once. Returns how many were accepted, and closes them. */
static unsigned accept_some(const struct lb_backend *backend, void *state)
{
    const struct lb_turn turn = {.timeout_ns = patience_ms() * INT64_C(1000000),
                                 .accept_limit = LIMIT};
    struct lb_event events[EVENTS];
    int count = backend->wait(state, events, EVENTS, &turn);

    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal(events[i].type, LB_EVENT_ACCEPTED);
        close(events[i].fd);
    }
    return (unsigned)count;
}

static void listeners_share_the_limit(void **state)
{
    const char *const addresses[] = {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", NULL};
    const struct lb_listener_options options = {.sockets = 1};
    const struct lb_backend *backend = find_epoll();
    struct lb_listener_list list = {0};
    int fds[LISTENERS], peers[LISTENERS][PEERS], wake_fd = eventfd(0, EFD_CLOEXEC);
    unsigned accepted = 0;
    struct lb_pool pool;
    void *epoll;

    (void)state;
    assert_int_equal(lb_listener_open(&list, addresses, &options, NULL), 0);
    assert_int_equal(lb_pool_init(&pool, 4096, 4, 0), 0);
    for (int i = 0; i < LISTENERS; i++) {
        fds[i] = list.items[i].fds[0];
        for (int j = 0; j < PEERS; j++)
            peers[i][j] = peer_connect(list.items[i].name);
    }
    const struct lb_backend_config config = {
        .listeners = fds, .listener_count = LISTENERS, .wake_fd = wake_fd, .pool = &pool};
    assert_int_equal(backend->open(&epoll, &config, NULL), 0);
    while (accepted < LISTENERS * PEERS) {
        unsigned some = accept_some(backend, epoll);

        assert_true(some <= LIMIT + LISTENERS * backend->accepts_ahead);
        accepted += some;
    }
    backend->close(epoll);
    for (int i = 0; i < LISTENERS; i++)
        for (int j = 0; j < PEERS; j++)
            close(peers[i][j]);
    lb_listener_close(&list);
    lb_pool_done(&pool);
    close(wake_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_share_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
