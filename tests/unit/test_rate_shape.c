// SPDX-License-Identifier: GPL-2.0-or-later
/* The output of a shaper: rate and bucket from it; and no bucket where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "limit_sim.h"
#include "rate_series.h"
#include "rate_shape.h"

#define GRAIN (3 * 1514.0)

static void assert_close(double got, double want, double share)
{
	if (fabs(got / want - 1) > share)
		fail_msg("%g is not within %g of %g", got, share, want);
}

/* A window of packets kept under way through a token bucket with a queue. */
static struct fit_packet *shaped(double rate, double burst, unsigned window, double rtt, double seconds,
				 unsigned *n, struct fit_rtt **rtts)
{
	struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
	struct sim s = { .kind = SIM_SHAPER, .rate = rate, .burst = burst, .queue = 1e9,
			 .tokens = burst };

	*rtts = calloc(SIM_MAX, sizeof(**rtts));
	for (*n = 0; *n < SIM_MAX; ++*n) {
		double t = *n < window ? *n * 2e-4 : p[*n - window].t + rtt, out;

		sim_pass(&s, t, &out);
		p[*n] = (struct fit_packet){ .t = out, .len = SIM_L };
		(*rtts)[*n] = (struct fit_rtt){ out, (float)(out - t) };
		if (out > seconds)
			break;
	}
	return p;
}

static void bucket_and_rate(void **state)
{
	static const struct {
		double mbit, burst, rtt;
	} c[] = { { 1, 40000, .05 }, { 2, 100000, .05 }, { 4, 1000000, .025 }, { 12, 300000, .02 } };

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		double rate = c[i].mbit * 125000;
		struct fit_rtt *rtts;
		struct shape out;
		unsigned n;
		struct fit_packet *p = shaped(rate, c[i].burst, 200, c[i].rtt, 8, &n, &rtts);

		shape_fit(p, n, rtts, n, true, GRAIN, &out);
		assert_true(out.line);
		assert_true(out.queued);
		assert_false(out.stepped);
		assert_close(out.rate, rate, .01);
		assert_close(out.burst, c[i].burst, .1);
		assert_true(out.cv < .06);
		assert_true(shape_quick(&out));
		free(p);
		free(rtts);
	}
}

struct link {
	double fast, slow; /* bytes/s: in the first second, and from then on */
	unsigned first;	   /* packets, of which so many are under way, */
	unsigned window, later; /* and then so many */
	unsigned packets;
};

/* A link that gets slower once, with its queue full before and after, or growing. */
static void slower_link(const struct link *l)
{
	struct shape out;
	struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
	struct fit_rtt *rtts = calloc(SIM_MAX, sizeof(*rtts));
	double at = 0;

	for (unsigned n = 0; n < l->packets; n++) {
		unsigned window = n < l->first ? l->window : l->later;
		double sent = n < window ? 0 : p[n - window].t + .02;

		at = fmax(at, sent) + SIM_L / (at < 1 ? l->fast : l->slow);
		p[n] = (struct fit_packet){ .t = at, .len = SIM_L };
		rtts[n] = (struct fit_rtt){ at, (float)(at - sent) };
	}
	shape_fit(p, l->packets, rtts, l->packets, true, GRAIN, &out);
	assert_true(out.line);
	assert_close(out.rate, l->slow, .01);
	assert_true(out.queued);
	assert_true(out.stepped);
	free(p);
	free(rtts);
}

/* By two and a half times: more passed than the slower rate allows, but who was first waited, too. */
static void slower_link_is_no_bucket(void **state)
{
	slower_link(&(struct link){ 10e6 / 8, 4e6 / 8, 3000, 100, 100, 3000 });
}

/* By nearly six times, with a queue that had only begun before and goes on to grow: who was first waited for 90 ms. */
static void a_queue_before_the_line_is_no_bucket(void **state)
{
	slower_link(&(struct link){ 8e6 / 8, 1.373e6 / 8, 660, 70, 130, 1300 });
}

/*
 * A link of which a paced sender fills most, until another comes and takes a third: a line, a queue, and
 * more had passed before with no queue at all. All as behind a bucket, but that it took seconds.
 */
static void shared_link_is_no_burst(void **state)
{
	struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
	struct fit_rtt *rtts = calloc(SIM_MAX, sizeof(*rtts));
	double at = 0, link = 2.2e6 / 8, share = 1.4e6 / 8;
	struct shape out;
	unsigned n;

	for (n = 0; n < 2600; n++) {
		double sent = n * SIM_L / (.96 * link);

		at = at < 4 ? fmax(at, sent) + SIM_L / link : at + SIM_L / share;
		if (at > 12)
			break;
		p[n] = (struct fit_packet){ .t = at, .len = SIM_L };
		rtts[n] = (struct fit_rtt){ at, (float)(at < 4 ? 1e-4 : .056) };
	}
	shape_fit(p, n, rtts, n, true, GRAIN, &out);
	assert_true(out.line && out.queued && !out.stepped);
	assert_close(out.rate, share, .01);
	assert_true(out.burst > 100000 && out.peak > 1.25 * out.rate);
	assert_false(shape_quick(&out));
	free(p);
	free(rtts);
}

