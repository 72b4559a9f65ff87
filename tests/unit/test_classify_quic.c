/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "classify_kit.h"
#include "quic_crypto.h"

static int setup(void **state)
{
	static struct kit k;

	kit_init(&k, NULL);
	kit_flow(&k, IPPROTO_UDP, "192.168.1.10", 50000, "198.51.100.1", 443);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_free(*state);
	return 0;
}

static void unhex(uint8_t *out, const char *hex)
{
	for (; *hex; hex += 2) {
		char two[3] = { hex[0], hex[1], 0 };

		*out++ = (uint8_t)strtoul(two, NULL, 16);
	}
}

/* RFC 9001 A.1 and A.2, RFC 9369 A.1: keys from the connection id 0x8394c8f03e515708. */
static void published_keys(void **state)
{
	static const struct {
		enum quic_salt salt;
		const char *key, *iv, *hp;
	} want[] = {
		{ SALT_V1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
		  "9f50449e04a0e810283a1e9933adedd2" },
		{ SALT_V2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
		  "45b95e15235d6f45a6b19cbcb0294ba9" },
	};
	static const uint8_t dcid[] = { 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08 };
	uint8_t key[16], iv[12], sample[16], mask[16], a[16], b[16];
	struct aes128_ctx aes;

	for (unsigned i = 0; i < 2; i++) {
		struct quic_keys k;

		quic_derive(&k, want[i].salt, dcid, sizeof(dcid));
		unhex(iv, want[i].iv);
		assert_memory_equal(k.iv, iv, 12);
		/* Key schedules: by what they make of a block. */
		unhex(key, want[i].hp);
		aes128_set_encrypt_key(&aes, key);
		memset(sample, 0x5a, 16);
		aes128_encrypt(&aes, 16, a, sample);
		aes128_encrypt(&k.hp, 16, b, sample);
		assert_memory_equal(a, b, 16);
		unhex(key, want[i].key);
		aes128_set_encrypt_key(&aes, key);
		aes128_encrypt(&aes, 16, a, sample);
		aes128_encrypt(&k.gcm.cipher, 16, b, sample);
		assert_memory_equal(a, b, 16);
	}
	/* A.2: the mask of the protected header. */
	{
		struct quic_keys k;

		quic_derive(&k, SALT_V1, dcid, sizeof(dcid));
		unhex(sample, "d1b1c98dd7689fb8ec11d242b123dc9b");
		aes128_encrypt(&k.hp, 16, mask, sample);
		unhex(a, "437b9aec36");
		assert_memory_equal(mask, a, 5);
	}
}

struct initial {
	uint32_t version;
	const char *dcid;	/* of the header */
	const char *key_dcid;	/* that the keys are from */
	enum quic_salt salt;
	unsigned pn;
	size_t token;
};

/* A protected Initial with these frames, filled up to 1200 bytes. */
static void put_initial(struct blob *out, const struct initial *in, struct blob *frames)
{
	bool v2 = in->salt == SALT_V2;
	size_t start = out->n, dlen = strlen(in->dcid), head, length;
	uint8_t nonce[12], mask[16], sealed[2048], *p;
	struct quic_keys k;

	put_be(out, 1, 0xc1 | (v2 ? 0x10 : 0)); /* two bytes of packet number */
	put_be(out, 4, in->version);
	put_be(out, 1, dlen);
	put(out, in->dcid, dlen);
	put_be(out, 1, 0);
	put_be(out, 2, 0x4000 | in->token);
	put_fill(out, 0xee, in->token);
	head = out->n - start + 2;
	assert_true(head + 2 + frames->n + 16 <= 1200);
	put_fill(frames, 0, 1200 - (head + 2 + frames->n + 16));
	length = 2 + frames->n + 16;
	put_be(out, 2, 0x4000 | length);
	put_be(out, 2, in->pn);
	quic_derive(&k, in->salt, (const uint8_t *)in->key_dcid, strlen(in->key_dcid));
	memcpy(nonce, k.iv, 12);
	nonce[10] ^= (uint8_t)(in->pn >> 8);
	nonce[11] ^= (uint8_t)in->pn;
	gcm_aes128_set_iv(&k.gcm, 12, nonce);
	gcm_aes128_update(&k.gcm, head + 2, out->p + start);
	gcm_aes128_encrypt(&k.gcm, frames->n, sealed, frames->p);
	gcm_aes128_digest(&k.gcm, 16, sealed + frames->n);
	put(out, sealed, frames->n + 16);
	p = out->p + start;
	aes128_encrypt(&k.hp, 16, mask, p + head + 4);
	p[0] ^= mask[0] & 0x0f;
	p[head] ^= mask[1];
	p[head + 1] ^= mask[2];
}

