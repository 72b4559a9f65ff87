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
		cmocka_unit_test(shared_bucket_on_the_sum),
		cmocka_unit_test(time_does_not_matter),
		cmocka_unit_test(jitter_between_limiter_and_us),
		cmocka_unit_test(too_little_is_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
