# SPDX-License-Identifier: MIT
"""The path between sender and receiver: loopback, or a veth pair between two network namespaces.

The namespaces have no names: two processes that sleep hold them, and die with whoever made them. So
nothing is left, however a run ends: the kernel takes the namespaces away with the last process in
them, and the pair with the namespaces.
"""

import os
import shutil
import subprocess

from harness.driver import Failed, last_line

RECEIVER, SENDER = "10.99.0.1", "10.99.0.2"
DEVICE = "bench"  # in both namespaces
MTU = 1500


class Loopback:
    name = "loopback"
    options = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Veth:
    """options: for lastbyte-bench, while it is entered."""

    def __init__(self, name, like_a_nic):
        self.name = name
        self.like_a_nic = like_a_nic
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
        for program in ("ip", "unshare", "nsenter", "setpriv",
                        *(["ethtool"] if self.like_a_nic else [])):
            if not shutil.which(program):
                raise Failed(f"{program} is not installed (tools/setup bench)")
        if os.geteuid() != 0:
            raise Failed("only root can make network namespaces")
        receiver, sender = self._hold(), self._hold()
        _call("ip", "link", "add", DEVICE, "netns", receiver, "mtu", MTU, "type", "veth",
              "peer", "name", DEVICE, "netns", sender, "mtu", MTU)
        for holder, address in ((receiver, RECEIVER), (sender, SENDER)):
            _call(*_inside(holder), "ip", "address", "add", f"{address}/24", "dev", DEVICE)
            _call(*_inside(holder), "ip", "link", "set", "lo", "up")
            _call(*_inside(holder), "ip", "link", "set", DEVICE, "up")
        if self.like_a_nic:
            # One segment for each packet, put together again by the receiver's NAPI, in a thread.
            _call(*_inside(sender), "ethtool", "-K", DEVICE, "tso", "off", "gso", "off")
            _call(*_inside(receiver), "ethtool", "-K", DEVICE, "gro", "on")
            _call(*_inside(receiver), "unshare", "--mount", "sh", "-c",
                  f"mount -t sysfs none /sys && echo 1 >/sys/class/net/{DEVICE}/threaded")
        self.options = (f"--address={RECEIVER}", f"--receiver-net=/proc/{receiver}/ns/net",
                        f"--sender-net=/proc/{sender}/ns/net")

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


def _inside(holder):
    return ("nsenter", f"--net=/proc/{holder}/ns/net")


def _call(*command):
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {last_line(done.stdout)}")


NAMES = ("loopback", "veth", "veth-nic")


def of(name):
    return Loopback() if name == "loopback" else Veth(name, like_a_nic=name == "veth-nic")
