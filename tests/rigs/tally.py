# SPDX-License-Identifier: MIT
"""Counts the cases that held, for the table; see README.md."""

import atexit
import collections

_cases = collections.Counter()


def held(family, backend, transport, cases=1):
    if not _cases:
        atexit.register(_tell)
    _cases[family, backend, transport] += cases


def _tell():
    for (family, backend, transport), cases in sorted(_cases.items()):
        print(f"fault {family} {backend} {transport}: {cases} cases", flush=True)
