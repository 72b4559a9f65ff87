/* SPDX-License-Identifier: GPL-2.0-or-later */
/* WireGuard, OpenVPN (UDP and TCP; plain, tls-auth, tls-crypt), IKE and ESP in UDP. */
#include "model.h"
#include "probe.h"

/* Lengths and types of the WireGuard paper, 5.4. */
enum { WG_INIT = 1, WG_RESPONSE = 2, WG_COOKIE = 3, WG_DATA = 4 };

enum match wireguard_udp(const struct udp_view *v, struct found *out)
{
	struct udp_memory *m = v->mem;
	const uint8_t *p = v->d.p;
	unsigned w = v->way;

	if (v->d.n < 16 || p[0] < WG_INIT || p[0] > WG_DATA)
		return MATCH_NO;
	out->l7 = WEIR_L7_WIREGUARD;
	out->final = true;
	if (!all_zero(p + 1, 3)) {
		/* The reserved bytes carry a client id in one provider's: then both sides must fit.
		 */
		if (p[0] == WG_INIT && v->len == 148) {
			m->slot[SLOT_WIREGUARD][w].kind = WG_INIT;
			memcpy(m->slot[SLOT_WIREGUARD][w].b, p + 4, 4);
			return MATCH_MORE;
		}
		return p[0] == WG_RESPONSE && v->len == 92 &&
				       m->slot[SLOT_WIREGUARD][!w].kind == WG_INIT &&
				       !memcmp(m->slot[SLOT_WIREGUARD][!w].b, p + 8, 4)
			       ? MATCH_YES
			       : MATCH_NO;
	}
	switch (p[0]) {
	case WG_INIT:
		return v->len == 148 ? MATCH_YES : MATCH_NO;
	case WG_RESPONSE:
		return v->len == 92 ? MATCH_YES : MATCH_NO;
	case WG_COOKIE:
		return v->len == 64 ? MATCH_YES : MATCH_NO;
	}
	/* Data: padded to 16, a counter that grows, one receiver. One packet alone is a guess. */
	if (v->len < 32 || v->len % 16 || !all_zero(p + 13, 3) || all_zero(p + 4, 4))
		return MATCH_NO;
	if (m->slot[SLOT_WIREGUARD][w].kind == WG_DATA &&
	    !memcmp(m->slot[SLOT_WIREGUARD][w].b, p + 4, 4) &&
	    le32(p + 8) > le32(m->slot[SLOT_WIREGUARD][w].b + 4))
		return MATCH_YES;
	m->slot[SLOT_WIREGUARD][w].kind = WG_DATA;
	memcpy(m->slot[SLOT_WIREGUARD][w].b, p + 4, 8);
	return MATCH_MORE;
}

/* Opcodes of OpenVPN's protocol, the upper five bits of the first byte. */
enum {
	RESET_CLIENT_V1 = 1,
	RESET_SERVER_V1 = 2,
	CONTROL_V1 = 4,
	ACK_V1 = 5,
	DATA_V1 = 6,
	RESET_CLIENT_V2 = 7,
	RESET_SERVER_V2 = 8,
	DATA_V2 = 9,
	RESET_CLIENT_V3 = 10,
};

/* Text is another's: random bytes are all printable once in 10,000. */
static bool all_printable(const uint8_t *p, size_t n)
{
	while (n--)
		if (!printable(*p++))
			return false;
	return true;
}

/* A session id is drawn at random: no two zeros together, neither few ones nor many. */
static bool random_id(const uint8_t *p)
{
	unsigned ones = 0;

	for (unsigned i = 0; i < 8; i++) {
		ones += (unsigned)__builtin_popcount(p[i]);
		if (i && !p[i] && !p[i - 1])
			return false;
	}
	return ones >= 14 && ones <= 50;
}

static bool resets_client(unsigned op)
{
	return op == RESET_CLIENT_V1 || op == RESET_CLIENT_V2 || op == RESET_CLIENT_V3;
}

/*
 * A hard reset that gives itself away alone: behind the 9 bytes of opcode and
 * session id an empty ack list and message 0 (plain), an HMAC and then packet id
 * 1 with a time (tls-auth), or packet id 1, a time and an HMAC (tls-crypt).
 */
static bool reset_form(const uint8_t *p, size_t n, size_t len)
{
	static const uint8_t macs[] = { 16, 20, 32, 64 };

	if (n < 14 || all_zero(p + 1, 8))
		return false;
	if (len == 14)
		return all_zero(p + 9, 5);
	/* tls-crypt: 9 + 8 + 32 + what is encrypted; its v2 appends the client's key. */
	if (len >= 54 && n >= 17 && (be32(p + 9) == 1 || be32(p + 9) == 0x0f000001) &&
	    be32(p + 13) > 0x40000000)
		return true;
	for (unsigned i = 0; i < sizeof(macs); i++) {
		size_t at = 9u + macs[i];

		if (n >= at + 13 && len == at + 13 && be32(p + at) == 1 &&
		    be32(p + at + 4) > 0x40000000 && all_zero(p + at + 8, 5))
			return true;
	}
	return false;
}

/* Does the other side's session id appear where an answer acknowledges it? */
static bool names_session(const uint8_t *p, size_t n, const uint8_t *session)
{
	return !all_zero(session, 8) && n > 9 + 8 &&
	       memmem(p + 9, n - 9 < 120 ? n - 9 : 120, session, 8);
}

static enum match openvpn(struct seg d, size_t len, unsigned way, struct udp_memory *m)
{
	unsigned op;

