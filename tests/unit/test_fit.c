// SPDX-License-Identifier: GPL-2.0-or-later
/* Token buckets found again in what they did; and nothing found where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "limit_sim.h"
#include "rate.h"

static struct fit_work *work;

static struct rate_fit fit(const struct sim *s, enum side side, enum verdict *v)
{
	struct fit_input in = sim_input(s);
	struct rate_fit f;
	uint64_t cost = 0;

	rate_fit(work, &in, NULL, &f, &cost);
	assert_true(cost < 4000ull * s->n);
	if (v)
		*v = verdict_of(&in, &f, side);
	return f;
}

/* As the detector does it. */
static struct rate_fit fit_from(const struct sim *s, bool *later, enum verdict *v)
{
	struct fit_input in = sim_input(s);
	struct rate_fit f;
	uint64_t cost = 0;

	rate_fit(work, &in, NULL, &f, &cost);
	*later = rate_fit_later(work, &in, &f, &cost);
	assert_true(cost < 8000ull * s->n);
	*v = verdict_of(&in, &f, SIDE_AFTER);
	return f;
}

static void assert_close(double got, double want, double share)
{
	if (fabs(got / want - 1) > share)
		fail_msg("%g is not within %g of %g", got, share, want);
}

static const struct {
	double mbit, burst, rtt, pace;
} policers[] = {
	{ .4, 15000, .12, 0 },	 { 1, 12500, .06, 0 },	 { 1.5, 100000, .04, 0 }, { 3, 30000, .03, 0 },
	{ 5, 200000, .08, 0 },	 { 8, 500000, .04, 0 },	 { 12, 60000, .025, 0 },  { 20, 80000, .02, 0 },
	{ 45, 400000, .03, 0 },	 { .8, 20000, .12, 2e5 }, { 3, 100000, .03, 6e5 }, { 9, 60000, .05, 2e6 },
};

static void policer_found_again(void **state)
{
	unsigned inside = 0, n = sizeof(policers) / sizeof(*policers);

	for (unsigned i = 0; i < n; i++) {
		struct sim s = { .kind = SIM_POLICER, .rate = policers[i].mbit * 125000,
				 .burst = policers[i].burst, .rtt = policers[i].rtt,
				 .pace = policers[i].pace, .seconds = 14, .seed = 7 + i };
		enum verdict v;
		struct rate_fit f;

		sim_run(&s);
		f = fit(&s, SIDE_AFTER, &v);
		assert_int_equal(v, VERDICT_POLICER);
		assert_true(f.j > .95);
		assert_close(f.rate, s.rate, .03);
		assert_true(fabs(f.burst - s.burst) < fmax(.15 * s.burst, 1514));
		inside += f.rate_low <= s.rate * 1.002 && f.rate_high >= s.rate * .998;
		sim_free(&s);
	}
	assert_true(inside * 10 >= n * 8); /* 90 % intervals */
}

/* Switched on when the flow was there: what passed before tells nothing of the bucket. */
static void what_passed_before_a_limit_is_no_bucket(void **state)
{
	static const struct {
		double mbit, burst, pace, from, pause;
	} c[] = { { 2, 30000, 5e5, 16, 0 },   { .3, 20000, 1e5, 6, 5 },	{ 1, 60000, 2e5, 12, 4 },
		  { 1, 100000, 4e5, 12, 0 }, { .8, 12000, 3e5, 3, 2 }, { 2, 30000, 5e5, 8, 5 } };
	unsigned told = 0;

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct sim s = { .kind = SIM_POLICER, .rate = c[i].mbit * 125000, .burst = c[i].burst, .rtt = .05,
				 .pace = c[i].pace, .from = c[i].from, .pause = c[i].pause,
				 .seconds = c[i].from + 20, .seed = 5 + i };
		struct rate_fit f;
		enum verdict v;
		bool later;

		sim_run(&s);
		f = fit_from(&s, &later, &v);
		assert_true(later);
		assert_int_equal(v, VERDICT_POLICER);
		assert_close(f.rate, s.rate, .03);
		if (f.burst_high <= 1.3 * f.burst_low) {
			assert_close(f.burst, s.burst, .15);
			told++;
		}
		sim_free(&s);
	}
	assert_in_range(told, 3, 4);
}

