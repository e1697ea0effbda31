# SPDX-License-Identifier: MIT
"""What the fault tests of the command share: each test on every backend, over TCP and Unix."""

import os
import socket

import tally
from harness import BACKENDS, DEADLINE, Server, require_backend, temporary_directory

TRANSPORTS = ("tcp", "unix")


def each_place(family):
    """Turns each test_NAME(self, place) of a class into one test a backend and transport, which
    counts as place.cases cases of that family once it has held."""
    def turn(case):
        for name, method in list(vars(case).items()):
            if not name.startswith("test_"):
                continue
            delattr(case, name)
            for backend in BACKENDS:
                for transport in TRANSPORTS:
                    def run(self, method=method, backend=backend, transport=transport):
                        require_backend(self, backend)
                        place = Place(self, backend, transport)
                        method(self, place)
                        tally.held(family, backend, transport, place.cases)
                    setattr(case, f"{name}_{backend}_{transport}", run)
        return case
    return turn


class Place:
    def __init__(self, test, backend, transport):
        self.test = test
        self.backend = backend
        self.transport = transport
        self.cases = 1

    def server(self, *options, **more):
        listen = "127.0.0.1:0"
        if self.transport == "unix":
            listen = "unix:" + os.path.join(temporary_directory(self.test), "socket")
        return Server(self.test, "--backend=" + self.backend, "--listen=" + listen, *options,
                      **more)

    def connect(self, server):
        if self.transport == "tcp":
            return server.connect()
        connection = socket.socket(socket.AF_UNIX)
        self.test.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        connection.connect(server.address.removeprefix("unix:"))
        return connection


def receive_all(connection):
    """What comes until the server's EOF."""
    connection.settimeout(DEADLINE)
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Bytes of memory that a process has of its own: what it shares (files, mostly) not counted."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon:"))
