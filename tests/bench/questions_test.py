# SPDX-License-Identifier: MIT
"""The questions that have sets of their own, from results with known truths: the factorial, the
map, what auto takes, floors, paths side by side, histograms."""

import itertools
import pathlib
import random
import tempfile
import unittest

import support
import synthetic
from harness import (auto, beside, choice, crossover, factorial, floors, hdr, latencies, page,
                     plan, results, sets, targets, workloads)

# What each switch makes of the CPU; together, gathering spares most of what spared ACKs would.
EFFECT = {"g": 0.5, "a": 0.8, "b": 1.0, "i": 0.9}
URING = 0.7
TOGETHER = 1.2  # gathering and ACKs


def document(samples, contenders):
    made = synthetic.document(pairs=1)
    made["samples"] = samples
    made["contenders"] += [{"name": name, "kind": kind, "label": ""} for name, kind in contenders]
    return made


def cells():
    for count in range(5):
        for letters in itertools.combinations("gabi", count):
            yield "uring", "".join(letters)
            if not set(letters) & set("bi"):
                yield "epoll", "".join(letters)


def cost(backend, letters):
    value = URING if backend == "uring" else 1.0
    # The backend's row compares epoll with a uring as it is by default, so undo what that brings.
    if backend == "uring":
        value /= EFFECT["i"]
    for letter in letters:
        value *= EFFECT[letter]
    return value * (TOGETHER if {"g", "a"} <= set(letters) else 1.0)


def factored(noise=0.01, rounds=9):
    rng = random.Random(4)
    samples = []
    for number, (backend, letters) in itertools.product(range(rounds), cells()):
        value = cost(backend, letters) * (1 + 0.1 * number) * rng.lognormvariate(0, noise)
        samples.append({"workload": "bulk", "contender": f"cell-{backend}-{letters}",
                        "control": False, "round": number, "receiver_cpu_s_per_gib": value,
                        "system_cpu_s_per_gib": 3 * value, "gib_per_s": 1 / value})
    names = [(f"cell-{backend}-{letters}", "cell") for backend, letters in cells()]
    return results.Results(document(samples, names))


class Factorial(unittest.TestCase):
    def setUp(self):
        self.results = factored()

    def effect(self, switch):
        return factorial.effect(self.results, "bulk", "receiver_cpu_s_per_gib", switch)

    def test_there_are_twenty_cells(self):
        self.assertEqual(20, len(factorial.cells(self.results, "bulk")))

    def test_each_effect_is_found_whatever_else_is_on(self):
        root = TOGETHER ** 0.5  # half of the cells have the other one
        for switch, expected in (("g", EFFECT["g"] * root), ("a", EFFECT["a"] * root),
                                 ("b", EFFECT["b"]), ("i", EFFECT["i"]), (None, URING)):
            found = self.effect(switch)
            self.assertAlmostEqual(expected, found.median, delta=0.01)
            self.assertLess(found.half_width, 0.02)
            self.assertEqual(9, found.pairs)

    def test_what_hangs_together_is_told(self):
        found = factorial.interaction(self.results, "bulk", "receiver_cpu_s_per_gib", "g", "a")
        self.assertAlmostEqual(TOGETHER, found.median, delta=0.02)
        found = factorial.interaction(self.results, "bulk", "receiver_cpu_s_per_gib", "g", "b")
        self.assertAlmostEqual(1.0, found.median, delta=0.02)

    def test_a_cell_that_is_missing_is_left_out_of_the_mean(self):
        samples = [sample for sample in self.results.samples
                   if sample["contender"] != "cell-uring-g"]
        names = [(f"cell-{backend}-{letters}", "cell") for backend, letters in cells()]
        self.results = results.Results(document(samples, names))
        self.assertAlmostEqual(EFFECT["b"], self.effect("b").median, delta=0.01)

    def test_the_part_of_the_page(self):
        text = factorial.part(self.results)
        self.assertRegex(text, r"\| bulk \| gathering \| 0\.5\d \[0\.5")
        self.assertRegex(text, r"\| bulk \| uring, .* ÷ epoll \| 0\.70 \[")
        self.assertRegex(text, r"\| uring \| gathering, ACKs spared \| 0\.\d+ \|")
        self.assertEqual("", factorial.part(results.Results(synthetic.document())))

    def test_cells_are_in_no_other_table(self):
        text = page.page(self.results, "name", {})
        self.assertIn("## What saves", text)
        self.assertNotIn("## bulk", text)
        self.assertNotIn("cell-", text.partition("## What saves")[0])


