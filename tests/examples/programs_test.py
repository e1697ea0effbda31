# SPDX-License-Identifier: MIT
"""programs_test.py NAME BACKEND PROGRAM...: the programs of engine/examples, as their first lines
say that they are run. LASTBYTE_BACKEND chooses the backend: none of them does."""

import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DEADLINE = 60
NAME, BACKEND = sys.argv[1:3]
PROGRAM = sys.argv[3:]


class Program:
    def __init__(self, test, *arguments):
        environment = {**os.environ, "LASTBYTE_BACKEND": BACKEND}
        self.test = test
        self.process = subprocess.Popen([*PROGRAM, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment, text=True, bufsize=1)
        test.addCleanup(self.kill)
        self.port = self.read_port()

    def read_port(self):
        line = self.process.stderr.readline()
        found = re.match(r"listening on .*:(\d+)$", line)
        self.test.assertIsNotNone(found, line + (self.process.stderr.read() if not line else ""))
        return int(found[1])

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        self.test.addCleanup(peer.close)
        return peer

    def finish(self, number=None):
        if number:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=DEADLINE)
        self.test.assertEqual(0, self.process.returncode, errors)
        return output


def hear(peer):
    pieces = []
    while piece := peer.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def hear_all(peer):
    """And closes: nobody waits for us then."""
    with peer:
        return hear(peer)


def exchange(peer, data):
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    return hear_all(peer)


