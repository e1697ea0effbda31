# SPDX-License-Identifier: MIT
"""HdrHistogram's own format, version 2: what https://hdrhistogram.github.io/HdrHistogram reads.

The buckets of lastbyte-bench are those of an HdrHistogram of nanoseconds with two significant
digits, from 1 ns on, so counts go from one to the other as they are. No library of Debian's for C
or Python has the format; it is short.
"""

import base64
import struct
import zlib

COOKIE, COMPRESSED = 0x1C849303 | 0x10, 0x1C849304 | 0x10
DIGITS, LOWEST, HIGHEST = 2, 1, (1 << 40) - 1
HALF_BITS = 7  # each doubling beyond the first 256 ns has 128 buckets
_HEAD = struct.Struct(">iiiiqqd")


class Unreadable(Exception):
    """It is no histogram of this kind; the text says why."""


def parse(text):
    """{bucket: count} of what lastbyte-bench --latencies wrote."""
    return {int(index): int(count) for index, count in map(str.split, text.splitlines())}


def merged(histograms):
    total = {}
    for histogram in histograms:
        for index, count in histogram.items():
            total[index] = total.get(index, 0) + count
    return total


def count(histogram):
    return sum(histogram.values())


def bucket_of(value):
    """The bucket that counts a value in ns."""
    shift = max(0, value.bit_length() - HALF_BITS - 1)
    return (shift << HALF_BITS) + (value >> shift)


def highest(index):
    """The largest value, in ns, that is counted in a bucket."""
    half = 1 << HALF_BITS
    if index < half:
        return index
    shift = (index >> HALF_BITS) - 1
    return ((half + (index & (half - 1)) + 1) << shift) - 1


def percentile(histogram, percent):
    """In ns: the least value that so many do not exceed."""
    rank = max(1, -(-percent * count(histogram) // 100))
    seen = 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= rank:
            return highest(index)
    return 0


def encode(histogram):
    """As base64, compressed: what a line of a log holds."""
    body = b"".join(map(_zigzag, _runs(histogram)))
    head = _HEAD.pack(COOKIE, len(body), 0, DIGITS, LOWEST, HIGHEST, 1.0)
    packed = zlib.compress(head + body, 9)
    return base64.b64encode(struct.pack(">ii", COMPRESSED, len(packed)) + packed).decode()


def decode(text):
    try:
        raw = base64.b64decode(text, validate=True)
        cookie, size = struct.unpack_from(">ii", raw)
        data = zlib.decompress(raw[8:8 + size])
        inner, length, offset, digits, lowest, _, _ = _HEAD.unpack_from(data)
    except (ValueError, struct.error, zlib.error) as error:
        raise Unreadable(str(error)) from None
    if (cookie, inner, offset, digits, lowest) != (COMPRESSED, COOKIE, 0, DIGITS, LOWEST):
        raise Unreadable("not of nanoseconds with two significant digits, in version 2")
    histogram, index = {}, 0
    for value in _values(data[_HEAD.size:_HEAD.size + length]):
        if value < 0:
            index -= value
            continue
        if value:
            histogram[index] = value
        index += 1
    return histogram


def log(lines):
    """A log: [(tag, when it started in s, how long it took in s, histogram)]."""
    out = ["#[Histogram log format version 1.3]",
           '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"']
    for tag, started, seconds, histogram in lines:
        most = highest(max(histogram)) / 1e6 if histogram else 0.0
        out.append(f"Tag={tag},{started:.3f},{seconds:.3f},{most:.3f},{encode(histogram)}")
    return "\n".join(out) + "\n"


def _runs(histogram):
    """The counts in order; of empty buckets one after another, their number, negative."""
    next_index = 0
    for index in sorted(histogram):
        if index > next_index:
            yield next_index - index if index > next_index + 1 else 0
        yield histogram[index]
        next_index = index + 1


def _zigzag(value):
    rest = (value << 1) ^ (value >> 63)
    rest &= (1 << 64) - 1
    out = bytearray()
    while rest >= 0x80 and len(out) < 8:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _values(data):
    value = shift = 0
    for byte in data:
        last = shift == 56  # the ninth byte has all of its bits
        value |= (byte if last else byte & 0x7F) << shift
        if byte & 0x80 and not last:
            shift += 7
            continue
        yield (value >> 1) ^ -(value & 1)
        value = shift = 0
