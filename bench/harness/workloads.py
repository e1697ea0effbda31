# SPDX-License-Identifier: MIT
"""The workloads, as this harness treats them: who takes part, in what sizes and how many rounds,
which figures judge them, what becomes of the bytes, and how they are drawn. What they send is known
in C alone."""

import collections
import fnmatch

from harness import metrics, outcome

# An option that gives a sample its size, for the contenders and the parameter that it is meant for.
Size = collections.namedtuple("Size", "option contender parameter", defaults=("*", None))

# One picture of all variants of a workload: which of plots' kinds, and what the page calls it.
Picture = collections.namedtuple("Picture", "kind caption")


class Workload:
    """One whose contenders are compared with each other, in pairs of a round.

    full, quick: patterns of who is in that set; None: nobody, it has to be asked for by name. The
    first pattern that fits a contender decides, "!" leaves out. sizes: likewise the first that
    fits; where none does, lastbyte-bench's own size counts.
    """

    compared = True

    def __init__(self, name, full=None, quick=None, seconds=1.0, rounds=None, sizes=(),
                 figures=metrics.BYTES, leaves=outcome.Stream(), picture=None, profiled=None,
                 plain=None):
        self.name = name
        self.full = full
        self.quick = quick
        self.seconds = seconds    # what a sample in the full set should take
        self.rounds = rounds      # at most so many
        self.sizes = sizes
        self.figures = figures
        self.leaves = leaves      # what a receiver makes of the bytes
        self.picture = picture    # None: one for each title, with a bar for each contender
        self.profiled = profiled  # --bytes for a few thousand samples of bench/profile
        self.plain = plain        # goes through TLS: which sends the same bytes in the open

    def in_set(self, quick):
        return (self.quick if quick else self.full) is not None

    def contenders(self, quick):
        """Patterns of those that take part where nobody says who should."""
        return ("!cell-*", "!with-*", *((quick and self.quick) or self.full or ("*",)))

    def options(self, contender, parameter):
        """The options that give a sample its size in the full set."""
        for size in self.sizes:
            if (fnmatch.fnmatchcase(contender, size.contender)
                    and size.parameter in (None, parameter)):
                return (size.option,)
        return ()

    def title(self, parameter):
        """What it is called in results at one parameter: latency-10k."""
        return self.name if parameter is None else f"{self.name}-{short_number(parameter)}"

    def told(self, parameter):
        """What a sample has to tell of its parameter, besides the title."""
        return {}


class Swept(Workload):
    """One whose variants are drawn beside each other, and where nobody is compared with anybody:
    all go by one title, and each sample tells its parameter."""

    compared = False

    def title(self, parameter):
        return self.name

    def told(self, parameter):
        return {"parameter": parameter}


def short_number(text):
    """10000 as 10k."""
    value = int(text)
    return f"{value // 1000}k" if value % 1000 == 0 else str(value)


TUNES = ("*-save-cpu", "*-latency")  # of ours
RUNTIMES = ("asio-*", "go", "node", "netty", "tokio")

