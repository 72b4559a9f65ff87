// SPDX-License-Identifier: GPL-2.0-or-later
/* Injected content and its honest look-alikes, packet by packet, through the whole pipeline. */
#include "content_rules.h"
#include "wire.h"

static struct wire w;

static int setup(void **state)
{
	wire_open(&w);
	return 0;
}

#define PAGE  "HTTP/1.1 302 Found\r\nLocation: http://block.example/\r\nContent-Length: 0\r\n\r\n"
#define REAL  "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nthe page that was asked for, all of it ok"
#define HELLO "\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03 and so on, a server hello"
#define ALERT "\x15\x03\x03\x00\x02\x02\x70"

static const struct look forged = { 61, 0x1d11, 0, 0, 8192, 0 };

static double request(struct conn *c, double rtt)
{
	double t = wire_open_conn(&w, 0, c, rtt);

	wire_send(&w, t + 1, c, true, PSH | ACK, GET, sizeof(GET) - 1);
	return t + 1;
}

static const struct finding *the_claim(void)
{
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_CONTENT_INJECTION), 1);
	for (unsigned i = 0; i < w.nfindings; i++)
		if (w.finding[i].kind == KIND_CONTENT_INJECTION && w.finding[i].level >= LEVEL_LIKELY)
			return &w.finding[i];
	return NULL;
}

static void no_claim(void)
{
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_CONTENT_INJECTION), 0);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
}

/* The page wins the race; the server's own answer comes behind it. */
static void page_then_the_real_one(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	const struct finding *f;

	wire_seg(&w, t + 10, &c, false, PSH | ACK | FIN, c.sseq, c.cseq, PAGE, sizeof(PAGE) - 1, forged);
	wire_send(&w, t + 40, &c, false, ACK, NULL, 0);
	wire_send(&w, t + 41, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_PAGE);
	assert_int_equal(f->direction, DIRECTION_DOWN);
	assert_true(wire_because(f, "other_bytes") && wire_because(f, "no_timestamps"));
	assert_true(w.reported_ms[0] <= t + 1041);
}

/* It loses the race: the odd one is the later. */
static void the_real_one_then_data(void **state)
{
	static const char other[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsomething else altogether, of another box";
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	const struct finding *f;

	wire_send(&w, t + 40, &c, false, ACK, NULL, 0);
	wire_send(&w, t + 41, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_seg(&w, t + 44, &c, false, PSH | ACK, c.sseq - (uint32_t)(sizeof(REAL) - 1), c.cseq, other, sizeof(other) - 1,
		 forged);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_DATA);
	for (unsigned i = 0; i < f->estimate.n; i++)
		if (!strcmp(f->estimate.fact[i].name, "ttl"))
			assert_true(f->estimate.fact[i].value == 61);
}

/* In path: nothing else comes; the box's packets give it away. */
static void page_of_a_box_in_the_path(void **state)
{
	struct conn c = wire_conn(0);
	const struct finding *f;
	double t;

	c.ts = false;
	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 200, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 237, 4011, 0, 0, 4128, 0 });
	c.sseq++;
	wire_send(&w, 201, &c, true, ACK, NULL, 0);
	wire_send(&w, 202, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, 410, &c, false, ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 237, 4012, 0, 0, 4069, 0 });
	wire_seg(&w, 450, &c, false, ACK | FIN, c.sseq, c.cseq, PAGE, sizeof(PAGE) - 1, (struct look){ 237, 13330, 0, 0, 32120, 0 });
	c.sseq += sizeof(PAGE);
	wire_send(&w, 451, &c, true, FIN | ACK, NULL, 0);
	t = 550;
	wire_seg(&w, t, &c, false, ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 237, 13330, 0, 0, 32120, 0 });
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_PAGE);
	assert_true(wire_because(f, "ipid_repeats"));
}

static void alert_then_the_hello(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	const struct finding *f;

	wire_seg(&w, t + 10, &c, false, PSH | ACK, c.sseq, c.cseq, ALERT, sizeof(ALERT) - 1, forged);
	wire_send(&w, t + 40, &c, false, PSH | ACK, HELLO, sizeof(HELLO) - 1);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_ALERT);
}

/* Records of one kind of stream begin alike: seven bytes, three of them others. */
static void alert_behind_the_hello(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	const struct finding *f;

	wire_send(&w, t + 40, &c, false, PSH | ACK, HELLO, sizeof(HELLO) - 1);
	wire_seg(&w, t + 43, &c, false, PSH | ACK, c.sseq - (uint32_t)(sizeof(HELLO) - 1), c.cseq, ALERT, sizeof(ALERT) - 1, forged);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_ALERT);
}

static void fin_then_data(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	const struct finding *f;

	wire_seg(&w, t + 10, &c, false, FIN | ACK, c.sseq, c.cseq, NULL, 0, forged);
	wire_send(&w, t + 40, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_FIN);
}

static void syn_ack_of_another(void **state)
{
	struct conn c = wire_conn(0);
	const struct finding *f;

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 10, &c, false, SYN | ACK, 0x31337, c.cseq, NULL, 0, (struct look){ 101, 0x99, 0, 0, 8192, 0 });
	wire_seg(&w, 40, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, OWN);
	wire_idle(&w, 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_SYN_ACK);
}

