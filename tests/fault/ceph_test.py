# SPDX-License-Identifier: MIT
"""The sink s3, and the same by awscli, against a real store: Ceph, of which an OSD is killed. Too
long for every run: tools/nightly s3 runs it. LASTBYTE_S3_LARGE is the largest stream's size in
MiB."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

from ceph import Ceph
from harness import DEADLINE, LASTBYTE, Server, main, program, reset, run, seeded, until
from plain import make_file

LARGE_MIB = int(os.environ.get("LASTBYTE_S3_LARGE", "256"))
MIB = 1 << 20
AWS = ("{aws} s3 cp --only-show-errors --endpoint-url {endpoint} - "
       "s3://bucket/aws/$LASTBYTE_STREAM-$(cat /proc/sys/kernel/random/uuid)")


class Case(unittest.TestCase):
    name = None  # of the store

    @classmethod
    def setUpClass(cls):
        cls.ceph = Ceph(cls, name=cls.name)

    @classmethod
    def addCleanup(cls, *arguments):
        cls.addClassCleanup(*arguments)

    def serve(self, *options, sink="s3:bucket/in"):
        return Server(self, f"--sink={sink}", "--receipt", "--stats=json", "--s3-id=test",
                      *options, env=self.ceph.environment)

    def finish(self, server):
        server.signal(signal.SIGTERM)
        return server.finish()

    def send(self, server, data):
        """Returns the status, and the key that the receipt names, or None."""
        sent = run("send", "--receipt", "--verbose", server.address, input=data)
        line = sent.errors.partition('receipt "ok ')[2]
        return sent.status, line.split('"')[0].split()[-1] if line else None

    def send_many(self, server, contents):
        results = [None] * len(contents)

        def work(number):
            results[number] = self.send(server, contents[number])
        threads = [threading.Thread(target=work, args=(number,))
                   for number in range(len(contents))]
        for thread in threads:
            thread.start()
        return threads, results

    def check_book(self, contents, results, keys_before=()):
        """Each receipt's object is there and whole, and there is no other."""
        proven = {key: data for (status, key), data in zip(results, contents) if status == 0}
        self.assertEqual(len(proven), sum(1 for status, _ in results if status == 0))
        keys = set(self.ceph.keys()) - set(keys_before)
        told_failed = sum(1 for status, _ in results if status == 4)
        self.assertLessEqual(set(proven), keys)
        unknown = len(results) - len(proven) - told_failed
        self.assertLessEqual(len(keys) - len(proven), unknown)
        for key, data in proven.items():
            self.assertTrue(b"".join(self.ceph.read(key)) == data, key)


