# SPDX-License-Identifier: MIT
"""The figures that lastbyte is meant to reach, and whether a result shows them.

A target is a bound on the median of the per-pair ratios, ours against another contender of the same
run, or on one of our own figures. Ours is the backend that `auto` chooses, with default options
unless a target says otherwise.

A target is decided, or it is undecided. It is decided if its interval lies on one side of the
limit, or is narrow: then the median decides, to that precision. A run takes more pairs until it is
narrow (metrics.py says what that is), or until an interval of 99.9 % excludes the limit. To look
again and again with 95 % would find one side sooner or later; at that level (Haybittle and Peto's)
it hardly adds to the errors. Of a tail it takes more until there are a million messages, too.
"""

from harness import arithmetic, comparison, latencies, metrics, workloads

CPU, RATE, SYSTEM = "receiver_cpu_s_per_gib", "gib_per_s", "system_cpu_s_per_gib"
STREAM_CPU, STREAM_RATE = "receiver_cpu_us_per_stream", "streams_per_s"
STREAM_SYSTEM = "system_cpu_us_per_stream"
MET, NOT_MET, UNDECIDED, NO_DATA = "met", "**not met**", "undecided", "no data"
EARLY = 0.999  # the level at which a wide interval ends the pairing


class Bound:
    """A limit for a figure: at most, or where more is better at least."""

    def __init__(self, workload, metric, limit):
        self.workload = workload
        self.metric = metric
        self.limit = limit

    @property
    def lower_is_better(self):
        return metrics.METRICS[self.metric].lower_is_better

    def names(self, results):
        """The contenders that it compares."""
        raise NotImplementedError

    def patterns(self):
        """Of the contenders that it compares; {auto} stands for what that is."""
        raise NotImplementedError

    def ratio(self, results):
        """What is known of the figure, or None."""
        raise NotImplementedError

    def holds(self, value):
        return value <= self.limit if self.lower_is_better else value >= self.limit

    def is_narrow(self, ratio):
        return ratio.half_width <= metrics.METRICS[self.metric].precision

    def verdict(self, ratio):
        ends = {self.holds(ratio.low), self.holds(ratio.high)}
        if len(ends) == 2 and not self.is_narrow(ratio):
            return UNDECIDED
        return MET if self.holds(ratio.median) else NOT_MET

    def is_settled(self, results):
        """More pairs are not needed, or would not help."""
        ratio = self.ratio(results)
        if not ratio:
            return True
        if metrics.METRICS[self.metric].is_tail and self.has_few(results):
            return False
        if self.is_narrow(ratio):
            return True
        low, high = ratio.interval(EARLY)
        return self.holds(low) == self.holds(high)

    def has_few(self, results):
        """Too few messages for what their logs say of a tail; where they were counted."""
        return any(0 < sum(results.series(self.workload, name, "messages").values())
                   < latencies.ENOUGH for name in self.names(results))


class Ratio(Bound):
    """ours/other of a metric against a limit."""

    def __init__(self, workload, metric, other, limit, ours="{auto}"):
        super().__init__(workload, metric, limit)
        self.other = other  # a contender's name, or a function of Results that finds one
        self.ours = ours

    def patterns(self):
        others = self.other.patterns if callable(self.other) else (self.other,)
        return (self.ours, *others)

    def opponent(self, results):
        return self.other(results, self) if callable(self.other) else self.other

    def names(self, results):
        return (self.ours.format(auto=results.auto), self.opponent(results))

    def ratio(self, results):
        ours, other = self.names(results)
        return other and results.ratio(self.workload, ours, other, self.metric)

    def evaluate(self, results):
        """(what is compared, limit, measured, pairs, verdict), texts."""
        metric = metrics.METRICS[self.metric]
        sign = "≤" if metric.lower_is_better else "≥"
        ours, other = self.names(results)
        unit = f" ({metric.unit})" if "/" in metric.unit else ""
        theirs = other
        if callable(self.other):
            theirs = f"the best other ({other})" if other else "the best other"
        what = f"{metric.label}{unit}, {ours} ÷ {theirs}"
        limit = f"{sign} {self.limit:.2f}"
        ratio = self.ratio(results)
        if not ratio:
            return what, limit, "–", "–", NO_DATA
        measured = comparison.ratio_text(ratio)
        return what, limit, measured, str(ratio.pairs), self.verdict(ratio)


class Figure(Bound):
    """One of our own figures against a limit."""

    def __init__(self, workload, metric, limit, ours="{auto}"):
        super().__init__(workload, metric, limit)
        self.ours = ours

    def names(self, results):
        return (self.ours.format(auto=results.auto),)

    def patterns(self):
        return (self.ours,)

    def values(self, results):
        (ours,) = self.names(results)
        return list(results.series(self.workload, ours, self.metric).values())

    def ratio(self, results):
        values = self.values(results)
        # Nothing is a part of nothing: there the median alone is told.
        return arithmetic.Ratio([(value, 1.0) for value in values]) if values and all(
            value > 0 for value in values) else None

    def evaluate(self, results):
        metric = metrics.METRICS[self.metric]
        (ours,) = self.names(results)
        what = f"{metric.label} ({metric.unit}), {ours}"
        limit = f"≤ {metrics.written(self.metric, self.limit)}"
        values = self.values(results)
        if not values:
            return what, limit, "–", "–", NO_DATA
        ratio = self.ratio(results)
        middle = arithmetic.median(values)
        measured = metrics.written(self.metric, middle)
        if not ratio:
            return (what, limit, measured, str(len(values)),
                    MET if self.holds(middle) else NOT_MET)
        if ratio.pairs > 1:
            measured += (f" [{metrics.written(self.metric, ratio.low)}, "
                         f"{metrics.written(self.metric, ratio.high)}]")
        return what, limit, measured, str(ratio.pairs), self.verdict(ratio)


