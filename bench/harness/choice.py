# SPDX-License-Identifier: MIT
"""The runtimes that people choose between, in a run of their own set: ours by each of them."""

from harness import comparison, metrics, workloads

QUESTION = "runtimes"
BESIDE = ("plain-epoll", "libuv")
TITLES = ("bulk", "fanin-64", "fanin-1000", "short", "latency-1k", "latency-10k", "latency-50k")


def asked(auto):
    """Who takes part in which workload."""
    return dict.fromkeys(TITLES, (auto, *BESIDE, *workloads.RUNTIMES))


def part(results):
    """The page's part, or "" of another set."""
    if results.question != QUESTION:
        return ""
    others = list(dict.fromkeys(name for title in results.workloads()
                                for name in results.ran(title) if results.kind(name).rival))
    rows = [_row(results, title, key, others) for title in results.workloads()
            for key in results.figures(title).judged]
    lost = [f"{finding.workload}: {metrics.METRICS[finding.metric].label} by {finding.other}"
            for finding in comparison.losses(results)]
    return "\n".join([
        "## Runtimes that people choose between\n",
        f"{results.document['settings']['rounds']} rounds. The figure of `{results.auto}`, and "
        "that ÷ theirs; ≈ is within noise. " + (
            f"Ours is behind here: {'; '.join(lost)}.\n" if lost else
            "Nowhere is ours behind beyond noise.\n"),
        f"| workload | figure | {results.auto} | " + " | ".join(others) + " |",
        "| --- | --- | ---: |" + " --- |" * len(others),
        *rows]) + "\n"


def _row(results, title, key, others):
    metric = metrics.METRICS[key]
    own = metrics.written(key, results.median(title, results.auto, key))
    cells = [comparison.verdict_text(*results.verdict(title, results.auto, other, key))
             for other in others]
    return f"| {title} | {metric.label} ({metric.unit}) | {own} | " + " | ".join(cells) + " |"
