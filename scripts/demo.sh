#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/packages.sh
. "$root/scripts/lib/packages.sh"
# shellcheck source=lib/clients.sh
. "$root/scripts/lib/clients.sh"
PATH=$PATH:/usr/sbin:/sbin

usage() {
	cat <<END
usage: scripts/demo.sh [--check] [--broker 2.0|2.1]

Builds the plugin, starts a Redis and a Mosquitto of its own with it, lets people
come, go and vanish, and shows each transition as it is published. Serves an admin
panel and two agents' pages to look at, on this machine only, and prints their links.
Ctrl-C ends it; nothing is left behind but build/demo/ and what npm fetched. On
Debian, what is missing is installed through apt first, and said before.

  --check       one round, unattended: succeeds when every expected transition,
                and no other, came over MQTT and is in Redis, and the pages are served
  --broker 2.1  with Mosquitto 2.1, fetched into .cache/; it knows why a
                connection ended. The default is the system's broker.
  --help
END
}

check='' broker=2.0
while [ $# -gt 0 ]; do
	case $1 in
	--check) check=yes ;;
	--broker) broker=${2:-} && shift ;;
	-h | --help) usage && exit ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

prepare() {
	packages_install build demo
	say "building into build/demo"
	mkdir -p "$root/build/demo"
	run_quietly "$root/build/demo/configure.log" \
		cmake --preset release -S "$root" -B "$root/build/demo" -DPRESENCE_TESTS=OFF ||
		die "cmake failed (above)"
	cmake --build "$root/build/demo" --parallel "$(nproc)" || die "the build failed (above)"
	build_pages
	case $broker in
	2.0) mosquitto=(mosquitto) ;;
	2.1) fetched_broker ;;
	*) die "--broker is 2.0 or 2.1" ;;
	esac
}

build_pages() {
	"$root/scripts/npm-ci.sh" client-sdk/js || die "what the pages need cannot be fetched"
	local pages=$root/build/demo/pages
	node "$root/examples/admin-panel/build.js" "$pages/panel.html" >/dev/null ||
		die "the panel cannot be built (above)"
	node "$root/examples/agent-page/build.js" "$pages/agent.html" >/dev/null ||
		die "the agent's page cannot be built (above)"
}

fetched_broker() {
	local home=${PRESENCE_CACHE:-$root/.cache}/brokers/sid
	"$root/scripts/fetch-brokers.sh" sid || die "Mosquitto 2.1 cannot be fetched"
	mosquitto=("$home/root/lib64/ld-linux-x86-64.so.2" --library-path
		"$(<"$home/library-path")" "$home/root/usr/sbin/mosquitto")
}

# ---- servers, in a temporary folder ------------------------------------------------------------

folder=$(mktemp -d "${TMPDIR:-/tmp}/presence-demo.XXXXXX")
servers=()

clean_up() {
	trap '' INT TERM
	end_process "${client_pid[@]}" "${servers[@]}"
	rm -rf "$folder"
	[ -n "$check" ] || printf '\n%s\n' "Everything started here has ended, and $folder is gone."
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

redis() { redis-cli -s "$folder/redis.sock" "$@"; }
redis_answers() { [ "$(redis ping 2>/dev/null)" = PONG ]; }

start_redis() {
	redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' \
		--maxmemory-policy noeviction >"$folder/redis.log" 2>&1 &
	servers+=($!)
	wait_for 10 redis_answers || {
		cat "$folder/redis.log" >&2
		die "Redis did not start"
	}
}

write_configuration() {
	# Started as root, the broker would become the user mosquitto and lose this folder.
	[ "$(id -u)" != 0 ] || echo "user root"
	cat <<-END
		listener $port 127.0.0.1
		listener $ws_port 127.0.0.1
		protocol websockets
		allow_anonymous true
		set_tcp_nodelay true
		log_dest stderr
		plugin $root/build/demo/plugin/mosquitto_presence.so
		plugin_opt_node demo
		plugin_opt_redis_url unix://$folder/redis.sock
		plugin_opt_grace 1s
		plugin_opt_device_topics true
		plugin_opt_control_open true
	END
}

broker_answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$port" 4<>"/dev/tcp/127.0.0.1/$ws_port") 2>/dev/null
}
broker_settled() { broker_answers || process_gone "$broker_pid"; }

