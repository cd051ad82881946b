#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Every program and library of a release is hardened as cmake/Harden.cmake means it to be: looked at
# in what was built, not in what was asked for. $1: the build folder; tests and benchmarks do not
# count.
set -eu
status=0
wrong() { echo "$file: $1"; status=1; }

has() { printf '%s\n' "$1" | grep -qE "$2"; }

check_segments() {
	program=$(readelf -Wl "$file")
	dynamic=$(readelf -Wd "$file")
	has "$(readelf -Wh "$file")" 'Type: +DYN' || wrong "is not position independent"
	has "$program" 'GNU_RELRO' || wrong "has no RELRO"
	has "$dynamic" 'BIND_NOW|FLAGS.*NOW' || wrong "has symbols that are not bound at load"
	has "$program" 'GNU_STACK.* RW ' || wrong "has an executable stack"
	! has "$program" 'LOAD.* RWE ' || wrong "has memory that is writable and executable"
	! has "$dynamic" 'TEXTREL' || wrong "has text relocations"
	! has "$dynamic" 'RPATH|RUNPATH' || wrong "has a search path of its own"
}

check_code() {
	symbols=$(nm --dynamic --undefined-only "$file")
	has "$symbols" '__stack_chk_fail' || wrong "is without stack protection"
	has "$symbols" '__(vsn|sn|f|v)?printf_chk|__mem(cpy|set|move)_chk|__str[a-z]+_chk' ||
		wrong "is without _FORTIFY_SOURCE"
	case $(readelf -Wh "$file" | sed -n 's/ *Machine: *//p') in
	*X86-64*)
		# The mark on the whole file needs a libc built with it; each function has its own.
		objdump -d --no-show-raw-insn "$file" | awk '
			/^[0-9a-f]+ <_?(init|fini|start|dl_.*|frame_dummy|(de)?register_tm_.*|__.*)>:$/ {
				next # of the compiler
			}
			/^[0-9a-f]+ <.*>:$/ { look = !/@plt/; next }
			look { look = 0; if (/endbr64/) marked++ }
			END { exit !marked }' || wrong "is without control-flow protection"
		;;
	esac
}

files=$(find "$1/plugin" "$1/ctl" "$1/client-sdk" "$1/gateway" -type f \
	\( -perm -100 -o -name '*.so*' \) ! -path '*/CMakeFiles/*' 2>/dev/null || true)
count=0
for file in $files; do
	readelf -h "$file" >/dev/null 2>&1 || continue
	count=$((count + 1))
	check_segments
	check_code
done
# The plugin and presencectl, at least.
[ "$count" -ge 2 ] || { echo "$count files to look at under $1"; exit 1; }
exit $status
