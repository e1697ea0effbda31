# SPDX-License-Identifier: MIT
"""What can't be beaten: the least that receiving costs at the wakes and with the ACKs that ours had
in the same round, with the copy (`floor-copy`) and without (`floor-trunc`). What costs less than
its floor shows that the floor is none, or that the run is not what it seems."""

from harness import arithmetic

FLOORS = ("floor-copy", "floor-trunc")


def compared(results):
    """[(workload, floor, ratio, verdict)] of ours to its floors, in what each workload costs."""
    found = []
    for workload in results.workloads():
        for floor in FLOORS:
            key = results.figures(workload).cost
            ratio, verdict = results.verdict(workload, results.auto, floor, key)
            if ratio:
                found.append((workload, floor, ratio, verdict))
    return found


def beaten(results):
    """What fails the run, as entries of its `failed`."""
    return [{"workload": workload, "contender": results.auto,
             "why": f"costs less than {floor}, which can't be: {ratio.median:.2f} "
                    f"[{ratio.low:.2f}, {ratio.high:.2f}] of it"}
            for workload, floor, ratio, verdict in compared(results)
            if verdict == arithmetic.BETTER]


def part(results):
    """The page's part, or ""."""
    found = compared(results)
    if not found:
        return ""
    lines = ["## Cost above the floor\n",
             f"`{results.auto}` against io_uring by hand that sleeps when and as long as it did in "
             "the same round and spares the ACKs that it spared: with the copy into warm memory, "
             "and without any copy. In CPU.\n",
             "| workload | floor | above it | interval |", "| --- | --- | ---: | --- |"]
    lines += [f"| {workload} | {floor} | {ratio.median - 1:+.0%} | {_interval(ratio)} |"
              for workload, floor, ratio, _ in found]
    return "\n".join(lines) + "\n"


def _interval(ratio):
    return "–" if ratio.pairs < 2 else f"{ratio.low - 1:+.0%} to {ratio.high - 1:+.0%}"
