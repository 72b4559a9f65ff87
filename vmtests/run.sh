#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots each kernel and runs the scenarios in it.
#
#   run.sh BUILD_DIR [-k "KERNEL..."] [-s SET] [-S SCENARIO] [-j N] [-H live,offline] [-n TIMES]
#          [-c CCA] [-F FILE] [-o DIR] [-p N] [-R RESULTS] [-t SECONDS] [-1abKL]
#
# -K       keep what passed, too
# -F       a scenario of a file elsewhere, or a directory of them; -o: results there; -b: only benign rows
# -R       results.tsv of a run that was cut short: what came out of it is not run again
# -t       so many seconds for all of it: what has not begun by then is skipped, and said
# -L       only load the BPF objects; -p: so many VMs side by side; -a: every row in full on all
# Without -a, -s and -S: every row on 6.1, the short set on the others; see set_of.
# KERNEL   5.10 6.1 6.12 7, 6.1pc (with the drivers that the cloud's kernels lack: PPP), or one of them with -nobtf behind it (no BTF in sight), -lockdown or
#          -nomodules (only what weir says then, see faults.sh)
# Streams TAP; leaves results.tsv, results.tap, junit.xml, table.txt and, for each failure, the
# packets, events and logs in BUILD_DIR/vmtests. Exit 0: nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 64
shift
kernels="6.1 5.10 6.12 7 6.1pc 6.1-nobtf 6.1-lockdown 6.1-nomodules" set= only= jobs=${WEIR_VM_JOBS:-6} how=live,offline extra= load_only= given= listed= out= results= budget= in_full= side=${WEIR_VM_SIDE:-$(nproc)}
ceiling=${WEIR_INSN_CEILING:-100000}
while getopts k:s:S:j:H:n:c:F:o:p:R:t:1abKL c; do
	case $c in
	k) kernels=$OPTARG ;;
	s) set=$OPTARG ;;
	S) only=$OPTARG ;;
	j) jobs=$OPTARG ;;
	H) how=$OPTARG ;;
	n) extra="$extra -n $OPTARG" ;;
	c) extra="$extra -c $OPTARG" ;;
	K) extra="$extra -k" ;;
	1) extra="$extra -1" ;;
	b) extra="$extra -b" ;;
	F) given=$OPTARG ;;
	o) out=$OPTARG ;;
	p) side=$OPTARG ;;
	R) results=$OPTARG ;;
	t) budget=$OPTARG ;;
	a) in_full=yes ;;
	L) load_only=yes ;;
	*) exit 64 ;;
	esac
done

[ -z "$budget" ] || until=$(($(date +%s) + budget))
for p in qemu-system-x86_64 busybox cpio tcpdump nft iperf3 dnsmasq; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$p" >/dev/null || {
		echo "vmtests: $p is not installed; \`make deps\` brings what the tests need" >&2
		exit 69
	}
done

