/* SPDX-License-Identifier: MIT */
#include "game_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    LOOK_NS = 1000, /* what looking at the clock costs */
    POLL_MS = 1,    /* of the real time, which is the other threads' */
    SECOND_NS = 1000000000,
    NETWORK = 0xc0000200 /* 192.0.2.0, RFC 5737 */
};

static _Thread_local struct game_world *here;

void game_world_enter(struct game_world *world)
{
    here = world;
}

void game_world_leave(void)
{
    here = NULL;
}

/* The names are the linker's: --wrap. */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_getpeername(int fd, struct sockaddr *address, socklen_t *size);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *size);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!here || clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    here->now_ns += LOOK_NS;
    now->tv_sec = (time_t)(here->now_ns / SECOND_NS);
    now->tv_nsec = (long)(here->now_ns % SECOND_NS);
    return 0;
}

/* Whoever waits here waits for another thread, or for somebody's patience to end. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (!here || timeout_ms <= 0)
        return __real_poll(fds, count, timeout_ms);
    here->now_ns += SECOND_NS;
    return __real_poll(fds, count, POLL_MS);
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(9)};
    unsigned host = here ? here->host_of(here->context, fd) : 0;

    if (host == 0)
        return __real_getpeername(fd, address, size);
    peer.sin_addr.s_addr = htonl(NETWORK + host);
    memcpy(address, &peer, *size < sizeof(peer) ? *size : sizeof(peer));
    *size = sizeof(peer);
    return 0;
}
