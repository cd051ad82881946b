#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"

usage() {
	cat <<END
usage: scripts/bench.sh [--quick] [--huge] [--write]

Builds the plugin as users do and measures it. Brokers under the same loads side
by side: bare, with a plugin that only publishes, with one that waits for Redis,
with the example that comes with Mosquitto, and with presence. Then restarts and
watchers with 100,000 retained records, brokers with nothing to do, the state
machine by itself, and the script of Redis. Prints tables; bench/README.md says
how to read them. Takes ten minutes; on a busy machine it leaves things out
rather than take much longer, and says which.
Everything runs on loopback, in a temporary folder.
Fails when a transition is lost, comes twice or out of order.

  --quick   about a minute: one version, few repetitions, no million devices
  --huge    about half an hour: also ten million devices in the state machine,
            which takes 4 GiB of memory, and a million subjects in Redis
  --write   put the tables into bench/RESULTS.md too, with plots
  --help
END
}

options=()
for option; do
	case $option in
	--quick | --huge) options+=("$option") ;;
	--write) options+=(--write "$root/bench/RESULTS.md") ;;
	-h | --help) usage && exit ;;
	*) usage >&2 && exit 2 ;;
	esac
done

build=$root/build/bench
cd "$root"
mkdir -p "$root/build/logs"
packages_install build demo test
say "fetching the other versions of the broker"
"$root/scripts/fetch-brokers.sh" || say "they cannot be fetched: only the system's is measured"
say "fetching Mosquitto's example of a plugin"
run_quietly "$root/build/logs/bench-example.log" "$root/bench/fetch-example.sh" ||
	say "it cannot be fetched: everything else is measured"
say "building"
run_quietly "$root/build/logs/bench-configure.log" cmake --preset release -S "$root" -B "$build" \
	-DPRESENCE_TESTS=OFF -DPRESENCE_BENCH=ON || die "cmake failed (above)"
run_quietly "$root/build/logs/bench-build.log" cmake --build "$build" ||
	die "the build failed (above)"
say "measuring; best while nothing else runs"
exec python3 "$root/bench/run.py" --build "$build" "${options[@]}"
