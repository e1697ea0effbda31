# SPDX-License-Identifier: MIT
"""One line each: what else the kernel has that might make receiving cheaper, or that costs memory.

Each is a contender that does one thing otherwise, in pairs with the one that doesn't, in a workload
and on a path that suit it. Besides: SO_RCVBUF over numbers of streams, and what the kernel holds
for a stream that is only there.
"""

import collections

from harness import arithmetic, comparison, metrics, paths

QUESTION = "lines"
UNTESTED = ("zcrx (io_uring's receive without a copy), RSS and NUMA are untested: they need a NIC, "
            "and a machine of more than one node.")

# titles: of workloads.
Line = collections.namedtuple("Line", "what contender base path titles")

LINES = (
    Line("SQPOLL, its thread on the receiver's core", "with-sqpoll", "best-uring", "loopback",
         ("fanin-64", "latency-10k")),
    Line("IORING_ENTER_NO_IOWAIT", "with-no-iowait", "best-uring", "loopback", ("latency-10k",)),
    Line("IORING_REGISTER_NAPI, 200 µs", "with-napi", "best-uring", "veth-nic", ("latency-10k",)),
    Line("EPIOCSPARAMS, 200 µs", "with-epoll-params", "best-epoll", "veth-nic", ("latency-10k",)),
    Line("SO_BUSY_POLL, 200 µs", "with-busy-poll-epoll", "best-epoll", "veth-nic",
         ("latency-10k",)),
    Line("SO_BUSY_POLL, 200 µs", "with-busy-poll", "loop-256k", "veth-nic", ("bulk",)),
    Line("TCP_ZEROCOPY_RECEIVE, MTU 4148", "with-mapping", "loop-256k", "veth-nic",
         ("bulk-zerocopy",)),
    Line("BIG TCP, packets of 192 KiB", "with-big-tcp", "best-epoll", "veth", ("bulk",)),
    Line("MPTCP", "with-mptcp", "best-epoll", "loopback", ("bulk", "fanin-64")),
)

# Bytes of SO_RCVBUF, by contender; and what is without, tuned by the kernel.
RCVBUF = {f"with-rcvbuf-{size}": text for size, text in
          (("128k", "128 KiB"), ("512k", "512 KiB"), ("2m", "2 MiB"), ("8m", "8 MiB"),
           ("32m", "32 MiB"))}
TUNED = "best-uring"
RCVBUF_TITLES = {"bulk": "1 stream", "fanin-64": "64 streams", "fanin-1000": "1,000 streams"}
HELD = {"idle": ("uring", "epoll", "best-uring", "best-epoll"), "stalled": ("uring", "epoll")}

# Where somebody is to be reached: by the title, or by the contender.
PAIRS = {"bulk-zerocopy": paths.PAGES, "with-big-tcp": paths.BIG}
MORE = tuple(PAIRS.values())

WON, LOST, BOTH, NEITHER = "won", "lost", "won and lost", "no difference"


def by_title(path):
    """{title: who takes part} on a path."""
    asked = {}
    for line in LINES:
        if line.path == path:
            for title in line.titles:
                asked.setdefault(title, set()).update((line.contender, line.base))
    if path == "loopback":
        for title in RCVBUF_TITLES:
            asked.setdefault(title, set()).update((TUNED, *RCVBUF))
        asked.update(HELD)
    return {title: tuple(sorted(names)) for title, names in asked.items()}


def address(title, contender):
    """The options that say where the receiver is to be, if not where all are."""
    pair = PAIRS.get(title) or PAIRS.get(contender)
    return paths.address(pair) if pair else ()


# ---- what came of it

def keys_of(results, title):
    """CPU, the system's, and what may be paid with."""
    if "p99_us" in results.figures(title).judged:
        return ("receiver_cpu_fraction", "system_cpu_s_per_gib", "p50_us", "p99_us")
    return ("receiver_cpu_s_per_gib", "system_cpu_s_per_gib", "gib_per_s")


def rows(asked):
    """[cells] of every line that was measured."""
    found = []
    for line in LINES:
        for results in asked:
            if results.path == line.path:
                found += [_row(results, line, title) for title in line.titles
                          if {line.contender, line.base} <= set(results.ran(title))]
    return found


def _row(results, line, title):
    keys = keys_of(results, title)
    verdicts, texts = [], []
    for key in keys:
        ratio, verdict = results.verdict(title, line.contender, line.base, key)
        verdicts.append(verdict)
        texts.append(comparison.verdict_text(ratio, verdict))
    cpu, system, *speed = texts
    if len(speed) == 2:
        speed = [f"p50 {speed[0]}, p99 {speed[1]}"]
    return [line.what, line.base, f"{title}, {line.path}", cpu, system, *speed, _word(verdicts)]


