// SPDX-License-Identifier: GPL-2.0-or-later
/* The line of losses: a limit's rate and bucket from flows that live on timeouts; none where chance drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "rate.h"
#include "random.h"

#define MAX 20000
#define LEN 1514

static struct fit_packet p[MAX];
static unsigned n;

static int by_time(const void *a, const void *b)
{
	double x = ((const struct fit_packet *)a)->t, y = ((const struct fit_packet *)b)->t;

	return (x > y) - (x < y);
}

/*
 * Flows that each send a few packets at once and wait, in all share times the rate, so that the bucket
 * hardly ever fills. Later, late: a loss is noticed so much later, at most, s.
 */
static void bursts(unsigned flows, double rate, double share, double seconds)
{
	double gap = 6 * LEN * flows / (share * rate);

	n = 0;
	for (unsigned f = 0; f < flows; f++)
		for (double t = f * .02; t < seconds; t += gap * (.3 + 1.4 * uniform())) {
			unsigned k = 2 + (unsigned)(8 * uniform());

			for (unsigned i = 0; i < k && n < MAX; i++)
				p[n++] = (struct fit_packet){ .t = t + i * 1e-4, .len = LEN };
		}
	qsort(p, n, sizeof(*p), by_time);
}

static void police(double rate, double burst, double late)
{
	double tokens = burst, at = 0;

	for (unsigned i = 0; i < n; i++) {
		tokens = fmin(burst, tokens + rate * (p[i].t - at));
		at = p[i].t;
		p[i].lost = tokens < LEN;
		if (!p[i].lost)
			tokens -= LEN;
	}
	for (unsigned i = 0; i < n; i++)
		if (p[i].lost)
			p[i].t += late * uniform();
	qsort(p, n, sizeof(*p), by_time);
}

static void by_chance(double share)
{
	for (unsigned i = 0; i < n; i++)
		p[i].lost = uniform() < share;
}

static void a_policer(void **state)
{
	static const struct {
		double kbit, burst, share, late;
		unsigned flows;
	} c[] = { { 130, 15000, 1.3, .02, 3 }, { 200, 40000, 1.4, .05, 4 }, { 500, 75000, 1.2, .02, 4 },
		  { 900, 40000, 1.4, .01, 4 }, { 3000, 60000, 1.15, .003, 6 }, { 400, 12000, 2, .03, 2 } };

	for (unsigned i = 0; i < sizeof(c) / sizeof(*c); i++) {
		double rate = c[i].kbit * 125, burst, low, high;
		struct loss_line l;

		seed = 11 + i;
		bursts(c[i].flows, rate, c[i].share, 25);
		police(rate, c[i].burst, c[i].late);
		loss_line(p, n, &l);
		if (!line_holds(&l))
			fail_msg("%g kbit/s: agree %g below %g of %u", c[i].kbit, l.agree, l.below, l.losses);
		if (fabs(l.rate / rate - 1) > .015)
			fail_msg("%g kbit/s: %g", c[i].kbit, l.rate / 125);
		assert_true(l.rate_low <= rate * 1.001 && l.rate_high >= rate * .999);
		line_burst(p, n, rate, &burst, &low, &high);
		assert_true(fabs(burst - c[i].burst) < .05 * c[i].burst + LEN);
		assert_true(low <= c[i].burst && high >= c[i].burst - LEN);
		assert_false(line_denies(&l));
	}
}

/* Flows that send in bursts, and a stream that never varies. */
static void chance_has_none(void **state)
{
	static const double share[] = { .02, .1, .25, .5 };
	unsigned denied = 0;

	for (unsigned k = 0; k < 40; k++) {
		struct loss_line l;

		seed = 100 + k;
		bursts(1 + k % 5, 60000, 1, 40);
		by_chance(share[k % 4]);
		loss_line(p, n, &l);
		if (line_holds(&l))
			fail_msg("bursts: agree %g below %g of %u", l.agree, l.below, l.losses);
		denied += line_denies(&l);
		for (n = 0; n < 4000; n++)
			p[n] = (struct fit_packet){ .t = n * .01, .len = LEN };
		by_chance(share[k % 4]);
		loss_line(p, n, &l);
		if (line_holds(&l))
			fail_msg("stream: agree %g below %g of %u, share %g", l.agree, l.below, l.losses, share[k % 4]);
	}
	assert_true(denied >= 8);
}

/* The same losses: of a bucket nobody waits for, and of a queue of as much. */
static void a_queue_is_no_policer(void **state)
{
	static struct fit_rtt rtt[FIT_RTTS_MAX];
	double rate = 500 * 125, backlog = 0, at = 0;
	const struct rate_fit poor = { .j = .9 }, good = { .j = .999 };
	struct fit_input in = { .packet = p, .rtt = rtt, .flows = 4, .whole = true };
	struct loss_line l;

	seed = 5;
	bursts(4, rate, 1.3, 25);
	police(rate, 75000, .01);
	loss_line(p, n, &l);
	assert_true(line_holds(&l));
	in.packets = n;
	for (unsigned i = 0; i < n && in.rtts < FIT_RTTS_MAX; i++) {
		backlog = fmax(0, backlog - rate * (p[i].t - at));
		at = p[i].t;
		if (p[i].lost)
			continue;
		backlog += p[i].len;
		rtt[in.rtts++] = (struct fit_rtt){ .t = at, .rtt = (float)(backlog / rate) };
	}
	assert_int_equal(verdict_of_line(&in, &poor, &l), VERDICT_NONE);
	for (unsigned i = 0; i < in.rtts; i++) /* noise: one in three is acknowledged late */
		rtt[i].rtt = (float)(.003 * uniform() + (i % 3 ? 0 : .2));
	assert_int_equal(verdict_of_line(&in, &poor, &l), VERDICT_POLICER);
	/* they are lost to a link's short queue: pictures that come at once, so many a second */
	assert_int_equal(verdict_of_line(&in, &good, &l), VERDICT_NONE);
	in.flows = 1;
	assert_int_equal(verdict_of_line(&in, &poor, &l), VERDICT_NONE);
	in.flows = 4;
	in.rtts = 5;
	assert_int_equal(verdict_of_line(&in, &poor, &l), VERDICT_NONE);
}

static void too_little(void **state)
{
	struct loss_line l;
	double burst, low, high;

	loss_line(p, 0, &l);
	assert_false(line_holds(&l));
	line_burst(p, 0, 1000, &burst, &low, &high);
	assert_true(burst == 0);
	for (n = 0; n < 50; n++) /* all at once */
		p[n] = (struct fit_packet){ .t = 1, .len = LEN, .lost = n & 1 };
	loss_line(p, n, &l);
	assert_false(line_holds(&l));
	for (n = 0; n < MAX; n++) /* nothing passes */
		p[n] = (struct fit_packet){ .t = n, .len = LEN, .lost = 1 };
	loss_line(p, n, &l);
	assert_false(line_holds(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policer),
		cmocka_unit_test(chance_has_none),
		cmocka_unit_test(a_queue_is_no_policer),
		cmocka_unit_test(too_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
