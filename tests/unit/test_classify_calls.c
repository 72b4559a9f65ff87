/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forms that need several packets or lengths of their own: VPNs, and the calls of single apps. */
#include "classify_kit.h"

static int setup(void **state)
{
	static struct kit k;

	kit_init(&k, NULL);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_free(*state);
	return 0;
}

static void udp_flow(struct kit *k, unsigned n, unsigned port)
{
	kit_flow(k, IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1", port);
	/* Nobody has met this server, nor this client. */
	k->f.server.ip.s6_addr[14] = k->f.client.ip.s6_addr[14] = (uint8_t)n;
}

static void openvpn_tls_auth(void **state)
{
	static const unsigned macs[] = { 16, 20, 32, 64 };
	struct kit *k = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct blob b = { .n = 0 };

		put(&b, "\x38" "sessionA", 9);
		put_random(&b, i, macs[i]);
		put(&b, "\0\0\0\1\x65\x43\x21\0\0\0\0\0\0", 13);
		udp_flow(k, i, 443);
		kit_udp(k, TO_SERVER, b.p, b.n);
		assert_string_equal(kit_l7(k), "openvpn");
	}
}

static void openvpn_tls_crypt(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put(&b, "\x38" "session\xaa\0\0\0\1\x65\x43\x21\0", 17);
	put_random(&b, 5, 37);
	udp_flow(k, 1, 1194);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "openvpn");
}

/* A form that says nothing alone, until the server names the client's session. */
static void openvpn_by_the_answer(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put(&b, "\x38" "sessionA", 9);
	put_random(&b, 5, 50);
	udp_flow(k, 1, 1194);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_l7(k), "unknown");
	b.n = 0;
	put(&b, "\x40" "sessionB", 9);
	put_random(&b, 6, 28);
	put(&b, "\1\0\0\0\0sessionA\0\0\0\0", 17);
	kit_udp(k, TO_CLIENT, b.p, b.n);
	assert_string_equal(kit_l7(k), "openvpn");
}

static void openvpn_midway(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	udp_flow(k, 1, 1194);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(kit_l7(k), "unknown");
		b.n = 0;
		put(&b, "\x20\x91\x02\xfe\x33\x47\xa8\xcc\x19", 9);
		put_random(&b, i, 80);
		kit_udp(k, TO_CLIENT, b.p, b.n);
	}
	assert_string_equal(kit_l7(k), "openvpn");
	/* SAP's announcements begin likewise; the "session" is none, and each is like the last. */
	udp_flow(k, 2, 9875);
	for (unsigned i = 0; i < 4; i++)
		kit_udp(k, TO_SERVER, "\x20\0\0\0\1\xc1\1\xba\x3c" "application/sdp", 24);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "unknown");
}

static void openvpn_over_tcp(void **state)
{
	struct kit *k = *state;
	struct blob up = { .n = 0 }, down = { .n = 0 };

	put(&up, "\0\x2a\x38" "sessionA", 11);
	put_random(&up, 3, 33);
	put(&down, "\0\x36\x40" "sessionB", 11);
	put_random(&down, 4, 28);
	put(&down, "\1\0\0\0\0sessionA\0\0\0\0", 17);
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 40000, "198.51.100.1", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, up.p, up.n);
	assert_string_not_equal(kit_l7(k), "openvpn");
	kit_tcp(k, TO_CLIENT, 0, down.p, down.n);
	assert_string_equal(kit_l7(k), "openvpn");
}

/* uTP: a SYN; and data of one connection both or one way. */
static void utp(void **state)
{
	static const char syn[] = "\x41\0\x12\x34\1\2\3\4\0\0\0\0\0\x10\0\0\0\1\0\0";
	struct kit *k = *state;
	struct blob b;

	udp_flow(k, 1, 51413);
	kit_udp(k, TO_SERVER, syn, 20);
	assert_string_equal(kit_l7(k), "bittorrent");
	udp_flow(k, 2, 51413);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(kit_l7(k), "unknown");
		b.n = 0;
		put(&b, "\1\0\x12\x34", 4);
		put_be(&b, 4, 1000000 + i * 30000);
		put(&b, "\0\1\2\3\0\x10\0\0", 8);
		put_be(&b, 2, 700 + i);
		put(&b, "\0\7payload", 9);
		kit_udp(k, TO_SERVER, b.p, b.n);
	}
	assert_string_equal(kit_l7(k), "bittorrent");
	/* A clock that stands still is no timestamp. */
	udp_flow(k, 3, 5246);
	for (unsigned i = 0; i < 4; i++)
		kit_udp(k, TO_SERVER, "\1\0\0\7\x16\xfe\xff\0\0\0\0\0\0\0\0\0\0\x7d\1\0\0\x71", 22);
	assert_string_equal(kit_l7(k), "unknown");
}

