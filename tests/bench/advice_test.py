# SPDX-License-Identifier: MIT
"""Which backend and tune are told to suit, out of results with known truths."""

import unittest

import support  # noqa: F401 (finds the harness)
import synthetic
from harness import advice, results


def document(**costs):
    """bulk, with uring, epoll and the tunes of both at these costs (CPU-s/GiB)."""
    made = synthetic.document()
    made["samples"] = [sample for sample in made["samples"]
                       if sample["contender"] not in ("uring", "epoll")]
    made["contenders"] += [{"name": f"{backend}-{tune}", "kind": "ours", "label": ""}
                           for backend in ("uring", "epoll") for tune in ("save-cpu", "latency")]
    names = {name.replace("_", "-"): cost for name, cost in costs.items()}
    for number in range(15):
        for name, cost in (*names.items(), ("uring again", names["uring"])):
            wave = 1 + 0.01 * ((number * 7 + len(name)) % 5 - 2)
            made["samples"].append({
                "workload": "bulk", "contender": name.removesuffix(" again"), "round": number,
                "control": name.endswith(" again"), "gib_per_s": 4.0 * wave,
                "receiver_cpu_s_per_gib": cost * wave, "system_cpu_s_per_gib": 0.3 * wave})
    return results.Results(made)


def told(**costs):
    lines = advice.advice(document(**costs))
    return lines[1] if lines else "", "\n".join(lines)


class Advice(unittest.TestCase):
    def test_the_default_stays_where_nothing_is_ahead(self):
        line, text = told(uring=0.1, epoll=0.1, uring_save_cpu=0.1, uring_latency=0.1)
        self.assertEqual("What suits this machine: --backend=uring --tune=balanced", line)
        self.assertIn("0.100 (≈)", text)

    def test_a_backend_that_is_ahead_and_behind_nowhere(self):
        line, text = told(uring=0.2, epoll=0.1, epoll_save_cpu=0.1, epoll_latency=0.1)
        self.assertIn("--backend=epoll", line)
        self.assertIn("0.100 (×0.50)", text)

    def test_a_tune_that_is_ahead_and_behind_nowhere(self):
        line, _ = told(uring=0.2, epoll=0.2, uring_save_cpu=0.1, uring_latency=0.3)
        self.assertIn("--backend=uring --tune=save-cpu", line)

    def test_a_tune_that_pays_for_it_is_not_told(self):
        made = document(uring=0.2, epoll=0.2, uring_save_cpu=0.1, uring_latency=0.3)
        for sample in made.samples:
            if sample["contender"] == "uring-save-cpu":
                sample["gib_per_s"] = 2.0
        self.assertIn("--tune=balanced", "\n".join(advice.advice(made)))

    def test_where_the_host_took_the_processor_nothing_is_said(self):
        made = document(uring=0.1, epoll=0.1).document
        for sample in made["samples"]:
            sample.update(wall_s=1.0, steal_s=0.5)
        self.assertIn("can't be said", "\n".join(advice.advice(results.Results(made))))

    def test_without_tunes_only_the_backend(self):
        self.assertEqual("What suits this machine: --backend=uring",
                         told(uring=0.1, epoll=0.1)[0])

    def test_with_nothing_beside_nothing_is_told(self):
        self.assertEqual([], advice.advice(document(uring=0.1)))


if __name__ == "__main__":
    unittest.main()