/* A link that became slower: its queue is seen from there on, and what was fast before is no bucket. */
static void a_link_that_became_slower_is_no_policer(void **state)
{
	static const double mbit[] = { .5, 1, 2, 4 }, queue[] = { 15000, 40000, 100000 }, pace[] = { 0, 1.4, 2.5, 4 };
	unsigned queues = 0;

	for (unsigned i = 0; i < 48; i++) {
		double rate = mbit[i % 4] * 125000;
		struct sim s = { .kind = SIM_QUEUE, .rate = rate, .queue = queue[i / 4 % 3], .rtt = .05,
				 .pace = pace[i / 12] * rate, .from = 3 + i % 5, .seconds = 30, .seed = 40 + i };
		enum verdict v;
		bool later;

		sim_run(&s);
		fit_from(&s, &later, &v);
		assert_int_not_equal(v, VERDICT_POLICER);
		assert_int_not_equal(v, VERDICT_UNKNOWN);
		queues += v == VERDICT_QUEUE;
		sim_free(&s);
	}
	assert_true(queues >= 20);
}

/* However late a large bucket runs empty. */
static void a_bucket_that_was_there_is_kept(void **state)
{
	static const struct {
		double mbit, burst, pace;
	} c[] = { { 3, 1e6, 6e5 }, { 1.5, 4e5, 3e5 }, { 8, 3e6, 2e6 }, { 20, 5e6, 4e6 }, { 1, 100000, 1.5e5 } };

	unsigned told = 0;

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct sim s = { .kind = SIM_POLICER, .rate = c[i].mbit * 125000, .burst = c[i].burst, .rtt = .05,
				 .pace = c[i].pace, .seconds = 25, .seed = 5 + i };
		struct rate_fit f;
		enum verdict v;
		bool later;

		sim_run(&s);
		f = fit_from(&s, &later, &v);
		assert_close(f.rate, s.rate, .03);
		assert_false(later);
		assert_int_equal(v, VERDICT_POLICER);
		/* Of the fastest too many packets passed to hold them all. */
		if (f.burst_high <= 1.3 * f.burst_low) {
			assert_close(f.burst, s.burst, .15);
			told++;
		}
		sim_free(&s);
	}
	assert_in_range(told, 3, 5);
}

/* Losses alone can't tell a drop-tail queue from a bucket: delay does. */
static void queue_is_no_policer(void **state)
{
	static const double mbit[] = { .5, 2, 5, 10, 20 }, queue[] = { 12000, 30000, 100000, 400000 };

	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 4; k++) {
			struct sim s = { .kind = SIM_QUEUE, .rate = mbit[i] * 125000,
					 .queue = queue[k], .rtt = .04, .seconds = 20, .seed = 3 };
			enum verdict v;

			sim_run(&s);
			fit(&s, SIDE_AFTER, &v);
			assert_int_not_equal(v, VERDICT_POLICER);
			assert_int_not_equal(v, VERDICT_UNKNOWN);
			sim_free(&s);
		}
}

static void chance_is_no_limit(void **state)
{
	static const double loss[] = { .005, .01, .02, .05, .1 };

	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 12; k++) {
			struct sim s = { .kind = k & 1 ? SIM_GILBERT : SIM_RANDOM, .loss = loss[i],
					 .clump = 2 + k, .rtt = .01 * (1 + k % 5), .seconds = 25,
					 .pace = k % 3 ? 0 : 4e5, .flows = 1 + k % 4,
					 .seed = 100 * i + k };
			enum verdict v;

			sim_run(&s);
			fit(&s, k & 2 ? SIDE_AFTER : SIDE_BEFORE, &v);
			assert_int_equal(v, VERDICT_NONE);
			sim_free(&s);
		}
}

