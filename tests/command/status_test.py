# SPDX-License-Identifier: MIT
"""What the command exits with, and what it says about bad input."""

import os
import re
import socket
import unittest

from harness import BACKENDS, Server, each_backend, exchange, main, reset, run, temporary_directory

# The arguments, and what the one line on standard error must name: option, value, remedy.
MISUSES = (
    (["recv", "--backend=fast"], ("--backend", "fast", "uring")),
    (["recv", "--sink=bin"], ("--sink", "bin", "discard")),
    (["recv", "--sink=hash:md5"], ("--sink", "md5", "sha256")),
    (["recv", "--sink=file:"], ("--sink", "file:", "PATH")),
    (["recv", "--sink=dir:"], ("--sink", "dir:", "PATH")),
    (["recv", "--sink=exec:"], ("--sink", "exec:", "COMMAND")),
    (["recv", "--append"], ("--sink", "print", "--append", "file:PATH")),
    (["recv", "--direct", "--sink=hash"], ("--sink", "hash", "--direct", "file:PATH", "dir:PATH")),
    (["recv", "--spool-max=1M"], ("--sink", "print", "--spool-max", "exec:COMMAND")),
    (["recv", "--no-fsync", "--receipt"], ("--sink", "print", "--no-fsync", "dir:PATH")),
    (["recv", "--listen=nonsense"], ("--listen", "nonsense", "HOST:PORT")),
    (["recv", "--listen=127.0.0.1:65536"], ("--listen", "65536", "65535")),
    (["recv", "--listen=[::1:80"], ("--listen", "[::1:80", "]")),
    (["recv", "--listen=unix:"], ("--listen", "unix:", "PATH")),
    (["recv", "--listen=unix:" + "x" * 200], ("--listen", "unix:x", "107")),
    (["recv", "--listen=fd:x"], ("--listen", "fd:x", "fd:3")),
    (["recv", "--count=many"], ("--count", "many", "number")),
    (["recv", "--count=-1"], ("--count", "-1", "number")),
    (["recv", "--workers=0"], ("--workers", "0", "1")),
    (["recv", "--buffer-size=12Q"], ("--buffer-size", "12Q", "256K")),
    (["recv", "--buffer-size=99999999999G"], ("--buffer-size", "99999999999G", "G")),
    (["recv", "--buffers=x"], ("--buffers", "x", "number")),
    (["recv", "--max-streams=0"], ("--max-streams", "0", "1")),
    (["recv", "--backlog=x"], ("--backlog", "x", "number")),
    (["recv", "--rcvbuf=x"], ("--rcvbuf", "x", "256K")),
    (["recv", r"--greeting=a\q"], ("--greeting", r"\q", r"\n")),
    (["recv", "--stats=xml"], ("--stats", "xml", "json")),
    (["recv", "--tune=fast"], ("--tune", "fast", "save-cpu")),
    (["recv", "--progress=often"], ("--progress", "often", "seconds")),
    (["recv", "--drain=-1"], ("--drain", "-1", "seconds")),
    (["recv", "--frobnicate"], ("--frobnicate", "--help")),
    (["recv", "--count"], ("--count", "N")),
    (["recv", "stray"], ("stray",)),
    (["send"], ("ADDR",)),
    (["send", "nonsense"], ("nonsense", "HOST:PORT")),
    (["send", "--retry=x", "localhost:1"], ("--retry", "x", "number")),
    (["send", "--parallel=0", "localhost:1"], ("--parallel", "0", "1")),
    (["send", "--connect-timeout=soon", "localhost:1"], ("--connect-timeout", "soon", "seconds")),
    (["send", "--text=x", "localhost:1", "file"], ("--text", "file")),
    (["probe", "--xml"], ("--xml", "--help")),
    (["bench", "--pairs=0"], ("--pairs", "0", "1")),
    (["bench", "bulk"], ("bulk", "bench takes only options")),
    (["receive"], ("receive", "recv")),
)


