# SPDX-License-Identifier: MIT
"""lastbyte send, against servers that nobody here wrote and against our own."""

import os
import socket
import subprocess
import threading
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, main, program, run, seeded,
                     temporary_directory)


def make_files(test, sizes):
    directory = temporary_directory(test)
    paths = []
    for number, size in enumerate(sizes):
        paths.append(os.path.join(directory, f"file-{number}"))
        with open(paths[-1], "wb") as file:
            file.write(seeded(size, number))
    return paths


class PlainServer(threading.Thread):
    """Python's sockets: receives streams to EOF, one after the other, answering each."""

    def __init__(self, test, streams, answer=b""):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.streams, self.answer, self.received = streams, answer, []
        test.addCleanup(self.listener.close)
        self.start()

    def run(self):
        for _ in range(self.streams):
            connection = self.listener.accept()[0]
            connection.settimeout(DEADLINE)
            with connection, connection.makefile("rb") as file:
                self.received.append(file.read())
                connection.sendall(self.answer)

    def finish(self):
        self.join(DEADLINE)
        return self.received


class Send(unittest.TestCase):
    def sent(self, result, status=0):
        self.assertEqual(status, result.status, result)
        return result

    def test_text(self):
        server = PlainServer(self, 1)
        self.sent(run("send", "--text=hello, world!", server.address))
        self.assertEqual([b"hello, world!"], server.finish())

    def test_standard_input(self):
        for operand in ([], ["-"]):
            server = PlainServer(self, 1)
            payload = seeded(3 << 20)
            self.sent(run("send", server.address, *operand, input=payload))
            self.assertEqual([payload], server.finish())

    def test_each_file_is_a_stream(self):
        paths = make_files(self, (0, 1, 1 << 20, 300_001))
        server = PlainServer(self, len(paths))
        self.sent(run("send", server.address, *paths))
        self.assertEqual([seeded(0, 0), seeded(1, 1), seeded(1 << 20, 2), seeded(300_001, 3)],
                         server.finish())

    def test_concat_is_one_stream(self):
        paths = make_files(self, (10, 1 << 20, 0, 7))
        server = PlainServer(self, 1)
        self.sent(run("send", "--concat", server.address, *paths))
        self.assertEqual([seeded(10, 0) + seeded(1 << 20, 1) + seeded(7, 3)], server.finish())

    def test_the_answer_goes_to_standard_output(self):
        server = PlainServer(self, 1, answer=b"thank you\n")
        self.assertEqual(b"thank you\n",
                         self.sent(run("send", "--text=x", server.address)).output)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            address = "127.0.0.1:%d" % gone.getsockname()[1]
        result = self.sent(run("send", "--text=x", address), status=3)
        self.assertIn(address, result.errors)
        self.assertEqual(1, result.errors.count("\n"), result)

    def test_retry_waits_for_the_server(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            address = "127.0.0.1:%d" % gone.getsockname()[1]
        with subprocess.Popen([LASTBYTE, "send", "--retry=100", "--text=late", address],
                              stderr=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            self.assertIn(b"again", sender.stderr.readline())
            server = Server(self, "--once", "--listen=" + address)
            self.assertEqual(0, sender.wait(DEADLINE))
            self.assertEqual(b"late", server.finish().output)

    def test_a_file_that_is_not_there(self):
        result = self.sent(run("send", "127.0.0.1:1", "/nonexistent/file"), status=3)
        self.assertIn("/nonexistent/file", result.errors)

    def test_a_server_that_resets_is_a_failure(self):
        server = Server(self, "--once", "--sink=exec:exit 1")
        path, = make_files(self, (16 << 20,))
        result = run("send", server.address, path)
        self.assertEqual(1, result.status, result)
        self.assertEqual(1, server.finish().status)

    def test_to_nc(self):
        # nc can't tell which port it got: one that was free a moment ago will do.
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        payload = seeded(1 << 20)
        path = os.path.join(temporary_directory(self), "received")
        with open(path, "wb") as file, \
                subprocess.Popen([program("nc"), "-l", "127.0.0.1", str(port)],
                                 stdin=subprocess.DEVNULL, stdout=file) as listener:
            self.addCleanup(listener.kill)
            self.sent(run("send", "--retry=100", "--quiet", f"127.0.0.1:{port}", 
                          input=payload))
            self.assertEqual(0, listener.wait(DEADLINE))
        with open(path, "rb") as file:
            self.assertEqual(payload, file.read())


@each_backend
class Together(unittest.TestCase):
    def test_many_files_in_parallel(self, backend):
        sizes = [number * 10_007 for number in range(40)]
        paths = make_files(self, sizes)
        server = Server(self, "--backend=" + backend, f"--count={len(paths)}",
                        "--sink=hash:sha256")
        result = run("send", "--parallel=8", server.address, *paths)
        self.assertEqual(0, result.status, result)
        received = server.finish()
        sums = subprocess.run(["sha256sum", *paths], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(sorted(line.split()[0] for line in sums.splitlines()),
                         sorted(line.split()[0] for line in received.output.splitlines()))
        self.assertEqual(0, received.status)

    def test_over_unix_sockets(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        for address in ("unix:" + path, f"unix:@lastbyte-send-{os.getpid()}-{backend}"):
            server = Server(self, "--backend=" + backend, "--once", "--listen=" + address)
            self.assertEqual(0, run("send", "--text=hello", address).status)
            self.assertEqual(b"hello", server.finish().output)

    def test_the_answer_of_exec(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--sink=exec:tr a-z A-Z",
                        r"--greeting=ready\n")
        result = run("send", "--text=hello", server.address)
        self.assertEqual((0, b"ready\nHELLO"), (result.status, result.output), result)
        self.assertEqual(0, server.finish().status)


if __name__ == "__main__":
    main()
