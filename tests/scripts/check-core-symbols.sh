#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The core is pure: all it may need from outside is memory and strings. $1: libpresence_core.a
set -eu
allowed='
calloc free malloc realloc
memchr memcmp memcpy memmove memset __memcpy_chk __memmove_chk __memset_chk
strcmp strlen strncmp strnlen
__assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_
'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
nm --defined-only "$1" | awk 'NF == 3 { print $3 }' >"$folder/defined"
nm --undefined-only "$1" | awk 'NF == 2 { print $2 }' | sort -u >"$folder/needed"
[ -s "$folder/defined" ]
echo "$allowed" | tr ' ' '\n' | sort -u - "$folder/defined" >"$folder/allowed"
extra=$(comm -13 "$folder/allowed" "$folder/needed")
[ -z "$extra" ] || { echo "core needs from outside:" "$extra"; exit 1; }
