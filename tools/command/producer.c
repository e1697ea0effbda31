/* SPDX-License-Identifier: MIT */
#include "producer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 2000, PAUSE_MS = 10 };

static const struct {
    int number;
    const char *name;
} stop_signals[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}};
enum { STOP_SIGNALS = sizeof(stop_signals) / sizeof(stop_signals[0]) };

static int stop_pipe[2] = {-1, -1};
static bool held_back[STOP_SIGNALS];
static volatile sig_atomic_t stopped_by;

/* ---- signals --------------------------------------------------------------------------------- */

static void on_stop(int number)
{
    int before = errno;

    if (stopped_by) { /* whatever holds the first one up, the second ends us */
        signal(number, SIG_DFL);
        raise(number);
    }
    stopped_by = number;
    (void)!write(stop_pipe[1], "", 1);
    errno = before;
}

/* A signal that was ignored, by nohup(1) say, stays so. */
static int hold_back_signals(void)
{
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART}, before;

    if (stop_pipe[0] < 0 && pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        held_back[i] = sigaction(stop_signals[i].number, NULL, &before) == 0 &&
                       before.sa_handler != SIG_IGN &&
                       sigaction(stop_signals[i].number, &action, NULL) == 0;
    }
    /* Ignored, it would take the command's status away. */
    signal(SIGCHLD, SIG_DFL);
    return 0;
}

static void let_signals_through(void)
{
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        if (held_back[i])
            signal(stop_signals[i].number, SIG_DFL);
        held_back[i] = false;
    }
}

int producer_stop_fd(void)
{
    return stop_pipe[0];
}

int producer_stopped_by(void)
{
    return stopped_by;
}

const char *producer_stop_name(void)
{
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        if (stop_signals[i].number == stopped_by)
            return stop_signals[i].name;
    }
    return "";
}

/* ---- starting -------------------------------------------------------------------------------- */

int producer_check(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (strchr(name, '/'))
        return faccessat(AT_FDCWD, name, X_OK, AT_EACCESS) < 0 ? -errno : 0;
    for (path = path ? path : "/bin:/usr/bin"; *name; path++) {
        size_t size = strcspn(path, ":");

        snprintf(file, sizeof(file), "%.*s%s%s", (int)size, path, size ? "/" : "", name);
        if (faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) == 0)
            return 0;
        path += size;
        if (!*path)
            break;
    }
    return -ENOENT;
}

/* In the child, with what is safe between fork and exec. */
_Noreturn static void become(char *const *command, int output, int failure, pid_t parent)
{
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent && dup2(output, STDOUT_FILENO) >= 0)
        execvp(command[0], command);
    int error = errno;
    (void)!write(failure, &error, sizeof(error));
    _exit(127);
}

static int start_child(struct producer *producer, char *const *command, int output)
{
    int failure[2], error = 0;
    pid_t parent = getpid();

    if (pipe2(failure, O_CLOEXEC) < 0)
        return -errno;
    producer->pid = fork();
    if (producer->pid == 0)
        become(command, output, failure[1], parent);
    error = producer->pid < 0 ? errno : 0;
    close(failure[1]);
    if (producer->pid > 0 && read(failure[0], &error, sizeof(error)) > 0)
        waitpid(producer->pid, NULL, 0);
    else if (!error)
        producer->process = (int)syscall(SYS_pidfd_open, producer->pid, 0);
    close(failure[0]);
    if (error)
        producer->pid = 0;
    return -error;
}

int producer_start(struct producer *producer, char *const *command)
{
    int output[2];

    *producer = (struct producer){.output = -1, .process = -1};
    int rc = hold_back_signals();
    if (rc < 0)
        return rc;
    /* What it starts and leaves behind becomes a child of ours, so that it can be ended too. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (pipe2(output, O_CLOEXEC) < 0)
        return -errno;
    producer->output = output[0];
    rc = start_child(producer, command, output[1]);
    close(output[1]);
    if (rc == 0 && producer->process < 0)
        rc = -ENOSYS;
    if (rc < 0)
        producer_end(producer);
    return rc;
}

/* ---- ending ---------------------------------------------------------------------------------- */

bool producer_exited(struct producer *producer)
{
    pid_t pid = producer->pid;

    if (pid > 0 && waitpid(pid, &producer->status, WNOHANG) == pid)
        producer->pid = 0;
    return producer->pid == 0;
}

/* Each thread of ours may be a parent. Returns how many children there are. */
static unsigned signal_children(int number)
{
    char path[64];
    unsigned count = 0;
    FILE *list;
    long child;

    /* Children of a process that ended go to its reaper's first thread that lives. */
    const long threads[] = {getpid(), syscall(SYS_gettid)};
    for (size_t i = 0; i < (threads[0] == threads[1] ? 1 : 2); i++) {
        snprintf(path, sizeof(path), "/proc/self/task/%ld/children", threads[i]);
        list = fopen(path, "re");
        while (list && fscanf(list, "%ld", &child) == 1) {
            kill((pid_t)child, number);
            count++;
        }
        if (list)
            fclose(list);
    }
    return count;
}

static unsigned long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static void end_tree(struct producer *producer)
{
    unsigned long begin = now_ms();

    kill(producer->pid, SIGTERM);
    for (;;) {
        bool late = now_ms() - begin >= GRACE_MS;

        if (producer->pid && late)
            kill(producer->pid, SIGKILL);
        bool exited = producer_exited(producer);
        if (exited) {
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
            if (signal_children(late ? SIGKILL : SIGTERM) == 0)
                return;
        }
        if (now_ms() - begin >= (unsigned long)2 * GRACE_MS)
            return;
        poll(NULL, 0, PAUSE_MS);
    }
}

void producer_end(struct producer *producer)
{
    if (producer->output >= 0)
        close(producer->output);
    if (producer->pid > 0 && !producer_exited(producer))
        end_tree(producer);
    if (producer->process >= 0)
        close(producer->process);
    producer->output = producer->process = -1;
    let_signals_through();
}

const char *producer_verdict(const struct producer *producer, char *text, size_t size)
{
    int status = producer->status;

    if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
    return text;
}
