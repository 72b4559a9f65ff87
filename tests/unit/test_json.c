// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every event type, read back by jansson (strict about UTF-8 and numbers).
 * With EVENTS=FILE in the environment the events go to that file too, for the
 * schema to be held against them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "fake_model.h"
#include "format.h"
#include "jbuf.h"
#include "out.h"

#define START 1795737600000000000ull /* 2026-11-27T00:00:00Z */

static struct model m;
static struct sink_ref sink;
static char line[65536];
static size_t line_len;
static bool first_line_only;
static FILE *copy;

/* Stands in for stdout. */
void output_write(const char *text, size_t len)
{
	assert_true(len < sizeof(line));
	if (!first_line_only || !line_len) {
		memcpy(line, text, len);
		line[len] = 0;
		line_len = len;
	}
	if (copy)
		fwrite(text, 1, len, copy);
}

void output_printf(const char *format, ...)
{
	fail();
}

static json_t *event(void)
{
	json_error_t error;
	json_t *e;

	assert_true(line_len > 0 && line[line_len - 1] == '\n');
	assert_null(memchr(line, '\n', line_len - 1));
	e = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	if (!e)
		print_message("%s: %s", error.text, line);
	assert_non_null(e);
	return e;
}

static const char *text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int setup(void **state)
{
	struct flow *f;

	memset(&m, 0, sizeof(m));
	m.now = START;
	fake_type(&m, "unknown");
	fake_type(&m, "whatsapp-media");
	m.app[1] = "whatsapp";
	f = fake_flow(&m, 0xffffffffffffffffull, "192.168.1.20", 50096, "157.240.229.60", 443,
		      IPPROTO_TCP);
	f->l7 = WEIR_L7_TLS;
	f->type = f->app = 1;
	f->source = SOURCE_SNI;
	f->hint = (char *)"media.cdn.whatsapp.net";
	f->start_ns = START;
	f->end_ns = f->last_ns = START + 1500000000;
	f->count[TO_SERVER] = (struct flow_counts){ .packets = 10, .bytes = 1000, .rtt_min_us = 40000 };
	f->count[TO_CLIENT] = (struct flow_counts){ .packets = 20, .bytes = 20000, .retx = 3,
						    .lost_before = 2, .lost_after = 1,
						    .rtt_min_us = 2000 };
	f->handshake_us = 42000;
	f->ended = END_FIN;
	memcpy(f->history, "ShADadfF", 9);
	line_len = 0;
	sink = json_sink(EVENT_ALL, false);
	return !sink.ops;
}

static int teardown(void **state)
{
	sink.ops->close(sink.s);
	return 0;
}

static void flow_has_the_client_as_src(void **state)
{
	json_t *e, *f;

	sink.ops->flow(sink.s, &m, &m.flow[0]);
	e = event();
	assert_string_equal(text(e, "timestamp"), "2026-11-27T00:00:01.500000Z");
	assert_string_equal(text(e, "event_type"), "flow");
	assert_int_equal(json_integer_value(json_object_get(e, "schema")), 1);
	assert_int_equal(json_integer_value(json_object_get(e, "flow_id")), (1ll << 53) - 1);
	assert_string_equal(text(e, "src_ip"), "192.168.1.20");
	assert_int_equal(json_integer_value(json_object_get(e, "src_port")), 50096);
	assert_string_equal(text(e, "dest_ip"), "157.240.229.60");
	assert_string_equal(text(e, "proto"), "tcp");
	f = json_object_get(e, "flow");
	assert_string_equal(text(f, "l7"), "tls");
	assert_string_equal(text(f, "app"), "whatsapp");
	assert_string_equal(text(f, "type"), "whatsapp-media");
	assert_string_equal(text(f, "type_source"), "sni");
	assert_string_equal(text(f, "state"), "closed");
	assert_string_equal(text(f, "reason"), "fin");
	assert_int_equal(json_integer_value(json_object_get(f, "lost_toclient")), 3);
	assert_int_equal(json_integer_value(json_object_get(f, "retx_toclient")), 3);
	assert_float_equal(json_number_value(json_object_get(f, "rtt_min_ms")), 2, 1e-9);
	assert_float_equal(json_number_value(json_object_get(f, "handshake_ms")), 42, 1e-9);
	json_decref(e);
}

