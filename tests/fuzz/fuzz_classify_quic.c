/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QUIC behind the cryptography: the input becomes the plain frames of authentic Initials. */
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "quic_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static size_t seal(uint8_t *d, const uint8_t *frames, size_t n, unsigned pn)
{
	static struct quic_keys k;
	static bool keyed;
	uint8_t nonce[12], mask[16];
	size_t head = 5 + 1 + 8 + 1 + 1 + 2, length = 2 + n + 16;

	if (!keyed)
		quic_derive(&k, SALT_V1, (const uint8_t *)"abcdefgh", 8);
	keyed = true;
	memcpy(d,
	       "\xc1\0\0\0\1\x08"
	       "abcdefgh\0\0",
	       16);
	d[16] = (uint8_t)(0x40 | length >> 8);
	d[17] = (uint8_t)length;
	d[18] = 0;
	d[19] = (uint8_t)pn;
	memcpy(nonce, k.iv, 12);
	nonce[11] ^= (uint8_t)pn;
	gcm_aes128_set_iv(&k.gcm, 12, nonce);
	gcm_aes128_update(&k.gcm, head + 2, d);
	gcm_aes128_encrypt(&k.gcm, n, d + head + 2, frames);
	gcm_aes128_digest(&k.gcm, 16, d + head + 2 + n);
	aes128_encrypt(&k.hp, 16, mask, d + head + 4);
	d[0] ^= mask[0] & 0x0f;
	d[head] ^= mask[1];
	d[head + 1] ^= mask[2];
	return head + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct udp_memory mem = { 0 };
	uint8_t d[1500];

	for (unsigned pn = 0; n >= 2 && pn < 20; pn++) {
		size_t len = ((size_t)p[0] << 8 | p[1]) % 1200;
		struct udp_view v = { .server_port = 443, .mem = &mem };
		struct found f = { 0 };

		p += 2;
		n -= 2;
		if (len > n)
			len = n;
		if (len < 4)
			break;
		v.len = seal(d, p, len, pn);
		v.d = (struct seg){ d, v.len };
		if (quic_udp(&v, &f) != MATCH_YES)
			abort();
		p += len;
		n -= len;
	}
	quic_free(&mem);
	return 0;
}
