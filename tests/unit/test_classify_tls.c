/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "classify_kit.h"
#include "stream.h"

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

static void expect_hello(struct kit *k, const char *sni)
{
	assert_string_equal(kit_l7(k), "tls");
	assert_string_equal(k->r.hint, sni);
	assert_string_equal(k->r.alpn, "h2");
	assert_true(k->r.done);
}

static void in_one_segment(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "Www.Example.ORG", "h2", 32, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	expect_hello(k, "www.example.org");
	assert_string_equal(kit_type(k), "tls");
	assert_string_equal(kit_app(k), "");
	assert_string_equal(kit_source(k), "payload");
	assert_false(k->r.ech);
}

/* Every way of cutting and ordering that a network or an evader comes up with. */
static void post_quantum(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "media-ams2-1.cdn.whatsapp.net", "h2", 1500, false, 16384);
	assert_true(b.n > 1380);
	kit_syn(k);
	for (size_t i = 0; i < 60; i++)
		kit_tcp(k, TO_SERVER, i, b.p + i, 1);
	assert_string_equal(kit_l7(k), "tls");
	kit_tcp(k, TO_SERVER, 60, b.p + 60, b.n - 60);
	expect_hello(k, "media-ams2-1.cdn.whatsapp.net");
	assert_string_equal(kit_type(k), "whatsapp-media");
	assert_string_equal(kit_source(k), "sni");
}

static void in_single_bytes(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "www.example.org", "h2", 1216, false, 16384);
	kit_syn(k);
	for (size_t i = 0; i < b.n; i++)
		kit_tcp(k, TO_SERVER, i, b.p + i, 1);
	expect_hello(k, "www.example.org");
}

static void backwards(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };
	size_t step = 97;

	put_tls(&b, "www.example.org", "h2", 1216, false, 16384);
	kit_syn(k);
	for (size_t end = b.n; end;) {
		size_t n = end < step ? end : step;

		kit_tcp(k, TO_SERVER, end - n, b.p + end - n, n);
		end -= n;
	}
	expect_hello(k, "www.example.org");
}

static void duplicated_and_overlapping(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "www.example.org", "h2", 1216, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 700, b.p + 700, 500);
	kit_tcp(k, TO_SERVER, 700, b.p + 700, 500);
	kit_tcp(k, TO_SERVER, 0, b.p, 300);
	kit_tcp(k, TO_SERVER, 100, b.p + 100, 900);
	kit_tcp(k, TO_SERVER, 1100, b.p + 1100, b.n - 1100);
	expect_hello(k, "www.example.org");
}

/* The first copy counts: a later one with another name for the same bytes changes nothing. */
static void first_copy_counts(void **state)
{
	struct kit *k = *state;
	struct blob a = { .n = 0 }, b = { .n = 0 };

	put_tls(&a, "aaa.example.org", "h2", 0, false, 16384);
	put_tls(&b, "bbb.example.org", "h2", 0, false, 16384);
	assert_int_equal(a.n, b.n);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 50, a.p + 50, a.n - 50);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	expect_hello(k, "aaa.example.org");
}

/* What the end of is missing (an offloaded segment is cut) still has its name. */
static void cut_behind_the_name(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	/* The name stands behind the share: all but the last byte of ALPN. */
	put_tls(&b, "www.example.org", "h2", 600, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n - 1);
	assert_string_equal(k->r.hint, "www.example.org");
	assert_string_equal(k->r.alpn, "");
	assert_false(k->r.done);
	/* And cut within it there is none. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50001, "198.51.100.2", 443);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n - 10);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "tls");
	assert_string_equal(k->r.hint, "");
}

static void over_several_records(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "www.example.org", "h2", 600, false, 100);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, 500);
	assert_string_equal(kit_l7(k), "tls");
	assert_false(k->r.done);
	kit_tcp(k, TO_SERVER, 500, b.p + 500, b.n - 500);
	expect_hello(k, "www.example.org");
}

static void without_a_syn(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "www.example.org", "h2", 1216, false, 16384);
	kit_tcp(k, TO_SERVER, 700, b.p + 700, b.n - 700);
	kit_tcp(k, TO_SERVER, 0, b.p, 700);
	expect_hello(k, "www.example.org");
}

static void with_ech(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "cloudflare-ech.com", "h2", 32, true, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	expect_hello(k, "cloudflare-ech.com");
	assert_true(k->r.ech);
}

static void dot_by_port_or_alpn(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000, "198.51.100.1", 853);
	put_tls(&b, "dns.example.org", NULL, 32, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "dot");
	b.n = 0;
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000, "198.51.100.1", 443);
	put_tls(&b, "dns.example.org", "dot", 32, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "dot");
	assert_string_equal(kit_app(k), "");
}

static void server_alone(void **state)
{
	struct kit *k = *state;
	static const uint8_t hello[] = { 0x16, 3, 3, 0, 74, 2, 0, 0, 70, 3, 3 };

	kit_tcp(k, TO_CLIENT, 0, hello, sizeof(hello));
	assert_string_equal(kit_l7(k), "tls");
}

static void midway_needs_a_second_record(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put(&b, "\x17\x03\x03\x00\x40", 5);
	put_random(&b, 3, 0x40);
	put(&b, "\x17\x03\x03\x01\x00", 5);
	put_random(&b, 4, 50);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	assert_string_equal(kit_l7(k), "tls");
	/* A header alone that leads nowhere is none. */
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50001, "198.51.100.1", 443);
	b.n = 0;
	put(&b, "\x17\x03\x03\x00\x10", 5);
	put_random(&b, 3, 200);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	kit_finish(k);
	assert_string_equal(kit_l7(k), "unknown");
}

