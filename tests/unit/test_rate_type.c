// SPDX-License-Identifier: GPL-2.0-or-later
/* One type against the others: when a limit is one type's, and what says that it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#include "rate.h"

/* What sent 5 Mbit/s through a queue of its own while others did not wait. */
static struct limiter shaped(void)
{
	return (struct limiter){ .kind = GROUP_TYPE, .side = SIDE_AFTER, .verdict = VERDICT_SHAPER,
				 .shape = { .rate = 625000 }, .control_flows = 4, .control_packets = 2000,
				 .control_best = 2.5e6, .own_rtt = .06, .control_rtt = .002,
				 .own_loss = .01, .control_loss = 0 };
}

static void others_must_go_free(void **state)
{
	struct limiter l = shaped();

	assert_true(type_only(&l));
	l.control_best = 1.2e6; /* they never went much faster */
	assert_false(type_only(&l));
	l = shaped();
	l.control_rtt = .03; /* they wait as well */
	assert_false(type_only(&l));
	l = shaped();
	l.control_flows = 1;
	assert_false(type_only(&l));
}

/*
 * BBR and CUBIC at one full link: what sends little waits little, having come when the queue was short, and
 * loses as much as what fills it.
 */
static void who_loses_as_much_shares_the_queue(void **state)
{
	struct limiter l = shaped();

	l.own_loss = .143;
	l.control_loss = .182;
	l.control_rtt = .0168;
	assert_false(type_only(&l));
	l.control_loss = .01; /* a link's own */
	assert_true(type_only(&l));
	l.own_loss = 0; /* a queue that never is full */
	assert_true(type_only(&l));
}

/* A short queue that several flows overflow: one of them may fit a bucket of its own by chance. */
static void others_in_the_same_queue(void **state)
{
	struct limiter l = { .kind = GROUP_PATH, .side = SIDE_AFTER, .verdict = VERDICT_POLICER,
			     .fit = { .rate = 75167, .burst = 6146, .dx = .054 }, .others_packets = 4000,
			     .own_loss = .181, .others_loss = .174, .others_rtt = .046 };

	assert_true(others_share(&l));
	l.others_rtt = .004; /* they lose, and wait for nothing: each has its policer */
	assert_false(others_share(&l));
	l.others_rtt = .046;
	l.others_loss = .012; /* a queue elsewhere */
	assert_false(others_share(&l));
	l.others_loss = .174;
	l.others_packets = 40;
	assert_false(others_share(&l));
	l.others_packets = 4000;
	l.others_rtt = NAN; /* not known */
	assert_false(others_share(&l));
	l.others_rtt = .046;
	l.fit.dx = NAN; /* told by the line alone: nothing is known of a queue's delay */
	assert_false(others_share(&l));
}

/* One of three flows at a full link: its share is a line while the others keep theirs. */
static void others_behind_the_same_queue(void **state)
{
	struct limiter l = shaped();

	l.kind = GROUP_PATH;
	l.shape.rtt_queued = .47;
	l.others_packets = 4000;
	l.others_rtt = .44;
	assert_true(others_queue(&l));
	l.others_rtt = .01; /* they wait for nothing: it is its own queue */
	assert_false(others_queue(&l));
	l.others_rtt = NAN;
	assert_false(others_queue(&l));
	l.others_rtt = .44;
	l.others_packets = 40;
	assert_false(others_queue(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_must_go_free),
		cmocka_unit_test(who_loses_as_much_shares_the_queue),
		cmocka_unit_test(others_in_the_same_queue),
		cmocka_unit_test(others_behind_the_same_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
