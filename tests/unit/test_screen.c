// SPDX-License-Identifier: GPL-2.0-or-later
/* The screen's figures; what it looks like is tests/screen's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_model.h"
#include "screen_priv.h"

#define SECOND 1000000000ull

static struct model m;

static int setup(void **state)
{
	struct screen *s = calloc(1, sizeof(*s));

	memset(&m, 0, sizeof(m));
	fake_type(&m, "unknown");
	fake_type(&m, "tls");
	for (unsigned i = 0; i < 4; i++)
		fake_flow(&m, 10 + i, "192.168.1.2", 1000 + i, "203.0.113.7", 443, IPPROTO_TCP)->type = 1;
	s->m = &m;
	s->window = 1; /* 10 s */
	s->sel_type = s->only_type = -1;
	s->filter.valid = true;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	data_free(*state);
	free(*state);
	return 0;
}

/* A second in which each flow i carries (i + 1) * bytes down. */
static void second(struct screen *s, uint64_t bytes)
{
	for (unsigned i = 0; i < m.nflows; i++) {
		m.flow[i].count[TO_CLIENT].bytes += (i + 1) * bytes;
		m.type[1].bytes[TO_CLIENT] += (i + 1) * bytes;
		m.type[1].packets[TO_CLIENT]++;
	}
	m.now += SECOND;
	data_stats(s, &m, m.now, 1);
}

static void rates_are_means_of_the_window(void **state)
{
	struct screen *s = *state;

	for (int i = 0; i < 10; i++)
		second(s, 1000);
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), 80000, 1);
	for (int i = 0; i < 5; i++)
		second(s, 3000);
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), 160000, 1); /* 10 s: half and half */
	s->window = 0;
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), 240000, 1); /* 2 s */
	assert_float_equal(s->now_bits[TO_CLIENT], 240000, 1);
	assert_float_equal(data_bits(s, &s->type[0], TO_CLIENT), 0, 0);
}

static void a_pause_spreads_its_traffic_over_its_time(void **state)
{
	struct screen *s = *state;

	for (int i = 0; i < 3; i++)
		second(s, 1000);
	s->paused = true;
	for (int i = 0; i < 4; i++)
		second(s, 2000);
	assert_int_equal(s->time_ns, 3 * SECOND); /* nothing moves */
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), 80000, 1);
	s->paused = false;
	second(s, 2000);
	assert_int_equal(s->intervals, 8);
	s->window = 0;
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), 160000, 1);
	s->window = 1;
	assert_float_equal(data_bits(s, &s->type[1], TO_CLIENT), (3 * 80000 + 5 * 160000) / 8.0, 1);
}

static void too_few_packets_give_no_loss(void **state)
{
	struct screen *s = *state;

	m.type[1].tcp_data_packets[TO_CLIENT] = 29;
	m.type[1].lost[TO_CLIENT] = 5;
	second(s, 1000);
	assert_true(isnan(data_loss(s, &s->type[1], TO_CLIENT)));
	m.type[1].tcp_data_packets[TO_CLIENT] = 95;
	second(s, 1000);
	assert_float_equal(data_loss(s, &s->type[1], TO_CLIENT), 0.05, 1e-6);
	m.flow[0].count[TO_CLIENT].data_packets = 29;
	assert_true(isnan(flow_loss(&m.flow[0], TO_CLIENT)));
	m.flow[0].count[TO_CLIENT].data_packets = 90;
	m.flow[0].count[TO_CLIENT].lost_before = 6;
	m.flow[0].count[TO_CLIENT].lost_after = 4;
	assert_float_equal(flow_loss(&m.flow[0], TO_CLIENT), 0.1, 1e-9);
	m.flow[0].proto = IPPROTO_UDP;
	assert_true(isnan(flow_loss(&m.flow[0], TO_CLIENT)));
}

static void flows_in_order_of_their_rate(void **state)
{
	struct screen *s = *state;

	second(s, 1000);
	second(s, 1000);
	data_flows(s);
	assert_int_equal(s->nflow_rows, 4);
	assert_int_equal(s->flow[0].id, 13);
	assert_float_equal(s->flow[0].bits[TO_CLIENT], 32000, 1);
	assert_int_equal(s->flow[3].id, 10);
	s->reverse[PANEL_FLOWS] = true;
	data_flows(s);
	assert_int_equal(s->flow[0].id, 10);
	s->sort[PANEL_FLOWS] = FLOWS_BY_LOSS; /* what was not measured comes last, or first when reversed */
	s->reverse[PANEL_FLOWS] = false;
	m.flow[2].count[TO_CLIENT].data_packets = 100;
	data_flows(s);
	assert_int_equal(s->flow[0].id, 12);
}

static void a_frozen_row_outlives_its_flow(void **state)
{
	struct screen *s = *state;

	second(s, 1000);
	second(s, 1000);
	data_flows(s);
	s->frozen = true;
	m.nflows = 3; /* 13 has ended */
	second(s, 1000);
	data_flows(s);
	assert_int_equal(s->nflow_rows, 4);
	assert_int_equal(s->flow[0].id, 13);
	assert_true(s->flow[0].gone);
	assert_false(s->flow[1].gone);
	s->frozen = false;
	data_flows(s);
	assert_int_equal(s->nflow_rows, 3);
}

static void the_first_look_shows_no_rate(void **state)
{
	struct screen *s = *state;

	m.flow[0].count[TO_CLIENT].bytes = 1000000000; /* of before we looked */
	second(s, 0);
	data_flows(s);
	for (unsigned i = 0; i < s->nflow_rows; i++)
		assert_float_equal(s->flow[i].bits[TO_CLIENT], 0, 0);
}

static void types_by_filter_and_order(void **state)
{
	struct screen *s = *state;

	m.type[0].packets[TO_CLIENT] = 1;
	second(s, 1000);
	data_types(s);
	assert_int_equal(s->ntype_rows, 2);
	assert_int_equal(s->type_order[0], 1);
	s->sort[PANEL_TYPES] = TYPES_BY_NAME;
	s->reverse[PANEL_TYPES] = true;
	data_types(s);
	assert_int_equal(s->type_order[0], 0);
	strcpy(s->filter.text, "tls");
	filter_check(&s->filter);
	data_types(s);
	assert_int_equal(s->ntype_rows, 1);
	assert_int_equal(s->type_order[0], 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(rates_are_means_of_the_window),
		T(a_pause_spreads_its_traffic_over_its_time),
		T(too_few_packets_give_no_loss),
		T(flows_in_order_of_their_rate),
		T(a_frozen_row_outlives_its_flow),
		T(the_first_look_shows_no_rate),
		T(types_by_filter_and_order),
	};

	return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
