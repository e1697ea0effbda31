# SPDX-License-Identifier: MIT
"""What is told on standard error, in which order and how often, and what a reader can't hold up."""

import contextlib
import fcntl
import os
import pwd
import re
import resource
import shutil
import socket
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, exchange, main, reset, run,
                     temporary_directory, until)

PIPE_SIZE = 4096
MANY = 200
TOLD_A_SECOND = 4
NOBODY = pwd.getpwnam("nobody")


def small_pipe():
    """A pipe that is full after one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


class Unread:
    """A server whose standard error nobody reads, once its address is known."""

    def __init__(self, test, *options, blocking=True):
        self.test = test
        self.reader, writer = small_pipe()
        test.addCleanup(os.close, self.reader)
        os.set_blocking(writer, blocking)
        self.process = subprocess.Popen(
            [LASTBYTE, "recv", "--listen=127.0.0.1:0", "--sink=discard", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer)
        os.close(writer)
        test.addCleanup(self.kill)
        self.first = b""
        while not self.first.endswith(b"\n"):
            self.first += os.read(self.reader, 1)
        self.port = int(self.first.rsplit(b":", 1)[1])

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        self.test.addCleanup(connection.close)
        return connection

    def is_full(self):
        """Whether it has no room for a line."""
        held = fcntl.ioctl(self.reader, 0x541b, b"\0\0\0\0")  # FIONREAD
        return int.from_bytes(held, "little") > PIPE_SIZE - 200

    def read(self):
        pieces = []
        while piece := os.read(self.reader, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces).decode()

    def kill(self):
        self.process.kill()
        self.process.wait()


@each_backend
class NobodyReads(unittest.TestCase):
    def fill(self, server):
        while not server.is_full():
            exchange(server.connect(), b"x")

    def test_streams_go_on_and_signals_end_it(self, backend):
        server = Unread(self, "--backend=" + backend, "--receipt", "--verbose")
        self.fill(server)
        for _ in range(MANY):
            self.assertEqual(b"ok 1 ", exchange(server.connect(), b"x")[:5])
        server.process.terminate()
        # The reader has his time, and no more.
        self.assertEqual(0, server.process.wait(DEADLINE))

    def test_the_sums_wait_for_a_reader_that_is_late(self, backend):
        for blocking in (True, False):
            server = Unread(self, "--backend=" + backend, f"--count={MANY}", "--verbose",
                            "--stats=json", blocking=blocking)
            for _ in range(MANY):
                exchange(server.connect(), b"x")
            until(server.is_full, "the pipe is full")
            lines = server.read().splitlines()
            self.assertEqual(0, server.process.wait(DEADLINE))
            self.assertEqual(MANY, sum(": eof after 1 bytes" in line for line in lines))
            self.assertRegex(lines[-1], r'^\{"backend":.*"streams":200,')

    def test_what_finds_no_place_is_counted(self, backend):
        count = 6000  # lines of more than 50 bytes: more than there is place for
        server = Unread(self, "--backend=" + backend, f"--count={count}", "--verbose")
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
                exchange(connection, b"")  # has ended, so that its line is there before we read
        text = server.read()
        self.assertEqual(0, server.process.wait(DEADLINE))
        missing = re.findall(r"lastbyte: (\d+) lines are missing here: nobody was reading", text)
        told = len(re.findall(r"lastbyte: stream \d+ from [0-9.:]+: eof after 0 bytes\n", text))
        self.assertGreater(len(missing), 0)
        self.assertEqual(count, told + sum(map(int, missing)))
        self.assertIn(f"{count} streams ({count} eof)", text)


@each_backend
class WhatStrangersCause(unittest.TestCase):
    def test_is_told_a_few_times_a_second_and_counted(self, backend):
        server = Server(self, "--backend=" + backend, "--sink=discard", f"--count={MANY}")
        for _ in range(MANY):
            reset(server.connect())
        result = server.finish()
        self.assertEqual(MANY, result.told("reset"), result)
        seconds = float(re.search(r"in ([0-9.]+) s", result.errors)[1])
        self.assertLessEqual(result.errors.count(": reset after 0 bytes"),
                             TOLD_A_SECOND * (seconds + 1))
        self.assertIn(f"{MANY} reset", result.errors)

    def test_all_of_it_if_that_is_asked_for(self, backend):
        server = Server(self, "--backend=" + backend, "--sink=discard", "--count=20", "--verbose")
        for _ in range(20):
            reset(server.connect())
        self.assertEqual(20, server.finish().errors.count(": reset after 0 bytes"))


class TheReadyLine(unittest.TestCase):
    def test_is_the_first_one(self):
        directory = temporary_directory(self)
        left = os.path.join(directory, "20260102T030405.678901Z-000001.receiving")
        with open(left, "wb") as file:
            file.write(b"x")
        server = Server(self, "--verbose", "--once", "--sink=dir:" + directory)
        exchange(server.connect(), b"x")
        lines = server.finish().errors.splitlines()
        self.assertRegex(lines[0], r"^listening on 127\.0\.0\.1:\d+$")
        for told in ("lastbyte: hardening: ", "an earlier run has left unfinished"):
            self.assertTrue(any(told in line for line in lines[1:]), lines)

    def test_is_not_told_by_a_server_that_cannot_start(self):
        if os.geteuid() != 0:
            self.skipTest("root has as many threads as it wants; others are not ours to choose")
        directory = temporary_directory(self)
        os.chmod(directory, 0o755)
        copy = shutil.copy(LASTBYTE, directory)

        def one_thread():
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

        # LeakSanitizer would want a thread.
        options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        done = subprocess.run([copy, "recv", "--listen=127.0.0.1:0", "--once", "--sink=hash"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=DEADLINE,
                              check=False, preexec_fn=one_thread,
                              env={**os.environ, "ASAN_OPTIONS": options}, user=NOBODY.pw_uid,
                              group=NOBODY.pw_gid, extra_groups=[])
        self.assertEqual(3, done.returncode, done)
        self.assertNotIn(b"listening", done.stderr)
        self.assertIn(b"ulimit -u", done.stderr)


class Closed(unittest.TestCase):
    def test_standard_output(self):
        done = run("recv", "--listen=127.0.0.1:0", "--once", stdout=None,
                   preexec_fn=lambda: os.close(1))
        self.assertEqual((3, 1), (done.status, done.errors.count("\n")), done)
        self.assertIn("--sink=print: standard output is closed", done.errors)

    def test_standard_error(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with subprocess.Popen([LASTBYTE, "recv", f"--listen=fd:{listener.fileno()}", "--once",
                                   "--verbose"], pass_fds=[listener.fileno()],
                                  stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                  preexec_fn=lambda: os.close(2)) as process:
                address = listener.getsockname()
                with socket.create_connection(address, DEADLINE) as connection:
                    exchange(connection, b"x")
                self.assertEqual((b"x", None), process.communicate(timeout=DEADLINE))
                self.assertEqual(0, process.returncode)


class Terminals(unittest.TestCase):
    def test_strangers_choose_no_more_than_text(self):
        """print: what came, and a terminal does nothing but show it."""
        sent = b"\x1b]0;owned\x07 bell, \xff, \xe2\x80\xae turned\n\ttext, \xc3\xa4\xc3"
        shown = (b"\\x1b]0;owned\\x07 bell, \\xff, \\xe2\\x80\\xae turned"
                 b"\r\n\ttext, \xc3\xa4\\xc3")
        for data, wanted in ((sent, shown), (b"y" * (2 << 20) + sent, b"y" * (2 << 20) + shown)):
            terminal, other = os.openpty()
            server = Server(self, "--once", stdout=other)
            os.close(other)
            with server.connect() as connection:
                connection.sendall(data)
            output = b""
            with contextlib.suppress(OSError):  # EIO: nobody has the other side open
                while len(output) < len(wanted):
                    output += os.read(terminal, 1 << 16)
            self.assertEqual(0, server.finish().status)
            os.close(terminal)
            self.assertEqual(wanted, output)

    def test_a_file_gets_what_came(self):
        server = Server(self, "--once")
        exchange(server.connect(), b"\x1b[2J\xff")
        self.assertEqual(b"\x1b[2J\xff", server.finish().output)


if __name__ == "__main__":
    main()
