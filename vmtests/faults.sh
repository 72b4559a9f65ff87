#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# In a VM: what weir says when the machine lacks something or gives way. No traffic needed.
#
#   faults.sh [VARIANT]      nobtf, lockdown or nomodules: how this machine was booted
#
# A line per check, as the scenario runner prints them.
variant=${1:-}
out=/art/faults
mkdir -p "$out"
bad=0

# check NAME EXIT TEXT COMMAND...: it exits so (n: anything but 0), in time, and says TEXT (-: nothing) on stderr
check()
{
	name=$1 exits=$2 text=$3
	shift 3
	timeout 60 "$@" >"$out/$name.out" 2>"$out/$name.err"
	rc=$?
	v=pass why="exits $rc, says: $(head -c 300 "$out/$name.err" | tr '\n\t' '  ')"
	case $exits in
	n) [ $rc -ne 0 ] && [ $rc -lt 124 ] || v=fail ;;
	*) [ $rc -eq "$exits" ] || v=fail ;;
	esac
	case $text in
	-) [ ! -s "$out/$name.err" ] || v=fail ;;
	*) grep -qF "$text" "$out/$name.err" || v=fail ;;
	esac
	[ $v = pass ] || { bad=1; why="$why; EXPECTED exit $exits and \"$text\""; }
	echo "RESULT	fault-$name	F	on	live	$v	0	$why"
}

case $variant in
nobtf) reasons="kernel has no BTF" ;;
# On the packet path nothing reads the kernel's memory; the drops' reasons do.
lockdown) reasons="locked down kernel refuses" ;;
nomodules) reasons= ;;
*)
	# Reasons of drops came with 5.17.
	if grep -q 'Linux version 5\.' /proc/version; then reasons="came with kernel 5.17"; else reasons=-; fi
	;;
esac

if [ "$variant" = nomodules ]; then
	# Not even the module is there that tc needs.
	check no-clsact n "kernel lacks cls_bpf/clsact" weir watch lo --hook tc -n 1
else
	check reasons 0 "$reasons" weir watch lo --json -n 1
	check no-interface n "nosuch0" weir watch nosuch0 -n 1
	# /full is full.
	check full-stdout n "No space left" sh -c 'weir watch lo --json -d 1 -n 3 >/full/out'
	check full-history n "/full/h.db" weir watch lo --json -n 1 --history /full/h.db
fi
exit $bad
