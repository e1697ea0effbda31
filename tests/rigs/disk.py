# SPDX-License-Identifier: MIT
"""What the tests of a disk that fails share: servers with the shim (disk_shim.c), senders."""

import os
import re
import socket

from harness import DEADLINE, Server, temporary_directory, until

SHIM = os.environ["DISK_SHIM"]
TRANSPORTS = ("tcp", "unix")
OK = re.compile(rb"ok (\d+) xxh3:[0-9a-f]{32} (\S+)\n")
SUFFIXES = (".receiving", ".partial")


def listen(test, transport):
    if transport == "tcp":
        return "127.0.0.1:0"
    return "unix:" + os.path.join(temporary_directory(test), "socket")


class DiskServer(Server):
    """A server that gives receipts, on a disk that has a fault, see disk_shim.c."""

    def __init__(self, test, backend, transport, *options, fault="none 0 0", **more):
        directory = temporary_directory(test)
        self.log = os.path.join(directory, "log")
        self.stall = os.path.join(directory, "stall")
        for path in (self.log, self.stall):
            with open(path, "wb"):
                pass
        super().__init__(test, "--backend=" + backend, "--listen=" + listen(test, transport),
                         "--receipt", *options,
                         env=dict(os.environ, LD_PRELOAD=SHIM, DISK_LOG=self.log,
                                  DISK_STALL=self.stall, DISK_FAULT=fault), **more)

    def calls(self):
        return read(self.log).decode().split()

    def await_stall(self):
        until(lambda: "stalled" in self.calls(), "the disk stalls")

    def go_on(self):
        os.remove(self.stall)


class Sender:
    """One stream. Whatever the server does, this only takes note."""

    def __init__(self, server, data=b""):
        address = server.address
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(DEADLINE)
            self.socket.connect(address[len("unix:"):])
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), DEADLINE)
        self.send(data)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError:
            pass

    def end(self):
        """Says that this was all."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self

    def hear(self):
        """What the server says until its EOF or a reset."""
        heard = b""
        try:
            while piece := self.socket.recv(1000):
                heard += piece
        except ConnectionError:
            pass
        self.socket.close()
        return heard


def send(server, data):
    """A whole stream. Returns what the server said."""
    return Sender(server, data).end().hear()


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def published(directory):
    return [name for name in os.listdir(directory) if not name.endswith(SUFFIXES)]
