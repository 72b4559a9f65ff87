#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots each kernel and runs the scenarios in it.
#
#   run.sh BUILD_DIR [-k "KERNEL..."] [-s SET] [-S SCENARIO] [-j N] [-H live,offline] [-n TIMES]
#          [-c CCA] [-F FILE] [-o DIR] [-1bL]
#
# -F       a scenario of a file elsewhere; -o: results there; -b: only benign rows
# -L       only load the BPF objects
# Without -s and -S every row runs on 6.1, and the set "short" on the others.
# KERNEL   5.10 6.1 6.12 7, or one of them with -nobtf behind it (no BTF in sight)
# Streams TAP; leaves results.tsv, results.tap, junit.xml, table.txt and, for each failure, the
# packets, events and logs in BUILD_DIR/vmtests. Exit 0: nothing failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 64
shift
kernels="5.10 6.1 6.12 7 6.1-nobtf" set= only= jobs=${WEIR_VM_JOBS:-8} how=live,offline extra= load_only= given= out=
ceiling=${WEIR_INSN_CEILING:-100000}
while getopts k:s:S:j:H:n:c:F:o:1bL c; do
	case $c in
	k) kernels=$OPTARG ;;
	s) set=$OPTARG ;;
	S) only=$OPTARG ;;
	j) jobs=$OPTARG ;;
	H) how=$OPTARG ;;
	n) extra="$extra -n $OPTARG" ;;
	c) extra="$extra -c $OPTARG" ;;
	1) extra="$extra -1" ;;
	b) extra="$extra -b" ;;
	F) given=$OPTARG ;;
	o) out=$OPTARG ;;
	L) load_only=yes ;;
	*) exit 64 ;;
	esac
done

for p in qemu-system-x86_64 busybox cpio tcpdump nft iperf3 dnsmasq; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$p" >/dev/null || {
		echo "vmtests: $p is not installed; \`make deps\` brings what the tests need" >&2
		exit 69
	}
done

out=${out:-$build/vmtests}
mkdir -p "$out"
rm -rf "$out"/k-* "$out"/results.* "$out/junit.xml" "$out/table.txt"
: >"$out/results.tsv"
: >"$out/results.tap"
rows=$here/../tests/scenarios/rows
if [ -n "$given" ]; then
	files=/w/$(basename "$given")
elif [ -n "$only" ]; then
	files=
	for o in $(echo "$only" | tr , ' '); do
		[ -r "$rows/$o.scn" ] || { echo "vmtests: no scenario $o" >&2; exit 66; }
		files="$files /w/rows/$o.scn"
	done
else
	files='/w/rows/*.scn'
fi

set_of()	# kernel
{
	if [ -n "$set" ]; then echo "$set"
	elif [ -z "$only$given" ] && [ "$1" != 6.1 ]; then echo short
	fi
}

# Time that the VM may take: the scenarios' own, twice, and what starting it takes.
seconds()
{
	# shellcheck disable=SC2046,SC2086 # words
	(cd "$rows" && "$build/scen/scenario" check ${1:+-s $1} $extra \
		$([ -n "$given" ] && echo "$given" || echo "$files" | sed "s,/w/rows,$rows,g")) | sed -n 's/.* \([0-9]*\) seconds$/\1/p'
}

# mawk would wait for a full block before it says anything.
if awk -W version 2>/dev/null </dev/null | grep -qi mawk; then stream="-W interactive"; else stream=; fi

to_tap()
{
	# shellcheck disable=SC2086 # two words or none
	awk $stream -F '\t' -v kernel="$1" -v tsv="$out/results.tsv" -v tap="$out/results.tap" \
		-v n="$(wc -l <"$out/results.tsv")" '
	/^RESULT\t/ {
		n++
		line = ($6 == "fail" ? "not ok " : "ok ") n " - " kernel " " $2 " (" $3 ") " $4 " " $5 \
			($6 == "skip" ? " # SKIP " $8 : ": " $8 " [" $7 " s]")
		print line
		print line >>tap
		print kernel "\t" $2 "\t" $3 "\t" $4 "\t" $5 "\t" $6 "\t" $7 "\t" $8 >>tsv
		fflush()
		next
	}
	{ print "# " $0; fflush() }'
}

note()	# kernel, what, verdict, why
{
	printf 'RESULT\t%s\t-\ton\tboot\t%s\t0\t%s\n' "$2" "$3" "$4" | to_tap "$1"
}

for k in $kernels; do
	name=${k%-nobtf}
	arg=
	[ "$name" = "$k" ] || arg=weir.nobtf
	read -r _ dir version <<-END
	$(sh "$here/kernels.sh" get "$name")
	END
	if [ "$dir" = skip ]; then
		note "$k" boot skip "$version"
		continue
	fi
	sets=$(set_of "$k")
	s=$(seconds "$sets")
	limit=$((240 + 3 * ${s:-600} / jobs))
	kout=$out/k-$k
	mkdir -p "$kout"
	cat >"$kout/job" <<-END
	/bin/vmprobe -l $ceiling /w/*.bpf.o 2>/art/verifier.txt; probe=\$?
	[ \$probe = 0 ] && v=pass || v=fail
	echo "RESULT	bpf-load	-	on	boot	\$v	0	every object passes the verifier, under $ceiling instructions a program"
	[ -z "$load_only" ] || exit \$probe
	/bin/scenario run -j $jobs ${sets:+-s $sets} -H $how $extra -o /art/s $files; rc=\$?
	[ \$probe = 0 ] && exit \$rc || exit 1
	END
	sh "$here/initramfs.sh" "$kout/initramfs" "$dir" "$version" "$build" "$kout/job" "$build"/weir_*.bpf.o $given || exit 1
	{ sh "$here/boot.sh" "$dir" "$kout/initramfs" "$kout" "$limit" $arg; echo $? >"$kout/rc"; } 2>&1 |
		to_tap "$k"
	rc=$(cat "$kout/rc")
	up=$(sed -n 's/^VMTEST-UP //p' "$kout/console.txt")
	case $rc in
	0 | 1) note "$k" boot pass "${up:-?} s to init" ;;
	124) note "$k" boot fail "the VM hung and was ended after $limit s" ;;
	*) note "$k" boot fail "the VM died: $(tail -n 1 "$kout/console.txt")" ;;
	esac
	rm -f "$kout/initramfs"
done
echo "1..$(wc -l <"$out/results.tsv")"
sh "$here/report.sh" "$out" "$kernels"
