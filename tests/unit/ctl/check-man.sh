#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The manual pages, as groff and mandoc read them. $@: the pages. Exit status 77: neither is here.
set -eu
status=77
if command -v mandoc >/dev/null; then
	[ "$status" -ne 77 ] || status=0
	mandoc -T lint -W style "$@" || status=1
fi
if command -v groff >/dev/null; then
	[ "$status" -ne 77 ] || status=0
	for page; do
		found=$(groff -man -T utf8 -ww -z "$page" 2>&1)
		[ -z "$found" ] || { echo "$found"; status=1; }
	done
fi
exit "$status"
