/* SPDX-License-Identifier: MIT */
/* Static probes for perf, bpftrace and SystemTap: a nop each until somebody listens. Left out where
 * <sys/sdt.h> is missing at build time. bench/README.md has an example. */
#ifndef LB_PROBES_H
#define LB_PROBES_H

#ifdef LB_HAVE_SDT
#include <sys/sdt.h>
#else
#define DTRACE_PROBE1(provider, name, a) ((void)(a))
#define DTRACE_PROBE2(provider, name, a, b) ((void)(a), (void)(b))
#define DTRACE_PROBE3(provider, name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

/* A stream begins: its id and its descriptor. */
#define LB_PROBE_ACCEPT(id, fd) DTRACE_PROBE2(lastbyte, accept, id, fd)

/* A sink has taken bytes: the stream's id, how many, how many were offered. */
#define LB_PROBE_CHUNK(id, taken, offered) DTRACE_PROBE3(lastbyte, chunk, id, taken, offered)

/* A stream has ended: its id, its bytes, its enum lb_end. */
#define LB_PROBE_END(id, bytes, why) DTRACE_PROBE3(lastbyte, end, id, bytes, why)

/* Data waits because every slot is in use: the descriptor it waits in. */
#define LB_PROBE_STARVED(fd) DTRACE_PROBE1(lastbyte, starved, fd)

#endif