/* A slow line's packets are few in a bin, and what broke the line before is no part of it. */
static void slow_line_is_steady(void **state)
{
	struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
	struct fit_rtt *rtts = calloc(SIM_MAX, sizeof(*rtts));
	double rate = 640e3 / 8;
	struct shape out;
	unsigned n;

	/* Acknowledged two at a time; what the bucket held all at once. */
	for (n = 0; n < 300; n++) {
		double t = .3 + n * 2 * SIM_L / rate + (n & 1 ? .006 : 0);

		p[n] = (struct fit_packet){ .t = t, .len = n ? 2 * SIM_L : 90 * SIM_L };
		rtts[n] = (struct fit_rtt){ t, n ? .2f : 0 };
	}
	shape_fit(p, n, rtts, n, true, 2 * GRAIN, &out);
	assert_true(out.line);
	assert_close(out.rate, rate, .01);
	assert_true(out.cv < .06);
	free(p);
	free(rtts);
}

/* What passes at once later on, more than the bucket held: it was none. */
static void more_than_the_bucket_passes(void **state)
{
	for (unsigned more = 0; more < 2; more++) {
		struct fit_rtt *rtts;
		struct shape out;
		unsigned n;
		struct fit_packet *p = shaped(4e6 / 8, 100000, 200, .03, 8, &n, &rtts);

		/* The last second's packets a millisecond apart. */
		for (unsigned i = n - 300; more && i < n; i++)
			p[i].t = p[n - 300].t + (i - (n - 300)) * 1e-3;
		shape_fit(p, n, rtts, n, true, GRAIN, &out);
		assert_true(out.line);
		assert_close(out.burst, 100000, .1);
		assert_int_equal(out.most > 1.15 * out.burst + 6 * SIM_L, more);
		free(p);
		free(rtts);
	}
}

/* Tokens that a full bucket had no room for are gone: what passes slowly before the burst takes none of it. */
static void idle_start_adds_no_tokens(void **state)
{
	enum { SLOW = 10 };
	struct fit_rtt *rtts;
	struct shape out;
	unsigned n;
	struct fit_packet *p = shaped(4e6 / 8, 300000, 200, .03, 8, &n, &rtts), *q;

	q = calloc(n + SLOW, sizeof(*q));
	for (unsigned i = 0; i < SLOW; i++)
		q[i] = (struct fit_packet){ .t = i * .1, .len = SIM_L };
	for (unsigned i = 0; i < n; i++) {
		q[SLOW + i] = p[i];
		q[SLOW + i].t += SLOW * .1;
		rtts[i].t += SLOW * .1;
	}
	shape_fit(q, n + SLOW, rtts, n, true, GRAIN, &out);
	assert_true(out.line);
	assert_true(out.queued);
	assert_true(out.rtt_free < .001);
	assert_close(out.burst, 300000, .1);
	free(p);
	free(q);
	free(rtts);
}

static void full_link_has_no_bucket(void **state)
{
	struct fit_rtt *rtts;
	struct shape out;
	unsigned n;
	struct fit_packet *p = shaped(5e6 / 8, 3000, 200, .04, 8, &n, &rtts);

	shape_fit(p, n, rtts, n, true, GRAIN, &out);
	assert_true(out.line);
	assert_close(out.rate, 5e6 / 8, .01);
	assert_true(out.burst < 12 * 1514);
	free(p);
	free(rtts);
}

static void paced_sender_has_no_queue(void **state)
{
	struct sim s = { .kind = SIM_FREE, .rtt = .04, .pace = 250000, .seconds = 10, .seed = 1 };
	struct shape out;

	sim_run(&s);
	shape_fit(s.p, s.n, s.rtts, s.m, true, GRAIN, &out);
	assert_false(out.line && out.queued);
	sim_free(&s);
}

/*
 * A sender that lets the queue run empty now and then (BBR does) breaks the line
 * into pieces; what passed between its ends is what the rate allows all the same.
 * One that pauses passed less.
 */
