# SPDX-License-Identifier: MIT
"""How late messages were, as a program outside tells it: ../contenders/README.md has the form."""

import array
import collections
import pathlib
import sys

from harness import hdr

MESSAGE_SIZE, TIME_SIZE = 64, 8
PERCENTS = (10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99)

# counted: the number of bytes, as text; latencies: in ns, of each message that carried a time.
Arrivals = collections.namedtuple("Arrivals", "counted latencies")


def read(path):
    """What one told."""
    counted, _, data = pathlib.Path(path).read_bytes().partition(b"\n")
    latencies = array.array("Q", data[:len(data) - len(data) % TIME_SIZE])
    if sys.byteorder == "big":
        latencies.byteswap()
    return Arrivals(counted.decode(errors="replace"), latencies)


def wrong(path, messages):
    """Whether these can be the latencies of so many messages: "" or why not."""
    latencies = read(path).latencies
    if len(latencies) != messages:
        return f"told of {len(latencies)} messages where {messages} carried their time"
    if any(late > hdr.HIGHEST for late in latencies):
        return f"told that a message was {max(latencies)} ns late: that is another clock's time"
    return ""


def undated(stream):
    """A stream's bytes without what differs from run to run: the times."""
    return b"".join(bytes(TIME_SIZE) + stream[at + TIME_SIZE:at + MESSAGE_SIZE]
                    for at in range(0, len(stream), MESSAGE_SIZE))


def figures(path, sent):
    """By the names that lastbyte-bench has for its own."""
    latencies = read(path).latencies
    histogram = collections.Counter(map(hdr.bucket_of, latencies))
    most = max(latencies)
    points = {f"p{percent:g}_us".replace(".", ""):
              min(hdr.percentile(histogram, percent), most) / 1e3 for percent in PERCENTS}
    return {"rate": sent["rate"], "messages": len(latencies), **points, "max_us": most / 1e3,
            "mean_us": sum(latencies) / len(latencies) / 1e3,
            "sender_lag_p99_us": sent["lag_p99_us"], "histogram": hdr.encode(histogram)}
