# SPDX-License-Identifier: MIT
"""lastbyte probe: what this process may use, for people and for programs."""

import os
import unittest

from harness import Server, exchange, main, probe, require_backend, run


class Probe(unittest.TestCase):
    def test_json_names_every_backend_best_first(self):
        # What the build knows, which the other suites run on.
        self.assertEqual(os.environ["LASTBYTE_BACKENDS"].split(),
                         [item["name"] for item in probe()["backends"]])
        for item in probe()["backends"] + probe()["features"]:
            self.assertIs(bool, type(item["usable"]))
            if not item["usable"]:
                self.assertTrue(item["why"], item)

    def test_uring_is_usable_where_the_kernel_has_it(self):
        require_backend(self, "uring")

    def test_the_table_says_the_same(self):
        lines = run("probe").output.decode().splitlines()
        for item in probe()["backends"] + probe()["features"] + probe()["build"]:
            line = next(line for line in lines if line.split()[:1] == [item["name"]])
            self.assertEqual("yes" if item["usable"] else "no", line.split()[1])

    def test_a_backend_of_the_environment_is_named_with_it(self):
        result = run("recv", "--listen=127.0.0.1:0",
                     env={**os.environ, "LASTBYTE_BACKEND": "nonsense"})
        self.assertEqual((2, 'lastbyte: LASTBYTE_BACKEND: there is no backend "nonsense"; use '
                             "auto, uring, epoll or blocking\n"), (result.status, result.errors))

    def test_what_the_build_lacks_is_named_and_refused(self):
        lacking = {item["name"]: item["why"] for item in probe()["build"] if not item["usable"]}
        needs = {"tls": ("--tls", "--tls-cert=x", "--allow-pin=x"),
                 "s3": ("--sink=s3:bucket/name", "--s3-memory=1G"),
                 "metrics": ("--metrics=127.0.0.1:0",)}
        self.assertLessEqual(set(lacking), set(needs))
        for name in lacking:
            for option in needs[name]:
                result = run("recv", "--listen=127.0.0.1:0", option)
                self.assertEqual(2, result.status, result)
                self.assertEqual(1, result.errors.count("\n"), result)
                self.assertIn(f"needs the feature {name}, which this build lacks: {lacking[name]}",
                              result.errors)

    def test_auto_is_the_best_usable_one(self):
        best = next(item["name"] for item in probe()["backends"] if item["usable"])
        server = Server(self, "--once", "--stats=json")
        exchange(server.connect(), b"x")
        self.assertEqual(best, server.finish().stats["backend"])


if __name__ == "__main__":
    main()
