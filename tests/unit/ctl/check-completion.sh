#!/bin/bash
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The completion script as bash uses it. $1: the script
set -eu
# shellcheck source=/dev/null
. "$1"
# shellcheck disable=SC2317 # called by the script
compopt() { options="<$*>"; } # there is no completion going on to set options of
status=0

# expect 'WORDS FOUND' WORD...: the last word is the one being completed
expect() {
	local expected=$1
	shift
	COMP_WORDS=(presencectl "$@")
	COMP_CWORD=$#
	COMPREPLY=() options=
	_presencectl
	[ "${COMPREPLY[*]}$options" = "$expected" ] || {
		echo "presencectl $*: [${COMPREPLY[*]}$options], not [$expected]"
		status=1
	}
}

expect 'watch' wa
expect 'check-config' ch
expect 'stats' -h there st
expect '--ttl' override agent/u1 dnd --tt
expect 'online away dnd invisible' override agent/u1 ''
expect 'dnd' -u x override --note y agent/u1 d
expect 'offline' set off
expect 'mqttv5 mqttv311' -V ''
expect '2.0.11 2.0.21' check-config --broker 2.0
expect '<-o default>' check-config ''
expect '<-o default>' --cafile ''
expect '' -h ''
expect 'bash' completion ''
expect '--broker' check-config x --b
exit $status
