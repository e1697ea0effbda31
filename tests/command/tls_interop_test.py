# SPDX-License-Identifier: MIT
"""TLS with programs that nobody here wrote. What each does at its end of input is a table of
lastbyte-tls(7): if one of these fails, the program has changed, so the table has to."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import unittest

from harness import (DEADLINE, exchange, main, probe, program, run, seeded, temporary_directory,
                     until)
from tls_peers import TlsServer, WRONG_PIN, end, free_port, make_certificate, pin_of

if any(item["name"] == "tls" for item in probe()["build"]):
    raise unittest.SkipTest("this build has no TLS")

DATA = b"k" + seeded(300_000)  # which openssl s_client would take for one of its commands


def listening_port(pid):
    """Of a process that tells none: the one at which a socket of its own listens, or None."""
    sockets = set()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                sockets.add(os.readlink(entry.path))
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                return int(fields[1].rpartition(":")[2], 16)
    return None


class ToUs(unittest.TestCase):
    def exchange(self, server, command, data=DATA):
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=DEADLINE, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def serve(self, *options):
        return TlsServer(self, "--once", "--sink=hash", "--stats=json", "--receipt", *options)

    def check(self, server, result, bytes_=len(DATA)):
        ended = server.finish()
        self.assertEqual((1, bytes_), (ended.stats["ends"][result], ended.stats["bytes"]), ended)

    def test_openssl_s_client(self):
        server = self.serve()
        told = self.exchange(server, [program("openssl"), "s_client", "-connect", server.address,
                                      "-nocommands"])
        self.assertNotIn(b"ok 300001", told)  # it goes as soon as its input ends
        self.check(server, "eof")

    def test_socat(self):
        for version in ("TLS1.2", "TLS1.3"):
            server = self.serve("--tls-min=1.2")
            told = self.exchange(server, [
                program("socat"), "-t", str(DEADLINE), "-",
                f"OPENSSL:{server.address},verify=0,openssl-max-proto-version={version}"])
            self.assertTrue(told.startswith(b"ok 300001 xxh3:"), told)
            self.check(server, "eof")

    def test_ncat(self):
        server = self.serve()
        told = self.exchange(server, [program("ncat"), "--ssl", "127.0.0.1", str(server.port)])
        self.assertEqual(b"error truncated:no-close-notify 300001\n", told)
        self.check(server, "truncated")

    def test_ncat_that_is_allowed(self):
        server = TlsServer(self, "--once", "--sink=hash", "--stats=json", "--tls-allow-fin")
        self.exchange(server, [program("ncat"), "--ssl", "127.0.0.1", str(server.port)])
        self.check(server, "eof")

    def test_gnutls_cli(self):
        server = self.serve()
        told = self.exchange(server, [program("gnutls-cli"), "--no-ca-verification", "--port",
                                      str(server.port), "127.0.0.1"])
        self.assertIn(b"ok 300001 xxh3:", told)
        self.check(server, "eof")

    def test_stunnel(self):
        """A plain sender's end is passed on by it, as a close_notify, and the answer comes back."""
        server = self.serve()
        path = temporary_directory(self) + "/conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write("foreground = yes\npid =\n[front]\nclient = yes\n"
                       f"accept = 127.0.0.1:0\nconnect = {server.address}\n")
        process = subprocess.Popen([program("stunnel4"), path], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        port = until(lambda: listening_port(process.pid), "stunnel's port")
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            told = exchange(connection, DATA)
        self.assertTrue(told.startswith(b"ok 300001 xxh3:"), told)
        self.check(server, "eof")

    def test_curl(self):
        """It speaks HTTP only; but its pins are ours."""
        server = TlsServer(self, "--count=2", "--sink=discard", "--stats=json",
                           "--greeting=HTTP/1.1 200 OK\\nContent-Length: 0\\n"
                           "Connection: close\\n\\n")
        command = [program("curl"), "--silent", "--insecure", "--max-time", str(DEADLINE),
                   f"https://{server.address}/", "--pinnedpubkey"]
        wrong = subprocess.run([*command, WRONG_PIN], timeout=DEADLINE, check=False)
        self.assertEqual(90, wrong.returncode)
        self.exchange(server, [*command, server.pin])
        ended = server.finish()  # in order, each; the first before a byte
        self.assertEqual(2, ended.stats["ends"]["eof"], ended)

    def test_python(self):
        server = self.serve()
        connection = server.wrap()
        connection.sendall(DATA)
        self.assertTrue(end(connection).startswith(b"ok 300001 xxh3:"))
        self.check(server, "eof")
        server = self.serve()
        with server.wrap() as connection:
            connection.sendall(DATA)
            with self.assertRaisesRegex(ssl.SSLError, "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
                connection.unwrap()
        self.check(server, "eof")


class FromUs(unittest.TestCase):
    """Servers that end with their peer's input; each must have all of it."""

    def setUp(self):
        directory = temporary_directory(self)
        self.certificate, self.key = make_certificate(directory, "server")
        self.both = directory + "/both.pem"
        with open(self.both, "wb") as file:
            for path in (self.certificate, self.key):
                with open(path, "rb") as part:
                    file.write(part.read())
        self.pin = "--pin=" + pin_of(self.certificate)
        self.port = free_port()

    def receive(self, *command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        got = []
        reader = threading.Thread(target=lambda: got.append(process.stdout.read()))
        reader.start()
        result = run("send", self.pin, "--retry=8", "--quiet", f"127.0.0.1:{self.port}", input=DATA)
        self.assertEqual((0, ""), (result.status, result.errors))
        reader.join(DEADLINE)
        process.stdin.close()
        process.wait(DEADLINE)
        process.stdout.close()
        self.assertEqual(DATA, got[0])

    def test_openssl_s_server(self):
        self.receive(program("openssl"), "s_server", "-accept", f"127.0.0.1:{self.port}", "-key",
                     self.key, "-cert", self.certificate, "-quiet", "-naccept", "1")

    def test_socat(self):
        self.receive(program("socat"), "-u",
                     f"OPENSSL-LISTEN:{self.port},bind=127.0.0.1,cert={self.both},verify=0", "-")

    def test_ncat(self):
        self.receive(program("ncat"), "-l", "127.0.0.1", str(self.port), "--ssl", "--ssl-key",
                     self.key, "--ssl-cert", self.certificate, "--recv-only")

    def test_python(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.both)
        got = []

        def serve(listener):
            with context.wrap_socket(listener.accept()[0], server_side=True,
                                     suppress_ragged_eofs=False) as connection:
                while piece := connection.recv(65536):
                    got.append(piece)
                connection.unwrap().close()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            result = run("send", self.pin, f"127.0.0.1:{listener.getsockname()[1]}", input=DATA)
            thread.join(DEADLINE)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(DATA, b"".join(got))


if __name__ == "__main__":
    main()
