# SPDX-License-Identifier: MIT
"""lastbyte send, and what happens to its inputs, its answers and its names meanwhile."""

import hashlib
import os
import pty
import resource
import signal
import subprocess
import threading
import unittest

from harness import (SMALL, Server, each_backend, main, run, seeded, temporary_directory, until)
from plain import (FAILED, MORE_THAN_SOCKETS_HOLD, NO_START, SENT, UNKNOWN, USAGE, Listener, Sender,
                   make_file, receive_all)


class Files(unittest.TestCase):
    def begin(self, *options, by_standard_input=False):
        """A file in the middle of being sent."""
        path = make_file(self, seeded(1000))
        os.truncate(path, MORE_THAN_SOCKETS_HOLD)
        listener = Listener(self)
        if by_standard_input:
            with open(path, "rb") as file:
                sender = Sender(self, *options, listener.address, stdin=file)
        else:
            sender = Sender(self, *options, listener.address, path)
        connection = listener.accept()
        self.assertEqual(seeded(1000), connection.recv(1000))
        return path, sender, connection

    def test_what_grows_is_sent_as_long_as_it_was(self):
        for by_standard_input in (False, True):
            path, sender, connection = self.begin(by_standard_input=by_standard_input)
            with open(path, "ab") as file:
                file.write(b"more" * 1000)
            data, whole = receive_all(connection)
            connection.close()
            self.assertEqual((MORE_THAN_SOCKETS_HOLD - 1000, True), (len(data), whole))
            self.assertNotIn(b"more", data)
            status, _, errors = sender.finish()
            self.assertEqual(SENT, status, errors)

    def test_and_can_be_proven(self):
        """Also where it must be read again for the digest that the server gives."""
        for option in ("--receipt", "--receipt=sha256"):
            path, sender, connection = self.begin(option)
            with open(path, "ab") as file:
                file.write(b"more" * 1000)
            data, _ = receive_all(connection)
            digest = hashlib.sha256(seeded(1000) + data).hexdigest()
            connection.sendall(f"ok {len(data) + 1000} sha256:{digest} 1\n".encode())
            connection.close()
            status, _, errors = sender.finish()
            self.assertEqual(SENT, status, errors)

    def test_a_log_that_is_empty_at_first(self):
        path = make_file(self, b"")
        listener = Listener(self)
        sender = Sender(self, "--receipt", listener.address, path)
        connection = listener.accept()
        self.assertEqual((b"", True), receive_all(connection))
        with open(path, "ab") as file:
            file.write(b"more")
        connection.sendall(f"ok 0 sha256:{hashlib.sha256(b'').hexdigest()} 1\n".encode())
        connection.close()
        status, _, errors = sender.finish()
        self.assertEqual(SENT, status, errors)

    def test_what_shrinks_is_a_reset(self):
        for options in ((), ("--receipt",), ("--retry=2", "--quiet")):
            path, sender, connection = self.begin(*options)
            os.truncate(path, 2000)
            data, whole = receive_all(connection)
            self.assertFalse(whole)
            self.assertLess(len(data), MORE_THAN_SOCKETS_HOLD - 1000)
            status, _, errors = sender.finish()
            self.assertEqual(FAILED, status, errors)
            self.assertIn("became shorter", errors)
            self.assertIn(f"'{path}'", errors)

    def test_the_kernels_own_files(self):
        paths = [path for path in ("/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled",
                                   "/sys/kernel/profiling") if os.access(path, os.R_OK)]
        for path in paths:
            for options in ((), ("--receipt",)):
                listener = Listener(self)
                sender = Sender(self, *options, listener.address, path)
                connection = listener.accept()
                with open(path, "rb") as file:
                    self.assertEqual((file.read(), True), receive_all(connection))
                connection.close()
                status, _, errors = sender.finish()
                self.assertEqual(UNKNOWN if options else SENT, status, errors)

    def test_a_named_pipe_whose_writer_does_not_come(self):
        path = os.path.join(temporary_directory(self), "pipe")
        os.mkfifo(path)
        listener = Listener(self)
        sender = Sender(self, listener.address, path)
        connection = listener.accept()
        connection.sendall(b"hello")
        self.assertEqual(b"hello", sender.process.stdout.read(5))
        with open(path, "wb") as file:
            file.write(b"at last")
        self.assertEqual((b"at last", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])


