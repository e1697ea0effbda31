# SPDX-License-Identifier: MIT
"""lastbyte send --receipt, against servers that say every kind of thing."""

import hashlib
import os
import signal
import socket
import subprocess
import threading
import unittest

from harness import (DEADLINE, LASTBYTE, main, program, reset, run, seeded, temporary_directory,
                     until)

HELLO = b"hello, world!"
HELLO_XXH3 = "8bad08bcb16f72ac37d175dedd052aab"  # of xxh128sum
EMPTY_XXH3 = "99aa06d3014798d86001c324468d497f"
HELLO_OK = f"ok 13 xxh3:{HELLO_XXH3} 7\n".encode()
SENT, FAILED, USAGE, NO_START, REFUSED, UNKNOWN = range(6)
MORE_THAN_SOCKETS_HOLD = 64 << 20


def ok_sha256(data, name="stored-1"):
    return f"ok {len(data)} sha256:{hashlib.sha256(data).hexdigest()} {name}\n".encode()


# ---- what a server may do to a connection

def receive(connection):
    with connection.makefile("rb") as file:
        return file.read()


def answering(*pieces):
    """Receives to EOF, then says all pieces."""
    def handle(connection):
        receive(connection)
        for piece in pieces:
            connection.sendall(piece)
    return handle


def storing(connection):
    """As it should be, with sha256."""
    connection.sendall(ok_sha256(receive(connection)))


def resetting_after_end(connection):
    receive(connection)
    reset(connection)


def interrupting(answer, size=1000):
    """Answers in the middle, and closes without reading on."""
    def handle(connection):
        connection.recv(size, socket.MSG_WAITALL)
        connection.sendall(answer)
    return handle


def interrupting_politely(answer, size=1000):
    """Answers in the middle, ends the answer, and drops what still comes."""
    def handle(connection):
        connection.recv(size, socket.MSG_WAITALL)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        try:
            receive(connection)
        except ConnectionResetError:
            pass
    return handle


