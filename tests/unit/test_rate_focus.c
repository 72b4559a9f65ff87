// SPDX-License-Identifier: GPL-2.0-or-later
/* Which flows the engine is asked to show packet by packet, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bulk_is_asked_for_once),
		cmocka_unit_test(captures_have_it_all),
		cmocka_unit_test(budget_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
