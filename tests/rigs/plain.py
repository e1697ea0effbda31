# SPDX-License-Identifier: MIT
"""What the tests of lastbyte send share: plain sockets to send to, and senders that run beside."""

import os
import socket
import subprocess

from harness import DEADLINE, LASTBYTE, temporary_directory

SENT, FAILED, USAGE, NO_START, REFUSED, UNKNOWN = range(6)
MORE_THAN_SOCKETS_HOLD = 64 << 20


class Listener:
    """Over TCP, or a Unix socket."""

    def __init__(self, test, unix=False, receive_buffer=None):
        self.test = test
        if unix:
            path = os.path.join(temporary_directory(test), "socket")
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            self.address = "unix:" + path
        else:
            self.socket = socket.socket()
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen()
        self.socket.settimeout(DEADLINE)
        test.addCleanup(self.socket.close)

    def accept(self):
        connection = self.socket.accept()[0]
        connection.settimeout(DEADLINE)
        self.test.addCleanup(connection.close)
        return connection


def receive_all(connection):
    """Returns what came, and whether its end was an EOF."""
    pieces = []
    while True:
        try:
            piece = connection.recv(1 << 16)
        except ConnectionResetError:
            return b"".join(pieces), False
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)


class Sender:
    """lastbyte send, beside the test."""

    def __init__(self, test, *arguments, prefix=(), **popen):
        self.process = subprocess.Popen(
            [*prefix, LASTBYTE, "send", *arguments],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **popen})
        test.addCleanup(self.kill)

    @property
    def pid(self):
        return self.process.pid

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self):
        """Returns status, standard output and standard error."""
        output, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, output, errors.decode(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in filter(None, (self.process.stdin, self.process.stdout, self.process.stderr)):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def make_file(test, data, name="file"):
    path = os.path.join(temporary_directory(test), name)
    with open(path, "wb") as file:
        file.write(data)
    return path
