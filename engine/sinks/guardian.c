/* SPDX-License-Identifier: MIT */
#include "guardian.h"
#include "launch.h"
#include "rights.h"
#include "wards.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* For a guardian that doesn't take a request: something stops it. */
enum { PATIENCE_S = 10 };

/* By a process in between, so that it is nobody's child that would have to be waited for. */
static int fork_away(int fd, int other_fd, const char *line)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(other_fd);
        pid = fork();
        if (pid == 0)
            lb_wards_run(fd, line);
        _exit(pid < 0);
    }
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
        if (errno != EINTR)
            return 0; /* a process that ignores SIGCHLD; a guardian that isn't there shows below */
    return info.si_status == 0 ? 0 : -EAGAIN;
}

/* Its answer: 0 or -errno. */
static int hear(int fd)
{
    ssize_t got;
    int answer;

    do {
        got = recv(fd, &answer, sizeof(answer), 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    return got == (ssize_t)sizeof(answer) ? answer : -EPIPE;
}

int lb_guardian_open(struct lb_guardian *guardian, const char *line)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    rc = fork_away(pair[1], pair[0], line);
    close(pair[1]);
    if (rc == 0)
        rc = hear(pair[0]);
    if (rc < 0) {
        close(pair[0]);
        return rc;
    }
    guardian->fd = pair[0];
    return 0;
}

void lb_guardian_close(struct lb_guardian *guardian)
{
    close(guardian->fd);
    guardian->fd = -1;
}

static int say(int fd, const struct msghdr *message)
{
    ssize_t sent;

    do {
        sent = sendmsg(fd, message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int lb_guardian_follow(const struct lb_guardian *guardian)
{
    struct lb_rights rights;
    int rc = lb_rights_get(&rights);
    struct iovec part = {&rights, lb_rights_size(&rights)};

    if (rc == 0)
        rc = say(guardian->fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1});
    return rc < 0 ? rc : hear(guardian->fd);
}

int lb_guardian_ask(const struct lb_guardian *guardian, const struct lb_guardian_start *start,
                    const int fds[LB_GUARDIAN_FDS])
{
    char control[CMSG_SPACE(LB_GUARDIAN_FDS * sizeof(int))] = {0};
    struct iovec part = {(void *)start, sizeof(*start)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(LB_GUARDIAN_FDS * sizeof(int));
    memcpy(CMSG_DATA(header), fds, LB_GUARDIAN_FDS * sizeof(int));
    return say(guardian->fd, &message);
}
