#!/bin/bash -eu
# SPDX-License-Identifier: MIT
#
# Called by OSS-Fuzz in the sources' folder, with CC, CFLAGS, LIB_FUZZING_ENGINE, WORK and OUT set.
# The targets run elsewhere, so that what they need is linked in.
meson setup "$WORK/build" --buildtype=plain -Dprefer_static=true -Ddefault_library=static \
    -Dtests=true -Dbench=disabled -Dseccomp=disabled -Db_lundef=false \
    -Dfuzz=true -Dfuzz_engine="$LIB_FUZZING_ENGINE"
ninja -C "$WORK/build" fuzz
for corpus in tests/fuzz/corpus/*; do
    target=fuzz_${corpus##*/}
    cp "$WORK/build/tests/fuzz/$target" "$OUT"
    (cd "$corpus" && python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" ./*)
    printf '[libfuzzer]\nmax_len = 1024\ntimeout = 10\n' >"$OUT/$target.options"
done
