// SPDX-License-Identifier: GPL-2.0-or-later
/* Flows that nobody looks at: parked in little memory, whole again when something happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"
#include "parked.h"
#include "pipeline.h"

#define START 1700000000000000000ull
#define MS    1000000ull
#define MANY  40000u /* more than are followed */

static struct in6_addr ip4(uint32_t host)
{
	struct in6_addr a = { 0 };

	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	a.s6_addr32[3] = htonl(host);
	return a;
}

static struct flow a_flow(uint64_t id)
{
	struct flow f = { .id = id, .start_ns = START, .last_ns = START + 5 * MS, .ifindex = 7, .proto = IPPROTO_TCP };

	f.client.ip = ip4(0x0a000001);
	f.server.ip = ip4(0xc0000201);
	f.client.port = 50000;
	f.server.port = 443;
	f.client_dir = 1;
	f.engine_client = WEIR_CLIENT_HI;
	f.complete = f.typed = true;
	f.type = 3;
	f.app = 4;
	f.l7 = WEIR_L7_TLS;
	f.source = SOURCE_COUNT - 1;
	strcpy(f.history, "ShADad");
	f.said = 0x4a0049;
	f.count[TO_SERVER] = (struct flow_counts){ .packets = 6, .bytes = 1ull << 40, .data_packets = 2 };
	f.count[TO_CLIENT] = (struct flow_counts){ .packets = 5, .bytes = 77, .data_packets = 1 };
	return f;
}

static void same(const struct flow *a, const struct flow *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->start_ns, b->start_ns);
	assert_int_equal(a->last_ns, b->last_ns);
	assert_memory_equal(&a->client.ip, &b->client.ip, 16);
	assert_memory_equal(&a->server.ip, &b->server.ip, 16);
	assert_int_equal(a->client.port, b->client.port);
	assert_int_equal(a->server.port, b->server.port);
	assert_memory_equal(a->count, b->count, sizeof(a->count));
	assert_int_equal(a->ifindex, b->ifindex);
	assert_int_equal(a->icmp, b->icmp);
	assert_int_equal(a->own_drops, b->own_drops);
	assert_int_equal(a->proto, b->proto);
	assert_int_equal(a->client_dir, b->client_dir);
	assert_int_equal(a->engine_client, b->engine_client);
	assert_int_equal(a->l7, b->l7);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->app, b->app);
	assert_int_equal(a->source, b->source);
	assert_int_equal(a->limit, b->limit);
	assert_int_equal(a->complete, b->complete);
	assert_int_equal(a->typed, b->typed);
	assert_int_equal(a->fragile, b->fragile);
	assert_string_equal(a->history, b->history);
	assert_int_equal(a->said, b->said);
}

/* In and out again: all of it is there. */
static void round_trip(struct flow *f)
{
	struct parking *p = parking_new();
	struct flow was = *f, back;
	double p50 = flow_rtt_us(f, BOTH_SIDES, .5), low = flow_rtt_us(f, TO_SERVER, 0);
	uint32_t samples = flow_rtt_samples(f, BOTH_SIDES);
	char *hint = f->hint ? strdup(f->hint) : NULL;

	assert_true(parking_put(p, f));
	assert_null(f->hint);
	assert_null(f->rtt);
	assert_int_equal(parking_count(p), 1);
	assert_null(parking_find(p, was.id + 1));
	parking_take(p, parking_find(p, was.id), &back);
	assert_int_equal(parking_count(p), 0);
	assert_null(parking_find(p, was.id));
	same(&was, &back);
	if (hint)
		assert_string_equal(back.hint, hint);
	else
		assert_null(back.hint);
	assert_int_equal(flow_rtt_samples(&back, BOTH_SIDES), samples);
	assert_true(flow_rtt_us(&back, BOTH_SIDES, .5) == p50);
	assert_true(flow_rtt_us(&back, TO_SERVER, 0) == low);
	free(back.hint);
	flow_rtt_free(&back);
	free(hint);
	parking_free(p);
}

