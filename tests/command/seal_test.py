# SPDX-License-Identifier: MIT
"""Seals from end to end: send --seal, recv --seal, and whoever seals as lastbyte-seal(5) shows."""

import hashlib
import hmac
import os
import re
import secrets
import signal
import socket
import subprocess
import unittest

from harness import (DEADLINE, Server, each_backend, main, program, reset, run, seeded,
                     temporary_directory)
from plain import FAILED, NO_START, REFUSED, SENT, USAGE, Listener, Sender, make_file, receive_all

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "tools",
                    "command", "man", "lastbyte-seal.5.scd")
END_SIZE = 140
SIZES = (0, 1, 139, 140, 141, 300_001)
RECEIPT = re.compile(rb"ok (\d+) sha256:([0-9a-f]{64}) [!-~]+\n")


def seal(data, kind="sha256", key=b""):
    """Returns the stream, by another hand than the command's."""
    nonce = secrets.token_hex(16)
    stream = f"lastbyte-seal/1 {kind} {nonce}\n".encode() + data
    stream += f"\nlastbyte-seal/1 end {nonce} {len(data):020} ".encode()
    digest = {"count": lambda: "0" * 64,
              "sha256": lambda: hashlib.sha256(stream).hexdigest(),
              "hmac-sha256": lambda: hmac.new(key, stream, "sha256").hexdigest()}[kind]()
    return stream + f"{digest}\n".encode()


def make_key(test, data=None, mode=0o600):
    path = make_file(test, secrets.token_bytes(32) if data is None else data, "key")
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def shown_sender(language):
    """The manual's, word for word."""
    with open(PAGE, encoding="utf-8") as file:
        blocks = file.read().split("\n```\n")[1::2]
    script, = [block for block in blocks if block.startswith("#!") and language in
               block.split("\n", 1)[0]]
    return script.replace("\\\\", "\\") + "\n"


