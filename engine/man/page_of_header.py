# SPDX-License-Identifier: MIT
"""page_of_header.py HEADER: a manual page (3) in scdoc's form, from a part of the public header:
what is declared there, and what its comments say. So the header is the one place where that is."""

import pathlib
import re
import sys

BANNER = re.compile(r"/\* ---- (.*?) -+ \*/$")
FUNCTION = re.compile(r"^LB_PUBLIC [^(]*?\b(lb_\w+)\(", re.M)


def items_of(text):
    """Each declaration at the top, with the comment before it: they stand between empty lines."""
    item, depth, in_comment = [], 0, False
    for line in text.splitlines():
        if not line.strip() and depth == 0 and not in_comment:
            if item:
                yield "\n".join(item)
            item = []
            continue
        item.append(line)
        bare = re.sub(r"/\*.*?\*/", "", line)
        if in_comment:
            in_comment = "*/" not in bare
        else:
            in_comment = "/*" in bare
            code = bare.split("/*")[0]
            depth += code.count("{") - code.count("}")
    if item:
        yield "\n".join(item)


def split(item):
    """The comment that an item begins with, and its code."""
    found = re.match(r"\s*/\*(.*?)\*/\n?", item, re.S)
    if not found:
        return "", item
    lines = [re.sub(r"^ \* ?", "", line).rstrip() for line in found[1].splitlines()]
    return "\n".join(lines).strip(), item[found.end():]


def escape(text):
    return re.sub(r"([\\_*#~\[`])", r"\\\1", text)


def prose(comment):
    """Its paragraphs; what is indented stays as it is."""
    for paragraph in re.split(r"\n\n+", comment):
        if paragraph.startswith("    "):
            yield "```\n" + paragraph + "\n```"
        else:
            words = escape(" ".join(paragraph.split()))
            yield re.sub(r"^([-|.:\]])", r"\\\1", words)


def tidy(code):
    return code.replace("LB_PUBLIC ", "").rstrip()


def page(name, text):
    about = re.search(r"/\* Part of lastbyte\.h: (.*?)\. \*/", text, re.S)[1]
    body = text.split('extern "C" {\n#endif\n', 1)[1].rsplit("#ifdef __cplusplus", 1)[0]
    functions = FUNCTION.findall(body)
    # mandoc(1) and apropos(1) want each name here; a line of NAME has to be one line.
    yield f"lastbyte-{name}(3)\n\n# NAME\n"
    names = ", ".join(escape(word) for word in [f"lastbyte-{name}", *functions])
    yield f"{names} - {escape(' '.join(about.split()))}\n"
    yield f"# SYNOPSIS\n\n```\n#include <lastbyte/lastbyte.h>\n```\n\n# DESCRIPTION\n"
    yield "Where a function may be called from stands in brackets; see _lastbyte_(3).\n"
    for item in items_of(body):
        banner = BANNER.match(item.splitlines()[0])
        if banner:
            yield f"## {escape(banner[1].upper())}\n"
            item = "\n".join(item.splitlines()[1:])
        comment, code = split(item)
        if re.match(r"(struct|union) \w+;", code) and "LB_PUBLIC" not in code:
            code = ""
        if code.strip():
            yield f"```\n{tidy(code)}\n```\n"
        for paragraph in prose(comment) if comment else ():
            yield paragraph + "\n"
    yield "# SEE ALSO\n\n_lastbyte_(3)\n"


if __name__ == "__main__":
    HEADER = pathlib.Path(sys.argv[1])
    print("\n".join(page(HEADER.stem, HEADER.read_text())))
