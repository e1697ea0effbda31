# SPDX-License-Identifier: MIT
"""Clients that nobody here wrote, each against each backend."""

import hashlib
import unittest

from harness import (ALL_CLIENTS, CLIENTS, CONVERSING_CLIENTS, Server, each_backend, each_client,
                     main, seeded)

TEXT = b"hello, world!\n"
# Without telnet's escape byte, which curl doubles; several times any buffer on the way.
PAYLOAD = seeded((3 << 20) + 17).replace(b"\xff", b"\xfe")


@each_backend
class Clients(unittest.TestCase):
    @each_client(*ALL_CLIENTS)
    def test_hello_is_printed(self, backend, send):
        server = Server(self, "--backend=" + backend, "--once")
        send("127.0.0.1", server.port, TEXT)
        result = server.finish()
        self.assertEqual((0, TEXT), (result.status, result.output), result)

    @each_client(*ALL_CLIENTS)
    def test_every_byte_arrives(self, backend, send):
        # curl sends 64 KiB each tenth of a second
        payload = PAYLOAD[:200_000] if send is CLIENTS["curl"] else PAYLOAD
        server = Server(self, "--backend=" + backend, "--once", "--sink=stdout", "--stats=json")
        send("127.0.0.1", server.port, payload)
        result = server.finish()
        self.assertEqual(0, result.status, result)
        self.assertEqual(hashlib.sha256(payload).digest(),
                         hashlib.sha256(result.output).digest(), result)
        self.assertEqual(len(payload), result.stats["bytes"])

    @each_client(*CONVERSING_CLIENTS, "bash")
    def test_an_empty_stream_is_complete(self, backend, send):
        server = Server(self, "--backend=" + backend, "--once", "--stats=json")
        send("127.0.0.1", server.port, b"")
        result = server.finish()
        self.assertEqual((0, b""), (result.status, result.output), result)
        self.assertEqual((1, 1), (result.stats["streams"], result.stats["ends"]["eof"]), result)

    @each_client(*CONVERSING_CLIENTS)
    def test_the_answer_comes_back(self, backend, send):
        server = Server(self, "--backend=" + backend, "--once", "--sink=exec:rev")
        answer = send("127.0.0.1", server.port, TEXT)
        result = server.finish()
        self.assertEqual(b"!dlrow ,olleh\n", answer)
        self.assertEqual(0, result.status, result)

    @each_client(*CONVERSING_CLIENTS)
    def test_the_greeting_comes_first(self, backend, send):
        server = Server(self, "--backend=" + backend, "--once", "--sink=exec:cat",
                        r"--greeting=welcome\n\tname\\ ")
        answer = send("127.0.0.1", server.port, TEXT)
        result = server.finish()
        self.assertEqual(b"welcome\n\tname\\ " + TEXT, answer)
        self.assertEqual(0, result.status, result)


if __name__ == "__main__":
    main()
