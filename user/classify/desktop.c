/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offices and homes: RDP, SMB, LDAP, MQTT, RTMP. Binary heads with lengths that must agree. */
#include "model.h"
#include "probe.h"

/* TPKT (RFC 1006), X.224 connection request or confirm (MS-RDPBCGR 2.2.1). */
enum match rdp_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg s = v->way[TO_SERVER].n ? v->way[TO_SERVER] : v->way[TO_CLIENT];
	unsigned want = v->way[TO_SERVER].n ? 0xe0 : 0xd0;

	out->l7 = WEIR_L7_RDP;
	out->final = true;
	if (!s.n || s.p[0] != 3 || (s.n > 1 && s.p[1]))
		return MATCH_NO;
	if (s.n < 11)
		return v->full ? MATCH_NO : MATCH_MORE;
	if (be16(s.p + 2) != s.p[4] + 5u || s.p[5] != want)
		return MATCH_NO;
	if (s.n < be16(s.p + 2))
		return v->full ? MATCH_NO : MATCH_MORE;
	/* A cookie, a negotiation, or nothing more, as old clients send. */
	return be16(s.p + 2) == 11 || memmem(s.p, s.n, "Cookie: ", 8) ||
			       (be16(s.p + 2) >= 19 &&
				(s.p[be16(s.p + 2) - 8] == 1 || s.p[be16(s.p + 2) - 8] == 2 ||
				 s.p[be16(s.p + 2) - 8] == 3)) ||
			       memmem(s.p, s.n < 64 ? s.n : 64, "\x01\x00\x08\x00", 4)
		       ? MATCH_YES
		       : MATCH_NO;
}

/*
 * RDP over UDP (MS-RDPEUDP 2.2.2): snSourceAck is all ones in a SYN, and the
 * datagram is filled up to the MTU that it offers (1132 to 1232).
 */
enum match rdp_udp(const struct udp_view *v, struct found *out)
{
	const uint8_t *p = v->d.p;
	unsigned flags;

	if (v->d.n < 16)
		return MATCH_NO;
	flags = be16(p + 6);
	out->l7 = WEIR_L7_RDP;
	out->final = true;
	/*
	 * Midway: ACK and DATA, then its sequence number twice, and in it the TLS or
	 * DTLS that every RDP over UDP has.
	 */
	if (flags == 0x000c)
		for (size_t at = 8; at + 11 <= v->d.n && at <= 24; at++)
			if (!memcmp(p + at, p + at + 4, 4) && p[at + 8] >= 0x14 &&
			    p[at + 8] <= 0x17 && (p[at + 9] == 3 || p[at + 9] == 0xfe))
				return MATCH_YES;
	if (be32(p) != 0xffffffff || !(flags & 1) || flags & ~0x3e25u)
		return MATCH_NO;
	if (be16(p + 12) < 1132 || be16(p + 12) > 1232 || be16(p + 14) < 1132 ||
	    be16(p + 14) > 1232)
		return MATCH_NO;
	return v->len >= 1132 && v->len <= 1232 ? MATCH_YES : MATCH_NO;
}

/* SMB 1 to 3 behind a NetBIOS session header (MS-SMB2 2.1). */
static bool smb_magic(const uint8_t *p)
{
	return (p[0] == 0xff || p[0] == 0xfe || p[0] == 0xfd || p[0] == 0xfc) &&
	       !memcmp(p + 1, "SMB", 3);
}

enum match smb_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_SMB;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = v->way[w];

		if (!s.n)
			continue;
		/* A NetBIOS session request first, or its answer: on port 139. */
		if (s.n >= 4 && s.p[0] == 0x81 && be24(s.p + 1) == 68)
			s = seg_skip(s, 72);
		else if (s.n >= 4 && s.p[0] == 0x82 && !be24(s.p + 1))
			s = seg_skip(s, 4);
		if (s.n >= 8 && !s.p[0] && smb_magic(s.p + 4))
			return MATCH_YES;
		if (s.n < 8 && !v->full && (!s.n || !s.p[0] || s.p[0] == 0x81))
			m = MATCH_MORE;
	}
	return m;
}

/* NetBIOS datagrams (RFC 1002 4.4) that carry SMB, as the browser service's do. */
enum match smb_udp(const struct udp_view *v, struct found *out)
{
	const uint8_t *p = v->d.p;

	if (v->d.n < 14 + 2 + 2 + 4 || p[0] < 0x10 || p[0] > 0x12 || p[1] & 0xf0)
		return MATCH_NO;
	for (size_t at = 14 + 2; at + 4 <= v->d.n && at < 14 + 2 * 256; at++)
		if (smb_magic(p + at)) {
			out->l7 = WEIR_L7_SMB;
			out->final = true;
			return MATCH_YES;
		}
	return MATCH_NO;
}

/* A BER length at *at; definite forms of up to four bytes. */
static bool ber_length(struct seg s, size_t *at, size_t *len)
{
	unsigned n;

	if (*at >= s.n)
		return false;
	n = s.p[(*at)++];
	*len = n;
	if (n < 0x80)
		return true;
	n &= 0x7f;
	if (!n || n > 4 || *at + n > s.n)
		return false;
	for (*len = 0; n; n--)
		*len = *len << 8 | s.p[(*at)++];
	return true;
}

