# SPDX-License-Identifier: MIT
"""The harness's arithmetic on inputs whose answers are known from elsewhere."""

import math
import random
import unittest

import support  # noqa: F401 (finds the harness)
from harness import arithmetic


class Medians(unittest.TestCase):
    def test_odd_even_and_one(self):
        self.assertEqual(arithmetic.median([3, 1, 2]), 2)
        self.assertEqual(arithmetic.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(arithmetic.median([7]), 7)

    def test_none_is_an_error(self):
        self.assertRaises(ValueError, arithmetic.median, [])
        self.assertRaises(ValueError, arithmetic.quantile, [], 0.5)

    def test_quantiles_interpolate(self):
        values = [10, 20, 30, 40, 50]
        self.assertEqual(arithmetic.quantile(values, 0), 10)
        self.assertEqual(arithmetic.quantile(values, 1), 50)
        self.assertEqual(arithmetic.quantile(values, 0.5), 30)
        self.assertAlmostEqual(arithmetic.quantile(values, 0.9), 46)


class Intervals(unittest.TestCase):
    def test_same_samples_same_interval(self):
        values = [random.Random(5).gauss(1, 0.1) for _ in range(15)]
        self.assertEqual(arithmetic.bootstrap_interval(values),
                         arithmetic.bootstrap_interval(list(values)))

    def test_equal_samples_have_no_width(self):
        self.assertEqual(arithmetic.bootstrap_interval([2.0] * 9), (2.0, 2.0))

    def test_one_sample_proves_nothing(self):
        self.assertEqual(arithmetic.bootstrap_interval([2.0]), (-math.inf, math.inf))

    def test_agrees_with_a_drawn_bootstrap(self):
        for count in (5, 8, 15, 16):
            values = list(range(1, count + 1))
            draw = random.Random(count).choices
            drawn = [arithmetic.median(draw(values, k=count)) for _ in range(4000)]
            low, high = arithmetic.bootstrap_interval(values)
            self.assertAlmostEqual(low, arithmetic.quantile(drawn, 0.025), delta=1)
            self.assertAlmostEqual(high, arithmetic.quantile(drawn, 0.975), delta=1)

    def test_known_ranks(self):
        """15 samples: the 4th smallest to the 4th largest."""
        self.assertEqual(arithmetic.bootstrap_interval(range(1, 16)), (4, 12))
        self.assertEqual(arithmetic.bootstrap_interval([1, 2]), (1, 2))
        self.assertEqual(arithmetic.bootstrap_interval([3, 1, 2]), (1, 3))

    def test_covers_the_truth_about_as_often_as_it_says(self):
        rng = random.Random(11)
        covered = 0
        for _ in range(100):
            low, high = arithmetic.bootstrap_interval([rng.gauss(0, 1) for _ in range(15)])
            covered += low <= 0 <= high
        self.assertGreaterEqual(covered, 88)
        self.assertLess(covered, 100)


class Ratios(unittest.TestCase):
    def test_median_of_pairs_not_ratio_of_medians(self):
        """Three pairs on a machine that drifts: A is half of B in each."""
        ratio = arithmetic.Ratio([(1, 2), (10, 20), (50, 100)])
        self.assertAlmostEqual(ratio.median, 0.5)
        self.assertAlmostEqual(ratio.low, 0.5)
        self.assertAlmostEqual(ratio.high, 0.5)
        ratio = arithmetic.Ratio([(1, 1), (4, 1), (9, 100)])
        self.assertAlmostEqual(ratio.median, 1.0)

    def test_turning_a_ratio_round_turns_its_interval(self):
        rng = random.Random(3)
        pairs = [(rng.uniform(1, 2), rng.uniform(1, 2)) for _ in range(15)]
        forth, back = arithmetic.Ratio(pairs), arithmetic.Ratio([(b, a) for a, b in pairs])
        self.assertAlmostEqual(forth.median * back.median, 1)
        self.assertLess(forth.low, forth.median)
        self.assertLess(forth.median, forth.high)

    def test_one_pair_is_unbounded(self):
        ratio = arithmetic.Ratio([(3, 2)])
        self.assertEqual((ratio.low, ratio.high), (0.0, math.inf))


class Noise(unittest.TestCase):
    def spread(self, scatter):
        rng = random.Random(7)
        return arithmetic.Spread(arithmetic.Ratio(
            [(rng.lognormvariate(0, scatter), rng.lognormvariate(0, scatter))
             for _ in range(15)]))

    def test_spread_is_the_farther_end_on_both_sides(self):
        class Control:
            low, high = 0.95, 1.10
        self.assertAlmostEqual(arithmetic.Spread(Control).factor, 1.10)
        Control.low = 0.80
        self.assertAlmostEqual(arithmetic.Spread(Control).factor, 1.25)

    def test_nothing_is_claimed_inside_the_control(self):
        wide, narrow = self.spread(0.2), self.spread(0.001)
        ratio = arithmetic.Ratio([(0.97, 1)] * 15)
        self.assertEqual(arithmetic.verdict(ratio, wide, True), arithmetic.NOISE)
        self.assertEqual(arithmetic.verdict(ratio, narrow, True), arithmetic.BETTER)
        self.assertEqual(arithmetic.verdict(ratio, narrow, False), arithmetic.WORSE)

    def test_a_single_control_pair_forbids_every_claim(self):
        spread = arithmetic.Spread(arithmetic.Ratio([(1, 1)]))
        ratio = arithmetic.Ratio([(0.01, 1)] * 15)
        self.assertEqual(arithmetic.verdict(ratio, spread, True), arithmetic.NOISE)


class UTest(unittest.TestCase):
    def test_exact_values(self):
        # 2 of the 252 ways to choose 5 of 10 ranks are as extreme; 4 of 20 for 3 of 6.
        self.assertAlmostEqual(arithmetic.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]),
                               2 / 252)
        self.assertAlmostEqual(arithmetic.mann_whitney([1, 2, 4], [3, 5, 6]), 4 / 20)

    def test_every_arrangement_is_counted(self):
        """Against a count by brute force over all ways to choose which ranks are A's."""
        import itertools
        n, m = 4, 3
        counts = [0] * (n * m + 1)
        for ranks in itertools.combinations(range(1, n + m + 1), n):
            counts[sum(ranks) - n * (n + 1) // 2] += 1
        self.assertEqual(arithmetic._arrangements(n, m), counts)

    def test_approximation_agrees_where_exact_is_possible(self):
        rng = random.Random(2)
        a = [rng.gauss(0, 1) for _ in range(20)]
        b = [rng.gauss(0.6, 1) for _ in range(20)]
        exact = arithmetic.mann_whitney(a, b)
        ranks, _ = arithmetic._ranks(a + b)
        normal = arithmetic._normal_p(sum(ranks[:20]) - 210, 20, 20, [])
        self.assertAlmostEqual(exact, normal, places=2)

    def test_ties(self):
        # U = 2.5, mean 8, variance 16/12 * (9 - 36/56), z = (5.5 - 0.5) / 3.338
        self.assertAlmostEqual(arithmetic.mann_whitney([1, 2, 2, 3], [2, 3, 4, 4]),
                               0.13417, places=5)
        self.assertEqual(arithmetic.mann_whitney([1, 1, 1], [1, 1]), 1.0)

    def test_the_same_is_never_different(self):
        self.assertGreater(arithmetic.mann_whitney([1, 3, 5, 7], [2, 4, 6, 8]), 0.5)


class Families(unittest.TestCase):
    def test_holm(self):
        # 0.01 <= 0.05/4, 0.013 <= 0.05/3, 0.03 > 0.05/2: stops there.
        self.assertEqual(arithmetic.holm([0.03, 0.01, 0.04, 0.013]), [False, True, False, True])
        self.assertEqual(arithmetic.holm([]), [])


if __name__ == "__main__":
    unittest.main()