	if (d.n < 14)
		return MATCH_NO;
	op = d.p[0] >> 3;
	/* The key id is 0 in a first handshake. */
	if (resets_client(op) && !(d.p[0] & 7)) {
		if (reset_form(d.p, d.n, len))
			return MATCH_YES;
		memcpy(m->session, d.p + 1, 8);
		m->slot[SLOT_OPENVPN][way].kind = 0x70;
		return MATCH_MORE;
	}
	/* The answer names the client's session, in the clear but for tls-crypt, which has a form. */
	if ((op == RESET_SERVER_V2 || op == RESET_SERVER_V1) && !(d.p[0] & 7)) {
		if (names_session(d.p, d.n, m->session))
			return MATCH_YES;
		return len >= 54 && reset_form(d.p, d.n, len) ? MATCH_YES : MATCH_MORE;
	}
	/* Midway: control packets or acknowledgments of one session id, twice, and not the same. */
	if (op == CONTROL_V1 || op == ACK_V1) {
		uint32_t rest = 0;

		if (!random_id(d.p + 1) || all_printable(d.p, 9))
			return MATCH_NO;
		for (size_t i = 9; i < d.n && i < 64; i++)
			rest = rest * 31 + d.p[i];
		if (!memcmp(m->slot[SLOT_OPENVPN][way].b, d.p + 1, 8) &&
		    m->slot[SLOT_OPENVPN][way].kind == 0x80)
			return memcmp(m->slot[SLOT_OPENVPN][way].b + 8, &rest, 4) ? MATCH_YES
										  : MATCH_MORE;
		memcpy(m->slot[SLOT_OPENVPN][way].b, d.p + 1, 8);
		memcpy(m->slot[SLOT_OPENVPN][way].b + 8, &rest, 4);
		m->slot[SLOT_OPENVPN][way].kind = 0x80;
		return MATCH_MORE;
	}
	return MATCH_NO;
}

enum match openvpn_udp(const struct udp_view *v, struct found *out)
{
	out->l7 = WEIR_L7_OPENVPN;
	out->final = true;
	return openvpn(v->d, v->len, v->way, v->mem);
}

/* Over TCP each packet has its length in front. */
enum match openvpn_tcp(const struct tcp_view *v, struct found *out)
{
	struct udp_memory m = { 0 };
	enum match best = MATCH_NO;

	out->l7 = WEIR_L7_OPENVPN;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = v->way[w];

		for (unsigned i = 0; i < 4 && s.n; i++) {
			enum match got;
			size_t len;

			if (s.n < 3) {
				if (best == MATCH_NO && !v->full)
					best = MATCH_MORE;
				break;
			}
			len = be16(s.p);
			s = seg_skip(s, 2);
			if (len < 14 || len > 2000 || s.p[0] >> 3 > 11 || s.p[0] >> 3 < 1)
				break;
			/* The first packet is a reset. */
			if (i == 0 && (s.p[0] & 7 || !(resets_client(s.p[0] >> 3) ||
						       s.p[0] >> 3 == RESET_SERVER_V1 ||
						       s.p[0] >> 3 == RESET_SERVER_V2)))
				break;
			if (s.n < len) {
				best = v->full ? best : MATCH_MORE;
				break;
			}
			got = openvpn(seg_head(s, len), len, w, &m);
			if (got == MATCH_YES)
				return got;
			if (got > best)
				best = got;
			s = seg_skip(s, len);
		}
	}
	return v->full ? MATCH_NO : best;
}

/* ISAKMP's header (RFC 7296 3.1, RFC 2408 3.1): its length must be the datagram's. */
static bool ike(struct seg d, size_t len)
{
	unsigned version, exchange;

	if (d.n < 28 || all_zero(d.p, 8))
		return false;
	version = d.p[17];
	exchange = d.p[18];
	if (be32(d.p + 24) != len)
		return false;
	if (version == 0x20)
		return exchange >= 34 && exchange <= 43 && !(d.p[19] & 0xc7);
	return version == 0x10 &&
	       ((exchange >= 1 && exchange <= 6) || (exchange >= 32 && exchange <= 34)) &&
	       !(d.p[19] & 0xf8);
}

enum match ipsec_udp(const struct udp_view *v, struct found *out)
{
	struct udp_memory *m = v->mem;
	const uint8_t *p = v->d.p;
	unsigned w = v->way;

	out->l7 = WEIR_L7_IPSEC;
	out->final = true;
	if (ike(v->d, v->len))
		return MATCH_YES;
	if (v->server_port != 4500 && v->client_port != 4500)
		return MATCH_NO;
	/* RFC 3948: IKE behind four zeros; else ESP; a keepalive is one byte 0xff. */
	if (v->d.n >= 32 && all_zero(p, 4))
		return ike(seg_skip(v->d, 4), v->len - 4) ? MATCH_YES : MATCH_NO;
	if (v->len == 1 && v->d.n && p[0] == 0xff)
		return MATCH_YES;
	if (v->d.n < 28)
		return MATCH_NO;
	/* ESP: one SPI, a sequence that grows by little. */
	if (m->slot[SLOT_ESP][w].kind == 0x50 && !memcmp(m->slot[SLOT_ESP][w].b, p, 4) &&
	    be32(p + 4) - be32(m->slot[SLOT_ESP][w].b + 4) - 1 < 256)
		return MATCH_YES;
	m->slot[SLOT_ESP][w].kind = 0x50;
	memcpy(m->slot[SLOT_ESP][w].b, p, 8);
	return MATCH_MORE;
}
