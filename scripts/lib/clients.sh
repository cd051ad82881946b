# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash disable=SC2154
# MQTT clients that come, go and vanish. To be sourced after common.sh; its user sets $port,
# $ws_port and $folder. A client is known by the name it was started with.

declare -A client_pid=()

# client_connect NAME CLIENT_ID [MOSQUITTO_SUB OPTION...]
client_connect() {
	local name=$1 id=$2
	shift 2
	mosquitto_sub -h 127.0.0.1 -p "$port" -i "$id" -t "demo/$name" "$@" \
		>>"$folder/clients.log" 2>&1 &
	client_pid[$name]=$!
}

# The same over WebSocket, byte by byte: a bare MQTT 3.1.1 CONNECT in one frame, with the mask
# 0 0 0 0, which changes nothing. It then waits for whatever comes, and leaves no child behind.
client_connect_websocket() {
	local name=$1 id=$2
	(
		exec 9<>"/dev/tcp/127.0.0.1/$ws_port"
		printf 'GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n' >&9
		printf 'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' >&9
		printf 'Sec-WebSocket-Key: bW9zcXVpdHRvcHJlcw==\r\n' >&9
		printf 'Sec-WebSocket-Protocol: mqtt\r\n\r\n' >&9
		while IFS= read -r line <&9 && [ "$line" != $'\r' ]; do :; done
		printf '\x82%b\0\0\0\0' "$(byte $((0x80 | (14 + ${#id}))))" >&9
		printf '\x10%b\0\4MQTT\4\2\0\74\0%b%s' \
			"$(byte $((12 + ${#id})))" "$(byte ${#id})" "$id" >&9
		while IFS= read -r -n 1 _ <&9 || [ $? -gt 128 ]; do :; done
	) >>"$folder/clients.log" 2>&1 &
	client_pid[$name]=$!
}

byte() { printf '\\x%02x' "$1"; }

# Says goodbye: mosquitto_sub sends DISCONNECT when told to end.
client_leave() { client_signal "$1" TERM; }
# Its process dies; the kernel closes the connection.
client_crash() { client_signal "$1" KILL; }
# Silence: the connection stays open and nobody answers.
client_freeze() { kill -STOP "${client_pid[$1]}"; }

client_signal() {
	kill "-$2" "${client_pid[$1]}" 2>/dev/null || true # it may have ended by itself
	wait "${client_pid[$1]}" 2>/dev/null || true
	unset "client_pid[$1]"
}
