/* SPDX-License-Identifier: MIT */
#include "nap.h"

#include "clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { WINDOW_NS = 4000000, SHORTEST_NS = 150000, LONGEST_NS = 1000000, BATCH = 1 << 20 };

/* Per cent of a core. Gathering lowers it, so that it ends well below where it begins. */
enum { BEGINS_ABOVE = 50, ENDS_BELOW = 25 };

static void begin_window(struct nap *nap, uint64_t wall_ns, uint64_t cpu_ns)
{
    nap->wall_ns = wall_ns;
    nap->cpu_ns = cpu_ns;
    nap->bytes = 0;
}

void nap_init(struct nap *nap)
{
    prctl(PR_SET_TIMERSLACK, 1);
    nap->ns = 0;
    begin_window(nap, clock_now(), clock_read(CLOCK_THREAD_CPUTIME_ID));
}

static uint64_t for_a_batch(uint64_t wall_ns, uint64_t bytes)
{
    uint64_t ns = bytes > 0 ? (uint64_t)((double)wall_ns / (double)bytes * BATCH) : LONGEST_NS;

    if (ns < SHORTEST_NS)
        return SHORTEST_NS;
    return ns < LONGEST_NS ? ns : LONGEST_NS;
}

void nap_turned(struct nap *nap, uint64_t bytes)
{
    uint64_t now = clock_now(), wall_ns = now - nap->wall_ns, cpu_ns, share;

    nap->bytes += bytes;
    if (wall_ns < WINDOW_NS)
        return;
    cpu_ns = clock_read(CLOCK_THREAD_CPUTIME_ID);
    share = (cpu_ns - nap->cpu_ns) * 100 / wall_ns;
    if (share > (nap->ns ? ENDS_BELOW : BEGINS_ABOVE))
        nap->ns = for_a_batch(wall_ns, nap->bytes);
    else
        nap->ns = 0;
    begin_window(nap, now, cpu_ns);
}

void nap_sleep(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    nanosleep(&time, NULL);
}

void nap_take(const struct nap *nap)
{
    if (nap->ns)
        nap_sleep(nap->ns);
}

void nap_spare_acks(int fd, bool *spares, bool spare)
{
    int quick = !spare;

    if (*spares == spare)
        return;
    *spares = spare;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick));
}
