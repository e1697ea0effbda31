# SPDX-License-Identifier: MIT
"""Private keys in a process's memory: they are where it is in no dump and not swapped, and nowhere
else."""

import os
import re
import resource
import subprocess
import unittest

from harness import LASTBYTE, SMALL, main, probe, run, temporary_directory
from tls_peers import TlsServer, make_certificate, openssl, pin_of

if any(item["name"] == "tls" for item in probe()["build"]):
    raise unittest.SkipTest("this build has no TLS")

LOCKED = 1 << 20  # more than they have
MAY_LOCK = os.geteuid() == 0 or not 0 <= resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] < LOCKED
LARGEST = 256 << 20  # of a mapping that may have one: a sanitizer's are larger


def number_of(key):
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
    found = re.search(r"^priv:\n((?: .*\n)+)", text, re.M)[1]
    return bytes.fromhex(re.sub(r"[\s:]", "", found))[-32:]


def lines_of(key):
    """Of the file. The first has no secret in it."""
    with open(key, "rb") as file:
        text = re.search(rb"-----BEGIN PRIVATE KEY-----\n(.*?)\n-----END", file.read(), re.S)
    return text[1].split(b"\n")[1:]


def mappings(pid):
    """Flags and bytes of each."""
    with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
        found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) r(?:.*\n)+?VmFlags: (.*)\n", file.read(),
                           re.M)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for begin, end, flags in found:
            begin, end = int(begin, 16), int(end, 16)
            if end - begin > LARGEST:
                continue
            try:
                memory.seek(begin)
                yield flags.split(), memory.read(end - begin)
            except (OSError, OverflowError):  # a device's
                pass


class Keys(unittest.TestCase):
    def check(self, process, number, texts):
        """libcrypto has a number in words, the last first. And of a text nothing is left."""
        times = 0
        try:
            found = list(mappings(process.pid))
        except PermissionError:
            self.skipTest("no right to look into a process that may not be dumped")
        for flags, data in found:
            here = data.count(number) + data.count(number[::-1])
            times += here
            self.assertTrue(here == 0 or "dd" in flags, f"a key in a dump: {flags}")
            self.assertTrue(here == 0 or "lo" in flags or not MAY_LOCK or SMALL,
                            f"a key that may be swapped: {flags}")
            for text in texts:
                self.assertFalse(text in data, f"a part of a key's file: {flags}")
        self.assertGreater(times, 0)

    def serve(self, *options):
        """Others may look, as without root none could."""
        return TlsServer(self, "--no-harden=no-dump", "--sink=stdout", *options)

    def test_of_the_receiver(self):
        """Before it is used, and behind that. (Of RSA libcrypto then has a copy of the primes.)"""
        certificate, key = make_certificate(temporary_directory(self), "one")
        server = self.serve("--tls-cert=" + certificate, "--tls-key=" + key)
        for _ in range(2):
            self.check(server.process, number_of(key), lines_of(key))
            self.assertEqual(0, run("send", "--pin=" + server.pin, server.address,
                                    "--text=x").status)

    def test_of_its_own(self):
        """Which it makes, and then has read."""
        directory = temporary_directory(self)
        server = self.serve("--tls-dir=" + directory)
        key = directory + "/recv.pem"
        self.check(server.process, number_of(key), lines_of(key))

    def test_that_both_have(self):
        path, key = temporary_directory(self) + "/psk", os.urandom(32)
        with open(path, "w", encoding="ascii") as file:
            file.write("me:" + key.hex() + "\n")
        os.chmod(path, 0o600)
        server = self.serve("--tls-psk=" + path)
        self.assertEqual(0, run("send", "--tls-psk=" + path, "--pin=" + server.pin, server.address,
                                "--text=x").status)
        self.check(server.process, key, [key.hex().encode()])

    def test_of_the_sender(self):
        directory = temporary_directory(self)
        pin = run("pin", "--tls-dir=" + directory).output.decode().strip()
        server = self.serve("--allow-pin=" + pin)
        key = directory + "/send.pem"
        self.assertEqual(pin, pin_of(key))
        sender = subprocess.Popen([LASTBYTE, "send", "--tls-dir=" + directory,
                                   "--pin=" + server.pin, server.address], stdin=subprocess.PIPE)
        for cleanup in (sender.stdin.close, sender.wait, sender.kill):
            self.addCleanup(cleanup)
        sender.stdin.write(b"x")
        sender.stdin.flush()
        server.output.wait_for(lambda told: told == b"x", "what was sent")
        self.check(sender, number_of(key), lines_of(key))


if __name__ == "__main__":
    main()
