// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A limit on how many connections a client may open: found where it comes again, in several
 * networks, while others get through; and not in dead servers, outages, lost or refused openings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "detect.h"
#include "fake_model.h"
#include "random.h"
#include "facts.h"

#define SECOND 1000000000ull
#define EPOCH  (1700000000ull * SECOND)
#define ENDS   120
#define FLOWS  4000

enum fate { PASSES, VANISHES, IS_REFUSED };

struct world {
	unsigned after;	      /* so many openings of a busy client freeze it, 0: never */
	double frozen, until; /* s that it lasts; the last moment that one may begin */
	bool one_net, nobody_else, nowhere_else, once, refused, own;
	double loss; /* of SYNs, by chance */
	double beside; /* the same, of the other clients' and of those to the other servers */
	bool dead;   /* the servers, after a while */
	double leave; /* the busy clients do then, 0: never */
	bool flaps;  /* the way of both clients to them is gone now and then */
};

static struct model model;
static struct findings *store;
static struct detect_env env;
static void *detector;
static struct flow flow[FLOWS];
static double asked[FLOWS]; /* when, of those without an answer */
static unsigned nflows;
static unsigned updates, hasty; /* told; of them sooner than ten seconds after the one before, with nothing new */
static struct {
	uint64_t ns;
	double ratio;
	enum level level;
} told;

/* By client and server. */
static struct {
	double frozen_until;
	unsigned opened, freezes;
} pair[8][8];

static void packet(struct flow *f, double at, bool up, uint8_t flags)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP, .dir = !up, .tcp_flags = flags,
			      .flow_id = f->id, .time_ns = EPOCH + (uint64_t)(at * SECOND) };

	model.now = r.time_ns;
	detect_opens.packet(detector, f, &r, NULL);
}

static enum fate fate_of(const struct world *w, unsigned client, unsigned server, double at)
{
	if (uniform() < w->loss)
		return VANISHES;
	if ((client >= 2 || server >= 2) && w->beside > 0 && uniform() < w->beside)
		return VANISHES;
	if (server < 2 && w->dead && at > 20)
		return VANISHES;
	if (client < 2 && server < 2 && w->flaps && fmod(at, 35) > 20)
		return VANISHES;
	if (client >= 2 || server >= 2 || !w->after)
		return PASSES;
	if (at < pair[client][server].frozen_until)
		return w->refused ? IS_REFUSED : VANISHES;
	if (++pair[client][server].opened <= w->after)
		return PASSES;
	if (at > w->until || (w->once && pair[client][server].freezes))
		return PASSES;
	pair[client][server].opened = 0;
	pair[client][server].freezes++;
	pair[client][server].frozen_until = at + w->frozen;
	return w->refused ? IS_REFUSED : VANISHES;
}

/* One opening: a copy after a second where nothing came. */
static void open_one(const struct world *w, unsigned client, unsigned server, double at)
{
	struct flow *f = &flow[nflows++];
	enum fate fate;
	char ip[32];

	assert_true(nflows <= FLOWS);
	memset(f, 0, sizeof(*f));
	f->id = nflows;
	f->proto = IPPROTO_TCP;
	snprintf(ip, sizeof(ip), "10.0.0.%u", 2 + client);
	f->client = (struct endpoint){ fake_ip(ip), (uint16_t)(2000 + nflows) };
	snprintf(ip, sizeof(ip), w->one_net ? "192.0.2.%u" : "192.0.%u.9", 2 + server);
	f->server = (struct endpoint){ fake_ip(ip), 443 };
	f->own_drops = w->own && client < 2 ? 1 : 0;
	fate = fate_of(w, client, server, at);
	packet(f, at, true, 2);
	asked[nflows - 1] = fate == VANISHES ? at : 0;
	if (fate == VANISHES)
		return;
	packet(f, at + .03, false, fate == PASSES ? 0x12 : 0x14);
	if (fate == PASSES) {
		f->type = 1;
		detect_opens.typed(detector, f, 0);
	}
}

