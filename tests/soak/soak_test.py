# SPDX-License-Identifier: MIT
"""Honest, hostile and dying peers of every kind, at every backend, transport and sink at once.

For LASTBYTE_SOAK_SECONDS (5, or 1 under sanitizers): memory and descriptors stay flat, and in the
end the books balance.
"""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

import tally
from harness import (BACKENDS, DEADLINE, SMALL, Server, allow_many_descriptors, main, probe,
                     temporary_directory, until)

SECONDS = int(os.environ.get("LASTBYTE_SOAK_SECONDS", "1" if SMALL else "5"))
WARM_UP_SECONDS = max(1, min(SECONDS // 3, 20))
SEED = int(os.environ.get("LASTBYTE_TEST_SEED", str(time.time_ns() % 1000000)))
PEERS, TAKER, COLLECTOR = (os.environ["SOAK_" + name] for name in ("PEERS", "TAKER", "COLLECTOR"))
SINKS = ("discard", "hash", "dir", "exec")
BOUNDED = ("accepted", "bytes", "eof", "reset", "timeout", "limit", "truncated")
MIB = 1 << 20
# What an allocator may keep for later, of a process that has 64 threads.
RSS_SLACK = 8 * MIB
PAGE = os.sysconf("SC_PAGE_SIZE")

# Kept in step with peer.h. Few slots and places: one that is lost in each stream of some kind would
# be missed soon. Idle peers end before the window does, and where all is slow honest ones may stop
# for a while.
IDLE, WINDOW = (6, 8) if SMALL else (2, 3)
OPTIONS = ("--max-bytes=4M", f"--idle-timeout={IDLE}", "--min-rate=8",
           f"--min-rate-window={WINDOW}", "--max-streams=64", "--buffers=8", "--receipt",
           "--stats=json")


class Soaked(Server):
    """A server, with what it made of its streams."""

    def __init__(self, test, backend, sink):
        self.backend, self.sink = backend, sink
        self.directory = temporary_directory(test)
        self.socket = os.path.join(self.directory, "socket")
        self.log = os.path.join(self.directory, "log")
        self.drop = os.path.join(self.directory, "drop")
        os.mkdir(self.drop)
        sink_option = {"dir": f"dir:{self.drop}", "exec": f"exec:exec {TAKER} {self.log}"}
        with open(os.path.join(self.directory, "output"), "wb") as output:
            super().__init__(test, "--backend=" + backend, "--sink=" + sink_option.get(sink, sink),
                             "--listen=127.0.0.1:0", "--listen=unix:" + self.socket, *OPTIONS,
                             addresses=2, stdout=output)
        self.collector = None
        if sink == "dir":
            self.collector = subprocess.Popen([COLLECTOR, self.drop], stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE)
            test.addCleanup(self.stop_collector)

    def __str__(self):
        return f"{self.backend} {self.sink}"

    def stop_collector(self):
        self.collector.kill()
        self.collector.communicate()

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss(self):
        try:
            with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * PAGE
        except FileNotFoundError:  # it has ended, as others will notice
            return 0

    def lines(self):
        """Of the sink: the words of each line that it wrote."""
        path = self.log if self.sink == "exec" else os.path.join(self.directory, "output")
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file]


class Sampler:
    """Watches the servers' memory while it is the context: peaks, by server."""

    def __init__(self, servers):
        self.peaks = {server: 0 for server in servers}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.2):
            for server, peak in self.peaks.items():
                self.peaks[server] = max(peak, server.rss())

    def __enter__(self):
        self.thread.start()
        return self.peaks

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()