static void gaps_are_held_or_not(void **state)
{
	static const double stop[] = { .012, .6 }; /* s, every three seconds */

	for (unsigned i = 0; i < 2; i++) {
		struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
		struct sim s = { .kind = SIM_SHAPER, .rate = 12e6 / 8, .burst = 3e5, .queue = 1e9,
				 .tokens = 3e5 };
		struct fit_rtt *rtts = calloc(SIM_MAX, sizeof(*rtts));
		struct shape out;
		double pauses = 0;
		unsigned n;

		for (n = 0; n < SIM_MAX; n++) {
			double t = n < 200 ? n * 2e-4 : p[n - 200].t + .02, at;

			if (t > 3 * (pauses + 1))
				pauses++;
			if (n >= 200 && t - 3 * pauses < stop[i] && pauses)
				t = 3 * pauses + stop[i];
			sim_pass(&s, t, &at);
			p[n] = (struct fit_packet){ .t = at, .len = SIM_L };
			rtts[n] = (struct fit_rtt){ at, (float)(at - t) };
			if (at > 13)
				break;
		}
		shape_fit(p, n, rtts, n, true, GRAIN, &out);
		assert_true(out.line);
		assert_close(out.rate, 12e6 / 8, .01);
		assert_int_equal(fabs(out.held - 1) <= .03, i == 0);
		free(p);
		free(rtts);
	}
}

/*
 * A full link before us drops now and then (fq_codel does), and the hole takes a few round trips to
 * be filled. Acknowledgments stand still until then and jump: that is no bucket, for what was
 * delivered meanwhile was said by SACK.
 */
static void holes_are_no_bucket(void **state)
{
	enum { LOST = 60, FILLED = 160, LAST = 1500, MSS = 1448 };
	static const uint32_t isn = 0xfffff000u; /* wraps */
	double gap = SIM_L * 8 / 5e6;
	struct series_budget b = { 0 };
	struct series *s = series_new(&b);
	struct fit_packet *p = calloc(LAST + 1, sizeof(*p));
	struct shape out;
	unsigned n;

	assert_non_null(s);
	for (unsigned i = 0, at = 0; i <= LAST; i++) {
		/* The resend takes the link, too: what is new comes one later from then on. */
		bool fill = i == FILLED;
		uint32_t seq = isn + MSS * (fill ? LOST : at);
		struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16,
				      .time_ns = 1000000000u + (uint64_t)(i * gap * 1e9), .seq = seq,
				      .payload_len = MSS, .l2_len = SIM_L, .segs = 1,
				      .own_end = isn + MSS * at, .label = fill ? WEIR_RETX_FILL : 0 };
		struct weir_rec a = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16,
				      .segs = 1 };

		at += !fill;
		if (i == LOST) { /* before us: only the link was busy with it */
			r.label = 0;
			s->end = isn + MSS * at;
			continue;
		}
		series_packet(s, &b, &r);
		a.time_ns = r.time_ns + 1000000;
		a.ack = isn + MSS * (i < LOST || i >= FILLED ? at : LOST);
		if (i > LOST && i < FILLED) {
			a.nsack = 1;
			a.sack[0][0] = isn + MSS * (LOST + 1);
			a.sack[0][1] = isn + MSS * at;
		}
		series_reverse(s, &b, &a);
	}
	n = series_acked(s, 0, 1000000000u, p, LAST + 1);
	shape_fit(p, n, NULL, 0, true, 2 * GRAIN, &out);
	assert_true(out.line);
	assert_close(out.rate, 5e6 / 8, .01);
	assert_true(out.burst < 12 * SIM_L);
	free(p);
	series_free(s, &b);
	assert_int_equal(b.packets, 0);
}

/* SACK blocks of a hostile receiver: backwards, beyond what was sent, more than are kept, all again. */
static void delivered_is_counted_once(void **state)
{
	struct series_budget b = { 0 };
	struct series *s = series_new(&b);
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16, .seq = 1000,
			      .payload_len = 60000, .l2_len = 60066, .segs = 42, .own_end = 1000,
			      .time_ns = 1 };
	struct weir_rec a = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16, .segs = 1,
			      .ack = 1000, .nsack = 3, .time_ns = 2 };
	struct fit_packet p[300];
	double sum = 0;
	unsigned n;

	assert_non_null(s);
	series_packet(s, &b, &r);
	series_reverse(s, &b, &a);
	srand(1);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < 3; k++) {
			a.sack[k][0] = 1000 + (uint32_t)rand() % 70000 - 3000;
			a.sack[k][1] = a.sack[k][0] + (uint32_t)rand() % 9000 - 1000;
		}
		a.ack = 1000 + i * 150;
		a.time_ns++;
		series_reverse(s, &b, &a);
	}
	a.nsack = 0;
	a.ack = 61000;
	series_reverse(s, &b, &a);
	n = series_acked(s, 0, 0, p, 300);
	for (unsigned i = 0; i < n; i++)
		sum += p[i].len;
	assert_float_equal(sum, 60066, 1);
	series_free(s, &b);
}

