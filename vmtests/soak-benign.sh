#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every benign row N times, with another congestion control each round: no claim may be made.
# Goes on where it was stopped; remove BUILD_DIR/soak-benign to begin anew.
#
#   soak-benign.sh BUILD_DIR N KERNEL
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 n=$2 kernel=$3
out=$build/soak-benign
mkdir -p "$out"
i=1
while [ "$i" -le "$n" ]; do
	if [ ! -e "$out/round-$i.tsv" ]; then
		case $((i % 3)) in
		1) cca=cubic ;;
		2) cca=bbr ;;
		0) cca=reno ;;
		esac
		echo "# round $i of $n, $cca"
		sh "$here/run.sh" "$build" -k "$kernel" -b -s full -c "$cca" -o "$out/now" | grep '^not ok'
		grep -q 'boot	pass' "$out/now/results.tsv" && cp "$out/now/results.tsv" "$out/round-$i.tsv"
		[ ! -d "$out/now/k-$kernel/art/s" ] || { rm -rf "$out/art-$i"; mv "$out/now/k-$kernel/art/s" "$out/art-$i"; }
	fi
	i=$((i + 1))
done
cat "$out"/round-*.tsv | awk -F '\t' '$5 == "live" || $5 == "offline" {
	n++
	if ($8 ~ /FALSE|suspects/) { claims++; print $2, $5, $8 } else if ($6 == "fail") other++
}
END {
	printf "%d runs of benign rows, %d with a claim, %d failed otherwise\n", n, claims, other
	printf "%d passed, %d failed\n", n - claims - other, claims + other
	exit claims + other > 0 || !n
}'
