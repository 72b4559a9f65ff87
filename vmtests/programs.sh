#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Fetches programs that are only traffic in the VM tests: a TURN server, QUIC with HTTP/3, SSH, PPPoE. Debian's
# packages, unpacked into the cache, not installed: that would start servers on this machine.
#
#   programs.sh         prints the directory they are under, or nothing where they can't be had
#
# Beside them keys and certificates, made once, of no use anywhere else.
set -u

packages="coturn ngtcp2-client ngtcp2-server openssh-server openssh-client ppp pppoe"
cache=${WEIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-vm}/programs

fetch()
{
	tmp=$cache.$$
	rm -rf "$tmp"
	mkdir -p "$tmp/debs/partial" "$tmp/root/w/tls" "$tmp/root/w/ssh" || return 1
	# What they need and this machine has comes from the machine.
	for try in 1 2; do
		# shellcheck disable=SC2086 # words
		apt-get install -y -q --reinstall --no-install-recommends --download-only -o Dir::Cache::Archives="$tmp/debs" \
			-o Debug::NoLocking=1 -o APT::Sandbox::User= $packages >"$tmp/log" 2>&1 && break
		[ $try = 1 ] && [ "$(id -u)" = 0 ] && apt-get -q update >>"$tmp/log" 2>&1
	done
	for deb in "$tmp"/debs/*.deb; do
		[ -e "$deb" ] && dpkg -x "$deb" "$tmp/root" || return 1
	done
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=open.example \
		-keyout "$tmp/root/w/tls/key.pem" -out "$tmp/root/w/tls/cert.pem" >>"$tmp/log" 2>&1 || return 1
	for key in host user; do
		ssh-keygen -q -t ed25519 -N '' -C '' -f "$tmp/root/w/ssh/$key" >>"$tmp/log" 2>&1 || return 1
	done
	rm -rf "$tmp/debs" "$cache"
	mv "$tmp" "$cache"
}

if { [ -z "$(find "$cache/root" -maxdepth 0 -mtime -30 2>/dev/null)" ] || [ "$0" -nt "$cache/root" ]; } && ! fetch; then
	echo "programs.sh: not to be had, rows that need them are skipped: $(tail -n 1 "$cache.$$/log" 2>/dev/null)" >&2
	rm -rf "$cache.$$"
fi
[ ! -d "$cache/root" ] || echo "$cache/root"
