# SPDX-License-Identifier: MIT
"""Each runtime that is here receives every byte, of one stream and of many, and tells how late
messages were; and one that doesn't is caught."""

import io
import json
import math
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import support
from harness import (arrivals, driver, hdr, outcome, outside, plan, process, programs, runtimes,
                     session, workloads)

BUILD = pathlib.Path(os.environ["LASTBYTE_BUILD"])
LIAR = support.HERE / "lying_runtime.py"
SMALL = ("--bytes=4M",)
FEW = ("--streams=640",)
BRIEF = ("--seconds=0.2",)
RATE = 10000
MESSAGES = 64 * 32  # at least BRIEF * RATE, as many on each of 64 streams
TIMED = MESSAGES - RATE // 40  # the first eighth of the time is to warm up
CHECKED = ("bulk", "fanin-64", "short", "latency")


def setUpModule():
    """One for all: it keeps what it has learnt of what is sent."""
    global measured
    outside.CHECKED = (*SMALL, "--streams=64", *BRIEF)
    scratch = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(scratch.cleanup)
    measured = outside.Outside(driver.Driver(BUILD), scratch.name)


def verify(program, name):
    return measured.verify(program, workloads.of(name))


def sample(program, name, options, rate=None):
    return measured.sample(program, workloads.of(name), options, rate)


def connected(port):
    """To a program that may only be about to listen."""
    deadline = time.monotonic() + support.DEADLINE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=support.DEADLINE)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Runtimes(unittest.TestCase):
    def check(self, name):
        program = next(entry for entry in runtimes.runtimes(BUILD) if entry.name == name)
        if program.missing():
            self.skipTest(program.missing())
        for workload in CHECKED:
            self.assertEqual("", verify(program, workload), workload)
        self.check_counted(sample(program, "fanin-64", SMALL))
        self.check_short(sample(program, "short", FEW))
        self.check_latency(sample(program, "latency", BRIEF, RATE))

        self.check_pieces(program)

    def check_pieces(self, program):
        """A message whose end comes later is one all the same."""
        job = programs.Job(process.free_port(), None, None, 1, False, None)
        messages = b"".join(time.monotonic_ns().to_bytes(8, "little") + bytes(56)
                            for _ in range(500))
        with subprocess.Popen(list(map(str, program.tell_latencies(job))),
                              stdout=subprocess.PIPE) as receiver:
            with connected(int(job.port)) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(messages), 37):
                    peer.sendall(messages[at:at + 37])
            told = receiver.communicate(timeout=support.DEADLINE)[0]
        bytes_told, _, latencies = told.partition(b"\n")
        self.assertEqual((len(messages), 500 * 8), (int(bytes_told), len(latencies)))
        for (late,) in struct.iter_unpack("<Q", latencies):
            self.assertLess(late, 1e9 * support.DEADLINE)

    def check_counted(self, got):
        self.assertEqual((64, 4 << 20), (got["streams"], got["bytes"]))
        self.assertGreater(got["receiver_cpu_s"], 0)

    def check_short(self, got):
        self.assertEqual((640, 640 * 13), (got["streams"], got["bytes"]))
        self.assertGreater(got["receiver_cpu_us_per_stream"], 0)
        self.assertGreater(got["streams_per_s"], 0)

    def check_latency(self, got):
        """As its clock is the sender's, no message is early or an hour late."""
        self.assertEqual((RATE, 64), (got["rate"], got["streams"]))
        self.assertEqual(TIMED, got["messages"])
        self.assertEqual(got["messages"], hdr.count(hdr.decode(got["histogram"])))
        self.assertLessEqual(1, got["p10_us"])
        for lower, higher in (("p10_us", "p50_us"), ("p50_us", "p99_us"), ("p99_us", "max_us")):
            self.assertLessEqual(got[lower], got[higher])
        self.assertLess(got["max_us"], 1e6 * got["wall_s"])
        self.assertGreater(got["receiver_cpu_fraction"], 0)


class Liars(unittest.TestCase):
    """One that keeps to ../../bench/contenders/README.md but for one thing."""

    def liar(self, *lies):
        return runtimes.Runtime("liar", "", [sys.executable, LIAR, ",".join(lies)], "")

    def test_the_honest_one_passes(self):
        for workload in CHECKED:
            self.assertEqual("", verify(self.liar(), workload), workload)
        self.assertEqual(640, sample(self.liar(), "short", FEW)["streams"])
        self.assertEqual(TIMED, sample(self.liar(), "latency", BRIEF, RATE)["messages"])

    def test_a_run_takes_one_at_each_rate(self):
        asked = plan.Asked(["short", "latency"], ["liar"], quick=True)
        document = session.empty_document({}, {}, "liar", [self.liar().entry()])
        session.Session(plan.make(measured.driver, [self.liar()], asked, pairs=1),
                        measured.driver, measured, document,
                        session.Progress(io.StringIO())).run(math.inf, lambda: None)
        self.assertEqual([], document["failed"])
        self.assertEqual([("short", None), ("latency-1k", 1000), ("latency-10k", 10000),
                          ("latency-50k", 50000)],
                         [(each["workload"], each.get("rate")) for each in document["samples"]])
        known = json.loads((support.BENCH / "result.schema.json").read_text())
        for each in document["samples"]:
            self.assertLessEqual(set(each), set(known["$defs"]["sample"]["properties"]))

    def test_who_miscounts_is_caught(self):
        liar = self.liar("drops-a-byte")
        for workload, options, expected in (("fanin-64", SMALL, 4 << 20), ("short", FEW, 8320),
                                            ("latency", BRIEF, MESSAGES * 64)):
            rate = RATE if workload == "latency" else None
            told = f"counted {expected - 1} bytes where {expected} were sent"
            with self.assertRaisesRegex(driver.Failed, told):
                sample(liar, workload, options, rate)

    def test_who_changes_a_byte_is_caught(self):
        for workload in CHECKED:
            self.assertEqual("the content came out changed",
                             verify(self.liar("changes-a-byte"), workload), workload)

    def test_who_forgets_a_message_is_caught(self):
        with self.assertRaisesRegex(driver.Failed, r"told of \d+ messages where \d+ carried"):
            sample(self.liar("forgets-a-message"), "latency", BRIEF, RATE)

    def test_who_has_another_clock_is_caught(self):
        with self.assertRaisesRegex(driver.Failed, "another clock's time"):
            sample(self.liar("has-another-clock"), "latency", BRIEF, RATE)


class Content(unittest.TestCase):
    def test_of_one_stream_nothing_is_counted(self):
        self.assertIsInstance(workloads.of("fanin-1000").leaves, outcome.Count)
        self.assertNotIsInstance(workloads.of("bulk").leaves, outcome.Count)

    def test_in_which_order_streams_end_is_no_matter(self):
        one, other = b"1" * 64, b"2" * 64
        self.assertEqual(outcome.digest([one, other]), outcome.digest([other, one]))
        self.assertNotEqual(outcome.digest([one, other]), outcome.digest([one, one]))

    def test_of_a_message_all_but_the_time_counts(self):
        message = bytes(range(64))
        self.assertEqual(bytes(8) + message[8:], arrivals.undated(message))
        self.assertEqual(2 * (bytes(8) + message[8:]), arrivals.undated(2 * message))


def add(name):
    setattr(Runtimes, "test_" + name.replace("-", "_"), lambda self: self.check(name))


for entry in runtimes.runtimes(BUILD):
    add(entry.name)

if __name__ == "__main__":
    unittest.main()