/* Flows share a bucket: their sum shows it. */
/*
 * What comes out of a link that is always full fits a bucket of any size, empty all the time, and
 * whatever gets lost at it (by PIE here: by chance, with a short queue). So its size says nothing of
 * how long a queue would be.
 */
static void full_link_fits_any_bucket(void **state)
{
	static const struct {
		double mbit, share, wait;
	} c[] = { { 17, .05, .009 }, { 5, .02, .012 }, { 2, .1, .015 }, { 30, .15, .006 }, { 1, .04, .02 } };

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct sim s = { .rtt = .07, .seed = 11 + i, .flows = 1, .rate = c[i].mbit * 125000 };
		enum verdict v;
		double t = 0;

		s.p = calloc(SIM_MAX, sizeof(*s.p));
		s.rtts = calloc(SIM_MAX, sizeof(*s.rtts));
		while (t < 14 && s.n + 2 < SIM_MAX) {
			/* It fills up first. */
			t += SIM_L / s.rate * (t < 1 ? 2 : 1);
			s.p[s.n++] = (struct fit_packet){ .t = t, .len = SIM_L };
			if (t > 1 && sim_random(&s) < c[i].share)
				s.p[s.n++] = (struct fit_packet){ .t = t + 1e-6, .len = SIM_L, .lost = 1 };
			if (!(s.n % 9))
				s.rtts[s.m++] = (struct fit_rtt){
					t, (float)(t < 1 ? 0 : c[i].wait * (.7 + .6 * sim_random(&s))) };
		}
		fit(&s, SIDE_BEFORE, &v);
		assert_int_not_equal(v, VERDICT_POLICER);
		assert_int_not_equal(v, VERDICT_UNKNOWN);
		fit(&s, SIDE_AFTER, &v);
		assert_int_not_equal(v, VERDICT_POLICER);
		sim_free(&s);
	}
}

/* A fit whose backlog is always high denies a queue only when its bucket was seen to be that deep. */
static void depth_must_have_been_seen(void **state)
{
	struct fit_packet p[4] = { { .len = SIM_L } };
	struct fit_input in = { .packet = p, .packets = 4, .slice = .07, .flows = 6, .whole = true };
	struct rate_fit f = { .enough = true, .passed = 17263, .lost = 3549, .slices = 111, .runs = 1641,
			      .j = 1, .base = 2.13e6, .rate = 2.13e6, .burst = 305e3, .slack = 2049,
			      .burst_low = 300e3, .burst_high = 310e3, .sure = .98, .shown = 300e3,
			      .rtts = 1400, .dx = 6e-4, .dq = 2e-4, .x_mid = .142, .q_mid = .0094,
			      .top = 340, .x_low = .142, .x_high = .1426, .q_low = .0087, .flat = .9,
			      .low = .98, .jitter = .0028 };

	assert_int_equal(verdict_of(&in, &f, SIDE_BEFORE), VERDICT_POLICER);
	f.shown = 20e3;
	assert_int_equal(verdict_of(&in, &f, SIDE_BEFORE), VERDICT_NONE);
	/* A queue behind a bucket: there is always a wait, as long at the least backlog as at the most. */
	f.shown = 300e3;
	f.dq = -.0003;
	f.q_mid = f.q_low = .06;
	assert_int_not_equal(verdict_of(&in, &f, SIDE_BEFORE), VERDICT_POLICER);
}

static void shared_bucket_on_the_sum(void **state)
{
	struct sim s = { .kind = SIM_POLICER, .rate = 6e6 / 8, .burst = 80000, .rtt = .04,
			 .seconds = 15, .flows = 4, .seed = 5 };
	enum verdict v;
	struct rate_fit f;

	sim_run(&s);
	f = fit(&s, SIDE_AFTER, &v);
	assert_int_equal(v, VERDICT_POLICER);
	assert_close(f.rate, s.rate, .02);
	assert_close(f.burst, s.burst, .1);
	sim_free(&s);
}