def mapped():
    samples = []
    for number in range(7):
        for parameter, costs in (("64x1x2000", {"uring": 2.0, "epoll": 1.0, "plain-epoll": 1.1}),
                                 ("1024x64xmax", {"uring": 0.4, "epoll": 0.8, "plain-epoll": 1.0})):
            for name, value in costs.items():
                samples.append({"workload": "map", "contender": name, "control": False,
                                "round": number, "parameter": parameter, "wall_s": 0.3,
                                "receiver_cpu_s_per_gib": value * (1 + 0.01 * number),
                                "gib_per_s": 1 / value, "steal_s": 0.0})
    samples.append({**samples[0], "round": 99, "receiver_cpu_s_per_gib": 1e-9, "steal_s": 0.1})
    return results.Results(document(samples, []))


class Map(unittest.TestCase):
    def test_who_wins_and_by_how_much(self):
        found = {(point.size, point.streams, point.rate): point
                 for point in crossover.points(mapped())}
        self.assertEqual({(64, 1, 2000), (1024, 64, None)}, set(found))
        slow, fast = found[64, 1, 2000], found[1024, 64, None]
        self.assertEqual(("epoll", "plain-epoll"), (slow.winner, slow.next))
        self.assertAlmostEqual(1 / 1.1, slow.ratio.median)
        self.assertEqual(("uring", "epoll"), (fast.winner, fast.next))
        self.assertAlmostEqual(2.0, fast.throughput.median)

    def test_the_picture(self):
        try:
            from harness import plots
        except ImportError:
            self.skipTest("matplotlib is not installed")
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual({"map": "map.svg"}, plots.draw_questions(mapped(), directory))
            text = (pathlib.Path(directory) / "map.svg").read_text()
        for wanted in ("flat out", "2,000 messages/s", "0.50 of epoll", "×2.00"):
            self.assertIn(wanted, text)


class Auto(unittest.TestCase):
    """uring is what auto takes."""

    def told(self, *more, **change):
        return auto.part([results.Results(synthetic.document(change=change)), *more])

    def test_a_backend_that_costs_less_supports_it(self):
        text = self.told(uring=0.8)
        self.assertIn("The figures support it beyond noise on bulk; `epoll` is ahead of it beyond "
                      "noise nowhere; they leave open latency-10k.", text)
        self.assertRegex(text, r"\| bulk \| 0\.8\d \[0\.\d+, 0\.\d+\], 15 pairs \| – \| yes \|")
        self.assertRegex(text, r"\| latency-10k \| 1\.\d+ \[.*\] ≈, 15 pairs \| – \| open \|")

    def test_one_that_costs_more_is_named(self):
        text = self.told(uring=1.3)
        self.assertIn("**`epoll` is ahead of it beyond noise on bulk**", text)
        self.assertRegex(text, r"\| bulk \| 1\.\d+ \[1\.\d+, 1.*\], 15 pairs \| – \| \*\*no\*\* \|")

    def test_the_factorial_has_a_say(self):
        made = factored()
        for sample in list(made.samples):
            if sample["contender"] == "cell-uring-":
                made.samples.append({**sample, "control": True})
        text = self.told(results.Results(made.document))
        self.assertRegex(text, r"\| bulk \| 1\.0\d .* ≈, 15 pairs \| 0\.70 \[.*\], 9 rounds \| yes")
        # A loss by default is none the less for that.
        self.assertRegex(self.told(results.Results(made.document), uring=1.3),
                         r"\| bulk \| 1\.3\d .*0\.70 .*\*\*no\*\* \|")

    def test_without_a_control_a_factorial_says_nothing(self):
        self.assertRegex(self.told(factored()), r"\| 0\.70 \[.*\] ≈, 9 rounds \| open \|")

    def test_the_map_names_where_the_other_one_takes_less(self):
        text = self.told(mapped())
        self.assertIn("at 1 of 2 points, and more at 1: **64 on 1 stream at 2,000 a second, 2.00 "
                      "[2.00, 2.00]**", text)
        self.assertIn("with 7 to 7 pairs a point", text)

    def test_with_nothing_of_ours_beside_it_there_is_no_part(self):
        self.assertEqual("", auto.part([results.Results(synthetic.document(without=("epoll",)))]))

    def test_it_is_in_the_page_beside_the_factorial(self):
        text = page.page(results.Results(synthetic.document()), "one", {},
                         more=[(factored(), "two")])
        _, _, behind = text.partition("## What saves: the factorial")
        self.assertIn("## What `auto` takes, and whether the figures support it", behind)


