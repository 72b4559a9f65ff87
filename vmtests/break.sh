#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Do the VM tests notice? Breaks weir on purpose, one way after the other, in a copy of the sources,
# and runs the one cell that must fail of it, for the right reason.
#
#   break.sh BUILD_DIR [WORD]     only the breaks whose name has WORD
#
# A break that changes nothing any more (the code moved) fails too.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 only=${2:-}
copy=$build/vmbreak/src
mkdir -p "$copy"
copy=$(cd "$copy" && pwd)
log=$build/vmbreak/log
n=0 bad=0

cd "$here/.." || exit 1
git ls-files -co --exclude-standard | grep -v '^tests/fuzz/corpus/' | cpio -pdum --quiet "$copy" || exit 1

# name, file, sed expression, "KERNELS ARGUMENTS" of run.sh, "KERNEL CELL" that must fail, words of the reason
breaks='a rule switched off|user/detect/detectors.c|s/&detect_rst, //|-k 6.1 -S rst-gfw2|6.1 rst-gfw2|MISSED rst_injection
a verifier reject on 5.10 alone|bpf/env_bpf.h|s/return bpf_ktime_get_ns();/return bpf_ktime_get_coarse_ns();/|-k "5.10 6.1" -L|5.10 bpf-load|REFUSED
a leak of files|user/capture/live_loop.c|s/^\(.*\)live_look_around(l);/\1(void)!dup(l->timer);\n\1live_look_around(l);/|-k 6.1 -S steady-memory -1|6.1 steady-memory|it grows
a filter left behind|user/capture/attach.c|s/clsact_remove(owner, h->ifindex);/(void)owner;/|-k 6.1 -S fault-tc -1|6.1 fault-tc|left behind
a false alarm|user/detect/rst_judge.c|s/\.suspect = score >= 4/.suspect = true/|-k 6.1 -S rst-client -1|6.1 rst-client|honest resets are suspects
packets counted wrong|bpf/count.h|/count_elsewhere(/,/^}/s/weir_add(&count->seen, segs);/weir_add(\&count->seen, 0);/|-k 6.1 -S police-one -1|6.1 police-one|WRONG: seen'

verdict()	# ok or not ok, what
{
	n=$((n + 1))
	[ "$1" = ok ] || bad=$((bad + 1))
	echo "$1 $n - $2"
}

printf '%s\n' "$breaks" >"$copy.list"
# What an earlier call broke is built anew.
cut -d '|' -f 2 "$copy.list" | while read -r f; do touch "$copy/$f"; done
while IFS='|' read -r name file edit args cell reason <&3; do
	case $name in *"$only"*) ;; *) continue ;; esac
	cp "$file" "$copy/$file"
	sed -i "$edit" "$copy/$file"
	if cmp -s "$file" "$copy/$file"; then
		verdict "not ok" "$name: the break changes nothing in $file any more"
		continue
	fi
	if ! make -s -C "$copy" B=build vmtest-build >"$log" 2>&1; then
		verdict "not ok" "$name: does not build: $(tail -n 1 "$log")"
	else
		eval "sh '$copy/vmtests/run.sh' '$copy/build' $args" >"$log" 2>&1 </dev/null
		failed=$(sed -nE 's/^not ok [0-9]+ - ([^ ]+ [^ ]+) .*/\1/p' "$log" | sort -u | paste -sd ,)
		if [ "$failed" != "$cell" ]; then
			verdict "not ok" "$name: \"$cell\" should fail; what fails: ${failed:-nothing} (see $log)"
			cp "$log" "$log.$n"
		elif ! grep -qF "$reason" "$log"; then
			verdict "not ok" "$name: $cell fails, but not for \"$reason\""
			cp "$log" "$log.$n"
		else
			verdict ok "$name: $cell fails, as it must: $(grep -m 1 -F "$reason" "$log" | cut -c 1-160)"
		fi
	fi
	cp "$file" "$copy/$file"
done 3<"$copy.list"
echo "1..$n"
echo "$((n - bad)) passed, $bad failed"
[ "$bad" -eq 0 ] && [ "$n" -gt 0 ]