/* The fit knows no clock: later by a day, the same to the last digit but that of a double. */
static void time_does_not_matter(void **state)
{
	struct sim s = { .kind = SIM_POLICER, .rate = 3e6 / 8, .burst = 60000, .rtt = .05,
			 .seconds = 12, .seed = 5 };
	struct rate_fit a, b, c;

	sim_run(&s);
	a = fit(&s, SIDE_AFTER, NULL);
	b = fit(&s, SIDE_AFTER, NULL);
	assert_memory_equal(&a, &b, sizeof(a));
	for (unsigned i = 0; i < s.n; i++)
		s.p[i].t += 86400;
	for (unsigned i = 0; i < s.m; i++)
		s.rtts[i].t += 86400;
	c = fit(&s, SIDE_AFTER, NULL);
	assert_close(c.rate, a.rate, 1e-3);
	assert_close(c.burst, a.burst, 1e-2);
	sim_free(&s);
}

/* Timestamps that are off by a millisecond cost little. */
static void jitter_between_limiter_and_us(void **state)
{
	struct sim s = { .kind = SIM_POLICER, .rate = 4e6 / 8, .burst = 50000, .rtt = .05,
			 .seconds = 15, .jitter = .001, .seed = 9 };
	enum verdict v;
	struct rate_fit f;

	sim_run(&s);
	f = fit(&s, SIDE_AFTER, &v);
	assert_int_equal(v, VERDICT_POLICER);
	assert_close(f.rate, s.rate, .02);
	assert_close(f.burst, s.burst, .15);
	sim_free(&s);
}

/* By two packets' worth of time: fewer are right, but most within a little of the bucket. */
static void more_jitter_blurs_a_large_bucket(void **state)
{
	unsigned blurred = 0;

	for (unsigned seed = 1; seed <= 30; seed++) {
		struct sim s = { .kind = SIM_POLICER, .rate = 187500, .burst = 100000, .rtt = .04, .seconds = 22,
				 .jitter = .06, .seed = seed };
		enum verdict v;
		struct rate_fit f;

		sim_run(&s);
		f = fit(&s, SIDE_AFTER, &v);
		assert_int_equal(v, VERDICT_POLICER);
		assert_close(f.rate, s.rate, .03);
		blurred += f.j < FIT_MIN_J;
		sim_free(&s);
	}
	assert_in_range(blurred, 1, 30);
}

static void too_little_is_nothing(void **state)
{
	struct fit_packet p[400] = { { 0 } };
	struct fit_input in = { .packet = p, .slice = .05, .flows = 1 };
	struct rate_fit f;
	uint64_t cost = 0;

	rate_fit(work, &in, NULL, &f, &cost);
	assert_false(f.enough);
	in.packets = 400;
	for (unsigned i = 0; i < 400; i++)
		p[i] = (struct fit_packet){ .t = .001 * i, .len = 1514, .lost = i < 14 };
	rate_fit(work, &in, NULL, &f, &cost);
	assert_false(f.enough);
	for (unsigned i = 0; i < 400; i++) /* all at one moment */
		p[i] = (struct fit_packet){ .t = 1, .len = 1514, .lost = i & 1 };
	rate_fit(work, &in, NULL, &f, &cost);
	assert_int_equal(verdict_of(&in, &f, SIDE_AFTER), VERDICT_NONE);
	for (unsigned i = 0; i < 400; i++) /* all lost */
		p[i] = (struct fit_packet){ .t = .01 * i, .len = 1514, .lost = 1 };
	rate_fit(work, &in, NULL, &f, &cost);
	assert_false(f.enough);
	for (unsigned i = 0; i < 400; i++) /* time runs back, lengths are absurd */
		p[i] = (struct fit_packet){ .t = 1000 - i, .len = i & 3 ? 0 : 1e9f, .lost = i % 9 == 0 };
	rate_fit(work, &in, NULL, &f, &cost);
}

