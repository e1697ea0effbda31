# SPDX-License-Identifier: MIT
"""What is to be run, in which order, and how long that will take.

A round runs every sample once; the samples of one round, close together in time, are the pairs.
The rounds of a couple run the same shuffled order forwards and backwards: for any two contenders
that is A B B A, so that a drift of the machine cancels out.
"""

import collections
import fnmatch
import random

from harness import floors, kinds, workloads

SEED = 1090

# One sample: who runs what. kind of runner: `program` or, without one, the driver in C. address:
# options that say where its receiver is, if not where all are.
Item = collections.namedtuple("Item", "title workload parameter contender control program address",
                              defaults=((),))

OVERHEAD = 0.1  # seconds that a sample takes besides


def chosen(name, patterns):
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern.lstrip("!")):
            return not pattern.startswith("!")
    return False


class Plan:
    """items: what one round may hold; rounds(workload): in how many of them a workload is."""

    def __init__(self, pairs, quick):
        self.pairs = pairs
        self.quick = quick
        self.items = []
        self.skipped = []

    def add(self, item):
        self.items.append(item)

    def leave_out(self, address, why):
        """All who would be there."""
        for item in self.items:
            if item.address == address:
                self.skip(item.contender, why)
        self.items = [item for item in self.items if item.address != address]

    def skip(self, contender, why, workload=None):
        entry = {"contender": contender, "why": why}
        if workload:
            entry["workload"] = workload
        if entry not in self.skipped:
            self.skipped.append(entry)

    def options(self, item):
        if self.quick:
            return ("--quick",)
        return item.workload.options(item.contender, item.parameter)

    def rounds(self, workload):
        return min(self.pairs, workload.rounds or self.pairs)

    def of_round(self, number):
        return [item for item in self.items if number < self.rounds(item.workload)]

    def order(self, number, items=None):
        """The items of a round (all that it may hold, or those given), one workload after the
        other."""
        by_title = collections.defaultdict(list)
        for item in self.of_round(number) if items is None else items:
            by_title[item.title].append(item)
        ordered = []
        for title, items in by_title.items():
            random.Random(f"{SEED} {title} {number // 2}").shuffle(items)
            ordered += reversed(items) if number % 2 else items
        return ordered

    def seconds(self, first=0, end=None):
        """How long the rounds from first up to end, without it, should take."""
        end = self.pairs if end is None else end
        return sum(self.seconds_of(item) * max(0, min(end, self.rounds(item.workload)) - first)
                   for item in self.items)

    def seconds_of(self, item):
        # A floor has the one that it follows run first.
        runs = 2 if item.contender in floors.FLOORS else 1
        return runs * (item.workload.seconds / (8 if self.quick else 1) + OVERHEAD)


class Asked:
    """Who is asked for by names of workloads and patterns of contenders, None where nobody said."""

    def __init__(self, names=None, contenders=None, quick=False):
        self.names = names
        self.contenders = contenders
        self.quick = quick

    def holds(self, workload):
        return workload.name in self.names if self.names else workload.in_set(self.quick)

    def patterns(self, workload, title):
        return self.contenders or workload.contenders(self.quick)

    def address(self, title, contender):
        """The options that say where this one receives, if not where all do."""
        return ()

    def wants(self, contender):
        """By its name, so that it is told if it is missing."""
        return not self.contenders or contender in self.contenders


def make(driver, programs, asked, pairs=15):
    """The plan for what was asked for (an Asked, or one of sets.py); what can't run is named in its
    `skipped`."""
    plan = Plan(pairs, asked.quick)
    available = {entry["name"] for entry in driver.contenders() if entry["available"]}
    for entry in driver.contenders():
        if not entry["available"] and asked.wants(entry["name"]):
            plan.skip(entry["name"], entry["why"])
    for entry in driver.catalogue["workloads"]:
        workload = workloads.of(entry["name"])
        if not asked.holds(workload):
            continue
        here = [name for name in entry["contenders"] if name in available]
        for parameter in [str(value) for value in entry["params"]] or [None]:
            patterns = asked.patterns(workload, workload.title(parameter))
            _add_driver(plan, driver, workload, parameter,
                        [name for name in here if chosen(name, patterns)], asked)
            _add_programs(plan, programs, workload, parameter, patterns)
    return plan


def _add_driver(plan, driver, workload, parameter, wanted, asked):
    control = next((ours for ours in ours_in_order(driver) if ours in wanted), None)
    if control is None and wanted:
        control = wanted[0]
    title = workload.title(parameter)
    for contender in wanted:
        plan.add(Item(title, workload, parameter, contender, False, None,
                      asked.address(title, contender)))
    if control and workload.compared:
        plan.add(Item(title, workload, parameter, control, True, None,
                      asked.address(title, control)))


def _add_programs(plan, programs, workload, parameter, patterns):
    title = workload.title(parameter)
    for program in programs:
        if workload.name in program.calls and chosen(program.name, patterns):
            missing = program.missing()
            if missing:
                plan.skip(program.name, missing)
            else:
                plan.add(Item(title, workload, parameter, program.name, False, program))


def ours_in_order(driver):
    """Our backends that work here, best first: the first is what `auto` takes."""
    return [entry["name"] for entry in driver.contenders()
            if entry["kind"] == kinds.OURS.name and entry["available"] and "-" not in entry["name"]]
