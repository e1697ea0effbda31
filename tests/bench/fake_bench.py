# SPDX-License-Identifier: MIT
"""Stands in for lastbyte-bench: its options and its JSON, with figures out of a table. Settings in
settings.json of the build: `wrong`, `failing` and `unchecked` (verified by nobody) name contenders
that behave so."""

import json
import os
import pathlib
import re
import sys

SETTINGS = json.loads((pathlib.Path(__file__).parent.parent / "settings.json").read_text())
CPU = {"uring": 0.1, "epoll": 0.12, "loop-64k": 0.14, "naive": 0.5, "trunc": 0.05}
KINDS = {"uring": "ours", "epoll": "ours", "trunc": "floor"}
RATES = [1000, 10000]


def contenders():
    listed = [{"name": name, "what": name, "kind": KINDS.get(name, "loop"), "label": "",
               "available": True, "why": "", "workloads": ["bulk", "latency"]} for name in CPU]
    listed.append({"name": "libuv", "what": "libuv", "kind": "library", "label": "",
                   "available": False, "why": "not built in", "workloads": ["bulk"]})
    return listed


def options():
    found = {}
    for argument in sys.argv[1:]:
        name, _, value = argument.lstrip("-").partition("=")
        found[name] = value
    return found


def names(chosen):
    """Every registered benchmark, as the real one calls them."""
    for contender in CPU:
        for control in ([False, True] if chosen.get("control") == contender else [False]):
            tail = "/control" if control else ""
            yield contender, f"bulk/{contender}{tail}"
            for rate in RATES:
                yield contender, f"latency/{contender}/{rate}{tail}"
    yield "uring", "sweep/uring/65536x8"


def main():
    chosen = options()
    workloads = chosen.get("workload", "bulk,latency").split(",")
    selected = [(contender, name) for contender, name in names(chosen)
                if name.split("/")[0] in workloads
                and contender in chosen.get("contender", contender).split(",")]
    if "list" in chosen:
        print(json.dumps({
            "receiver_core": max(os.sched_getaffinity(0)), "congestion": "cubic", "rcvbuf": 0,
            "sender_core": min(os.sched_getaffinity(0)), "contenders": contenders(),
            "workloads": [
                {"name": "bulk", "params": [], "bytes": 1 << 20, "streams": 1,
                 "contenders": [*CPU, "libuv"]},
                {"name": "latency", "params": RATES, "contenders": [*CPU],
                 "streams": int(chosen.get("streams", 64))},
                {"name": "sweep", "params": ["65536x8"], "streams": 1, "contenders": ["uring"]}],
            "benchmarks": [name for _, name in selected]}))
        return 0
    if "verify" in chosen:
        wrong = SETTINGS.get("wrong", [])
        unchecked = SETTINGS.get("unchecked", [])
        for contender, name in selected:
            if contender not in unchecked:
                print(f"{name}: " + ("WRONG: a byte is missing" if contender in wrong
                                     else "ok (only counted)" if contender == "trunc" else "ok"))
        return int(any(contender in wrong for contender, _ in selected))
    return measure(chosen, selected)


def measure(chosen, selected):
    entries = []
    if "\\" in chosen["benchmark_filter"]:
        sys.exit("Could not compile benchmark re: POSIX knows fewer escapes than Python")
    for contender, name in selected:
        full = f"{name}/iterations:1/manual_time"
        if not re.search(chosen["benchmark_filter"], full):
            continue
        entry = {"name": full, "run_name": full, "iterations": 1, "real_time": 1.0}
        if contender in SETTINGS.get("failing", []):
            entry.update(error_occurred=True, error_message=f"{contender}: 1 byte is missing")
        else:
            cpu = CPU[contender]
            entry.update(wall_s=0.5, bytes=1 << 20, streams=1, gib_per_s=1 / cpu,
                         receiver_cpu_s_per_gib=cpu, system_cpu_s_per_gib=3 * cpu, p50_us=20.0,
                         p99_us=100.0, p999_us=200.0, max_us=300.0, receiver_cpu_fraction=cpu)
            if "no-syscalls" not in chosen:
                entry["syscalls_per_mib"] = 4.0
        entries.append(entry)
    pathlib.Path(chosen["benchmark_out"]).write_text(json.dumps({"benchmarks": entries}))
    return int(any("error_occurred" in entry for entry in entries))


sys.exit(main())
