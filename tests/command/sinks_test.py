# SPDX-License-Identifier: MIT
"""What each sink does with what arrives."""

import hashlib
import os
import select
import socket
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, exchange, main, program, reset,
                     seeded, send_by_nc, send_by_python, temporary_directory)


def read_file(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


@each_backend
class Print(unittest.TestCase):
    def test_streams_come_whole_and_in_the_order_of_ends(self, backend):
        first, second = b"a" * (3 << 20), b"b" * ((1 << 20) + 1)
        server = Server(self, "--backend=" + backend, "--count=2")
        early, late = server.connect(), server.connect()
        for begin in range(0, len(first), 1 << 18):
            early.sendall(first[begin:begin + (1 << 18)])
            late.sendall(second[begin:begin + (1 << 18)])
        exchange(late, b"")
        server.output.wait_for(lambda data: len(data) >= len(second), "the stream that ended")
        exchange(early, b"")
        result = server.finish()
        self.assertEqual(0, result.status, result)
        self.assertTrue(result.output == second + first, f"{len(result.output)} bytes, mixed")

    def test_a_reset_stream_is_not_passed_off_as_complete(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--stats=json")
        connection = server.connect()
        connection.sendall(b"half a mess")
        reset(connection)
        result = server.finish()
        self.assertEqual(1, result.status, result)
        self.assertEqual(1, result.stats["ends"]["reset"], result)
        self.assertEqual(1, result.stats["partial"], result)


@each_backend
class Stdout(unittest.TestCase):
    def make_tree(self):
        directory = temporary_directory(self)
        for number in range(20):
            path = os.path.join(directory, f"part-{number % 4}")
            os.makedirs(path, exist_ok=True)
            with open(os.path.join(path, f"file {number}"), "wb") as file:
                file.write(seeded(number * 40_961, number))
        return directory

    def test_tar_over_nc(self, backend):
        tree = self.make_tree()
        archive = subprocess.run(["tar", "c", "-C", tree, "."], stdout=subprocess.PIPE,
                                 timeout=DEADLINE, check=True).stdout
        server = Server(self, "--backend=" + backend, "--once", "--sink=stdout")
        with subprocess.Popen(["tar", "c", "-C", tree, "."], stdout=subprocess.PIPE) as tar:
            subprocess.run([program("nc"), "-N", "127.0.0.1", str(server.port)], check=True,
                           stdin=tar.stdout, stdout=subprocess.DEVNULL, timeout=DEADLINE)
        result = server.finish()
        self.assertEqual(0, result.status, result)
        listing = [subprocess.run(["tar", "t"], input=data, stdout=subprocess.PIPE, check=True,
                                  timeout=DEADLINE).stdout for data in (archive, result.output)]
        self.assertEqual(*listing)
        target = temporary_directory(self)
        subprocess.run(["tar", "x", "-C", target], input=result.output, check=True,
                       timeout=DEADLINE)
        subprocess.run(["diff", "-r", tree, target], check=True, timeout=DEADLINE)

    def test_one_stream_at_a_time_in_the_order_of_accepts(self, backend):
        server = Server(self, "--backend=" + backend, "--count=2", "--sink=stdout")
        first = server.connect()
        first.sendall(b"one ")
        server.output.wait_for(lambda data: data == b"one ", "the first stream's first bytes")
        second = server.connect()
        second.sendall(b"two")
        second.shutdown(socket.SHUT_WR)
        exchange(first, b"and all of it, ")
        result = server.finish()
        self.assertEqual((0, b"one and all of it, two"), (result.status, result.output), result)

    def test_a_reader_that_leaves_ends_the_stream_and_the_server(self, backend):
        """Nobody could be served any more, and who waits for the server learns of it."""
        reader, writer = os.pipe()
        server = Server(self, "--backend=" + backend, "--sink=stdout", "--stats=json",
                        stdout=writer)
        os.close(writer)
        connection = server.connect()
        server.connect()  # waits for its turn, and has none
        connection.sendall(b"x")
        self.assertTrue(select.select([reader], [], [], DEADLINE)[0], "the first byte never came")
        self.assertEqual(b"x", os.read(reader, 1))
        os.close(reader)
        try:
            while True:
                connection.sendall(b"y" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        result = server.finish()
        self.assertEqual(1, result.status, result)
        self.assertEqual(1, result.stats["ends"]["sink"], result)


@each_backend
class ReaderGone(unittest.TestCase):
    def test_what_is_printed_at_the_end_of_a_stream(self, backend):
        """The server ends, whatever the output is."""
        for sink in ("print", "hash"):
            for make in (os.pipe, lambda: map(socket.socket.detach, socket.socketpair())):
                reader, writer = make()
                os.close(reader)
                server = Server(self, "--backend=" + backend, "--sink=" + sink, "--stats=json",
                                stdout=writer)
                os.close(writer)
                connection = server.connect()
                connection.sendall(b"x")
                connection.shutdown(socket.SHUT_WR)
                result = server.finish()
                self.assertEqual((1, 1), (result.status, result.stats["ends"]["sink"]), result)


@each_backend
class Hash(unittest.TestCase):
    def lines(self, output):
        return [line.split() for line in output.decode().splitlines()]

    def test_sha256_is_what_sha256sum_says(self, backend):
        payload = seeded((5 << 20) + 3)
        server = Server(self, "--backend=" + backend, "--once", "--sink=hash:sha256")
        send_by_nc("127.0.0.1", server.port, payload)
        result = server.finish()
        wanted = subprocess.run(["sha256sum"], input=payload, stdout=subprocess.PIPE, check=True,
                                timeout=DEADLINE).stdout.split()[0].decode()
        (digest, size, end, peer), = self.lines(result.output)
        self.assertEqual((wanted, str(len(payload)), "eof"), (digest, size, end))
        self.assertRegex(peer, r"^127\.0\.0\.1:\d+$")
        self.assertEqual(0, result.status, result)

    def test_xxh3_is_the_default(self, backend):
        known = {b"": "99aa06d3014798d86001c324468d497f"}
        server = Server(self, "--backend=" + backend, "--count=2", "--sink=hash")
        for payload in known:
            send_by_python("127.0.0.1", server.port, payload)
        send_by_python("127.0.0.1", server.port, b"x")
        result = server.finish()
        first, second = self.lines(result.output)
        self.assertEqual([known[b""], "0", "eof"], first[:3])
        self.assertEqual(["1", "eof"], second[1:3])
        self.assertRegex(second[0], r"^[0-9a-f]{32}$")


@each_backend
class File(unittest.TestCase):
    def test_one_stream_becomes_one_file(self, backend):
        path = os.path.join(temporary_directory(self), "received")
        payload = seeded(1 << 20)
        server = Server(self, "--backend=" + backend, "--once", "--sink=file:" + path)
        send_by_nc("127.0.0.1", server.port, payload)
        self.assertEqual(0, server.finish().status)
        self.assertEqual(payload, read_file(path))

    def test_a_second_stream_is_refused(self, backend):
        path = os.path.join(temporary_directory(self), "received")
        server = Server(self, "--backend=" + backend, "--count=2", "--sink=file:" + path,
                        "--stats=json")
        send_by_python("127.0.0.1", server.port, b"first")
        try:
            send_by_python("127.0.0.1", server.port, b"second")
        except ConnectionError:
            pass  # however the refusal looks to the peer
        result = server.finish()
        self.assertEqual(b"first", read_file(path))
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["sink"]), result)

    def test_append_adds_one_after_the_other(self, backend):
        path = os.path.join(temporary_directory(self), "received")
        with open(path, "wb") as file:
            file.write(b"before ")
        server = Server(self, "--backend=" + backend, "--count=2", "--append",
                        "--sink=file:" + path)
        send_by_python("127.0.0.1", server.port, b"first ")
        send_by_python("127.0.0.1", server.port, b"second")
        self.assertEqual(0, server.finish().status)
        self.assertEqual(b"before first second", read_file(path))


class Direct(unittest.TestCase):
    def require(self, directory):
        try:
            os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_DIRECT))
        except OSError as error:
            self.skipTest(f"{directory}: no O_DIRECT: {error}")

    def test_append_and_direct_go_together(self):
        directory = temporary_directory(self)
        self.require(directory)
        path = os.path.join(directory, "received")
        payloads = [seeded(size, size) for size in (5 << 20, 3_000_001)]
        server = Server(self, "--count=2", "--append", "--direct", "--sink=file:" + path)
        for payload in payloads:
            send_by_python("127.0.0.1", server.port, payload)
        self.assertEqual(0, server.finish().status)
        self.assertTrue(b"".join(payloads) == read_file(path))

    def test_a_file_system_without_it_is_refused_at_the_start(self):
        directory = temporary_directory(self)
        mount = [program("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c",
                 'mount -t ramfs none "$0" || exit 77; "$@"; status=$?; ls -A "$0"; exit $status']
        done = subprocess.run([*mount, directory, LASTBYTE, "recv", "--listen=127.0.0.1:0",
                               "--direct", "--sink=dir:" + directory],
                              capture_output=True, timeout=DEADLINE, check=False)
        if done.returncode in (1, 77):
            self.skipTest("no ramfs can be mounted: " + done.stderr.decode())
        self.assertEqual((3, b""), (done.returncode, done.stdout), done)
        self.assertIn(b"O_DIRECT", done.stderr)
        self.assertEqual(1, done.stderr.count(b"\n"), done)


@each_backend
class Dir(unittest.TestCase):
    def test_each_stream_becomes_a_file(self, backend):
        directory = temporary_directory(self)
        payloads = [seeded(size, size) for size in (0, 1, 100_000, 1 << 21)]
        server = Server(self, "--backend=" + backend, f"--count={len(payloads)}",
                        "--sink=dir:" + directory)
        for payload in payloads:
            send_by_nc("127.0.0.1", server.port, payload)
        self.assertEqual(0, server.finish().status)
        names = sorted(os.listdir(directory))
        self.assertFalse([name for name in names if "partial" in name], names)
        digests = [hashlib.sha256(read_file(directory, name)).digest() for name in names]
        self.assertEqual(sorted(hashlib.sha256(payload).digest() for payload in payloads),
                         sorted(digests))

    def test_a_reset_stream_is_kept_apart(self, backend):
        directory = temporary_directory(self)
        server = Server(self, "--backend=" + backend, "--once", "--sink=dir:" + directory)
        connection = server.connect()
        connection.sendall(b"half a mess")
        reset(connection)
        self.assertEqual(1, server.finish().status)
        name, = os.listdir(directory)
        self.assertTrue(name.endswith(".partial"), name)
        self.assertEqual(b"half a mess", read_file(directory, name))


@each_backend
class Exec(unittest.TestCase):
    def test_the_command_knows_its_peer(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--sink=exec:cat >&2; env >&2")
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            name = "127.0.0.1:%d" % connection.getsockname()[1]
            exchange(connection, b"unseen\n")
        result = server.finish()
        self.assertEqual(0, result.status, result)
        self.assertIn("unseen\n", result.errors)
        self.assertIn("=" + name + "\n", result.errors)

    def test_its_exit_status_is_the_streams(self, backend):
        server = Server(self, "--backend=" + backend, "--count=2", "--stats=json",
                        "--sink=exec:grep -q good")
        send_by_python("127.0.0.1", server.port, b"good\n")
        try:
            send_by_python("127.0.0.1", server.port, b"bad\n")
        except ConnectionError:
            pass  # a reset tells the peer that its stream is not safe
        result = server.finish()
        self.assertEqual(1, result.status, result)
        self.assertEqual((1, 1), (result.stats["ends"]["eof"], result.stats["ends"]["sink"]))

    def test_a_command_that_reads_nothing_hurts_nobody(self, backend):
        server = Server(self, "--backend=" + backend, "--count=2", "--stats=json",
                        "--sink=exec:exit 3")
        for _ in range(2):
            try:
                send_by_python("127.0.0.1", server.port, b"z" * (4 << 20))
            except ConnectionError:
                pass
        result = server.finish()
        self.assertEqual((1, 2), (result.status, result.stats["ends"]["sink"]), result)

    def test_a_large_answer_comes_whole(self, backend):
        payload = seeded(4 << 20)
        server = Server(self, "--backend=" + backend, "--once", "--sink=exec:cat")
        answer = send_by_nc("127.0.0.1", server.port, payload)
        self.assertEqual(0, server.finish().status)
        self.assertEqual(hashlib.sha256(payload).digest(), hashlib.sha256(answer).digest())


@each_backend
class Discard(unittest.TestCase):
    def test_bytes_are_counted_and_dropped(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--sink=discard", "--stats=json")
        send_by_nc("127.0.0.1", server.port, bytes(3 << 20))
        result = server.finish()
        self.assertEqual((0, b"", 3 << 20),
                         (result.status, result.output, result.stats["bytes"]), result)


if __name__ == "__main__":
    main()
