# SPDX-License-Identifier: MIT
"""The pictures of the HTML page: SVG inside the page, whose colours are the page's.

Widths are shares and heights pixels, so that a picture is as wide as there is room, on a phone too,
and its text stays as large as all other text.
"""

import math
from html import escape

from harness import arithmetic, comparison, crossover, curves, kinds, metrics

WIDE = 1000  # units of a picture's width
BAR = 20     # pixels
PLOT = 190


def slug(text):
    return "".join(letter if letter.isalnum() else "-" for letter in text)


# ---- a bar for each contender, a tick for each sample

def bars(results, title, key):
    """The rows of one figure, the cheapest contender of the workload first."""
    metric = metrics.METRICS[key]
    cost = results.figures(title).cost
    names = sorted((name for name in results.ran(title)
                    if results.median(title, name, cost) is not None
                    and results.kind(name) != kinds.CELL),
                   key=lambda name: results.median(title, name, cost))
    values = {name: list(results.series(title, name, key).values()) for name in names}
    if not any(values.values()):
        return ""
    end = curves.axis_end(values.values(), metric.lower_is_better)
    better = "less is better" if metric.lower_is_better else "more is better"
    rows = "".join(_bar(results, name, values[name], end, key) for name in names)
    return (f'<figcaption><b>{escape(metric.label)}</b>, {escape(metric.unit)} '
            f'<span class="q">{better}</span></figcaption><div class="bars">{rows}</div>')


def _bar(results, name, values, end, key):
    kind = slug(results.kind(name).name)
    ours = " auto" if name == results.auto else ""
    label = escape(comparison.name_of(results, name))
    head = f'<span class="n{ours}" title="{label}"><i class="k {kind}"></i>{escape(name)}</span>'
    if not values:
        return f'{head}<span class="q">not measured</span><b>–</b>'
    middle = arithmetic.median(values)
    ticks = "".join(f"M{_at(value, end)} 3v{BAR - 6}" for value in values if value <= end * 1.05)
    cut = ' class="cut"' if middle > end else ""
    return (f'{head}<svg viewBox="0 0 {WIDE} {BAR}" height="{BAR}" preserveAspectRatio="none" '
            f'role="img" aria-label="{label}: {metrics.written(key, middle)}">'
            f'<rect class="{kind}" y="3" width="{min(_at(middle, end), WIDE)}" '
            f'height="{BAR - 6}"/><path d="{ticks or "M0 0"}"/></svg>'
            f"<b{cut}>{metrics.written(key, middle)}</b>")


def _at(value, end):
    return round(value / end * WIDE / 1.05)


# ---- an interval on an axis of ratios

def interval(ratio, verdict, widest):
    """Ours ÷ theirs: 1 in the middle, widest at either end."""
    def at(value):
        value = min(max(value, 1 / widest), widest)
        return round(50 + 50 * math.log(value) / math.log(widest), 2)

    low, high = at(ratio.low), at(ratio.high)
    return (f'<svg class="interval {slug(verdict)}" height="16" role="img" '
            f'aria-label="{escape(comparison.ratio_text(ratio))}">'
            '<line class="one" x1="50%" x2="50%" y1="0" y2="16"/>'
            f'<line class="span" x1="{low}%" x2="{high}%" y1="8" y2="8"/>'
            f'<circle cx="{at(ratio.median)}%" cy="8" r="4"/></svg>')


# ---- lines

class Axis:
    """marks: [(value, text)]; place: value -> a number that grows evenly."""

    def __init__(self, marks, place=lambda value: value):
        self.marks = marks
        self.place = place
        self.low = place(marks[0][0])
        self.high = place(marks[-1][0])

    def share(self, value):
        return (self.place(value) - self.low) / ((self.high - self.low) or 1)


def even_axis(highest):
    """From 0 to a round number not below the highest."""
    step = 10 ** math.floor(math.log10(highest or 1))
    step = next(step * factor for factor in (0.2, 0.25, 0.5, 1, 2, 2.5)
                if step * factor * 5 >= highest)
    return Axis([(step * mark, f"{step * mark:.3g}") for mark in range(6)])


def log_axis(values):
    """Powers of ten around the values."""
    log10, floor = math.log10, math.floor
    low, high = floor(log10(min(values))), -floor(-log10(max(values)))
    high = max(high, low + 1)
    return Axis([(10.0 ** power, f"{10 ** power:,}" if power >= 0 else f"{10.0 ** power:g}")
                 for power in range(low, high + 1)], log10)


