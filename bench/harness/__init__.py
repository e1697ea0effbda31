# SPDX-License-Identifier: MIT
"""The part of the benchmarks that is arithmetic, bookkeeping and paper; the measuring is in C."""