/* A short stretch without records is bridged by what sequence numbers tell; a long one is not. */
static void gaps_are_bridged_or_not(void **state)
{
	for (unsigned slow = 0; slow < 2; slow++) {
		struct series_budget b = { 0 };
		struct series *s = series_new(&b);
		struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16,
				      .segs = 1, .payload_len = 1448, .l2_len = SIM_L, .time_ns = 1000000000,
				      .seq = 0xfffffa00u, .own_end = 0xfffffa00u };
		struct fit_packet p[200];
		double sum = 0;
		unsigned n;

		assert_non_null(s);
		series_packet(s, &b, &r);
		/* 100 packets passed unseen. */
		r.time_ns += slow ? 900000000 : 90000000;
		r.seq += 101 * 1448;
		r.own_end = r.seq;
		series_packet(s, &b, &r);
		n = series_packets(s, SIDE_BEFORE, 0, 1000000000, p, 200);
		for (unsigned i = 0; i < n; i++) {
			sum += p[i].len;
			assert_true(!i || p[i].t > p[i - 1].t);
		}
		assert_int_equal(s->whole, !slow);
		assert_int_equal(n, slow ? 1 : 102);
		assert_float_equal(sum, n * SIM_L, .5);
		series_free(s, &b);
	}
}

/* What stands before a limiter by what was sent to it. */
static void backlog_is_what_was_sent_too_fast(void **state)
{
	struct fit_packet p[100];

	for (unsigned i = 0; i < 100; i++)
		p[i] = (struct fit_packet){ .t = i < 50 ? i * 1e-5 : 1 + i * .1, .len = 1000 };
	assert_float_equal(shape_backlog(p, 100, 1e4, 100, true), 50000, 10);
	assert_float_equal(shape_backlog(p, 20, 1e4, 100, true), 20000, 10);
	assert_float_equal(shape_backlog(p, 100, 1e4, 2e-4 + 1e-6, true), 21000, 10);
	assert_float_equal(shape_backlog(p, 0, 1e4, 100, true), 0, 0);
}

/*
 * A server that writes 5 kB each 20 ms by its own will, after a start at full speed: the last packet's
 * acknowledgment waits for the next write. What a bucket with a queue lets out comes one by one.
 */
static void writes_now_and_then_are_no_queue(void **state)
{
	for (unsigned shaped = 0; shaped < 2; shaped++) {
		struct fit_packet *p = calloc(SIM_MAX, sizeof(*p));
		struct fit_rtt *rtts = calloc(SIM_MAX, sizeof(*rtts));
		struct shape out;
		unsigned n;

		for (n = 0; n < 2000; n++) {
			double t = n < 24 ? n * .001 : shaped ? .024 + (n - 24) * .005 : .02 * ((n - 24) / 4 + 2) + n % 4 * 1e-5;

			p[n] = (struct fit_packet){ .t = t, .len = SIM_L };
			rtts[n] = (struct fit_rtt){ t, n < 24 ? .0004f : .0195f };
		}
		shape_fit(p, n, rtts, n, true, GRAIN, &out);
		assert_true(out.line);
		assert_close(out.rate, SIM_L / .005, .01);
		assert_int_equal(out.queued, shaped);
		free(p);
		free(rtts);
	}
}

static void too_little_is_no_line(void **state)
{
	struct fit_packet p[200] = { { 0 } };
	struct shape out;

	shape_fit(p, 0, NULL, 0, true, GRAIN, &out);
	assert_false(out.line);
	for (unsigned i = 0; i < 200; i++)
		p[i] = (struct fit_packet){ .t = 1, .len = 1514 };
	shape_fit(p, 200, NULL, 0, true, GRAIN, &out);
	assert_false(out.line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_and_rate),
		cmocka_unit_test(slower_link_is_no_bucket),
		cmocka_unit_test(a_queue_before_the_line_is_no_bucket),
		cmocka_unit_test(shared_link_is_no_burst),
		cmocka_unit_test(slow_line_is_steady),
		cmocka_unit_test(more_than_the_bucket_passes),
		cmocka_unit_test(idle_start_adds_no_tokens),
		cmocka_unit_test(full_link_has_no_bucket),
		cmocka_unit_test(paced_sender_has_no_queue),
		cmocka_unit_test(gaps_are_held_or_not),
		cmocka_unit_test(holes_are_no_bucket),
		cmocka_unit_test(delivered_is_counted_once),
		cmocka_unit_test(gaps_are_bridged_or_not),
		cmocka_unit_test(backlog_is_what_was_sent_too_fast),
		cmocka_unit_test(writes_now_and_then_are_no_queue),
		cmocka_unit_test(too_little_is_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
