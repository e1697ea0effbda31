# SPDX-License-Identifier: MIT
"""Family 15: the commands of exec, when the server is killed, and when they or their peers dawdle.

No process of a command, however it got away from it, may publish a part; and nobody can hold a
stream or make a worker spin.
"""

import os
import signal
import socket
import time
import unittest

from harness import SMALL, main, temporary_directory, until
from places import cpu_seconds, each_place, receive_all

# Each reader says who it is, and would publish what it takes for the whole. They differ in how they
# get away from their command.
READER = "echo $$ >{0}/new.$$; mv {0}/new.$$ {0}/pid.$$; cat >/dev/null; >{0}/published"
WAYS_OUT = {
    "not at all": "sh {}",
    "a process group": "timeout 1000 sh {}",
    "a session": "setsid sh {}",
    "left behind": "exec 4<&0; sh {} <&4 & exit",
    "without an environment": "env -i setsid sh {}",
}
PEERS = 3


def is_alive(pid):
    """Not one that only waits to be waited for, by whoever adopts a guardian."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def readers(directory):
    return [int(name.partition(".")[2]) for name in os.listdir(directory)
            if name.startswith("pid.")]


def guardian_of(pid):
    """Of a command, or of what came of one. Other tests have guardians too."""
    while pid > 1:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        if name == "lb-guardian":
            return pid
        pid = int(rest.split()[1])
    raise AssertionError("a command without a guardian")


def content(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


@each_place(family=15)
class KilledServer(unittest.TestCase):
    def test_nobody_publishes(self, place):
        place.cases = len(WAYS_OUT) * PEERS
        for name, way in WAYS_OUT.items():
            with self.subTest(name):
                self.kill(place, way)

    def kill(self, place, way):
        directory = temporary_directory(self)
        script = os.path.join(directory, "reader")
        with open(script, "w", encoding="ascii") as file:
            file.write(READER.format(directory))
        server = place.server("--sink=exec:" + way.format(script), start_new_session=True)
        peers = [place.connect(server) for _ in range(PEERS)]
        for peer in peers:
            peer.sendall(b"half")
        until(lambda: len(readers(directory)) == PEERS, "the readers")
        pids = readers(directory)
        guardian = guardian_of(pids[0])
        os.killpg(server.process.pid, signal.SIGKILL)  # with all of its process group
        server.process.wait()
        until(lambda: not any(map(is_alive, pids)), "the readers are gone")
        until(lambda: not is_alive(guardian), "the guardian is gone")
        self.assertNotIn("published", os.listdir(directory))


@each_place(family=15)
class KilledGuardian(unittest.TestCase):
    def test_streams_end_as_sink(self, place):
        """Not as the whole, and not never: those under way, and those that come."""
        directory = temporary_directory(self)
        command = f"echo $$ >{directory}/begun; cat; >{directory}/published"
        server = place.server("--sink=exec:" + command, "--receipt", "--stats=json")
        begun = place.connect(server)
        begun.sendall(b"half")
        until(lambda: content(f"{directory}/begun"), "the command")
        os.kill(guardian_of(int(content(f"{directory}/begun"))), signal.SIGKILL)
        for peer in (begun, place.connect(server)):
            self.assertRegex(receive_all(peer), rb"^error sink:EPIPE ")
            peer.close()
        server.signal(signal.SIGTERM)
        self.assertEqual(2, server.finish().stats["ends"]["sink"])
        self.assertEqual(["begun"], os.listdir(directory))


@each_place(family=15)
class Dawdlers(unittest.TestCase):
    def share(self, server, seconds=1 if SMALL else 0.5):
        """Of one core, by the server."""
        begin, before = time.monotonic(), cpu_seconds(server.process.pid)
        time.sleep(seconds)
        return (cpu_seconds(server.process.pid) - before) / (time.monotonic() - begin)

    def test_an_unread_answer_costs_nothing(self, place):
        """The command has exited, or sleeps; what it said waits for the peer."""
        place.cases = 2
        directory = temporary_directory(self)
        for then in ("exit", "exec sleep 1000"):
            done = os.path.join(directory, then[:4])
            server = place.server(f"--sink=exec:head -c 30000000 /dev/zero; >{done}; {then}",
                                  "--drain=0")
            peer = place.connect(server)
            until(lambda done=done: os.path.exists(done), "the command has printed")
            peer.shutdown(socket.SHUT_WR)
            self.assertLess(min(self.share(server) for _ in range(3)), 0.05)
            server.signal(signal.SIGTERM)
            server.finish()

    def test_an_unread_answer_holds_no_place(self, place):
        directory = temporary_directory(self)
        server = place.server("--sink=exec:head -c 3000000 /dev/zero; cat; "
                              f">{directory}/$LASTBYTE_STREAM", "--max-streams=2",
                              "--idle-timeout=0.3", "--receipt", "--stats=json")
        deaf = [place.connect(server) for _ in range(2)]
        for peer in deaf:
            peer.shutdown(socket.SHUT_WR)
        honest = place.connect(server)
        honest.sendall(b"honest")
        honest.shutdown(socket.SHUT_WR)
        self.assertRegex(receive_all(honest)[3000000:], rb"^honest\nok 6 ")
        # Nor does the peer end its command.
        until(lambda: len(os.listdir(directory)) == 3, "every command goes on to its end")
        server.signal(signal.SIGTERM)
        self.assertEqual(3, server.finish().stats["ends"]["eof"])


if __name__ == "__main__":
    main()
