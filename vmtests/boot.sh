#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots one kernel on one initramfs and waits for it, at most so long.
#
#   boot.sh KERNEL_DIR INITRAMFS OUT_DIR SECONDS [KERNEL_ARGUMENT...]
#
# The guest's console goes to OUT_DIR/console.txt and what it left in /art to OUT_DIR/art.
# Exit: the guest's word (VMTEST-RC), 124 when it hung and was ended, 125 when it died without a
# word. KVM is used where it is more than a name: see kvm(). WEIR_VM_SILENCE: so many seconds
# without a word count as hung, too. WEIR_VM_TCG_CPUS: so many processors where they are emulated.
set -u

kdir=$1 initrd=$2 out=$3 limit=$4
shift 4
cpus=${WEIR_VM_CPUS:-2} mem=${WEIR_VM_MEM:-2560}
mkdir -p "$out/art"

# A /dev/kvm that opens is no proof: boot on it once per machine start, and remember.
kvm()
{
	case ${WEIR_VM_KVM:-auto} in
	no) return 1 ;;
	yes) return 0 ;;
	esac
	[ -w /dev/kvm ] || return 1
	grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo || return 1
	mark=${WEIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-vm}/kvm-$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -e "$mark" ]; then
		log=$(mktemp)
		timeout -s KILL 10 qemu-system-x86_64 -nodefaults -no-user-config -display none -m 256 \
			-no-reboot -M q35 -accel kvm -kernel "$kdir/vmlinuz" -serial stdio \
			-append "console=ttyS0 panic=-1" </dev/null >"$log" 2>&1
		if grep -q 'Linux version' "$log"; then echo yes >"$mark"; else echo no >"$mark"; fi
		rm -f "$log"
	fi
	[ "$(cat "$mark")" = yes ]
}

# QEMU's emulation has been seen to get cmpxchg16b wrong; kernels do without it where it is absent.
if kvm; then accel="kvm -cpu host"; else accel="tcg -cpu qemu64,-cx16" cpus=${WEIR_VM_TCG_CPUS:-$cpus}; fi
disk=$out/art.tar
rm -f "$disk"
truncate -s 2G "$disk"
: >"$out/console.txt"

# shellcheck disable=SC2086 # two words
nice -n "${WEIR_VM_NICE:-5}" qemu-system-x86_64 -nodefaults -no-user-config -display none \
	-m "$mem" -smp "$cpus" -no-reboot -M q35 -accel $accel \
	-kernel "$kdir/vmlinuz" -initrd "$initrd" \
	-append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off init_on_alloc=0 apparmor=0 audit=0 nowatchdog $*" \
	-drive file="$disk",format=raw,if=virtio,cache=unsafe \
	-netdev hubport,id=n1,hubid=1 -device virtio-net-pci,netdev=n1,mac=52:54:00:00:02:01,romfile= \
	-netdev hubport,id=n2,hubid=1 -device virtio-net-pci,netdev=n2,mac=52:54:00:00:02:02,romfile= \
	-serial file:"$out/console.txt" </dev/null >"$out/qemu.txt" 2>&1 &
qemu=$!
trap 'kill "$qemu" 2>/dev/null; exit 130' INT TERM HUP

# Progress as it comes.
seen=0
show()
{
	n=$(wc -l <"$out/console.txt")
	if [ "$n" -gt "$seen" ]; then
		[ -n "${WEIR_VM_QUIET:-}" ] || sed -n "$((seen + 1)),${n}p" "$out/console.txt" |
			tr -d '\r' | grep -v '^VMTEST-'
		seen=$n
	fi
}

start=$(date +%s)
heard=$start was=0
rc=
while kill -0 "$qemu" 2>/dev/null; do
	show
	now=$(date +%s)
	[ "$seen" = "$was" ] || heard=$now was=$seen
	if [ $((now - start)) -ge "$limit" ] || [ $((now - heard)) -ge "${WEIR_VM_SILENCE:-999999}" ]; then
		kill "$qemu" 2>/dev/null
		sleep 1
		kill -KILL "$qemu" 2>/dev/null
		rc=124
		break
	fi
	sleep 0.2
done
wait "$qemu" 2>/dev/null
show
tr -d '\r' <"$out/console.txt" >"$out/console.tmp" && mv "$out/console.tmp" "$out/console.txt"
[ -n "$rc" ] || rc=$(sed -n 's/^VMTEST-RC=\([0-9]*\)$/\1/p' "$out/console.txt" | tail -n 1)
if [ -s "$disk" ]; then tar xf "$disk" -C "$out/art" 2>/dev/null; fi
rm -f "$disk"
if [ "$rc" = 124 ]; then
	echo "boot.sh: the VM hung: ended after $((now - start)) s, $((now - heard)) of them silent; its last words: $(tail -n 1 "$out/console.txt")" >&2
fi
exit "${rc:-125}"