/* LDAPMessage (RFC 4511 4.1.1): SEQUENCE, messageID, then an operation of the list. */
static enum match ldap(struct seg s)
{
	size_t at = 1, len, idlen;
	unsigned op;

	if (!s.n || s.p[0] != 0x30)
		return MATCH_NO;
	if (s.n < 12)
		return MATCH_MORE;
	if (!ber_length(s, &at, &len) || at + 5 > s.n || s.p[at++] != 2 ||
	    !ber_length(s, &at, &idlen) || !idlen || idlen > 4 || at + idlen + 2 > s.n)
		return MATCH_NO;
	at += idlen;
	op = s.p[at++];
	if (!ber_length(s, &at, &idlen) || idlen > len)
		return MATCH_NO;
	switch (op) {
	case 0x60: /* bind: INTEGER version 2 or 3, then the name */
		return at + 4 <= s.n && s.p[at] == 2 && s.p[at + 1] == 1 &&
				       (s.p[at + 2] == 3 || s.p[at + 2] == 2)
			       ? MATCH_YES
			       : MATCH_NO;
	case 0x63: /* search: OCTET STRING base */
		return at < s.n && s.p[at] == 4 ? MATCH_YES : MATCH_NO;
	case 0x61:
	case 0x64:
	case 0x65:
	case 0x78:
		/* Answers: ENUMERATED result, or the entry's name. */
		return at + 1 < s.n && (op == 0x64 ? s.p[at] == 4
						   : s.p[at] == 0x0a && s.p[at + 1] == 1)
			       ? MATCH_YES
			       : MATCH_NO;
	case 0x77: /* extended: the object identifier of StartTLS and its like */
		return at + 2 < s.n && s.p[at] == 0x80 ? MATCH_YES : MATCH_NO;
	}
	return MATCH_NO;
}

enum match ldap_tcp(const struct tcp_view *v, struct found *out)
{
	enum match best = MATCH_NO;

	out->l7 = WEIR_L7_LDAP;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		enum match m = ldap(v->way[w]);

		if (m > best)
			best = m;
	}
	return best == MATCH_MORE && v->full ? MATCH_NO : best;
}

enum match ldap_udp(const struct udp_view *v, struct found *out)
{
	out->l7 = WEIR_L7_LDAP;
	out->final = true;
	return ldap(v->d) == MATCH_YES ? MATCH_YES : MATCH_NO;
}

/* Midway: a PUBLISH that ends with the segment and names a topic (MQTT 5.0 3.3), or pings both
 * ways. */
static bool mqtt_midway(const struct tcp_view *v)
{
	struct seg up = v->way[TO_SERVER], down = v->way[TO_CLIENT];

	if (up.n == 2 && down.n == 2 && be16(up.p) == 0xc000 && be16(down.p) == 0xd000)
		return true;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = w ? down : v->first;
		size_t at = 1, len = 0, topic;

		if (s.n < 6 || s.p[0] >> 4 != 3 || (s.p[0] & 6) == 6)
			continue;
		for (unsigned shift = 0; at < 5; shift += 7) {
			len |= (size_t)(s.p[at] & 0x7f) << shift;
			if (!(s.p[at++] & 0x80))
				break;
		}
		if (at + 2 > s.n || len != s.n - at)
			continue;
		topic = be16(s.p + at);
		if (!topic || topic + 2 > len)
			continue;
		for (size_t i = 0; i < topic; i++)
			if (!printable(s.p[at + 2 + i]))
				return false;
		return topic >= 3;
	}
	return false;
}

/* CONNECT with the protocol's name (MQTT 5.0 3.1). */
enum match mqtt_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg s = v->way[TO_SERVER];
	size_t at = 1;

	out->l7 = WEIR_L7_MQTT;
	out->final = true;
	if (!s.n || s.p[0] != 0x10)
		return mqtt_midway(v) ? MATCH_YES : MATCH_NO;
	while (at < s.n && at < 5 && s.p[at] & 0x80)
		at++;
	at++;
	if (at + 8 > s.n)
		return v->full ? MATCH_NO : MATCH_MORE;
	return !memcmp(s.p + at, "\0\4MQTT", 6) || !memcmp(s.p + at, "\0\6MQIsdp", 8) ? MATCH_YES
										      : MATCH_NO;
}

/*
 * RTMP 1.0, 5.2: version 3, then 1536 bytes each way: a time and four bytes
 * that are zero or the player's version.
 */
enum match rtmp_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg up = v->way[TO_SERVER], down = v->way[TO_CLIENT];

	out->l7 = WEIR_L7_RTMP;
	out->final = true;
	if (!up.n || up.p[0] != 3)
		return MATCH_NO;
	if (up.n < 9)
		return v->full ? MATCH_NO : MATCH_MORE;
	/* TPKT begins with 3 too. */
	if (up.p[1] == 0 && be16(up.p + 2) == v->first.n)
		return MATCH_NO;
	if (down.n && down.p[0] != 3 && down.p[0] != 6)
		return MATCH_NO;
	if (down.n < 9 || up.n < 600)
		return !v->full				       ? MATCH_MORE
		       : up.n >= 1024 && all_zero(up.p + 5, 4) ? MATCH_YES
							       : MATCH_NO;
	return MATCH_YES;
}
