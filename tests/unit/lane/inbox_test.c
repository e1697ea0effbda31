/* SPDX-License-Identifier: MIT */
/* The inbox: every letter once, in order, from whatever thread; and a lane that is woken. */
#include "unit.h"

#include "inbox.h"
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int setup(void **state)
{
    struct lb_inbox *inbox = malloc(sizeof(*inbox));

    *state = inbox;
    return inbox ? lb_inbox_open(inbox) : -1;
}

static int teardown(void **state)
{
    lb_inbox_close(*state);
    free(*state);
    return 0;
}

static bool is_awake(const struct lb_inbox *inbox)
{
    struct pollfd poller = {.fd = inbox->wake_fd, .events = POLLIN};

    return poll(&poller, 1, 0) == 1;
}

static void letters_come_in_the_order_of_posts(void **state)
{
    struct lb_letter letters[5] = {0}, *taken;

    for (int i = 0; i < 5; i++)
        lb_inbox_post(*state, &letters[i]);
    taken = lb_inbox_take(*state);
    for (int i = 0; i < 5; i++, taken = taken->next)
        assert_ptr_equal(taken, &letters[i]);
    assert_null(taken);
    assert_null(lb_inbox_take(*state));
}

static void a_letter_may_be_posted_again(void **state)
{
    struct lb_letter first = {0}, second = {0};

    lb_inbox_post(*state, &first);
    lb_inbox_post(*state, &second);
    assert_ptr_equal(lb_inbox_take(*state), &first);
    lb_inbox_post(*state, &first);
    assert_ptr_equal(lb_inbox_take(*state), &first);
    assert_null(first.next);
}

static void a_post_wakes_and_taking_lets_sleep(void **state)
{
    struct lb_letter letter = {0};

    assert_false(is_awake(*state));
    lb_inbox_post(*state, &letter);
    assert_true(is_awake(*state));
    assert_non_null(lb_inbox_take(*state));
    assert_false(is_awake(*state));
}

static void it_can_be_woken_for_nothing(void **state)
{
    lb_inbox_wake(*state);
    lb_inbox_wake(*state);
    assert_true(is_awake(*state));
    assert_null(lb_inbox_take(*state));
    assert_false(is_awake(*state));
}

/* eventfd(2): a write that the counter has no room for would block, or fail. */
static void it_can_be_woken_any_number_of_times(void **state)
{
    const struct lb_inbox *inbox = *state;
    const uint64_t most = UINT64_MAX - 1;

    assert_int_equal(write(inbox->wake_fd, &most, sizeof(most)), sizeof(most));
    errno = ENOTTY;
    lb_inbox_wake(inbox);
    assert_int_equal(errno, ENOTTY);
    assert_true(is_awake(inbox));
}

static struct lb_inbox *woken_by_signal;

static void wake(int signal)
{
    (void)signal;
    lb_inbox_wake(woken_by_signal);
}

/* The signal comes while this very thread holds the lock. */
static void a_signal_handler_may_wake(void **state)
{
    struct lb_inbox *inbox = *state;

    woken_by_signal = inbox;
    signal(SIGUSR1, wake);
    alarm(30); /* if it waited for the lock, it would for ever */
    pthread_mutex_lock(&inbox->lock);
    raise(SIGUSR1);
    pthread_mutex_unlock(&inbox->lock);
    alarm(0);
    assert_true(is_awake(inbox));
}

enum { POSTERS = 4, LETTERS = 2000 };

struct parcel {
    struct lb_letter letter; /* first */
    int poster, number;
};

struct poster {
    pthread_t thread;
    struct lb_inbox *inbox;
    struct parcel parcels[LETTERS];
};

static void *post_all(void *argument)
{
    struct poster *poster = argument;

    for (int i = 0; i < LETTERS; i++)
        lb_inbox_post(poster->inbox, &poster->parcels[i].letter);
    return NULL;
}

static void each_threads_letters_keep_their_order(void **state)
{
    struct poster *posters = calloc(POSTERS, sizeof(*posters));
    struct lb_inbox *inbox = *state;
    int next[POSTERS] = {0}, total = 0;

    assert_non_null(posters);
    for (int i = 0; i < POSTERS; i++) {
        posters[i].inbox = inbox;
        for (int j = 0; j < LETTERS; j++)
            posters[i].parcels[j] = (struct parcel){.poster = i, .number = j};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    while (total < POSTERS * LETTERS) {
        struct pollfd poller = {.fd = inbox->wake_fd, .events = POLLIN};

        /* Whatever is not taken by now has woken it. */
        assert_int_equal(poll(&poller, 1, patience_ms()), 1);
        for (struct lb_letter *letter = lb_inbox_take(inbox); letter; letter = letter->next) {
            const struct parcel *parcel = (const struct parcel *)(const void *)letter;

            assert_int_equal(parcel->number, next[parcel->poster]++);
            total++;
        }
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_null(lb_inbox_take(inbox));
    free(posters);
}

static void closing_leaves_nothing(void **state)
{
    unsigned fds = process_count_fds();
    struct lb_inbox inbox;

    (void)state;
    assert_int_equal(lb_inbox_open(&inbox), 0);
    assert_int_equal(process_count_fds(), fds + 1);
    lb_inbox_close(&inbox);
    assert_int_equal(process_count_fds(), fds);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(letters_come_in_the_order_of_posts),    TEST(a_letter_may_be_posted_again),
        TEST(a_post_wakes_and_taking_lets_sleep),    TEST(it_can_be_woken_for_nothing),
        TEST(it_can_be_woken_any_number_of_times),   TEST(a_signal_handler_may_wake),
        TEST(each_threads_letters_keep_their_order), cmocka_unit_test(closing_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
