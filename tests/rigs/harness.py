# SPDX-License-Identifier: MIT
"""What the black-box tests of the command share: servers, clients, deadlines.

Nothing here sleeps: every wait is for a condition, and every wait has DEADLINE.
"""

import contextlib
import functools
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, by what we start too

LASTBYTE = os.environ["LASTBYTE"]
# Where the programs are that run the command as somebody else does.
RIGS = os.path.dirname(os.path.abspath(__file__))
DEADLINE = float(os.environ.get("LASTBYTE_TEST_DEADLINE", "40"))
SMALL = os.environ.get("LASTBYTE_TEST_SCALE") == "small"


# ---- backends

@functools.lru_cache(maxsize=None)
def probe():
    output = subprocess.run([LASTBYTE, "probe", "--json"], stdout=subprocess.PIPE, check=True,
                            timeout=DEADLINE).stdout
    return json.loads(output)


BACKENDS = tuple(item["name"] for item in probe()["backends"])


def require_backend(test, name):
    found = next(item for item in probe()["backends"] if item["name"] == name)
    if found["usable"]:
        return
    if name == "uring" and os.environ.get("LASTBYTE_REQUIRE_URING") != "1":
        test.skipTest("uring: " + found["why"])
    test.fail(f"{name} can't be used: {found['why']}")


def each_client(*names):
    """Marks test_NAME(self, backend, send) as one test a client as well; see each_backend."""
    def mark(method):
        method.clients = names
        return method
    return mark


def each_backend(case):
    """Turns each test_NAME(self, backend) of a class into one test a backend."""
    for name, method in list(vars(case).items()):
        if not name.startswith("test_"):
            continue
        delattr(case, name)
        for backend in BACKENDS:
            for client in getattr(method, "clients", (None,)):
                def run(self, backend=backend, method=method, client=client):
                    require_backend(self, backend)
                    method(self, backend, *([CLIENTS[client]] if client else []))
                setattr(case, "_".join(filter(None, (name, backend, client))), run)
    return case


# ---- data

def seeded(size, seed=1):
    return random.Random(seed).randbytes(size)


def temporary_directory(test):
    directory = tempfile.mkdtemp(prefix="lastbyte-test-")
    test.addCleanup(shutil.rmtree, directory)
    return directory


def until(condition, what):
    """Polls for a condition that nothing announces. Returns what it returned."""
    end = time.monotonic() + DEADLINE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE} s: {what}")
        time.sleep(0.005)


# ---- servers

class Capture:
    """What a process writes to one of its pipes, readable while it runs."""

    def __init__(self, pipe):
        self.data = bytearray()
        self.closed = False
        self.pipe = pipe
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closed:
            piece = os.read(self.pipe.fileno(), 1 << 20)
            with self.changed:
                self.data += piece
                self.closed = not piece
                self.changed.notify_all()

    def wait_for(self, condition, what):
        with self.changed:
            self.changed.wait_for(lambda: condition(self.data) or self.closed, DEADLINE)
            if not condition(self.data):
                raise AssertionError(f"never came: {what}; got {bytes(self.data[-2000:])!r}")

    def finish(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.closed, DEADLINE):
                raise AssertionError("the pipe stays open after the process has ended")
        return bytes(self.data)


class Result:
    def __init__(self, status, output, errors):
        self.status = status
        self.output = output
        self.errors = errors.decode(errors="replace")

    @property
    def stats(self):
        return json.loads(self.errors.rstrip("\n").rsplit("\n", 1)[-1])

    def told(self, end):
        """How many streams are said to have ended so: in a line each, or counted in another."""
        lines = re.findall(rf"(: {end} after \d+ bytes.*?|lastbyte: {end})"
                           r"(?:, (?:and )?(\d+) more since the last such line)?$", self.errors,
                           re.MULTILINE)
        return sum(("after" in line) + int(more or 0) for line, more in lines)

    def __repr__(self):
        return f"status {self.status}, standard error:\n{self.errors}"