/* Its time alone gives a FIN away whose sender goes on: no header differs. */
static void fin_too_soon(void **state)
{
	const struct finding *f;
	struct conn c;
	double t = 0;

	for (unsigned i = 0; i < 4; i++) {
		c = wire_conn(100 + i);
		t = wire_exchange(&w, wire_open_conn(&w, t, &c, 40) + 1, &c, 40) + 1;
	}
	c = wire_conn(0);
	t = wire_open_conn(&w, t + 50, &c, 40);
	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 12, &c, false, FIN | ACK, c.sseq, c.cseq, NULL, 0, OWN);
	wire_send(&w, t + 42, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_idle(&w, t + 5000);
	f = the_claim();
	assert_int_equal(f->subkind, SUBKIND_FIN);
	assert_true(wire_because(f, "ack_too_soon"));
}

/* One field of the header and other bytes: of one flow a chance, of three none. */
static void other_bytes_on_three_flows(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct conn c = wire_conn(i);
		double t = wire_open_conn(&w, i * 1000, &c, 40);

		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 38, &c, false, PSH | ACK, c.sseq, c.cseq, "bytes of somebody else here", 27,
			 (struct look){ 101, AUTO, 1, 1, 502, 0 });
		assert_int_equal(wire_claims(&w, KIND_CONTENT_INJECTION), 0);
		wire_send(&w, t + 41, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	}
	wire_idle(&w, 9000);
	the_claim();
}

/* The benign. */

/* Bytes that broke on the way, and the same ones sound. */
static void damaged_on_the_way(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		char broken[sizeof(REAL)] = REAL;
		struct conn c = wire_conn(i);
		double t = wire_open_conn(&w, i * 2000, &c, 40);

		memset(broken + 20, 0xaa, 16);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 41, &c, false, PSH | ACK, c.sseq, c.cseq, broken, sizeof(REAL) - 1, OWN);
		wire_seg(&w, t + 300, &c, false, PSH | ACK, c.sseq, c.cseq, REAL, sizeof(REAL) - 1, OWN);
	}
	wire_idle(&w, 15000);
	no_claim();
}

/* The second SYN was not seen; by then the server answers with cookies. */
static void syn_cookies_to_an_unseen_syn(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		struct conn c = wire_conn(i);

		wire_send(&w, i * 4000, &c, true, SYN, NULL, 0);
		wire_seg(&w, i * 4000 + 40, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, OWN);
		wire_seg(&w, i * 4000 + 1040, &c, false, SYN | ACK, c.sseq + 4711, c.cseq, NULL, 0, (struct look){ 52, 0, 1, 0, 8192, 0 });
	}
	wire_idle(&w, 25000);
	no_claim();
}

static void retransmission(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);

	wire_send(&w, t + 40, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_seg(&w, t + 300, &c, false, PSH | ACK, c.sseq - (uint32_t)(sizeof(REAL) - 1), c.cseq, REAL, sizeof(REAL) - 1, OWN);
	wire_idle(&w, t + 5000);
	no_claim();
}

/* Cut anew: other boundaries, the same bytes. */
static void repacketized(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);
	uint32_t at = c.sseq;

	wire_send(&w, t + 40, &c, false, PSH | ACK, REAL, 30);
	wire_send(&w, t + 40.1, &c, false, PSH | ACK, REAL + 30, sizeof(REAL) - 31);
	wire_seg(&w, t + 300, &c, false, PSH | ACK, at + 10, c.cseq, REAL + 10, 50, OWN);
	wire_idle(&w, t + 5000);
	no_claim();
}

/* Tests of intrusion detection overlap segments of one and the same host. */
static void overlap_of_the_same_host(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);

	wire_send(&w, t + 40, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_seg(&w, t + 41, &c, false, PSH | ACK, c.sseq - (uint32_t)(sizeof(REAL) - 1), c.cseq, PAGE, sizeof(PAGE) - 1, OWN);
	wire_idle(&w, t + 5000);
	no_claim();
}

static void redirect_of_the_server(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		struct conn c = wire_conn(i);
		double t = wire_open_conn(&w, i * 500, &c, 40);

		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_send(&w, t + 41.5, &c, false, PSH | ACK | FIN, PAGE, sizeof(PAGE) - 1);
		wire_send(&w, t + 42, &c, true, FIN | ACK, NULL, 0);
		wire_send(&w, t + 82, &c, false, ACK, NULL, 0);
	}
	wire_idle(&w, 9000);
	no_claim();
}

static void alert_of_the_server(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);

	wire_send(&w, t + 41, &c, false, PSH | ACK, ALERT, sizeof(ALERT) - 1);
	wire_send(&w, t + 41.1, &c, false, FIN | ACK, NULL, 0);
	wire_idle(&w, t + 5000);
	no_claim();
}

