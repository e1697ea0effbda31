/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    OURS = 4,         /* variables that are told of a stream */
    NOT_STARTED = 127 /* as a shell says it */
};

static bool is_ours(const char *variable)
{
    static const char *const names[OURS] = {
        "LASTBYTE_PEER=", "LASTBYTE_STREAM=", "LASTBYTE_END_FD=", "LASTBYTE_IDENTITY="};

    for (size_t i = 0; i < OURS; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

int lb_launch_init(struct lb_launch *launch, const char *line)
{
    size_t count = 0;

    while (environ && environ[count])
        count++;
    *launch = (struct lb_launch){.line = strdup(line),
                                 .environment = calloc(count + OURS + 1, sizeof(char *))};
    if (!launch->line || !launch->environment) {
        lb_launch_done(launch);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            launch->environment[launch->variables++] = environ[i];
    getrlimit(RLIMIT_NOFILE, &launch->descriptors);
    getrlimit(RLIMIT_CORE, &launch->core);
    return 0;
}

void lb_launch_done(struct lb_launch *launch)
{
    free(launch->line);
    free(launch->environment);
}

/* In a process that shares this one's memory until it is the shell. */
static _Noreturn void become_shell(const struct lb_launch *launch, int input, int output, int end)
{
    char *arguments[] = {"sh", "-c", launch->line, NULL};
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(end, LB_LAUNCH_END_FD) < 0 || setrlimit(RLIMIT_NOFILE, &launch->descriptors) < 0 ||
        setrlimit(RLIMIT_CORE, &launch->core) < 0)
        _exit(NOT_STARTED);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/bin/sh", arguments, launch->environment);
    _exit(NOT_STARTED);
}

pid_t lb_launch(const struct lb_launch *launch, const struct lb_guardian_start *start, int input,
                int output, int end)
{
    char peer[LB_PEER_SIZE + sizeof("LASTBYTE_PEER=")];
    char id[sizeof("LASTBYTE_STREAM=") + 20];
    char fd[sizeof("LASTBYTE_END_FD=") + 10];
    char identity[LB_IDENTITY_SIZE + sizeof("LASTBYTE_IDENTITY=")];
    char **ours = launch->environment + launch->variables;
    pid_t pid;

    snprintf(peer, sizeof(peer), "LASTBYTE_PEER=%.*s", LB_PEER_SIZE, start->peer);
    snprintf(id, sizeof(id), "LASTBYTE_STREAM=%" PRIu64, start->id);
    snprintf(fd, sizeof(fd), "LASTBYTE_END_FD=%d", LB_LAUNCH_END_FD);
    ours[0] = peer;
    ours[1] = id;
    ours[2] = fd;
    if (start->identity[0]) {
        snprintf(identity, sizeof(identity), "LASTBYTE_IDENTITY=%.*s", LB_IDENTITY_SIZE,
                 start->identity);
        ours[3] = identity;
    }
    /* What is done there until the shell runs is harmless here: this process waits, and has no
     * handlers. NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork) */
    pid = vfork();
    if (pid == 0)
        become_shell(launch, input, output, end);
    /* NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork) */
    memset(ours, 0, OURS * sizeof(*ours));
    return pid < 0 ? -errno : pid;
}
