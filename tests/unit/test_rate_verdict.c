// SPDX-License-Identifier: GPL-2.0-or-later
/* What a good fit means, by the round trips at a high and at a low backlog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rate.h"

static const struct fit_input one_flow = { .flows = 1, .whole = true };

/* A policer of 5 Mbit/s with 50 kB: round trips stay the same, whatever the bucket holds. */
static struct rate_fit policed(void)
{
	return (struct rate_fit){ .enough = true, .lost = 60, .passed = 2000, .runs = 20, .slices = 16, .j = .99,
				  .whole = true, .base = 600000, .rate = 625000, .burst = 50000, .slack = 1800,
				  .shown = 50000, .sure = .98, .rtts = 200, .top = 50, .x_low = .02, .x_high = .07,
				  .dx = .05, .risen = 40, .flat = .97, .low = .97 };
}

static void flat_is_a_policer(void **state)
{
	struct rate_fit f = policed();

	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_POLICER);
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_POLICER);
	/* a path that adds as much now and then, whatever the backlog */
	f.flat = .75;
	f.follow = f.chance = .2;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_POLICER);
}

/* Some wait where the backlog is high and none where it is low: a queue that a busy host empties by fits and starts. */
static void who_waits_more_often_is_queued(void **state)
{
	struct rate_fit f = policed();

	f.flat = .75;
	f.follow = .2;
	f.chance = .02;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_NONE);
}

/*
 * Ten megabit with eight kilobytes, served by a processor that had more to do: five milliseconds, of
 * which most round trips show nothing.
 */
static void a_short_wait_shows_nothing(void **state)
{
	struct rate_fit f = policed();

	f.rate = f.base = 1173034;
	f.burst = 7229;
	f.shown = 17922;
	f.x_low = .0013;
	f.x_high = .0047;
	f.dx = .0035;
	f.risen = 47;
	f.flat = .62;
	f.follow = .19;
	f.chance = .17;
	f.low = .36;
	f.high = .18;
	f.j = .992;
	f.runs = 15;
	f.slices = 12;
	assert_int_not_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_POLICER);
	assert_int_not_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_POLICER);
}

/*
 * The same queue kept full by BBR on a busy host: four of its milliseconds are always there, and the five
 * between its high and its low backlog are lost in what the host adds.
 */
static void a_short_wait_that_is_always_there(void **state)
{
	struct rate_fit f = policed();

	f.rate = f.base = 1249775;
	f.burst = 16479;
	f.shown = 16061;
	f.x_low = .0073;
	f.x_high = .0127;
	f.dx = .0053;
	f.q_low = .0044;
	f.q_mid = .0046;
	f.jitter = .0018;
	f.top = f.risen = 127;
	f.flat = .677;
	f.follow = .071;
	f.chance = .189;
	f.low = .252;
	f.high = .157;
	f.j = .926;
	f.runs = 249;
	f.lost = 300;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_NONE);
	/* a path whose round trips are as uneven, and a bucket that is worth seventy milliseconds */
	f.x_low = .02;
	f.x_high = .07;
	f.dx = .05;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_POLICER);
}

/*
 * Frames of cameras that no loss slows down, at a fast link with a queue of forty packets: a bucket for the ends that
 * are dropped can be found at any rate, and it is nearly always full.
 */
static void now_and_then_is_no_limit(void **state)
{
	struct rate_fit f = policed();

	f.rate = 1751490;
	f.base = .29 * f.rate;
	f.burst = f.shown = 66547;
	f.j = 1;
	f.runs = 102;
	f.slices = 90;
	f.lost = 900;
	f.x_low = 0;
	f.x_high = f.dx = .0014;
	f.risen = 3;
	f.chance = .5;
	f.low = 0;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_NONE);
	/* a small bucket that each round trip of a bulk flow runs into */
	f.burst = f.shown = 8251;
	f.rate = 333742;
	f.x_high = .0055;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_UNKNOWN);
}

/* A line of losses says nothing where a bucket of four times the rate parts lost from passed as well. */
static void a_line_must_be_the_rates(void **state)
{
	static struct fit_rtt rtt[32];
	const struct fit_input in = { .flows = 3, .whole = true, .rtt = rtt, .rtts = 32 };
	const struct loss_line l = { .losses = 500, .rate = 1.5e6, .agree = 1, .seconds = 60, .below = 1, .packet = 1400, .depth = 1e5 };
	struct rate_fit f = policed();

	f.j = .94;
	f.fast = .3;
	assert_int_equal(verdict_of_line(&in, &f, &l), VERDICT_POLICER);
	f.fast = .9;
	assert_int_equal(verdict_of_line(&in, &f, &l), VERDICT_NONE);
}

/*
 * A busy host's tunnel holds packets up for tens of milliseconds behind the limiter: one in six seems wrong by two
 * packets, next to nothing of 100 kB.
 */