static void put_crypto(struct blob *f, const struct blob *hello, size_t off, size_t n)
{
	put_be(f, 1, 6);
	put_be(f, 4, 0x80000000u | off);
	put_be(f, 2, 0x4000 | n);
	put(f, hello->p + off, n);
}

static void one(struct kit *k, const struct initial *in, const struct blob *hello, size_t off,
		size_t n)
{
	struct blob f = { .n = 0 }, d = { .n = 0 };

	put_crypto(&f, hello, off, n);
	put_initial(&d, in, &f);
	kit_udp(k, TO_SERVER, d.p, d.n);
}

static void expect(struct kit *k, const char *sni)
{
	assert_string_equal(kit_l7(k), "quic");
	assert_string_equal(k->r.hint, sni);
	assert_string_equal(k->r.alpn, "h3");
	assert_true(k->r.done);
}

static void versions(void **state)
{
	static const struct initial v[] = {
		{ 1, "destcid8", "destcid8", SALT_V1, 0, 0 },
		{ 0x6b3343cf, "destcid8", "destcid8", SALT_V2, 1, 0 },
		{ 0xff00001d, "destcid8", "destcid8", SALT_DRAFT_29, 2, 50 },
		{ 0xff00001b, "destinationid20bytes", "destinationid20bytes", SALT_DRAFT_23, 3, 0 },
		{ 0xff000016, "destcid8", "destcid8", SALT_DRAFT_22, 300, 0 },
		{ 0xfaceb002, "destcid8", "destcid8", SALT_DRAFT_23, 0, 0 },
		/* One that nobody knows: the known salts are tried. */
		{ 0x12345678, "destcid8", "destcid8", SALT_V1, 0, 0 },
	};
	struct kit *k = *state;
	struct blob hello = { .n = 0 };

	put_hello(&hello, "www.youtube.com", "h3", 32, false);
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50000 + i, "198.51.100.1", 443);
		one(k, &v[i], &hello, 0, hello.n);
		expect(k, "www.youtube.com");
		assert_string_equal(kit_app(k), "youtube");
		assert_string_equal(kit_source(k), "sni");
	}
}

/* A hello with a post-quantum share, in three datagrams, the last one first. */
static void three_datagrams_in_reverse(void **state)
{
	static const struct initial in = { 1, "destcid8", "destcid8", SALT_V1, 5, 0 };
	struct kit *k = *state;
	struct blob hello = { .n = 0 };
	size_t third;

	put_hello(&hello, "mmg.whatsapp.net", "h3", 1216, false);
	third = hello.n / 3;
	one(k, &in, &hello, 2 * third, hello.n - 2 * third);
	assert_string_equal(kit_l7(k), "quic");
	assert_false(k->r.done);
	one(k, &in, &hello, third, third);
	assert_false(k->r.done);
	one(k, &in, &hello, 0, third);
	expect(k, "mmg.whatsapp.net");
	assert_string_equal(kit_type(k), "whatsapp-media");
}

/* Frames in disorder, pings between them, the way Chrome shuffles them. */
static void shuffled_frames(void **state)
{
	static const struct initial in = { 1, "destcid8", "destcid8", SALT_V1, 5, 0 };
	struct kit *k = *state;
	struct blob hello = { .n = 0 }, f = { .n = 0 }, d = { .n = 0 };

	put_hello(&hello, "www.example.org", "h3", 32, false);
	put_crypto(&f, &hello, 100, hello.n - 100);
	put_be(&f, 1, 1);
	put_fill(&f, 0, 7);
	put_crypto(&f, &hello, 40, 60);
	put_be(&f, 1, 1);
	put_crypto(&f, &hello, 0, 60);
	put_initial(&d, &in, &f);
	kit_udp(k, TO_SERVER, d.p, d.n);
	expect(k, "www.example.org");
}

