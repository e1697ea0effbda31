/* SPDX-License-Identifier: MIT */
#include "race.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STAGGER_MS = 250, RUNNERS_MAX = 32 };

struct race {
    const struct addrinfo **order;
    size_t count, next; /* addresses, and which is to be tried next */
    uint64_t stagger_ns, next_ns;
    struct pollfd runners[RUNNERS_MAX];
    size_t running;
    int failure; /* the first that says more than that there is no such way out of here */
};

/* The families in turn, the resolver's first choice first. */
static int put_in_order(struct race *race, const struct addrinfo *list)
{
    const struct addrinfo *first = list, *other = list;
    int family = list->ai_family;

    for (const struct addrinfo *info = list; info; info = info->ai_next)
        race->count++;
    race->order = calloc(race->count, sizeof(const struct addrinfo *));
    if (!race->order)
        return -ENOMEM;
    for (size_t i = 0; i < race->count;) {
        while (first && first->ai_family != family)
            first = first->ai_next;
        while (other && other->ai_family == family)
            other = other->ai_next;
        if (first) {
            race->order[i++] = first;
            first = first->ai_next;
        }
        if (other) {
            race->order[i++] = other;
            other = other->ai_next;
        }
    }
    return 0;
}

static void fail(struct race *race, int error)
{
    if (!race->failure || race->failure == -ENETUNREACH || race->failure == -EAFNOSUPPORT)
        race->failure = error;
}

/* A port of this machine that nobody listens at may be given to the very socket that connects to
 * it: TCP then connects it to itself. */
static int refuse_itself(int fd)
{
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_size = sizeof(own), peer_size = sizeof(peer);

    if (getsockname(fd, (struct sockaddr *)&own, &own_size) < 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0)
        return -errno;
    return own_size == peer_size && memcmp(&own, &peer, own_size) == 0 ? -ECONNREFUSED : 0;
}

/* Returns a connected descriptor, -EINPROGRESS for one that runs, or another -errno. */
static int start(struct race *race, const struct addrinfo *info)
{
    /* Who is left behind, or dies, is to be a reset at its server, never an empty stream. */
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    rc = connect(fd, info->ai_addr, info->ai_addrlen) < 0 ? -errno : refuse_itself(fd);
    if (rc == 0)
        return fd;
    if (rc == -EINPROGRESS)
        race->runners[race->running++] = (struct pollfd){.fd = fd, .events = POLLOUT};
    else
        close(fd);
    return rc;
}

/* Starts whoever's turn it is. Returns a winner, or -EINPROGRESS. */
static int start_some(struct race *race, uint64_t now)
{
    while (race->next < race->count && race->running < RUNNERS_MAX &&
           (race->running == 0 || now >= race->next_ns)) {
        int rc = start(race, race->order[race->next++]);

        if (rc >= 0)
            return rc;
        if (rc == -EINPROGRESS)
            race->next_ns = now + race->stagger_ns;
        else
            fail(race, rc);
    }
    return -EINPROGRESS;
}

/* Looks who has arrived, and makes room of those who fell. Returns a winner, or -EINPROGRESS. */
static int look(struct race *race)
{
    for (size_t i = 0; i < race->running;) {
        int fd = race->runners[i].fd, error = 0;
        socklen_t size = sizeof(error);

        if (!race->runners[i].revents) {
            i++;
            continue;
        }
        error = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
        if (error == 0)
            error = refuse_itself(fd);
        race->runners[i] = race->runners[--race->running];
        if (error == 0)
            return fd;
        close(fd);
        fail(race, error);
        race->next_ns = 0; /* it is the next one's turn */
    }
    return -EINPROGRESS;
}

/* Milliseconds until something is to be done, rounded up. */
static int patience(const struct race *race, uint64_t now, uint64_t deadline_ns)
{
    bool more = race->next < race->count && race->running < RUNNERS_MAX;
    uint64_t until = more ? race->next_ns : deadline_ns;

    if (more && deadline_ns && deadline_ns < until)
        until = deadline_ns;
    if (!until)
        return -1;
    uint64_t wait_ms = until > now ? (until - now + LB_NS_PER_MS - 1) / LB_NS_PER_MS : 0;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

static int run(struct race *race, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = lb_clock_ns();
        int rc = start_some(race, now);

        if (rc != -EINPROGRESS)
            return rc;
        if (race->running == 0)
            return race->failure;
        rc = poll(race->runners, race->running, patience(race, now, deadline_ns));
        if (rc < 0 && errno != EINTR)
            return -errno;
        if (rc > 0) {
            rc = look(race);
            if (rc != -EINPROGRESS)
                return rc;
        } else if (deadline_ns && lb_clock_ns() >= deadline_ns) {
            return -ETIMEDOUT;
        }
    }
}

int lb_race(const struct addrinfo *list, uint64_t deadline_ns)
{
    struct race race = {.stagger_ns = STAGGER_MS * LB_NS_PER_MS};
    int rc = put_in_order(&race, list);

    if (rc < 0)
        return rc;
    if (deadline_ns) {
        uint64_t now = lb_clock_ns();
        uint64_t share = now < deadline_ns ? (deadline_ns - now) / race.count : 0;

        if (share < race.stagger_ns)
            race.stagger_ns = share;
    }
    rc = run(&race, deadline_ns);
    for (size_t i = 0; i < race.running; i++)
        close(race.runners[i].fd);
    free(race.order);
    return rc;
}
