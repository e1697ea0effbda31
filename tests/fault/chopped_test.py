# SPDX-License-Identifier: MIT
"""The same seeded streams, each chopped and paused in its own way, over every way of receiving: the
same bytes, digests, ends and counts come of it everywhere."""

import hashlib
import os
import random
import signal
import socket
import time
import unittest

from harness import main, temporary_directory
from places import each_place, receive_all

# Sizes of pieces: from, to, and how many of them make a stream.
MANNERS = (
    (1, 2, 900),            # byte by byte
    (1, 200, 300),
    (1440, 1460, 100),      # about a segment
    (4095, 4097, 60),       # about a page
    (16383, 16385, 30),     # about a small slot
    (1, 100000, 20),
    (131071, 131073, 8),    # about a large slot
    (0, 0, 0),              # nothing at all
)
SEEDS = 1

# Slots and windows that make the server chop in its own way.
SERVERS = (
    (),
    ("--buffer-size=4096", "--buffers=2", "--gather-max=0"),
    ("--rcvbuf=4096",),
)


class Chopped:
    """One stream: what it sends depends on its seed alone, not on what becomes of it."""

    def __init__(self, seed, manner):
        self.random = random.Random(f"{seed} {manner}")
        low, high, count = MANNERS[manner]
        self.pieces = [self.random.randbytes(self.random.randint(low, high)) for _ in range(count)]
        self.data = b"".join(self.pieces)
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.pieces.reverse()
        self.connection = None

    def begin(self, connection):
        self.connection = connection
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.random.randint(0, 1))

    def step(self):
        """Sends a piece. Returns False after the last."""
        if not self.pieces:
            self.connection.shutdown(socket.SHUT_WR)
            return False
        # Held back by the kernel at times, to go with the next one.
        more = self.random.random() < 0.2 and len(self.pieces) > 1
        self.connection.sendall(self.pieces.pop(), socket.MSG_MORE if more else 0)
        return True


def send_all(seed, streams):
    """Interleaves the streams' pieces, with pauses: none mostly, else up to 2 ms."""
    order = random.Random(seed)
    left = list(streams)
    while left:
        stream = order.choice(left)
        if not stream.step():
            left.remove(stream)
        if order.random() < 0.03:
            time.sleep(order.uniform(0, 0.002))


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@each_place(family=2)
class ChoppedStreams(unittest.TestCase):
    def run_streams(self, place, *options):
        """Sends the streams of all seeds; checks receipts and counts. Returns them."""
        place.cases = 0
        for seed in range(SEEDS):
            for more in SERVERS:
                server = place.server("--receipt=sha256", "--stats=json", *options, *more)
                streams = [Chopped(seed, manner) for manner in range(len(MANNERS))]
                for stream in streams:
                    stream.begin(place.connect(server))
                send_all(seed, streams)
                for stream in streams:
                    self.assertRegex(receive_all(stream.connection).decode(),
                                     rf"^ok {len(stream.data)} sha256:{stream.digest} \S+\n$")
                server.signal(signal.SIGTERM)
                result = server.finish()
                self.assertEqual(result.status, 0, result)
                self.assertEqual(result.stats["ends"]["eof"], len(streams))
                self.assertEqual(result.stats["bytes"], sum(len(s.data) for s in streams))
                place.cases += len(streams)
                yield streams

    def test_discard(self, place):
        for _ in self.run_streams(place, "--sink=discard"):
            pass

    def test_dir(self, place):
        directory = temporary_directory(self)
        expected = []
        for streams in self.run_streams(place, "--sink=dir:" + directory, "--no-fsync"):
            expected += [stream.digest for stream in streams]
        found = [digest_of(os.path.join(directory, name)) for name in os.listdir(directory)]
        self.assertEqual(sorted(found), sorted(expected))

    def test_exec(self, place):
        directory = temporary_directory(self)
        for streams in self.run_streams(place, f"--sink=exec:cat >'{directory}'/$LASTBYTE_STREAM"):
            found = [digest_of(os.path.join(directory, str(1 + i))) for i in range(len(streams))]
            self.assertEqual(sorted(found), sorted(stream.digest for stream in streams))


if __name__ == "__main__":
    main()
