#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/symbols.sh HEADERS MAP LIBRARY...: a shared library exports what the headers in the
# directory HEADERS declare as LB_PUBLIC, each at a version that the map names, and nothing else. A
# static library has the same, and whatever else it has of external linkage begins with lb_.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

header=$1 map=$2
shift 2
headers=("$header"/*.h)

# The name before the first parenthesis of each declaration, which may go over some lines.
public=$(awk '/^LB_PUBLIC / { text = "" ; on = 1 }
    on { text = text $0 }
    on && /\(/ { sub(/\(.*/, "", text); sub(/.*[ *]/, "", text); print text; on = 0 }' \
    "${headers[@]}" | sort)
grep -q '^lb_engine_open$' <<<"$public" ||
    fail "$header declares no lb_engine_open: are the headers there?"
[ "$(wc -l <<<"$public")" -eq "$(cat "${headers[@]}" | grep -c '^LB_PUBLIC ')" ] ||
    fail "$header has declarations that this test can't read"

# Each says in brackets from where it may be called.
untold=$(awk '/^\/\*/ { comment = "" }
    !/^LB_PUBLIC/ { comment = comment " " $0; gsub(/ +\* /, " ", comment) }
    /^LB_PUBLIC/ && comment !~ /\[(sink|slow end|any thread|outside|signal)[],]/ { print }' \
    "${headers[@]}")
[ -z "$untold" ] || fail "no comment says from where these may be called:" "$untold"

listed=$(sed -n 's/^ *\(lb_[a-z0-9_]*\);$/\1/p' "$map" | sort)
difference=$(diff <(echo "$public") <(echo "$listed") || true)
[ -z "$difference" ] || fail "$header (<) and $map (>) differ:" "$difference"

# The sanitizers and the linker add their own: all begin with an underscore or with asan., tsan.
own='^(_|[at]san\.)'
for library; do
    case $library in
    *.a)
        names=$(nm --defined-only --extern-only --format=posix "$library" |
            awk 'NF >= 2 && $2 !~ /:$/ { print $1 }' | sort -u)
        foreign=$(grep -vE "^lb_|$own" <<<"$names" || true)
        [ -z "$foreign" ] || fail "$library has names that do not begin with lb_:" "$foreign"
        missing=$(comm -23 <(echo "$public") <(echo "$names"))
        [ -z "$missing" ] || fail "$library lacks:" "$missing"
        ;;
    *)
        names=$(nm --dynamic --defined-only --extern-only --format=posix "$library" |
            awk '$2 != "A" { print $1 }' | grep -vE "$own" | sort)
        difference=$(diff <(echo "$public") <(cut -d @ -f 1 <<<"$names") || true)
        [ -z "$difference" ] || fail "$header (<) and $library (>) differ:" "$difference"
        unversioned=$(grep -v '@@LASTBYTE_[0-9.]*$' <<<"$names" || true)
        [ -z "$unversioned" ] || fail "$library exports without a version:" "$unversioned"
        ;;
    esac
done
