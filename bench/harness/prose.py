# SPDX-License-Identifier: MIT
"""The little of Markdown that notes of a result use, as HTML: paragraphs, headings, lists,
tables, bold, code. Of a link the text stays: where it leads is not in the page."""

import re
from html import escape


def html(text):
    return "".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block.strip())


def _block(block):
    if heading := re.fullmatch(r"#+ (.*)", block):
        return f"<h3>{_inline(heading[1])}</h3>"
    if block.lstrip().startswith("- "):
        items = re.split(r"(?m)^- ", block)[1:]
        return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
    if block.lstrip().startswith("|"):
        return _table([line.strip().strip("|").split("|") for line in block.strip().splitlines()])
    return f"<p>{_inline(block)}</p>"


def _table(rows):
    head, body = rows[0], rows[2:]  # the second one is dashes
    return ('<div class="wide"><table><thead><tr>'
            + "".join(f"<th>{_inline(cell)}</th>" for cell in head) + "</tr></thead><tbody>"
            + "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
                      for row in body) + "</tbody></table></div>")


def _inline(text):
    text = escape(" ".join(text.split()), quote=False)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
