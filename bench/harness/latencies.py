# SPDX-License-Identifier: MIT
"""The latencies of all messages of a run together: percentiles, and logs that HdrHistogram's own
tools read."""

from harness import hdr

ENOUGH = 10 ** 6  # messages; what fewer say of the last 0.01 % is told as what it is
PERCENTS = (50, 90, 99, 99.9, 99.99, 100)


def titles(results):
    """The workloads of which histograms were kept."""
    return [title for title in results.workloads()
            if any(results.histogram(title, name) for name in results.ran(title))]


def logs(results):
    """{file name: text}: a log for each workload, a line for each sample, tagged with its
    contender."""
    made = {}
    for title in titles(results):
        samples = [sample for sample in results.samples
                   if sample["workload"] == title and "histogram" in sample
                   and not sample["control"] and not results.is_dropped(sample)]
        made[f"{title}.hlog"] = hdr.log(
            [(sample["contender"], sample.get("started_s", 0.0), sample.get("wall_s", 0.0),
              hdr.decode(sample["histogram"])) for sample in samples])
    return made


def part(results, link):
    """The page's part, or ""; link: where the logs are."""
    shown = titles(results)
    if not shown:
        return ""
    lines = ["## Latencies of all messages\n",
             "From the planned send time to delivery, µs, all samples of a contender merged. Logs "
             "for HdrHistogram's tools (version 2, ns): "
             + ", ".join(f"[{title}]({link}/{title}.hlog)" for title in shown)
             + f". Fewer than {ENOUGH:,} messages are marked *: their last column but one is of a "
             "few messages.\n",
             "| workload | contender | messages | "
             + " | ".join("max" if percent == 100 else f"p{percent:g}" for percent in PERCENTS)
             + " |", "| --- | --- | ---: |" + " ---: |" * len(PERCENTS)]
    for title in shown:
        for name in results.ran(title):
            merged = results.histogram(title, name)
            if merged:
                lines.append(_row(title, name, merged))
    return "\n".join(lines) + "\n"


def _row(title, name, merged):
    count = hdr.count(merged)
    cells = [f"{hdr.percentile(merged, percent) / 1e3:,.1f}" for percent in PERCENTS]
    few = "" if count >= ENOUGH else " *"
    return f"| {title} | {name} | {count:,}{few} | " + " | ".join(cells) + " |"
