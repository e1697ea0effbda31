# SPDX-License-Identifier: MIT
"""What is drawn as lines: percentiles of a contender's samples, and costs over sizes of a pool."""

import math

from harness import arithmetic, hdr

PERCENTILES = (("p10_us", 10), ("p25_us", 25), ("p50_us", 50), ("p75_us", 75), ("p90_us", 90),
               ("p95_us", 95), ("p99_us", 99), ("p995_us", 99.5), ("p999_us", 99.9),
               ("p9995_us", 99.95), ("p9999_us", 99.99))
SWEPT = ("receiver_cpu_s_per_gib", "gib_per_s")


def percentiles(results, title, name):
    """[(percentile, µs)]: of all messages together, or where only their percentiles were kept the
    median over the samples of each."""
    merged = results.histogram(title, name)
    if merged:
        return [(percent, hdr.percentile(merged, percent) / 1e3) for _, percent in PERCENTILES]
    points = []
    for key, percent in PERCENTILES:
        values = results.series(title, name, key).values()
        if values:
            points.append((percent, arithmetic.median(values)))
    return points


def nines(percent):
    """The percentiles' scale: one unit for each nine."""
    return -math.log10(1 - percent / 100)


def swept(results, workload):
    """{(backend, slot size, slots): {metric: [values]}}."""
    table = {}
    for sample in results.samples_of(workload):
        size, _, slots = sample["parameter"].partition("x")
        values = table.setdefault((sample["contender"], int(size), int(slots)),
                                  {key: [] for key in SWEPT})
        for key, row in values.items():
            if sample.get(key) is not None:
                row.append(sample[key])
    return table


def size_text(size):
    for unit, name in ((1 << 20, "M"), (1 << 10, "K")):
        if size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def axis_end(rows, lower_is_better):
    """Where the axis of bars ends: a cost far above all others would flatten them."""
    medians = [arithmetic.median(row) for row in rows if row]
    highest = max((max(row) for row in rows if row), default=1.0)
    if lower_is_better and medians:
        return min(highest, 4 * arithmetic.median(medians)) or 1.0
    return highest or 1.0