class Usage(unittest.TestCase):
    def test_misuse_gets_one_line_with_option_value_and_remedy(self):
        for arguments, words in MISUSES:
            with self.subTest(arguments=" ".join(arguments)[:60]):
                result = run(*arguments)
                self.assertEqual(2, result.status, result)
                self.assertEqual(b"", result.output)
                self.assertEqual(1, result.errors.count("\n"), result)
                for word in words:
                    self.assertIn(word, result.errors)

    def test_a_typo_is_answered_by_the_nearest(self):
        for arguments, meant in ((["reciv"], "recv"), (["recv", "--sinks=x"], "--sink"),
                                 (["recv", "--max-steams=1"], "--max-streams"),
                                 (["send", "--reciept", ":1"], "--receipt")):
            result = run(*arguments)
            self.assertEqual((2, 1), (result.status, result.errors.count("\n")), result)
            self.assertIn(f"did you mean {meant}?", result.errors)

    def test_help_is_in_groups(self):
        """No option stands outside one, and none has more than a screen."""
        for command in ("recv", "send"):
            text = run(command, "--help").output.decode()
            groups = re.split(r"\n\n(?=[A-Z].*:\n)", text)
            self.assertNotRegex(groups[0], r"\n  (-\w, |    )--")
            options = [len(re.findall(r"^  (?:-\w, |    )--", group, re.M)) for group in groups]
            self.assertGreater(sum(count > 0 for count in options), 2)
            self.assertLess(max(options), 24)

    def test_no_command_lists_the_commands(self):
        result = run()
        self.assertEqual((2, b""), (result.status, result.output), result)
        for command in ("recv", "send", "probe", "bench"):
            self.assertIn(command, result.errors)

    def test_help_and_version_go_to_standard_output(self):
        for arguments in (["--help"], ["--version"], ["recv", "--help"], ["recv", "--version"],
                          ["send", "--help"], ["probe", "--help"],
                          ["bench", "--help"]):
            with self.subTest(arguments=" ".join(arguments)):
                result = run(*arguments)
                self.assertEqual((0, ""), (result.status, result.errors), result)
                self.assertTrue(result.output)

    def test_recv_help_lists_every_option_of_the_manual(self):
        text = run("recv", "--help").output.decode()
        for option in ("listen", "backend", "sink", "count", "once", "workers", "buffer-size",
                       "buffers", "max-streams", "backlog", "rcvbuf", "greeting", "stats",
                       "progress", "drain", "append", "direct", "no-splice", "quiet", "verbose",
                       "help", "version"):
            self.assertIn("--" + option, text)

    def test_recv_help_lists_sinks_and_backends(self):
        text = run("recv", "--help").output.decode()
        for word in ("print ", "hash[:ALGO] ", "dir:PATH ", "exec:COMMAND ", *BACKENDS):
            self.assertIn("\n  " + word, text)

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            self.assertNotEqual(0, run("probe", stdout=full).status)
            self.assertNotEqual(0, run("recv", "--help", stdout=full).status)
            # More than is written at once: it is the writing that fails.
            for command in (["help", "--json"], ["probe", "--json"]):
                result = run(*command, stdout=full)
                self.assertEqual(1, result.status, result)
                self.assertIn("standard output: No space left", result.errors)


@each_backend
class Start(unittest.TestCase):
    def refused(self, *options):
        result = run("recv", *options)
        self.assertEqual(3, result.status, result)
        self.assertNotIn("listening on", result.errors)
        self.assertEqual(1, result.errors.count("\n"), result)
        return result.errors

    def test_an_address_in_use(self, backend):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.assertIn(address, self.refused("--backend=" + backend, "--listen=" + address))

    def test_an_address_of_another_machine(self, backend):
        self.assertIn("192.0.2.1:0",
                      self.refused("--backend=" + backend, "--listen=192.0.2.1:0"))

    def test_a_second_server_on_the_same_port(self, backend):
        server = Server(self, "--backend=" + backend)
        self.assertIn(server.address,
                      self.refused("--backend=" + backend, "--listen=" + server.address))

    def test_sinks_that_cannot_be_opened(self, backend):
        directory = temporary_directory(self)
        missing = os.path.join(directory, "missing")
        exists = os.path.join(directory, "exists")
        with open(exists, "w", encoding="ascii") as file:
            file.write("kept")
        for sink in (f"dir:{missing}", f"dir:{exists}", f"file:{missing}/file", f"file:{exists}"):
            with self.subTest(sink=sink):
                self.assertIn(sink.split(":")[1],
                              self.refused("--backend=" + backend, "--listen=127.0.0.1:0",
                                           "--sink=" + sink))
        with open(exists, encoding="ascii") as file:
            self.assertEqual("kept", file.read())

    def test_nothing_is_half_started(self, backend):
        # The first address is free and the second is not: the first must be free again.
        directory = temporary_directory(self)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refused("--backend=" + backend, f"--listen=unix:{directory}/socket",
                         "--listen=127.0.0.1:%d" % taken.getsockname()[1])
        self.assertEqual([], os.listdir(directory))


@each_backend
class Ends(unittest.TestCase):
    def test_zero_when_every_stream_ended_eof(self, backend):
        server = Server(self, "--backend=" + backend, "--count=3")
        for _ in range(3):
            exchange(server.connect(), b"x")
        self.assertEqual(0, server.finish().status)

    def test_one_when_one_did_not(self, backend):
        server = Server(self, "--backend=" + backend, "--count=3", "--stats=json")
        exchange(server.connect(), b"x")
        connection = server.connect()
        connection.sendall(b"x")
        reset(connection)
        exchange(server.connect(), b"x")
        result = server.finish()
        self.assertEqual(1, result.status, result)
        self.assertEqual((3, 2, 1, 1), (
            result.stats["streams"], result.stats["ends"]["eof"], result.stats["ends"]["reset"],
            result.stats["partial"]), result)


if __name__ == "__main__":
    main()
