# SPDX-License-Identifier: MIT
"""The figures that lastbyte is meant to reach, and whether a result shows them.

A target is a bound on the median of the per-pair ratios, ours against another contender of the same
run, or on one of our own figures. Ours is the backend that `auto` chooses, with default options
unless a target says otherwise.
"""

from harness import arithmetic, metrics, workloads

CPU, RATE = "receiver_cpu_s_per_gib", "gib_per_s"
STREAM_CPU, STREAM_RATE = "receiver_cpu_us_per_stream", "streams_per_s"
MET, NOT_MET, UNSURE, NO_DATA = "met", "**not met**", "met, not proven", "no data"


class Ratio:
    """ours/other of a metric against a limit."""

    def __init__(self, workload, metric, other, limit, ours="{auto}"):
        self.workload = workload
        self.metric = metric
        self.other = other  # a contender's name, or a function of Results that finds one
        self.limit = limit
        self.ours = ours

    def opponent(self, results):
        return self.other(results, self) if callable(self.other) else self.other

    def evaluate(self, results):
        """(what is compared, limit, measured, verdict), texts."""
        metric = metrics.METRICS[self.metric]
        sign = "≤" if metric.lower_is_better else "≥"
        ours, other = self.ours.format(auto=results.auto), self.opponent(results)
        unit = f" ({metric.unit})" if "/" in metric.unit else ""
        what = f"{metric.label}{unit}, {ours} ÷ {other or 'the best other'}"
        limit = f"{sign} {self.limit:.2f}"
        ratio = other and results.ratio(self.workload, ours, other, self.metric)
        if not ratio:
            return what, limit, "–", NO_DATA
        measured = f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
        return what, limit, measured, self._verdict(ratio, metric.lower_is_better)

    def _verdict(self, ratio, lower_is_better):
        if lower_is_better:
            met, proven = ratio.median <= self.limit, ratio.high <= self.limit
        else:
            met, proven = ratio.median >= self.limit, ratio.low >= self.limit
        return MET if met and proven else UNSURE if met else NOT_MET


class Figure:
    """One of our own figures against a limit."""

    def __init__(self, workload, metric, limit):
        self.workload = workload
        self.metric = metric
        self.limit = limit

    def evaluate(self, results):
        metric = metrics.METRICS[self.metric]
        what = f"{metric.label} ({metric.unit}), {results.auto}"
        limit = f"≤ {metrics.written(self.metric, self.limit)}"
        values = results.series(self.workload, results.auto, self.metric).values()
        if not values:
            return what, limit, "–", NO_DATA
        middle = arithmetic.median(values)
        measured = metrics.written(self.metric, middle)
        return what, limit, measured, MET if middle <= self.limit else NOT_MET


class Growth:
    """Memory after a very long stream against memory after a short one."""

    workload = "any"
    limit_kib = 256  # a receiver's own stacks and tables settle within that

    def evaluate(self, results):
        peaks = {sample["parameter"]: sample["receiver_rss_kib"]
                 for sample in results.samples_of(workloads.MEMORY)
                 if sample.get("receiver_rss_kib") is not None}
        short, long = workloads.MEMORY_SIZES
        what, limit = "growth of memory over a stream of 64 GiB", "none"
        if not {short, long} <= set(peaks):
            return what, limit, "–", NO_DATA
        grown = peaks[long] - peaks[short]
        measured = f"peak {peaks[short]:,.0f} KiB after 1 GiB, {peaks[long]:,.0f} after 64"
        return what, limit, measured, MET if grown <= self.limit_kib else NOT_MET


# ---- who is the best of many

def _best(results, target, wanted):
    """The contender among those wanted with the best median, to be compared in pairs."""
    metric = metrics.METRICS[target.metric]
    medians = {name: results.median(target.workload, name, target.metric)
               for name in results.ran(target.workload) if wanted(name)}
    medians = {name: value for name, value in medians.items() if value is not None}
    pick = min if metric.lower_is_better else max
    return pick(medians, key=medians.get) if medians else None


def best_loop(results, target):
    """The same loop at the buffer size that suits it best."""
    return _best(results, target, lambda name: name.startswith("loop-"))


def best_other(results, target):
    return _best(results, target, lambda name: results.kind(name).rival)


GATHER = "{auto}-gather-5ms"
DIRECT = "{auto}-direct"
COMMAND = "lastbyte-recv"

TARGETS = (
    Ratio("bulk", CPU, "naive", 0.25),
    Ratio("bulk", CPU, "libuv", 0.75),
    Ratio("bulk", CPU, best_loop, 0.95),
    Ratio("bulk", RATE, best_other, 1.0),
    Ratio("bulk", CPU, "trunc", 2.2),
    Ratio("fanin-64", CPU, "libuv", 0.30),
    Ratio("fanin-64", CPU, "plain-epoll", 0.35),
    Ratio("fanin-64", RATE, best_other, 1.0),
    Ratio("fanin-1000", CPU, "libuv", 0.70),
    Ratio("fanin-1000", CPU, "libuv", 0.50, ours=GATHER),
    Ratio("fanin-1000", RATE, best_other, 1.0),
    Ratio("short", STREAM_CPU, "plain-epoll", 0.75),
    Ratio("short", STREAM_RATE, "plain-epoll", 1.0),
    Ratio("latency-1k", "p50_us", "plain-epoll", 1.05),
    Ratio("latency-1k", "p99_us", "plain-epoll", 1.05),
    Ratio("latency-10k", "p50_us", "plain-epoll", 1.05),
    Ratio("latency-10k", "p99_us", "plain-epoll", 1.05),
    Figure("latency-50k", "p99_us", 1000.0),
    Ratio("latency-50k", "receiver_cpu_fraction", "plain-epoll", 0.60),
    Ratio("file", CPU, "nc", 0.55),
    Ratio("file", CPU, "socat-256k", 0.90),
    Ratio("file", CPU, "nc", 0.40, ours=DIRECT),
    Ratio("dir", CPU, "socat-fork", 0.30),
    Figure("idle", "rss_bytes_per_stream", 512),
    Figure("idle", "idle_cpu_s_per_s", 0.0001),
    Growth(),
)


def evaluate(results):
    """[(workload, what, limit, measured, verdict)] of all targets."""
    return [(target.workload, *target.evaluate(results)) for target in TARGETS]
