# SPDX-License-Identifier: MIT
"""recv --proxy-protocol behind the programs that speak it, HAProxy and nginx."""

import os
import socket
import unittest

from fronts import HAProxy, Nginx
from harness import (DEADLINE, Server, each_backend, exchange, main, run, seeded,
                     temporary_directory, until)
from plain import Sender

LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
TELL = "exec:cat >/dev/null; echo $LASTBYTE_PEER"
CHECKS = 5

# Each that speaks it, by a name, and what it is told.
FRONTS = {
    "haproxy v1": (HAProxy, "send-proxy"),
    "haproxy v2": (HAProxy, "send-proxy-v2"),
    "haproxy v2 with a checksum": (HAProxy, "send-proxy-v2 proxy-v2-options crc32c,unique-id"),
    "nginx": (Nginx, "proxy_protocol on;"),
}


class Behind(Server):
    """Over TCP, or a Unix socket where unix says so."""

    def __init__(self, test, backend, *options, unix=False, fronts=None):
        self.path = os.path.join(temporary_directory(test), "socket") if unix else None
        if unix:
            options += ("--listen=unix:" + self.path,)
        fronts = fronts or ("unix" if unix else "127.0.0.1")
        super().__init__(test, "--backend=" + backend, "--proxy-protocol=" + fronts,
                         "--stats=json", *options)


def connect(test, port, host="127.0.0.1"):
    connection = socket.socket()
    test.addCleanup(connection.close)
    connection.settimeout(DEADLINE)
    connection.bind((host, 0))
    connection.connect(("127.0.0.1", port))
    return connection


@each_backend
class Proxy(unittest.TestCase):
    def test_a_front_says_for_whom_it_comes(self, backend):
        for name, (front, options) in FRONTS.items():
            for unix in False, True:
                with self.subTest(front=name, unix=unix):
                    server = Behind(self, backend, "--once", "--sink=" + TELL, unix=unix)
                    port = front(self, server, options).port
                    client = connect(self, port)
                    host, own = client.getsockname()
                    self.assertEqual(f"{host}:{own}\n".encode(), exchange(client, b"a stream"))
                    result = server.finish()
                    self.assertEqual((0, 1), (result.status, result.stats["ends"]["eof"]), result)
                    self.assertEqual(len(b"a stream"), result.stats["bytes"])

    def test_who_may_come_in_is_the_client(self, backend):
        server = Behind(self, backend, "--once", "--sink=" + TELL, "--deny=127.0.0.2",
                        "--max-streams-per-peer=1")
        port = HAProxy(self, server, "send-proxy-v2").port
        with connect(self, port, "127.0.0.2") as denied:
            self.assertFalse(self.hear(denied))
        answer = exchange(connect(self, port, "127.0.0.3"), b"a stream")
        self.assertTrue(answer.startswith(b"127.0.0.3:"), answer)
        result = server.finish()
        self.assertEqual((0, 1), (result.status, result.stats["refused"]), result)
        self.assertIn("from 127.0.0.2:", result.errors)
        self.assertIn("turned away (denied)", result.errors)

    @staticmethod
    def hear(connection):
        try:
            return connection.recv(100)
        except ConnectionResetError:
            return b""

    def test_health_checks_are_no_streams(self, backend):
        for options in "send-proxy", "send-proxy-v2", "check-send-proxy":
            for unix in False, True:
                with self.subTest(options=options, unix=unix):
                    self.check_health(backend, options, unix)

    def check_health(self, backend, options, unix):
        server = Behind(self, backend, "--sink=hash", "--verbose", unix=unix)
        front = HAProxy(self, server, options + " check inter 20ms", CHECKS)
        until(lambda: all(row["check_status"] == "L4OK" for row in front.table()),
              "a health check of each")
        if "check-" not in options:
            exchange(connect(self, front.port), b"a stream")
        front.stop()
        server.signal(2)
        result = server.finish()
        self.assertEqual(0, result.status, result)
        self.assertNotIn("turned away", result.errors)
        streams = 0 if "check-" in options else 1
        self.assertEqual((streams, 0), (result.stats["accepted"], result.stats["refused"]))
        self.assertEqual(streams, result.stats["ends"]["eof"])

    def test_a_receipt_comes_back_through_a_front(self, backend):
        data = seeded(3 << 20)
        for name, (front, options) in FRONTS.items():
            with self.subTest(front=name):
                directory = temporary_directory(self)
                server = Behind(self, backend, "--once", "--receipt", "--seal",
                                "--sink=dir:" + directory)
                port = front(self, server, options).port
                result = run("send", "--receipt", "--seal", f"127.0.0.1:{port}", input=data)
                self.assertEqual(0, result.status, result)
                self.assertEqual(0, server.finish().status)
                name, = os.listdir(directory)
                with open(os.path.join(directory, name), "rb") as file:
                    self.assertTrue(file.read() == data)

    def test_who_does_not_speak_it_is_turned_away(self, backend):
        server = Behind(self, backend, "--once", "--sink=stdout", "--receipt")
        status, _, errors = Sender(self, "--receipt", "--text=a stream", server.address).finish()
        self.assertEqual(5, status, errors)
        with server.connect() as front:
            exchange(front, b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 1090\r\nanother")
        result = server.finish()
        self.assertEqual((0, b"another"), (result.status, result.output), result)
        self.assertEqual((1, 1), (result.stats["refused"], result.stats["accepted"]))
        self.assertIn(": error: turned away (proxy: no PROXY header)\n", result.errors)

    def test_others_are_served_as_they_are(self, backend):
        server = Behind(self, backend, "--once", "--sink=stdout", fronts="192.0.2.0/24")
        line = b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090\r\nmine"
        with server.connect() as client:
            exchange(client, line)
        result = server.finish()
        self.assertEqual((0, line), (result.status, result.output), result)

    def test_a_local_connection_is_a_stream_if_a_byte_comes(self, backend):
        server = Behind(self, backend, "--once", "--sink=" + TELL)
        with server.connect() as front:
            front.sendall(LOCAL)
            front.shutdown(socket.SHUT_WR)
            self.assertFalse(self.hear(front))
        with server.connect() as front:
            own = front.getsockname()[1]
            self.assertEqual(f"127.0.0.1:{own}\n".encode(), exchange(front, LOCAL + b"x"))
        self.assertEqual(0, server.finish().status)


class Usage(unittest.TestCase):
    def test_what_is_no_network(self):
        for value, told in (("nowhere", "nowhere: not a network; write 192.0.2.0/24, 2001:db8::/32 "
                                        "or one address, or unix"),
                            ("10.0.0.1/8", "10.0.0.1/8: has bits behind its prefix"),
                            ("unix:", "unix:: not a network")):
            result = run("recv", "--proxy-protocol=" + value)
            self.assertEqual(2, result.status, result)
            self.assertTrue(result.errors.startswith("lastbyte: --proxy-protocol=" + told), result)


if __name__ == "__main__":
    main()
