# SPDX-License-Identifier: MIT
"""Family 16: fronts. A proxy between sender and server makes an ordinary end of a reset: only seals tell
that something is missing, and with them nothing cut is published."""

import os
import re
import signal
import socket
import subprocess

from harness import (DEADLINE, LASTBYTE, Capture, main, program, reset, run, seeded,
                     until)
from peers import Case, Place, everywhere

CUT = 100_000
HELD = 300  # what a seal needs, at most
DATA = seeded(300_000)


class Socat:
    """Listens on a free port, and passes each connection on to the server."""

    def __init__(self, test, server):
        target = "UNIX-CONNECT:" + server.path if server.path else f"TCP:127.0.0.1:{server.port}"
        self.process = subprocess.Popen(
            [program("socat"), "-d", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1,fork", target],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        test.addCleanup(self.stop)
        self.errors = Capture(self.process.stderr)
        self.errors.wait_for(self.find_port, "socat's port")
        self.port = int(self.find_port(self.errors.data)[1])

    @staticmethod
    def find_port(data):
        return re.search(rb" listening on AF=2 127\.0\.0\.1:(\d+)\n", data)

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.errors.thread.join(DEADLINE)
        self.process.stderr.close()


@everywhere(16)
class Fronts(Case):
    def serve(self, backend, transport, *options):
        server = Place(self, backend, transport, "--once", "--sink=dir:" + self.directory,
                       *options)
        return server, Socat(self, server).port

    def await_most(self):
        """The server has what was sent, but for what it holds back."""
        def came():
            sizes = [os.stat(entry).st_size for entry in os.scandir(self.directory)]
            return sum(sizes) >= CUT - HELD
        until(came, f"{CUT} bytes through the front")

    def begin_and_reset(self, port, data):
        connection = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.addCleanup(connection.close)
        connection.sendall(data[:CUT])
        self.await_most()
        reset(connection)

    def begin_and_kill(self, port, *options):
        with subprocess.Popen([LASTBYTE, "send", *options, f"127.0.0.1:{port}"],
                              stdin=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            sender.stdin.write(DATA[:CUT])
            sender.stdin.flush()
            self.await_most()
            sender.send_signal(signal.SIGKILL)

    def test_a_cut_looks_like_an_end(self, backend, transport):
        """Why there are seals. If this fails, socat has learned to pass a reset on."""
        server, port = self.serve(backend, transport)
        self.begin_and_reset(port, DATA)
        result = server.finish()
        self.assertEqual(1, result.stats["ends"]["eof"], result)
        self.assertEqual([DATA[:CUT]], self.files())

    def test_with_a_seal_nothing_cut_is_published(self, backend, transport):
        server, port = self.serve(backend, transport, "--seal")
        first = b"lastbyte-seal/1 sha256 " + b"0123456789abcdef" * 2 + b"\n"
        self.begin_and_reset(port, first + DATA)
        self.check_cut(server)

    def test_with_a_seal_a_killed_send_publishes_nothing(self, backend, transport):
        for option in ("--seal=count", "--seal"):
            server, port = self.serve(backend, transport, "--seal")
            self.begin_and_kill(port, option)
            self.check_cut(server)

    def check_cut(self, server):
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["truncated"]), result)
        self.assertEqual([], self.files())
        partial, = self.files(".partial")
        self.assertTrue(DATA.startswith(partial))
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))

    def test_with_a_seal_the_whole_is_published(self, backend, transport):
        server, port = self.serve(backend, transport, "--seal", "--receipt")
        result = run("send", "--seal", "--receipt", f"127.0.0.1:{port}", input=DATA)
        self.assertEqual(0, result.status, result)
        self.assertEqual(0, server.finish().status)
        self.assertTrue([DATA] == self.files())


if __name__ == "__main__":
    main()
