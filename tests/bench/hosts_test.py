# SPDX-License-Identifier: MIT
"""Sender and receiver as two hosts, which two network namespaces are here: samples, stamps, and who
is refused."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import support
from harness import driver, hosts, paths, results
from run_test import Temporary
from schema_test import faults, jsonschema

BUILD = pathlib.Path(os.environ["LASTBYTE_BUILD"])
LOAD = BUILD / "bench" / "lastbyte-load"
TOKEN = "0123456789abcdef0123"
AHEAD_S = 1000
# Another clock, as another host has: the sender's is that far ahead. Or the same one, where the
# kernel has no time namespaces.
OTHER_CLOCK = ("unshare", "--time", f"--monotonic={AHEAD_S}", "--fork", "--kill-child")


def clocks_differ():
    return os.geteuid() == 0 and subprocess.run(
        [*OTHER_CLOCK, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


class Far(Temporary):
    """A server in one namespace, and the words to run something in the other."""

    def setUp(self):
        super().setUp()
        pair = paths.of("veth")
        try:
            pair.__enter__()
        except driver.Failed as failure:
            self.skipTest(str(failure))
        self.addCleanup(pair.__exit__)
        here, there = (option.partition("=")[2] for option in pair.options[1:3])
        self.here, there = ("nsenter", f"--net={here}"), ("nsenter", f"--net={there}")
        self.token = self.directory / "token"
        self.token.write_text(TOKEN + "\n")
        self.ahead_s = AHEAD_S if clocks_differ() else 0
        self.server = subprocess.Popen(
            [*there, *(OTHER_CLOCK if self.ahead_s else ()), LOAD,
             f"--server={paths.SENDER}:0", f"--token-file={self.token}"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        said = self.server.stderr.readline()
        self.address = re.search(r"listening on (\S+)", said)[1]

    def end(self):
        self.server.kill()
        self.server.wait()
        self.server.stderr.close()

    def call(self, *words, **more):
        return subprocess.run([*self.here, *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=support.DEADLINE, **more)

    def ask(self, *options, **more):
        return self.call(LOAD, f"--ask={self.address}", *options, **more)


class Samples(Far):
    def test_a_run_of_two_hosts(self):
        done = self.call(sys.executable, support.BENCH / "run", f"--build={BUILD}", "--quick",
                         f"--sender={self.address}", f"--token-file={self.token}", "--pairs=1",
                         "--workload=bulk,short,latency", "--contender=epoll",
                         f"--output={self.directory / 'results'}", f"--dir={self.directory}")
        self.assertEqual(0, done.returncode, done.stderr + done.stdout)
        document = self.only_result().document
        if jsonschema:
            self.assertEqual([], faults(document))
        self.assertNotIn(TOKEN, json.dumps(document))
        self.assertNotIn(paths.SENDER, json.dumps(document))
        self.assertEqual("hosts", document["settings"]["path"])
        for side in ("sender", "receiver"):
            told = document["hosts"][side]
            self.assertEqual(paths.MTU, told["interface"]["mtu"])
            self.assertIn(told["interface"]["offloads"]["gro"], ("on", "off"))
            self.assertEqual(os.uname().release, told["kernel"])
        self.check_samples(document)

    def check_samples(self, document):
        found = {sample["workload"] for sample in document["samples"]}
        self.assertEqual({"bulk", "short", "latency-1k", "latency-10k", "latency-50k"}, found)
        for sample in document["samples"]:
            self.assertGreater(sample["sender_cpu_s"], 0)
            self.assertGreater(sample["wall_s"], 0)
            self.assertLess(sample["wall_s"], support.DEADLINE)
            self.assertLess(sample["clock_error_us"], 20000)
            self.assertEqual(0, sample["receiver_dropped"])
            if sample["workload"].startswith("latency"):
                self.assertGreater(sample["messages"], 0)
                self.assertGreater(sample["p50_us"], 0)
                self.assertLess(sample["p50_us"], 1e6)
        self.assertEqual([], document["failed"])

    def test_a_byte_that_is_wrong_is_found(self):
        done = self.call(BUILD / "bench" / "lastbyte-bench", "--verify", "--bytes=1M",
                         f"--address={paths.RECEIVER}", f"--sender={self.address}",
                         f"--token-file={self.token}", "--workload=bulk,dir", "--streams=8",
                         "--contender=epoll,loop-64k")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(4, done.stdout.count(": ok"))

    def test_what_it_tells_of_itself(self):
        done = self.ask(f"--token-file={self.token}")
        self.assertEqual(0, done.returncode, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(paths.RECEIVER, told["address"])
        self.assertLess(abs(told["clock_ahead_us"] + self.ahead_s * 1e6),
                        told["clock_error_us"] + 1)
        self.assertEqual(os.cpu_count(), hosts.host(told["there"])["cores"])


class Refused(Far):
    def fails(self, done, word, status=1):
        self.assertEqual(status, done.returncode, done.stdout)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn(word, done.stderr)

    def test_who_has_another_token(self):
        environment = {**os.environ, "LASTBYTE_BENCH_TOKEN": TOKEN[::-1]}
        self.fails(self.ask(env=environment), "the token is not the one")
        self.assertIn("refused: the token", self.server.stderr.readline())
        environment["LASTBYTE_BENCH_TOKEN"] = TOKEN
        self.assertEqual(0, self.ask(env=environment).returncode)

    def test_who_has_none_or_too_little(self):
        environment = {name: value for name, value in os.environ.items()
                       if name != "LASTBYTE_BENCH_TOKEN"}
        self.fails(self.ask(env=environment), "--token-file=FILE", 2)
        self.token.write_text("short\n")
        self.fails(self.ask(f"--token-file={self.token}"), "16 to 255 characters", 2)
        self.fails(self.ask(f"--token-file={self.directory / 'absent'}"), "absent", 2)

    def test_nobody_there(self):
        self.end = lambda: None
        self.server.kill()
        self.server.wait()
        self.server.stderr.close()
        self.fails(self.ask(f"--token-file={self.token}"), "does lastbyte-load --server run there?")
        done = self.call(sys.executable, support.BENCH / "run", f"--build={BUILD}", "--quick",
                         f"--sender={self.address}", f"--token-file={self.token}")
        self.assertEqual(2, done.returncode)
        self.assertIn("does lastbyte-load --server run there?", done.stderr.splitlines()[-1])

    def talk(self, *lines):
        """What the server says to somebody who knows no token."""
        script = ("import socket, sys\n"
                  "host, _, port = sys.argv[1].rpartition(':')\n"
                  "with socket.create_connection((host, int(port)), timeout=20) as peer:\n"
                  "    peer.sendall(sys.argv[2].encode())\n"
                  "    peer.shutdown(socket.SHUT_WR)\n"
                  "    while data := peer.recv(65536): sys.stdout.write(data.decode())\n")
        return self.call(sys.executable, "-c", script, self.address, "".join(lines)).stdout

    def test_who_knows_nothing_gets_nothing_done(self):
        for text in ("", "\n", "{}\n", '{"do":"facts"}\n', "x" * 5000 + "\n",
                     '{"nonce":"n","proof":"' + "0" * 64 + '"}\n{"do":"facts"}\n'):
            said = self.talk(text)
            self.assertNotIn("files", said)
            self.assertNotIn(TOKEN, said)
        self.assertEqual(0, self.ask(f"--token-file={self.token}").returncode)


if __name__ == "__main__":
    unittest.main()