class Killed(unittest.TestCase):
    """Until its end was sent, a stream of a sender that goes is a reset."""

    def test_before_anything_was_sent(self):
        listener = Listener(self)
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            for _ in range(5 if SMALL else 20):
                sender = Sender(self, listener.address, stdin=subprocess.PIPE)
                connection = listener.accept()
                sender.signal(number)
                self.assertEqual((b"", False), receive_all(connection))
                self.assertEqual(-number, sender.process.wait())

    def test_in_a_pause(self):
        listener = Listener(self)
        sender = Sender(self, listener.address, stdin=subprocess.PIPE)
        sender.write(b"a part")
        connection = listener.accept()
        self.assertEqual(b"a part", connection.recv(100))
        sender.signal(signal.SIGKILL)
        self.assertEqual((b"", False), receive_all(connection))

    def test_behind_the_end_nothing_is_lost(self):
        """All is with the kernel by then, and the receiver has not read it yet."""
        payload = seeded(200_000)
        path = make_file(self, payload)
        for number in (signal.SIGKILL, signal.SIGTERM):
            listener = Listener(self)
            sender = Sender(self, "--progress=0.1", listener.address, path)
            connection = listener.accept()
            while b"195 KiB" not in sender.process.stderr.readline():
                pass
            # The next line comes after the end was sent: that is one step from the last byte.
            sender.process.stderr.readline()
            sender.signal(number)
            sender.process.wait()
            data, whole = receive_all(connection)
            self.assertTrue(whole and data == payload)


class Answers(unittest.TestCase):
    def serve(self, listener, count, answer):
        """Receives count streams side by side, and answers each."""
        received = []

        def handle(connection):
            received.append(receive_all(connection))
            try:
                connection.sendall(answer)
            except OSError:
                pass
            connection.close()

        threads = [threading.Thread(target=handle, args=(listener.accept(),))
                   for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return received

    def test_what_is_held_has_a_bound(self):
        for options in ((), ("--receipt",)):
            paths = [make_file(self, b"x"), make_file(self, b"x")]
            listener = Listener(self)
            sender = Sender(self, "--parallel=2", "--spool-total=1M", *options, listener.address,
                            *paths, stdout=subprocess.DEVNULL)
            received = self.serve(listener, 2, b"line\n" * 400_000)
            self.assertEqual([(b"x", True)] * 2, received)
            status, _, errors = sender.finish()
            self.assertEqual(UNKNOWN if options else FAILED, status, errors)
            self.assertIn("--spool-total=1M", errors)

    def test_what_is_held_is_in_tmpdir(self):
        directory = temporary_directory(self)
        paths = [make_file(self, b"x"), make_file(self, b"x")]
        listener = Listener(self)
        sender = Sender(self, "--parallel=2", listener.address, *paths,
                        env={**os.environ, "TMPDIR": directory})
        connections = [listener.accept(), listener.accept()]
        for connection in connections:
            receive_all(connection)
        connections[0].sendall(b"a" * 1000)

        def held():
            links = []
            for name in os.listdir(f"/proc/{sender.pid}/fd"):
                try:
                    links.append(os.readlink(f"/proc/{sender.pid}/fd/{name}"))
                except FileNotFoundError:
                    pass
            return [link for link in links if link.startswith(directory)]

        until(held, "a file in TMPDIR")
        connections[1].sendall(b"b" * 1000)
        for connection in connections:
            connection.close()
        status, output, errors = sender.finish()
        self.assertEqual(SENT, status, errors)
        self.assertIn(output, (b"a" * 1000 + b"b" * 1000, b"b" * 1000 + b"a" * 1000))

    def test_a_tmpdir_that_can_not_be_written(self):
        paths = [make_file(self, b"x"), make_file(self, b"x")]
        environment = {**os.environ, "TMPDIR": "/nonexistent/lastbyte"}
        result = run("send", "--parallel=2", "127.0.0.1:1", *paths, env=environment)
        self.assertEqual(NO_START, result.status, result)
        self.assertIn("/nonexistent/lastbyte", result.errors)
        self.assertIn("TMPDIR", result.errors)
        # Alone it needs none.
        server = Server(self, "--once", env=os.environ)
        self.assertEqual(SENT, run("send", server.address, paths[0], env=environment).status)

    def test_more_in_parallel_than_descriptors(self):
        paths = [make_file(self, b"x")] * 100

        def limit(hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))

        result = run("send", "--parallel=100", "127.0.0.1:1", *paths, preexec_fn=limit(200))
        self.assertEqual(NO_START, result.status, result)
        self.assertIn("--parallel=100", result.errors)
        self.assertIn("the limit is 200", result.errors)
        # The soft limit alone is raised; and fewer streams need less.
        for options, hard in (("--parallel=100", 1000), ("--parallel=10", 100)):
            server = Server(self, "--count=100", "--sink=discard")
            result = run("send", options, server.address, *paths, preexec_fn=limit(hard))
            self.assertEqual(SENT, result.status, result)
            self.assertEqual(0, server.finish().status)

    def on_a_terminal(self, answer, *options):
        """What lastbyte send shows there."""
        master, slave = pty.openpty()
        listener = Listener(self)
        with open(master, "rb", buffering=0) as terminal:
            sender = Sender(self, *options, "--text=x", listener.address, stdout=slave)
            os.close(slave)
            connection = listener.accept()
            receive_all(connection)
            for byte in answer:
                connection.sendall(bytes([byte]))
            connection.close()
            shown = b""
            while True:
                try:
                    piece = terminal.read(1000)
                except OSError:  # EIO: the last who had it is gone
                    break
                if not piece:
                    break
                shown += piece
            return shown, sender.finish()[0]

    def test_a_terminal_is_shown_what_strangers_send(self):
        shown, status = self.on_a_terminal("Grüße\n\x1b]0;owned\x07\t\r\n".encode() + b"\xc3")
        self.assertEqual(SENT, status)
        self.assertEqual("Grüße\r\n\\x1b]0;owned\\x07\t\\r\r\n\\xc3",
                         shown.decode().replace("        ", "\t"))

    def test_everything_else_gets_what_was_sent(self):
        listener = Listener(self)
        sender = Sender(self, "--text=x", listener.address)
        self.serve(listener, 1, b"\x1b]0;owned\x07\xff")
        self.assertEqual(b"\x1b]0;owned\x07\xff", sender.finish()[1])


