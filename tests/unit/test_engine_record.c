// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said of packets when not everything is: the rising need, payload starts, the budget, the cap on resets. */
#include "engine_kit.h"

#pragma GCC diagnostic ignored "-Woverride-init" /* a test overrides what all have */

/* No flow is in the sample; few first packets, so that what comes after shows why. */
#define CONFIG(...) (struct weir_config){ .first_packets = 3, .sample_mask = ~0u, .focus_packets = 10, __VA_ARGS__ }

static struct tcp begin(struct weir_config cfg)
{
	struct tcp t = tcp_new(kit_new(&cfg, 0), false);

	tcp_open(&t);
	assert_int_equal(t.k->n, 3);
	return t;
}

static bool recorded(struct tcp *t, uint64_t us, int who, unsigned flags, uint32_t seq, uint32_t ack, unsigned len)
{
	unsigned before = t->k->n;

	tcp_seg(t, us, who, flags, seq, ack, len);
	return t->k->n > before;
}

/* Server's data at a time when no RTT sample comes of it. */
static bool data(struct tcp *t, uint64_t us, uint32_t from, unsigned len)
{
	return recorded(t, us, SERVER, ACK, SISN + 1 + from, CISN + 1, len);
}

static void first_packets(void **state)
{
	struct tcp t = begin(CONFIG());

	for (unsigned i = 0; i < 50; i++)
		assert_false(data(&t, 40000 + i, 100 * i, 100));
	assert_int_equal(kit_counters(t.k).in_flows, 53);
	kit_free(t.k);
}

static void sampled_flows(void **state)
{
	unsigned sampled = 0;

	/* One in 2: both kinds turn up, and one flow is wholly one or the other. */
	for (unsigned i = 0; i < 64; i++) {
		struct kit *k = kit_new(&CONFIG(.sample_mask = 1), 0);
		struct pk p = { .src = 9, .dst = 1, .sport = (uint16_t)(1000 + i), .dport = 9, .proto = UDP, .len = 9 };
		unsigned n;

		for (unsigned x = 0; x < 20; x++)
			kit_packet(k, x, &p);
		n = k->n;
		assert_true(n == 3 || n == 20);
		assert_int_equal(n == 20, !(kit_last(k)->flow_id & 1));
		sampled += n == 20;
		host_engine_finish(k->e);
		assert_int_equal(!!(k->flow.state & WEIR_FLOW_SAMPLED), n == 20);
		kit_free(k);
	}
	assert_in_range(sampled, 16, 48);
}

static void flags_always(void **state)
{
	struct tcp t = begin(CONFIG());

	assert_false(data(&t, 40000, 0, 100));
	assert_true(recorded(&t, 50000, SERVER, FIN | ACK, SISN + 101, CISN + 1, 0));
	assert_false(recorded(&t, 50100, CLIENT, ACK, CISN + 1, SISN + 102, 0));
	assert_true(recorded(&t, 60000, CLIENT, FIN | ACK, CISN + 1, SISN + 102, 0));
	assert_true(recorded(&t, 70000, SERVER, RST, SISN + 102, 0, 0));
	kit_free(t.k);
}

/* Each sign of loss; the eighth brings the flow into focus for as many packets as configured. */
static void losses_and_focus(void **state)
{
	struct tcp t = begin(CONFIG());
	unsigned n;

	for (unsigned i = 0; i < 8; i++) {
		assert_true(data(&t, 40000 + 100000 * i, 1000 + 2000 * i, 1000)); /* a hole */
		if (i < 7)
			assert_false(data(&t, 40100 + 100000 * i, 2000 + 2000 * i, 0)); /* nothing new */
	}
	n = t.k->n;
	for (unsigned i = 0; i < 30; i++)
		data(&t, 900000 + 100 * i, 16000 + 100 * i, 100);
	assert_int_equal(t.k->n - n, 10);
	kit_free(t.k);
}

static void rtt_once_a_second(void **state)
{
	struct tcp t = begin(CONFIG());
	unsigned n = t.k->n, samples = 0;

	for (unsigned i = 0; i < 500; i++) { /* 10 s, a sample every 20 ms */
		data(&t, 1100000 + 20000 * i, 100 * i, 100);
		samples += recorded(&t, 1105000 + 20000 * i, CLIENT, ACK, CISN + 1, SISN + 101 + 100 * i, 0);
	}
	assert_in_range(samples, 9, 11);
	assert_int_equal(t.k->n - n, samples);
	kit_free(t.k);
}

