# SPDX-License-Identifier: MIT
"""What receives by TLS beside us: programs, and fronts with our own command behind them."""

import os
import pathlib
import tempfile
import unittest

import support  # first: it says where the harness is
from harness import driver, fronts, outside, programs, workloads

SMALL = ("--bytes=2M", "--streams=70")


class Tls(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.driver = driver.Driver(os.environ["LASTBYTE_BUILD"])
        if "tls-bulk" not in next(entry for entry in self.driver.contenders()
                                  if entry["name"] == "epoll")["workloads"]:
            self.skipTest("this build has no TLS")
        self.outside = outside.Outside(self.driver, directory.name)

    def all_of(self, workload):
        for program in programs.programs(str(self.driver.command)):
            if workload in program.calls and not program.missing():
                yield program

    def test_all_bytes_come_out(self):
        workload = workloads.of("tls-bulk")
        for program in self.all_of("tls-bulk"):
            with self.subTest(program.name):
                self.assertEqual("", self.outside.verify(program, workload))
                sample = self.outside.sample(program, workload, SMALL)
                self.assertEqual(2 << 20, sample["bytes"])
                self.assertGreater(sample["receiver_cpu_s_per_gib"], 0.1)
                self.assertNotIn("receiver_cpu_us_per_stream", sample)

    def test_all_streams_come_out(self):
        workload = workloads.of("tls-short")
        for program in self.all_of("tls-short"):
            with self.subTest(program.name):
                self.assertEqual("", self.outside.verify(program, workload))
                sample = self.outside.sample(program, workload, SMALL)
                self.assertEqual(70, sample["streams"])
                self.assertGreater(sample["receiver_cpu_us_per_stream"], 50)
                self.assertGreater(sample["streams_per_s"], 1)

    def test_who_passes_on_less_is_caught(self):
        def call(job):
            script = pathlib.Path(job.directory) / "thief"
            script.write_text("#!/bin/sh\n(head -c 1000000; cat >/dev/null) | "
                              f"socat -u STDIN UNIX-CONNECT:{job.directory}/behind\n")
            script.chmod(0o700)
            return ["socat", "-u", f"OPENSSL-LISTEN:{job.port},bind=127.0.0.1,reuseaddr,"
                    f"cert={job.identity},verify=0", f"EXEC:{script}"]

        program = programs.Program("thief", "", {"tls-bulk": call}, needs="socat",
                                   behind=fronts.Behind(str(self.driver.command)))
        if program.missing():
            self.skipTest(program.missing())
        with self.assertRaisesRegex(driver.Failed, "1000000 bytes where 2097152 were sent"):
            self.outside.sample(program, workloads.of("tls-bulk"), SMALL)

    def test_nothing_is_left_behind(self):
        for program in self.all_of("tls-short"):
            self.outside.sample(program, workloads.of("tls-short"), SMALL)
        self.assertLessEqual(set(os.listdir(self.outside.scratch)),
                             {"identity.pem", "identity.pem.certificate"})
        self.assertTrue(pathlib.Path(self.outside.identity).stat().st_size)


if __name__ == "__main__":
    unittest.main()
