/* SPDX-License-Identifier: MIT */
#include "sender.h"

#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Addresses that streams come from in turn: a closed stream's port stays in use for a while, and
 * one address has not enough of them for a minute of short streams. */
enum { SOURCES = 64 };

enum {
    RETRY_EVERY_NS = 10000000,
    WAKE_EARLY_NS = 80000, /* sleeping is no more precise than this; the rest is spun */
};

int sender_fail(struct sender *sender, const char *what, int error)
{
    char *why = sender->report->why;

    if (!why[0])
        snprintf(why, SENDER_WHY_SIZE, "%s%s%s", what, error ? ": " : "",
                 error ? strerror(error) : "");
    return -1;
}

static int resolve(struct sender *sender, const char *address)
{
    static const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(address, ':');
    char host[256];
    struct addrinfo *found;
    int rc;

    if (!colon || colon == address || (size_t)(colon - address) >= sizeof(host))
        return sender_fail(sender, "the address has to be HOST:PORT", 0);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0)
        return sender_fail(sender, gai_strerror(rc), 0);
    memcpy(&sender->to, found->ai_addr, sizeof(sender->to));
    freeaddrinfo(found);
    return 0;
}

int sender_init(struct sender *sender, const struct trial *trial, struct sender_report *report,
                const char *address)
{
    *sender = (struct sender){.trial = trial, .report = report, .await = true, .release_fd = -1};
    return resolve(sender, address);
}

int sender_run(struct sender *sender)
{
    struct meter before, after;
    int rc;

    meter_read(&before);
    rc = sender->trial->workload->send(sender->trial, sender);
    meter_read(&after);
    sender->report->spent = meter_between(&before, &after);
    return rc;
}

static bool to_loopback(const struct sender *sender)
{
    return ntohl(sender->to.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int set_up(struct sender *sender, int fd, uint64_t stream)
{
    const char *congestion = sender->trial->congestion;
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(stream % SOURCES)),
    };
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return sender_fail(sender, "TCP_NODELAY", errno);
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)) < 0)
        return sender_fail(sender, congestion, errno);
    if (!to_loopback(sender))
        return 0;
    /* The port is chosen by connect, which may use one again that another peer uses. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        return sender_fail(sender, "binding to a loopback address", errno);
    return 0;
}

/* Returns a descriptor, -1 with why, or -2 if nobody listens. */
static int try_connect(struct sender *sender, uint64_t stream)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, trial_protocol(sender->trial));

    if (fd < 0)
        return sender_fail(sender, "socket", errno);
    if (set_up(sender, fd, stream) < 0) {
        close(fd);
        return -1;
    }
    if (!sender->begun) {
        machine_time_read(&sender->report->machine, sender->trial->cores);
        sender->report->started_s = clock_seconds(clock_read(CLOCK_REALTIME));
        sender->report->begin_ns = clock_now();
    }
    if (connect(fd, (struct sockaddr *)&sender->to, sizeof(sender->to)) < 0) {
        int error = errno;

        close(fd);
        return error == ECONNREFUSED ? -2 : sender_fail(sender, "connect", error);
    }
    sender->begun = true;
    atomic_fetch_add(&sender->report->connected, 1);
    return fd;
}

int sender_connect(struct sender *sender, uint64_t stream)
{
    uint64_t until = clock_now() + sender->retry_ns;
    int fd = try_connect(sender, stream);

    while (fd == -2 && !sender->begun && clock_now() < until) {
        nanosleep(&(struct timespec){.tv_nsec = RETRY_EVERY_NS}, NULL);
        fd = try_connect(sender, stream);
    }
    return fd == -2 ? sender_fail(sender, "connect", ECONNREFUSED) : fd;
}

static void close_all(int *fds, unsigned count)
{
    while (count > 0)
        close(fds[--count]);
    free(fds);
}

int *sender_connect_all(struct sender *sender)
{
    unsigned count = sender->trial->streams;
    int *fds = calloc(count, sizeof(*fds));

    if (!fds)
        sender_fail(sender, "out of memory", 0);
    for (unsigned i = 0; fds && i < count; i++) {
        fds[i] = sender_connect(sender, i);
        if (fds[i] < 0) {
            close_all(fds, i);
            fds = NULL;
        }
    }
    return fds;
}

int sender_send(struct sender *sender, int fd, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return sender_fail(sender, "send", errno);
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

void sender_wait_until(uint64_t due)
{
    uint64_t now = clock_now();

    if (due > now + 2 * WAKE_EARLY_NS) {
        uint64_t until = due - WAKE_EARLY_NS;
        struct timespec time = {
            .tv_sec = (time_t)(until / NS_PER_S),
            .tv_nsec = (long)(until % NS_PER_S),
        };

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
    }
    while (clock_now() < due)
        ;
}

static int half_close(struct sender *sender, int fd)
{
    return shutdown(fd, SHUT_WR) < 0 ? sender_fail(sender, "shutdown", errno) : 0;
}

int sender_await_close(struct sender *sender, int fd)
{
    char answer[4096];
    ssize_t size;

    if (!sender->await)
        return 0;
    /* What the peer says before it closes, a prompt for example, is no matter here. */
    do
        size = recv(fd, answer, sizeof(answer), 0);
    while (size > 0 || (size < 0 && errno == EINTR));
    if (size < 0)
        return sender_fail(sender, "waiting for the receiver's close", errno);
    return 0;
}

int sender_finish_all(struct sender *sender, int *fds)
{
    unsigned count = sender->trial->streams;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = half_close(sender, fds[i]);
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = sender_await_close(sender, fds[i]);
    close_all(fds, count);
    return rc;
}
