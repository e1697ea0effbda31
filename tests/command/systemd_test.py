# SPDX-License-Identifier: MIT
"""Sockets that systemd has opened: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES."""

import os
import socket
import subprocess
import sys
import unittest

from harness import (DEADLINE, LASTBYTE, RIGS, Server, each_backend, exchange, main, program, run,
                     temporary_directory)

UNIT = os.path.join(RIGS, "socket_unit.py")


def listener(test):
    made = socket.create_server(("127.0.0.1", 0))
    test.addCleanup(made.close)
    return made


def unit(*listeners, names=""):
    """What hands them down: for Server's prefix, and the option that Popen needs for it."""
    fds = [made.fileno() for made in listeners]
    return {"prefix": [sys.executable, UNIT, ",".join(map(str, fds)), names], "pass_fds": fds}


def address(made):
    return "%s:%d" % made.getsockname()


def send(made, data):
    with socket.create_connection(made.getsockname()) as connection:
        exchange(connection, data)


@each_backend
class Inherited(unittest.TestCase):
    def test_all_are_served_where_no_address_is_given(self, backend):
        first, second = listener(self), listener(self)
        server = Server(self, "--backend=" + backend, "--count=2", addresses=2, listen=None,
                        **unit(first, second))
        self.assertEqual([address(first), address(second)], server.addresses)
        send(first, b"1")
        send(second, b"2")
        self.assertEqual((0, b"12"), (server.finish().status, bytes(server.output.data)))

    def test_unix_sockets_keep_their_file(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        with socket.socket(socket.AF_UNIX) as made, socket.socket(socket.AF_UNIX) as connection:
            made.bind(path)
            made.listen()
            server = Server(self, "--backend=" + backend, "--once", listen=None, **unit(made))
            self.assertEqual("unix:" + path, server.address)
            connection.connect(path)
            exchange(connection, b"unix")
            self.assertEqual((0, b"unix"), (server.finish().status, bytes(server.output.data)))
        self.assertTrue(os.path.exists(path))


class Choice(unittest.TestCase):
    def test_by_name(self):
        made = [listener(self) for _ in range(4)]
        server = Server(self, "--listen=systemd:b", "--once", addresses=2,
                        **unit(*made, names="a,b,bb,b"))
        self.assertEqual([address(made[1]), address(made[3])], server.addresses)
        send(made[3], b"x")
        self.assertEqual(0, server.finish().status)

    def test_beside_other_addresses(self):
        made = listener(self)
        server = Server(self, "--listen=127.0.0.1:0", "--listen=systemd", "--once", addresses=2,
                        **unit(made))
        self.assertEqual(address(made), server.addresses[1])
        send(made, b"x")
        self.assertEqual(0, server.finish().status)

    def test_a_given_address_is_enough(self):
        made = listener(self)
        server = Server(self, "--once", **unit(made))
        self.assertNotEqual(address(made), server.address)
        exchange(server.connect(), b"x")
        server.finish()
        self.assertEqual([server.address], server.listening(server.errors.data))

    def test_sockets_of_another_process_are_not_ours(self):
        made = listener(self)
        environment = {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        result = run("recv", "--listen=systemd", env=environment, pass_fds=[made.fileno()])
        self.assertEqual(3, result.status, result)
        self.assertIn("LISTEN_PID", result.errors)

    def test_commands_get_nothing_of_it(self):
        made = listener(self)
        server = Server(self, "--once", "--sink=exec:cat >/dev/null; env; ls -l /proc/$$/fd",
                        listen=None, **unit(made, names="a"))
        with socket.create_connection(made.getsockname()) as connection:
            answer = exchange(connection, b"x").decode()
        self.assertEqual(0, server.finish().status)
        self.assertIn("LASTBYTE_STREAM=1", answer)
        self.assertNotIn("LISTEN_", answer)
        self.assertNotIn("socket:", answer)


class Misuse(unittest.TestCase):
    def refused(self, *options, status=3, **handed):
        process = [*handed["prefix"], LASTBYTE, "recv", *options]
        done = subprocess.run(process, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              pass_fds=handed["pass_fds"], timeout=DEADLINE, check=False)
        errors = done.stderr.decode()
        self.assertEqual((status, 1), (done.returncode, errors.count("\n")), errors)
        return errors

    def test_no_such_name(self):
        errors = self.refused("--listen=systemd:x", **unit(listener(self), names="web"))
        self.assertIn("systemd:x", errors)
        self.assertIn("web", errors)

    def test_given_twice(self):
        for option in ("--listen=systemd", "--listen=fd:3"):
            errors = self.refused("--listen=systemd", option, status=2, **unit(listener(self)))
            self.assertIn("fd:3: given twice", errors)

    def test_a_connection_is_no_listener(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertIn("fd:3", self.refused(**unit(ours)))

    def test_more_than_there_are(self):
        handed = unit(listener(self))
        handed["prefix"] += [program("env"), "LISTEN_FDS=1000"]
        self.assertIn("LISTEN_FDS=1000", self.refused(**handed))


if __name__ == "__main__":
    main()
