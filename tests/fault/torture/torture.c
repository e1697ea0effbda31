/* SPDX-License-Identifier: MIT */
/*
 * torture BACKEND tcp|unix [SINK[-direct] [CALL]]: every call that can fail fails once, the first
 * time, the second, and so on until a run doesn't reach it any more. Each run is a process of its
 * own.
 */
#include "scenario.h"

#include "support.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_SKIP = 77 };

/* How many of the streams may end otherwise than complete. */
enum harm { NONE, ONE, ALL };

static const struct fault {
    enum shim_call call;
    int error;
    enum harm harm;
    bool engine; /* the same for every sink: tried with one of them */
} faults[] = {
    {SHIM_socket, EMFILE, ALL, true},
    {SHIM_socketpair, EMFILE, ALL, true},
    {SHIM_bind, EADDRINUSE, ALL, true},
    {SHIM_listen, EADDRINUSE, ALL, true},
    {SHIM_getsockname, ENOBUFS, ALL, true},
    {SHIM_setsockopt, ENOMEM, ALL, true},
    {SHIM_getpeername, ENOTCONN, NONE, true},
    {SHIM_accept4, EINTR, NONE, true},
    {SHIM_accept4, EAGAIN, NONE, true},
    {SHIM_accept4, ECONNABORTED, NONE, true},
    {SHIM_accept4, EMFILE, NONE, true},
    {SHIM_accept4, ENOMEM, NONE, true},
    {SHIM_recv, EINTR, NONE, true},
    {SHIM_recv, EAGAIN, NONE, true},
    {SHIM_recv, SHIM_SHORT, NONE, false},
    {SHIM_recv, ECONNRESET, ONE, false},
    {SHIM_recv, ENOMEM, ONE, true},
    {SHIM_send, EINTR, NONE, false},
    {SHIM_send, EAGAIN, NONE, false},
    {SHIM_send, SHIM_SHORT, NONE, false},
    {SHIM_send, EPIPE, ONE, false},
    {SHIM_read, EINTR, NONE, false},
    {SHIM_read, SHIM_SHORT, NONE, false},
    {SHIM_read, EIO, ONE, false},
    {SHIM_write, EINTR, NONE, false},
    {SHIM_write, SHIM_SHORT, NONE, false},
    {SHIM_write, EIO, ONE, false},
    {SHIM_write, ENOSPC, ONE, false},
    {SHIM_pread, EINTR, NONE, false},
    {SHIM_pread, SHIM_SHORT, NONE, false},
    {SHIM_pread, EIO, ONE, false},
    {SHIM_pwrite, EINTR, NONE, false},
    {SHIM_pwrite, SHIM_SHORT, NONE, false},
    {SHIM_pwrite, EIO, ONE, false},
    {SHIM_pwrite, ENOSPC, ONE, false},
    {SHIM_splice, EINTR, NONE, false},
    {SHIM_splice, SHIM_SHORT, NONE, false},
    {SHIM_splice, EIO, ONE, false},
    {SHIM_open, EMFILE, ALL, false},
    {SHIM_openat, ENOSPC, ONE, false},
    {SHIM_openat, EMFILE, ONE, false},
    {SHIM_mkostemp, EMFILE, ONE, false},
    {SHIM_fsync, EIO, ALL, false}, /* streams that end together share a sync */
    {SHIM_fdatasync, EIO, ONE, false},
    {SHIM_renameat2, EIO, ONE, false},
    {SHIM_renameat2, EINVAL, NONE, false},
    {SHIM_linkat, EIO, ONE, false},
    {SHIM_unlinkat, EIO, ONE, false},
    {SHIM_close, EIO, ONE, false},
    {SHIM_close, EINTR, ONE, false},
    {SHIM_fstat, EIO, ALL, false},
    {SHIM_ftruncate, EIO, ONE, false},
    {SHIM_lseek, EIO, ONE, false},
    {SHIM_copy_file_range, EINTR, NONE, false},
    {SHIM_copy_file_range, EXDEV, NONE, false},
    {SHIM_copy_file_range, SHIM_SHORT, NONE, false},
    {SHIM_copy_file_range, EIO, ONE, false},
    {SHIM_fcntl, EMFILE, ALL, false},
    {SHIM_pipe2, EMFILE, ONE, false},
    {SHIM_eventfd, EMFILE, ALL, false},
    {SHIM_poll, EINTR, NONE, false},
    {SHIM_poll, ENOMEM, ALL, false},
    {SHIM_epoll_create1, EMFILE, ALL, true},
    {SHIM_epoll_ctl, ENOMEM, ONE, false},
    {SHIM_epoll_wait, EINTR, NONE, false},
    {SHIM_posix_spawn, EAGAIN, ONE, false},
    {SHIM_pidfd_open, EMFILE, ALL, false},
    {SHIM_waitid, EINTR, NONE, false},
    {SHIM_pthread_create, EAGAIN, ALL, false},
    {SHIM_mmap, ENOMEM, ALL, false},
    {SHIM_malloc, ENOMEM, ALL, false},
    {SHIM_calloc, ENOMEM, ALL, false},
    {SHIM_realloc, ENOMEM, ALL, false},
    {SHIM_strdup, ENOMEM, ALL, false},
    {SHIM_uring_setup, ENOMEM, ALL, true},
    {SHIM_uring_setup, EPERM, ALL, true},
    {SHIM_uring_register, ENOMEM, ALL, true},
    {SHIM_uring_register_buffers, ENOMEM, ALL, true},
    {SHIM_uring_register_descriptor, ENOMEM, NONE, true},
    {SHIM_uring_submit, EINTR, NONE, true},
    {SHIM_uring_submit, EAGAIN, NONE, true},
    {SHIM_uring_submit, EBUSY, NONE, true},
    {SHIM_uring_submit, EIO, ALL, true},
    {SHIM_uring_wait, EINTR, NONE, false},
    {SHIM_uring_wait, EAGAIN, NONE, true},
    {SHIM_uring_wait, EBUSY, NONE, true},
    {SHIM_uring_wait, EIO, ALL, true},
    {SHIM_uring_gather, EINTR, NONE, true},
    {SHIM_uring_gather, EIO, ALL, true},
    {SHIM_recv_request, EINTR, NONE, true},
    {SHIM_recv_request, EAGAIN, NONE, true},
    {SHIM_recv_request, ENOBUFS, NONE, false},
    {SHIM_recv_request, ECONNRESET, ONE, false},
    {SHIM_recv_request, ENOMEM, ONE, true},
    {SHIM_accept_request, ECONNABORTED, NONE, true},
    {SHIM_accept_request, EMFILE, NONE, true},
    {SHIM_accept_request, ENOMEM, NONE, true},
    {SHIM_poll_request, ENOMEM, ONE, false},
    {SHIM_eof_completion, ECONNRESET, ONE, false},
    {SHIM_eof_completion, EIO, ONE, true},
};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static const struct form {
    const char *name, *sink;
    bool direct;
} forms[] = {
    {"discard", "discard", false},
    {"file", "file", false},
    {"dir", "dir", false},
    {"stdout", "stdout", false},
    {"file-direct", "file", true},
    {"dir-direct", "dir", true},
#ifndef __SANITIZE_ADDRESS__
    /* A child of the guardian's that is stopped before it has become a command can hold the lock of
     * that sanitizer's allocator, which it shares with the guardian: seen once, which then hung. */
    {"exec", "exec", false},
#endif
};

enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

/* In memory that the runs share with this process. */
static struct shared {
    struct shim_report report;
    struct outcome outcome;
} * shared;

static unsigned failures;

static void describe(const struct scenario *scenario, const struct shim_plan *plan)
{
    printf("FAILED: %s %s %s%s, %s: %s, time %u, %s: ", scenario->backend,
           scenario->over_unix ? "unix" : "tcp", scenario->sink, scenario->direct ? "-direct" : "",
           plan->phase == SHIM_OPENING ? "opening" : "serving", shim_names[plan->call], plan->nth,
           plan->error == SHIM_SHORT ? "short" : strerrorname_np(plan->error));
}

/* Waits for the run's process. False: it had to be killed, or died. */
static bool await_run(pid_t pid)
{
    const uint64_t deadline = time_now_ns() + (scale_small() ? 120 : 30) * UINT64_C(1000000000);
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (time_now_ns() > deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            scenario_break(&shared->outcome, "it hangs");
            return false;
        }
        time_nap();
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    scenario_break(&shared->outcome, "it died of status %#x", (unsigned)status);
    return false;
}

static void run_once(struct scenario *scenario, const struct shim_plan *plan)
{
    char directory[256];
    pid_t pid;

    memset(shared, 0, sizeof(*shared));
    if (directory_make(directory, sizeof(directory)))
        abort();
    scenario->directory = directory;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        scenario_run(scenario, plan, &shared->report, &shared->outcome);
        _exit(0);
    }
    await_run(pid);
    directory_remove(directory);
}

/* A signal is no reason to refuse. */
static bool must_try_again(const struct fault *fault)
{
    return fault->error == EINTR && fault->call != SHIM_recv_request;
}

/* How many streams may be lost. An engine that can't be opened for a fault of that time says so;
 * one that can is as good as any. */
