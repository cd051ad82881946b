#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Fetches the source of Debian's mosquitto 2.1, of which plugins/examples/connection-state publishes
# who is connected, and builds that plugin into <cache>/peers/connection_state.so: to be measured
# beside. None of it is part of this project, and without it everything else is measured.
#
# The system's apt is left alone: lists and status are our own, under the cache.
#
# PRESENCE_CACHE   the cache; <repository>/.cache unless set
# PRESENCE_MIRROR  http://deb.debian.org/debian unless set
set -eu

cache=${PRESENCE_CACHE:-$(cd "$(dirname "$0")/.." && pwd)/.cache}
mirror=${PRESENCE_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
made=$cache/peers/connection_state.so
work=$cache/peers/work

[ ! -e "$made" ] || exit 0

apt() {
	apt-get -qq -o Dir::State="$work" -o Dir::State::lists="$work/lists" \
		-o Dir::State::status="$work/status" -o Dir::Cache="$work" \
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=1 -o APT::Update::Error-Mode=any \
		-o Acquire::http::Timeout=20 -o Debug::NoLocking=true "$@"
}

rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/stub/cjson"
: >"$work/status"
echo "deb-src [signed-by=$keyring] $mirror sid main" >"$work/sources.list"
cd "$work"
apt update
apt --download-only source mosquitto
tar xzf mosquitto_2.1.*.orig.tar.gz --strip-components 1
# Its headers name cJSON, of which this plugin uses nothing.
echo 'typedef struct cJSON cJSON;' >stub/cjson/cJSON.h
gcc -O2 -g -fPIC -shared -I include -I stub -o "$made.part" \
	plugins/examples/connection-state/mosquitto_connection_state.c
mv "$made.part" "$made"
rm -rf "$work"
