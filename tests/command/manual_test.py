# SPDX-License-Identifier: MIT
"""The manual says what the command has: every option of each command's help and no other, examples
first, and in a form that readers of manual pages agree on."""

import os
import re
import subprocess
import unittest

from harness import DEADLINE, LASTBYTE, main, probe, program

SOURCES = {os.path.basename(path)[:-len(".scd")]: path
           for path in os.environ["LASTBYTE_MANUAL_SOURCES"].split()}
PAGES = os.environ["LASTBYTE_MANUAL_PAGES"].split()
BENCH = os.environ["LASTBYTE_BENCH"].split()


def source(name):
    with open(SOURCES[name], encoding="utf-8") as file:
        return file.read()


def helped(*command):
    """Its options by the help: what begins a row."""
    output = subprocess.run([*command, "--help"], stdout=subprocess.PIPE, check=True,
                            timeout=DEADLINE, text=True).stdout
    return set(re.findall(r"^  (?:-\w, |    )?--([a-z0-9-]+)", output, re.M))


def described(page):
    """The options that paragraphs of the page begin with."""
    heads = re.findall(r"^\*-.*$", source(page), re.M)
    return {name for head in heads for name in re.findall(r"\*--([a-z0-9-]+)\*", head)}


class Options(unittest.TestCase):
    def test_the_page_of_each_command_has_its_options(self):
        lacking = tuple(item["name"] for item in probe()["build"])
        for command in ("recv", "send", "probe", *(() if "tls" in lacking else ("pin",))):
            with self.subTest(command=command):
                options = helped(LASTBYTE, command)
                self.assertIn("version", options)
                # The pages are the same for all builds.
                self.assertEqual(options, {name for name in described(f"lastbyte-{command}.1")
                                           if not name.startswith(lacking)})

    def test_the_page_of_the_benchmarks_has_theirs(self):
        if not BENCH:
            self.skipTest("no benchmarks in this build")
        options = helped(LASTBYTE, "bench").union(*(helped(program) for program in BENCH))
        self.assertEqual(options, described("lastbyte-bench.1"))


class Form(unittest.TestCase):
    def test_examples_come_first(self):
        for page in SOURCES:
            with self.subTest(page=page):
                headings = re.findall(r"^# (.*)$", source(page), re.M)
                self.assertEqual(["NAME", "EXAMPLES"],
                                 [name for name in headings if name != "SYNOPSIS"][:2])

    def test_mandoc_finds_no_error(self):
        done = subprocess.run([program("mandoc"), "-T", "lint", "-W", "error", *PAGES],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE,
                              check=False, text=True)
        self.assertEqual((0, ""), (done.returncode, done.stdout))


class References(unittest.TestCase):
    def test_every_page_of_ours_that_is_named_is_there(self):
        ours = {os.path.basename(page) for page in PAGES} | {"lastbyte-bench.1"}
        for page in SOURCES:
            named = re.findall(r"\*(lastbyte(?:-[a-z]+)?)\*\((\d)\)", source(page))
            self.assertTrue(named, page)
            self.assertLessEqual({f"{name}.{section}" for name, section in named}, ours, page)


if __name__ == "__main__":
    main()
