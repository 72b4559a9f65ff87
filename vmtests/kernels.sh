#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Fetches the kernels that the VM tests boot, from the distribution's own packages, into a cache.
#
#   kernels.sh get NAME...   prints for each "NAME DIR VERSION" or "NAME skip REASON"
#   kernels.sh list          the names
#
# The mirror is the one this machine's apt uses; apt checks the signatures with the machine's
# keyrings. Nothing is installed: packages are unpacked under $WEIR_VM_CACHE
# (default ~/.cache/weir-vm), DIR/vmlinuz and DIR/lib/modules/VERSION.
set -u

cache=${WEIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-vm}
arch=$(dpkg --print-architecture) || exit 69

# name, archive (debian or security), suite, metapackage
table="5.10 security bullseye-security linux-image-cloud-$arch
6.1 debian bookworm linux-image-cloud-$arch
6.1pc debian bookworm linux-image-$arch
6.12 debian bookworm-backports linux-image-cloud-$arch
7 debian sid linux-image-cloud-$arch"

err()
{
	echo "kernels.sh: $*" >&2
}

# The URI of the main or the security archive in the machine's own apt configuration.
archive()
{
	case $1 in
	debian) label=Debian ;;
	security) label=Debian-Security ;;
	esac
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed -n "s/^$label|//p" | head -n 1
}

keyring()
{
	for k in /usr/share/keyrings/debian-archive-keyring.gpg \
		 /usr/share/keyrings/debian-archive-keyring.pgp; do
		[ -r "$k" ] && echo "$k" && return
	done
}

# An apt world of one suite, beside the machine's.
apt_world()
{
	root=$cache/apt/$1
	mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/sources.d"
	cat >"$root/apt.conf" <<-END
	Dir::Etc::SourceList "$root/sources.list";
	Dir::Etc::SourceParts "$root/sources.d";
	Dir::State::Lists "$root/lists";
	Dir::State::Status "$root/status";
	Dir::Cache "$root";
	Dir::Cache::Archives "$root/archives";
	Acquire::Languages "none";
	Acquire::Retries "2";
	APT::Sandbox::User "";
	END
	: >"$root/status"
	echo "deb [signed-by=$2] $3 $1 main" >"$root/sources.list"
}

depends()
{
	APT_CONFIG=$root/apt.conf apt-cache show "$1" 2>/dev/null |
		sed -n 's/^Depends: *//p' | head -n 1 | tr ',|' '\n\n' |
		sed 's/^ *//; s/ .*//' | grep "^linux-image-[0-9]" | head -n 1
}

# Debian's newer kernels keep the modules in a package of their own.
module_package()
{
	APT_CONFIG=$root/apt.conf apt-cache show "$1" 2>/dev/null |
		sed -n 's/^\(Pre-\)\{0,1\}Depends: *//p' | head -n 2 | tr ',|' '\n\n' |
		sed 's/^ *//; s/ .*//' | grep -E '^linux-(modules|binary|base)-[0-9]' | sort -u
}

get()
{
	name=$1
	row=$(echo "$table" | grep "^$name ") || { echo "$name skip no such kernel"; return; }
	set -- $row
	dir=$cache/kernels/$name
	week=$(find "$dir/version" -mtime -7 2>/dev/null)
	if [ -n "$week" ] || { [ "${WEIR_VM_OFFLINE:-}" ] && [ -r "$dir/version" ]; }; then
		echo "$name $dir $(cat "$dir/version")"
		return
	fi
	uri=$(archive "$2")
	[ -n "$uri" ] || { old "$name" "no $2 archive in this machine's apt configuration"; return; }
	key=$(keyring)
	[ -n "$key" ] || { old "$name" "no archive keyring on this machine"; return; }
	apt_world "$3" "$key" "$uri"
	if ! APT_CONFIG=$root/apt.conf apt-get -q update >"$root/log" 2>&1 ||
	   grep -q '^Err:' "$root/log"; then
		old "$name" "suite $3 can't be had: $(grep -m 1 '^[EW]:' "$root/log")"
		return
	fi
	pkg=$(depends "$4")
	[ -n "$pkg" ] || { old "$name" "suite $3 has no $4"; return; }
	version=${pkg#linux-image-}
	if [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ]; then
		touch "$dir/version"
		echo "$name $dir $version"
		return
	fi
	tmp=$cache/kernels/.$name.$$
	rm -rf "$tmp"
	mkdir -p "$tmp/root" "$cache/kernels"
	(
		cd "$tmp" &&
		APT_CONFIG=$root/apt.conf apt-get -q download "$pkg" $(module_package "$pkg") &&
		for deb in *.deb; do dpkg -x "$deb" root || exit 1; done &&
		rm -f ./*.deb
	) >>"$root/log" 2>&1 || {
		rm -rf "$tmp"
		old "$name" "$pkg can't be had: $(tail -n 1 "$root/log")"
		return
	}
	vmlinuz=$(find "$tmp/root" -name "vmlinuz-$version" -o -path "*/$version/vmlinuz" | head -n 1)
	config=$(find "$tmp/root" -name "config-$version" -o -path "*/$version/config" | head -n 1)
	modules=$(find "$tmp/root" -type d -path "*/lib/modules/$version" | head -n 1)
	if [ -z "$vmlinuz" ] || [ -z "$modules" ]; then
		rm -rf "$tmp"
		old "$name" "$pkg holds no kernel or no modules"
		return
	fi
	mkdir -p "$tmp/lib/modules"
	mv "$vmlinuz" "$tmp/vmlinuz"
	[ -z "$config" ] || mv "$config" "$tmp/config"
	mv "$modules" "$tmp/lib/modules/"
	rm -rf "$tmp/root"
	depmod -b "$tmp" "$version" 2>/dev/null
	echo "$version" >"$tmp/version"
	rm -rf "$dir"
	mv "$tmp" "$dir"
	echo "$name $dir $version"
}

# What is cached does when nothing newer can be had.
old()
{
	if [ -r "$cache/kernels/$1/version" ]; then
		err "$1: $2; using the cached kernel"
		echo "$1 $cache/kernels/$1 $(cat "$cache/kernels/$1/version")"
	else
		echo "$1 skip $2"
	fi
}

case ${1:-} in
list)
	echo "$table" | cut -d ' ' -f 1
	;;
get)
	shift
	for k in "$@"; do get "$k"; done
	;;
*)
	err "usage: kernels.sh list | get NAME..."
	exit 64
	;;
esac
