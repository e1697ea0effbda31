# SPDX-License-Identifier: MIT
"""Where files go: into the directory that was opened at the start, under names of the server's, and
nowhere else, whatever peers send and whoever else may write there."""

import contextlib
import os
import re
import socket
import stat
import unittest

from harness import Server, each_backend, exchange, main, run, temporary_directory, until

STAMP = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9]{6,}")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


@each_backend
class Directory(unittest.TestCase):
    def setUp(self):
        self.base = temporary_directory(self)
        self.drop = os.path.join(self.base, "drop")
        os.mkdir(self.drop)

    def serve(self, backend, path, *options, **more):
        return Server(self, "--backend=" + backend, "--sink=dir:" + path, "--stats=json", *options,
                      **more)

    def assert_received(self, directory, *contents):
        names = os.listdir(directory)
        for name in names:
            self.assertRegex(name, f"^{STAMP.pattern}$")
        self.assertEqual(sorted(contents),
                         sorted(read(os.path.join(directory, name)) for name in names))

    def test_peers_name_nothing(self, backend):
        path = os.path.join(self.base, "..", os.path.basename(self.base), "socket")
        server = self.serve(backend, self.drop, "--count=3", "--listen=unix:" + path)
        sent = (b"../../escape\n", b"/etc/passwd\0", b"\xff/../\n")
        for number, data in enumerate(sent):
            with socket.socket(socket.AF_UNIX) as connection:
                # The name of a Unix peer is of its choosing.
                connection.bind(os.path.join(self.base, f"..{number}"))
                connection.connect(path)
                exchange(connection, data)
        self.assertEqual(0, server.finish().status)
        self.assert_received(self.drop, *sent)
        self.assertEqual(["..0", "..1", "..2", "drop"], sorted(os.listdir(self.base)))

    def test_a_directory_that_moves_is_still_the_one(self, backend):
        server = self.serve(backend, self.drop, "--count=2")
        exchange(server.connect(), b"before")
        moved, other = self.drop + ".moved", os.path.join(self.base, "other")
        until(lambda: len(os.listdir(self.drop)) == 1, "the first file")
        os.rename(self.drop, moved)
        os.mkdir(other)
        os.symlink(other, self.drop)
        exchange(server.connect(), b"after")
        self.assertEqual(0, server.finish().status)
        self.assert_received(moved, b"before", b"after")
        self.assert_received(other)

    def test_a_link_to_the_directory_is_followed_once(self, backend):
        link, other = os.path.join(self.base, "link"), os.path.join(self.base, "other")
        os.symlink(self.drop, link)
        os.mkdir(other)
        server = self.serve(backend, os.path.join(self.base, "drop", "..", "link"), "--once")
        os.unlink(link)
        os.symlink(other, link)
        exchange(server.connect(), b"x")
        self.assertEqual(0, server.finish().status)
        self.assert_received(self.drop, b"x")
        self.assert_received(other)

    def test_files_are_private_whatever_the_umask(self, backend):
        for umask in (0, 0o077):
            server = self.serve(backend, self.drop, "--count=2", umask=umask)
            exchange(server.connect(), b"x")
            server.connect().close()
            self.assertEqual(0, server.finish().status)
        modes = {stat.S_IMODE(os.stat(os.path.join(self.drop, name)).st_mode)
                 for name in os.listdir(self.drop)}
        self.assertEqual({0o600}, modes)


@each_backend
class File(unittest.TestCase):
    """Somebody else may write where the file is to be."""

    def setUp(self):
        self.base = temporary_directory(self)
        self.path = os.path.join(self.base, "file")
        self.precious = os.path.join(self.base, "precious")
        write(self.precious, b"precious")

    def serve(self, backend, *options):
        return Server(self, "--backend=" + backend, "--sink=file:" + self.path, "--once",
                      "--stats=json", *options)

    def send(self, server):
        with contextlib.suppress(OSError):  # a stream that fails is reset
            exchange(server.connect(), b"x")

    def assert_refused(self, result):
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["sink"]), result)
        self.assertEqual(b"precious", read(self.precious))
        self.assertTrue(os.path.islink(self.path))

    def test_a_link_planted_in_time_is_not_followed(self, backend):
        server = self.serve(backend)
        os.symlink(self.precious, self.path)
        self.send(server)
        self.assert_refused(server.finish())

    def test_nor_appended_to(self, backend):
        write(self.path, b"")
        server = self.serve(backend, "--append")
        os.unlink(self.path)
        os.symlink(self.precious, self.path)
        self.send(server)
        self.assert_refused(server.finish())

    def test_nor_one_for_what_is_being_received(self, backend):
        server = self.serve(backend)
        os.symlink(self.precious, self.path + ".receiving")
        self.send(server)
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["sink"]), result)
        self.assertEqual(b"precious", read(self.precious))
        self.assertFalse(os.path.lexists(self.path))

    def test_names_of_directories_are_refused(self, backend):
        for name in ("..", ".", "", "drop/..", "precious/.."):
            result = run("recv", "--backend=" + backend, "--listen=127.0.0.1:0",
                         f"--sink=file:{self.base}/{name}")
            self.assertIn(result.status, (2, 3), result)
            self.assertEqual(1, result.errors.count("\n"), result)
        self.assertEqual(["precious"], os.listdir(self.base))


if __name__ == "__main__":
    main()