start_broker() {
	local attempt
	for attempt in 1 2 3; do # somebody may take a free port before us
		port=$(free_port) ws_port=$(free_port)
		write_configuration >"$folder/mosquitto.conf"
		"${mosquitto[@]}" -c "$folder/mosquitto.conf" >"$folder/mosquitto.log" 2>&1 &
		broker_pid=$!
		if wait_for 20 broker_settled && ! process_gone "$broker_pid"; then
			servers+=("$broker_pid")
			return
		fi
		end_process "$broker_pid"
		grep -q "Address already in use" "$folder/mosquitto.log" || break
	done
	cat "$folder/mosquitto.log" >&2
	die "the broker did not start (attempt $attempt)"
}

# ---- pages -------------------------------------------------------------------------------------

page_port() { [ -s "$folder/http" ]; }

serve_pages() {
	node "$root/scripts/lib/serve.mjs" "$root/build/demo/pages" >"$folder/http" 2>"$folder/http.log" &
	servers+=($!)
	wait_for 10 page_port || {
		cat "$folder/http.log" >&2
		die "the pages are not served"
	}
	pages=http://127.0.0.1:$(<"$folder/http")
}

# page_comes FILE TITLE: it is served, as what it is.
page_comes() {
	local page
	page=$(node -e 'fetch(process.argv[1]).then((answer) => answer.text()).then(console.log)' \
		"$pages/$1") || true
	[[ $page == *"<title>$2</title>"* ]] && return
	failed "the page $1; this came: ${page:0:200}"
}

start_crowd() {
	node "$root/examples/admin-panel/simulate.js" "mqtt://127.0.0.1:$port" 1.5 \
		>>"$folder/clients.log" 2>&1 &
	servers+=($!)
}

# ---- what is published -------------------------------------------------------------------------

# Each record becomes a line in $folder/seen: subject status previous reason devices rev.
# demo/ready is retained too, and subscribed last: once it came, nothing will be missed.
start_watching() {
	mosquitto_pub -h 127.0.0.1 -p "$port" -r -t demo/ready -m '"ready"'
	mkfifo "$folder/records"
	mosquitto_sub -h 127.0.0.1 -p "$port" -t 'presence/+/+' -t demo/ready \
		-F '{"at":"@H:@M:@S","record":%p}' >"$folder/records" 2>>"$folder/clients.log" &
	servers+=($!)
	: >"$folder/seen"
	jq --unbuffered -Rr 'fromjson? | .at as $at | .record | if . == "ready" then . else
			[$at, "\(.role)/\(.id)", .status, .previous, .reason, .devices, .rev] | @tsv
		end' <"$folder/records" | note_records &
	wait_for 10 test -e "$folder/ready" || die "nothing comes from the broker"
}

note_records() {
	local at subject status previous reason devices rev
	while IFS=$'\t' read -r at subject status previous reason devices rev; do
		if [ "$at" = ready ]; then
			: >"$folder/ready"
			continue
		fi
		[ -n "$check" ] || show_row "$at" "$subject" "$status" "$previous" "$reason" "$devices"
		echo "$subject $status $previous $reason $devices $rev" >>"$folder/seen"
	done
}

show_header() {
	printf '\n%s%-10s%-20s%-10s%-10s%-12s%s%s\n' \
		"$bold" TIME SUBJECT STATUS PREVIOUS REASON DEVICES "$plain"
}

show_row() {
	local colour=$green
	case $3 in
	offline) colour=$red ;;
	away | dnd) colour=$yellow ;;
	esac
	printf '%-10s%-20s%s%-10s%s%-10s%-12s%s\n' "$1" "$2" "$colour" "$3" "$plain" "$4" "$5" "$6"
}

# ---- the story ---------------------------------------------------------------------------------

failures=0
declare -A shown=() # how many records of a subject were expected so far

act() {
	if [ -z "$check" ]; then
		wait_for 2 false || true # a pace to read at
		printf '%s\n' "$dim          $*$plain"
	else
		echo "          $*"
	fi
}

