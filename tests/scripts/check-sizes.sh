#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# A file of lib/, plugin/, ctl/ or client-sdk/c/ has at most 400 lines, a function at most 70. Past that, split by idea.
set -eu
. "$(dirname "$0")/files.sh"
files=$(our_files 'lib/*.c' 'lib/*.h' 'plugin/*.c' 'plugin/*.h' 'ctl/*.c' 'ctl/*.h' \
	'client-sdk/c/*.c' 'client-sdk/c/*.h' | grep -E '^(lib|plugin|ctl|client-sdk/c)/')
[ -n "$files" ]
# shellcheck disable=SC2086
awk '
	FNR == 1 { lines[FILENAME] = 0; start = 0 }
	{ lines[FILENAME]++ }
	/^\{/ { start = FNR }
	/^\}/ && start {
		if (FNR - start - 1 > 70) {
			printf "%s:%d: a function of %d lines\n", FILENAME, start, FNR - start - 1
			bad = 1
		}
		start = 0
	}
	END {
		for (file in lines)
			if (lines[file] > 400) {
				printf "%s: %d lines\n", file, lines[file]
				bad = 1
			}
		exit bad
	}
' $files
