// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's sources and forms: curves of flows, evidence's packets, the history, Markdown, JSON. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "evidence.h"
#include "fake_model.h"
#include "html.h"
#include "report_history.h"
#include "report_packets.h"
#include "report_tracks.h"

#define START 1795737600000000000ull /* 2026-11-27T00:00:00Z */
#define S     1000000000ull

static struct model m;
static struct report_source source = { "a.pcap", "weir report a.pcap", "sensitivity normal", NULL,
				       false, 40 };

static struct weir_rec tcp(uint64_t ns, bool down, uint32_t seq, uint8_t flags, unsigned len, uint8_t ttl)
{
	struct in6_addr c = fake_ip("192.168.7.20"), s = fake_ip("203.0.113.9");
	struct weir_rec r = { .time_ns = ns, .flow_id = 7, .kind = WEIR_REC_PACKET, .proto = IPPROTO_TCP,
			      .flags = WEIR_REC_IPV4, .dir = down, .sport = down ? 443 : 50000,
			      .dport = down ? 50000 : 443, .ttl = ttl, .seq = seq, .tcp_flags = flags,
			      .payload_len = len, .ip_len = 40 + len, .wscale = 255, .ipid = 4242 };

	memcpy(r.saddr, down ? &s : &c, 16);
	memcpy(r.daddr, down ? &c : &s, 16);
	return r;
}

static struct finding a_finding(enum kind kind, int type)
{
	struct finding f = { .id = 3, .kind = kind, .level = LEVEL_LIKELY, .confidence = 0.9, .type = type,
			     .subkind = kind == KIND_RATE_LIMIT ? SUBKIND_POLICER : SUBKIND_ON_PATH,
			     .start_ns = START, .direction = DIRECTION_DOWN, .flows = 1, .clients = 1,
			     .servers = 1, .flow_id = { 7 } };

	strcpy(f.method, "a/b/1");
	fact_num(&f.reasons, "losses", 5);
	fact_text(&f.ruled_out, "congestion", "no");
	if (kind == KIND_RATE_LIMIT) {
		fact_num(&f.estimate, "limit_bps", 8e6);
		fact_num(&f.estimate, "burst_bytes", 1e5);
	}
	return f;
}

static char *written(void (*write)(FILE *, struct report *, const struct report_source *),
		     struct report *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	write(f, r, &source);
	assert_int_equal(fclose(f), 0);
	return text;
}

static int fresh(void **state)
{
	memset(&m, 0, sizeof(m));
	fake_type(&m, "unknown");
	fake_type(&m, "whatsapp-media");
	fake_type(&m, "tls");
	return 0;
}

/* Every byte is in the curve, whatever its length; a burst of new flows takes no place of a big one. */
static void test_tracks(void **state)
{
	struct flow *flow = fake_flow(&m, 7, "192.168.7.20", 50000, "203.0.113.9", 443, IPPROTO_TCP);
	struct finding f = a_finding(KIND_RATE_LIMIT, 1);
	static const unsigned seconds[] = { 1, 60, 3600, 90000 };

	for (unsigned k = 0; k < 4; k++) {
		struct report_tracks *t = tracks_new();
		struct report_curve c;
		double sum = 0, lost = 0;

		assert_non_null(t);
		for (unsigned i = 0; i < 1000; i++) {
			struct weir_rec r = tcp(START + i * (seconds[k] * S / 1000), true, i, 0x10, 1000, 60);
			struct flow other = *flow;

			r.label = i % 10 ? WEIR_IN_ORDER : WEIR_RETX_FILL;
			tracks_record(t, flow, &r);
			other.id = 1000 + i;
			tracks_record(t, &other, &r);
		}
		tracks_curve(t, &f, &c);
		assert_int_equal(c.flows, 1);
		for (unsigned i = 0; i < c.n; i++) {
			sum += c.bytes[i];
			lost += c.lost[i];
		}
		assert_true(fabs(sum - 1000 * 1040) < 10);
		assert_true(fabs(lost - 100) < 0.1);
		tracks_free(t);
	}
}