/* A second later, once. */
static void copies(double at)
{
	for (unsigned i = 0; i < nflows; i++)
		if (asked[i] > 0 && at > asked[i] + 1) {
			packet(&flow[i], at, true, 2);
			asked[i] = 0;
		}
}

static void changed(void *arg, const struct finding *f, enum finding_action action)
{
	double ratio = fact(&f->estimate, "drop_ratio");

	if (action == FINDING_UPDATE) {
		updates++;
		hasty += model.now < told.ns + 10 * SECOND && f->level == told.level && fabs(ratio - told.ratio) < .05;
	}
	told.ns = model.now;
	told.ratio = ratio;
	told.level = f->level;
}

/* Clients 0 and 1 open a connection every 0.3 s to servers 0 and 1; clients 2 and 3 seldom, to all. */
static void run(struct world w)
{
	memset(&model, 0, sizeof(model));
	memset(pair, 0, sizeof(pair));
	nflows = updates = hasty = 0;
	seed = 77;
	fake_type(&model, "unknown");
	fake_type(&model, "tls");
	store = findings_new(20, changed, NULL);
	env = (struct detect_env){ .model = &model, .findings = store, .slot = 0 };
	detector = detect_opens.create(&env);
	for (unsigned k = 0; k < ENDS * 10; k++) {
		double at = k * .1;

		bool left = w.leave && at > w.leave;

		if (k % 3 == 0 && !left)
			open_one(&w, 0, 0, at);
		if (k % 3 == 1 && k > 40 && !left)
			open_one(&w, 1, 1, at);
		if (k % 30 == 5 && !w.nobody_else) {
			open_one(&w, 2, 0, at);
			open_one(&w, 3, 1, at);
		}
		if (k % 30 == 15 && !w.nowhere_else && !left) {
			open_one(&w, 0, 2, at);
			open_one(&w, 1, 2, at);
		}
		copies(at + .05);
		if (k % 10 == 9) {
			model.now = EPOCH + (uint64_t)((at + .09) * SECOND);
			detect_opens.tick(detector, model.now);
			findings_flush(store);
		}
	}
	for (unsigned i = 0; i < nflows; i++)
		detect_opens.flow_end(detector, &flow[i]);
	if (w.leave)
		detect_opens.tick(detector, EPOCH + (ENDS + 200) * SECOND);
	else
		detect_opens.finish(detector, EPOCH + ENDS * SECOND);
}

static void stop(void)
{
	detect_opens.destroy(detector);
	findings_free(store);
}

static void a_limit_on_openings(void **state)
{
	const struct finding *f;

	run((struct world){ .after = 20, .frozen = 15, .until = 90 });
	assert_int_equal(findings_count(store), 1);
	f = findings_at(store, 0);
	assert_int_equal(f->kind, KIND_SELECTIVE_DROP);
	assert_int_equal(f->subkind, SUBKIND_FREEZE);
	assert_int_equal(f->level, LEVEL_LIKELY);
	assert_int_equal(f->type, 1);
	assert_int_equal(f->clients, 2);
	assert_int_equal(f->servers, 2);
	assert_true(fact(&f->estimate, "connections_low") >= 19);
	assert_true(fact(&f->estimate, "connections_high") <= 22);
	assert_true(fabs(fact(&f->estimate, "freeze_s") - 15) < 1);
	assert_true(fact(&f->estimate, "drop_ratio") > .5 && fact(&f->estimate, "drop_ratio") < .9);
	assert_true(f->closed && f->end_ns > f->start_ns);
	stop();
}

