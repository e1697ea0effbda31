# SPDX-License-Identifier: MIT
"""Panes as an SVG: all that was on their screens, each row at its time. Whoever draws no animation
shows the end."""

from xml.sax.saxutils import escape

FONT, LINE, WIDTH, MARGIN, TITLE = 13, 18, 8, 14, 28
STYLE = """
text { font: %dpx ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', monospace;
       fill: #c9d1d9; white-space: pre }
.typed { fill: #ffffff; font-weight: 600 } .prompt, .green { fill: #3fb950 }
.title { fill: #8b949e; text-anchor: middle }
@keyframes come { from { visibility: hidden } }
@keyframes stay { from, to { visibility: visible } }
.last { animation: come 1ms step-end backwards } .past { visibility: hidden; animation: stay }
@media (prefers-reduced-motion: reduce) { .last, .past { animation: none } }
""" % FONT


def runs(cells):
    """(class, text) for neighbours of one look. What follows a prompt was typed."""
    text = "".join(character for character, _ in cells)
    if text.startswith("$ "):
        return [("prompt", "$"), ("typed", text[1:])]
    found = []
    for character, colour in cells:
        if found and found[-1][0] == colour:
            found[-1] = (colour, found[-1][1] + character)
        else:
            found.append((colour, character))
    return found


def row(cells, top, life):
    if not "".join(character for character, _ in cells).strip():
        return ""
    spans = "".join(f'<tspan class="{look}">{escape(text)}</tspan>' if look else escape(text)
                    for look, text in runs(cells))
    return f'<text x="{MARGIN}" y="{top}" {life} xml:space="preserve">{spans}</text>\n'


def pane_rows(pane, top):
    """Each state of each row; the last one stays."""
    drawn = []
    for index in range(len(pane.shown)):
        states = [(when, cells) for when, at, cells in pane.changes if at == index]
        for place, (when, cells) in enumerate(states):
            if place + 1 < len(states):
                seconds = states[place + 1][0] - when
                life = (f'class="past" style="animation-duration:{seconds:.3f}s;'
                        f'animation-delay:{when:.3f}s"')
            else:
                life = f'class="last" style="animation-delay:{when:.3f}s"'
            drawn.append(row(cells, top + index * LINE, life))
    return "".join(drawn)


def picture(panes, columns, label):
    width = columns * WIDTH + 2 * MARGIN
    body, top = "", 0
    for pane in panes:
        height = TITLE + len(pane.shown) * LINE + MARGIN
        body += (f'<rect x="0.5" y="{top + 0.5}" width="{width - 1}" height="{height}" rx="8" '
                 'fill="#0d1117" stroke="#30363d"/>\n'
                 f'<text class="title" x="{width // 2}" y="{top + 20}">'
                 f"{escape(pane.title)}</text>\n" + pane_rows(pane, top + TITLE + LINE))
        top += height + MARGIN
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" '
            f'viewBox="0 0 {width} {top}" role="img" aria-label="{escape(label)}">\n'
            f"<style>{STYLE}</style>\n{body}</svg>\n")
