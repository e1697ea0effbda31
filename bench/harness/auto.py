# SPDX-License-Identifier: MIT
"""What `auto` takes, and whether the figures of a run, its factorial and its map support that.

`auto` measures nothing: it takes the first of our backends that works. The question is whether the
next one, which it would take otherwise, costs less anywhere.
"""

from harness import arithmetic, beside, comparison, crossover, curves, factorial, kinds

TAIL = 0.025  # of a 95 % interval; in few pairs all agree by chance more often


def part(all_results):
    """The page's part, or "" where nothing of ours was to be measured beside what auto takes."""
    ours = in_order(all_results[0])
    one = all_results[0].auto
    other = next((name for name in ours[ours.index(one) + 1:]), None) if one in ours else None
    if other is None:
        return ""
    rows = _rows(all_results, one, other)
    mapped = [line for results in all_results for line in _map(results, one, other)]
    if not rows and not mapped:
        return ""
    lines = ["## What `auto` takes, and whether the figures support it\n",
             f"`auto` takes `{one}`: of {_list(ours)} the first that works here. It measures "
             "nothing, and reads none of this.\n"]
    if rows:
        lines += [_told(rows, one, other),
                  f"| workload | CPU, {one} ÷ {other}, as by default | factorial: with the same "
                  f"gathering and ACKs | supports `{one}` |", "| --- | --- | --- | --- |",
                  *map(_line, rows), ""]
    return "\n".join(lines + mapped)


def in_order(results):
    """Our backends, best first."""
    return [name for name in results.contenders
            if results.kind(name) == kinds.OURS and "-" not in name]


# ---- workload by workload

def _rows(all_results, one, other):
    """[(workload, by default, by factorial)], each of the two (ratio, verdict) or None."""
    found = {}
    for results in all_results:
        for title in results.workloads():
            key = _cost(results, title)
            if key is None:
                continue
            where = title if results.path == "loopback" else f"{title}, {beside.title(results)}"
            row = found.setdefault(where, {})
            if {one, other} <= set(results.ran(title)):
                row.setdefault("default", results.verdict(title, one, other, key))
            if {one, other} == {"uring", "epoll"}:
                effect = factorial.effect(results, title, key, None)
                if effect:
                    row.setdefault("factorial", (effect, arithmetic.verdict(
                        effect, results.spread(title, key), lower_is_better=True)))
    return [(title, row.get("default"), row.get("factorial"))
            for title, row in found.items() if row]


def _cost(results, title):
    """The receiver's processor time, if the workload is judged by that."""
    return next((key for key in results.figures(title).judged if key.startswith("receiver_cpu")),
                None)


def _verdicts(row):
    return {told[1] for told in row[1:] if told}


def _said(row):
    """A loss in either counts, and a win only where nothing is lost."""
    verdicts = _verdicts(row)
    return next((verdict for verdict in (arithmetic.WORSE, arithmetic.BETTER)
                 if verdict in verdicts), arithmetic.NOISE)


def _told(rows, one, other):
    by = {verdict: [row[0] for row in rows if _said(row) == verdict]
          for verdict in (arithmetic.BETTER, arithmetic.WORSE, arithmetic.NOISE)}
    against = (f"**`{other}` is ahead of it beyond noise on {_list(by[arithmetic.WORSE])}**"
               if by[arithmetic.WORSE] else f"`{other}` is ahead of it beyond noise nowhere")
    return (f"The figures support it beyond noise on {_list(by[arithmetic.BETTER]) or 'nothing'}; "
            f"{against}; they leave open {_list(by[arithmetic.NOISE]) or 'nothing'}.\n")


def _line(row):
    answer = {arithmetic.BETTER: "yes", arithmetic.WORSE: "**no**", arithmetic.NOISE: "open"}
    return (f"| {row[0]} | {_cell(row[1], 'pairs')} | {_cell(row[2], 'rounds')} | "
            f"{answer[_said(row)]} |")


def _cell(told, unit):
    if told is None or told[0] is None:
        return "–"
    return f"{comparison.verdict_text(*told)}, {told[0].pairs} {unit}"


# ---- the map

def _map(results, one, other):
    points = crossover.between(results, one, other)
    if not points:
        return []
    less = [point for point in points if point.ratio.high < 1]
    more = sorted((point for point in points if point.ratio.low > 1),
                  key=lambda point: -point.ratio.median)
    lines = [f"On the map `{one}` takes less than `{other}` at {len(less)} of {len(points)} "
             f"points, and more at {len(more)}"
             + (f": **{'; '.join(map(_point, more))}**" if more else "")
             + "; at the others the interval holds 1."]
    pairs = [point.ratio.pairs for point in points]
    by_chance = sum(max(2 ** -count, TAIL) for count in pairs)
    lines.append(f"By chance alone, with {min(pairs)} to {max(pairs)} pairs a point and no A/A "
                 f"control, either would get about {by_chance:.0f}: only what is far from 1 says "
                 "something.")
    return ["\n".join(lines), ""]


def _point(point):
    rate = "flat out" if point.rate is None else f"at {point.rate:,} a second"
    streams = "1 stream" if point.streams == 1 else f"{point.streams:,} streams"
    return (f"{curves.size_text(point.size)} on {streams} {rate}, "
            f"{comparison.ratio_text(point.ratio)}")


def _list(names):
    names = list(names)
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