class Growth:
    """Memory after a very long stream against memory after a short one."""

    workload = "any"
    limit_kib = 256  # a receiver's own stacks and tables settle within that

    def names(self, results):
        return ()

    def is_settled(self, results):
        return True

    def evaluate(self, results):
        peaks = {sample["parameter"]: sample["receiver_rss_kib"]
                 for sample in results.samples_of(workloads.MEMORY)
                 if sample.get("receiver_rss_kib") is not None}
        short, long = workloads.MEMORY_SIZES
        what, limit = "growth of memory over a stream of 64 GiB", "none"
        if not {short, long} <= set(peaks):
            return what, limit, "–", "–", NO_DATA
        grown = peaks[long] - peaks[short]
        measured = f"peak {peaks[short]:,.0f} KiB after 1 GiB, {peaks[long]:,.0f} after 64"
        return what, limit, measured, "1", MET if grown <= self.limit_kib else NOT_MET


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


FRONTS = ("nginx-stream", "haproxy")
TLS = ("plain-openssl", "ncat-ssl", "socat-256k-ssl", *FRONTS)


def best_tls(results, target):
    """Of what people receive TLS with today."""
    return _best(results, target, lambda name: name in TLS)


def best_front(results, target):
    return _best(results, target, lambda name: name in FRONTS)


best_loop.patterns = ("loop-*",)
best_other.patterns = ("plain-*", "best-*", "libuv", "libevent")
best_tls.patterns = TLS
best_front.patterns = FRONTS


# ---- the targets

SAVING = "{auto}-save-cpu"
DIRECT = "{auto}-direct"
GUARD = 0.97  # of the throughput: what a gain in processor time may cost


def _saved(workload, limit, system=None, cost=CPU, whole=SYSTEM, rate=RATE, other="libuv"):
    """Of the receiver's processor time; of the whole system's, so that it is not work moved to the
    sender; and the throughput's guard."""
    return (Ratio(workload, cost, other, limit),
            *([Ratio(workload, whole, "libuv", system)] if system else []),
            Ratio(workload, rate, other, GUARD))


LOOPBACK = (
    *_saved("bulk", 0.70, system=0.85),
    Ratio("bulk", CPU, "naive", 0.25),
    Ratio("bulk", CPU, best_loop, 0.95),
    Ratio("bulk", CPU, "trunc", 1.5),
    # What stands above the copy itself, at our own wakes: floors.py.
    Ratio("bulk", CPU, "floor-copy", 1.15),
    Ratio("fanin-64", CPU, "floor-copy", 1.25),
    Ratio("fanin-1000", CPU, "floor-copy", 1.25),
    *_saved("fanin-64", 0.45, system=0.75),
    *_saved("fanin-1000", 0.50, system=0.75),
    Ratio("fanin-1000", CPU, "libuv", 0.50, ours=SAVING),
    Ratio("fanin-1000", RATE, "libuv", GUARD, ours=SAVING),
    Ratio("fanin-1000", RATE, best_other, GUARD),
    *_saved("short", 0.72, system=0.90, cost=STREAM_CPU, whole=STREAM_SYSTEM, rate=STREAM_RATE,
            other="plain-epoll"),
    *(Ratio(f"latency-{rate}", metric, "plain-epoll", 1.10)
      for rate in ("1k", "10k", "50k") for metric in ("p50_us", "p99_us")),
    Ratio("latency-50k", "receiver_cpu_fraction", "plain-epoll", 0.60, ours=SAVING),
    Figure("latency-50k", "p99_us", 1000.0, ours=SAVING),
    Ratio("file", CPU, "nc", 0.35),
    Ratio("file", CPU, "socat-256k", 0.90),
    Ratio("file", CPU, "nc", 0.40, ours=DIRECT),
    Ratio("dir", CPU, "socat-fork", 0.30),
    Figure("idle", "rss_bytes_per_stream", 512),
    Figure("idle", "idle_cpu_s_per_s", 0.0001),
    Ratio("tls-bulk", CPU, best_tls, 0.95),
    Ratio("tls-short", STREAM_CPU, best_front, 1.10),
    Ratio("tls-short", STREAM_RATE, best_front, 1 / 1.10),
    Growth(),
)

# Over a veth pair with the softirq work on the sender's core, as a veth pair has it by itself. The
# sender is so slow there that our worker has time to spare, and doesn't gather by default: so what
# it would be is told as well.
AT_SENDER = (
    *_saved("bulk", 0.75),
    *_saved("fanin-64", 0.60),
    Ratio("fanin-64", CPU, "libuv", 0.60, ours=SAVING),
    *_saved("fanin-1000", 0.45),
    Ratio("fanin-1000", CPU, "libuv", 0.45, ours=SAVING),
)
# And on the receiver's, which is where a card's queue would have it.
AT_RECEIVER = tuple(
    bound for workload in ("bulk", "fanin-64", "fanin-1000")
    for bound in (Ratio(workload, SYSTEM, "libuv", 1.00), Ratio(workload, RATE, "libuv", GUARD)))

BY_PATH = {("loopback", None): LOOPBACK, ("veth", "sender"): AT_SENDER,
           ("veth", "receiver"): AT_RECEIVER}


def of(results):
    """The targets of the path that a result was taken on."""
    return BY_PATH.get((results.path, results.softirq), ())


def evaluate(results):
    """[(workload, what, limit, measured, pairs, verdict)] of all of its targets."""
    return [(target.workload, *target.evaluate(results)) for target in of(results)]


def unsettled(results):
    """{(workload, contender)}: of whom more samples are needed to decide a target."""
    return {(target.workload, name) for target in of(results) if not target.is_settled(results)
            for name in target.names(results) if name}
