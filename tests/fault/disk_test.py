# SPDX-License-Identifier: MIT
"""Family 5: the disk is full, limited, broken or slow. No file is published that isn't safe, its
sender is told, other streams don't feel it, and the server goes on."""

import os
import resource
import shutil
import signal
import subprocess
import unittest

import tally
from disk import OK, TRANSPORTS, DiskServer, Sender, published, read, send
from harness import each_backend, main, run, seeded, temporary_directory, until

DATA = seeded(1000)
LARGE = seeded(2 << 20)
STREAMS = 50  # fewer than the blocking backend has workers


def limit_files(size):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


class SmallDisk:
    """The prefix that gives a server a tmpfs of one MiB over a directory, for itself alone."""

    def __init__(self, test):
        self.directory = temporary_directory(test)
        self.prefix = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]),
                       "sh", "-c",
                       f'mount -t tmpfs -o size=1m tmpfs "{self.directory}" && exec "$@"', "sh"]
        if not shutil.which("unshare") or subprocess.run([*self.prefix, "true"], check=False,
                                                         stderr=subprocess.DEVNULL).returncode:
            test.skipTest("no mount namespace may be made here")

    def seen_by(self, server):
        return f"/proc/{server.process.pid}/root{self.directory}"


def size_of(directory):
    """Of all files below it."""
    return sum(os.path.getsize(os.path.join(path, name))
               for path, _, names in os.walk(directory) for name in names)


