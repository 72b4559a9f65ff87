/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traffic that is random from its first byte on, as a censor tells it: Wu et
 * al., "How the Great Firewall of China Detects and Blocks Fully Encrypted
 * Traffic", USENIX Security 2023. It is what no exemption holds for.
 */
#include "probe.h"

/* Fewer bytes than this are any binary protocol's: the share of ones says nothing of them. */
#define RANDOM_MIN 16

bool looks_random(const uint8_t *p, size_t n)
{
	size_t ones = 0, text = 0, run = 0, longest = 0, lead = 0;
	struct seg s = { p, n };

	if (n < RANDOM_MIN)
		return false;
	for (size_t i = 0; i < n; i++) {
		ones += (size_t)__builtin_popcount(p[i]);
		if (printable(p[i])) {
			text++;
			run++;
			if (run == i + 1)
				lead = run;
			if (run > longest)
				longest = run;
		} else {
			run = 0;
		}
	}
	/* Ex1: ones per byte at most 3.4 or at least 4.6. */
	if (ones * 10 <= n * 34 || ones * 10 >= n * 46)
		return false;
	/* Ex2 to Ex4: begins with six printable ones, more than half, more than 20 in a row. */
	if (lead >= 6 || text * 2 > n || longest > 20)
		return false;
	/* Ex5: TLS or HTTP. */
	if ((p[0] == 0x16 || p[0] == 0x17) && p[1] == 3 && p[2] <= 9)
		return false;
	return !SEG_HAS(s, "GET ") && !SEG_HAS(s, "PUT ") && !SEG_HAS(s, "POST ") &&
	       !SEG_HAS(s, "HEAD ");
}

/*
 * The criteria let binary protocols with a plain head pass. Such a head shows in
 * the segment's own length near the beginning, or in zeros: by chance once in
 * 1,500 segments.
 */
bool has_plain_head(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n && i < 6; i++) {
		size_t be = be16(p + i), le = (size_t)(p[i] | p[i + 1] << 8);

		if (be == n || be == n - i || be == n - i - 2 || le == n || le == n - i ||
		    le == n - i - 2)
			return true;
	}
	for (size_t i = 0; i + 1 < n && i < 16; i++)
		if (!p[i] && !p[i + 1])
			return true;
	return false;
}
