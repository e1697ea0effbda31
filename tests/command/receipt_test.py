# SPDX-License-Identifier: MIT
"""Receipts from end to end: recv --receipt, and whoever sends to it."""

import filecmp
import hashlib
import os
import re
import signal
import socket
import subprocess
import unittest

from harness import (CONVERSING_CLIENTS, DEADLINE, LASTBYTE, SMALL, Server,
                     allow_many_descriptors, each_backend, each_client, main, program,
                     run, seeded, temporary_directory, until)

CROWD = 200 if SMALL else 1000
RECEIPT = re.compile(rb"ok (\d+) sha256:([0-9a-f]{64}) ([!-~]+)\n")
SENT, FAILED, USAGE, NO_START, REFUSED, UNKNOWN = range(6)


def make_file(test, data):
    path = os.path.join(temporary_directory(test), "file")
    with open(path, "wb") as file:
        file.write(data)
    return path


def make_large_file(test):
    """More than sockets hold: who sends it meets whatever stops it."""
    path = make_file(test, b"")
    os.truncate(path, 64 << 20)
    return path


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def published(directory):
    return [name for name in os.listdir(directory)
            if not name.endswith((".receiving", ".partial"))]


class EndToEnd(unittest.TestCase):
    def servers(self, backend, *options, **popen):
        path = os.path.join(temporary_directory(self), "socket")
        for listen in ("127.0.0.1:0", "unix:" + path):
            yield Server(self, "--backend=" + backend, "--listen=" + listen, *options, **popen)

    def drop_box(self, backend, *options, **popen):
        directory = temporary_directory(self)
        server = Server(self, "--backend=" + backend, "--sink=dir:" + directory, *options, **popen)
        return server, directory

    def send(self, status, server, *arguments, **options):
        result = run("send", *arguments, **options)
        server.signal(signal.SIGTERM)
        received = server.finish()
        self.assertEqual(status, result.status, (result, received))
        return result, received

    def begin(self, server, *options):
        """A sender that has sent something, and does not know yet that there is no more."""
        sender = subprocess.Popen([LASTBYTE, "send", *options, server.address],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(sender.stderr.close)
        self.addCleanup(sender.stdin.close)
        self.addCleanup(sender.wait)
        self.addCleanup(sender.kill)
        sender.stdin.write(b"x" * 100_000)
        sender.stdin.flush()
        return sender

    def wait_for_bytes(self, directory, size):
        def arrived():
            sizes = [os.stat(entry).st_size for entry in os.scandir(directory)]
            return sum(sizes) >= size

        until(arrived, f"{size} bytes in {directory}")


@each_backend
class Senders(EndToEnd):
    def test_each_sink(self, backend):
        payload = seeded(3_000_001)
        path = make_file(self, payload)
        for sink, answer in (("discard", b""), ("hash", b""), ("print", b""), ("stdout", b""),
                             ("exec:cat", payload + b"\n"), ("exec:wc -c", b"3000001\n"),
                             ("exec:cat >/dev/null; printf hello", b"hello\n"),
                             ("exec:head -c 5 | wc -c", b"5\n"), ("exec:true", b"")):
            for server in self.servers(backend, "--receipt", "--sink=" + sink):
                with self.subTest(sink=sink, address=server.address):
                    result, received = self.send(SENT, server, "--receipt", server.address, path)
                    self.assertEqual(0, received.status, received)
                    self.assertTrue(answer == result.output, result.output[-200:])

    def test_a_receipt_is_a_line_of_its_own(self, backend):
        for sink, status, answer in (("discard", SENT, b"name? \n"),
                                     ("exec:cat", SENT, b"name? hello\n"),
                                     ("exec:echo", SENT, b"name? \n"),
                                     ("exec:exit 1", REFUSED, b"name? \n")):
            for server in self.servers(backend, "--receipt", "--sink=" + sink, "--greeting=name? "):
                result, _ = self.send(status, server, "--receipt", "--text=hello", server.address)
                self.assertEqual(answer, result.output)

    def test_the_receipt_names_the_file(self, backend):
        for choice, algorithm in (("--receipt", "xxh3"), ("--receipt=sha256", "sha256")):
            server, directory = self.drop_box(backend, choice)
            payload = seeded(1 << 20)
            result, _ = self.send(SENT, server, choice, "--verbose", server.address, input=payload)
            name = re.search(f'"ok 1048576 {algorithm}:[0-9a-f]+ ([!-~]+)"', result.errors)[1]
            self.assertTrue(payload == read(directory, name))

    def test_one_file(self, backend):
        target = os.path.join(temporary_directory(self), "target")
        server = Server(self, "--backend=" + backend, "--receipt", "--sink=file:" + target)
        self.assertEqual(SENT, run("send", "--receipt", "--text=hello", server.address).status)
        result, _ = self.send(REFUSED, server, "--receipt", "--text=again", server.address)
        self.assertIn("error sink", result.errors)
        self.assertEqual(b"hello", read(target))

    def test_nothing_is_proven_too(self, backend):
        server, directory = self.drop_box(backend, "--receipt")
        self.send(SENT, server, "--receipt", server.address, input=b"")
        self.assertEqual([0], [len(read(directory, name)) for name in published(directory)])

    def test_tar(self, backend):
        source, target = temporary_directory(self), temporary_directory(self)
        for number in range(20):
            with open(os.path.join(source, str(number)), "wb") as file:
                file.write(seeded(number * 50_000, number))
        server, directory = self.drop_box(backend, "--receipt")
        done = subprocess.run(
            ["bash", "-c", 'set -o pipefail; tar -C "$1" -c . | "$2" send --receipt "$3"', "bash",
             source, LASTBYTE, server.address], timeout=DEADLINE, check=False)
        self.assertEqual(0, done.returncode)
        name, = published(directory)
        subprocess.run(["tar", "-C", target, "-xf", os.path.join(directory, name)], check=True)
        names = os.listdir(source)
        self.assertEqual((names, [], []), filecmp.cmpfiles(source, target, names, shallow=False))

    def test_tar_as_the_sink(self, backend):
        source, target = temporary_directory(self), temporary_directory(self)
        with open(os.path.join(source, "one"), "wb") as file:
            file.write(seeded(300_000))
        archive = subprocess.run(["tar", "-C", source, "-c", "."], stdout=subprocess.PIPE,
                                 check=True).stdout
        server = Server(self, "--backend=" + backend, "--receipt",
                        f"--sink=exec:tar -x -C '{target}' 2>/dev/null")
        self.assertEqual(SENT, run("send", "--receipt", server.address, input=archive).status)
        self.assertTrue(filecmp.cmp(os.path.join(source, "one"), os.path.join(target, "one"),
                                    shallow=False))
        self.send(REFUSED, server, "--receipt", server.address, input=archive[:200_000])

    def test_a_crowd_of_files(self, backend):
        source = temporary_directory(self)
        count = CROWD // 4  # each costs its fsyncs
        for number in range(count):
            with open(os.path.join(source, str(number)), "wb") as file:
                file.write(b"%d " % number * (number % 50))
        server, directory = self.drop_box(backend, "--receipt", "--workers=2")
        result, _ = self.send(SENT, server, "--receipt", "--parallel=100", server.address,
                              *[os.path.join(source, str(number)) for number in range(count)])
        self.assertEqual("", result.errors)
        self.assertEqual(sorted(read(source, name) for name in os.listdir(source)),
                         sorted(read(directory, name) for name in published(directory)))


@each_backend
class Refused(EndToEnd):
    def test_by_a_limit(self, backend):
        path = make_large_file(self)
        directory = temporary_directory(self)
        for server in self.servers(backend, "--receipt", "--max-bytes=1M", "--stats=json",
                                   "--sink=dir:" + directory):
            result, received = self.send(REFUSED, server, "--receipt", "--retry=3",
                                         server.address, path)
            self.assertIn('"error limit:max-bytes ', result.errors)
            self.assertEqual(1, received.stats["accepted"])
            self.assertEqual([], published(directory))

    def test_for_now_by_a_limit_of_streams(self, backend):
        server, directory = self.drop_box(backend, "--receipt", "--max-streams-per-peer=1",
                                          "--stats=json")
        held = self.begin(server, "--receipt")
        self.wait_for_bytes(directory, 1)
        path = make_file(self, b"hello")
        with subprocess.Popen([LASTBYTE, "send", "--receipt", "--retry=100", server.address, path],
                              stderr=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            self.assertIn(b'"error limit:per-peer 0"', sender.stderr.readline())
            held.communicate(timeout=DEADLINE)
            self.assertEqual(SENT, sender.wait(DEADLINE))
        self.assertEqual(2, len(published(directory)))

    def test_by_a_full_disk(self, backend):
        """A limit of file sizes stands for it: that needs no file system of our own."""
        path = make_large_file(self)
        server, directory = self.drop_box(backend, "--receipt", "--stats=json",
                                          prefix=["prlimit", "--fsize=1000000"])
        result, received = self.send(REFUSED, server, "--receipt", "--retry=1", server.address,
                                     path)
        self.assertIn('"error sink:EFBIG ', result.errors)
        self.assertEqual(2, received.stats["accepted"])
        self.assertEqual([], published(directory))

    def test_by_a_command(self, backend):
        for server in self.servers(backend, "--receipt", "--sink=exec:wc -c; exit 3"):
            result, _ = self.send(REFUSED, server, "--receipt", "--text=hello", server.address)
            self.assertIn('"error sink', result.errors)

    def test_in_the_middle_of_an_answer(self, backend):
        """The answer's last line is then cut off: the receipt is none the less a line."""
        for server in self.servers(backend, "--receipt", "--drain=0",
                                   "--sink=exec:printf hello; exec sleep 1000"):
            with subprocess.Popen([LASTBYTE, "send", "--receipt", "--text=x", server.address],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sender:
                self.addCleanup(sender.kill)
                self.assertEqual(b"hello", sender.stdout.read(5))
                server.signal(signal.SIGTERM)
                output, errors = sender.communicate(timeout=DEADLINE)
                self.assertEqual((REFUSED, b"\n"), (sender.returncode, output), errors)
                self.assertIn(b'"error stopped 1"', errors)

    def test_by_a_server_that_stops(self, backend):
        for address in ("127.0.0.1:0", "unix"):
            directory = temporary_directory(self)
            if address == "unix":
                address += ":" + os.path.join(temporary_directory(self), "socket")
            server = Server(self, "--backend=" + backend, "--receipt", "--drain=0",
                            "--listen=" + address, "--sink=dir:" + directory)
            sender = self.begin(server, "--receipt")
            self.wait_for_bytes(directory, 100_000)
            server.signal(signal.SIGTERM)
            self.assertEqual(REFUSED, sender.wait(DEADLINE))
            self.assertIn(b'"error stopped 100000"', sender.stderr.read())
            self.assertEqual([], published(directory))


@each_backend
class Unknown(EndToEnd):
    def test_a_server_without_receipts(self, backend):
        path = make_file(self, b"hello")
        server, directory = self.drop_box(backend)
        result, _ = self.send(UNKNOWN, server, "--receipt", "--retry=3", server.address, path)
        self.assertIn("--receipt?", result.errors)
        self.assertEqual(1, len(published(directory)))

    def test_the_other_digest(self, backend):
        server, directory = self.drop_box(backend, "--receipt=sha256")
        path = make_file(self, b"hello")
        self.assertEqual(SENT, run("send", "--receipt", server.address, path).status)
        result, _ = self.send(UNKNOWN, server, "--receipt", server.address, input=b"hello")
        self.assertIn("--receipt=sha256", result.errors)
        self.assertEqual(2, len(published(directory)))

    def test_a_killed_server(self, backend):
        server, directory = self.drop_box(backend, "--receipt")
        sender = self.begin(server, "--receipt")
        self.wait_for_bytes(directory, 100_000)
        server.signal(signal.SIGKILL)
        self.assertEqual(UNKNOWN, sender.wait(DEADLINE))
        self.assertEqual([], published(directory))

    def test_until_the_server_is_back(self, backend):
        """Its machine resets what it knows nothing of: the file is sent again, and then proven."""
        path = make_large_file(self)
        server, directory = self.drop_box(backend, "--receipt")
        server.signal(signal.SIGSTOP)
        with subprocess.Popen([LASTBYTE, "send", "--receipt", "--retry=100", server.address, path],
                              stderr=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            self.wait_for_queue(server)
            server.signal(signal.SIGKILL)
            self.assertIn(b"trying again", sender.stderr.readline())
            server.finish()
            again = Server(self, "--backend=" + backend, "--receipt", "--listen=" + server.address,
                           "--sink=dir:" + directory, "--once", "--stats=json")
            self.assertEqual(SENT, sender.wait(DEADLINE))
            result = again.finish()
            self.assertEqual((0, 1), (result.status, result.stats["accepted"]))
        name, = published(directory)
        self.assertTrue(filecmp.cmp(path, os.path.join(directory, name), shallow=False))

    def wait_for_queue(self, server):
        """Until the sender has sent something that the server does not read."""
        def has_sent():
            with open("/proc/net/tcp", encoding="ascii") as table:
                rows = [line.split() for line in table]
            return any(row[2].endswith(f":{server.port:04X}") and int(row[4][:8], 16) > 0
                       for row in rows[1:])

        until(has_sent, "bytes in the sender's queue")

    def test_an_interrupted_sender(self, backend):
        for number in (signal.SIGINT, signal.SIGKILL):
            server, directory = self.drop_box(backend, "--receipt", "--once", "--stats=json")
            sender = self.begin(server, "--receipt")
            self.wait_for_bytes(directory, 100_000)
            sender.send_signal(number)
            self.assertEqual(-number, sender.wait(DEADLINE))
            self.assertEqual(1, server.finish().stats["ends"]["reset"])
            self.assertEqual([], published(directory))


@each_backend
class Strangers(EndToEnd):
    def check(self, answer, data, directory):
        found = RECEIPT.fullmatch(answer)
        self.assertTrue(found, answer)
        self.assertEqual((len(data), hashlib.sha256(data).hexdigest()),
                         (int(found[1]), found[2].decode()))
        self.assertTrue(data == read(directory, found[3].decode()))
        return found[3]

    @each_client(*CONVERSING_CLIENTS)
    def test_read_receipts(self, backend, send):
        server, directory = self.drop_box(backend, "--receipt=sha256")
        for data in (b"", b"hello", seeded(3 << 20)):
            self.check(send("127.0.0.1", server.port, data), data, directory)

    def test_nc_over_a_unix_socket(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server, directory = self.drop_box(backend, "--receipt=sha256", "--listen=unix:" + path)
        done = subprocess.run([program("nc"), "-N", "-U", path], input=b"hello",
                              stdout=subprocess.PIPE, timeout=DEADLINE, check=True)
        self.check(done.stdout, b"hello", directory)
        self.assertTrue(server.address)

    def test_a_crowd(self, backend):
        allow_many_descriptors(CROWD + 100)
        server, directory = self.drop_box(backend, "--receipt=sha256", f"--count={CROWD}")
        peers = [socket.create_connection(("127.0.0.1", server.port), DEADLINE)
                 for _ in range(CROWD)]
        for number, peer in enumerate(peers):
            peer.sendall(b"%d" % number)
        for peer in peers:
            peer.shutdown(socket.SHUT_WR)
        names = set()
        for number, peer in enumerate(peers):
            with peer, peer.makefile("rb") as answer:
                names.add(self.check(answer.read(), b"%d" % number, directory))
        self.assertEqual((0, CROWD), (server.finish().status, len(names)))


del EndToEnd
if __name__ == "__main__":
    main()
