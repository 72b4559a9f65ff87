/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "content_rules.h"

static const struct {
	const char *name;
	double weight;
} rules[CONTENT_RULES] = {
	[CONTENT_CONFLICT] = { "other_bytes", 4 },
	[CONTENT_AFTER_FIN] = { "data_behind_fin", 4 },
	[CONTENT_TWO_ISNS] = { "two_syn_acks", 4 },
	[CONTENT_CERTAIN] = { "ack_too_soon", 6 },
	[CONTENT_SOON] = { "ack_soon", 2 },
	[CONTENT_UNAWARE] = { "sender_unaware", 2 },
	[CONTENT_NO_TS] = { "no_timestamps", 2 },
	[CONTENT_IPID_SAME] = { "ipid_repeats", 2 },
	[CONTENT_IPID_FLOWS] = { "ipid_same_on_flows", 2 },
	[CONTENT_TTL] = { "ttl", 1 },
	[CONTENT_IPID] = { "ipid", 1 },
	[CONTENT_DF] = { "dont_fragment", 1 },
	[CONTENT_WINDOW] = { "window", 1 },
	[CONTENT_OPTIONS] = { "tcp_options", 1 },
	[CONTENT_STALE_ACK] = { "stale_ack", 1 },
	[CONTENT_FIN_FIRST] = { "closes_at_once", 1 },
	[CONTENT_PAGE] = { "block_page", 1 },
	[CONTENT_OWN_SIDE] = { "own_side", -4 },
};

const char *content_rule_name(unsigned rule)
{
	return rule < CONTENT_RULES ? rules[rule].name : "?";
}

double content_score(uint32_t set)
{
	const uint32_t needed = CONTENT_CONTRADICTS | CONTENT_BIT(CONTENT_CERTAIN) | CONTENT_BIT(CONTENT_PAGE);
	double score = 0;

	bool contradicts = false;

	if (!(set & needed))
		return 0;
	for (unsigned r = 0; r < CONTENT_RULES; r++) {
		if (!(set & CONTENT_BIT(r)))
			continue;
		/* One contradiction often shows in several ways. */
		if (r <= CONTENT_TWO_ISNS && contradicts)
			continue;
		contradicts |= r <= CONTENT_TWO_ISNS;
		score += rules[r].weight;
	}
	return score;
}

static bool has(const uint8_t *p, size_t len, const char *text)
{
	return memmem(p, len, text, strlen(text));
}

enum content_first content_first(const uint8_t *p, size_t len)
{
	int code;

	/* TLS record: alert, 2 bytes, plain (RFC 8446 5.1, 6). */
	if (len >= 7 && p[0] == 0x15 && p[1] == 3 && p[2] <= 4 && p[3] == 0 && p[4] == 2)
		return CONTENT_IS_ALERT;
	if (len < 12 || memcmp(p, "HTTP/1.", 7) || p[8] != ' ')
		return CONTENT_OTHER;
	code = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	if (code == 301 || code == 302 || code == 303 || code == 307 || code == 308)
		return has(p, len, "ocation:") ? CONTENT_IS_PAGE : CONTENT_OTHER;
	if (code == 403 || code == 451)
		return CONTENT_IS_PAGE;
	/* A whole answer in one small segment that sends the reader elsewhere or is one frame. */
	if (code == 200 && (has(p, len, "<iframe") || has(p, len, "http-equiv=\"refresh\"") || has(p, len, "window.location")))
		return CONTENT_IS_PAGE;
	return CONTENT_OTHER;
}

bool content_conflict(const struct content_look *a, const uint8_t *abytes, const struct content_look *b,
		      const uint8_t *bbytes)
{
	int64_t shift = seq_dist(b->seq, a->seq); /* half the space away has no int32_t of the other sign */
	size_t from_a, from_b, n;

	if (a->len <= 1 || b->len <= 1 || shift >= a->kept || -shift >= b->kept)
		return false;
	from_a = shift > 0 ? (size_t)shift : 0;
	from_b = shift < 0 ? (size_t)-shift : 0;
	n = a->kept - from_a;
	if (b->kept - from_b < n)
		n = b->kept - from_b;
	/* A byte or two may be a probe's filler or a damaged packet's. */
	if (n < 4)
		return false;
	for (size_t i = 0, differ = 0; i < n; i++) {
		differ += abytes[from_a + i] != bbytes[from_b + i];
		if (differ >= 4 || (differ >= 2 && differ * 4 >= n))
			return true;
	}
	return false;
}

uint32_t content_stack(const struct content_look *odd, const struct content_look *usual, bool uses_ts, bool counts_ipid)
{
	unsigned ttl = odd->ttl > usual->ttl ? odd->ttl - usual->ttl : usual->ttl - odd->ttl;
	uint32_t set = 0;

	if (ttl >= 2)
		set |= CONTENT_BIT(CONTENT_TTL);
	if (uses_ts && !odd->ts && usual->ts)
		set |= CONTENT_BIT(CONTENT_NO_TS);
	if (odd->ipv4 && odd->df != usual->df)
		set |= CONTENT_BIT(CONTENT_DF);
	if (odd->ipv4 && counts_ipid && odd->ipid && usual->ipid && (uint16_t)(odd->ipid - usual->ipid) > 256 &&
	    (uint16_t)(usual->ipid - odd->ipid) > 256)
		set |= CONTENT_BIT(CONTENT_IPID);
	/* Both behind the handshake, so scaled alike. */
	if (!((odd->tcp_flags | usual->tcp_flags) & 2) && odd->win && usual->win &&
	    (odd->win / 4 > usual->win || usual->win / 4 > odd->win))
		set |= CONTENT_BIT(CONTENT_WINDOW);
	return set;
}
