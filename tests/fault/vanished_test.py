# SPDX-License-Identifier: MIT
"""A peer whose machine is gone: its link is taken down in a network namespace of its own. Keepalive
ends its stream, and only its."""

import os
import shutil
import socket
import subprocess
import sys
import unittest

from harness import BACKENDS, DEADLINE, exchange, main, probe, seeded, until
from peers import Case, Place

import tally

INSIDE = "LASTBYTE_TEST_VANISHED_INSIDE"
SERVER, CLIENT = "198.51.100.1", "198.51.100.2"

# In the other namespace: connects to each port, sends, and stays.
PEER = """
import socket, sys
sys.stdin.readline()  # the link is up
peers = [socket.create_connection((sys.argv[1], int(port)), 20) for port in sys.argv[2:]]
for peer in peers:
    peer.sendall(b"x" * 1000)
print("sent", flush=True)
sys.stdin.readline()
"""


def namespaces():
    """The command that runs another in a network namespace of its own, or None."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            if shutil.which("ip") and subprocess.run([*command, "ip", "link", "set", "lo", "up"],
                                                     capture_output=True, check=False,
                                                     timeout=DEADLINE).returncode == 0:
                return command
        except OSError:
            pass
    return None


def ip(*arguments, inside=None):
    prefix = ["nsenter", f"--target={inside.pid}", "--net"] if inside else []
    subprocess.run([*prefix, "ip", *arguments], check=True, timeout=DEADLINE)


class Vanished(Case):
    def usable(self):
        names = {item["name"] for item in probe()["backends"] if item["usable"]}
        if "uring" not in names and os.environ.get("LASTBYTE_REQUIRE_URING") == "1":
            self.fail("uring is required")
        return [name for name in BACKENDS if name in names]

    def start_peer(self, ports):
        peer = subprocess.Popen(["unshare", "-n", sys.executable, "-c", PEER, SERVER, *ports],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: (peer.kill(), peer.wait(), peer.stdin.close(),
                                 peer.stdout.close()))
        # It has its namespace once it runs the interpreter.
        own = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{peer.pid}/ns/net") != own, "the other namespace")
        return peer

    def test_the_link_goes_down(self):
        backends = self.usable()
        servers = [Place(self, backend, "tcp", "--listen=0.0.0.0:0", "--keepalive=2", "--count=2",
                         "--sink=dir:" + self.directory) for backend in backends]
        ports = [str(server.port) for server in servers]
        # Silent as well, but there.
        silent = [socket.create_connection(("127.0.0.1", server.port), DEADLINE)
                  for server in servers]
        peer = self.start_peer(ports)
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(peer.pid))
        ip("address", "add", SERVER + "/24", "dev", "here")
        ip("link", "set", "here", "up")
        ip("address", "add", CLIENT + "/24", "dev", "there", inside=peer)
        ip("link", "set", "there", "up", inside=peer)
        peer.stdin.write(b"up\n")
        peer.stdin.flush()
        self.assertEqual(b"sent\n", peer.stdout.readline())
        ip("link", "set", "there", "down", inside=peer)
        payload = seeded(10_000)
        for server, connection, backend in zip(servers, silent, backends):
            server.errors.wait_for(lambda data: b": timeout after 1000 bytes" in data,
                                   "the end of the vanished peer's stream")
            exchange(connection, payload)
            connection.close()
            result = server.finish()
            self.assertEqual((1, 1), (result.stats["ends"]["timeout"], result.stats["ends"]["eof"]),
                             result)
            tally.held(1, backend, "tcp")
        self.assertEqual([payload] * len(servers), self.files())
        self.assertEqual([b"x" * 1000] * len(servers), self.files(".partial"))


if __name__ == "__main__":
    if INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        main()
    command = namespaces()
    if not command:
        print("no network namespaces here, or no ip(8)")
        sys.exit(77)
    os.execvpe(command[0], [*command, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