/* A portal answers whole connections: nothing in them disagrees. */
static void captive_portal(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(300 * i);
		double t;

		c.sttl = 64;
		t = wire_open_conn(&w, i * 500, &c, 3);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_send(&w, t + 5, &c, false, PSH | ACK | FIN, PAGE, sizeof(PAGE) - 1);
	}
	wire_idle(&w, 9000);
	no_claim();
}

static void keepalive_with_a_byte(void **state)
{
	struct conn c = wire_conn(0);
	double t = request(&c, 40);

	wire_send(&w, t + 40, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_send(&w, t + 41, &c, true, ACK, NULL, 0);
	wire_seg(&w, t + 30000, &c, false, ACK, c.sseq - 1, c.cseq, "\0", 1, OWN);
	wire_idle(&w, t + 40000);
	no_claim();
}

/* Asked twice, a server that keeps no state answers with another number. */
static void syn_sent_again_to_syn_cookies(void **state)
{
	struct conn c = wire_conn(0);

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 40, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, OWN);
	wire_seg(&w, 1000, &c, true, SYN, c.cseq - 1, 0, NULL, 0, OWN);
	wire_seg(&w, 1040, &c, false, SYN | ACK, c.sseq + 4711, c.cseq, NULL, 0, (struct look){ 52, 0, 1, 0, 29200, 0 });
	wire_idle(&w, 9000);
	no_claim();
}

/* A tool of the client's own: a false request ahead, to expire on the way. */
static void decoy_of_the_client(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);

	wire_seg(&w, t + 1, &c, true, PSH | ACK, c.cseq, c.sseq, "GET / HTTP/1.1\r\nHost: fine.example\r\n\r\n--------", 46,
		 (struct look){ 4, 0x777, 0, 0, 1000, 0 });
	wire_send(&w, t + 1.2, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_send(&w, t + 42, &c, false, PSH | ACK, REAL, sizeof(REAL) - 1);
	wire_idle(&w, t + 5000);
	no_claim();
}

/* The rules by themselves. */

static void first_bytes(void **state)
{
	assert_int_equal(content_first((const uint8_t *)PAGE, sizeof(PAGE) - 1), CONTENT_IS_PAGE);
	assert_int_equal(content_first((const uint8_t *)REAL, sizeof(REAL) - 1), CONTENT_OTHER);
	assert_int_equal(content_first((const uint8_t *)ALERT, sizeof(ALERT) - 1), CONTENT_IS_ALERT);
	assert_int_equal(content_first((const uint8_t *)HELLO, sizeof(HELLO) - 1), CONTENT_OTHER);
	for (size_t n = 0; n < sizeof(PAGE); n++) {
		uint8_t *cut = malloc(n + 1); /* the sanitizer watches its end */

		memcpy(cut, PAGE, n);
		content_first(cut, n);
		free(cut);
	}
}

static void overlaps(void **state)
{
	const uint8_t a[] = "0123456789abcdef", b[] = "ghijklmnopqrstuv";
	struct content_look x = { .seq = 0xfffffff8, .len = 16, .kept = 16 }, y = x;

	assert_false(content_conflict(&x, a, &y, a));
	assert_true(content_conflict(&x, a, &y, b));
	y.seq = 0; /* 8 on, over the wrap */
	assert_false(content_conflict(&x, a, &y, a + 8)); /* kept 16 > what is there, but 8 overlap */
	assert_true(content_conflict(&x, a, &y, b));
	y.seq = 8;
	assert_false(content_conflict(&x, a, &y, b)); /* adjacent */
	y.seq = x.seq + 0x80000000u; /* half the space away, in a transfer of more than 2 GiB */
	assert_false(content_conflict(&x, a, &y, b));
	y.kept = 0;
	assert_false(content_conflict(&x, a, &y, b));
	y = x;
	y.len = y.kept = 1;
	assert_false(content_conflict(&x, a, &y, b)); /* a probe's byte */
}

static void nothing_without_a_contradiction(void **state)
{
	assert_true(content_score(CONTENT_BIT(CONTENT_TTL) | CONTENT_BIT(CONTENT_NO_TS) | CONTENT_BIT(CONTENT_DF) |
				  CONTENT_BIT(CONTENT_IPID) | CONTENT_BIT(CONTENT_UNAWARE)) == 0);
	assert_true(content_score(CONTENT_BIT(CONTENT_CONFLICT) | CONTENT_BIT(CONTENT_AFTER_FIN)) == 4);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(page_then_the_real_one), T(the_real_one_then_data), T(page_of_a_box_in_the_path), T(alert_then_the_hello), T(alert_behind_the_hello),
		T(fin_then_data), T(fin_too_soon), T(other_bytes_on_three_flows), T(damaged_on_the_way), T(syn_cookies_to_an_unseen_syn), T(syn_ack_of_another), T(retransmission), T(repacketized), T(overlap_of_the_same_host),
		T(redirect_of_the_server), T(alert_of_the_server), T(captive_portal), T(keepalive_with_a_byte),
		T(syn_sent_again_to_syn_cookies), T(decoy_of_the_client), cmocka_unit_test(first_bytes),
		cmocka_unit_test(overlaps), cmocka_unit_test(nothing_without_a_contradiction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