class Server(threading.Thread):
    """Gives each connection, in the order of their coming, to the next handler."""

    def __init__(self, test, *handlers, path=None):
        super().__init__(daemon=True)
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()
            self.address = "unix:" + path
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.settimeout(DEADLINE)
        self.test, self.handlers, self.served = test, handlers, 0
        test.addCleanup(self.finish)
        self.start()

    def run(self):
        with self.listener:  # a connection too many is refused at once
            for handle in self.handlers:
                try:
                    connection = self.listener.accept()[0]
                except OSError:
                    return
                self.served += 1
                connection.settimeout(DEADLINE)
                with connection:
                    handle(connection)

    def finish(self):
        """Returns how many connections came."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed already
            pass
        self.join(DEADLINE)
        return self.served


class Receipts(unittest.TestCase):
    def servers(self, *handlers):
        """One over TCP, one over a Unix socket."""
        yield Server(self, *handlers)
        yield Server(self, *handlers,
                     path=os.path.join(temporary_directory(self), "socket"))

    def send(self, status, server, *arguments, **options):
        result = run("send", *arguments, server.address, **options)
        self.assertEqual(status, result.status, result)
        return result

    def make_file(self, data):
        path = os.path.join(temporary_directory(self), "file")
        with open(path, "wb") as file:
            file.write(data)
        return path

    def make_large_file(self, start=b""):
        """With more behind start than sockets hold: the middle is where it stops."""
        path = self.make_file(start)
        os.truncate(path, MORE_THAN_SOCKETS_HOLD)
        return path

    def send_file(self, status, server, path, *arguments):
        result = run("send", *arguments, server.address, path)
        self.assertEqual(status, result.status, result)
        return result


class Proven(Receipts):
    def test_a_receipt_that_fits(self):
        for server in self.servers(answering(HELLO_OK)):
            result = self.send(SENT, server, "--receipt", "--text=hello, world!")
            self.assertEqual((b"", ""), (result.output, result.errors))

    def test_nothing_sent_is_proven_too(self):
        server = Server(self, answering(f"ok 0 xxh3:{EMPTY_XXH3} 1\n".encode()))
        self.send(SENT, server, "--receipt", input=b"")

    def test_verbose_shows_the_receipt(self):
        server = Server(self, answering(HELLO_OK))
        result = self.send(SENT, server, "--receipt", "--verbose", "--text=hello, world!")
        self.assertIn(HELLO_OK.decode().rstrip(), result.errors)

    def test_sha256_of_a_pipe(self):
        payload = seeded(5 << 20)
        for server in self.servers(answering(ok_sha256(payload))):
            self.send(SENT, server, "--receipt=sha256", input=payload)

    def test_xxh3_where_sha256_was_expected(self):
        server = Server(self, answering(HELLO_OK))
        self.send(SENT, server, "--receipt=sha256", "--text=hello, world!")

    def test_sha256_where_xxh3_was_expected(self):
        """The digest is made after all, as long as the input can be read again."""
        payload = seeded(3 << 20)
        path = self.make_file(payload)
        for server in self.servers(answering(ok_sha256(payload))):
            self.send_file(SENT, server, path, "--receipt")
        self.send(SENT, Server(self, storing), "--receipt", "--text=hello, world!")

    def test_files_in_one_stream(self):
        paths = [self.make_file(seeded(size, size)) for size in (100_000, 0, 1 << 20)]
        for choice in ("--receipt", "--receipt=sha256"):
            server = Server(self, storing)
            result = run("send", choice, "--concat", server.address, *paths)
            self.assertEqual(SENT, result.status, result)

    def test_xxh3_of_a_large_file(self):
        payload = seeded(3 << 20)
        path = self.make_file(payload)
        digest = subprocess.run([program("xxh128sum"), path], stdout=subprocess.PIPE,
                                check=True).stdout.split()[0].decode()
        server = Server(self, answering(f"ok {len(payload)} xxh3:{digest} 1\n".encode()))
        self.send_file(SENT, server, path, "--receipt")


class Answers(Receipts):
    def test_the_answer_before_the_receipt(self):
        for answer in (b"hello\n", b"two\nlines\n", b"error\n", b"ok\nok then\n", HELLO_OK,
                       b"ok " + b"x" * 2000 + b"\n"):
            for pieces in ([answer + HELLO_OK], [answer, HELLO_OK],
                           [bytes([byte]) for byte in answer + HELLO_OK]):
                server = Server(self, answering(*pieces))
                result = self.send(SENT, server, "--receipt", "--text=hello, world!")
                self.assertEqual((answer, ""), (result.output, result.errors))

    def test_a_huge_answer_before_the_receipt(self):
        for answer in (seeded(8 << 20) + b"\n", b"x" * (8 << 20) + b"\n", b"ok\n" * (1 << 20),
                       b"\n" * (1 << 20)):
            server = Server(self, answering(answer, HELLO_OK))
            result = self.send(SENT, server, "--receipt", "--text=hello, world!")
            self.assertTrue(answer == result.output, f"{len(result.output)} bytes came")

    def test_an_answer_while_the_stream_is_sent(self):
        payload = bytes(MORE_THAN_SOCKETS_HOLD)

        def greet(connection):
            connection.sendall(b"welcome\n" * 1000)
            storing(connection)

        result = self.send(SENT, Server(self, greet), "--receipt=sha256", input=payload)
        self.assertEqual(b"welcome\n" * 1000, result.output)

    def test_what_is_no_receipt_is_answer(self):
        for answer in (b"hello\n", b"hello", b"ok 13 xxh3:", b"ok\n", b"error sink\n",
                       HELLO_OK[:-1], HELLO_OK + b"\n", HELLO_OK + b"bye", b"x" + HELLO_OK,
                       HELLO_OK.replace(b"13", b"013"), HELLO_OK.replace(b"\n", b"\r\n"),
                       HELLO_OK.replace(b"7", b"7" * 600), b"\0" * 1000, seeded(1 << 20)):
            for server in self.servers(answering(answer)):
                result = self.send(UNKNOWN, server, "--receipt", "--text=hello, world!")
                self.assertTrue(answer == result.output, result.output[:1000])
                self.assertIn("no receipt", result.errors)

    def test_without_the_option_a_receipt_is_answer(self):
        server = Server(self, answering(HELLO_OK))
        self.assertEqual(HELLO_OK, self.send(SENT, server, "--text=hello, world!").output)


class Refused(Receipts):
    def test_other_bytes(self):
        for receipt in (HELLO_OK.replace(b"13", b"12"), HELLO_OK.replace(b"xxh3:8", b"xxh3:9"),
                        ok_sha256(b"hello, warld!", "7")):
            for server in self.servers(answering(receipt)):
                result = self.send(REFUSED, server, "--receipt", "--text=hello, world!")
                self.assertIn("different at the server, as 7:", result.errors)
                self.assertEqual(1, result.errors.count("\n"))

    def test_an_error_after_the_end(self):
        for server in self.servers(answering(b"sorry\nerror sink:ENOSPC 7\n")):
            result = self.send(REFUSED, server, "--receipt", "--text=hello, world!", "--quiet")
            self.assertEqual(b"sorry\n", result.output)
            self.assertIn("error sink:ENOSPC 7", result.errors)

    def test_an_error_in_the_middle(self):
        receipt = b"error limit:max-bytes 1000\n"
        path = self.make_large_file()
        # A reset drops what the server's kernel has not sent yet: a short answer is.
        for handle, answer in ((interrupting_politely, b"no room\n" * 50_000),
                               (interrupting, b"no room\n" * 10)):
            for server in self.servers(handle(answer + receipt)):
                result = self.send_file(REFUSED, server, path, "--receipt", "--retry=3")
                self.assertEqual(answer, result.output)
                self.assertIn(receipt.decode().rstrip(), result.errors)
                self.assertEqual(1, server.finish())

    def test_an_error_behind_much_that_is_not_read_yet(self):
        """All of it has come when sending fails."""
        answer, receipt = b"no room\n" * 12_000, b"error limit:max-bytes 1000\n"
        sender = None

        def is_stopped():
            with open(f"/proc/{sender.pid}/stat", encoding="ascii") as file:
                return file.read().rsplit(") ", 1)[1].startswith("T")

        def handle(connection):
            connection.recv(1000, socket.MSG_WAITALL)
            until(lambda: sender, "the sender")
            sender.send_signal(signal.SIGSTOP)
            until(is_stopped, "a stopped sender")
            connection.sendall(answer + receipt)

        server = Server(self, handle, path=os.path.join(temporary_directory(self), "socket"))
        with subprocess.Popen([LASTBYTE, "send", "--receipt", server.address,
                               self.make_large_file()],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            server.join(DEADLINE)
            sender.send_signal(signal.SIGCONT)
            output, errors = sender.communicate(timeout=DEADLINE)
            self.assertEqual((REFUSED, answer), (sender.returncode, output), errors)

    def test_an_error_while_the_input_is_silent(self):
        for handler in (interrupting_politely(b"error stopped 5\n", 5),
                        interrupting(b"error stopped 5\n", 5)):
            for server in self.servers(handler):
                self.expect_while_silent(server, REFUSED, b"error stopped 5")

    def expect_while_silent(self, server, status, words):
        with subprocess.Popen([LASTBYTE, "send", "--receipt=sha256", server.address],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE) as sender:
            self.addCleanup(sender.kill)
            sender.stdin.write(b"12345")
            sender.stdin.flush()
            self.assertEqual(status, sender.wait(DEADLINE))
            self.assertIn(words, sender.stderr.read())

    def test_a_part_taken_for_the_whole(self):
        part = seeded(1000)
        path = self.make_large_file(part)
        for server in self.servers(interrupting_politely(ok_sha256(part))):
            result = self.send_file(REFUSED, server, path, "--receipt")
            self.assertIn("different at the server", result.errors)

    def test_all_that_came_so_far_taken_for_the_whole(self):
        for server in self.servers(interrupting_politely(ok_sha256(b"12345"), 5)):
            self.expect_while_silent(server, REFUSED, b"no end")


class Unknown(Receipts):
    def test_a_server_that_gives_none(self):
        for server in self.servers(answering()):
            result = self.send(UNKNOWN, server, "--receipt", "--text=hello, world!")
            self.assertIn("--receipt?", result.errors)
            self.assertEqual(1, result.errors.count("\n"))

    def test_a_server_that_resets(self):
        self.send(UNKNOWN, Server(self, resetting_after_end), "--receipt", "--text=hello, world!")
        path = self.make_large_file()
        for handler in (interrupting(b""), interrupting_politely(b"")):
            for server in self.servers(handler):
                self.send_file(UNKNOWN, server, path, "--receipt")

    def test_before_the_servers_end_no_line_is_the_last(self):
        def handle(connection):
            answering(HELLO_OK)(connection)
            reset(connection)

        self.send(UNKNOWN, Server(self, handle), "--receipt", "--text=hello, world!")

    def test_a_digest_that_can_not_be_made(self):
        server = Server(self, storing)
        result = self.send(UNKNOWN, server, "--receipt", input=HELLO)
        self.assertIn("can't be read again", result.errors)
        self.assertIn("--receipt=sha256", result.errors)
        server = Server(self, answering(b"ok 13 md5:00112233445566778899aabbccddeeff 1\n"))
        result = self.send(UNKNOWN, server, "--receipt=sha256", "--text=hello, world!")
        self.assertIn("md5", result.errors)

    def test_but_its_bytes_are_told_apart(self):
        server = Server(self, answering(ok_sha256(HELLO + b"!")))
        self.send(REFUSED, server, "--receipt", input=HELLO)

    def test_a_file_that_changed_since(self):
        path = self.make_file(HELLO)
        for change in (b"HELLO, world!", None):
            def handle(connection, change=change):
                data = receive(connection)
                if change:
                    with open(path, "wb") as file:
                        file.write(change)
                else:
                    os.unlink(path)
                connection.sendall(ok_sha256(data))

            result = self.send_file(UNKNOWN, Server(self, handle), path, "--receipt")
            self.assertIn("--receipt=sha256", result.errors)

    def test_a_file_that_shrinks_under_way_is_not_sent(self):
        path = self.make_large_file()

        def handle(connection):
            connection.recv(1000, socket.MSG_WAITALL)
            os.truncate(path, 1000)
            self.assertRaises(ConnectionResetError, receive, connection)

        self.send_file(FAILED, Server(self, handle), path, "--receipt")

    def test_a_server_that_vanishes_will_be_noticed(self):
        """Nothing is under way while the receipt is awaited: keepalive probes must be."""
        def watched(port):
            with open("/proc/net/tcp", encoding="ascii") as table:
                rows = [line.split() for line in table]
            return any(row[2].endswith(f":{port:04X}") and row[5].startswith("02:")
                       for row in rows[1:])

        def handle(connection):
            data = receive(connection)
            until(lambda: watched(server.listener.getsockname()[1]), "a keepalive timer")
            connection.sendall(ok_sha256(data))

        server = Server(self, handle)
        self.send(SENT, server, "--receipt", "--text=hello, world!")


class Repeated(Receipts):
    def expect(self, status, connections, *handlers, receipt="--receipt", data=None):
        server = Server(self, *handlers, storing)  # one more than may be needed
        operands = ["-"] if data else [self.make_file(seeded(100_000))]
        result = run("send", receipt, "--retry=3", server.address, *operands,
                     **({"input": data} if data else {}))
        self.assertEqual((status, connections), (result.status, server.finish()), result)
        return result

    def test_never_what_is_proven(self):
        self.expect(SENT, 1, storing)
        self.expect(SENT, 1, storing, receipt="--receipt=sha256")

    def test_what_was_refused_for_now(self):
        result = self.expect(SENT, 3, answering(b"error sink:ENOSPC 9\n"),
                             interrupting(b"error stopped 1000\n"))
        self.assertIn("trying again", result.errors)

    def test_what_came_with_too_many_others(self):
        self.expect(SENT, 3, answering(b"error limit:per-peer 0\n"),
                    answering(b"error limit:max-streams 0\n"))

    def test_not_what_exceeds_a_limit(self):
        self.expect(REFUSED, 1, answering(b"error limit:max-bytes 9\n"))
        self.expect(REFUSED, 1, answering(b"error limit 9\n"))
        self.expect(SENT, 2, answering(b"error limits 9\n"))

    def test_not_what_can_not_be_read_again(self):
        self.expect(REFUSED, 1, answering(b"error sink:ENOSPC 9\n"), data=HELLO)
        self.expect(UNKNOWN, 1, resetting_after_end, data=HELLO)

    def test_what_broke_without_a_receipt(self):
        self.expect(SENT, 2, resetting_after_end)
        self.expect(SENT, 2, interrupting(b""))

    def test_not_where_no_receipts_are_given(self):
        self.expect(UNKNOWN, 1, answering())
        self.expect(UNKNOWN, 1, answering(b"thank you\n"))

    def test_not_what_is_different(self):
        self.expect(REFUSED, 1, answering(ok_sha256(HELLO)))

    def test_what_was_unknown_stays_so_unless_proven(self):
        self.expect(UNKNOWN, 2, resetting_after_end, answering(b"error limit:max-bytes 0\n"))

    def test_the_answer_of_a_failed_try_is_no_receipt_of_the_next(self):
        def cut_off(connection):
            receive(connection)
            connection.sendall(b"error sink:EI")
            reset(connection)

        def go_on(connection):
            receive(connection)
            connection.sendall(b"O 5\n")

        self.expect(UNKNOWN, 2, cut_off, go_on)


class Several(Receipts):
    def test_the_highest_status_wins(self):
        refusing = answering(b"error sink:ENOSPC 5\n")
        for options in ([], ["--parallel=4"]):
            for handlers, status in (([storing, refusing, storing], REFUSED),
                                     ([answering(), refusing, storing], UNKNOWN),
                                     ([storing, storing, answering()], UNKNOWN),
                                     ([storing, storing, storing], SENT)):
                paths = [self.make_file(seeded(1000 + size, size)) for size in range(3)]
                server = Server(self, *handlers)
                result = run("send", "--receipt", *options, server.address, *paths)
                self.assertEqual((status, 3), (result.status, server.finish()), result)
                if status:
                    proven = handlers.count(storing)
                    self.assertIn(f"{proven} of 3 streams are proven safe", result.errors)

    def test_a_refusal_and_then_nobody(self):
        def last(connection):
            server.listener.close()
            answering(b"error sink:ENOSPC 5\n")(connection)

        server = Server(self, last)
        result = run("send", "--receipt", server.address, *[self.make_file(HELLO)] * 3)
        self.assertEqual(REFUSED, result.status, result)
        self.assertEqual(1, result.errors.count("refused, with"), result)
        self.assertEqual(1, result.errors.count("Connection refused"), result)

    def test_answers_of_parallel_streams(self):
        count = 8
        answer = b"thank you\n" * 10_000
        server = Server(self, *[lambda connection: connection.sendall(
            (lambda data: answer + ok_sha256(data))(receive(connection)))] * count)
        paths = [self.make_file(seeded(1000 + size, size)) for size in range(count)]
        result = run("send", "--receipt=sha256", "--parallel=4", server.address, *paths)
        self.assertEqual((SENT, ""), (result.status, result.errors))
        self.assertTrue(answer * count == result.output)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            address = "127.0.0.1:%d" % gone.getsockname()[1]
        self.assertEqual(NO_START, run("send", "--receipt", "--text=x", address).status)

    def test_an_unknown_algorithm(self):
        result = run("send", "--receipt=md5", "--text=x", "127.0.0.1:1")
        self.assertEqual(USAGE, result.status)
        for word in ("--receipt", "md5", "sha256"):
            self.assertIn(word, result.errors)


del Receipts
if __name__ == "__main__":
    main()