static void apps_of_calls(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	/* Telegram's reflector. */
	put_random(&b, 4, 16);
	put_fill(&b, 0xff, 12);
	put(&b, "\xfe\xff\xff\xff" "12345678", 12);
	udp_flow(k, 1, 533);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_type(k), "telegram-call");
	assert_string_equal(kit_l7(k), "unknown");
	/* Discord: what address have I. */
	b.n = 0;
	put(&b, "\0\1\0\x46\0\2\x4b\x18", 8);
	put_fill(&b, 0, 66);
	udp_flow(k, 2, 50004);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_type(k), "discord-call");
	/* Zoom's hello. */
	b.n = 0;
	put(&b, "\1\0\2", 3);
	put_random(&b, 9, 16);
	put(&b, "\0\0\0\0\0\0\0\0\0\2\0\x7a\0\x2a", 14);
	udp_flow(k, 3, 8801);
	kit_udp(k, TO_SERVER, b.p, b.n);
	assert_string_equal(kit_type(k), "zoom-call");
	/* LINE: length and sequence, twice. */
	udp_flow(k, 4, 29070);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(kit_type(k), "unknown");
		b.n = 0;
		put_be(&b, 2, 0xd000 | 96);
		put_be(&b, 2, 700 + i);
		put_random(&b, i, 96);
		kit_udp(k, TO_SERVER, b.p, b.n);
	}
	assert_string_equal(kit_type(k), "line-call");
	/* Viber: on its port one, elsewhere two. */
	udp_flow(k, 5, 7985);
	kit_udp(k, TO_SERVER, "\x12\x34\3\0" "abcdefghijklmnop", 20);
	assert_string_equal(kit_type(k), "viber-call");
	udp_flow(k, 6, 40404);
	kit_udp(k, TO_SERVER, "\x12\x34\3\0" "abcdefghijklmnop", 20);
	assert_string_equal(kit_type(k), "unknown");
	kit_udp(k, TO_CLIENT, "\x12\x35\x09\0" "abcdefghijklmnop", 20);
	assert_string_equal(kit_type(k), "viber-call");
	/* Teams, by Microsoft's attributes; a realm that the rules know. */
	udp_flow(k, 7, 3479);
	kit_udp(k, TO_SERVER, "\0\1\0\x08\x21\x12\xa4\x42" "abcdefghijkl\x80\x70\0\4\0\0\0\3", 28);
	assert_string_equal(kit_type(k), "teams-call");
	udp_flow(k, 8, 3478);
	kit_udp(k, TO_CLIENT, "\1\x13\0\x14\x21\x12\xa4\x42" "abcdefghijkl\0\x14\0\x0fturner.facebook\0", 40);
	assert_string_equal(kit_type(k), "messenger-call");
	/* A realm that they don't know leaves it open. */
	udp_flow(k, 9, 3478);
	kit_udp(k, TO_CLIENT, "\1\x13\0\x14\x21\x12\xa4\x42" "abcdefghijkl\0\x14\0\x0fturner.exampley\0", 40);
	assert_string_equal(kit_type(k), "stun");
}

/* Random bytes are never taken for a protocol that says something of itself. */
static void random_flows(void **state)
{
	struct kit *k = *state;

	for (unsigned i = 0; i < 6000; i++) {
		bool tcp = i & 1;
		size_t at[2] = { 0, 0 };

		kit_flow(k, tcp ? IPPROTO_TCP : IPPROTO_UDP, "192.168.1.10", 40000, "198.51.100.1",
			 1024 + i * 7 % 60000);
		k->f.server.ip.s6_addr[13] = (uint8_t)(i >> 8);
		k->f.server.ip.s6_addr[14] = (uint8_t)i;
		if (tcp)
			kit_syn(k);
		for (unsigned n = 0; n < 4; n++) {
			struct blob b = { .n = 0 };

			put_random(&b, i * 4 + n, 20 + (i * 13 + n * 31) % 250);
			if (tcp)
				kit_tcp(k, n & 1, at[n & 1], b.p, b.n);
			else
				kit_udp(k, n & 1, b.p, b.n);
			at[n & 1] += b.n;
		}
		kit_finish(k);
		if (k->r.l7 != WEIR_L7_UNKNOWN && k->r.l7 != WEIR_L7_FULLY_ENCRYPTED)
			fail_msg("random flow %u is %s", i, kit_l7(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(openvpn_tls_auth),
		T(openvpn_tls_crypt),
		T(openvpn_by_the_answer),
		T(openvpn_midway),
		T(openvpn_over_tcp),
		T(utp),
		T(apps_of_calls),
		T(random_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
