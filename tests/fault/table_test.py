# SPDX-License-Identifier: MIT
"""The table counts what ran and held, and nothing else."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TABLE = pathlib.Path(__file__).parent / "table"


class Table(unittest.TestCase):
    def table(self, *tests, options=()):
        with tempfile.TemporaryDirectory() as build:
            os.mkdir(f"{build}/meson-logs")
            with open(f"{build}/meson-logs/testlog.json", "w", encoding="utf-8") as log:
                for test in tests:
                    print(json.dumps({"name": "x", "result": "OK"} | test), file=log)
            return subprocess.run([sys.executable, TABLE, *options, build], check=False,
                                  capture_output=True, text=True)

    def row(self, result, family):
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"| {family} "))
        return [cell.strip() for cell in line.strip("|").split("|")][1:]

    def test_adds_up(self):
        result = self.table({"stdout": "fault 3 uring tcp: 10 cases\n"
                                       "fault 3 epoll unix: 2 cases\n"},
                            {"stderr": "noise\nfault 3 uring tcp: 5 cases\n"})
        self.assertEqual(self.row(result, 3), ["15", "-", "-", "2", "-", "-"])
        self.assertEqual(self.row(result, 4), ["-"] * 6)

    def test_failed_tests_do_not_count(self):
        result = self.table({"stdout": "fault 6 uring tcp: 1 cases\n", "result": "FAIL"},
                            {"stdout": "fault 6 epoll tcp: 1 cases\n"})
        self.assertEqual(self.row(result, 6), ["-", "-", "1", "-", "-", "-"])

    def test_silent_without_fault_tests(self):
        result = self.table({"stdout": "ok\n"})
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_complete(self):
        result = self.table({"stdout": "fault 1 uring tcp: 1 cases\n"}, options=["--complete"])
        self.assertEqual(result.returncode, 1)
        self.assertIn("family 2, 3, 4, 5, 6, 7, 8, 9, 10, 11", result.stderr)

    def test_unknown_place(self):
        result = self.table({"stdout": "fault 3 select tcp: 1 cases\n"})
        self.assertEqual(result.returncode, 1)
        self.assertIn("no such place: 3 select tcp", result.stderr)

    def test_the_page_has_every_family(self):
        page = TABLE.with_name("README.md").read_text(encoding="utf-8")
        shown = self.table({"stdout": "fault 1 uring tcp: 1 cases\n"}).stdout
        self.assertEqual(re.findall(r"^\| (\d+) \|", page, re.MULTILINE),
                         re.findall(r"^\| (\d+) ", shown, re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
