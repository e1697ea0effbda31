# SPDX-License-Identifier: MIT
"""recv --metrics: what it answers, to whom, and that nobody is harmed by who asks."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
import unittest
import urllib.parse

from harness import (DEADLINE, Server, each_backend, exchange, main, probe, program, reset, run,
                     seeded, temporary_directory, until)
from s3_store import Store

CLIENTS, PATIENCE = 8, 10  # at once, and seconds with one that is silent, as metrics.c has them
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)\Z')


def require_metrics(test):
    for item in probe()["build"]:
        if item["name"] == "metrics":
            test.skipTest("this build has no metrics: " + item["why"])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


class Watched(unittest.TestCase):
    def setUp(self):
        require_metrics(self)

    def serve(self, *options, metrics="127.0.0.1:0", **more):
        server = Server(self, "--metrics=" + metrics, *options, **more)
        found = re.search(rb"^metrics on (?:http://)?(\S+?)(?:/metrics)?$",
                          bytes(server.errors.data), re.M)
        self.assertTrue(found, bytes(server.errors.data))
        server.metrics = found[1].decode()
        return server

    def ask(self, server, method="GET", path="/metrics"):
        """Returns the answer, and its text."""
        if server.metrics.startswith("unix:"):
            connection = UnixConnection(server.metrics[len("unix:"):])
        else:
            connection = http.client.HTTPConnection(server.metrics, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response, response.read().decode()

    def scrape(self, server):
        """All samples, by their names with labels in order."""
        response, text = self.ask(server)
        self.assertEqual(200, response.status)
        self.assertTrue(text.endswith("\n# EOF\n"), text[-200:])
        samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            key = f"{name}{{{','.join(sorted(labels.rstrip(',').split(',')))}}}" if labels else name
            self.assertNotIn(key, samples)
            samples[key] = float(value)
        return samples

    def await_sample(self, server, key, value):
        return until(lambda: (samples := self.scrape(server)).get(key) == value and samples,
                     f"{key} {value}")


@each_backend
class Values(Watched):
    def test_port_checks_are_counted_apart(self, backend):
        server = self.serve("--backend=" + backend, "--sink=discard", "--ignore-empty")
        server.connect().close()
        samples = self.await_sample(server, "lastbyte_empty_total", 1)
        self.assertEqual(1, samples["lastbyte_accepted_total"])
        self.assertEqual(0, samples['lastbyte_streams_total{end="eof",reason=""}'])

    def test_streams_are_counted_by_end_and_reason(self, backend):
        server = self.serve("--backend=" + backend, "--sink=discard", "--max-bytes=100000",
                            "--verbose")
        for _ in range(3):
            exchange(server.connect(), seeded(1000))
        peer = server.connect()
        with contextlib.suppress(OSError):
            exchange(peer, seeded(100001))
        peer = server.connect()
        peer.sendall(b"x")
        self.await_sample(server, "lastbyte_received_bytes_total", 103001)
        reset(peer)
        samples = self.await_sample(server, 'lastbyte_streams_total{end="reset",reason=""}', 1)
        self.assertEqual(3, samples['lastbyte_streams_total{end="eof",reason=""}'])
        self.assertEqual(1, samples['lastbyte_streams_total{end="limit",reason="max-bytes"}'])
        self.assertEqual(0, samples['lastbyte_streams_total{end="truncated",reason=""}'])
        self.assertEqual(5, samples["lastbyte_accepted_total"])
        self.assertEqual(103001, samples["lastbyte_received_bytes_total"])
        self.assertEqual(0, samples["lastbyte_handshaking_peers"])
        self.assertGreater(samples["lastbyte_cpu_seconds_total"], 0)
        version = probe()["version"]
        self.assertEqual(
            1, samples[f'lastbyte_build_info{{backend="{backend}",version="{version}"}}'])

    def test_each_worker_is_told_of(self, backend):
        server = self.serve("--backend=" + backend, "--sink=discard", "--workers=2",
                            "--buffers=16")
        peers = [server.connect() for _ in range(2)]
        for peer in peers:
            peer.sendall(seeded(100_000))
        samples = self.await_sample(server, "lastbyte_received_bytes_total", 200_000)
        workers = [f'{{worker="{index}"}}' for index in range(2)]

        def of(name):
            return [samples[f"lastbyte_worker_{name}{worker}"] for worker in workers]

        self.assertEqual(2, samples["lastbyte_active_streams"])
        self.assertEqual([1, 1], of("streams"))
        self.assertEqual([100_000, 100_000], of("received_bytes_total"))
        for slots, used in zip(of("slots"), of("slots_used")):
            self.assertGreaterEqual(slots, 16)
            self.assertLessEqual(used, slots)
        for name in ("busy_seconds_total", "gather_seconds", "starved_total"):
            self.assertEqual(2, len([value for value in of(name) if value >= 0]), name)

    def test_refusals_are_counted_by_reason(self, backend):
        server = self.serve("--backend=" + backend, "--sink=discard", "--deny=127.0.0.1")
        with contextlib.suppress(OSError):
            exchange(server.connect(), b"x")
        samples = self.await_sample(
            server, 'lastbyte_refused_total{end="limit",reason="denied",stream="yes"}', 1)
        self.assertNotIn('lastbyte_streams_total{end="limit",reason="denied"}', samples)

    def test_syncs_and_ends_are_timed(self, backend):
        server = self.serve("--backend=" + backend, "--sink=dir:" + temporary_directory(self),
                            "--receipt")
        for _ in range(5):
            self.assertTrue(exchange(server.connect(), seeded(1000)).startswith(b"ok 1000 "))
        samples = self.scrape(server)
        # Its file's, and its directory's, which may be others' too.
        self.assertGreaterEqual(samples["lastbyte_fsync_seconds_count"], 6)
        self.assertEqual(5, samples["lastbyte_end_seconds_count"])
        for name in ("fsync", "end"):
            buckets = [value for key, value in samples.items()
                       if key.startswith(f"lastbyte_{name}_seconds_bucket")]
            self.assertEqual(sorted(buckets), buckets)
            self.assertEqual(samples[f"lastbyte_{name}_seconds_count"], buckets[-1])
            self.assertGreater(samples[f"lastbyte_{name}_seconds_sum"], 0)

    def test_the_store_is_timed(self, backend):
        if any(item["name"] == "s3" for item in probe()["build"]):
            self.skipTest("this build has no s3")
        store = Store(self)
        server = self.serve("--backend=" + backend, "--sink=s3:bucket/in", "--receipt",
                            "--s3-id=test", env=store.environment)
        before = self.scrape(server)["lastbyte_store_seconds_count"]
        for _ in range(3):
            self.assertTrue(exchange(server.connect(), seeded(1000)).startswith(b"ok 1000 "))
        samples = self.scrape(server)
        self.assertGreaterEqual(samples["lastbyte_store_seconds_count"], before + 3)
        # Less where the store was so quick that an end did not have to wait.
        self.assertLessEqual(samples["lastbyte_end_seconds_count"], 3)

    def test_it_works_when_hardened_on_a_unix_socket(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server = self.serve("--backend=" + backend, "--sink=discard", "--once",
                            metrics="unix:" + path)
        self.assertIn("lastbyte_accepted_total", self.scrape(server))
        exchange(server.connect(), b"x")
        self.assertEqual(0, server.finish().status)
        self.assertFalse(os.path.exists(path))

    def test_it_goes_on_while_streams_drain(self, backend):
        server = self.serve("--backend=" + backend, "--sink=discard", "--drain=60")
        peer = server.connect()
        peer.sendall(b"x")
        self.await_sample(server, "lastbyte_received_bytes_total", 1)
        server.signal(15)
        until(lambda: self.refused(server.port), "nobody is let in")
        # Whoever has just asked may have been let in, and leaves.
        self.await_sample(server, "lastbyte_active_streams", 1)
        exchange(peer, b"y")
        self.assertEqual(0, server.finish().status)

    @staticmethod
    def refused(port):
        with contextlib.suppress(ConnectionResetError):
            with socket.socket() as probe_socket:
                return probe_socket.connect_ex(("127.0.0.1", port)) != 0
        return True


class Answers(Watched):
    def test_promtool_finds_no_fault(self):
        promtool = program("promtool")
        server = self.serve("--sink=dir:" + temporary_directory(self), "--receipt",
                            "--max-bytes=10", "--deny=127.0.0.2")
        exchange(server.connect(), b"x")
        with contextlib.suppress(OSError):
            exchange(server.connect(), seeded(100))
        with contextlib.suppress(OSError), socket.socket() as peer:
            peer.bind(("127.0.0.2", 0))
            peer.connect(("127.0.0.1", server.port))
            exchange(peer, b"x")
        self.await_sample(server, "lastbyte_refused_total"
                          '{end="limit",reason="denied",stream="yes"}', 1)
        text = self.ask(server)[1]
        done = subprocess.run([promtool, "check", "metrics"], input=text.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE,
                              check=False)
        self.assertEqual((0, b""), (done.returncode, done.stdout), text)

    def test_each_metric_says_what_it_is_once(self):
        text = self.ask(self.serve("--sink=discard"))[1]
        kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
        self.assertEqual(len(kinds), len(dict(kinds)))
        self.assertEqual([name for name, _ in kinds],
                         re.findall(r"^# HELP (\S+) .*\.$", text, re.M))
        for name in re.findall(r"^(\w+)", text, re.M):
            self.assertIn(re.sub("_(bucket|sum|count)$", "", name), dict(kinds))

    def test_there_is_nothing_else(self):
        server = self.serve("--sink=discard")
        response, text = self.ask(server)
        self.assertEqual("text/plain; version=0.0.4; charset=utf-8",
                         response.headers["Content-Type"])
        head, nothing = self.ask(server, "HEAD")
        self.assertEqual((200, ""), (head.status, nothing))
        self.assertGreater(int(head.headers["Content-Length"]), len(text) // 2)
        self.assertEqual(404, self.ask(server, path="/")[0].status)
        self.assertEqual(405, self.ask(server, "POST")[0].status)

    def test_an_address_that_can_not_be_used_is_named(self):
        for address, status, remedy in (("nonsense", 2, "no port"), ("127.0.0.1:x", 2, "port"),
                                        ("192.0.2.1:0", 3, "this machine has no such address")):
            result = run("recv", "--listen=127.0.0.1:0", "--metrics=" + address)
            self.assertEqual(status, result.status, result)
            self.assertIn("--metrics", result.errors)
            self.assertIn(address, result.errors)
            self.assertIn(remedy, result.errors)

    def test_no_call_that_it_needs_is_refused(self):
        if not next(item["usable"] for item in probe()["features"] if item["name"] == "seccomp"):
            self.skipTest("seccomp can't be in force here")
        strace = program("strace")
        if subprocess.run([strace, "--output=/dev/null", "true"], check=False).returncode:
            self.skipTest("strace(1) may not trace here")
        log = os.path.join(temporary_directory(self), "log")
        server = self.serve("--sink=discard", "--once",
                            prefix=[strace, "--follow-forks", "--output=" + log])
        self.scrape(server)
        self.assertEqual(405, self.ask(server, "PUT")[0].status)
        exchange(server.connect(), b"x")
        self.assertEqual(0, server.finish().status)
        with open(log, encoding="utf-8", errors="replace") as file:
            refused = [line for line in file if "ENOSYS" in line]
        self.assertEqual([], [line for line in refused if "clone3" not in line])


class Crowd(Watched):
    def talk(self, server, data=b""):
        host, port = server.metrics.split(":")
        connection = socket.create_connection((host, int(port)), DEADLINE)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    def test_who_is_slow_makes_room_for_who_asks(self):
        server = self.serve("--sink=discard")
        begin = time.monotonic()
        silent = [self.talk(server) for _ in range(CLIENTS)]
        slow = [self.talk(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ")
                for _ in range(CLIENTS)]
        # Not one byte of an answer is taken.
        deaf = [self.talk(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
                for _ in range(3 * CLIENTS)]
        for _ in range(2 * CLIENTS):
            self.scrape(server)
        for connection in silent + slow:
            connection.settimeout(DEADLINE)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(b"", connection.recv(1))
        # Nobody had to wait until they were left.
        self.assertLess(time.monotonic() - begin, PATIENCE)
        self.assertEqual(3 * CLIENTS, len(deaf))
        # Descriptors are bounded, and streams have theirs.
        descriptors = f"/proc/{server.process.pid}/fd"
        until(lambda: len(os.listdir(descriptors)) < 16 + CLIENTS + 2, "few descriptors")
        exchange(server.connect(), seeded(100_000))
        self.await_sample(server, "lastbyte_received_bytes_total", 100_000)

    def test_what_is_asked_is_bounded(self):
        server = self.serve("--sink=discard")
        connection = self.talk(server)
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"GET /" + b"x" * 10000)
        self.scrape(server)


CONFIGURATION = """
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
scrape_configs:
  - job_name: lastbyte
    static_configs:
      - targets: ["{address}"]