class Examples(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="lastbyte-example-")
        self.addCleanup(shutil.rmtree, self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def lines(self):
        program = Program(self, "127.0.0.1:0")
        exchange(program.connect(), b"one\ntwo\nthree\n")
        self.assertRegex(program.finish(), r"^127\.0\.0\.1:\d+: 3 lines, 14 bytes, eof\n$")

    def collector(self):
        program = Program(self, "127.0.0.1:0", self.path("log"))
        peers = [program.connect() for _ in range(4)]
        for number, peer in enumerate(peers):
            peer.sendall(b"begins %d " % number)
        for number, peer in enumerate(peers):
            exchange(peer, b"and ends %d\nlast" % number)
        program.finish(signal.SIGTERM)
        lines = self.read("log").decode().splitlines()
        texts = sorted(line.split(": ", 1)[1] for line in lines)
        self.assertEqual([f"begins {n} and ends {n}" for n in range(4)] + ["last"] * 4, texts)
        self.assertTrue(all(re.match(r"127\.0\.0\.1:\d+: ", line) for line in lines), lines)

    def upload(self):
        program = Program(self, "127.0.0.1:0", self.directory)
        content = os.urandom(300_000)
        peer = program.connect()
        peer.sendall(b"photo 300000\n")
        self.assertEqual(b"go on\n", peer.recv(6))
        peer.sendall(content + b"and more, which nobody wants")
        digest = hashlib.sha256(b"photo 300000\n" + content).hexdigest()
        answer = hear_all(peer).decode()  # it has not half-closed
        self.assertRegex(answer, rf"^ok 300013 sha256:{digest} \S+\n$")
        self.assertEqual(content, self.read("photo"))
        for head, text in ((b"photo 5\n", b"error: there is one of that name\n"),
                           (b"../photo 5\n", b"error: say NAME SIZE\n"),
                           (b"x" * 200, b"error: the first line is too long\n")):
            peer = program.connect()
            peer.sendall(head)
            self.assertTrue(hear_all(peer).startswith(text), head)
        self.assertIn(b"error ", exchange(program.connect(), b"part 100\nnot all"))
        self.assertEqual(["photo"], os.listdir(self.directory))
        program.finish(signal.SIGTERM)

    def loop(self):
        program = Program(self, "127.0.0.1:0")
        peer = program.connect()
        peer.sendall(b"what is new?\n")
        self.assertEqual(b"nothing yet\n", peer.recv(100))
        program.process.stdin.write("it works\n")
        self.assertEqual("told\n", program.process.stdout.readline())
        self.assertEqual(b"it works\n", exchange(peer, b"and now?\n"))
        self.assertEqual("stream 1: 22 bytes, eof\n", program.process.stdout.readline())
        program.process.stdin.write("stop\n")
        program.finish()

    def loop_uv(self):
        program = Program(self, "127.0.0.1:0")
        for _ in range(3):
            exchange(program.connect(), b"x" * 100_000)
        self.assertEqual("300000 bytes, and the timer ticked: yes\n",
                         program.finish(signal.SIGTERM))

    def receive(self):
        program = Program(self, "127.0.0.1:0")
        data = os.urandom(200_000)
        self.assertEqual(hashlib.sha256(data).hexdigest().encode() + b"\n",
                         exchange(program.connect(), data))
        exchange(program.connect(), b"stop")
        program.finish()

    def raii(self):
        program = Program(self, "127.0.0.1:0")
        for _ in range(2):
            self.assertEqual(b"the longest word is needle\n",
                             exchange(program.connect(), b"a nee" b"dle in hay\nstack"))
        program.finish()

    def tls_sink(self):
        identity = [self.path("certificate"), self.path("key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days",
                        "2", "-out", identity[0], "-keyout", identity[1]],
                       check=True, capture_output=True, timeout=DEADLINE)
        received = self.path("received")
        os.mkdir(received)
        program = Program(self, "127.0.0.1:0", received, *identity)
        context = ssl.create_default_context(cafile=identity[0])

        def connect():
            return context.wrap_socket(program.connect(), server_hostname="localhost",
                                       suppress_ragged_eofs=False)

        content = os.urandom(300_000)
        sender = connect()
        sender.sendall(content)
        sender.unwrap().close()  # says that it was all, and hears the same
        self.await_names(received, 1)
        self.assertEqual(content, self.read(os.path.join(received, os.listdir(received)[0])))
        cut = connect()
        cut.sendall(b"not all")
        cut.shutdown(socket.SHUT_WR)  # of the connection: not of TLS
        cut.close()
        partial, = self.await_names(received, 2, ".partial")
        self.assertEqual(b"not all", self.read(os.path.join(received, partial)))
        wrong = program.connect()
        wrong.sendall(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + bytes(1000))
        self.assertRegex(hear_all(wrong), rb"^\x15\x03.\x00\x02")  # an alert, and no reset
        program.finish(signal.SIGTERM)
        self.assertEqual(1, sum("." not in name.split("Z")[1] for name in os.listdir(received)))

    def await_names(self, directory, count, suffix=""):
        """Of files that are not received any more: so many in all. Returns those with suffix."""
        deadline = time.monotonic() + DEADLINE
        while True:
            names = [name for name in os.listdir(directory) if not name.endswith(".receiving")]
            if len(names) == count:
                return [name for name in names if name.endswith(suffix)]
            self.assertLess(time.monotonic(), deadline, names)
            time.sleep(0.01)

    def reload(self):
        program = Program(self, "127.0.0.1:0", self.directory)
        under_way = program.connect()
        under_way.sendall(b"begun before")
        stop, sent, failures = threading.Event(), [], []

        def send():
            while not stop.is_set():
                try:
                    exchange(program.connect(), b"%d" % len(sent))
                    sent.append(len(sent))
                except OSError as error:
                    failures.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        program.process.send_signal(signal.SIGHUP)
        self.assertEqual(program.port, program.read_port())  # the heir's line
        before = len(sent)
        while len(sent) < before + 20 and not failures:
            pass
        stop.set()
        sender.join()
        self.assertEqual([], failures)
        exchange(under_way, b", ended after")
        program.process.wait(DEADLINE)
        self.assertEqual(0, program.process.returncode)
        found = sorted(self.read(name) for name in os.listdir(self.directory))
        self.assertEqual(sorted([b"begun before, ended after", *(b"%d" % n for n in sent)]), found)
        # The heir is no child of ours, but its sockets are inherited: it ends with its group.
        for entry in os.listdir("/proc"):
            if entry.isdigit() and self.is_heir(entry):
                os.kill(int(entry), signal.SIGTERM)

    def is_heir(self, pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return self.directory.encode() in file.read()
        except OSError:
            return False

    def runTest(self):
        getattr(self, NAME)()


if __name__ == "__main__":
    result = unittest.TextTestRunner().run(Examples())
    sys.exit(not result.wasSuccessful())
