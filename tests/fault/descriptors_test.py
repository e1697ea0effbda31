# SPDX-License-Identifier: MIT
"""No descriptor left: 64 for the server, 200 connections."""

import socket
import time
import unittest

from harness import allow_many_descriptors, exchange, main, seeded
from places import cpu_seconds, each_place, receive_all

DESCRIPTORS = 64
PEERS = 200
WINDOW_S = 1
QUIET_WITHIN_S = 10
LARGE = seeded(3 << 20)


@each_place(family=6)
class Descriptors(unittest.TestCase):
    def await_quiet(self, server):
        """It has taken whom it can, and the others cost it nothing."""
        deadline = time.monotonic() + QUIET_WITHIN_S
        while True:
            before = cpu_seconds(server.process.pid)
            time.sleep(WINDOW_S)
            used = cpu_seconds(server.process.pid) - before
            if used < 0.05 * WINDOW_S:
                return
            self.assertLess(time.monotonic(), deadline, used)

    def test_starved(self, place):
        allow_many_descriptors(PEERS + 100)
        # A blocking worker has two descriptors of its own, and one stream.
        workers = ["--workers=24"] if place.backend == "blocking" else []
        server = place.server("--sink=hash", "--receipt", "--stats=json", "--drain=60", *workers,
                              prefix=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        peers = [place.connect(server) for _ in range(PEERS)]
        for peer in peers:
            peer.sendall(b"first half, ")
        self.await_quiet(server)
        # Said once by those that could not count what they will need.
        self.assertLessEqual(server.errors.data.count(b"accepting pauses"), 1)

        # Nobody knows who is under way: each worker has a backlog of its own.
        for peer in peers[1:]:
            peer.sendall(b"second half")
            peer.shutdown(socket.SHUT_WR)
        # More than sockets hold.
        self.assertRegex(exchange(peers[0], LARGE), rb"^ok %d " % (len(LARGE) + 12))
        for peer in peers[1:]:
            self.assertRegex(receive_all(peer), rb"^ok 23 ")
        server.signal(2)
        result = server.finish()
        self.assertEqual(result.status, 0, result)
        self.assertEqual(result.stats["accepted"], PEERS)
        self.assertEqual(result.stats["ends"]["eof"], PEERS)


if __name__ == "__main__":
    main()
