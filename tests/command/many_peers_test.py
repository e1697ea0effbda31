# SPDX-License-Identifier: MIT
"""Many peers at once."""

import socket
import unittest

from harness import (DEADLINE, SMALL, Server, allow_many_descriptors, each_backend, exchange, main,
                     seeded)

PEERS = 200 if SMALL else 1000


@each_backend
class Crowd(unittest.TestCase):
    def check_all_arrive(self, backend, *options, **popen):
        allow_many_descriptors(PEERS + 100)
        server = Server(self, "--backend=" + backend, f"--count={PEERS}", "--stats=json",
                        *options, **popen)
        # All are connected before the first one says anything.
        peers = [socket.create_connection(("127.0.0.1", server.port), DEADLINE)
                 for _ in range(PEERS)]
        lines = [b"%04d %s\n" % (number, seeded(20 * (number % 100), number).hex().encode())
                 for number in range(PEERS)]
        for peer, line in zip(peers, lines):
            peer.sendall(line)
        for peer in reversed(peers):
            peer.shutdown(socket.SHUT_WR)
        for peer in peers:
            peer.settimeout(DEADLINE)
            self.assertEqual(b"", peer.recv(1))
            peer.close()
        result = server.finish()
        self.assertEqual((0, PEERS), (result.status, result.stats["ends"]["eof"]), result)
        self.assertEqual(sorted(lines), sorted(result.output.splitlines(keepends=True)))

    def test_a_thousand_at_once(self, backend):
        self.check_all_arrive(backend)

    def test_beyond_max_streams_they_wait_and_nobody_is_dropped(self, backend):
        self.check_all_arrive(backend, "--max-streams=10", "--workers=2")

    def test_with_few_descriptors(self, backend):
        # 64 workers of the blocking backend alone need more than that.
        self.check_all_arrive(backend, "--workers=4",
                              prefix=["prlimit", "--nofile=100:100"])

    def test_few_small_buffers(self, backend):
        self.check_all_arrive(backend, "--buffer-size=4K", "--buffers=2", "--workers=2")

    def test_one_after_the_other(self, backend):
        count = PEERS
        server = Server(self, "--backend=" + backend, f"--count={count}", "--sink=discard",
                        "--stats=json")
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
                exchange(connection, b"x" * 13)
        result = server.finish()
        self.assertEqual((0, 13 * count), (result.status, result.stats["bytes"]), result)


if __name__ == "__main__":
    main()
