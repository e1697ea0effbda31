/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the command: a disk that fails or stalls. It sees the calls on files that are
 * opened for writing relative to a directory, and on directories; that is what the sinks file and
 * dir do. It begins with the first listen(): what a start does on the disk is no stream's.
 *
 *   DISK_LOG=FILE     each call is noted in FILE, a line with its name, before it is made
 *   DISK_FAULT="CALL NTH WHAT" (once, or several times in a row)
 *       CALL is a name as in the log, or "any"; NTH counts from 1, or is 0 for each;
 *       WHAT is stall-before, stall-after, or the number of an errno
 *   DISK_STALL=FILE   who stalls notes "stalled" in the log, and goes on once FILE, which is there
 *                     at the start, has been removed
 *
 * The files are opened before the command can give up the right to do so.
 */

/* Both openat and openat64 are defined here, each under its own name. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 65536, FAULTS = 3 };

static atomic_bool tracked[FDS];
static atomic_bool listening;
static int log_fd = -1, stall_fd = -1;

static struct fault {
    char call[32], what[32];
    unsigned nth;
    atomic_uint calls;
} faults[FAULTS];

__attribute__((constructor)) static void begin(void)
{
    const char *log = getenv("DISK_LOG"), *plan = getenv("DISK_FAULT");
    const char *wait = getenv("DISK_STALL");

    if (log)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                              0600);
    if (wait)
        stall_fd = (int)syscall(SYS_openat, AT_FDCWD, wait, O_RDONLY | O_CLOEXEC);
    for (int i = 0, used = 0; plan && *plan; i++, plan += used) {
        struct fault *fault = &faults[i];

        if (i == FAULTS ||
            sscanf(plan, "%31s %u %31s%n", fault->call, &fault->nth, fault->what, &used) != 3)
            abort();
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static bool is_tracked(int fd)
{
    return fd >= 0 && fd < FDS && tracked[fd];
}

static bool is_directory(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

static void note(const char *line)
{
    if (log_fd >= 0)
        syscall(SYS_write, log_fd, line, strlen(line));
}

static void stall(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct stat status;

    note("stalled\n");
    while (fstat(stall_fd, &status) == 0 && status.st_nlink > 0)
        nanosleep(&moment, NULL);
}

/* Notes the call. Returns the fault that is for it, or NULL. */
static struct fault *find_fault(const char *call)
{
    char line[40];

    if (!listening)
        return NULL;
    snprintf(line, sizeof(line), "%s\n", call);
    note(line);
    for (struct fault *fault = faults; fault < faults + FAULTS; fault++) {
        if (strcmp(fault->call, "any") != 0 && strcmp(fault->call, call) != 0)
            continue;
        if (atomic_fetch_add(&fault->calls, 1) + 1 == fault->nth || fault->nth == 0)
            return fault;
    }
    return NULL;
}

static bool is(const struct fault *fault, const char *what)
{
    return fault && strcmp(fault->what, what) == 0;
}

/* Before a call that the fault is for. True: it fails, with errno set. */
static bool fails(const struct fault *fault)
{
    if (!fault || is(fault, "stall-after"))
        return false;
    if (is(fault, "stall-before")) {
        stall();
        return false;
    }
    errno = atoi(fault->what);
    return true;
}

static long after(const struct fault *fault, long result)
{
    int error = errno;

    if (is(fault, "stall-after"))
        stall();
    errno = error;
    return result;
}

int listen(int fd, int backlog)
{
    listening = true;
    return REAL(listen)(fd, backlog);
}

#define PASS(ours, call, failed, real)                                                             \
    do {                                                                                           \
        const struct fault *fault_ = (ours) ? find_fault(call) : NULL;                             \
        if (fails(fault_))                                                                         \
            return failed;                                                                         \
        return (__typeof__(failed))after(fault_, real);                                            \
    } while (0)

static int open_and_track(int directory, const char *path, int flags, mode_t mode)
{
    bool ours = directory != AT_FDCWD && (flags & O_ACCMODE) != O_RDONLY;
    const struct fault *fault = ours ? find_fault("openat") : NULL;
    int fd;

    if (fails(fault))
        return -1;
    fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (ours && fd >= 0 && fd < FDS)
        tracked[fd] = true;
    return (int)after(fault, fd);
}

#define OPENAT(name)                                                                               \
    int name(int directory, const char *path, int flags, ...)                                      \
    {                                                                                              \
        va_list rest;                                                                              \
        mode_t mode;                                                                               \
        va_start(rest, flags);                                                                     \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                           \
        va_end(rest);                                                                              \
        return open_and_track(directory, path, flags, mode);                                       \
    }

OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size)
{
    PASS(is_tracked(fd), "write", -1L, REAL(write)(fd, data, size));
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size,
                        unsigned flags)
{
    PASS(is_tracked(to), "copy_file_range", -1L,
         REAL(copy_file_range)(from, from_at, to, to_at, size, flags));
}

int fsync(int fd)
{
    bool directory = is_directory(fd);

    PASS(directory || is_tracked(fd), directory ? "fsync-directory" : "fsync", -1, REAL(fsync)(fd));
}

int ftruncate64(int fd, off64_t size)
{
    PASS(is_tracked(fd), "ftruncate", -1, REAL(ftruncate64)(fd, size));
}

/* A close that fails has closed all the same, as Linux does. */
int close(int fd)
{
    bool ours = is_tracked(fd), failed;
    const struct fault *fault = ours ? find_fault("close") : NULL;
    int rc;

    if (ours)
        tracked[fd] = false;
    failed = fails(fault);
    rc = (int)syscall(SYS_close, fd);
    if (failed)
        errno = atoi(fault->what);
    return (int)after(fault, failed ? -1 : rc);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    PASS(true, "renameat2", -1, REAL(renameat2)(from, old, to, new, flags));
}

int unlinkat(int directory, const char *path, int flags)
{
    PASS(directory != AT_FDCWD, "unlinkat", -1, REAL(unlinkat)(directory, path, flags));
}
