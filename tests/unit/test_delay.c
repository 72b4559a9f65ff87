// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One type delayed: found where it is a step of that type alone, at several servers, that
 * neither a route nor a load explains; and not in what only looks like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "delay.h"
#include "detect.h"
#include "fake_model.h"
#include "random.h"
#include "facts.h"

#define SECOND 1000000000ull
#define EPOCH  (1700000000ull * SECOND)

enum { NONE, CHAT, WEB, MAIL };

struct world {
	double added_ms;  /* to CHAT from onset on, */
	double onset, until;
	unsigned hit;	  /* servers, bits */
	double web_ms;	  /* to WEB and MAIL as well */
	double noise_ms;  /* on each round trip, uniform */
	uint8_t ttl_then; /* of CHAT's servers after the onset, where not 0 */
	bool queue;	  /* the delay is as long as the load is high */
	bool steady_load;
	double steady_since; /* s, where not 0 */
	double grows;	     /* ms a second more */
	double steady_up; /* bytes a second to the servers, whatever comes from there */
	bool retyped;	  /* flows that carried much become another type's */
	bool joined;	  /* one becomes CHAT's */
	bool held;	  /* what the clients send is little: it need not be acknowledged at once */
	bool pushed;	  /* the servers say something now and then, the clients nothing */
	bool elsewhere;	  /* the other types' servers are in another network */
	bool one_server;
};

static struct model model;
static struct findings *store;
static struct detect_env env;
static void *detector;

/* Seconds of the updates that were told. */
static unsigned told[60], ntold;

static void changed(void *arg, const struct finding *f, enum finding_action action)
{
	if (action == FINDING_UPDATE && ntold < 60)
		told[ntold++] = (unsigned)((model.now - EPOCH) / SECOND);
}

/* acked: bytes that are acknowledged for the first time. */
static void sample(struct flow *f, double at, double rtt_ms, uint8_t ttl, uint32_t acked)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .dir = 1, .ttl = ttl,
			      .tcp_flags = 0x10, .ack = 77 + acked, .own_ack = 77,
			      .own_dir_flags = WEIR_DIR_ACK,
			      .flow_id = f->id, .time_ns = EPOCH + (uint64_t)(at * SECOND),
			      .rtt_us = (uint32_t)(rtt_ms * 1000) };

	detect_delay.packet(detector, f, &r, NULL);
}

/* 60 s: each second every server of every type is heard of a few times. */
static void run(const struct world *w)
{
	static const double base[] = { 0, 40, 25, 60 };
	unsigned servers = w->one_server ? 1 : 2;

	memset(&model, 0, sizeof(model));
	seed = 42;
	fake_type(&model, "unknown");
	fake_type(&model, "chat");
	fake_type(&model, "web");
	fake_type(&model, "mail");
	ntold = 0;
	store = findings_new(20, changed, NULL);
	env = (struct detect_env){ .model = &model, .findings = store, .slot = 0 };
	detector = detect_delay.create(&env);
	for (unsigned type = CHAT; type <= MAIL; type++)
		for (unsigned i = 0; i < servers; i++) {
			char ip[32];

			snprintf(ip, sizeof(ip), "%s.%u", type == CHAT || !w->elsewhere ? "192.0.2" : "198.51.100",
				 10 * type + i);
			fake_flow(&model, 100 + model.nflows, "10.0.0.2", 4000, ip, 443, IPPROTO_TCP)->type =
				(uint8_t)type;
		}
	for (unsigned s = 0; s < 60; s++) {
		double load = w->steady_load || (w->steady_since > 0 && s >= w->steady_since) ? 50000 : 5000 + 95000 * uniform();

		for (unsigned i = 0; i < model.nflows; i++) {
			struct flow *f = &model.flow[i];
			bool then = s >= w->onset && s < w->until;
			double rtt = base[f->type];

			if (then && f->type == CHAT && w->hit & 1u << i % servers)
				rtt += w->queue ? w->added_ms * (.85 + load / 400000) :
						w->added_ms + w->grows * (s - w->onset);
			if (then && f->type != CHAT)
				rtt += w->web_ms;
			for (unsigned k = 0; k < 3; k++)
				sample(f, s + .1 + .3 * k, rtt + w->noise_ms * uniform() + 30 * (k == 2),
				       then && f->type == CHAT && w->ttl_then ? w->ttl_then : 55,
				       f->type != CHAT ? 2896 : w->pushed && then ? 0 : w->held ? 300 : 2896);
		}
		model.type[CHAT].bytes[TO_CLIENT] += (uint64_t)load;
		model.type[CHAT].bytes[TO_SERVER] += (uint64_t)(w->steady_up ? w->steady_up : load / 20);
		if (w->retyped && s % 2)
			model.type[CHAT].bytes[TO_CLIENT] -= 60000;
		if (w->joined && s == 30)
			for (unsigned way = 0; way < 2; way++)
				model.type[CHAT].bytes[way] += 100000000;
		model.now = EPOCH + (s + 1) * SECOND;
		detect_delay.tick(detector, model.now);
		findings_flush(store);
	}
}

