# SPDX-License-Identifier: MIT
"""Several results beside each other: the same workloads over other paths, and with the softirq work
done elsewhere."""

from harness import arithmetic, comparison, kinds, metrics

AGAINST = ("libuv", "plain-epoll")
GIB = float(1 << 30)
ACCOUNTS = (("receiver_cpu_s", "process"), ("receiver_core_cpu_s", "receiver's core"),
            ("sender_core_cpu_s", "sender's core"), ("napi_cpu_s", "NAPI thread"))


def title(results):
    """What a path is called."""
    where = {"sender": "softirq at the sender", "receiver": "softirq at the receiver",
             "own": "softirq in a thread"}.get(results.softirq)
    return f"{results.path}, {where}" if where else results.path


def part(all_results):
    """The page's part, or "" where there is only one path."""
    by_title = {}
    for results in all_results:
        if results.auto and any(results.auto in results.ran(name) for name in results.workloads()):
            by_title.setdefault(title(results), results)
    if len(by_title) < 2:
        return ""
    lines = ["## Paths side by side\n",
             "Ours ÷ theirs on each. What is a gain on one path and a loss on another is marked ⇅: "
             "no headline is made of it.\n",
             "| workload | figure | against | " + " | ".join(by_title) + " | |",
             "| --- | --- | --- |" + " --- |" * len(by_title) + " --- |"]
    first = next(iter(by_title.values()))
    for workload in first.workloads():
        for key in first.figures(workload).judged:
            for other in AGAINST:
                lines += _row(list(by_title.values()), workload, key, other)
    return "\n".join(lines) + "\n\n" + _accounts(by_title)


def _row(all_results, workload, key, other):
    found = [results.verdict(workload, results.auto, other, key) for results in all_results]
    if sum(ratio is not None for ratio, _ in found) < 2:
        return []
    cells = [comparison.verdict_text(*one) for one in found]
    verdicts = {verdict for _, verdict in found}
    mark = "⇅" if {arithmetic.BETTER, arithmetic.WORSE} <= verdicts else ""
    label = metrics.METRICS[key].label
    return [f"| {workload} | {label} | {other} | " + " | ".join(cells) + f" | {mark} |"]


def _accounts(by_title):
    """Whose processor time a GiB takes, where the work may be moved."""
    rows = []
    for name, results in by_title.items():
        for workload in results.workloads():
            for contender in results.ran(workload):
                if contender == results.auto or results.kind(contender) in (kinds.LIBRARY,):
                    rows += _account(results, name, workload, contender)
    if not rows:
        return ""
    return "\n".join([
        "Whose processor time, in CPU-s/GiB (medians; a core's is all that was done there):\n",
        "| path | workload | contender | " + " | ".join(text for _, text in ACCOUNTS) + " |",
        "| --- | --- | --- |" + " ---: |" * len(ACCOUNTS), *rows]) + "\n"


def _account(results, name, workload, contender):
    if "gib_per_s" not in results.figures(workload).judged or not results.softirq:
        return []
    size = results.median(workload, contender, "bytes")
    cells = []
    for key, _ in ACCOUNTS:
        value = results.median(workload, contender, key)
        cells.append("–" if value is None or not size else f"{value / (size / GIB):.3f}")
    return [f"| {name} | {workload} | {contender} | " + " | ".join(cells) + " |"]
