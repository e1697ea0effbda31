/* SPDX-License-Identifier: MIT */
#include "contenders.h"

#include "changes.h"
#include "switches.h"
#include "ways_to_receive.h"
#include "workload.h"

#include <lastbyte/lastbyte.h>

/* What a server can do that has a callback or a buffer for what arrives. */
#define TAKES (DEMAND_ONE | DEMAND_TURNS | DEMAND_CONTENT | DEMAND_FILES)
#define SERVES_ALL (TAKES | DEMAND_64 | DEMAND_ANY | DEMAND_IDLE)
/* What ours can whose sinks pause. */
#define OURS_ALL (SERVES_ALL | DEMAND_STALL)

/* What ours can through TLS, in a build that has it. */
#ifdef HAVE_TLS
#define OURS_TLS DEMAND_TLS
#else
#define OURS_TLS 0
#endif

#define OURS(backend_name, offered)                                                                \
    {                                                                                              \
        .name = #backend_name, .what = "lastbyte, " #backend_name ", sink discard",                \
        .kind = "ours", .label = "", .offers = (offered) | DEMAND_POOL | OURS_TLS,                 \
        .backend = #backend_name, .sink = "discard", .missing = ours_missing,                      \
        .receive = ours_receive                                                                    \
    }

#define OURS_HASH(backend_name)                                                                    \
    {                                                                                              \
        .name = #backend_name "-hash", .what = "lastbyte, " #backend_name ", sink hash:xxh3",      \
        .kind = "ours", .label = "", .offers = DEMAND_ONE | DEMAND_64, .backend = #backend_name,   \
        .sink = "hash:xxh3", .missing = ours_missing, .receive = ours_receive                      \
    }

/* For servers that would rather save than be quick. */
#define OURS_GATHER(backend_name, ms)                                                              \
    {                                                                                              \
        .name = #backend_name "-gather-" #ms "ms",                                                 \
        .what =                                                                                    \
            "lastbyte, " #backend_name ", sink discard, --tune=save-cpu --gather-max=" #ms "ms",   \
        .kind = "ours", .label = "", .offers = DEMAND_64 | DEMAND_ANY, .backend = #backend_name,   \
        .sink = "discard", .gather_max_us = (ms)*1000, .tune = LB_TUNE_SAVE_CPU,                   \
        .missing = ours_missing, .receive = ours_receive                                           \
    }

#define OURS_TUNE(backend_name, tune_name, tune_value)                                             \
    {                                                                                              \
        .name = #backend_name "-" tune_name,                                                       \
        .what = "lastbyte, " #backend_name ", sink discard, --tune=" tune_name, .kind = "ours",    \
        .label = "", .offers = SERVES_ALL, .backend = #backend_name, .sink = "discard",            \
        .tune = (tune_value), .missing = ours_missing, .receive = ours_receive                     \
    }

/* For backups, which leave the page cache to others. */
#define OURS_DIRECT(backend_name)                                                                  \
    {                                                                                              \
        .name = #backend_name "-direct", .what = "lastbyte, " #backend_name ", --direct",          \
        .kind = "ours", .label = "", .offers = DEMAND_ONE | DEMAND_TURNS | DEMAND_FILES,           \
        .only = DEMAND_FILES, .backend = #backend_name, .sink = "discard", .direct = true,         \
        .missing = ours_missing, .receive = ours_receive                                           \
    }

/* One cell of the factorial: its letters are the switches that are on. */
#define CELL(backend_name, letters, gathers, spares, bundled, incremented)                         \
    {                                                                                              \
        .name = "cell-" #backend_name "-" letters,                                                 \
        .what = "lastbyte, " #backend_name ", of gathering, ACKs spared, bundles and incremental " \
                "buffers only: " letters,                                                          \
        .kind = "cell", .label = "", .offers = TAKES | DEMAND_64 | DEMAND_ANY,                     \
        .backend = #backend_name, .sink = "discard", .only_by_name = true,                         \
        .switches = &(const struct switches){gathers, spares, bundled, incremented},               \
        .missing = ours_missing, .receive = ours_receive                                           \
    }

/* With and without bundles and incremental buffers, which only uring has. */
#define CELLS(letters, gathers, spares)                                                            \
    CELL(uring, letters "", gathers, spares, false, false),                                        \
        CELL(uring, letters "b", gathers, spares, true, false),                                    \
        CELL(uring, letters "i", gathers, spares, false, true),                                    \
        CELL(uring, letters "bi", gathers, spares, true, true)

/* best-uring, best-epoll or a loop with one thing changed, and compared with that one:
 * harness/lines.py. */
