#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"

usage() {
	cat <<END
usage: scripts/coverage.sh [--quick]

Builds with counters, runs the unit, golden, property, fuzz and Redis tests, and
prints how many lines and branches of lib/ they executed, by file. What they did
not is in build/coverage/report/index.html.
Installs gcovr when it is missing.

  --quick   without Redis
  --help
END
}

exclude='static|e2e|soak|sim'
case "${1:-}" in
'') ;;
--quick) exclude+='|redis' ;;
-h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac

build=$root/build/coverage
cd "$root"
mkdir -p "$build/report"
packages_install build demo test coverage
say "building with counters into build/coverage"
run_quietly "$build/configure.log" cmake --preset coverage -S "$root" -B "$build" ||
	die "cmake failed (above)"
run_quietly "$build/build.log" cmake --build "$build" --parallel "$(nproc)" ||
	die "the build failed (above)"
find "$build" -name '*.gcda' -delete # of runs before
say "testing"
ctest --test-dir "$build" --label-exclude "$exclude" --exclude-regex '^e2e' --timeout 600 \
	--parallel "$(nproc)" --output-on-failure --no-tests=error >"$build/tests.log" 2>&1 ||
	say "not all of them passed; see build/coverage/tests.log"
grep -E '^[0-9]+% tests passed' "$build/tests.log"
say "lib/, in percent"
# assert() is for our own mistakes: no test takes its other way.
report=(gcovr --root "$root" --object-directory "$build" --filter 'lib/'
	--exclude '.*/reference_main.c' --exclude-branches-by-pattern '.*\bassert\(.*'
	--exclude-unreachable-branches)
"${report[@]}" --html-details "$build/report/index.html" --csv "$build/report/lib.csv"
awk -F, 'NR > 1 {
		printf "    %-32s %6.1f %6.1f\n", $1, 100 * $4, 100 * $7
		lines += $2; hit += $3; branches += $5; taken += $6
	} END {
		printf "    %-32s %6.1f %6.1f   (%d of %d lines, %d of %d branches)\n", "lib/",
			100 * hit / lines, 100 * taken / branches, hit, lines, taken, branches
	}' "$build/report/lib.csv"
