#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

usage() {
	cat <<END
usage: scripts/faults.sh [OPTION...] [PYTEST OPTION...]

Everything in tests/fault: Redis, the network, the broker, memory and disks fail under
load, and the books are balanced. Ends with a line of figures for each story. As root,
for cables to pull and disks to fill; without, those stories are skipped.

  --minutes N     also talk for N minutes, up to a million transitions, while Redis is
                  killed every 30 seconds and the broker every 60; says how far it is.
                  With --only-long nothing else
  --crowd N       so many clients come back at once after a restart (1000)
  --broker NAME   2.0.11, 2.0.21 or 2.1 (2.1)
  --seed N        what an earlier run said it used
  PRESET=dev      with sanitizers
END
}

preset=${PRESET:-release}
broker=2.1
only=()
more=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage && exit ;;
	--minutes | --crowd) more+=("$1=$2") && shift ;;
	--only-long) only=(-k test_a_million_transitions) ;;
	--broker) broker=$2 && shift ;;
	--seed) export PRESENCE_FAULT_SEED=$2 && shift ;;
	*) more+=("$1") ;;
	esac
	shift
done

build=${BUILD:-$root/build/$preset}
"$root/scripts/fetch-brokers.sh" >/dev/null
cmake --preset "$preset" -S "$root" -B "$build" >/dev/null
cmake --build "$build" --target mosquitto_presence presencectl >/dev/null
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m pytest -q -s -ra -p no:cacheprovider --broker="$broker" \
	--plugin="$build/plugin/mosquitto_presence.so" "${only[@]}" "${more[@]}" "$root/tests/fault"
