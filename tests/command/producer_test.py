# SPDX-License-Identifier: MIT
"""lastbyte send ADDR -- COMMAND: a part of what it prints is never taken for the whole, and nothing
of it is left behind."""

import os
import signal
import socket
import unittest

from harness import Server, each_backend, main, run, seeded, temporary_directory, until
from plain import (FAILED, NO_START, SENT, UNKNOWN, USAGE, Listener, Sender, make_file,
                   receive_all)

FOR_EVER = "while :; do sleep 1000; done"


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return not file.read().rsplit(") ", 1)[1].startswith("Z")
    except FileNotFoundError:
        return False


class Producer(unittest.TestCase):
    def send(self, script, *options, unix=False, **popen):
        """Returns what came, whether its end was an EOF, and what send said."""
        listener = Listener(self, unix)
        sender = Sender(self, *options, listener.address, "--", "sh", "-c", script, **popen)
        connection = listener.accept()
        data, whole = receive_all(connection)
        connection.close()
        return data, whole, *sender.finish()

    def test_what_it_prints_is_the_stream(self):
        path = make_file(self, seeded(3 << 20))
        for unix in (False, True):
            for options in ((), ("--receipt",)):
                data, whole, status, output, errors = self.send(f"cat {path}", *options, unix=unix)
                self.assertTrue(whole and data == seeded(3 << 20))
                self.assertEqual((UNKNOWN if options else SENT, b""), (status, output), errors)

    def test_it_has_standard_input_and_arguments(self):
        listener = Listener(self)
        with open(make_file(self, b"hello"), "rb") as file:
            sender = Sender(self, listener.address, "--", "cat", "--", "-", stdin=file)
        connection = listener.accept()
        self.assertEqual((b"hello", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_a_failure_is_a_reset(self):
        for script, verdict in (("printf hello; exit 3", "exited with status 3"),
                                ("exit 1", "exited with status 1"),
                                ("printf hello; kill -9 $$", "killed by signal 9"),
                                ("printf hello; kill -PIPE $$", "killed by signal 13"),
                                # Its output has ended long before it fails.
                                ("printf hello; exec >&-; sleep 0.2; exit 5", "status 5")):
            for options in ((), ("--receipt",), ("--receipt=sha256", "--retry=3", "--quiet")):
                with self.subTest(script=script, options=options):
                    data, whole, status, _, errors = self.send(script, *options)
                    self.assertFalse(whole)
                    self.assertIn(data, (b"", b"hello"))
                    self.assertEqual(FAILED, status)
                    self.assertIn("'sh': ", errors)
                    self.assertIn(verdict, errors)
                    self.assertEqual(1, errors.count("\n"), errors)

    def test_a_failure_over_a_unix_socket_is_told(self):
        _, _, status, _, errors = self.send("printf hello; exit 3", unix=True)
        self.assertEqual(FAILED, status)
        self.assertIn("exited with status 3; over a Unix socket", errors)

    def test_its_status_is_seen_where_the_parent_ignores_children(self):
        _, whole, status, _, errors = self.send(
            "exit 3", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual((False, FAILED), (whole, status), errors)

    def test_what_it_left_running_prints_too(self):
        data, whole, status, _, errors = self.send(
            "(read line; echo $line) <$0 & exit 0".replace("$0", make_file(self, b"later\n")))
        self.assertEqual((b"later\n", True, SENT), (data, whole, status), errors)

    def test_sigpipe_is_its_own(self):
        data, _, status, _, errors = self.send("yes | head -n 1")
        self.assertEqual((b"y\n", SENT), (data, status), errors)
        self.assertEqual("", errors)

    def test_it_has_the_descriptors_it_was_started_with(self):
        data, _, _, _, errors = self.send("ulimit -n; ls /proc/self/fd | wc -l")
        limit, count = data.split()
        self.assertEqual(os.sysconf("SC_OPEN_MAX"), int(limit), errors)
        self.assertLessEqual(int(count), 4)

    def test_nobody_to_send_to(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            address = "127.0.0.1:%d" % gone.getsockname()[1]
        mark = os.path.join(temporary_directory(self), "mark")
        result = run("send", "--retry=1", address, "--", "touch", mark)
        self.assertEqual(NO_START, result.status, result)
        self.assertFalse(os.path.exists(mark))

    def test_no_such_command(self):
        for name in ("lastbyte-no-such-command", "./none", "/nowhere/none", ""):
            result = run("send", "127.0.0.1:1", "--", name)
            self.assertEqual(NO_START, result.status, result)
            self.assertIn(f"'{name}': no such command", result.errors)
        result = run("send", "127.0.0.1:1", "--", make_file(self, b"no program"))
        self.assertEqual(NO_START, result.status, result)
        self.assertIn("Permission denied", result.errors)

    def test_where_a_command_may_stand(self):
        path = make_file(self, b"x")
        for arguments, word in ((["--", "true"], "where to?"),
                                ([":1", "--"], "./-"),
                                ([":1", path, "--", "true"], "./-"),
                                (["--text=x", ":1", "--", "true"], "--text")):
            result = run("send", *arguments)
            self.assertEqual(USAGE, result.status, result)
            self.assertIn(word, result.errors)

    def test_files_that_begin_with_a_dash(self):
        path = make_file(self, b"hello", "-x")
        server = Server(self, "--once")
        result = run("send", server.address, "./-x", cwd=os.path.dirname(path))
        self.assertEqual(SENT, result.status)
        self.assertEqual(b"hello", server.finish().output)


class Stopped(unittest.TestCase):
    def begin(self, script, **popen):
        """A sender whose producer has told the pids of it and what it has started."""
        listener = Listener(self)
        sender = Sender(self, listener.address, "--", "sh", "-c", script, **popen)
        connection = listener.accept()
        line = b""
        while not line.endswith(b"\n"):
            line += connection.recv(1)
        pids = [int(pid) for pid in line.split()]
        self.assertTrue(all(is_alive(pid) for pid in pids), pids)
        return sender, connection, pids

    def expect_end(self, pids):
        until(lambda: not any(is_alive(pid) for pid in pids), f"the end of {pids}")

    def test_signals_end_it_and_what_it_has_started(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for trap in ("", "trap '' INT TERM HUP; "):
                with self.subTest(signal=number, trap=trap):
                    sender, connection, pids = self.begin(
                        f"{trap}sh -c '{FOR_EVER}' & echo $$ $!; {FOR_EVER}")
                    sender.signal(number)
                    self.assertFalse(receive_all(connection)[1])
                    status, _, errors = sender.finish()
                    self.assertEqual(-number, status, errors)
                    self.assertIn("stopped by " + number.name, errors)
                    self.assertFalse(any(is_alive(pid) for pid in pids))

    def test_the_second_signal_needs_nobody_to_read(self):
        """Neither the answer, nor the first one."""
        sender, connection, pids = self.begin(f"echo $$; {FOR_EVER}")
        connection.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            while True:
                connection.sendall(bytes(100_000))

        def end():
            sender.signal(signal.SIGINT)
            return sender.process.poll()

        self.assertEqual(-signal.SIGINT, until(end, "the sender's end"))
        self.expect_end(pids)

    def test_an_ignored_signal_stays_so(self):
        go = os.path.join(temporary_directory(self), "go")
        os.mkfifo(go)
        sender, connection, _ = self.begin(
            f"echo $$; read line <{go}; echo $line",
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        sender.signal(signal.SIGHUP)
        with open(go, "w", encoding="ascii") as file:
            file.write("on\n")
        self.assertEqual((b"on\n", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_a_kill_ends_it_and_is_a_reset(self):
        sender, connection, pids = self.begin(f"echo $$; {FOR_EVER}")
        sender.signal(signal.SIGKILL)
        self.assertFalse(receive_all(connection)[1])
        self.expect_end(pids)

    def test_a_server_that_goes_ends_it(self):
        sender, connection, pids = self.begin("echo $$; exec yes")
        connection.close()
        self.assertEqual(FAILED, sender.finish()[0])
        self.assertFalse(is_alive(pids[0]))

    def test_a_server_that_resets_ends_a_silent_one(self):
        sender, connection, pids = self.begin(f"echo $$; {FOR_EVER}")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        status, _, errors = sender.finish()
        self.assertEqual(FAILED, status)
        self.assertIn("reset", errors)
        self.assertFalse(is_alive(pids[0]))

    def test_its_time_is_up(self):
        for script in (FOR_EVER, "exec >&-; " + FOR_EVER):
            listener = Listener(self)
            sender = Sender(self, "--max-time=0.3", listener.address, "--", "sh", "-c", script)
            self.assertEqual((b"", False), receive_all(listener.accept()))
            status, _, errors = sender.finish()
            self.assertEqual(FAILED, status)
            self.assertIn("--max-time", errors)


@each_backend
class EndToEnd(unittest.TestCase):
    def test_what_failed_is_not_published(self, backend):
        directory = temporary_directory(self)
        server = Server(self, "--backend=" + backend, "--sink=dir:" + directory, "--receipt",
                        "--count=2", "--stats=json")
        failing = run("send", "--receipt", server.address, "--", "sh", "-c",
                      "head -c 3000000 /dev/zero; exit 7")
        self.assertEqual(FAILED, failing.status, failing)
        whole = run("send", "--receipt", server.address, "--", "sh", "-c", "printf hello")
        self.assertEqual(SENT, whole.status, whole)
        received = server.finish()
        self.assertEqual((1, 1), (received.stats["ends"]["eof"], received.stats["ends"]["reset"]))
        published = [name for name in os.listdir(directory) if not name.endswith(".partial")]
        self.assertEqual(1, len(published))
        with open(os.path.join(directory, published[0]), "rb") as file:
            self.assertEqual(b"hello", file.read())


if __name__ == "__main__":
    main()
