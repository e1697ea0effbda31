# SPDX-License-Identifier: MIT
"""How a server ends: counts, signals, drain."""

import os
import signal
import socket
import time
import unittest

from harness import DEADLINE, Server, each_backend, exchange, main, reset, seeded, until


def refuses(server):
    """Whether new peers are turned away: the server has stopped accepting. One that came before
    that is an empty stream."""
    try:
        socket.create_connection(("127.0.0.1", server.port), DEADLINE).close()
        return False
    except ConnectionError:
        return True


@each_backend
class Stop(unittest.TestCase):
    def serve_one_under_way(self, backend, *options, **more):
        server = Server(self, "--backend=" + backend, "--sink=stdout", "--stats=json", *options,
                        **more)
        connection = server.connect()
        connection.sendall(b"begun ")
        server.output.wait_for(lambda data: data == b"begun ", "the first bytes")
        return server, connection

    def test_an_idle_server_ends_well(self, backend):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            server = Server(self, "--backend=" + backend, "--stats=json")
            server.signal(number)
            result = server.finish()
            self.assertEqual((0, 0), (result.status, result.stats["streams"]), result)

    def test_a_stream_under_way_may_end(self, backend):
        server, connection = self.serve_one_under_way(backend, "--drain=1000")
        server.signal(signal.SIGTERM)
        payload = seeded(1 << 20)
        exchange(connection, payload)
        result = server.finish()
        self.assertEqual(b"begun " + payload, result.output)
        self.assertEqual((0, 1), (result.status, result.stats["ends"]["eof"]), result)

    def test_a_terminal_that_goes_lets_it_end(self, backend):
        """No command takes the part that has come for the whole, and the whole still counts."""
        server, connection = self.serve_one_under_way(backend, "--drain=1000")
        server.signal(signal.SIGHUP)
        until(lambda: refuses(server), "new peers are refused")
        exchange(connection, b"ended")
        result = server.finish()
        self.assertEqual((b"begun ended", 0, 0),
                         (result.output, result.status, result.stats["partial"]), result)

    def test_nohup_is_heeded(self, backend):
        server = Server(self, "--backend=" + backend, "--stats=json", "--once", prefix=["nohup"])
        server.signal(signal.SIGHUP)
        exchange(server.connect(), b"still here")
        self.assertEqual(b"still here", server.finish().output)

    def test_new_peers_are_refused_meanwhile(self, backend):
        server, connection = self.serve_one_under_way(backend, "--drain=1000")
        server.signal(signal.SIGTERM)
        until(lambda: refuses(server), "new peers are refused")
        exchange(connection, b"ended")
        result = server.finish()
        self.assertEqual((b"begun ended", 0, 0),
                         (result.output, result.status, result.stats["partial"]), result)

    def test_a_kill_resets_what_is_under_way(self, backend):
        """Also what has its EOF already, if nobody was told that it is safe."""
        for half_closed in (False, True):
            server, connection = self.serve_one_under_way(backend)
            waiting = server.connect()
            if half_closed:
                waiting.sendall(b"all")
                waiting.shutdown(socket.SHUT_WR)
            server.signal(signal.SIGKILL)
            for peer in (connection, waiting):
                with self.assertRaises(ConnectionResetError):
                    peer.recv(1)

    def test_a_kill_resets_what_came_over_a_lent_socket(self, backend):
        """Which itself is as its owner made it."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server, connection = self.serve_one_under_way(
                backend, f"--listen=fd:{listener.fileno()}", pass_fds=[listener.fileno()])
            server.signal(signal.SIGKILL)
            with self.assertRaises(ConnectionResetError):
                connection.recv(1)
            self.assertEqual(bytes(8), listener.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))

    def test_a_backlog_is_drained(self, backend):
        """Those who had come before the stop, one after the other; nobody who comes later."""
        server, connection = self.serve_one_under_way(backend, "--drain=1000")
        waiting = [server.connect() for _ in range(5)]
        for peer in waiting:
            peer.sendall(b"waited ")
            peer.shutdown(socket.SHUT_WR)
        server.signal(signal.SIGTERM)
        exchange(connection, b"ended ")
        result = server.finish()
        self.assertEqual(b"begun ended " + 5 * b"waited ", result.output)
        self.assertEqual((0, 6), (result.status, result.stats["ends"]["eof"]), result)

    def test_a_second_signal_stops_at_once(self, backend):
        server, connection = self.serve_one_under_way(backend, "--drain=1000")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["stopped"]), result)
        self.assertEqual(1, result.stats["partial"], result)

    def test_the_drain_has_a_bound(self, backend):
        server, connection = self.serve_one_under_way(backend, "--drain=0.2")
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["stopped"]), result)

    def test_no_drain_at_all(self, backend):
        server, connection = self.serve_one_under_way(backend, "--drain=0")
        server.signal(signal.SIGTERM)
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["stopped"]), result)

    def test_a_flood_does_not_hold_off_the_end(self, backend):
        server = Server(self, "--backend=" + backend, "--sink=discard", "--stats=json",
                        "--drain=0.2", "--greeting=go")
        connection = server.connect()
        self.assertEqual(b"go", connection.recv(2, socket.MSG_WAITALL))
        server.signal(signal.SIGTERM)
        with self.assertRaises(ConnectionError):
            while True:
                connection.sendall(bytes(1 << 20))
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["partial"]), result)


class Stuck(unittest.TestCase):
    def serve_one_that_hangs(self):
        """An output that nobody reads, and that nothing but the process's own end interrupts."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        server = Server(self, "--sink=print", stdout=writer)
        os.close(writer)
        connection = server.connect()
        connection.sendall(bytes(1 << 20))
        connection.shutdown(socket.SHUT_WR)
        os.read(reader, 1)
        return server, connection

    def test_two_signals_end_it_whatever_hangs(self):
        server, connection = self.serve_one_that_hangs()
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGHUP)
        result = server.finish()
        self.assertEqual(1, result.status, result)
        self.assertIn("what was being stored at the second signal", result.errors)
        self.assertRaises(ConnectionResetError, connection.recv, 1)

    def test_a_third_finds_what_it_does_by_default(self):
        """And whoever sends them all the time does not put off the end."""
        for number in (signal.SIGHUP, signal.SIGTERM):
            with self.subTest(number):
                server, _ = self.serve_one_that_hangs()

                def ends(server=server, number=number):
                    server.signal(number)
                    return server.process.poll() is not None
                until(ends, "its end")
                self.assertEqual(-number, server.finish().status)


@each_backend
class Count(unittest.TestCase):
    def test_once(self, backend):
        server = Server(self, "--backend=" + backend, "--once")
        exchange(server.connect(), b"only")
        result = server.finish()
        self.assertEqual((0, b"only"), (result.status, result.output), result)

    def test_every_end_counts(self, backend):
        server = Server(self, "--backend=" + backend, "-n", "4", "--stats=json")
        for number in range(4):
            connection = server.connect()
            if number % 2:
                connection.sendall(b"x")
                reset(connection)
            else:
                exchange(connection, b"x")
        result = server.finish()
        self.assertEqual((1, 4, 2, 2), (result.status, result.stats["streams"],
                                        result.stats["ends"]["eof"],
                                        result.stats["ends"]["reset"]), result)

    def test_a_peer_too_many_is_not_counted(self, backend):
        server = Server(self, "--backend=" + backend, "--once", "--stats=json")
        first, second = server.connect(), server.connect()
        exchange(first, b"x")
        result = server.finish()
        self.assertEqual(1, result.stats["ends"]["eof"], result)
        self.assertEqual(b"x", result.output)
        second.close()


if __name__ == "__main__":
    main()