out=${out:-$build/vmtests}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out"/k-* "$out"/results.* "$out/junit.xml" "$out/table.txt"
: >"$out/results.tsv"
: >"$out/results.tap"
rows=$here/../tests/scenarios/rows
if [ -n "$given" ]; then
	files=/w/$(basename "$given")
	[ ! -d "$given" ] || { files="$files/*.scn" listed=$given/*.scn; }
elif [ -n "$only" ]; then
	files=
	for o in $(echo "$only" | tr , ' '); do
		[ -r "$rows/$o.scn" ] || { echo "vmtests: no scenario $o" >&2; exit 66; }
		files="$files /w/rows/$o.scn"
	done
else
	files='/w/rows/*.scn'
fi

# Every row on 6.1: the short set with its impairment and without, live and from the capture, the
# rest in brief: with the impairment on, live. The short set on the others. 6.1pc is the kernel with
# more drivers: what needs them.
set_of()	# kernel
{
	[ -z "$set" ] || echo "-s $set"
	[ -z "$only$given$set$in_full" ] || return
	case $1 in
	6.1pc) echo "-s pc" ;;
	6.1) echo "-x short" ;;
	*) echo "-s short" ;;
	esac
}

# Seconds that the VM may take at most, and may be silent: from the scenarios' own.
limits()	# ARGUMENT...
{
	# shellcheck disable=SC2046,SC2086 # words
	(cd "$rows" && "$build/scen/scenario" check "$@" $extra \
		$([ -n "$given" ] && echo "${listed:-$given}" || echo "$files" | sed "s,/w/rows,$rows,g")) |
		sed -n 's/.* \([0-9]*\) seconds, the longest \([0-9]*\)$/\1 \2/p'
}

# mawk would wait for a full block before it says anything.
if awk -W version 2>/dev/null </dev/null | grep -qi mawk; then stream="-W interactive"; else stream=; fi

# All kernels' lines, each with its kernel in front, to TAP and results.tsv.
to_tap()
{
	# shellcheck disable=SC2086 # two words or none
	awk $stream -F '\t' -v tsv="$out/results.tsv" -v tap="$out/results.tap" '
	$2 == "RESULT" {
		n++
		line = ($7 == "fail" ? "not ok " : "ok ") n " - " $1 " " $3 " (" $4 ") " $5 " " $6 \
			($7 == "skip" ? " # SKIP " $9 : ": " $9 " [" $8 " s]")
		print line
		print line >>tap
		print $1 "\t" $3 "\t" $4 "\t" $5 "\t" $6 "\t" $7 "\t" $8 "\t" $9 >>tsv
		fflush()
		next
	}
	{ sub(/\t/, " "); print "# " $0; fflush() }'
}

note()	# kernel, what, verdict, why
{
	printf '%s\tRESULT\t%s\t-\ton\tboot\t%s\t0\t%s\n' "$1" "$2" "$3" "$4"
}

# Why a kernel panicked and where, else its last line.
last_words()	# console
{
	if grep -qE 'Kernel panic|BUG:|Oops' "$1"; then
		grep -E 'Kernel panic|BUG:|Oops|RIP: 0010:|Comm: ' "$1" | sed 's/^\[ *[0-9.]*\] //' | head -n 6 | paste -s -d ';' -
	else
		tail -n 1 "$1"
	fi
}

# One kernel from its package to its results.
kernel()	# name
{
	k=$1
	name=${k%-*}
	arg=
	variant=
	[ "$name" = "$k" ] || variant=${k#*-}
	case $variant in
	nobtf | nomodules) arg=weir.$variant ;;
	lockdown) arg=lockdown=confidentiality ;;
	esac
	began=$(date +%s)
	read -r _ dir version <<-END
	$(flock "$out/.fetch" sh "$here/kernels.sh" get "$name")
	END
	if [ "$dir" = skip ]; then
		note "$k" boot skip "$version"
		return
	fi
	what=$(set_of "$k")
	kout=$out/k-$k
	mkdir -p "$kout"
	had=
	if [ -n "$results" ]; then
		had=$kout/had
		awk -F '\t' -v k="$k" '
		$1 != k { next }
		$6 == "fail" || $8 ~ /^not begun/ { again[$2 "\t" $4] = 1 }
		{ seen[$2 "\t" $4] = 1 }
		END { for (j in seen) if (!(j in again)) print j }' "$results" >"$had"
	fi
	faults=
	[ -n "$only$given$set" ] || faults=yes
	case $variant in lockdown | nomodules) faults=yes ;; esac
	# shellcheck disable=SC2046,SC2086 # words
	set -- $(limits $what ${had:+-d "$had"})
	limit=$((300 + 6 * ${1:-600} / jobs))
	silence=$((300 + 2 * ${2:-60}))
	if [ -n "$budget" ]; then
		left=$((until - began))
		if [ "$left" -lt 30 ]; then
			note "$k" boot skip "not begun within the $budget s that there were"
			return
		fi
		# What runs when the time is up may end.
		[ "$limit" -lt $((left + ${2:-60} + 120)) ] || limit=$((left + ${2:-60} + 120))
	fi
	cat >"$kout/job" <<-END
	/bin/vmprobe -l $ceiling /w/*.bpf.o 2>/art/verifier.txt; probe=\$?
	[ \$probe = 0 ] && v=pass || v=fail
	echo "RESULT	bpf-load	-	on	boot	\$v	0	every object passes the verifier, under $ceiling instructions a program"
	[ -z "$load_only" ] || exit \$probe
	${faults:+/bin/sh /w/faults.sh "$variant" || probe=1}
	[ "${variant#nobtf}" ] && exit \$probe
	/bin/scenario run -j $jobs $what ${had:+-d /w/had} ${budget:+-t \$(($until - \$(date +%s)))} -H $how $extra -o /art/s $files; rc=\$?
	[ \$probe = 0 ] && exit \$rc || exit 1
	END
	if ! flock "$out/.fetch" sh "$here/initramfs.sh" "$kout/initramfs" "$dir" "$version" "$build" "$kout/job" \
		"$here/faults.sh" "$build"/weir_*.bpf.o $given $had; then
		note "$k" boot fail "no initramfs: see above"
		return
	fi
	# 6.12 on two emulated processors: one that runs what the other patches (jump labels) is left with the
	# other's breakpoint: "Oops: int3", seen in two whole matrices.
	case $name in 6.12) export WEIR_VM_TCG_CPUS=1 ;; *) unset WEIR_VM_TCG_CPUS ;; esac
	# shellcheck disable=SC2086 # a word or none
	{ WEIR_VM_SILENCE=$silence sh "$here/boot.sh" "$dir" "$kout/initramfs" "$kout" "$limit" $arg; echo $? >"$kout/rc"; } 2>&1 |
		awk $stream -v k="$k" '{ print k "\t" $0; fflush() }'
	rc=$(cat "$kout/rc")
	up=$(sed -n 's/^VMTEST-UP //p' "$kout/console.txt")
	size=$(du -k "$kout/initramfs" | cut -f 1)
	took="$(($(date +%s) - began)) s in all, the initramfs $size kB"
	case $rc in
	0 | 1) note "$k" boot pass "${up:-?} s to init, $took" ;;
	124) note "$k" boot fail "the VM hung and was ended; $took" ;;
	*) note "$k" boot fail "the VM died: $(last_words "$kout/console.txt")" ;;
	esac
	rm -f "$kout/initramfs"
}

# Several VMs side by side, as many as there are processors to emulate one each.
all_kernels()
{
	running=
	for k in $kernels; do
		# shellcheck disable=SC2086 # words
		set -- $running
		while [ $# -ge "$side" ]; do
			sleep 1
			running=
			for p in "$@"; do
				kill -0 "$p" 2>/dev/null && running="$running $p"
			done
			# shellcheck disable=SC2086 # words
			set -- $running
		done
		kernel "$k" &
		running="$running $!"
	done
	wait
}

all_kernels | to_tap
echo "1..$(wc -l <"$out/results.tsv")"
sh "$here/report.sh" "$out" "$kernels"
