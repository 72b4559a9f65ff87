/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telegram's MTProto over TCP (plain transports and the obfuscated one) and WeChat's mmtls. */
#include <nettle/aes.h>
#include <nettle/ctr.h>

#include "model.h"
#include "probe.h"

#define OBFUSCATED_HEAD 64

/* An unencrypted message: auth_key_id 0, message id, length, then req_pq or req_pq_multi. */
static bool plain_message(struct seg s)
{
	return s.n >= 24 && all_zero(s.p, 8) &&
	       (le32(s.p + 20) == 0x60469778 || le32(s.p + 20) == 0xbe7e8ef1 ||
		(s.n >= 28 && le32(s.p + 16) + 20 <= s.n + 1024 && le32(s.p + 16) % 4 == 0 &&
		 le32(s.p + 16) <= 512 && le32(s.p + 12) > 0x40000000 && le32(s.p + 16)));
}

/* A transport's marker, then a length that makes sense. */
static enum match plain(struct seg s, bool full)
{
	size_t len;

	if (!s.n)
		return MATCH_NO;
	if (s.p[0] == 0xef) { /* abridged: length / 4 in one byte, or 0x7f and three */
		if (s.n < 2)
			return full ? MATCH_NO : MATCH_MORE;
		len = s.p[1] == 0x7f ? 0 : s.p[1] * 4u;
		s = seg_skip(s, 2);
		if (!len)
			return MATCH_NO;
	} else if (SEG_HAS(s, "\xee\xee\xee\xee") || SEG_HAS(s, "\xdd\xdd\xdd\xdd")) {
		if (s.n < 8)
			return full ? MATCH_NO : MATCH_MORE;
		len = le32(s.p + 4);
		s = seg_skip(s, 8);
		if (len < 16 || len > 1 << 20)
			return MATCH_NO;
		/* Four marker bytes and a length are enough. */
		return MATCH_YES;
	} else if (SEG_MAY(s, "\xee\xee\xee\xee") || SEG_MAY(s, "\xdd\xdd\xdd\xdd")) {
		return full ? MATCH_NO : MATCH_MORE;
	} else {
		return MATCH_NO;
	}
	if (s.n < 24 && !full)
		return MATCH_MORE;
	/* The key exchange in the clear, or a message with a key id and 16 bytes of message key. */
	if (plain_message(s))
		return MATCH_YES;
	return len >= 40 && s.n >= 24 && !all_zero(s.p, 8) && s.n == len ? MATCH_YES : MATCH_NO;
}

/*
 * The obfuscated transport begins with 64 bytes that carry their own key: 8 to
 * 39 are an AES-256 key, 40 to 55 the counter; byte 56 on, decrypted, is the
 * transport's marker. (With a proxy's secret the key can't be known.)
 */
static bool obfuscated(struct seg s)
{
	uint8_t key[48], ctr[16], head[OBFUSCATED_HEAD];
	struct aes256_ctx aes;

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = s.p[8 + i];
	memcpy(ctr, key + 32, sizeof(ctr));
	aes256_set_encrypt_key(&aes, key);
	ctr_crypt(&aes, (nettle_cipher_func *)aes256_encrypt, AES_BLOCK_SIZE, ctr, sizeof(head),
		  head, s.p);
	return be32(head + 56) == 0xefefefef || be32(head + 56) == 0xeeeeeeee ||
	       be32(head + 56) == 0xdddddddd;
}

enum match mtproto_tcp(const struct tcp_view *v, struct found *out)
{
	struct seg s = v->way[TO_SERVER];
	enum match m;

	out->l7 = WEIR_L7_MTPROTO;
	out->sig = SIG_MTPROTO;
	out->final = true;
	m = plain(s, v->full);
	if (m != MATCH_NO)
		return m;
	/* Its first bytes are never another protocol's. */
	if (!s.n || s.p[0] == 0xef || SEG_HAS(s, "HEAD") || SEG_HAS(s, "POST") ||
	    SEG_HAS(s, "GET ") || SEG_HAS(s, "\x16\x03"))
		return MATCH_NO;
	if (s.n < OBFUSCATED_HEAD) {
		/* Text is something else's; wait for what may be random only. */
		for (size_t i = 0; i < s.n; i++)
			if (!printable(s.p[i]))
				return v->full ? MATCH_NO : MATCH_MORE;
		return s.n < 6 && !v->full ? MATCH_MORE : MATCH_NO;
	}
	out->sig = SIG_MTPROTO_OBFUSCATED;
	return obfuscated(s) ? MATCH_YES : MATCH_NO;
}

/* Records as in TLS, but with a version of their own: 0xf103 or 0xf104. */
enum match mmtls_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_MMTLS;
	out->sig = SIG_MMTLS;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		struct seg s = v->way[w];

		if (!s.n || (s.p[0] != 0x16 && s.p[0] != 0x15 && s.p[0] != 0x17 && s.p[0] != 0x19))
			continue;
		if (s.n < 5) {
			if (!v->full && (s.n < 2 || s.p[1] == 0xf1))
				m = MATCH_MORE;
			continue;
		}
		if (s.p[1] == 0xf1 && (s.p[2] == 3 || s.p[2] == 4) && be16(s.p + 3) &&
		    be16(s.p + 3) < 0x4800)
			return MATCH_YES;
	}
	return m;
}
