#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The package on a clean Debian 12 under systemd, in a VM: installed, started, with two interferences found;
# killed, hung, its power cut in the middle of the traffic, and started again.
#
#   service.sh BUILD_DIR     after make deb
#
# Prints TAP; what the guest and the checks left is in BUILD_DIR/vmservice. The Debian is made by debootstrap once
# and kept in the cache beside the kernels; WEIR_VM_FRESH=1 makes it anew. Needs root, as debootstrap does.
set -u
umask 022

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 64
cache=${WEIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-vm}
base=$cache/debian12
out=$build/vmservice
PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

die()
{
	echo "Bail out! $*"
	exit 69
}

for p in qemu-system-x86_64 debootstrap mkfs.ext4 debugfs e2fsck busybox cpio dpkg-scanpackages sqlite3 jq; do
	command -v "$p" >/dev/null || die "$p is not installed: apt-get install debootstrap e2fsprogs busybox cpio dpkg-dev sqlite3 jq qemu-system-x86"
done
deb=$(find "$build/deb" -maxdepth 1 -name 'weir_*.deb' | head -n 1)
[ -n "$deb" ] || die "no package: make deb"
rm -rf "$out"
mkdir -p "$out/w/repo" "$base/debs/partial"

read -r _ kdir version <<END
$(sh "$here/kernels.sh" get 6.1)
END
[ "$kdir" != skip ] || die "no kernel: $version"

# The system: Debian's minimal variant, and what a gateway has. Of this machine it takes nothing.
if [ ! -s "$base/root.img" ] || [ "$(cat "$base/version" 2>/dev/null)" != "$version" ] || [ -n "${WEIR_VM_FRESH:-}" ]; then
	mirror=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian|//p' | head -n 1)
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	debootstrap --variant=minbase --include=systemd,systemd-sysv,udev,dbus,kmod,iproute2,nftables,procps,acl \
		bookworm "$root" "$mirror" >"$out/debootstrap.log" 2>&1 || die "debootstrap: $(tail -n 1 "$out/debootstrap.log")"
	echo gateway >"$root/etc/hostname"
	echo '127.0.0.1 localhost gateway' >"$root/etc/hosts"
	: >"$root/etc/resolv.conf"
	rm -f "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*_* "$root"/var/log/bootstrap.log
	mkdir -p "$root/w" "$root/lib/modules"
	cp -r "$kdir/lib/modules/$version" "$root/lib/modules/"
	cp "$root/var/lib/dpkg/status" "$base/status"
	rm -f "$base/root.img"
	truncate -s 1500M "$base/root.img"
	mkfs.ext4 -q -d "$root" "$base/root.img" || die "mkfs.ext4"
	echo "$version" >"$base/version"
	rm -rf "$root"
fi

# What the package depends on comes with a repository on a disk: the VM has no way out.
needs=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ |].*//' | sort -u)
# shellcheck disable=SC2086 # words
apt-get install -y -q --download-only --no-install-recommends -o Dir::State::Status="$base/status" -o Dir::Cache::Archives="$base/debs" \
	-o Debug::NoLocking=1 -o APT::Sandbox::User= $needs >"$out/debs.log" 2>&1 || [ -n "${WEIR_VM_OFFLINE:-}" ] ||
	die "the package's dependencies can't be had: $(tail -n 1 "$out/debs.log")"
cp "$base"/debs/*.deb "$deb" "$out/w/repo/"
(cd "$out/w/repo" && dpkg-scanpackages . /dev/null >Packages) 2>/dev/null || die "dpkg-scanpackages"
cp "$build/scen/traffic" "$build/scen/inject" "$here/service-guest.sh" "$out/w/"
truncate -s 600M "$out/w.img"
mkfs.ext4 -q -d "$out/w" "$out/w.img" || die "mkfs.ext4"
rm -rf "$out/w"
cp --sparse=always "$base/root.img" "$out/root.img"

# An initramfs that finds the disks.
root=$out/initrd
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/new" "$root/m"
bb=$(command -v busybox)
cp -L "$bb" "$root/bin/busybox"
ldd "$bb" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[ \t]*\(\/[^ ]*\) (.*/\1/p' | while read -r lib; do
	mkdir -p "$root${lib%/*}"
	cp -L "$lib" "$root$lib"
done
for m in virtio_pci virtio_blk ext4; do
	modprobe -d "$kdir" -S "$version" --show-depends "$m" 2>/dev/null
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r ko; do
	cp "$ko" "$root/m/"
	echo "/bin/busybox insmod /m/${ko##*/}"
