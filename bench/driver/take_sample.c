/* SPDX-License-Identifier: MIT */
#include "take_sample.h"

#include "core.h"
#include "far_sender.h"
#include "files.h"
#include "gaps.h"
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_READ, PIPE_WRITE };

struct pipes {
    int ready[2];   /* a byte from the receiver: it accepts */
    int release[2]; /* closed by the driver: what was looked at may go on */
};

/* For the signal handler. */
static volatile sig_atomic_t interrupted;
static volatile pid_t children[2];

/* ---- the children ---------------------------------------------------------------------------- */

/* The namespace that is left belongs to whoever has the file. */
static bool enter(const char *net)
{
    int fd = open(net, O_RDONLY | O_CLOEXEC);
    bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;

    if (!entered)
        fprintf(stderr, "%s: no network namespace that may be entered: %s\n", net, strerror(errno));
    if (fd >= 0)
        close(fd);
    return entered;
}

static pid_t fork_child(const struct trial *trial, int core, const char *net)
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
    alarm(trial->timeout_s);
    if ((core >= 0 && core_pin(core) < 0) || (net && !enter(net)))
        _exit(1);
    return 0;
}

static void tell_ready(struct receiver *receiver)
{
    if (write(receiver->ready_fd, "", 1) != 1)
        receiver_fail(receiver, "the driver is gone", 0);
    close(receiver->ready_fd);
}

static int start_receiver(struct sample *sample, const struct trial *trial, const char *directory,
                          const struct pipes *pipes)
{
    pid_t pid = fork_child(trial, trial->cores[RECEIVING], trial->receiver_net);
    struct receiver receiver;

    if (pid < 0)
        return sample_fail(sample, "fork: %s", strerror(errno));
    if (pid > 0) {
        sample->receiver_pid = children[0] = pid;
        return 0;
    }
    close(pipes->ready[PIPE_READ]);
    close(pipes->release[PIPE_WRITE]);
    receiver_init(&receiver, trial, &sample->arrivals, &sample->receiver);
    receiver.release_fd = pipes->release[PIPE_READ];
    receiver.directory = directory;
    receiver.ready = tell_ready;
    receiver.ready_fd = pipes->ready[PIPE_WRITE];
    _exit(trial->contender->receive(trial->contender, &receiver) == 0 ? 0 : 1);
}

static int start_sender(struct sample *sample, const struct trial *trial, const struct pipes *pipes)
{
    pid_t pid = fork_child(trial, trial->cores[SENDING], trial->sender_net);
    struct sender sender;

    if (pid < 0)
        return sample_fail(sample, "fork: %s", strerror(errno));
    if (pid > 0) {
        sample->sender_pid = children[1] = pid;
        return 0;
    }
    close(pipes->release[PIPE_WRITE]);
    if (trial->far)
        _exit(far_sender_run(trial, &sample->sender, sample->receiver.address) == 0 ? 0 : 1);
    if (sender_init(&sender, trial, &sample->sender, sample->receiver.address) < 0)
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

static const char *describe(int status, const struct trial *trial, char *text, size_t size)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(text, size, "was not done after %u s", trial->timeout_s);
    else if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "failed");
    return text;
}

/* Waits for both; where one fails the other would wait in vain, and is killed. */
static void await_children(struct sample *sample, const struct trial *trial)
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
        int which = pid == sample->receiver_pid ? 0 : 1;

        children[which] = 0;
        if (status == 0)
            continue;
        if (WIFSIGNALED(status) || (!sample->receiver.why[0] && !sample->sender.why[0]))
            sample_fail(sample, "the %s %s", which == 0 ? "receiver" : "sender",
                        describe(status, trial, text, sizeof(text)));
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
static int observe_before(struct sample *sample, const struct trial *trial)
{
    if (!trial->workload->observe)
        return 0;
    if (meter_resident(sample->receiver_pid, &sample->idle.resident_before) < 0)
        return sample_fail(sample, "the receiver's memory can't be looked at");
    kernel_memory_read(&sample->idle.kernel_before);
    return 0;
}

