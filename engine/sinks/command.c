/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Numbers 0 to 2 may be closed in this process, so a pipe's end may get one of them. The second
 * pipe's writing end is the fourth descriptor made and cannot be 0, which dup2 replaces first. */
static int spawn(pid_t *pid, const char *line, char *const *environment, int input, int output)
{
    char *arguments[] = {"sh", "-c", (char *)line, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t reset;
    int rc;

    rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return -rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -rc;
    }
    sigemptyset(&none);
    sigemptyset(&reset);
    /* What servers ignore, and what most commands do not expect to be ignored. */
    sigaddset(&reset, SIGPIPE);
    sigaddset(&reset, SIGXFSZ);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &reset);
    /* A group of its own, so that the shell's children can be killed with it. */
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Our ends alone: the command's are other open file descriptions and stay blocking. */
static int stop_blocking(const struct lb_command *command)
{
    if (fcntl(command->input, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(command->output, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* By number: the C library's wrapper (glibc 2.36) is younger than the call. */
static int open_pid(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

int lb_command_check(void)
{
    int fd = open_pid(getpid());

    if (fd >= 0)
        close(fd);
    return fd == -ENOSYS ? fd : 0;
}

int lb_command_start(struct lb_command *command, const char *line, char *const *environment)
{
    int input[2];
    int output[2];
    int rc;

    *command = (struct lb_command){.pid_fd = -1};
    if (pipe2(input, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(output, O_CLOEXEC) < 0) {
        rc = -errno;
        close(input[0]);
        close(input[1]);
        return rc;
    }
    command->input = input[1];
    command->output = output[0];
    rc = stop_blocking(command);
    if (rc == 0)
        rc = spawn(&command->pid, line, environment, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    if (rc == 0) {
        command->pid_fd = open_pid(command->pid);
        if (command->pid_fd < 0) {
            rc = command->pid_fd;
            lb_command_kill(command);
            lb_command_wait(command);
        }
    }
    if (rc < 0) {
        command->exited = true;
        lb_command_done(command);
    }
    return rc;
}

static void reap(struct lb_command *command, int options)
{
    siginfo_t info = {0};
    int rc;

    if (command->exited)
        return;
    do {
        rc = waitid(P_PID, (id_t)command->pid, &info, WEXITED | options);
    } while (rc < 0 && errno == EINTR);
    /* ECHILD: somebody else has reaped it, so that nobody knows how it went. */
    if (rc < 0 || info.si_pid != 0) {
        command->exited = true;
        command->successful = rc == 0 && info.si_code == CLD_EXITED && info.si_status == 0;
    }
}

bool lb_command_exited(struct lb_command *command)
{
    reap(command, WNOHANG);
    return command->exited;
}

void lb_command_wait(struct lb_command *command)
{
    reap(command, 0);
}

void lb_command_kill(struct lb_command *command)
{
    assert(!command->exited);
    kill(-command->pid, SIGKILL);
}

void lb_command_done(struct lb_command *command)
{
    assert(command->exited);
    close_end(&command->pid_fd);
    close_end(&command->input);
    close_end(&command->output);
}