/* A clock that leaps or steps back neither hangs nor writes beside the bins. */
static void test_tracks_clock(void **state)
{
	struct flow *flow = fake_flow(&m, 7, "192.168.7.20", 50000, "203.0.113.9", 443, IPPROTO_TCP);
	struct finding f = a_finding(KIND_RATE_LIMIT, 1);
	struct report_tracks *t = tracks_new();
	struct report_curve c;
	static const uint64_t times[] = { START, START - S, 0, UINT64_MAX, START + 1, START + 300 * 86400 * S };

	for (unsigned i = 0; i < 6; i++) {
		struct weir_rec r = tcp(times[i], true, i, 0x10, 1000, 60);

		tracks_record(t, flow, &r);
	}
	tracks_curve(t, &f, &c);
	assert_int_equal(c.flows, 1);
	tracks_free(t);
}

static struct report_finding ladder_of(const char *comment)
{
	struct evidence *e = evidence_new(NULL);
	struct sink_ref sink = evidence_sink(e);
	struct finding f = a_finding(KIND_RST_INJECTION, 1);
	struct report_finding rf = { .f = f, .series = -1 };
	struct weir_rec r[] = {
		tcp(START, false, 100, 0x02, 0, 64),		  tcp(START + 20000000, true, 900, 0x12, 0, 54),
		tcp(START + 21000000, false, 101, 0x10, 0, 64), tcp(START + 22000000, false, 101, 0x18, 200, 64),
		tcp(START + 25000000, true, 901, 0x14, 0, 117), tcp(START + 26000000, true, 901, 0x14, 0, 117),
		tcp(START + 42000000, true, 901, 0x10, 1000, 54),
	};

	for (unsigned i = 0; i < 7; i++)
		evidence_record(e, &(struct flow){ .id = 7 }, &r[i], NULL);
	evidence_mark(e, 7, START + 25000000, comment);
	sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START + S);
	report_packets(&rf, e);
	evidence_free(e);
	return rf;
}

static void test_ladder(void **state)
{
	struct report_finding f = ladder_of("forged <b> of 192.168.7.20, \"ttl\" 117");
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_int_equal(f.npackets, 7);
	assert_int_equal(f.packet[0].way, TO_SERVER);
	assert_int_equal(f.packet[1].way, TO_CLIENT);
	assert_int_equal(f.packet[4].ttl, 117);
	assert_int_equal(f.packet[3].payload, 200);
	report_ladder(to, &f);
	fclose(to);
	assert_non_null(strstr(text, "PSH-ACK seq 1, 200 bytes"));
	/* the marked one and its copy, no other */
	assert_non_null(strstr(text, "class=\"odd\""));
	assert_non_null(strstr(text, "<text x=\"8\" y=\"198\">25.0 ms</text><text class=\"odd\""));
	assert_non_null(strstr(text, "<text x=\"8\" y=\"232\">26.0 ms</text><text class=\"odd\""));
	assert_non_null(strstr(text, "<text x=\"8\" y=\"266\">42.0 ms</text><text x="));
	assert_non_null(strstr(text, "forged &lt;b&gt; of [address], &quot;ttl&quot; 117"));
	assert_null(strstr(text, "192.168"));
	assert_null(strstr(text, "203.0.113"));
	free(text);
}

/* Without a mark nobody knows which packet matters: no ladder. */
static void test_no_mark(void **state)
{
	struct pcapng_view none = { 0 };
	struct report_finding f = { .series = -1 };

	report_packets_of(&f, &none, 0);
	assert_int_equal(f.npackets, 0);
	f = ladder_of("");
	assert_int_equal(f.npackets, 0);
}

