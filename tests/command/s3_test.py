# SPDX-License-Identifier: MIT
"""The sink s3, against a store of ours that does everything wrong that a store can do: each stream
becomes one object, whole, or nothing; and a receipt is given only for what is there.
LASTBYTE_S3_REFUSED is for how many seconds it refuses connections."""

import os
import pathlib
import re
import signal
import socket
import threading
import unittest
from concurrent import futures

from harness import (SMALL, Server, exchange, main, probe, reset, run, seeded,
                     temporary_directory, until)
from s3_store import (ACCESS_KEY, SECRET_KEY, Hangup, Store, answer, cut_answer, error_inside, hold,
                      lose_answer, reset as reset_midway, slow, truncate)

REFUSED = float(os.environ.get("LASTBYTE_S3_REFUSED", "1.5"))
PART = 5 << 20
KEY = re.compile(r"in/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9]{6,}-test-[0-9a-f]{16}")
ONE = seeded(100_000)
MANY = seeded(2 * PART + 12345)


class Case(unittest.TestCase):
    def setUp(self):
        self.store = Store(self)

    def gate(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        return gate

    def serve(self, *options, sink="s3:bucket/in", memory="24M", mark=("--s3-id=test",),
              environment=()):
        return Server(self, f"--sink={sink}", "--receipt", "--stats=json", *mark,
                      "--s3-part-size=5M", "--s3-memory=" + memory, *options,
                      env={**self.store.environment, **dict(environment)})

    def send(self, server, data, *options):
        return run("send", "--receipt", *options, server.address, input=data)

    def finish(self, server):
        server.signal(signal.SIGTERM)
        return server.finish()

    def assert_told(self, server, pattern):
        server.errors.wait_for(lambda told: re.search(pattern, told), repr(pattern))

    def assert_stored(self, *contents):
        for key in self.store.objects:
            self.assertRegex(key, f"^{KEY.pattern}$")
        self.assertTrue(sorted(contents) == sorted(self.store.objects.values()),
                        [len(data) for data in self.store.objects.values()])
        until(lambda: not self.store.uploads, "uploads that are aborted")


class Whole(Case):
    """What is stored is what was sent."""

    def test_each_stream_is_an_object(self):
        server = self.serve()
        sizes = (0, 1, 262144, 262145, PART - 1, PART, PART + 1, 2 * PART, len(MANY))
        for size in sizes:
            sent = self.send(server, MANY[:size], "--verbose")
            self.assertEqual(0, sent.status, sent)
        self.assert_stored(*(MANY[:size] for size in sizes))
        self.assertEqual(len([size for size in sizes if size <= PART]), self.store.count("put"))
        self.assertEqual(0, self.finish(server).status)

    def test_the_receipt_names_the_key(self):
        server = self.serve()
        line = exchange(server.connect(), ONE).decode().split()
        self.assertEqual([("ok", str(len(ONE)))], [tuple(line[:2])])
        self.assertEqual([line[3]], list(self.store.objects))
        self.finish(server)

    def send_together(self, server, data):
        with futures.ThreadPoolExecutor(len(data)) as pool:
            sent = pool.map(lambda one: self.send(server, one).status, data)
        self.assertEqual([0] * len(data), list(sent))
        self.assertEqual(0, self.finish(server).status)

    def test_many_streams_in_little_memory(self):
        count, size = (20, 300_000) if SMALL else (60, 1 << 20)
        data = [seeded(size, number) for number in range(count)]
        self.send_together(self.serve(), data)
        self.assert_stored(*data)

    def test_parts_that_are_hashed_two_at_a_time(self):
        """One that waits for the next keeps no stream waiting, in memory for two parts neither."""
        data = [seeded(5 * PART)[:size] for size in (3 * PART, 3 * PART + 1, 4 * PART + 70_000)]
        for memory in ("10M", "40M"):
            self.send_together(self.serve(memory=memory), data)
        self.assert_stored(*data, *data)

    def test_through_a_seal(self):
        """Its bytes are not received into the parts' memory."""
        server = self.serve("--seal")
        for data in (b"", ONE, MANY):
            self.assertEqual(0, self.send(server, data, "--seal").status)
        self.assert_stored(b"", ONE, MANY)
        self.finish(server)

    def test_over_https(self):
        self.store = Store(self, https=True)
        for options in ((), ("--s3-unsigned",)):
            server = self.serve(*options)
            for data in (ONE, MANY):
                self.assertEqual(0, self.send(server, data).status)
            self.finish(server)
        self.assert_stored(ONE, MANY, ONE, MANY)

    def test_of_a_session(self):
        server = self.serve(environment={"AWS_SESSION_TOKEN": "to/ken=="})
        self.assertEqual(0, self.send(server, MANY).status)
        self.assertEqual({"to/ken=="}, self.store.tokens)
        self.finish(server)

    def test_connections_are_kept_alive(self):
        server = self.serve()
        for _ in range(10):
            self.assertEqual(0, self.send(server, ONE).status)
        self.assertLessEqual(self.store.connections, 2)
        self.finish(server)


class Parts(Case):
    """What is no whole stream leaves nothing."""

    def test_a_reset_leaves_nothing(self):
        server = self.serve()
        connection = server.connect()
        connection.sendall(MANY[:PART + 1000])
        self.store.wait_for("part")
        self.assertEqual(1, len(self.store.uploads))
        reset(connection)
        self.store.wait_for("abort", 2)  # one is the start's
        self.assert_stored()
        result = self.finish(server)
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["reset"]))

    def test_a_stop_leaves_nothing(self):
        server = self.serve()
        connection = server.connect()
        connection.sendall(MANY[:PART + 1000])
        self.store.wait_for("part")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        self.assertEqual(1, server.finish().status)
        self.assert_stored()

    def test_a_limit_of_parts_ends_early(self):
        server = self.serve("--s3-max-parts=2")
        self.assertEqual(0, self.send(server, MANY[:2 * PART]).status)
        sent = self.send(server, MANY)
        self.assertEqual(4, sent.status, sent)
        self.assertIn("s3-max-parts", sent.errors)
        self.finish(server)
        self.assert_stored(MANY[:2 * PART])