static void what_was_not_measured_is_absent(void **state)
{
	struct flow *f = fake_flow(&m, 5, "fd00::1", 5000, "2001:db8::53", 53, IPPROTO_UDP);
	json_t *e, *p;

	f->last_ns = START;
	sink.ops->flow(sink.s, &m, f);
	e = event();
	p = json_object_get(e, "flow");
	assert_string_equal(text(e, "src_ip"), "fd00::1");
	assert_string_equal(text(p, "type"), "unknown");
	assert_null(json_object_get(p, "app"));
	assert_null(json_object_get(p, "hint"));
	assert_null(json_object_get(p, "type_source"));
	assert_null(json_object_get(p, "retx_toserver"));
	assert_null(json_object_get(p, "lost_toclient"));
	assert_null(json_object_get(p, "rtt_min_ms"));
	assert_null(json_object_get(p, "rtt_p50_ms"));
	assert_null(json_object_get(p, "handshake_ms"));
	assert_null(json_object_get(p, "limit"));
	assert_string_equal(text(p, "reason"), "open");
	json_decref(e);
	f->proto = IPPROTO_ICMPV6;
	f->client.port = f->server.port = 0;
	sink.ops->flow(sink.s, &m, f);
	e = event();
	assert_string_equal(text(e, "proto"), "icmp6");
	assert_null(json_object_get(e, "src_port"));
	json_decref(e);
}

static void hostile_hint_stays_valid_json(void **state)
{
	json_t *e;

	m.flow[0].hint = (char *)"a\"\\\n\x1b[2J\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80 \xc3\xa9";
	sink.ops->flow(sink.s, &m, &m.flow[0]);
	assert_null(strchr(line, '\x1b'));
	e = event();
	assert_non_null(strstr(text(json_object_get(e, "flow"), "hint"), "a\"\\\n\x1b[2J"));
	assert_non_null(strstr(text(json_object_get(e, "flow"), "hint"), " \xc3\xa9"));
	json_decref(e);
}

static void rst_says_what_made_it_suspect(void **state)
{
	struct rst_event r = { .flow = &m.flow[0], .time_ns = START + 5, .suspect = true,
			       .score = 0.97, .reasons = { "ttl_jump", "duplicate" }, .nreasons = 2,
			       .stage = "post_psh", .ttl = 117, .flow_ttl = 54, .ipid = 0,
			       .seq_rel = -5, .copies = 2 };
	json_t *e, *p;

	sink.ops->rst(sink.s, &m, &r);
	e = event();
	p = json_object_get(e, "rst");
	assert_string_equal(text(e, "src_ip"), "192.168.1.20");
	assert_string_equal(text(p, "direction"), "down");
	assert_true(json_is_true(json_object_get(p, "suspect")));
	assert_int_equal(json_array_size(json_object_get(p, "reasons")), 2);
	assert_int_equal(json_integer_value(json_object_get(p, "ipid")), 0);
	assert_int_equal(json_integer_value(json_object_get(p, "seq_rel")), -5);
	assert_null(json_object_get(p, "signature"));
	json_decref(e);
	r.flow = fake_flow(&m, 6, "fd00::1", 1, "fd00::2", 2, IPPROTO_TCP);
	sink.ops->rst(sink.s, &m, &r);
	e = event();
	assert_null(json_object_get(json_object_get(e, "rst"), "ipid")); /* IPv6 has none */
	json_decref(e);
}

static struct finding make_finding(void)
{
	struct finding f = { .id = 17, .kind = KIND_RATE_LIMIT, .subkind = SUBKIND_POLICER,
			     .level = LEVEL_LIKELY, .confidence = 0.93,
			     .method = "rate_limit/policer/1", .start_ns = START, .type = 1, .app = 1,
			     .direction = DIRECTION_DOWN, .clients = 14, .servers = 3,
			     .what = "1.53 Mbit/s" };

	for (uint64_t id = 1; id <= 80; id++) {
		struct flow flow = { .id = id };

		finding_add_flow(&f, &flow);
	}
	fact_vs(&f.estimate, "limit_bps", 1530000.4, 9100000);
	fact_num(&f.estimate, "drop_ratio", 0.148);
	fact_num(&f.estimate, "limit_bps", 1); /* twice: the first holds */
	fact_num(&f.estimate, "burst_bytes", NAN);
	fact_text(&f.estimate, "signature", "%s", "ttl+1");
	fact_vs(&f.reasons, "plateau_cv", 0.04, 0.31);
	fact_text(&f.reasons, "limit_equal_across_clients", "14/14");
	fact_num(&f.ruled_out, "congestion", 1.2);
	return f;
}

