# SPDX-License-Identifier: MIT
"""Which of the engine's ways saves how much: backend, gathering, spared ACKs, bundles and
incremental buffers, each on and off, all combinations in one run.

An effect is the mean, over all cells that differ in that one switch, of what it changes, taken
within each round; of the rounds the median, with its interval. So no switch stands for another that
happens to go with it.
"""

import itertools
import math

from harness import arithmetic, comparison, kinds, metrics

PREFIX = "cell-"
SWITCHES = {"g": "gathering", "a": "ACKs spared", "b": "bundles", "i": "incremental buffers"}
URING_ONLY = "bi"
BY_DEFAULT = "i"  # of those
BACKEND = "uring, with incremental buffers, ÷ epoll"


def cells(results, workload):
    """{(backend, switches that are on)} that have samples."""
    return {_cell(name) for name in results.ran(workload)
            if results.kind(name) == kinds.CELL}


def _cell(name):
    backend, _, letters = name.removeprefix(PREFIX).partition("-")
    return backend, frozenset(letters)


def name_of(cell):
    backend, on = cell
    return f"{PREFIX}{backend}-{''.join(letter for letter in SWITCHES if letter in on)}"


def titles(results):
    """The workloads that have cells."""
    return [title for title in results.workloads() if cells(results, title)]


def pairs_of(switch, there):
    """[(on, off)] of cells that differ in one switch alone; None: in the backend."""
    if switch is None:
        both = [(("uring", on | set(BY_DEFAULT)), ("epoll", on))
                for backend, on in there if backend == "epoll"]
    else:
        both = [((backend, on | {switch}), (backend, on)) for backend, on in there
                if switch not in on]
    return [(one, other) for one, other in sorted(both, key=str)
            if one in there and other in there]


def effect(results, workload, key, switch):
    """A Ratio, or None: what the switch makes of a figure."""
    pairs = pairs_of(switch, cells(results, workload))
    return _over_rounds([[_log(results, workload, key, *pair)] for pair in pairs])


def interaction(results, workload, key, one, other):
    """What one switch brings where the other is on, by what it brings where that is off."""
    there = cells(results, workload)
    quads = []
    for on, off in pairs_of(one, there):
        if other not in off[1]:
            also = [(backend, switches | {other}) for backend, switches in (on, off)]
            if set(also) <= there:
                quads.append([_log(results, workload, key, *also),
                              {number: -value for number, value in
                               _log(results, workload, key, on, off).items()}])
    return _over_rounds(quads)


def _log(results, workload, key, one, other):
    """{round: log of one by other}."""
    a, b = (results.series(workload, name_of(cell), key) for cell in (one, other))
    return {number: math.log(a[number] / b[number]) for number in a
            if b.get(number, 0) > 0 and a[number] > 0}


def _over_rounds(sums):
    """sums: of each, the terms that are added up in a round; those are averaged."""
    rounds = {}
    for terms in sums:
        for number in set.intersection(*(set(term) for term in terms)):
            rounds.setdefault(number, []).append(sum(term[number] for term in terms))
    means = [(math.exp(sum(values) / len(values)), 1.0) for values in rounds.values()]
    return arithmetic.Ratio(means) if means else None


# ---- the page's part

def part(results):
    """Effects, how they go together, and every cell; "" without any."""
    shown = titles(results)
    if not shown:
        return ""
    lines = ["## What saves: the factorial\n",
             f"{results.document['settings']['rounds']} rounds of every combination. Each figure "
             "is with the switch on ÷ off, the mean over all cells that differ in nothing else, "
             f"and the 95 % interval over the rounds. `auto` takes `{results.auto}`.\n",
             "| workload | switch | CPU | whole system's CPU | throughput, or p99 |",
             "| --- | --- | --- | --- | --- |"]
    for title in shown:
        keys = _keys(results, title)
        for switch in (None, *SWITCHES):
            found = [effect(results, title, key, switch) for key in keys]
            if any(found):
                label = SWITCHES.get(switch, BACKEND)
                lines.append(f"| {title} | {label} | " + " | ".join(map(_text, found)) + " |")
    lines += ["", *_interactions(results, shown), "", *_cells(results, shown)]
    return "\n".join(lines) + "\n"


def _keys(results, title):
    """Cost, the system's, and what may be paid with."""
    figures = results.figures(title)
    if "p99_us" in figures.judged:
        return ("receiver_cpu_fraction", "system_cpu_s_per_gib", "p99_us")
    return ("receiver_cpu_s_per_gib", "system_cpu_s_per_gib", "gib_per_s")


def _text(ratio):
    return "–" if ratio is None else comparison.ratio_text(ratio)


def _interactions(results, shown):
    lines = ["What one brings where the other is on, by what it brings where that is off (CPU); "
             "1.00: they don't touch each other.\n",
             "| | " + " | ".join(shown) + " |", "| --- |" + " --- |" * len(shown)]
    for one, other in itertools.combinations(SWITCHES, 2):
        found = [interaction(results, title, _keys(results, title)[0], one, other)
                 for title in shown]
        lines.append(f"| {SWITCHES[one]}, {SWITCHES[other]} | " + " | ".join(map(_text, found))
                     + " |")
    return lines


def _cells(results, shown):
    there = sorted({cell for title in shown for cell in cells(results, title)},
                   key=lambda cell: (cell[0], len(cell[1]), name_of(cell)))
    lines = ["Every cell, CPU: medians, in CPU-s/GiB, of `latency` in CPU-s/s.\n",
             "| backend | on | " + " | ".join(shown) + " |",
             "| --- | --- |" + " ---: |" * len(shown)]
    for cell in there:
        values = []
        for title in shown:
            key = _keys(results, title)[0]
            values.append(metrics.written(key, results.median(title, name_of(cell), key)))
        on = ", ".join(text for letter, text in SWITCHES.items() if letter in cell[1])
        lines.append(f"| {cell[0]} | {on or 'nothing'} | " + " | ".join(values) + " |")
    return lines
