# SPDX-License-Identifier: MIT
"""Servers and peers over TCP and over Unix sockets alike."""

import os
import socket
import unittest

from harness import BACKENDS, DEADLINE, Server, require_backend, temporary_directory

import tally

TRANSPORTS = ("tcp", "unix")


def everywhere(family, transports=TRANSPORTS):
    """Turns each test_NAME(self, backend, transport) of a class into one test for each place,
    counted in the table of faults."""
    def expand(case):
        for name, method in list(vars(case).items()):
            if not name.startswith("test_"):
                continue
            delattr(case, name)
            for backend in BACKENDS:
                for transport in getattr(method, "transports", transports):
                    def run(self, method=method, backend=backend, transport=transport):
                        require_backend(self, backend)
                        method(self, backend, transport)
                        tally.held(family, backend, transport)
                    setattr(case, f"{name}_{backend}_{transport}", run)
        return case
    return expand


def over(*transports):
    """For a test_NAME that makes sense over these only."""
    def mark(method):
        method.transports = transports
        return method
    return mark


class Place(Server):
    """A server of one backend over one transport."""

    def __init__(self, test, backend, transport, *options):
        self.path = None
        if transport == "unix":
            self.path = os.path.join(temporary_directory(test), "socket")
            options += ("--listen=unix:" + self.path,)
        super().__init__(test, "--backend=" + backend, "--stats=json", *options)

    def connect(self):
        if not self.path:
            return super().connect()
        connection = socket.socket(socket.AF_UNIX)
        self.test.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        connection.connect(self.path)
        return connection


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = temporary_directory(self)

    def files(self, suffix=""):
        """The content of each file that has that suffix: none (the stream is published), .partial
        or .receiving (it is under way)."""
        found = []
        for name in os.listdir(self.directory):
            # TIME-SEQUENCE and the suffix; the time has a dot of its own.
            _, dot, word = name.rpartition("-")[2].partition(".")
            if dot + word != suffix:
                continue
            try:
                with open(os.path.join(self.directory, name), "rb") as file:
                    found.append(file.read())
            except FileNotFoundError:
                pass  # it has another name by now
        return found
