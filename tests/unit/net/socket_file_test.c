/* SPDX-License-Identifier: MIT */
/* Listeners on Unix sockets: whose file it is, and who may remove it. */
#include "unit.h"

#include "support.h"

#include "listener.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
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

static int open_with_mode(struct lb_listener_list *list, const char *address, unsigned mode,
                          struct lb_error *error)
{
    const struct lb_listener_options options = {.sockets = 4, .unix_mode = mode};
    const char *const addresses[] = {address, NULL};

    return lb_listener_open(list, addresses, &options, error);
}

static int open_at(struct lb_listener_list *list, const char *address, struct lb_error *error)
{
    return open_with_mode(list, address, 0, error);
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
    assert_null(list.items[0].file.path);
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
    assert_non_null(strstr(error.text, "a file of that name, and it is no socket"));
    assert_int_equal(pread(fd, data, 4, 0), 4);
    assert_memory_equal(data, "mine", 4);
    assert_true(exists(place->path));
    close(fd);
    /* A link is not followed, whatever it points to. */
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(symlink("nowhere", place->path), 0);
    assert_int_equal(open_at(&list, place->address, &error), -EADDRINUSE);
    assert_non_null(strstr(error.text, "symbolic link"));
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

/* ---- modes ----------------------------------------------------------------------------------- */

static unsigned mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void the_mode_is_what_was_asked_for(void **state)
{
    static const unsigned modes[] = {0600, 0620, 0666, 0777}, umasks[] = {0, 022, 077, 0777};
    const struct place *place = *state;
    struct lb_listener_list list;

    for (size_t i = 0; i < 16; i++) {
        mode_t before = umask(umasks[i / 4]);

        assert_int_equal(open_with_mode(&list, place->address, modes[i % 4], NULL), 0);
        umask(before);
        assert_int_equal(mode_of(place->path), modes[i % 4]);
        lb_listener_close(&list);
    }
}

/* ---- between the calls ----------------------------------------------------------------------- */

int __real_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

/* Called once, after the next bind or before the next rename. */
static void (*meanwhile)(const struct place *place);
static const struct place *where;

static void do_meanwhile(void)
{
    void (*what)(const struct place *) = meanwhile;

    meanwhile = NULL;
    if (what)
        what(where);
}

static bool before_rename;

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int rc = __real_bind(fd, address, size);

    if (!before_rename)
        do_meanwhile();
    return rc;
}

int __wrap_rename(const char *from, const char *to)
{
    if (before_rename)
        do_meanwhile();
    return __real_rename(from, to);
}

static void do_then(const struct place *place, bool rename, void (*what)(const struct place *))
{
    where = place;
    before_rename = rename;
    meanwhile = what;
}

static void name_victim(const struct place *place, char path[120])
{
    snprintf(path, 120, "%s/victim", place->directory);
}

/* The owner of the directory does, who may rename what is in it. */
static void put_a_link_there(const struct place *place)
{
    char away[120], victim[120];

    snprintf(away, sizeof(away), "%s/away", place->directory);
    name_victim(place, victim);
    assert_int_equal(__real_rename(place->path, away), 0);
    assert_int_equal(symlink(victim, place->path), 0);
}

static void no_link_leads_the_mode_elsewhere(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char victim[120];
    int fd;

    name_victim(place, victim);
    fd = open(victim, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    do_then(place, false, put_a_link_there);
    assert_int_equal(open_with_mode(&list, place->address, 0666, &error), -ESTALE);
    assert_non_null(strstr(error.text, "replaced"));
    assert_int_equal(mode_of(victim), 0600);
}

static int foreign_fd;

/* A server that knows of no lock. */
static void a_foreign_server_begins(const struct place *place)
{
    assert_int_equal(unlink(place->path), 0);
    foreign_fd = bind_at(place->path, SOCK_STREAM);
    assert_int_equal(listen(foreign_fd, 1), 0);
}

static void make_stale(const struct place *place)
{
    close(bind_at(place->path, SOCK_STREAM));
}

static unsigned count_files(const struct place *place)
{
    DIR *names = opendir(place->directory);
    unsigned count = 0;

    while (readdir(names))
        count++;
    closedir(names);
    return count - 2; /* . and .. */
}

static void a_server_that_came_first_keeps_its_path(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    int fd;

    make_stale(place);
    do_then(place, true, a_foreign_server_begins);
    assert_int_equal(open_at(&list, place->address, NULL), -EADDRINUSE);
    assert_int_equal(count_files(place), 1);
    fd = peer_connect(place->address);
    assert_true(fd >= 0);
    close(fd);
    close(foreign_fd);
}

/* ---- several at once ------------------------------------------------------------------------- */

enum { STARTERS = 6, ROUNDS = 20, GOT_IT = 7 };

/* Tries once the gate is open, and stays until the end is. */
static _Noreturn void try_to_start(const struct place *place, int gate, int tell, int end)
{
    struct lb_listener_list list;
    char byte = 0;
    int rc;

    while (read(gate, &byte, 1) < 0)
        ;
    rc = open_at(&list, place->address, NULL);
    byte = rc == 0 ? GOT_IT : rc == -EADDRINUSE ? 0 : 1;
    if (write(tell, &byte, 1) < 0 || read(end, &byte, 1) != 0)
        _exit(1);
    if (rc == 0)
        lb_listener_close(&list);
    _exit(0);
}

static void one_of_several_takes_it_over(void **state)
{
    const struct place *place = *state;

    for (int round = 0; round < ROUNDS; round++) {
        int gate[2], tell[2], end[2], fd;
        unsigned got = 0;
        char byte;

        make_stale(place);
        assert_int_equal(pipe2(gate, O_CLOEXEC) | pipe2(tell, O_CLOEXEC) | pipe2(end, O_CLOEXEC),
                         0);
        for (int i = 0; i < STARTERS; i++)
            if (fork() == 0) {
                close(gate[1]);
                close(end[1]);
                try_to_start(place, gate[0], tell[1], end[0]);
            }
        close(gate[1]);
        for (int i = 0; i < STARTERS; i++) {
            assert_int_equal(read(tell[0], &byte, 1), 1);
            assert_true(byte == 0 || byte == GOT_IT);
            got += byte == GOT_IT;
        }
        assert_int_equal(got, 1);
        fd = peer_connect(place->address);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(count_files(place), 1);
        close(end[1]);
        for (int i = 0; i < STARTERS; i++)
            assert_true(wait(NULL) > 0);
        assert_false(exists(place->path));
        close(gate[0]);
        close(end[0]);
        close(tell[0]);
        close(tell[1]);
    }
}

/* A lock that somebody else has put there would be his to hold. */
static void a_lock_that_is_no_file_is_refused(void **state)
{
    const struct place *place = *state;
    struct lb_listener_list list;
    struct lb_error error = {LB_ERROR_INIT};
    char path[120];

    snprintf(path, sizeof(path), "%s.lock", place->path);
    make_stale(place);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(open_at(&list, place->address, &error), -ELOOP);
    assert_non_null(strstr(error.text, "left of a server that has died"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_at(&list, place->address, &error), -EPERM);
    assert_true(exists(place->path));
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
        cmocka_unit_test_setup_teardown(the_mode_is_what_was_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(no_link_leads_the_mode_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_came_first_keeps_its_path, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_several_takes_it_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_is_no_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(borrows_a_descriptor, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
