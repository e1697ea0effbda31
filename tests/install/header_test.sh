#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/header_test.sh INCLUDE-DIRECTORY: the public header compiles alone, with every
# warning an error, as C11, C++11, C++17 and C++20, with each compiler that is here; no compiler for
# a language is a failure. So does each of its parts. And LB_PUBLIC can be a program's own.
set -euo pipefail

source=$(dirname "${BASH_SOURCE[0]}")/header_test.c
warnings=(-pedantic-errors -Wall -Wextra -Wconversion -Werror)

# compile LANGUAGE STANDARD COMPILER...
compile() {
    local language=$1 standard=$2 tried=0 compiler part
    for compiler in "${@:3}"; do
        command -v "$compiler" >/dev/null || continue
        tried=1
        echo "$compiler -x $language -std=$standard"
        "$compiler" -x "$language" -std="$standard" "${warnings[@]}" -I"$include" -fsyntax-only \
            "$source"
        for part in "${parts[@]}"; do
            "$compiler" -x "$language" -std="$standard" "${warnings[@]}" -I"$include" \
                -fsyntax-only - <<<"#include <lastbyte/${part##*/}>"
        done
    done
    [ "$tried" -eq 1 ] || {
        echo "no compiler for $language: install g++" >&2
        exit 1
    }
}

include=${1:?name the directory that holds lastbyte/lastbyte.h}
parts=("$include"/lastbyte/*.h)
compile c c11 gcc clang
compile c++ c++11 g++ clang++
compile c++ c++17 g++ clang++
compile c++ c++20 g++ clang++

# How the functions are declared is a program's to say: nothing of ours is left then.
for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    echo "$compiler -DLB_PUBLIC"
    own=$("$compiler" -E -P -DLB_PUBLIC=MARKED -I"$include" "$source")
    [ "$(grep -o '\<MARKED\>' <<<"$own" | wc -l)" -eq \
        "$(cat "${parts[@]}" | grep -c '^LB_PUBLIC ')" ] || {
        echo "not every function is declared by LB_PUBLIC" >&2
        exit 1
    }
    ! grep visibility <<<"$own" >&2 || {
        echo "LB_PUBLIC is not overridden" >&2
        exit 1
    }
    "$compiler" -std=c11 "${warnings[@]}" -DLB_PUBLIC= -I"$include" -fsyntax-only "$source"
done
