# SPDX-License-Identifier: MIT
"""README's commands, word for word, as a new user types them; on tools/session/stage, where their
hosts are this machine and their port is free. And what README links is there."""

import os
import re
import shutil
import signal
import subprocess
import unittest

from harness import DEADLINE, LASTBYTE, Capture, main, program, seeded, temporary_directory

ROOT = os.environ["LASTBYTE_SOURCES"]

# What can't be tried here, and where it is.
ELSEWHERE = {
    "Two commands": "they have built this",
    "A drop box that outgrows a machine.": "command-s3, with a store",
    "As a service": "tools/nightly package, in a system that has booted",
}


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blocks():
    """The commands under each heading, or under what begins a paragraph in bold."""
    found, heading = {}, None
    for line in page("README.md").splitlines():
        title = re.match(r"## (.*)|\*\*(.*?)\*\*", line)
        if title:
            heading = title[1] or title[2]
        elif line.startswith("    "):
            found.setdefault(heading, []).append(line[4:])
    return {heading: "\n".join(lines).replace("\\\n", "").splitlines()
            for heading, lines in found.items()}


class Links(unittest.TestCase):
    def test_what_pages_link_is_there(self):
        for directory, _, names in os.walk(ROOT):
            # What bench/report takes into bench/RESULTS.md is linked from there.
            if re.match(r"build|\.git|bench/results", os.path.relpath(directory, ROOT)):
                continue
            for name in names:
                if name.endswith(".md"):
                    self.check(os.path.relpath(os.path.join(directory, name), ROOT))

    def check(self, name):
        for target in re.findall(r"\]\(([^)\s]+)\)", page(name)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{name}: {target}")
            if anchor:
                titles = re.findall(r"^#+ (.*)$", page(path), re.M)
                self.assertIn(anchor, [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                                       for title in titles], f"{name}: {target}")


class Examples(unittest.TestCase):
    def setUp(self):
        self.receiver, self.sender = temporary_directory(self), temporary_directory(self)
        for place in ("/srv", "/var/log"):
            self.root(f"mount -t tmpfs tmp {place}")
            self.addCleanup(self.root, f"umount {place}")
        for place in ("/srv/drop", "/srv/backup", "/var/log/app", self.sender + "/photos"):
            os.mkdir(place)
        for number in range(4):
            self.write(f"/var/log/app/{number}.log", 10000 + number)
            self.write(f"{self.sender}/photos/{number}.jpg", 100000 + number)
        self.write(self.sender + "/disk.img", 1000000)
        self.write(self.sender + "/backup.tar", 1000001)
        self.blocks = blocks()

    @staticmethod
    def write(path, size):
        with open(path, "wb") as file:
            file.write(seeded(size, size))

    @staticmethod
    def root(line):
        subprocess.run(line.split(), check=True, timeout=DEADLINE)

    def bash(self, line, directory, **streams):
        path = os.path.dirname(LASTBYTE) + ":" + os.environ["PATH"]
        return subprocess.Popen([program("bash"), "-o", "pipefail", "-c", line], cwd=directory,
                                stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path},
                                start_new_session=True, **streams)

    def serve(self, line):
        """The receiving side's line, once it listens."""
        self.server = self.bash(line, self.receiver, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.stderr.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.signal, signal.SIGKILL)
        self.output, self.errors = Capture(self.server.stdout), Capture(self.server.stderr)
        self.errors.wait_for(lambda data: b"listening on" in data, "listening on")

    def signal(self, number):
        """To the line and what it has started, as a terminal does; if it is there still."""
        if self.server.poll() is None:
            os.killpg(self.server.pid, number)

    def send(self, line, status=0):
        """The sending side's: what it printed."""
        done = self.bash(line, self.sender, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = done.communicate(timeout=DEADLINE)[0].decode()
        self.assertEqual(status, done.returncode, output)
        return output

    def stop(self, status=0):
        """What a server printed that would serve on."""
        self.signal(signal.SIGINT)
        return self.end(status)

    def end(self, status=0):
        self.assertEqual(status, self.server.wait(DEADLINE), bytes(self.errors.data))
        return self.output.finish().decode()

    @staticmethod
    def dropped(directory="/srv/drop"):
        """What is whole in there, smallest first."""
        contents = []
        for name in os.listdir(directory):
            if name.endswith((".partial", ".receiving")):
                continue
            with open(os.path.join(directory, name), "rb") as file:
                contents.append(file.read())
        return sorted(contents, key=len)

    def test_each_is_tried_here_or_elsewhere(self):
        with open(__file__, encoding="utf-8") as file:
            tried = re.findall(r'self\.blocks\["(.*?)"\]', file.read())
        self.assertEqual(sorted(self.blocks), sorted([*tried, *ELSEWHERE]))

    def test_the_textbook(self):
        server, *clients = self.blocks["The textbook."]
        self.serve(server)
        for client in clients:
            self.send(client)
        self.assertEqual("hello, world!" * 2 + "\n", self.stop())

    def test_tar(self):
        server, client, *_ = self.blocks["tar over the network."]
        self.serve(server)
        self.send(client)
        self.end()
        self.send(f"diff -r photos {self.receiver}/photos")

    def test_a_drop_box(self):
        server, client = self.blocks["A drop box."]
        self.serve(server)
        self.send(client)
        self.stop()
        self.assertEqual([seeded(10000 + number, 10000 + number) for number in range(4)],
                         self.dropped())

    def test_a_network_that_nobody_trusts(self):
        server, client = self.blocks["Over a network you don't trust."]
        self.serve(server)
        pin = re.search(r"^pin (sha256//\S+)$", self.errors.data.decode(), re.M)[1]
        shown = r"sha256//NDdY4zbI\.\.\."
        self.assertRegex(server, shown)
        self.assertIn("safe\n", self.send(re.sub(shown, pin, client)))
        self.stop()
        self.assertEqual([seeded(1000001, 1000001)], self.dropped())

    def test_peers_that_nobody_trusts(self):
        server, = self.blocks["Peers you don't trust."]
        for address in ("192.0.2.7", "192.0.2.13"):
            self.root(f"ip address add {address}/32 dev lo")
            self.addCleanup(self.root, f"ip address del {address}/32 dev lo")
        self.serve(server)
        self.send("lastbyte send 192.0.2.7:1090 disk.img")
        for turned_away in ("192.0.2.13", "127.0.0.1"):
            self.send(f"! lastbyte send {turned_away}:1090 disk.img")
        self.stop()
        self.assertEqual([seeded(1000000, 1000000)], self.dropped())
        self.assertIn(b"(1 eof, 2 limit; 2 turned away)", self.errors.data)

    def test_behind_a_load_balancer(self):
        server, = self.blocks["Behind a load balancer"]
        self.root("ip address add 10.0.0.5/32 dev lo")
        self.addCleanup(self.root, "ip address del 10.0.0.5/32 dev lo")
        self.serve(server)
        for peer in ("198.51.100.7", "192.0.2.13"):
            self.send(fr"printf 'PROXY TCP4 {peer} 10.0.0.5 4711 1090\r\nhello' |"
                      "nc -N 10.0.0.5 1090")
        self.stop()
        self.assertEqual([b"hello"], self.dropped())

    def test_a_conversation(self):
        server, client = self.blocks["A conversation."]
        self.serve(server)
        self.assertEqual("your name?\nHello, Ada!\n", self.send(client))
        self.stop()

    def test_did_it_arrive_unchanged(self):
        server, client = self.blocks["Did it arrive unchanged?"]
        self.serve(server)
        digest = self.send(client).split()[0]
        self.assertEqual([digest, "1000000", "eof"], self.end().split()[:3])

    def test_how_do_i_know_that_it_arrived(self):
        server, client = self.blocks["How do I know that it arrived?"]
        self.serve(server)
        self.assertEqual("safe\n", self.send(client))
        self.assertNotIn("safe\n", self.send(client.replace("photos", "photos missing"), 1))
        self.stop(1)
        whole, = self.dropped("/srv/backup")
        with open(os.path.join(self.sender, "photos.tar"), "wb") as file:
            file.write(whole)
        self.send("tar df photos.tar")


if __name__ == "__main__":
    if shutil.which("ip") is None:
        raise SystemExit(77)
    main()