class Faults(Case):
    """The store fails, and the stream is stored all the same; or its sender is told that it is not;
    or it is told nothing."""

    def check_overcome(self, operation, fault, data=MANY, **how):
        self.store.fail(operation, fault, **how)
        server = self.serve()
        sent = self.send(server, data)
        self.assertEqual(0, sent.status, (sent, server.errors.data))
        self.assert_stored(data)
        self.assertEqual(0, self.finish(server).status)

    def check_failed(self, status, operation, fault, data=MANY, timeout=2, stored=(), **how):
        server = self.serve(f"--s3-timeout={timeout}")
        self.store.fail(operation, fault, **how)
        sent = self.send(server, data)
        self.assertEqual(status, sent.status, (sent, server.errors.data))
        self.assert_stored(*stored)
        result = self.finish(server)
        self.assertEqual((1, 1), (result.status, result.stats["ends"]["sink"]), result)
        return result

    def test_an_error_inside_a_success(self):
        self.check_overcome("complete", error_inside())
        self.check_failed(4, "complete", error_inside("AccessDenied"), stored=(MANY,))

    def test_an_error_inside_that_stays(self):
        self.check_failed(4, "complete", error_inside(), times=-1)

    def test_an_object_that_is_none(self):
        self.check_failed(4, "put", error_inside(), ONE, times=-1)

    def test_a_storm(self):
        self.check_overcome("part", answer(503, "SlowDown"), times=3)

    def test_a_storm_at_every_step(self):
        for operation in ("create", "complete", "part"):
            self.store.fail(operation, answer(500, "InternalError"))
        self.check_overcome("complete", answer(429, "TooManyRequests"))

    def test_a_reset_in_a_part(self):
        self.check_overcome("part", reset_midway, times=2)

    def test_a_reset_in_the_only_part(self):
        self.check_overcome("put", reset_midway, ONE, times=2)

    def test_a_slow_store(self):
        for operation in ("create", "part", "complete"):
            self.store.fail(operation, slow, times=-1)
        self.check_overcome("put", slow, ONE)
        self.store.objects.clear()
        self.check_overcome("part", slow)

    def test_a_store_that_never_answers(self):
        """A part is stored or not: without an object that is the same. What makes one leaves open
        whether it is there."""
        gate = self.gate()
        self.store.fail("part", hold(gate), times=-1)
        self.store.fail("put", hold(gate), times=-1)
        server = self.serve("--s3-timeout=1")
        self.assertEqual(4, self.send(server, MANY).status)
        self.assert_told(server, b"a part can't be stored: no answer")
        self.assertEqual(5, self.send(server, ONE).status)
        self.assert_told(server, b"nobody knows whether it is stored")
        self.assertEqual(1, self.finish(server).status)

    def test_no_answer_to_what_was_done(self):
        self.check_overcome("complete", lose_answer)
        self.assertEqual(1, self.store.count("head"))  # NoSuchUpload, but it is there

    def test_half_an_answer_to_what_was_done(self):
        self.check_overcome("complete", cut_answer)

    def test_no_answer_and_a_store_that_is_gone(self):
        """Whether it is stored nobody knows: the sender is not told that it isn't."""
        server = self.serve("--s3-timeout=2")

        def vanish(request, carry_out):
            carry_out()
            for operation in ("complete", "head"):
                self.store.fail(operation, reset_midway, times=-1)
            self.store.stop()
            raise Hangup()
        self.store.fail("complete", vanish)
        sent = self.send(server, MANY)
        self.assertEqual(5, sent.status, (sent, server.errors.data))
        self.assert_told(server, b"nobody knows whether it is stored")
        self.finish(server)

    def test_the_wrong_size(self):
        server = self.serve()

        def truncate_and_lose(request, carry_out):
            truncate(request, carry_out)
            raise Hangup()
        self.store.fail("complete", truncate_and_lose)
        sent = self.send(server, MANY)
        self.assertEqual(4, sent.status, sent)
        self.assert_told(server, b"another size")
        self.finish(server)

    def test_a_clock_that_has_run_away(self):
        server = self.serve("--s3-timeout=2")
        self.store.skew = 3600
        sent = self.send(server, ONE)
        self.assertEqual(4, sent.status, sent)
        self.assert_told(server, rb"RequestTimeTooSkewed.*set this machine's clock; its clock is "
                                 rb"3(600|599|601) seconds ahead")
        self.finish(server)

    def test_rights_that_are_gone(self):
        result = self.check_failed(4, "part", answer(403, "AccessDenied"))
        self.assertIn("s3:PutObject", result.errors)

    def test_refused_for_a_while(self):
        """The store is restarted; longer than any one attempt."""
        server = self.serve()
        connection = server.connect()
        connection.sendall(MANY[:PART + 1000])
        self.store.wait_for("part")
        self.store.stop()
        connection.sendall(MANY[PART + 1000:])
        connection.shutdown(socket.SHUT_WR)
        timer = threading.Timer(REFUSED, self.store.begin)
        timer.start()
        self.addCleanup(timer.join)
        self.assertIn(b"ok ", connection.makefile("rb").read())
        self.assert_stored(MANY)
        self.finish(server)

    def test_a_store_that_stalls_holds_nobody_else_up(self):
        """However many parts it has been given: these streams have more than it is sent at once."""
        gate = self.gate()
        server = self.serve(memory="256M")
        self.store.fail("part", hold(gate), times=-1)
        long = MANY * 2
        connections = [server.connect() for _ in range(12)]
        senders = [threading.Thread(target=connection.sendall, args=(long,))
                   for connection in connections]
        for sender in senders:
            sender.start()
        until(lambda: -self.store.faults[0][2] > 24, "parts that wait")
        for _ in range(3):
            self.assertEqual(0, self.send(server, ONE).status)
        self.assertEqual(12, len(self.store.uploads))
        gate.set()
        for sender, connection in zip(senders, connections):
            sender.join()
            connection.shutdown(socket.SHUT_WR)
            self.assertIn(b"ok ", connection.makefile("rb").read())
        self.assert_stored(ONE, ONE, ONE, *[long] * 12)
        self.finish(server)

    def test_a_stop_at_once_while_it_is_completed(self):
        """Nobody knows: no line."""
        gate = self.gate()
        server = self.serve()
        self.store.fail("complete", hold(gate))
        connection = server.connect()
        connection.sendall(MANY)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: not self.store.faults[0][2], "the completion")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        heard = b""
        try:
            heard = connection.recv(1000)
        except ConnectionResetError:
            pass
        self.assertEqual(b"", heard)
        self.assertEqual(1, server.finish().status)

    def test_a_limit_of_time_while_it_is_completed(self):
        """The same: perhaps it is stored."""
        gate = self.gate()
        self.store.fail("complete", hold(gate))
        for seconds in (0.5, 4, 16):
            if self.store.faults[0][2]:  # not begun: a busy machine's parts took all of the time
                server = self.serve(f"--max-time={seconds}")
                sent = self.send(server, MANY)
        self.assertEqual(5, sent.status, sent)
        gate.set()
        self.assertEqual(1, self.finish(server).stats["ends"]["timeout"])