static void stop(void)
{
	detect_delay.destroy(detector);
	findings_free(store);
}

static int highest(void)
{
	int level = -1;

	for (unsigned i = 0; i < findings_count(store); i++)
		level = (int)findings_at(store, i)->level > level ? (int)findings_at(store, i)->level : level;
	return level;
}

static void a_type_delayed(void **state)
{
	struct world w = { .added_ms = 400, .onset = 20, .until = 45, .hit = 3, .noise_ms = 8 };
	const struct finding *f;

	run(&w);
	assert_int_equal(findings_count(store), 1);
	f = findings_at(store, 0);
	assert_int_equal(f->level, LEVEL_LIKELY);
	assert_int_equal(f->kind, KIND_RATE_LIMIT);
	assert_int_equal(f->subkind, SUBKIND_DELAY);
	assert_int_equal(f->type, CHAT);
	assert_int_equal(f->servers, 2);
	assert_int_equal(f->flows, 2);
	assert_true(f->closed);
	assert_true(fabs(fact(&f->estimate, "added_delay_ms") - 400) < 20);
	assert_true(fact(&f->control, "added_delay_ms") < 10);
	/* the round trip that ends in a second belongs to it */
	assert_true(f->start_ns >= EPOCH + 20 * SECOND && f->start_ns <= EPOCH + 22 * SECOND);
	assert_true(f->end_ns >= EPOCH + 45 * SECOND && f->end_ns <= EPOCH + 47 * SECOND);
	stop();
}

static void found_within_fifteen_seconds(void **state)
{
	struct world w = { .added_ms = 150, .onset = 44, .until = 60, .hit = 3, .noise_ms = 8 };

	run(&w);
	assert_int_equal(highest(), LEVEL_LIKELY);
	stop();
}

static void silent(struct world w)
{
	run(&w);
	assert_int_equal(findings_count(store), 0);
	stop();
}

/* What is always far, what all have, one server of several, what is little or noise. */
static void no_delay_of_the_type(void **state)
{
	silent((struct world){ .added_ms = 400, .onset = 0, .until = 60, .hit = 3 });
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .web_ms = 400 });
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .web_ms = 150 });
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 1 });
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 1, .one_server = true });
	silent((struct world){ .added_ms = 40, .onset = 20, .until = 60, .hit = 3 });
	silent((struct world){ .onset = 60, .until = 60, .hit = 3, .noise_ms = 300 });
	/* a moment: a radio that slept, a route that converged */
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 23, .hit = 3 });
}

/* A route that became longer, TTL and all. */
static void another_way(void **state)
{
	silent((struct world){ .added_ms = 200, .onset = 20, .until = 60, .hit = 3, .ttl_then = 49 });
}

static void no_claim(struct world w)
{
	run(&w);
	assert_true(highest() < LEVEL_LIKELY);
	stop();
}

/* It may be the way to these networks; a queue that is always full; a queue. */
static void undecided(void **state)
{
	no_claim((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .elsewhere = true });
	no_claim((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .steady_load = true });
	no_claim((struct world){ .added_ms = 1000, .onset = 20, .until = 60, .hit = 3, .queue = true });
}

/* Once claimed, and now it might be a queue: the claim stands, and what is known of it goes on being told. */
static void a_level_that_falls(void **state)
{
	struct world w = { .added_ms = 400, .onset = 12, .until = 60, .hit = 3, .steady_since = 24, .grows = 2 };
	const struct finding *f;

	run(&w);
	f = findings_at(store, 0);
	assert_int_equal(f->level, LEVEL_LIKELY);
	assert_false(f->closed);
	/* after the load's change has left the seconds that are held */
	assert_true(ntold >= 3 && told[ntold - 1] >= 50);
	for (unsigned i = 2; i < ntold; i++)
		assert_true(told[i] >= told[i - 1] + 10);
	assert_true(fact(&f->estimate, "added_delay_ms") > 430);
	stop();
}

