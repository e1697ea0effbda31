# SPDX-License-Identifier: MIT
"""A flame graph: one SVG file that a browser opens, without anything from elsewhere.

Width is the share of samples, height the depth of the stack. A click makes a frame as wide as the
picture, another on the lowest box goes back; the box under the pointer is told in the last line.
"""

import zlib
from xml.sax.saxutils import escape, quoteattr

WIDTH = 1200
ROW = 17
MARGIN = 10
HEAD = 46
FOOT = 30
LEAST = 0.4  # narrower boxes, in pixels, are not drawn

SCRIPT = """
const boxes = [...document.querySelectorAll("g.f")].map(g => {
    const [rect, text] = [g.querySelector("rect"), g.querySelector("text")];
    const n = name => parseFloat(g.dataset[name]);
    return {g, rect, text, x: n("x"), w: n("w"), depth: n("d"), name: g.dataset.n};
});
const told = document.getElementById("told");
function zoom(to) {
    const scale = WIDE / to.w;
    for (const box of boxes) {
        const above = box.x >= to.x - 1e-6 && box.x + box.w <= to.x + to.w + 1e-6;
        const below = box.depth < to.depth && box.x <= to.x + 1e-6 &&
            box.x + box.w >= to.x + to.w - 1e-6;
        const shown = below || (above && box.depth >= to.depth);
        box.g.style.display = shown ? "" : "none";
        if (!shown) continue;
        const x = below ? LEFT : LEFT + (box.x - to.x) * scale;
        const w = below ? WIDE : box.w * scale;
        box.rect.setAttribute("x", x);
        box.rect.setAttribute("width", Math.max(w - 0.5, 0.1));
        box.text.setAttribute("x", x + 3);
        const room = Math.floor((w - 6) / 6.6);
        box.text.textContent = room < 3 ? "" :
            box.name.length <= room ? box.name : box.name.slice(0, room - 1) + "\\u2026";
    }
}
for (const box of boxes) {
    box.g.addEventListener("click", () => zoom(box));
    box.g.addEventListener("mouseover", () => told.textContent = box.g.dataset.t);
}
"""


class Node:
    def __init__(self, name, kernel):
        self.name = name
        self.kernel = kernel
        self.count = 0
        self.children = {}

    def add(self, frames, count):
        self.count += count
        node = self
        for frame in frames:
            child = node.children.get(frame)
            if child is None:
                child = node.children[frame] = Node(frame.name, frame.kernel)
            child.count += count
            node = child

    def depth(self):
        deepest, level = 0, [self]
        while level:
            level = [child for node in level for child in node.children.values()]
            deepest += bool(level)
        return deepest


def tree(folded):
    """A tree of Nodes out of {frames: count}."""
    root = Node("all", False)
    for frames, count in folded.items():
        root.add(frames, count)
    return root


def svg(folded, title):
    """The flame graph of {frames: count} as the text of an SVG file."""
    root = tree(folded)
    if not root.count:
        raise ValueError("no samples")
    height = HEAD + (root.depth() + 1) * ROW + FOOT
    wide = WIDTH - 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">',
        "<style>g.f{cursor:pointer} g.f:hover rect{stroke:#000;stroke-width:1}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fffdf7"/>',
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-size="15">{escape(title)}</text>',
        f'<text x="{WIDTH / 2}" y="36" text-anchor="middle" fill="#666">{root.count} samples; '
        f'red: kernel, green: user space; click to zoom</text>',
        f'<text id="told" x="{MARGIN}" y="{height - 10}"> </text>',
    ]
    _draw(out, root, height - FOOT - ROW, wide)
    script = SCRIPT.replace("WIDE", str(wide)).replace("LEFT", str(MARGIN))
    out.append(f"<script><![CDATA[{script}]]></script></svg>")
    return "\n".join(out) + "\n"


def _draw(out, root, bottom, wide):
    scale = wide / root.count
    pending = [(root, 0, 0)]
    while pending:
        node, start, depth = pending.pop()
        width = node.count * scale
        if width < LEAST:
            continue
        out.append(_box(node, start * scale, width, depth, bottom, node.count / root.count))
        for key in sorted(node.children):
            child = node.children[key]
            pending.append((child, start, depth + 1))
            start += child.count


def _box(node, x, width, depth, bottom, share):
    told = f"{node.name}: {node.count} samples, {share:.1%}"
    room = int((width - 6) / 6.6)
    label = node.name if len(node.name) <= room else node.name[:room - 1] + "…"
    y = bottom - depth * ROW
    return (
        f'<g class="f" data-x="{x:.3f}" data-w="{width:.3f}" data-d="{depth}" '
        f'data-n={quoteattr(node.name)} data-t={quoteattr(told)}><title>{escape(told)}</title>'
        f'<rect x="{x + MARGIN:.2f}" y="{y}" width="{max(width - 0.5, 0.1):.2f}" '
        f'height="{ROW - 1}" rx="1" fill="{_colour(node)}"/>'
        f'<text x="{x + MARGIN + 3:.2f}" y="{y + 12}">{escape(label) if room >= 3 else ""}</text>'
        f"</g>")


def _colour(node):
    """The same function has the same shade in every graph."""
    shade = zlib.crc32(node.name.encode()) % 100
    hue = (4 + shade * 0.36) if node.kernel else (95 + shade * 0.4)
    return f"hsl({hue:.0f},{60 + shade % 25}%,{62 + shade % 13}%)"
