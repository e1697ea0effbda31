# SPDX-License-Identifier: MIT
"""README's recorded session: it comes out again as it stands there, but for what differs each
time, and it is a picture that anybody can draw."""

import os
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree

from harness import DEADLINE, main, temporary_directory

SESSION = os.path.join(os.environ["LASTBYTE_SOURCES"], "tools", "session")


def read(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return file.read()


def what_stays(text):
    """Without times, sizes, digests, ports, processor times, names of files, and without the sum
    that is told only where it took long enough for a bar."""
    text = re.sub(r"(?<=xxh3:)[0-9a-f]{32}", "DIGEST", re.sub(r"\^C|\n", " ", text))
    text = re.sub(r"1 of 1 streams sent, .*?/s", "", text)
    text = re.sub(r"\d{8}T\d{6}\.\d{6}Z-\d{6}", "ID", text)
    text = re.sub(r"backend \w+, \d+ workers?", "BACKEND", text)
    return re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?( [KMG]iB| bytes|[KMG])?", "N", text))


class Session(unittest.TestCase):
    def test_it_comes_out_again(self):
        directory = temporary_directory(self)
        done = subprocess.run([sys.executable, os.path.join(SESSION, "record"), "--mib=8",
                               directory], stdin=subprocess.DEVNULL, timeout=4 * DEADLINE,
                              check=False)
        if done.returncode == 77:
            self.skipTest("no namespaces here")
        self.assertEqual(0, done.returncode)
        self.assertEqual(what_stays(read(SESSION, "session.txt")),
                         what_stays(read(directory, "session.txt")))

    def test_the_picture_has_the_text(self):
        root = xml.etree.ElementTree.fromstring(read(SESSION, "session.svg"))
        last = ["".join(row.itertext()) for row in root.iter("{http://www.w3.org/2000/svg}text")
                if row.get("class") == "last"]
        lines = [line for line in read(SESSION, "session.txt").splitlines()
                 if line not in ("", "receiver:", "sender:")]
        self.assertEqual("".join(lines), "".join(last))


if __name__ == "__main__":
    main()
