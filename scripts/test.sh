#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"

usage() {
	cat <<END
usage: scripts/test.sh [--quick]

Builds mosquitto-presence three times and runs its tests with ctest:
  release   as users build it: everything but the stories, a soak on each broker,
            and what only that build can show
  tsan      ThreadSanitizer: what has threads, with the stories on one broker
  dev       AddressSanitizer and UndefinedBehaviorSanitizer: everything, with the
            stories on three versions of the broker
Installs what is missing (apt, on Debian), and fetches two more versions of the
broker into .cache/ to test against. The last line sums up, as ctest does.

  --quick   unit, golden, property and static tests of dev only: no broker, no Redis
  --help
END
}

quick=
case "${1:-}" in
'') ;;
--quick) quick=yes ;;
-h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac

jobs=$(nproc)
logs=$root/build/logs
results=()
total=0 failed=0
started=$SECONDS

# build PRESET
build() {
	say "$1: building"
	run_quietly "$logs/$1-configure.log" cmake --preset "$1" -S "$root" ||
		die "$1: cmake failed (above)"
	cmake --build "$root/build/$1" --parallel "$jobs" || die "$1: the build failed (above)"
}

# run_tests PRESET [CTEST OPTION...]
run_tests() {
	local preset=$1 from=$SECONDS line workers=2
	shift
	say "$preset: testing"
	# gcc 12's ThreadSanitizer cannot live with all the randomness that newer kernels have.
	local ctest=(ctest)
	[ "$preset" != tsan ] || ! setarch -R true 2>/dev/null || ctest=(setarch -R ctest)
	# Stories of one broker run so many at a time; dev runs three brokers at once, tsan one.
	[ "$preset" != tsan ] || workers=4
	export PYTEST_XDIST_AUTO_NUM_WORKERS=$workers
	# Tests wait more than they work: one more at a time than there are processors. What ctest
	# found decides; its closing line says how many.
	"${ctest[@]}" --test-dir "$root/build/$preset" --output-on-failure --no-tests=error \
		--timeout 300 --parallel $((jobs + 1)) "$@" 2>&1 | tee "$logs/$preset-tests.log" || true
	line=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' \
		"$logs/$preset-tests.log" | tail -n 1) || die "$preset: ctest did not finish"
	[[ $line =~ passed,\ ([0-9]+)\ .*\ ([0-9]+)$ ]]
	failed=$((failed + BASH_REMATCH[1]))
	total=$((total + BASH_REMATCH[2]))
	results+=("$(printf '%-8s %4d run, %d failed, %d s' \
		"$preset" "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]}" $((SECONDS - from)))")
}

summary() {
	local line
	say "$((SECONDS - started)) s; logs are in build/logs/"
	for line in "${results[@]}"; do
		echo "    $line"
	done
	if [ "$failed" -gt 0 ]; then
		sed -n '/^The following tests FAILED/,/^Errors/p' "$logs"/*-tests.log | grep -v '^Errors'
	fi
	echo
	echo "$((total == 0 ? 0 : 100 * (total - failed) / total))% tests passed," \
		"$failed tests failed out of $total"
	[ "$failed" -eq 0 ]
}

cd "$root"
mkdir -p "$logs"
rm -f "$logs"/*-tests.log
packages_install build demo test
if [ -n "$quick" ]; then
	build dev
	run_tests dev --label-exclude 'e2e|soak|redis'
else
	say "fetching the other versions of the broker"
	"$root/scripts/fetch-brokers.sh" || die "they cannot be fetched; --quick does without"
	build release
	run_tests release --label-exclude e2e
	build tsan
	run_tests tsan --exclude-regex '^(golden|property|unit.core|unit.wire|static|soak|e2e-2.0)'
	build dev
	run_tests dev --label-exclude soak
fi
summary
