/* SPDX-License-Identifier: MIT */
#include "patience.h"

#include "value.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { NS_PER_MS = 1000000 };

uint64_t patience_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

int patience_queued(int socket)
{
    int bytes = 0;

    return ioctl(socket, SIOCOUTQ, &bytes) < 0 ? 0 : bytes;
}

static bool is_tcp(int socket)
{
    int domain = AF_UNIX;
    socklen_t size = sizeof(domain);

    return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

/* The first question after half the time, and the verdict after all of it. That is for a connection
 * on which nothing is under way; else the kernel asks by sending again, see is_gone. */
static void ask_when_silent(int socket, unsigned keepalive_ms)
{
    static const int on = 1, probes = 4;
    int seconds = (int)((keepalive_ms + 999) / 1000);
    int idle = seconds / 2 > 0 ? seconds / 2 : 1;
    int interval = seconds / 8 > 0 ? seconds / 8 : 1;

    setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void patience_init(struct patience *patience, int socket, const struct patience_limits *limits)
{
    uint64_t now = patience_clock();
    unsigned every_ms = limits->idle_ms / 4;

    *patience = (struct patience){
        .limits = limits, .socket = socket, .tcp = is_tcp(socket), .idle_since_ns = now};
    if (patience->tcp && limits->keepalive_ms) {
        ask_when_silent(socket, limits->keepalive_ms);
        if (!every_ms || limits->keepalive_ms / 4 < every_ms)
            every_ms = limits->keepalive_ms / 4;
    }
    if (limits->idle_ms || (patience->tcp && limits->keepalive_ms)) {
        patience->every_ns = (uint64_t)(every_ms ? every_ms : 1) * NS_PER_MS;
        patience->look_ns = now + patience->every_ns;
    }
}

int patience_wait_ms(const struct patience *patience)
{
    uint64_t until = patience->look_ns, deadline = patience->limits->deadline_ns;

    if (deadline && (!until || deadline < until))
        until = deadline;
    if (!until)
        return -1;
    uint64_t now = patience_clock();
    uint64_t wait_ms = until > now ? (until - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

/* A server that doesn't read acknowledges all the same that it got no more: the kernel asks it, now
 * and then. One that has been asked, by sending again or by a probe of its window, and whose
 * machine has acknowledged nothing at all since, is gone. (TCP_USER_TIMEOUT would not tell the two
 * apart.) */
static bool is_gone(struct patience *patience, uint64_t now)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(patience->socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
        (info.tcpi_retransmits == 0 && info.tcpi_probes == 0) || patience->queued == 0) {
        patience->asked_ns = 0;
        return false;
    }
    uint64_t silent_ns = (uint64_t)info.tcpi_last_ack_recv * NS_PER_MS;
    if (!patience->asked_ns || silent_ns < now - patience->asked_ns)
        patience->asked_ns = now;
    return now - patience->asked_ns >= (uint64_t)patience->limits->keepalive_ms * NS_PER_MS;
}

static int tell(char *why, size_t size, const char *what, uint64_t time_ms, const char *option)
{
    char seconds[VALUE_TEXT_SIZE];

    snprintf(why, size, "%s%s%s (%s)", what, time_ms ? value_seconds_text(time_ms, seconds) : "",
             time_ms ? " s" : "", option);
    return -ETIMEDOUT;
}

static int look(struct patience *patience, uint64_t now, bool ours, char *why, size_t size)
{
    const struct patience_limits *limits = patience->limits;
    int queued = patience_queued(patience->socket);

    if (patience->moved || queued != patience->queued || (ours && queued == 0))
        patience->idle_since_ns = now;
    patience->moved = false;
    patience->queued = queued;
    patience->look_ns = now + patience->every_ns;
    if (limits->idle_ms && now - patience->idle_since_ns >= (uint64_t)limits->idle_ms * NS_PER_MS)
        return tell(why, size, "nothing has moved for ", limits->idle_ms, "--idle-timeout");
    if (patience->tcp && limits->keepalive_ms && is_gone(patience, now))
        return tell(why, size, "no sign of life from the server's machine for ",
                    limits->keepalive_ms, "--keepalive");
    return 0;
}

int patience_check(struct patience *patience, bool ours, char *why, size_t size)
{
    if (!patience->look_ns && !patience->limits->deadline_ns)
        return 0;
    uint64_t now = patience_clock();
    if (patience->limits->deadline_ns && now >= patience->limits->deadline_ns)
        return tell(why, size, "its time is up", 0, "--max-time");
    if (!patience->look_ns || now < patience->look_ns)
        return 0;
    return look(patience, now, ours, why, size);
}