class Killed(Case):
    """kill -9: no object or a whole one, and the next start clears up."""

    def kill_at(self, operation, data=MANY):
        gate = self.gate()
        store = self.store = Store(self)
        server = self.serve()
        before = store.count(operation)
        store.fail(operation, hold(gate))
        connection = server.connect()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: not store.faults[0][2], f"{operation} begun")
        server.kill()
        gate.set()
        store.wait_for(operation, before + 1)  # what had arrived is done
        with self.assertRaises(ConnectionResetError):
            connection.recv(1)
        left = len(store.uploads)
        for stored in store.objects.values():
            self.assertTrue(stored == data)
        server = self.serve()
        store.wait_for("list")
        until(lambda: not store.uploads, "what was left, aborted")
        if left:
            self.assert_told(server, rb"an earlier run had left \(mark test\)")
        self.finish(server)

    def test_at_every_step(self):
        for operation in ("create", "part", "complete"):
            self.kill_at(operation)
        self.kill_at("put", ONE)


class Start(Case):
    """What can't work is said before anybody may come in."""

    def check_refused(self, status, *parts, options=(), sink="s3:bucket", **environment):
        result = run("recv", "--listen=127.0.0.1:0", f"--sink={sink}", "--s3-id=test",
                     "--s3-timeout=1", *options,
                     env={**self.store.environment, **environment})
        self.assertEqual(status, result.status, result)
        for part in parts:
            self.assertIn(part, result.errors)
        self.assertEqual(1, result.errors.count("\n"), result)
        self.assertNotIn(SECRET_KEY, result.errors)

    def test_the_bucket(self):
        self.check_refused(3, "NoSuchBucket", "make the bucket", sink="s3:nobody")
        self.check_refused(2, "no bucket is called so", sink="s3:a/b")
        self.check_refused(2, "no prefix", sink="s3:bucket/a//b")
        self.check_refused(2, "needs BUCKET[/PREFIX] after the colon", sink="s3")

    def test_the_credentials(self):
        self.check_refused(3, "AWS_SECRET_ACCESS_KEY or AWS_REGION is wrong",
                           AWS_SECRET_ACCESS_KEY="wrong")
        self.check_refused(3, "doesn't know AWS_ACCESS_KEY_ID", AWS_ACCESS_KEY_ID="wrong")
        self.check_refused(3, "no credentials", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="",
                           HOME="/nonexistent")

    def test_the_endpoint(self):
        self.check_refused(2, "AWS_ENDPOINT_URL=ftp://x", AWS_ENDPOINT_URL="ftp://x")
        self.check_refused(2, "holds a user", AWS_ENDPOINT_URL="http://me:secret@x:1")
        self.store.stop()
        self.check_refused(3, "is AWS_ENDPOINT_URL right, and the store up?")

    def test_the_clock(self):
        self.store.skew = -7200
        self.check_refused(3, "set this machine's clock; its clock is 7200 seconds behind")

    def test_the_rights(self):
        self.store.fail("create", answer(403, "AccessDenied"))
        self.check_refused(3, "s3:PutObject")
        self.store.fail("abort", answer(403, "AccessDenied"))
        self.check_refused(3, "s3:AbortMultipartUpload")

    def test_the_certificate(self):
        plain, self.store = self.store, Store(self, https=True)
        self.check_refused(3, "SSL", AWS_CA_BUNDLE=Store(self, https=True).ca)
        self.store = plain

    def test_http_is_warned_of_beyond_loopback(self):
        self.assertNotIn("anybody on the way", self.finish(self.serve()).errors)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe_socket:
            try:
                probe_socket.connect(("192.0.2.1", 9))  # sends nothing
            except OSError:
                self.skipTest("this machine has no other address")
            host = probe_socket.getsockname()[0]
        self.store = Store(self, host=host)
        self.assertIn("anybody on the way can read", self.finish(self.serve()).errors)

    def test_the_options(self):
        self.check_refused(2, "fewer than two parts", options=("--s3-memory=15M",))
        self.check_refused(2, "over http nothing else", options=("--s3-unsigned",))
        self.check_refused(2, "--s3-id", "given twice", options=("--s3-id=a",))
        self.check_refused(2, "has no --append", options=("--append",))
        self.check_refused(2, "has no --s3-timeout", "s3:BUCKET", sink="discard")

    def test_nothing_stays(self):
        server = self.serve()
        self.finish(server)
        self.assert_stored()

    def test_others_uploads_are_left_alone(self):
        def upload(mark):
            return f"in/20261130T000000.000000Z-000001-{mark}-0123456789abcdef"
        for number in range(5):
            self.store.uploads[f"ours{number}"] = {"key": upload("test"), "parts": {}}
        theirs = {"a": {"key": upload("another"), "parts": {}},
                  "b": {"key": "in/somebody's", "parts": {}}}
        self.store.uploads.update(theirs)
        server = self.serve()
        self.assert_told(server, b"aborted 5 uploads")
        self.finish(server)
        self.assertEqual(theirs, self.store.uploads)


