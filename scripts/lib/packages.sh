# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=bash
# Installs what is missing, on Debian. To be sourced after common.sh.

policy=/usr/sbin/policy-rc.d

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# Node comes to many machines from elsewhere, with npm in it, and then Debian's must not be added.
package_installed() {
	case $1 in
	nodejs) command -v node >/dev/null && return ;;
	npm) command -v npm >/dev/null && return ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# packages_install PURPOSE...: what scripts/packages.txt lists for them and is not there yet.
# Touches neither apt nor root when nothing is missing.
packages_install() {
	local purpose package why missing=()
	command -v dpkg-query >/dev/null ||
		die "this is not Debian: install what scripts/packages.txt lists, then build with cmake"
	while IFS=$'\t' read -r purpose package why; do
		[[ " $* " == *" $purpose "* ]] || continue
		package_installed "$package" && continue
		[ ${#missing[@]} -gt 0 ] || say "installing what is missing, through apt:"
		printf '    %-24s %s\n' "$package" "$why"
		missing+=("$package")
	done < <(grep -v '^#' "$root/scripts/packages.txt")
	[ ${#missing[@]} -gt 0 ] || return 0

	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "run this as root, or install them yourself: apt-get install ${missing[*]}"
	(packages_fetch "${missing[@]}") || exit
}

# In a subshell, for its trap.
packages_fetch() {
	local log
	log=$(mktemp)
	services_hold "$@"
	say "apt-get update"
	run_quietly "$log" as_root apt-get -q update ||
		die "apt-get update failed (above); is the network there?"
	say "apt-get install: $# packages and what they need"
	run_quietly "$log" as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q --yes --no-install-recommends install "$@" ||
		die "apt-get install failed (above)"
	services_release
	rm -f "$log"
}

# Debian starts a service the moment its package is installed, here a broker and a Redis nobody
# asked for. Those two, and only when it is us who install them, are kept from starting and left
# disabled. A service that was there before is never touched.
services_held=()
policy_is_ours=

services_hold() {
	local package
	for package; do
		case $package in
		mosquitto | redis-server) services_held+=("$package") ;;
		esac
	done
	[ ${#services_held[@]} -gt 0 ] || return 0
	[ ! -e "$policy" ] || return 0 # the owner of this machine has a policy: it stands
	policy_is_ours=yes
	trap policy_remove EXIT
	trap 'exit 130' INT TERM
	# deb-systemd-invoke and invoke-rc.d both ask it; 101: no, 104: as usual.
	as_root tee "$policy" >/dev/null <<-'END'
		#!/bin/sh
		# Temporary, of mosquitto-presence/scripts: may be removed.
		case $1 in mosquitto* | redis-server*) exit 101 ;; esac
		exit 104
	END
	as_root chmod 755 "$policy"
}

services_release() {
	local service
	for service in "${services_held[@]}"; do
		as_root invoke-rc.d --quiet "$service" stop >/dev/null 2>&1 || true
		as_root update-rc.d "$service" disable >/dev/null 2>&1 || true
		echo "    the service $service is left stopped and disabled;" \
			"to use it: systemctl enable --now $service"
	done
	policy_remove
}

policy_remove() {
	[ -z "$policy_is_ours" ] || as_root rm -f "$policy"
	policy_is_ours=
}
