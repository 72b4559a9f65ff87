// SPDX-License-Identifier: GPL-2.0-or-later
/* The output of a shaper: rate and bucket from it; and no bucket where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "limit_sim.h"
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
		assert_close(out.rate, rate, .01);
		assert_close(out.burst, c[i].burst, .1);
		assert_true(out.cv < .06);
		free(p);
		free(rtts);
	}
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
		cmocka_unit_test(full_link_has_no_bucket),
		cmocka_unit_test(paced_sender_has_no_queue),
		cmocka_unit_test(gaps_are_held_or_not),
		cmocka_unit_test(too_little_is_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