done >"$out/insmods"
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
$(cat "$out/insmods")
/bin/busybox mount -t ext4 /dev/vda /new || echo "no root"
/bin/busybox mount -t ext4 /dev/vdb /new/w
/bin/busybox mount -t tmpfs run /new/run
# Of the test's own nothing is on the system's disk.
d=/new/run/systemd/system
/bin/busybox mkdir -p \$d/multi-user.target.wants
stage=\$(/bin/busybox sed 's/.*weir.stage=\([0-9]*\).*/\1/' /proc/cmdline)
/bin/busybox printf '[Service]\nType=exec\nExecStart=/bin/bash /w/service-guest.sh %s\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\n' \$stage >\$d/vmservice.service
/bin/busybox ln -s ../vmservice.service \$d/multi-user.target.wants/
/bin/busybox ln -s /dev/null \$d/serial-getty@ttyS0.service
/bin/busybox umount /proc
exec /bin/busybox switch_root /new /lib/systemd/systemd
END
chmod 755 "$root/init"
(cd "$root" && find . | sort | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$out/initramfs"

tests=0 bad=0
verdict()	# name, nothing or what is wrong
{
	tests=$((tests + 1))
	if [ -z "$2" ]; then
		echo "ok $tests - $1"
	else
		bad=$((bad + 1))
		echo "not ok $tests - $1: $(echo "$2" | tr '\n' ' ' | cut -c 1-400)"
	fi
}

if [ -w /dev/kvm ] && [ "${WEIR_VM_KVM:-no}" = yes ]; then accel="kvm -cpu host"; else accel="tcg -cpu qemu64,-cx16"; fi

# One run of the machine; the guest's word CUT ends it as a power cut does: at once. Its pages that no disk has are gone.
boot()	# stage, seconds
{
	log=$out/console-$1.txt
	: >"$log"
	# shellcheck disable=SC2086 # two words
	nice -n 19 qemu-system-x86_64 -nodefaults -no-user-config -display none -m 1024 -smp 1 -no-reboot -M q35 -accel $accel \
		-kernel "$kdir/vmlinuz" -initrd "$out/initramfs" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off systemd.show_status=0 nowatchdog weir.stage=$1" \
		-drive file="$out/root.img",format=raw,if=virtio,cache=unsafe -drive file="$out/w.img",format=raw,if=virtio,cache=unsafe \
		-serial file:"$log" </dev/null >"$out/qemu.txt" 2>&1 &
	qemu=$!
	trap 'kill "$qemu" 2>/dev/null; exit 130' INT TERM HUP
	end=$(($(date +%s) + $2)) seen=0 how="ended by itself"
	while kill -0 "$qemu" 2>/dev/null; do
		tr -d '\r' <"$log" | grep -aE '^(ok|not ok|#) ' | tail -n "+$((seen + 1))" >"$out/new"
		while read -r word rest; do
			seen=$((seen + 1))
			case $word in
			ok) verdict "${rest#- }" "" ;;
			not) rest=${rest#ok - }; verdict "${rest%%: *}" "${rest#*: }" ;;
			*) echo "# $rest" ;;
			esac
		done <"$out/new"
		if grep -qa '^VMSERVICE-CUT' "$log"; then
			kill -KILL "$qemu"
			how=cut
			break
		fi
		if [ "$(date +%s)" -ge "$end" ]; then
			kill -KILL "$qemu"
			how="hung, ended after $2 s"
		fi
		sleep 0.3
	done
	wait "$qemu" 2>/dev/null
}

boot 1 420
verdict "the power is cut in the middle of the traffic" "$([ "$how" = cut ] || echo "$how: $(tail -n 1 "$out/console-1.txt")")"
boot 2 300
verdict "after the second power cut" "$([ "$how" = cut ] || echo "$how: $(tail -n 1 "$out/console-2.txt")")"
boot 3 300
verdict "the last run ends by itself" "$(grep -qa '^VMSERVICE-END' "$out/console-3.txt" || echo "$how")"

# What the guest saved of each run, looked at from outside.
e2fsck -fp "$out/w.img" >/dev/null 2>&1
debugfs -R "rdump /art $out" "$out/w.img" >/dev/null 2>&1
for n in 1 2 3; do
	a=$out/art/$n
	verdict "run $n: every line of the log is one JSON object" \
		"$(cat "$a"/wan.jsonl* >"$out/all" 2>/dev/null; [ -s "$out/all" ] || echo "no log"; jq -es 'all(.[]; type == "object")' "$out/all" 2>&1 >/dev/null
		[ "$(tail -c 1 "$a/wan.jsonl" | od -An -tx1 | tr -d ' ')" = 0a ] || echo "its end is torn"
		[ "$(tr -d '\000' <"$out/all" | wc -c)" = "$(wc -c <"$out/all")" ] || echo "it has NUL bytes")"
	verdict "run $n: the history is whole" "$([ "$(sqlite3 "$a/history.db" 'PRAGMA integrity_check' 2>&1)" = ok ] || sqlite3 "$a/history.db" 'PRAGMA integrity_check' 2>&1)"
	[ $n = 1 ] || verdict "run $n: the log still holds what it held before the cut" \
		"$([ -s "$out/art/$((n - 1))/wan.jsonl" ] || echo "there was none"; cat "$out/art/$((n - 1))"/wan.jsonl* | while read -r line; do grep -qxF -- "$line" "$out/all" || { echo "gone: $line" | cut -c 1-200; break; }; done)"
done
a=$out/art/1
verdict "the report is one file without script or links out" \
	"$([ -s "$a/report.html" ] || echo none; grep -oiE 'https?://[^ "<]*|<script' "$a/report.html" | head -n 3; [ "$(wc -c <"$a/report.html")" -lt 100000 ] || echo "it is too big")"
for f in "$a"/ev-*.pcapng; do
	if command -v tshark >/dev/null; then
		verdict "evidence ${f##*/} opens in tshark" "$(tshark -r "$f" -T fields -e frame.number 2>&1 >"$out/frames" | grep -v '^Running as user'; [ -s "$out/frames" ] || echo "no packets")"
	else
		verdict "evidence ${f##*/} is pcapng" "$([ "$(head -c 4 "$f" | od -An -tx1 | tr -d ' ')" = 0a0d0d0a ] || echo no)"
	fi
done
echo "1..$tests"
echo "$((tests - bad)) passed, $bad failed; consoles and files: $out"
rm -rf "$out/root.img" "$out/w.img" "$out/initrd" "$out/initramfs" "$out/all" "$out/new" "$out/frames" "$out/insmods"
[ "$bad" -eq 0 ]
