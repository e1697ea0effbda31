/* SPDX-License-Identifier: MIT */
#include "receiver.h"

#include "syscalls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void receiver_init(struct receiver *receiver, const struct trial *trial, struct arrivals *arrivals,
                   struct receiver_report *report)
{
    *receiver = (struct receiver){
        .trial = trial,
        .arrivals = arrivals,
        .report = report,
        .schedule = trial->schedule,
        .ready_fd = -1,
        .release_fd = -1,
        .syscalls_fd = trial->count_syscalls ? syscalls_open() : -1,
    };
    report->syscalls = -1;
}

int receiver_fail(struct receiver *receiver, const char *what, int error)
{
    snprintf(receiver->report->why, sizeof(receiver->report->why), "%s%s%s", what,
             error ? ": " : "", error ? strerror(error) : "");
    return -1;
}

int receiver_set_rcvbuf(int fd, size_t size)
{
    int wanted = (int)size, got;
    socklen_t length = sizeof(got);

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof(wanted)) < 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted)) < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &length) < 0)
        return -1;
    if (got >= 2 * wanted) /* socket(7): the kernel doubles it */
        return 0;
    errno = EPERM;
    return -1;
}

static int set_up(int fd, const struct trial *trial)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int size = (int)trial->rcvbuf;

    if (inet_pton(AF_INET, trial->address, &address.sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    if (size > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
        return -1;
    if (trial->contender && trial->contender->rcvbuf &&
        receiver_set_rcvbuf(fd, trial->contender->rcvbuf) < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return listen(fd, RECEIVER_BACKLOG);
}

static int name(int fd, const struct trial *trial, char text[RECEIVER_ADDRESS_SIZE])
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -1;
    snprintf(text, RECEIVER_ADDRESS_SIZE, "%s:%u", trial->address, ntohs(address.sin_port));
    return 0;
}

int receiver_listen(struct receiver *receiver)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, trial_protocol(receiver->trial));

    if (fd < 0)
        return receiver_fail(receiver, "socket", errno);
    if (set_up(fd, receiver->trial) < 0 ||
        name(fd, receiver->trial, receiver->report->address) < 0) {
        receiver_fail(receiver, "listening", errno);
        close(fd);
        return -1;
    }
    return fd;
}

void receiver_ready(struct receiver *receiver, const char *address)
{
    if (address)
        snprintf(receiver->report->address, sizeof(receiver->report->address), "%s", address);
    receiver_restart(receiver);
    receiver->ready(receiver);
}

void receiver_restart(struct receiver *receiver)
{
    if (receiver->syscalls_fd >= 0)
        receiver->syscalls_before = syscalls_read(receiver->syscalls_fd);
    meter_read(&receiver->before);
}

void receiver_done(struct receiver *receiver)
{
    struct receiver_report *report = receiver->report;
    struct meter after;

    meter_read(&after);
    report->spent = meter_between(&receiver->before, &after);
    if (receiver->syscalls_fd >= 0) {
        int64_t count = syscalls_read(receiver->syscalls_fd);

        report->syscalls = count < 0 ? count : count - receiver->syscalls_before;
        close(receiver->syscalls_fd);
    }
    if (machine_time_read(&report->machine, receiver->trial->cores) < 0)
        report->machine = (struct machine_time){0};
}
