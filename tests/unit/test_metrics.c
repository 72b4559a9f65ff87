// SPDX-License-Identifier: GPL-2.0-or-later
/* Metrics: what a model holds comes out, counters never step back, nothing of anybody's traffic is in a label. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "model_own.h"

#define MS 1000000ull

struct bench {
	struct metrics *mx;
	struct model *m;
	struct findings *f;
	struct sink_ref sink;
	struct jbuf text;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->mx = metrics_new();
	b->m = model_new(100, NULL, 0);
	b->f = findings_new(10, NULL, NULL);
	b->sink = metrics_sink(b->mx);
	metrics_iface(b->mx, "wan0", 7);
	metrics_iface(b->mx, "lan0", 8);
	metrics_show(b->mx, NULL, b->m, b->f);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	metrics_free(b->mx);
	model_free(b->m);
	findings_free(b->f);
	jbuf_free(&b->text);
	free(b);
	return 0;
}

static struct flow *flow(struct bench *b, uint64_t id, unsigned ifindex, uint64_t down)
{
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .flow_id = id, .time_ns = MS, .proto = 6,
			      .ifindex = ifindex, .client = WEIR_CLIENT_LO, .sport = 54321, .dport = 443 };
	struct flow *f, *evict;

	((uint8_t *)r.saddr)[15] = 77;
	((uint8_t *)r.daddr)[15] = 99;
	f = model_flow_of(b->m, &r, &evict);
	f->count[TO_CLIENT].bytes = down;
	f->count[TO_CLIENT].packets = down / 1000;
	return f;
}

static const char *render(struct bench *b, enum metrics_form form)
{
	metrics_render(b->mx, form, &b->text);
	jb_raw(&b->text, "", 1);
	return b->text.text;
}

/* The value of the sample that begins with these words; -1: there is none. */
static double value(struct bench *b, const char *sample)
{
	const char *at = render(b, METRICS_TEXT);
	size_t n = strlen(sample);

	for (; at; at = strchr(at, '\n'), at += !!at)
		if (!strncmp(at, sample, n))
			return atof(at + n);
	return -1;
}

static void end(struct bench *b, struct flow *f, enum flow_end why)
{
	f->ended = why;
	b->sink.ops->flow(b->sink.s, b->m, f);
	model_flow_end(b->m, f);
}

static void flows_by_interface_and_type(void **state)
{
	struct bench *b = *state;
	struct flow *f = flow(b, 1, 7, 5000), *g = flow(b, 2, 8, 3000);

	model_set_type(b->m, f, model_type_id(b->m, "quic"));
	assert_true(value(b, "weir_bytes_total{interface=\"wan0\",direction=\"down\",type=\"quic\"} ") == 5000);
	assert_true(value(b, "weir_bytes_total{interface=\"lan0\",direction=\"down\",type=\"unknown\"} ") == 3000);
	assert_true(value(b, "weir_flows_active{interface=\"wan0\",type=\"quic\"} ") == 1);
	end(b, f, END_FIN);
	assert_true(value(b, "weir_flows_active{interface=\"wan0\",type=\"quic\"} ") == 0);
	assert_true(value(b, "weir_flows_started_total{interface=\"wan0\",type=\"quic\"} ") == 1);
	assert_true(value(b, "weir_flows_ended_total{interface=\"wan0\",type=\"quic\",reason=\"fin\"} ") == 1);
	assert_true(value(b, "weir_bytes_total{interface=\"wan0\",direction=\"down\",type=\"quic\"} ") == 5000);
	assert_true(value(b, "weir_packets_total{interface=\"wan0\",direction=\"down\",type=\"quic\"} ") == 5);
	(void)g;
}

static void counters_never_step_back(void **state)
{
	static const char unknown[] = "weir_bytes_total{interface=\"wan0\",direction=\"down\",type=\"unknown\"} ";
	struct bench *b = *state;
	struct flow *f = flow(b, 1, 7, 5000), *g;

	assert_true(value(b, unknown) == 5000);
	/* It finds its type and takes its bytes along. */
	model_set_type(b->m, f, model_type_id(b->m, "quic"));
	assert_true(value(b, unknown) == 5000);
	assert_true(value(b, "weir_flows_started_total{interface=\"wan0\",type=\"unknown\"} ") == 1);
	g = flow(b, 2, 7, 4000);
	assert_true(value(b, unknown) == 5000);
	g->count[TO_CLIENT].bytes = 6000;
	assert_true(value(b, unknown) == 6000);
	/* Another capture, another model: on it goes. */
	end(b, f, END_STOP);
	end(b, g, END_STOP);
	metrics_show(b->mx, NULL, NULL, NULL);
	model_free(b->m);
	b->m = model_new(100, NULL, 0);
	metrics_show(b->mx, NULL, b->m, b->f);
	assert_true(value(b, unknown) == 6000);
	flow(b, 3, 7, 1000);
	assert_true(value(b, unknown) == 7000);
}