class Mark(Case):
    """Without --s3-id a receiver has a mark of its own, from one run to the next."""

    def setUp(self):
        super().setUp()
        self.directory = temporary_directory(self)

    def serve_marked(self, variable="STATE_DIRECTORY", directory=None):
        environment = {"STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/nonexistent",
                       variable: directory or self.directory}
        return self.serve(mark=(), environment=environment)

    def mark_of(self, server):
        key = exchange(server.connect(), ONE).decode().split()[3]
        return re.fullmatch(r"in/[^-]+-[0-9]+-([0-9a-f]{8})-[0-9a-f]{16}", key)[1]

    def kept(self, path="s3-id"):
        with open(os.path.join(self.directory, path), encoding="ascii") as file:
            return file.read()

    def test_is_kept(self):
        server = self.serve_marked()
        mark = self.mark_of(server)
        self.assertEqual(mark, self.kept())
        gate = self.gate()
        self.store.fail("part", hold(gate))
        connection = server.connect()
        connection.sendall(MANY[:PART + 1000])
        until(lambda: not self.store.faults[0][2], "a part")
        server.kill()
        gate.set()
        self.assertEqual(1, len(self.store.uploads))
        server = self.serve_marked()
        self.assert_told(server, b"aborted 1 upload that an earlier run had left .mark "
                         + mark.encode())
        self.assertEqual({}, self.store.uploads)
        self.assertEqual(mark, self.mark_of(server))
        self.finish(server)

    def test_of_two_at_a_time_is_another(self):
        """One that starts leaves alone what the other has under way."""
        first = self.serve_marked()
        connection = first.connect()
        connection.sendall(MANY[:PART + 1000])
        self.store.wait_for("part")
        second = self.serve_marked()
        self.assertEqual(1, len(self.store.uploads))
        marks = [self.mark_of(server) for server in (first, second)]
        self.assertEqual(marks, [self.kept(), self.kept("s3-id-2")])
        self.assertEqual(2, len(set(marks)))
        connection.sendall(MANY[PART + 1000:])
        connection.shutdown(socket.SHUT_WR)
        self.assertIn(b"ok ", connection.makefile("rb").read())
        for server in (first, second):
            self.finish(server)

    def test_in_the_directories_of_others(self):
        for variable, path in (("XDG_STATE_HOME", "lastbyte/s3-id"),
                               ("HOME", ".local/state/lastbyte/s3-id")):
            server = self.serve_marked(variable)
            self.assertEqual(self.mark_of(server), self.kept(path))
            self.finish(server)

    def check_refused(self, part, **environment):
        result = run("recv", "--listen=127.0.0.1:0", "--sink=s3:bucket",
                     env={**self.store.environment, "STATE_DIRECTORY": "", "XDG_STATE_HOME": "",
                          "HOME": "", **environment})
        self.assertEqual(3, result.status, result)
        self.assertIn(part, result.errors)

    def test_has_to_be_kept_somewhere(self):
        self.check_refused("give --s3-id")
        self.check_refused("can't keep this receiver's mark", STATE_DIRECTORY="/dev/null")
        with open(os.path.join(self.directory, "s3-id"), "w", encoding="ascii") as file:
            file.write("what is / this?")
        self.check_refused("its file s3-id holds something else", STATE_DIRECTORY=self.directory)


