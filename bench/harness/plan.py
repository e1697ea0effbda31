# SPDX-License-Identifier: MIT
"""What is to be run, in which order, and how long that will take.

A round runs every sample once; the samples of one round, close together in time, are the pairs.
The rounds of a couple run the same shuffled order forwards and backwards: for any two contenders
that is A B B A, so that a drift of the machine cancels out.
"""

import collections
import fnmatch
import random

SEED = 1090

# One sample: who runs what. kind of runner: `program` or, without one, the driver in C.
Item = collections.namedtuple("Item", "workload name parameter contender control program")

# Who is in the full set. The first pattern that fits decides; "!" leaves out. What belongs to a
# question that a workload asks is here; what only takes time is not, and --contender= has it all.
FULL = {
    "bulk": ("*",),
    "bulk-sendfile": ("uring", "epoll", "blocking", "loop-256k", "libuv", "trunc"),
    "fanin-64": ("uring", "epoll", "blocking", "plain-*", "libuv", "libevent", "sleep-*"),
    "fanin-1000": ("!*-hash", "uring*", "epoll", "plain-*", "libuv", "libevent", "sleep-*"),
    "short": ("uring", "epoll", "blocking", "plain-*", "libuv", "libevent"),
    "latency": ("uring", "epoll", "plain-epoll", "libuv"),
    "file": ("!*-hash", "uring*", "epoll", "epoll-direct", "nc", "socat-256k"),
    "dir": ("!*-hash", "uring*", "epoll", "socat-fork"),
    "idle": ("uring", "epoll", "plain-epoll", "libuv"),
    "sweep": ("*",),
}
QUICK = {
    "bulk": ("uring", "epoll", "blocking", "naive", "loop-64k", "loop-256k", "libuv", "plain-*",
             "trunc", "nc", "socat-256k"),
    "fanin-64": ("uring", "epoll", "plain-*", "libuv"),
    "short": ("uring", "epoll", "plain-epoll", "libuv"),
    "latency": ("uring", "epoll", "plain-epoll"),
    "file": ("uring", "uring-direct", "epoll", "nc"),
}
# Sizes of one sample in the full set, where they differ from lastbyte-bench's own: 15 samples of
# 1 GiB say more than 7 of 2. The first line that fits decides. Of the slowest a part shows what
# they cost per GiB.
SIZES = (
    ("bulk*", "naive", None, "--bytes=256M"),
    ("bulk", "textbook", None, "--bytes=256M"),
    ("bulk", "loop-1k", None, "--bytes=512M"),
    ("bulk", "socat", None, "--bytes=512M"),
    ("bulk", "ncat", None, "--bytes=512M"),
    ("bulk*", "*", None, "--bytes=1G"),
    # A virtual machine that hands free pages back to its host pays dearly for taking new ones into
    # the page cache, and more for that than for receiving. So many it has at hand.
    ("file", "*", None, "--bytes=512M"),
    ("dir", "socat-fork", None, "--streams=250"),
    ("latency", "*", "1000", "--seconds=1"),
    ("latency", "*", None, "--seconds=0.5"),
    ("sweep", "*", None, "--bytes=512M"),
)
# The expected seconds of one sample, for the plan; --quick takes an eighth.
SECONDS = {
    "bulk": 0.45, "bulk-sendfile": 0.4, "fanin-64": 0.6, "fanin-1000": 0.5, "short": 0.6,
    "latency": 0.7, "file": 1.0, "dir": 1.1, "idle": 3.0, "sweep": 0.25,
}
OVERHEAD = 0.1
# Workloads whose figures hardly scatter, or that are only drawn, need fewer rounds.
FEWER = {"idle": 3, "sweep": 3}


def chosen(name, patterns):
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern.lstrip("!")):
            return not pattern.startswith("!")
    return False


def short_number(text):
    """10000 as 10k."""
    value = int(text)
    return f"{value // 1000}k" if value % 1000 == 0 else str(value)


