# SPDX-License-Identifier: MIT
"""The plan of a result, run again: the same plan, and what is said of its claims."""

import json
import unittest

import support
import synthetic
from harness import reproduction, results
from run_test import Temporary


def said(old, new):
    return {(claim.workload, claim.metric, claim.other): claim.said
            for claim in reproduction.claims(results.Results(old), results.Results(new))}


CPU = ("bulk", "receiver_cpu_s_per_gib")


class Claims(unittest.TestCase):
    def test_the_same_again(self):
        found = said(synthetic.document(), synthetic.document(seed=2))
        self.assertEqual(reproduction.AGAIN, found[(*CPU, "libuv")])
        # A loss is a claim too.
        self.assertEqual(reproduction.AGAIN, found[("bulk", "gib_per_s", "loop-256k")])
        self.assertNotIn(reproduction.REFUTED, found.values())

    def test_ahead_there_and_behind_here(self):
        found = said(synthetic.document(), synthetic.document(change={"libuv": 0.4}))
        self.assertEqual(reproduction.REFUTED, found[(*CPU, "libuv")])
        self.assertEqual(reproduction.AGAIN, found[(*CPU, "naive")])

    def test_another_ratio_is_no_refutation(self):
        found = said(synthetic.document(), synthetic.document(change={"libuv": 2.0}))
        self.assertEqual(reproduction.ELSEWHERE, found[(*CPU, "libuv")])

    def test_what_is_noise_here_is_not_to_be_seen(self):
        found = said(synthetic.document(), synthetic.document(change={"libuv": 0.1 / 0.17}))
        self.assertEqual(reproduction.UNKNOWN, found[(*CPU, "libuv")])

    def test_refuted_ones_are_told_first(self):
        old, new = (results.Results(document) for document in (
            synthetic.document(), synthetic.document(change={"libuv": 0.4})))
        lines = reproduction.text(reproduction.claims(old, new))
        self.assertIn("libuv", lines[1])
        self.assertTrue(lines[1].endswith("REFUTED"))
        self.assertIn("2 REFUTED, ", lines[-2])


class Again(Temporary):
    def setUp(self):
        super().setUp()
        build = support.fake_build(self.directory / "build")
        done = self.run_bench(build, "--pairs=3", "--workload=bulk,latency",
                              "--contender=uring,naive", f"--output={self.directory / 'old'}")
        self.assertEqual(0, done.returncode, done.stderr)
        (self.old,) = (self.directory / "old").glob("*.json")
        self.build = build

    def test_it_is_the_same_plan(self):
        done = self.run_bench(self.build, f"--reproduce={self.old}")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertRegex(done.stdout, r"bulk +CPU-s/GiB +naive +0\.20 .* again")
        old, new = results.load(self.old), self.only_result()
        self.assertEqual(old.workloads(), new.workloads())
        for title in old.workloads():
            self.assertEqual(sorted(old.ran(title)), sorted(new.ran(title)))
        self.assertEqual(3, new.document["settings"]["pairs"])
        self.assertEqual(self.old.stem, new.document["settings"]["reproduces"])

    def test_what_is_refuted_fails(self):
        document = json.loads(self.old.read_text())
        for sample in document["samples"]:
            if sample["contender"] == "naive" and sample["workload"] == "bulk":
                sample["receiver_cpu_s_per_gib"] = 0.01
        self.old.write_text(json.dumps(document))
        done = self.run_bench(self.build, f"--reproduce={self.old}")
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stdout, r"bulk +CPU-s/GiB +naive +10\.0.* REFUTED")

    def test_what_the_result_says_can_not_be_said_twice(self):
        for option, word in (("--pairs=2", "--pairs"), ("--workload=bulk", "--workload")):
            done = self.run_bench(self.build, f"--reproduce={self.old}", option)
            self.assertEqual(2, done.returncode)
            self.assertIn(f"{word}: goes not with --reproduce", done.stderr)
        done = self.run_bench(self.build, "--reproduce=absent.json")
        self.assertEqual(2, done.returncode)
        self.assertIn("absent.json", done.stderr.splitlines()[-1])

    def test_two_hosts_need_a_second_one(self):
        document = json.loads(self.old.read_text())
        document["settings"]["path"] = "hosts"
        self.old.write_text(json.dumps(document))
        done = self.run_bench(self.build, f"--reproduce={self.old}")
        self.assertEqual(2, done.returncode)
        self.assertIn("--sender says who sends now", done.stderr)


if __name__ == "__main__":
    unittest.main()
