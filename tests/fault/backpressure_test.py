# SPDX-License-Identifier: MIT
"""A sink that stalls: memory stays flat while peers push, and nobody else suffers."""

import os
import signal
import socket
import unittest

from harness import SMALL, exchange, main, seeded, temporary_directory, until
from places import each_place, receive_all, resident

GIB = 1 << 30
PIECE = seeded(1 << 20)
STALLED = 8
HONEST = 4
# What a few pages of bookkeeping and slots used for the first time may add; a sanitizer keeps
# several bytes for each of theirs.
GROWTH = (64 if SMALL else 16) << 20
# Takes nothing until it is killed if the stream says so, and all of any other stream.
PICKY = "exec:read -r first; test \"$first\" != stall || exec sleep 1000; cat >/dev/null"


class Pusher:
    """Sends as much as the kernel takes, of the 1 GiB that it wants to send."""

    def __init__(self, connection, first=b""):
        self.connection = connection
        self.sent = connection.send(first) if first else 0
        connection.setblocking(False)

    def push(self):
        """True if the kernel took something."""
        before = self.sent
        try:
            while self.sent < GIB:
                self.sent += self.connection.send(PIECE[self.sent % len(PIECE):])
        except BlockingIOError:
            pass
        return self.sent > before


def push_until_stuck(pushers):
    """Until nobody has got rid of anything for a hundred looks in a row."""
    quiet = 0

    def stuck():
        nonlocal quiet
        quiet = 0 if any([pusher.push() for pusher in pushers]) else quiet + 1
        return quiet == 100
    until(stuck, "every peer is held up")


@each_place(family=8)
class Backpressure(unittest.TestCase):
    def test_exec(self, place):
        """Peers at commands that don't read, and others at the same sink."""
        server = place.server("--sink=" + PICKY, "--receipt", "--stats=json", "--drain=0",
                              "--workers=16" if place.backend == "blocking" else "--workers=1")
        self.assertRegex(exchange(place.connect(server), b"warm\n" + PIECE), rb"^ok ")
        before = resident(server.process.pid)
        pushers = [Pusher(place.connect(server), b"stall\n") for _ in range(STALLED)]
        push_until_stuck(pushers)
        for pusher in pushers:
            self.assertLess(pusher.sent, GIB // 8)
        for _ in range(HONEST):
            self.assertRegex(exchange(place.connect(server), b"go\n" + 4 * PIECE), rb"^ok 4194307 ")
        self.assertLess(resident(server.process.pid) - before, GROWTH)
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual(result.stats["ends"]["eof"], HONEST + 1, result)
        self.assertEqual(result.stats["ends"]["stopped"], STALLED, result)

    def test_pipe(self, place):
        """One peer at a pipe that nobody reads, others behind it; then somebody reads."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        server = place.server("--sink=stdout", "--stats=json", "--workers=1", stdout=writer)
        os.close(writer)
        first = place.connect(server)
        pusher = Pusher(first, b"!")
        # The first byte is through, so all that memory was needed for has been used once.
        self.assertEqual(os.read(reader, 1), b"!")
        before = resident(server.process.pid)
        push_until_stuck([pusher])
        self.assertLess(pusher.sent, GIB // 8)
        self.assertLess(resident(server.process.pid) - before, GROWTH)
        behind = [place.connect(server) for _ in range(HONEST)]
        for peer in behind:
            peer.sendall(b"behind")
            peer.shutdown(socket.SHUT_WR)
        first.shutdown(socket.SHUT_WR)

        size = pusher.sent - 1 + HONEST * len(b"behind")
        received = bytearray()
        while len(received) < size:
            piece = os.read(reader, 1 << 20)
            self.assertTrue(piece)
            received += piece
        expected = (PIECE * (pusher.sent // len(PIECE) + 1))[1:pusher.sent]
        self.assertTrue(received == expected + HONEST * b"behind")
        for peer in [first, *behind]:
            self.assertEqual(receive_all(peer), b"")
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual(result.stats["ends"]["eof"], HONEST + 1, result)

    def test_output(self, place):
        """Commands that print and print, to peers that still send: the bound of what waits holds,
        and the stream that passes it ends."""
        spool = temporary_directory(self)
        server = place.server("--sink=exec:cat", "--receipt", "--stats=json", "--spool-max=4M",
                              "--workers=4" if place.backend == "blocking" else "--workers=1",
                              env=os.environ | {"TMPDIR": spool})
        self.assertRegex(exchange(place.connect(server), PIECE), rb"ok 1048576 ")
        before = resident(server.process.pid)
        greedy = place.connect(server)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            for _ in range(GIB // len(PIECE)):
                greedy.sendall(PIECE)
        self.assertLess(resident(server.process.pid) - before, GROWTH)
        self.assertEqual(os.listdir(spool), [])
        self.assertRegex(exchange(place.connect(server), PIECE), rb"ok 1048576 ")
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual(result.stats["ends"]["eof"], 2, result)
        self.assertEqual(result.stats["ends"]["sink"], 1, result)


if __name__ == "__main__":
    main()
