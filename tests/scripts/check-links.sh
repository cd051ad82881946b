#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Every relative link in the docs leads to a file.
set -eu
. "$(dirname "$0")/files.sh"
files=$(our_files '*.md')
[ -n "$files" ]
broken=$(for file in $files; do
	grep -oE '\]\([^)# ]+[^) ]*\)' "$file" | sed -E 's/^\]\(//; s/(#.*)?\)$//' |
		grep -vE '^[a-z]+:' | while IFS= read -r target; do
			[ -e "$(dirname "$file")/$target" ] || echo "$file: no $target"
		done
done)
[ -z "$broken" ] || { echo "$broken"; exit 1; }
