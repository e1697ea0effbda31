/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum member_state { MEMBER_ABSENT, MEMBER_CONNECTING, MEMBER_SENDING, MEMBER_WAITING };

struct member {
    enum member_state state;
    int fd;
    uint64_t tag, size, sent;
};

/* One run of them. */
struct run {
    const struct many_peers *many;
    struct member *members; /* at_once of them */
    struct pollfd *polls;
    size_t begun, done;
    bool gate_open;
};

enum { WRITE_SIZE = 16384 };

uint64_t many_peers_size(const struct many_peers *many, uint64_t tag)
{
    uint64_t random = tag;

    return random_between(&random, many->size_min, many->size_max);
}

static bool leaves_abruptly(const struct many_peers *many, const struct member *member)
{
    return many->abrupt && member->tag % 3 == 0;
}

static void member_leave(struct run *run, struct member *member)
{
    close(member->fd);
    *member = (struct member){.state = MEMBER_ABSENT, .fd = -1};
    run->done++;
}

static void member_begin(struct run *run, struct member *member)
{
    const struct many_peers *many = run->many;
    int fd = peer_connect_begin(many->server->address);

    if (fd == -EAGAIN)
        return; /* a Unix socket's full backlog */
    if (fd < 0)
        server_give_up(many->server, __FILE__, __LINE__, "connect: %s", strerror(-fd));
    member->state = MEMBER_CONNECTING;
    member->fd = fd;
    member->tag = many->first_tag + run->begun++;
    member->size = many_peers_size(many, member->tag);
    member->sent = 0;
}

static void member_connected(struct run *run, struct member *member)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(member->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        server_give_up(run->many->server, __FILE__, __LINE__, "connect: %s", strerror(error));
    member->state = MEMBER_SENDING;
}

/* How far the member may send now. */
static uint64_t member_goal(const struct run *run, const struct member *member)
{
    return run->gate_open ? member->size : PAYLOAD_TAG_SIZE + (member->size - PAYLOAD_TAG_SIZE) / 2;
}

static void member_send(struct run *run, struct member *member)
{
    const uint64_t left = member_goal(run, member) - member->sent;
    const size_t part = left < WRITE_SIZE ? (size_t)left : WRITE_SIZE;
    uint8_t buffer[WRITE_SIZE];
    ssize_t sent;

    payload_fill(member->tag, member->sent, buffer, part);
    sent = send(member->fd, buffer, part, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        server_give_up(run->many->server, __FILE__, __LINE__, "send: %s", strerror(errno));
    if (sent > 0)
        member->sent += (uint64_t)sent;
    if (member->sent < member->size)
        return;
    if (leaves_abruptly(run->many, member)) {
        member_leave(run, member);
        return;
    }
    if (shutdown(member->fd, SHUT_WR) < 0)
        server_give_up(run->many->server, __FILE__, __LINE__, "shutdown: %s", strerror(errno));
    member->state = MEMBER_WAITING;
}

static void member_wait(struct run *run, struct member *member)
{
    uint8_t byte;
    ssize_t received = recv(member->fd, &byte, 1, 0);

    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received != 0)
        server_give_up(run->many->server, __FILE__, __LINE__,
                       "stream %" PRIu64 " waits for the server's EOF: %s", member->tag,
                       received > 0 ? "a byte came" : strerror(errno));
    member_leave(run, member);
}

static short member_events(const struct run *run, const struct member *member)
{
    switch (member->state) {
    case MEMBER_CONNECTING:
        return POLLOUT;
    case MEMBER_SENDING:
        return member->sent < member_goal(run, member) ? POLLOUT : 0;
    case MEMBER_WAITING:
        return POLLIN;
    default:
        return 0;
    }
}

static void member_turn(struct run *run, struct member *member)
{
    switch (member->state) {
    case MEMBER_CONNECTING:
        member_connected(run, member);
        break;
    case MEMBER_SENDING:
        if (member->sent < member_goal(run, member))
            member_send(run, member);
        break;
    case MEMBER_WAITING:
        member_wait(run, member);
        break;
    default:
        break;
    }
}

static void run_turn(struct run *run)
{
    const struct many_peers *many = run->many;

    if (!run->gate_open)
        run->gate_open = many->gate(many->server);
    for (size_t i = 0; i < many->at_once; i++) {
        struct member *member = &run->members[i];

        if (member->state == MEMBER_ABSENT && run->begun < many->peers)
            member_begin(run, member);
        run->polls[i] = (struct pollfd){.fd = -1};
        if (member->state != MEMBER_ABSENT && member_events(run, member) != 0)
            run->polls[i] = (struct pollfd){.fd = member->fd, .events = member_events(run, member)};
    }
    poll(run->polls, many->at_once, 1);
    for (size_t i = 0; i < many->at_once; i++) {
        if (run->polls[i].revents)
            member_turn(run, &run->members[i]);
    }
}

void many_peers_run(const struct many_peers *many)
{
    const uint64_t deadline = time_now_ns() + 2 * (uint64_t)patience_ms() * 1000000;
    struct run run = {.many = many, .gate_open = many->gate == NULL};

    run.members = calloc(many->at_once, sizeof(*run.members));
    run.polls = calloc(many->at_once, sizeof(*run.polls));
    while (run.done < many->peers) {
        run_turn(&run);
        if (time_now_ns() > deadline)
            server_give_up(many->server, __FILE__, __LINE__,
                           "waited in vain: %zu of %zu peers done", run.done, many->peers);
    }
    free(run.members);
    free(run.polls);
}

void many_peers_check(const struct many_peers *many)
{
    for (uint64_t tag = many->first_tag; tag < many->first_tag + many->peers; tag++)
        server_check_payload(many->server, tag, many_peers_size(many, tag), LB_END_EOF);
}
