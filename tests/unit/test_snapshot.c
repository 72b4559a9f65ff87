// SPDX-License-Identifier: GPL-2.0-or-later
/* What the daemon shows and what its client makes of it are the same; requests; who is not to be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"
#include "request.h"
#include "snapshot.h"

#define NOW 1795400000123456789ull

static struct flow *flow(struct model *m, uint64_t id)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .flow_id = id, .time_ns = NOW, .proto = 6,
			      .client = WEIR_CLIENT_LO, .sport = 50000, .dport = 443 };
	struct flow *evict;

	memset((uint8_t *)r.saddr + 10, 0xff, 2);
	memcpy((uint8_t *)r.saddr + 12, "\xc0\xa8\x01\x14", 4);
	memset(r.daddr, 0x20, 16);
	return model_flow_of(m, &r, &evict);
}

static void copy(struct jbuf *b, struct replica *r, struct model *m, struct findings *f, const struct privacy *p)
{
	struct jbuf head = { 0 };

	jb_str(&head, "source", "wan0 tcx");
	jb_u64(&head, "packets", 12345);
	snapshot_write(b, &head, m, f, p, NOW, 1.25);
	assert_false(b->failed);
	assert_int_equal(b->text[b->len - 1], '\n');
	assert_true(replica_read(r, b->text, b->len - 1));
	jbuf_free(&head);
}

static void a_model_and_its_copy(void **state)
{
	struct model *m = model_new(100, NULL, 0);
	struct findings *fs = findings_new(10, NULL, NULL);
	struct replica *r = replica_new();
	struct finding f = { .key = ~5ull, .kind = KIND_SELECTIVE_DROP, .level = LEVEL_LIKELY, .confidence = 0.93,
			     .direction = DIRECTION_UP, .flows = 2, .flow_id = { ~0ull - 5, 7 }, .start_ns = NOW };
	struct flow *a = flow(m, ~0ull - 5);
	struct privacy p = { .names = NAMES_FULL };
	struct screen_status st;
	const struct finding *g;
	struct jbuf b = { 0 };
	const struct flow *c;
	double interval;
	uint64_t t;

	model_set_type(m, a, model_type_id(m, "whatsapp-media"));
	a->app = model_app_id(m, "whatsapp");
	a->hint = strdup("media.example \"x\"");
	/* One by one: compared as memory, padding and all. */
	a->count[TO_CLIENT].packets = 9;
	a->count[TO_CLIENT].bytes = 1ull << 40;
	a->count[TO_CLIENT].data_packets = 8;
	a->count[TO_CLIENT].ttl = 54;
	a->count[TO_CLIENT].retx = 1;
	a->count[TO_CLIENT].lost_before = 2;
	a->count[TO_CLIENT].lost_after = 3;
	for (unsigned i = 1; i <= 100; i++)
		flow_rtt_add(a, TO_SERVER, i * 1000);
	strcpy(a->history, "ShAD");
	a->l7 = 3;
	f.type = a->type;
	fact_vs(&f.estimate, "drop_ratio", 0.25, NAN);
	fact_vs(&f.reasons, "test", 3.5, 0.25);
	fact_text(&f.ruled_out, "other", "because %d", 5);
	strcpy(f.what, "31% lost");
	findings_report(fs, &f);

	copy(&b, r, m, fs, &p);
	replica_status(r, &st, &t, &interval);
	assert_string_equal(st.source, "wan0 tcx");
	assert_null(st.problem);
	assert_int_equal(st.packets, 12345);
	assert_true(t == NOW && interval == 1.25);
	c = model_flow(replica_model(r), a->id);
	assert_non_null(c);
	assert_memory_equal(&c->client.ip, &a->client.ip, sizeof(a->client.ip));
	assert_int_equal(c->client.port, a->client.port);
	assert_memory_equal(&c->server.ip, &a->server.ip, sizeof(a->server.ip));
	assert_int_equal(c->server.port, a->server.port);
	assert_true(c->count[TO_CLIENT].packets == 9 && c->count[TO_CLIENT].bytes == 1ull << 40);
	assert_int_equal(c->count[TO_CLIENT].data_packets, 8);
	assert_int_equal(c->count[TO_CLIENT].retx, 1);
	assert_int_equal(c->count[TO_CLIENT].lost_before, 2);
	assert_int_equal(c->count[TO_CLIENT].lost_after, 3);
	assert_int_equal(c->count[TO_CLIENT].ttl, 54);
	assert_string_equal(c->hint, a->hint);
	assert_string_equal(c->history, "ShAD");
	assert_int_equal(c->l7, 3);
	assert_true(c->start_ns == a->start_ns);
	assert_string_equal(model_type_name(replica_model(r), c->type), "whatsapp-media");
	assert_string_equal(model_app_name(replica_model(r), c->app), "whatsapp");
	assert_true(fabs(flow_rtt_us(c, TO_SERVER, 0.5) / flow_rtt_us(a, TO_SERVER, 0.5) - 1) < 0.05);
	assert_true(fabs(flow_rtt_us(c, TO_SERVER, 0.95) / flow_rtt_us(a, TO_SERVER, 0.95) - 1) < 0.05);
	assert_int_equal(model_type(replica_model(r), c->type)->flows_active, 1);
	assert_int_equal(model_type(replica_model(r), 0)->flows_active, 0);

	g = findings_at(replica_findings(r), 0);
	assert_int_equal(g->id, 1);
	assert_true(g->flow_id[0] == a->id && g->flow_id[1] == 7);
	assert_int_equal(g->type, c->type);
	assert_string_equal(g->what, "31% lost");
	assert_true(g->estimate.fact[0].value == 0.25 && isnan(g->estimate.fact[0].control));
	assert_true(g->reasons.fact[0].control == 0.25);
	assert_string_equal(g->ruled_out.fact[0].text, "because 5");

	/* It ends there, and is gone here. */
	free(a->hint);
	a->hint = NULL;
	model_flow_end(m, a);
	copy(&b, r, m, fs, &p);
	assert_null(model_flow(replica_model(r), c->id));
	assert_int_equal(model_type(replica_model(r), c->type)->flows_active, 0);
	assert_int_equal(findings_count(replica_findings(r)), 1);
	jbuf_free(&b);
	replica_free(r);
	findings_free(fs);
	model_free(m);
}

