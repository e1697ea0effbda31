# SPDX-License-Identifier: MIT
"""Each runtime that is here receives every byte, of one stream and of many."""

import os
import pathlib
import sys
import unittest

import support
from harness import driver, outcome, outside, runtimes, workloads
from run_test import Temporary

BUILD = pathlib.Path(os.environ["LASTBYTE_BUILD"])
SMALL = ("--bytes=16M",)


class Runtimes(Temporary):
    def setUp(self):
        super().setUp()
        self.outside = outside.Outside(driver.Driver(BUILD), self.directory)

    def check(self, name):
        program = next(entry for entry in runtimes.runtimes(BUILD) if entry.name == name)
        if program.missing():
            self.skipTest(program.missing())
        self.assertEqual("", self.outside.verify(program, workloads.of("bulk")))
        sample = self.outside.sample(program, workloads.of("fanin-64"), SMALL)
        self.assertEqual((64, 16 << 20), (sample["streams"], sample["bytes"]))
        self.assertGreater(sample["receiver_cpu_s"], 0)

    def test_who_miscounts_is_caught(self):
        script = self.directory / "drops.py"
        script.write_text(
            "import socket, sys\n"
            "server = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=100)\n"
            "total = 0\n"
            "peers = [server.accept()[0] for _ in range(int(sys.argv[2]))]\n"
            "for peer in peers:\n"
            "    while data := peer.recv(65536):\n"
            "        total += len(data)\n"
            "print(total - 1)\n")
        program = runtimes.Runtime("drops", "", [sys.executable, script], "")
        with self.assertRaisesRegex(driver.Failed, "counted 16777215 bytes where 16777216"):
            self.outside.sample(program, workloads.of("fanin-64"), SMALL)

    def test_of_one_stream_nothing_is_counted(self):
        self.assertIsInstance(workloads.of("fanin-1000").leaves, outcome.Count)
        self.assertNotIsInstance(workloads.of("bulk").leaves, outcome.Count)


def add(name):
    setattr(Runtimes, "test_" + name.replace("-", "_"), lambda self: self.check(name))


for entry in runtimes.runtimes(BUILD):
    add(entry.name)

if __name__ == "__main__":
    unittest.main()
