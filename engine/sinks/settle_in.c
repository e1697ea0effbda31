/* SPDX-License-Identifier: MIT */
#include "settle_in.h"
#include "dump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a server ignores, and what most programs do not expect to be ignored. */
static bool is_for_servers(int number)
{
    return number == SIGCHLD || number == SIGPIPE || number == SIGXFSZ;
}

/* Handlers are the parent's code. What else it ignores (nohup) the commands will ignore. */
static void settle_signals(void)
{
    struct sigaction action;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 &&
            (action.sa_handler != SIG_IGN || is_for_servers(number))) {
            action = (struct sigaction){.sa_handler = SIG_DFL};
            sigaction(number, &action, NULL);
        }
}

/* By number: the C library's wrapper (glibc 2.34) is younger than the call (Linux 5.9). */
static void close_from(int first, rlim_t limit)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0)
        return;
    for (int fd = first; (rlim_t)fd < limit; fd++)
        close(fd);
}

static int settle_descriptors(int fd, int last)
{
    struct rlimit limit;
    int null, moved;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (fd <= last) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, last + 1);
        if (moved < 0)
            return -errno;
        fd = moved;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int number = 0; number <= last; number++)
        if (number != null && (number != STDERR_FILENO || fcntl(number, F_GETFD) < 0) &&
            dup3(null, number, number > STDERR_FILENO ? O_CLOEXEC : 0) < 0)
            return -errno;
    moved = dup3(fd, last + 1, O_CLOEXEC);
    if (moved < 0 && fd != last + 1)
        return -errno;
    close_from(last + 2, limit.rlim_cur);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return last + 1;
}

int lb_settle_in(int fd, int last)
{
    settle_signals();
    setpgid(0, 0);
    lb_dump_forbid();
    prctl(PR_SET_NAME, "lb-guardian", 0, 0, 0);
    return settle_descriptors(fd, last);
}
