#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# What a broker gets: three exports, no second copy of what the broker has, hardened.
# $1: mosquitto_presence.so
set -eu
status=0
wrong() { echo "$1"; status=1; }

exports=$(nm --dynamic --defined-only "$1" | awk '{ print $NF }' | sort | xargs)
[ "$exports" = "mosquitto_plugin_cleanup mosquitto_plugin_init mosquitto_plugin_version" ] ||
	wrong "exports: $exports"

needed=$(readelf -Wd "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ -n "$needed" ] || wrong "readelf told nothing"
# The broker exports the same symbols, and wins: mixing the two crashes.
echo "$needed" | grep -E '^lib(mosquitto|websockets)' && wrong "linked with the above"

dynamic=$(readelf -Wd "$1")
program=$(readelf -Wl "$1")
echo "$program" | grep -q GNU_RELRO || wrong "no RELRO"
echo "$dynamic" | grep -qE 'BIND_NOW|FLAGS.*NOW' || wrong "symbols are not bound at load"
echo "$program" | grep -q 'GNU_STACK.*RW ' || wrong "an executable stack"
echo "$dynamic" | grep -q TEXTREL && wrong "text relocations"
echo "$dynamic" | grep -qE 'RPATH|RUNPATH' && wrong "a search path of its own"

# Functions that not all brokers have would keep some from starting: they are looked up at run time.
unknown=$(nm --dynamic --undefined-only "$1" | awk '{ print $NF }' |
	grep -E '^mosquitto_(client|plugin_set_info|apply_on_all_clients|client_port|set_clientid|persistence_location|client_will_set|property_(read_.*|copy_all|identifier|next|check_.*))$' || true)
[ -z "$unknown" ] || wrong "not every Mosquitto has $unknown"
exit $status
