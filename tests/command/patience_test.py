# SPDX-License-Identifier: MIT
"""lastbyte send, and how long it waits: for nobody longer than it was told to, and for those who
merely are slow as long as they are."""

import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

from harness import DEADLINE, main, run
from plain import (FAILED, MORE_THAN_SOCKETS_HOLD, NO_START, SENT, UNKNOWN, USAGE, Listener, Sender,
                   make_file, receive_all)

INSIDE = "LASTBYTE_TEST_PATIENCE_INSIDE"


class Idle(unittest.TestCase):
    def test_a_server_that_never_closes(self):
        for unix in (False, True):
            for options, expected in (((), FAILED), (("--receipt",), UNKNOWN)):
                listener = Listener(self, unix)
                sender = Sender(self, "--idle-timeout=0.3", "--text=x", *options, listener.address)
                connection = listener.accept()
                self.assertEqual((b"x", True), receive_all(connection))
                status, _, errors = sender.finish()
                self.assertEqual(expected, status, errors)
                self.assertIn("nothing has moved for 0.3 s (--idle-timeout)", errors)

    def test_a_server_that_never_reads(self):
        for unix in (False, True):
            listener = Listener(self, unix)
            path = make_file(self, b"")
            os.truncate(path, MORE_THAN_SOCKETS_HOLD)
            sender = Sender(self, "--idle-timeout=0.3", listener.address, path)
            connection = listener.accept()
            self.assertEqual(FAILED, sender.finish()[0])
            data, whole = receive_all(connection)
            self.assertLess(len(data), MORE_THAN_SOCKETS_HOLD)
            self.assertEqual(unix, whole)  # which has no reset

    def test_a_server_that_is_stopped(self):
        """Its kernel takes the connection, and answers every question."""
        listener = Listener(self)
        begin = time.monotonic()
        sender = Sender(self, "--idle-timeout=0.3", "--keepalive=1", "--text=x", "--receipt",
                        listener.address)
        self.assertEqual(UNKNOWN, sender.finish()[0])
        self.assertLess(time.monotonic() - begin, DEADLINE)

    def test_its_own_input_may_be_silent(self):
        """Three times as long as the server might be."""
        for unix in (False, True):
            listener = Listener(self, unix)
            sender = Sender(self, "--idle-timeout=0.3", listener.address, stdin=subprocess.PIPE)
            sender.write(b"begin")
            connection = listener.accept()
            self.assertEqual(b"begin", connection.recv(5, socket.MSG_WAITALL))
            connection.settimeout(0.9)
            self.assertRaises(TimeoutError, connection.recv, 1)
            connection.settimeout(DEADLINE)
            sender.write(b" and end")
            sender.process.stdin.close()
            sender.process.stdin = None
            self.assertEqual((b" and end", True), receive_all(connection))
            connection.close()
            self.assertEqual(SENT, sender.finish()[0])

    def test_a_slow_answer_is_none(self):
        listener = Listener(self)
        sender = Sender(self, "--idle-timeout=0.5", "--text=x", listener.address)
        connection = listener.accept()
        receive_all(connection)
        for _ in range(8):  # longer than that in sum
            time.sleep(0.1)
            connection.sendall(b".")
        connection.close()
        status, output, errors = sender.finish()
        self.assertEqual((SENT, b"." * 8), (status, output), errors)


