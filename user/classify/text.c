/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSH (RFC 4253 4.2) and SIP (RFC 3261): told by their first line. */
#include "model.h"
#include "probe.h"

enum match ssh_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_SSH;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = v->way[w];

		if (SEG_HAS(s, "SSH-2.") || SEG_HAS(s, "SSH-1."))
			return MATCH_YES;
		if (s.n && SEG_MAY(s, "SSH-2.") && !v->full)
			m = MATCH_MORE;
	}
	return m;
}

static const char *const sip_methods[] = { "INVITE ",  "REGISTER ", "OPTIONS ", "ACK ",
					   "BYE ",     "CANCEL ",   "PRACK ",	"SUBSCRIBE ",
					   "NOTIFY ",  "PUBLISH ",  "INFO ",	"REFER ",
					   "MESSAGE ", "UPDATE " };

static enum match sip_line(struct seg s)
{
	bool may = false;

	if (SEG_HAS_CASE(s, "SIP/2.0 "))
		return MATCH_YES;
	for (unsigned i = 0; i < sizeof(sip_methods) / sizeof(sip_methods[0]); i++) {
		size_t n = strlen(sip_methods[i]);
		struct seg rest;

		if (memcmp(s.p, sip_methods[i], s.n < n ? s.n : n))
			continue;
		rest = seg_skip(s, n);
		if (rest.n < 4) {
			may = true;
			continue;
		}
		if (SEG_HAS_CASE(rest, "sip:") || SEG_HAS_CASE(rest, "sips") ||
		    SEG_HAS_CASE(rest, "tel:"))
			return MATCH_YES;
		/* A target of another form: the line's end tells. */
		if (memmem(rest.p, rest.n < 256 ? rest.n : 256, " SIP/2.0", 8))
			return MATCH_YES;
	}
	return may || SEG_MAY(s, "SIP/2.0 ") ? MATCH_MORE : MATCH_NO;
}

/* Damaged first lines on the way, or a continuation: headers that are only SIP's. */
static bool sip_headers(struct seg s)
{
	return memmem(s.p, s.n, "SIP/2.0/UDP", 11) &&
	       (memmem(s.p, s.n, "Call-ID:", 8) || memmem(s.p, s.n, "\nCSeq:", 6));
}

enum match sip_udp(const struct udp_view *v, struct found *out)
{
	out->l7 = WEIR_L7_SIP;
	if (!v->d.n)
		return MATCH_NO;
	if (sip_line(v->d) == MATCH_YES)
		return MATCH_YES;
	if (printable(v->d.p[0]) && v->d.n > 100 && sip_headers(v->d))
		return MATCH_YES;
	return MATCH_NO;
}

enum match sip_tcp(const struct tcp_view *v, struct found *out)
{
	enum match best = MATCH_NO;

	out->l7 = WEIR_L7_SIP;
	for (unsigned w = 0; w < 2; w++) {
		enum match m = v->way[w].n ? sip_line(v->way[w]) : MATCH_NO;

		if (m > best)
			best = m;
	}
	out->final = true;
	return best == MATCH_MORE && v->full ? MATCH_NO : best;
}
