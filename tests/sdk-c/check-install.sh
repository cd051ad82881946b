#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# What users get of libpresence, from a clean prefix: $1 the build, $2 the sources, $3 flags that the
# library was built with and its users need.
set -eu
build=$1 sources=$2 flags=$3
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
wrong() { echo "$1"; exit 1; }

cmake --install "$build" --component client-sdk --prefix "$prefix/usr" >/dev/null
# Nothing of it may remember where it was made to go.
mv "$prefix/usr" "$prefix/moved"
library=$(find "$prefix/moved" -name libpresence.so)
[ -n "$library" ] || wrong "no libpresence.so"

soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = libpresence.so.0 ] || wrong "SONAME $soname"
[ -e "$(dirname "$library")/$soname" ] || wrong "no file $soname"
declared=$(grep -v '^typedef' "$prefix/moved/include/presence_client.h" |
	grep -oE '\b(presence_client_[a-z_]+|presence_strerror)\(' | tr -d '(' | sort -u)
exported=$(nm --dynamic --defined-only --with-symbol-versions "$library" |
	sed -nE 's/.* T (presence_[a-z_]+)@@LIBPRESENCE_0$/\1/p' | sort)
[ -n "$exported" ] || wrong "nothing is exported"
[ "$declared" = "$exported" ] || wrong "declared: $declared; exported: $exported"
others=$(nm --dynamic --defined-only "$library" | awk '$2 != "A" { print $3 }' |
	grep -vE '^presence_(client_|strerror)' || true)
[ -z "$others" ] || wrong "exported too: $others"

# shellcheck disable=SC2086 # several flags
cc $flags -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c \
	"$prefix/moved/include/presence_client.h"
PKG_CONFIG_PATH=$(dirname "$library")/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086
cc $flags -D_GNU_SOURCE "$sources/examples/watch-c/watch.c" -o "$prefix/watch" \
	$(pkg-config --cflags --libs presence)
cmake -S "$sources/examples/agent-c" -B "$prefix/agent" -DCMAKE_C_FLAGS="$flags" \
	-DCMAKE_PREFIX_PATH="$prefix/moved" >/dev/null
cmake --build "$prefix/agent" >/dev/null
LD_LIBRARY_PATH=$(dirname "$library") "$prefix/agent/example_agent" 2>&1 | grep -q '^usage: agent' ||
	wrong "the example does not run"
