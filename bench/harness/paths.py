# SPDX-License-Identifier: MIT
"""The path between sender and receiver: loopback, or a veth pair between two network namespaces.

Who does the softirq work of a pair is a matter of placement, and figures change with it: the
sender's core, which is what a veth pair does by itself; each side's own core, as between two
machines (RPS); or a thread of its own (threaded NAPI, for which a segment has to be a packet here).

The namespaces have no names: two processes that sleep hold them, and die with whoever made them. So
nothing is left, however a run ends: the kernel takes the namespaces away with the last process in
them, and the pair with the namespaces.
"""

import collections
import os
import pathlib
import shutil
import subprocess
import sys

from harness import big_tcp
from harness.driver import Failed, last_line

# A pair: its ends have one name in both namespaces, and addresses in a network of their own.
Pair = collections.namedtuple("Pair", "device network mtu big", defaults=(False,))


def ends(pair):
    """Addresses of receiver and sender."""
    return tuple(f"10.99.{pair.network}.{number}" for number in (1, 2))


def address(pair):
    """The options that say that a receiver is there."""
    return (f"--address={ends(pair)[0]}",)


DEVICE, MTU = "bench", 1500
MAIN = Pair(DEVICE, 0, MTU)
RECEIVER, SENDER = ends(MAIN)
# Beside it, where a set needs them. A segment's payload is a page: headers are 52 bytes.
PAGES = Pair("pages", 1, 4096 + 52)
BIG = Pair("big", 2, MTU, big=True)


class Loopback:
    name = "loopback"
    softirq = None
    options = ()
    missing = {}

    def napi_cpu(self):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Veth:
    """options: for lastbyte-bench, while it is entered."""

    def __init__(self, name, softirq, cores, more=()):
        self.name = name
        self.pairs = (MAIN, *more)
        self.missing = {}   # pairs that can't be as they should: why not
        self.like_a_nic = name == "veth-nic"
        self.softirq = None if self.like_a_nic else softirq
        self.cores = cores  # of receiver and sender
        self.napi = ()      # accounts of the NAPI threads, one for each queue
        self.holders = []
        self.options = ()

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for holder in self.holders:
            holder.kill()
            holder.wait()
            holder.stdout.close()
        self.holders = []

    def _make(self):
        threaded = self.like_a_nic or self.softirq == "own"
        for program in ("ip", "unshare", "nsenter", "setpriv", *(["ethtool"] if threaded else [])):
            if not shutil.which(program):
                raise Failed(f"{program} is not installed (tools/setup bench)")
        if os.geteuid() != 0:
            raise Failed("only root can make network namespaces")
        receiver, sender = self._hold(), self._hold()
        others = _napi_threads(self.pairs)
        for pair in self.pairs:
            self._make_pair(pair, receiver, sender, threaded)
        self.napi = _napi_threads(self.pairs) - others
        self.options = (*address(MAIN), f"--receiver-net=/proc/{receiver}/ns/net",
                        f"--sender-net=/proc/{sender}/ns/net")

    def _make_pair(self, pair, receiver, sender, threaded):
        device = pair.device
        _call("ip", "link", "add", device, "netns", receiver, "mtu", pair.mtu, "type", "veth",
              "peer", "name", device, "netns", sender, "mtu", pair.mtu)
        for holder, end in zip((receiver, sender), ends(pair)):
            _call(*_inside(holder), "ip", "address", "add", f"{end}/24", "dev", device)
            _call(*_inside(holder), "ip", "link", "set", "lo", "up")
            _call(*_inside(holder), "ip", "link", "set", device, "up")
        if self.like_a_nic:
            # One segment for each packet, put together again by the receiver's NAPI, in a thread.
            _call(*_inside(sender), "ethtool", "-K", device, "tso", "off", "gso", "off")
        elif threaded:
            # The pair leaves packets that are to be cut up later to no NAPI (veth_xmit).
            _call(*_inside(sender), "ethtool", "-K", device, "tso", "off")
        if threaded:
            _call(*_inside(receiver), "ethtool", "-K", device, "gro", "on")
            _write(receiver, device, "threaded", "1")
        if self.softirq == "receiver":
            for holder, core in zip((receiver, sender), self.cores):
                _write(holder, device, "queues/rx-*/rps_cpus", _mask(core))
        if pair.big:
            self._allow_big(pair, (receiver, sender))

    def _allow_big(self, pair, holders):
        for holder in holders:
            try:
                _call(*_inside(holder), sys.executable, big_tcp.__file__, pair.device, big_tcp.SIZE)
            except Failed as failure:
                self.missing[pair] = str(failure)

    def napi_cpu(self):
        """CPU-seconds of the NAPI threads until now, or None where there are none."""
        if not self.napi:
            return None
        return sum(int((thread / "schedstat").read_text().split()[0])
                   for thread in self.napi) / 1e9

    def _hold(self):
        """Its namespace is there once it has said so. Returns its number."""
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "sh", "-c",
             "echo here; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.holders.append(holder)
        said = holder.stdout.readline().strip()
        if said != "here":
            raise Failed(f"no network namespace: {said}")
        return holder.pid


def _napi_threads(pairs):
    """Of devices of these names, in any namespace: the folders of their accounts."""
    names = tuple(f"napi/{pair.device}-" for pair in pairs)
    found = set()
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith(names):
                found.add(comm.parent)
        except OSError:
            continue
    return found


def _mask(core):
    """A set of cores as the kernel writes it: 32 of them in each group, the highest first."""
    groups = [0] * (core // 32 + 1)
    groups[core // 32] = 1 << core % 32
    return ",".join(f"{group:08x}" for group in reversed(groups))


def _write(holder, device, name, value):
    """An attribute of a device: /sys shows the network namespace that it was mounted in."""
    _call(*_inside(holder), "unshare", "--mount", "sh", "-c",
          f"mount -t sysfs none /sys && echo {value} | tee /sys/class/net/{device}/{name}")


def _inside(holder):
    return ("nsenter", f"--net=/proc/{holder}/ns/net")


def _call(*command):
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {last_line(done.stdout)}")


NAMES = ("loopback", "veth", "veth-nic")
PLACEMENTS = ("sender", "receiver", "own")


def of(name, softirq="sender", cores=(0, 0), more=()):
    """more: pairs beside the one that is always there."""
    return Loopback() if name == "loopback" else Veth(name, softirq, cores, more)