class MaxTime(unittest.TestCase):
    def test_an_answer_without_an_end(self):
        listener = Listener(self)
        sender = Sender(self, "--max-time=0.5", "--receipt", "--text=x", listener.address,
                        stdout=subprocess.DEVNULL)
        connection = listener.accept()
        with self.assertRaises(OSError):  # once nobody is there
            while True:
                connection.sendall(b"and more, " * 1000)
        status, _, errors = sender.finish()
        self.assertEqual(UNKNOWN, status, errors)
        self.assertIn("(--max-time)", errors)

    def test_nobody_reads_the_answer(self):
        listener = Listener(self)
        sender = Sender(self, "--max-time=0.5", "--text=x", listener.address)
        connection = listener.accept()
        with self.assertRaises(OSError):
            while True:
                connection.sendall(bytes(100_000))
        self.assertEqual(FAILED, sender.process.wait(DEADLINE))

    def test_silent_input(self):
        listener = Listener(self)
        sender = Sender(self, "--max-time=0.3", listener.address, stdin=subprocess.PIPE)
        self.assertFalse(receive_all(listener.accept())[1])
        self.assertEqual(FAILED, sender.process.wait(DEADLINE))

    def test_all_tries_together(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            address = "127.0.0.1:%d" % gone.getsockname()[1]
        begin = time.monotonic()
        result = run("send", "--retry=1000", "--max-time=1", "--quiet", "--text=x", address)
        self.assertEqual(NO_START, result.status, result)
        self.assertLess(time.monotonic() - begin, DEADLINE / 2)

    def test_what_is_done_in_time_is_sent(self):
        listener = Listener(self)
        sender = Sender(self, "--max-time=1000", "--idle-timeout=1000", "--keepalive=0", "--text=x",
                        listener.address)
        connection = listener.accept()
        receive_all(connection)
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_values(self):
        for option in ("--idle-timeout=0", "--max-time=0", "--max-time=-1", "--keepalive=40000"):
            self.assertEqual(USAGE, run("send", option, "--text=x", "127.0.0.1:1").status, option)


class Keepalive(unittest.TestCase):
    def begin(self, host, *options):
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.settimeout(DEADLINE)
        listener.bind((host, 0))
        listener.listen()
        path = make_file(self, b"")
        os.truncate(path, MORE_THAN_SOCKETS_HOLD)
        sender = Sender(self, *options, "%s:%d" % listener.getsockname(), path)
        connection = listener.accept()[0]
        connection.settimeout(DEADLINE)
        self.addCleanup(connection.close)
        connection.recv(100)
        return sender, connection

    def test_a_live_server_that_does_not_read_is_not_dead(self):
        sender, connection = self.begin("127.0.0.1", "--keepalive=1")
        # Four times as long: TCP_USER_TIMEOUT would have ended it.
        with self.assertRaises(subprocess.TimeoutExpired):
            sender.process.wait(4)
        data, whole = receive_all(connection)
        self.assertEqual((MORE_THAN_SOCKETS_HOLD - 100, True), (len(data), whole))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    @unittest.skipUnless(INSIDE in os.environ, "no network namespaces here, or no ip(8)")
    def test_a_link_that_goes_down(self):
        """With bytes under way, and with none."""
        self.addCleanup(subprocess.run, ["ip", "link", "set", "lo", "up"], check=True)
        for options, busy in (((), True), (("--receipt",), True), ((), False)):
            with self.subTest(options=options, busy=busy):
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                if busy:
                    sender, _ = self.begin("127.0.0.1", "--keepalive=1", *options)
                else:
                    listener = Listener(self)
                    sender = Sender(self, "--keepalive=2", listener.address, stdin=subprocess.PIPE)
                    sender.write(b"x")
                    self.assertEqual(b"x", listener.accept().recv(1))
                subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
                status = sender.process.wait(DEADLINE)
                self.assertEqual(UNKNOWN if options else FAILED, status)
                errors = sender.process.stderr.read().decode()
                self.assertIn("sign of life" if busy else "timed out", errors)


def in_a_namespace():
    """Runs all of it in a network namespace of its own, where there are any."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if not shutil.which("ip") or not shutil.which("unshare"):
            return
        if subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True,
                          check=False, timeout=DEADLINE).returncode == 0:
            os.execvpe(command[0], [*command, sys.executable, *sys.argv],
                       {**os.environ, INSIDE: "1"})


if __name__ == "__main__":
    if INSIDE not in os.environ:
        in_a_namespace()
    else:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    main()