/* A detector counts more flows than it keeps ids of. */
static void no_ids_of_flows_that_were_not_kept(void **state)
{
	struct finding f = make_finding();
	json_t *e;

	memset(f.flow_id + 30, 0, sizeof(f.flow_id) - 30 * sizeof(*f.flow_id));
	sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START + 1);
	e = event();
	assert_int_equal(json_array_size(json_object_get(json_object_get(e, "finding"), "flow_ids")), 30);
	json_decref(e);
}

static void finding_carries_estimate_control_and_both_lists(void **state)
{
	struct finding f = make_finding();
	json_t *e, *p, *r;

	sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START + 1);
	e = event();
	p = json_object_get(e, "finding");
	assert_string_equal(text(p, "action"), "open");
	assert_string_equal(text(p, "kind"), "rate_limit");
	assert_string_equal(text(p, "subkind"), "policer");
	assert_string_equal(text(p, "level"), "likely");
	assert_string_equal(text(p, "start"), "2026-11-27T00:00:00.000000Z");
	assert_null(json_object_get(p, "end"));
	assert_int_equal(json_integer_value(json_object_get(p, "flows")), 80);
	assert_int_equal(json_array_size(json_object_get(p, "flow_ids")), 64);
	r = json_object_get(p, "estimate");
	assert_float_equal(json_number_value(json_object_get(r, "limit_bps")), 1530000, 0.5);
	assert_float_equal(json_number_value(json_object_get(r, "drop_ratio")), 0.148, 1e-9);
	assert_null(json_object_get(r, "burst_bytes"));
	assert_string_equal(text(r, "signature"), "ttl+1");
	r = json_object_get(p, "control");
	assert_int_equal(json_object_size(r), 1);
	assert_float_equal(json_number_value(json_object_get(r, "limit_bps")), 9100000, 0.5);
	r = json_array_get(json_object_get(p, "reasons"), 0);
	assert_string_equal(text(r, "test"), "plateau_cv");
	assert_float_equal(json_number_value(json_object_get(r, "control")), 0.31, 1e-9);
	r = json_array_get(json_object_get(p, "reasons"), 1);
	assert_string_equal(text(r, "text"), "14/14");
	assert_null(json_object_get(r, "value"));
	r = json_array_get(json_object_get(p, "ruled_out"), 0);
	assert_string_equal(text(r, "explanation"), "congestion");
	json_decref(e);
	f.type = -1;
	f.app = 0;
	f.end_ns = START + 3;
	sink.ops->finding(sink.s, &m, &f, FINDING_CLOSE, START + 4);
	e = event();
	p = json_object_get(e, "finding");
	assert_null(json_object_get(p, "type"));
	assert_null(json_object_get(p, "app"));
	assert_string_equal(text(p, "end"), "2026-11-27T00:00:00.000000Z");
	json_decref(e);
}

static void stop_conserves(void **state)
{
	struct totals t = { .c = { .seen = 10, .in_flows = 7 }, .records = 5 };
	struct tool_event v = { .time_ns = START, .action = TOOL_STOP, .totals = &t };
	json_t *e, *p, *value;
	const char *key;
	json_int_t sum;

	t.c.elsewhere[WEIR_NOT_IP] = 2;
	t.c.elsewhere[WEIR_FRAGMENT] = 1;
	t.lost[WEIR_RING_FULL] = 4;
	sink.ops->tool(sink.s, &v);
	e = event();
	p = json_object_get(json_object_get(e, "tool"), "packets");
	sum = json_integer_value(json_object_get(p, "in_flows"));
	json_object_foreach (json_object_get(p, "elsewhere"), key, value)
		sum += json_integer_value(value);
	assert_int_equal(sum, json_integer_value(json_object_get(p, "seen")));
	p = json_object_get(json_object_get(e, "tool"), "records");
	assert_int_equal(json_integer_value(json_object_get(p, "sent")), 5);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(p, "lost"), "ring_full")), 4);
	json_decref(e);
}

