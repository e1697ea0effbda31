/* SPDX-License-Identifier: MIT */
/* Spools by themselves: the bound that they share is kept by one of them while another goes. */
#include "unit.h"

#include "spool.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOTAL = 100, LARGE = 80, SMALL = 10, MORE = 20 };

/* What another thread does just after a spool's file was closed: it opens one of its own, which has
 * that number then, and has to make room. */
static struct {
    int closing; /* the descriptor; -1: none */
    int own;
    struct lb_spool *grows;
    int result;
} other = {.closing = -1};

static const char bytes[TOTAL];

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    int rc = __real_close(fd);

    if (fd != other.closing)
        return rc;
    other.closing = -1;
    other.own = memfd_create("own", MFD_CLOEXEC);
    if (other.own != fd || write(other.own, bytes, sizeof(bytes)) != sizeof(bytes))
        other.result = -1;
    else
        other.result = lb_spool_append(other.grows, bytes, MORE);
    return rc;
}

/* Together they have nearly all that there may be. */
static void open_both(struct lb_spools *spools, struct lb_spool *large, struct lb_spool *small)
{
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .spool_total = TOTAL};

    assert_int_equal(lb_spools_init(spools, "test", &options, NULL), 0);
    lb_spool_init(large, spools, NULL, UINT64_MAX);
    lb_spool_init(small, spools, NULL, UINT64_MAX);
    assert_int_equal(lb_spool_append(large, bytes, LARGE), 0);
    assert_int_equal(lb_spool_append(small, bytes, SMALL), 0);
}

static void one_that_goes_is_not_made_empty(void **state)
{
    struct lb_spools spools;
    struct lb_spool large, small;
    struct stat status;

    (void)state;
    open_both(&spools, &large, &small);
    other.grows = &small;
    other.closing = large.fd;
    lb_spool_done(&large);
    assert_int_equal(other.closing, -1);
    assert_int_equal(other.result, 0);
    assert_int_equal(fstat(other.own, &status), 0);
    assert_int_equal(status.st_size, sizeof(bytes));
    assert_int_equal(spools.used, SMALL + MORE);
    __real_close(other.own);
    lb_spool_done(&small);
    assert_int_equal(spools.used, 0);
    lb_spools_done(&spools);
}

/* The largest goes, whoever wants more; its own look tells it. */
static void the_largest_makes_room(void **state)
{
    struct lb_spools spools;
    struct lb_spool large, small;
    char got[TOTAL];

    (void)state;
    open_both(&spools, &large, &small);
    assert_int_equal(lb_spool_append(&small, bytes, MORE), 0);
    assert_true(lb_spool_look(&large) < 0);
    assert_true(lb_spool_peek(&large, got, sizeof(got)) < 0);
    assert_int_equal(lb_spool_look(&small), 0);
    assert_int_equal(lb_spool_peek(&small, got, sizeof(got)), SMALL + MORE);
    /* And whoever is the largest himself. */
    assert_true(lb_spool_append(&small, bytes, TOTAL) < 0);
    assert_int_equal(spools.used, 0);
    lb_spool_done(&large);
    lb_spool_done(&small);
    lb_spools_done(&spools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_goes_is_not_made_empty),
        cmocka_unit_test(the_largest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
