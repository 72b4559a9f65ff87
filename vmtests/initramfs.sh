#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the initramfs that a VM test boots: busybox, our programs with the libraries they
# need, the scenarios, and the kernel's modules.
#
#   initramfs.sh OUT KERNEL_DIR VERSION BUILD_DIR [FILE...]
#
# FILEs go to /w in the guest. The part with the modules is cached beside the kernel: an
# initramfs may be several archives, one after the other.
set -eu
umask 022

out=$1 kdir=$2 version=$3 build=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

# What a gateway, an interferer and the traffic between need of a kernel.
modules="veth tun dummy ifb 8021q bonding bridge sit wireguard nf_conntrack_netlink nf_flow_table nf_flow_table_inet nft_flow_offload vrf pppoe ppp_async virtio_pci virtio_blk virtio_net
sch_netem sch_tbf sch_htb sch_fq sch_fq_codel sch_pie sch_red sch_prio sch_ingress sch_sfq
act_police act_gact act_mirred act_skbedit act_pedit
cls_matchall cls_flower cls_u32 cls_bpf cls_fw em_u32
tcp_bbr nf_tables nft_ct nft_limit nft_numgen nft_reject_inet nft_reject_ipv4 nft_reject_ipv6 nft_nat
nft_masq nft_redir nft_connlimit nft_quota nft_hash nft_synproxy nft_log nft_counter nft_chain_nat
nft_objref nft_meta_bridge nft_reject_bridge nft_set_pipapo nft_dup_ipv4 nf_conntrack nf_nat af_packet ipv6 tcp_cubic binfmt_misc"

# Programs of this machine; those marked ? only where they are installed.
programs="busybox ip tc nft ethtool tcpdump kmod bpftool iperf3 dnsmasq openssl
?wg ?conntrack ?ss ?curl"
# And of packages that are unpacked only for this: see programs.sh.
fetched="turnserver turnutils_uclient turnutils_peer gtlsclient gtlsserver ssh sshd pppd pppoe-server pppoe"

die()
{
	echo "initramfs.sh: $*" >&2
	exit 1
}

copy_libs()
{
	LD_LIBRARY_PATH=${prog:+$prog/usr/lib/$(uname -m)-linux-gnu} ldd "$1" 2>/dev/null |
		sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[ \t]*\(\/[^ ]*\) (.*/\1/p' |
		while read -r lib; do
			to=$root${lib#"$prog"}
			[ -e "$to" ] || { mkdir -p "${to%/*}"; cp -L "$lib" "$to"; }
		done
}

# A symlink such as /lib -> usr/lib is not needed: paths are as ldd gives them.
copy_program()
{
	p=$(command -v "$1" || true)
	if [ -z "$p" ]; then
		[ "$2" = optional ] && return
		die "no $1 on this machine: install it (see .ci/install)"
	fi
	cp -L "$p" "$root/bin/$1"
	copy_libs "$p"
}

archive()
{
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 --reproducible | gzip -1)
}

# Several trees share the cache: each finds the archive of its own list.
mods=$kdir/modules-$(echo "$modules" | cksum | cut -d ' ' -f 1).cpio.gz
if [ ! -e "$mods" ]; then
	find "$kdir" -maxdepth 1 -name 'modules*.cpio.gz' -mtime +7 -delete
	root=$(mktemp -d)
	for m in $modules; do
		modprobe -d "$kdir" -S "$version" --show-depends "$m" 2>/dev/null || true
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r ko; do
		to=$root/${ko#"$kdir"/}
		mkdir -p "${to%/*}"
		case $ko in
		*.xz) xz -dc "$ko" >"${to%.xz}" ;;
		*.zst) zstd -qdc "$ko" >"${to%.zst}" ;;
		*) cp "$ko" "$to" ;;
		esac
	done
	for f in modules.builtin modules.order modules.builtin.modinfo; do
		cp "$kdir/lib/modules/$version/$f" "$root/lib/modules/$version/" 2>/dev/null || true
	done
	depmod -b "$root" "$version"
	archive "$root" >"$mods.$$"
	mv "$mods.$$" "$mods"
	rm -rf "$root"
fi

prog=$(sh "$here/programs.sh")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run/netns" \
	"$root/etc/ppp" "$root/w" "$root/var/lib/misc" "$root/var/lib/weir" "$root/var/run" "$root/root" \
	"$root/usr/lib" "$root/lib"
for p in $programs; do
	case $p in
	\?*) copy_program "${p#?}" optional ;;
	*) copy_program "$p" needed ;;
	esac
done
if [ -n "$prog" ]; then
	for p in $fetched; do
		f=$(find "$prog/usr/bin" "$prog/usr/sbin" -name "$p" | head -n 1)
		[ -n "$f" ] || continue
		cp -L "$f" "$root/bin/$p"
		copy_libs "$f"
	done
	[ ! -d "$prog/usr/lib/pppd" ] || cp -r "$prog/usr/lib/pppd" "$root/usr/lib/"
	cp -r "$prog/w/." "$root/w/"
	: >"$root/etc/mime.types"
	mkdir -p "$root/w/www" "$root/root/.ssh" "$root/run/sshd"
	head -c 1500000 /dev/urandom >"$root/w/www/blob"
	cp "$prog/w/ssh/user.pub" "$root/root/.ssh/authorized_keys"
	chmod 700 "$root/root" "$root/root/.ssh"
	chmod 600 "$root"/w/ssh/user "$root"/w/ssh/host "$root/root/.ssh/authorized_keys"
fi
ln -s ../bin/kmod "$root/sbin/modprobe"
for a in sh cat ls mkdir mount umount sleep poweroff ps kill dmesg tar grep sed cut head tail sort \
	wc rm cp mv ln date awk test true false env sync find dd hostname seq tr uniq touch od nc timeout mknod id; do
	ln -s busybox "$root/bin/$a"
done
echo 'root:x:0:0:root:/root:/bin/sh
sshd:x:101:65534::/run/sshd:/bin/false
nobody:x:65534:65534::/tmp:/bin/false' >"$root/etc/passwd"
echo 'root:x:0:
nogroup:x:65534:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
# tc's distributions for netem (jitter) live in files.
for d in /usr/lib/tc /lib/tc; do
	[ -d "$d" ] && mkdir -p "$root$d" && cp "$d"/*.dist "$root$d/" 2>/dev/null
done
for b in weir scenario traffic inject wire vmprobe; do
	[ -x "$build/$b" ] || [ -x "$build/scen/$b" ] || continue
	f=$build/$b
	[ -x "$f" ] || f=$build/scen/$b
	cp -L "$f" "$root/bin/$b"
	copy_libs "$f"
done
# Loaded by name at run time, not linked.
for lib in libgcc_s.so.1 libnss_files.so.2; do
	f=$(ldconfig -p 2>/dev/null | sed -n "s/.*$lib .*=> \(.*\)/\1/p" | head -n 1)
	[ -z "$f" ] || [ -e "$root$f" ] || { mkdir -p "$root${f%/*}"; cp -L "$f" "$root$f"; }
done
cp -r "$here/../tests/scenarios/rows" "$root/w/" 2>/dev/null || true
for f in "$@"; do cp -rL "$f" "$root/w/"; done
cp "$here/init" "$root/init"
chmod 755 "$root/init"
find "$root/bin" -type f -size +100k -exec strip --strip-unneeded {} + 2>/dev/null || true
{ archive "$root"; cat "$mods"; } >"$out.$$"
mv "$out.$$" "$out"
