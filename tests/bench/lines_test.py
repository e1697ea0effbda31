# SPDX-License-Identifier: MIT
"""One line each: who is compared with whom and where, that what is changed receives every byte and
is what it says, and that the page tells who won."""

import os
import pathlib
import re
import subprocess
import unittest

import support
import synthetic
from harness import driver, html_page, kinds, lines, page, paths, plan, results, sets, workloads
from run_test import Temporary

BUILD = pathlib.Path(os.environ["LASTBYTE_BUILD"])
BENCH = driver.Driver(BUILD)
SMALL = ("--bytes=4M", "--seconds=0.4", "--streams=64")
CORES = (BENCH.receiver_core, BENCH.sender_core)


def changed():
    """The contenders with one thing changed, by name."""
    return {entry["name"]: entry for entry in BENCH.contenders()
            if entry["kind"] == kinds.CHANGED.name}


def made(path):
    return plan.make(BENCH, (), sets.of("lines", path, None, "uring", False))


class Plan(unittest.TestCase):
    def test_every_contender_with_one_thing_changed_is_compared(self):
        named = {line.contender for line in lines.LINES} | set(lines.RCVBUF)
        self.assertEqual(set(changed()), named)

    def test_each_serves_where_it_is_compared(self):
        known = {entry["name"]: entry["workloads"] for entry in BENCH.contenders()}
        for line in lines.LINES:
            for title in line.titles:
                for name in (line.contender, line.base):
                    self.assertIn(workloads.of(title).name, known[name])

    def test_they_are_in_no_other_set(self):
        for quick in (False, True):
            everybody = plan.make(BENCH, (), plan.Asked(quick=quick))
            self.assertFalse([item for item in everybody.items
                              if item.contender.startswith("with-")])

    def test_each_path_has_its_own(self):
        there = {path: {(item.title, item.contender) for item in made(path).items}
                 for path in paths.NAMES}
        here = changed()
        for line in lines.LINES:
            if here[line.contender]["available"]:
                for path, title in ((path, title) for path in there for title in line.titles):
                    self.assertEqual(path == line.path, (title, line.contender) in there[path])
        for title, names in lines.HELD.items():
            self.assertLessEqual({(title, name) for name in names if name.endswith("epoll")},
                                 there["loopback"])

    def test_noise_is_measured_in_each(self):
        for path in paths.NAMES:
            items = made(path).items
            for title in {item.title for item in items}:
                self.assertEqual(1, sum(item.control for item in items if item.title == title))

    def test_some_are_reached_over_a_pair_of_their_own(self):
        addresses = {(item.title, item.contender): item.address
                     for path in ("veth", "veth-nic") for item in made(path).items}
        self.assertEqual(paths.address(paths.PAGES), addresses["bulk-zerocopy", "loop-256k"])
        self.assertEqual(paths.address(paths.BIG), addresses["bulk", "with-big-tcp"])
        self.assertEqual((), addresses["bulk", "best-epoll"])

    def test_a_pair_that_can_not_be_is_named(self):
        asked = made("veth")
        asked.leave_out(paths.address(paths.BIG), "the kernel sets no such size")
        self.assertIn({"contender": "with-big-tcp", "why": "the kernel sets no such size"},
                      asked.skipped)
        self.assertNotIn("with-big-tcp", [item.contender for item in asked.items])


class Receives(Temporary):
    def assert_right(self, workload, names, options=()):
        here = [name for name in names if changed().get(name, {"available": True})["available"]]
        told = BENCH.verify(workload, here, (*SMALL, *options))
        self.assertEqual({name: "" for name in told}, told)
        self.assertEqual(set(here), {name.split("/")[1] for name in told})

    def test_every_byte(self):
        of = {}
        for name, entry in changed().items():
            for workload in ("bulk", "fanin-64", "latency"):
                if workload in entry["workloads"]:
                    of.setdefault(workload, []).append(name)
        for workload, names in of.items():
            self.assert_right(workload, names)

    def test_what_was_held_comes_to_its_end(self):
        self.assert_right("stalled", ["epoll"])
        sample = BENCH.sample("stalled", "epoll", options=("--streams=64",))
        self.assertGreater(sample["sender_socket_bytes_per_stream"], 10_000)
        if "kernel_object_bytes_per_stream" in sample:  # who may read it
            self.assertGreater(sample["kernel_object_bytes_per_stream"], 2_000)

    def test_mptcp_is_mptcp(self):
        if not changed()["with-mptcp"]["available"]:
            self.skipTest(changed()["with-mptcp"]["why"])
        before = capable()
        BENCH.sample("bulk", "with-mptcp", options=SMALL)
        self.assertGreater(capable(), before)

    def enter(self, name, *more):
        return support.enter(self, paths.of(name, "sender", CORES, more))

    def test_pages_are_mapped(self):
        path = self.enter("veth-nic", paths.PAGES)
        there = (*path.options, *paths.address(paths.PAGES))
        self.assert_right("bulk-zerocopy", ["loop-256k", "with-mapping"], there)
        for name, least, most in (("with-mapping", 0.9, 1.0), ("loop-256k", 0.0, 0.0)):
            sample = BENCH.sample("bulk-zerocopy", name, options=(*SMALL, *there))
            self.assertLessEqual(least, sample["mapped_share"])
            self.assertGreaterEqual(most, sample["mapped_share"])
            self.assertIn("sender_copied_share", sample)

    def test_packets_are_big(self):
        path = self.enter("veth", paths.BIG)
        if path.missing:
            self.skipTest(path.missing[paths.BIG])
        net = path.options[1].partition("=")[2]
        BENCH.sample("bulk", "with-big-tcp",
                     options=(*path.options, *paths.address(paths.BIG), "--bytes=64M"))
        told = subprocess.run(["nsenter", f"--net={net}", "ip", "-s", "link", "show",
                               paths.BIG.device], stdout=subprocess.PIPE, check=True,
                              text=True).stdout
        size, packets = map(int, re.search(r"RX:.*\n\s*(\d+)\s+(\d+)", told).groups())
        self.assertGreater(size / packets, 1 << 16)

    def test_not_between_two_hosts(self):
        done = self.run_bench(BUILD, "--set=lines", "--sender=nowhere.invalid")
        self.assertEqual(2, done.returncode)
        self.assertIn("--set=lines: goes not with --sender", done.stderr)


