# SPDX-License-Identifier: MIT
"""Targets are decided or undecided, and a run goes on until they are decided."""

import io
import math
import unittest

import support  # noqa: F401 (it says where the harness is)
import synthetic
from harness import arithmetic, metrics, plan, results, session, targets, workloads

CPU, P99 = targets.CPU, "p99_us"


def ratio(median, half_width, pairs=15):
    """One whose 95 % interval is that wide."""
    width = math.log(1 + half_width)
    made = arithmetic.Ratio([(median * math.exp(width * (i / (pairs - 1) * 2 - 1)), 1.0)
                             for i in range(pairs)])
    scale = math.log(1 + half_width) / math.log(1 + made.half_width)
    return arithmetic.Ratio([(median * math.exp(math.log(log / median) * scale), 1.0)
                             for log in map(math.exp, made.logs)])


class Bound(targets.Bound):
    """With a ratio that is made up."""

    def __init__(self, limit, made, metric=CPU):
        super().__init__("bulk", metric, limit)
        self.made = made

    def ratio(self, results):
        return self.made


class Verdicts(unittest.TestCase):
    def verdict(self, limit, made, metric=CPU):
        return Bound(limit, made, metric).verdict(made)

    def test_a_made_up_ratio_is_as_wide_as_asked_for(self):
        self.assertAlmostEqual(0.1, ratio(0.7, 0.1).half_width, places=6)

    def test_an_interval_on_one_side_decides_however_wide(self):
        self.assertEqual(targets.MET, self.verdict(0.70, ratio(0.50, 0.2)))
        self.assertEqual(targets.NOT_MET, self.verdict(0.70, ratio(0.90, 0.2)))
        self.assertEqual(targets.MET, self.verdict(0.97, ratio(1.3, 0.2), targets.RATE))
        self.assertEqual(targets.NOT_MET, self.verdict(0.97, ratio(0.7, 0.2), targets.RATE))

    def test_a_wide_one_across_the_limit_is_undecided(self):
        for median in (0.69, 0.71):
            self.assertEqual(targets.UNDECIDED, self.verdict(0.70, ratio(median, 0.05)))

    def test_of_a_narrow_one_the_median_decides(self):
        self.assertEqual(targets.MET, self.verdict(0.70, ratio(0.69, 0.029)))
        self.assertEqual(targets.NOT_MET, self.verdict(0.70, ratio(0.71, 0.029)))

    def test_a_tail_is_narrow_at_fifteen_per_cent(self):
        self.assertEqual(targets.MET, self.verdict(1.10, ratio(1.05, 0.14), P99))
        self.assertEqual(targets.UNDECIDED, self.verdict(1.10, ratio(1.05, 0.16), P99))
        self.assertEqual(0.03, metrics.METRICS["p50_us"].precision)

    def test_more_pairs_are_taken_unless_it_is_narrow_or_clear(self):
        self.assertFalse(Bound(0.70, ratio(0.69, 0.05)).is_settled(None))
        self.assertTrue(Bound(0.70, ratio(0.69, 0.029)).is_settled(None))
        self.assertTrue(Bound(0.70, ratio(0.40, 0.2)).is_settled(None))
        # 95 % exclude the limit, 99.9 % do not: looked at again and again, that would be luck.
        close = ratio(0.67, 0.04)
        self.assertLess(close.high, 0.70)
        self.assertFalse(Bound(0.70, close).is_settled(None))

    def test_nobody_waits_for_what_has_no_data(self):
        self.assertTrue(Bound(0.70, None).is_settled(None))


