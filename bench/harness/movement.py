# SPDX-License-Identifier: MIT
"""What moved between two results, beyond the noise of both.

Two runs are never on quite the same machine: hosts, neighbours and clocks change. So each sample of
ours is first divided by that of a yardstick, a contender whose code does not change, in the same
round. Between the two sets of ratios the U test decides, all tests of a comparison together at the
5 % level (Holm); and the medians must differ by more than either run's A/A control does.
"""

import collections
import math

from harness import arithmetic, kinds, metrics

LEAST_PAIRS = 5  # with fewer the U test can't call anything significant
# The first that both results have. Plain code of ours, which nobody tunes.
YARDSTICKS = ("loop-64k", "plain-epoll", "libuv", "loop-256k", "nc", "socat-256k", "socat-fork")

BETTER, WORSE, SAME = "better", "WORSE", "same"

Change = collections.namedtuple(
    "Change", "workload contender metric yardstick ratio p noise verdict")


def yardstick(old, new, workload, key):
    for name in YARDSTICKS:
        if all(result.series(workload, name, key) for result in (old, new)):
            return name
    return None


def values(result, workload, contender, key, measure):
    """A contender's values, divided by the yardstick's of the same round if there is one."""
    series = result.series(workload, contender, key)
    if measure is None:
        return [value for value in series.values() if value > 0]
    by = result.series(workload, measure, key)
    return [value / by[number] for number, value in series.items()
            if by.get(number, 0) > 0 and value > 0]


def compared(old, new):
    """[(workload, contender, metric)]: ours, in both results."""
    return [(workload, contender, key)
            for workload in new.workloads()
            for contender in new.ran(workload)
            if new.kind(contender) == kinds.OURS and contender in old.ran(workload)
            for key in new.figures(workload).judged
            if old.series(workload, contender, key) and new.series(workload, contender, key)]


def changes(old, new, absolute=False):
    """([Change], [too few]): every comparison with its verdict, and what had too few pairs."""
    tests, few = [], []
    for workload, contender, key in compared(old, new):
        measure = None if absolute else yardstick(old, new, workload, key)
        before = values(old, workload, contender, key, measure)
        after = values(new, workload, contender, key, measure)
        if min(len(before), len(after)) < LEAST_PAIRS:
            few.append((workload, contender, key))
            continue
        noise = max(old.spread(workload, key).factor, new.spread(workload, key).factor)
        ratio = arithmetic.median(after) / arithmetic.median(before)
        p = arithmetic.mann_whitney(after, before)
        tests.append((workload, contender, key, measure, ratio, p, noise))
    significant = arithmetic.holm([test[5] for test in tests])
    return [Change(*test, _verdict(test, sure)) for test, sure in zip(tests, significant)], few


def _verdict(test, sure):
    _, _, key, _, ratio, _, noise = test
    if not sure or abs(math.log(ratio)) <= math.log(noise):
        return SAME
    return BETTER if (ratio < 1) == metrics.METRICS[key].lower_is_better else WORSE


def lost_contenders(old, new):
    """[(workload, contender)] of ours that the old result has and the new one has not, in
    workloads that both ran: a contender that fails now must not pass for unchanged."""
    return [(workload, contender)
            for workload in old.workloads() if workload in new.workloads()
            for contender in old.ran(workload)
            if old.kind(contender) == kinds.OURS and contender not in new.ran(workload)]