class Sealed(unittest.TestCase):
    def setUp(self):
        self.directory = temporary_directory(self)

    def serve(self, backend, *options):
        return Server(self, "--backend=" + backend, "--sink=dir:" + self.directory,
                      "--receipt=sha256", "--stats=json", *options)

    def take(self, partial=False):
        """What is there, which is removed."""
        found = []
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if name.endswith(".partial") == partial and not name.endswith(".receiving"):
                found.append(read(path))
                os.unlink(path)
        return found

    def exchange(self, server, data, pieces=1):
        """Returns the answer; what is refused at once may be answered by a reset."""
        connection = server.connect()
        try:
            for index in range(pieces):
                begin, end = (len(data) * place // pieces for place in (index, index + 1))
                connection.sendall(data[begin:end])
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer, _ = receive_all(connection)
        connection.close()
        return answer

    def finish(self, server):
        server.signal(signal.SIGTERM)
        return server.finish()

    def assert_stored(self, server, stream, content, pieces=1):
        answer = RECEIPT.fullmatch(self.exchange(server, stream, pieces))
        self.assertTrue(answer)
        self.assertEqual((str(len(content)), hashlib.sha256(content).hexdigest()),
                         (answer[1].decode(), answer[2].decode()))
        self.assertTrue([content] == self.take())

    def assert_refused(self, server, stream, reason):
        answer = self.exchange(server, stream)
        self.assertRegex(answer, rb"^error " + reason.encode() + rb" \d+\n$")
        self.assertEqual([], self.take())
        self.take(partial=True)


@each_backend
class ByTheCommand(Sealed):
    def test_each_kind(self, backend):
        key = make_key(self)
        for server_option, options in (("--seal", ["--seal"]), ("--seal", ["--seal=sha256"]),
                                       ("--seal", ["--seal=count"]),
                                       ("--seal-key=" + key, ["--seal-key=" + key]),
                                       ("--seal-key=" + key, ["--seal", "--seal-key=" + key])):
            server = self.serve(backend, server_option)
            for size in SIZES:
                data = seeded(size)
                path = make_file(self, data)
                for arguments in ([path], ["--", "cat", path]):
                    result = run("send", *options, "--receipt=sha256", "--verbose", server.address,
                                 *arguments)
                    self.assertEqual(SENT, result.status, result)
                    self.assertIn(f'"ok {size} sha256:{hashlib.sha256(data).hexdigest()} ',
                                  result.errors)
                    self.assertTrue([data] == self.take())
            result = self.finish(server)
            self.assertEqual((0, 2 * sum(SIZES)), (result.status, result.stats["bytes"]))

    def test_many_files_in_one_stream(self, backend):
        server = self.serve(backend, "--seal")
        paths = [make_file(self, data) for data in (b"one", b"", b"two")]
        result = run("send", "--seal", "--receipt", "--concat", server.address, *paths)
        self.assertEqual(SENT, result.status, result)
        self.assertEqual([b"onetwo"], self.take())
        result = run("send", "--seal", "--receipt", "--parallel=3", server.address, *paths)
        self.assertEqual(SENT, result.status, result)
        self.assertEqual([b"", b"one", b"two"], sorted(self.take()))

    def test_over_a_unix_socket_a_command_that_fails_is_no_end(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server = self.serve(backend, "--seal", "--listen=unix:" + path)
        result = run("send", "--seal", server.address, "--", "sh", "-c", "printf hello; exit 3")
        self.assertEqual(FAILED, result.status, result)
        self.assertTrue(result.errors.endswith("exited with status 3\n"), result)
        result = self.finish(server)
        self.assertEqual(1, result.stats["ends"]["truncated"], result)
        self.assertEqual(([], [b""]), (self.take(), self.take(partial=True)))

    def test_limits_are_of_the_content(self, backend):
        server = self.serve(backend, "--seal", "--max-bytes=1000")
        for size, status in ((1000, SENT), (1001, REFUSED)):
            path = make_file(self, seeded(size))
            result = run("send", "--seal", "--receipt", server.address, path)
            self.assertEqual(status, result.status, result)
        self.assertIn('"error limit:max-bytes ', result.errors)
        self.assertEqual([seeded(1000)], self.take())


@each_backend
class Refused(Sealed):
    def test_what_was_cut(self, backend):
        key = secrets.token_bytes(32)
        path = make_key(self, key)
        data = seeded(100_000)
        for kind in ("count", "sha256", "hmac-sha256"):
            server = self.serve(backend, "--seal-key=" + path if "hmac" in kind else "--seal")
            stream = seal(data, kind, key)
            first = stream.index(b"\n") + 1
            for cut in (0, 1, first - 1, first, first + 1, first + END_SIZE, 50_000,
                        len(stream) - END_SIZE, len(stream) - END_SIZE + 1, len(stream) - 65,
                        len(stream) - 2, len(stream) - 1):
                self.assert_refused(server, stream[:cut], "truncated:no-end-seal")
            self.assert_stored(server, stream, data)
            result = self.finish(server)
            self.assertEqual((1, 12), (result.status, result.stats["ends"]["truncated"]), result)

    def test_what_was_changed(self, backend):
        data = seeded(1000)
        server = self.serve(backend, "--seal")
        stream = seal(data)
        digit = b"1" if stream[-2:-1] == b"0" else b"0"
        for other, reason in ((stream[:500] + stream[501:], "wrong-seal"),
                              (stream[:500] + b"x" + stream[500:], "wrong-seal"),
                              (stream[:500] + bytes([stream[500] ^ 1]) + stream[501:],
                               "wrong-seal"),
                              (stream[:-2] + digit + b"\n", "wrong-seal"),
                              (stream + b"\n", "no-end-seal"), (stream + stream, "wrong-seal"),
                              (stream[:-END_SIZE] + seal(data)[-END_SIZE:], "no-end-seal")):
            self.assert_refused(server, other, "truncated:" + reason)
        server = self.serve(backend, "--seal")
        stream = seal(data, "count")
        self.assert_refused(server, stream[:500] + stream[501:], "truncated:wrong-seal")

    def test_a_stream_within_a_stream(self, backend):
        server = self.serve(backend, "--seal")
        inner = seal(b"inner")
        self.assert_stored(server, seal(inner), inner)
        self.assert_refused(server, seal(inner)[:-END_SIZE], "truncated:no-end-seal")

    def test_a_wrong_first_line_at_once(self, backend):
        """The sender stays, and has sent no end."""
        server = self.serve(backend, "--seal")
        for data in (b"GET / HTTP/1.1\r\n", b"\n", b"x" * 100_000, b"lastbyte-seal/1 md5 00\n",
                     b"lastbyte-seal/2 ", b"lastbyte-seal/1 " + b"x" * 60):
            connection = server.connect()
            connection.sendall(data)
            self.assertRegex(receive_all(connection)[0], rb"^(error limit:no-seal 0\n)?$")
            connection.close()
        result = self.finish(server)
        self.assertEqual(6, result.stats["ends"]["limit"], result)
        self.assertEqual(([], 0), (self.take(), result.stats["bytes"]))
        self.assertIn("no-seal", result.errors)

    def test_another_key(self, backend):
        key, other = secrets.token_bytes(32), secrets.token_bytes(32)
        keyed = self.serve(backend, "--seal-key=" + make_key(self, key))
        unkeyed = self.serve(backend, "--seal")
        self.assert_stored(keyed, seal(b"content", "hmac-sha256", key), b"content")
        self.assert_refused(keyed, seal(b"content", "hmac-sha256", other), "truncated:wrong-seal")
        for kind in ("sha256", "count"):
            self.assert_refused(keyed, seal(b"content", kind), "limit:seal-key")
        self.assert_refused(unkeyed, seal(b"content", "hmac-sha256", key), "limit:seal-key")
        result = run("send", "--seal", "--receipt", "--text=x", keyed.address)
        self.assertEqual(REFUSED, result.status, result)

    def test_a_reset(self, backend):
        server = self.serve(backend, "--seal", "--once")
        connection = server.connect()
        connection.sendall(seal(seeded(100_000))[:60_000])
        reset(connection)
        result = server.finish()
        self.assertEqual(1, result.stats["ends"]["reset"], result)
        self.assertEqual([], self.take())


@each_backend
class Others(Sealed):
    def test_in_many_pieces(self, backend):
        server = self.serve(backend, "--seal")
        data = seeded(999)
        self.assert_stored(server, seal(data), data, pieces=len(seal(data)))

    def test_unexpected_seals_are_stored_and_told(self, backend):
        server = self.serve(backend)
        for data in (b"content", seeded(3 << 20)):
            stream = seal(data)
            self.assert_stored(server, stream, stream)
        self.assertIn("is sealed, but seals are not checked", self.finish(server).errors)

    def test_the_shell_sender_of_the_manual(self, backend):
        program("nc")
        path = make_file(self, shown_sender("sh").encode(), "seal-send")
        self.run_shown(backend, ["sh", path], "--seal")

    def test_the_python_sender_of_the_manual(self, backend):
        key = make_key(self)
        path = make_file(self, shown_sender("python3").encode(), "seal-send")
        self.run_shown(backend, ["python3", path], "--seal")
        self.run_shown(backend, ["python3", path], "--seal-key=" + key, key)

    def run_shown(self, backend, command, option, *arguments):
        server = self.serve(backend, option)
        for size in SIZES:
            data = seeded(size)
            done = subprocess.run([*command, "127.0.0.1", str(server.port), *arguments], input=data,
                                  stdout=subprocess.PIPE, timeout=DEADLINE, check=True)
            self.assertRegex(done.stdout, b"^ok %d sha256:" % size)
            self.assertTrue([data] == self.take())


class Formats(unittest.TestCase):
    def sent(self, *options):
        listener = Listener(self)
        sender = Sender(self, *options, listener.address)
        connection = listener.accept()
        stream, whole = receive_all(connection)
        connection.close()
        self.assertEqual((SENT, True), (sender.finish()[0], whole))
        return stream

    def test_what_is_sent(self):
        key = secrets.token_bytes(65536)
        for kind, option in (("count", "--seal=count"), ("sha256", "--seal"),
                             ("hmac-sha256", "--seal-key=" + make_key(self, key))):
            one, two = (self.sent(option, "--text=content") for _ in range(2))
            nonce = one.split()[2]
            self.assertRegex(nonce, b"^[0-9a-f]{32}$")
            self.assertNotEqual(nonce, two.split()[2])
            right = seal(b"content", kind, key).replace(b"content", b"")
            before = one[:-65]
            self.assertEqual(right.split()[:2], one.split()[:2])
            self.assertEqual(b"content\nlastbyte-seal/1 end %s %020d " % (nonce, 7),
                             before.split(b"\n", 1)[1])
            digest = {"count": "0" * 64, "sha256": hashlib.sha256(before).hexdigest(),
                      "hmac-sha256": hmac.new(key, before, "sha256").hexdigest()}[kind]
            self.assertEqual(digest.encode() + b"\n", one[-65:])

    def test_a_command_that_fails_has_no_end(self):
        listener = Listener(self, unix=True)
        sender = Sender(self, "--seal", listener.address, "--", "sh", "-c", "printf hello; exit 3")
        stream, _ = receive_all(listener.accept())
        self.assertEqual(FAILED, sender.finish()[0])
        self.assertEqual(b"hello", stream.split(b"\n", 1)[1])


class Keys(unittest.TestCase):
    def assert_none(self, path, *words):
        for result in (run("recv", "--listen=127.0.0.1:0", "--seal-key=" + path),
                       run("send", "--seal-key=" + path, "--text=x", "127.0.0.1:1")):
            self.assertEqual(NO_START, result.status, result)
            for word in (f"--seal-key: '{path}': ", *words):
                self.assertIn(word, result.errors)

    def test_that_others_can_get_at(self):
        for mode in (0o640, 0o620, 0o604, 0o602, 0o666):
            self.assert_none(make_key(self, mode=mode), "others can read or write it", "chmod 600")

    def test_that_are_too_short_or_too_long(self):
        for size in (0, 1, 31):
            self.assert_none(make_key(self, b"x" * size), "fewer than 32 bytes", "/dev/urandom")
        self.assert_none(make_key(self, b"x" * 65537), "more than 65536 bytes")

    def test_that_are_no_files(self):
        directory = temporary_directory(self)
        os.mkfifo(os.path.join(directory, "pipe"), 0o600)
        self.assert_none(os.path.join(directory, "pipe"), "no regular file")
        self.assert_none(directory, "no regular file")
        self.assert_none("/dev/null", "no regular file")
        self.assert_none(os.path.join(directory, "nothing"), "No such file")

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_that_are_somebody_elses(self):
        path = make_key(self)
        os.chown(path, 65534, 65534)
        self.assert_none(path, "belongs to another user")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_are_read_before_rights_are_given_up(self):
        key = make_key(self)
        server = Server(self, "--seal-key=" + key, "--user=65534:65534", "--sink=discard",
                        "--receipt", "--once")
        result = run("send", "--seal-key=" + key, "--receipt", "--text=x", server.address)
        self.assertEqual((SENT, 0), (result.status, server.finish().status), result)

    def test_contradict_count(self):
        result = run("send", "--seal=count", "--seal-key=" + make_key(self), "127.0.0.1:1")
        self.assertEqual(USAGE, result.status, result)


if __name__ == "__main__":
    main()