class Rights(Case):
    def test_are_given_up_all_the_same(self):
        """What there is of Landlock and seccomp is in force, and parts are stored through it."""
        server = self.serve("--verbose")
        for data in (ONE, MANY):
            self.assertEqual(0, self.send(server, data).status)
        threads = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/comm")
        self.assertIn("lb-s3\n", [thread.read_text() for thread in threads])
        told = self.finish(server).errors
        for item in probe()["features"]:
            if item["name"] in ("landlock", "seccomp") and item["usable"]:
                self.assertNotIn(f"hardening without {item['name']}", told)
        self.assert_stored(ONE, MANY)


class Secrets(Case):
    def readable_memory(self, process):
        """What a core would have of it."""
        with open(f"/proc/{process}/smaps", encoding="ascii", errors="replace") as file:
            text = file.read()
        with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
            for found in re.finditer(r"^([0-9a-f]+)-([0-9a-f]+) r.*?^VmFlags:(.*?)$", text,
                                     re.M | re.S):
                begin, end = int(found[1], 16), int(found[2], 16)
                if " dd" in found[3] or " io" in found[3] or end >= 1 << 63:
                    continue
                memory.seek(begin)
                try:
                    yield memory.read(end - begin)
                except OSError:
                    continue

    def test_are_nowhere(self):
        if SMALL:
            self.skipTest("a sanitizer keeps a copy of the environment")
        server = self.serve("--verbose", "--no-harden=no-dump")
        for data in (ONE, MANY):
            self.assertEqual(0, self.send(server, data).status)
        process = server.process.pid
        secret = SECRET_KEY.encode()
        for name in ("cmdline", "environ"):
            with open(f"/proc/{process}/{name}", "rb") as file:
                self.assertNotIn(secret, file.read())
        found = access_key = 0
        for memory in self.readable_memory(process):
            found += memory.count(secret)
            access_key += memory.count(ACCESS_KEY.encode())
        self.assertEqual(0, found)
        self.assertGreater(access_key, 0)  # which stands in requests: we look at the right place
        result = self.finish(server)
        self.assertNotIn(SECRET_KEY, result.errors)


if __name__ == "__main__":
    main()
