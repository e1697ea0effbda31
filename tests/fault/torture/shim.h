/* SPDX-License-Identifier: MIT */
/*
 * A layer between the engine and the C library, io_uring included (the linker's --wrap): it makes
 * one chosen call fail, once, the Nth time. It meddles with the engine's threads only: the one that
 * said shim_enter, and those that it made since. It also follows descriptors and mappings, so that
 * what is closed twice, or never unmapped, is seen.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stdatomic.h>
#include <stdbool.h>

/* What can be made to fail, in the order of this list's names. (clang-format never comes to rest on
 * it.) */
/* clang-format off */
#define SHIM_CALLS(X)                                                                              \
    X(socket) X(socketpair) X(bind) X(listen) X(getsockname) X(setsockopt) X(getpeername)          \
    X(accept4) X(recv) X(send) X(read) X(write) X(pread) X(pwrite) X(splice) X(open) X(openat)     \
    X(mkostemp) X(fsync) X(fdatasync) X(renameat2) X(linkat) X(unlinkat) X(close) X(fstat)         \
    X(ftruncate) X(lseek) X(copy_file_range) X(fcntl) X(pipe2) X(eventfd) X(poll)                  \
    X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(posix_spawn) X(pidfd_open) X(waitid)             \
    X(pthread_create) X(mmap) X(malloc) X(calloc) X(realloc) X(strdup) X(uring_setup)              \
    X(uring_register) X(uring_register_buffers) X(uring_register_descriptor) X(uring_submit)       \
    X(uring_wait) X(uring_gather)                                                                  \
    /* requests that complete with an error */                                                     \
    X(recv_request) X(accept_request) X(poll_request)                                             \
    /* the completion that says EOF, turned into an error */                                       \
    X(eof_completion)
/* clang-format on */

enum shim_call {
#define SHIM_ENUM(name) SHIM_##name,
    SHIM_CALLS(SHIM_ENUM)
#undef SHIM_ENUM
        SHIM_COUNT
};

/* The name of a call. */
extern const char *const shim_names[SHIM_COUNT];

/* In place of an error: the call does less than it was asked to. */
enum { SHIM_SHORT = -1 };

/* Calls are counted from 1 in each. */
enum shim_phase { SHIM_OPENING, SHIM_SERVING };

struct shim_plan {
    enum shim_phase phase;
    enum shim_call call;
    unsigned nth; /* from 1; 0: never */
    int error;    /* an errno, or SHIM_SHORT */
};

/* What the shim saw; may lie in memory shared with another process. */
struct shim_report {
    atomic_uint reached[SHIM_COUNT];
    atomic_bool fired;
    atomic_long mapped; /* bytes mapped and not unmapped */
    atomic_bool complained;
    char complaint[160]; /* the first */
};

/* From now on. The report must be zeroed. */
void shim_arm(const struct shim_plan *plan, struct shim_report *report);

/* The engine is open: what follows is the other phase. */
void shim_serve(void);

/* This thread's calls are the engine's, until it leaves. */
void shim_enter(void);
void shim_leave(void);

/* ---- for the shim's own files ---------------------------------------------------------------- */

/* Whether this thread's calls are the engine's. */
bool shim_is_ours(void);

/* Counts a call. Returns 0 or the error with which it shall fail. */
int shim_error(enum shim_call call);

/* The same with errno set: true if the call shall fail; *shorten if it shall do less instead. */
bool shim_fails(enum shim_call call);
bool shim_shortens(enum shim_call call, bool *shorten);

/* A call returned fd, or failed. Returns fd. */
int shim_opened(int fd);

/* That many bytes were mapped, or unmapped if negative. */
void shim_mapped(long size);

void shim_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
