/* SPDX-License-Identifier: MIT */
/* The table of contenders that these tests run with, in place of the benchmark's own: one is
 * honest, the others are wrong in one way each. */
#include "contenders.h"
#include "tally.h"
#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 16 << 10 };

static char buffer[BUFFER_SIZE];

static void drop_a_byte(struct receiver *receiver, struct tally *tally, size_t got)
{
    tally_take(receiver, tally, buffer, tally->bytes == 0 ? got - 1 : got);
}

static void double_a_byte(struct receiver *receiver, struct tally *tally, size_t got)
{
    if (tally->bytes == 0)
        tally_take(receiver, tally, buffer, 1);
    tally_take(receiver, tally, buffer, got);
}

static void swap_two_bytes(struct receiver *receiver, struct tally *tally, size_t got)
{
    char first = buffer[0];

    buffer[0] = buffer[got - 1];
    buffer[got - 1] = first;
    tally_take(receiver, tally, buffer, got);
}

static void take_all(struct receiver *receiver, struct tally *tally, size_t got)
{
    tally_take(receiver, tally, buffer, got);
}

static int receive_stream(struct receiver *receiver, struct tally *tally, int fd,
                          void (*take)(struct receiver *, struct tally *, size_t))
{
    ssize_t got;

    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        take(receiver, tally, (size_t)got);
    return got < 0 ? errno : 0;
}

static int serve(struct receiver *receiver, void (*take)(struct receiver *, struct tally *, size_t))
{
    int listener = receiver_listen(receiver);

    if (listener < 0)
        return -1;
    receiver_ready(receiver, NULL);
    while (!receiver_finished(receiver)) {
        struct tally tally;
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            return receiver_fail(receiver, "accept", errno);
        tally_begin(receiver, &tally);
        tally_end(receiver, &tally, receive_stream(receiver, &tally, fd, take));
        close(fd);
    }
    receiver_done(receiver);
    close(listener);
    return 0;
}

static int receive_honest(const struct contender *contender, struct receiver *receiver)
{
    (void)contender;
    return serve(receiver, take_all);
}

static int receive_dropping(const struct contender *contender, struct receiver *receiver)
{
    (void)contender;
    return serve(receiver, drop_a_byte);
}

static int receive_doubling(const struct contender *contender, struct receiver *receiver)
{
    (void)contender;
    return serve(receiver, double_a_byte);
}

static int receive_swapping(const struct contender *contender, struct receiver *receiver)
{
    (void)contender;
    return serve(receiver, swap_two_bytes);
}

/* Closes every stream at its first bytes. */
static int receive_deserting(const struct contender *contender, struct receiver *receiver)
{
    int listener = receiver_listen(receiver);

    (void)contender;
    receiver_ready(receiver, NULL);
    for (unsigned i = 0; i < receiver->trial->streams; i++) {
        int fd = accept(listener, NULL, NULL);

        if (recv(fd, buffer, 1, 0) < 0)
            break;
        close(fd);
    }
    receiver_done(receiver);
    return 0;
}

static int receive_crashing(const struct contender *contender, struct receiver *receiver)
{
    int listener = receiver_listen(receiver);

    (void)contender;
    receiver_ready(receiver, NULL);
    accept(listener, NULL, NULL);
    raise(SIGKILL);
    return 0;
}

static int receive_failing(const struct contender *contender, struct receiver *receiver)
{
    (void)contender;
    return receiver_fail(receiver, "it has no memory of how to begin", 0);
}

static const char *say_missing(const struct contender *contender, char *text, size_t size)
{
    snprintf(text, size, "%s was never installed", contender->name);
    return text;
}

#define CONTENDER(given, function)                                                                 \
    {                                                                                              \
        .name = (given), .what = (given), .kind = "loop", .label = "",                             \
        .offers = DEMAND_ONE | DEMAND_TURNS | DEMAND_FILES, .receive = (function)                  \
    }

const struct contender contenders[] = {
    CONTENDER("dropping", receive_dropping),
    CONTENDER("doubling", receive_doubling),
    CONTENDER("swapping", receive_swapping),
    CONTENDER("deserting", receive_deserting),
    CONTENDER("crashing", receive_crashing),
    CONTENDER("failing", receive_failing),
    {
        .name = "absent",
        .what = "absent",
        .kind = "library",
        .label = "",
        .offers = DEMAND_ONE | DEMAND_TURNS,
        .missing = say_missing,
    },
    CONTENDER("honest", receive_honest),
    {.name = NULL},
};
