#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Installs what package-lock.json of each FOLDER says, from the npm registry, unless it is there.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
[ $# -gt 0 ] || die "usage: scripts/npm-ci.sh FOLDER..."

for folder; do
	cd "$root/$folder"
	stamp=node_modules/.installed
	want=$(sha256sum package-lock.json)
	# Two at a time would delete what the other one has just written.
	exec 9>"${TMPDIR:-/tmp}/presence-npm-$(id -u)-${folder//\//-}.lock"
	flock 9
	if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
		say "$folder: is there"
	else
		say "$folder: npm ci ($(grep -c '"integrity"' package-lock.json) packages)"
		log=$(mktemp)
		run_quietly "$log" npm ci --no-audit --no-fund || die "$folder: npm ci failed (above); is the network there?"
		rm -f "$log"
		echo "$want" >"$stamp"
	fi
	flock -u 9
done
