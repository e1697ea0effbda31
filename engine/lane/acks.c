/* SPDX-License-Identifier: MIT */
#include "acks.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Few, as a peer that is held up is held up for so many receives. */
enum { SAMPLE = 8 };

/* Samples at once after a failed try: the first time, and at most. */
enum { PENALTY = 8, PENALTY_MAX = 1 << 15 };

/* What can't be told so, a Unix socket, sends none. */
static void set_quick(int fd, int quick)
{
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick));
}

static bool is_quick(int fd)
{
    int quick = 0;
    socklen_t size = sizeof(quick);

    return getsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, &size) == 0 && quick;
}

static void try_delay(struct lb_acks *acks, int fd, size_t bytes)
{
    acks->usual = (uint32_t)bytes;
    acks->delayed = true;
    set_quick(fd, 0);
}

/* Sparing them is not worth it any more: nobody has failed. */
static void send_again(struct lb_acks *acks, int fd)
{
    acks->delayed = false;
    acks->receives = 0;
    acks->bytes = 0;
    set_quick(fd, 1);
}

static void give_up(struct lb_acks *acks, int fd)
{
    acks->delayed = false;
    set_quick(fd, 1);
    acks->wait = acks->penalty > PENALTY ? acks->penalty : PENALTY;
    acks->penalty = acks->wait < PENALTY_MAX ? acks->wait * 2 : PENALTY_MAX;
}

static void judge(struct lb_acks *acks, int fd, size_t bytes)
{
    if (bytes > acks->usual + acks->usual / 3 || is_quick(fd))
        give_up(acks, fd);
    else
        acks->penalty /= 2; /* whoever is held up has no good sample */
}

void lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth)
{
    size_t bytes;

    if (!worth) {
        if (acks->delayed)
            send_again(acks, fd);
        return;
    }
    acks->bytes += (uint32_t)size;
    if (++acks->receives < SAMPLE)
        return;
    bytes = acks->bytes;
    acks->bytes = 0;
    acks->receives = 0;
    if (acks->delayed)
        judge(acks, fd, bytes);
    else if (acks->wait > 0)
        acks->wait--;
    else
        try_delay(acks, fd, bytes);
}
