#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# units_test.sh LASTBYTE UNIT-DIRECTORY SYSTEMD-SOURCES: what systemd itself says of the units, of
# the user, and of its directory.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

lastbyte=$1 units=$2 sources=$3
for tool in systemd-analyze systemd-sysusers systemd-tmpfiles; do
    command -v "$tool" >/dev/null || {
        echo "no $tool here"
        exit 77
    }
done
begin units

# Instances, with the command where this build has it.
for kind in service socket; do
    sed "s|^ExecStart=[^ ]*/lastbyte |ExecStart=$lastbyte |" "$units/lastbyte@.$kind" \
        >"$root/lastbyte@1090.$kind"
done
grep -q "^ExecStart=$lastbyte recv " "$root/lastbyte@1090.service" || fail "no ExecStart"
said=$(SYSTEMD_UNIT_PATH="$root:" systemd-analyze verify --man=no \
    "$root/lastbyte@1090.service" "$root/lastbyte@1090.socket" 2>&1) || fail "verify: $said"
[ -z "$said" ] || fail "verify says: $said"

# The exposure is given in tenths.
systemd-analyze security --offline=true --threshold=20 --no-pager \
    "$root/lastbyte@1090.service" >"$root/security" 2>&1 ||
    fail "security: above 2.0: $(grep -v '✓' "$root/security")"
tail -n 1 "$root/security"

mkdir -p "$root/fresh/etc"
systemd-sysusers --root="$root/fresh" "$sources/sysusers.conf"
grep -q '^lastbyte:' "$root/fresh/etc/passwd" || fail "no user is made"
systemd-tmpfiles --root="$root/fresh" --create "$sources/tmpfiles.conf"
[ "$(stat -c %a "$root/fresh/var/lib/lastbyte")" = 750 ] || fail "the directory is not made"
[ "$(stat -c %u "$root/fresh/var/lib/lastbyte")" = \
    "$(sed -n 's/^lastbyte:[^:]*:\([0-9]*\):.*/\1/p' "$root/fresh/etc/passwd")" ] ||
    fail "the directory has another owner"