/*
 * A paced sender that never lets the bucket fill up: late clocks cost a packet's fit, but what passed from
 * one loss to another is what the rate gives all the same. When a loss was is known from its neighbours.
 */
static void never_full_tells_the_rate(void **state)
{
	static const struct {
		double mbit, burst, late, pace;
	} c[] = { { 15, 290000, .004, 1.1 }, { 15, 290000, .004, 1.24 }, { 8, 90000, .002, 1.1 } };

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct sim s = { .kind = SIM_POLICER, .rate = c[i].mbit * 125000, .burst = c[i].burst,
				 .tokens = c[i].burst, .rtt = .04, .flows = 1, .seed = 5 };
		double at = 0, out;
		struct rate_fit f;

		s.p = calloc(SIM_MAX, sizeof(*s.p));
		s.rtts = calloc(SIM_MAX, sizeof(*s.rtts));
		for (double t = 0; t < 10; t += SIM_L / (s.rate * (t < .3 ? 4 : c[i].pace))) {
			bool pass = sim_pass(&s, t, &out);

			if (pass)
				at = fmax(t + c[i].late * sim_random(&s), at + 1e-6);
			s.p[s.n++] = (struct fit_packet){ .t = pass ? at : at + 1e-6, .len = SIM_L,
							  .lost = !pass };
			if (pass && !(s.n % 9))
				s.rtts[s.m++] = (struct fit_rtt){ at, 2e-4f };
		}
		f = fit(&s, SIDE_AFTER, NULL);
		assert_true(f.j > FIT_WEAK_J);
		assert_close(f.rate, s.rate, .003);
		assert_true(f.rate_low <= s.rate * 1.001 && f.rate_high >= s.rate * .999);
		assert_close(f.burst, s.burst, .1);
		sim_free(&s);
	}
}

/* Five packets deep: few losses, all of them explained, and delay that denies a queue. */
static void bucket_of_a_few_packets(void **state)
{
	static const double kbit[] = { 580, 650, 720, 960 };

	for (unsigned i = 0; i < 4; i++) {
		struct sim s = { .kind = SIM_POLICER, .rate = kbit[i] * 125, .burst = 8074, .rtt = .15,
				 .seconds = 14, .seed = 2 + i };
		struct rate_fit f;
		enum verdict v;

		sim_run(&s);
		f = fit(&s, SIDE_AFTER, &v);
		assert_int_equal(v, VERDICT_POLICER);
		/* Its rate is hardly to be told, and that is said. */
		assert_true(f.rate_low <= s.rate && f.rate_high >= s.rate);
		assert_true(fabs(f.burst - s.burst) < 1514);
		sim_free(&s);
	}
}

static int setup(void **state)
{
	work = fit_work_new();
	return !work;
}

static int teardown(void **state)
{
	fit_work_free(work);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policer_found_again),
		cmocka_unit_test(queue_is_no_policer),
		cmocka_unit_test(chance_is_no_limit),
		cmocka_unit_test(full_link_fits_any_bucket),
		cmocka_unit_test(depth_must_have_been_seen),
		cmocka_unit_test(shared_bucket_on_the_sum),
		cmocka_unit_test(time_does_not_matter),
		cmocka_unit_test(what_passed_before_a_limit_is_no_bucket),
		cmocka_unit_test(a_link_that_became_slower_is_no_policer),
		cmocka_unit_test(a_bucket_that_was_there_is_kept),
		cmocka_unit_test(jitter_between_limiter_and_us),
		cmocka_unit_test(more_jitter_blurs_a_large_bucket),
		cmocka_unit_test(too_little_is_nothing),
		cmocka_unit_test(never_full_tells_the_rate),
		cmocka_unit_test(bucket_of_a_few_packets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