static void more_flows_than_are_shown(void **state)
{
	struct model *m = model_new(5000, NULL, 0);
	struct findings *fs = findings_new(10, NULL, NULL);
	struct replica *r = replica_new();
	struct jbuf b = { 0 };
	unsigned n = 0;

	for (unsigned round = 0; round < 3; round++) {
		n = 0;
		for (unsigned i = 0; i < 1500; i++)
			flow(m, round * 1500 + i + 1);
		copy(&b, r, m, fs, &(struct privacy){ 0 });
		for (uint64_t id = 1; id <= 4500; id++)
			n += !!model_flow(replica_model(r), id);
		assert_int_equal(n, SNAPSHOT_FLOWS);
		assert_non_null(model_flow(replica_model(r), round * 1500 + 1500)); /* the newest is there */
	}
	assert_int_equal(model_type(replica_model(r), 0)->flows_active, 4500);
	jbuf_free(&b);
	replica_free(r);
	findings_free(fs);
	model_free(m);
}

static void clients_that_are_not_to_be_told(void **state)
{
	uint8_t key[REDACT_KEY] = { 1, 2, 3 };
	struct privacy p = { .names = NAMES_NONE, .who = REDACT_CLIENTS, .map = redact_new(key) };
	struct model *m = model_new(10, NULL, 0);
	struct findings *fs = findings_new(10, NULL, NULL);
	struct replica *r = replica_new();
	struct jbuf b = { 0 };

	flow(m, 1)->hint = strdup("secret.example");
	copy(&b, r, m, fs, &p);
	jb_raw(&b, "", 1);
	assert_null(strstr(b.text, "secret"));
	assert_null(strstr(b.text, "192.168.1.20"));
	assert_non_null(model_flow(replica_model(r), 1));
	jbuf_free(&b);
	replica_free(r);
	findings_free(fs);
	model_free(m);
	privacy_close(&p);
}

static void what_is_no_snapshot_changes_nothing(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{}", "null", "{\"types\":[],\"interval_s\":-1}",
					   "{\"types\":3,\"interval_s\":1}" };
	static const char odd[] = "{\"types\":[],\"interval_s\":1,\"flows\":[[],[1],[-1,3,\"x\"],7],\"findings\":[1,{}]}";
	struct replica *r = replica_new();

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(replica_read(r, bad[i], strlen(bad[i])));
	assert_true(replica_read(r, odd, strlen(odd)));
	replica_free(r);
}

static void requests(void **state)
{
	static const char *const bad[] = { "", " ", "events ", "hello you", "screen  ", "events xml", "events types=",
					   "events types=flow,,", "events interval=0", "events interval=nan",
					   "events interval=1e9", "events interval=1x", "EVENTS" };
	struct request r, again;
	char line[REQUEST_MAX];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (request_parse(bad[i], strlen(bad[i]), &r))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_false(request_parse("hello\0", 6, &r));
	r = (struct request){ REQUEST_EVENTS, false, true, 31, 2.5 };
	request_write(&r, line);
	assert_true(request_parse(line, strlen(line) - 1, &again));
	assert_false(again.json);
	assert_true(again.bytes && again.events == 31 && again.interval_s == 2.5);
	assert_true(request_parse("screen", 6, &r) && r.what == REQUEST_SCREEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_and_its_copy), cmocka_unit_test(more_flows_than_are_shown),
		cmocka_unit_test(clients_that_are_not_to_be_told), cmocka_unit_test(what_is_no_snapshot_changes_nothing),
		cmocka_unit_test(requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
