# SPDX-License-Identifier: MIT
"""Family 10: SIGTERM and a restart over an inherited listener, while clients keep connecting.

The listener is the test's. Generations of recv take turns on it: some begin before the last one has
ended, some after. No client may be refused or cut off, and what is published must be whole.
"""

import hashlib
import os
import random
import signal
import socket
import sys
import threading
import time
import unittest

import tally
from harness import (DEADLINE, RIGS, SMALL, Server, each_backend, main, temporary_directory, until)

UNIT = os.path.join(RIGS, "socket_unit.py")
CLIENTS = 4
GENERATIONS = 4 if SMALL else 12
BETWEEN = 10  # streams that end before the next generation
PAYLOAD = random.Random(10).randbytes(1 << 18)


class Clients:
    """Threads that connect, send and read the receipt, one stream after another."""

    def __init__(self, family, address):
        self.family, self.address = family, address
        self.digests = []   # of what the receipts called safe
        self.failures = []
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True)
                        for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        choose = random.Random(number)
        while not self.stopping:
            try:
                self.send(choose)
            except (OSError, AssertionError) as error:
                with self.lock:
                    self.failures.append(repr(error))
                    self.stopping = True

    def send(self, choose):
        # Random bounds make the payloads differ, so that a file tells whose it is.
        begin = choose.randrange(len(PAYLOAD))
        data = PAYLOAD[begin:begin + choose.randrange(1, len(PAYLOAD))]
        with socket.socket(self.family) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(self.address)
            half = choose.randrange(len(data))
            connection.sendall(data[:half])
            time.sleep(choose.random() * 0.002)  # so that some are under way at any time
            connection.sendall(data[half:])
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
        digest = hashlib.sha256(data).hexdigest()
        fields = answer.decode().split()
        assert fields[:3] == ["ok", str(len(data)), "sha256:" + digest], answer
        with self.lock:
            self.digests.append(digest)

    def wait_for_more(self, count):
        wanted = len(self.digests) + count
        until(lambda: len(self.digests) >= wanted or self.failures, f"{count} more streams")

    def finish(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(DEADLINE)


def published(directory):
    """Digests of the files that have their final names."""
    digests = []
    for name in os.listdir(directory):
        if name.endswith((".partial", ".receiving")):
            continue
        with open(os.path.join(directory, name), "rb") as file:
            digests.append(hashlib.sha256(file.read()).hexdigest())
    return digests


@each_backend
class Restart(unittest.TestCase):
    def listen(self, transport):
        if transport == "tcp":
            listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(temporary_directory(self), "socket"))
            listener.listen(1000)
        self.addCleanup(listener.close)
        return listener

    def serve(self, backend, listener, *options, systemd=False):
        number = listener.fileno()
        how = ({"prefix": [sys.executable, UNIT, str(number), ""], "listen": "systemd"} if systemd
               else {"listen": f"fd:{number}"})
        return Server(self, "--backend=" + backend, "--stats=json", *options, pass_fds=[number],
                      **how)

    def restart(self, backend, transport):
        listener, directory = self.listen(transport), temporary_directory(self)
        options = ("--sink=dir:" + directory, "--receipt=sha256")
        server = self.serve(backend, listener, *options)
        clients = Clients(listener.family, listener.getsockname())
        self.addCleanup(clients.finish)
        served = 0
        for generation in range(GENERATIONS):
            clients.wait_for_more(BETWEEN)
            self.assertEqual([], clients.failures)
            old = server
            if generation % 2 == 0:  # the next takes over while the last one drains
                server = self.serve(backend, listener, *options, systemd=generation % 4 == 2)
                old.signal(signal.SIGTERM)
                result = old.finish()
            else:  # peers wait in the backlog in between
                old.signal(signal.SIGTERM)
                result = old.finish()
                server = self.serve(backend, listener, *options)
            self.assertEqual((0, 0), (result.status, result.stats["partial"]), result)
            served += result.stats["streams"]
        clients.wait_for_more(BETWEEN)
        clients.finish()
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual([], clients.failures)
        self.assertEqual(0, result.status, result)
        self.assertEqual(len(clients.digests), served + result.stats["streams"])
        self.assertEqual(sorted(clients.digests), sorted(published(directory)))
        tally.held(10, backend, transport, GENERATIONS)

    def test_nobody_is_refused_over_tcp(self, backend):
        self.restart(backend, "tcp")

    def test_nobody_is_refused_over_unix(self, backend):
        self.restart(backend, "unix")

    def deadline(self, backend, transport):
        """A stream that never ends is cut off when the drain is over, and not published."""
        listener, directory = self.listen(transport), temporary_directory(self)
        options = ("--sink=dir:" + directory, "--drain=0.3")
        old = self.serve(backend, listener, *options)
        with socket.socket(listener.family) as endless, socket.socket(listener.family) as short:
            for connection in (endless, short):
                connection.settimeout(DEADLINE)
            endless.connect(listener.getsockname())
            endless.sendall(b"never ended")
            until(lambda: len(os.listdir(directory)) == 1, "the stream's file")
            begin = time.monotonic()
            old.signal(signal.SIGTERM)
            new = self.serve(backend, listener, *options)
            short.connect(listener.getsockname())
            short.sendall(b"short")
            short.shutdown(socket.SHUT_WR)
            self.assertEqual(b"", short.recv(1))
            result = old.finish()
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        self.assertEqual(1, result.status, result)
        self.assertEqual(1, result.stats["ends"]["stopped"], result)
        self.assertEqual(result.stats["ends"]["stopped"] + result.stats["ends"]["eof"],
                         result.stats["streams"], result)
        until(lambda: len(published(directory)) == 1, "the short stream's file")
        self.assertEqual([hashlib.sha256(b"short").hexdigest()], published(directory))
        new.signal(signal.SIGTERM)
        self.assertEqual(0, new.finish().status)
        tally.held(10, backend, transport)

    def test_the_drain_has_its_deadline_over_tcp(self, backend):
        self.deadline(backend, "tcp")

    def test_the_drain_has_its_deadline_over_unix(self, backend):
        self.deadline(backend, "unix")


if __name__ == "__main__":
    main()
