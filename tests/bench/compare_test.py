# SPDX-License-Identifier: MIT
"""What bench/compare says of two results whose difference is known."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import support
import synthetic
from harness import movement, results


def verdicts(old, new, absolute=False):
    found, _ = movement.changes(results.Results(old), results.Results(new), absolute)
    return {(change.workload, change.contender, change.metric): change.verdict
            for change in found}


CPU = ("bulk", "uring", "receiver_cpu_s_per_gib")


class Verdicts(unittest.TestCase):
    def setUp(self):
        self.old = synthetic.document(seed=1)

    def test_nothing_moved(self):
        self.assertEqual(set(verdicts(self.old, synthetic.document(seed=2)).values()),
                         {movement.SAME})

    def test_worse_and_better_are_told_apart(self):
        found = verdicts(self.old, synthetic.document(seed=2, change={"uring": 1.1}))
        self.assertEqual(found.pop(CPU), movement.WORSE)
        self.assertEqual(found.pop(("bulk", "uring", "system_cpu_s_per_gib"), movement.WORSE),
                         movement.WORSE)
        self.assertEqual(set(found.values()), {movement.SAME})
        found = verdicts(self.old, synthetic.document(seed=2, change={"uring": 0.9}))
        self.assertEqual(found[CPU], movement.BETTER)

    def test_a_slower_machine_is_not_our_fault(self):
        slower = synthetic.document(seed=2, change={name: 1.3 for name in synthetic.BULK})
        self.assertEqual(verdicts(self.old, slower)[CPU], movement.SAME)
        self.assertEqual(verdicts(self.old, slower, absolute=True)[CPU], movement.WORSE)

    def test_a_noisy_control_forbids_the_claim(self):
        noisy = synthetic.document(seed=2, noise=0.3, change={"uring": 1.05})
        self.assertEqual(verdicts(self.old, noisy)[CPU], movement.SAME)

    def test_others_are_not_ours(self):
        found = verdicts(self.old, synthetic.document(seed=2, change={"libuv": 2.0}))
        self.assertEqual({contender for _, contender, _ in found}, {"uring", "epoll"})


class Command(unittest.TestCase):
    def compare(self, old, new, *options):
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for name, document in (("old", old), ("new", new)):
                paths.append(pathlib.Path(directory) / f"{name}.json")
                results.save(document, paths[-1])
            return subprocess.run([sys.executable, support.BENCH / "compare", *paths, *options],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=support.DEADLINE)

    def test_exit_status(self):
        old = synthetic.document(seed=1)
        done = self.compare(old, synthetic.document(seed=2))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0 better, 0 worse", done.stdout)
        done = self.compare(old, synthetic.document(seed=2, change={"uring": 1.2}))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"bulk +uring +CPU-s/GiB +1\.[12].*WORSE")
        done = self.compare(old, synthetic.document(seed=2, change={"uring": 0.8}))
        self.assertEqual(done.returncode, 0)

    def test_a_contender_that_vanished_is_worse(self):
        done = self.compare(synthetic.document(), synthetic.document(without=("epoll",)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("epoll has no samples any more", done.stdout)

    def test_too_few_pairs_is_no_verdict(self):
        done = self.compare(synthetic.document(pairs=3), synthetic.document(pairs=3, seed=2))
        self.assertEqual(done.returncode, 2)
        self.assertIn("at least 5 pairs", done.stderr)

    def test_other_machines_are_noted(self):
        new = synthetic.document(seed=2)
        new["stamp"] = {**new["stamp"], "machine": {**new["stamp"]["machine"], "kernel": "9.9"}}
        self.assertIn("kernel differs: 6.1 / 9.9",
                      self.compare(synthetic.document(), new).stdout)


if __name__ == "__main__":
    unittest.main()
