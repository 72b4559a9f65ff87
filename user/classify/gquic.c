/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Google's QUIC up to Q048: the CHLO travels in the clear behind a public
 * header (Q043 and below) or a long one (Q046). Facebook's Zero has the same
 * messages over TCP.
 */
#include "model.h"
#include "gquic.h"

#define TAGS_MAX 64

bool gquic_hello(struct seg s, struct found *out)
{
	const uint8_t *chlo = NULL;
	size_t tags, base, prev = 0;

	if (s.n >= 8)
		chlo = memmem(s.p, s.n < 64 ? s.n : 64, "CHLO", 4);
	if (!chlo)
		return false;
	s = seg_skip(s, (size_t)(chlo - s.p));
	if (s.n < 8)
		return false;
	tags = le32(s.p + 4) & 0xffff;
	base = 8 + tags * 8;
	if (!tags || tags > TAGS_MAX)
		return false;
	for (size_t i = 0; i < tags && 16 + i * 8 <= s.n; i++) {
		const uint8_t *tag = s.p + 8 + i * 8;
		size_t end = le32(tag + 4);

		if (end < prev)
			return false;
		if (!memcmp(tag, "SNI\0", 4) && base + end <= s.n)
			found_host(out, s.p + base + prev, end - prev);
		prev = end;
	}
	return true;
}

static bool version_tag(const uint8_t *p)
{
	return (p[0] == 'Q' || p[0] == 'T') && p[1] == '0' && p[2] >= '0' && p[2] <= '9' &&
	       p[3] >= '0' && p[3] <= '9';
}

enum match gquic_udp(const struct udp_view *v, struct found *out)
{
	struct seg d = v->d;
	size_t cid, at;

	if (d.n < 14)
		return MATCH_NO;
	out->l7 = WEIR_L7_QUIC;
	if (d.p[0] & 0x80) {
		/* Q044 to Q048: a long header of the drafts' first form. */
		if (!version_tag(d.p + 1) || d.p[1] != 'Q')
			return MATCH_NO;
		if (gquic_hello(seg_skip(d, 6), out))
			out->final = true;
		return MATCH_YES;
	}
	/* Public header: version flag, no reset, connection id of 8 bytes or none. */
	cid = d.p[0] & 0x08 ? 8 : 0;
	at = 1 + cid;
	if ((d.p[0] & 0x01) && !(d.p[0] & 0xc2) && at + 4 <= d.n && version_tag(d.p + at)) {
		if (gquic_hello(seg_skip(d, at + 4), out))
			out->final = true;
		return MATCH_YES;
	}
	/* The server's first words, when only they were seen: REJ or SHLO in stream 1. */
	if (v->way == TO_CLIENT || v->mem->seen[TO_CLIENT] == 0) {
		const uint8_t *m = memmem(d.p, d.n < 64 ? d.n : 64, "REJ\0", 4);

		if (!m)
			m = memmem(d.p, d.n < 64 ? d.n : 64, "SHLO", 4);
		if (m && (size_t)(d.p + d.n - m) >= 16 && m[5] == 0 && m[6] == 0 && m[7] == 0 &&
		    m[4] && m[4] <= TAGS_MAX && !(d.p[0] & 0xc3))
			return MATCH_YES;
	}
	return MATCH_NO;
}

/* Facebook's Zero over TCP: "1QTV" and a digit, a length, then the same CHLO. */
enum match fbzero_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg s = v->way[TO_SERVER];

	if (!s.n)
		return MATCH_NO;
	if (s.n < 13)
		return SEG_MAY(s, "1QTV") && !v->full ? MATCH_MORE : MATCH_NO;
	if (!SEG_HAS(s, "1QTV"))
		return MATCH_NO;
	if (s.n < 9 + (size_t)le32(s.p + 5) && !v->full && le32(s.p + 5) < 2048)
		return MATCH_MORE;
	out->l7 = WEIR_L7_UNKNOWN;
	out->sig = SIG_FBZERO;
	out->final = true;
	return gquic_hello(seg_skip(s, 9), out) ? MATCH_YES : MATCH_NO;
}
