# SPDX-License-Identifier: MIT
"""Servers that have nothing to do, each for another reason, all at once: none uses a processor, and
two signals end each of them."""

import os
import resource
import signal
import socket
import time
import unittest

from harness import DEADLINE, main, temporary_directory, until
from places import each_place

LOOK = 1.0  # seconds
LOOKS = 4
ONE_STREAM = "--max-streams=1"


def run_ns(pid):
    """Nanoseconds that the threads of a process have run."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def guardians(spool):
    """Those of servers that have this directory for their spools."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                if file.read() != "lb-guardian\n":
                    continue
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"TMPDIR={spool}".encode() in file.read().split(b"\0"):
                    found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def has_pending(pid):
    """A signal that it has not been given yet; a second one of the same would be lost."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return any(int(line.split()[1], 16) for line in file if line.startswith("ShdPnd:"))


def push(connection):
    """Sends until nothing more is taken for a while."""
    quiet = 0
    connection.setblocking(False)
    while quiet < 20:
        time.sleep(0.002)
        try:
            while connection.send(bytes(1 << 16)):
                quiet = 0
        except BlockingIOError:
            quiet += 1


class Scenes:
    """Each makes a server that has nothing to do."""

    def __init__(self, test, place):
        self.test = test
        self.place = place
        self.servers = {}
        self.spool = temporary_directory(test)

    def server(self, name, *options, **more):
        workers = "--workers=3" if self.place.backend == "blocking" else "--workers=1"
        server = self.place.server("--drain=1000", workers, *options,
                                   env=os.environ | {"TMPDIR": self.spool}, **more)
        self.servers[name] = server
        return server

    def command(self, name, command):
        """A command that has its whole input, and a peer who doesn't read."""
        server = self.server(name, "--receipt", "--sink=exec:" + command)
        connection = self.place.connect(server)
        connection.sendall(b"x")
        connection.shutdown(socket.SHUT_WR)

    def make(self):
        self.command("answer unread", "cat >/dev/null; head -c 100000000 /dev/zero")
        self.command("exited, its answer unread", "head -c 4000000 /dev/zero; cat >/dev/null")
        self.command("asleep, peer half-closed", "cat >/dev/null; sleep 1000")
        push(self.place.connect(self.server("asleep, input full", "--sink=exec:sleep 1000")))
        push(self.place.connect(self.server("throttled", "--sink=discard", "--rate-limit=1K",
                                            "--idle-timeout=1000")))
        for name, options in (("output full", ()), ("output full, not spliced", ("--no-splice",))):
            reader, writer = os.pipe()
            self.test.addCleanup(os.close, reader)
            server = self.server(name, "--sink=stdout", *options, stdout=writer)
            os.close(writer)
            push(self.place.connect(server))
        self.output_half_closed()
        self.output_closed()
        self.others_wait()
        self.no_descriptor_left()
        self.accept_fails()

    def output_half_closed(self):
        """A socket whose reader says no more, and doesn't read."""
        reader, writer = socket.socketpair()
        self.test.addCleanup(reader.close)
        server = self.server("output half-closed", "--sink=stdout", stdout=writer)
        writer.close()
        reader.shutdown(socket.SHUT_WR)
        push(self.place.connect(server))

    def output_closed(self):
        """Nobody reads any more, and no byte has come that would show it."""
        reader, writer = os.pipe()
        server = self.server("output closed", "--sink=stdout", stdout=writer)
        os.close(writer)
        os.close(reader)
        self.place.connect(server)

    def others_wait(self):
        server = self.server("others wait", "--sink=stdout", ONE_STREAM)
        for _ in range(5):
            connection = self.place.connect(server)
            connection.sendall(b"x")
        server.output.wait_for(lambda data: data == b"x", "the first of them")

    def no_descriptor_left(self):
        """As many streams as have one, and others in the backlog."""
        few = 64 if self.place.backend == "blocking" else 48
        server = self.server("at the descriptor limit", "--sink=discard", preexec_fn=lambda:
                             resource.setrlimit(resource.RLIMIT_NOFILE, (few, few)))
        for _ in range(few):
            self.place.connect(server).sendall(b"x")

    def accept_fails(self):
        """For uring once those are used up that had asked before, and have the limit of then."""
        server = self.server("accepting fails", "--sink=discard", "--max-streams=100")
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        for _ in range(50):
            self.place.connect(server).sendall(b"x")
        server.errors.wait_for(lambda data: b"accepting pauses" in data, "that accepting fails")

    def used(self):
        """Seconds that each has run for so far; of the guardians, all together."""
        used = {name: run_ns(server.process.pid) / 1e9 for name, server in self.servers.items()}
        used["guardians"] = sum(map(run_ns, guardians(self.spool))) / 1e9
        return used


@each_place(family=17)
class Idle(unittest.TestCase):
    def test_nothing_to_do(self, place):
        scenes = Scenes(self, place)
        scenes.make()
        place.cases = len(scenes.servers)

        def look():
            before, begin = scenes.used(), time.monotonic()
            time.sleep(LOOK)
            after, passed = scenes.used(), time.monotonic() - begin
            return {name: used - before[name] for name, used in after.items()
                    if used - before[name] > 0.02 * passed}

        # The first look also sees how each came to where it is.
        for _ in range(LOOKS):
            busy = look()
            if not busy:
                break
        self.assertEqual({}, busy)
        for name, server in scenes.servers.items():
            with self.subTest(name):
                server.signal(signal.SIGTERM)
                until(lambda pid=server.process.pid: not has_pending(pid), "it has its signal")
                server.signal(signal.SIGTERM)
        for name, server in scenes.servers.items():
            with self.subTest(name):
                server.process.wait(DEADLINE)


if __name__ == "__main__":
    main()