class Names(unittest.TestCase):
    def test_names_are_quoted(self):
        path = make_file(self, b"x", "\x1b]0;owned\x07")
        shown = f"'{os.path.dirname(path)}/\\x1b]0;owned\\x07'"
        directory = os.path.join(temporary_directory(self), "two\nlines")
        os.mkdir(directory)
        listener = Listener(self)
        sender = Sender(self, "--receipt", listener.address, path)
        listener.accept().close()
        cases = [sender.finish()[2], run("send", "127.0.0.1:1", path + "x").errors,
                 run("send", "127.0.0.1:1", directory).errors]
        for errors, name in zip(cases, (shown, shown[:-1] + "x'", "/two\\nlines': is a directory")):
            self.assertIn(name, errors)
            self.assertEqual(1, errors.count("\n"), errors)
            self.assertNotIn("\x1b", errors)

    def test_whatever_else_is_told_is_escaped(self):
        for arguments in (["--\x1b]0;owned\x07"], ["127.0.0.1:\x1b"], ["unix:/nowhere/\x1b[2J"],
                          ["--retry=\x1b", ":1"], ["\x1b.example:1"]):
            result = run("send", "--text=x", *arguments)
            self.assertIn("\\x1b", result.errors)
            self.assertNotIn("\x1b", result.errors)


class Addresses(unittest.TestCase):
    def test_families(self):
        server = Server(self, "--count=2", "--sink=discard")
        for option in ("-4", "--ipv4"):
            result = run("send", option, "--text=x", f"localhost:{server.port}")
            self.assertEqual(SENT, result.status, result)
        server.finish()
        result = run("send", "-6", "--text=x", "127.0.0.1:1")
        self.assertEqual(NO_START, result.status, result)
        self.assertIn("no IPv6 address", result.errors)
        for options in (("-4", "-6", ":1"), ("-4", "unix:/nowhere"), ("-6", "unix:@nobody")):
            self.assertEqual(USAGE, run("send", "--text=x", *options).status, options)

    def test_a_path_that_is_no_socket(self):
        path = make_file(self, b"")
        result = run("send", "--text=x", "unix:" + path)
        self.assertEqual(NO_START, result.status, result)
        self.assertIn("no socket", result.errors)


@each_backend
class Growing(unittest.TestCase):
    def test_logs_that_grow_are_sent(self, backend):
        """As README has it, to our own server."""
        path = make_file(self, bytes(20_000_000), "app.log")
        server = Server(self, "--backend=" + backend, "--count=8", "--sink=hash:sha256",
                        "--receipt", "--rate-limit=100M")
        done = threading.Event()

        def grow():
            with open(path, "ab", buffering=0) as file:
                while not done.wait(0.002):
                    file.write(b"a line\n")

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            for options in ((), ("--receipt",)):
                for _ in range(4):
                    result = run("send", *options, server.address, path)
                    self.assertEqual(SENT, result.status, result)
        finally:
            done.set()
            writer.join()
        self.assertEqual(0, server.finish().status)


if __name__ == "__main__":
    main()
