/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls: STUN and TURN (RFC 8489, 8656, and RFC 3489 before them), RTP and RTCP
 * (RFC 3550). RFC 7983 says which is which where they share a five-tuple.
 */
#include "model.h"
#include "probe.h"

#define COOKIE 0x2112a442u
#define ATTRS_MAX 64

enum { USERNAME = 0x0006, REALM = 0x0014, SOFTWARE = 0x8022 };

/* What private attributes tell of whose client or server it is. */
static void attribute(unsigned type, struct seg val, struct found *out)
{
	switch (type) {
	case 0x4000:
	case 0x4001:
	case 0x4002:
	case 0x4003:
	case 0x4004:
	case 0x4007:
		/* Comprehension-required and unassigned; WhatsApp's clients and relays use them. */
		if (!out->sig)
			out->sig = SIG_WHATSAPP_STUN;
		break;
	case 0x8006:
	case 0x8008:
	case 0x8050:
	case 0x8054:
	case 0x8055:
	case 0x8056:
	case 0x8057:
	case 0x8058:
	case 0x8059:
	case 0x805b:
	case 0x805c:
	case 0x8070:
	case 0x8090:
	case 0x8095:
		/* MS-TURN, MS-ICE2. 0x8006 and 0x8008 alone mean nothing. */
		if (type > 0x8008 || !out->sig)
			out->sig = SIG_MS_TURN;
		break;
	case 0x0101:
	case 0x0103:
		if (val.n >= 4)
			out->sig = SIG_ZOOM_STUN;
		break;
	case REALM:
		if (val.n && val.n < 128)
			found_host(out, val.p, val.n);
		break;
	}
}

/* Attributes that fill the message exactly. */
static bool attributes(struct seg s, struct found *out, bool *known)
{
	for (unsigned i = 0; s.n >= 4 && i < ATTRS_MAX; i++) {
		unsigned type = be16(s.p), len = be16(s.p + 2);

		if (len > s.n - 4)
			return false;
		if ((type >= 1 && type <= 0x2b) || (type >= 0x8020 && type <= 0x8030))
			*known = true;
		attribute(type, (struct seg){ s.p + 4, len }, out);
		*known |= out->sig != SIG_NONE;
		s = seg_skip(s, 4 + ((len + 3u) & ~3u));
	}
	return s.n < 4;
}

/* Length of the message at s, 0 if it is none. */
static size_t stun(struct seg s, struct found *out)
{
	struct found f = *out;
	bool known = false, cookie;
	unsigned type, len;

	if (s.n < 20 || s.p[0] & 0xc0)
		return 0;
	type = be16(s.p);
	len = be16(s.p + 2);
	cookie = be32(s.p + 4) == COOKIE;
	if (20 + len > s.n)
		return 0;
	if (cookie) {
		/* MS-TURN pads nothing; elsewhere lengths are multiples of four. */
		attributes((struct seg){ s.p + 20, len }, &f, &known);
		*out = f;
		return 20 + len;
	}
	/* RFC 3489 has no cookie: its few methods, and attributes that fill it to the byte. */
	type &= 0xfeef;
	if ((type < 1 || type > 9) && type != 0x0800 && type != 0x0802 && type != 0x0805)
		return 0;
	if (len & 3 || 20 + len != s.n || all_zero(s.p + 4, 16))
		return 0;
	if (!attributes((struct seg){ s.p + 20, len }, &f, &known))
		return 0;
	/* Without attributes only the commonest message, from or to the usual ports. */
	if (!known)
		return 0;
	*out = f;
	return 20 + len;
}

/* A Binding Request of RFC 3489 without attributes: on STUN's own ports only. */
static bool bare_binding(struct seg s, const struct udp_view *v)
{
	uint16_t p = v->server_port;

	return s.n == 20 && be16(s.p) == 1 && !be16(s.p + 2) && p >= 3478 && p <= 3481 &&
	       !all_zero(s.p + 4, 16);
}

enum match stun_udp(const struct udp_view *v, struct found *out)
{
	if (!stun(v->d, out) && !bare_binding(v->d, v))
		return MATCH_NO;
	out->l7 = WEIR_L7_STUN;
	return MATCH_YES;
}

