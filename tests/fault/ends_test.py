# SPDX-License-Identifier: MIT
"""How a peer may end: only a true EOF publishes what it sent."""

import os
import signal
import socket
import subprocess
import sys
import unittest

from harness import DEADLINE, LASTBYTE, exchange, main, reset, seeded, until
from peers import Case, Place, everywhere, over

PAYLOAD = seeded(300_000)

# A peer that is killed while it waits, its socket still open.
CLIENT = """
import socket, sys
if sys.argv[1].startswith("/"):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
else:
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
peer.sendall(sys.stdin.buffer.read())
print("sent", flush=True)
while True:
    import time
    time.sleep(1000)
"""


def await_unread(connection):
    """Something lies in the connection that we never read."""
    assert connection.recv(1, socket.MSG_PEEK)


@everywhere(1)
class Ends(Case):
    def serve(self, backend, transport, *options):
        return Place(self, backend, transport, "--once", "--sink=dir:" + self.directory, *options)

    def check(self, server, end):
        """Its end, and that the file says so."""
        result = server.finish()
        self.assertEqual(1, result.stats["ends"][end], result)
        self.assertEqual(0 if end == "eof" else 1, result.status, result)
        whole, partial = self.files(), self.files(".partial")
        self.assertEqual((1, 0) if end == "eof" else (0, 1), (len(whole), len(partial)), result)
        self.assertEqual([], self.files(".receiving"), result)
        got = (whole + partial)[0]
        self.assertTrue(PAYLOAD.startswith(got), "other bytes than were sent")
        self.assertEqual(result.stats["bytes"], len(got))
        if end == "eof":
            self.assertEqual(len(PAYLOAD), len(got))

    def test_fin(self, backend, transport):
        server = self.serve(backend, transport)
        with server.connect() as connection:
            connection.sendall(PAYLOAD)
        self.check(server, "eof")

    def test_half_close(self, backend, transport):
        server = self.serve(backend, transport)
        self.assertEqual(b"", exchange(server.connect(), PAYLOAD))
        self.check(server, "eof")

    def test_half_close_and_a_long_wait(self, backend, transport):
        server = self.serve(backend, transport)
        connection = server.connect()
        connection.sendall(PAYLOAD)
        connection.shutdown(socket.SHUT_WR)
        self.check(server, "eof")  # without our close
        connection.close()

    @over("tcp")  # a Unix socket can't say it
    def test_reset(self, backend, transport):
        server = self.serve(backend, transport)
        connection = server.connect()
        connection.sendall(PAYLOAD)
        reset(connection)
        self.check(server, "reset")

    @over("tcp")
    def test_reset_after_a_half_close(self, backend, transport):
        """The EOF came first: it stands."""
        server = self.serve(backend, transport)
        connection = server.connect()
        connection.sendall(PAYLOAD)
        connection.shutdown(socket.SHUT_WR)
        until(self.files, "the file")
        reset(connection)
        self.check(server, "eof")

    def test_close_with_unread_bytes(self, backend, transport):
        server = self.serve(backend, transport, "--greeting=read this")
        connection = server.connect()
        await_unread(connection)
        connection.sendall(PAYLOAD)
        connection.close()
        self.check(server, "reset")

    def test_half_close_with_unread_bytes(self, backend, transport):
        """TCP has said its EOF by then. A Unix socket's close takes it back, unless it was
        heard."""
        server = self.serve(backend, transport, "--greeting=read this")
        connection = server.connect()
        await_unread(connection)
        connection.sendall(PAYLOAD)
        connection.shutdown(socket.SHUT_WR)
        until(self.files, "the file")
        connection.close()
        self.check(server, "eof")

    def start_client(self, server):
        client = subprocess.Popen([sys.executable, "-c", CLIENT, server.path or str(server.port)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: (client.kill(), client.wait(), client.stdout.close()))
        client.stdin.write(PAYLOAD)
        client.stdin.close()
        self.assertEqual(b"sent\n", client.stdout.readline())
        return client

    def test_killed_client_with_unread_bytes(self, backend, transport):
        server = self.serve(backend, transport, "--greeting=read this")
        client = self.start_client(server)
        client.send_signal(signal.SIGKILL)
        self.check(server, "reset")

    def test_killed_client(self, backend, transport):
        """Its kernel says EOF for it, as for any program that closes: nobody can tell the two apart
        here. A sender that must not be mistaken uses a receipt, or resets as ours does."""
        server = self.serve(backend, transport)
        client = self.start_client(server)
        client.send_signal(signal.SIGKILL)
        self.check(server, "eof")

    @over("tcp")
    def test_killed_sender_of_ours(self, backend, transport):
        server = self.serve(backend, transport)
        reader, writer = os.pipe()
        sender = subprocess.Popen([LASTBYTE, "send", "-q", server.address, "-"], stdin=reader)
        os.close(reader)
        self.addCleanup(lambda: (sender.kill(), sender.wait()))
        os.write(writer, PAYLOAD[:50_000])
        until(lambda: any(self.files(".receiving")), "the first bytes")
        sender.send_signal(signal.SIGKILL)
        sender.wait(DEADLINE)
        os.close(writer)
        self.check(server, "reset")


if __name__ == "__main__":
    main()
