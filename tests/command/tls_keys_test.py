# SPDX-License-Identifier: MIT
"""New keys within a stream of TLS 1.3: a command whose own keys are soon used up (short_keys.c),
with our receiver and with openssl, which can also be told to ask for new ones."""

import os
import re
import socket
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Capture, each_backend, main, probe, program, run, seeded,
                     temporary_directory, until)
from tls_peers import Damager, TlsServer, free_port, make_certificate, pin_of

if any(item["name"] == "tls" for item in probe()["build"]):
    raise unittest.SkipTest("this build has no TLS")

SHORT_KEYS = os.environ["LASTBYTE_SHORT_KEYS"]
DATA = seeded(1 << 20)  # 64 records, 32 keys
READERS = ("own", "libssl")


class Narrow(Damager):
    """Damages nothing, and has next to no room."""

    def __init__(self, test, port):
        super().__init__(test, port, -1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@each_backend
class WithUs(unittest.TestCase):
    def serve(self, backend, *options, **more):
        return TlsServer(self, "--once", "--backend=" + backend, *options, **more)

    def store(self, backend, records, way):
        path = temporary_directory(self) + "/got"
        server = self.serve(backend, "--tls-records=" + records, "--receipt", "--sink=file:" + path)
        result = run("send", "--receipt", "--pin=" + server.pin, way(server), input=DATA,
                     command=SHORT_KEYS)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(0, server.finish().status)
        with open(path, "rb") as file:
            self.assertEqual(DATA, file.read())

    def test_from_the_sender(self, backend):
        for records in READERS:
            self.store(backend, records, lambda server: server.address)

    def test_where_there_is_little_room(self, backend):
        """A record goes out in many parts, and so may what tells of new keys."""
        for records in READERS:
            self.store(backend, records, lambda server: Narrow(self, server.port).address)

    def test_from_both(self, backend):
        for records in READERS:
            server = self.serve(backend, "--tls-records=" + records, "--sink=exec:cat",
                                command=SHORT_KEYS)
            result = run("send", "--pin=" + server.pin, server.address, input=DATA,
                         command=SHORT_KEYS)
            self.assertEqual((0, ""), (result.status, result.errors))
            self.assertEqual(DATA, result.output)
            self.assertEqual(0, server.finish().status)

    def test_from_the_receiver(self, backend):
        server = self.serve(backend, "--sink=exec:cat", command=SHORT_KEYS)
        done = subprocess.run([program("gnutls-cli"), "--debug", "4", "--logfile=" + os.devnull,
                               "--no-ca-verification", "--port", str(server.port), "127.0.0.1"],
                              input=DATA[:100_000], capture_output=True, timeout=DEADLINE,
                              check=False)
        self.assertTrue(done.returncode == 0 and DATA[:100_000] in done.stdout)
        self.assertGreater(done.stderr.count(b"key update"), 2)
        self.assertEqual(0, server.finish().status)


class WithOpenssl(unittest.TestCase):
    def serve(self, *words):
        directory = temporary_directory(self)
        self.certificate, key = make_certificate(directory, "server")
        self.port, self.messages = free_port(), directory + "/messages"
        self.server = subprocess.Popen(
            [program("openssl"), "s_server", "-accept", f"127.0.0.1:{self.port}", "-naccept", "1",
             "-cert", self.certificate, "-key", key, "-msg", "-msgfile", self.messages, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for cleanup in (self.server.stdin.close, self.server.wait, self.server.kill):
            self.addCleanup(cleanup)
        self.told = Capture(self.server.stdout)
        self.addCleanup(self.server.stdout.close)

    def words(self):
        return ("send", "--pin=" + pin_of(self.certificate), "--retry=8", "--quiet",
                f"127.0.0.1:{self.port}")

    def updates(self, direction):
        with open(self.messages, "rb") as file:
            return len(re.findall(direction + rb" TLS 1.3, Handshake [^\n]*, KeyUpdate",
                                  file.read()))

    def test_it_takes_new_keys(self):
        self.serve("-quiet")
        result = run(*self.words(), input=DATA, command=SHORT_KEYS)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertTrue(DATA in self.told.finish())
        self.assertGreater(self.updates(b"<<<"), 30)

    def test_it_asks_for_new_keys(self):
        self.serve()
        sender = subprocess.Popen([LASTBYTE, *self.words()], stdin=subprocess.PIPE)
        for cleanup in (sender.stdin.close, sender.wait, sender.kill):
            self.addCleanup(cleanup)

        def send(data):
            sender.stdin.write(data)
            sender.stdin.flush()

        send(b"the first\n")
        self.told.wait_for(lambda told: b"the first\n" in told, "the first")
        for count in (1, 2):
            self.server.stdin.write(b"K\n")
            self.server.stdin.flush()
            until(lambda count=count: send(b".") or self.updates(b"<<<") == count,
                  "the sender's new keys")
        send(b"the last\n")
        sender.stdin.close()
        self.assertEqual(0, sender.wait(DEADLINE))
        self.assertIn(b"the last\n", self.told.finish())


if __name__ == "__main__":
    main()
