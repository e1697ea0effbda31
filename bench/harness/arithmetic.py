# SPDX-License-Identifier: MIT
"""Medians, paired ratios, intervals and tests. Knows nothing of receivers."""

import functools
import math

EXACT_LIMIT = 3600  # product of sample sizes up to which the U test counts every arrangement


def median(values):
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def quantile(values, q):
    """Linear interpolation between the closest ranks; q from 0 to 1."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def bootstrap_interval(values, level=0.95):
    """Percentile bootstrap of the median: (low, high), both of them values of the sample.

    Not drawn but exact: the median of a resample is at most the k-th smallest value if at least
    half of its draws are, and their number is binomial. With an even count the outer ones of the
    two middle values are taken. One value gives no interval: it is told as unbounded, so that
    nothing can be claimed from it.
    """
    ordered = sorted(values)
    if len(ordered) < 2:
        return (-math.inf, math.inf)
    low, high = _interval_ranks(len(ordered), (1 - level) / 2)
    return (ordered[low], ordered[high])


@functools.lru_cache(maxsize=None)
def _interval_ranks(count, tail):
    """Which of count ordered values, from 0, are the ends of the interval."""
    middle = (count + 1) // 2  # of the ordered draws: the median, or the lower one of two

    def at_most(k):
        p = k / count
        return sum(math.comb(count, n) * p ** n * (1 - p) ** (count - n)
                   for n in range(middle, count + 1))

    low = next(k for k in range(1, count + 1) if at_most(k) >= tail)
    return (low - 1, count - low)


class Ratio:
    """A against B over pairs: the median of the per-pair ratios and its interval. A figure alone is
    one against 1."""

    def __init__(self, pairs):
        self.logs = [math.log(a / b) for a, b in pairs]
        self.pairs = len(self.logs)
        self.median = math.exp(median(self.logs))
        self.low, self.high = self.interval()

    def interval(self, level=0.95):
        low, high = bootstrap_interval(self.logs, level)
        return math.exp(low), math.exp(high) if high < 700 else math.inf

    @property
    def half_width(self):
        """Of the interval, as a part of what it is about: 0.03 for ±3 %."""
        return math.sqrt(self.high / self.low) - 1 if self.low > 0 else math.inf

    def __repr__(self):
        return f"Ratio({self.median:.3f} [{self.low:.3f}, {self.high:.3f}], {self.pairs} pairs)"


class Spread:
    """What the A/A control says about noise: within [1/factor, factor] nothing is claimed.

    The control's median ratio should be 1; the spread is as wide as the farther end of its
    interval, on both sides, since A/A has no direction.
    """

    def __init__(self, ratio):
        ends = [abs(math.log(end)) if 0 < end < math.inf else math.inf
                for end in (ratio.low, ratio.high)]
        widest = max(ends)
        self.factor = math.exp(widest) if widest < 700 else math.inf

    def holds(self, ratio):
        """True if the ratio's interval is not wholly outside: no difference can be claimed."""
        return ratio.low <= self.factor and ratio.high >= 1 / self.factor

    @property
    def percent(self):
        return (self.factor - 1) * 100


BETTER, WORSE, NOISE = "better", "worse", "within noise"


def verdict(ratio, spread, lower_is_better):
    """What may be said of A against B."""
    if spread.holds(ratio):
        return NOISE
    return BETTER if (ratio.median < 1) == lower_is_better else WORSE


def mann_whitney(a, b):
    """Two-sided p of the U test: could both samples be from one distribution?

    Exact while the samples are small and free of ties, else the normal approximation with
    corrections for ties and continuity.
    """
    if not a or not b:
        raise ValueError("no values")
    ranks, ties = _ranks(list(a) + list(b))
    u = sum(ranks[:len(a)]) - len(a) * (len(a) + 1) / 2
    if not ties and len(a) * len(b) <= EXACT_LIMIT:
        return _exact_p(u, len(a), len(b))
    return _normal_p(u, len(a), len(b), ties)


def _ranks(values):
    """Ranks from 1, ties sharing their mean rank, and the sizes of the groups of ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    ties = []
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + 1 + end) / 2
        if end - start > 1:
            ties.append(end - start)
        start = end
    return ranks, ties


@functools.lru_cache(maxsize=None)
def _arrangements(n, m):
    """How many of the arrangements of n and m values have U = 0, 1, ... n*m."""
    # The generating function is the Gaussian binomial: multiply by (1 - q^(m+i)) / (1 - q^i).
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):
            counts[u] += counts[u - i]
    return counts


def _exact_p(u, n, m):
    counts = _arrangements(n, m)
    tail = sum(counts[:int(min(u, n * m - u)) + 1])
    return min(1.0, 2 * tail / sum(counts))


def _normal_p(u, n, m, ties):
    total = n + m
    correction = sum(t ** 3 - t for t in ties) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - correction)
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def holm(p_values, level=0.05):
    """Which of many tests may be called significant, the whole family at one level."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    significant = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        significant[index] = True
    return significant
