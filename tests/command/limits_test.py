# SPDX-License-Identifier: MIT
"""Limits and admission as the command has them: what is told, counted and returned."""

import os
import re
import resource
import signal
import socket
import stat
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, exchange, main, program, reset,
                     run, seeded, temporary_directory)


def be_refused(server):
    """Connects, and is turned away without a byte."""
    try:
        with server.connect() as connection:
            assert connection.recv(1) == b""
    except ConnectionError:
        pass


@each_backend
class Limits(unittest.TestCase):
    def ended(self, backend, send, *options):
        server = Server(self, "--backend=" + backend, "--once", "--sink=stdout", "--stats=json",
                        *options)
        with server.connect() as connection:
            send(connection)
            return server.finish()

    def test_too_many_bytes(self, backend):
        payload = seeded(1 << 20)

        def send(connection):
            try:
                connection.sendall(payload)
            except ConnectionError:
                pass

        result = self.ended(backend, send, "--max-bytes=300001")
        self.assertEqual((1, payload[:300001]), (result.status, result.output))
        self.assertEqual(1, result.stats["ends"]["limit"], result)
        self.assertRegex(result.errors,
                         r"stream 1 from 127\.0\.0\.1:\d+: limit after 300001 bytes \(max-bytes\)")

    def test_max_time_bounds_a_command(self, backend):
        """Also after the EOF: the command is ended, and its sender told."""
        server = Server(self, "--backend=" + backend, "--once", "--stats=json", "--receipt",
                        "--sink=exec:cat >/dev/null; sleep 1000", "--max-time=0.3")
        self.assertEqual(b"error timeout:max-time 1\n", exchange(server.connect(), b"x"))
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["timeout"]), result)

    def test_descriptors_are_counted_at_the_start(self, backend):
        """As many streams as have descriptors, and the others wait: none fails for want of one."""
        workers = "--workers=%d" % (40 if backend == "blocking" else 2)
        directory = temporary_directory(self)
        enough = 240 if backend == "blocking" else 120
        server = Server(self, "--backend=" + backend, "--receipt", "--count=100", workers,
                        "--sink=dir:" + directory, "--stats=json",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                              (enough, enough)))
        peers = [server.connect() for _ in range(100)]
        for peer in peers:
            peer.sendall(b"x")
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
        for peer in peers:
            self.assertRegex(peer.recv(1000), rb"^ok 1 ")
        result = server.finish()
        self.assertEqual((0, 100), (result.status, result.stats["ends"]["eof"]), result)

    def test_too_few_descriptors(self, backend):
        """Who is let in has what it needs; where not even one could, it says so and doesn't start.
        """
        for sink in ("discard", "dir:" + temporary_directory(self), "exec:cat"):
            started = []
            for few in range(10, 46, 5):
                with self.subTest(sink=sink, few=few):
                    limit = f"--nofile={few}:{few}"
                    process = subprocess.Popen(
                        ["prlimit", limit, LASTBYTE, "recv", "--listen=127.0.0.1:0", "--once",
                         "--backend=" + backend, "--receipt", "--sink=" + sink],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE, text=True)
                    self.addCleanup(process.kill)
                    line = process.stderr.readline()
                    started.append(line.startswith("listening on "))
                    if started[-1]:
                        port = int(line.rsplit(":", 1)[1])
                        with socket.create_connection(("127.0.0.1", port), DEADLINE) as peer:
                            self.assertRegex(exchange(peer, b"x"), rb"ok 1 ")
                        process.wait(DEADLINE)
                        self.assertEqual((0, ""), (process.returncode, "".join(
                            told for told in process.stderr if "accepting" in told)))
                    else:
                        process.wait(DEADLINE)
                        self.assertIn("ulimit -n", line)
                        self.assertNotIn("memory", line)
                        self.assertEqual((3, ""), (process.returncode, process.stderr.read()))
                    process.stderr.close()
            self.assertEqual(sorted(started), started)
            self.assertTrue(started[-1])
        self.assertFalse(started[0])

    def test_no_more_workers_than_have_descriptors(self, backend):
        """Each costs some, and could have no stream without more."""
        server = Server(self, "--backend=" + backend, "--count=20", "--sink=discard", "--receipt",
                        prefix=("prlimit", "--nofile=80:80"))
        peers = [server.connect() for _ in range(20)]
        # All of them first: no worker owes the one who came first a place before the others end.
        for peer in peers:
            peer.sendall(b"x")
            peer.shutdown(socket.SHUT_WR)
        for peer in peers:
            self.assertRegex(peer.recv(1000), rb"^ok 1 ")
        self.assertEqual(0, server.finish().status)

    def test_silence(self, backend):
        result = self.ended(backend, lambda connection: connection.sendall(b"x"),
                            "--idle-timeout=0.1", "--max-time=1000")
        self.assertEqual((1, b"x"), (result.status, result.output))
        self.assertEqual(1, result.stats["ends"]["timeout"], result)
        self.assertRegex(result.errors, r": timeout after 1 bytes \(idle\)")

    def test_too_slow(self, backend):
        result = self.ended(backend, lambda connection: connection.sendall(b"x" * 100),
                            "--min-rate=10K", "--min-rate-window=0.1")
        self.assertEqual(1, result.stats["ends"]["limit"], result)
        self.assertRegex(result.errors, r": limit after 100 bytes \(min-rate\)")

    def test_time_is_up(self, backend):
        result = self.ended(backend, lambda connection: connection.sendall(b"x"), "--max-time=0.1")
        self.assertEqual(1, result.stats["ends"]["timeout"], result)
        self.assertRegex(result.errors, r": timeout after 1 bytes \(max-time\)")


