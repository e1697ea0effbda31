#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/symbols.sh LIBRARY...: every symbol that a library exports begins with lb_. For a
# static library: every symbol of external linkage.
set -euo pipefail

for library; do
    # The sanitizers and the linker add their own: all begin with an underscore or with asan., tsan.
    case $library in
    *.a) names=$(nm --defined-only --extern-only --format=posix "$library") ;;
    *) names=$(nm --dynamic --defined-only --extern-only --format=posix "$library") ;;
    esac
    names=$(awk 'NF >= 2 && $2 !~ /:$/ { sub(/@.*/, "", $1); print $1 }' <<<"$names")
    foreign=$(grep -vE '^(lb_|_|[at]san\.)' <<<"$names" || true)
    if [ -n "$foreign" ]; then
        printf '%s exports names that do not begin with lb_:\n%s\n' "$library" "$foreign" >&2
        exit 1
    fi
    grep -q '^lb_engine_open$' <<<"$names" || {
        echo "$library does not export lb_engine_open: is it the library?" >&2
        exit 1
    }
done
