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

static void rising_is_a_queue(void **state)
{
	struct rate_fit f = policed();

	f.flat = .05;
	f.follow = .9;
	f.dq = .045;
	assert_int_equal(verdict_of(&one_flow, &f, SIDE_BEFORE), VERDICT_QUEUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat_is_a_policer),
		cmocka_unit_test(who_waits_more_often_is_queued),
		cmocka_unit_test(a_short_wait_shows_nothing),
		cmocka_unit_test(rising_is_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