def lines(title, series, across, up, names):
    """series: [(number of its colour, [(x, y)])]; names: (of the x axis, of the y axis)."""
    grid = "".join(f"M0 {_down(up, value)}H{WIDE}" for value, _ in up.marks)
    grid += "".join(f"M{_over(across, value)} 0V{PLOT}" for value, _ in across.marks)
    drawn = "".join(
        f'<path class="l{number}" d="M{"L".join(_point(across, up, x, y) for x, y in points)}"/>'
        f'<path class="dots l{number}" '
        f'd="{"".join("M" + _point(across, up, x, y) + "h0" for x, y in points)}"/>'
        for number, points in series)
    left = "".join(f'<text x="100%" y="{_down(up, value) + 4}">{text}</text>'
                   for value, text in up.marks)
    below = "".join(f'<text x="{100 * across.share(value):.2f}%" y="13" '
                    f'class="{_end(across, value)}">{text}</text>' for value, text in across.marks)
    return (f'<figure class="lines"><figcaption><b>{escape(title)}</b> '
            f'<span class="q">{escape(names[1])}</span></figcaption>'
            f'<svg class="left" height="{PLOT}" aria-hidden="true">{left}</svg>'
            f'<svg class="area" viewBox="0 0 {WIDE} {PLOT}" height="{PLOT}" role="img" '
            f'preserveAspectRatio="none" aria-label="{escape(title)}">'
            f'<path class="grid" d="{grid}"/>{drawn}</svg>'
            f'<svg class="below" height="18" aria-hidden="true">{below}</svg>'
            f'<div class="axis q">{escape(names[0])}</div></figure>')


def legend(names):
    return ('<p class="legend">'
            + "".join(f'<span><i class="l{number}"></i>{escape(name)}</span>'
                      for number, name in names) + "</p>")


def _over(across, value):
    return round(WIDE * across.share(value))


def _down(up, value):
    return round(PLOT * (1 - up.share(value)), 1)


def _point(across, up, x, y):
    return f"{_over(across, x)} {_down(up, y)}"


def _end(across, value):
    share = across.share(value)
    return "first" if share < 0.02 else "last" if share > 0.98 else ""


# ---- the two workloads that are drawn as lines

def percentiles(results, workload):
    titles = results.variants(workload)
    ran = {name for title in titles for name in results.ran(title)}
    # Ours with options, and the second labels, are in the tables.
    names = [name for name in results.contenders if name in ran][:7]
    found = {title: [(number, curves.percentiles(results, title, name))
                     for number, name in enumerate(names) if name in results.ran(title)]
             for title in titles}
    values = [y for series in found.values() for _, points in series for _, y in points if y > 0]
    if not values:
        return ""
    up = log_axis(values)
    across = Axis([(10, ""), *((percent, f"{percent:g}") for percent in (50, 90, 99, 99.9, 99.99))],
                  curves.nines)
    drawn = "".join(
        lines(f"{title.removeprefix(workload.name + '-')} messages a second",
              [(number, points) for number, points in series if points], across, up,
              ("percentile", "µs from the planned send time to delivery"))
        for title, series in found.items())
    return legend(enumerate(names)) + f'<div class="small">{drawn}</div>'


def grid(results, workload):
    table = curves.swept(results, workload)
    sizes = sorted({size for _, size, _ in table})
    counts = sorted({slots for _, _, slots in table})
    if len(sizes) < 2:
        return ""
    across = Axis([(size, curves.size_text(size)) for size in sizes], math.log2)
    parts = []
    for key in curves.SWEPT:
        metric = metrics.METRICS[key]
        up = even_axis(max((max(values[key], default=0) for values in table.values()), default=1))
        for backend in dict.fromkeys(name for name, _, _ in table):
            series = [(number, sorted((size, arithmetic.median(values[key]))
                                      for (name, size, slots), values in table.items()
                                      if (name, slots) == (backend, count) and values[key]))
                      for number, count in enumerate(counts)]
            parts.append(lines(backend, [(number, points) for number, points in series if points],
                               across, up, ("slot size", f"{metric.label}, {metric.unit}")))
    return (legend((number, f"{count} slots") for number, count in enumerate(counts))
            + f'<div class="small">{"".join(parts)}</div>')


def crossover_map(results, _):
    """A table for each rate: sizes of messages across, streams down, and who takes the least."""
    points = crossover.points(results)
    if not points:
        return ""
    won = {point.winner for point in points}
    names = [name for name in results.contenders if name in won]
    sizes = sorted({point.size for point in points})
    drawn = []
    for rate in sorted({point.rate for point in points}, key=lambda rate: rate or math.inf):
        here = {(point.streams, point.size): point for point in points if point.rate == rate}
        rows = "".join(
            f'<tr><td>{streams:,} streams</td>'
            + "".join(_winner(here.get((streams, size)), names) for size in sizes) + "</tr>"
            for streams in sorted({streams for streams, _ in here}))
        head = "".join(f'<th scope="col">{curves.size_text(size)}</th>' for size in sizes)
        title = "flat out" if rate is None else f"{rate:,} messages a second"
        drawn.append(f'<h3>{title}</h3><div class="wide"><table class="map"><thead><tr><th></th>'
                     f"{head}</tr></thead><tbody>{rows}</tbody></table></div>")
    return ("<p>Who takes the least processor time for messages of a size, on so many streams, and "
            "how much of what the next one takes. ≈: too close to say.</p>"
            + legend(enumerate(names)) + "".join(drawn))


def _winner(point, names):
    if point is None:
        return "<td></td>"
    if point.ratio is None or point.ratio.high >= 1:
        return '<td><span class="h n">≈</span></td>'
    return (f'<td><span class="h won l{names.index(point.winner) % 7}" '
            f'title="{escape(point.winner)} ÷ {escape(point.next)}: '
            f'{escape(comparison.ratio_text(point.ratio))}">{point.ratio.median:.2f}</span></td>')


# By the names that a workload's picture has.
PICTURES = {"percentiles": percentiles, "grid": grid, "crossover": crossover_map}
