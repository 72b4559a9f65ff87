/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client's QUIC v1 Initial packet, protected with the keys that RFC 9001 5.2 derives. */
#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <string.h>

#include "proto.h"

size_t quic_client_hello(uint8_t *out, const char *name);

static void expand_label(const uint8_t secret[32], const char *label, size_t n, uint8_t *out)
{
	struct hmac_sha256_ctx h;
	uint8_t info[64];
	size_t len = strlen(label);

	info[0] = 0;
	info[1] = n;
	info[2] = 6 + len;
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, len);
	info[9 + len] = 0;
	hmac_sha256_set_key(&h, 32, secret);
	hkdf_expand(&h, (nettle_hash_update_func *)hmac_sha256_update,
		    (nettle_hash_digest_func *)hmac_sha256_digest, 32, 10 + len, info, n, out);
}

size_t quic_initial(uint8_t *out, const uint8_t dcid[8], const char *name)
{
	static const uint8_t salt[20] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
					  0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
					  0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
	enum { TOTAL = 1200, HEAD = 1 + 4 + 1 + 8 + 1 + 1 + 2, PN = 4 };
	uint8_t plain[TOTAL] = { 0 }, initial[32], client[32], key[16], iv[12], hp[16], mask[16];
	struct hmac_sha256_ctx h;
	struct gcm_aes128_ctx gcm;
	struct aes128_ctx aes;
	size_t hello, n = TOTAL - HEAD - PN - 16, len = PN + n + 16;

	hello = quic_client_hello(plain + 4, name);
	plain[0] = 6; /* CRYPTO at 0; the rest stays PADDING */
	plain[1] = 0;
	plain[2] = 0x40 | hello >> 8;
	plain[3] = hello & 255;

	out[0] = 0xc0 | (PN - 1);
	memcpy(out + 1, "\0\0\0\1\x08", 5);
	memcpy(out + 6, dcid, 8);
	out[14] = 0; /* no source connection id */
	out[15] = 0; /* no token */
	out[16] = 0x40 | len >> 8;
	out[17] = len & 255;
	memset(out + HEAD, 0, PN);

	hmac_sha256_set_key(&h, sizeof(salt), salt);
	hkdf_extract(&h, (nettle_hash_update_func *)hmac_sha256_update,
		     (nettle_hash_digest_func *)hmac_sha256_digest, 32, 8, dcid, initial);
	expand_label(initial, "client in", 32, client);
	expand_label(client, "quic key", 16, key);
	expand_label(client, "quic iv", 12, iv);
	expand_label(client, "quic hp", 16, hp);
	gcm_aes128_set_key(&gcm, key);
	gcm_aes128_set_iv(&gcm, 12, iv); /* packet number 0 */
	gcm_aes128_update(&gcm, HEAD + PN, out);
	gcm_aes128_encrypt(&gcm, n, out + HEAD + PN, plain);
	gcm_aes128_digest(&gcm, 16, out + HEAD + PN + n);
	aes128_set_encrypt_key(&aes, hp);
	aes128_encrypt(&aes, 16, mask, out + HEAD + 4);
	out[0] ^= mask[0] & 0x0f;
	for (int i = 0; i < PN; i++)
		out[HEAD + i] ^= mask[1 + i];
	return TOTAL;
}
