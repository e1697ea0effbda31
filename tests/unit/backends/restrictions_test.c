/* SPDX-License-Identifier: MIT */
/* A ring that the kernel restricts: what the backend never asks for is refused. */
#include "unit.h"

#include "restrictions.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static int open_ring(void **state)
{
    struct io_uring *ring = calloc(1, sizeof(*ring));

    *state = ring;
    assert_int_equal(lb_uring_create(ring, 8, 32, false, NULL), 0);
    assert_int_equal(lb_uring_restrict(ring), 0);
    return 0;
}

static int close_ring(void **state)
{
    io_uring_queue_exit(*state);
    free(*state);
    return 0;
}

/* Submits the request that was prepared last and returns what it completes with. */
static int result(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    int rc;

    io_uring_submit_and_wait(ring, 1);
    assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
    rc = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return rc;
}

static void refuses_what_is_not_used(void **state)
{
    struct io_uring *ring = *state;
    struct open_how how = {.flags = O_RDONLY};
    char byte;

    assert_int_equal(lb_uring_enable(ring), 0);
    io_uring_prep_openat2(io_uring_get_sqe(ring), AT_FDCWD, "/dev/null", &how);
    assert_int_equal(result(ring), -EACCES);
    io_uring_prep_read(io_uring_get_sqe(ring), STDIN_FILENO, &byte, 1, 0);
    assert_int_equal(result(ring), -EACCES);
    io_uring_prep_socket(io_uring_get_sqe(ring), AF_INET, SOCK_STREAM, 0, 0);
    assert_int_equal(result(ring), -EACCES);
}

static void refuses_flags_that_are_not_used(void **state)
{
    struct io_uring *ring = *state;
    struct io_uring_sqe *sqe;

    assert_int_equal(lb_uring_enable(ring), 0);
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_cancel64(sqe, 1, 0);
    sqe->flags |= IOSQE_ASYNC;
    assert_int_equal(result(ring), -EACCES);
}

static void refuses_other_registrations(void **state)
{
    struct io_uring *ring = *state;
    int fd = STDIN_FILENO;

    assert_int_equal(lb_uring_enable(ring), 0);
    assert_int_equal(io_uring_register_files(ring, &fd, 1), -EACCES);
}

static void allows_what_is_used(void **state)
{
    struct io_uring *ring = *state;

    assert_int_equal(lb_uring_enable(ring), 0);
    io_uring_prep_cancel64(io_uring_get_sqe(ring), 1, 0);
    assert_int_equal(result(ring), -ENOENT);
    assert_int_equal(io_uring_register_ring_fd(ring), 1);
    assert_int_equal(io_uring_unregister_ring_fd(ring), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_is_not_used, open_ring, close_ring),
        cmocka_unit_test_setup_teardown(refuses_flags_that_are_not_used, open_ring, close_ring),
        cmocka_unit_test_setup_teardown(refuses_other_registrations, open_ring, close_ring),
        cmocka_unit_test_setup_teardown(allows_what_is_used, open_ring, close_ring),
    };
    struct lb_error error = {LB_ERROR_INIT};

    if (lb_uring_probe(NULL, &error) < 0 || !lb_uring_modes().restricted) {
        print_message("no restricted ring here: %s\n", error.text);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