class Choice(unittest.TestCase):
    def made(self, **change):
        made = synthetic.document(change=change)
        made["settings"]["set"] = "runtimes"
        return results.Results(made)

    def test_ours_by_each_of_them(self):
        text = choice.part(self.made())
        self.assertRegex(text, r"\| workload \| figure \| uring \| .*libuv")
        self.assertRegex(text, r"\| bulk \| CPU \(CPU-s/GiB\) \| 0\.100 \| .*0\.58 \[")
        self.assertIn("Ours is behind here: bulk: throughput by loop-256k.", text)

    def test_losses_are_named(self):
        self.assertIn("bulk: CPU by libuv", choice.part(self.made(libuv=0.3)))

    def test_of_other_sets_there_is_no_part(self):
        self.assertEqual("", choice.part(results.Results(synthetic.document())))

    def test_the_page_has_it_once_and_no_targets_of_it(self):
        text = page.page(results.Results(synthetic.document()), "one", {},
                         more=[(self.made(), "two")])
        self.assertEqual(1, text.count("## Runtimes that people choose between"))
        self.assertEqual(1, text.count("## Targets"))


class Floors(unittest.TestCase):
    def floored(self, cost_of_floor):
        made = synthetic.document()
        made["contenders"].append({"name": "floor-copy", "kind": "floor", "label": ""})
        made["samples"] += [
            {"workload": "bulk", "contender": "floor-copy", "control": False, "round": number,
             "receiver_cpu_s_per_gib": cost_of_floor, "gib_per_s": 4.0} for number in range(15)]
        return results.Results(made)

    def test_cost_above_the_floor(self):
        self.assertRegex(floors.part(self.floored(0.09)), r"bulk \| floor-copy \| \+1\d% \|")
        self.assertEqual([], floors.beaten(self.floored(0.09)))
        self.assertEqual([], floors.beaten(self.floored(0.1005)))  # inside the noise

    def test_a_floor_that_is_beaten_fails_the_run(self):
        (entry,) = floors.beaten(self.floored(0.12))
        self.assertEqual(("bulk", "uring"), (entry["workload"], entry["contender"]))
        self.assertIn("floor-copy", entry["why"])

    def test_no_floors_no_part(self):
        self.assertEqual("", floors.part(results.Results(synthetic.document())))


class Paths(unittest.TestCase):
    def on(self, path, softirq, change=None):
        made = synthetic.document(change=change)
        made["settings"].update(path=path, softirq=softirq)
        for sample in made["samples"]:
            sample.update(bytes=1 << 30, receiver_cpu_s=0.2, receiver_core_cpu_s=0.25,
                          sender_core_cpu_s=0.3)
            if softirq == "own":
                sample["napi_cpu_s"] = 0.07
        return results.Results(made)

    def test_a_gain_that_turns_into_a_loss_is_marked(self):
        text = beside.part([self.on("loopback", None),
                            self.on("veth", "receiver", {"libuv": 0.4, "plain-epoll": 0.9})])
        self.assertRegex(text, r"\| bulk \| CPU \| libuv \| 0\.58 .* \| 1\.4\d .* \| ⇅ \|")
        self.assertRegex(text, r"\| bulk \| CPU \| plain-epoll \| .* \|  \|")
        self.assertIn("veth, softirq at the receiver", text)

    def test_whose_processor_time_it_is(self):
        text = beside.part([self.on("loopback", None), self.on("veth", "own")])
        self.assertIn("| veth, softirq in a thread | bulk | uring | 0.200 | 0.250 | 0.300 | "
                      "0.070 |", text)
        self.assertNotIn("| loopback | bulk", text)

    def test_one_path_has_nothing_beside_it(self):
        self.assertEqual("", beside.part([self.on("loopback", None)]))

    def test_the_page_has_the_targets_of_all(self):
        text = page.page(self.on("loopback", None), "one", {},
                         more=[(self.on("veth", "receiver"), "two")])
        self.assertIn("## Targets, veth, softirq at the receiver", text)
        self.assertIn("[two.json](results/two.json) (full, veth, softirq at the receiver)", text)