/* The keys stay when the server chooses another id; after a Retry they are the new id's. */
static void ids_change(void **state)
{
	static const struct initial first = { 1, "destcid8", "destcid8", SALT_V1, 0, 0 },
				    later = { 1, "srvid", "destcid8", SALT_V1, 1, 0 },
				    retried = { 1, "retryid", "retryid", SALT_V1, 2, 40 };
	struct kit *k = *state;
	struct blob hello = { .n = 0 };

	put_hello(&hello, "www.example.org", "h3", 1216, false);
	one(k, &first, &hello, 0, 500);
	one(k, &later, &hello, 500, hello.n - 500);
	expect(k, "www.example.org");
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50001, "198.51.100.1", 443);
	one(k, &first, &hello, 0, 500);
	one(k, &retried, &hello, 0, 700);
	one(k, &retried, &hello, 700, hello.n - 700);
	expect(k, "www.example.org");
}

static void server_side_alone(void **state)
{
	struct kit *k = *state;
	struct blob d = { .n = 0 };

	put_be(&d, 1, 0xe3);
	put_be(&d, 4, 1);
	put(&d, "\x08" "abcdefgh" "\x08" "ABCDEFGH", 18);
	put_be(&d, 2, 0x4000 | 1100);
	put_random(&d, 5, 1100);
	kit_udp(k, TO_CLIENT, d.p, d.n);
	assert_string_equal(kit_l7(k), "quic");
	assert_string_equal(k->r.hint, "");
	/* Version negotiation. */
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50001, "198.51.100.2", 443);
	d.n = 0;
	put_be(&d, 1, 0x80);
	put_be(&d, 4, 0);
	put(&d, "\x04" "abcd" "\x04" "ABCD", 10);
	put_be(&d, 4, 0x1a2a3a4a);
	put_be(&d, 4, 1);
	kit_udp(k, TO_CLIENT, d.p, d.n);
	assert_string_equal(kit_l7(k), "quic");
}

/* Google's: the CHLO in the clear (Q043), its tags in the order of the wire. */
static void google_chlo(void **state)
{
	struct kit *k = *state;
	struct blob d = { .n = 0 };

	put(&d, "\x0d" "12345678" "Q043\x01", 14);
	put_random(&d, 3, 12);
	put(&d, "\xa0\x01\x00\x05" "CHLO\x02\0\0\0" "SNI\0\x0e\0\0\0" "VER\0\x12\0\0\0", 28);
	put(&d, "www.google.com" "Q043", 18);
	put_fill(&d, '-', 1000);
	kit_udp(k, TO_SERVER, d.p, d.n);
	assert_string_equal(kit_l7(k), "quic");
	assert_string_equal(k->r.hint, "www.google.com");
	assert_string_equal(kit_app(k), "google");
}

/* Not QUIC: random bytes of a long header's form, a tag that does not fit, headers cut short. */
static void hostile(void **state)
{
	static const struct initial in = { 1, "destcid8", "destcid8", SALT_V1, 0, 0 };
	struct kit *k = *state;
	struct blob hello = { .n = 0 }, f = { .n = 0 }, d = { .n = 0 };

	for (unsigned i = 0; i < 50; i++) {
		d.n = 0;
		put_be(&d, 1, 0xc0 + i % 64);
		put_random(&d, i + 100, 1250);
		kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50000, "198.51.100.9", 443);
		kit_udp(k, TO_SERVER, d.p, d.n);
		assert_string_not_equal(kit_l7(k), "quic");
	}
	put_hello(&hello, "www.example.org", "h3", 32, false);
	put_crypto(&f, &hello, 0, hello.n);
	d.n = 0;
	put_initial(&d, &in, &f);
	/* The version still says QUIC, but no name is taken from what is not authentic. */
	d.p[600] ^= 1;
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50000, "198.51.100.9", 443);
	kit_udp(k, TO_SERVER, d.p, d.n);
	assert_string_equal(kit_l7(k), "quic");
	assert_string_equal(k->r.hint, "");
	d.p[600] ^= 1;
	for (size_t n = 0; n < d.n; n += 7) {
		kit_flow(k, IPPROTO_UDP, "192.168.1.10", 50000, "198.51.100.9", 443);
		kit_udp(k, TO_SERVER, d.p, n);
		assert_string_equal(k->r.hint, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		cmocka_unit_test(published_keys),
		T(versions),
		T(three_datagrams_in_reverse),
		T(shuffled_frames),
		T(ids_change),
		T(server_side_alone),
		T(google_chlo),
		T(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
