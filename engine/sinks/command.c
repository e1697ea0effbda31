/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 3 };

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pairs(int pairs[PAIRS][2])
{
    for (int i = 0; i < PAIRS; i++) {
        close_end(&pairs[i][0]);
        close_end(&pairs[i][1]);
    }
}

/* The input, the output and the control. */
static int open_pairs(int pairs[PAIRS][2])
{
    for (int i = 0; i < PAIRS; i++)
        pairs[i][0] = pairs[i][1] = -1;
    /* Our ends alone don't block: the command's are other open file descriptions. */
    if (pipe2(pairs[0], O_CLOEXEC) == 0 && fcntl(pairs[0][1], F_SETFL, O_NONBLOCK) == 0 &&
        pipe2(pairs[1], O_CLOEXEC) == 0 && fcntl(pairs[1][0], F_SETFL, O_NONBLOCK) == 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[2]) == 0)
        return 0;
    return -errno;
}

static int take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

int lb_command_start(struct lb_command *command, const struct lb_guardian *guardian,
                     const struct lb_guardian_start *start)
{
    int pairs[PAIRS][2];
    int rc = open_pairs(pairs);
    const int fds[LB_GUARDIAN_FDS] = {
        [LB_GUARDIAN_INPUT] = pairs[0][0],   [LB_GUARDIAN_INPUT_HELD] = pairs[0][1],
        [LB_GUARDIAN_OUTPUT] = pairs[1][1],  [LB_GUARDIAN_OUTPUT_HELD] = pairs[1][0],
        [LB_GUARDIAN_CONTROL] = pairs[2][1],
    };

    if (rc == 0)
        rc = lb_guardian_ask(guardian, start, fds);
    if (rc == 0)
        *command = (struct lb_command){.input = take(&pairs[0][1]),
                                       .output = take(&pairs[1][0]),
                                       .control = take(&pairs[2][0])};
    close_pairs(pairs);
    return rc;
}

static void hear(struct lb_command *command, int flags)
{
    int outcome = -EPIPE; /* the guardian has gone: nobody knows how it went */
    ssize_t got;

    if (command->exited)
        return;
    do {
        got = recv(command->control, &outcome, sizeof(outcome), flags);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return;
    command->exited = true;
    command->lost = got <= 0;
    command->outcome = outcome;
}

bool lb_command_exited(struct lb_command *command)
{
    hear(command, MSG_DONTWAIT);
    return command->exited;
}

void lb_command_wait(struct lb_command *command)
{
    hear(command, 0);
}

/* Two words in all at most: they never fill the socket. */
static bool say(const struct lb_command *command, enum lb_guardian_word word)
{
    char byte = (char)word;
    ssize_t sent;

    do {
        sent = send(command->control, &byte, sizeof(byte), MSG_NOSIGNAL);
    } while (sent < 0 && (errno == EINTR || errno == EAGAIN));
    return sent >= 0;
}

bool lb_command_end_input(struct lb_command *command)
{
    close_end(&command->input);
    return say(command, LB_GUARDIAN_WHOLE) || lb_command_exited(command);
}

void lb_command_kill(struct lb_command *command)
{
    if (say(command, LB_GUARDIAN_KILL) || lb_command_exited(command))
        return;
    /* The guardian kills it all the same, when it finds the control closed. */
    command->exited = true;
    command->outcome = -EPIPE;
}

void lb_command_done(struct lb_command *command)
{
    close_end(&command->control);
    close_end(&command->output);
    if (!command->lost)
        close_end(&command->input);
}
