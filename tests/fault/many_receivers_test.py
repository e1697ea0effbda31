# SPDX-License-Identifier: MIT
"""Many receivers, one name. Two receivers behind HAProxy, into one bucket: one is
replaced, one killed, HAProxy reloaded, and each stream is proven or reported, and none lost.
LASTBYTE_S3_STREAMS is how many there are."""

import collections
import os
import random
import re
import signal
import socket
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, SMALL, Server, main, program, seeded, temporary_directory,
                     until)
from plain import make_file
from s3_store import Store

STREAMS = int(os.environ.get("LASTBYTE_S3_STREAMS", "60" if SMALL else "300"))
SENDERS = 4
RECEIPT = re.compile(r"""^lastbyte: '?([^' ]+)'?: proven safe, with the receipt "ok (\d+) \S+ """
                     r"""(\S+)"$""", re.M)
WITHOUT = re.compile(r"^lastbyte: '?([^' ]+)'?: no receipt", re.M)


def free_port(host):
    with socket.create_server((host, 0)) as listener:
        return listener.getsockname()[1]


class Receiver:
    """At an address that its successor has, too: one from which nobody connects, so that its port
    is taken by nobody meanwhile."""

    HOST = "127.0.0.2"

    def __init__(self, test, store, mark):
        self.test, self.store, self.mark = test, store, mark
        self.address = f"{self.HOST}:{free_port(self.HOST)}"
        self.begin()

    def begin(self):
        self.server = Server(
            self.test, "--listen=" + self.address, "--sink=s3:bucket/in", "--receipt",
            "--proxy-protocol=127.0.0.0/8", "--ignore-empty", "--s3-id=" + self.mark,
            "--s3-part-size=5M", "--s3-memory=32M", "--stats=json", env=self.store.environment)

    def replace(self):
        """Those under way are let finish; the next begins once this one has ended."""
        self.server.signal(signal.SIGTERM)
        ended = self.server.finish()
        self.begin()
        return ended

    def kill(self):
        self.server.kill()
        # The kernel takes a ring apart, and what it accepts at, some time after the process.
        until(self.is_free, "its address")
        self.begin()

    def is_free(self):
        try:
            socket.create_server((self.HOST, int(self.address.rpartition(":")[2]))).close()
            return True
        except OSError:
            return False


class HAProxy:
    HOST = "127.0.0.3"

    def __init__(self, test, receivers):
        self.port = free_port(self.HOST)
        path = make_file(test, "\n".join((
            "global", "hard-stop-after 60s",
            "defaults", "mode tcp", "timeout connect 5s", "timeout client 60s",
            "timeout server 60s", "retries 3", "option redispatch",
            "listen front", f"bind {self.HOST}:{self.port}", "balance leastconn",
            *(f"server {one.mark} {one.address} send-proxy-v2 check check-send-proxy "
              "inter 100ms fall 1 rise 1" for one in receivers),
            "")).encode())
        self.process = subprocess.Popen([program("haproxy"), "-W", "-db", "-f", path],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        test.addCleanup(self.stop)
        until(self.answers, "HAProxy")

    def answers(self):
        try:
            socket.create_connection((self.HOST, self.port), DEADLINE).close()
            return True
        except OSError:
            return False

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


class ManyReceivers(unittest.TestCase):
    def make_files(self):
        """A sender's each; every content is one stream's alone."""
        dice = random.Random(1)
        directory = temporary_directory(self)
        self.contents = {}
        for number in range(STREAMS):
            path = os.path.join(directory, f"{number:05}")
            size = dice.choice((10, 3000, 50_000, 300_000))
            self.contents[path] = f"{number:05}".encode() + seeded(size, number)
            with open(path, "wb") as file:
                file.write(self.contents[path])

    def begin_senders(self, front):
        paths = sorted(self.contents)
        senders = [subprocess.Popen(
            [LASTBYTE, "send", "--receipt", "--verbose", "--retry=40", "--parallel=3",
             f"{front.HOST}:{front.port}", *paths[number::SENDERS]], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for number in range(SENDERS)]
        for sender in senders:
            self.addCleanup(sender.stderr.close)
            self.addCleanup(sender.kill)
        return senders

    def test_none_is_lost(self):
        store = Store(self)
        first, second = receivers = [Receiver(self, store, mark) for mark in ("one", "two")]
        front = HAProxy(self, receivers)
        self.make_files()
        senders = self.begin_senders(front)
        begun = store.count("put")
        store.wait_for("put", begun + STREAMS // 5)
        self.assertEqual(0, first.replace().stats["partial"])
        store.wait_for("put", begun + STREAMS * 2 // 5)
        second.kill()
        store.wait_for("put", begun + STREAMS * 3 // 5)
        front.reload()
        told = [sender.communicate(timeout=DEADLINE * 4)[1].decode() for sender in senders]
        receipts = [found for text in told for found in RECEIPT.findall(text)]
        statuses = [sender.returncode for sender in senders]
        self.check_book(store, receipts, statuses, told)
        for receiver in receivers:
            receiver.server.signal(signal.SIGTERM)
            receiver.server.finish()
        self.assertEqual({}, store.uploads)

    def check_book(self, store, receipts, statuses, told):
        # Each stream is proven once, or its sender has said of it that it isn't.
        proven = collections.Counter(path for path, _, _ in receipts)
        self.assertEqual({1}, set(proven.values()))
        without = {path for text in told for path in WITHOUT.findall(text)}
        self.assertLessEqual(set(self.contents) - set(proven), without)
        if len(proven) == STREAMS:
            self.assertEqual([0] * SENDERS, statuses)
        else:
            self.assertIn(5, statuses, told)
        # No key has been acknowledged twice, and what it names is what was sent.
        keys = [key for _, _, key in receipts]
        self.assertEqual(len(keys), len(set(keys)))
        for path, size, key in receipts:
            self.assertEqual(int(size), len(self.contents[path]))
            self.assertTrue(store.objects[key] == self.contents[path])
        # What nobody has a receipt for is whole as well: a repeat, as its receipt was lost.
        whole = set(self.contents.values())
        repeats = [data for key, data in store.objects.items() if key not in set(keys)]
        self.assertTrue(all(data in whole for data in repeats))
        print(f"{STREAMS} streams: {len(proven)} proven, {STREAMS - len(proven)} reported, "
              f"{len(store.objects)} objects, {len(repeats)} of them repeats")


if __name__ == "__main__":
    main()
