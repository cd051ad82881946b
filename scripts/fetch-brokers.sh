#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Unpacks Debian's mosquitto of trixie (2.0.21) and sid (2.1.x), each with the libraries it needs,
# into <cache>/brokers/<suite>/. Nothing is installed, and the system's apt is left alone: its
# configuration, package lists and status are all our own, under the cache.
#
#   scripts/fetch-brokers.sh [suite...]     trixie sid, unless told otherwise
#
# PRESENCE_CACHE   the cache; <repository>/.cache unless set
# PRESENCE_MIRROR  http://deb.debian.org/debian unless set
#
# Run a broker so unpacked with its own loader:
#   root=.cache/brokers/sid/root
#   $root/lib64/ld-linux-x86-64.so.2 --library-path "$(cat $root/../library-path)" \
#       $root/usr/sbin/mosquitto -c my.conf
set -eu
PATH=$PATH:/usr/sbin:/sbin # ldconfig, for everybody

repository=$(cd "$(dirname "$0")/.." && pwd)
cache=${PRESENCE_CACHE:-$repository/.cache}
mirror=${PRESENCE_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The sanitizers' runtimes have to match the broker's libc, not ours.
packages="mosquitto libasan8 libtsan2 libubsan1"
# What a plugin built on this machine needs beyond libc.
plugin_libraries="libhiredis.so.0.14 libjson-c.so.5 libsqlite3.so.0"
# Raise it when what is unpacked changes, so that older caches are fetched again.
format=1

say() { echo "fetch-brokers: $*"; }
die() { echo "fetch-brokers: $*" >&2; exit 1; }

apt() {
	APT_CONFIG="$work/apt.conf" apt-get -qq "$@"
}

write_apt_configuration() {
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/etc"
	: >"$work/status"
	echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/etc/sources.list"
	# A proxy, if the system has one, is the only thing taken over.
	apt-config dump | grep -i '^Acquire::.*proxy' >"$work/apt.conf" || true
	# Signatures are checked as ever; a mirror that lags behind is good enough for tests.
	cat >>"$work/apt.conf" <<-END
		Acquire::Check-Valid-Until "false";
		Dir::Etc "$work/etc";
		Dir::Etc::sourcelist "$work/etc/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::parts "/dev/null";
		Dir::Etc::main "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State "$work";
		Dir::State::lists "$work/lists";
		Dir::State::status "$work/status";
		Dir::Cache "$work";
		Dir::Cache::archives "$work/archives";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Update::Error-Mode "any";
		Debug::NoLocking "true";
	END
}

unpack_suite() {
	home=$cache/brokers/$suite
	if [ "$(cat "$home/format" 2>/dev/null)" = "$format" ]; then
		say "$suite: mosquitto $(cat "$home/version") is there already"
		return
	fi
	say "$suite: reading the package lists of $mirror"
	rm -rf "$home"
	work=$home/apt
	write_apt_configuration
	apt update || die "$suite: no package lists from $mirror; is the network there?"
	say "$suite: downloading mosquitto and what it depends on"
	# shellcheck disable=SC2086 # a list of words
	apt --yes --download-only install $packages ||
		die "$suite: apt-get could not download $packages"
	set -- "$work"/archives/*.deb
	[ -e "$1" ] || die "$suite: nothing was downloaded"
	say "$suite: unpacking $# packages"
	mkdir -p "$home/root"
	for package; do
		dpkg -x "$package" "$home/root"
	done
	finish_suite
}

finish_suite() {
	root=$home/root
	# Suites before the merge of /usr have real folders here; others expect these links.
	for folder in bin lib lib64 sbin; do
		[ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"
	done
	# Packages leave some links to ldconfig; -n makes links in this folder and touches no cache.
	ldconfig -n "$root/usr/lib/x86_64-linux-gnu"
	copy_plugin_libraries
	printf '%s' "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu:$home/plugin-libs" \
		>"$home/library-path"
	version=$("$root/lib64/ld-linux-x86-64.so.2" --library-path "$(cat "$home/library-path")" \
		"$root/usr/sbin/mosquitto" -h 2>&1 | sed -n 's/^mosquitto version //p')
	[ -n "$version" ] || die "$suite: the unpacked mosquitto does not run"
	echo "$version" >"$home/version"
	rm -rf "$work"
	echo "$format" >"$home/format" # last: an interrupted run starts again
	say "$suite: mosquitto $version, $(du -sh "$home" | cut -f1)"
}

# They come last in the library path: what the suite has itself is newer.
copy_plugin_libraries() {
	mkdir -p "$home/plugin-libs"
	for library in $plugin_libraries; do
		path=$(ldconfig -p | sed -n "s|.*$library .*x86-64.* => ||p" | head -n 1)
		[ -n "$path" ] || die "$library is missing: apt-get install libhiredis-dev libjson-c-dev libsqlite3-dev"
		cp -L "$path" "$home/plugin-libs/$library"
	done
}

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || die "needs Debian on amd64"
[ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
[ $# -gt 0 ] || set -- trixie sid
for suite; do
	unpack_suite
done
