/* SPDX-License-Identifier: MIT */
#include "run.h"

#include "core.h"
#include "files.h"
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_READ, PIPE_WRITE };

struct pipes {
    int ready[2];   /* a byte from the receiver: it accepts */
    int release[2]; /* closed by the driver: the sender may end idle streams */
};

/* For the signal handler. */
static volatile sig_atomic_t interrupted;
static volatile pid_t children[2];

struct run *run_open(void)
{
    struct run *run =
        mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return run == MAP_FAILED ? NULL : run;
}

void run_close(struct run *run)
{
    if (run)
        munmap(run, sizeof(*run));
}

int run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->why[0])
        return -1;
    va_start(arguments, format);
    vsnprintf(run->why, sizeof(run->why), format, arguments);
    va_end(arguments);
    return -1;
}

double run_wall(const struct run *run)
{
    return (double)(run->ledger.last_end_ns - run->sender.begin_ns) / 1e9;
}

double run_system_cpu(const struct run *run)
{
    return run->receiver.machine.busy_s - run->sender.machine.busy_s;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

bool run_child_ended(const struct run *run)
{
    return has_ended(run->receiver_pid) || has_ended(run->sender_pid);
}

/* ---- the children ---------------------------------------------------------------------------- */

static pid_t fork_child(const struct plan *plan, int core)
{
    pid_t parent = getpid();
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    /* Whatever hangs, hangs no longer than this; the parent tells SIGALRM from other deaths. */
    alarm(plan->limit_s);
    if (core >= 0 && core_pin(core) < 0)
        _exit(1);
    return 0;
}

static void tell_ready(struct receiver *receiver)
{
    if (write(receiver->ready_fd, "", 1) != 1)
        receiver_fail(receiver, "the driver is gone", 0);
    close(receiver->ready_fd);
}

static int start_receiver(struct run *run, const struct plan *plan, const char *directory,
                          const struct pipes *pipes)
{
    pid_t pid = fork_child(plan, plan->receiver_core);
    struct receiver receiver;

    if (pid < 0)
        return run_fail(run, "fork: %s", strerror(errno));
    if (pid > 0) {
        run->receiver_pid = children[0] = pid;
        return 0;
    }
    close(pipes->ready[PIPE_READ]);
    close(pipes->release[PIPE_READ]);
    close(pipes->release[PIPE_WRITE]);
    receiver_init(&receiver, plan, &run->ledger, &run->receiver);
    receiver.directory = directory;
    receiver.ready = tell_ready;
    receiver.ready_fd = pipes->ready[PIPE_WRITE];
    _exit(plan->contender->receive(plan->contender, &receiver) == 0 ? 0 : 1);
}

static int start_sender(struct run *run, const struct plan *plan, const struct pipes *pipes)
{
    pid_t pid = fork_child(plan, plan->sender_core);
    struct sender sender;

    if (pid < 0)
        return run_fail(run, "fork: %s", strerror(errno));
    if (pid > 0) {
        run->sender_pid = children[1] = pid;
        return 0;
    }
    close(pipes->release[PIPE_WRITE]);
    if (sender_init(&sender, plan, &run->sender, run->receiver.address) < 0)
        _exit(1);
    sender.release_fd = pipes->release[PIPE_READ];
    _exit(sender_run(&sender) == 0 ? 0 : 1);
}

static int await_ready(int fd)
{
    char byte;
    ssize_t got;

    do
        got = read(fd, &byte, 1);
    while (got < 0 && errno == EINTR && !interrupted);
    return got == 1 ? 0 : -1;
}

static const char *describe(int status, const struct plan *plan, char *text, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(text, size, "was not done after %u s", plan->limit_s);
    else if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "failed");
    return text;
}

