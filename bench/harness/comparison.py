# SPDX-License-Identifier: MIT
"""What may be said of ours against the others in one run: wins, losses, and what is only noise."""

import collections

from harness import arithmetic, kinds, metrics

Finding = collections.namedtuple("Finding", "workload metric ours other ratio verdict")


def findings(results, ours=None):
    """Ours (what `auto` takes, unless named) against every other contender, judged metrics only."""
    ours = ours or results.auto
    found = []
    for workload in results.workloads():
        if ours not in results.ran(workload):
            continue
        for key in results.figures(workload).judged:
            for other in results.ran(workload):
                if not results.kind(other).rival:
                    continue
                ratio, verdict = results.verdict(workload, ours, other, key)
                if ratio:
                    found.append(Finding(workload, key, ours, other, ratio, verdict))
    return found


def of_verdict(found, verdict):
    return [finding for finding in found if finding.verdict == verdict]


def losses(results):
    """Farthest from even first."""
    lost = of_verdict(findings(results), arithmetic.WORSE)
    return sorted(lost, key=lambda finding: -max(finding.ratio.median, 1 / finding.ratio.median))


def best_backends(results):
    """[(workload, metric, backend, ratio)]: where another one of ours beats what `auto` takes."""
    found = []
    plain = [name for name in results.contenders
             if results.kind(name) == kinds.OURS and "-" not in name and name != results.auto]
    for workload in results.workloads():
        for key in results.figures(workload).judged:
            for other in plain:
                ratio, verdict = results.verdict(workload, results.auto, other, key)
                if ratio and verdict == arithmetic.WORSE:
                    found.append((workload, key, other, ratio))
    return found


# ---- tables

def headings(results, workload):
    """Names and units of a table's columns; the last one compares the cost with ours."""
    keys = [key for key in results.figures(workload).shown
            if any(results.median(workload, contender, key) is not None
                   for contender in results.ran(workload))]
    cost = results.figures(workload).cost
    titles = [metrics.METRICS[key].heading for key in keys]
    return keys, ["contender", *titles, f"{results.auto} ÷ it, {metrics.METRICS[cost].label}"]


def rows(results, workload):
    """[(contender, [cells])] of a workload, the cheapest first."""
    keys, _ = headings(results, workload)
    cost = results.figures(workload).cost
    ran = sorted(results.ran(workload),
                 key=lambda name: (results.median(workload, name, cost) is None,
                                   results.median(workload, name, cost)))
    return [(contender,
             [name_of(results, contender),
              *(metrics.written(key, results.median(workload, contender, key)) for key in keys),
              against(results, workload, contender, cost)])
            for contender in ran]


def name_of(results, contender):
    label = results.label(contender)
    return f"{contender} ({label})" if label else contender


def against(results, workload, contender, key):
    """Ours divided by a contender: the median ratio and its interval, or why there is none."""
    if contender == results.auto:
        return control_text(results, workload, key)
    return verdict_text(*results.verdict(workload, results.auto, contender, key))


def verdict_text(ratio, verdict):
    """A ratio, or None, and whether it is noise."""
    if ratio is None:
        return "–"
    text = ratio_text(ratio)
    return f"{text} ≈" if verdict == arithmetic.NOISE else text


def ratio_text(ratio):
    if ratio.pairs < 2:
        return f"{ratio.median:.2f}"
    return f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def control_text(results, workload, key):
    ratio = results.control_ratio(workload, key)
    if ratio is None:
        return "(no control)"
    if ratio.pairs < 2:
        return "A/A: one pair"
    return f"A/A ±{arithmetic.Spread(ratio).percent:.1f} %"


def text_tables(results):
    """All tables as plain text."""
    out = []
    for workload in results.workloads():
        _, titles = headings(results, workload)
        cells = [row for _, row in rows(results, workload)]
        pairs = max(len(results.series(workload, name, results.figures(workload).cost))
                    for name in results.ran(workload))
        out.append(f"{workload}: medians of {pairs} samples")
        out += aligned([titles, *cells])
        out.append("")
    return "\n".join(out)


def aligned(lines):
    """Columns of a width; the first to the left, the others to the right."""
    width = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  " + "  ".join(cell.ljust(size) if column == 0 else cell.rjust(size)
                             for column, (cell, size) in enumerate(zip(line, width))).rstrip()
            for line in lines]
