/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Noise over TCP: WhatsApp's Noise Pipes, and NoiseSocket. */
#include "model.h"
#include "probe.h"

#define ROUTING_MAX 1024

/*
 * "WA", two bytes of version, then frames with three bytes of length that hold
 * a protobuf HandshakeMessage: clientHello is its field 2 (0x12), with the
 * ephemeral key as field 1 of 32 bytes (0x0a 0x20) in it.
 */
static enum match whatsapp(struct seg s, bool full, struct found *out)
{
	struct seg frame;
	size_t len;

	if (s.n < 4)
		return SEG_MAY(s, "WA") || SEG_HAS(s, "WA") ? (full ? MATCH_NO : MATCH_MORE)
							    : MATCH_NO;
	if (!SEG_HAS(s, "WA") || s.p[2] > 31 || s.p[3] > 31)
		return MATCH_NO;
	frame = seg_skip(s, 4);
	if (frame.n < 4) {
		if (!full)
			return MATCH_MORE;
		/* The prologue alone, and the flow is over: that of Noise's versions (2 and up). */
		out->sig = s.p[2] >= 2 ? SIG_WHATSAPP_NOISE : SIG_WHATSAPP_OLD;
		out->l7 = s.p[2] >= 2 ? WEIR_L7_NOISE : WEIR_L7_UNKNOWN;
		return MATCH_YES;
	}
	len = be24(frame.p);
	if (frame.p[3] == 0x12 && len >= 36 && len < 65536) {
		out->sig = SIG_WHATSAPP_NOISE;
		out->l7 = WEIR_L7_NOISE;
	} else {
		/* Before 2016: FunXMPP, a stream start 0xf8 in a frame with a nibble of flags. */
		if (frame.p[3] != 0xf8)
			return MATCH_NO;
		out->sig = SIG_WHATSAPP_OLD;
		out->l7 = WEIR_L7_UNKNOWN;
	}
	out->final = true;
	return MATCH_YES;
}

enum match noise_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg s = v->way[TO_SERVER];
	size_t len;

	if (!s.n)
		return MATCH_NO;
	/* "ED", 0, 1, three bytes of length, the routing information, and then the prologue. */
	if (SEG_HAS(s, "ED\0\1")) {
		if (s.n < 7)
			return v->full ? MATCH_NO : MATCH_MORE;
		len = be24(s.p + 4);
		if (len > ROUTING_MAX)
			return MATCH_NO;
		if (s.n < 7 + len)
			return v->full ? MATCH_NO : MATCH_MORE;
		return whatsapp(seg_skip(s, 7 + len), v->full, out);
	}
	if (SEG_MAY(s, "ED\0\1"))
		return v->full ? MATCH_NO : MATCH_MORE;
	return whatsapp(s, v->full, out);
}

/*
 * NoiseSocket: negotiation data with two bytes of length, then a Noise message
 * with two bytes of length, which begins with an ephemeral key. Both sides' first
 * messages must have that form to the byte, and the keys must look like keys.
 */
static enum match noise_message(struct seg s, bool full)
{
	size_t nego, msg;

	if (s.n < 2)
		return full ? MATCH_NO : MATCH_MORE;
	nego = be16(s.p);
	if (nego > 512)
		return MATCH_NO;
	if (s.n < 4 + nego)
		return full ? MATCH_NO : MATCH_MORE;
	msg = be16(s.p + 2 + nego);
	if (msg < 32 || msg > 4096)
		return MATCH_NO;
	if (s.n < 4 + nego + msg)
		return full ? MATCH_NO : MATCH_MORE;
	return looks_random(s.p + 4 + nego, 32) ? MATCH_YES : MATCH_NO;
}

enum match noisesocket_tcp(const struct tcp_view *v, struct found *out)
{
	enum match up, down;
	size_t end;

	up = noise_message(v->way[TO_SERVER], v->full);
	if (up != MATCH_YES)
		return up;
	/* The first flight holds nothing but the message. */
	end = 2u + be16(v->way[TO_SERVER].p);
	end += 2u + be16(v->way[TO_SERVER].p + end);
	if (v->first.n > end)
		return MATCH_NO;
	down = noise_message(v->way[TO_CLIENT], v->full);
	out->l7 = WEIR_L7_NOISE;
	return down;
}