def title(name, parameter):
    """What a workload at one parameter is called in results: latency-10k."""
    if parameter is None or name == "sweep":
        return name
    return f"{name}-{short_number(parameter)}"


def sizes(item):
    """The options that give a sample its size in the full set."""
    for workload, contender, parameter, option in SIZES:
        if (fnmatch.fnmatchcase(item.name, workload)
                and fnmatch.fnmatchcase(item.contender, contender)
                and parameter in (None, item.parameter)):
            return (option,)
    return ()


class Plan:
    """items: what one round may hold; rounds(workload): in how many of them it takes part."""

    def __init__(self, pairs, quick):
        self.pairs = pairs
        self.quick = quick
        self.items = []
        self.skipped = []

    def add(self, item):
        self.items.append(item)

    def skip(self, contender, why, workload=None):
        entry = {"contender": contender, "why": why}
        if workload:
            entry["workload"] = workload
        if entry not in self.skipped:
            self.skipped.append(entry)

    def options(self, item):
        return ("--quick",) if self.quick else sizes(item)

    def rounds(self, name):
        return min(self.pairs, FEWER.get(name, self.pairs))

    def order(self, number):
        """The items of a round, one workload after the other."""
        by_workload = collections.defaultdict(list)
        for item in self.items:
            if number < self.rounds(item.name):
                by_workload[item.workload].append(item)
        ordered = []
        for workload, items in by_workload.items():
            random.Random(f"{SEED} {workload} {number // 2}").shuffle(items)
            ordered += reversed(items) if number % 2 else items
        return ordered

    def seconds(self, first=0, end=None):
        """How long the rounds from first up to end, without it, should take."""
        end = self.pairs if end is None else end
        return sum(self.seconds_of(item) * max(0, min(end, self.rounds(item.name)) - first)
                   for item in self.items)

    def seconds_of(self, item):
        return SECONDS.get(item.name, 1.0) / (8 if self.quick else 1) + OVERHEAD


def make(driver, programs, workloads=None, contenders=None, pairs=15, quick=False):
    """The plan for what was asked for; what can't run is named in its `skipped`."""
    plan = Plan(pairs, quick)
    selection = QUICK if quick else FULL
    available = {entry["name"] for entry in driver.contenders() if entry["available"]}
    for entry in driver.contenders():
        if not entry["available"] and (not contenders or entry["name"] in contenders):
            plan.skip(entry["name"], entry["why"])
    for workload in driver.catalogue["workloads"]:
        name = workload["name"]
        if name not in (workloads or selection):
            continue
        patterns = contenders or selection.get(name) or FULL.get(name, ("*",))
        wanted = [contender for contender in workload["contenders"]
                  if contender in available and chosen(contender, patterns)]
        _add_driver(plan, driver, workload, wanted)
        _add_programs(plan, programs, name, patterns)
    return plan


def _add_driver(plan, driver, workload, wanted):
    name = workload["name"]
    control = next((ours for ours in ours_in_order(driver) if ours in wanted), None)
    if control is None and wanted:
        control = wanted[0]
    if name == "sweep":
        for benchmark in driver.benchmarks("sweep"):
            _, contender, parameter = benchmark.split("/")
            if contender in wanted:
                plan.add(Item(name, name, parameter, contender, False, None))
        return
    for parameter in [str(value) for value in workload["params"]] or [None]:
        where = title(name, parameter)
        for contender in wanted:
            plan.add(Item(where, name, parameter, contender, False, None))
        if control:
            plan.add(Item(where, name, parameter, control, True, None))


def _add_programs(plan, programs, name, patterns):
    for program in programs:
        if name in program.calls and chosen(program.name, patterns):
            missing = program.missing()
            if missing:
                plan.skip(program.name, missing)
            else:
                plan.add(Item(name, name, None, program.name, False, program))


def ours_in_order(driver):
    """Our backends that work here, best first: the first is what `auto` takes."""
    return [entry["name"] for entry in driver.contenders()
            if entry["kind"] == "ours" and entry["available"] and "-" not in entry["name"]]
