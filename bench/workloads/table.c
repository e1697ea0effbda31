/* SPDX-License-Identifier: MIT */
#include "workloads.h"

#include "ways_to_send.h"

#include <string.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static const char *const byte_figures[] = {
    "gib_per_s", "receiver_cpu_s_per_gib", "system_cpu_s_per_gib", "syscalls_per_mib", NULL,
};

static const char *const stream_figures[] = {
    "streams_per_s",
    "receiver_cpu_us_per_stream",
    "system_cpu_us_per_stream",
    "syscalls_per_stream",
    NULL,
};

static const char *const latency_figures[] = {
    "p99_us", "p50_us", "p999_us", "max_us", "receiver_cpu_fraction", NULL,
};

static const char *const idle_figures[] = {
    "rss_bytes_per_stream",
    "idle_cpu_s_per_s",
    "connect_cpu_s",
    NULL,
};

static const char *const memory_figures[] = {
    "kernel_socket_bytes_per_stream",
    "kernel_object_bytes_per_stream",
    "rss_bytes_per_stream",
    NULL,
};

static const struct param rates[] = {
    {.name = "1000", .rate = 1000},
    {.name = "10000", .rate = 10000},
    {.name = "50000", .rate = 50000},
    {.name = NULL},
};

#define POOL(size, count)                                                                          \
    {                                                                                              \
        .name = #size "x" #count, .slot_size = (size), .slots = (count)                            \
    }

static const struct param pools[] = {
    POOL(16384, 2),     POOL(16384, 8),    POOL(16384, 32),  POOL(16384, 128), POOL(65536, 2),
    POOL(65536, 8),     POOL(65536, 32),   POOL(65536, 128), POOL(262144, 2),  POOL(262144, 8),
    POOL(262144, 32),   POOL(262144, 128), POOL(1048576, 2), POOL(1048576, 8), POOL(1048576, 32),
    POOL(1048576, 128), {.name = NULL},
};

/* SIZExSTREAMSxRATE; flat out as many bytes as take some tenths of a second. */
#define POINT(size, count, per_s)                                                                  \
    {                                                                                              \
        .name = #size "x" #count "x" #per_s, .write_size = (size), .streams = (count),             \
        .rate = (per_s)                                                                            \
    }
#define FLAT_OUT(size, count, total)                                                               \
    {                                                                                              \
        .name = #size "x" #count "xmax", .write_size = (size), .streams = (count),                 \
        .bytes = (total)                                                                           \
    }
/* Of 1,000 streams only what is more than their being accepted. */
#define POINTS(size, total)                                                                        \
    POINT(size, 1, 2000), POINT(size, 64, 2000), POINT(size, 1, 20000), POINT(size, 64, 20000),    \
        POINT(size, 1, 100000), POINT(size, 64, 100000), POINT(size, 1000, 100000),                \
        FLAT_OUT(size, 1, total), FLAT_OUT(size, 64, total), FLAT_OUT(size, 1000, total)

static const struct param points[] = {
    POINTS(64, 16 * MIB),      POINTS(1024, 128 * MIB),     POINTS(16384, 512 * MIB),
    POINT(262144, 1, 2000),    POINT(262144, 64, 2000),     FLAT_OUT(262144, 1, GIB),
    FLAT_OUT(262144, 64, GIB), FLAT_OUT(262144, 1000, GIB), {.name = NULL},
};

