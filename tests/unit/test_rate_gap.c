// SPDX-License-Identifier: GPL-2.0-or-later
/* A flow of which a stretch gave no records: what comes behind it is judged by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "facts.h"
#include "fake_model.h"
#include "random.h"
#include "rate.h"

#define MS	1000000ull
#define EPOCH	(1700000000000 * MS)
#define RATE	110e3 /* bytes/s */
#define BURST	20e3
#define PAYLOAD 1448
#define LEN	1514
#define MISSED	(4u << 20)

static struct model model;
static struct findings *store;
static struct detect_env env;
static void *detector;
static struct flow *flow;

/* Bursts of 3 to 15 packets, a tenth of a second or so apart; what is lost before us is sent again when the burst is over. */
static struct {
	uint32_t end;
	unsigned lost[64], losses;
	double lost_at[64];
	double tokens, token_t;
	unsigned filled;
} sender;

/* Lost: it opened a hole, unless it was the last of all. */
static void record(double at, uint32_t seq, double lost_at)
{
	bool fills = seq < sender.end;
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .dir = 1, .segs = 1, .l2_len = LEN,
			      .ip_len = LEN - 14, .payload_len = PAYLOAD, .flow_id = flow->id, .tcp_flags = 0x10,
			      .own_pkts = 1000, .rtt_us = 20000, .label = fills ? WEIR_RETX_FILL : WEIR_IN_ORDER, .seq = seq, .own_end = sender.end,
			      .time_ns = EPOCH + (uint64_t)(at * 1e9), .hole_age_us = fills ? (uint32_t)((at - lost_at) * 1e6) : 0 };

	detect_rate.packet(detector, flow, &r, NULL);
	sender.filled += fills;
	if (!fills)
		sender.end = seq + PAYLOAD;
}

/* The receiver: always behind, so that it is no application's pace. */
static void acknowledge(double at)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .segs = 1, .l2_len = 66, .ip_len = 52,
			      .flow_id = flow->id, .tcp_flags = 0x10, .ack = sender.end - PAYLOAD, .win = 60000,
			      .time_ns = EPOCH + (uint64_t)(at * 1e9) };

	detect_rate.packet(detector, flow, &r, NULL);
}

static bool passes(double at, bool policed)
{
	if (!policed)
		return uniform() > .25;
	sender.tokens = fmin(BURST, sender.tokens + RATE * (at - sender.token_t));
	sender.token_t = at;
	if (sender.tokens < LEN)
		return false;
	sender.tokens -= LEN;
	return true;
}

static void run(double from, double to, bool policed)
{
	uint32_t next = sender.end;

	sender.tokens = BURST;
	sender.token_t = from;
	for (double at = from, wait; at < to; at += wait) {
		unsigned n = 3 + (unsigned)(13 * uniform());

		wait = .03 + .14 * uniform();
		for (unsigned i = 0; i < n; i++, next += PAYLOAD) {
			double t = at + i * 2e-4;

			if (passes(t, policed)) {
				record(t, next, t);
			} else if (sender.losses < 64) {
				sender.lost_at[sender.losses] = t;
				sender.lost[sender.losses++] = next;
			}
		}
		acknowledge(at + .01);
		while (sender.losses && passes(at + .02, policed)) {
			unsigned i = --sender.losses;

			record(at + .02, sender.lost[i], sender.lost_at[i]);
		}
		model.now = EPOCH + (uint64_t)((at + wait) * 1e9);
		detect_rate.tick(detector, model.now);
	}
	sender.end = next;
}

static void losses_before_a_gap_do_not_count(void **state)
{
	const struct finding *f;
	unsigned before;

	memset(&model, 0, sizeof(model));
	seed = 7;
	fake_type(&model, "unknown");
	store = findings_new(20, NULL, NULL);
	env = (struct detect_env){ .model = &model, .findings = store, .slot = 0 };
	detector = detect_rate.create(&env);
	flow = fake_flow(&model, 1, "10.0.0.2", 4001, "192.0.2.7", 443, IPPROTO_TCP);
	flow->complete = true;
	sender.end = 1000;
	run(0, 6, false);
	assert_int_equal(findings_count(store), 0);
	before = sender.filled;
	sender.losses = 0;
	sender.end += MISSED;
	run(8, 9.5, true);
	/* Together they are no more by half than those before. */
	assert_true(sender.filled - before >= FIT_MIN_LOST && sender.filled - before < 1.5 * before);
	assert_int_equal(findings_count(store), 1);
	f = findings_at(store, 0);
	assert_int_equal(f->kind, KIND_RATE_LIMIT);
	assert_true(fabs(fact(&f->estimate, "limit_bps") / (RATE * 8) - 1) < .03);
	detect_rate.flow_end(detector, flow);
	detect_rate.finish(detector, model.now);
	detect_rate.destroy(detector);
	findings_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_before_a_gap_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
