# SPDX-License-Identifier: MIT
"""Flame graphs inside the HTML page, out of those that bench/profile drew: boxes whose places are
shares of the width, so that they fit a phone, in colours of the page."""

import pathlib
import re
from html import escape
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
ROW = 18      # pixels
LEAST = 0.15  # per cent of the width: what is narrower is not drawn
TOWER = 1.0   # per cent: what stands higher than all boxes of that width is not drawn either


class Flame:
    """One graph: its title, the first line of its report, where the time goes, and its boxes."""

    def __init__(self, path):
        root = ElementTree.parse(path).getroot()
        texts = [text.text or "" for text in root.findall(f"{SVG}text")]
        self.title = texts[0]
        self.boxes = []
        for group in root.iter(f"{SVG}g"):
            fill = group.find(f"{SVG}rect").get("fill")
            self.boxes.append((float(group.get("data-x")), float(group.get("data-w")),
                               int(group.get("data-d")), group.get("data-n"),
                               group.get("data-t"), int(re.match(r"hsl\((\d+)", fill)[1]) < 60))
        self.wide = max(width for _, width, *_ in self.boxes)
        report = pathlib.Path(path).with_suffix(".txt")
        self.told, self.areas = _report(report.read_text()) if report.exists() else ("", [])


def _report(text):
    """The report's first line, and [(area, share in per cent)] of where the time goes."""
    areas = re.search(r"^Where the time goes.*\n((?:  .*\n)+)", text, re.MULTILINE)
    found = re.findall(r"^ +[0-9.]+ +([0-9.]+)%  (.+)$", areas[1] if areas else "", re.MULTILINE)
    return text.partition("\n")[0], [(name, float(share)) for share, name in found]


def beside(result):
    """All that bench/profile left in the folder of a result file."""
    return [Flame(path) for path in sorted(pathlib.Path(result).parent.glob("profile-*.svg"))]


def parts(flames):
    return "".join(_part(flame) for flame in flames)


def _part(flame):
    about = f'<p class="q">{escape(flame.told)}</p>' if flame.told else ""
    return (f'<article class="flame"><h3>{escape(flame.title)}</h3>{about}{_areas(flame.areas)}'
            f'{_graph(flame)}<p class="told" aria-live="polite">&nbsp;</p></article>')


def _areas(areas):
    """One bar, as long as all of the time."""
    if not areas:
        return ""
    at, boxes = 0.0, []
    for number, (name, share) in enumerate(areas):
        boxes.append(f'<svg x="{at:.1f}%" width="{share:.1f}%" height="26">'
                     f'<title>{escape(name)}: {share:.1f} %</title>'
                     f'<rect class="a{min(number, 7)}" width="100%" height="26"/>'
                     f'<text class="a{min(number, 7)}" x="7" y="17">'
                     f'{escape(name)} {share:.0f} %</text></svg>')
        at += share
    told = ", ".join(f"{name} {share:.0f} %" for name, share in areas)
    return (f'<svg class="areas" height="26" role="img" aria-label="{escape(told)}">'
            f'{"".join(boxes)}</svg>')


def _graph(flame):
    boxes = [(100 * x / flame.wide, 100 * width / flame.wide, *rest)
             for x, width, *rest in flame.boxes]
    top = max(depth for _, width, depth, *_ in boxes if width >= TOWER)
    boxes = [box for box in boxes if box[1] >= LEAST and box[2] <= top]
    drawn = "".join(_box(*box, top) for box in boxes)
    height = (top + 1) * ROW
    return (f'<svg class="graph" height="{height}" role="img" '
            f'aria-label="flame graph: {escape(flame.title)}">{drawn}</svg>')


def _box(x, width, depth, name, told, kernel, top):
    """The same function has the same shade in every graph."""
    shade = sum(name.encode()) % 4
    return (f'<svg x="{x:.3f}%" width="{width:.3f}%" y="{(top - depth) * ROW}" height="{ROW - 1}">'
            f'<title>{escape(told)}</title>'
            f'<rect class="{"k" if kernel else "u"}{shade}" width="100%" height="100%"/>'
            + (f'<text x="4" y="12">{escape(name)}</text>' if width > 1 else "") + "</svg>")
