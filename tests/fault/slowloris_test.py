# SPDX-License-Identifier: MIT
"""Hundreds of peers that send a byte now and then, just inside the idle limit: honest peers are
served meanwhile, and the others end by the least rate."""

import hashlib
import selectors
import threading
import time
import unittest

from harness import DEADLINE, SMALL, allow_many_descriptors, exchange, main, seeded
from peers import Case, Place, everywhere

SLOW = 50 if SMALL else 500
HONEST = 8
IDLE = 0.8  # seconds
PAUSE = 0.6  # between two bytes
WINDOW = 1.5


class Loris(threading.Thread):
    """All slow peers: each sends a byte every PAUSE seconds until the server ends it."""

    def __init__(self, connect):
        super().__init__(daemon=True)
        self.begun = time.monotonic()
        self.connections = [connect() for _ in range(SLOW)]
        self.ended = 0
        self.longest = 0.0  # between two rounds of bytes: this machine may be busy
        self.stop = threading.Event()

    def run(self):
        selector = selectors.DefaultSelector()
        for connection in self.connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        due, last = time.monotonic(), self.begun
        while selector.get_map() and not self.stop.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + PAUSE
                self.send([key.fileobj for key in selector.get_map().values()])
                self.longest = max(self.longest, time.monotonic() - last)
                last = time.monotonic()
            # The server says nothing: what becomes readable has ended.
            for key, _ in selector.select(min(0.1, max(0, due - time.monotonic()))):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                self.ended += 1
        selector.close()

    @staticmethod
    def send(connections):
        for connection in connections:
            try:
                connection.send(b"x")
            except OSError:
                pass  # it has ended


@everywhere(7)
class SlowLoris(Case):
    def test_the_slow_end_and_the_honest_are_served(self, backend, transport):
        allow_many_descriptors(2 * SLOW)
        options = [f"--workers={SLOW + 2 * HONEST}"] if backend == "blocking" else []
        server = Place(self, backend, transport, "--sink=hash:sha256", "--min-rate=1K",
                       f"--min-rate-window={WINDOW}", f"--idle-timeout={IDLE}",
                       f"--count={SLOW + HONEST}", *options)
        loris = Loris(server.connect)
        loris.start()
        self.addCleanup(loris.stop.set)
        payloads = [seeded(200_000, seed) for seed in range(HONEST)]
        for payload in payloads:
            exchange(server.connect(), payload)
        result = server.finish()
        loris.join(DEADLINE)
        ends = result.stats["ends"]
        self.assertEqual((SLOW, HONEST), (ends["limit"] + ends["timeout"], ends["eof"]),
                         result.errors[-1000:])
        self.assertEqual(SLOW, loris.ended)
        self.assertEqual(ends["limit"], result.told("limit"))
        self.assertEqual(result.errors.count(": limit after "), result.errors.count(" (min-rate)"))
        # Unless we were late ourselves, none was idle.
        if loris.longest < IDLE:
            self.assertEqual(SLOW, ends["limit"], result.errors[-1000:])
        digests = {line.split()[0].split(":")[-1] for line in result.output.decode().splitlines()
                   if " eof " in line}
        self.assertEqual({hashlib.sha256(payload).hexdigest() for payload in payloads}, digests)


if __name__ == "__main__":
    main()
