# SPDX-License-Identifier: MIT
"""The pictures of a result, as SVG, drawn by matplotlib. Every sample is a dot: no picture shows
less than what was measured."""

import pathlib

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot  # noqa: E402 (the backend has to be chosen first)

from harness import (arithmetic, comparison, crossover, curves, kinds, metrics,  # noqa: E402
                     workloads)

# Okabe and Ito's colours, which colour-blind readers can tell apart.
LINES = ("#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")

STYLE = {
    "svg.fonttype": "none",     # text stays text
    "svg.hashsalt": "lastbyte",  # the same result gives the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


def draw(results, directory):
    """Draws what there is data for. Returns {name: file name}."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    made = {}
    with pyplot.rc_context(STYLE):
        for title in results.workloads():
            if workloads.of(title).picture or len(comparable(results, title)) < 2:
                continue
            made[title] = _save(bars(results, title), directory / f"{title}.svg")
    return {**made, **_draw_pictured(results, directory, workloads.PICTURED)}


def draw_questions(results, directory):
    """Of a result that stands beside another: only what that has not."""
    return _draw_pictured(results, pathlib.Path(directory), (workloads.MAP,))


def _draw_pictured(results, directory, pictured):
    made = {}
    with pyplot.rc_context(STYLE):
        for workload in pictured:
            there = results.variants if workload.compared else results.samples_of
            if there(workload):
                picture = PICTURES[workload.picture.kind](results, workload)
                made[workload.name] = _save(picture, directory / f"{workload.name}.svg")
    return made


def comparable(results, title):
    """Those that are drawn beside each other: the factorial's have a table of their own."""
    return [name for name in results.ran(title) if results.kind(name) != kinds.CELL]


def _save(figure, path):
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return path.name


# ---- throughput and cost of each contender

def bars(results, workload):
    keys = results.figures(workload).judged
    cost = results.figures(workload).cost
    names = sorted((name for name in comparable(results, workload)
                    if results.median(workload, name, cost) is not None),
                   key=lambda name: -results.median(workload, name, cost))
    figure, axes = pyplot.subplots(1, len(keys), sharey=True, squeeze=False,
                                   figsize=(1.6 + 2.8 * len(keys), 0.9 + 0.25 * len(names)))
    for axis, key in zip(axes[0], keys):
        _bars_of(axis, results, workload, key, names)
    shown = {results.kind(name) for name in names}
    legend = ", ".join(kind.legend for kind in kinds.ALL if kind in shown)
    figure.suptitle(f"{workload}: median, and every sample\n{legend}", fontsize=9)
    return figure


def _bars_of(axis, results, workload, key, names):
    metric = metrics.METRICS[key]
    values = {name: [value * metric.scale
                     for value in results.series(workload, name, key).values()]
              for name in names}
    end = curves.axis_end(values.values(), metric.lower_is_better)
    for row, name in enumerate(names):
        if values[name]:
            _bar(axis, row, values[name], end, metric, results.kind(name))
    axis.set_yticks(range(len(names)), [comparison.name_of(results, name) for name in names])
    direction = "less" if metric.lower_is_better else "more"
    axis.set_xlabel(f"{metric.label}, {metric.unit}\n({direction} is better)")
    axis.set_xlim(0, end * 1.18)
    axis.set_ylim(-0.6, len(names) - 0.4)


def _bar(axis, row, values, end, metric, kind):
    middle = arithmetic.median(values)
    cut = middle > end
    axis.barh(row, 1.2 * end if cut else middle, height=0.7, color=kind.colour,
              hatch="///" if kind.hatched else None,
              edgecolor="#888888" if kind.hatched else "none", linewidth=0.5)
    axis.plot(values, [row] * len(values), "|", color="#000000", alpha=0.45, markersize=5,
              markeredgewidth=0.7)
    text = f"{middle:,.{metric.digits}f}"
    if cut:
        axis.annotate(f"{text} ▸", (end * 1.17, row), va="center", ha="right", fontsize=7.5,
                      color="#FFFFFF" if kind.dark else "#000000")
    else:
        axis.annotate(text, (min(max(values), end), row), xytext=(4, 0),
                      textcoords="offset points", va="center", fontsize=7.5)


# ---- percentiles

def percentiles(results, workload):
    titles = results.variants(workload)
    figure, axes = pyplot.subplots(1, len(titles), sharey=True, squeeze=False,
                                   figsize=(3.4 * len(titles) + 0.6, 3.6))
    ran = {name for title in titles for name in results.ran(title)}
    names = [name for name in results.contenders if name in ran]
    colours = {name: LINES[index % len(LINES)] for index, name in enumerate(names)}
    for axis, title in zip(axes[0], titles):
        for name in names:
            points = curves.percentiles(results, title, name)
            if points:
                axis.plot([curves.nines(percent) for percent, _ in points],
                          [value for _, value in points], marker=".", markersize=3,
                          linewidth=1.2, color=colours[name], label=name)
        ticks = (50, 90, 99, 99.9, 99.99)
        axis.set_xticks([curves.nines(percent) for percent in ticks],
                        [f"{tick:g}" for tick in ticks])
        axis.set_yscale("log")
        rate = title.removeprefix(f"{workload.name}-")
        axis.set_title(f"{rate} messages/s", fontsize=9)
        axis.set_xlabel("percentile")
        axis.grid(alpha=0.25, which="both", linewidth=0.4)
    axes[0][0].set_ylabel("from the planned send time to delivery, µs")
    axes[0][-1].legend(fontsize=7.5, frameon=False)
    figure.suptitle(f"{workload.name}: of all messages of all samples")
    return figure


# ---- the grid

def grid(results, workload):
    table = curves.swept(results, workload)
    swept_ones = {backend for backend, _, _ in table}
    backends = [name for name in results.contenders if name in swept_ones]
    keys = curves.SWEPT
    figure, axes = pyplot.subplots(len(keys), len(backends), sharex=True, sharey="row",
                                   squeeze=False, figsize=(3.1 * len(backends) + 0.8, 5.2))
    counts = sorted({slots for _, _, slots in table})
    for row, key in enumerate(keys):
        for column, backend in enumerate(backends):
            axis = axes[row][column]
            for index, slots in enumerate(counts):
                points = sorted((size, arithmetic.median(values[key]))
                                for (name, size, count), values in table.items()
                                if (name, count) == (backend, slots) and values[key])
                axis.plot([size for size, _ in points], [value for _, value in points],
                          marker=".", linewidth=1.2, color=LINES[index % len(LINES)],
                          label=f"{slots} slots")
            axis.set_xscale("log", base=2)
            axis.grid(alpha=0.25, linewidth=0.4)
            if row == 0:
                axis.set_title(backend, fontsize=9)
            else:
                axis.set_xlabel("slot size")
                sizes = sorted({size for _, size, _ in table})
                axis.set_xticks(sizes, [curves.size_text(size) for size in sizes], rotation=60,
                                fontsize=7)
                axis.minorticks_off()
        metric = metrics.METRICS[key]
        axes[row][0].set_ylabel(f"{metric.label}, {metric.unit}")
        highest = max(max(values[key], default=0) for values in table.values())
        axes[row][0].set_ylim(0, 1.05 * highest or 1)
    axes[0][-1].legend(fontsize=7.5, frameon=False)
    figure.suptitle("bulk over slot sizes and numbers of slots")
    return figure


# ---- the map

WINNERS = {"uring": "#0072B2", "epoll": "#E69F00", "plain-epoll": "#999999"}
FULL_COLOUR = 0.5  # the winner takes half of what the next one does, or less


def crossover_map(results, workload):
    """A square for each point; the colour is the winner's, the deeper the more it wins by."""
    points = crossover.points(results)
    rates = sorted({point.rate for point in points}, key=lambda rate: (rate is None, rate))
    streams = sorted({point.streams for point in points})
    sizes = sorted({point.size for point in points})
    figure, axes = pyplot.subplots(
        1, len(rates), sharey=True, squeeze=False,
        figsize=(1.0 + 1.35 * len(streams) * len(rates), 1.5 + len(sizes)))
    for axis, rate in zip(axes[0], rates):
        for point in points:
            if point.rate == rate:
                _square(axis, streams.index(point.streams), sizes.index(point.size), point)
        axis.set_xticks(range(len(streams)), [f"{count:,}" for count in streams])
        axis.set_yticks(range(len(sizes)), [curves.size_text(size) for size in sizes])
        axis.set_xlim(-0.5, len(streams) - 0.5)
        axis.set_ylim(-0.5, len(sizes) - 0.5)
        axis.set_title("flat out" if rate is None else f"{rate:,} messages/s", fontsize=9)
        axis.set_xlabel("streams")
    axes[0][0].set_ylabel("bytes in a message")
    figure.suptitle(f"{workload.name}: who takes the least processor time, and how much of what "
                    "the next one takes\n(≈: the interval holds 1; last line: its throughput by "
                    "the next one's, flat out)", fontsize=9)
    return figure


def _square(axis, x, y, point):
    depth = min(1.0, (1 - point.ratio.median) / (1 - FULL_COLOUR))
    sure = point.ratio.high < 1
    axis.add_patch(pyplot.Rectangle((x - 0.5, y - 0.5), 1, 1, edgecolor="#FFFFFF", linewidth=1,
                                    facecolor=WINNERS.get(point.winner, "#CC79A7"),
                                    alpha=0.15 + 0.7 * max(0.0, depth) if sure else 0.06))
    lines = [f"{point.winner}{'' if sure else ' ≈'}",
             f"{point.ratio.median:.2f} of {point.next}"]
    if point.rate is None:
        lines.append(f"×{point.throughput.median:.2f}")
    axis.text(x, y, "\n".join(lines), ha="center", va="center", fontsize=6.5)


# The pictures that show all variants of a workload, as a workload names them.
PICTURES = {"percentiles": percentiles, "grid": grid, "crossover": crossover_map}
