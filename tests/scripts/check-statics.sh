#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# No library keeps state outside its structs: nothing in .data or .bss. $@: the archives
set -eu
for archive; do
	objdump --syms "$archive" >/dev/null # or fail
done
found=$(objdump --syms "$@" | awk '$3 == "O" && $4 ~ /^\.(data|bss)($|\.[^r])/ ||
	$3 == "O" && $4 == "*COM*" { print $NF }')
[ -z "$found" ] || { echo "mutable statics: $found"; exit 1; }