class Sets(unittest.TestCase):
    def test_targets_take_whom_they_compare(self):
        asked = sets.of("targets", "loopback", None, "uring", False)
        bulk = asked.patterns(workloads.of("bulk"), "bulk")
        for name, there in (("uring", True), ("libuv", True), ("loop-256k", True), ("trunc", True),
                            ("floor-copy", True), ("uring-latency", True), ("blocking", False),
                            ("socat", False), ("cell-uring-g", False)):
            self.assertEqual(there, plan.chosen(name, bulk), name)
        self.assertTrue(asked.holds(workloads.of("latency")))
        self.assertFalse(asked.holds(workloads.of("sweep")))

    def test_a_path_without_targets_has_something_to_compare(self):
        asked = sets.of("targets", "veth", "own", "uring", False)
        self.assertEqual((), targets.BY_PATH.get(("veth", "own"), ()))
        self.assertTrue(plan.chosen("libuv", asked.patterns(workloads.of("bulk"), "bulk")))

    def test_the_factorial_takes_one_rate(self):
        asked = sets.of("factorial", "loopback", None, "uring", False)
        latency = workloads.of("latency")
        self.assertTrue(plan.chosen("cell-epoll-ga", asked.patterns(latency, "latency-50k")))
        self.assertFalse(asked.patterns(latency, "latency-1k"))

    def test_the_runtimes_take_every_rate(self):
        asked = sets.of("runtimes", "loopback", None, "uring", False)
        latency = workloads.of("latency")
        for title in ("latency-1k", "latency-10k", "latency-50k"):
            for name in ("uring", "netty", "asio-uring", "plain-epoll"):
                self.assertTrue(plan.chosen(name, asked.patterns(latency, title)), name)
        self.assertTrue(asked.holds(workloads.of("short")))
        self.assertFalse(asked.holds(workloads.of("file")))

    def test_cells_take_part_only_where_asked_for(self):
        for name in ("bulk", "fanin-64", "sweep"):
            patterns = plan.Asked().patterns(workloads.of(name), name)
            self.assertFalse(plan.chosen("cell-uring-gabi", patterns))
            self.assertTrue(plan.chosen("uring", patterns))


# By HdrHistogram 2.1.11 for Java, new Histogram(1, (1L << 40) - 1, 2), of 1, 1, 300, 70,000 and
# 5,000,000; it takes ours for equal, and reads a log of them.
FOREIGN = "HISTFAAAACh4nJNpmSzMwMDAzQABTFCaEYj/g4D9B6gIy3IWpof8THN5mADSaAnN"


class Histograms(unittest.TestCase):
    def test_what_is_written_is_read(self):
        rng = random.Random(7)
        histogram = {index: rng.randrange(1, 1 << rng.randrange(1, 50)) for index in
                     rng.sample(range(4000), 300)}
        self.assertEqual(histogram, hdr.decode(hdr.encode(histogram)))
        self.assertEqual({}, hdr.decode(hdr.encode({})))

    def test_another_program_s_is_read_and_ours_is_the_same(self):
        expected = {1: 2, hdr_index(300): 1, hdr_index(70_000): 1, hdr_index(5_000_000): 1}
        self.assertEqual(expected, hdr.decode(FOREIGN))

    def test_percentiles_of_what_is_merged(self):
        one, other = {10: 90}, {10: 9, 200: 1}
        merged = hdr.merged([one, other])
        self.assertEqual(100, hdr.count(merged))
        self.assertEqual(10, hdr.percentile(merged, 99))
        self.assertEqual(200, hdr.percentile(merged, 100))

    def test_a_bucket_ends_where_the_next_begins(self):
        for value in (1, 127, 128, 255, 256, 257, 258, 1000, 123_456, 10 ** 9):
            index = hdr.bucket_of(value)
            self.assertEqual(hdr_index(value), index)
            self.assertLessEqual(value, hdr.highest(index))
            self.assertGreater(value, hdr.highest(index - 1))

    def test_what_is_none_is_refused(self):
        for text in ("", "AAAA", "not base64!", hdr.encode({1: 1})[:-12]):
            self.assertRaises(hdr.Unreadable, hdr.decode, text)

    def test_all_messages_of_a_run(self):
        made = synthetic.document(pairs=3)
        for sample in made["samples"]:
            if sample["workload"] == "latency-10k":
                sample["histogram"] = hdr.encode({hdr_index(20_000): 99, hdr_index(3_000_000): 1})
        loaded = results.Results(made)
        text = latencies.part(loaded, "results/name")
        self.assertRegex(text, r"latency-10k \| uring \| 300 \*( \| 20\.\d){3} \| 3,0")
        (log,) = latencies.logs(loaded).values()
        self.assertEqual(3 * 3, log.count("Tag="))
        self.assertEqual("", latencies.part(results.Results(synthetic.document()), ""))

    def test_a_log(self):
        lines = hdr.log([("uring", 10.0, 0.5, {10: 1})]).splitlines()
        self.assertTrue(lines[0].startswith("#[Histogram log format version 1.3]"))
        tag, started, seconds, _, text = lines[2].split(",")
        self.assertEqual(("Tag=uring", "10.000", "0.500"), (tag, started, seconds))
        self.assertEqual({10: 1}, hdr.decode(text))


def hdr_index(value):
    """By HdrHistogram's own definition, for 256 sub-buckets of 1 ns."""
    bucket = max(0, value.bit_length() - 8)
    return ((bucket + 1) << 7) + (value >> bucket) - 128


if __name__ == "__main__":
    unittest.main()