const struct workload workloads[] = {
    {
        .name = "bulk",
        .what = "1 stream, 256 KiB writes",
        .figures = byte_figures,
        .demands = DEMAND_ONE,
        .extent = BY_BYTES,
        .bytes = 2 * GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .send = bulk_send,
    },
    {
        .name = "bulk-sendfile",
        .what = "1 stream, 256 KiB at a time by sendfile",
        .figures = byte_figures,
        .demands = DEMAND_ONE,
        .extent = BY_BYTES,
        .bytes = 2 * GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .send = bulk_sendfile,
    },
    {
        .name = "bulk-zerocopy",
        .what = "1 stream, 256 KiB at a time with MSG_ZEROCOPY",
        .figures = byte_figures,
        .demands = DEMAND_ONE,
        .extent = BY_BYTES,
        .bytes = 2 * GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .only_by_name = true,
        .send = bulk_zerocopy,
        .tell = zerocopy_tell,
    },
    {
        .name = "fanin-64",
        .what = "64 streams, 4 KiB writes in turn",
        .figures = byte_figures,
        .demands = DEMAND_64,
        .extent = BY_BYTES,
        .bytes = 512 * MIB,
        .streams = 64,
        .write_size = 4 * KIB,
        .send = fanin_send,
    },
    {
        .name = "fanin-1000",
        .what = "1,000 streams, 512-byte writes in turn",
        .figures = byte_figures,
        .demands = DEMAND_ANY,
        .extent = BY_BYTES,
        .bytes = 96 * MIB,
        .streams = 1000,
        .write_size = 512,
        .send = fanin_send,
    },
    {
        .name = "short",
        .what = "streams of 13 bytes, 64 in flight",
        .figures = stream_figures,
        .demands = DEMAND_TURNS,
        .extent = BY_STREAMS,
        .bytes = 13,
        .streams = 20000,
        .at_once = 64,
        .write_size = 256 * KIB,
        .send = relay_send,
        .tell = short_tell,
    },
    {
        .name = "latency",
        .what = "64-byte messages at a fixed rate on 64 streams, open loop",
        .figures = latency_figures,
        .demands = DEMAND_64 | DEMAND_CONTENT,
        .extent = BY_SECONDS,
        .streams = 64,
        .seconds = 2,
        .write_size = 64,
        .params = rates,
        .send = latency_send,
        .tell = latency_tell,
    },
    {
        .name = "file",
        .what = "1 stream into a file",
        .figures = byte_figures,
        .demands = DEMAND_ONE | DEMAND_FILES,
        .extent = BY_BYTES,
        .bytes = 2 * GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .send = bulk_send,
    },
    {
        .name = "dir",
        .what = "1,000 streams of 1 MiB, 16 at a time, each into a file of its own",
        .figures = byte_figures,
        .demands = DEMAND_TURNS | DEMAND_FILES,
        .extent = BY_STREAMS,
        .bytes = MIB,
        .streams = 1000,
        .at_once = 16,
        .write_size = 256 * KIB,
        .send = relay_send,
    },
    {
        .name = "idle",
        .what = "10,000 streams that send nothing",
        .figures = idle_figures,
        .demands = DEMAND_ANY | DEMAND_IDLE,
        .extent = BY_SECONDS,
        .streams = 10000,
        .seconds = 1,
        .send = idle_send,
        .observe = idle_observe,
        .tell = idle_tell,
    },
    {
        .name = "stalled",
        .what = "1,000 streams that nobody takes from until their senders can send no more",
        .figures = memory_figures,
        .demands = DEMAND_ANY | DEMAND_STALL,
        .extent = BY_STREAMS,
        .bytes = MIB,
        .streams = 1000,
        .write_size = 64 * KIB,
        .only_by_name = true,
        .send = stalled_send,
        .observe = stalled_observe,
        .tell = stalled_tell,
    },
    {
        .name = "map",
        .what = "messages of a size on some streams at a rate, or flat out",
        .figures = byte_figures,
        .demands = DEMAND_ANY,
        .extent = BY_BYTES,
        .bytes = 16 * MIB,
        .streams = 64,
        .seconds = 0.25,
        .write_size = 64,
        .only_by_name = true,
        .params = points,
        .send = map_send,
        .tell = map_tell,
    },
    {
        .name = "sweep",
        .what = "bulk, over slot sizes and numbers of slots",
        .figures = byte_figures,
        .demands = DEMAND_ONE | DEMAND_POOL,
        .extent = BY_BYTES,
        .bytes = GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .only_by_name = true,
        .params = pools,
        .send = bulk_send,
        .tell = sweep_tell,
    },
    {
        .name = "tls-bulk",
        .what = "bulk through TLS 1.3, AES-128-GCM in records of 16 KiB",
        .figures = byte_figures,
        .demands = DEMAND_ONE | DEMAND_TLS,
        .extent = BY_BYTES,
        .bytes = GIB,
        .streams = 1,
        .write_size = 256 * KIB,
        .send = bulk_send,
    },
    {
        .name = "tls-short",
        .what = "short through TLS 1.3, each with a whole handshake",
        .figures = stream_figures,
        .demands = DEMAND_TURNS | DEMAND_TLS,
        .extent = BY_STREAMS,
        .bytes = 13,
        .streams = 2000,
        .at_once = 64,
        .write_size = 256 * KIB,
        .send = relay_send,
        .tell = short_tell,
    },
    {.name = NULL},
};

const struct workload *workload_find(const char *name)
{
    for (const struct workload *workload = workloads; workload->name; workload++)
        if (strcmp(workload->name, name) == 0)
            return workload;
    return NULL;
}
