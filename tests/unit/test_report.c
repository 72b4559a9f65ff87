// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's page: nothing from the wire becomes markup, nothing is loaded, no client is named,
 * it is small. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_model.h"
#include "html.h"
#include "report.h"

#define START 1795737600000000000ull /* 2026-11-27T00:00:00Z */
#define S 1000000000ull

static struct model m;
static struct report *r;
static struct sink_ref sink;
static struct report_source source;
static struct totals totals;

static int begin(void **state)
{
	memset(&m, 0, sizeof(m));
	memset(&totals, 0, sizeof(totals));
	fake_type(&m, "unknown");
	r = report_new(false);
	if (!r)
		return -1;
	sink = report_sink(r);
	source = (struct report_source){
		"a.pcap", "weir report a.pcap", "sensitivity normal", "abc123", false, 40
	};
	return 0;
}

static int end(void **state)
{
	report_free(r);
	return 0;
}

/* Caller frees. */
static char *page(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	report_html(f, r, &source);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void stop(uint64_t time_ns)
{
	struct tool_event e = { .time_ns = time_ns, .action = TOOL_STOP, .totals = &totals };

	sink.ops->tool(sink.s, &e);
}

static struct finding limit(unsigned id, int type)
{
	struct finding f = { .id = id,
			     .kind = KIND_RATE_LIMIT,
			     .subkind = SUBKIND_POLICER,
			     .level = LEVEL_LIKELY,
			     .confidence = 0.93,
			     .start_ns = START,
			     .type = type,
			     .direction = DIRECTION_DOWN,
			     .flows = 38,
			     .clients = 14 };

	strcpy(f.method, "rate_limit/bucket/1");
	fact_num(&f.estimate, "limit_bps", 1.53e6);
	fact_num(&f.estimate, "limit_bps_low", 1.46e6);
	fact_num(&f.estimate, "limit_bps_high", 1.6e6);
	fact_num(&f.estimate, "burst_bytes", 1e5);
	fact_text(&f.control, "types", "tls");
	fact_num(&f.control, "rate_bps", 9.1e6);
	fact_num(&f.reasons, "losses", 123);
	fact_text(&f.ruled_out, "congestion", "tls lost nothing");
	return f;
}

static void tell(const struct finding *f, enum finding_action action)
{
	sink.ops->finding(sink.s, &m, f, action, START + 10 * S);
}

/* Every tag that opens closes, in order; every & begins a reference; attributes are quoted. */
static void assert_well_formed(const char *t)
{
	char open[32][24];
	unsigned depth = 0;

	assert_memory_equal(t, "<!DOCTYPE html>", 15);
	for (t += 15; *t; t++) {
		if (*t == '&') {
			size_t n = strcspn(t, "; <");

			assert_true(t[n] == ';' && n < 8);
			assert_true(t[1] == '#' || !strncmp(t, "&lt;", 4) ||
				    !strncmp(t, "&gt;", 4) || !strncmp(t, "&amp;", 5) ||
				    !strncmp(t, "&quot;", 6));
			continue;
		}
		assert_true((unsigned char)*t >= 0x20 || *t == '\n' || *t == '\t');
		if (*t != '<')
			continue;
		bool closes = *++t == '/';
		size_t n = strcspn(t += closes, " />\n");
		char name[24], quote = 0;

		assert_true(n && n < sizeof(name));
		memcpy(name, t, n);
		name[n] = 0;
		for (t += n; *t && (quote || *t != '>'); t++) {
			if (*t == '"')
				quote = !quote;
			assert_true(*t != '<');
		}
		assert_int_equal(*t, '>');
		if (closes) {
			assert_true(depth);
			assert_string_equal(open[--depth], name);
		} else if (t[-1] != '/') {
			assert_true(depth < 32);
			strcpy(open[depth++], name);
		}
	}
	assert_int_equal(depth, 0);
}

static void assert_self_contained(const char *t)
{
	static const char *const never[] = { "<script",	   "://",     "src=",  "href=",
					     "javascript", "@import", "xmlns", "<img",
					     "<link",	   "<iframe", "onload" };

	for (unsigned i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (strstr(t, never[i]))
			fail_msg("the page has %s", never[i]);
	assert_non_null(strstr(t, "content=\"default-src 'none'; style-src 'unsafe-inline'\""));
}

static void assert_has(const char *t, const char *what)
{
	if (!strstr(t, what))
		fail_msg("the page lacks: %s\n%s", what, t);
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *plain, *redacted;
	} cases[] = {
		{ "<script>alert(\"1\")&'", "&lt;script&gt;alert(&quot;1&quot;)&amp;&#39;", NULL },
		{ "http://a/", "http&#58;//a/", NULL },
		{ "a\x01\x7f\x1b[0m", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[0m", NULL },
		{ "\xc3\xa4\xff\xc0\x80z", "\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz", NULL },
		{ "\xe2\x80\xae"
		  "gpj",
		  "\xef\xbf\xbdgpj", NULL }, /* turns the reading direction */
		{ "\xef\xbf\xbf\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd",
		  NULL }, /* no character in XML; C1 */
		{ "from 10.0.0.1, 10.0.0.1.", "from 10.0.0.1, 10.0.0.1.",
		  "from [address], [address]." },
		{ "[2001:db8::1]:443 ::1", "[2001:db8::1]:443 ::1", "[[address]]:443 [address]" },
		{ "1.2.3 a1.2.3.4 12:30:01", "1.2.3 a1.2.3.4 12:30:01", "1.2.3 a1.2.3.4 12:30:01" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned redact = 0; redact < 2; redact++) {
			const char *want =
				redact && cases[i].redacted ? cases[i].redacted : cases[i].plain;
			char *text = NULL;
			size_t len;
			FILE *f = open_memstream(&text, &len);

			(redact ? html_text_redacted : html_text)(f, cases[i].in);
			fclose(f);
			assert_string_equal(text, want);
			free(text);
		}
	}
}

static void test_numbers(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	html_si(f, 1.53e6, "bit/s");
	fputs("|", f);
	html_si(f, 20, "B");
	fputs("|", f);
	html_percent(f, 0.254);
	fputs("|", f);
	html_percent(f, 0.00001);
	fputs("|", f);
	html_time(f, START + 3723 * S);
	fclose(f);
	assert_string_equal(text, "1.53 Mbit/s|20 B|25 %|less than 0.01 %|2026-11-27 01:02:03 UTC");
	free(text);
}

static void test_sentence(void **state)
{
	struct finding f;
	char *t;

	fake_type(&m, "tls");
	f = limit(1, fake_type(&m, "whatsapp-media"));
	tell(&f, FINDING_OPEN);
	stop(START + 20 * S);
	t = page();
	assert_has(t, "<b>Likely:</b> whatsapp-media to the client held to 1.53 Mbit/s (interval "
		      "1.46 Mbit/s to 1.60 Mbit/s) "
		      "by a policer, burst 100 kB. Control: tls had 9.10 Mbit/s on the same path "
		      "at the same time. "
		      "Confidence 0.93; 38 flows of 14 clients.");
	assert_has(t, "<tr><th>A full link (congestion)</th><td>tls lost "
		      "nothing</td><td>ruled out</td></tr>");
	assert_has(t, "abc123");
	assert_well_formed(t);
	assert_self_contained(t);
	free(t);
}

static void test_hostile(void **state)
{
	struct finding f = limit(1, fake_type(&m, "</th><script>x\"'&\xff"));

	m.type[1].flows_started = 1;
	strcpy(f.method, "<b>&");
	strcpy(f.what, "<img src=http://evil/ onerror=1> from 192.0.2.7");
	fact_text(&f.reasons, "trigger", "\"><script>alert(1)</script> 192.0.2.7 fd00::7");
	fact_text(&f.ruled_out, "<i>", "]]><!--\x01");
	source.name = "<script>.pcap";
	source.command = "weir report --filter 'host 192.0.2.7' '<script>.pcap'";
	tell(&f, FINDING_OPEN);
	stop(START + 20 * S);
	char *t = page();

	assert_well_formed(t);
	/* The words are there, as text only. */
	assert_null(strstr(t, "<script"));
	assert_null(strstr(t, "<img"));
	assert_null(strstr(t, "://"));
	assert_has(t, "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt; [address] [address]");
	assert_null(strstr(t, "192.0.2.7"));
	free(t);
}

/* The answers to a DNS question stay; what a flow's client is called nowhere does. */
static void test_addresses(void **state)
{
	struct flow *flow =
		fake_flow(&m, 7, "198.51.100.23", 40000, "203.0.113.9", 53, IPPROTO_UDP);
	struct finding f = limit(1, 0);

	f.kind = KIND_DNS_INJECTION;
	f.subkind = SUBKIND_RACE;
	f.flow_id[0] = 7;
	fact_text(&f.estimate, "forged_answer", "10.10.34.34");
	flow->start_ns = START;
	flow->last_ns = START + S;
	sink.ops->flow(sink.s, &m, flow);
	tell(&f, FINDING_CLOSE);
	stop(START + 20 * S);
	char *t = page();

	assert_has(t, "10.10.34.34");
	assert_null(strstr(t, "198.51.100.23"));
	free(t);
}

static void test_nothing(void **state)
{
	char *t;

	stop(0); /* an empty capture: the model was never seen */
	t = page();
	assert_has(t, "Nothing was found.");
	assert_well_formed(t);
	assert_self_contained(t);
	free(t);
}

static void run_traffic(unsigned seconds, unsigned step_s)
{
	for (unsigned s = step_s; s <= seconds; s += step_s) {
		m.type[1].bytes[TO_CLIENT] += 1000 * step_s;
		m.type[2].bytes[TO_CLIENT] += 4000 * step_s;
		sink.ops->stats(sink.s, &m, START + s * S, step_s);
	}
}

/* However long it lasts the bins suffice, and they hold every byte. */
static void test_series(void **state)
{
	static const struct {
		unsigned seconds, step_s;
	} runs[] = {
		{ 5, 1 }, { REPORT_BINS, 1 }, { REPORT_BINS + 1, 1 }, { 7200, 1 }, { 864000, 3600 }
	};

	for (unsigned i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		double sum = 0;

		end(state);
		assert_int_equal(begin(state), 0);
		fake_type(&m, "tls");
		fake_type(&m, "http");
		run_traffic(runs[i].seconds, runs[i].step_s);
		for (unsigned b = 0; b < REPORT_BINS; b++)
			sum += r->series.bytes[1][TO_CLIENT][b];
		assert_true(fabs(sum - 1000.0 * runs[i].seconds) < 1);
		assert_true(r->series.width_ns * REPORT_BINS >= runs[i].seconds * S);
		assert_true(r->series.width_ns == S ||
			    r->series.width_ns * REPORT_BINS < 2 * runs[i].seconds * S);
	}
}

static void test_size(void **state)
{
	struct finding f;
	char *t;

	fake_type(&m, "whatsapp-media");
	fake_type(&m, "tls");
	m.type[1].flows_started = m.type[2].flows_started = 9;
	run_traffic(190, 1);
	for (unsigned id = 1; id <= 10; id++) {
		f = limit(id, 1);
		for (unsigned i = 0; i < 9; i++) {
			fact_text(&f.reasons, "a_reason_with_a_name",
				  "a text that is about as long as they come, %u", i);
			fact_text(&f.ruled_out, "an_explanation",
				  "a text that is about as long as they come, %u", i);
		}
		tell(&f, FINDING_OPEN);
		tell(&f, FINDING_UPDATE);
	}
	stop(START + 191 * S);
	t = page();
	assert_has(t, "<h1>10 claims of interference</h1>");
	assert_has(t, "<path class=\"type\"");
	assert_has(t, "<path class=\"control\"");
	assert_has(t, "class=\"lim\"");
	assert_has(t, "class=\"band\"");
	assert_has(t, "control: tls");
	assert_true(strlen(t) < 100000);
	assert_well_formed(t);
	assert_self_contained(t);
	free(t);
}

/* When there is no room, what says least gives way. */
static void test_crowd(void **state)
{
	struct finding f = limit(1, 0);
	char *t;

	f.level = LEVEL_POSSIBLE;
	for (unsigned id = 1; id <= REPORT_FINDINGS + 5; id++) {
		f.id = id;
		tell(&f, FINDING_OPEN);
	}
	f.id = 1000;
	f.level = LEVEL_LIKELY;
	tell(&f, FINDING_OPEN);
	stop(START + 20 * S);
	t = page();
	assert_has(t, "<div class=\"card\">#1000 ");
	assert_has(t, "122 more findings");
	assert_well_formed(t);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test_setup_teardown(test_sentence, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile, begin, end),
		cmocka_unit_test_setup_teardown(test_addresses, begin, end),
		cmocka_unit_test_setup_teardown(test_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_series, begin, end),
		cmocka_unit_test_setup_teardown(test_size, begin, end),
		cmocka_unit_test_setup_teardown(test_crowd, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
