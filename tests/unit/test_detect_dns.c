// SPDX-License-Identifier: GPL-2.0-or-later
/* DNS answers, forged and not, through the whole pipeline; and the parser on cut and hostile messages. */
#include "dns_rules.h"
#include "wire.h"

static struct wire w;

static int setup(void **state)
{
	wire_open(&w);
	return 0;
}

struct rr {
	unsigned type;
	uint32_t v4;
	const char *name; /* CNAME's target, as labels */
};

static unsigned name(uint8_t *p, const char *text)
{
	unsigned n = 0;

	while (*text) {
		unsigned len = (unsigned)strcspn(text, ".");

		p[n++] = (uint8_t)len;
		memcpy(p + n, text, len);
		n += len;
		text += len + (text[len] == '.');
	}
	p[n++] = 0;
	return n;
}

static unsigned message(uint8_t *p, unsigned id, unsigned flags, const char *qname, unsigned qtype, const struct rr *rr,
			unsigned nrr, uint32_t ttl, bool edns)
{
	unsigned n = 12;

	memset(p, 0, 12);
	put16(p, id);
	put16(p + 2, flags);
	put16(p + 4, 1);
	put16(p + 6, nrr);
	put16(p + 10, edns);
	n += name(p + n, qname);
	put16(p + n, qtype);
	put16(p + n + 2, 1);
	n += 4;
	for (unsigned i = 0; i < nrr; i++) {
		unsigned len = 4;

		put16(p + n, 0xc00c);
		put16(p + n + 2, rr[i].type);
		put16(p + n + 4, 1);
		put32(p + n + 6, ttl);
		if (rr[i].type == 1)
			put32(p + n + 12, rr[i].v4);
		else
			len = name(p + n + 12, rr[i].name);
		put16(p + n + 10, len);
		n += 12 + len;
	}
	if (edns) {
		memcpy(p + n, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
		n += 11;
	}
	return n;
}

#define RESOLVER 0x09090909u
#define CLIENT	 0xc0a80102u
#define NORMAL	 0x8180
#define FORGED	 0x8400

static void udp(double ms, bool answer, unsigned port, const uint8_t *msg, unsigned len, int ttl, int df)
{
	static int ipid = 7;
	struct look l = { ttl, ++ipid, df, 0, 0, 0 };
	uint8_t b[1500];

	put16(b, answer ? 53 : port);
	put16(b + 2, answer ? port : 53);
	put16(b + 4, 8 + len);
	put16(b + 6, 0);
	memcpy(b + 8, msg, len);
	wire_ip(&w, ms, answer ? RESOLVER : CLIENT, answer ? CLIENT : RESOLVER, 17, &l, b, 8 + len);
}

static void ask(double ms, unsigned port, const char *qname)
{
	uint8_t m[512];

	udp(ms, false, port, m, message(m, port ^ 0x55, 0x0100, qname, 1, NULL, 0, 0, true), 64, 1);
}

static void answer(double ms, unsigned port, const char *qname, unsigned flags, const struct rr *rr, unsigned nrr,
		   uint32_t rrttl, bool edns, int ttl, int df)
{
	uint8_t m[512];

	udp(ms, true, port, m, message(m, port ^ 0x55, flags, qname, 1, rr, nrr, rrttl, edns), ttl, df);
}

static const struct rr real[] = { { 5, 0, "edge.example.net" }, { 1, 0x5db8d822, NULL }, { 1, 0x5db8d823, NULL } };
static const struct rr turned[] = { { 1, 0x5db8d823, NULL }, { 1, 0x5db8d822, NULL }, { 5, 0, "edge.example.net" } };
static const struct rr rotated[] = { { 5, 0, "edge.example.net" }, { 1, 0x5db8d824, NULL } };
static const struct rr bogus[] = { { 1, 0x7f000001, NULL } };
static const struct rr public[] = { { 1, 0x4a560c11, NULL } };

static void check(unsigned claims, enum subkind subkind)
{
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_DNS_INJECTION), claims);
	if (claims)
		assert_int_equal(w.finding[0].subkind, subkind);
}

