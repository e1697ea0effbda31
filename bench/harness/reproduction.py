# SPDX-License-Identifier: MIT
"""Whether another run says the same as a result: claim by claim, since figures of two machines, or
of one in two weeks, say little of each other."""

import collections

from harness import arithmetic, comparison, metrics

AGAIN, ELSEWHERE, UNKNOWN, REFUTED = "again", "another ratio", "not to be seen", "REFUTED"

Claim = collections.namedtuple("Claim", "workload metric other old new said")


def ran(old):
    """{title of a workload: who took part}, for a Set of sets.py."""
    found = {}
    for sample in old.samples:
        found.setdefault(sample["workload"], set()).add(sample["contender"])
    return {title: tuple(sorted(names)) for title, names in found.items()}


def claims(old, new):
    """[Claim] of every figure of ours that either run tells from noise."""
    found = []
    for finding in comparison.findings(old):
        if new.auto not in new.ran(finding.workload):
            continue
        ratio, verdict = new.verdict(finding.workload, new.auto, finding.other, finding.metric)
        if ratio is None:
            continue
        said = _said(finding, ratio, verdict)
        if said:
            found.append(Claim(finding.workload, finding.metric, finding.other, finding.ratio,
                               ratio, said))
    return found


def _said(finding, ratio, verdict):
    """None: both call it noise."""
    sides = {finding.verdict, verdict}
    if sides == {arithmetic.NOISE}:
        return None
    if sides == {arithmetic.BETTER, arithmetic.WORSE}:
        return REFUTED
    if arithmetic.NOISE in sides:
        return UNKNOWN
    apart = ratio.low > finding.ratio.high or ratio.high < finding.ratio.low
    return ELSEWHERE if apart else AGAIN


def text(found):
    """The lines that tell."""
    order = (REFUTED, ELSEWHERE, UNKNOWN, AGAIN)
    rows = [["workload", "figure", "against", "there", "here", ""]]
    rows += [[claim.workload, metrics.METRICS[claim.metric].heading, claim.other,
              comparison.ratio_text(claim.old), comparison.ratio_text(claim.new), claim.said]
             for claim in sorted(found, key=lambda claim: order.index(claim.said))]
    counts = collections.Counter(claim.said for claim in found)
    told = ", ".join(f"{counts[said]} {said}" for said in order)
    return [*(comparison.aligned(rows) if found else []), told,
            "Ratios are ours ÷ theirs. REFUTED: ahead in one run and behind in the other, both "
            "beyond their noise."]
