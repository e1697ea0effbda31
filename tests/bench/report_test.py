# SPDX-License-Identifier: MIT
"""The page, the table and the pictures out of results with known truths."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

import support
import synthetic
from harness import arithmetic, comparison, metrics, page, results, targets, workloads


def section(text, title):
    return re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL).group(1)


class Page(unittest.TestCase):
    def setUp(self):
        self.results = results.Results(synthetic.document())
        self.page = page.page(self.results, "name", {"bulk": "bulk.svg"}, "## Why\n\nBecause.")

    def test_losses_come_first(self):
        self.assertEqual(re.findall(r"^## (.*)$", self.page, re.MULTILINE)[0], "Where we lose")
        lost = section(self.page, "Where we lose")
        self.assertIn("| bulk | throughput (GiB/s) | loop-256k | 0.8", lost)
        self.assertNotIn("libuv", lost)

    def test_floors_and_iperf3_are_no_losses(self):
        lost = section(self.page, "Where we lose")
        self.assertNotIn("trunc", lost)
        self.assertNotIn("sleep-1ms", self.page.partition("## bulk")[0])
        self.assertIn("sleep-1ms (always sleeps 1 ms)", section(self.page, "bulk"))
        self.assertNotIn("iperf3", lost)
        self.assertIn("trunc (no payload copy)", section(self.page, "bulk"))

    def test_noise_is_called_noise(self):
        self.assertRegex(section(self.page, "bulk"), r"\| epoll \|.*≈ \|")
        self.assertIn("latency-10k, p50 (µs): plain-epoll",
                      section(self.page, "Where it makes no difference that this run could show"))

    def test_a_better_backend_of_ours_is_told(self):
        ours = section(self.page, "Among our backends")
        self.assertIn("| latency-10k | p50 (µs) | epoll |", ours)
        self.assertNotIn("| bulk |", ours)

    def test_targets(self):
        table = section(self.page, "Targets")
        self.assertRegex(table, r"bulk \| CPU .*, uring ÷ naive \| ≤ 0.25 \| 0.20 .*\| met \|")
        # The best loop is the one at any size: loop-256k, neither loop-64k nor naive.
        self.assertRegex(
            table, r"uring ÷ the best other \(loop-256k\) \| ≤ 0.95 \| 0.8.*\| 15 \| met \|")
        self.assertRegex(table, r"uring ÷ trunc \| ≤ 1.50 \| 2.0.*\*\*not met\*\*")
        self.assertRegex(table, r"fanin-64 .*no data")
        self.assertRegex(table, r"growth of memory.*peak 3,000 KiB .* 3,004 after 64 .*\| met")

    def test_a_target_between_the_interval_ends_is_undecided(self):
        document = synthetic.document(noise=0.2)
        verdicts = {verdict for *_, verdict in targets.evaluate(results.Results(document))}
        self.assertIn(targets.UNDECIDED, verdicts)

    def test_notes_skipped_and_stamp(self):
        self.assertIn("Because.", self.page)
        self.assertIn("ncat is not installed", section(self.page, "Left out"))
        self.assertIn("gcc 12", section(self.page, "Stamp"))
        self.assertIn("![bulk: CPU of each contender](results/name/bulk.svg)", self.page)

    def test_without_a_control_nothing_is_claimed(self):
        document = synthetic.document()
        document["samples"] = [sample for sample in document["samples"] if not sample["control"]]
        found = comparison.findings(results.Results(document))
        self.assertTrue(found)
        self.assertEqual({finding.verdict for finding in found}, {arithmetic.NOISE})

    def test_one_round_makes_a_page_without_claims(self):
        text = page.page(results.Results(synthetic.document(pairs=1)), "name", {})
        self.assertIn("Nowhere in this run", section(text, "Where we lose"))


class Dropped(unittest.TestCase):
    def test_a_workload_of_which_only_a_control_is_left_is_in_no_table(self):
        document = synthetic.document(pairs=1)
        for sample in document["samples"]:
            if sample["workload"] == "bulk" and not sample["control"]:
                sample.update(wall_s=1.0, steal_s=0.5)
        loaded = results.Results(document)
        self.assertEqual(["latency-10k"], loaded.workloads())
        self.assertNotIn("bulk", comparison.text_tables(loaded))

    def test_with_nothing_left_there_is_a_page_still(self):
        document = synthetic.document(pairs=1)
        for sample in document["samples"]:
            sample.update(wall_s=1.0, steal_s=0.5)
        loaded = results.Results(document)
        self.assertEqual("", comparison.text_tables(loaded))
        self.assertIn("samples are dropped", page.page(loaded, "name", {}))
        try:
            from harness import plots
        except ImportError:
            self.skipTest("matplotlib is not installed")
        with tempfile.TemporaryDirectory() as directory:
            self.assertNotIn("latency", plots.draw(loaded, directory))


class Pairs(unittest.TestCase):
    def test_only_rounds_that_both_have(self):
        document = synthetic.document(pairs=6)
        document["samples"] = [sample for sample in document["samples"]
                               if not (sample["contender"] == "naive" and sample["round"] < 2)]
        ratio = results.Results(document).ratio("bulk", "uring", "naive", "gib_per_s")
        self.assertEqual(ratio.pairs, 4)

    def test_a_drift_of_the_machine_cancels_out(self):
        drifted = results.Results(synthetic.document(drift=0.2))
        ratio = drifted.ratio("bulk", "uring", "naive", "receiver_cpu_s_per_gib")
        self.assertAlmostEqual(ratio.median, 0.2, delta=0.005)

    def test_zero_has_no_ratio(self):
        document = synthetic.document(pairs=2)
        for sample in document["samples"]:
            sample["idle_cpu_s_per_s"] = 0.0
        self.assertIsNone(results.Results(document).ratio("bulk", "uring", "naive",
                                                          "idle_cpu_s_per_s"))


class Files(unittest.TestCase):
    def test_save_and_load(self):
        document = synthetic.document(pairs=2)
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "name.json"
            results.save(document, path)
            self.assertEqual(results.load(path).document, document)
            self.assertEqual([entry.name for entry in path.parent.iterdir()], ["name.json"])
            lines = path.read_text().splitlines()
            self.assertGreater(len(lines), len(document["samples"]))

    def test_what_is_no_result_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "other.json"
            for text in ("", "[]", "{}", '{"format": 99, "stamp": {}}'):
                path.write_text(text)
                self.assertRaises(results.Unreadable, results.load, path)
            self.assertRaises(results.Unreadable, results.load, path.with_name("absent"))

    def test_every_judged_metric_is_known_and_shown(self):
        for workload in ("bulk", "file", "short", "latency-10k", "idle", "fanin-64"):
            figures = workloads.of(workload).figures
            for key in (*figures.judged, figures.cost):
                self.assertIn(key, metrics.METRICS)
                self.assertIn(key, figures.shown)


class Command(unittest.TestCase):
    def report(self, *arguments):
        return subprocess.run([sys.executable, support.BENCH / "report", *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=support.DEADLINE)

    def test_page_and_pictures(self):
        try:
            import matplotlib
            matplotlib.__version__
        except ImportError:
            self.skipTest("matplotlib is not installed")
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            (directory / "results").mkdir()
            result = directory / "results" / "name.json"
            results.save(synthetic.document(pairs=3), result)
            result.with_suffix(".notes.md").write_text("## Explained\n")
            done = self.report(str(result), f"--output={directory / 'RESULTS.md'}")
            self.assertEqual(done.returncode, 0, done.stderr)
            text = (directory / "RESULTS.md").read_text()
            self.assertIn("## Explained", text)
            pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
            self.assertEqual(sorted(pictures), [f"results/name/{name}.svg" for name in
                                                ("bulk", "latency", "sweep")])
            for picture in pictures:
                ElementTree.parse(directory / picture)

    def test_no_result(self):
        done = self.report("absent.json")
        self.assertEqual(done.returncode, 2)
        self.assertIn("absent.json", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
