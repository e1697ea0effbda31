#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# alone_test.sh MESON SOURCE: the library needs libc, liburing, libxxhash and libcrypto, and nothing
# else: built where no other package is to be found, as a part of another project. The program in
# there is that of engine/LIBRARY.md. And what is not implemented yet can't be asked for.
set -euo pipefail

# shellcheck source=tests/rigs/rig.sh
. "${BASH_SOURCE[0]%/*}/../rigs/rig.sh"

meson=$1 source=$2
begin alone
log=$root/log
explaining=("$log")

# The only packages that there are.
mkdir -p "$root/packages" "$root/outside/subprojects"
for package in liburing libxxhash libcrypto; do
    cp "$(pkg-config --variable=pcfiledir "$package")/$package.pc" "$root/packages"
done
export PKG_CONFIG_LIBDIR=$root/packages
unset PKG_CONFIG_PATH
! pkg-config --exists jansson || fail "jansson is not hidden"

ln -s "$source" "$root/outside/subprojects/lastbyte"
awk '/^```c$/ { on = 1; next } /^```$/ && on { exit } on' "$source/engine/LIBRARY.md" \
    >"$root/outside/program.c"
cat >"$root/outside/meson.build" <<'PROJECT'
project('outside', 'c')
subproject('lastbyte')
lastbyte = dependency('lastbyte', version: '>=0.1.0')
executable('program', 'program.c', dependencies: lastbyte)
PROJECT
"$meson" setup --buildtype=plain "$root/build" "$root/outside" >"$log" 2>&1 ||
    fail "can't be set up in another project"
"$meson" compile -C "$root/build" >"$log" 2>&1 || fail "can't be built in another project"
if find "$root/build" -name 'lastbyte' -type f -o -name '*_test' -type f | grep .; then
    fail "in another project there is more than the library"
fi
library=$(find "$root/build" -name 'liblastbyte.so.1')
[ -n "$library" ] || fail "no shared library"
more=$(readelf --dynamic "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(libc|libpthread|ld-[a-z0-9_-]*|liburing|libxxhash|libcrypto)\.so\.' || true)
[ -z "$more" ] || fail "the library needs more: $more"

exec 3< <(exec "$root/build/program" 127.0.0.1:0 2>&1)
IFS= read -r -t 20 line <&3 || fail "the program says nothing"
exec 4>"/dev/tcp/127.0.0.1/${line##*:}"
printf 'one\ntwo\nthree\n' >&4
exec 4>&-
IFS= read -r -t 20 line <&3 || fail "the program counts nothing"
[[ $line == *": 3 lines, 14 bytes, eof" ]] || fail "the program says '$line'"

# set_up OPTION...
set_up() {
    rm -rf "$root/own"
    "$meson" setup "$root/own" "$source" -Dtests=false -Dbench=disabled "$@" >"$log" 2>&1
}

set_up -Dcommand=disabled || fail "-Dcommand=disabled needs more than the library's packages"
# Which libraries are installed is default_library's to say.
for kind in static shared; do
    set_up -Dcommand=disabled "-Ddefault_library=$kind" || fail "no -Ddefault_library=$kind"
    libraries=$("$meson" introspect --installed "$root/own" |
        grep -oE 'liblastbyte\.(a|so)' | sort -u | tr '\n' ' ')
    case $kind:$libraries in
    'static:liblastbyte.a ' | 'shared:liblastbyte.so ') ;;
    *) fail "-Ddefault_library=$kind installs '$libraries'" ;;
    esac
done
set_up || fail "without jansson the command is not left out"
! set_up -Dcommand=enabled || fail "-Dcommand=enabled can't do without jansson"
grep -q jansson "$log" || fail "-Dcommand=enabled doesn't say that jansson is missing"
! set_up -Dtls=enabled || fail "-Dtls=enabled can't do without libssl"
grep -q libssl "$log" || fail "-Dtls=enabled doesn't say that libssl is missing"
! set_up -Ds3=enabled || fail "-Ds3=enabled is taken without the command"
grep -q "the sink s3 is the command's" "$log" || fail "-Ds3=enabled is refused unclearly"