static void forged_wins_the_race(void **state)
{
	ask(0, 4000, "blocked.example");
	answer(10, 4000, "blocked.example", FORGED, bogus, 1, 300, false, 57, 0);
	answer(40, 4000, "blocked.example", NORMAL, real, 3, 60, true, 52, 1);
	check(1, SUBKIND_RACE);
	assert_true(w.reported_ms[0] <= 1040);
	assert_true(wire_because(&w.finding[0], "answers_disagree"));
	assert_string_equal(w.finding[0].estimate.fact[0].name, "ttl");
	assert_true(w.finding[0].estimate.fact[0].value == 57);
}

/* It comes second; an address of the public kind, the flags of the resolver. */
static void forged_loses_the_race(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		ask(i * 100, 5000 + i, "fine.example");
		answer(i * 100 + 40, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	ask(4000, 4000, "blocked.example");
	answer(4038, 4000, "blocked.example", NORMAL, real, 3, 60, true, 52, 1);
	answer(4041, 4000, "blocked.example", NORMAL, public, 1, 60, false, 101, 0);
	wire_idle(&w, 9000);
	check(1, SUBKIND_RACE);
	assert_true(w.finding[0].estimate.fact[0].value == 101);
}

/* Alone: sooner than the resolver ever was, from elsewhere, with authority it does not have. */
static void forged_alone(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		ask(i * 100, 5000 + i, "fine.example");
		answer(i * 100 + 40, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		/* The question's table is settled by further questions of its set only: ask again. */
		ask(3000 + i * 100, 5000 + i, "fine.example");
		answer(3000 + i * 100 + 41, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	/* Once it may be a new route to the resolver; the usual answers in between say no. */
	for (unsigned i = 0; i < 2; i++) {
		ask(8000 + i * 8000, 4000 + i, "blocked.example");
		answer(8006 + i * 8000, 4000 + i, "blocked.example", FORGED, bogus, 1, 300, false, 101, 0);
		assert_int_equal(wire_claims(&w, KIND_DNS_INJECTION), i);
		ask(11000 + i * 8000, 5000, "fine.example");
		answer(11040 + i * 8000, 5000, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		ask(14500 + i * 8000, 5001, "fine.example");
	}
	wire_idle(&w, 30000);
	check(1, SUBKIND_FORGED);
}

/* All alike but the time: the first before the resolver can know, the second when it is due. */
static void nothing_but_too_soon(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		ask(i * 100, 5000 + i, "fine.example");
		answer(i * 100 + 40, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	ask(4000, 4000, "blocked.example");
	answer(4012, 4000, "blocked.example", NORMAL, public, 1, 60, true, 52, 1);
	answer(4041, 4000, "blocked.example", NORMAL, real, 3, 60, true, 52, 1);
	wire_idle(&w, 9000);
	check(1, SUBKIND_RACE);
	assert_true(wire_because(&w.finding[0], "too_soon"));
	assert_string_equal(w.finding[0].estimate.fact[w.finding[0].estimate.n - 2].text, "74.86.12.17");
}

static void one_name_over_many_flows_is_one_finding(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		ask(i * 100, 4000 + i, "blocked.example");
		answer(i * 100 + 10, 4000 + i, "blocked.example", FORGED, bogus, 1, 300, false, 57, 0);
		answer(i * 100 + 40, 4000 + i, "blocked.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	check(1, SUBKIND_RACE);
	assert_int_equal(w.finding[0].flows, 5);
}

/* The benign. */

static void duplicated_answer(void **state)
{
	ask(0, 4000, "fine.example");
	answer(40, 4000, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	answer(40.1, 4000, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	check(0, 0);
	assert_int_equal(w.nfindings, 0);
}

static void order_and_ttl_change(void **state)
{
	ask(0, 4000, "fine.example");
	answer(40, 4000, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	answer(45, 4000, "fine.example", NORMAL, turned, 3, 59, true, 52, 1);
	check(0, 0);
	assert_int_equal(w.nfindings, 0);
}

/* Asked again, a balanced name may give other addresses. */
static void asked_again(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		ask(i * 9000, 4000 + i, "fine.example");
		ask(i * 9000 + 1000, 4000 + i, "fine.example");
		answer(i * 9000 + 1040, 4000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		answer(i * 9000 + 1041, 4000 + i, "fine.example", NORMAL, rotated, 2, 60, true, 52, 1);
	}
	check(0, 0);
}

/* The question was doubled behind us; the answers are the same resolver's. */
static void question_doubled_behind_us(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		ask(i * 9000, 4000 + i, "fine.example");
		answer(i * 9000 + 40, 4000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		answer(i * 9000 + 41, 4000 + i, "fine.example", NORMAL, rotated, 2, 60, true, 52, 1);
	}
	check(0, 0);
}

static void truncated_first(void **state)
{
	ask(0, 4000, "fine.example");
	answer(40, 4000, "fine.example", NORMAL | 0x200, NULL, 0, 60, true, 52, 1);
	answer(45, 4000, "fine.example", NORMAL, real, 3, 60, true, 58, 1);
	check(0, 0);
}

/* A blocking resolver of one's own answers 0.0.0.0, once, as it always answers. */
static void resolver_that_blocks(void **state)
{
	static const struct rr zero[] = { { 1, 0, NULL } };

	for (unsigned i = 0; i < 12; i++) {
		ask(i * 100, 5000 + i, "fine.example");
		answer(i * 100 + 40, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		ask(i * 100 + 50, 6000 + i, "ads.example");
		answer(i * 100 + 50.5, 6000 + i, "ads.example", NORMAL | DNS_AA, zero, 1, 60, true, 52, 1);
	}
	wire_idle(&w, 9000);
	check(0, 0);
}

/* From the cache in a fraction of the time. */
static void cached(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		ask(i * 3000, 5000, "fine.example");
		answer(i * 3000 + 80, 5000, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	ask(60000, 5001, "fine.example");
	answer(60005, 5001, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	wire_idle(&w, 70000);
	check(0, 0);
}

/* A resolver of several machines, at other hops; a question that was doubled is answered by two, each with its set. */
static void two_machines_answer(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		ask(i * 100, 5000 + i, "fine.example");
		answer(i * 100 + 40, 5000 + i, "fine.example", NORMAL, real, 3, 60, true, i % 3 ? 52 : 57, 1);
	}
	for (unsigned i = 0; i < 6; i++) {
		ask(4000 + i * 3000, 4000 + i, "balanced.example");
		answer(4040 + i * 3000, 4000 + i, "balanced.example", NORMAL, real, 3, 60, true, 52, 1);
		answer(4041 + i * 3000, 4000 + i, "balanced.example", NORMAL, rotated, 2, 60, true, 57, 1);
	}
	wire_idle(&w, 30000);
	check(0, 0);
}

/* Another machine of an anycast resolver, nearer: its first answers are those to names it blocks. */
static void nearer_machine(void **state)
{
	static const struct rr zero[] = { { 1, 0, NULL } };

	for (unsigned i = 0; i < 60; i++) {
		bool near = i >= 30;

		ask(i * 3000, 5000 + i % 7, near && i < 34 ? "ads.example" : "fine.example");
		if (near && i < 34)
			answer(i * 3000 + 8, 5000 + i % 7, "ads.example", NORMAL, zero, 1, 60, true, 58, 1);
		else
			answer(i * 3000 + (near ? 8 : 40), 5000 + i % 7, "fine.example", NORMAL, real, 3, 60, true, near ? 58 : 52, 1);
	}
	wire_idle(&w, 190000);
	check(0, 0);
}

/* First it doesn't know the name, then it does: of two forwarders behind one address, say. */
static void unknown_then_known(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		ask(i * 3000, 4000 + i, "fine.example");
		answer(i * 3000 + 40, 4000 + i, "fine.example", NORMAL | 3, NULL, 0, 60, true, 52, 1);
		answer(i * 3000 + 60, 4000 + i, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
	}
	wire_idle(&w, 20000);
	check(0, 0);
}

/* The alias alone, then with its addresses; both families from one socket with one id. */
static void parts_of_an_answer(void **state)
{
	static const struct rr six[] = { { 5, 0, "edge.example.net" } };
	uint8_t m[512];

	for (unsigned i = 0; i < 6; i++) {
		unsigned port = 4000 + i;

		ask(i * 3000, port, "fine.example");
		udp(i * 3000 + 0.1, false, port, m, message(m, port ^ 0x55, 0x0100, "fine.example", 28, NULL, 0, 0, true), 64, 1);
		answer(i * 3000 + 40, port, "fine.example", NORMAL, real, 3, 60, true, 52, 1);
		udp(i * 3000 + 41, true, port, m, message(m, port ^ 0x55, NORMAL, "fine.example", 28, six, 1, 60, true), 52, 1);
	}
	wire_idle(&w, 20000);
	check(0, 0);
	assert_int_equal(w.nfindings, 0);
}

/* The parser. */

static void parses(void **state)
{
	struct dns_message m, n;
	uint8_t b[512];
	unsigned len = message(b, 0x1234, NORMAL, "WwW.Example.com", 1, real, 3, 60, true);

	assert_true(dns_parse(&m, b, len));
	assert_string_equal(m.name, "www.example.com");
	assert_int_equal(m.qtype, 1);
	assert_int_equal(m.naddresses, 2);
	assert_string_equal(m.address, "93.184.216.34");
	assert_true(m.answers && m.edns && m.question && !m.bogus);
	len = message(b, 0x1234, NORMAL, "www.example.com", 1, turned, 3, 7, false);
	assert_true(dns_parse(&n, b, len));
	assert_true(m.set == n.set && m.qname_hash == n.qname_hash && m.qname_case != n.qname_case);
	assert_false(n.edns);
	len = message(b, 1, NORMAL, "a.b", 1, bogus, 1, 7, false);
	assert_true(dns_parse(&n, b, len) && n.bogus);
}

static void every_cut_and_every_byte(void **state)
{
	uint8_t b[512];
	unsigned len = message(b, 1, NORMAL, "www.example.com", 1, real, 3, 60, true);
	struct dns_message m;

	for (unsigned n = 0; n <= len; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, b, n);
		if (dns_parse(&m, cut, n) && n < len - 11)
			assert_false(m.answers);
		for (unsigned i = 0; i < n; i++) {
			uint8_t was = cut[i];

			for (unsigned v = 0; v < 4; v++) {
				cut[i] = (uint8_t[]){ 0xff, 0xc0, 0x3f, 0 }[v];
				dns_parse(&m, cut, n);
			}
			cut[i] = was;
		}
		free(cut);
	}
}

static void pointers_that_loop(void **state)
{
	uint8_t b[32] = { 0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 12 };
	struct dns_message m;

	assert_false(dns_parse(&m, b, sizeof(b)));
	b[13] = 14;
	b[14] = 0xc0;
	b[15] = 12;
	assert_false(dns_parse(&m, b, sizeof(b)));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(forged_wins_the_race), T(forged_loses_the_race), T(forged_alone), T(one_name_over_many_flows_is_one_finding),
		T(duplicated_answer), T(order_and_ttl_change), T(asked_again), T(question_doubled_behind_us), T(truncated_first),
		T(resolver_that_blocks), T(cached), T(nothing_but_too_soon), T(two_machines_answer), T(nearer_machine), T(unknown_then_known), T(parts_of_an_answer), cmocka_unit_test(parses), cmocka_unit_test(every_cut_and_every_byte),
		cmocka_unit_test(pointers_that_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