# What belongs to a question that a workload asks is in its full set; what only takes time is not,
# and --contender= has it all. 15 samples of 1 GiB say more than 7 of 2; of the slowest a part shows
# what they cost per GiB. Figures that hardly scatter, or that are only drawn, need fewer rounds.
ALL = (
    Workload(
        "bulk", seconds=0.45, profiled="24G",
        full=("*",),
        quick=("uring", "epoll", "blocking", "naive", "loop-64k", "loop-256k", "libuv", "plain-*",
               "trunc", "nc", "socat-256k"),
        sizes=(Size("--bytes=256M", "naive"), Size("--bytes=256M", "textbook"),
               Size("--bytes=512M", "loop-1k"), Size("--bytes=512M", "socat"),
               Size("--bytes=512M", "ncat"), Size("--bytes=1G"))),
    Workload(
        "bulk-sendfile", seconds=0.4, profiled="24G",
        full=("uring", "epoll", "blocking", "loop-256k", "libuv", "trunc"),
        sizes=(Size("--bytes=256M", "naive"), Size("--bytes=1G"))),
    Workload(
        "fanin-64", seconds=0.6, profiled="6G", leaves=outcome.Count(),
        full=("uring", *TUNES, "epoll", "blocking", "plain-*", "best-*", "libuv", "libevent",
              "sleep-*", "floor-*", *RUNTIMES),
        quick=("uring", "epoll", *TUNES, "plain-*", "libuv")),
    Workload(
        "fanin-1000", seconds=0.5, profiled="4G", leaves=outcome.Count(),
        full=("!*-hash", "uring*", "epoll", "plain-*", "best-*", "libuv", "libevent", "sleep-*",
              "floor-*")),
    Workload(
        "short", seconds=0.6, figures=metrics.STREAMS, leaves=outcome.Count(),
        full=("uring", "epoll", "blocking", "plain-*", "best-*", "libuv", "libevent"),
        quick=("uring", "epoll", "plain-epoll", "libuv")),
    Workload(
        "latency", seconds=2.0, figures=metrics.LATENCY, leaves=outcome.Latencies(),
        full=("uring", *TUNES, "epoll", "plain-epoll", "best-*", "libuv"),
        quick=("uring", "epoll", *TUNES, "plain-epoll"),
        # At 1,000 a second the p99 of less would be that of a handful of messages.
        sizes=(Size("--seconds=4", parameter="1000"), Size("--seconds=1")),
        picture=Picture("percentiles", "latency over percentiles at each rate")),
    Workload(
        "file", seconds=1.0, leaves=outcome.OneFile(),
        full=("!*-hash", "uring*", "epoll", "epoll-direct", "nc", "socat-256k"),
        quick=("uring", "uring-direct", "epoll", "nc"),
        # A virtual machine that hands free pages back to its host pays dearly for taking new ones
        # into the page cache, and more for that than for receiving. So many it has at hand.
        sizes=(Size("--bytes=512M"),)),
    Workload(
        "dir", seconds=1.1, leaves=outcome.ManyFiles(),
        full=("!*-hash", "uring*", "epoll", "socat-fork"),
        sizes=(Size("--streams=250", "socat-fork"),)),
    Workload(
        "idle", seconds=3.0, rounds=3, figures=metrics.IDLE,
        full=("uring", "epoll", "plain-epoll", "libuv")),
    # For sets.py, or by name.
    Workload("bulk-zerocopy", seconds=0.7, sizes=(Size("--bytes=512M"),)),
    Workload("stalled", seconds=1.2, rounds=3, figures=metrics.MEMORY),
    # Five minutes of their own, so they have to be asked for.
    Workload(
        "tls-bulk", seconds=0.8, profiled="12G", plain="bulk",
        sizes=(Size("--bytes=512M"),)),
    Workload(
        "tls-short", seconds=1.0, figures=metrics.STREAMS, leaves=outcome.Told(), plain="short"),
    Swept(
        "sweep", seconds=0.25, rounds=3,
        full=("*",),
        sizes=(Size("--bytes=512M"),),
        picture=Picture("grid", "bulk over slot sizes and numbers of slots, per backend")),
)
# Messages of each size, on so many streams, at each rate: for sets.py.
MAP = Swept("map", seconds=0.35,
            picture=Picture("crossover", "who takes the least processor time for which messages"))
# Bulk with a short stream and with a very long one, after both of which a receiver must have taken
# as much memory. Not lastbyte-bench's: the parameter is --bytes of its bulk.
MEMORY = Swept("memory")
MEMORY_SIZES = ("1G", "64G")

PICTURED = tuple(workload for workload in (*ALL, MAP) if workload.picture)

_KNOWN = {workload.name: workload for workload in (*ALL, MAP, MEMORY)}


def of(title):
    """The workload that has this name, or whose variant this is. One that is not known here, but to
    lastbyte-bench perhaps, is a plain one."""
    return _KNOWN.get(title) or _KNOWN.get(title.rpartition("-")[0]) or Workload(title)
