// SPDX-License-Identifier: GPL-2.0-or-later
/* What passed, was lost and took how long, packet by packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "rate_series.h"

#define MS	1000000ull
#define PAYLOAD 1448

/* A flow past us, its records as the engine would make them. */
struct feed {
	struct series_budget budget;
	struct series *s;
	uint32_t seq;
};

static struct feed feed_new(void)
{
	struct feed f = { .seq = 1000 };

	f.s = series_new(&f.budget);
	assert_non_null(f.s);
	return f;
}

static struct weir_rec record(uint64_t at_ns, uint32_t tsval, uint32_t tsecr)
{
	struct weir_rec r;

	memset(&r, 0, sizeof(r));
	r.time_ns = at_ns;
	r.proto = IPPROTO_TCP;
	r.tcp_flags = 16;
	r.flags = WEIR_REC_TS;
	r.tsval = tsval;
	r.tsecr = tsecr;
	r.segs = 1;
	return r;
}

static void data(struct feed *f, uint64_t at_ns, uint32_t tsval)
{
	struct weir_rec r = record(at_ns, tsval, 1);

	r.seq = r.own_end = f->seq;
	r.payload_len = PAYLOAD;
	r.l2_len = PAYLOAD + 66;
	series_packet(f->s, &f->budget, &r);
	f->seq += PAYLOAD;
}

static void acked(struct feed *f, uint64_t at_ns, uint32_t tsecr)
{
	struct weir_rec r = record(at_ns, 1, tsecr);

	r.ack = f->seq;
	series_reverse(f->s, &f->budget, &r);
}

/* Round trips of 50 ms, until the series keeps them. */
static uint64_t begin(struct feed *f)
{
	uint64_t now = 1000 * MS;

	for (unsigned i = 0; i < 12; i++, now += 60 * MS) {
		data(f, now, 100 + 60 * i);
		acked(f, now + 50 * MS, 100 + 60 * i);
	}
	assert_in_range(f->s->rtt[SIDE_AFTER].min_us, 50000, 50001);
	return now;
}

/* What bears the same timestamp came from the sender at once, and may be held up on its way to us. */
static void a_timestamp_counts_from_its_first_packet(void **state)
{
	struct feed f = feed_new();
	uint64_t now = begin(&f);

	data(&f, now, 2000);
	data(&f, now + 3 * MS, 2003); /* too close behind the other to be timed */
	data(&f, now + 31 * MS, 2003);
	acked(&f, now + 53 * MS, 2003);
	assert_in_range(f.s->rtt[SIDE_AFTER].min_us, 50000, 50001);
	series_free(f.s, &f.budget);
}

/* Of packets without records nobody knows what they bore: the first one behind them is not timed. */
static void nor_is_what_follows_a_gap_its_first(void **state)
{
	struct feed f = feed_new();
	uint64_t now = begin(&f);

	f.seq += 4000 * PAYLOAD;
	data(&f, now + 30 * MS, 2000);
	acked(&f, now + 52 * MS, 2000);
	data(&f, now + 60 * MS, 2030);
	acked(&f, now + 109 * MS, 2030);
	assert_in_range(f.s->rtt[SIDE_AFTER].min_us, 49000, 49001);
	series_free(f.s, &f.budget);
}

/* An injector's guess, far ahead: round trips come back, and none is invented. */
static void one_far_ahead_is_forgotten(void **state)
{
	struct feed f = feed_new();
	uint64_t now = begin(&f), last;

	data(&f, now, 1u << 30);
	now += 11000 * MS;
	for (unsigned i = 0; i < 20; i++, now += 60 * MS) {
		data(&f, now, 12000 + 60 * i);
		acked(&f, now + 48 * MS, 12000 + 60 * i);
	}
	last = f.s->rtt[SIDE_AFTER].last_ns;
	assert_in_range(now - last, 0, 200 * MS);
	assert_in_range(f.s->rtt[SIDE_AFTER].min_us, 48000, 48001);
	series_free(f.s, &f.budget);
}

/* When what was bridged passed is known within the bridge only. */
static void what_was_bridged_is_not_timed(void **state)
{
	struct feed f = feed_new();
	uint64_t now = begin(&f);
	uint32_t acked_to = f.seq, hole;
	struct weir_rec r;

	f.seq += 20 * PAYLOAD; /* passed at once, without a record each */
	hole = f.seq - PAYLOAD;
	data(&f, now + 100 * MS, 2000);
	r = record(now + 102 * MS, 1, 1);
	r.ack = acked_to;
	r.nsack = 1;
	r.sack[0][0] = hole;
	r.sack[0][1] = hole + PAYLOAD;
	series_reverse(f.s, &f.budget, &r);
	assert_true(f.s->bridged);
	assert_in_range(f.s->rtt[SIDE_AFTER].min_us, 50000, 50001);
	series_free(f.s, &f.budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timestamp_counts_from_its_first_packet),
		cmocka_unit_test(nor_is_what_follows_a_gap_its_first),
		cmocka_unit_test(one_far_ahead_is_forgotten),
		cmocka_unit_test(what_was_bridged_is_not_timed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