static void stop_children(void)
{
    for (int i = 0; i < 2; i++)
        if (children[i] > 0)
            kill(children[i], SIGKILL);
}

static void stop_watching(struct gap_watch *watch, struct sample *sample)
{
    gap_watch_stop(watch);
    sample->host_gap_s =
        gaps_shared(&watch->watchers[0].gaps, &watch->watchers[1].gaps, sample->sender.begin_ns,
                    atomic_load(&sample->arrivals.last_end_ns));
}

/* Sender and receiver, from fork to exit. Takes over the descriptors. */
static void run_children(struct sample *sample, const struct trial *trial, const char *directory,
                         const struct pipes *pipes)
{
    static struct gap_watch watch;
    int rc = start_receiver(sample, trial, directory, pipes);
    bool watched;

    close(pipes->ready[PIPE_WRITE]);
    if (rc == 0)
        rc = await_ready(pipes->ready[PIPE_READ]);
    if (rc == 0)
        rc = observe_before(sample, trial);
    if (rc == 0)
        rc = start_sender(sample, trial, pipes);
    /* Only after the forks: a child of a process with threads may not do everything. */
    watched = rc == 0 && gap_watch_start(&watch, trial->cores) == 0;
    close(pipes->release[PIPE_READ]);
    if (rc == 0 && trial->workload->observe)
        rc = trial->workload->observe(trial, sample);
    close(pipes->release[PIPE_WRITE]);
    close(pipes->ready[PIPE_READ]);
    if (rc < 0)
        stop_children();
    await_children(sample, trial);
    if (watched)
        stop_watching(&watch, sample);
}

/* What went wrong first is what a reader wants to know. */
static int judge(struct sample *sample, const struct trial *trial, const char *directory)
{
    const struct arrivals *arrivals = &sample->arrivals;
    char why[200];

    if (arrivals->wrong) {
        sample->why[0] = '\0';
        return sample_fail(sample, "%s", arrivals->why);
    }
    if (sample->receiver.why[0]) {
        sample->why[0] = '\0';
        return sample_fail(sample, "%s", sample->receiver.why);
    }
    if (sample->why[0])
        return -1;
    if (sample->sender.why[0])
        return sample_fail(sample, "the sender: %s", sample->sender.why);
    if (arrivals->ended != arrivals->streams)
        return sample_fail(sample, "%lu streams ended where %lu were sent",
                           (unsigned long)arrivals->ended, (unsigned long)arrivals->streams);
    if (directory && files_check(directory, trial, why, sizeof(why)) < 0)
        return sample_fail(sample, "%s", why);
    return 0;
}

static int execute(struct sample *sample, const struct trial *trial, const char *directory)
{
    struct pipes pipes;

    if (pipe2(pipes.ready, O_CLOEXEC) < 0)
        return sample_fail(sample, "pipe: %s", strerror(errno));
    if (pipe2(pipes.release, O_CLOEXEC) < 0) {
        close(pipes.ready[PIPE_READ]);
        close(pipes.ready[PIPE_WRITE]);
        return sample_fail(sample, "pipe: %s", strerror(errno));
    }
    run_children(sample, trial, directory, &pipes);
    return judge(sample, trial, directory);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int take_sample(struct sample *sample, const struct trial *trial)
{
    bool files = trial->workload->demands & DEMAND_FILES;
    struct sigaction before[2];
    char directory[PATH_MAX];
    int rc = payload_open();

    memset(sample, 0, sizeof(*sample));
    sample->host_gap_s = -1;
    arrivals_init(&sample->arrivals, trial->streams, trial->stream_bytes);
    if (rc < 0)
        return sample_fail(sample, "no payload: %s", strerror(-rc));
    rc = files ? files_make_directory(directory, trial->directory) : 0;
    if (rc < 0)
        return sample_fail(sample, "no directory can be made in %s: %s", trial->directory,
                           strerror(-rc));
    raise_descriptor_limit();
    catch_signals(before);
    rc = execute(sample, trial, files ? directory : NULL);
    if (files)
        files_remove(directory);
    release_signals(before);
    return rc;
}