static void test_round_trip(void **state)
{
	struct flow f = a_flow(1);

	round_trip(&f);
	f = a_flow(2);
	f.hint = strdup("example.org");
	round_trip(&f);
	f = a_flow(3);
	strcpy(f.history, "ShADadTtGgWwFfRrH"); /* longer than fits in place */
	f.said = 0x1fe01ff;
	round_trip(&f);
	f = a_flow(4);
	inet_pton(AF_INET6, "2001:db8::1", &f.client.ip);
	inet_pton(AF_INET6, "2001:db8:ffff::2", &f.server.ip);
	for (unsigned i = 1; i < 4000; i++)
		flow_rtt_add(&f, i & 1, i * 37);
	f.fragile = true;
	round_trip(&f);
	f = a_flow(5);
	f.own_drops = 9;
	f.icmp = 0x30d;
	f.limit = LIMIT_POLICER;
	f.count[TO_CLIENT].retx = 3;
	f.count[TO_CLIENT].lost_after = 2;
	f.count[TO_SERVER].zero_windows = 1;
	f.history[0] = 0;
	f.said = 0;
	f.hint = strdup("");
	flow_rtt_add(&f, 0, 1);
	round_trip(&f);
}

static void test_holds_no_more_than_fits(void **state)
{
	struct parking *p = parking_new();
	struct flow f = a_flow(1);

	f.count[TO_SERVER].bytes = 1ull << 48;
	assert_false(parking_put(p, &f));
	f = a_flow(0);
	assert_false(parking_put(p, &f));
	assert_int_equal(parking_count(p), 0);
	parking_free(p);
}

/* Tens of thousands come and go in turn; each is found, and in the end the memory has gone back. */
static void test_many(void **state)
{
	struct parking *p = parking_new();
	uint32_t again = 0;
	struct flow f;

	for (uint64_t id = 1; id <= MANY; id++) {
		f = a_flow(id * 0x9e3779b97f4a7c15ull);
		f.count[0].packets = id;
		if (id % 3 == 0)
			inet_pton(AF_INET6, "2001:db8::1", &f.client.ip);
		if (id % 5 == 0)
			f.hint = strdup("name");
		assert_true(parking_put(p, &f));
	}
	assert_int_equal(parking_count(p), MANY);
	for (uint64_t round = 0; round < 7; round++)
		for (uint64_t id = 1; id <= MANY; id++) {
			struct parked *k;

			if (id % 7 != round)
				continue;
			k = parking_find(p, id * 0x9e3779b97f4a7c15ull);
			assert_non_null(k);
			parking_take(p, k, &f);
			assert_int_equal(f.count[0].packets, id);
			assert_int_equal(IN6_IS_ADDR_V4MAPPED(&f.client.ip), id % 3 != 0);
			free(f.hint);
			/* Half of them come once more. */
			f.hint = NULL;
			if (round < 3) {
				assert_true(parking_put(p, &f));
				again++;
			}
		}
	assert_int_equal(parking_count(p), again);
	while (parking_count(p)) {
		parking_take(p, parking_stale(p), &f);
		assert_null(parking_find(p, f.id));
	}
	assert_null(parking_stale(p));
	parking_free(p);
}

static void test_stale_is_the_stillest(void **state)
{
	struct parking *p = parking_new();
	struct flow f;

	for (uint64_t id = 1; id <= 20; id++) {
		f = a_flow(id);
		f.last_ns = START + (id == 13 ? 1 : 1000 + id) * MS;
		assert_true(parking_put(p, &f));
	}
	parking_take(p, parking_stale(p), &f);
	assert_int_equal(f.id, 13);
	parking_free(p);
}

static struct weir_flow counters(uint64_t id, uint32_t packets, uint64_t bytes)
{
	struct weir_flow c = { .id = id, .start_ns = START };

	c.dir[0].packets = packets;
	c.dir[0].bytes = bytes;
	c.dir[0].last_ns = START + 9 * MS;
	return c;
}

static void test_counts_in_place(void **state)
{
	struct parking *p = parking_new();
	struct flow_counts old[2], now[2];
	struct flow f = a_flow(1);
	struct weir_flow c;
	struct parked *k;

	f.client_dir = 0;
	f.count[TO_CLIENT] = (struct flow_counts){ 0 };
	f.count[TO_SERVER].bytes = 100;
	f.count[TO_SERVER].packets = 6;
	assert_true(parking_put(p, &f));
	k = parking_find(p, 1);
	c = counters(1, 9, 1000);
	assert_true(parked_count(k, &c, old, now));
	assert_int_equal(old[TO_SERVER].bytes, 100);
	assert_int_equal(now[TO_SERVER].bytes, 1000);
	assert_int_equal(now[TO_SERVER].packets - old[TO_SERVER].packets, 3);
	/* A loss, or much traffic: it is worth a look. */
	c.cold[0].retx = 1;
	assert_false(parked_count(k, &c, old, now));
	c = counters(1, 9 + 64, 1000);
	assert_false(parked_count(k, &c, old, now));
	parking_take(p, k, &f);
	assert_int_equal(f.count[TO_SERVER].packets, 9);
	assert_int_equal(f.count[TO_SERVER].bytes, 1000);
	assert_int_equal(f.last_ns, START + 9 * MS);
	parking_free(p);
}