static void check_harm(const struct fault *fault, enum shim_phase phase)
{
    struct outcome *outcome = &shared->outcome;
    bool fired = atomic_load(&shared->report.fired);
    bool may_refuse =
        fired && (phase == SHIM_OPENING ? !must_try_again(fault) : fault->harm == ALL);
    enum harm harm = fired && phase == SHIM_SERVING ? fault->harm : NONE;
    unsigned allowed = harm == ALL ? SCENARIO_PEERS : harm == ONE ? 1 : 0;

    if (!outcome->began && !may_refuse)
        scenario_break(outcome, "the engine doesn't begin");
    if (outcome->began && outcome->complete + allowed < SCENARIO_PEERS)
        scenario_break(outcome, "only %u streams are complete", outcome->complete);
}

/* The fault at each time that a run reaches it. Returns how many runs did. */
static unsigned torture(struct scenario *scenario, const struct fault *fault, enum shim_phase phase)
{
    struct shim_plan plan = {.phase = phase, .call = fault->call, .error = fault->error};
    const unsigned most = scale_count(20, 5);

    do {
        plan.nth++;
        run_once(scenario, &plan);
        check_harm(fault, phase);
        if (shared->outcome.broken) {
            describe(scenario, &plan);
            printf("%s (%s)\n", shared->outcome.why, shared->outcome.note);
            failures++;
        }
    } while (atomic_load(&shared->report.fired) && plan.nth < most);
    return plan.nth - !atomic_load(&shared->report.fired);
}

static bool is_wanted(const char *name, const char *wanted)
{
    return !wanted || strcmp(name, wanted) == 0;
}

static bool can_write_directly(void)
{
    const struct lb_sink_options options = {LB_SINK_OPTIONS_INIT, .direct = true};
    const struct lb_sink *sink = NULL;
    char directory[256], specification[300];
    void *context = NULL;
    int rc;

    if (directory_make(directory, sizeof(directory)))
        abort();
    snprintf(specification, sizeof(specification), "dir:%s", directory);
    rc = lb_sink_open(&sink, &context, specification, &options, NULL);
    if (rc == 0)
        lb_sink_close(sink, context);
    directory_remove(directory);
    return rc != -EOPNOTSUPP;
}

static unsigned torture_form(struct scenario *scenario, const struct form *form, const char *call)
{
    const bool first = form == forms;
    unsigned cases = 0;

    scenario->sink = form->sink;
    scenario->direct = form->direct;
    for (int i = 0; i < FAULTS; i++) {
        const struct fault *fault = &faults[i];

        if ((fault->engine && !first) || !is_wanted(shim_names[fault->call], call))
            continue;
        if (first || form->direct || fault->harm == ALL)
            cases += torture(scenario, fault, SHIM_OPENING);
        cases += torture(scenario, fault, SHIM_SERVING);
    }
    return cases;
}

static unsigned torture_all(struct scenario *scenario, const char *wanted, const char *call)
{
    const bool direct = can_write_directly();
    unsigned cases = 0;

    if (!direct)
        printf("no O_DIRECT here: the file system of TMPDIR or /tmp refuses it\n");
    for (const struct form *form = forms; form < forms + FORMS; form++)
        if (is_wanted(form->name, wanted) && (direct || !form->direct))
            cases += torture_form(scenario, form, call);
    return cases;
}

/* Asked in a process of its own: this one must never have made a ring, whose remains its children
 * would inherit. 0 to go on, else the status to exit with. */
static int check_backend(const char *backend)
{
    const char *required = getenv("LASTBYTE_REQUIRE_URING");
    struct lb_probe probe = {LB_PROBE_INIT};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        lb_probe(&probe);
        for (size_t i = 0; i < probe.backends; i++)
            if (strcmp(probe.features[i].name, backend) == 0)
                _exit(probe.features[i].usable ? 0 : EXIT_SKIP);
        _exit(EXIT_USAGE);
    }
    waitpid(pid, &status, 0);
    status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    if (status == EXIT_SKIP &&
        (strcmp(backend, "uring") != 0 || (required && strcmp(required, "1") == 0)))
        status = EXIT_FAILURE;
    if (status)
        fprintf(stderr, "the backend %s can't be used here\n", backend);
    return status;
}

int main(int argc, char **argv)
{
    struct scenario scenario = {0};
    unsigned cases;
    int status;

    if (argc < 3 || (strcmp(argv[2], "tcp") != 0 && strcmp(argv[2], "unix") != 0)) {
        fprintf(stderr, "usage: %s BACKEND tcp|unix [SINK[-direct] [CALL]]\n", argv[0]);
        return EXIT_USAGE;
    }
    scenario.backend = argv[1];
    scenario.over_unix = strcmp(argv[2], "unix") == 0;
    status = check_backend(argv[1]);
    if (status)
        return status;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return EXIT_FAILURE;
    cases = torture_all(&scenario, argc > 3 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL);
    if (cases == 0)
        printf("FAILED: no call was reached\n");
    else if (failures == 0)
        printf("fault 3 %s %s: %u cases\n", argv[1], argv[2], cases);
    return failures || cases == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
