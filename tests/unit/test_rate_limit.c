// SPDX-License-Identifier: GPL-2.0-or-later
/* Whose pace a flow keeps to: an application that gives out a little at a time, or what lets no more through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rate.h"

#define RTT_US 11000
#define MSS    1448
#define MS     1000000ull

static struct series series;
static struct path path;
static uint64_t now;

static void begin(void)
{
	series = (struct series){ .acked_known = true, .end_known = true };
	path = (struct path){ .s = &series, .proto = IPPROTO_TCP };
	now = 1000 * MS;
}

static void data(unsigned packets)
{
	for (unsigned i = 0; i < packets; i++) {
		struct weir_rec r = { .time_ns = now, .proto = IPPROTO_TCP, .seq = series.end, .payload_len = MSS,
				      .segs = 1, .label = WEIR_IN_ORDER };

		limits_packet(&path, &r, RTT_US);
		series.end += MSS;
	}
}

static void acknowledged(unsigned packets)
{
	struct weir_rec r = { .time_ns = now, .proto = IPPROTO_TCP, .tcp_flags = 0x10, .win = 60000 };

	series.acked += packets * MSS;
	limits_reverse(&path, &r, 0);
}

/* Three packets each 20 ms, acknowledged at once. */
static void an_application_keeps_its_pace(void **state)
{
	begin();
	for (unsigned i = 0; i < 50; i++) {
		data(3);
		now += MS;
		acknowledged(3);
		assert_int_equal(limits_paced(&path), i >= 8);
		now += 19 * MS;
	}
}

/* What is acknowledged is followed at once, a round trip later. */
static void a_window_is_no_pace(void **state)
{
	begin();
	for (unsigned i = 0; i < 200; i++) {
		data(2);
		now += MS;
		acknowledged(2);
		now += RTT_US * 1000ull;
	}
	assert_false(limits_paced(&path));
	/* A machine that has more to do adds to most round trips. */
	begin();
	for (unsigned i = 0; i < 200; i++) {
		data(3);
		now += MS;
		acknowledged(3);
		now += RTT_US * 1000ull + (i % 5 ? 7 * MS : 0);
	}
	assert_false(limits_paced(&path));
	/* Something is outstanding all the time. */
	for (unsigned i = 0; i < 200; i++) {
		data(2);
		now += 20 * MS;
		acknowledged(1);
		series.end -= MSS;
		data(1);
	}
	assert_false(limits_paced(&path));
}

/* A policer takes all that was under way: what comes after a timeout (RFC 6298: 200 ms and more) was sent before. */
static void what_is_lost_before_us_is_no_pace(void **state)
{
	begin();
	for (unsigned i = 0; i < 50; i++) {
		data(2);
		now += MS;
		acknowledged(2);
		now += 230 * MS;
	}
	assert_false(limits_paced(&path));
}

/* Pages: hundreds of packets, and a pause. */
static void pauses_between_much_are_no_pace(void **state)
{
	begin();
	for (unsigned i = 0; i < 50; i++) {
		data(200);
		now += MS;
		acknowledged(200);
		now += 100 * MS;
	}
	assert_false(limits_paced(&path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_application_keeps_its_pace),
		cmocka_unit_test(a_window_is_no_pace),
		cmocka_unit_test(what_is_lost_before_us_is_no_pace),
		cmocka_unit_test(pauses_between_much_are_no_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