@each_backend
class Admission(unittest.TestCase):
    def test_who_is_denied_changes_no_status(self, backend):
        server = Server(self, "--backend=" + backend, "--stats=json", "--deny=127.0.0.0/8")
        for _ in range(100):
            be_refused(server)
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual(0, result.status, result)
        self.assertEqual((100, 100, 0), tuple(result.stats[name] for name in
                                              ("streams", "refused", "partial")), result)
        self.assertEqual(100, result.stats["ends"]["limit"], result)
        # At most one line a second, however slow this machine is; the first comes at once.
        lines = re.findall(r"turned away \(denied\)", result.errors)
        self.assertGreaterEqual(len(lines), 1)
        self.assertLess(len(lines), 50, result)

    def test_once_means_the_first_who_may(self, backend):
        listen = ("--listen=127.0.0.1:0", "--listen=[::1]:0")
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest("no IPv6 loopback")
        server = Server(self, "--backend=" + backend, "--once", "--allow=::1", *listen,
                        addresses=2)
        for _ in range(5):
            be_refused(server)
        port = int(server.addresses[1].rsplit(":", 1)[1])
        with socket.create_connection(("::1", port), DEADLINE) as connection:
            exchange(connection, b"mine")
        result = server.finish()
        self.assertEqual((0, b"mine"), (result.status, result.output), result)
        self.assertIn("5 turned away", result.errors)

    def test_users(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        for uid, served in ((os.geteuid(), True), (os.geteuid() + 1, False)):
            server = Server(self, "--backend=" + backend, "--listen=unix:" + path, "--stats=json",
                            f"--allow-uid={uid}", "--allow-uid=12345", "--unix-mode=600")
            self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                try:
                    exchange(connection, b"data")
                except ConnectionError:
                    self.assertFalse(served)
            server.signal(signal.SIGTERM)
            result = server.finish()
            self.assertEqual((b"data" if served else b"", int(not served)),
                             (result.output, result.stats["refused"]), result)


@each_backend
class PortChecks(unittest.TestCase):
    def test_are_no_streams_if_that_is_asked_for(self, backend):
        for options in ((), ("--direct",), ("--receipt",)):
            directory = temporary_directory(self)
            server = Server(self, "--backend=" + backend, "--once", "--ignore-empty",
                            "--stats=json", "--sink=dir:" + directory, *options)
            for _ in range(3):
                subprocess.run([program("nc"), "-z", "127.0.0.1", str(server.port)], check=True,
                               timeout=DEADLINE)
                reset(server.connect())
            exchange(server.connect(), b"real")
            result = server.finish()
            self.assertEqual((0, 1), (result.status, len(os.listdir(directory))), result)
            stats = result.stats
            self.assertEqual((1, 6, 7, 4), (stats["streams"], stats["empty"], stats["accepted"],
                                            stats["bytes"]))
            self.assertEqual(2, len(result.errors.splitlines()), result)

    def test_and_verbose_tells_them(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--ignore-empty", "--verbose")
        server.connect().close()
        exchange(server.connect(), b"real")
        result = server.finish()
        self.assertEqual((0, b"real"), (result.status, result.output))
        self.assertRegex(result.errors, r"1 from \S+: no stream, as no byte came")
        self.assertIn("; 1 without a byte", result.errors)


class Options(unittest.TestCase):
    def test_nonsense_is_one_line(self):
        path = "--listen=unix:" + os.path.join(temporary_directory(self), "socket")
        for options, told in (
                (("--max-bytes=0",), "--max-bytes=0: out of range"),
                (("--max-bytes=1x",), "--max-bytes=1x: not a size"),
                (("--idle-timeout=0",), "--idle-timeout=0: out of range"),
                (("--max-time=-1",), "--max-time=-1: not a time"),
                (("--min-rate=0",), "--min-rate=0: out of range"),
                (("--min-rate-window=5",), "--min-rate-window: needs --min-rate"),
                (("--rate-limit=1000",), "--rate-limit=1000: out of range"),
                (("--total-rate-limit=0",), "--total-rate-limit=0: out of range"),
                (("--rate-limit=10K", "--min-rate=11K"), "--min-rate: above --rate-limit"),
                (("--keepalive=99999999",), "--keepalive=99999999: out of range"),
                (("--allow=10.0.0.1/8",), "--allow=10.0.0.1/8: has bits behind its prefix; "
                                          "write 10.0.0.0/8"),
                (("--deny=fe80::/129",), "--deny=fe80::/129: a prefix of 129 bits"),
                (("--deny=example.org",), "--deny=example.org: not a network"),
                (("--allow-uid=nobody-is-called-so",), "--allow-uid=nobody-is-called-so: no such"),
                (("--allow-uid=-1",), "--allow-uid=-1: no such user"),
                (("--allow-uid=4294967295",), "--allow-uid=4294967295: no such user"),
                (("--unix-mode=660",), "--unix-mode: needs --listen=unix:PATH"),
                ((path, "--unix-mode=0"), "--unix-mode=0: out of range; use 1 to 777"),
                ((path, "--unix-mode=1777"), "--unix-mode=1777: out of range"),
                ((path, "--unix-mode=rw"), "--unix-mode=rw: not a mode; use octal digits"),
                (("--max-streams-per-peer=0",), "--max-streams-per-peer=0: out of range"),
                (("--max-handshakes=0",), "--max-handshakes=0: out of range"),
                (("--max-handshakes=4097",), "--max-handshakes=4097: out of range"),
                (("--handshake-timeout=0.001",), "--handshake-timeout=0.001: out of range"),
        ):
            result = run("recv", *options)
            self.assertEqual(2, result.status, (options, result))
            self.assertTrue(result.errors.startswith("lastbyte: " + told), (options, result))
            self.assertEqual(1, result.errors.count("\n"), (options, result))


@each_backend
class SpoolTotal(unittest.TestCase):
    """Streams that wait on disk, more of them than may."""

    LARGE, SMALL_ONE = seeded(5 << 20), seeded(1536 << 10, 2)

    def send(self, server, data):
        connection = server.connect()
        connection.sendall(data)
        return connection

    def largest_ends(self, backend, *options):
        server = Server(self, "--backend=" + backend, "--spool-total=8M", "--stats=json",
                        "--receipt", "--no-splice", *options)
        large = self.send(server, self.LARGE)
        small = [self.send(server, self.SMALL_ONE) for _ in range(3)]
        # It does nothing, and is ended all the same.
        answer = b""
        while piece := large.recv(1 << 16):
            answer += piece
        large.close()
        self.assertRegex(answer, rb"\Aerror limit:spool-total \d+\n\Z")
        for connection in small:
            self.assertRegex(exchange(connection, b"."), rb"ok 1572865 xxh3:\S+ \S+\n\Z")
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual((1, 3), (result.stats["ends"]["limit"], result.stats["ends"]["eof"]))
        self.assertRegex(result.errors, r": limit after \d+ bytes \(spool-total\)")
        return result

    def test_print(self, backend):
        result = self.largest_ends(backend)
        self.assertEqual(3 * (self.SMALL_ONE + b"."), result.output)

    def test_exec(self, backend):
        self.largest_ends(backend, "--sink=exec:cat")


if __name__ == "__main__":
    main()