static void every_tool_action_has_its_name(void **state)
{
	static const char *const names[] = { "start", "attach", "detach", "reload", "lost", "stop" };

	for (enum tool_action a = TOOL_START; a <= TOOL_STOP; a++) {
		struct tool_event v = { .time_ns = START, .action = a, .iface = "wan0",
					.hook = "tcx", .why = "because" };
		json_t *e;

		sink.ops->tool(sink.s, &v);
		e = event();
		assert_string_equal(text(json_object_get(e, "tool"), "action"), names[a]);
		assert_string_equal(text(e, "in_iface"), "wan0");
		json_decref(e);
	}
}

static json_t *last_stats(double interval_s)
{
	line_len = 0;
	sink.ops->stats(sink.s, &m, START, interval_s);
	return event(); /* the last line: all types together */
}

static void stats_are_of_the_interval(void **state)
{
	struct type_stats *t = &m.type[1];
	json_t *e, *s;

	t->flows_active = 3;
	t->flows_started = 5;
	t->bytes[TO_CLIENT] = 1000000;
	t->packets[TO_CLIENT] = 1000;
	t->tcp_data_packets[TO_CLIENT] = 900;
	t->lost[TO_CLIENT] = 100;
	rtt_add(&t->rtt, 40000);
	json_decref(last_stats(1));
	t->bytes[TO_CLIENT] += 500000;
	t->packets[TO_CLIENT] += 500;
	t->tcp_data_packets[TO_CLIENT] += 20;
	e = last_stats(2);
	s = json_object_get(e, "stats");
	assert_null(json_object_get(s, "type"));
	assert_int_equal(json_integer_value(json_object_get(s, "down_bytes")), 500000);
	assert_int_equal(json_integer_value(json_object_get(s, "down_bps")), 2000000);
	assert_int_equal(json_integer_value(json_object_get(s, "flows_new")), 0);
	assert_int_equal(json_integer_value(json_object_get(s, "flows_active")), 3);
	assert_null(json_object_get(s, "loss_down_ratio")); /* 20 packets tell nothing */
	assert_null(json_object_get(s, "loss_up_ratio"));
	assert_null(json_object_get(s, "rtt_ms")); /* no sample in this interval */
	json_decref(e);
	t->tcp_data_packets[TO_CLIENT] += 90;
	t->lost[TO_CLIENT] += 10;
	rtt_add(&t->rtt, 80000);
	e = last_stats(1);
	s = json_object_get(e, "stats");
	assert_float_equal(json_number_value(json_object_get(s, "loss_down_ratio")), 0.1, 1e-9);
	assert_float_equal(
		json_number_value(json_object_get(json_object_get(s, "rtt_ms"), "p50")), 80, 4);
	json_decref(e);
}

static void a_flow_that_changes_type_takes_its_counts_along(void **state)
{
	json_t *e, *s;

	m.type[0].bytes[TO_CLIENT] = 9000;
	m.type[0].flows_active = 1;
	json_decref(last_stats(1));
	m.type[0].bytes[TO_CLIENT] = 0; /* all of it is whatsapp-media now, and 1000 more came */
	m.type[1].bytes[TO_CLIENT] = 10000;
	m.type[1].flows_active = 1;
	first_line_only = true;
	e = last_stats(1);
	first_line_only = false;
	s = json_object_get(e, "stats");
	assert_string_equal(text(s, "type"), "unknown");
	assert_int_equal(json_integer_value(json_object_get(s, "down_bytes")), 0);
	json_decref(e);
	m.type[1].bytes[TO_CLIENT] += 10;
	e = last_stats(1);
	s = json_object_get(e, "stats");
	assert_int_equal(json_integer_value(json_object_get(s, "down_bytes")), 10);
	json_decref(e);
}

static void the_sum_over_types_is_what_passed(void **state)
{
	json_t *e;

	m.type[0].bytes[TO_CLIENT] = 9000;
	json_decref(last_stats(1));
	m.type[0].bytes[TO_CLIENT] = 0;
	m.type[1].bytes[TO_CLIENT] = 10000;
	e = last_stats(1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(e, "stats"), "down_bytes")),
			 1000);
	json_decref(e);
}