static void held_up_behind_the_limiter(void **state)
{
	struct rate_fit f = policed(), g;

	f.rate = f.base = 187500;
	f.burst = f.shown = 100295;
	f.j = .822;
	f.loose = .952;
	f.fast = .296;
	f.lost = 199;
	f.runs = 57;
	f.slices = 47;
	f.x_low = .4;
	f.x_high = .515;
	f.q_mid = .007;
	f.top = f.risen = 116;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_POLICER);
	g = f;
	g.loose = .88; /* the best that queues and chance did */
	assert_int_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_NONE);
	g = f;
	g.burst = g.shown = 6 * g.rate; /* a thirtieth of that is right by itself */
	assert_int_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_NONE);
	g = f;
	g.fast = .75; /* any rate would do */
	assert_int_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_NONE);
	g = f;
	g.flat = .1; /* who finds a backlog waits */
	g.follow = .8;
	assert_int_not_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_POLICER);
	g = f;
	g.runs = 10;
	assert_int_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_NONE);
	g = f;
	g.top = g.risen = 10;
	assert_int_equal(verdict_of(&one_flow, &g, SIDE_BEFORE), VERDICT_NONE);
}

static void rising_is_a_queue(void **state)
{
	struct rate_fit f = policed();

	f.flat = .05;
	f.follow = .9;
	f.dq = .045;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_QUEUE);
}

/*
 * Three senders that no loss slows down at 1.5 times a link of 8 Mbit/s with a queue of fifty packets: nearly
 * all that is acknowledged acknowledges repairs, and the few round trips left all wait for what is ahead of them.
 */
static void few_that_wait_are_queued(void **state)
{
	struct rate_fit f = policed();

	f.rate = f.base = 992160;
	f.burst = 80645;
	f.j = .981;
	f.lost = 420;
	f.runs = 396;
	f.rtts = 12;
	f.top = f.risen = 4;
	f.flat = f.low = 0;
	f.follow = f.high = 1;
	f.x_low = .0025;
	f.x_high = .0276;
	f.dx = .0301;
	f.dq = .0299;
	f.q_mid = .01;
	f.corr = f.slope = 1;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_NONE);
	/* as few, of which none waits: a limit, of which more is not known */
	f.dq = f.corr = f.slope = 0;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_AFTER), VERDICT_UNKNOWN);
}

/*
 * BBR at links with room for two and a half packets: a small bucket fits what is lost. Nothing shows how high the
 * backlog is, only that it rises by milliseconds; or nearly all wait where it is high.
 */
static void a_few_packets_of_room_are_not_told(void **state)
{
	static const struct fit_input some = { .flows = 2, .whole = true };
	struct rate_fit f = policed();

	f.rate = f.base = 221710;
	f.burst = 10665;
	f.shown = 4462;
	f.x_low = .042;
	f.x_high = .0473;
	f.dx = .0053;
	f.top = f.risen = 32;
	f.flat = .72;
	f.follow = .09;
	f.chance = .05;
	f.low = .25;
	f.q_low = f.q_mid = .0124;
	f.sure = .76;
	assert_int_not_equal(verdict_of(&some, &f, SIDE_AFTER), VERDICT_POLICER);
	f = policed();
	f.rate = f.base = 259221;
	f.lost = 751;
	f.passed = 2570;
	f.runs = 498;
	f.burst = 9927;
	f.shown = 16903;
	f.x_low = .0163;
	f.x_high = .0371;
	f.dx = .021;
	f.top = f.risen = 303;
	f.flat = .81;
	f.follow = .1;
	f.chance = .14;
	f.low = .03;
	f.q_low = .0069;
	f.q_mid = .0091;
	assert_int_not_equal(verdict_of(&some, &f, SIDE_AFTER), VERDICT_POLICER);
	f.low = .6; /* most show nothing of it */
	assert_int_equal(verdict_of(&some, &f, SIDE_AFTER), VERDICT_POLICER);
}

/*
 * Three flows at 130 kbit/s, the bucket nearly empty all the time: few packets are under way, and what stands over
 * the least round trip is the receivers' delayed acknowledgments (RFC 1122, 4.2.3.2). A queue would add a second.
 */
static void delayed_acknowledgments_are_no_queue(void **state)
{
	static const struct fit_input three = { .flows = 3, .whole = true };
	struct rate_fit f = policed();

	f.lost = 60;
	f.passed = 77;
	f.runs = 17;
	f.rate = 16370;
	f.base = 16000;
	f.burst = 15372;
	f.shown = 14972;
	f.x_low = .78;
	f.x_high = .934;
	f.dx = .1587;
	f.dq = -.256;
	f.slope = -1.77;
	f.corr = -.28;
	f.q_low = .256;
	f.q_mid = .246;
	f.jitter = .012;
	f.top = f.risen = 28;
	f.follow = f.high = .07;
	f.chance = .25;
	f.low = .82;
	f.flat = .93;
	assert_int_equal(verdict_of(&three, &f, SIDE_BEFORE), VERDICT_POLICER);
	f.q_mid = .6; /* nearly all of the least backlog: a queue that is never empty */
	assert_int_not_equal(verdict_of(&three, &f, SIDE_BEFORE), VERDICT_POLICER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat_is_a_policer),
		cmocka_unit_test(who_waits_more_often_is_queued),
		cmocka_unit_test(a_short_wait_shows_nothing),
		cmocka_unit_test(a_short_wait_that_is_always_there),
		cmocka_unit_test(now_and_then_is_no_limit),
		cmocka_unit_test(a_line_must_be_the_rates),
		cmocka_unit_test(held_up_behind_the_limiter),
		cmocka_unit_test(rising_is_a_queue),
		cmocka_unit_test(few_that_wait_are_queued),
		cmocka_unit_test(delayed_acknowledgments_are_no_queue),
		cmocka_unit_test(a_few_packets_of_room_are_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
