# SPDX-License-Identifier: MIT
"""A result file: every sample of a run and its stamp, and the questions one can ask it."""

import json
import pathlib

from harness import arithmetic, hdr, kinds, metrics, workloads

FORMAT = 1


# A sample is dropped if for more than this part of its time it had no processor, which no contender
# can help. A gap makes all later that is to come in it, so that more of it would be seen in a p99.
HOST_MAX = 0.01


def host_took(sample):
    """The part of its time in which both cores had none, or one of them by the account of steal."""
    taken = max(sample.get("steal_s", 0), sample.get("host_gap_s", 0))
    return taken / sample["wall_s"] if sample.get("wall_s") else 0.0


class Unreadable(Exception):
    """The file is no result of bench/run; the text says why."""


class Results:
    """samples: dicts with workload, contender, control (bool), round and counters."""

    def __init__(self, document):
        self.document = document
        self.stamp = document["stamp"]
        self.samples = document["samples"]
        self.contenders = {entry["name"]: entry for entry in document["contenders"]}
        self._series = {}
        for sample in self.samples:
            if not workloads.of(sample["workload"]).compared:
                continue
            if self.is_dropped(sample):
                continue
            key = (sample["workload"], sample["contender"], sample["control"])
            self._series.setdefault(key, {})[sample["round"]] = sample

    @property
    def auto(self):
        """The contender of ours that the command would choose by itself."""
        return self.document["auto"]

    @staticmethod
    def is_dropped(sample):
        """The host had taken the processor away: it has no part in anything."""
        return host_took(sample) > HOST_MAX

    @property
    def dropped(self):
        return [sample for sample in self.samples if self.is_dropped(sample)]

    @property
    def path(self):
        """Between sender and receiver; a result that doesn't say was taken on loopback."""
        return self.document["settings"].get("path", "loopback")

    @property
    def question(self):
        """The set that was run."""
        return self.document["settings"].get("set", "full")

    @property
    def softirq(self):
        """On whose core a veth pair's packets were received by the kernel, or None."""
        return self.document["settings"].get("softirq")

    def workloads(self):
        """Those that are compared, in the order in which they were first run."""
        # Where only controls are left, the others dropped, nothing can be told.
        return list(dict.fromkeys(name for name, _, control in self._series if not control))

    def variants(self, workload):
        """The titles of what was run of a workload and is compared."""
        return [title for title in self.workloads() if workloads.of(title) is workload]

    def samples_of(self, workload):
        """All samples of a workload, whatever their titles."""
        return [sample for sample in self.samples
                if workloads.of(sample["workload"]) is workload]

    def figures(self, workload):
        """What the workload of this title is judged by."""
        return workloads.of(workload).figures

    def ran(self, workload):
        """The contenders that have samples, controls aside."""
        return [contender for (name, contender, control) in self._series
                if name == workload and not control]

    def kind(self, contender):
        return kinds.of(self.contenders.get(contender, {}).get("kind", kinds.PROGRAM.name))

    def label(self, contender):
        return self.contenders.get(contender, {}).get("label", "")

    def series(self, workload, contender, key, control=False):
        """{round: value} of the samples that have this metric."""
        samples = self._series.get((workload, contender, control), {})
        return {number: sample[key] for number, sample in samples.items()
                if sample.get(key) is not None}

    def histogram(self, workload, contender):
        """Of the latencies of all its samples, or an empty one."""
        samples = self._series.get((workload, contender, False), {}).values()
        return hdr.merged(hdr.decode(sample["histogram"]) for sample in samples
                          if "histogram" in sample)

    def median(self, workload, contender, key):
        values = self.series(workload, contender, key).values()
        return arithmetic.median(values) if values else None

    def ratio(self, workload, a, b, key):
        """A/B over the rounds that have both, or None where a ratio makes no sense."""
        return _ratio(self.series(workload, a, key), self.series(workload, b, key))

    def controlled(self, workload):
        """The contender that ran under two labels, or None."""
        for name, contender, control in self._series:
            if name == workload and control:
                return contender
        return None

    def control_ratio(self, workload, key):
        contender = self.controlled(workload)
        if contender is None:
            return None
        return _ratio(self.series(workload, contender, key, control=True),
                      self.series(workload, contender, key))

    def spread(self, workload, key):
        """Inside which nothing is claimed. Without a control: everything is inside."""
        ratio = self.control_ratio(workload, key)
        return arithmetic.Spread(ratio) if ratio else arithmetic.Spread(_ANY)

    def verdict(self, workload, a, b, key):
        """(ratio, verdict) of A against B; (None, NOISE) if they can't be compared."""
        ratio = self.ratio(workload, a, b, key)
        if ratio is None:
            return None, arithmetic.NOISE
        lower = metrics.METRICS[key].lower_is_better
        return ratio, arithmetic.verdict(ratio, self.spread(workload, key), lower)


class _Anything:
    low, high = 0.0, float("inf")


_ANY = _Anything()


def _ratio(a, b):
    pairs = [(a[number], b[number]) for number in sorted(a) if number in b]
    if not pairs or any(x <= 0 or y <= 0 for x, y in pairs):
        return None
    return arithmetic.Ratio(pairs)


def load(path):
    try:
        text = pathlib.Path(path).read_text()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise Unreadable(f"{path}: format {document['format']}, this program reads {FORMAT}")
        return Results(document)
    except (ValueError, KeyError, TypeError):
        raise Unreadable(f"{path}: not a result of bench/run") from None


def save(document, path):
    """One sample a line, so that a diff of two results can be read."""
    head = {key: value for key, value in document.items() if key != "samples"}
    text = json.dumps(head, indent=1, ensure_ascii=False)
    lines = ",\n".join("  " + json.dumps(sample, ensure_ascii=False)
                       for sample in document["samples"])
    text = text[:text.rindex("}")].rstrip() + f',\n "samples": [\n{lines}\n ]\n}}\n'
    temporary = pathlib.Path(f"{path}.partial")
    temporary.write_text(text)
    temporary.replace(path)