/* The others' openings meanwhile are counted: none fails, some do. */
static void the_control_is_measured(void **state)
{
	struct world w = { .after = 20, .frozen = 15, .until = 90 };
	const struct finding *f;
	double trials;

	run(w);
	f = findings_at(store, 0);
	trials = fact(&f->control, "trials");
	/* each pair freezes about five times, for 15 s; beside it one goes there and one elsewhere every 3 s */
	assert_true(trials >= 50 && trials <= 120);
	assert_true(fact(&f->control, "drop_ratio") == 0);
	assert_true(fact(&f->control, "drop_ratio_high") < .07);
	stop();

	w.beside = .06;
	run(w);
	f = findings_at(store, 0);
	assert_true(fabs(fact(&f->control, "drop_ratio") - .06) < .04);
	assert_true(fact(&f->control, "drop_ratio_low") > 0);
	assert_true(fact(&f->control, "drop_ratio_low") < .06 && fact(&f->control, "drop_ratio_high") > .06);
	stop();
}

/* It is no burden on who reads: every ten seconds, and when something is new. */
static void updates_are_rare(void **state)
{
	run((struct world){ .after = 20, .frozen = 15, .until = 90 });
	assert_true(updates >= 5);
	assert_int_equal(hasty, 0);
	stop();
}

/* Nobody is left to see it end: the last that failed is the end. */
static void clients_that_leave(void **state)
{
	const struct finding *f;

	run((struct world){ .after = 20, .frozen = 15, .until = 90, .leave = 60 });
	assert_int_equal(findings_count(store), 1);
	f = findings_at(store, 0);
	assert_int_equal(f->level, LEVEL_LIKELY);
	assert_true(f->closed);
	assert_true(f->end_ns > EPOCH + 58 * SECOND && f->end_ns < EPOCH + 62 * SECOND);
	stop();
}

static void no_claim(struct world w, int most)
{
	run(w);
	for (unsigned i = 0; i < findings_count(store); i++)
		if ((int)findings_at(store, i)->level > most)
			fail_msg("%s", findings_at(store, i)->what);
	stop();
}

static void no_limit(void **state)
{
	const struct world limit = { .after = 20, .frozen = 15, .until = 90 };
	struct world w = limit;

	no_claim((struct world){ .dead = true }, -1);
	no_claim((struct world){ .dead = true, .nobody_else = true }, -1);
	no_claim((struct world){ .loss = .3 }, -1);
	no_claim((struct world){ .flaps = true }, LEVEL_POSSIBLE); /* one of several equal ways */
	no_claim((struct world){ .loss = .02 }, -1);
	w.refused = true;
	no_claim(w, -1);
	w = limit;
	w.own = true;
	no_claim(w, -1);
	w = limit;
	w.nobody_else = true; /* it may be the servers */
	no_claim(w, -1);
	w = limit;
	w.nowhere_else = true; /* it may be the clients' line, or a NAT */
	no_claim(w, -1);
	w = limit;
	w.beside = .3; /* a path that loses much anyway */
	no_claim(w, LEVEL_POSSIBLE);
	w = limit;
	w.one_net = true; /* it may be these servers' own guard */
	no_claim(w, LEVEL_POSSIBLE);
	w = limit;
	w.once = true; /* an outage */
	no_claim(w, LEVEL_POSSIBLE);
}

/* One SYN each, of as many clients to as many servers: no state outlives its flow, and no finding. */
static void a_flood(void **state)
{
	run((struct world){ .loss = 0 });
	for (unsigned i = 0; i < 50000; i++) {
		struct flow f = { .id = i, .client.ip = fake_ip("10.0.0.9"), .server.port = (uint16_t)i };

		f.client.ip.s6_addr[14] = (uint8_t)(i >> 8);
		f.server.ip = fake_ip("198.51.100.1");
		f.server.ip.s6_addr[15] = (uint8_t)i;
		packet(&f, 200 + i * 1e-4, true, 2);
		packet(&f, 201 + i * 1e-4, true, 2);
		assert_true(f.detector[0]);
		detect_opens.flow_end(detector, &f);
		assert_null(f.detector[0]);
	}
	assert_int_equal(findings_count(store), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_on_openings),
		cmocka_unit_test(the_control_is_measured),
		cmocka_unit_test(updates_are_rare),
		cmocka_unit_test(clients_that_leave),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
