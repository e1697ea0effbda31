# SPDX-License-Identifier: MIT
"""The map: for messages of one size, on so many streams, at such a rate, who takes the least
processor time, and by how much."""

import collections

from harness import arithmetic, workloads

COST, RATE = "receiver_cpu_s_per_gib", "gib_per_s"

# ratio: of the winner's cost to the next one's; throughput: likewise, of the rate.
Point = collections.namedtuple("Point", "size streams rate winner next ratio throughput")


def points(results):
    """All that two contenders were measured at."""
    found = []
    for parameter, ran in _series(results).items():
        costs = {name: arithmetic.median([sample[COST] for sample in samples.values()])
                 for name, samples in ran.items()}
        if len(costs) > 1:
            found.append(_point(parameter, ran, *sorted(costs, key=costs.get)[:2]))
    return found


def between(results, one, other):
    """All that these two were measured at: as if one had won, whether or not it has."""
    return [point for parameter, ran in _series(results).items() if {one, other} <= set(ran)
            if (point := _point(parameter, ran, one, other)).ratio]


def _series(results):
    """{parameter: {contender: {round: sample}}}"""
    series = {}
    for sample in results.samples_of(workloads.MAP):
        if not results.is_dropped(sample):
            series.setdefault(sample["parameter"], {}).setdefault(
                sample["contender"], {})[sample["round"]] = sample
    return series


def _point(parameter, ran, winner, following):
    size, streams, rate = parameter.split("x", 2)
    return Point(int(size), int(streams), None if rate == "max" else int(rate), winner, following,
                 _ratio(ran, winner, following, COST), _ratio(ran, winner, following, RATE))


def _ratio(ran, one, other, key):
    pairs = [(sample[key], ran[other][number][key]) for number, sample in ran[one].items()
             if number in ran[other] and sample[key] > 0 and ran[other][number][key] > 0]
    return arithmetic.Ratio(pairs) if pairs else None
