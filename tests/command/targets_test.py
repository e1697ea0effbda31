# SPDX-License-Identifier: MIT
"""lastbyte send to several addresses: the first that can be connected to, for each try anew."""

import socket
import unittest

from harness import Server, main, run, temporary_directory
from plain import NO_START, SENT, USAGE, Listener, Sender, receive_all


def refusing_port(test):
    """Of 127.0.0.4, where nobody listens and from where nobody connects."""
    holder = socket.socket()
    holder.bind(("127.0.0.4", 0))
    test.addCleanup(holder.close)
    return f"127.0.0.4:{holder.getsockname()[1]}"


class Targets(unittest.TestCase):
    def test_in_order(self):
        first, second = Listener(self), Listener(self)
        sender = Sender(self, "--text=x", f"{first.address},{second.address}")
        connection = first.accept()
        self.assertEqual((b"x", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])
        second.socket.settimeout(0)
        self.assertRaises(BlockingIOError, second.socket.accept)

    def test_the_next_where_one_refuses(self):
        listener = Listener(self)
        sender = Sender(self, "--text=x",
                        f"{refusing_port(self)},{refusing_port(self)},{listener.address}")
        connection = listener.accept()
        self.assertEqual((b"x", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_each_is_told_where_all_refuse(self):
        both = refusing_port(self), refusing_port(self)
        result = run("send", "--text=x", ",".join(both))
        self.assertEqual(NO_START, result.status, result)
        for address in both:
            self.assertIn(address, result.errors)

    def test_a_retry_begins_with_the_first_again(self):
        """Once it is back."""
        holder = socket.socket()
        holder.bind(("127.0.0.4", 0))
        self.addCleanup(holder.close)
        address = f"127.0.0.4:{holder.getsockname()[1]}"
        sender = Sender(self, "--text=x", "--retry=9", f"{address},{refusing_port(self)}")
        sender.process.stderr.readline()  # "trying again"
        holder.listen()
        connection = holder.accept()[0]
        self.assertEqual((b"x", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_a_receiver_that_is_gone_is_another_s_turn(self):
        servers = [Server(self, "--sink=discard", "--receipt") for _ in range(2)]
        both = ",".join(server.address for server in servers)
        self.assertEqual(0, run("send", "--receipt", "--text=x", both).status)
        servers[0].kill()
        self.assertEqual(0, run("send", "--receipt", "--text=x", "--retry=5", both).status)

    def test_the_time_to_connect_is_shared(self):
        """The first answers nothing; its backlog is full."""
        full = socket.socket()
        full.bind(("127.0.0.4", 0))
        full.listen(0)
        self.addCleanup(full.close)
        address = f"127.0.0.4:{full.getsockname()[1]}"
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            self.addCleanup(filler.close)
            filler.connect_ex(full.getsockname())
        listener = Listener(self)
        sender = Sender(self, "--text=x", "--connect-timeout=0.6",
                        f"{address},{listener.address}")
        connection = listener.accept()
        self.assertEqual((b"x", True), receive_all(connection))
        connection.close()
        self.assertEqual(SENT, sender.finish()[0])

    def test_what_is_no_list(self):
        for addresses in (":1,", ",:1", ":1,unix:/x", ":1,fd:3", ":1,x"):
            self.assertEqual(USAGE, run("send", "--text=x", addresses).status, addresses)
        result = run("send", "--text=x", "--tls", ":1,:2")
        self.assertEqual(USAGE, result.status, result)
        self.assertIn("use --pin", result.errors)

    def test_a_comma_in_a_path(self):
        path = "unix:" + temporary_directory(self) + "/a,b"
        server = Server(self, "--sink=stdout", "--once", "--listen=" + path)
        self.assertEqual(0, run("send", "--text=x", path).status)
        self.assertEqual(b"x", server.finish().output)


if __name__ == "__main__":
    main()