/* Everything for two seconds after a reset, either way. */
static void after_a_reset(void **state)
{
	struct tcp t = begin(CONFIG());

	assert_false(data(&t, 40000, 0, 100));
	assert_true(recorded(&t, 50000, CLIENT, RST, CISN + 1, 0, 0));
	assert_true(data(&t, 60000, 100, 100));
	assert_true(recorded(&t, 61000, CLIENT, ACK, CISN + 1, SISN + 1, 0));
	assert_true(data(&t, 2049999, 200, 100));
	assert_false(data(&t, 2050000, 300, 100));
	kit_free(t.k);
}

/* A flood of resets: eight a direction and second are said, the others counted. */
static void resets_capped(void **state)
{
	struct tcp t = begin(CONFIG(.payload_segments = 4, .payload_bytes = 4096));
	unsigned n = t.k->n;

	for (unsigned i = 0; i < 1000; i++)
		recorded(&t, 50000 + i, SERVER, RST, SISN + 1 + i, 0, 0);
	assert_int_equal(t.k->n - n, 8);
	assert_int_equal(kit_counters(t.k).unsent[WEIR_RST_CAPPED], 992);
	assert_true(recorded(&t, 50500, CLIENT, RST, CISN + 1, 0, 0)); /* a share of its own */
	assert_true(recorded(&t, 1060000, SERVER, RST, SISN + 1, 0, 0)); /* the next second */
	kit_free(t.k);
}

/* 100 records a second: one second's worth at once, then as they come; the others are counted. */
static void budget(void **state)
{
	struct kit *k = kit_new(&CONFIG(.sample_mask = 0, .records_per_s = 100), 0);
	struct pk p = { .src = 9, .dst = 1, .sport = 5000, .dport = 6000, .proto = UDP, .len = 10 };

	for (unsigned i = 0; i < 1000; i++)
		kit_packet(k, i, &p);
	assert_int_equal(k->n, 100);
	assert_int_equal(kit_counters(k).unsent[WEIR_BUDGET], 900);
	for (unsigned i = 0; i < 1000; i++) /* half a second */
		kit_packet(k, 1000 + 500 * i, &p);
	assert_in_range(k->n, 149, 151);
	kit_packet(k, 60000000, &p);
	for (unsigned i = 0; i < 1000; i++) /* no more than a second's worth is saved up */
		kit_packet(k, 60000000, &p);
	assert_in_range(k->n, 249, 251);
	assert_int_equal(kit_counters(k).records + kit_counters(k).unsent[WEIR_BUDGET], 3001);
	kit_free(k);
}

static unsigned told(struct kit *k, uint16_t port, unsigned n, uint64_t from_us, uint64_t every_us)
{
	struct pk p = { .src = 9, .dst = 1, .sport = port, .dport = 6000, .proto = UDP, .len = 10 };
	unsigned before = k->n;

	for (unsigned i = 0; i < n; i++)
		kit_packet(k, from_us + i * every_us, &p);
	return k->n - before;
}

/* 100 a second may be spared: a slow flow is told of whole, a fast one until they are gone, and then no more. */
static void what_can_be_spared(void **state)
{
	struct kit *k = kit_new(&CONFIG(.spare_per_s = 100), 0);

	assert_int_equal(told(k, 5000, 500, 1000, 20000), 500);
	assert_int_equal(kit_last(k)->flags & (WEIR_REC_SPARE | WEIR_REC_LAST), WEIR_REC_SPARE);
	assert_in_range(told(k, 5001, 1000, 20000000, 10), 100, 104);
	assert_int_equal(kit_last(k)->flags & (WEIR_REC_SPARE | WEIR_REC_LAST), WEIR_REC_SPARE | WEIR_REC_LAST);
	assert_int_equal(told(k, 5002, 10, 20020000, 1000), 3); /* none is left: its first packets only */
	assert_int_equal(kit_last(k)->flags & (WEIR_REC_SPARE | WEIR_REC_LAST), 0);
	assert_in_range(told(k, 5000, 100, 20040000, 1), 3, 5); /* 39 ms' worth, and that was all for this one */
	assert_int_equal(told(k, 5001, 10, 40000000, 20000), 0);
	assert_int_equal(told(k, 5003, 100, 50000000, 20000), 100);
	kit_free(k);
}

