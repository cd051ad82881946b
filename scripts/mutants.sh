#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

usage() {
	cat <<END
usage: scripts/mutants.sh [NAME]...

Makes each mistake of tests/sim/mutants.txt, in a copy of the sources, and lets the
simulation look for it. Says which seed found it; fails when one is not found.
The mistakes in scripts for Redis are made in their model, which sim.honest holds to
the real ones.

  SEEDS=10000  seeds to try for each
  --help
END
}

case "${1:-}" in
-h | --help) usage && exit ;;
-*) usage >&2 && exit 2 ;;
esac

seeds=${SEEDS:-10000}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/tree"
tar -C "$root" --exclude=./build --exclude=./.git --exclude=./.cache --exclude=node_modules -cf - . |
	tar -C "$copy/tree" -xf -
cmake -S "$copy/tree" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	-DCMAKE_C_FLAGS=-w >"$copy/log"

build() {
	cmake --build "$copy/build" --target sim -j "$(nproc)" >"$copy/log" 2>&1 || {
		cat "$copy/log"
		return 1
	}
}

look() {
	"$copy/build/tests/sim/sim" --count "$seeds" --brief >"$copy/found" 2>&1
}

build
look || { echo "without any mistake, the simulation fails already:"; cat "$copy/found"; exit 1; }

killed=0 total=0
survivors=()
while IFS='|' read -r -u 3 name file rest; do
	case $name in '' | '#'*) continue ;; esac
	[ $# -eq 0 ] || [[ " $* " = *" $name "* ]] || continue
	# The sed script may hold bars, what it does may not.
	script=${rest%|*} what=${rest##*|}
	total=$((total + 1))
	cp "$copy/tree/$file" "$copy/before"
	sed -i "$script" "$copy/tree/$file"
	if cmp -s "$copy/tree/$file" "$copy/before"; then
		echo "$name: nothing in $file is changed by it"
		survivors+=("$name")
		continue
	fi
	build || { echo "$name: does not compile"; exit 1; }
	if look; then
		survivors+=("$name")
		printf '%-20s SURVIVES %s seeds: %s\n' "$name" "$seeds" "$what"
	else
		killed=$((killed + 1))
		seed=$(grep -om1 'seed [0-9]*' "$copy/found" || echo crash)
		printf '%-20s %-10s %s\n' "$name" "$seed" "$what"
	fi
	cp "$copy/before" "$copy/tree/$file"
done 3<"$copy/tree/tests/sim/mutants.txt"

echo "$killed of $total mistakes found"
[ ${#survivors[@]} -eq 0 ] && [ "$total" -gt 0 ]
