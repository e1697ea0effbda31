# SPDX-License-Identifier: MIT
"""Every kind of address a server can listen on."""

import errno
import os
import signal
import socket
import stat
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, exchange, main, program, run,
                     temporary_directory, until)

TEXT = b"hello, world!\n"


def connect_unix(address):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE)
    connection.connect(address)
    return connection


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@each_backend
class Address(unittest.TestCase):
    def check(self, server, connection):
        with connection:
            exchange(connection, TEXT)
        result = server.finish()
        self.assertEqual((0, TEXT), (result.status, result.output), result)

    def refuses(self, path):
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(path) == errno.ECONNREFUSED

    def test_a_free_port_is_told(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--listen=127.0.0.1:0")
        self.assertRegex(server.address, r"^127\.0\.0\.1:[1-9]\d*$")
        self.check(server, server.connect())

    def test_a_host_name(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "-l", "localhost:0")
        host, port = server.address.rsplit(":", 1)
        self.check(server, socket.create_connection((host.strip("[]"), int(port)), DEADLINE))

    def test_ipv6(self, backend):
        if not has_ipv6():
            self.skipTest("no IPv6 here")
        server = Server(self, "--backend=" + backend, "--once", "--listen=[::1]:0")
        self.assertRegex(server.address, r"^\[::1\]:[1-9]\d*$")
        self.check(server, socket.create_connection(("::1", server.port), DEADLINE))

    def test_every_address_of_both_families(self, backend):
        hosts = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]
        server = Server(self, "--backend=" + backend, f"--count={len(hosts)}", "--listen=:0",
                        "--sink=hash")
        for host in hosts:
            with socket.create_connection((host, server.port), DEADLINE) as connection:
                exchange(connection, TEXT)
        result = server.finish()
        self.assertEqual(0, result.status, result)
        # A peer over IPv4 is named as one, although the listener is one of IPv6.
        self.assertIn("eof 127.0.0.1:", " ".join(result.output.decode().split()))

    def test_a_unix_socket_in_the_file_system(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server = Server(self, "--backend=" + backend, "--once", "--listen=unix:" + path)
        self.assertEqual("unix:" + path, server.address)
        self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))
        self.check(server, connect_unix(path))
        self.assertFalse(os.path.exists(path), "the server leaves its socket behind")

    def test_a_unix_socket_by_other_programs(self, backend):
        for command in (["nc", "-N", "-U"], ["socat", "-t", str(DEADLINE), "-", "UNIX"]):
            path = os.path.join(temporary_directory(self), "socket")
            server = Server(self, "--backend=" + backend, "--once", "--listen=unix:" + path)
            command[0] = program(command[0])
            command[-1] = "UNIX:" + path if command[-1] == "UNIX" else command[-1]
            if command[-1] == "-U":
                command.append(path)
            subprocess.run(command, input=TEXT, check=True, timeout=DEADLINE)
            result = server.finish()
            self.assertEqual((0, TEXT), (result.status, result.output), result)

    def test_an_abstract_unix_socket(self, backend):
        name = f"lastbyte-test-{os.getpid()}-{backend}"
        server = Server(self, "--backend=" + backend, "--once", "--listen=unix:@" + name)
        self.assertEqual("unix:@" + name, server.address)
        self.check(server, connect_unix("\0" + name))

    def test_the_path_of_a_dead_server_is_taken_over_and_that_of_a_live_one_is_not(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        dead = Server(self, "--backend=" + backend, "--listen=unix:" + path)
        dead.kill()
        self.assertTrue(os.path.exists(path))
        until(lambda: self.refuses(path), "the kernel has closed the dead server's sockets")
        server = Server(self, "--backend=" + backend, "--once", "--listen=unix:" + path)
        self.assertEqual(3, run("recv", "--backend=" + backend, "--listen=unix:" + path).status)
        self.check(server, connect_unix(path))

    def test_a_file_in_the_way_is_never_removed(self, backend):
        path = os.path.join(temporary_directory(self), "precious")
        with open(path, "w", encoding="ascii") as file:
            file.write("kept")
        result = run("recv", "--backend=" + backend, "--listen=unix:" + path)
        self.assertEqual(3, result.status, result)
        with open(path, encoding="ascii") as file:
            self.assertEqual("kept", file.read())

    def test_an_inherited_listener(self, backend):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            # A peer that came before the server is served as well.
            early = socket.create_connection(("127.0.0.1", port), DEADLINE)
            server = Server(self, "--backend=" + backend, "--once",
                            f"--listen=fd:{listener.fileno()}", pass_fds=[listener.fileno()])
            self.assertEqual(f"127.0.0.1:{port}", server.address)
            self.check(server, early)

    def test_a_listener_that_somebody_shuts_down_is_named(self, backend):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = Server(self, "--backend=" + backend, f"--listen=fd:{listener.fileno()}",
                            pass_fds=[listener.fileno()])
            listener.shutdown(socket.SHUT_RDWR)
            server.errors.wait_for(lambda data: b"the socket doesn't listen any more" in data,
                                   "what is wrong")
            server.signal(signal.SIGTERM)
            self.assertEqual(0, server.finish().status)

    def test_what_is_no_listener_is_refused(self, backend):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        for number in (reader, 1_000_000):
            result = run("recv", "--backend=" + backend, f"--listen=fd:{number}",
                         pass_fds=[reader])
            self.assertEqual(3, result.status, result)
            self.assertIn(f"fd:{number}", result.errors)

    def test_several_at_once(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server = Server(self, "--backend=" + backend, "--count=3", "--listen=127.0.0.1:0",
                        "--listen=127.0.0.1:0", "--listen=unix:" + path, addresses=3)
        self.assertEqual(3, len(set(server.addresses)))
        for address in server.addresses[:2]:
            host, port = address.split(":")
            with socket.create_connection((host, int(port)), DEADLINE) as connection:
                exchange(connection, TEXT)
        with connect_unix(path) as connection:
            exchange(connection, TEXT)
        result = server.finish()
        self.assertEqual((0, 3 * TEXT), (result.status, result.output), result)

    def test_the_textbook(self, backend):
        # The default address is a fixed port: in a network namespace it is free.
        script = """
            ip link set lo up
            "$0" recv --backend="$1" --count=2 --stats=none 2>listening &
            until grep -q 'listening on' listening; do kill -0 $! || exit; done
            printf 'hello, world!\\n' | nc -N localhost 1090
            printf 'hello, world!\\n' | nc -N 127.0.0.1 1090
            wait $!
        """
        isolated = [program("unshare"), "--net"]
        if os.geteuid() != 0:
            isolated += ["--user", "--map-root-user"]
        for name in ("ip", "nc"):
            program(name)
        if subprocess.run([*isolated, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no network namespace for us here")
        output = subprocess.run([*isolated, "sh", "-c", script, LASTBYTE, backend], check=True,
                                stdout=subprocess.PIPE, timeout=DEADLINE,
                                cwd=temporary_directory(self)).stdout
        self.assertEqual(2 * TEXT, output)


if __name__ == "__main__":
    main()
