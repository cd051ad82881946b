#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Every status and reason there is stands in docs/PROTOCOL.md.
set -eu
words=$(sed -nE 's/^PRESENCE_(STATUS|REASON)\(.*"(.*)"\)$/\2/p' \
	lib/core/statuses.def lib/core/reasons.def)
[ "$(echo "$words" | wc -l)" -ge 20 ]
status=0
for word in $words; do
	grep -q "\`$word\`" docs/PROTOCOL.md || {
		echo "docs/PROTOCOL.md does not know $word"
		status=1
	}
done
exit $status
