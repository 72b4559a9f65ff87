// SPDX-License-Identifier: GPL-2.0-or-later
/* When a group that was looked into in vain is looked into again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rate.h"

#define GROWTH 1.6

static struct rate rate; /* too large for the stack */

static bool tried(unsigned type, unsigned lost)
{
	struct path p = { .type = type };

	return rate_tried(&rate, &p, GROUP_TYPE, SIDE_BEFORE, lost, GROWTH);
}

static void more_losses_are_worth_a_look(void **state)
{
	rate = (struct rate){ .tries = 0 };
	assert_false(tried(1, 100));
	assert_true(tried(1, 100));
	assert_true(tried(1, 159));
	assert_false(tried(1, 160));
	assert_true(tried(1, 255));
	assert_false(tried(2, 20));
	assert_true(tried(2, 20));
}

/* Switched on and off: the flows of the first time are gone, and with them what they lost. */
static void a_second_time_counts_from_its_own_start(void **state)
{
	rate = (struct rate){ .tries = 0 };
	assert_false(tried(1, 400));
	assert_true(tried(1, 300));
	assert_true(tried(1, 30));
	assert_true(tried(1, 47));
	assert_false(tried(1, 48));
	assert_true(tried(1, 70));
}

static void the_oldest_is_forgotten(void **state)
{
	rate = (struct rate){ .tries = 0 };
	for (unsigned i = 0; i < TRIED_MAX; i++)
		assert_false(tried(i, 50));
	assert_true(tried(0, 50));
	assert_false(tried(TRIED_MAX, 50));
	assert_true(tried(1, 50));
	assert_false(tried(0, 50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_losses_are_worth_a_look),
		cmocka_unit_test(a_second_time_counts_from_its_own_start),
		cmocka_unit_test(the_oldest_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
