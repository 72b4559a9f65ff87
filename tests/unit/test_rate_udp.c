// SPDX-License-Identifier: GPL-2.0-or-later
/* One type's UDP under a ceiling: a claim only where it is several clients', several networks', and no other type's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "fake_model.h"
#include "random.h"
#include "rate.h"

#define SECOND	1000000000ull
#define EPOCH	(1700000000ull * SECOND)
#define SECONDS 30
#define RATE	250e3
#define BURST	60e3
#define LEN	1442

enum { NONE, QUIC, TLS };

struct world {
	const char *client, *server; /* of the second flow */
	const char *control_client, *control_server;
	double control; /* bytes/s, in half a second of each two */
	bool missing;	/* one of the first flow's packets in fifty gives no record */
	bool tcp;	/* the type has TCP as well */
	unsigned before; /* packets of the first flow, before */
};

static const struct world limited = { .client = "10.0.0.3", .server = "198.51.100.7",
				      .control_client = "10.0.0.2", .control_server = "192.0.2.80",
				      .control = 2e6 };

static struct model model;
static struct findings *store;
static struct detect_env env;
static void *detector;

static void packet(struct flow *f, double at, unsigned n, uint32_t bytes)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = f->proto, .dir = 1, .segs = 1, .l2_len = LEN,
			      .ip_len = LEN - 14, .payload_len = LEN - 42, .flow_id = f->id,
			      .own_pkts = (uint16_t)(n > UINT16_MAX ? UINT16_MAX : n),
			      .time_ns = EPOCH + (uint64_t)(at * SECOND) };

	if (f->proto == IPPROTO_TCP) {
		r.seq = r.own_end = bytes;
		r.tcp_flags = 0x10;
		r.label = WEIR_IN_ORDER;
	}
	detect_rate.packet(detector, f, &r, NULL);
}

static struct flow *flow_of(unsigned id, const char *client, const char *server, uint8_t type, uint8_t proto)
{
	struct flow *f = fake_flow(&model, id, client, (uint16_t)(4000 + id), server, 443, proto);

	f->type = type;
	f->complete = true;
	return f;
}

/* Two senders that change their minds each second, together above the rate but now and then. */
static void run(const struct world *w)
{
	struct flow *f[2], *control[2];
	double tokens = BURST, token_t = 0, offered[2] = { 0 };
	unsigned n[2] = { w->before, 0 }, sent[2] = { 0 };

	memset(&model, 0, sizeof(model));
	seed = 5;
	fake_type(&model, "unknown");
	fake_type(&model, "quic");
	fake_type(&model, "tls");
	store = findings_new(20, NULL, NULL);
	env = (struct detect_env){ .model = &model, .findings = store, .slot = 0 };
	detector = detect_rate.create(&env);
	f[0] = flow_of(1, "10.0.0.2", "192.0.2.7", QUIC, IPPROTO_UDP);
	f[1] = flow_of(2, w->client, w->server, QUIC, IPPROTO_UDP);
	for (unsigned i = 0; i < 2; i++)
		control[i] = flow_of(3 + i, w->control_client, w->control_server, w->tcp ? QUIC : TLS, IPPROTO_TCP);
	for (unsigned ms = 0; ms < SECONDS * 1000; ms++) {
		double at = ms * 1e-3;

		for (unsigned i = 0; i < 2; i++) {
			if (ms % 1000 == 0)
				offered[i] = RATE * (.2 + 1.2 * uniform());
			if (uniform() * LEN > offered[i] * 1e-3)
				continue;
			tokens = fmin(BURST, tokens + RATE * (at - token_t));
			token_t = at;
			if (tokens < LEN)
				continue;
			tokens -= LEN;
			if (!i && w->missing && n[i] % 50 == 49)
				n[i]++;
			else
				packet(f[i], at + i * 1e-5, n[i]++, 0);
		}
		for (unsigned i = 0; i < 2; i++)
			for (unsigned k = 0; ms % 2000 < 500 && k < (unsigned)(w->control / 2 * 1e-3 / LEN + uniform()); k++) {
				packet(control[i], at + (2 + i + .01 * k) * 1e-5, sent[i], sent[i] * (LEN - 42));
				sent[i]++;
			}
		model.now = EPOCH + (uint64_t)((at + 1e-3) * SECOND);
		if (ms % 1000 == 999)
			detect_rate.tick(detector, model.now);
	}
}

static void stop(void)
{
	for (unsigned i = 0; i < model.nflows; i++)
		detect_rate.flow_end(detector, &model.flow[i]);
	detect_rate.finish(detector, model.now);
	detect_rate.destroy(detector);
	findings_free(store);
}

static void a_type_limited(void **state)
{
	const struct finding *f;

	run(&limited);
	assert_int_equal(findings_count(store), 1);
	f = findings_at(store, 0);
	assert_int_equal(f->kind, KIND_RATE_LIMIT);
	assert_int_equal(f->subkind, SUBKIND_UNKNOWN);
	assert_int_equal(f->level, LEVEL_LIKELY);
	assert_int_equal(f->type, QUIC);
	assert_int_equal(f->direction, DIRECTION_DOWN);
	assert_int_equal(f->flows, 2);
	assert_int_equal(f->clients, 2);
	assert_int_equal(f->servers, 2);
	assert_true(fabs(fact(&f->estimate, "limit_bps") / (RATE * 8) - 1) < .01);
	assert_true(fact(&f->control, "peak_rate_bps") > 2 * RATE * 8);
	assert_false(f->closed);
	for (unsigned s = 1; s < 20; s++)
		detect_rate.tick(detector, model.now + s * SECOND);
	assert_true(findings_at(store, 0)->closed);
	stop();
}

static void silent(struct world w)
{
	run(&w);
	assert_int_equal(findings_count(store), 0);
	stop();
}

static void not_without_all_of_it(void **state)
{
	struct world w = limited;

	w.client = "10.0.0.2"; /* it may be the client's own limit */
	silent(w);
	w = limited;
	w.server = "192.0.2.9"; /* or the servers' */
	silent(w);
	w = limited;
	w.control = 0;
	silent(w);
	w = limited;
	w.control = 300e3; /* they are no faster: a full link */
	silent(w);
	w = limited;
	w.control_server = "203.0.113.80"; /* it may be the way to these networks */
	silent(w);
	w = limited;
	w.control_client = "10.0.0.9"; /* or the plan that these clients have */
	silent(w);
	w = limited;
	w.tcp = true; /* TCP of the type is not limited */
	silent(w);
}

/* What is not seen packet by packet is not judged: some gave no record, or can't be known to have. */
static void not_what_has_gaps(void **state)
{
	struct world w = limited;

	w.missing = true;
	silent(w);
	w = limited;
	w.before = UINT16_MAX;
	silent(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_limited),
		cmocka_unit_test(not_without_all_of_it),
		cmocka_unit_test(not_what_has_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