/* Waits for both; where one fails the other would wait in vain, and is killed. */
static void await_children(struct run *run, const struct plan *plan)
{
    char text[128];
    int status;
    pid_t pid;

    while (children[0] > 0 || children[1] > 0) {
        pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            break;
        int which = pid == run->receiver_pid ? 0 : 1;

        children[which] = 0;
        if (status == 0)
            continue;
        if (WIFSIGNALED(status) || (!run->receiver.why[0] && !run->sender.why[0]))
            run_fail(run, "the %s %s", which == 0 ? "receiver" : "sender",
                     describe(status, plan, text, sizeof(text)));
        if (children[!which] > 0)
            kill(children[!which], SIGKILL);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void note_signal(int number)
{
    interrupted = number;
    for (int i = 0; i < 2; i++)
        if (children[i] > 0)
            kill(children[i], SIGKILL);
}

static void catch_signals(struct sigaction before[2])
{
    struct sigaction action = {.sa_handler = note_signal};

    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
}

static void release_signals(const struct sigaction before[2])
{
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    if (interrupted)
        raise(interrupted);
}

/* Between the two: a receiver that waits, and nothing sent yet. */
static int observe_before(struct run *run, const struct plan *plan)
{
    if (!plan->workload->observe)
        return 0;
    if (meter_resident(run->receiver_pid, &run->idle.resident_before) < 0)
        return run_fail(run, "the receiver's memory can't be looked at");
    return 0;
}

static void stop_children(void)
{
    for (int i = 0; i < 2; i++)
        if (children[i] > 0)
            kill(children[i], SIGKILL);
}

/* Sender and receiver, from fork to exit. Takes over the descriptors. */
static void run_children(struct run *run, const struct plan *plan, const char *directory,
                         const struct pipes *pipes)
{
    int rc = start_receiver(run, plan, directory, pipes);

    close(pipes->ready[PIPE_WRITE]);
    if (rc == 0)
        rc = await_ready(pipes->ready[PIPE_READ]);
    if (rc == 0)
        rc = observe_before(run, plan);
    if (rc == 0)
        rc = start_sender(run, plan, pipes);
    close(pipes->release[PIPE_READ]);
    if (rc == 0 && plan->workload->observe)
        rc = plan->workload->observe(plan, run);
    close(pipes->release[PIPE_WRITE]);
    close(pipes->ready[PIPE_READ]);
    if (rc < 0)
        stop_children();
    await_children(run, plan);
}

/* What went wrong first is what a reader wants to know. */
static int judge(struct run *run, const struct plan *plan, const char *directory)
{
    const struct ledger *ledger = &run->ledger;
    char why[200];

    if (ledger->wrong) {
        run->why[0] = '\0';
        return run_fail(run, "%s", ledger->why);
    }
    if (run->receiver.why[0]) {
        run->why[0] = '\0';
        return run_fail(run, "%s", run->receiver.why);
    }
    if (run->why[0])
        return -1;
    if (run->sender.why[0])
        return run_fail(run, "the sender: %s", run->sender.why);
    if (ledger->ended != ledger->streams)
        return run_fail(run, "%lu streams ended where %lu were sent", (unsigned long)ledger->ended,
                        (unsigned long)ledger->streams);
    if (directory && files_check(directory, plan, why, sizeof(why)) < 0)
        return run_fail(run, "%s", why);
    return 0;
}

static int execute(struct run *run, const struct plan *plan, const char *directory)
{
    struct pipes pipes;

    if (pipe2(pipes.ready, O_CLOEXEC) < 0)
        return run_fail(run, "pipe: %s", strerror(errno));
    if (pipe2(pipes.release, O_CLOEXEC) < 0) {
        close(pipes.ready[PIPE_READ]);
        close(pipes.ready[PIPE_WRITE]);
        return run_fail(run, "pipe: %s", strerror(errno));
    }
    run_children(run, plan, directory, &pipes);
    return judge(run, plan, directory);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int run_execute(struct run *run, const struct plan *plan)
{
    bool files = plan->workload->demands & DEMAND_FILES;
    struct sigaction before[2];
    char directory[PATH_MAX];
    int rc = payload_open();

    memset(run, 0, sizeof(*run));
    ledger_init(&run->ledger, plan->streams, plan->stream_bytes);
    if (rc < 0)
        return run_fail(run, "no payload: %s", strerror(-rc));
    rc = files ? files_make_directory(directory, plan->directory) : 0;
    if (rc < 0)
        return run_fail(run, "no directory can be made in %s: %s", plan->directory, strerror(-rc));
    raise_descriptor_limit();
    catch_signals(before);
    rc = execute(run, plan, files ? directory : NULL);
    if (files)
        files_remove(directory);
    release_signals(before);
    return rc;
}