/* What was written can be read, what is cut or broken ends the reading. */
static void test_read_back(void **state)
{
	struct pcapng_view v[8];
	char *file = NULL;
	size_t len;
	FILE *f = open_memstream(&file, &len);
	uint8_t data[PACKET_HEADERS_MAX];
	struct weir_rec r = tcp(START, false, 100, 0x02, 0, 64);
	unsigned original, n = packet_make(data, &r, NULL, 0, &original);

	assert_true(pcapng_begin(f, "title"));
	assert_true(pcapng_packet(f, START, data, n, original, "first"));
	assert_true(pcapng_packet(f, START + 1, data, n, original, NULL));
	fclose(f);
	assert_int_equal(pcapng_read((uint8_t *)file, len, v, 8), 2);
	assert_int_equal(v[0].time_ns, START);
	assert_int_equal(v[0].comment_len, 5);
	assert_memory_equal(v[0].comment, "first", 5);
	assert_memory_equal(v[1].data, data, n);
	assert_null(v[1].comment);
	assert_int_equal(pcapng_read((uint8_t *)file, len, v, 1), 1);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut ? cut : 1); /* the sanitizer sees what is read behind it */

		memcpy(part, file, cut);
		assert_true(pcapng_read(part, cut, v, 8) <= 2);
		free(part);
	}
	free(file);
}

static struct report *of_history(const char *path, const struct report_range *range)
{
	struct history_error e;
	sqlite3 *db = history_open(path, false, &e);
	struct report *r = report_new(false);

	assert_non_null(db);
	assert_true(report_history(r, db, range));
	sqlite3_close(db);
	return r;
}

static void remove_history(const char *path)
{
	char name[128];

	for (const char *const *s = (const char *const[]){ "", "-wal", "-shm", NULL }; *s; s++) {
		snprintf(name, sizeof(name), "%s%s", path, *s);
		unlink(name);
	}
}

/* A finding a day for forty days, with its traffic; media first, calls later. */
static void test_history(void **state)
{
	char path[64] = "/tmp/weir-report-XXXXXX";
	struct report_range all = { INT64_MIN, INT64_MAX, NULL, NULL }, week = all, calls = all;
	struct history_error e;
	struct sink_ref h;
	struct report *r;
	char *page;

	close(mkstemp(path));
	unlink(path);
	fake_type(&m, "whatsapp-call");
	h = history_sink(path, &e);
	assert_non_null(h.ops);
	for (unsigned day = 0; day < 40; day++) {
		for (unsigned i = 0; i < 30; i++) {
			uint64_t t = START + (day * 86400ull + 10 + i * 10) * S;

			m.type[1].bytes[TO_CLIENT] += 1000000;
			m.type[1].packets[TO_CLIENT] += 1000;
			m.type[1].tcp_data_packets[TO_CLIENT] += 1000;
			m.type[1].lost[TO_CLIENT] += 50;
			m.type[2].bytes[TO_CLIENT] += 3000000;
			m.type[2].packets[TO_CLIENT] += 3000;
			m.type[2].tcp_data_packets[TO_CLIENT] += 3000;
			h.ops->stats(h.s, &m, t, 10);
		}
		for (unsigned k = 0; k < (day < 20 ? 1 : 2); k++) {
			struct finding f = a_finding(k ? KIND_SELECTIVE_DROP : KIND_RATE_LIMIT, k ? 3 : 1);

			f.id = history_next(&h);
			f.start_ns = START + day * 86400ull * S;
			f.end_ns = f.start_ns + 300 * S;
			f.closed = true;
			f.subkind = k ? SUBKIND_LOSS : SUBKIND_POLICER;
			strcpy(f.reasons.fact[0].text, "by 192.0.2.9");
			fact_text(&f.control, "types", "tls");
			h.ops->finding(h.s, &m, &f, FINDING_CLOSE, f.end_ns);
		}
	}
	h.ops->close(h.s);

	r = of_history(path, &all);
	assert_int_equal(r->nfindings, 60);
	assert_int_equal(r->total[LEVEL_LIKELY], 60);
	/* by the order in which they came */
	assert_string_equal(r->type[0].name, "whatsapp-media");
	assert_true(fabs(loss_ratio(&r->type[0], TO_CLIENT) - 50 / 1050.0) < 1e-6);
	for (unsigned i = 0; i < r->nfindings; i++) {
		double sum[2] = { 0 };

		if (r->finding[i].f.kind != KIND_RATE_LIMIT)
			continue;
		for (unsigned b = 0; b < REPORT_BINS; b++)
			for (unsigned c = 0; c < 2; c++)
				sum[c] += r->finding[i].plot.bytes[c][b];
		assert_true(fabs(sum[0] - 30e6) < 1 && fabs(sum[1] - 90e6) < 1);
	}
	page = written(report_html, r);
	assert_non_null(strstr(page, "<h1>60 claims of interference</h1>"));
	assert_non_null(strstr(page, "First whatsapp-media (since 11-27 00:00Z), then whatsapp-call (since "
				     "12-17 00:00Z)."));
	assert_non_null(strstr(page, ">40</td>"));
	assert_non_null(strstr(page, "Bytes over time, and the token line"));
	assert_null(strstr(page, "192.0.2.9"));
	assert_true(strlen(page) < 100000);
	free(page);
	report_free(r);

	week.since_us = (int64_t)(START / 1000) + 30 * 86400000000ll;
	week.until_us = week.since_us + 7 * 86400000000ll;
	r = of_history(path, &week);
	assert_int_equal(r->nfindings, 16);
	report_free(r);
	calls.type = "whatsapp-call";
	r = of_history(path, &calls);
	assert_int_equal(r->nfindings, 20);
	report_free(r);
	remove_history(path);
}

