# SPDX-License-Identifier: MIT
"""What is told on standard error."""

import json
import os
import pty
import select
import signal
import unittest

from harness import DEADLINE, Server, each_backend, exchange, main, seeded

ENDS = {"eof", "reset", "timeout", "limit", "sink", "stopped", "error", "truncated"}
COUNTS = ("workers", "bytes", "streams", "waits", "receives", "starved", "partial",
          "refused", "accepted", "empty")


@each_backend
class Stats(unittest.TestCase):
    def served(self, backend, *options):
        server = Server(self, "--backend=" + backend, "--count=2", "--sink=discard", *options)
        for seed in (1, 2):
            exchange(server.connect(), seeded(200_000, seed))
        result = server.finish()
        self.assertEqual(0, result.status, result)
        return result

    def test_json_has_every_field_and_the_books_balance(self, backend):
        result = self.served(backend, "--stats=json", "--workers=2")
        stats = result.stats
        self.assertEqual(backend, stats["backend"])
        self.assertEqual(2, stats["workers"])
        self.assertEqual(ENDS, set(stats["ends"]))
        self.assertEqual(stats["streams"], sum(stats["ends"].values()))
        self.assertEqual((2, 400_000, 0), (stats["streams"], stats["bytes"], stats["partial"]))
        for name in COUNTS:
            self.assertIs(int, type(stats[name]), name)
            self.assertGreaterEqual(stats[name], 0, name)
        self.assertGreater(stats["receives"], 1)
        self.assertGreater(stats["waits"], 0)
        self.assertGreater(stats["wall_seconds"], 0)
        self.assertGreater(stats["cpu_seconds"], 0)
        self.assertTrue(result.errors.endswith("}\n"), result)

    def test_text_is_the_default_and_names_the_end(self, backend):
        result = self.served(backend)
        self.assertRegex(result.errors, r"2 streams")
        self.assertRegex(result.errors, backend)

    def test_none_tells_the_address_only(self, backend):
        result = self.served(backend, "--stats=none")
        self.assertRegex(result.errors, r"\A(lastbyte: )?listening on 127\.0\.0\.1:\d+\n\Z")

    def test_verbose_tells_what_was_chosen(self, backend):
        self.assertIn(backend, self.served(backend, "--verbose", "--stats=none").errors)

    def test_progress_comes_where_no_terminal_is(self, backend):
        server = Server(self, "--backend=" + backend, "--progress=0.1", "--sink=discard",
                        "--once", "--stats=none")
        connection = server.connect()
        connection.sendall(b"x" * 1000)
        before = len(server.errors.data)
        server.errors.wait_for(lambda data: b"1 stream" in data[before:], "a line of progress")
        exchange(connection, b"")
        self.assertEqual(0, server.finish().status)

    def test_progress_does_not_come_by_itself_into_a_file(self, backend):
        self.assertEqual(1, self.served(backend, "--stats=none").errors.count("\n"))


class Log(unittest.TestCase):
    MEMBERS = ["type", "id", "peer", "end", "reason", "error", "bytes", "seconds"]

    def test_events_are_objects_with_the_members_that_the_manual_lists(self):
        server = Server(self, "--log=json", "--count=2", "--max-bytes=10", "--workers=1",
                        "--stats=none", "--sink=discard")
        exchange(server.connect(), b"ten bytes!")
        with server.connect() as broken:
            broken.sendall(b"eleven bytes, and more")
            with self.assertRaises(ConnectionResetError):
                while broken.recv(1):
                    pass
        result = server.finish()
        self.assertEqual(1, result.status)
        lines = [json.loads(line) for line in result.errors.splitlines() if line[0] == "{"]
        events = [line for line in lines if line["type"] != "note"]
        notes = [line for line in lines if line["type"] == "note"]
        for event in events:
            self.assertEqual(self.MEMBERS, list(event))
        self.assertEqual(["listening", "end", "end"], [event["type"] for event in events])
        self.assertEqual([None, "eof", "limit"], [event["end"] for event in events])
        self.assertEqual([None, None, "max-bytes"], [event["reason"] for event in events])
        self.assertEqual([None, 10, 10], [event["bytes"] for event in events])
        self.assertEqual([None, 1, 2], [event["id"] for event in events])
        self.assertEqual(server.address, events[0]["peer"])
        self.assertRegex(events[1]["peer"], r"^127\.0\.0\.1:\d+$")
        self.assertTrue(0 <= events[1]["seconds"] < DEADLINE)
        self.assertEqual("warning", notes[0]["level"])
        self.assertIn("max-bytes", notes[0]["text"])
        self.assertEqual(len(lines) + 1, result.errors.count("\n"))

    def test_who_is_refused_is_told_with_the_reason(self):
        server = Server(self, "--log=json", "--quiet", "--deny=127.0.0.0/8", "--stats=none")
        with self.assertRaises(ConnectionResetError), server.connect() as refused:
            refused.recv(1)
        server.errors.wait_for(lambda data: b'"refused"' in data, "the event")
        server.signal(signal.SIGTERM)
        event = json.loads(server.finish().errors.splitlines()[-1])
        self.assertEqual(("refused", "limit", "denied", 1),
                         (event["type"], event["end"], event["reason"], event["id"]))


class Terminal(unittest.TestCase):
    def test_progress_comes_by_itself_on_a_terminal(self):
        # script(1) would do, but it is not everywhere.
        try:
            child, terminal = pty.fork()
        except OSError as error:
            self.skipTest(f"no terminal to be had here: {error}")
        if child == 0:
            os.execve(os.environ["LASTBYTE"], ["lastbyte", "recv", "--listen=127.0.0.1:0",
                                               "--sink=discard"], {"TERM": "xterm"})
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, 9)
        seen = b""
        while b"0 streams" not in seen:
            self.assertTrue(select.select([terminal], [], [], DEADLINE)[0], seen)
            seen += os.read(terminal, 4096)


if __name__ == "__main__":
    main()
