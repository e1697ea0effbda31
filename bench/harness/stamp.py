# SPDX-License-Identifier: MIT
"""What a figure depends on besides the code: the machine, its settings, the build.

Nothing of it names a person, a host or a path.
"""

import calendar
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time


def read(path, default=None):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return default


def output_of(*command, cwd=None):
    """Standard output of a command, or None if it isn't there or fails."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def take(source, build):
    """The stamp at the start of a run; finish() adds what only its end knows."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "network": network(),
        "build": built(build),
        "commit": commit(source),
        "busy_before": busy(),
    }


def took(stamp):
    """Seconds that a whole run took."""
    begin, end = (calendar.timegm(time.strptime(stamp[name], "%Y-%m-%dT%H:%M:%SZ"))
                  for name in ("started", "finished"))
    return end - begin


def finish(stamp):
    stamp["finished"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stamp["busy_after"] = busy()
    before, after = stamp["busy_before"]["jiffies"], stamp["busy_after"]["jiffies"]
    passed = sum(after.values()) - sum(before.values())
    stolen = after["steal"] - before["steal"]
    stamp["steal_share"] = round(stolen / passed, 5) if passed else 0.0


# ---- the machine

def machine():
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "cache": caches(),
        "memory_mib": memory_mib(),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "distribution": distribution(),
        "hypervisor": hypervisor(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        "mitigations": mitigations(),
    }


def cpu_model(text=None):
    text = read("/proc/cpuinfo", "") if text is None else text
    found = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found.group(1).split()) if found else platform.machine()


def caches():
    """{"L1d": "32K", "L2": "1024K", ...} of the first core."""
    found = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind = read(index / "level"), read(index / "type")
        if kind in ("Data", "Unified"):
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = read(index / "size")
    return found


def memory_mib(text=None):
    text = read("/proc/meminfo", "") if text is None else text
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) // 1024 if found else None


def distribution(text=None):
    text = read("/etc/os-release", "") if text is None else text
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', text, re.MULTILINE)
    return found.group(1) if found else "unknown"


def hypervisor():
    # systemd-detect-virt says "none" and fails where there is none.
    if shutil.which("systemd-detect-virt"):
        done = subprocess.run(["systemd-detect-virt", "--vm"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip() or "unknown"
    return "yes" if " hypervisor" in read("/proc/cpuinfo", "") else "none seen"


def mitigations():
    """{vulnerability: mitigation}, without those that don't concern this processor."""
    found = {}
    for entry in sorted(pathlib.Path("/sys/devices/system/cpu/vulnerabilities").glob("*")):
        text = read(entry)
        if text and text != "Not affected":
            found[entry.name] = text
    return found


# ---- the network

SYSCTLS = (
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
    "net/core/rmem_max",
    "net/core/rmem_default",
    "net/core/wmem_max",
    "net/core/somaxconn",
    "net/core/busy_read",
    "kernel/io_uring_disabled",
    "kernel/perf_event_paranoid",
)


def network():
    found = {"mtu_lo": read("/sys/class/net/lo/mtu")}
    for name in SYSCTLS:
        text = read("/proc/sys/" + name)
        if text is not None:
            found[name.rsplit("/", 1)[1]] = " ".join(text.split())
    return found


# ---- the build

def built(build):
    found = {name: output_of("pkg-config", "--modversion", name)
             for name in ("liburing", "libssl")}
    try:
        units = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    except (OSError, ValueError):
        return found
    for unit in units:
        # All of the engine is compiled alike.
        if "engine" in pathlib.PurePath(unit["file"]).parts:
            words = unit["command"].split()
            found["compiler"] = compiler_version(words)
            found["flags"] = " ".join(flags(words))
            break
    return found


def compiler_version(words):
    compiler = words[1] if os.path.basename(words[0]) in ("ccache", "sccache") else words[0]
    text = output_of(compiler, "--version")
    return text.splitlines()[0] if text else compiler


def flags(words):
    """The flags of a compile command that change the code, without names of files."""
    kept, skip = [], False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-c", "-MF", "-MQ", "-MT", "-I", "-isystem"):
            skip = True
        elif word.startswith("-") and not word.startswith(("-I", "-M", "-W", "-fdiagnostics")):
            kept.append(word)
    return kept


def commit(source):
    """Of the sources; None: there are none, what is measured was installed."""
    name = source and output_of("git", "rev-parse", "HEAD", cwd=source)
    if name is None:
        return {"name": "unknown", "dirty": None}
    status = output_of("git", "status", "--porcelain", "--untracked-files=no", cwd=source)
    return {"name": name, "dirty": bool(status)}


# ---- how busy the machine was

JIFFIES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def busy():
    values = read("/proc/stat", "cpu " + "0 " * 8).splitlines()[0].split()[1:]
    return {
        "load": read("/proc/loadavg", "").split()[:3],
        "jiffies": dict(zip(JIFFIES, map(int, values))),
    }


def slug(stamp):
    """A short name for the kind of machine, for file names: "amd-epyc-2-cores"."""
    model = stamp["machine"]["cpu"].lower()
    model = re.sub(r"\((r|tm)\)|@.*$|\bcpu\b|\bprocessor\b|\b\d+-core\b", " ", model)
    model = re.sub(r"[^a-z0-9]+", "-", model).strip("-")
    return f"{model}-{stamp['machine']['cores']}-cores"
