# SPDX-License-Identifier: MIT
"""One self-contained HTML page out of a result: losses first, then who wins by how much, targets,
every workload, flame graphs, stamp. It asks no host for anything, and is read without scripts."""

import math
import pathlib
from html import escape

from harness import (arithmetic, auto, beside, choice, comparison, factorial, floors, html_flames,
                     html_plots, kinds, latencies, lines, metrics, page, prose, targets, workloads)

PARTS = pathlib.Path(__file__).resolve().parent / "page_parts"
# Nothing from elsewhere, whatever the text says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

# What is compared over all workloads: a name, and the figure that each has for it.
OVERVIEWS = (
    ("receiver’s processor time", ("receiver_cpu_s_per_gib", "receiver_cpu_us_per_stream",
                                   "receiver_cpu_fraction", "rss_bytes_per_stream")),
    ("whole system’s processor time", ("system_cpu_s_per_gib", "system_cpu_us_per_stream")),
    ("speed: throughput, or p99 of latency", ("gib_per_s", "streams_per_s", "p99_us")),
)
STEPS = (0.1, 0.35, 0.8)  # of a ratio's logarithm: how strong its colour is
LAST = 1e308               # sorts behind all figures


def html(results, name, notes="", flames=(), more=()):
    """more: other Results, of other paths and questions."""
    everything = [results, *more]
    parts = [
        ("losses", "Where we lose", _losses(results)),
        ("overview", "Who wins, by how much", _overview(results)),
        ("targets", "Targets", _targets(results)),
        *((f"targets-{number}", f"Targets, {beside.title(other)}", _targets(other))
          for number, other in enumerate(more)
          if other.question not in (lines.QUESTION, choice.QUESTION)),
        _from_page("floor", floors.part(results)),
        *(_from_page(f"factorial-{number}", factorial.part(other))
          for number, other in enumerate(everything)),
        _from_page("auto", auto.part(everything)),
        *(_from_page(f"runtimes-{number}", choice.part(other))
          for number, other in enumerate(everything)),
        _from_page("lines", lines.part(everything)),
        _from_page("paths", beside.part(everything)),
        _from_page("latencies", latencies.part(results, "")),
        ("notes", "What explains it", prose.html(notes) if notes.strip() else ""),
        *((html_plots.slug(title), title, _workload(results, title))
          for title in results.workloads() if not page.is_factorial(results, title)),
        *_pictures(everything),
        ("flames", "Where the time goes", _flames(flames)),
        ("left-out", "Left out", _left_out(results)),
        ("stamp", "The machine, the build, the settings", _stamp(results)),
        ("hosts", "The two hosts", _hosts(results)),
    ]
    parts = [part for part in parts if part[2]]
    sections = "".join(f'<section id="{anchor}"><h2>{escape(title)}</h2>{body}</section>'
                       for anchor, title, body in parts)
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in parts)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>lastbyte: {escape(name)}</title>"
            f'<style>{(PARTS / "style.css").read_text()}</style></head><body>'
            f"{_head(results, name)}<nav aria-label=\"Parts\">{links}</nav>"
            f"<main>{sections}</main>{_foot(name)}"
            f'<script>{(PARTS / "script.js").read_text()}</script></body></html>\n')


def _from_page(anchor, text):
    """A part of RESULTS.md."""
    heading, _, body = text.partition("\n")
    return anchor, heading.lstrip("# "), prose.html(body) if text else ""


def _head(results, name):
    stamp, settings = results.stamp, results.document["settings"]
    machine, commit = stamp["machine"], stamp["commit"]
    facts = (
        ("machine", f"{machine['cpu']}, {machine['cores']} cores"),
        ("system", f"Linux {machine['kernel']}, {machine['distribution']}"),
        ("path", settings.get("path", "loopback")),
        ("rounds", f"{settings['rounds']}" + (", a quick look" if settings.get("quick") else "")),
        ("date", stamp["started"][:10]),
        ("commit", commit["name"][:12] + (", with local changes" if commit.get("dirty") else "")),
    )
    listed = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(fact)}</dd></div>"
                     for term, fact in facts)
    return (f'<header><p class="brow">lastbyte · benchmark results</p>'
            f"<h1>What does it cost to receive?</h1>"
            f"<p class=\"lede\">The same bytes from the same sender, to everybody, in pairs. "
            f"<i class=\"k ours\"></i><b>Ours</b> is <code>{escape(results.auto)}</code>, what "
            f"lastbyte takes here by itself, with default options. Ratios are ours ÷ theirs, "
            f"medians over the pairs of a round, with 95 % intervals; what the same contender "
            f"against itself shows as noise counts neither as a win nor as a loss (≈).</p>"
            f"{_legend(results)}<dl>{listed}</dl></header>")


