/* SPDX-License-Identifier: MIT */
/* The filter of recv: what it lets through is for this process alone. Each test has a child, as a
 * filter can't be taken off. */
#include "tools/command/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096, CANNOT = 77 };

/* In the child: leaves with the line of the first that fails. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 70 + 1);                                                              \
    } while (0)

static bool is_refused(long rc)
{
    return rc == -1 && errno == ENOSYS;
}

static void run_with(bool network, void (*body)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_enforce(network) < 0)
            _exit(CANNOT);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void run(void (*body)(void))
{
    run_with(false, body);
}

static void limits(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0);
    CHECK(is_refused(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit)));
}

static void cores(void)
{
    cpu_set_t set;

    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
    CHECK(is_refused(sched_setaffinity(getppid(), sizeof(set), &set)));
}

static void signals(void)
{
    pid_t other = getppid();

    CHECK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0) == 0);
    CHECK(is_refused(syscall(SYS_tgkill, other, other, 0)));
    CHECK(is_refused(syscall(SYS_tkill, other, 0)));
    CHECK(is_refused(kill(other, 0)));
    CHECK(is_refused(syscall(SYS_rt_sigqueueinfo, other, SIGURG, NULL)));
}

/* Or the kernel sends the signal, when a descriptor is ready. */
static void signals_by_descriptors(void)
{
    int pair[2];

    CHECK(pipe2(pair, O_CLOEXEC) == 0);
    CHECK(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(pair[0], F_GETFL) >= 0);
    CHECK(fcntl(pair[0], F_SETPIPE_SZ, PAGE) == PAGE && fcntl(pair[0], F_GETPIPE_SZ) == PAGE);
    CHECK(fcntl(pair[0], F_DUPFD_CLOEXEC, 0) >= 0);
    CHECK(is_refused(fcntl(pair[0], F_SETOWN, getppid())));
    CHECK(is_refused(fcntl(pair[0], F_SETSIG, SIGKILL)));
}

static void *map(int protection)
{
    return mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void code(void)
{
    void *page = map(PROT_READ | PROT_WRITE);

    CHECK(page != MAP_FAILED);
    CHECK(mprotect(page, PAGE, PROT_READ) == 0);
    CHECK(is_refused(mprotect(page, PAGE, PROT_READ | PROT_EXEC)));
    CHECK(is_refused(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC)));
    CHECK(map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED && errno == ENOSYS);
    CHECK(map(PROT_EXEC) == MAP_FAILED && errno == ENOSYS);
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void threads(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(fork() < 0);
}

static void no_connections(void)
{
    CHECK(is_refused(socket(AF_INET, SOCK_STREAM, 0)));
    CHECK(is_refused(connect(-1, NULL, 0)));
}

static void connections(void)
{
    CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
    CHECK(socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT);
    CHECK(connect(-1, NULL, 0) < 0 && errno == EBADF);
#ifndef __i386__ /* behind socketcall(2) a filter sees no family */
    CHECK(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
    CHECK(is_refused(socket(AF_NETLINK, SOCK_RAW, 0)));
#endif
}

static void limits_are_its_own(void **state)
{
    (void)state;
    run(limits);
}

static void cores_are_its_own(void **state)
{
    (void)state;
    run(cores);
}

static void nobody_else_gets_a_signal(void **state)
{
    (void)state;
    run(signals);
    run(signals_by_descriptors);
}

static void no_memory_becomes_code(void **state)
{
    (void)state;
    run(code);
}

static void threads_but_no_processes(void **state)
{
    (void)state;
    run(threads);
}

static void connections_for_who_needs_them(void **state)
{
    (void)state;
    run(no_connections);
    run_with(true, connections);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_its_own),
        cmocka_unit_test(cores_are_its_own),
        cmocka_unit_test(nobody_else_gets_a_signal),
        cmocka_unit_test(no_memory_becomes_code),
        cmocka_unit_test(threads_but_no_processes),
        cmocka_unit_test(connections_for_who_needs_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