/* ---- the pipeline with more flows than it follows ---- */

struct seen {
	uint32_t flows, whole, named, wrong_end;
	uint64_t end_ns;
	uint64_t packets;
};

static void on_flow(void *s, const struct model *m, const struct flow *f)
{
	struct seen *x = s;

	x->flows++;
	x->end_ns = f->end_ns;
	x->whole += f->complete && f->count[TO_SERVER].packets == 3 && !strcmp(f->history, "D");
	x->named += f->hint != NULL;
	x->packets += f->count[TO_SERVER].packets;
	x->wrong_end += f->ended != END_TIMEOUT;
}

static const struct sink watching = { .flow = on_flow };

static struct weir_key6 key_of(uint32_t i)
{
	struct weir_key6 k = { .lo_port = 40000, .hi_port = 9, .proto = IPPROTO_UDP, .ifindex = 2 };
	struct in6_addr lo = ip4(0x0a000000 + i), hi = ip4(0xc0000201);

	memcpy(k.lo, &lo, 16);
	memcpy(k.hi, &hi, 16);
	return k;
}

static struct weir_rec datagram(uint32_t i, uint64_t ns)
{
	struct weir_key6 k = key_of(i);
	struct weir_rec r = { .time_ns = ns, .flow_id = (i + 1) * 0x9e3779b97f4a7c15ull, .kind = WEIR_REC_PACKET,
			      .proto = IPPROTO_UDP, .sport = k.lo_port, .dport = k.hi_port, .ifindex = 2, .segs = 1,
			      .client = WEIR_CLIENT_LO, .flags = WEIR_REC_NEW | WEIR_REC_IPV4, .payload_len = 18,
			      .ip_len = 46, .ttl = 64 };

	memcpy(r.saddr, k.lo, 16);
	memcpy(r.daddr, k.hi, 16);
	return r;
}

static uint64_t typed_packets(struct model *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < model_types(m); i++)
		n += model_type(m, i)->packets[TO_SERVER];
	return n;
}

static bool count_one(struct flow *f, void *arg)
{
	++*(uint32_t *)arg;
	return true;
}

static struct pipeline *live_pipeline(struct seen *seen, unsigned max)
{
	struct pipeline_config cfg = { .max_flows = max, .live = true, .nsinks = 1 };

	cfg.sink[0].ops = &watching;
	cfg.sink[0].s = seen;
	return pipeline_new(&cfg);
}

static void test_pipeline_parks(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 2 * MANY);
	struct model *m = pipeline_model(p);
	uint32_t followed = 0, parked = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		struct weir_rec r = datagram(i, START + i * 1000);

		pipeline_record(p, &r, (const uint8_t *)"");
	}
	model_each_flow(m, count_one, &followed);
	model_each_parked(m, count_one, &parked);
	assert_true(followed < MANY / 2);
	assert_int_equal(model_parked(m), parked);
	assert_int_equal(followed + parked, MANY);
	assert_int_equal(model_flows(m), MANY);
	for (uint32_t round = 2; round <= 3; round++)
		for (uint32_t i = 0; i < MANY; i++) {
			struct weir_flow c = counters((i + 1) * 0x9e3779b97f4a7c15ull, round, round * 46);
			struct weir_key6 k = key_of(i);

			c.dir[0].data_packets = round;
			c.client = WEIR_CLIENT_LO;
			pipeline_counters(p, &k, &c);
			/* One that speaks is followed again. */
			if (i % 1000 == 0) {
				struct weir_rec r = datagram(i, START + 1000 * MS + i * 1000);

				pipeline_record(p, &r, (const uint8_t *)"");
				assert_non_null(model_flow(m, r.flow_id));
			}
		}
	assert_int_equal(typed_packets(m), 3 * MANY);
	assert_int_equal(model_flows(m), MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		struct weir_flow c = counters((i + 1) * 0x9e3779b97f4a7c15ull, 3, 3 * 46);
		struct weir_key6 k = key_of(i);

		c.dir[0].data_packets = 3;
		c.client = WEIR_CLIENT_LO;
		pipeline_flow_end(p, &k, &c, END_TIMEOUT);
	}
	assert_int_equal(seen.flows, MANY);
	assert_int_equal(seen.whole, MANY);
	assert_int_equal(seen.wrong_end, 0);
	assert_int_equal(model_flows(m), 0);
	assert_int_equal(typed_packets(m), 3 * MANY);
	pipeline_free(p);
}

