#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"

usage() {
	cat <<END
usage: scripts/fuzz.sh [--seconds N] [--minimise] [TARGET...]

Feeds what reads strangers' bytes, tests/fuzz, with bytes that libFuzzer makes up,
under AddressSanitizer and UndefinedBehaviorSanitizer, as many targets at a time as
there are processors. What it learns stays in build/fuzz/corpus/ and is where the
next run goes on. Fails when an input broke a target, and says where it is.
Installs clang and its runtime when they are missing: gcc has no libFuzzer.

  --seconds N   for each target; 60 unless told otherwise
  --minimise    afterwards, puts the fewest inputs that reach all that was reached
                into tests/fuzz/corpus/, beside what has a name there
  --help
END
}

seconds=60 minimise='' targets=()
while [ $# -gt 0 ]; do
	case $1 in
	--seconds) seconds=${2:-} && shift ;;
	--minimise) minimise=yes ;;
	-h | --help) usage && exit ;;
	-*) usage >&2 && exit 2 ;;
	*) targets+=("$1") ;;
	esac
	shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { usage >&2 && exit 2; }

build=$root/build/fuzz
logs=$build/logs
corpus=$root/tests/fuzz/corpus
if [ ${#targets[@]} = 0 ]; then
	for folder in "$corpus"/*/; do
		targets+=("$(basename "$folder")")
	done
fi
for target in "${targets[@]}"; do
	[ -d "$corpus/$target" ] || die "there is no target $target; tests/fuzz/corpus has them all"
done

# fuzz TARGET OPTION... FOLDER...: stops by itself.
fuzz() {
	local target=$1 dictionary=()
	shift
	[ ! -e "$root/tests/fuzz/dict/$target" ] ||
		dictionary=("-dict=$root/tests/fuzz/dict/$target")
	"$build/tests/fuzz/fuzz_$target" -timeout=10 -rss_limit_mb=2048 -max_len=2048 \
		-len_control=0 "-artifact_prefix=$build/found/$target-" "${dictionary[@]}" "$@"
}

# One line when it is done.
run_target() {
	local target=$1 log=$logs/$1.log status=0 runs
	mkdir -p "$build/corpus/$target"
	fuzz "$target" -max_total_time="$seconds" -print_final_stats=1 \
		"$build/corpus/$target" "$corpus/$target" >"$log" 2>&1 || status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	if [ "$status" = 0 ]; then
		printf '    %-12s %9d runs, %4d inputs\n' "$target" "${runs:-0}" \
			"$(find "$build/corpus/$target" -type f | wc -l)"
		return
	fi
	printf '    %-12s %9d runs, %sfailed%s\n' "$target" "${runs:-0}" "$red" "$plain"
	grep -E 'not so:|ERROR:|runtime error:|^ +#[0-9] .*(lib|plugin|ctl|tests)/|Test unit written' \
		"$log" | head -n 12
	return 1
}

minimise_target() {
	local target=$1 folder=$build/minimised/$1 file
	rm -rf "$folder"
	mkdir -p "$folder"
	# Edges only: how often each is taken would keep hundreds of inputs.
	fuzz "$target" -set_cover_merge=1 -use_counters=0 "$folder" "$corpus/$target" \
		"$build/corpus/$target" >"$logs/$target-minimise.log" 2>&1 ||
		die "$target could not be minimised; see $logs/$target-minimise.log"
	for file in "$corpus/$target"/*; do # what libFuzzer named, by the hash of its content
		[[ ! $(basename "$file") =~ ^[0-9a-f]{40}$ ]] || rm -f "$file"
	done
	for file in "$folder"/*; do
		find "$corpus/$target" -type f -exec cmp -s "$file" {} \; -print | grep -q . ||
			cp "$file" "$corpus/$target/"
	done
	printf '    %-12s %4d inputs, %s\n' "$target" \
		"$(find "$corpus/$target" -type f | wc -l)" "$(du -sh --apparent-size "$corpus/$target" | cut -f1)"
}

cd "$root"
mkdir -p "$logs" "$build/found"
packages_install build test fuzz
say "building with clang into build/fuzz"
run_quietly "$logs/configure.log" cmake --preset fuzz -S "$root" -B "$build" ||
	die "cmake failed (above)"
run_quietly "$logs/build.log" cmake --build "$build" --parallel "$(nproc)" --target \
	"${targets[@]/#/fuzz_}" || die "the build failed (above)"

say "${#targets[@]} targets, $seconds s each"
failed=0
for target in "${targets[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n || failed=$((failed + 1))
	done
	run_target "$target" &
done
while [ -n "$(jobs -p)" ]; do
	wait -n || failed=$((failed + 1))
	jobs >/dev/null # forgets those that ended
done
[ "$failed" = 0 ] || die "$failed targets failed; the inputs are in build/fuzz/found/. Run one again" \
	"with build/fuzz/tests/fuzz/fuzz_TARGET FILE, and keep it, named, in tests/fuzz/corpus/TARGET/"
if [ -n "$minimise" ]; then
	say "minimising"
	for target in "${targets[@]}"; do
		minimise_target "$target"
	done
fi
say "nothing found; logs are in build/fuzz/logs/"