class Streams(Case):
    def test_200_of_a_mebibyte(self):
        before = self.ceph.keys()
        server = self.serve()
        contents = [seeded(MIB, number) for number in range(200)]
        threads, results = self.send_many(server, contents)
        for thread in threads:
            thread.join()
        self.assertEqual([0] * 200, [status for status, _ in results])
        self.check_book(contents, results, before)
        self.assertEqual([], self.ceph.uploads())
        self.finish(server)

    def test_a_large_one_in_flat_memory(self):
        server = self.serve()
        piece = seeded(64 * MIB)
        sender = subprocess.Popen([LASTBYTE, "send", "--receipt", "--verbose", server.address],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        digest = hashlib.sha256()
        peaks = []
        for number in range(LARGE_MIB // 64):
            data = number.to_bytes(8, "big") + piece[8:]
            digest.update(data)
            sender.stdin.write(data)
            peaks.append(resident_kib(server.process.pid))
        sender.stdin.close()
        told = sender.stderr.read().decode()
        self.assertEqual(0, sender.wait(DEADLINE * 10), told)
        sender.stderr.close()
        key = told.partition('receipt "ok ')[2].split('"')[0].split()[-1]
        stored = hashlib.sha256()
        for data in self.ceph.read(key):
            stored.update(data)
        self.assertEqual(digest.digest(), stored.digest())
        self.assertLess(max(peaks), 330 << 10, peaks)
        print(f"{LARGE_MIB} MiB: resident at most {max(peaks) >> 10} MiB")
        self.ceph.aws("s3", "rm", "--quiet", f"s3://bucket/{key}")
        self.finish(server)

    def test_killed_at_any_time(self):
        """Nothing but whole objects, and no upload after the next start."""
        dice = random.Random(7)
        contents = [seeded(dice.choice((100_000, 9 * MIB, 20 * MIB)), number)
                    for number in range(4)]
        before = self.ceph.keys()
        for _ in range(8):
            server = self.serve()
            threads, _results = self.send_many(server, contents)
            time.sleep(dice.random() * 0.6)  # any time will do
            server.kill()
            for thread in threads:
                thread.join()
        self.finish(self.serve())
        self.assertEqual([], self.ceph.uploads())
        sums = {hashlib.sha256(data).digest() for data in contents}
        for key in set(self.ceph.keys()) - set(before):
            whole = hashlib.sha256(b"".join(self.ceph.read(key))).digest()
            self.assertIn(whole, sums)


class Awscli(Case):
    """The yardstick: exec and the command line of AWS."""

    def serve_by_aws(self):
        command = AWS.format(aws=self.ceph.aws_command()[0], endpoint=self.ceph.endpoint)
        return Server(self, "--receipt", "--sink=exec:" + command, env=self.ceph.environment)

    def test_a_whole_stream_is_an_object(self):
        server = self.serve_by_aws()
        data = seeded(20 * MIB)
        self.assertEqual(0, self.send(server, data)[0])
        key, = (key for key in self.ceph.keys() if key.startswith("aws/"))
        self.assertTrue(b"".join(self.ceph.read(key)) == data)
        self.ceph.aws("s3", "rm", "--quiet", f"s3://bucket/{key}")
        self.finish(server)

    def test_a_killed_peer_or_server_leaves_no_object(self):
        for kill_server in (False, True):
            server = self.serve_by_aws()
            connection = server.connect()
            connection.sendall(seeded(20 * MIB))
            if kill_server:
                server.kill()
            else:
                reset(connection)
                until(lambda: b": reset " in server.errors.data, "the end")
                self.finish(server)
            time.sleep(2)  # for what must not come
            self.assertEqual([], [key for key in self.ceph.keys() if key.startswith("aws/")])


class KilledOsd(Case):
    def test_nothing_false(self):
        """One of two OSDs dies in the middle: streams wait, or fail."""
        server = self.serve("--s3-timeout=60")
        contents = [seeded(12 * MIB, number) for number in range(16)]
        threads, results = self.send_many(server, contents)
        until(lambda: any(results), "the first stream")
        self.ceph.kill("osd.1")
        for thread in threads:
            thread.join()
        self.check_book(contents, results)
        statuses = [status for status, _ in results]
        print("statuses with an OSD killed:", statuses)
        self.assertLessEqual(set(statuses), {0, 4, 5})
        # And those that come afterwards are stored by the one that is left.
        after = [seeded(9 * MIB, 99)]
        before = self.ceph.keys()
        self.assertEqual(0, self.send(server, after[0])[0])
        self.assertEqual(1, len(set(self.ceph.keys()) - set(before)))
        self.finish(server)


class BucketsAreHosts(unittest.TestCase):
    """An endpoint without a port: in a network where port 80 is free, and with names of its own."""

    def test_in_a_namespace(self):
        if os.geteuid() != 0:
            self.skipTest("only root makes a namespace for it")
        hosts = make_file(self, f"127.0.0.1 {Below.name} bucket.{Below.name}\n".encode())
        done = subprocess.run(
            [program("unshare"), "--net", "--mount", "sh", "-c", "ip link set lo up && "
             "mount --bind \"$1\" /etc/hosts && exec \"$2\" \"$3\" Below", "sh", hosts,
             sys.executable, __file__], env={**os.environ, "LASTBYTE_BELOW": "1"}, check=False,
            stderr=subprocess.PIPE, timeout=DEADLINE * 5)
        self.assertEqual(0, done.returncode, done.stderr.decode())


@unittest.skipUnless("LASTBYTE_BELOW" in os.environ, "run by BucketsAreHosts")
class Below(Case):
    name = "store.test"

    def test_streams_are_objects(self):
        server = self.serve()
        contents = [seeded(size) for size in (0, 1000, 20 * MIB)]
        results = [self.send(server, data) for data in contents]
        self.assertEqual([0] * 3, [status for status, _ in results])
        self.check_book(contents, results)
        self.finish(server)


def resident_kib(process):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return int(file.read().partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main()
