# SPDX-License-Identifier: MIT
"""Where io_uring is denied, as in most containers: told once, never a silent swap."""

import json
import os
import subprocess
import sys
import unittest

from harness import DEADLINE, LASTBYTE, Server, exchange, main

WITHOUT_IO_URING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_io_uring.py")


class Denial:
    """The tests, for one answer of the kernel."""

    answer = ""  # what io_uring_setup fails with
    cause = ""   # a word that the explanation must hold

    def setUp(self):
        self.prefix = [sys.executable, WITHOUT_IO_URING, self.answer]

    def test_asking_by_name_is_an_error(self):
        done = subprocess.run([*self.prefix, LASTBYTE, "recv", "--backend=uring",
                               "--listen=127.0.0.1:0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
        errors = done.stderr.decode()
        self.assertEqual((3, 1), (done.returncode, errors.count("\n")), errors)
        self.assertIn("uring", errors)
        self.assertIn(self.cause, errors)
        self.assertIn("epoll", errors)  # the remedy
        self.assertNotIn("listening on", errors)

    def test_auto_takes_the_next_best_and_says_so_once(self):
        server = Server(self, "--once", "--verbose", "--stats=json", prefix=self.prefix)
        exchange(server.connect(), b"all the same\n")
        result = server.finish()
        self.assertEqual((0, b"all the same\n"), (result.status, result.output), result)
        self.assertEqual("epoll", result.stats["backend"])
        refusals = [line for line in result.errors.splitlines()
                    if self.cause in line and "hardening" not in line]
        self.assertEqual(1, len(refusals), result)
        self.assertIn("uring", refusals[0])

    def test_probe_says_why(self):
        done = subprocess.run([*self.prefix, LASTBYTE, "probe", "--json"], stdout=subprocess.PIPE,
                              timeout=DEADLINE, check=True)
        backends = {item["name"]: item for item in json.loads(done.stdout)["backends"]}
        self.assertFalse(backends["uring"]["usable"])
        self.assertIn(self.cause, backends["uring"]["why"])
        self.assertTrue(backends["epoll"]["usable"])
        self.assertTrue(backends["blocking"]["usable"])


class ByPermission(Denial, unittest.TestCase):
    answer = "EPERM"
    cause = "seccomp"


class ByAbsence(Denial, unittest.TestCase):
    answer = "ENOSYS"
    cause = "kernel"


if __name__ == "__main__":
    main()
