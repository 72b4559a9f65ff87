/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's first guess at what a flow speaks: a few compares on the first
 * payload bytes. Userspace has the last word.
 */
#ifndef WEIR_GUESS_H
#define WEIR_GUESS_H

#define GUESSED 3 /* packets with payload of a direction that are looked at */

static __always_inline u8 guess_tcp(const u8 *b, u32 n)
{
	u32 w = ld32(b);

	if ((w >> 8) == 0x160301 || (w >> 8) == 0x160302 || (w >> 8) == 0x160303)
		return WEIR_L7_TLS;
	if (w == 0x47455420 || w == 0x504f5354 || w == 0x48454144 || w == 0x50555420 || w == 0x48545450 ||
	    w == 0x434f4e4e || w == 0x4f505449) /* "GET " "POST" "HEAD" "PUT " "HTTP" "CONN" "OPTI" */
		return WEIR_L7_HTTP;
	if (w == 0x5353482d) /* "SSH-" */
		return WEIR_L7_SSH;
	if ((w >> 16) == 0x5741 && (b[2] == 5 || b[2] == 6) && b[3] < 8) /* "WA", version */
		return WEIR_L7_NOISE;
	if ((w >> 8) == 0x454400) /* "ED" 0: the routing preamble before it */
		return WEIR_L7_NOISE;
	if (w == 0x13426974) /* 19 "Bit" */
		return WEIR_L7_BITTORRENT;
	return WEIR_L7_UNKNOWN;
}

static __always_inline u8 guess_udp(const u8 *b, u32 n, u16 sport, u16 dport)
{
	u32 w = ld32(b), w1 = ld32(b + 4);

	if (w1 == 0x2112a442 && (b[0] & 0xc0) == 0 && n >= 20)
		return WEIR_L7_STUN;
	if ((sport == 53 || dport == 53) && n >= 12)
		return WEIR_L7_DNS;
	if ((b[0] & 0x80) && (w << 8 | b[4]) && n >= 1200 &&
	    ((w << 8 | b[4]) == 1 || (w << 8 | b[4]) == 0x6b3343cf || ((w << 8 | b[4]) >> 8) == 0xff0000))
		return WEIR_L7_QUIC;
	if ((w == 0x01000000 && n == 148) || (w == 0x02000000 && n == 92))
		return WEIR_L7_WIREGUARD;
	return WEIR_L7_UNKNOWN;
}

#endif
