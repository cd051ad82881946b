#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"

usage() {
	cat <<END
usage: scripts/analyze.sh [cppcheck] [clang-tidy] [gcc] [valgrind]

Looks for mistakes in lib/, plugin/ and ctl/ with tools that need longer than tests
may take; all of them unless told otherwise. Fails when one has something to say
that is not explained, in .clang-tidy, in this script or where it stands.
Installs the tools when they are missing.

  cppcheck    seconds; a test does it too
  clang-tidy  minutes; the checks of .clang-tidy, and clang's analyzer
  gcc         a minute; gcc's own analyzer
  valgrind    minutes; stories on a broker under memcheck, with the release build,
              which no sanitizer has changed
  --help
END
}

tools=("$@")
for tool; do
	case $tool in
	cppcheck | clang-tidy | gcc | valgrind) ;;
	-h | --help) usage && exit ;;
	*) usage >&2 && exit 2 ;;
	esac
done
[ ${#tools[@]} -gt 0 ] || tools=(cppcheck clang-tidy gcc valgrind)

build=$root/build/analyze
logs=$build/logs
jobs=$(nproc)

sources() { git -c safe.directory='*' ls-files 'lib/*.c' 'plugin/*.c' 'ctl/*.c'; }

configure() {
	run_quietly "$logs/configure.log" cmake --preset release -S "$root" -B "$build" \
		-DPRESENCE_TESTS=OFF || die "cmake failed (above)"
}

# Each writes what it has to say to a file, and fails when that is anything.

look_cppcheck() { "$root/tests/scripts/check-cppcheck.sh" >"$1" 2>&1; }

look_clang_tidy() {
	local count=0 total file folder=$build/clang-tidy
	# Not the release: clang 14 refuses some of its flags.
	run_quietly "$logs/clang-tidy-configure.log" cmake --preset dev -S "$root" -B "$folder" \
		-DPRESENCE_TESTS=OFF || die "cmake failed (above)"
	rm -f "$logs"/tidy-*.log
	total=$(sources | wc -l)
	# gcc's flags that clang 14 does not know are no news.
	while IFS= read -r file; do
		count=$((count + 1))
		[ ! -t 1 ] || printf '\r    %d of %d files ' "$count" "$total"
		while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
		clang-tidy -p "$folder" --quiet --extra-arg=-Wno-unknown-warning-option "$file" \
			>"$logs/tidy-${file//\//-}.log" 2>/dev/null || true &
	done < <(sources)
	wait
	[ ! -t 1 ] || printf '\r'
	sed "s|$root/||" "$logs"/tidy-*.log >"$1"
	! grep -qE '(error|warning): ' "$1"
}

# gcc 12 loses sight of memory whose owner was just copied into place, and calls it leaked. Real
# leaks are LeakSanitizer's to find, in every test.
gcc_wrong=-Wno-analyzer-malloc-leak

look_gcc() {
	local folder=$build/gcc
	run_quietly "$logs/gcc-configure.log" cmake --preset release -S "$root" -B "$folder" \
		-DPRESENCE_TESTS=OFF "-DCMAKE_C_FLAGS=-fanalyzer $gcc_wrong" ||
		die "cmake failed (above)"
	# Warnings are errors; all files, whichever fail.
	cmake --build "$folder" --clean-first --parallel "$jobs" -- -k 0 >"$1" 2>&1
}

look_valgrind() {
	configure
	cmake --build "$build" --parallel "$jobs" >"$logs/valgrind-build.log" 2>&1 ||
		die "the build failed; see $logs/valgrind-build.log"
	rm -rf "$build/valgrind"
	# Who connects and goes, what is declared, and a Redis that fails; then churn.
	PRESENCE_BROKER_WRAPPER="valgrind --quiet --leak-check=full --show-leak-kinds=definite \
		--num-callers=30 --suppressions=$root/tests/e2e/mosquitto.supp" \
		PYTHONDONTWRITEBYTECODE=1 PATH=$PATH:/usr/sbin \
		/usr/bin/python3 -m pytest -q -ra -p no:cacheprovider --broker=2.0.11 --soak=60 \
		--plugin="$build/plugin/mosquitto_presence.so" --basetemp="$build/valgrind" \
		"$root"/tests/e2e/test_{sessions,declared,commands,identity,soak}.py >"$1" 2>&1
}

cd "$root"
mkdir -p "$logs"
packages_install build demo test analyze
failed=()
for tool in "${tools[@]}"; do
	say "$tool"
	from=$SECONDS
	if "look_${tool//-/_}" "$logs/$tool.log"; then
		echo "    nothing, in $((SECONDS - from)) s"
	else
		tail -n 60 "$logs/$tool.log"
		failed+=("$tool")
	fi
done
[ ${#failed[@]} = 0 ] || die "${failed[*]} found something; logs are in build/analyze/logs/"
