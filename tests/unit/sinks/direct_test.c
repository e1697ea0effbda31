/* SPDX-License-Identifier: MIT */
/* Direct writing by itself: every size comes out whole, and slots go round. */
#include "unit.h"

#include "direct.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MIB = 1 << 20, EXIT_SKIP = 77 };

struct rig {
    char directory[200];
    int directory_fd;
    struct lb_direct *direct;
    int fd; /* a file in it */
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    *state = rig;
    if (!rig || directory_make(rig->directory, sizeof(rig->directory)))
        return -1;
    rig->directory_fd = open(rig->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->fd = openat(rig->directory_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return lb_direct_open(&rig->direct, rig->directory_fd, 2, "file", "x", NULL);
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    lb_direct_close(rig->direct);
    close(rig->fd);
    close(rig->directory_fd);
    directory_remove(rig->directory);
    free(rig);
    return 0;
}

static ssize_t get_place(struct lb_direct_slots *slots, uint8_t **data)
{
    void *place = NULL;
    ssize_t room = lb_direct_place(slots, NULL, &place);

    *data = place;
    return room;
}

static void feed(struct lb_direct_slots *slots, uint64_t tag, uint64_t size, uint64_t most)
{
    uint64_t random = tag;

    for (uint64_t sent = 0; sent < size;) {
        uint64_t piece = random_between(&random, 1, most);
        uint8_t *data;
        ssize_t room = get_place(slots, &data);

        assert_true(room > 0);
        piece = piece < size - sent ? piece : size - sent;
        piece = piece < (uint64_t)room ? piece : (uint64_t)room;
        payload_fill(tag, sent, data, piece);
        lb_direct_put(slots, piece);
        sent += piece;
    }
}

static void check_file(int fd, uint64_t tag, uint64_t size)
{
    uint8_t *got = malloc(size + 1), *expected = malloc(size + 1);

    assert_int_equal(pread(fd, got, size + 1, 0), size);
    payload_fill(tag, 0, expected, size);
    assert_memory_equal(got, expected, size);
    free(got);
    free(expected);
}

/* Within three slots, so that none has to be waited for. */
static void every_tail(void **state)
{
    static const uint64_t tails[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, MIB - 1};
    struct rig *rig = *state;

    for (uint64_t slots = 0; slots <= 2; slots++) {
        for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
            uint64_t size = slots * MIB + tails[i];
            struct lb_direct_slots *claimed;

            assert_int_equal(ftruncate(rig->fd, 0), 0);
            claimed = lb_direct_claim(rig->direct, rig->fd);
            assert_non_null(claimed);
            assert_true(fcntl(rig->fd, F_GETFL) & O_DIRECT);
            feed(claimed, 10 * size + i, size, 300000);
            assert_int_equal(lb_direct_flush(claimed), 0);
            assert_false(fcntl(rig->fd, F_GETFL) & O_DIRECT);
            check_file(rig->fd, 10 * size + i, size);
        }
    }
}

/* No stream waits for the slots of another. */
static void slots_are_a_streams_own(void **state)
{
    struct rig *rig = *state;
    int other = openat(rig->directory_fd, "other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct lb_direct_slots *first = lb_direct_claim(rig->direct, rig->fd);
    struct lb_direct_slots *second = lb_direct_claim(rig->direct, other);

    assert_non_null(first);
    assert_non_null(second);
    assert_null(lb_direct_claim(rig->direct, other));
    feed(first, 1, MIB + 5, 4096);
    feed(second, 2, MIB + 7, 5000);
    assert_int_equal(lb_direct_flush(first), 0);
    first = lb_direct_claim(rig->direct, rig->fd);
    assert_non_null(first);
    assert_int_equal(lb_direct_flush(second), 0);
    assert_int_equal(lb_direct_flush(first), 0);
    check_file(rig->fd, 1, MIB + 5);
    check_file(other, 2, MIB + 7);
    close(other);
}

/* The file ends where the failure is. */
static void a_failure_leaves_no_hole(void **state)
{
    const struct rlimit small = {.rlim_cur = MIB + 8192, .rlim_max = RLIM_INFINITY};
    struct rig *rig = *state;
    struct lb_direct_slots *slots = lb_direct_claim(rig->direct, rig->fd);
    struct rlimit before;

    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 3; i++) {
        uint8_t *data;

        /* Not placed once the first failure is known. */
        if (get_place(slots, &data) != MIB)
            break;
        payload_fill(4, (uint64_t)i * MIB, data, MIB);
        lb_direct_put(slots, MIB);
    }
    assert_int_equal(lb_direct_flush(slots), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    check_file(rig->fd, 4, MIB + 8192);
    slots = lb_direct_claim(rig->direct, rig->fd);
    assert_non_null(slots);
    assert_int_equal(lb_direct_flush(slots), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(slots_are_a_streams_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_leaves_no_hole, setup, teardown),
    };
    void *rig = NULL;

    int rc = setup(&rig);

    if (rig)
        teardown(&rig);
    /* A temporary directory without O_DIRECT: nothing to be tested. */
    if (rc == -EOPNOTSUPP)
        return EXIT_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