"""


class Prometheus(Watched):
    def start(self, address):
        """Returns the port of a Prometheus that scrapes address."""
        prometheus = program("prometheus")
        directory = temporary_directory(self)
        configuration = os.path.join(directory, "configuration.yml")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(address=address))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = open(os.path.join(directory, "log"), "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [prometheus, "--config.file=" + configuration, "--storage.tsdb.path=" + directory,
             f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return port

    @staticmethod
    def query(port, query):
        """The values that answer the query, by their labels' values; None: not yet."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
            answer = json.load(connection.getresponse())
            return [float(item["value"][1]) for item in answer["data"]["result"]]
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def test_a_real_one_scrapes_it(self):
        server = self.serve("--sink=dir:" + temporary_directory(self), "--receipt")
        port = self.start(server.metrics)
        until(lambda: self.query(port, "up") == [1], "it is scraped")
        for _ in range(7):
            self.assertTrue(exchange(server.connect(), seeded(1000)).startswith(b"ok"))
        until(lambda: self.query(port, 'lastbyte_streams_total{end="eof"}') == [7], "7 streams")
        self.assertEqual([7000], self.query(port, "lastbyte_received_bytes_total"))
        self.assertEqual([7], self.query(port, "lastbyte_end_seconds_count"))
        until(lambda: self.query(port, "rate(lastbyte_worker_busy_seconds_total[10s]) >= 0"),
              "workers' busy share")
        slowest = self.query(port, "histogram_quantile(0.99, lastbyte_fsync_seconds_bucket)")
        self.assertGreater(slowest[0], 0)


if __name__ == "__main__":
    main()