def _legend(results):
    """The kinds of contenders that there are."""
    there = {results.kind(name) for title in results.workloads() for name in results.ran(title)}
    return ('<p class="legend">'
            + "".join(f'<span><i class="k {html_plots.slug(kind.name)}"></i>'
                      f'{escape(kind.legend.rpartition(": ")[2])}</span>'
                      for kind in kinds.ALL if kind in there and kind.legend) + "</p>")


def _foot(name):
    return (f"<footer><p>Made by <code>bench/report --html</code> from {escape(name)}.json, which "
            "holds every sample. bench/README.md tells workloads and method, bench/REFUTE.md how "
            "to prove us wrong.</p></footer>")


# ---- tables

def _table(heads, rows, label, sortable=True):
    """heads: texts; rows: [(class, [cell])], a cell being (html, value to sort by or None)."""
    head = "".join('<th scope="col">' + (f'<button type="button">{escape(text)}</button>'
                                         if sortable and text else escape(text)) + "</th>"
                   for text in heads)
    body = "".join(
        f'<tr class="{kind}">' + "".join(_cell(*cell) for cell in cells) + "</tr>"
        for kind, cells in rows)
    return (f'<div class="wide" role="region" aria-label="{escape(label)}" tabindex="0">'
            f'<table{" class=sortable" if sortable else ""}><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")


def _cell(html_text, value=None):
    if value is None:
        return f"<td>{html_text}</td>"
    return f'<td class="num" data-v="{value:.6g}">{html_text}</td>'


def _name(results, contender):
    kind = html_plots.slug(results.kind(contender).name)
    return f'<i class="k {kind}"></i>{escape(comparison.name_of(results, contender))}', None


# ---- losses

def _losses(results):
    found = comparison.losses(results)
    if not found:
        return ('<p class="big">Nowhere in this run beyond noise, on the figures that each '
                f"workload is judged by.</p>{_noise(results)}")
    widest = 2 ** math.ceil(max(abs(math.log2(finding.ratio.median)) for finding in found))
    rows = [("", [(f'<a href="#{html_plots.slug(finding.workload)}">{escape(finding.workload)}</a>',
                   None),
                  (escape(page.figure(finding.metric)), None), _name(results, finding.other),
                  (_ratio(finding.ratio), finding.ratio.median),
                  (html_plots.interval(finding.ratio, finding.verdict, widest),
                   finding.ratio.median)])
            for finding in found]
    return ('<p>Every figure by which a contender is ahead of ours beyond the noise of this run, '
            "farthest from even first.</p>"
            + prose.html(page.dropped(results))
            + _table(("workload", "figure", "against", "ours ÷ theirs",
                      f"1/{widest} … 1 … {widest}"), rows, "losses") + _noise(results))


def _ratio(ratio):
    """The interval is left out where there is little room."""
    middle, _, interval = comparison.ratio_text(ratio).partition(" ")
    return f'{middle} <span class="ci">{escape(interval)}</span>'


def _noise(results):
    found = comparison.of_verdict(comparison.findings(results), arithmetic.NOISE)
    groups = {}
    for finding in found:
        groups.setdefault((finding.workload, finding.metric), []).append(finding.other)
    if not groups:
        return ""
    items = "".join(f"<li><b>{escape(workload)}</b>, {escape(page.figure(key))}: "
                    f"{escape(', '.join(others))}</li>"
                    for (workload, key), others in groups.items())
    return ("<details><summary>Where it makes no difference that this run could show"
            f"</summary><ul>{items}</ul></details>")


# ---- who wins, by how much

def _overview(results):
    titles = [title for title in results.workloads() if not page.is_factorial(results, title)]
    others = [name for name in results.contenders if results.kind(name).rival]
    # Who is in most of them says most.
    others.sort(key=lambda name: -sum(name in results.ran(title) for title in titles))
    if results.auto not in {name for title in titles for name in results.ran(title)} or not others:
        return ""
    tabs, panels = [], []
    for number, (label, keys) in enumerate(OVERVIEWS):
        tabs.append((f"o{number}", label))
        panels.append(_map(results, titles, others, keys, label))
    return ('<p>A column is a workload, a row somebody else, a number ours ÷ theirs. '
            '<span class="h b2">blue</span> is ours ahead, <span class="h w2">orange</span> '
            'theirs, <span class="h n">grey</span> noise.</p>' + _tabs("overview", tabs, panels))


def _map(results, titles, others, keys, label):
    figures = [(title, key) for title in titles
               for key in [next((key for key in keys if key in results.figures(title).shown), None)]
               if key]
    rows = []
    for other in others:
        cells = [_heat(results, title, other, key) for title, key in figures]
        if any(value is not None for _, value in cells):
            rows.append(("", [_name(results, other), *(cell for cell in cells)]))
    return _table(("", *(title for title, _ in figures)), rows, label).replace(
        "<table class=sortable>", '<table class="sortable map">')


def _heat(results, title, other, key):
    if other not in results.ran(title):
        return "", None
    ratio, verdict = results.verdict(title, results.auto, other, key)
    if ratio is None:
        return "", None
    strength = 1 + sum(abs(math.log(ratio.median)) > step for step in STEPS)
    kind = {arithmetic.BETTER: f"b{strength}", arithmetic.WORSE: f"w{strength}"}.get(verdict, "n")
    return (f'<span class="h {kind}" title="{escape(title)}, {escape(other)}: '
            f'{escape(comparison.ratio_text(ratio))}">{ratio.median:.2f}</span>', ratio.median)


def _tabs(name, tabs, panels):
    """Panels of which one is seen, without a script."""
    heads = "".join(
        f'<input type="radio" name="{name}-tab" id="{name}-{anchor}"'
        f'{" checked" if number == 0 else ""}><label for="{name}-{anchor}">{escape(label)}</label>'
        for number, (anchor, label) in enumerate(tabs))
    return (f'<div class="tabs">{heads}'
            + "".join(f'<div class="panel">{panel}</div>' for panel in panels) + "</div>")


# ---- targets

def _targets(results):
    rows = []
    evaluated = targets.evaluate(results)
    if all(verdict == targets.NO_DATA for *_, verdict in evaluated):
        return ""
    known = [row for row in evaluated if row[-1] != targets.NO_DATA]
    for *cells, verdict in known:
        verdict = verdict.strip("*")
        kind = ("bad" if "not met" in verdict else "good" if verdict == "met" else "open")
        rows.append((kind, [*((escape(cell), None) for cell in cells),
                            (f'<span class="pill {kind}">{escape(verdict)}</span>', None)]))
    missing = len(evaluated) - len(known)
    heads = ("workload", "figure", "target", "measured", "pairs", "verdict")
    return (_table(heads, rows, "targets")
            + (f'<p class="q">{missing} more have no data in this run.</p>' if missing else ""))


# ---- workload by workload

def _workload(results, title):
    figures = results.figures(title)
    keys = [key for key in dict.fromkeys((figures.cost, *figures.judged))
            if html_plots.bars(results, title, key)]
    tabs = [(html_plots.slug(key), metrics.METRICS[key].label) for key in keys]
    panels = [f"<figure>{html_plots.bars(results, title, key)}</figure>" for key in keys]
    heads, rows = _rows(results, title)
    return ('<div class="bench">' + _tabs(html_plots.slug(title), tabs, panels) + "</div>"
            f"<details><summary>All figures of {escape(title)}</summary>"
            f"{_table(heads, rows, title)}</details>")


def _rows(results, title):
    keys, heads = comparison.headings(results, title)
    cost = results.figures(title).cost
    rows = []
    for contender, _ in comparison.rows(results, title):
        ratio = results.ratio(title, results.auto, contender, cost)
        cells = [_name(results, contender)]
        for key in keys:
            value = results.median(title, contender, key)
            cells.append((metrics.written(key, value),
                          value if value is not None else LAST))
        cells.append((escape(comparison.against(results, title, contender, cost)),
                      ratio.median if ratio and contender != results.auto else 1.0))
        rows.append(("auto" if contender == results.auto else "", cells))
    return heads, rows


def _pictures(everything):
    """Of each workload that has one, by the first result that has samples of it."""
    for workload in workloads.PICTURED:
        draw = html_plots.PICTURES.get(workload.picture.kind)
        results = next((one for one in everything if one.samples_of(workload)), None)
        if draw and results:
            caption = workload.picture.caption
            yield (f"picture-{html_plots.slug(workload.name)}", caption[0].upper() + caption[1:],
                   draw(results, workload))


# ---- the rest

def _flames(flames):
    if not flames:
        return ""
    return ('<p>Profiles of the receiver alone. Width is time: '
            '<span class="h k1">kernel</span> <span class="h u1">user space</span>. '
            "A click on a box makes it as wide as the picture, one on the lowest goes back.</p>"
            + html_flames.parts(flames))


def _left_out(results):
    document = results.document
    items = [f"<li><b>failed</b>: {escape(entry['contender'])} in {escape(entry['workload'])}: "
             f"{escape(entry['why'])}</li>" for entry in document["failed"]]
    items += [f"<li>skipped: {escape(entry['contender'])}: {escape(entry['why'])}</li>"
              for entry in document["skipped"]]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _stamp(results):
    rows = "".join(f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(text).replace('`', ''))}</dd>"
                   "</div>" for name, text in page.stamp_rows(results))
    return f"<dl class=\"stamp\">{rows}</dl>"


def _hosts(results):
    """Of a run between two: what each is, and the interface between them."""
    hosts = results.document.get("hosts", {})
    return "".join(
        f"<h3>{side}</h3><dl class=\"stamp\">" + "".join(
            f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(text)}</dd></div>"
            for name, text in _flat(hosts[side])) + "</dl>"
        for side in ("receiver", "sender") if side in hosts)


def _flat(facts):
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {text}" for key, text in _flat(value))
        yield name, str(value) or "none"
