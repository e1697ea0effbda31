# SPDX-License-Identifier: MIT
"""The figures: their names, units and direction, and which of them go together to judge by."""

import collections

# precision: an interval of so much to both sides is narrow enough to decide by. is_tail: what few
# messages make, and a host's whim decides.
Metric = collections.namedtuple(
    "Metric", "key label unit heading lower_is_better digits scale precision is_tail",
    defaults=(0.03, False))


def _less(key, label, unit, heading, digits, scale=1.0):
    return Metric(key, label, unit, heading, True, digits, scale)


def _more(key, label, unit, heading, digits):
    return Metric(key, label, unit, heading, False, digits, 1.0)


def _tail(*fields):
    return _less(*fields)._replace(precision=0.15, is_tail=True)


METRICS = {metric.key: metric for metric in (
    _more("gib_per_s", "throughput", "GiB/s", "GiB/s", 2),
    _less("receiver_cpu_s_per_gib", "CPU", "CPU-s/GiB", "CPU-s/GiB", 3),
    _less("system_cpu_s_per_gib", "whole system's CPU", "CPU-s/GiB", "system CPU-s/GiB", 3),
    _less("syscalls_per_mib", "system calls", "/MiB", "syscalls/MiB", 1),
    _more("streams_per_s", "streams", "1/s", "streams/s", 0),
    _less("receiver_cpu_us_per_stream", "CPU", "µs/stream", "CPU-µs/stream", 2),
    _less("system_cpu_us_per_stream", "whole system's CPU", "µs/stream", "system CPU-µs/stream", 2),
    _less("syscalls_per_stream", "system calls", "/stream", "syscalls/stream", 1),
    _less("p50_us", "p50", "µs", "p50 µs", 1),
    _tail("p99_us", "p99", "µs", "p99 µs", 1),
    _tail("p999_us", "p99.9", "µs", "p99.9 µs", 1),
    _tail("max_us", "max", "µs", "max µs", 0),
    _less("receiver_cpu_fraction", "CPU", "CPU-s/s", "CPU-s/s", 3),
    _less("rss_bytes_per_stream", "memory", "B/stream", "B/stream", 0),
    _less("kernel_object_bytes_per_stream", "kernel's objects", "B/stream", "kernel B/stream", 0),
    _less("kernel_socket_bytes_per_stream", "queues of sockets", "B/stream", "queues B/stream", 0),
    _less("sender_socket_bytes_per_stream", "the sender's queues", "B/stream",
          "sender's queues B/stream", 0),
    _less("idle_cpu_s_per_s", "CPU", "ms/s", "CPU-ms/s", 2, 1000.0),
    _less("connect_cpu_s", "CPU of accepting", "CPU-s", "accept CPU-s", 2),
    _less("receiver_rss_kib", "peak memory", "MiB", "peak MiB", 1, 1 / 1024),
)}

# Which metrics a workload's table shows, by which wins and losses are told (how fast, and at what
# cost), and by which its table is sorted.
Figures = collections.namedtuple("Figures", "shown judged cost")

BYTES = Figures(
    shown=("gib_per_s", "receiver_cpu_s_per_gib", "system_cpu_s_per_gib", "syscalls_per_mib",
           "receiver_rss_kib"),
    judged=("gib_per_s", "receiver_cpu_s_per_gib", "system_cpu_s_per_gib"),
    cost="receiver_cpu_s_per_gib")
STREAMS = Figures(
    shown=("streams_per_s", "receiver_cpu_us_per_stream", "system_cpu_us_per_stream",
           "syscalls_per_stream"),
    judged=("streams_per_s", "receiver_cpu_us_per_stream", "system_cpu_us_per_stream"),
    cost="receiver_cpu_us_per_stream")
LATENCY = Figures(
    shown=("p50_us", "p99_us", "p999_us", "max_us", "receiver_cpu_fraction"),
    judged=("p50_us", "p99_us", "receiver_cpu_fraction"),
    cost="p99_us")
IDLE = Figures(
    shown=("rss_bytes_per_stream", "kernel_object_bytes_per_stream", "idle_cpu_s_per_s",
           "connect_cpu_s"),
    judged=("rss_bytes_per_stream",),
    cost="rss_bytes_per_stream")
MEMORY = Figures(
    shown=("kernel_socket_bytes_per_stream", "sender_socket_bytes_per_stream",
           "kernel_object_bytes_per_stream", "rss_bytes_per_stream"),
    judged=("rss_bytes_per_stream",),
    cost="rss_bytes_per_stream")


def written(key, value):
    """A value with as many digits as its metric deserves, without the unit."""
    if value is None:
        return "–"
    metric = METRICS[key]
    return f"{value * metric.scale:,.{metric.digits}f}"