/* Rows as only somebody else would write them. */
static void test_foreign_history(void **state)
{
	char path[64] = "/tmp/weir-report-XXXXXX";
	struct report_range all = { INT64_MIN, INT64_MAX, NULL, NULL };
	struct history_error e;
	struct sink_ref h;
	struct report *r;
	sqlite3 *db;
	char *page;

	close(mkstemp(path));
	unlink(path);
	h = history_sink(path, &e);
	h.ops->close(h.s);
	db = history_open(path, true, &e);
	assert_int_equal(sqlite3_exec(db,
		"INSERT INTO finding (id,run,number,kind,subkind,level,type,direction,start,end,updated,closed,what,body)"
		" VALUES (1,1,1,'rate_limit','policer',7,'x','down',1,2,3,1,'','{'),"
		" (2,1,2,'nonsense','policer',1,'x','down',1,2,3,1,'',''),"
		" (3,1,3,'rate_limit','policer',1,'</b><script>','down',1795737600000000,-5,9223372036854775807,1,"
		"  '<img src=x>','\"estimate\":{\"limit_bps\":\"x\",\"\\u0000\":1},\"reasons\":[1,{},{\"test\":5}],\"ruled_out\":7'),"
		" (-4,1,4,'selective_drop','loss',1,'x','up',9223372036854775807,-9223372036854775808,0,0,'',x'00ff');"
		"INSERT INTO type VALUES (9,'x'); INSERT INTO series_1h VALUES"
		" (9223372036854775807,9,1,1,1e300,1,1,1,1,1,1,1,1,1,1,1),(-1,9,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1);",
		NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	r = of_history(path, &all);
	for (unsigned k = 0; k < 3; k++) {
		static void (*const write[])(FILE *, struct report *, const struct report_source *) = {
			report_html, report_md, report_json
		};

		page = written(write[k], r);
		if (k < 2)
			assert_null(strstr(page, "<script"));
		free(page);
	}
	report_free(r);
	remove_history(path);
}

static struct report *with_findings(unsigned n)
{
	struct report *r = report_new(true);
	struct sink_ref sink = report_sink(r);
	struct tool_event stop = { .time_ns = START + 101 * S, .action = TOOL_STOP };
	struct flow *flow = fake_flow(&m, 7, "192.168.7.20", 50000, "203.0.113.9", 443, IPPROTO_TCP);

	for (unsigned i = 1; i <= 1000; i++) {
		struct weir_rec p = tcp(START + i * S / 10, true, i, 0x10, i % 7 * 200, 60);

		p.label = i % 3 ? WEIR_IN_ORDER : WEIR_RETX_SEEN;
		report_record(r, flow, &p);
		m.type[1].bytes[TO_CLIENT] += i % 7 * 200;
		m.type[2].bytes[TO_CLIENT] += i % 11 * 200;
		if (i % 10 == 0)
			sink.ops->stats(sink.s, &m, START + i * S / 10, 1);
	}
	for (unsigned id = 1; id <= n; id++) {
		struct finding f = a_finding(KIND_RATE_LIMIT, 1);

		f.id = id;
		f.estimate.fact[0].value = 12000;
		for (unsigned i = 0; i < 10; i++) {
			fact_text(&f.reasons, "a_reason_with_a_name", "a text that is about as long as they come, %u", i);
			fact_text(&f.ruled_out, "an_explanation", "a_text *with* [marks](x) | `and` <b>, %u", i);
		}
		sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START + 100 * S);
	}
	sink.ops->tool(sink.s, &stop);
	return r;
}

static void test_size(void **state)
{
	struct report *r = with_findings(10);
	char *page = written(report_html, r);

	assert_non_null(strstr(page, "class=\"loss\""));
	assert_non_null(strstr(page, "of 1 flow that show it"));
	assert_true(strlen(page) < 100000);
	free(page);
	report_free(r);
}

/* The page's text, and nothing in it that Markdown would take for its own. */
static void test_markdown(void **state)
{
	struct report *r = with_findings(1);
	char *t = written(report_md, r), *cells;
	unsigned n = 0;

	assert_memory_equal(t, "# 1 claim of interference\n\n", 27);
	assert_non_null(strstr(t, "#1 **Likely:** whatsapp-media to the client held to"));
	assert_non_null(strstr(t, "| What else it could be | The test | Result |\n|---|---|---|\n"));
	assert_non_null(strstr(t, "| an explanation | a\\_text \\*with\\* \\[marks\\](x) \\| \\`and\\` &lt;b&gt;, 0 | ruled out |\n"));
	assert_non_null(strstr(t, "`weir report a.pcap`"));
	assert_null(strstr(t, "<"));
	for (cells = t; (cells = strstr(cells, "\n|---")); cells++)
		n++;
	assert_true(n >= 4);
	free(t);
	report_free(r);
}

static void test_json(void **state)
{
	struct report *r = with_findings(2);
	char *t = written(report_json, r);
	json_error_t err;
	json_t *j = json_loads(t, JSON_REJECT_DUPLICATES, &err), *f;

	assert_non_null(j);
	assert_int_equal(json_array_size(json_object_get(j, "findings")), 2);
	f = json_array_get(json_object_get(j, "findings"), 0);
	assert_string_equal(json_string_value(json_object_get(f, "kind")), "rate_limit");
	assert_int_equal(json_array_size(json_object_get(json_object_get(f, "series"), "bytes")),
			 json_array_size(json_object_get(json_object_get(f, "series"), "control_bytes")));
	json_decref(j);
	free(t);
	report_free(r);
}

static void test_redact(void **state)
{
	static const struct {
		const char *in, *out;
		size_t size;
	} cases[] = {
		{ "from 10.0.0.1, 10.0.0.1.", "from [address], [address].", 64 },
		{ "::1", "[addre", 7 },
		{ "192.168.100.200 and more", "[address] and more", 25 },
		{ "1.2.3 2001:db8::1", "1.2.3 [address]", 18 },
		{ "", "", 1 },
		{ "1.1.1.1", "[addres", 8 },
		{ "x 1.1.1.1 y 1.1.1.1 z", "x [address] y [address]", 24 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = malloc(cases[i].size);

		strcpy(text, cases[i].in);
		html_redact(text, cases[i].size);
		assert_string_equal(text, cases[i].out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_tracks, fresh),	    cmocka_unit_test_setup(test_tracks_clock, fresh),
		cmocka_unit_test_setup(test_ladder, fresh),	    cmocka_unit_test_setup(test_no_mark, fresh),
		cmocka_unit_test_setup(test_read_back, fresh),	    cmocka_unit_test_setup(test_history, fresh),
		cmocka_unit_test_setup(test_foreign_history, fresh), cmocka_unit_test_setup(test_size, fresh),
		cmocka_unit_test_setup(test_markdown, fresh),	    cmocka_unit_test_setup(test_json, fresh),
		cmocka_unit_test_setup(test_redact, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