/* What is still parked at the end is told of all the same. */
static void test_pipeline_ends_parked(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 0);
	struct totals t = { 0 };

	for (uint32_t i = 0; i < MANY; i++) {
		struct weir_rec r = datagram(i, START + i * 1000);

		pipeline_record(p, &r, (const uint8_t *)"");
	}
	pipeline_finish(p, &t);
	assert_int_equal(seen.flows, MANY);
	pipeline_free(p);
}

/* More than the model may hold: the stillest are told of and go. */
static void test_pipeline_bounded(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 30000);

	for (uint32_t i = 0; i < MANY; i++) {
		struct weir_rec r = datagram(i, START + i * 1000);

		pipeline_record(p, &r, (const uint8_t *)"");
	}
	assert_int_equal(model_flows(pipeline_model(p)), 30000);
	assert_int_equal(seen.flows, MANY - 30000);
	pipeline_free(p);
}

/* Among a flood those that talk both ways stay followed. */
static void test_talkers_stay(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 0);
	unsigned followed = 0;

	for (uint32_t i = 0; i < 4 * MANY; i++) {
		struct weir_rec r = datagram(i, START + i * 1000);

		pipeline_record(p, &r, (const uint8_t *)"");
		if (i % 10000 == 0)
			for (uint32_t k = 0; k < 64; k++) {
				r = datagram(k, START + i * 1000);
				r.own_pkts = r.peer_pkts = 1;
				pipeline_record(p, &r, (const uint8_t *)"");
			}
	}
	for (uint32_t k = 0; k < 64; k++)
		followed += model_flow(pipeline_model(p), datagram(k, 0).flow_id) != NULL;
	assert_int_equal(followed, 64);
	pipeline_free(p);
}

/* A flow ends with its last packet, had that a record or not. */
static void test_end_is_the_last_packet(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 0);
	struct weir_rec r = datagram(0, START);
	struct weir_flow c = counters(r.flow_id, 3, 3 * 46);
	struct weir_key6 k = key_of(0);

	pipeline_record(p, &r, (const uint8_t *)"");
	c.dir[1].last_ns = START + 7 * MS;
	pipeline_flow_end(p, &k, &c, END_TIMEOUT);
	assert_int_equal(seen.flows, 1);
	assert_int_equal(seen.end_ns, START + 9 * MS);
	pipeline_free(p);
}

/* A reset waits for what comes after it: its flow is not parked meanwhile. */
static void test_busy_stays(void **state)
{
	struct seen seen = { 0 };
	struct pipeline *p = live_pipeline(&seen, 0);
	struct weir_rec reset = datagram(MANY, START);

	reset.proto = IPPROTO_TCP;
	reset.tcp_flags = 0x04;
	reset.payload_len = 0;
	pipeline_record(p, &reset, (const uint8_t *)"");
	for (uint32_t i = 0; i < MANY; i++) {
		struct weir_rec r = datagram(i, START + i * 1000);

		pipeline_record(p, &r, (const uint8_t *)"");
	}
	assert_non_null(model_flow(pipeline_model(p), reset.flow_id));
	pipeline_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_holds_no_more_than_fits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_stale_is_the_stillest),
		cmocka_unit_test(test_counts_in_place),
		cmocka_unit_test(test_pipeline_parks),
		cmocka_unit_test(test_pipeline_ends_parked),
		cmocka_unit_test(test_pipeline_bounded),
		cmocka_unit_test(test_talkers_stay),
		cmocka_unit_test(test_busy_stays),
		cmocka_unit_test(test_end_is_the_last_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
