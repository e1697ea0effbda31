# SPDX-License-Identifier: MIT
"""Results with known truths in them: what the report and compare must find is put in here."""

import random

from harness import results

CONTENDERS = (
    ("uring", "ours", ""), ("epoll", "ours", ""), ("naive", "loop", ""), ("loop-64k", "loop", ""),
    ("loop-256k", "loop", ""), ("plain-epoll", "loop", ""), ("libuv", "library", ""),
    ("nc", "program", ""), ("iperf3", "own sender", ""), ("trunc", "floor", "no payload copy"),
    ("sleep-1ms", "floor", "always sleeps 1 ms"),
)
# CPU-s/GiB and GiB/s of bulk: loop-256k beats uring in rate, epoll is the same as uring.
BULK = {
    "uring": (0.100, 4.0), "epoll": (0.100, 4.0), "naive": (0.500, 1.5), "loop-64k": (0.140, 3.8),
    "loop-256k": (0.120, 5.0), "plain-epoll": (0.150, 3.5), "libuv": (0.170, 3.0),
    "nc": (0.250, 2.5), "iperf3": (0.150, 6.0), "trunc": (0.050, 9.0),
    "sleep-1ms": (0.080, 7.0),
}
LATENCY = {"uring": (20.0, 100.0), "epoll": (15.0, 80.0), "plain-epoll": (20.0, 200.0)}
STAMP = {
    "started": "2020-01-02T03:04:05Z",
    "machine": {"cpu": "Example CPU", "cores": 2, "usable_cores": 2, "cache": {"L2": "1024K"},
                "memory_mib": 1024, "kernel": "6.1", "distribution": "Debian", "hypervisor": "kvm",
                "governor": "none", "mitigations": {"a": "Mitigation: b"}},
    "network": {"mtu_lo": "65536"},
    "build": {"liburing": "2.3", "compiler": "gcc 12", "flags": "-O3"},
    "commit": {"name": "0123456789abcdef", "dirty": False},
    "busy_before": {"load": ["0", "0", "0"]},
    "steal_share": 0.001,
}


def document(pairs=15, noise=0.01, seed=1, change=None, drift=0.0, without=()):
    """A result. change: {contender: factor} on its CPU; drift: how much slower each round is."""
    rng = random.Random(seed)
    samples = []
    for number in range(pairs):
        slower = 1 + drift * number
        for name, (cpu, rate) in BULK.items():
            for control in (False, True) if name == "uring" else (False,):
                factor = (change or {}).get(name, 1.0)
                samples.append(_bulk(name, control, number, cpu * factor * slower, rate / slower,
                                     rng, noise))
        for name, (p50, p99) in LATENCY.items():
            for control in (False, True) if name == "uring" else (False,):
                samples.append(_latency(name, control, number, p50, p99, rng, noise))
        samples.append({**_sweep("65536x8"), "round": number})
        samples.append({**_sweep("262144x8"), "round": number})
    for size, peak in (("1G", 3000), ("64G", 3004)):
        samples.append({"workload": "memory", "contender": "uring", "control": False, "round": 0,
                        "parameter": size, "receiver_rss_kib": peak})
    return {
        "format": results.FORMAT, "auto": "uring", "stamp": STAMP,
        "settings": {"pairs": pairs, "rounds": pairs, "quick": False},
        "contenders": [{"name": name, "kind": kind, "label": label}
                       for name, kind, label in CONTENDERS],
        "skipped": [{"contender": "ncat", "why": "ncat is not installed"}], "failed": [],
        "samples": [sample for sample in samples if sample["contender"] not in without],
    }


def _bulk(name, control, number, cpu, rate, rng, noise):
    return {"workload": "bulk", "contender": name, "control": control, "round": number,
            "gib_per_s": rate * rng.lognormvariate(0, noise),
            "receiver_cpu_s_per_gib": cpu * rng.lognormvariate(0, noise),
            "system_cpu_s_per_gib": 3 * cpu}


def _latency(name, control, number, p50, p99, rng, noise):
    scatter = rng.lognormvariate(0, noise)
    return {"workload": "latency-10k", "contender": name, "control": control, "round": number,
            "p10_us": 0.5 * p50 * scatter, "p50_us": p50 * scatter,
            "p99_us": p99 * rng.lognormvariate(0, noise), "p999_us": 2 * p99, "max_us": 3 * p99,
            "receiver_cpu_fraction": 0.2 * rng.lognormvariate(0, noise)}


def _sweep(parameter):
    return {"workload": "sweep", "contender": "uring", "control": False, "parameter": parameter,
            "gib_per_s": 4.0, "receiver_cpu_s_per_gib": 0.1}
