# SPDX-License-Identifier: MIT
"""Two hosts: the sender is a lastbyte-load --server on another one. What each is goes into the
result, with the network interface that is between them."""

import json
import subprocess

from harness import stamp
from harness.driver import Failed, last_line

ASK_SECONDS = 60
OFFLOADED = {True: "on", False: "off"}


class Hosts:
    """A path as those of paths.py; options: for lastbyte-bench, while it is entered."""

    name = "hosts"
    softirq = None
    missing = {}

    def __init__(self, driver, sender, token_file=None):
        self.token = (f"--token-file={token_file}",) if token_file else ()
        self.sender = sender
        self.driver = driver
        self.options = ()
        self.told = {}

    def __enter__(self):
        done = subprocess.run([self.driver.load, f"--ask={self.sender}", *self.token],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=ASK_SECONDS)
        if done.returncode != 0:
            raise Failed(last_line(done.stderr) or f"lastbyte-load ended with {done.returncode}")
        self.told = json.loads(done.stdout)
        self.options = (f"--address={self.told['address']}", f"--sender={self.sender}", *self.token)
        return self

    def __exit__(self, *_):
        pass

    def napi_cpu(self):
        return None

    def entry(self):
        """For the result. No address is in there."""
        return {"receiver": host(self.told["here"]), "sender": host(self.told["there"]),
                "clock_error_us": round(self.told["clock_error_us"], 1)}


def host(facts):
    """The stamp of one host, out of what lastbyte-load gathers there."""
    files = facts["files"]
    return {
        "cpu": stamp.cpu_model(files.get("/proc/cpuinfo", "")),
        "cores": facts["cores"],
        "memory_mib": stamp.memory_mib(files.get("/proc/meminfo", "")),
        "architecture": facts["architecture"],
        "kernel": facts["kernel"],
        "distribution": stamp.distribution(files.get("/etc/os-release", "")),
        "governor": files.get("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                              "none").strip(),
        "mitigations": named(files, "/sys/devices/system/cpu/vulnerabilities/",
                             without="Not affected"),
        "network": {path.rpartition("/")[2]: " ".join(text.split())
                    for path, text in files.items() if path.startswith("/proc/sys/net/")},
        "interface": interface(facts),
    }


def named(files, folder, without=None):
    """{name: text} of the files right in a folder."""
    return {path[len(folder):]: text.strip() for path, text in files.items()
            if path.startswith(folder) and "/" not in path[len(folder):]
            and text.strip() != without}


def interface(facts):
    """What is known of the interface: of a NIC its driver, queues, interrupts, NUMA node."""
    files = facts["files"]
    place = f"/sys/class/net/{facts['device']}/"
    found = {name: text for name, text in named(files, place).items() if text}
    queues = [path for path in files if path.startswith(place + "queues/")]
    found.update({
        "mtu": facts["mtu"],
        "driver": next(iter(facts["links"].values()), "none"),
        "numa_node": files.get(place + "device/numa_node", "none").strip(),
        "receive_queues": sum("/rx-" in path for path in queues),
        "send_queues": sum("/tx-" in path for path in queues),
        "steering": {path[len(place + "queues/"):]: files[path].strip() for path in queues},
        "interrupts": {path.split("/")[3]: text.strip() for path, text in files.items()
                       if path.startswith("/proc/irq/")},
        "offloads": {name: OFFLOADED[on] for name, on in facts["offloads"].items()},
    })
    return found
