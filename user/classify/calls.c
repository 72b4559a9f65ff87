/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls in forms of their own over UDP, told by bytes that do not come by
 * chance. They give a signature for the rules; the l7 stays unknown where the
 * contract has no name for it.
 */
#include "model.h"
#include "probe.h"

/* Telegram's reflectors: a peer tag of 16 bytes, then twelve 0xff (or an id between). */
static bool telegram(struct seg d)
{
	static const uint8_t ones[12] = {
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
	};

	return d.n >= 32 && !memcmp(d.p + 16, ones, 12) && !all_zero(d.p, 16) &&
	       memcmp(d.p, ones, 12);
}

/* Discord's IP discovery: type 1 or 2, length 70, SSRC, an address as text; and its ping. */
static bool discord(const struct udp_view *v)
{
	const uint8_t *p = v->d.p;

	if (v->len == 74 && v->d.n == 74 && !p[0] && (p[1] == 1 || p[1] == 2) && !p[2] &&
	    p[3] == 70)
		return p[1] == 1 ? all_zero(p + 8, 64) : p[8] >= '0' && p[8] <= '9';
	return v->len == 8 && v->d.n == 8 && be32(p) == 0x1337cafe && all_zero(p + 5, 3);
}

/*
 * Zoom's media routers: a hello 1, version 2, an id of 16 bytes, which the
 * answer 2, 1 repeats; then type 3 and 4 for the round trip and 5 for media
 * (Michel et al., "Enabling Passive Measurement of Zoom Performance", IMC 2022).
 */
static bool zoom(const struct udp_view *v)
{
	const uint8_t *p = v->d.p;
	unsigned w = v->way;

	if (v->d.n < 31)
		return false;
	/* From peer to peer: a fixed word. */
	if (be32(p) == 0x1f020200 || be32(p) == 0x1f030200)
		return true;
	if (p[0] == 1 && be16(p + 1) == 2 && all_zero(p + 19, 8) && be16(p + 27) == 2)
		return true;
	if (p[0] == 2 && be16(p + 1) == 1 && !all_zero(p + 3, 16) && all_zero(p + v->d.n - 8, 8) &&
	    v->len == 35)
		return true;
	/* Midway: media to their port, the inner type the same twice. */
	if (p[0] != 5 || v->server_port < 8801 || v->server_port > 8810)
		return false;
	if (v->mem->slot[SLOT_ZOOM][w].kind == 0x60 && v->mem->slot[SLOT_ZOOM][w].b[0] == p[8])
		return true;
	v->mem->slot[SLOT_ZOOM][w].kind = 0x60;
	v->mem->slot[SLOT_ZOOM][w].b[0] = p[8];
	return false;
}

/* LINE's: 0xd or 0xd8, eleven bits of length less four, a sequence number. */
static bool line_call(const struct udp_view *v)
{
	const uint8_t *p = v->d.p;
	struct udp_memory *m = v->mem;
	unsigned w = v->way;
	bool next;

	if (v->d.n < 24 || p[0] >> 4 != 0xd || (be16(p) & 0x7ffu) != v->len - 4)
		return false;
	next = m->slot[SLOT_LINE][w].kind == 0x90 &&
	       (uint16_t)(be16(p + 2) - be16(m->slot[SLOT_LINE][w].b) - 1) < 8;
	next |= m->slot[SLOT_LINE][!w].kind == 0x90;
	m->slot[SLOT_LINE][w].kind = 0x90;
	memcpy(m->slot[SLOT_LINE][w].b, p + 2, 2);
	return next;
}

/*
 * Viber's: two bytes of counter, then a little-endian type that fixes a length
 * or a sub-type. On its own ports one datagram is enough, elsewhere two.
 */
static bool viber(const struct udp_view *v)
{
	const uint8_t *p = v->d.p;
	struct udp_memory *m = v->mem;
	uint16_t port = v->server_port;
	unsigned w = v->way, type;
	bool fits;

	if (v->d.n < 12)
		return false;
	type = p[2] | p[3] << 8;
	fits = type == 3 || (type == 9 && v->len == 20) || (type == 1 && p[4] == 5 && !p[5]) ||
	       ((type == 0x19 || type == 0x1b) && v->len == 34);
	if (!fits) {
		m->slot[SLOT_VIBER][w].kind = 0;
		return false;
	}
	if (port == 7985 || port == 7987 || port == 5243 || port == 9785)
		return true;
	fits = m->slot[SLOT_VIBER][w].kind || m->slot[SLOT_VIBER][!w].kind;
	m->slot[SLOT_VIBER][w].kind = 1;
	return fits;
}

enum match calls_udp(const struct udp_view *v, struct found *out)
{
	out->l7 = WEIR_L7_UNKNOWN;
	if (telegram(v->d))
		out->sig = SIG_TELEGRAM_REFLECTOR;
	else if (discord(v))
		out->sig = SIG_DISCORD_VOICE;
	else if (zoom(v))
		out->sig = SIG_ZOOM_MEDIA;
	else if (line_call(v))
		out->sig = SIG_LINE_CALL;
	else if (viber(v))
		out->sig = SIG_VIBER_VOICE;
	else
		return MATCH_NO;
	return MATCH_YES;
}

/* Viber's signalling opens with a message of eleven bytes that begins with its length. */
enum match viber_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg up = v->way[TO_SERVER], down = v->way[TO_CLIENT];

	if (!up.n || up.p[0] != 11 || (up.n > 1 && up.p[1]))
		return MATCH_NO;
	if (up.n < 11)
		return v->full ? MATCH_NO : MATCH_MORE;
	if (v->server_port != 4244 && v->server_port != 5242 && v->server_port != 5243)
		return MATCH_NO;
	out->l7 = WEIR_L7_UNKNOWN;
	out->sig = SIG_VIBER_TEXT;
	out->final = true;
	return v->first.n == 11 || (down.n > 2 && down.n == (size_t)(down.p[0] | down.p[1] << 8))
		       ? MATCH_YES
		       : MATCH_NO;
}
