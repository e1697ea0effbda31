/* SPDX-License-Identifier: MIT */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

const char *const shim_names[SHIM_COUNT] = {
#define SHIM_NAME(name) #name,
    SHIM_CALLS(SHIM_NAME)
#undef SHIM_NAME
};

static struct shim_report nobody;
static struct shim_report *report = &nobody;
static struct shim_plan plan;
static atomic_int phase;
static _Thread_local bool ours;

/* A process that ours forks off, as the guardian of commands, is another program. */
static void become_another(void)
{
    ours = false;
}

void shim_arm(const struct shim_plan *new_plan, struct shim_report *new_report)
{
    plan = *new_plan;
    report = new_report;
    pthread_atfork(NULL, NULL, become_another);
}

void shim_serve(void)
{
    atomic_store(&phase, SHIM_SERVING);
}

void shim_enter(void)
{
    ours = true;
}

void shim_leave(void)
{
    ours = false;
}

bool shim_is_ours(void)
{
    return ours;
}

int shim_error(enum shim_call call)
{
    unsigned reached;

    if (!ours || atomic_load(&phase) != (int)plan.phase)
        return 0;
    reached = atomic_fetch_add(&report->reached[call], 1) + 1;
    if (call != plan.call || reached != plan.nth)
        return 0;
    atomic_store(&report->fired, true);
    return plan.error;
}

bool shim_fails(enum shim_call call)
{
    int error = shim_error(call);

    if (error)
        errno = error;
    return error;
}

bool shim_shortens(enum shim_call call, bool *shorten)
{
    int error = shim_error(call);

    *shorten = error == SHIM_SHORT;
    if (error && !*shorten)
        errno = error;
    return error && !*shorten;
}

void shim_complain(const char *format, ...)
{
    va_list arguments;

    if (atomic_exchange(&report->complained, true))
        return;
    va_start(arguments, format);
    vsnprintf(report->complaint, sizeof(report->complaint), format, arguments);
    va_end(arguments);
}

void shim_mapped(long size)
{
    if (ours)
        atomic_fetch_add(&report->mapped, size);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

enum { FDS_MAX = 4096 };

/* FOREIGN is the test's own. UNKNOWN was made by a call that the shim doesn't know. */
enum fd_state { FD_UNKNOWN, FD_OPEN, FD_CLOSED, FD_FOREIGN };

static _Atomic enum fd_state fds[FDS_MAX];

int shim_opened(int fd)
{
    if (fd >= 0 && fd < FDS_MAX)
        atomic_store(&fds[fd], ours ? FD_OPEN : FD_FOREIGN);
    return fd;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __real_fcntl64(int fd, int command, ...);

int __wrap_close(int fd)
{
    enum fd_state state = FD_UNKNOWN;
    bool open, fails;
    int rc;

    if (fd >= 0 && fd < FDS_MAX)
        state = atomic_exchange(&fds[fd], ours ? FD_CLOSED : FD_UNKNOWN);
    if (!ours)
        return __real_close(fd);
    open = __real_fcntl64(fd, F_GETFD) >= 0;
    if (!open || state == FD_FOREIGN)
        shim_complain("close(%d): %s", fd, open ? "somebody else's" : "not open");
    /* Whatever a close returns, the descriptor is gone (close(2)). */
    fails = shim_fails(SHIM_close);
    rc = errno;
    if (__real_close(fd) == 0 && !fails)
        return 0;
    if (fails)
        errno = rc;
    return -1;
}
