#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# features_test.sh MESON SOURCE: the command without what can be left out, libssl first of all. It
# receives and sends as ever, and whoever asks for what is missing is told so in one line.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

meson=$1 source=$2
begin features
log=$root/log
explaining=("$log")

"$meson" setup --buildtype=plain "$root/build" "$source" -Dtests=false -Dbench=disabled \
    -Dcommand=enabled -Dtls=disabled -Ds3=disabled -Dmetrics=disabled -Dseccomp=disabled \
    >"$log" 2>&1 || fail "can't be set up"
"$meson" compile -C "$root/build" lastbyte:executable >"$log" 2>&1 || fail "can't be built"
lastbyte=$root/build/tools/lastbyte
if readelf --dynamic "$lastbyte" |
    grep -E '(NEEDED).*(libssl|libcurl|libexpat|libmicrohttpd|libseccomp)'; then
    fail "the command needs what was left out"
fi

# refused FEATURE WORD...
refused() {
    local status=0
    "$lastbyte" "${@:2}" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 2 ] || fail "$*: status $status"
    [ "$(wc -l <"$log")" -eq 1 ] || fail "$*: not one line"
    grep -q ": needs the feature $1, which this build lacks: " "$log" || fail "$*: another line"
}

for option in --tls --tls-cert=x --tls-key=x --tls-dir=x --tls-min=1.2 --tls-client-ca=x \
    --allow-pin=x --tls-psk=x --tls-allow-fin; do
    refused tls recv --listen=127.0.0.1:0 "$option"
done
for option in --tls --tls-ca=x --pin=x --pinnedpubkey=x --tls-psk=x --tls-dir=x; do
    refused tls send "$option" 127.0.0.1:1
done
refused tls pin
refused metrics recv --listen=127.0.0.1:0 --metrics=127.0.0.1:0
refused s3 recv --listen=127.0.0.1:0 --sink=s3:bucket

"$lastbyte" recv --listen="unix:$root/socket" --once --receipt --sink="file:$root/got" \
    >"$log" 2>&1 &
"$lastbyte" send --receipt --retry=9 "unix:$root/socket" "$source/README.md" >>"$log" 2>&1 ||
    fail "nothing can be sent"
wait $! || fail "nothing can be received"
cmp "$source/README.md" "$root/got" || fail "something else was received"
