# SPDX-License-Identifier: MIT
"""bench/run over a veth pair: every byte arrives over that and nothing else, and nothing is left
behind."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import support
from harness import driver, paths
from run_test import Temporary

BUILD = pathlib.Path(os.environ["LASTBYTE_BUILD"])
SMALL = "--bytes=8M"
CORES = (max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0)))


def until(condition):
    end = time.monotonic() + support.DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("never came")
        time.sleep(0.02)


def inside(net, *command):
    return subprocess.run(["nsenter", f"--net={net}", *command], stdout=subprocess.PIPE,
                          check=True, text=True).stdout


class Veth(Temporary):
    def enter(self, name, softirq="sender"):
        return support.enter(self, paths.of(name, softirq, CORES))

    def nets(self, path):
        return [option.partition("=")[2] for option in path.options[1:]]

    def received(self, path):
        """Bytes that the receiver's end of the pair has seen."""
        told = inside(self.nets(path)[0], "ip", "-s", "link", "show", paths.DEVICE)
        return int(re.search(r"RX:.*\n\s*(\d+)", told)[1])

    def check(self, name, softirq="sender"):
        path = self.enter(name, softirq)
        bench = driver.Driver(BUILD)
        for contender in ("epoll", "plain-epoll"):
            before = self.received(path)
            sample = bench.sample("bulk", contender, options=(SMALL, *path.options))
            self.assertAlmostEqual(8 << 20, sample["bytes"], delta=16)  # it is told in six digits
            self.assertGreater(self.received(path) - before, 8 << 20)
        self.assertEqual({"bulk/epoll": ""},
                         bench.verify("bulk", ["epoll"], (SMALL, *path.options)))
        return path

    def test_bytes_go_over_the_pair(self):
        self.check("veth")

    def test_bytes_go_over_the_pair_like_a_nic(self):
        self.check("veth-nic")

    def test_packets_are_received_by_each_sides_own_core(self):
        path = self.check("veth", "receiver")
        for net, core in zip(self.nets(path), CORES):
            told = inside(net, "unshare", "--mount", "sh", "-c", "mount -t sysfs none /sys && "
                          f"cat /sys/class/net/{paths.DEVICE}/queues/rx-0/rps_cpus")
            self.assertEqual(1 << core, int(told.strip().replace(",", ""), 16))
        self.assertIsNone(path.napi_cpu())

    def test_packets_are_received_by_a_thread_of_their_own(self):
        path = self.enter("veth", "own")
        before = path.napi_cpu()
        driver.Driver(BUILD).sample("bulk", "epoll", options=(SMALL, *path.options))
        self.assertGreater(path.napi_cpu(), before)

    def test_sets_of_cores_as_the_kernel_writes_them(self):
        self.assertEqual("00000001", paths._mask(0))
        self.assertEqual("00000002,00000000", paths._mask(33))

    def test_nothing_is_left_after_a_kill(self):
        self.enter("veth")
        code = ("import sys, time\n"
                f"sys.path.insert(0, {str(support.BENCH)!r})\n"
                "from harness import paths\n"
                "with paths.of('veth') as path:\n"
                "    print(*[holder.pid for holder in path.holders], flush=True)\n"
                "    time.sleep(1000)\n")
        maker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        self.addCleanup(maker.wait)
        self.addCleanup(maker.kill)
        holders = maker.stdout.readline().split()
        self.assertEqual(2, len(holders))
        maker.send_signal(signal.SIGKILL)
        maker.stdout.close()
        until(lambda: not any(os.path.exists(f"/proc/{holder}/ns/net") for holder in holders))

    def test_a_run_says_which_path_it_took(self):
        self.enter("veth")
        done = self.run_bench(BUILD, "--path=veth", "--softirq=own", "--pairs=2", "--quick",
                              "--workload=bulk", "--contender=epoll,plain-epoll")
        self.assertEqual(0, done.returncode, done.stderr + done.stdout)
        self.assertIn("skipped: programs and runtimes: they are measured on loopback only",
                      done.stdout)
        settings = self.only_result().document["settings"]
        self.assertEqual(("veth", "own"), (settings["path"], settings["softirq"]))
        # In the first round system calls are counted besides.
        self.assertEqual([1], sorted(self.only_result().series("bulk", "plain-epoll",
                                                               "napi_cpu_s")))

    def test_a_namespace_that_is_none_is_named(self):
        done = subprocess.run(
            [BUILD / "bench" / "lastbyte-bench", "--verify", "--workload=bulk",
             "--contender=epoll", SMALL, "--receiver-net=/nowhere"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=support.DEADLINE)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("/nowhere: no network namespace that may be entered", done.stdout)


if __name__ == "__main__":
    unittest.main()
