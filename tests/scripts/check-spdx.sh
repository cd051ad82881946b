#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Every source says its licence, in its first line, or second after #!.
set -eu
. "$(dirname "$0")/files.sh"
files=$(our_files '*.c' '*.h' '*.def' '*.lua' '*.sh' '*.py' '*.cmake' '*.js' '*.mjs' '*.jsx' '*.ts' '*.html' \
	.ci/run '*CMakeLists.txt')
[ -n "$files" ]
status=0
for file in $files; do
	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause' || {
		echo "$file: no SPDX line"
		status=1
	}
done
exit $status
