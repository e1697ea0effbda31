# SPDX-License-Identifier: MIT
"""What a person sees while bytes go: bars on a terminal, lines elsewhere, sums at the end."""

import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import time
import unittest

from harness import DEADLINE, LASTBYTE, exchange, main, run, temporary_directory

MIB = 1 << 20


class Watched:
    """The command, on a terminal of some width that somebody looks at."""

    def __init__(self, test, *arguments, columns=100, **environment):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [LASTBYTE, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=theirs, env={"TERM": "xterm", "PATH": os.environ["PATH"], **environment})
        os.close(theirs)
        self.seen = ""
        test.addCleanup(self.close)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def read(self, left):
        if not select.select([self.ours], [], [], max(left, 0))[0]:
            raise AssertionError(f"nothing more; seen {self.seen[-2000:]!r}")
        try:
            piece = os.read(self.ours, 4096).decode()
        except OSError:  # all others have closed it
            piece = ""
        self.seen += piece
        return piece

    def until(self, pattern):
        end = time.monotonic() + DEADLINE
        while not re.search(pattern, self.seen):
            if not self.read(end - time.monotonic()):
                raise AssertionError(f"never shown: {pattern}; but {self.seen[-2000:]!r}")
        return re.search(pattern, self.seen)

    def finish(self):
        while self.read(DEADLINE):
            pass
        return self.process.wait(DEADLINE)

    def lines(self):
        """What each line was, whenever it was drawn, without what takes no room."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.seen)
        return [line for line in re.split(r"\r|\n|\x1b\[\d*[AJK]", plain) if line]


class Receiver:
    """Takes at most some bytes of each peer until it is told to go on."""

    def __init__(self, test, peers=1):
        self.listener = socket.create_server(("127.0.0.1", 0))
        test.addCleanup(self.listener.close)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.peers, self.test = peers, test

    def accept(self, size):
        connections = []
        for _ in range(self.peers):
            connection = self.listener.accept()[0]
            self.test.addCleanup(connection.close)
            connection.settimeout(DEADLINE)
            connections.append(connection)
            while size > 0:
                size -= len(connection.recv(size))
        return connections

    @staticmethod
    def take_rest(connections):
        for connection in connections:
            while connection.recv(MIB):
                pass
            connection.close()


class Sender(unittest.TestCase):
    def setUp(self):
        self.directory = temporary_directory(self)

    def file(self, name, size):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def test_a_bar_for_a_file_and_the_sums(self):
        receiver = Receiver(self)
        sender = Watched(self, "send", "--progress=0.1", receiver.address,
                         self.file("disk.img", 64 * MIB))
        connections = receiver.accept(MIB)
        sender.until(r"disk\.img'  \[(\x1b\[32m)?#*(\x1b\[0m)?-+\] \d+ %, "
                     r"[0-9.]+ MiB of 64\.0 MiB, [^,]*/s, \S+ left")
        receiver.take_rest(connections)
        self.assertEqual(0, sender.finish())
        self.assertIn("1 of 1 streams sent, 64.0 MiB in", sender.seen)

    def test_a_line_for_each_of_many_and_one_for_all(self):
        receiver = Receiver(self, peers=3)
        files = [self.file(f"part-{number}", 64 * MIB) for number in range(3)]
        sender = Watched(self, "send", "--progress=0.1", "--parallel=3", receiver.address, *files,
                         NO_COLOR="1")
        connections = receiver.accept(0)
        sender.until(r"part-0'  \[[^\n]*\n[^\n]*part-1'  \[[^\n]*\n[^\n]*part-2'  \["
                     r"[^\n]*\n0 of 3 streams  [^\n]* of 192 MiB")
        receiver.take_rest(connections)
        self.assertEqual(0, sender.finish())
        self.assertNotIn("\x1b[32m", sender.seen)
        self.assertIn("3 of 3 streams sent, 192 MiB in", sender.seen)

    def test_no_line_is_wider_than_the_terminal(self):
        for columns in (30, 60):
            receiver = Receiver(self)
            sender = Watched(self, "send", "--progress=0.1", receiver.address,
                             self.file("ä" * 40, 64 * MIB), columns=columns)
            connections = receiver.accept(MIB)
            sender.until(r"\d %")
            receiver.take_rest(connections)
            self.assertEqual(0, sender.finish())
            live = [line for line in sender.lines() if "%" in line]
            self.assertTrue(live)
            self.assertLess(max(map(len, live)), columns)

    def test_a_size_that_is_told(self):
        receiver = Receiver(self)
        sender = Watched(self, "send", "--progress=0.1", "--size=10M", receiver.address, "--",
                         "sh", "-c", "head -c 5M /dev/zero; exec sleep 60")
        connections = receiver.accept(5 * MIB)
        sender.until(r"50 %, 5\.00 MiB of 10\.0 MiB")
        sender.process.terminate()
        for connection in connections:
            connection.close()

    def test_a_size_where_it_is_known_is_refused(self):
        result = run("send", "--size=1M", "localhost:1", self.file("x", 1))
        self.assertEqual(2, result.status)
        self.assertIn("--size", result.errors)

    def test_plain_lines_where_there_is_no_terminal(self):
        receiver = Receiver(self)
        sender = subprocess.Popen(
            [LASTBYTE, "send", "--progress=0.1", receiver.address, self.file("x", 64 * MIB)],
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(sender.stderr.close)
        self.addCleanup(sender.kill)
        connections = receiver.accept(MIB)
        self.assertRegex(sender.stderr.readline(),
                         r"\A0 of 1 streams sent, \d+ %, \S+ MiB of 64\.0 MiB, .*/s, \S+ left\n\Z")
        receiver.take_rest(connections)
        self.assertNotIn("\x1b", sender.stderr.read())
        self.assertEqual(0, sender.wait(DEADLINE))

    def test_what_is_left_of_a_failure_is_no_progress(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            result = run("send", "--progress=0.1", "--max-time=0.5", "--text=" + "x" * 1000,
                         "127.0.0.1:%d" % silent.getsockname()[1])
        self.assertEqual(1, result.status, result)
        self.assertRegex(result.errors,
                         "100 %(.|\n)*its time is up.*\n0 of 1 streams sent, 0 bytes in")

    def test_a_dumb_terminal_is_none(self):
        receiver = Receiver(self)
        sender = Watched(self, "send", receiver.address, self.file("x", MIB), TERM="dumb")
        receiver.take_rest(receiver.accept(0))
        self.assertEqual(0, sender.finish())
        self.assertEqual("", sender.seen)


class Server(unittest.TestCase):
    def test_a_size_that_is_told(self):
        server = Watched(self, "recv", "--listen=127.0.0.1:0", "--once", "--sink=discard",
                         "--progress=0.1", "--size=4K")
        port = int(server.until(r"listening on 127\.0\.0\.1:(\d+)\r")[1])
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.sendall(b"x" * 1024)
            server.until(r"1 stream, 0 ended  \[.*\] 25 %, 1\.00 KiB of 4\.00 KiB")
            exchange(connection, b"x" * 3072)
        self.assertEqual(0, server.finish())


if __name__ == "__main__":
    main()
