/* SPDX-License-Identifier: MIT */
/* The C library's calls, each as itself or failing. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* NAME is the linker's: with 64-bit offsets some have a suffix. */
#define WRAP(type, symbol, ...)                                                                    \
    type __real_##symbol(__VA_ARGS__);                                                             \
    type __wrap_##symbol(__VA_ARGS__);                                                             \
    type __wrap_##symbol(__VA_ARGS__)

/* ---- sockets --------------------------------------------------------------------------------- */

WRAP(int, socket, int domain, int type, int protocol)
{
    return shim_fails(SHIM_socket) ? -1 : shim_opened(__real_socket(domain, type, protocol));
}

WRAP(int, socketpair, int domain, int type, int protocol, int pair[2])
{
    if (shim_fails(SHIM_socketpair) || __real_socketpair(domain, type, protocol, pair) < 0)
        return -1;
    shim_opened(pair[0]);
    shim_opened(pair[1]);
    return 0;
}

WRAP(int, bind, int fd, const struct sockaddr *address, socklen_t size)
{
    return shim_fails(SHIM_bind) ? -1 : __real_bind(fd, address, size);
}

WRAP(int, listen, int fd, int backlog)
{
    return shim_fails(SHIM_listen) ? -1 : __real_listen(fd, backlog);
}

WRAP(int, getsockname, int fd, struct sockaddr *address, socklen_t *size)
{
    return shim_fails(SHIM_getsockname) ? -1 : __real_getsockname(fd, address, size);
}

WRAP(int, getpeername, int fd, struct sockaddr *address, socklen_t *size)
{
    return shim_fails(SHIM_getpeername) ? -1 : __real_getpeername(fd, address, size);
}

WRAP(int, setsockopt, int fd, int level, int name, const void *value, socklen_t size)
{
    return shim_fails(SHIM_setsockopt) ? -1 : __real_setsockopt(fd, level, name, value, size);
}

WRAP(int, accept4, int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return shim_fails(SHIM_accept4) ? -1 : shim_opened(__real_accept4(fd, address, size, flags));
}

/* The guardian's of commands: a packet comes whole, and a reset says that the guardian is dead,
 * which fault-exec tries with a real one. */
static bool has_packets(int fd)
{
    int type = 0;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)}) == 0 &&
           type == SOCK_SEQPACKET;
}

WRAP(ssize_t, recv, int fd, void *data, size_t size, int flags)
{
    bool shorten = false;

    if (!has_packets(fd) && shim_shortens(SHIM_recv, &shorten))
        return -1;
    return __real_recv(fd, data, shorten ? 1 : size, flags);
}

WRAP(ssize_t, send, int fd, const void *data, size_t size, int flags)
{
    bool shorten;

    if (shim_shortens(SHIM_send, &shorten))
        return -1;
    return __real_send(fd, data, shorten ? 1 : size, flags);
}

/* ---- files and pipes ------------------------------------------------------------------------- */

/* An eventfd's reads and writes fail only when it is empty or full: it is left alone. */
static bool is_counter(int fd, size_t size)
{
    struct stat status;
    int saved = errno;
    bool is;

    is = size == sizeof(uint64_t) && fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == 0;
    errno = saved;
    return is;
}

WRAP(ssize_t, read, int fd, void *data, size_t size)
{
    bool shorten = false;

    if (!is_counter(fd, size) && shim_shortens(SHIM_read, &shorten))
        return -1;
    return __real_read(fd, data, shorten ? 1 : size);
}

WRAP(ssize_t, write, int fd, const void *data, size_t size)
{
    bool shorten = false;

    if (!is_counter(fd, size) && shim_shortens(SHIM_write, &shorten))
        return -1;
    return __real_write(fd, data, shorten ? 1 : size);
}

WRAP(ssize_t, pread64, int fd, void *data, size_t size, off_t offset)
{
    bool shorten;

    if (shim_shortens(SHIM_pread, &shorten))
        return -1;
    return __real_pread64(fd, data, shorten ? 1 : size, offset);
}

/* Past the page cache only whole blocks can be written: what is done less is one of them. */
static size_t less_than(size_t size)
{
    const size_t block = 4096;

    if (size % block)
        return 1;
    return size > block ? block : size;
}

WRAP(ssize_t, pwrite64, int fd, const void *data, size_t size, off_t offset)
{
    bool shorten;

    if (shim_shortens(SHIM_pwrite, &shorten))
        return -1;
    return __real_pwrite64(fd, data, shorten ? less_than(size) : size, offset);
}

WRAP(ssize_t, splice, int in, loff_t *in_offset, int out, loff_t *out_offset, size_t size,
     unsigned flags)
{
    bool shorten;

    if (shim_shortens(SHIM_splice, &shorten))
        return -1;
    return __real_splice(in, in_offset, out, out_offset, shorten ? 1 : size, flags);
}

WRAP(ssize_t, copy_file_range, int in, loff_t *in_offset, int out, loff_t *out_offset, size_t size,
     unsigned flags)
{
    bool shorten;

    if (shim_shortens(SHIM_copy_file_range, &shorten))
        return -1;
    return __real_copy_file_range(in, in_offset, out, out_offset, shorten ? 1 : size, flags);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...);

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return shim_fails(SHIM_open) ? -1 : shim_opened(__real_open64(path, flags, mode));
}

int __wrap_openat64(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return shim_fails(SHIM_openat) ? -1
                                   : shim_opened(__real_openat64(directory, path, flags, mode));
}

WRAP(int, mkostemp64, char *path, int flags)
{
    return shim_fails(SHIM_mkostemp) ? -1 : shim_opened(__real_mkostemp64(path, flags));
}

