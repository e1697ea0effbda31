#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install_test.sh BUILD SOURCE PREFIX LIBDIR SANITIZERS KIND: installs into a DESTDIR, then does
# what a packager and an outside program do, with nothing but what was installed there. The program
# is that of engine/LIBRARY.md, word for word. KIND of library is shared, static or both.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

build=$1 source=$2 prefix=$3 libdir=$4 sanitizers=$5 kind=$6
begin install

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
libraries=$root$prefix/$libdir
export LD_LIBRARY_PATH=$libraries

for file in "$prefix/bin/lastbyte" "$prefix/include/lastbyte/lastbyte.h" \
    "$prefix/$libdir/pkgconfig/lastbyte.pc" "$prefix/share/man/man1/lastbyte.1" \
    "$prefix/share/man/man1/lastbyte-recv.1" "$prefix/share/man/man5/lastbyte-seal.5" \
    "$prefix/share/man/man7/lastbyte-tls.7" "$prefix/share/man/man3/lastbyte.3"; do
    [ -s "$root$file" ] || fail "$file is not installed"
done
for file in liblastbyte.so liblastbyte.so.1 liblastbyte.a; do
    wanted=yes
    case $kind:$file in
    static:*.so* | shared:*.a) wanted=no ;;
    esac
    [ -s "$libraries/$file" ] && found=yes || found=no
    [ "$wanted" = "$found" ] || fail "$file: wanted $wanted, found $found"
done
# What lastbyte.h includes, and nothing else.
headers=$(cd "$root$prefix/include" && find . -type f | sed 's,^\./,,' | sort)
parts=$(sed -n 's/^#include <\(.*\)>$/\1/p' "$root$prefix/include/lastbyte/lastbyte.h" |
    cat - <(echo lastbyte/lastbyte.h) | sort)
[ "$headers" = "$parts" ] || fail "installed are the headers: $headers"
if grep -rqF "$source" "$libraries/pkgconfig" "$root$prefix/include"; then
    fail "an installed file names the source directory"
fi

[[ $("$root$prefix/bin/lastbyte" --version) =~ ^lastbyte\ [0-9]+\.[0-9]+\.[0-9]+ ]] ||
    fail "the installed command does not run"
if command -v man >/dev/null; then
    for page in "$root$prefix"/share/man/man[1357]/*; do
        LC_ALL=C man --warnings --local-file "$page" >"$root/page" 2>"$root/warnings" ||
            fail "man can't read $page"
        [ ! -s "$root/warnings" ] || fail "$page: man warns: $(cat "$root/warnings")"
    done
fi

if command -v mandoc >/dev/null; then
    mandoc -T lint -W error "$root$prefix"/share/man/man[1357]/* || fail "mandoc finds errors"
fi

# Every function of the library is in a page.
while read -r function; do
    grep -qrF "${function//_/\\_}(" "$root$prefix/share/man/man3" ||
        grep -qrF "$function(" "$root$prefix/share/man/man3" || fail "no page has $function"
done < <(sed -n 's/^ *\(lb_[a-z0-9_]*\);$/\1/p' "$source/engine/lastbyte.map")

export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$libraries/pkgconfig
[ "$(pkg-config --modversion lastbyte)" = "$("$root$prefix/bin/lastbyte" --version |
    cut -d ' ' -f 2)" ] || fail "lastbyte.pc and the command name different versions"

# The first C block of that page is a whole program.
awk '/^```c$/ { on = 1; next } /^```$/ && on { exit } on' "$source/engine/LIBRARY.md" \
    >"$root/program.c"
cmp -s "$root/program.c" <(sed 1,2d "$source/engine/examples/lines.c") ||
    fail "LIBRARY.md shows another program than engine/examples/lines.c"
grep -q 'int main' "$root/program.c" || fail "LIBRARY.md has no C program"

read -ra cflags < <(pkg-config --cflags lastbyte)
cflags+=(-std=c11 -Wall -Wextra -Werror)
[ "$sanitizers" = none ] || cflags+=("-fsanitize=$sanitizers")
read -ra shared < <(pkg-config --libs lastbyte)
read -ra static < <(pkg-config --static --libs lastbyte)
static=("${static[@]/#-llastbyte/-l:liblastbyte.a}")
compiler=${CC:-cc}
if [ "$kind" != static ]; then
    "$compiler" "${cflags[@]}" -o "$root/shared" "$root/program.c" "${shared[@]}"
    readelf --dynamic "$root/shared" | grep -q 'NEEDED.*\[liblastbyte\.so\.1\]' ||
        fail "the shared program does not use the shared library"
fi
if [ "$kind" != shared ]; then
    "$compiler" "${cflags[@]}" -o "$root/static" "$root/program.c" "${static[@]}"
    if readelf --dynamic "$root/static" | grep -q 'NEEDED.*liblastbyte'; then
        fail "the static program uses the shared library"
    fi
fi

# Sends three lines to the program, on whatever port it got.
try_program() {
    local line address=
    exec 3< <(exec "$1" 127.0.0.1:0 2>&1)
    while [ -z "$address" ] && IFS= read -r -t 20 line <&3; do
        address=${line#listening on }
    done
    printf 'one\ntwo\nthree\n' | "$root$prefix/bin/lastbyte" send "$address"
    IFS= read -r -t 20 line <&3 || fail "$1 says nothing"
    exec 3<&-
    [[ $line =~ ^127\.0\.0\.1:[0-9]+:\ 3\ lines,\ 14\ bytes,\ eof$ ]] ||
        fail "$1 says '$line'"
}

[ "$kind" = static ] || try_program "$root/shared"
[ "$kind" = shared ] || try_program "$root/static"