static void failures_by_how_far_they_came(void **state)
{
	static const struct {
		uint32_t handshake, up, down;
		enum flow_end end;
		bool complete;
		const char *stage;
	} cases[] = { { 0, 0, 0, END_RST, true, "post_syn" }, { 0, 0, 0, END_TIMEOUT, true, "post_syn" },
		      { 900, 0, 0, END_RST, true, "post_ack" }, { 900, 1, 0, END_TIMEOUT, true, "post_psh" },
		      { 900, 1, 1, END_RST, true, NULL }, { 900, 1, 0, END_FIN, true, NULL },
		      { 0, 0, 0, END_STOP, true, NULL }, { 0, 0, 0, END_RST, false, NULL } };
	unsigned n[4] = { 0 };
	struct bench *b = *state;

	for (unsigned i = 0; i < 8; i++) {
		struct flow *f = flow(b, i + 1, 7, 0);

		f->handshake_us = cases[i].handshake;
		f->count[TO_SERVER].data_packets = cases[i].up;
		f->count[TO_CLIENT].data_packets = cases[i].down;
		f->complete = cases[i].complete;
		end(b, f, cases[i].end);
		for (unsigned s = 0; s < 3 && cases[i].stage; s++)
			n[s] += !strcmp(cases[i].stage, (const char *[]){ "post_syn", "post_ack", "post_psh" }[s]);
	}
	for (unsigned s = 0; s < 3; s++) {
		char sample[128];

		snprintf(sample, sizeof(sample), "weir_handshake_failures_total{interface=\"wan0\",type=\"unknown\",stage=\"%s\"} ",
			 (const char *[]){ "post_syn", "post_ack", "post_psh" }[s]);
		assert_true(value(b, sample) == n[s]);
	}
}

static void resets(void **state)
{
	struct bench *b = *state;
	struct rst_event e = { .flow = flow(b, 1, 7, 0), .suspect = true, .stage = "post_psh", .held_back = 4 };

	b->sink.ops->rst(b->sink.s, b->m, &e);
	e.suspect = false;
	e.held_back = 0;
	b->sink.ops->rst(b->sink.s, b->m, &e);
	e.stage = "no such stage";
	b->sink.ops->rst(b->sink.s, b->m, &e);
	assert_true(value(b, "weir_tcp_resets_total{interface=\"wan0\",type=\"unknown\",stage=\"post_psh\"} ") == 6);
	assert_true(value(b, "weir_tcp_resets_suspect_total{interface=\"wan0\",type=\"unknown\",stage=\"post_psh\"} ") == 1);
}

static void report(struct bench *b, uint64_t key, enum level level, double bps, bool closed)
{
	struct finding f = { .key = key, .kind = KIND_RATE_LIMIT, .subkind = SUBKIND_POLICER, .level = level,
			     .type = model_type_id(b->m, "quic"), .direction = DIRECTION_DOWN, .closed = closed };
	const struct finding *now;

	fact_num(&f.estimate, "limit_bps", bps);
	fact_num(&f.estimate, "burst_bytes", 15000);
	fact_num(&f.reasons, "why", 1);
	fact_num(&f.ruled_out, "what", 1);
	findings_report(b->f, &f);
	now = findings_by_key(b->f, key);
	b->sink.ops->finding(b->sink.s, b->m, now, FINDING_UPDATE, MS);
}