static void starttls_becomes_tls(void **state)
{
	static const char *const talk[][3] = {
		{ "220 mx.example.org ESMTP\r\n", "EHLO a\r\nSTARTTLS\r\n", "smtp" },
		{ "+OK ready\r\n", "STLS\r\n", "pop3" },
		{ "* OK IMAP4rev1\r\n", "a1 CAPABILITY\r\na2 STARTTLS\r\n", "imap" },
		{ "220 FTP server\r\n", "AUTH TLS\r\n", "ftp" },
	};
	struct kit *k = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct blob b = { .n = 0 };
		size_t n = strlen(talk[i][1]);

		kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000 + i, "198.51.100.1", 2525);
		kit_syn(k);
		kit_tcp(k, TO_CLIENT, 0, talk[i][0], strlen(talk[i][0]));
		kit_tcp(k, TO_SERVER, 0, talk[i][1], n);
		assert_string_equal(kit_l7(k), talk[i][2]);
		put_tls(&b, "mail.example.org", "h2", 32, false, 16384);
		kit_tcp(k, TO_SERVER, n, b.p, b.n);
		expect_hello(k, "mail.example.org");
	}
}

/* Lengths that lie, at every place of a hello: nothing is read beyond the bytes. */
static void lying_lengths(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };

	put_tls(&b, "www.example.org", "h2", 32, false, 16384);
	for (size_t i = 0; i < b.n; i++) {
		uint8_t was = b.p[i];

		for (unsigned v = 0; v < 3; v++) {
			b.p[i] = v == 0 ? 0xff : v == 1 ? 0 : (uint8_t)(was + 1);
			kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000, "198.51.100.1", 443);
			kit_syn(k);
			kit_tcp(k, TO_SERVER, 0, b.p, b.n);
			kit_finish(k);
			for (const char *c = k->r.hint; *c; c++)
				assert_in_range(*c, 0x20, 0x7e);
		}
		b.p[i] = was;
	}
	/* Cut short at every byte. */
	for (size_t n = 1; n < b.n; n++) {
		kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000, "198.51.100.2", 443);
		kit_syn(k);
		kit_tcp(k, TO_SERVER, 0, b.p, n);
		kit_finish(k);
		assert_string_equal(kit_l7(k), n < 6 ? "unknown" : "tls");
	}
}

static void what_is_done_stays(void **state)
{
	struct kit *k = *state;
	struct blob b = { .n = 0 };
	unsigned changes;

	put_tls(&b, "www.example.org", "h2", 0, false, 16384);
	kit_syn(k);
	kit_tcp(k, TO_SERVER, 0, b.p, b.n);
	changes = k->changes;
	for (unsigned i = 0; i < 20; i++)
		kit_tcp(k, TO_SERVER, b.n + i * 20, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_int_equal(k->changes, changes);
	kit_finish(k);
	assert_int_equal(k->changes, changes);
}

static void streams(void **state)
{
	struct stream s = { 0 };
	uint8_t b[STREAM_MAX + 100];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7);
	/* Odd bytes, then even ones. */
	for (size_t i = 1; i < 1000; i += 2)
		assert_false(stream_add(&s, (uint32_t)i, b + i, 1));
	for (size_t i = 0; i < 1000; i += 2)
		assert_true(stream_add(&s, (uint32_t)i, b + i, 1));
	assert_int_equal(s.have, 1000);
	assert_memory_equal(s.buf, b, 1000);
	/* In order again, beyond the end, and nothing more after it. */
	assert_true(stream_add(&s, 990, b + 990, sizeof(b) - 990));
	assert_int_equal(s.have, STREAM_MAX);
	assert_memory_equal(s.buf, b, STREAM_MAX);
	assert_false(stream_add(&s, STREAM_MAX, b, 10));
	assert_false(stream_add(&s, 0xffffffffu, b, 10));
	stream_free(&s);
	/* The start moves up. */
	assert_true(stream_add(&s, 0, b + 40, 20));
	assert_true(stream_shift(&s, 40));
	assert_int_equal(s.have, 0);
	assert_true(stream_add(&s, 0, b, 45));
	assert_int_equal(s.have, 60);
	assert_memory_equal(s.buf, b, 60);
	assert_false(stream_shift(&s, STREAM_MAX));
	stream_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(in_one_segment),
		T(post_quantum),
		T(in_single_bytes),
		T(backwards),
		T(duplicated_and_overlapping),
		T(first_copy_counts),
		T(cut_behind_the_name),
		T(over_several_records),
		T(without_a_syn),
		T(with_ech),
		T(dot_by_port_or_alpn),
		T(server_alone),
		T(midway_needs_a_second_record),
		T(starttls_becomes_tls),
		T(lying_lengths),
		T(what_is_done_stays),
		cmocka_unit_test(streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