/* Of a flow that was asked for there may be more when what was asked for is through. */
static void spared_after_focus(void **state)
{
	struct kit *k = kit_new(&CONFIG(.spare_per_s = 100), 0);
	struct weir_ctl c = { .op = WEIR_CTL_FOCUS };
	struct weir_key6 key;

	assert_in_range(told(k, 5001, 1000, 1000, 10), 100, 104);
	c.flow_id = kit_last(k)->flow_id;
	memset(&key, 0, sizeof(key));
	key.lo[2] = key.hi[2] = kit_last(k)->saddr[2];
	key.lo[3] = kit_last(k)->daddr[3];
	key.hi[3] = kit_last(k)->saddr[3];
	key.lo_port = 6000;
	key.hi_port = 5001;
	key.proto = UDP;
	c.key = key;
	host_engine_ctl(k->e, &c);
	assert_int_equal(told(k, 5001, 100, 10000000, 20000), 100);
	kit_free(k);
}

/* TCP: by place in the stream, whatever the order and however small the segments. */
static void payload_of_tcp(void **state)
{
	struct tcp t = begin(CONFIG(.payload_segments = 2, .payload_bytes = 4096));
	const struct weir_rec *r;

	assert_true(data(&t, 40000, 0, 1400));
	assert_int_equal(kit_last(t.k)->caplen, 1400);
	assert_true(data(&t, 40100, 1400, 1400));
	assert_true(data(&t, 40200, 2800, 1400)); /* 1,296 are left of 4,096 */
	r = kit_last(t.k);
	assert_int_equal(r->caplen, 1296);
	assert_int_equal(r->payload_len, 1400);
	for (unsigned i = 0; i < r->caplen; i++)
		assert_int_equal(t.k->payload[(t.k->n - 1) % KIT_RECS][i], (uint8_t)(r->seq + i));
	assert_false(data(&t, 40300, 4200, 1400));
	kit_free(t.k);
}

static void payload_in_single_bytes(void **state)
{
	struct tcp t = begin(CONFIG(.payload_segments = 2, .payload_bytes = 100));
	unsigned n = t.k->n;

	for (unsigned i = 0; i < 300; i++)
		data(&t, 40000 + i, i, 1);
	assert_int_equal(t.k->n - n, 100);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(t.k->rec[n + i].caplen, 1);
		assert_int_equal(t.k->payload[n + i][0], (uint8_t)(SISN + 1 + i));
	}
	kit_free(t.k);
}

/* A segment that begins far on in the stream is no start of it. */
static void payload_by_offset(void **state)
{
	struct tcp t = begin(CONFIG(.payload_segments = 2, .payload_bytes = 1000));

	assert_true(data(&t, 40000, 999, 500));
	assert_int_equal(kit_last(t.k)->caplen, 500);
	assert_false(data(&t, 40100, 1499, 500));
	assert_true(data(&t, 80000, 0, 999)); /* what was missing, late */
	assert_int_equal(kit_last(t.k)->caplen, 500); /* of 1,000 in all */
	kit_free(t.k);
}

/* Without a SYN the place isn't known: the first segments. */
static void payload_without_syn(void **state)
{
	struct kit *k = kit_new(&CONFIG(.first_packets = 0, .payload_segments = 2, .payload_bytes = 4096), 0);
	struct tcp t = tcp_new(k, false);

	for (unsigned i = 0; i < 10; i++)
		data(&t, i, 100 * i, 100);
	assert_int_equal(k->n, 2);
	kit_free(k);
}