class Server:
    """lastbyte recv, on a free port of 127.0.0.1 unless options name an address or listen is None.

    Ready for peers when made, and killed with the test if it is still there then."""

    def __init__(self, test, *options, addresses=1, prefix=(), command=LASTBYTE,
                 listen="127.0.0.1:0", **popen):
        named = any(option.startswith(("--listen", "-l")) for option in options)
        listen = ["--listen=" + listen] if listen and not named else []
        self.test = test
        self.process = subprocess.Popen(
            [*prefix, command, "recv", *listen, *options], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **popen})
        test.addCleanup(self.kill)
        self.output = Capture(self.process.stdout) if self.process.stdout else None
        self.errors = Capture(self.process.stderr)
        self.errors.wait_for(lambda data: len(self.listening(data)) >= addresses,
                             "the listening line of " + " ".join(self.process.args))
        self.addresses = self.listening(self.errors.data)

    @staticmethod
    def listening(data):
        mark = b"listening on "
        return [line.split(mark, 1)[1].decode() for line in data.split(b"\n")[:-1] if mark in line]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        self.test.addCleanup(connection.close)
        return connection

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self):
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running; standard error so far:\n"
                                 + self.errors.data.decode(errors="replace")) from None
        return Result(status, self.output.finish() if self.output else None, self.errors.finish())

    def kill(self):
        self.process.kill()
        self.process.wait()
        for capture in filter(None, (self.output, self.errors)):
            capture.thread.join(DEADLINE)  # a command of exec may hold the pipe
            capture.pipe.close()


def run(*arguments, command=LASTBYTE, **options):
    """Runs `lastbyte ARGUMENTS...` to its end."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([command, *arguments], stderr=subprocess.PIPE, timeout=DEADLINE,
                          check=False, **{"stdout": subprocess.PIPE, **options})
    return Result(done.returncode, done.stdout, done.stderr)


# ---- clients that nobody here wrote: each sends data, ends the stream, returns what came back

def program(name):
    path = shutil.which(name)
    if not path:
        raise unittest.SkipTest(f"no {name} here")
    return path


def pipe_through(command, data, status=0):
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE, check=False)
    if done.returncode != status:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr!r}")
    return done.stdout


def send_by_nc(host, port, data):
    return pipe_through([program("nc"), "-N", host, str(port)], data)


def send_by_socat(host, port, data):
    # -t: how long to wait for the server's EOF after our own
    return pipe_through([program("socat"), "-t", str(DEADLINE), "-", f"TCP:{host}:{port}"], data)


def send_by_ncat(host, port, data):
    return pipe_through([program("ncat"), host, str(port)], data)


def send_by_curl(host, port, data):
    # Telnet knows no end of input: curl stays until its time is up (28), then closes.
    return pipe_through([program("curl"), "--silent", "--max-time", "2",
                         f"telnet://{host}:{port}"], data, status=28)


def send_by_bash(host, port, data):
    return pipe_through([program("bash"), "-c", f"exec cat >/dev/tcp/{host}/{port}"], data)


def exchange(connection, data):
    """Sends all, half-closes, and returns what comes until the server's EOF."""
    connection.settimeout(DEADLINE)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    pieces = []
    while True:
        piece = connection.recv(1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def send_by_python(host, port, data):
    with socket.create_connection((host, port), DEADLINE) as connection:
        return exchange(connection, data)


CLIENTS = {
    "nc": send_by_nc,
    "socat": send_by_socat,
    "ncat": send_by_ncat,
    "curl": send_by_curl,
    "python": send_by_python,
    "bash": send_by_bash,
}
ALL_CLIENTS = tuple(CLIENTS)
# curl and bash close at once and never hear the answer
CONVERSING_CLIENTS = ("nc", "socat", "ncat", "python")


def reset(connection):
    """Ends the connection with a reset instead of an EOF."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# ---- running

def allow_many_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise unittest.SkipTest(f"at most {hard} descriptors allowed here, {count} are needed")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Stay(contextlib.ExitStack):
    """In place of a test, where a rig runs as a program: until its standard input ends."""

    addCleanup = contextlib.ExitStack.callback


def main():
    """unittest with meson's exit status: 77 when every test was skipped."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun == len(result.skipped) else 0)