/* A queue to the servers that is always full, while what comes from there varies. */
static void a_full_queue_up(void **state)
{
	no_claim((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .steady_up = 20000 });
}

/* A flow that becomes another type's takes with it what it had carried: no change of this one's load. */
static void a_flow_of_another_type(void **state)
{
	no_claim((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .steady_load = true,
				 .retyped = true });
	no_claim((struct world){ .added_ms = 400, .onset = 20, .until = 35, .hit = 3, .steady_load = true,
				 .joined = true });
}

/* The clients begin to say little at a time, and the servers' stacks hold acknowledgments back, all for as long. */
static void acknowledgments_held_back(void **state)
{
	no_claim((struct world){ .added_ms = 200, .onset = 20, .until = 60, .hit = 3, .held = true });
	run(&(struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .held = true });
	assert_int_equal(highest(), LEVEL_LIKELY);
	stop();
}

/* What servers send on their own has echoes of old timestamps: the time between is the application's. */
static void servers_that_push(void **state)
{
	silent((struct world){ .added_ms = 400, .onset = 20, .until = 60, .hit = 3, .pushed = true });
}

/* More flows than are listed. */
static void many_flows(void **state)
{
	struct world w = { .added_ms = 400, .onset = 40, .until = 60, .hit = 3 };
	struct flow f = { .type = CHAT, .client.ip = fake_ip("10.0.0.2"), .server.ip = fake_ip("192.0.2.10") };

	run(&w);
	for (unsigned i = 0; i < 1000; i++) {
		f.id = 1000 + i % 100;
		sample(&f, 60 + i * 1e-4, 440, 55, 2896);
	}
	detect_delay.tick(detector, EPOCH + 71 * SECOND);
	assert_true(findings_at(store, 0)->flows >= FINDING_FLOWS && findings_at(store, 0)->flows <= 102);
	stop();
}

/* What is limited in rate waits, too. */
static void a_known_limit_waits(void **state)
{
	struct finding limit = { .key = 5, .kind = KIND_RATE_LIMIT, .subkind = SUBKIND_SHAPER, .type = CHAT };
	struct world w = { .added_ms = 400, .onset = 20, .until = 60, .hit = 3 };

	run(&w);
	assert_int_equal(highest(), LEVEL_LIKELY);
	assert_false(findings_at(store, 0)->closed);
	fact_num(&limit.reasons, "line_s", 3);
	fact_num(&limit.ruled_out, "random_loss", 0);
	findings_report(store, &limit);
	for (unsigned s = 60; s < 63; s++)
		detect_delay.tick(detector, EPOCH + s * SECOND);
	assert_true(findings_at(store, 0)->closed);
	stop();
}

/* More servers than there is room for. */
static void a_flood_of_servers(void **state)
{
	struct world w = { .added_ms = 0, .onset = 60, .until = 60 };
	struct flow f = { .id = 7, .type = CHAT, .client.ip = fake_ip("10.0.0.2") };

	run(&w);
	for (unsigned i = 0; i < 100000; i++) {
		f.server.ip = fake_ip("203.0.113.1");
		f.server.ip.s6_addr[12] = (uint8_t)(i >> 8);
		f.server.ip.s6_addr[13] = (uint8_t)i;
		sample(&f, 60 + i * 1e-4, 20 + i % 2 * 500, 50, 2896);
	}
	detect_delay.tick(detector, EPOCH + 71 * SECOND);
	assert_int_equal(findings_count(store), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_delayed),	cmocka_unit_test(found_within_fifteen_seconds),
		cmocka_unit_test(no_delay_of_the_type), cmocka_unit_test(another_way),
		cmocka_unit_test(undecided),		cmocka_unit_test(a_known_limit_waits),
		cmocka_unit_test(a_level_that_falls),
		cmocka_unit_test(a_flood_of_servers),	cmocka_unit_test(a_full_queue_up),
		cmocka_unit_test(a_flow_of_another_type), cmocka_unit_test(acknowledgments_held_back),
		cmocka_unit_test(servers_that_push),	cmocka_unit_test(many_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
