#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# courier_test.sh COURIER LASTBYTE: two streams, each far more than a pipe and a socket hold, come
# out of the example's pipe whole and in order, and both senders get their answer.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

courier=$1 lastbyte=$2
begin courier
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$root"
}
trap finish EXIT

mkfifo "$root/pipe"
head -c 24M /dev/urandom >"$root/first"
head -c 65537 /dev/urandom >"$root/second"
exec 3< <(exec "$courier" 127.0.0.1:0 "$root/pipe" 2 2>&1)
server=$!
exec 4<"$root/pipe" # the example waits for it
IFS= read -r -t 30 line <&3 || fail "the example says nothing"
address=${line#listening on }

# The second sender waits for the first one's end.
"$lastbyte" send --parallel=2 "$address" "$root/first" "$root/second" >"$root/answers" &
sender=$!
cat <&4 >"$root/delivered"
wait "$sender" || fail "the senders failed"
wait "$server" || fail "the example failed"
server=

sort "$root/answers" | cmp - <(printf 'delivered %s bytes\n' 25165824 65537 | sort) ||
    fail "the senders were told: $(cat "$root/answers")"
cat "$root/first" "$root/second" | cmp -s - "$root/delivered" ||
    cat "$root/second" "$root/first" | cmp -s - "$root/delivered" ||
    fail "what was delivered is not what was sent"
