#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# From results.tsv: the table of kernel and scenario, junit.xml, and the closing line.
#
#   report.sh DIR "KERNEL..."
set -u
dir=$1 kernels=$2

awk -F '\t' -v kernels="$kernels" '
{
	cell = $2 SUBSEP $1
	if (!($2 in seen)) { seen[$2] = 1; order[++n] = $2; row[$2] = $3 }
	count[cell]++
	if ($6 == "fail") bad[cell] = bad[cell] " " $4 "/" $5
	if ($6 == "skip") { skipped[cell]++; why[$1 ": " $2 ": " $8] = 1 }
}
END {
	k = split(kernels, kernel, " ")
	printf "%-28s %-5s", "scenario", "row"
	for (i = 1; i <= k; i++) printf " %-12s", kernel[i]
	print ""
	for (r = 1; r <= n; r++) {
		s = order[r]
		printf "%-28s %-5s", s, row[s]
		for (i = 1; i <= k; i++) {
			cell = s SUBSEP kernel[i]
			word = !(cell in count) ? "." : cell in bad ? "FAIL" : skipped[cell] == count[cell] ? "skip" : "ok"
			printf " %-12s", word
		}
		print ""
	}
	for (w in why) print "skipped: " w
}' "$dir/results.tsv" >"$dir/table.txt"

awk -F '\t' '
function esc(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); gsub(/"/, "\\&quot;", s); return s }
{
	body[NR] = sprintf("  <testcase classname=\"%s\" name=\"%s %s %s\" time=\"%s\">", esc($1), esc($2), $4, $5, $7)
	if ($6 == "fail") { bad++; body[NR] = body[NR] "<failure message=\"" esc($8) "\"/>" }
	if ($6 == "skip") { skip++; body[NR] = body[NR] "<skipped message=\"" esc($8) "\"/>" }
	body[NR] = body[NR] "</testcase>"
}
END {
	print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
	printf "<testsuite name=\"vmtests\" tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n", NR, bad, skip
	for (i = 1; i <= NR; i++) print body[i]
	print "</testsuite>"
}' "$dir/results.tsv" >"$dir/junit.xml"

cat "$dir/table.txt"
echo "(artifacts of failures, results.tap, junit.xml: $dir)"
# The last words are of what failed: which kernel and row, what was expected, what was found.
awk -F '\t' '$6 == "fail" { print $1 "\t" $2 "\t" $3 "\t" $4 "\t" $5 "\t" $8 }' "$dir/results.tsv" |
	while IFS='	' read -r kernel name row on how why; do
		echo "FAILED $kernel $name ($row) $on $how: $why"
		at=$dir/k-$kernel/art/s/$name.$on
		[ -d "$at" ] || continue
		# A finding's last word, less the evidence that makes its line long.
		[ ! -s "$at/$how.json" ] || grep -a '"event_type":"finding"' "$at/$how.json" | tail -n 2 | cut -c 1-900 | sed 's/^/  found: /'
		[ ! -s "$at/$how.err" ] || tail -n 2 "$at/$how.err" | cut -c 1-300 | sed 's/^/  stderr: /'
	done
awk -F '\t' '{ n[$6]++ } END { printf "%d passed, %d failed, %d skipped\n", n["pass"], n["fail"], n["skip"]; exit !!n["fail"] || !n["pass"] }' \
	"$dir/results.tsv"
