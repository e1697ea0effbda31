# SPDX-License-Identifier: MIT
"""Questions that take a set of workloads and contenders of their own: bench/run --set=NAME."""

from harness import beside, choice, lines, plan, targets, workloads

FULL = "full"
TUNES = ("{auto}-save-cpu", "{auto}-latency")
# Where it is seen what a tune saves, and what it costs.
TUNED = ("bulk", "fanin-64", "fanin-1000", "latency-1k", "latency-10k", "latency-50k")
FLOORED = ("bulk", "fanin-64", "fanin-1000")
FACTORED = ("bulk", "fanin-64", "fanin-1000", "latency-50k")
MAPPED = ("uring", "epoll", "plain-epoll")


class Set(plan.Asked):
    """by_title: {title of a workload: patterns of contenders}."""

    def __init__(self, by_title, quick):
        super().__init__(quick=quick)
        self.by_title = by_title

    def holds(self, workload):
        return any(workloads.of(title) is workload for title in self.by_title)

    def patterns(self, workload, title):
        return self.by_title.get(title, ())

    def wants(self, contender):
        return any(contender in names for names in self.by_title.values())


class Lines(Set):
    """Some are to be reached over a pair of their own."""

    def address(self, title, contender):
        return lines.address(title, contender)


def of_targets(path, softirq, auto):
    """Whom the targets of a path compare, what stands under them, and the tunes."""
    by_title = {}
    for target in targets.BY_PATH.get((path, softirq), ()):
        if target.workload != "any":
            by_title.setdefault(target.workload, set()).update(
                name.format(auto=auto) for name in target.patterns())
    if path == "loopback":
        for title in TUNED:
            by_title[title].update(name.format(auto=auto) for name in TUNES)
        for title in FLOORED:
            by_title[title].update(("floor-*", "best-*"))
    else:
        for title in FLOORED:
            by_title.setdefault(title, set()).update((auto, *beside.AGAINST))
    return {title: tuple(sorted(names)) for title, names in by_title.items()}


def of_factorial(*_):
    return {title: ("cell-*",) for title in FACTORED}


def of_map(*_):
    return {workloads.MAP.name: MAPPED}


def of_lines(path, *_):
    return lines.by_title(path)


def of_runtimes(_path, _softirq, auto):
    return choice.asked(auto)


_ALL = {"targets": of_targets, "factorial": of_factorial, "map": of_map,
        lines.QUESTION: of_lines, choice.QUESTION: of_runtimes}
NAMES = (FULL, *_ALL)


def of(name, path, softirq, auto, quick):
    return again(name, _ALL[name](path, softirq, auto), quick)


def again(name, by_title, quick):
    """The set of that name, of whom a result has in it."""
    return (Lines if name == lines.QUESTION else Set)(by_title, quick)


def more_pairs(name):
    """What its path has to have beside the one pair."""
    return lines.MORE if name == lines.QUESTION else ()