static void only_the_events_asked_for(void **state)
{
	struct sink_ref s = json_sink(EVENT_FINDING, false);
	struct finding f = make_finding();

	s.ops->flow(s.s, &m, &m.flow[0]);
	s.ops->stats(s.s, &m, START, 1);
	assert_int_equal(line_len, 0);
	s.ops->finding(s.s, &m, &f, FINDING_OPEN, START);
	json_decref(event());
	s.ops->close(s.s);
}

static void numbers(void **state)
{
	struct jbuf b = { 0 };

	jb_open(&b, NULL, '[');
	jb_num(&b, NULL, 1.5, 3);
	jb_num(&b, NULL, -0.00001, 3);
	jb_num(&b, NULL, NAN, 3);
	jb_num(&b, NULL, 100, 0);
	jb_num(&b, NULL, INFINITY, 0);
	jb_any(&b, NULL, 1e-7);
	jb_any(&b, NULL, 1234567.8);
	jb_u64(&b, NULL, UINT64_MAX);
	jb_i64(&b, NULL, INT64_MIN);
	jb_close(&b, ']');
	jb_raw(&b, "", 1);
	assert_string_equal(b.text, "[1.5,0,100,1e-07,1234568,18446744073709551615,"
				    "-9223372036854775808]");
	jbuf_free(&b);
}

static void times(void **state)
{
	char t[TIME_LEN];

	/* Independently computed: date -u -d @N */
	format_time(t, 0);
	assert_string_equal(t, "1970-01-01T00:00:00.000000Z");
	format_time(t, 951782400123456789ull);
	assert_string_equal(t, "2000-02-29T00:00:00.123456Z");
	format_time(t, 4107542399999999999ull);
	assert_string_equal(t, "2100-02-28T23:59:59.999999Z");
	format_time(t, UINT64_MAX);
	assert_string_equal(t, "2554-07-21T23:34:33.709551Z");
}

static void si(void **state)
{
	static const struct {
		double v;
		const char *s;
	} rows[] = { { 0, "0" },	  { 999, "999" },      { 999.6, "1.00k" },
		     { 1530, "1.53k" },	  { 84200000, "84.2M" }, { 999999999, "1.00G" },
		     { 123456, "123k" },  { NAN, "0" },	       { 1e30, "9999E" } };
	char out[8];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		format_si(out, rows[i].v);
		assert_string_equal(out, rows[i].s);
	}
}

/* What --names and --redact leave of a flow's event. */
static void told_of_people(void **state)
{
	static const uint8_t key[REDACT_KEY] = { 1, 2, 3 };
	struct privacy p = { .names = NAMES_SUFFIX, .who = REDACT_CLIENTS, .map = redact_new(key) };
	struct in6_addr was = m.flow[0].client.ip;
	json_t *e;

	e = (sink.ops->flow(sink.s, &m, &m.flow[0]), event());
	assert_null(json_object_get(e, "redacted"));
	json_decref(e);
	json_privacy(sink, &p);
	e = (sink.ops->flow(sink.s, &m, &m.flow[0]), event());
	assert_true(json_is_true(json_object_get(e, "redacted")));
	assert_string_not_equal(text(e, "src_ip"), "192.168.1.20");
	assert_string_equal(text(json_object_get(e, "flow"), "hint"), "whatsapp.net");
	assert_memory_equal(&m.flow[0].client.ip, &was, sizeof(was));
	json_decref(e);
	p.names = NAMES_NONE;
	e = (sink.ops->flow(sink.s, &m, &m.flow[0]), event());
	assert_null(json_object_get(json_object_get(e, "flow"), "hint"));
	json_decref(e);
	redact_free(p.map);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(told_of_people),
		T(flow_has_the_client_as_src),
		T(what_was_not_measured_is_absent),
		T(hostile_hint_stays_valid_json),
		T(rst_says_what_made_it_suspect),
		T(finding_carries_estimate_control_and_both_lists),
		T(no_ids_of_flows_that_were_not_kept),
		T(stop_conserves),
		T(every_tool_action_has_its_name),
		T(stats_are_of_the_interval),
		T(a_flow_that_changes_type_takes_its_counts_along),
		T(the_sum_over_types_is_what_passed),
		T(only_the_events_asked_for),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(si),
	};
	int failed;

	if (getenv("EVENTS"))
		copy = fopen(getenv("EVENTS"), "w");
	failed = cmocka_run_group_tests_name("json", tests, NULL, NULL);
	if (copy)
		fclose(copy);
	return failed;
}
