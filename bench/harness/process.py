# SPDX-License-Identifier: MIT
"""Outside programs as receivers: started, awaited and accounted for without a single sleep."""

import errno
import os
import pathlib
import re
import select
import signal
import socket
import time

START_SECONDS = 15
END_SECONDS = 60
LISTEN = "0A"  # state in /proc/net/tcp


class Broken(Exception):
    """The program did not do its part; the text says which, in one line."""


class Process:
    """A child with its output in files, pinned to one core. Use as a context: it never survives."""

    def __init__(self, command, core, stdout=os.devnull, stderr=os.devnull, cwd=None):
        self.command = command
        self.usage = None
        self.status = None
        pinned = ["taskset", "--cpu-list", str(core), *map(str, command)]
        if cwd is not None:
            pinned = ["env", f"--chdir={cwd}", *pinned]
        write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                   _output(1, stdout, write), _output(2, stderr, write)]
        self.pid = os.posix_spawnp(pinned[0], pinned, os.environ, file_actions=actions,
                                   setpgroup=0, setsigdef=[signal.SIGPIPE, signal.SIGINT])
        self.fd = os.pidfd_open(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            self.kill(signal.SIGKILL)
            self.reap()
        os.close(self.fd)

    def kill(self, number):
        """To the whole group: the programs' own children too."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def ended(self, seconds):
        """True if it ended within that time."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def reap(self):
        """Takes the exit status and the resources used, those of its reaped children included."""
        _, status, self.usage = os.wait4(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def cpu_so_far(self):
        """CPU-seconds of all its threads until now, from the scheduler's own account; None where
        the kernel keeps none. What it has started isn't in there."""
        total = 0
        try:
            for thread in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return total / 1e9


def _output(fd, target, flags):
    if isinstance(target, int):
        return (os.POSIX_SPAWN_DUP2, target, fd)
    return (os.POSIX_SPAWN_OPEN, fd, os.fspath(target), flags, 0o600)


def free_port():
    """A port that nobody listens on now, for programs that can't choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    """Does any TCP socket of this network namespace listen on this port?"""
    pattern = re.compile(rf"^\s*\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:[0-9A-F]{{4}} {LISTEN} ",
                         re.MULTILINE)
    for name in ("tcp", "tcp6"):
        try:
            if pattern.search(pathlib.Path(f"/proc/net/{name}").read_text()):
                return True
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
    return False


def await_listening(process, port, seconds=START_SECONDS):
    """Returns once the port is open. A program that ends meanwhile is noticed at once."""
    deadline = time.monotonic() + seconds
    while not listens(port):
        if process.ended(0.002):
            raise Broken("ended before it listened")
        if time.monotonic() > deadline:
            raise Broken(f"did not listen within {seconds} seconds")


def await_end(process, seconds=END_SECONDS):
    """Its exit status; a program that doesn't end is broken."""
    if not process.ended(seconds):
        raise Broken(f"did not end within {seconds} seconds of the stream's end")
    return process.reap()


def await_condition(process, condition, seconds=END_SECONDS):
    """Polls until condition() holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.ended(0.002):
            raise Broken("ended too early")
        if time.monotonic() > deadline:
            raise Broken(f"was not done within {seconds} seconds")


def children(pid):
    """Pids of the running or unreaped children of a process's main thread."""
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
