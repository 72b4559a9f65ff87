/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

#include "quic_crypto.h"

static const uint8_t salts[SALT_COUNT][20] = {
	[SALT_V1] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		      0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a },
	[SALT_V2] = { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 },
	[SALT_DRAFT_29] = { 0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
			    0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99 },
	[SALT_DRAFT_23] = { 0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
			    0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02 },
	[SALT_DRAFT_22] = { 0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
			    0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a },
	[SALT_V2_DRAFT] = { 0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d,
			    0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3 },
	[SALT_Q050] = { 0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94,
			0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45 },
	[SALT_T050] = { 0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80,
			0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83, 0x10 },
	[SALT_T051] = { 0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50,
			0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d },
};

enum quic_salt quic_version_salt(uint32_t v)
{
	switch (v) {
	case 0x00000001:
	case 0xff000021:
	case 0xff000022:
		return SALT_V1;
	case 0x6b3343cf:
	case 0x709a50c4: /* v2's number until draft 05 */
		return SALT_V2;
	case 0xff020000:
		return SALT_V2_DRAFT;
	case 0x51303530:
		return SALT_Q050;
	case 0x54303530:
		return SALT_T050;
	case 0x54303531:
		return SALT_T051;
	case 0xfaceb001: /* mvfst: draft 22 */
		return SALT_DRAFT_22;
	case 0xfaceb002: /* draft 27 */
	case 0xfaceb00e:
		return SALT_DRAFT_23;
	}
	if (v >= 0xff00001d && v <= 0xff000020)
		return SALT_DRAFT_29;
	if (v >= 0xff000017 && v <= 0xff00001c)
		return SALT_DRAFT_23;
	if (v >= 0xff000015 && v <= 0xff000016)
		return SALT_DRAFT_22;
	return SALT_UNKNOWN;
}

/* HKDF-Expand-Label of RFC 8446 7.1 with an empty context. */
static void expand_label(const struct hmac_sha256_ctx *prk, const char *label, uint8_t *out,
			 size_t n)
{
	struct hmac_sha256_ctx ctx = *prk;
	uint8_t info[4 + 6 + 32];
	size_t l = strlen(label);

	info[0] = 0;
	info[1] = (uint8_t)n;
	info[2] = (uint8_t)(6 + l);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, l);
	info[9 + l] = 0;
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
		    (nettle_hash_digest_func *)hmac_sha256_digest, SHA256_DIGEST_SIZE, 10 + l, info,
		    n, out);
}

void quic_derive(struct quic_keys *k, enum quic_salt salt, const uint8_t *dcid, size_t n)
{
	bool v2 = salt == SALT_V2 || salt == SALT_V2_DRAFT;
	uint8_t secret[SHA256_DIGEST_SIZE], key[16], hp[16];
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, sizeof(salts[salt]), salts[salt]);
	hmac_sha256_update(&ctx, n, dcid);
	hmac_sha256_digest(&ctx, sizeof(secret), secret);
	hmac_sha256_set_key(&ctx, sizeof(secret), secret);
	expand_label(&ctx, "client in", secret, sizeof(secret));
	hmac_sha256_set_key(&ctx, sizeof(secret), secret);
	expand_label(&ctx, v2 ? "quicv2 key" : "quic key", key, sizeof(key));
	expand_label(&ctx, v2 ? "quicv2 iv" : "quic iv", k->iv, sizeof(k->iv));
	expand_label(&ctx, v2 ? "quicv2 hp" : "quic hp", hp, sizeof(hp));
	gcm_aes128_set_key(&k->gcm, key);
	aes128_set_encrypt_key(&k->hp, hp);
}

size_t quic_open(struct quic_keys *k, const uint8_t *packet, size_t head, size_t length,
		 uint8_t *out)
{
	uint8_t mask[16], nonce[12], tag[16], first, pn[4], aad[QUIC_HEAD_MAX + 4];
	size_t pnlen, n;

	if (length < 4 + 16 || head > QUIC_HEAD_MAX)
		return 0;
	aes128_encrypt(&k->hp, sizeof(mask), mask, packet + head + 4);
	first = packet[0] ^ (mask[0] & 0x0f);
	pnlen = 1 + (first & 3);
	memcpy(nonce, k->iv, sizeof(nonce));
	for (size_t i = 0; i < pnlen; i++) {
		pn[i] = packet[head + i] ^ mask[1 + i];
		nonce[12 - pnlen + i] ^= pn[i];
	}
	n = length - pnlen - 16;
	gcm_aes128_set_iv(&k->gcm, sizeof(nonce), nonce);
	/* The header is authenticated in its unprotected form; a token may make it long. */
	memcpy(aad, packet, head);
	memcpy(aad + head, pn, pnlen);
	aad[0] = first;
	gcm_aes128_update(&k->gcm, head + pnlen, aad);
	gcm_aes128_decrypt(&k->gcm, n, out, packet + head + pnlen);
	gcm_aes128_digest(&k->gcm, sizeof(tag), tag);
	return memeql_sec(tag, packet + head + pnlen + n, sizeof(tag)) ? n : 0;
}