# expect SUBJECT STATUS PREVIOUS REASON DEVICES: the subject's next record is this one.
expect() {
	local subject=$1 wanted="$1 $2 $3 $4 $5" row
	shown[$subject]=$((${shown[$subject]:-0} + 1))
	wait_for 25 has_row "$subject" || true
	row=$(row_of "$subject")
	if [ "${row% *}" != "$wanted" ]; then
		failed "$wanted; ${row:-nothing} came"
	elif ! wait_for 5 in_redis "$subject" "$2" "${row##* }"; then
		failed "$wanted; it is not in Redis"
	elif [ -n "$check" ]; then
		printf '%sok%s        %-14s %-8s (was %s) %-10s devices %s\n' \
			"$green" "$plain" "$1" "$2" "$3" "$4" "$5"
	fi
}

failed() {
	failures=$((failures + 1))
	printf '%smissing%s   %s\n' "$red" "$plain" "$*"
}

row_of() { awk -v subject="$1" -v n="${shown[$1]}" '$1 == subject && ++i == n' "$folder/seen"; }
has_row() { [ -n "$(row_of "$1")" ]; }

# in_redis SUBJECT STATUS REV: the public copy says so, and the stream tells of it.
in_redis() {
	[ "$(redis hget "presence:{0}:subject:$1" status)" = "$2" ] &&
		redis xrevrange 'presence:{0}:events' + - COUNT 100 |
		awk -v rev="$3" 'field == "rev" && $0 == rev { found = 1 }
			{ field = $0 } END { exit !found }'
}

# Why a connection ended is known from Mosquitto 2.1 on.
why() { [ "$broker" = 2.0 ] && echo unknown || echo "$1"; }

story() {
	act "a sensor connects, and falls silent: its connection stays open"
	client_connect sensor device:sensor -k 5
	expect device/sensor online offline connect 1
	client_freeze sensor

	act "u1's laptop connects"
	client_connect laptop agent:u1:laptop
	expect agent/u1 online offline connect 1
	act "u1's phone too, over WebSocket"
	client_connect_websocket phone agent:u1:phone
	expect agent/u1 online offline connect 2
	act "an administrator connects"
	client_connect desk admin:ops:desk
	expect admin/ops online offline connect 1

	act "u1's laptop says goodbye"
	client_leave laptop
	expect agent/u1 online offline "$(why disconnect)" 1
	act "the administrator's connection is replaced by a new one: nothing to tell"
	client_freeze desk
	client_pid[old desk]=${client_pid[desk]}
	client_connect desk admin:ops:desk
	act "u1's phone is switched off"
	client_crash phone
	expect agent/u1 offline online "$(why lost)" 0

	# The broker notices a silent client after one and a half times its keepalive, or later.
	expect device/sensor offline online "$(why keepalive)" 0
	client_crash sensor
	client_crash "old desk"
	act "the administrator says goodbye"
	client_leave desk
	expect admin/ops offline online "$(why disconnect)" 0
}

# Every record was expected: as many came as we waited for.
check_nothing_else() {
	local expected=0 subject
	for subject in "${!shown[@]}"; do
		expected=$((expected + shown[$subject]))
	done
	[ "$(wc -l <"$folder/seen")" = "$expected" ] || {
		failed "silence otherwise; these came:"
		cat "$folder/seen"
	}
}

prepare
say "starting Redis and Mosquitto in $folder"
start_redis
start_broker
serve_pages
start_watching
if [ -n "$check" ]; then
	story
	check_nothing_else
	page_comes panel.html Presence
	page_comes agent.html Agent
	[ "$failures" = 0 ] || {
		cat "$folder/mosquitto.log" >&2
		die "$failures expectations were not met; the broker's log is above"
	}
	say "every transition came over MQTT and is in Redis, and no other did; the pages are served"
else
	start_crowd
	broker_url=ws://127.0.0.1:$ws_port
	cat <<-END

		${bold}Open in a browser:$plain
		    $pages/panel.html#broker=$broker_url&client=admin:you:panel-*
		Be somebody, in another window; close it, or look away for a while:
		    $pages/agent.html#broker=$broker_url&id=kim&hidden=10
		    $pages/agent.html#broker=$broker_url&id=sam&hidden=10

		Or in another terminal:
		    mosquitto_sub -p $port -v -t 'presence/#'
		    mosquitto_sub -p $port -i agent:you:terminal -t nothing
		    redis-cli -s $folder/redis.sock hgetall 'presence:{0}:subject:agent/u1'
		Ctrl-C ends the demonstration.
	END
	[ "$broker" != 2.0 ] || echo "(Mosquitto 2.0 does not say why a connection ended; --broker 2.1 does.)"
	show_header
	while :; do
		story
	done
fi
