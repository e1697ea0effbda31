/* SPDX-License-Identifier: MIT */
/* When the best of the plain loops let bytes gather, and spare ACKs: as long as their thread is
 * short of time, for about as long as brings a batch. A page of what the engine does in pace/. */
#ifndef NAP_H
#define NAP_H

#include <stdbool.h>
#include <stdint.h>

struct nap {
    uint64_t ns; /* what each turn should sleep before it receives */
    uint64_t bytes;
    uint64_t wall_ns, cpu_ns; /* at the beginning of the window */
};

/* The calling thread's. Its timers are made exact. */
void nap_init(struct nap *nap);

/* After each turn: so many bytes came. */
void nap_turned(struct nap *nap, uint64_t bytes);

/* Sleeps, if there is something to sleep for. */
void nap_take(const struct nap *nap);

void nap_sleep(uint64_t ns);

/* Whether the kernel is to spare the ACKs of what a socket receives; *spares is what holds. */
void nap_spare_acks(int fd, bool *spares, bool spare);

/* Of receives of up to so many bytes ACKs cost more than the rest. */
enum { NAP_SMALL = 1 << 10 };

#endif
