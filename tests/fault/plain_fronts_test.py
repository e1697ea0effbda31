# SPDX-License-Identifier: MIT
"""What each front makes of a plain stream: the table in tools/command/SCALING.md says the same. If
one of these fails, the front has changed, and so must the page."""

import re
import socket
import unittest

from fronts import HAProxy, Nginx, Socat, Ssh
from harness import DEADLINE, main, reset, seeded, until
from peers import Place

DATA = seeded(100_000)
SECONDS = 1  # of a front's patience, where it has some


class Front:
    """How one is begun, and what is expected of it."""

    def __init__(self, begin, cut, died="eof", silent=None, answers=True, gone="end"):
        self.begin = begin
        self.cut, self.died, self.silent, self.gone = cut, died, silent, gone
        self.answers = answers


FRONTS = {
    "haproxy": Front(lambda test, server: HAProxy(test, server, patience=SECONDS), cut="reset",
                     silent="eof"),
    "nginx": Front(lambda test, server: Nginx(test, server, f"proxy_timeout {SECONDS}s;"),
                   cut="eof", silent="eof"),
    "nginx_as_it_comes": Front(lambda test, server: Nginx(test, server, half_close=False),
                               cut="eof", answers=False),
    "socat": Front(Socat, cut="eof"),
    "ssh": Front(Ssh, cut="eof"),
}


class PlainStreams(unittest.TestCase):
    def begin(self, front, *options):
        self.server = Place(self, "auto", "tcp", "--sink=stdout", "--once", *options)
        self.front = front.begin(self, self.server)
        self.connection = socket.create_connection(("127.0.0.1", self.front.port), DEADLINE)
        self.addCleanup(self.connection.close)
        self.connection.sendall(DATA)
        until(lambda: len(self.server.output.data) == len(DATA), "what was sent so far")

    def check_end(self, expected):
        stats = self.server.finish().stats
        self.assertEqual({expected: 1}, {end: count for end, count in stats["ends"].items()
                                         if count})

    def heard(self):
        """And how it ended."""
        said = b""
        try:
            while piece := self.connection.recv(1000):
                said += piece
        except ConnectionResetError:
            return said, "reset"
        return said, "end"

    def try_a_sender_that_is_cut(self, front):
        self.begin(front)
        reset(self.connection)
        self.check_end(front.cut)

    def try_a_front_that_dies(self, front):
        self.begin(front)
        self.front.die()
        self.check_end(front.died)

    def try_silence_for_longer_than_its_patience(self, front):
        if not front.silent:
            self.skipTest("it has none")
        self.begin(front)
        self.check_end(front.silent)

    def try_an_answer_behind_a_half_close(self, front):
        self.begin(front, "--receipt")
        self.connection.shutdown(socket.SHUT_WR)
        said, _ = self.heard()
        self.assertEqual(front.answers, said.startswith(b"ok 100000 "), said)

    def try_a_receiver_that_dies(self, front):
        """Its peer never takes that for a receipt."""
        self.begin(front, "--receipt")
        self.server.kill()
        self.assertEqual((b"", front.gone), self.heard())

    def try_whose_address_is_seen(self, front):
        """The front's, without the PROXY protocol."""
        self.begin(front, "--verbose")
        self.connection.shutdown(socket.SHUT_WR)
        mine = self.connection.getsockname()[1]
        seen, = re.findall(r"from 127\.0\.0\.1:(\d+)", self.server.finish().errors)
        self.assertNotEqual(mine, int(seen))


def expand():
    for name, method in list(vars(PlainStreams).items()):
        if not name.startswith("try_"):
            continue
        for called, front in FRONTS.items():
            setattr(PlainStreams, f"test_{called}_{name.removeprefix('try_')}",
                    lambda self, method=method, front=front: method(self, front))


expand()

if __name__ == "__main__":
    main()