@each_backend
class Disk(unittest.TestCase):
    def on_each(self, backend, check):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport):
                check(backend, transport)
                tally.held(5, backend, transport)

    def finish(self, server):
        server.signal(signal.SIGTERM)
        return server.finish()

    def is_published(self, directory, heard, data):
        size, name = OK.fullmatch(heard).groups()
        self.assertEqual(len(data), int(size))
        self.assertEqual(data, read(directory, name.decode()))

    def check_full(self, server, directory, reason):
        """A stream that doesn't fit, between two that do."""
        other = Sender(server, DATA)
        until(lambda: [name for name in os.listdir(directory)
                       if os.path.getsize(os.path.join(directory, name)) == len(DATA)],
              "the other stream under way")
        heard = send(server, LARGE)
        self.assertRegex(heard, rb"^error sink:%s \d+\n$" % reason)
        self.assertEqual([], published(directory))
        self.is_published(directory, other.end().hear(), DATA)

    def test_full(self, backend):
        def check(backend, transport):
            disk = SmallDisk(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + disk.directory,
                           prefix=disk.prefix)
            directory = disk.seen_by(server)
            self.check_full(server, directory, b"ENOSPC")
            # No room yet: the same again. Room: it goes on.
            self.assertRegex(send(server, DATA), rb"^error sink:ENOSPC \d+\n$")
            for name in os.listdir(directory):
                if name.endswith(".partial"):
                    os.remove(os.path.join(directory, name))
            self.is_published(directory, send(server, LARGE[:500000]), LARGE[:500000])
            self.assertEqual(1, self.finish(server).status)

        self.on_each(backend, check)

    def test_limit(self, backend):
        def check(backend, transport):
            directory = temporary_directory(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + directory,
                           preexec_fn=limit_files(100000))
            self.check_full(server, directory, b"EFBIG")
            self.is_published(directory, send(server, DATA), DATA)
            self.assertEqual(1, self.finish(server).status)

        self.on_each(backend, check)

    def fail_once(self, backend, transport, call, sink):
        """One call fails for one stream, while another is under way: before it, behind it."""
        directory = temporary_directory(self)
        options = ["--sink=" + sink(directory)]
        server = DiskServer(self, backend, transport, *options, fault=f"{call} 1 5")
        heard = send(server, DATA)
        taken = b"0" if call in ("openat", "write") else b"1000"
        self.assertEqual(b"error sink:EIO " + taken + b"\n", heard)
        self.assertEqual([], published(directory))
        kept = [name for name in os.listdir(directory) if name.endswith(".partial")]
        self.assertEqual(call != "openat", bool(kept), os.listdir(directory))
        return server, directory

    def test_errors(self, backend):
        for call in ("openat", "write", "fsync", "close", "renameat2"):
            def check(backend, transport, call=call):
                server, directory = self.fail_once(backend, transport, call,
                                                lambda directory: "dir:" + directory)
                self.is_published(directory, send(server, DATA), DATA)
                result = self.finish(server)
                self.assertIn("sink after", result.errors)

            with self.subTest(call=call):
                self.on_each(backend, check)

    def test_a_failed_sync_of_the_directory_is_final(self, backend):
        """The next sync would succeed, and prove nothing: nobody is told "ok" any more."""
        def check(backend, transport):
            server, directory = self.fail_once(backend, transport, "fsync-directory",
                                               lambda directory: "dir:" + directory)
            self.assertEqual(b"error sink:EIO 0\n", send(server, DATA))
            self.assertEqual([], published(directory))
            self.assertEqual(1, server.calls().count("fsync-directory"))
            self.assertIn("could not be synced", self.finish(server).errors)

        self.on_each(backend, check)

    def test_a_withdraw_that_fails_is_told(self, backend):
        """What is not safe keeps its name: its owner has to know."""
        def check(backend, transport):
            directory = temporary_directory(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + directory,
                                fault="fsync-directory 1 5 renameat2 2 5")
            self.assertEqual(b"error sink:EIO 1000\n", send(server, DATA))
            name, = published(directory)
            self.assertIn(f'"{name}" is not safe', self.finish(server).errors)

        self.on_each(backend, check)

    def test_errors_of_one_file(self, backend):
        for call in ("openat", "write", "fsync", "close", "renameat2", "fsync-directory"):
            def check(backend, transport, call=call):
                server, _ = self.fail_once(backend, transport, call,
                                                lambda directory: f"file:{directory}/file")
                self.finish(server)

            with self.subTest(call=call):
                self.on_each(backend, check)

    def test_errors_of_appending(self, backend):
        """All of it is at the end, or nothing."""
        for call in ("copy_file_range 1", "unlinkat 1", "openat 2", "openat 3"):
            def check(backend, transport, call=call):
                path = os.path.join(temporary_directory(self), "file")
                with open(path, "wb") as file:
                    file.write(b"before ")
                server = DiskServer(self, backend, transport, "--append", "--sink=file:" + path,
                               fault=f"{call} 5")
                self.assertRegex(send(server, DATA), rb"^error sink:EIO 1000\n$")
                self.assertIn(read(path), (b"before ", b"before " + DATA))
                self.assertTrue(OK.fullmatch(send(server, b"after")))
                self.assertTrue(read(path).endswith(b"after"))
                self.finish(server)

            with self.subTest(call=call):
                self.on_each(backend, check)

    def test_a_failed_sync_of_the_file_is_final(self, backend):
        for call in ("fsync 1", "fsync-directory 1", "fsync-directory 2", "ftruncate 1"):
            def check(backend, transport, call=call):
                path = os.path.join(temporary_directory(self), "file")
                with open(path, "wb") as file:
                    file.write(b"before ")
                fault = f"{call} 5" if call[:5] == "fsync" else f"copy_file_range 1 5 {call} 5"
                server = DiskServer(self, backend, transport, "--append", "--sink=file:" + path,
                                    fault=fault)
                self.assertEqual(b"error sink:EIO 1000\n", send(server, DATA))
                self.assertEqual(b"error sink:EIO 0\n", send(server, b"after"))
                self.assertEqual(b"before ", read(path))
                self.assertIn("start the server again", self.finish(server).errors)

            with self.subTest(call=call):
                self.on_each(backend, check)

    def test_no_receipt_for_what_is_removed(self, backend):
        """The directory is removed while a stream is received, and another one takes its place."""
        def check(backend, transport):
            drop = os.path.join(temporary_directory(self), "drop")
            os.mkdir(drop)
            server = DiskServer(self, backend, transport, "--sink=dir:" + drop)
            sender = Sender(server, DATA)
            # Not only its name, which is there before the sink has looked at the directory again.
            until(lambda: size_of(drop) == len(DATA), "the stream under way")
            shutil.rmtree(drop)
            os.mkdir(drop)
            self.assertRegex(sender.end().hear(), rb"^error sink:(ESTALE|ENOENT) 1000\n$")
            self.assertEqual(b"error sink:ESTALE 0\n", send(server, DATA))
            self.assertEqual([], os.listdir(drop))
            self.assertIn("was removed", self.finish(server).errors)

        self.on_each(backend, check)

    def test_stall(self, backend):
        """One file's disk stalls: the others' senders are told meanwhile, and it last."""
        def check(backend, transport):
            directory = temporary_directory(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + directory,
                                fault="fsync 1 stall-before")
            slow = Sender(server, DATA).end()
            server.await_stall()
            for size in (0, 1000, len(LARGE)):
                self.is_published(directory, send(server, LARGE[:size]), LARGE[:size])
            slow.socket.setblocking(False)
            self.assertRaises(BlockingIOError, slow.socket.recv, 1)
            slow.socket.setblocking(True)
            server.go_on()
            self.is_published(directory, slow.hear(), DATA)
            self.assertEqual(0, self.finish(server).status)

        self.on_each(backend, check)

    def test_group_commit(self, backend):
        """While one sync of the directory takes its time, many streams come to wait for the next:
        it is one for all of them. Receiving goes on meanwhile."""
        def check(backend, transport):
            directory = temporary_directory(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + directory,
                                fault="fsync-directory 1 stall-before")
            senders = [Sender(server, DATA).end()]
            server.await_stall()
            senders += [Sender(server, DATA).end() for _ in range(STREAMS)]
            until(lambda: len(published(directory)) == len(senders), "each has its name")
            server.go_on()
            for sender in senders:
                self.is_published(directory, sender.hear(), DATA)
            self.assertEqual(0, self.finish(server).status)
            calls = server.calls()
            self.assertEqual(len(senders), calls.count("fsync"))
            self.assertEqual(2, calls.count("fsync-directory"))

        self.on_each(backend, check)

    def test_no_fsync(self, backend):
        """Told without a sync, as it was asked for; and never synced if nobody is told."""
        def check(backend, transport):
            directory = temporary_directory(self)
            server = DiskServer(self, backend, transport, "--sink=dir:" + directory, "--no-fsync")
            self.is_published(directory, send(server, DATA), DATA)
            self.assertEqual(0, self.finish(server).status)
            calls = server.calls()
            self.assertIn("renameat2", calls)
            self.assertFalse({"fsync", "fsync-directory"} & set(calls), calls)

        self.on_each(backend, check)

    def test_no_fsync_is_for_receipts(self, backend):
        result = run("recv", "--no-fsync", "--backend=" + backend)
        self.assertEqual(2, result.status)
        self.assertIn("--receipt", result.errors)

if __name__ == "__main__":
    main()
