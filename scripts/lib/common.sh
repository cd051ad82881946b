# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash
# Small things the scripts here share. To be sourced; sets $root and the colours, runs nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Colour only for eyes: not in a file, not where NO_COLOR asks for none.
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' yellow='' plain=''
fi
export bold dim red green yellow plain

say() { printf '%s\n' "$bold==>$plain $*"; }
die() {
	printf '%s\n' "${red}error:$plain $*" >&2
	exit 1
}

# run_quietly LOG COMMAND...: its output goes to LOG, and is shown only when it fails.
run_quietly() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null && return
	tail -n 60 "$log" >&2
	return 1
}

# wait_for SECONDS COMMAND...: until it succeeds; false when it does not in time.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# A loopback port nobody listens on, below the range the kernel hands out by itself.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# end_process PID...: politely, and after 5 s for certain. Wakes what was stopped.
end_process() {
	local pid
	for pid; do
		kill -TERM "$pid" 2>/dev/null || continue
		kill -CONT "$pid" 2>/dev/null || true
	done
	for pid; do
		wait_for 5 process_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# True for a zombie too: a child we have not waited for.
process_gone() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	[[ $stat == *") Z "* ]]
}
