/* SPDX-License-Identifier: MIT */
/* Listeners on Unix sockets: whose file it is, and who may remove it. */
#include "unit.h"

#include "support.h"

#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    char directory[80];
    char path[100];
    char address[110]; /* unix:PATH */
};

static int setup(void **state)
{
    struct place *place = malloc(sizeof(*place));
    int rc = directory_make(place->directory, sizeof(place->directory));

    snprintf(place->path, sizeof(place->path), "%s/socket", place->directory);
    snprintf(place->address, sizeof(place->address), "unix:%s", place->path);
    *state = place;
    return rc;
}

static int teardown(void **state)
{
    struct place *place = *state;

    directory_remove(place->directory);
    free(place);
    return 0;
}

static int open_at(struct lb_listener_list *list, const char *address, struct lb_error *error)
{
    const struct lb_listener_options options = {.sockets = 4};
    const char *const addresses[] = {address, NULL};

    return lb_listener_open(list, addresses, &options, error);
}

static bool exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

/* A socket of this type at path. */
static int bind_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void assert_connects(const struct lb_listener_list *list, const char *address)
{
    int fd = peer_connect(address), accepted;

    assert_true(fd >= 0);
    accepted = accept4(list->items[0].fds[0], NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    close(accepted);
    close(fd);
}

static void binds_a_path_and_removes_it(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;

    assert_int_equal(open_at(&list, place->address, NULL), 0);
    /* The kernel knows no SO_REUSEPORT here: one socket for all workers. */
    assert_int_equal(list.items[0].count, 1);
    assert_string_equal(list.items[0].name, place->address);
    assert_true(exists(place->path));
    assert_connects(&list, place->address);
    lb_listener_close(&list);
    assert_false(exists(place->path));
}

static void abstract_names_need_no_file(void **state)
{
    struct lb_listener_list list;
    char address[60];
    int fd;

    (void)state;
    snprintf(address, sizeof(address), "unix:@lastbyte-unit-%d", getpid());
    assert_int_equal(open_at(&list, address, NULL), 0);
    assert_string_equal(list.items[0].name, address);
    assert_null(list.items[0].path);
    fd = lb_connect(address, -1, NULL);
    assert_true(fd >= 0);
    close(fd);
    lb_listener_close(&list);
    assert_int_equal(open_at(&list, address, NULL), 0);
    lb_listener_close(&list);
}

static void an_abstract_name_in_use_is_an_error(void **state)
{
    struct lb_listener_list list, other;
    struct lb_error error = {LB_ERROR_INIT};
    char address[60];

    (void)state;
    snprintf(address, sizeof(address), "unix:@lastbyte-unit-%d", getpid());
    assert_int_equal(open_at(&list, address, NULL), 0);
    assert_int_equal(open_at(&other, address, &error), -EADDRINUSE);
    assert_non_null(strstr(error.text, address));
    lb_listener_close(&list);
}

/* What a killed server left. */
static void takes_over_a_stale_file(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    int fd = bind_at(place->path, SOCK_STREAM);

    assert_int_equal(listen(fd, 1), 0);
    close(fd);
    assert_true(exists(place->path));
    assert_int_equal(open_at(&list, place->address, NULL), 0);
    assert_connects(&list, place->address);
    lb_listener_close(&list);
    assert_false(exists(place->path));
}

/* Nor is the other server disturbed: a peer that only looks would be a stream to it. */
static void leaves_a_live_server_alone(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list, other;
    struct lb_error error = {LB_ERROR_INIT};
    struct pollfd poller;

    assert_int_equal(open_at(&list, place->address, NULL), 0);
    poller = (struct pollfd){.fd = list.items[0].fds[0], .events = POLLIN};
    assert_int_equal(open_at(&other, place->address, &error), -EADDRINUSE);
    assert_int_equal(error.code, -EADDRINUSE);
    assert_non_null(strstr(error.text, place->address));
    assert_int_equal(poll(&poller, 1, 0), 0);
    assert_connects(&list, place->address);
    lb_listener_close(&list);
}

/* Bound, and about to listen. */
static void leaves_a_starting_server_alone(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    int fd = bind_at(place->path, SOCK_STREAM);

    assert_int_equal(open_at(&list, place->address, NULL), -EADDRINUSE);
    assert_int_equal(listen(fd, 1), 0);
    close(peer_connect(place->address));
    close(fd);
}

static void leaves_a_datagram_server_alone(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    int fd = bind_at(place->path, SOCK_DGRAM);

    assert_int_equal(open_at(&list, place->address, NULL), -EADDRINUSE);
    assert_true(exists(place->path));
    close(fd);
}

static void leaves_other_files_alone(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char data[4] = "";
    int fd = open(place->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "mine", 4), 4);
    assert_int_equal(open_at(&list, place->address, &error), -EADDRINUSE);
    assert_non_null(strstr(error.text, place->address));
    assert_int_equal(pread(fd, data, 4, 0), 4);
    assert_memory_equal(data, "mine", 4);
    assert_true(exists(place->path));
    close(fd);
    /* A link is not followed, whatever it points to. */
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(symlink("nowhere", place->path), 0);
    assert_int_equal(open_at(&list, place->address, &error), -EADDRINUSE);
    assert_true(exists(place->path));
}

/* Someone replaced our file: theirs stays. */
static void removes_only_its_own_file(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    int fd;

    assert_int_equal(open_at(&list, place->address, NULL), 0);
    assert_int_equal(unlink(place->path), 0);
    fd = bind_at(place->path, SOCK_STREAM);
    lb_listener_close(&list);
    assert_true(exists(place->path));
    close(fd);
}

static void a_removed_file_is_no_trouble(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;

    assert_int_equal(open_at(&list, place->address, NULL), 0);
    assert_int_equal(unlink(place->path), 0);
    lb_listener_close(&list);
    assert_false(exists(place->path));
}

static void borrows_a_descriptor(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list own, list;
    char address[20];

    assert_int_equal(open_at(&own, place->address, NULL), 0);
    snprintf(address, sizeof(address), "fd:%d", own.items[0].fds[0]);
    assert_int_equal(open_at(&list, address, NULL), 0);
    assert_string_equal(list.items[0].name, place->address);
    lb_listener_close(&list);
    assert_true(exists(place->path));
    assert_connects(&own, place->address);
    lb_listener_close(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(binds_a_path_and_removes_it, setup, teardown),
        cmocka_unit_test(abstract_names_need_no_file),
        cmocka_unit_test(an_abstract_name_in_use_is_an_error),
        cmocka_unit_test_setup_teardown(takes_over_a_stale_file, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_a_live_server_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_a_starting_server_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_a_datagram_server_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_other_files_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(removes_only_its_own_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_file_is_no_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(borrows_a_descriptor, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
