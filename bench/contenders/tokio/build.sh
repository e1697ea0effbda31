#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# build.sh CARGO REGISTRY SCRATCH OUTPUT: builds the receiver with the crates in REGISTRY alone.
set -euo pipefail

cargo=$1 registry=$2 scratch=$3 output=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$scratch/.cargo"
cp -r "$here/Cargo.toml" "$here/src" "$scratch"
cat >"$scratch/.cargo/config.toml" <<END
[source.crates-io]
replace-with = "here"
[source.here]
directory = "$registry"
END
CARGO_HOME=$(cd "$scratch" && pwd)/home
# Beside its own rustc, whatever else is in PATH.
PATH=$(dirname "$cargo"):$PATH
export CARGO_HOME PATH
output=$(realpath --canonicalize-missing "$output")
(cd "$scratch" && "$cargo" build --quiet --offline --release --target-dir target)
cp "$scratch/target/release/receiver" "$output"