/* Plain, or each message with its length in front (RFC 4571). */
enum match stun_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_STUN;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = v->way[w];
		size_t len;

		if (!s.n || s.p[0] & 0xc0)
			continue;
		if (s.n >= 8 && be32(s.p + 4) == COOKIE && !(be16(s.p + 2) & 3)) {
			len = 20 + be16(s.p + 2);
			stun(seg_head(s, len), out);
			return MATCH_YES;
		}
		if (s.n >= 10 && be32(s.p + 6) == COOKIE && be16(s.p) == 20 + be16(s.p + 4)) {
			stun(seg_head(seg_skip(s, 2), be16(s.p)), out);
			return MATCH_YES;
		}
		if (s.n >= 20 && be16(s.p) == 20 + be16(s.p + 4) && s.n >= 2u + be16(s.p) &&
		    stun(seg_head(seg_skip(s, 2), be16(s.p)), out))
			return MATCH_YES;
		if (s.n < 10 && !v->full)
			m = MATCH_MORE;
	}
	return m;
}

/* Compound RTCP (RFC 3550 6.1): packets end to end, the first a report or feedback. */
static bool rtcp(struct seg d, size_t wire, bool *encrypted)
{
	struct seg s = d;
	unsigned n = 0;

	*encrypted = false;
	if (d.n < 8 || d.n < wire)
		return false;
	while (s.n >= 4 && n < 16) {
		size_t len = 4 * (1 + (size_t)be16(s.p + 2));

		if (s.p[0] >> 6 != 2 || s.p[1] < 192 || s.p[1] > 213 || len > s.n)
			break;
		s = seg_skip(s, len);
		n++;
	}
	if (!n || d.p[1] < 200 || d.p[1] > 207)
		return false;
	/* SRTCP encrypts all behind the first eight bytes, and adds an index and a tag. */
	*encrypted = s.n != 0;
	return s.n == 0 || s.n >= 8;
}

enum match rtp_udp(const struct udp_view *v, struct found *out)
{
	struct udp_memory *m = v->mem;
	const uint8_t *p = v->d.p;
	unsigned w = v->way, pt;
	uint32_t ssrc, ts;
	uint16_t seq;
	bool encrypted;
	size_t head;

	if (v->d.n < 8 || p[0] >> 6 != 2)
		return MATCH_NO;
	if (p[1] >= 192 && p[1] <= 223) {
		ssrc = be32(p + 4);
		if (!rtcp(v->d, v->len, &encrypted))
			return MATCH_NO;
		/* Encrypted or alone, one packet is a guess; two of one sender are not. */
		if (!encrypted || (m->rtcp_ssrc[w] == ssrc && ssrc)) {
			out->l7 = WEIR_L7_RTCP;
			return MATCH_YES;
		}
		m->rtcp_ssrc[w] = ssrc;
		return MATCH_MORE;
	}
	if (v->d.n < 12)
		return MATCH_NO;
	pt = p[1] & 0x7f;
	/* Assigned, or dynamic; 35 to 63 are free for what needs more (RFC 5761). */
	if (pt > 34 && pt < 96 && (pt < 35 || pt > 63))
		return MATCH_NO;
	head = 12 + 4 * (p[0] & 15u);
	if (p[0] & 0x10) {
		if (v->d.n < head + 4)
			return MATCH_NO;
		head += 4 + 4 * (size_t)be16(p + head + 2);
	}
	if (head > v->len)
		return MATCH_NO;
	seq = be16(p + 2);
	ts = be32(p + 4);
	ssrc = be32(p + 8);
	/* In a row: same source, sequence a little on, time on by less than some seconds. */
	if (m->rtp_run[w] && m->ssrc[w] == ssrc && (uint16_t)(seq - m->rtp_seq[w]) < 64 &&
	    seq != m->rtp_seq[w] && (ts - m->rtp_ts[w]) < 90000 * 4)
		m->rtp_run[w]++;
	else
		m->rtp_run[w] = 1;
	m->ssrc[w] = ssrc;
	m->rtp_seq[w] = seq;
	m->rtp_ts[w] = ts;
	out->l7 = WEIR_L7_RTP;
	if (m->rtp_run[w] >= 3 || (m->rtp_run[w] == 2 && ssrc))
		return MATCH_YES;
	return MATCH_MORE;
}
