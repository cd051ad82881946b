#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# No script gives shellcheck anything to say.
set -eu
. "$(dirname "$0")/files.sh"
command -v shellcheck >/dev/null || { echo "no shellcheck"; exit 77; }
files=$(our_files '*.sh' .ci/run)
[ -n "$files" ]
status=0
for file in $files; do
	# What is sourced is read along with what sources it.
	head -n 1 "$file" | grep -q '^#!' || continue
	shellcheck --external-sources --source-path=SCRIPTDIR "$file" || status=1
done
exit $status
