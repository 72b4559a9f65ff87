// SPDX-License-Identifier: GPL-2.0-or-later
/* When a flow leaves the table, and the clock that stamps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "sweep.h"
#include "wallclock.h"

#define S 1000000000ull

static struct weir_flow flow(uint8_t flags_a, uint8_t flags_b, uint32_t pkts_a, uint32_t pkts_b,
			     uint64_t last_ns)
{
	struct weir_flow f = { .id = 1, .handshake_us = 100 };

	f.dir[0].flags = flags_a;
	f.dir[1].flags = flags_b;
	f.dir[0].packets = pkts_a;
	f.dir[1].packets = pkts_b;
	f.dir[0].last_ns = f.dir[1].last_ns = last_ns;
	return f;
}

static void idle_flows_end(void **state)
{
	struct weir_flow f = flow(WEIR_DIR_SYN, WEIR_DIR_SYN, 10, 10, 100 * S);

	assert_int_equal(sweep_verdict(&f, IPPROTO_TCP, 400 * S, SWEEP_CALM), END_OPEN);
	assert_int_equal(sweep_verdict(&f, IPPROTO_TCP, 401 * S, SWEEP_CALM), END_TIMEOUT);
	assert_int_equal(sweep_verdict(&f, IPPROTO_UDP, 220 * S, SWEEP_CALM), END_OPEN);
	assert_int_equal(sweep_verdict(&f, IPPROTO_UDP, 221 * S, SWEEP_CALM), END_TIMEOUT);
	/* A packet newer than the clock we read before is no idle time at all. */
	assert_int_equal(sweep_verdict(&f, IPPROTO_TCP, 99 * S, SWEEP_CALM), END_OPEN);
}

static void closed_flows_end_after_five_seconds(void **state)
{
	struct weir_flow fin = flow(WEIR_DIR_FIN, WEIR_DIR_FIN, 10, 10, 100 * S);
	struct weir_flow half = flow(WEIR_DIR_FIN, 0, 10, 10, 100 * S);
	struct weir_flow rst = flow(0, WEIR_DIR_RST, 10, 10, 100 * S);

	assert_int_equal(sweep_verdict(&fin, IPPROTO_TCP, 105 * S, SWEEP_CALM), END_OPEN);
	assert_int_equal(sweep_verdict(&fin, IPPROTO_TCP, 106 * S, SWEEP_CALM), END_FIN);
	assert_int_equal(sweep_verdict(&rst, IPPROTO_TCP, 106 * S, SWEEP_CALM), END_RST);
	assert_int_equal(sweep_verdict(&half, IPPROTO_TCP, 106 * S, SWEEP_CALM), END_OPEN);
}

static void a_flood_goes_first(void **state)
{
	struct weir_flow live = flow(WEIR_DIR_SYN, WEIR_DIR_SYN, 100, 100, 100 * S);
	struct weir_flow syn = flow(WEIR_DIR_SYN, 0, 1, 0, 100 * S);
	struct weir_flow answered = flow(WEIR_DIR_SYN, WEIR_DIR_SYN, 1, 1, 100 * S);
	struct weir_flow early = flow(0, 0, 50, 50, 100 * S);

	syn.handshake_us = answered.handshake_us = early.handshake_us = 0;
	early.dir[0].data_packets = 50;
	assert_int_equal(sweep_verdict(&syn, IPPROTO_TCP, 102 * S, SWEEP_CALM), END_OPEN);
	assert_int_equal(sweep_verdict(&syn, IPPROTO_TCP, 100 * S + S / 2, SWEEP_TIGHT), END_OPEN);
	assert_int_equal(sweep_verdict(&syn, IPPROTO_TCP, 102 * S, SWEEP_TIGHT), END_EVICTED);
	assert_int_equal(sweep_verdict(&syn, IPPROTO_TCP, 100 * S + 1, SWEEP_FLOODED), END_EVICTED);
	assert_int_equal(sweep_verdict(&answered, IPPROTO_TCP, 102 * S, SWEEP_TIGHT), END_EVICTED);
	assert_int_equal(sweep_verdict(&live, IPPROTO_TCP, 109 * S, SWEEP_CHOKED), END_OPEN);
	assert_int_equal(sweep_verdict(&early, IPPROTO_TCP, 109 * S, SWEEP_CHOKED), END_OPEN);
	assert_int_equal(sweep_verdict(&live, IPPROTO_TCP, 111 * S, SWEEP_CHOKED), END_EVICTED);
}

static void pressure_grows_with_the_table(void **state)
{
	assert_int_equal(sweep_pressure(0, 65536), SWEEP_CALM);
	assert_int_equal(sweep_pressure(49152, 65536), SWEEP_CALM);
	assert_int_equal(sweep_pressure(49153, 65536), SWEEP_TIGHT);
	assert_int_equal(sweep_pressure(57345, 65536), SWEEP_FLOODED);
	assert_int_equal(sweep_pressure(63489, 65536), SWEEP_CHOKED);
	assert_int_equal(sweep_pressure(70000, 65536), SWEEP_CHOKED);
}

static void large_tables_are_swept_less_often(void **state)
{
	assert_int_equal(sweep_interval_ns(S / 1000, SWEEP_CALM), S);
	assert_int_equal(sweep_interval_ns(S / 5, SWEEP_CALM), 2 * S);
	assert_int_equal(sweep_interval_ns(3 * S, SWEEP_CALM), 4 * S);
	assert_int_equal(sweep_interval_ns(S / 1000, SWEEP_TIGHT), S / 10);
	assert_int_equal(sweep_interval_ns(S / 5, SWEEP_FLOODED), 2 * S / 5);
	assert_int_equal(sweep_interval_ns(3 * S, SWEEP_CHOKED), S);
}

static void the_time_of_day_is_followed_slowly(void **state)
{
	struct wallclock w;

	wallclock_start(&w, 10 * S, 1000 * S);
	assert_int_equal(wallclock_ns(&w, 11 * S), 1001 * S);
	/* 100 µs ahead after a second: within 500 ppm, taken at once. */
	assert_false(wallclock_read(&w, 11 * S, 1001 * S + 100000));
	assert_int_equal(wallclock_ns(&w, 11 * S), 1001 * S + 100000);
	/* An hour's step moves no packet by more than 500 µs in a second, and is told once. */
	assert_true(wallclock_read(&w, 12 * S, 4602 * S));
	assert_int_equal(wallclock_ns(&w, 12 * S), 1002 * S + 100000 + 500000);
	assert_false(wallclock_read(&w, 13 * S, 4603 * S));
	/* Backwards: never by more than the time that passed. */
	assert_true(wallclock_read(&w, 14 * S, 1 * S));
	assert_true(wallclock_ns(&w, 14 * S) > wallclock_ns(&w, 13 * S));
	/* The same moment again changes nothing. */
	assert_false(wallclock_read(&w, 14 * S, 5 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_flows_end),
		cmocka_unit_test(closed_flows_end_after_five_seconds),
		cmocka_unit_test(a_flood_goes_first),
		cmocka_unit_test(pressure_grows_with_the_table),
		cmocka_unit_test(large_tables_are_swept_less_often),
		cmocka_unit_test(the_time_of_day_is_followed_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
