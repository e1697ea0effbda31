# SPDX-License-Identifier: MIT
"""Family 9: io_uring is denied. auto takes the next best, says so once, and receives all the same.

The sysctl kernel.io_uring_disabled is the whole machine's, so it isn't touched: its file is covered
in a mount namespace, and a seccomp filter answers as the kernel then does.
"""

import json
import os
import socket
import subprocess
import sys
import unittest

import tally
from harness import (BACKENDS, DEADLINE, LASTBYTE, RIGS, Server, exchange, main, program, reset,
                     seeded, temporary_directory)

SYSCTL = "/proc/sys/kernel/io_uring_disabled"
TRANSPORTS = ("tcp", "unix")


def without_io_uring(answer):
    return [sys.executable, os.path.join(RIGS, "without_io_uring.py"), answer]


def probe(prefix):
    done = subprocess.run([*prefix, LASTBYTE, "probe", "--json"], stdout=subprocess.PIPE,
                          timeout=DEADLINE, check=True)
    return {item["name"]: item for item in json.loads(done.stdout)["backends"]}


class Denial:
    """The tests, for one way of denying."""

    cause = ""  # a word of the explanation

    def prefix(self):
        raise NotImplementedError

    def setUp(self):
        self.denied = self.prefix()

    def listen(self, transport):
        if transport == "tcp":
            return "127.0.0.1:0"
        return "unix:" + os.path.join(temporary_directory(self), "socket")

    def receive(self, backend, transport, *options, prefix=None):
        """Streams of several sizes and ends. Returns the server's result and what must not depend
        on the backend: digests, bytes and ends, and the sums."""
        server = Server(self, "--backend=" + backend, "--sink=hash", "--stats=json", "--count=5",
                        *options, prefix=self.denied if prefix is None else prefix,
                        listen=self.listen(transport))
        for number, size in enumerate((0, 1, 4096, 300000, 1 << 20)):
            with self.connect(server, transport) as connection:
                if number == 0:
                    reset(connection)  # over Unix sockets that is a plain close
                else:
                    exchange(connection, seeded(size, number))
        result = server.finish()
        # The peer's name is the line's last field, and differs.
        lines = sorted(line.rsplit(None, 1)[0] for line in result.output.splitlines())
        sums = {name: result.stats[name] for name in ("accepted", "streams", "ends", "partial",
                                                      "bytes")}
        return result, (lines, sums)

    def connect(self, server, transport):
        if transport == "tcp":
            return server.connect()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server.address.removeprefix("unix:"))
        return connection

    def each(self, check):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                check(transport)

    def test_auto_takes_the_next_best_and_says_so_once(self):
        def check(transport):
            result, got = self.receive("auto", transport, "--verbose")
            self.assertEqual("epoll", result.stats["backend"], result)
            refusals = [line for line in result.errors.splitlines() if " refused: " in line]
            self.assertEqual(1, len(refusals), result)
            self.assertIn("uring", refusals[0])
            self.assertIn(self.cause, refusals[0])
            self.assertEqual(self.receive("auto", transport, prefix=())[1], got)
            tally.held(9, "uring", transport)
        self.each(check)

    def test_the_others_by_name_receive_all_the_same(self):
        def check(transport):
            got = {}
            for backend in ("epoll", "blocking"):
                result, got[backend] = self.receive(backend, transport)
                self.assertEqual(backend, result.stats["backend"])
            self.assertEqual(got["epoll"], got["blocking"])
            for backend in got:
                tally.held(9, backend, transport)
        self.each(check)

    def test_by_name_it_is_an_error(self):
        def check(transport):
            done = subprocess.run([*self.denied, LASTBYTE, "recv", "--backend=uring",
                                   "--listen=" + self.listen(transport)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE,
                                  check=False)
            errors = done.stderr.decode()
            self.assertEqual((3, 1), (done.returncode, errors.count("\n")), errors)
            for word in ("uring", self.cause, "epoll"):
                self.assertIn(word, errors)
            tally.held(9, "uring", transport)
        self.each(check)

    def test_probe_says_why(self):
        backends = probe(self.denied)
        self.assertFalse(backends["uring"]["usable"])
        self.assertIn(self.cause, backends["uring"]["why"])
        self.assertTrue(backends["epoll"]["usable"])
        self.assertTrue(backends["blocking"]["usable"])


class ByFilter(Denial, unittest.TestCase):
    cause = "seccomp filter or a security policy"

    def prefix(self):
        return without_io_uring("EPERM")


class ByAbsence(Denial, unittest.TestCase):
    cause = "no io_uring"

    def prefix(self):
        return without_io_uring("ENOSYS")


class ByAge(Denial, unittest.TestCase):
    cause = "too old"

    def prefix(self):
        return without_io_uring("EINVAL")


class ByMemory(Denial, unittest.TestCase):
    """What kernels up to 5.11 say when RLIMIT_MEMLOCK is low; see Poor for what this one does."""

    cause = "ulimit -l"

    def prefix(self):
        return without_io_uring("ENOMEM")


class BySysctl(Denial):
    value = 0

    def prefix(self):
        if not os.path.exists(SYSCTL):
            self.skipTest("this kernel has no kernel.io_uring_disabled")
        cover = os.path.join(temporary_directory(self), "value")
        with open(cover, "w", encoding="ascii") as file:
            file.write(f"{self.value}\n")
        isolated = [program("unshare"), "--mount"]
        if os.geteuid() != 0:
            isolated += ["--user", "--map-root-user"]
        isolated += ["sh", "-c", f'mount --bind {cover} {SYSCTL} && exec "$0" "$@"']
        if subprocess.run([*isolated, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no mount namespace for us here")
        return isolated + without_io_uring("EPERM")


class BySysctl1(BySysctl, unittest.TestCase):
    cause = "kernel.io_uring_disabled=1"
    value = 1


class BySysctl2(BySysctl, unittest.TestCase):
    cause = "kernel.io_uring_disabled=2"
    value = 2


class Poor(unittest.TestCase):
    """A real limit: newer kernels count a ring's memory otherwise, so that uring may run even
    so."""

    def test_receives_whatever_backend_it_is(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become nobody")
        prefix = [sys.executable, os.path.join(RIGS, "poor_user.py")]
        backends = probe(prefix)
        data = seeded(1 << 20)
        for backend in ("auto", *BACKENDS):
            if backend != "auto" and not backends[backend]["usable"]:
                self.assertIn("ulimit -l", backends[backend]["why"])
                continue
            server = Server(self, "--backend=" + backend, "--once", "--sink=stdout",
                            "--stats=json", prefix=prefix)
            exchange(server.connect(), data)
            result = server.finish()
            self.assertEqual((0, data), (result.status, bytes(result.output)), result)
            best = next(name for name, item in backends.items() if item["usable"])
            chosen = best if backend == "auto" else backend
            self.assertEqual(chosen, result.stats["backend"])
            tally.held(9, chosen, "tcp")


if __name__ == "__main__":
    main()
