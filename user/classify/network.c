/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps a network going: NTP (RFC 5905), DHCP (2131, 8415), and SOCKS (1928). */
#include "model.h"
#include "probe.h"

enum match ntp_udp(const struct udp_view *v, struct found *out)
{
	const uint8_t *p = v->d.p;
	unsigned version, mode;

	if (v->server_port != 123 && v->client_port != 123)
		return MATCH_NO;
	if (v->d.n < 8)
		return MATCH_NO;
	version = p[0] >> 3 & 7;
	mode = p[0] & 7;
	if (!version || version > 4 || !mode)
		return MATCH_NO;
	/* Time in 48 bytes and what follows; control and private have heads of their own. */
	if (mode < 6 && (v->len < 48 || p[1] > 16))
		return MATCH_NO;
	out->l7 = WEIR_L7_NTP;
	out->final = true;
	return MATCH_YES;
}

/* BOOTP with DHCP's cookie; DHCPv6: a message type, a transaction, options end to end. */
enum match dhcp_udp(const struct udp_view *v, struct found *out)
{
	const uint8_t *p = v->d.p;
	struct seg s;

	out->l7 = WEIR_L7_DHCP;
	out->final = true;
	if (v->d.n >= 240 && (p[0] == 1 || p[0] == 2) && p[2] <= 16 && be32(p + 236) == 0x63825363)
		return MATCH_YES;
	if (v->server_port != 547 && v->server_port != 546 && v->client_port != 547 &&
	    v->client_port != 546)
		return MATCH_NO;
	if (v->d.n < 8 || !p[0] || p[0] > 36)
		return MATCH_NO;
	/* Relays put two addresses where others have the transaction. */
	s = seg_skip(v->d, p[0] == 12 || p[0] == 13 ? 34 : 4);
	if (s.n < 4)
		return MATCH_NO;
	while (s.n >= 4) {
		size_t len = be16(s.p + 2);

		if (len > s.n - 4)
			return v->d.n < v->len ? MATCH_YES : MATCH_NO;
		s = seg_skip(s, 4 + len);
	}
	return s.n ? MATCH_NO : MATCH_YES;
}

/* Version 4: a request, then an answer 0x00 0x5a..; version 5: methods, then one chosen. */
enum match socks_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg up = v->way[TO_SERVER], down = v->way[TO_CLIENT];

	out->l7 = WEIR_L7_SOCKS;
	out->final = true;
	if (!up.n)
		return MATCH_NO;
	if (up.p[0] == 5) {
		if (up.n < 2 || up.n < 2u + up.p[1])
			return up.n >= 2 && !up.p[1] ? MATCH_NO : v->full ? MATCH_NO : MATCH_MORE;
		if (!up.p[1])
			return MATCH_NO;
		/* The offer is all the client says before it is answered. */
		if (v->first.n > 2u + up.p[1])
			return MATCH_NO;
		if (down.n < 2)
			return !v->full						      ? MATCH_MORE
			       : up.n == 2u + up.p[1] && up.p[1] <= 4 && up.p[2] <= 2 ? MATCH_YES
										      : MATCH_NO;
		if (down.p[0] != 5)
			return MATCH_NO;
		if (down.p[1] == 0xff || memchr(up.p + 2, down.p[1], up.p[1]))
			return MATCH_YES;
		return MATCH_NO;
	}
	if (up.p[0] == 4) {
		if (up.n < 9)
			return v->full ? MATCH_NO : MATCH_MORE;
		if (up.p[1] < 1 || up.p[1] > 2 || !be16(up.p + 2))
			return MATCH_NO;
		if (down.n < 2)
			return v->full ? MATCH_NO : MATCH_MORE;
		return !down.p[0] && down.p[1] >= 0x5a && down.p[1] <= 0x5d ? MATCH_YES : MATCH_NO;
	}
	return MATCH_NO;
}
