# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What tests share that are scripts; they source it.
# Files that explain a failure.
explaining=()

# begin NAME: makes $root, a directory of the test's own, which goes with it.
begin() {
    root=$(mktemp -d "${TMPDIR:-/tmp}/lastbyte-$1.XXXXXX")
    trap 'rm -rf "$root"' EXIT
}

# fail WORD...
fail() {
    echo "FAILED: $*" >&2
    if [ "${#explaining[@]}" -gt 0 ]; then
        cat "${explaining[@]}" >&2
    fi
    exit 1
}
