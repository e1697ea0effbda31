# SPDX-License-Identifier: MIT
"""What systemd is told: the datagrams of sd_notify(3)."""

import os
import signal
import socket
import threading
import time
import unittest

from harness import (DEADLINE, Server, each_backend, exchange, main, program, temporary_directory,
                     until)


class Manager:
    """The socket that systemd would listen at."""

    def __init__(self, test, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        test.addCleanup(self.socket.close)
        self.socket.settimeout(DEADLINE)
        self.name = os.path.join(temporary_directory(test), "notify")
        self.socket.bind(self.name)
        if abstract:
            self.socket.close()
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.settimeout(DEADLINE)
            self.socket.bind("\0" + self.name)
            self.name = "@" + self.name

    def environment(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": self.name, **more}

    def told(self):
        return self.socket.recv(4096).decode().split("\n")

    def until(self, line):
        """Everything that comes up to the line."""
        lines, end = [], time.monotonic() + DEADLINE
        while line not in lines:
            if time.monotonic() > end:
                raise AssertionError(f"never told: {line}; but {lines}")
            lines += self.told()
        return lines


@each_backend
class Life(unittest.TestCase):
    def test_ready_when_peers_can_come_and_stopping_at_once(self, backend):
        manager = Manager(self)
        server = Server(self, "--backend=" + backend, "--sink=discard", env=manager.environment())
        self.assertEqual(["READY=1"], manager.told())
        connection = server.connect()
        connection.sendall(b"x")
        server.signal(signal.SIGTERM)
        self.assertEqual("STOPPING=1", manager.until("STOPPING=1")[-1])
        exchange(connection, b"y")  # it drains
        self.assertEqual(0, server.finish().status)


class Manners(unittest.TestCase):
    def test_signs_of_life_and_status(self):
        manager = Manager(self, abstract=True)
        server = Server(self, "--sink=discard", env=manager.environment(WATCHDOG_USEC="20000"))
        exchange(server.connect(), b"x" * 2048)
        lines = manager.until("STATUS=0 streams under way, 1 ended, 2.00 KiB")
        self.assertEqual("READY=1", lines[0])
        for _ in range(3):
            self.assertEqual(["WATCHDOG=1"], [line for line in manager.told() if line])
        server.signal(signal.SIGTERM)
        self.assertEqual(0, server.finish().status)

    def test_somebody_elses_watchdog_is_left_alone(self):
        manager = Manager(self)
        environment = manager.environment(WATCHDOG_USEC="2000", WATCHDOG_PID="1")
        server = Server(self, "--sink=discard", "--progress=0.1", env=environment)
        server.errors.wait_for(lambda data: data.count(b"ended") >= 2, "two lines of progress")
        server.signal(signal.SIGTERM)
        self.assertNotIn("WATCHDOG=1", manager.until("STOPPING=1"))
        server.finish()

    def test_commands_hear_nothing_of_it(self):
        manager = Manager(self)
        server = Server(self, "--once", "--sink=exec:cat >/dev/null; env",
                        env=manager.environment(WATCHDOG_USEC="60000000"))
        answer = exchange(server.connect(), b"x").decode()
        self.assertEqual(0, server.finish().status)
        self.assertIn("LASTBYTE_STREAM=1", answer)
        for name in ("NOTIFY_SOCKET", "WATCHDOG"):
            self.assertNotIn(name, answer)

    def test_a_manager_that_is_not_there_is_told_and_left(self):
        for name in ("/nowhere/at/all", "relative", "/" + "x" * 200):
            server = Server(self, "--once", "--sink=discard",
                            env={**os.environ, "NOTIFY_SOCKET": name})
            exchange(server.connect(), b"x")
            result = server.finish()
            self.assertEqual(0, result.status)
            self.assertIn(f"NOTIFY_SOCKET={name}: ", result.errors)


class Activated(unittest.TestCase):
    def dial(self, connection, path):
        def connected():
            try:
                connection.connect(path)
            except OSError:
                return False
            return True
        until(connected, "systemd-socket-activate listens")

    def test_by_a_socket_of_systemds_making(self):
        directory = temporary_directory(self)
        path, drop = os.path.join(directory, "socket"), os.path.join(directory, "drop")
        os.mkdir(drop)
        manager = Manager(self)
        with socket.socket(socket.AF_UNIX) as connection:
            # The service is started for its first peer.
            peer = threading.Thread(target=self.dial, args=(connection, path))
            peer.start()
            self.addCleanup(peer.join)
            server = Server(self, "--once", "--sink=dir:" + drop, "--receipt", listen=None,
                            prefix=[program("systemd-socket-activate"), "--listen=" + path,
                                    "--setenv=NOTIFY_SOCKET=" + manager.name])
            self.assertEqual(["READY=1"], manager.told())
            self.assertRegex(exchange(connection, b"whole"), rb"^ok 5 xxh3:")
        self.assertEqual(0, server.finish().status)
        self.assertEqual(1, len(os.listdir(drop)))


if __name__ == "__main__":
    main()
