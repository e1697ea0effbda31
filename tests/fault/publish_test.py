# SPDX-License-Identifier: MIT
"""Family 4: the server is killed at every step of publishing. Whatever has its final name is whole,
who was told "ok" finds it, and the next run tidies, says so, and goes on."""

import itertools
import os
import signal
import unittest

import tally
from disk import OK, TRANSPORTS, DiskServer, Sender, published, read, send
from harness import SMALL, each_backend, main, seeded, temporary_directory

DATA = seeded(1000)


@each_backend
class Killed(unittest.TestCase):
    def count_steps(self, backend, options):
        """How many calls on the disk a stream takes."""
        directory = temporary_directory(self)
        self.prepare(directory)
        server = DiskServer(self, backend, "tcp", *options(directory), "--once")
        self.assertTrue(OK.fullmatch(send(server, DATA)))
        self.assertEqual(0, server.finish().status)
        steps = len(server.calls())
        self.assertGreaterEqual(steps, 6)
        return steps

    def prepare(self, directory):
        """What is there before the stream comes."""

    def kill_at_each_step(self, backend, options, check, come_back=None):
        come_back = come_back or self.come_back
        steps = self.count_steps(backend, options)
        # After one call is before the next, but for the last.
        moments = [(nth, "stall-before") for nth in range(1, steps + 1)]
        moments += [(steps, "stall-after")]
        for transport, (nth, moment) in itertools.product(TRANSPORTS, moments):
            if SMALL and transport == "unix":
                continue
            with self.subTest(transport=transport, nth=nth, moment=moment):
                directory = temporary_directory(self)
                self.prepare(directory)
                server = DiskServer(self, backend, transport, *options(directory),
                                    fault=f"any {nth} {moment}")
                sender = Sender(server, DATA).end()
                server.await_stall()
                server.signal(signal.SIGKILL)
                heard = sender.hear()
                self.assertEqual(-signal.SIGKILL, server.finish().status)
                check(directory, heard)
                come_back(backend, transport, options(directory), directory)
                tally.held(4, backend, transport)

    def come_back(self, backend, transport, options, directory):
        before = os.listdir(directory)
        left = [name for name in before if name.endswith((".receiving", ".appending"))]
        told = left
        if options[0].startswith("--sink=dir:"):
            # One without a byte may be what a living server has just made.
            told = [name for name in left if os.path.getsize(os.path.join(directory, name)) > 0]
        server = DiskServer(self, backend, transport, *options, "--once")
        heard = OK.fullmatch(send(server, DATA))
        result = server.finish()
        self.assertTrue(heard, result)
        self.assertEqual(0, result.status, result)
        self.assertEqual(bool(told), "left unfinished" in result.errors, (before, result))
        after = os.listdir(directory)
        self.assertFalse(set(left) & set(after), after)
        self.assertEqual(len(left), len([name for name in after if name.endswith(".partial")]),
                         (before, after))

    def check_whole(self, directory, heard):
        """What has a final name is whole; after "ok" there is one."""
        names = published(directory)
        for name in names:
            self.assertEqual(DATA, read(directory, name), name)
        if heard:
            self.assertTrue(OK.fullmatch(heard), heard)
            self.assertEqual(1, len(names), names)

    def test_dir(self, backend):
        self.kill_at_each_step(backend, lambda directory: ["--sink=dir:" + directory],
                               self.check_whole)

    def test_file(self, backend):
        def check(directory, heard):
            self.check_whole(directory, heard)
            # Its owner takes it away, and starts the server again.
            for name in published(directory):
                os.remove(os.path.join(directory, name))

        self.kill_at_each_step(backend, lambda directory: [f"--sink=file:{directory}/file"], check)

    def test_append(self, backend):
        """Of a stream that nobody was told is safe either all is in the file, or nothing."""
        before = b"before "

        def prepare(directory):
            with open(os.path.join(directory, "file"), "wb") as file:
                file.write(before)

        def check(directory, heard):
            if heard:
                self.assertTrue(OK.fullmatch(heard), heard)
                self.assertEqual(before + DATA, read(directory, "file"))

        def come_back(backend, transport, options, directory):
            was = read(directory, "file")
            marked = any(".appending-" in name for name in os.listdir(directory))
            server = DiskServer(self, backend, transport, *options, "--once")
            self.assertTrue(OK.fullmatch(send(server, DATA)))
            result = server.finish()
            self.assertEqual(0, result.status, result)
            kept = before if marked else was
            self.assertEqual(kept + DATA, read(directory, "file"))
            self.assertEqual(marked and was != before, "taken out" in result.errors, result)
            for name in os.listdir(directory):
                self.assertTrue(name == "file" or name.endswith(".partial"), name)

        self.prepare = prepare
        self.kill_at_each_step(backend,
                               lambda directory: ["--append", f"--sink=file:{directory}/file"],
                               check, come_back)


if __name__ == "__main__":
    main()
