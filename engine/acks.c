/* SPDX-License-Identifier: MIT */
#include "acks.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Few, as a peer that is held up is held up for so many receives. */
enum { SAMPLE = 8 };

/* What can't be told so, a Unix socket, sends none. */
static void set_quick(int fd, int quick)
{
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick));
}

void lb_acks_received(struct lb_acks *acks, int fd, size_t size, bool worth)
{
    size_t bytes;

    if (acks->state == LB_ACKS_SETTLED || (acks->state == LB_ACKS_AT_ONCE && !worth))
        return;
    acks->bytes += size;
    if (++acks->receives < SAMPLE)
        return;
    bytes = acks->bytes;
    acks->bytes = 0;
    acks->receives = 0;
    if (acks->state == LB_ACKS_AT_ONCE) {
        acks->usual = bytes;
        acks->state = LB_ACKS_DELAYED;
        set_quick(fd, 0);
    } else if (bytes > acks->usual + acks->usual / 3) {
        acks->state = LB_ACKS_SETTLED;
        set_quick(fd, 1);
    }
}
