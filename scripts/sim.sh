#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

usage() {
	cat <<END
usage: scripts/sim.sh [COUNT [FIRST]]

Runs COUNT simulated histories (a million unless told otherwise) from seed FIRST on, on
all cores: about 350 a second and core. Ends with the first that fails: its seed, what
is wrong, and the shortest list of operations that shows it. tests/sim/README.md says
how to go on from there.

  FIRST        a number that changes every day, unless it is given
  PRESET=dev   with sanitizers, at a tenth of the speed
END
}

case "${1:-}" in
-h | --help) usage && exit ;;
-*) usage >&2 && exit 2 ;;
esac

count=${1:-1000000}
day=$(($(date +%s) / 86400))
first=${2:-$((day * 10000000))}
preset=${PRESET:-release}
build=$root/build/$preset
cmake --preset "$preset" -S "$root" >/dev/null
cmake --build "$build" --target sim >/dev/null

jobs=$(nproc)
each=$(((count + jobs - 1) / jobs))
logs=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$logs"' EXIT
for ((i = 0; i < jobs; i++)); do
	"$build/tests/sim/sim" --first $((first + i * each)) --count "$each" >"$logs/$i" 2>&1 &
	pids+=($!)
done
failed=0
for ((i = 0; i < jobs; i++)); do
	wait "${pids[i]}" || failed=1
	cat "$logs/$i"
done
exit $failed
