#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench_test.sh BUILD PREFIX LIBDIR DATADIR: installs into a DESTDIR, moves it, and has the
# installed command take a look of one round. Nothing but what was installed is used.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

build=$1 prefix=$2 libdir=$3 datadir=$4
begin bench-installed

DESTDIR=$root/first meson install -C "$build" --no-rebuild --quiet
mv "$root/first" "$root/moved"
place=$root/moved$prefix
export LD_LIBRARY_PATH=$place/$libdir
if find "$place/$datadir/lastbyte" -name '__pycache__' | grep .; then
    fail "what Python made of the sources is installed too"
fi
mkdir "$root/here"
cd "$root/here"

# look OPTION...
look() {
    explaining=("$root/told" "$root/errors")
    "$place/bin/lastbyte" bench --quick --pairs=1 --dir="$root" "$@" >"$root/told" 2>"$root/errors"
}

look --workload=bulk,fanin-64 --contender='uring,epoll,*-save-cpu,*-latency' ||
    fail "the installed command's look ends with $?"
# On a busy machine nothing can be said, and it says so.
if ! grep -q '^What suits this machine can.t be said' "$root/told"; then
    grep -qE '^What suits this machine: --backend=[a-z]+' "$root/told" ||
        fail "it doesn't say what suits"
    grep -qE '^ +(bulk|fanin-64) +CPU-s/GiB +[0-9.]+ +[0-9.]+ ' "$root/told" ||
        fail "it doesn't say why"
fi
results=(*.json)
if [ ! -s "${results[0]}" ] || [ "$(ls)" != "${results[*]}" ]; then
    fail "here is: $(ls)"
fi
python3 - "${results[0]}" "${BASH_SOURCE[0]%/*}/../../bench/result.schema.json" <<'END' ||
import json, sys
try:
    import jsonschema
except ImportError:
    sys.exit(0)
result, schema = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
jsonschema.validate(result, schema)
END
    fail "the result doesn't fit the schema"
find "$place/$datadir/lastbyte" -name '__pycache__' | grep . &&
    fail "it writes into the installation"

look --pairs=0 && fail "--pairs=0 is taken"
grep -q -- '--pairs=0' "$root/errors" || fail "--pairs=0 is not named"

rm -r "${place:?}/$datadir/lastbyte"
status=0
look || status=$?
if [ "$status" -ne 3 ] || [ "$(wc -l <"$root/errors")" -ne 1 ] ||
    ! grep -q 'not installed beside this command (package lastbyte-bench' "$root/errors"; then
    fail "where no benchmarks are installed it ends with $status"
fi