def _word(verdicts):
    sides = set(verdicts) - {arithmetic.NOISE}
    return {frozenset(): NEITHER, frozenset({arithmetic.BETTER}): WON,
            frozenset({arithmetic.WORSE}): LOST}.get(frozenset(sides), BOTH)


HEADS = ["what", "changed in", "workload, path", "CPU", "whole system's CPU",
         "throughput, or latency", ""]


def text(results):
    """For a terminal."""
    found = rows([results])
    return ["", "With it ÷ without:", *comparison.aligned([HEADS, *found])] if found else []


# ---- the page's part

def part(all_results):
    """The page's part, or ""."""
    asked = [results for results in all_results if results.question == QUESTION]
    parts = ["## One line each\n", _runs(asked), _lines(rows(asked)), *map(_mapped, asked),
             *map(_rcvbuf, asked), *map(_held, asked), UNTESTED + "\n"]
    return "\n".join(text for text in parts if text) if asked else ""


def _runs(asked):
    told = [f"{results.path} ({results.document['settings']['rounds']} rounds, a load of "
            f"{results.stamp['busy_before']['load'][0]} before)" for results in asked]
    return f"Measured over {', '.join(told)}.\n"


def _table(heads, cells, numbers=0):
    """The last so many columns are numbers."""
    dashes = [" --- |"] * (len(heads) - numbers) + [" ---: |"] * numbers
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "".join(dashes),
                      *("| " + " | ".join(row) + " |" for row in cells)]) + "\n"


def _lines(found):
    if not found:
        return ""
    return ("What else the kernel has, with it ÷ without it, all else alike: medians of per-pair "
            "ratios and 95 % intervals; ≈ is noise. Busy polling burns a core to be quick, so on "
            "one line it may win and lose.\n\n" + _table(HEADS, found))


def _mapped(results):
    title, name = "bulk-zerocopy", "with-mapping"
    mapped = results.median(title, name, "mapped_share")
    if mapped is None:
        return ""
    told = (f"Of the bytes of `{title}` {mapped:.1%} were mapped, the others copied. The pages "
            "are not the sender's")
    copied = results.median(title, name, "sender_copied_share")
    if copied is not None:
        told += (f": of its writes with MSG_ZEROCOPY the kernel says that it has copied "
                 f"{copied:.0%} after all, as it does of all that turns round inside one host")
    return told + ". What is mapped nobody has looked at here, as what is copied.\n"


def _rcvbuf(results):
    titles = [title for title in RCVBUF_TITLES if set(RCVBUF) & set(results.ran(title))]
    if not titles:
        return ""
    cells = [["tuned by the kernel", *(cell for title in titles for cell in
                                       (_figure(results, title, TUNED, "gib_per_s"),
                                        _figure(results, title, TUNED, "receiver_cpu_s_per_gib")))]]
    for name, size in RCVBUF.items():
        cells.append([size, *(cell for title in titles for cell in
                              (_versus(results, title, name, "gib_per_s"),
                               _versus(results, title, name, "receiver_cpu_s_per_gib")))])
    heads = ["SO_RCVBUF", *(f"{RCVBUF_TITLES[title]}, {what}" for title in titles
                            for what in ("GiB/s", "CPU-s/GiB"))]
    return (f"Receive memory: `{TUNED}` with SO_RCVBUF, of which the kernel takes the double; each "
            "÷ that which the kernel tunes itself.\n\n"
            + _table(heads, cells, len(heads) - 1))


def _figure(results, title, contender, key):
    return metrics.written(key, results.median(title, contender, key))


def _versus(results, title, contender, key):
    if contender not in results.ran(title):
        return "–"
    return comparison.verdict_text(*results.verdict(title, contender, TUNED, key))


def _held(results):
    cells = [[title, name, *(_figure(results, title, name, key) for key in
                             ("kernel_object_bytes_per_stream", "kernel_socket_bytes_per_stream",
                              "sender_socket_bytes_per_stream", "rss_bytes_per_stream"))]
             for title in HELD for name in HELD[title] if name in results.ran(title)]
    if not cells:
        return ""
    heads = ["streams", "contender", "objects, both ends", "queues, both ends",
             "of that the sender's", "user space"]
    return ("Kernel memory, bytes a stream: 10,000 that say nothing, and 1,000 whose sink takes "
            "nothing until their senders can send no more. *Objects* are those of the kernel's "
            "caches (sockets, files, requests, packets' heads), of both ends of each stream, since "
            "both are on this host; *queues* what TCP counts as memory of sockets, with the "
            "bytes that wait in there.\n\n" + _table(heads, cells, 4))