static void payload_of_udp(void **state)
{
	struct kit *k = kit_new(&CONFIG(.first_packets = 0, .payload_segments = 4, .payload_bytes = 4096), 0);
	struct pk p = { .src = 9, .dst = 1, .sport = 5000, .dport = 6000, .proto = UDP, .len = 1600 };
	static const unsigned want[] = { 1536, 1536, 1024 };

	for (unsigned i = 0; i < 10; i++)
		kit_packet(k, i, &p);
	assert_int_equal(k->n, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(k->rec[i].caplen, want[i]);
	p = (struct pk){ .src = 1, .dst = 9, .sport = 6000, .dport = 5000, .proto = UDP, .len = 10 };
	for (unsigned i = 0; i < 10; i++)
		kit_packet(k, 100 + i, &p);
	assert_int_equal(k->n, 7); /* the other way has a share of its own */
	kit_free(k);
}

/* What the capture holds is all that can go along. */
static void payload_cut(void **state)
{
	struct kit *k = kit_new(&CONFIG(.payload_segments = 4, .payload_bytes = 4096), 0);
	struct pk p = { .src = 9, .dst = 1, .sport = 5000, .dport = 6000, .proto = UDP, .len = 500 };
	uint8_t b[PK_MAX];
	unsigned n = pk_build(b, &p);

	kit_bytes(k, 0, WEIR_LINK_ETHERNET, b, 14 + 28 + 33, n);
	assert_int_equal(kit_last(k)->caplen, 33);
	assert_int_equal(kit_last(k)->payload_len, 500);
	kit_bytes(k, 1, WEIR_LINK_ETHERNET, b, 14 + 28, n);
	assert_int_equal(kit_last(k)->caplen, 0);
	kit_free(k);
}

/* Once userspace knows the type: the first answers still, and what comes again. */
static void payload_when_typed(void **state)
{
	struct tcp t = begin(CONFIG(.payload_segments = 8, .payload_bytes = 8000));
	struct weir_ctl ctl = { .op = WEIR_CTL_TYPE, .l7 = WEIR_L7_TLS, .type = 5 };
	const struct weir_rec *r = kit_last(t.k);

	memcpy(r->dir ? ctl.key.hi : ctl.key.lo, r->saddr, 16);
	memcpy(r->dir ? ctl.key.lo : ctl.key.hi, r->daddr, 16);
	ctl.key.lo_port = r->dir ? r->dport : r->sport;
	ctl.key.hi_port = r->dir ? r->sport : r->dport;
	ctl.key.proto = 6;
	host_engine_ctl(t.k->e, &ctl);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(data(&t, 40000 + i, 100 * i, 100), i < 3);
	assert_int_equal(kit_last(t.k)->l7, WEIR_L7_TLS);
	assert_true(data(&t, 300000, 100, 100)); /* again */
	assert_int_equal(kit_last(t.k)->caplen, 100);
	kit_free(t.k);
}

/* The guess is made from the payload's first bytes. */
static void guesses(void **state)
{
	static const struct {
		const char *bytes;
		unsigned n, proto, port, l7;
	} rows[] = {
		{ "\x16\3\1\2\0\1\0\1", 8, 0, 443, WEIR_L7_TLS }, { "GET / HT", 8, 0, 80, WEIR_L7_HTTP },
		{ "HTTP/1.1", 8, 0, 80, WEIR_L7_HTTP },		  { "SSH-2.0-", 8, 0, 22, WEIR_L7_SSH },
		{ "\x13" "BitTorrent protocol", 20, 0, 6881, WEIR_L7_BITTORRENT },
		{ "WA\6\3\0\0\0\0", 8, 0, 443, WEIR_L7_NOISE },	  { "GET / H", 7, 0, 80, WEIR_L7_UNKNOWN },
		{ "\0\1\0\0\x21\x12\xa4\x42............", 20, UDP, 3478, WEIR_L7_STUN },
		{ "\0\1\1\0\0\1\0\0\0\0\0\0", 12, UDP, 53, WEIR_L7_DNS },
		{ "\x99\x99\x99\x99\x99\x99\x99\x99", 8, UDP, 5000, WEIR_L7_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct kit *k = kit_new(NULL, 0);
		struct pk p = { .src = 9, .dst = 1, .sport = 5000, .dport = (uint16_t)rows[i].port, .flags = ACK,
				.proto = (uint8_t)rows[i].proto, .data = rows[i].bytes, .len = rows[i].n };

		assert_int_equal(kit_packet(k, 0, &p)->l7, rows[i].l7);
		kit_free(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packets), cmocka_unit_test(sampled_flows), cmocka_unit_test(flags_always),
		cmocka_unit_test(losses_and_focus), cmocka_unit_test(rtt_once_a_second), cmocka_unit_test(after_a_reset),
		cmocka_unit_test(resets_capped), cmocka_unit_test(budget), cmocka_unit_test(what_can_be_spared),
		cmocka_unit_test(spared_after_focus), cmocka_unit_test(payload_of_tcp),
		cmocka_unit_test(payload_in_single_bytes), cmocka_unit_test(payload_by_offset),
		cmocka_unit_test(payload_without_syn), cmocka_unit_test(payload_of_udp), cmocka_unit_test(payload_cut),
		cmocka_unit_test(payload_when_typed), cmocka_unit_test(guesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
