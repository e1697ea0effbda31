# SPDX-License-Identifier: MIT
"""Family 16: fronts. A proxy between sender and server makes an ordinary end of a reset: only seals
and TLS tell that something is missing, and with them nothing cut is published."""

import os
import re
import signal
import socket
import subprocess

from fronts import HAProxy, Nginx, Socat, Ssh
from harness import (DEADLINE, LASTBYTE, main, probe, reset, run, seeded, temporary_directory,
                     until)
from peers import Case, Place, everywhere, over

CUT = 100_000
HELD = 300  # what a seal needs, at most
DATA = seeded(300_000)


class Cases:
    """Each is a test of each front; see below."""

    front = None

    def passes_resets(self, transport):
        """HAProxy does, where there are any."""
        return self.front is HAProxy and transport == "tcp"

    def serve(self, backend, transport, *options):
        server = Place(self, backend, transport, "--once", "--sink=dir:" + self.directory,
                       *options)
        return server, self.front(self, server)

    def await_most(self):
        """The server has what was sent, but for what it holds back."""
        def came():
            sizes = [os.stat(entry).st_size for entry in os.scandir(self.directory)]
            return sum(sizes) >= CUT - HELD
        until(came, f"{CUT} bytes through the front")

    def begin_and_reset(self, front, data):
        connection = socket.create_connection(("127.0.0.1", front.port), DEADLINE)
        self.addCleanup(connection.close)
        connection.sendall(data[:CUT])
        self.await_most()
        reset(connection)

    def begin_to_send(self, front, *options):
        sender = subprocess.Popen([LASTBYTE, "send", *options, f"127.0.0.1:{front.port}"],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(sender.kill)
        sender.stdin.write(DATA[:CUT])
        sender.stdin.flush()
        self.await_most()
        return sender

    def try_a_cut_looks_like_an_end(self, backend, transport):
        """Why there are seals. If this fails, the front has learned to pass a reset on."""
        server, front = self.serve(backend, transport)
        self.begin_and_reset(front, DATA)
        result = server.finish()
        if self.passes_resets(transport):
            self.assertEqual(1, result.stats["ends"]["reset"], result)
            return
        self.assertEqual(1, result.stats["ends"]["eof"], result)
        self.assertEqual([DATA[:CUT]], self.files())

    def try_with_a_seal_nothing_cut_is_published(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal")
        first = b"lastbyte-seal/1 sha256 " + b"0123456789abcdef" * 2 + b"\n"
        self.begin_and_reset(front, first + DATA)
        self.check_cut(server, transport)

    def try_with_a_seal_a_killed_send_publishes_nothing(self, backend, transport):
        for option in ("--seal=count", "--seal"):
            server, front = self.serve(backend, transport, "--seal")
            with self.begin_to_send(front, option) as sender:
                sender.kill()
            self.check_cut(server, transport)

    def try_with_a_seal_a_killed_front_publishes_nothing(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal")
        with self.begin_to_send(front, "--seal"):
            front.die()
            self.check_ended(server, "truncated")

    def serve_tls(self, backend, transport, *options):
        """And what a sender has to know of the server."""
        if any(item["name"] == "tls" for item in probe()["build"]):
            self.skipTest("this build has no TLS")
        server, front = self.serve(backend, transport, "--tls", *options,
                                   "--tls-dir=" + temporary_directory(self))
        pin, = re.findall(rb"^pin (sha256//.*)$", server.errors.data, re.M)
        return server, front, "--pin=" + pin.decode()

    @over("tcp")
    def try_with_tls_a_killed_front_publishes_nothing(self, backend, transport):
        server, front, pin = self.serve_tls(backend, transport)
        with self.begin_to_send(front, pin):
            front.die()
            self.check_ended(server, "truncated")

    @over("tcp")
    def try_with_tls_the_whole_is_published(self, backend, transport):
        server, front, pin = self.serve_tls(backend, transport, "--receipt")
        result = run("send", pin, "--receipt", f"127.0.0.1:{front.port}", input=DATA)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(0, server.finish().status)
        self.assertEqual([DATA], self.files())

    def check_cut(self, server, transport):
        self.check_ended(server, "reset" if self.passes_resets(transport) else "truncated")

    def check_ended(self, server, end):
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"][end]), result)
        self.assertEqual([], self.files())
        partial, = self.files(".partial")
        self.assertTrue(DATA.startswith(partial))
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))

    def try_with_a_seal_the_whole_is_published(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal", "--receipt")
        result = run("send", "--seal", "--receipt", f"127.0.0.1:{front.port}", input=DATA)
        self.assertEqual(0, result.status, result)
        self.assertEqual(0, server.finish().status)
        self.assertTrue([DATA] == self.files())


def expand(front):
    tests = {name.replace("try_", "test_", 1): method for name, method in vars(Cases).items()
             if name.startswith("try_")}
    return everywhere(16)(type(front.__name__ + "Cases", (Cases, Case), {"front": front, **tests}))


SocatCases, NginxCases, HAProxyCases, SshCases = map(expand, (Socat, Nginx, HAProxy, Ssh))

if __name__ == "__main__":
    main()
