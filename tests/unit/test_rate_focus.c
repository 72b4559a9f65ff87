// SPDX-License-Identifier: GPL-2.0-or-later
/* Which flows the engine is asked to show packet by packet, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"
#include "pipeline.h"
#include "rate.h"

static const uint64_t epoch = 1700000000000000000ull;

/* n packets of 1448 bytes from the server, a millisecond apart. */
static void bulk(struct pipeline *p, unsigned flow, unsigned n, uint64_t from_ns)
{
	for (unsigned i = 0; i < n; i++) {
		struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .tcp_flags = 16,
				      .flags = WEIR_REC_IPV4 | (i ? 0 : WEIR_REC_NEW), .dir = 1,
				      .flow_id = 1000 + flow, .sport = 443, .dport = (uint16_t)(20000 + flow),
				      .time_ns = from_ns + i * 1000000ull, .segs = 1, .seq = i * 1448,
				      .own_end = i * 1448, .payload_len = 1448, .l2_len = 1514,
				      .ip_len = 1500, .ttl = 60, .own_pkts = (uint16_t)i };

		r.saddr[2] = r.daddr[2] = htonl(0xffff);
		r.saddr[3] = htonl(0xc0000201);
		r.daddr[3] = htonl(0x0a000002);
		pipeline_record(p, &r, NULL);
	}
}

static unsigned asked(struct pipeline *p)
{
	struct weir_ctl c[16];
	unsigned n, focus = 0;

	while ((n = pipeline_ctl(p, c, 16)))
		for (unsigned i = 0; i < n; i++)
			focus += c[i].op == WEIR_CTL_FOCUS;
	return focus;
}

static struct pipeline *begin(bool live)
{
	struct pipeline_config cfg = { .live = live, .max_flows = 4096 };
	struct pipeline *p = pipeline_new(&cfg);

	assert_non_null(p);
	return p;
}

static void end(struct pipeline *p)
{
	struct totals t = { .records = 0 };

	pipeline_finish(p, &t);
	pipeline_free(p);
}

static void bulk_is_asked_for_once(void **state)
{
	struct pipeline *p = begin(true);

	bulk(p, 1, 3, epoch);
	assert_int_equal(asked(p), 0);
	bulk(p, 2, 12, epoch + 100000000);
	assert_int_equal(asked(p), 1);
	end(p);
}

static void captures_have_it_all(void **state)
{
	struct pipeline *p = begin(false);

	bulk(p, 1, 12, epoch);
	assert_int_equal(asked(p), 0);
	end(p);
}

/* A flood of flows does not buy a flood of records. */
static void budget_holds(void **state)
{
	struct pipeline *p = begin(true);
	unsigned all = 0, n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		bulk(p, i, 12, epoch + i * 5000000ull);
		pipeline_tick(p, epoch + i * 5000000ull + 12000000);
		n = asked(p);
		all += n;
	}
	/* 10 s of packet time. */
	assert_true(all * FOCUS_RECORDS <= FOCUS_MOST + 10 * FOCUS_PER_S);
	assert_true(all >= 10);
	end(p);
}

static void no_focus(void *arg, const struct flow *f)
{
}

/*
 * Live, a flow that nobody looks at closely gives three records of its 200 packets: the engine's counts
 * tell what it was, still going on or over, and make it comparable. A capture's records are all there is.
 */
static void controls_are_counted_by_the_engine(void **state)
{
	static struct rate r; /* too large for the stack */
	struct flow going = { .count[TO_CLIENT] = { .packets = 200, .bytes = 300000 } };
	struct path p[3] = { { .flow = NULL } };
	struct series s[3] = { { .packets = 100, .bytes = 150000, .lost[SIDE_BEFORE] = 25 },
			       { .packets = 3, .bytes = 4500 }, { .packets = 3, .bytes = 4500 } };
	struct limiter l = { .kind = GROUP_TYPE, .side = SIDE_BEFORE, .verdict = VERDICT_POLICER,
			     .fit.rate = 40000, .start_ns = 1, .last_ns = 10000000000 };

	r = (struct rate){ .env.model = model_new(10, NULL, 0), .paths = &p[0] };
	for (unsigned i = 0; i < 3; i++) {
		p[i].s = &s[i];
		p[i].next = i < 2 ? &p[i + 1] : NULL;
		p[i].way = TO_CLIENT;
		p[i].type = i ? 1 : 0;
		p[i].start_ns = p[i].lim.first_ns = 1000000000;
		p[i].last_ns = p[i].lim.last_ns = 3000000000;
	}
	p[1].flow = &going;
	p[2].count = going.count[TO_CLIENT];
	l.like = p[0];
	type_compare(&r, &l);
	assert_int_equal(l.control_flows, 0);
	assert_false(type_only(&l));
	r.env.focus = no_focus;
	type_compare(&r, &l);
	assert_int_equal(l.control_flows, 2);
	assert_int_equal(l.control_packets, 400);
	assert_true(l.control_rate == 150000);
	assert_true(type_only(&l));
	/* What they lost as well speaks against one type. */
	p[2].count.lost_before = going.count[TO_CLIENT].lost_before = 50;
	type_compare(&r, &l);
	assert_false(type_only(&l));
	model_free(r.env.model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bulk_is_asked_for_once),
		cmocka_unit_test(captures_have_it_all),
		cmocka_unit_test(budget_holds),
		cmocka_unit_test(controls_are_counted_by_the_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
