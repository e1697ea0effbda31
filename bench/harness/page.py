# SPDX-License-Identifier: MIT
"""RESULTS.md out of a result: losses first, then the targets, then everything."""

import pathlib

from harness import (arithmetic, auto, beside, choice, comparison, factorial, floors, kinds,
                     latencies, lines, metrics, targets, workloads)
from harness import results as results_module


def page(results, name, pictures, notes="", where="results", more=()):
    """The page's text. name: of the result file without .json; pictures: as plots.draw gives them;
    notes: what a person has to say; where: the way from the page to the result; more: other
    Results, of other paths and questions, with their names."""
    everything = [results, *(other for other, _ in more)]
    link = f"{where}/{name}" if where else name
    parts = [
        head(results, name, link),
        also(more, where),
        dropped(results),
        lost(results),
        within_noise(results),
        among_ours(results),
        target_table(results),
        *(target_table(other, f", {beside.title(other)}") for other, _ in more
          if other.question not in (lines.QUESTION, choice.QUESTION)),
        floors.part(results),
        *(factorial.part(other) for other in everything),
        auto.part(everything),
        *(choice.part(other) for other in everything),
        lines.part(everything),
        beside.part(everything),
        latencies.part(results, link),
        notes.strip() + "\n" if notes.strip() else "",
        workload_parts(results, pictures, link),
        *map(left_out, everything),
        stamp_part(results),
    ]
    return "\n".join(part for part in parts if part)


def head(results, name, link):
    stamp, settings = results.stamp, results.document["settings"]
    machine = stamp["machine"]
    told = "A quick run, good for a first look only:" if settings.get("quick") else "A full run:"
    dirty = " with local changes" if stamp["commit"].get("dirty") else ""
    return (
        f"# Results\n\n"
        f"Made by `bench/report` from [{name}.json]({link}.json), which holds every sample; "
        f"[README.md](README.md) explains workloads and method. {told} {settings['rounds']} rounds "
        f"on {stamp['started'][:10]}, {machine['cpu']}, "
        f"{machine['cores']} cores, Linux {machine['kernel']}, commit "
        f"`{stamp['commit']['name'][:12]}`{dirty}. Everything goes over {beside.title(results)}, "
        f"with the sender on one core and the receiver on another; what a network costs would come "
        f"on top.\n\n"
        f"*Ours* is `{results.auto}`, the backend that `auto` takes here, with default options. "
        f"Ratios are medians of per-pair ratios within a round, with a bootstrap 95 % interval. "
        f"Where the interval is not wholly outside of what the A/A control (the same contender "
        f"twice in the same run) shows as noise, nothing is claimed: such ratios carry a ≈.\n")


def lost(results):
    lines = ["## Where we lose\n"]
    found = comparison.losses(results)
    if not found:
        lines.append("Nowhere in this run beyond noise, on the figures each workload is judged by.")
    else:
        lines += ["| workload | figure | against | ours ÷ theirs |", "| --- | --- | --- | --- |"]
        lines += [f"| {finding.workload} | {figure(finding.metric)} | {finding.other} | "
                  f"{comparison.ratio_text(finding.ratio)} |" for finding in found]
    return "\n".join(lines) + "\n"


def within_noise(results):
    found = comparison.of_verdict(comparison.findings(results), arithmetic.NOISE)
    if not found:
        return ""
    lines = ["## Where it makes no difference that this run could show\n"]
    groups = {}
    for finding in found:
        groups.setdefault((finding.workload, finding.metric), []).append(finding.other)
    lines += [f"- {workload}, {figure(key)}: {', '.join(others)}"
              for (workload, key), others in groups.items()]
    return "\n".join(lines) + "\n"


def among_ours(results):
    found = comparison.best_backends(results)
    lines = ["## Among our backends\n"]
    if not found:
        lines.append(f"No other backend beats `{results.auto}` beyond noise in this run.")
    else:
        lines += [f"`auto` takes `{results.auto}`. On this machine another one is ahead here:\n",
                  f"| workload | figure | ahead | {results.auto} ÷ it |",
                  "| --- | --- | --- | --- |"]
        lines += [f"| {workload} | {figure(key)} | {backend} | {comparison.ratio_text(ratio)} |"
                  for workload, key, backend, ratio in found]
    return "\n".join(lines) + "\n"


def also(more, where):
    """The other results that the page is made from."""
    if not more:
        return ""
    told = ", ".join(f"[{name}.json]({where}/{name}.json) "
                     f"({other.question}, {beside.title(other)})" for other, name in more)
    return f"Other paths and questions: {told}.\n"