WRAP(int, fsync, int fd)
{
    return shim_fails(SHIM_fsync) ? -1 : __real_fsync(fd);
}

WRAP(int, fdatasync, int fd)
{
    return shim_fails(SHIM_fdatasync) ? -1 : __real_fdatasync(fd);
}

WRAP(int, renameat2, int from_directory, const char *from, int to_directory, const char *to,
     unsigned flags)
{
    return shim_fails(SHIM_renameat2)
               ? -1
               : __real_renameat2(from_directory, from, to_directory, to, flags);
}

WRAP(int, linkat, int from_directory, const char *from, int to_directory, const char *to, int flags)
{
    return shim_fails(SHIM_linkat) ? -1
                                   : __real_linkat(from_directory, from, to_directory, to, flags);
}

WRAP(int, unlinkat, int directory, const char *path, int flags)
{
    return shim_fails(SHIM_unlinkat) ? -1 : __real_unlinkat(directory, path, flags);
}

WRAP(int, fstat64, int fd, struct stat *status)
{
    return shim_fails(SHIM_fstat) ? -1 : __real_fstat64(fd, status);
}

WRAP(int, ftruncate64, int fd, off_t size)
{
    return shim_fails(SHIM_ftruncate) ? -1 : __real_ftruncate64(fd, size);
}

WRAP(off_t, lseek64, int fd, off_t offset, int whence)
{
    return shim_fails(SHIM_lseek) ? -1 : __real_lseek64(fd, offset, whence);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

int __wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    long argument;
    int rc;

    va_start(arguments, command);
    argument = va_arg(arguments, long);
    va_end(arguments);
    if (shim_fails(SHIM_fcntl))
        return -1;
    rc = __real_fcntl64(fd, command, argument);
    return command == F_DUPFD_CLOEXEC ? shim_opened(rc) : rc;
}

WRAP(int, pipe2, int pair[2], int flags)
{
    if (shim_fails(SHIM_pipe2) || __real_pipe2(pair, flags) < 0)
        return -1;
    shim_opened(pair[0]);
    shim_opened(pair[1]);
    return 0;
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return shim_fails(SHIM_eventfd) ? -1 : shim_opened(__real_eventfd(count, flags));
}

/* ---- waiting --------------------------------------------------------------------------------- */

WRAP(int, poll, struct pollfd *polls, nfds_t count, int timeout_ms)
{
    return shim_fails(SHIM_poll) ? -1 : __real_poll(polls, count, timeout_ms);
}

WRAP(int, epoll_create1, int flags)
{
    return shim_fails(SHIM_epoll_create1) ? -1 : shim_opened(__real_epoll_create1(flags));
}

/* Taking a descriptor out can't fail. */
WRAP(int, epoll_ctl, int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation != EPOLL_CTL_DEL && shim_fails(SHIM_epoll_ctl))
        return -1;
    return __real_epoll_ctl(epoll, operation, fd, event);
}

WRAP(int, epoll_wait, int epoll, struct epoll_event *events, int max, int timeout_ms)
{
    return shim_fails(SHIM_epoll_wait) ? -1 : __real_epoll_wait(epoll, events, max, timeout_ms);
}

/* ---- processes and threads ------------------------------------------------------------------- */

WRAP(int, posix_spawn, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
     const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    int error = shim_error(SHIM_posix_spawn);

    return error ? error
                 : __real_posix_spawn(pid, path, actions, attributes, arguments, environment);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    va_list list;
    long arguments[6];

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_pidfd_open && shim_fails(SHIM_pidfd_open))
        return -1;
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}

WRAP(int, waitid, idtype_t type, id_t id, siginfo_t *info, int options)
{
    return shim_fails(SHIM_waitid) ? -1 : __real_waitid(type, id, info, options);
}

struct errand {
    void *(*run)(void *);
    void *argument;
};

static void *run_ours(void *opaque)
{
    struct errand errand = *(struct errand *)opaque;

    free(opaque);
    shim_enter();
    return errand.run(errand.argument);
}

void *__real_malloc(size_t size);

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
     void *argument)
{
    int error = shim_error(SHIM_pthread_create);
    struct errand *errand;

    if (error || !shim_is_ours())
        return error ? error : __real_pthread_create(thread, attributes, run, argument);
    errand = __real_malloc(sizeof(*errand));
    *errand = (struct errand){run, argument};
    error = __real_pthread_create(thread, attributes, run_ours, errand);
    if (error)
        free(errand);
    return error;
}

/* ---- memory ---------------------------------------------------------------------------------- */

WRAP(void *, mmap64, void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *base;

    if (shim_fails(SHIM_mmap))
        return MAP_FAILED;
    base = __real_mmap64(address, size, protection, flags, fd, offset);
    if (base != MAP_FAILED)
        shim_mapped((long)size);
    return base;
}

WRAP(int, munmap, void *address, size_t size)
{
    shim_mapped(-(long)size);
    return __real_munmap(address, size);
}

WRAP(void *, malloc, size_t size)
{
    return shim_fails(SHIM_malloc) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, size_t count, size_t size)
{
    return shim_fails(SHIM_calloc) ? NULL : __real_calloc(count, size);
}

WRAP(void *, realloc, void *old, size_t size)
{
    return shim_fails(SHIM_realloc) ? NULL : __real_realloc(old, size);
}

WRAP(char *, strdup, const char *text)
{
    return shim_fails(SHIM_strdup) ? NULL : __real_strdup(text);
}

WRAP(char *, strndup, const char *text, size_t size)
{
    return shim_fails(SHIM_strdup) ? NULL : __real_strndup(text, size);
}