#define WITH(suffix, text, way, served)                                                            \
    .name = "with-" suffix, .what = (text), .kind = "changed", .label = "", .offers = (served),    \
    .only_by_name = true, .missing = change_missing, .receive = way##_receive

#define WITH_RCVBUF(suffix, size)                                                                  \
    {                                                                                              \
        WITH("rcvbuf-" suffix, "best-uring, SO_RCVBUF of " suffix, best_uring, SERVES_ALL),        \
            .rcvbuf = (size)                                                                       \
    }

#define LOOP(suffix, size)                                                                         \
    {                                                                                              \
        .name = "loop-" suffix, .what = "blocking recv in a loop, " suffix " buffer",              \
        .kind = "loop", .label = "", .offers = TAKES, .buffer_size = (size),                       \
        .receive = loop_receive                                                                    \
    }

#if !HAVE_LIBUV || !HAVE_LIBEVENT
static const char *not_built(const struct contender *contender, char *buffer, size_t size)
{
    (void)contender;
    (void)buffer;
    (void)size;
    return "not built in: the library was not found";
}
#endif

const struct contender contenders[] = {
    OURS(uring, OURS_ALL),
    OURS(epoll, OURS_ALL),
    /* 64 workers by default, a stream for each. */
    OURS(blocking, TAKES | DEMAND_64),
    OURS_HASH(uring),
    OURS_HASH(epoll),
    OURS_HASH(blocking),
    OURS_DIRECT(uring),
    OURS_DIRECT(epoll),
    OURS_GATHER(uring, 5),
    OURS_GATHER(epoll, 5),
    OURS_TUNE(uring, "save-cpu", LB_TUNE_SAVE_CPU),
    OURS_TUNE(epoll, "save-cpu", LB_TUNE_SAVE_CPU),
    OURS_TUNE(uring, "latency", LB_TUNE_LATENCY),
    OURS_TUNE(epoll, "latency", LB_TUNE_LATENCY),
    {
        .name = "naive",
        .what = "blocking recv of 1024 bytes, each packet appended to a list",
        .kind = "loop",
        .label = "",
        .offers = DEMAND_ONE | DEMAND_TURNS,
        .receive = naive_receive,
    },
    LOOP("1k", 1 << 10),
    LOOP("4k", 4 << 10),
    LOOP("16k", 16 << 10),
    LOOP("64k", 64 << 10),
    LOOP("256k", 256 << 10),
    LOOP("1m", 1 << 20),
    {
        .name = "plain-epoll",
        .what = "level-triggered epoll, one recv of 64 KiB for each readiness",
        .kind = "loop",
        .label = "",
        .offers = SERVES_ALL,
        .receive = plain_epoll_receive,
    },
    {
        .name = "plain-uring",
        .what = "multishot receive into 64 provided buffers of 64 KiB",
        .kind = "loop",
        .label = "",
        .offers = SERVES_ALL,
        .missing = plain_uring_missing,
        .receive = plain_uring_receive,
    },
    {
        .name = "best-epoll",
        .what = "the best of epoll in one file: large buffer, gathers and spares ACKs under load",
        .kind = "loop",
        .label = "",
        .offers = SERVES_ALL,
        .receive = best_epoll_receive,
    },
    {
        .name = "best-uring",
        .what = "the best of io_uring in one file: incremental buffers, likewise",
        .kind = "loop",
        .label = "",
        .offers = SERVES_ALL,
        .missing = plain_uring_missing,
        .receive = best_uring_receive,
    },
    {
        .name = "plain-openssl",
        .what = "level-triggered epoll, SSL_read of 64 KiB until it wants more",
        .kind = "loop",
        .label = "",
        .offers = DEMAND_ONE | DEMAND_TURNS | DEMAND_TLS,
        .only = DEMAND_TLS,
        .receive = plain_openssl_receive,
    },
    {
        .name = "plain-openssl-ahead",
        .what = "the same, and libssl reads 256 KiB ahead",
        .kind = "loop",
        .label = "",
        .offers = DEMAND_ONE | DEMAND_TURNS | DEMAND_TLS,
        .only = DEMAND_TLS,
        .buffer_size = 256 << 10,
        .receive = plain_openssl_receive,
    },
    {
        .name = "cipher",
        .what = "deciphers as many records of 16 KiB from its own memory",
        .kind = "floor",
        .label = "receives nothing",
        .offers = DEMAND_ONE | DEMAND_TLS,
        .only = DEMAND_TLS,
        .receive = cipher_receive,
    },
    {
        .name = "libuv",
        .what = "libuv, a 64 KiB buffer",
        .kind = "library",
        .label = "",
        .offers = SERVES_ALL,
#if HAVE_LIBUV
        .receive = libuv_receive,
#else
        .missing = not_built,
#endif
    },
    {
        .name = "libevent",
        .what = "libevent, bufferevents",
        .kind = "library",
        .label = "",
        .offers = SERVES_ALL,
#if HAVE_LIBEVENT
        .receive = libevent_receive,
#else
        .missing = not_built,
#endif
    },
    {
        .name = "trunc",
        .what = "blocking recv with MSG_TRUNC: the kernel drops the bytes",
        .kind = "floor",
        .label = "no payload copy",
        .offers = DEMAND_ONE,
        .drops = true,
        .receive = trunc_receive,
    },
    {
        .name = "sleep-1ms",
        .what = "sleeps 1 ms, then one recv of 128 KiB from each stream that has bytes",
        .kind = "floor",
        .label = "always sleeps 1 ms",
        .offers = DEMAND_64 | DEMAND_ANY,
        .receive = sleep_receive,
    },
    {
        .name = "sleep-1ms-trunc",
        .what = "the same with MSG_TRUNC: the kernel drops the bytes",
        .kind = "floor",
        .label = "no payload copy",
        .offers = DEMAND_64 | DEMAND_ANY,
        .drops = true,
        .receive = sleep_receive,
    },
    {
        .name = "floor-copy",
        .what = "io_uring by hand, asleep when and as long as uring was, its ACKs; a warm copy",
        .kind = "floor",
        .label = "under uring's own wakes",
        .offers = DEMAND_ONE | DEMAND_64 | DEMAND_ANY,
        .follows = "uring",
        .missing = plain_uring_missing,
        .receive = best_uring_receive,
    },
    {
        .name = "floor-trunc",
        .what = "the same with MSG_TRUNC: the kernel drops the bytes",
        .kind = "floor",
        .label = "under uring's own wakes, no payload copy",
        .offers = DEMAND_ONE | DEMAND_64 | DEMAND_ANY,
        .drops = true,
        .follows = "uring",
        .missing = plain_uring_missing,
        .receive = best_uring_receive,
    },
    CELLS("", false, false),
    CELLS("g", true, false),
    CELLS("a", false, true),
    CELLS("ga", true, true),
    CELL(epoll, "", false, false, false, false),
    CELL(epoll, "g", true, false, false, false),
    CELL(epoll, "a", false, true, false, false),
    CELL(epoll, "ga", true, true, false, false),
    {
        WITH("sqpoll", "best-uring, SQPOLL, its thread on the receiver's core", best_uring,
             SERVES_ALL),
        .change = CHANGE_SQPOLL,
    },
    {
        WITH("no-iowait", "best-uring, IORING_ENTER_NO_IOWAIT", best_uring, SERVES_ALL),
        .change = CHANGE_NO_IOWAIT,
    },
    {
        WITH("napi", "best-uring, IORING_REGISTER_NAPI, 200 us", best_uring, SERVES_ALL),
        .change = CHANGE_NAPI,
    },
    {
        WITH("epoll-params", "best-epoll, EPIOCSPARAMS, 200 us", best_epoll, SERVES_ALL),
        .change = CHANGE_EPOLL_PARAMS,
    },
    {
        WITH("busy-poll", "loop-256k, SO_BUSY_POLL, 200 us", loop, TAKES),
        .buffer_size = 256 << 10,
        .change = CHANGE_BUSY_POLL,
    },
    {
        WITH("busy-poll-epoll", "best-epoll, SO_BUSY_POLL, 200 us", best_epoll, SERVES_ALL),
        .change = CHANGE_BUSY_POLL,
    },
    {
        WITH("mptcp", "best-epoll, MPTCP at both ends", best_epoll, SERVES_ALL),
        .change = CHANGE_MPTCP,
    },
    {
        WITH("big-tcp", "best-epoll, where bench/run has an interface with BIG TCP", best_epoll,
             SERVES_ALL),
    },
    {
        WITH("mapping", "TCP_ZEROCOPY_RECEIVE: pages are mapped, the rest is copied", mapped,
             DEMAND_ONE),
    },
    WITH_RCVBUF("128k", 128 << 10),
    WITH_RCVBUF("512k", 512 << 10),
    WITH_RCVBUF("2m", 2 << 20),
    WITH_RCVBUF("8m", 8 << 20),
    WITH_RCVBUF("32m", 32 << 20),
    {.name = NULL},
};
