# SPDX-License-Identifier: MIT
"""What a receiver makes of the bytes of a workload: where they can be found, and whether they are
all there and right."""

import hashlib
import os
import pathlib

from harness import arrivals


def digest(streams):
    """Of the bytes of all streams, whatever order they came in."""
    whole = hashlib.sha256()
    for stream in sorted(streams):
        whole.update(stream)
    return whole.hexdigest()


def _split(data, count):
    """Streams of one size, one behind the other."""
    size = max(1, -(-len(data) // count))
    return [data[at:at + size] for at in range(0, len(data), size)]


class Stream:
    """The one stream comes out of a program's standard output. Nobody keeps it, unless somebody
    means to look at every byte."""

    on_disk = False
    kept = False      # what it prints, also where nobody means to look at every byte
    # A program does the same for each MiB or stream, so its system calls say something.
    countable = True

    def wrong(self, job, sent):
        """Whether all that was sent is there: "" or what not."""
        return ""

    def digest(self, streams):
        """Of what has to come out of these."""
        return digest(streams)

    def wrong_content(self, job, reference):
        """Whether the bytes are right: "" or what not. reference(): the digest of what was sent."""
        streams = _split(pathlib.Path(job.received).read_bytes(), job.streams)
        return "" if self.digest(streams) == reference() else "the content came out changed"

    def figures(self, job, sent):
        """What it tells besides."""
        return {}


class Count(Stream):
    """There are many streams, and a program prints how many bytes they had. Where they are to be
    checked it prints them instead, one stream behind the other."""

    kept = True

    def wrong(self, job, sent):
        if job.checked:
            counted = str(os.path.getsize(job.received))
        else:
            counted = self.counted(job)
        if counted == str(sent["bytes"]):
            return ""
        return f"counted {counted[:40]} bytes where {sent['bytes']} were sent"

    def counted(self, job):
        return pathlib.Path(job.received).read_text(errors="replace").strip()


class Latencies(Count):
    """Like it, but of messages that carry the time at which they were due, and behind the number
    stands how late each was."""

    countable = False

    def counted(self, job):
        return arrivals.read(job.received).counted

    def wrong(self, job, sent):
        why = super().wrong(job, sent)
        return why or ("" if job.checked else arrivals.wrong(job.received, sent["messages"]))

    def digest(self, streams):
        return digest(arrivals.undated(stream) for stream in streams)

    def figures(self, job, sent):
        return {} if job.checked else arrivals.figures(job.received, sent)


class Told(Stream):
    """There are many streams, and whoever is behind the program tells what they had."""

    countable = False

    def wrong_content(self, job, reference):
        return ""


class OneFile(Stream):
    """The one stream is in a file."""

    on_disk = True

    def wrong(self, job, sent):
        size = os.path.getsize(job.received)
        if size == sent["bytes"]:
            return ""
        return f"wrote {size} bytes where {sent['bytes']} were sent"


class ManyFiles(Stream):
    """Each stream is in a file of its own, all in one directory."""

    on_disk = True
    countable = False

    def wrong(self, job, sent):
        return wrong_files(job.directory, sent["streams"], sent["bytes"])

    def wrong_content(self, job, reference):
        # Which file has which stream is the program's affair; number and sizes have been checked.
        return ""


def wrong_files(directory, streams, size):
    """Whether a directory holds that many files of that many bytes together: "" or what not."""
    files = [entry for entry in pathlib.Path(directory).iterdir() if entry.is_file()]
    total = sum(entry.stat().st_size for entry in files)
    if (len(files), total) == (streams, size):
        return ""
    return f"left {len(files)} files of {total} bytes, sent were {streams} of {size}"