class OfAResult(unittest.TestCase):
    def test_who_is_needed_to_decide(self):
        loaded = results.Results(synthetic.document(noise=0.1))
        needed = targets.unsettled(loaded)
        self.assertIn(("latency-10k", "plain-epoll"), needed)
        self.assertIn(("latency-10k", "uring"), needed)
        self.assertNotIn(("bulk", "naive"), needed)
        self.assertEqual(set(), targets.unsettled(results.Results(synthetic.document(noise=0.001))))

    def test_a_tail_is_one_of_a_million_messages(self):
        document = synthetic.document(noise=0.001)
        samples = [sample for sample in document["samples"] if sample["workload"] == "latency-10k"]
        for sample in samples:
            sample["messages"] = 1000
        self.assertEqual({("latency-10k", "uring"), ("latency-10k", "plain-epoll")},
                         targets.unsettled(results.Results(document)))
        for sample in samples:
            sample["messages"] = 10 ** 6
        self.assertEqual(set(), targets.unsettled(results.Results(document)))

    def test_each_path_has_its_own(self):
        document = synthetic.document()
        document["settings"].update(path="veth", softirq="receiver")
        told = {(workload, what) for workload, what, *_ in
                targets.evaluate(results.Results(document))}
        self.assertIn(("bulk", "whole system's CPU (CPU-s/GiB), uring ÷ libuv"), told)
        self.assertNotIn(("bulk", "CPU (CPU-s/GiB), uring ÷ libuv"), told)
        document["settings"].update(path="veth-nic", softirq=None)
        self.assertEqual([], targets.evaluate(results.Results(document)))

    def test_every_target_is_of_something_that_is_measured(self):
        for target in (target for listed in targets.BY_PATH.values() for target in listed):
            if target.workload != "any":
                self.assertIn(target.metric, workloads.of(target.workload).figures.shown)


class Driver:
    """Every sample takes 10 s of a clock that only samples move."""

    def __init__(self):
        self.now = 0.0
        self.taken = []

    def sample(self, workload, contender, *_, **__):
        self.now += 10
        self.taken.append(contender)
        return {"gib_per_s": 1.0}


class PairingOn(unittest.TestCase):
    def run_until(self, deadline, wanted, rounds=2):
        self.driver = Driver()
        made = plan.Plan(rounds, False)
        for name in ("a", "b", "c"):
            made.add(plan.Item("bulk", workloads.of("bulk"), None, name, False, None))
        self.document = session.empty_document({}, {}, "a", [])
        self.told = io.StringIO()
        run = session.Session(made, self.driver, None, self.document,
                              session.Progress(self.told), clock=lambda: self.driver.now)
        run.run(deadline, lambda: None)
        run.pair_on(deadline, lambda: None, lambda: wanted(self.driver.taken))

    def test_who_is_needed_is_run_on_until_it_is_enough(self):
        self.run_until(1e9, lambda taken: {("bulk", "a"), ("bulk", "c")}
                       if taken.count("a") < 5 else set())
        self.assertEqual({"a": 6, "b": 2, "c": 6},
                         {name: self.driver.taken.count(name) for name in "abc"})
        # Two rounds at a time: the second backwards.
        self.assertEqual(self.driver.taken[6:8], self.driver.taken[8:10][::-1])
        settings = self.document["settings"]
        self.assertEqual((2, 4), (settings["rounds"], settings["more_rounds"]))
        self.assertEqual(set(range(6)), {sample["round"] for sample in self.document["samples"]})

    def test_a_couple_is_whole(self):
        self.run_until(1e9, lambda taken: {("bulk", "a"), ("bulk", "b")}
                       if taken.count("a") < 4 else set(), rounds=3)
        self.assertEqual(self.driver.taken[9:11], self.driver.taken[11:13][::-1])
        self.assertEqual(2, self.document["settings"]["more_rounds"])

    def test_it_is_bounded_by_time_and_says_what_is_missing(self):
        self.run_until(150, lambda taken: {("bulk", "a"), ("bulk", "b")})
        self.assertLessEqual(self.driver.now, 150)
        self.assertEqual(4, self.document["settings"]["more_rounds"])
        self.assertIn("more was wanted of bulk", self.told.getvalue())

    def test_nothing_is_added_where_all_is_decided(self):
        self.run_until(1e9, lambda taken: set())
        self.assertEqual(6, len(self.driver.taken))
        self.assertNotIn("more_rounds", self.document["settings"])


if __name__ == "__main__":
    unittest.main()
