/* SPDX-License-Identifier: MIT */
/*
 * One thread, one loop. A ward lives from the request until its server has closed the control, its
 * command has exited, and nobody reads the input that is held. It is whole once the server has said
 * so, or broken: it was to be killed, or the server has closed the control, or has died, before
 * the command exited or without calling it whole.
 */
#include "wards.h"
#include "clock.h"
#include "dump.h"
#include "guardian.h"
#include "launch.h"
#include "rights.h"
#include "settle_in.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUCKETS = 1024 };

/* After a tree was killed, whether somebody was missed: so soon at first, so rarely at last. */
#define FIRST_LOOK_NS (10 * LB_NS_PER_MS)
#define LAST_LOOK_NS (10 * LB_NS_PER_S)

struct ward {
    struct ward *next; /* of the same bucket */
    struct ward *next_broken;
    struct lb_tree tree;
    int control;
    int input;  /* -1: the command has seen its end, or has nobody left to see it */
    int output; /* held, so that nobody dies of SIGPIPE before all are stopped; -1: whole */
    int end;    /* where it is told that it was whole; -1: told, or it was not */
    bool whole;
    bool broken;
    bool server_gone;
    bool alive; /* somebody of the tree, when it was looked at last */
};

static struct {
    struct lb_launch launch;
    struct ward *buckets[BUCKETS]; /* by the number of the leader */
    struct ward *broken;           /* first of them */
    size_t count;
    int epoll_fd, signal_fd;
    int request_fd;    /* -1: the server is gone */
    uint64_t look_ns;  /* when the broken are looked at, however much else there is to do */
    uint64_t pause_ns; /* before that */
} guardian;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int watch(int fd, unsigned events, void *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    return epoll_ctl(guardian.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Others have descriptors of the same pipe, so closing this one would not end the watch. */
static void let_go_of_input(struct ward *ward)
{
    if (ward->broken && ward->input >= 0)
        epoll_ctl(guardian.epoll_fd, EPOLL_CTL_DEL, ward->input, NULL);
    close_fd(&ward->input);
}

/* ---- who is who ------------------------------------------------------------------------------ */

static struct ward **bucket_of(pid_t group)
{
    return &guardian.buckets[(unsigned)group % BUCKETS];
}

/* Whose leader a process is. */
static struct ward *ward_of(pid_t pid)
{
    struct ward *ward = *bucket_of(pid);

    while (ward && ward->tree.leader != pid)
        ward = ward->next;
    return ward;
}

static bool is_leader(void *context, pid_t pid)
{
    (void)context;
    return ward_of(pid);
}

static void forget(struct ward *ward)
{
    for (struct ward **link = bucket_of(ward->tree.group); *link; link = &(*link)->next)
        if (*link == ward) {
            *link = ward->next;
            break;
        }
    for (struct ward **link = &guardian.broken; *link; link = &(*link)->next_broken)
        if (*link == ward) {
            *link = ward->next_broken;
            break;
        }
    close_fd(&ward->control);
    let_go_of_input(ward);
    close_fd(&ward->output);
    close_fd(&ward->end);
    free(ward);
    guardian.count--;
}

/* ---- a ward's end ---------------------------------------------------------------------------- */

static bool is_read(const struct ward *ward)
{
    struct pollfd poller = {.fd = ward->input};

    return ward->input >= 0 && poll(&poller, 1, 0) == 0;
}

/* Returns whether it was forgotten. */
static bool forget_if_over(struct ward *ward)
{
    if (!ward->server_gone || ward->tree.leader || ward->alive || (ward->broken && is_read(ward)))
        return false;
    forget(ward);
    return true;
}

/* A reader of the input sees its end from now on, so it hears first that it was whole. */
static void call_whole(struct ward *ward)
{
    static const char word[] = "eof\n";

    if (ward->broken || ward->whole)
        return;
    ward->whole = true;
    if (write(ward->end, word, sizeof(word) - 1) < 0) {
        /* Nobody would read it. */
    }
    close_fd(&ward->end);
    close_fd(&ward->input);
    close_fd(&ward->output);
}

/* No later than it was to be: there may be no end of those that are broken. */
static void look_soon(void)
{
    uint64_t soon_ns = lb_clock_ns() + FIRST_LOOK_NS;

    guardian.pause_ns = FIRST_LOOK_NS;
    if (guardian.look_ns > soon_ns)
        guardian.look_ns = soon_ns;
}

static void break_off(struct ward *ward)
{
    if (ward->broken)
        return;
    ward->broken = true;
    if (!guardian.broken)
        guardian.look_ns = UINT64_MAX;
    ward->next_broken = guardian.broken;
    guardian.broken = ward;
    close_fd(&ward->end);
    if (ward->input >= 0)
        watch(ward->input, 0, ward); /* for EPOLLERR: nobody reads it any more */
    ward->alive = lb_tree_kill(&ward->tree, is_leader, NULL);
    look_soon();
}

/* Once more, for those that were missed: a child that was just being made. */
static void look_at_broken(void)
{
    struct ward *next;

    guardian.pause_ns *= guardian.pause_ns < LAST_LOOK_NS / 2 ? 2 : 1;
    guardian.look_ns = lb_clock_ns() + guardian.pause_ns;
    for (struct ward *ward = guardian.broken; ward; ward = next) {
        next = ward->next_broken;
        if (ward->alive || is_read(ward))
            ward->alive = lb_tree_kill(&ward->tree, is_leader, NULL);
        forget_if_over(ward);
    }
}

/* ---- what the server says -------------------------------------------------------------------- */

/* Returns the word, 0 for none now, or -1: it has closed the control. */
static int hear(const struct ward *ward)
{
    char word;
    ssize_t got;

    do {
        got = recv(ward->control, &word, sizeof(word), MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    return got > 0 ? word : -1;
}

static void look_after(struct ward *ward)
{
    int word = ward->server_gone ? 0 : hear(ward);

    if (word == LB_GUARDIAN_WHOLE) {
        call_whole(ward);
    } else if (word == LB_GUARDIAN_KILL) {
        break_off(ward);
    } else if (word < 0) {
        ward->server_gone = true;
        epoll_ctl(guardian.epoll_fd, EPOLL_CTL_DEL, ward->control, NULL);
        if (!ward->whole || ward->tree.leader)
            break_off(ward);
    }
    if (ward->broken && ward->input >= 0 && !is_read(ward))
        let_go_of_input(ward);
    forget_if_over(ward);
}

/* ---- commands that exit ---------------------------------------------------------------------- */

static void tell(int control, int outcome)
{
    send(control, &outcome, sizeof(outcome), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void reap(void)
{
    struct signalfd_siginfo news;
    siginfo_t info = {0};

    while (read(guardian.signal_fd, &news, sizeof(news)) > 0)
        ;
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
        struct ward *ward = ward_of(info.si_pid);

        if (ward) {
            ward->tree.leader = 0;
            tell(ward->control, info.si_code != CLD_EXITED || info.si_status != 0);
            if (ward->broken)
                look_soon();
            forget_if_over(ward);
        }
        info.si_pid = 0;
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static int start(const struct lb_guardian_start *request, const int fds[LB_GUARDIAN_FDS])
{
    struct ward *ward = calloc(1, sizeof(*ward));
    struct stat status;
    int end[2];
    pid_t pid;

    if (!ward || pipe2(end, O_CLOEXEC) < 0) {
        int rc = ward ? -errno : -ENOMEM;

        free(ward);
        return rc;
    }
    pid = fstat(fds[LB_GUARDIAN_INPUT], &status) < 0
              ? -errno
              : lb_launch(&guardian.launch, request, fds[LB_GUARDIAN_INPUT],
                          fds[LB_GUARDIAN_OUTPUT], end[0]);
    close(end[0]);
    if (pid < 0) {
        close(end[1]);
        free(ward);
        return pid;
    }
    *ward = (struct ward){
        .next = *bucket_of(pid),
        .tree = {.leader = pid, .group = pid, .id = request->id, .input = status.st_ino},
        .control = fds[LB_GUARDIAN_CONTROL],
        .input = fds[LB_GUARDIAN_INPUT_HELD],
        .output = fds[LB_GUARDIAN_OUTPUT_HELD],
        .end = end[1],
    };
    *bucket_of(pid) = ward;
    guardian.count++;
    /* Without news of it there is nothing to do but to end it. */
    if (watch(ward->control, EPOLLIN, ward) < 0) {
        ward->server_gone = true;
        break_off(ward);
    }
    return 0;
}

/* A server that has become another user without telling would have commands run with rights that it
 * has given up. */
static int check_sender(const struct ucred *sender)
{
    return sender->uid == getuid() && sender->gid == getgid() ? 0 : -EPERM;
}

static void take_request(const struct lb_guardian_start *request, const struct ucred *sender,
                         int fds[LB_GUARDIAN_FDS])
{
    int rc = check_sender(sender);

    if (rc == 0)
        rc = start(request, fds);
    close(fds[LB_GUARDIAN_INPUT]);
    close(fds[LB_GUARDIAN_OUTPUT]);
    if (rc == 0)
        return;
    tell(fds[LB_GUARDIAN_CONTROL], rc);
    close(fds[LB_GUARDIAN_INPUT_HELD]);
    close(fds[LB_GUARDIAN_OUTPUT_HELD]);
    close(fds[LB_GUARDIAN_CONTROL]);
}

static void follow(const struct lb_rights *rights)
{
    int answer = lb_rights_take(rights);

    lb_dump_forbid(); /* anew, as the user has changed */
    send(guardian.request_fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What may come with a message. Padding leaves room for more descriptors than belong to a request.
 */
union attached {
    char space[CMSG_SPACE(LB_GUARDIAN_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr aligned;
};
enum { FDS_MOST = sizeof(union attached) / sizeof(int) };

/* Takes it. Returns how many descriptors. */
static size_t unpack(struct msghdr *message, struct ucred *sender, int fds[FDS_MOST])
{
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_type == SCM_CREDENTIALS) {
            memcpy(sender, CMSG_DATA(header), sizeof(*sender));
        } else if (header->cmsg_type == SCM_RIGHTS) {
            count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(header), count * sizeof(int));
        }
    }
    return count;
}

static void server_is_gone(void)
{
    close_fd(&guardian.request_fd);
}

static void hear_request(void)
{
    union {
        struct lb_guardian_start start;
        struct lb_rights rights;
    } request;
    union attached control;
    struct iovec part = {&request, sizeof(request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct ucred sender = {.uid = (uid_t)-1};
    int fds[FDS_MOST];
    ssize_t size = recvmsg(guardian.request_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    size_t count = size > 0 ? unpack(&message, &sender, fds) : 0;
    bool whole = size > 0 && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));

    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN))
        server_is_gone();
    else if (whole && count == LB_GUARDIAN_FDS && size == sizeof(request.start))
        take_request(&request.start, &sender, fds);
    else if (whole && count == 0 && lb_rights_are_whole(&request.rights, (size_t)size))
        follow(&request.rights);
    else
        /* Out of descriptors, or nothing that a server says that is itself: it sees its control
         * closed. */
        while (count > 0)
            close(fds[--count]);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Until the broken are to be looked at, for epoll_wait. */
static int time_left_ms(void)
{
    uint64_t now_ns = lb_clock_ns();

    if (!guardian.broken)
        return -1;
    return guardian.look_ns > now_ns ? (int)((guardian.look_ns - now_ns) / LB_NS_PER_MS) + 1 : 0;
}

static void serve(void)
{
    while (guardian.request_fd >= 0 || guardian.count > 0) {
        struct epoll_event event;
        int ready = epoll_wait(guardian.epoll_fd, &event, 1, time_left_ms());

        if (ready > 0 && event.data.ptr == &guardian.request_fd)
            hear_request();
        else if (ready > 0 && event.data.ptr == &guardian.signal_fd)
            reap();
        else if (ready > 0)
            look_after(event.data.ptr);
        if (time_left_ms() == 0)
            look_at_broken();
    }
}

static int begin(int fd, const char *line)
{
    static const int one = 1;
    sigset_t child;
    int rc = lb_launch_init(&guardian.launch, line);

    guardian.request_fd = fd;
    if (rc < 0)
        return rc;
    rc = lb_settle_in(fd, LB_LAUNCH_END_FD);
    if (rc < 0)
        return rc;
    guardian.request_fd = rc;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    guardian.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    guardian.signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (guardian.epoll_fd < 0 || guardian.signal_fd < 0 ||
        setsockopt(guardian.request_fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return -errno;
    rc = watch(guardian.signal_fd, EPOLLIN, &guardian.signal_fd);
    return rc < 0 ? rc : watch(guardian.request_fd, EPOLLIN, &guardian.request_fd);
}

_Noreturn void lb_wards_run(int fd, const char *line)
{
    int answer = begin(fd, line);

    if (send(guardian.request_fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0 || answer < 0)
        _exit(1);
    serve();
    _exit(0);
}
