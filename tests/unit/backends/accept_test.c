/* SPDX-License-Identifier: MIT */
/* Accepting: what is wrong with one peer is passed over, and what is wrong with accepting is told
 * at once, for it would be found again for ever. */
#include "unit.h"

#include "accept.h"

#include <errno.h>
#include <sys/socket.h>

enum { CALLS_MAX = 100, BATCH = 8 };

/* What accept4 fails with, in turn; 0: it gives descriptor 1000. The last one is for ever. */
static const int *answers;
static unsigned calls;

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    (void)fd;
    (void)address;
    (void)size;
    (void)flags;
    if (++calls == CALLS_MAX)
        fail_msg("it tries for ever");
    errno = *answers;
    if (answers[1] >= 0)
        answers++;
    return errno ? -1 : 1000;
}

static unsigned accept_batch(const int *wanted, struct lb_event events[BATCH])
{
    int listener = -1;
    const struct lb_backend_config config = {.listeners = &listener, .listener_count = 1};

    answers = wanted;
    calls = 0;
    return lb_accept_batch(&config, 0, events, BATCH);
}

static void what_is_one_peers_is_passed_over(void **state)
{
    static const int wanted[] = {ECONNABORTED, 0, ENETDOWN, EINTR, 0, EAGAIN, -1};
    struct lb_event events[BATCH];

    (void)state;
    assert_int_equal(accept_batch(wanted, events), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(events[i].type, LB_EVENT_ACCEPTED);
        assert_int_equal(events[i].fd, 1000);
    }
}

static void what_stays_wrong_is_told_once(void **state)
{
    static const int wrong[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL, EBADF, EPERM, EACCES};
    struct lb_event events[BATCH];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const int wanted[] = {0, wrong[i], -1};

        assert_int_equal(accept_batch(wanted, events), 2);
        assert_int_equal(events[0].type, LB_EVENT_ACCEPTED);
        assert_int_equal(events[1].type, LB_EVENT_ACCEPT_FAILED);
        assert_int_equal(events[1].error, -wrong[i]);
        assert_int_equal(calls, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_one_peers_is_passed_over),
        cmocka_unit_test(what_stays_wrong_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
