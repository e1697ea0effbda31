# SPDX-License-Identifier: MIT
"""The kinds of contenders: who is ours, who is a rival of ours, and how each kind is drawn."""

import collections

# rival: what ours gains or loses against it counts. legend: None for none. dark: the colour is,
# so that what is written on it has to be white.
Kind = collections.namedtuple("Kind", "name rival legend colour dark hatched",
                              defaults=(False, False))

# Okabe and Ito's colours, which colour-blind readers can tell apart.
OURS = Kind("ours", False, "blue: ours", "#0072B2", dark=True)
LOOP = Kind("loop", True, "grey: plain loops", "#999999")
LIBRARY = Kind("library", True, "orange: libraries", "#E69F00")
PROGRAM = Kind("program", True, "green: programs", "#009E73", dark=True)
# It is compared with nothing, since others are sent other bytes in another way.
OWN_SENDER = Kind("own sender", False, "pink: with a sender of its own", "#CC79A7")
# Shows what is possible at most: neither a win nor a loss.
FLOOR = Kind("floor", False, "hatched: floors", "#DDDDDD", hatched=True)

# Ours with what it decides set from outside, to be told apart: compared in factorial.py alone.
CELL = Kind("cell", False, "pale blue: ours, with switches set", "#56B4E9")

# Somebody else with one thing changed: compared in lines.py alone.
CHANGED = Kind("changed", False, "violet: with one thing changed", "#9467BD", dark=True)

ALL = (OURS, LOOP, LIBRARY, PROGRAM, OWN_SENDER, FLOOR, CELL, CHANGED)


def of(name):
    """The kind of that name; one that is not known here is a rival as any other."""
    return next((kind for kind in ALL if kind.name == name), Kind(name, True, None, "#555555"))