class Soak(unittest.TestCase):
    def start_servers(self):
        allow_many_descriptors(4096)
        usable = {item["name"] for item in probe()["backends"] if item["usable"]}
        if os.environ.get("LASTBYTE_REQUIRE_URING") == "1":
            usable.add("uring")
        return [Soaked(self, backend, sink) for backend in BACKENDS if backend in usable
                for sink in SINKS]

    def play(self, servers, seconds, seed):
        """Lets peers come for a while. Returns the book of each address."""
        addresses = [address for server in servers for address in server.addresses]
        peers = subprocess.Popen([PEERS, str(seconds), str(seed), *addresses],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(peers.kill)
        output, errors = peers.communicate(timeout=seconds + 4 * DEADLINE)
        self.assertEqual(0, peers.returncode, f"LASTBYTE_TEST_SEED={SEED}: {errors.decode()}")
        return [json.loads(line) for line in output.splitlines()]

    def await_rest(self, servers, fds):
        """Every stream has ended, and given back its descriptors."""
        for server in servers:
            until(lambda server=server: server.fds() <= fds[server],
                  f"{server}: {fds[server]} descriptors, as before the peers came")

    def check_memory(self, servers, before, after, what):
        for server in servers:
            self.assertIsNone(server.process.poll(), f"{server} has ended")
            if not SMALL:  # a sanitizer keeps what is freed
                self.assertLessEqual(after[server], before[server] * 1.1 + RSS_SLACK,
                                     f"{server}: memory grows {what}: {before[server]} bytes after "
                                     f"the warm-up, {after[server]} in the end")

    def between(self, bounds, value, what):
        least, most = bounds
        self.assertTrue(least <= value <= most, f"{what}: {value}, not {least} to {most}")

    def check_sink(self, server, stats):
        """What the sink has is what the server counted."""
        if server.sink == "dir":
            output, _ = server.collector.communicate(b"", timeout=DEADLINE)
            published, whole, partial, cut, wrong = map(int, output.split())
            self.assertEqual((stats["ends"]["eof"], stats["bytes"], stats["partial"], 0),
                             (published, whole + cut, partial, wrong), server)
        elif server.sink == "hash":
            lines = server.lines()
            self.assertEqual((stats["streams"], stats["bytes"]),
                             (len(lines), sum(int(line[1]) for line in lines)), server)
        elif server.sink == "exec":
            lines = server.lines()
            self.assertEqual({"whole"}, {line[0] for line in lines}, server)
            self.assertEqual(stats["ends"]["eof"], len(lines), server)
            self.assertLessEqual(sum(int(line[1]) for line in lines), stats["bytes"], server)

    def check_books(self, server, books):
        server.signal(signal.SIGTERM)
        result = server.finish()
        stats = result.stats
        mine = [book for book in books if book["address"] in server.addresses]
        known = {name: [sum(book[name][side] for book in mine) for side in (0, 1)]
                 for name in BOUNDED}
        self.assertEqual(stats["accepted"], stats["streams"], server)
        self.assertEqual(stats["streams"], sum(stats["ends"].values()), server)
        for name in ("accepted", "bytes"):
            self.between(known[name], stats[name], f"{server}: {name}")
        for name, count in stats["ends"].items():
            self.between(known.get(name, (0, 0)), count, f"{server}: {name}")
        self.check_sink(server, stats)
        return stats

    def show(self, server, stats, rss):
        ends = ", ".join(f"{count} {name}" for name, count in stats["ends"].items() if count)
        print(f"soak {server}: {stats['accepted']} streams ({ends}), "
              f"{stats['bytes'] / MIB:.0f} MiB, starved {stats['starved']}, "
              f"rss {' > '.join(f'{peak / MIB:.1f}' for peak in rss)} MiB, "
              f"{stats['cpu_seconds']:.1f} s CPU", flush=True)

    def test_soak(self):
        servers = self.start_servers()
        fds = {server: server.fds() for server in servers}
        with Sampler(servers) as warm:
            books = self.play(servers, WARM_UP_SECONDS, SEED)
        self.await_rest(servers, fds)
        rest = {server: server.rss() for server in servers}

        with Sampler(servers) as peak:
            books += self.play(servers, SECONDS, SEED + 1000)
        self.await_rest(servers, fds)
        self.check_memory(servers, warm, peak, "under load")
        self.check_memory(servers, rest, {server: server.rss() for server in servers}, "at rest")

        for server in servers:
            stats = self.check_books(server, books)
            self.show(server, stats, (warm[server], peak[server]))
        for server in servers:
            for transport, address in zip(("tcp", "unix"), server.addresses):
                played = {kind for book in books if book["address"] == address
                          for kind, count in book["kinds"].items() if count}
                tally.held(11, server.backend, transport, len(played))
        print(f"soak: {SECONDS} s after {WARM_UP_SECONDS} s of warming up, seed {SEED}, "
              f"{sum(book['proven'] for book in books)} streams of "
              f"{sum(book['proven_bytes'] for book in books) / MIB:.0f} MiB proven by receipts, "
              f"descriptors at rest {sum(fds.values())} before and after", flush=True)


if __name__ == "__main__":
    main()