def capable():
    """Connections of this host that began as MPTCP, of both ends."""
    text = pathlib.Path("/proc/net/netstat").read_text()
    names, values = (line.split() for line in text.splitlines() if line.startswith("MPTcpExt:"))
    counts = dict(zip(names, values))
    return int(counts["MPCapableSYNACKRX"])


# ---- the page

def result(path, ran, rounds=9):
    """ran: {title: {contender: CPU and throughput}}; nothing scatters but the control a little."""
    document = synthetic.document(pairs=1)
    document["settings"].update(set="lines", path=path)
    document["contenders"] += [{"name": name, "kind": "changed", "label": ""}
                               for of in ran.values() for name in of]
    document["samples"] = [
        {"workload": title, "contender": name, "control": control, "round": number, "wall_s": 1.0,
         **figures(title, cpu * (1 + 0.01 * (number % 3) * control), rate)}
        for number in range(rounds) for title, of in ran.items()
        for place, (name, (cpu, rate)) in enumerate(of.items())
        for control in ((False, True) if place == 0 else (False,))]
    return results.Results(document)


def figures(title, cpu, rate):
    if title.startswith("latency"):
        return {"receiver_cpu_fraction": cpu, "system_cpu_s_per_gib": cpu, "p50_us": 1 / rate,
                "p99_us": 5 / rate}
    return {"receiver_cpu_s_per_gib": cpu, "system_cpu_s_per_gib": 1.0, "gib_per_s": rate,
            "mapped_share": 0.984 if title == "bulk-zerocopy" else 0.0,
            "sender_copied_share": 1.0}


class Page(unittest.TestCase):
    def setUp(self):
        self.loopback = result("loopback", {
            "bulk": {"best-epoll": (1.0, 4.0), "with-mptcp": (2.0, 2.0), "best-uring": (1.0, 4.0),
                     **{name: (0.8, 4.0) for name in lines.RCVBUF}},
            "latency-10k": {"best-uring": (0.1, 1.0), "with-no-iowait": (0.1, 1.0)}})
        self.nic = result("veth-nic", {
            "latency-10k": {"best-epoll": (0.1, 1.0), "with-epoll-params": (0.9, 2.0)},
            "bulk-zerocopy": {"loop-256k": (1.0, 1.0), "with-mapping": (0.7, 1.2)}})

    def test_a_line_each_won_or_lost(self):
        text = lines.part([self.loopback, self.nic])
        for wanted in (
                r"over loopback \(1 rounds, a load of 0 before\), veth-nic \(",
                r"\| MPTCP \| best-epoll \| bulk, loopback \| 2\.00 \[2\.00, 2\.00\] .* lost \|",
                r"\| IORING_ENTER_NO_IOWAIT \| best-uring \| .* 1\.00 .*≈ .* no difference \|",
                r"\| EPIOCSPARAMS, .* 9\.00 .* p50 0\.50 .* p99 0\.50 .* won and lost \|",
                r"\| TCP_ZEROCOPY_RECEIVE, .* 0\.70 \[.* won \|"):
            self.assertRegex(text, wanted)
        self.assertEqual(4, len(lines.rows([self.loopback, self.nic])))

    def test_what_was_mapped(self):
        text = lines.part([self.nic])
        self.assertIn("98.4% were mapped", text)
        self.assertIn("copied 100% after all", text)

    def test_receive_memory(self):
        self.assertRegex(lines.part([self.loopback]),
                         r"\| 32 MiB \| 1\.00 \[.* ≈ \| 0\.80 \[0\.80, 0\.80\] \|")

    def test_what_the_kernel_holds(self):
        held = result("loopback", {"idle": {"uring": (1.0, 1.0)}})
        for sample in held.samples:
            sample.update(kernel_object_bytes_per_stream=8272, rss_bytes_per_stream=505)
        self.assertIn("| idle | uring | 8,272 | – | – | 505 |", lines.part([held]))

    def test_what_is_untested_is_named(self):
        text = lines.part([self.nic])
        for name in ("zcrx", "RSS", "NUMA"):
            self.assertIn(name, text)
        self.assertEqual("", lines.part([results.Results(synthetic.document())]))

    def test_both_pages_have_it(self):
        first = results.Results(synthetic.document())
        text = page.page(first, "one", {}, more=[(self.loopback, "two"), (self.nic, "three")])
        self.assertIn("## One line each", text)
        self.assertNotIn("## Targets, ", text)
        text = html_page.html(first, "one", more=[self.loopback, self.nic])
        self.assertIn('<section id="lines">', text)
        self.assertRegex(text, "SO_RCVBUF.*with it ÷ without|with it ÷ without.*SO_RCVBUF")


if __name__ == "__main__":
    unittest.main()
