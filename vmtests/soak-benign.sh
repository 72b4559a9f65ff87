#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every benign row N times, with another congestion control each round: no claim may be made.
# Goes on where it was stopped; remove BUILD_DIR/soak-benign to begin anew.
#
#   soak-benign.sh BUILD_DIR N KERNEL|here [JOBS]
#
# here: in namespaces of this machine, JOBS (16) side by side; what its kernel lacks is skipped and
# said. A round of 31 rows takes a minute or two there, in an emulated VM ten and more.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 n=$2 kernel=$3 jobs=${4:-16}
out=$build/soak-benign
mkdir -p "$out"
now=$out/now
i=1
while [ "$i" -le "$n" ]; do
	if [ ! -e "$out/round-$i.tsv" ]; then
		case $((i % 3)) in
		1) cca=cubic ;;
		2) cca=bbr ;;
		0) cca=reno ;;
		esac
		echo "# round $i of $n, $cca"
		rm -rf "$now"
		if [ "$kernel" = here ]; then
			mkdir -p "$now"
			PATH=$(cd "$build" && pwd):$(cd "$build/scen" && pwd):$PATH scenario run -b -l -s full \
				-j "$jobs" -c $cca -o "$now" "$here"/../tests/scenarios/rows/*.scn >"$now.log" 2>&1
			awk -F '\t' '/^RESULT\t/ { print "here\t" $2 "\t" $3 "\t" $4 "\t" $5 "\t" $6 "\t" $7 "\t" $8 }' "$now.log" \
				>"$now/results.tsv"
			grep -P '\tfail\t' "$now/results.tsv"
			[ ! -s "$now/results.tsv" ] || cp "$now/results.tsv" "$out/round-$i.tsv"
			art=$now
		else
			sh "$here/run.sh" "$build" -k "$kernel" -b -s full -c "$cca" -o "$now" | grep '^not ok'
			grep -q 'boot	pass' "$now/results.tsv" && cp "$now/results.tsv" "$out/round-$i.tsv"
			art=$now/k-$kernel/art/s
		fi
		[ ! -d "$art" ] || { rm -rf "$out/art-$i"; mv "$art" "$out/art-$i"; }
	fi
	i=$((i + 1))
done
cat "$out"/round-*.tsv | awk -F '\t' '$5 == "live" || $5 == "offline" {
	if ($6 == "skip") { skipped[$2 ": " $8]++; next }
	n++
	runs[$2]++
	if ($8 ~ /FALSE|suspects/) { claims++; print $2, $5, $8 } else if ($6 == "fail") other++
}
END {
	for (s in skipped) print "skipped", skipped[s] " times:", s
	for (r in runs) rows++
	printf "%d runs of %d benign rows, %d with a claim, %d failed otherwise\n", n, rows, claims, other
	printf "%d passed, %d failed\n", n - claims - other, claims + other
	exit claims + other > 0 || !n
}'
