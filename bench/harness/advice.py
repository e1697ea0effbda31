# SPDX-License-Identifier: MIT
"""Which backend and which --tune suit the machine of a result, with the figures why.

The default stays what is told to suit unless another one is ahead beyond the noise somewhere, and
behind beyond the noise nowhere: a default that somebody leaves for noise is left for nothing.
"""

from harness import arithmetic, comparison, kinds, metrics

TUNES = ("balanced", "save-cpu", "latency")


def advice(results):
    """Lines of text; none if nothing of ours was to be measured beside another of ours."""
    backend, parts = _backend(results)
    tune, more = _tune(results, backend)
    if not parts and not more:
        return _silence(results)
    return ["", f"What suits this machine: --backend={backend}"
            + (f" --tune={tune}" if more else ""), *parts, *more]


def _silence(results):
    """Why nothing can be said, if that is the host's fault."""
    if not any(results.kind(sample["contender"]) == kinds.OURS for sample in results.dropped):
        return []
    return ["", "What suits this machine can't be said: too few samples are left. Run it again "
            "when the machine has nothing else to do."]


# ---- backends

def _backend(results):
    """(the one that suits, lines)."""
    ours = [name for name in results.contenders
            if results.kind(name) == kinds.OURS and "-" not in name]
    rows = [(workload, results.figures(workload).cost, [name for name in ours
                                                        if name in results.ran(workload)])
            for workload in results.workloads()]
    rows = [row for row in rows if results.auto in row[2] and len(row[2]) > 1]
    if not rows:
        return results.auto, []
    others = dict.fromkeys(name for *_, names in rows for name in names if name != results.auto)
    ahead = [name for name in others if _better(results, name, results.auto,
                                                [(workload, key) for workload, key, _ in rows])]
    best = ahead[0] if ahead else results.auto
    why = ("nothing else is ahead of what `auto` takes beyond noise and behind nowhere"
           if best == results.auto else f"ahead of {results.auto}, what `auto` takes here")
    lines = [["", "figure", *dict.fromkeys([results.auto, *others])]]
    lines += [_line(results, workload, key, lines[0][2:], results.auto)
              for workload, key, _ in rows]
    return best, [f"  backend: {best}: {why}", *_indented(lines)]


# ---- tunes

def _tune(results, backend):
    """(the one that suits, lines)."""
    names = {tune: backend if tune == "balanced" else f"{backend}-{tune}" for tune in TUNES}
    rows = [(workload, key) for workload in results.workloads()
            if set(names.values()) <= set(results.ran(workload))
            for key in results.figures(workload).judged]
    if not rows:
        return "balanced", []
    ahead = [tune for tune in TUNES[1:] if _better(results, names[tune], backend, rows)]
    best = ahead[0] if ahead else "balanced"
    why = ("each of the others pays for what it brings, or brings nothing beyond noise"
           if best == "balanced" else "ahead of the default, balanced, and behind nowhere")
    lines = [["", "figure", *TUNES]]
    lines += [_line(results, workload, key, list(names.values()), backend)
              for workload, key in rows]
    return best, [f"  tune: {best}: {why}", *_indented(lines)]


# ---- both

def _better(results, name, than, rows):
    """Ahead of another beyond noise somewhere, and behind beyond noise nowhere."""
    verdicts = {results.verdict(workload, name, than, key)[1] for workload, key in rows}
    return arithmetic.BETTER in verdicts and arithmetic.WORSE not in verdicts


def _line(results, workload, key, names, base):
    return [workload, metrics.METRICS[key].heading,
            *(_cell(results, workload, key, name, base) for name in names)]


def _cell(results, workload, key, name, base):
    """Its median, and how that is to the base where more than noise is between them."""
    text = metrics.written(key, results.median(workload, name, key))
    if name == base or name not in results.ran(workload):
        return text
    ratio, verdict = results.verdict(workload, name, base, key)
    if ratio is None:
        return text
    return f"{text} (≈)" if verdict == arithmetic.NOISE else f"{text} (×{ratio.median:.2f})"


def _indented(lines):
    return ["  " + line for line in comparison.aligned(lines)]
