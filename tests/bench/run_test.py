# SPDX-License-Identifier: MIT
"""bench/run against a build that measures nothing, and real outside programs on loopback."""

import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import support
from harness import (driver, outcome, outside, plan, process, programs, results, session,
                     workloads)

BENCH = support.BENCH
BULK = workloads.of("bulk")


class Temporary(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def run_bench(self, build, *arguments):
        done = subprocess.run(
            [sys.executable, BENCH / "run", f"--build={build}",
             f"--output={self.directory / 'results'}", f"--dir={self.directory}", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=support.DEADLINE)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def only_result(self):
        found = list((self.directory / "results").glob("*.json"))
        self.assertEqual(len(found), 1)
        return results.load(found[0])


class Run(Temporary):
    def test_a_missing_contender_is_named_and_the_rest_runs(self):
        build = support.fake_build(self.directory / "build")
        done = self.run_bench(build, "--pairs=3", "--workload=bulk",
                              "--contender=uring,loop-64k,libuv,lastbyte-recv")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("skipped: libuv: not built in", done.stdout)
        self.assertIn("skipped: lastbyte-recv: lastbyte is not installed", done.stdout)
        loaded = self.only_result()
        self.assertEqual(sorted(loaded.ran("bulk")), ["loop-64k", "uring"])
        self.assertEqual(loaded.controlled("bulk"), "uring")
        self.assertEqual(len(loaded.samples), 9)
        self.assertEqual({entry["contender"] for entry in loaded.document["skipped"]},
                         {"libuv", "lastbyte-recv"})
        self.assertRegex(done.stdout, r"loop-64k +7\.14 +0\.140 .*0\.71 \[0\.71, 0\.71\]")

    def test_every_sample_and_the_stamp_are_kept(self):
        build = support.fake_build(self.directory / "build")
        self.run_bench(build, "--pairs=2", "--contender=uring,naive", "--workload=bulk,latency")
        loaded = self.only_result()
        self.assertEqual(loaded.workloads(), ["bulk", "latency-1k", "latency-10k"])
        self.assertEqual(len(loaded.samples), 2 * 3 * 3)
        self.assertEqual({sample["round"] for sample in loaded.samples}, {0, 1})
        # System calls are counted once, and never in the control.
        self.assertEqual(len(loaded.series("bulk", "naive", "syscalls_per_mib")), 1)
        for part in ("machine", "network", "build", "commit", "busy_before", "busy_after"):
            self.assertIn(part, loaded.stamp)
        self.assertEqual(loaded.document["settings"]["rounds"], 2)

    def test_who_loses_a_byte_fails_the_run_and_has_no_samples(self):
        build = support.fake_build(self.directory / "build", wrong=["naive"], failing=["epoll"])
        done = self.run_bench(build, "--pairs=2", "--workload=bulk",
                              "--contender=uring,epoll,naive")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: bulk: naive: a byte is missing", done.stdout)
        self.assertIn("FAILED: bulk: epoll: epoll: 1 byte is missing", done.stdout)
        self.assertEqual(self.only_result().ran("bulk"), ["uring"])

    def test_a_floor_is_checked_by_what_it_counts(self):
        build = support.fake_build(self.directory / "build")
        done = self.run_bench(build, "--pairs=1", "--workload=bulk", "--contender=uring,trunc")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(sorted(self.only_result().ran("bulk")), ["trunc", "uring"])

    def test_a_floor_that_nobody_checked_or_that_lost_a_byte_has_no_samples(self):
        for setting, why in (("unchecked", "was not checked"), ("wrong", "a byte is missing")):
            build = support.fake_build(self.directory / setting, **{setting: ["trunc"]})
            done = self.run_bench(build, "--pairs=1", "--workload=bulk", "--contender=uring,trunc")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"FAILED: bulk: trunc: {why}", done.stdout)

    def test_bad_names_are_told_in_one_line(self):
        build = support.fake_build(self.directory / "build")
        for argument, wanted in (("--workload=bluk", "bulk, latency"),
                                 ("--contender=libvu", "libuv"),
                                 ("--pairs=0", "1 to 9999"),
                                 ("--softirq=own", "--path=veth")):
            done = self.run_bench(build, argument)
            self.assertEqual(done.returncode, 2)
            told = done.stderr.splitlines()[-1]
            self.assertIn(argument.partition("=")[2], told)
            self.assertIn(wanted, told)

    def test_nothing_left_to_run(self):
        build = support.fake_build(self.directory / "build")
        done = self.run_bench(build, "--contender=libuv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nothing to run", done.stderr)

    def test_no_build(self):
        done = self.run_bench(self.directory)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lastbyte-bench is missing", done.stderr)

    def test_scratch_is_removed(self):
        build = support.fake_build(self.directory / "build")
        self.run_bench(build, "--pairs=1", "--workload=bulk", "--contender=uring")
        self.assertEqual(sorted(os.listdir(self.directory)), ["build", "results"])


class Plans(unittest.TestCase):
    def plan(self, names, pairs=4):
        made = plan.Plan(pairs, False)
        for name in names:
            made.add(plan.Item("bulk", BULK, None, name, False, None))
        return made

    def test_two_rounds_are_a_b_b_a(self):
        made = self.plan("abcdef")
        first, second, third = (made.order(number) for number in (0, 1, 2))
        self.assertEqual(first, second[::-1])
        self.assertNotEqual(first, third)
        self.assertEqual(sorted(first), sorted(third))

    def test_the_order_is_the_same_every_time(self):
        self.assertEqual(self.plan("abcdef").order(3), self.plan("abcdef").order(3))

    def test_patterns(self):
        self.assertTrue(plan.chosen("uring", ("!*-hash", "uring*")))
        self.assertFalse(plan.chosen("uring-hash", ("!*-hash", "uring*")))
        self.assertFalse(plan.chosen("libuv", ("!*-hash", "uring*")))

    def test_floors_of_gathering_stand_beside_the_fan_ins(self):
        for workload in ("fanin-64", "fanin-1000"):
            for name in ("sleep-1ms", "sleep-1ms-trunc"):
                self.assertTrue(plan.chosen(name, workloads.of(workload).full))

    def test_titles(self):
        for name, parameter, title in (("latency", "10000", "latency-10k"),
                                       ("latency", "1500", "latency-1500"),
                                       ("sweep", "65536x8", "sweep"),
                                       ("bulk-sendfile", None, "bulk-sendfile")):
            workload = workloads.of(name)
            self.assertEqual(workload.title(parameter), title)
            self.assertIs(workloads.of(title), workload)
        self.assertEqual(workloads.of("new").name, "new")

    def test_sizes(self):
        made = self.plan([])
        item = plan.Item("bulk", BULK, None, "naive", False, None)
        self.assertEqual(made.options(item), ("--bytes=256M",))
        self.assertEqual(made.options(item._replace(contender="uring")), ("--bytes=1G",))
        latency = item._replace(workload=workloads.of("latency"), parameter="1000")
        self.assertEqual(made.options(latency), ("--seconds=4",))
        self.assertEqual(made.options(latency._replace(parameter="10000")), ("--seconds=1",))
        self.assertEqual(made.options(item._replace(workload=workloads.of("fanin-64"))), ())
        self.assertEqual(plan.Plan(3, True).options(latency), ("--quick",))

    def test_the_expected_time_is_that_of_the_rounds(self):
        made = self.plan("ab", pairs=15)
        idle = workloads.of("idle")
        made.add(plan.Item("idle", idle, None, "a", False, None))
        self.assertAlmostEqual(
            made.seconds(), 30 * (BULK.seconds + plan.OVERHEAD)
            + idle.rounds * (idle.seconds + plan.OVERHEAD))
        self.assertAlmostEqual(made.seconds(),
                               sum(made.seconds(number, number + 1) for number in range(15)))


class Deadlines(Temporary):
    def test_rounds_stop_in_time_and_are_whole(self):
        """Every sample takes 10 s of a clock that only samples move; 3 rounds of 2 fit in 65 s."""
        now = [0.0]

        class Driver:
            def sample(self, *_, **__):
                now[0] += 10
                return {"gib_per_s": 1.0}

        made = plan.Plan(15, False)
        for name in ("a", "b"):
            made.add(plan.Item("bulk", BULK, None, name, False, None))
        document = session.empty_document({}, {}, "a", [])
        saves = []
        run = session.Session(made, Driver(), None, document, session.Progress(io.StringIO()),
                              clock=lambda: now[0])
        run.run(65, lambda: saves.append(len(document["samples"])))
        self.assertEqual(saves, [2, 4, 6])
        self.assertEqual(document["settings"]["rounds"], 3)


class OutsidePrograms(Temporary):
    def setUp(self):
        super().setUp()
        self.driver = driver.Driver(support.fake_build(self.directory / "build"))
        self.outside = outside.Outside(self.driver, self.directory)

    def program(self, name):
        found = next(program for program in programs.programs("/nowhere/lastbyte")
                     if program.name == name)
        if found.missing():
            self.skipTest(found.missing())
        return found

    def test_every_program_that_is_here_receives_every_byte(self):
        for program in programs.programs("/nowhere/lastbyte"):
            if "bulk" not in program.calls or not program.sender.known or program.missing():
                continue
            with self.subTest(program.name):
                self.assertEqual(self.outside.verify(program, BULK), "")
                sample = self.outside.sample(program, BULK)
                self.assertEqual(sample["bytes"], 300_001)
                self.assertGreaterEqual(sample["receiver_cpu_s_per_gib"], 0)

    def test_who_brings_a_sender_is_measured_with_that(self):
        iperf3 = self.program("iperf3")
        self.assertEqual(self.outside.verify(iperf3, BULK), "")
        self.assertEqual({}, self.outside.count_syscalls(iperf3, BULK))
        sample = self.outside.sample(iperf3, BULK, ("--quick",))
        # Its server counts what came until its client told it to stop, a bit less than was sent.
        self.assertGreater(sample["bytes"], 1 << 26)
        self.assertGreater(sample["receiver_cpu_s_per_gib"], 0)
        self.assertNotIn("sender_cpu_s", sample)

    def test_a_program_expects_as_many_streams_as_are_sent(self):
        self.assertEqual(self.driver.streams("latency"), 64)
        self.assertEqual(self.driver.streams("latency", ("--streams=8",)), 8)

    def test_nothing_is_left_behind(self):
        before = sorted(os.listdir(self.directory))
        self.outside.verify(self.program("textbook"), BULK)
        self.assertEqual(sorted(os.listdir(self.directory)), before)

    def test_a_program_that_drops_a_byte_is_caught(self):
        script = self.directory / "drops.py"
        script.write_text(
            "import socket, sys\n"
            "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
            "connection, _ = server.accept()\n"
            "data = b''.join(iter(lambda: connection.recv(65536), b''))\n"
            "sys.stdout.buffer.write(data[:-1])\n")
        program = programs.Program("drops", "", {"bulk": lambda job: [sys.executable, script,
                                                                     job.port]}, needs="python3")
        self.assertEqual(self.outside.verify(program, BULK), "the content came out changed")

    def test_what_goes_wrong_is_told(self):
        for name, command, wanted in (
                ("dies", ["sh", "-c", "echo no such luck >&2; exit 3"],
                 "dies ended before it listened: no such luck"),
                ("absent", ["/nowhere/absent"], "absent ended before it listened")):
            program = programs.Program(name, "", {"bulk": lambda job, c=command: c})
            with self.assertRaises(driver.Failed) as caught:
                self.outside.sample(program, BULK)
            self.assertIn(wanted, str(caught.exception))

    def test_a_program_that_ends_badly_gives_no_sample(self):
        script = ("import socket, sys\n"
                  "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                  "connection, _ = server.accept()\n"
                  "while connection.recv(65536): pass\n"
                  "sys.exit(7)\n")
        program = programs.Program("sour", "", {"bulk": lambda job: [sys.executable, "-c", script,
                                                                    job.port]})
        with self.assertRaisesRegex(driver.Failed, "ended with status 7"):
            self.outside.sample(program, BULK)

    def test_other_kinds_of_nc_are_refused(self):
        fake = self.directory / "bin"
        fake.mkdir()
        (fake / "nc").write_text("#!/bin/sh\necho '[v1.10-47]'\n")
        (fake / "nc").chmod(0o755)
        saved = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", saved)
        os.environ["PATH"] = f"{fake}:{saved}"
        nc = next(program for program in programs.programs("x") if program.name == "nc")
        self.assertIn("not OpenBSD's", nc.missing())


class Processes(Temporary):
    def test_listening_is_seen_on_both_families(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as server:
                try:
                    server.bind((host, 0))
                except OSError:
                    continue
                port = server.getsockname()[1]
                self.assertFalse(process.listens(port))
                server.listen()
                self.assertTrue(process.listens(port))
            self.assertFalse(process.listens(port))

    def test_resources_and_core(self):
        core = max(os.sched_getaffinity(0))
        script = ("import os, sys\n"
                  "sum(i * i for i in range(400000))\n"
                  "print(sorted(os.sched_getaffinity(0)))")
        out = self.directory / "out"
        with process.Process([sys.executable, "-c", script], core, out) as child:
            self.assertTrue(child.ended(support.DEADLINE))
            self.assertEqual(child.reap(), 0)
        self.assertEqual(json.loads(out.read_text()), [core])
        self.assertGreater(child.usage.ru_utime, 0.005)

    def test_no_child_survives_its_context(self):
        with process.Process(["sleep", "1000"], 0) as child:
            self.assertFalse(child.ended(0.001))
        self.assertEqual(child.status, -9)
        self.assertFalse(pathlib.Path(f"/proc/{child.pid}").exists())

    def test_perf_counts(self):
        text = "# started\n\n12345,,raw_syscalls:sys_enter,1000,100.00,,\n"
        self.assertEqual(outside.counted(text), 12345)
        self.assertIsNone(outside.counted("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"))
        self.assertIsNone(outside.counted(""))

    def test_files_of_a_directory(self):
        (self.directory / "a").write_bytes(b"12345")
        self.assertEqual(outcome.wrong_files(self.directory, 1, 5), "")
        self.assertIn("left 1 files of 5 bytes", outcome.wrong_files(self.directory, 2, 10))


if __name__ == "__main__":
    if not shutil.which("taskset"):
        sys.exit(77)
    unittest.main()