def dropped(results):
    """How many samples the host spoilt."""
    if not results.dropped:
        return ""
    counts = {}
    for sample in results.dropped:
        counts[sample["workload"]] = counts.get(sample["workload"], 0) + 1
    told = ", ".join(f"{workload} {count}" for workload, count in counts.items())
    return (f"{len(results.dropped)} of {len(results.samples)} samples are dropped, for nothing "
            f"but that the host took the processor away for more than "
            f"{results_module.HOST_MAX:.0%} of their time (steal, or both cores late at once): "
            f"{told}.\n")


def target_table(results, where=""):
    rows = targets.evaluate(results)
    known = [row for row in rows if row[-1] != targets.NO_DATA]
    if not known:
        return ""
    if where:  # a run beside the first: what it was not made for is no news
        rows = known
    lines = [f"## Targets{where}\n",
             "A target is decided if its 95 % interval lies on one side of the limit, or is narrow "
             "(to ±3 % for processor time, throughput and p50, ±15 % for p99): then its median "
             "decides. Pairs are added until then, or time is up: *undecided*.\n",
             "| workload | figure | target | measured | pairs | |",
             "| --- | --- | --- | --- | ---: | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def figure(key):
    metric = metrics.METRICS[key]
    return f"{metric.label} ({metric.unit})"


# ---- workload by workload

def is_factorial(results, title):
    """Nothing but cells ran: they have a part of their own."""
    return all(results.kind(name) == kinds.CELL for name in results.ran(title))


def workload_parts(results, pictures, link):
    parts = []
    for workload in results.workloads():
        if is_factorial(results, workload):
            continue
        cost = metrics.METRICS[results.figures(workload).cost]
        _, titles = comparison.headings(results, workload)
        lines = [f"## {workload}\n", f"Medians, sorted by {cost.label} ({cost.unit}).\n",
                 "| " + " | ".join(titles) + " |",
                 "| --- |" + " ---: |" * (len(titles) - 1)]
        lines += ["| " + " | ".join(cells) + " |"
                  for _, cells in comparison.rows(results, workload)]
        if workload in pictures:
            lines.append(f"\n![{workload}: {cost.label} of each contender]"
                         f"({link}/{pictures[workload]})")
        parts.append("\n".join(lines) + "\n")
    for name, text in ((workload.name, workload.picture.caption)
                       for workload in workloads.PICTURED):
        if name in pictures:
            parts.append(f"## {text.capitalize()}\n\n![{text}]({link}/{pictures[name]})\n")
    return "\n".join(parts)


def left_out(results):
    document = results.document
    lines = [f"- skipped: {entry['contender']}: {entry['why']}" for entry in document["skipped"]]
    lines += [f"- **failed**: {entry['contender']} in {entry['workload']}: {entry['why']}"
              for entry in document["failed"]]
    if not lines:
        return ""
    return "## Left out\n\n" + "\n".join(lines) + "\n"


def stamp_rows(results):
    """[(what, text)] of all that figures depend on besides the code."""
    stamp = results.stamp
    machine, build, network = stamp["machine"], stamp["build"], stamp["network"]
    settings = results.document["settings"]
    return [
        ("machine", f"{machine['cpu']}, {machine['cores']} cores ({machine['usable_cores']} "
                    f"usable), {machine['memory_mib']} MiB, hypervisor: {machine['hypervisor']}"),
        ("caches", ", ".join(f"{name} {size}" for name, size in machine["cache"].items())),
        ("system", f"{machine['distribution']}, Linux {machine['kernel']}"),
        ("mitigations", "; ".join(f"{name}: {text}"
                                  for name, text in machine["mitigations"].items()) or "none"),
        ("governor", machine["governor"]),
        ("time stolen by the host", f"{stamp.get('steal_share', 0):.2%}"),
        ("load before, after", f"{' '.join(stamp['busy_before']['load'])}; "
                               f"{' '.join(stamp.get('busy_after', {}).get('load', []))}"),
        ("compiler", f"{build.get('compiler')} `{build.get('flags')}`"),
        *((name, build[name]) for name in ("liburing", "libssl") if name in build),
        *((name.replace("_", " "), text) for name, text in network.items()),
        *((name.replace("_", " "), text) for name, text in settings.items()
          if not isinstance(text, (list, dict))),
    ]


def stamp_part(results):
    lines = ["## Stamp\n", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {str(text).replace('|', '/')} |" for name, text in stamp_rows(results)]
    return "\n".join(lines) + "\n"


def notes_of(path):
    """What a person wrote about a result, kept beside it as NAME.notes.md; or nothing."""
    notes = pathlib.Path(path).with_suffix(".notes.md")
    return notes.read_text() if notes.exists() else ""