static void findings_open_and_opened(void **state)
{
	static const char likely[] = "{kind=\"rate_limit\",type=\"quic\",level=\"likely\"} ";
	struct bench *b = *state;
	char sample[128];

	report(b, 1, LEVEL_POSSIBLE, 8e6, false);
	report(b, 1, LEVEL_LIKELY, 8e6, false);
	report(b, 1, LEVEL_LIKELY, 8e6, false);
	snprintf(sample, sizeof(sample), "weir_findings_open%s", likely);
	assert_true(value(b, sample) == 1);
	snprintf(sample, sizeof(sample), "weir_findings_opened_total%s", likely);
	assert_true(value(b, sample) == 1);
	assert_true(value(b, "weir_findings_opened_total{kind=\"rate_limit\",type=\"quic\",level=\"possible\"} ") == 1);
	assert_true(value(b, "weir_findings_open{kind=\"rate_limit\",type=\"quic\",level=\"possible\"} ") == 0);
	assert_true(value(b, "weir_rate_limit_bytes_per_second{interface=\"\",direction=\"down\",type=\"quic\"} ") == 1e6);
	/* Two of one type: the tighter one, once. */
	report(b, 2, LEVEL_LIKELY, 4e6, false);
	assert_true(value(b, "weir_rate_limit_bytes_per_second{interface=\"\",direction=\"down\",type=\"quic\"} ") == 5e5);
	assert_null(strstr(strstr(b->text.text, "weir_rate_limit_bytes_per_second{") + 10,
			   "weir_rate_limit_bytes_per_second{"));
	report(b, 2, LEVEL_LIKELY, 4e6, true);
	report(b, 1, LEVEL_LIKELY, 8e6, true);
	snprintf(sample, sizeof(sample), "weir_findings_open%s", likely);
	assert_true(value(b, sample) == 0);
	assert_true(value(b, "weir_rate_limit_bytes_per_second{") == -1);
}

static void round_trips(void **state)
{
	struct bench *b = *state;
	struct type_stats t = *model_type(b->m, 0);

	rtt_sums_add(&t.rtt_side[TO_SERVER], 900);
	rtt_sums_add(&t.rtt_side[TO_SERVER], 1000);
	rtt_sums_add(&t.rtt_side[TO_SERVER], 60000);
	rtt_sums_add(&t.rtt_side[TO_SERVER], 9000000);
	model_put_type(b->m, 0, &t);
	assert_true(value(b, "weir_rtt_seconds_bucket{interface=\"\",type=\"unknown\",side=\"wan\",le=\"0.001\"} ") == 2);
	assert_true(value(b, "weir_rtt_seconds_bucket{interface=\"\",type=\"unknown\",side=\"wan\",le=\"0.1\"} ") == 3);
	assert_true(value(b, "weir_rtt_seconds_bucket{interface=\"\",type=\"unknown\",side=\"wan\",le=\"5.0\"} ") == 3);
	assert_true(value(b, "weir_rtt_seconds_bucket{interface=\"\",type=\"unknown\",side=\"wan\",le=\"+Inf\"} ") == 4);
	assert_true(value(b, "weir_rtt_seconds_count{interface=\"\",type=\"unknown\",side=\"wan\"} ") == 4);
	assert_true(value(b, "weir_rtt_seconds_sum{interface=\"\",type=\"unknown\",side=\"wan\"} ") == 9.0619);
}

static void no_label_tells_of_anybody(void **state)
{
	struct bench *b = *state;
	const char *text;

	flow(b, 1, 7, 1000)->hint = strdup("secret.example");
	text = render(b, METRICS_TEXT);
	assert_null(strstr(text, "54321"));
	assert_null(strstr(text, "::"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "443"));
}

/* A type's name may come from a user's rules. */
static void names_are_escaped(void **state)
{
	struct bench *b = *state;

	model_set_type(b->m, flow(b, 1, 7, 1000), model_type_id(b->m, "a\"b\\c\nd"));
	assert_true(value(b, "weir_flows_active{interface=\"wan0\",type=\"a\\\"b\\\\cd\"} ") == 1);
}

static void two_forms(void **state)
{
	struct bench *b = *state;
	const char *text;

	flow(b, 1, 7, 1000);
	text = render(b, METRICS_TEXT);
	assert_non_null(strstr(text, "# TYPE weir_bytes_total counter\n"));
	assert_null(strstr(text, "# EOF"));
	text = render(b, METRICS_OPENMETRICS);
	assert_non_null(strstr(text, "# TYPE weir_bytes counter\nweir_bytes_total{"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
}

static void textfile_whole_or_not_at_all(void **state)
{
	struct bench *b = *state;
	char dir[] = "/tmp/weir-prom-XXXXXX", path[64], why[256] = "";
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/w.prom", dir);
	assert_true(metrics_textfile(b->mx, path, why, sizeof(why)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_true(metrics_textfile(b->mx, path, why, sizeof(why)));
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* nothing beside it */
	assert_false(metrics_textfile(b->mx, path, why, sizeof(why)));
	assert_non_null(strstr(why, "No such file"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(flows_by_interface_and_type), T(counters_never_step_back), T(failures_by_how_far_they_came),
		T(resets), T(findings_open_and_opened), T(round_trips), T(no_label_tells_of_anybody),
		T(names_are_escaped), T(two_forms), T(textfile_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
