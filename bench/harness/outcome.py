# SPDX-License-Identifier: MIT
"""What a receiver makes of the bytes of a workload: where they can be found, and whether they are
all there and right."""

import hashlib
import os
import pathlib


class Stream:
    """The one stream comes out of a program's standard output. Nobody keeps it, unless somebody
    means to look at every byte."""

    on_disk = False
    kept = False      # what it prints, also where nobody means to look at every byte
    countable = True  # a program does the same for each MiB, so its system calls say something

    def wrong(self, job, sent):
        """Whether all that was sent is there: "" or what not."""
        return ""

    def wrong_content(self, job, reference):
        """Whether the bytes are right: "" or what not. reference(): the digest of what was sent."""
        digest = hashlib.sha256(pathlib.Path(job.received).read_bytes()).hexdigest()
        return "" if digest == reference() else "the content came out changed"


class Count(Stream):
    """There are many streams, and a program prints how many bytes they had."""

    kept = True

    def wrong(self, job, sent):
        counted = pathlib.Path(job.received).read_text(errors="replace").strip()
        if counted == str(sent["bytes"]):
            return ""
        return f"counted {counted[:40]} bytes where {sent['bytes']} were sent"

    def wrong_content(self, job, reference):
        return ""


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
