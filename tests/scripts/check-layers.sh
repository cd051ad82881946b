#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Includes point downwards only: core < wire < store < plugin; wire < ctl, client-sdk. Core is pure, and of
# lib/ and plugin/ only the latter knows `struct mosquitto`.
set -eu
. "$(dirname "$0")/files.sh"
status=0

# forbid FOLDER PATTERN WHY
forbid() {
	files=$(our_files "$1/*.c" "$1/*.h" | grep "^$1/" || true)
	[ -n "$files" ] || { echo "$1: no files"; status=1; return; }
	# shellcheck disable=SC2086
	if grep -nE "$2" $files /dev/null; then
		echo "$1: $3"
		status=1
	fi
}

forbid lib/core '#include ["<](\.\./)*(wire|store|plugin)/' "core is the lowest layer"
forbid lib/wire '#include ["<](\.\./)*(store|plugin)/' "wire stands below store"
forbid lib/store '#include ["<](\.\./)*plugin/' "store stands below the plugin"
forbid lib/core '#include <(time|stdio|pthread|threads|unistd|errno|fcntl|signal)\.h>' \
	"core has no clock, thread or I/O"
forbid lib/core '#include <sys/' "core has no clock, thread or I/O"
forbid lib/wire '#include <(pthread|threads|unistd|time)\.h>|#include <sys/socket' \
	"wire has no clock, thread or socket"
forbid ctl '#include ["<](\.\./)*(store|plugin)/' "presencectl stands on wire alone"
forbid client-sdk/c '#include ["<](\.\./)*(store|plugin|ctl)/' "libpresence stands on wire alone"
forbid lib 'struct mosquitto|#include <mosquitto' "only plugin/ knows the broker"
forbid plugin '#include <(hiredis|sqlite3)' "only store/ talks to Redis and SQLite"
exit $status
