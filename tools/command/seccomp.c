/* SPDX-License-Identifier: MIT */
#include "seccomp.h"

#include <errno.h>

#ifdef HAVE_SECCOMP

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h> /* libseccomp's, not ours. NOLINT(readability-duplicate-include) */
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sockios.h>

/*
 * Whatever is not listed fails as if the kernel were too old to know it: the C library and this
 * program then take their older way, or say what failed, and the stream concerned ends other than
 * eof. A kill would end all streams because a new C library has come to prefer a new call.
 *
 * By name, as not every machine has every call; what libseccomp doesn't know is left out.
 */
static const char *const allowed[] = {
    /* streams */
    "accept",
    "accept4",
    "getpeername",
    "getsockname",
    "getsockopt",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
    "splice",
    "tee",
    "vmsplice",
    "write",
    "writev",

    /* waiting */
    "epoll_create1",
    "epoll_ctl",
    "epoll_ctl_old",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "io_uring_enter",
    "io_uring_register",
    "pipe2",
    "poll",
    "ppoll",
    "ppoll_time64",
    "pselect6",
    "pselect6_time64",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",

    /* files */
    "close",
    "close_range",
    "copy_file_range",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fadvise64_64",
    "fallocate",
    "fchmod",
    "fdatasync",
    "flock",
    "fstat",
    "fstat64",
    "fstatat64",
    "fstatfs",
    "fstatfs64",
    "fsync",
    "ftruncate",
    "ftruncate64",
    "getdents64",
    "_llseek",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "lstat64",
    "newfstatat",
    "open",
    "openat",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "readlink",
    "readlinkat",
    "rename",
    "renameat",
    "renameat2",
    "sendfile",
    "sendfile64",
    "stat",
    "stat64",
    "statx",
    "sync_file_range",
    "syncfs",
    "unlink",
    "unlinkat",

    /* threads, memory, signals, time: what the C library needs for itself */
    "alarm",
    "brk",
    "clock_getres",
    "clock_getres_time64",
    "clock_gettime",
    "clock_gettime64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "exit",
    "exit_group",
    "futex",
    "futex_time64",
    "futex_waitv",
    "get_robust_list",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "madvise",
    "membarrier",
    "mincore",
    "mremap",
    "munmap",
    "nanosleep",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "setitimer", /* alarm(3), where that is no call */
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "sigreturn",
    "sysinfo",
    "time",
    "times",
    "ugetrlimit",
    "uname",
};

static int allow_names(scmp_filter_ctx filter)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);

        if (number != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        /* Known to libseccomp, but not on this machine. */
        if (rc == -EDOM)
            rc = 0;
    }
    return rc;
}

static int allow_if(scmp_filter_ctx filter, const char *name, const struct scmp_arg_cmp *when)
{
    int number = seccomp_syscall_resolve_name(name), rc = 0;

    if (number != __NR_SCMP_ERROR)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, when);
    return rc == -EDOM ? 0 : rc;
}

/* This process's own limits and cores, signals to itself, and memory that is not run: what is left
 * out could be used against other processes of the same user, or to bring in code. */
static int allow_own(scmp_filter_ctx filter)
{
    const struct {
        const char *name;
        struct scmp_arg_cmp when;
    } calls[] = {
        {"prlimit64", {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0}},
        {"sched_setaffinity", {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0}},
        {"tgkill", {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()}},
        {"mmap", {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0}},
        {"mmap2", {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0}},
        {"mprotect", {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0}},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
        rc = allow_if(filter, calls[i].name, &calls[i].when);
    return rc;
}

/* Not those by which the kernel sends signals to anybody when a descriptor is ready (F_SETOWN). */
static int allow_descriptor_flags(scmp_filter_ctx filter)
{
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,
                                   F_GETFL, F_SETFL,         F_GETPIPE_SZ, F_SETPIPE_SZ};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct scmp_arg_cmp when = {
            .arg = 1, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)commands[i]};

        rc = allow_if(filter, "fcntl", &when);
        if (rc == 0)
            rc = allow_if(filter, "fcntl64", &when);
    }
    return rc;
}

/* Threads, which set their timer slack and name, but no processes. clone3 keeps its flags where a
 * filter can't look: refused, the C library takes clone. */
static int allow_threads(scmp_filter_ctx filter)
{
#ifdef __s390x__
    const unsigned flags_argument = 1;
#else
    const unsigned flags_argument = 0;
#endif
    static const int settings[] = {PR_SET_TIMERSLACK, PR_SET_NAME};
    int rc =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                         SCMP_CMP(flags_argument, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

    for (size_t i = 0; rc == 0 && i < sizeof(settings) / sizeof(settings[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                              SCMP_CMP(0, SCMP_CMP_EQ, (scmp_datum_t)settings[i], 0));
    return rc;
}

/* How wide a terminal is, and how much a socket holds. */
static int allow_questions(scmp_filter_ctx filter)
{
    static const unsigned long questions[] = {TCGETS, TIOCGWINSZ, SIOCOUTQ, SIOCINQ};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(questions) / sizeof(questions[0]); i++) {
        const struct scmp_arg_cmp same = {
            .arg = 1, .op = SCMP_CMP_EQ, .datum_a = questions[i], .datum_b = 0};

        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &same);
    }
    return rc;
}

/* Of IPv4 and IPv6 alone. */
static int allow_connections(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6};
    int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);

    for (size_t i = 0; rc == 0 && i < sizeof(families) / sizeof(families[0]); i++) {
        const struct scmp_arg_cmp when = {
            .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)families[i]};

        rc = allow_if(filter, "socket", &when);
    }
    return rc;
}

static int load(scmp_filter_ctx filter, bool network)
{
    int rc;

    /* no-new-privs is a thing of its own here. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    /* Kernels before 5.16 slow a filtered process as if it ran code of others, unless told. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    rc = allow_names(filter);
    if (rc == 0)
        rc = allow_own(filter);
    if (rc == 0)
        rc = allow_descriptor_flags(filter);
    if (rc == 0)
        rc = allow_threads(filter);
    if (rc == 0)
        rc = allow_questions(filter);
    if (rc == 0 && network)
        rc = allow_connections(filter);
    return rc == 0 ? seccomp_load(filter) : rc;
}

int seccomp_enforce(bool network)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc = filter ? load(filter, network) : -ENOMEM;

    seccomp_release(filter);
    return rc;
}

int seccomp_check(void)
{
    uint32_t action = SECCOMP_RET_ERRNO;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

#else

int seccomp_enforce(bool network)
{
    (void)network;
    return -ENOTSUP;
}

int seccomp_check(void)
{
    return -ENOTSUP;
}

#endif

const char *seccomp_why(int error)
{
    switch (error) {
    case -ENOTSUP:
        return "this program was built without it: libseccomp was missing, or the build is "
               "instrumented";
    case -ENOSYS:
    case -EINVAL:
        return "this kernel was built without seccomp filters";
    case -EPERM:
    case -EACCES:
        return "denied: it needs no-new-privs, and no seccomp filter that forbids it";
    default:
        return "the kernel refuses it";
    }
}
