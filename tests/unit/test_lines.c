// SPDX-License-Identifier: GPL-2.0-or-later
/* The lines as people and grep read them: word for word. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_model.h"
#include "out.h"

#define START 1795737600000000000ull /* 2026-11-27T00:00:00Z */

static struct model m;
static char text[16384];
static size_t len;

/* Stand in for stdout. */
void output_write(const char *t, size_t n)
{
	assert_true(len + n < sizeof(text));
	memcpy(text + len, t, n);
	len += n;
	text[len] = 0;
}

void output_printf(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	output_write(line, strlen(line));
}

static struct sink_ref sink;

static void opened(unsigned events, bool json, bool live, bool bytes)
{
	struct options o = { .events = events, .json = json, .bytes = bytes, .interval_s = 1 };

	if (sink.ops)
		sink.ops->close(sink.s);
	sink = lines_sink(&o, live, NULL);
	assert_non_null(sink.ops);
	len = 0;
	*text = 0;
}

static int setup(void **state)
{
	struct flow *f;

	memset(&m, 0, sizeof(m));
	fake_type(&m, "unknown");
	fake_type(&m, "tls");
	f = fake_flow(&m, 1, "192.168.1.20", 50096, "203.0.113.7", 443, IPPROTO_TCP);
	f->type = 1;
	f->last_ns = START + 61000000000ull;
	f->ended = END_FIN;
	f->hint = (char *)"www.example.org\033[2J";
	f->count[TO_CLIENT].bytes = 1234567;
	f->count[TO_SERVER].bytes = 890;
	memcpy(f->history, "ShADadfF", 9);
	return 0;
}

static int teardown(void **state)
{
	if (sink.ops)
		sink.ops->close(sink.s);
	sink.ops = NULL;
	return 0;
}

static struct finding make(void)
{
	struct finding f = { .id = 17, .kind = KIND_RATE_LIMIT, .subkind = SUBKIND_POLICER,
			     .level = LEVEL_LIKELY, .confidence = 0.93, .type = 1,
			     .direction = DIRECTION_DOWN, .flows = 38, .clients = 14,
			     .what = "1.53 Mbit/s\nburst" };

	fact_vs(&f.estimate, "limit_bps", 1530000, 9100000);
	fact_vs(&f.reasons, "plateau_cv", 0.04, 0.31);
	fact_text(&f.ruled_out, "congestion", "the others \033[31mkept their rate");
	return f;
}

static void findings_as_lines(void **state)
{
	struct finding f = make();

	opened(0, false, true, false);
	sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START);
	f.degraded = true;
	f.type = -1;
	sink.ops->finding(sink.s, &m, &f, FINDING_CLOSE, START + 1000000000);
	assert_string_equal(text,
			    "00:00:00Z open    #17 rate_limit/policer likely 0.93 tls down 1.53 "
			    "Mbit/s?burst flows=38 clients=14\n"
			    "00:00:01Z close   #17 rate_limit/policer likely 0.93 - down 1.53 "
			    "Mbit/s?burst flows=38 clients=14 degraded\n");
}

static void a_capture_shows_the_reasons(void **state)
{
	struct finding f = make();

	opened(0, false, false, false);
	sink.ops->finding(sink.s, &m, &f, FINDING_CLOSE, START);
	assert_non_null(strstr(text, "    estimate   limit_bps 1530000, control 9100000\n"
				     "    because    plateau_cv 0.04, control 0.31\n"
				     "    ruled out  congestion: the others ?[31mkept their rate\n"));
}

static void stats_as_lines(void **state)
{
	struct type_stats *t = &m.type[1];

	opened(0, false, true, false);
	t->flows_active = 3;
	t->flows_started = 4;
	t->bytes[TO_CLIENT] = 1000000;
	t->bytes[TO_SERVER] = 12500;
	t->packets[TO_CLIENT] = 1000;
	t->tcp_data_packets[TO_CLIENT] = 950;
	t->lost[TO_CLIENT] = 50;
	t->rsts = 2;
	sink.ops->stats(sink.s, &m, START, 1);
	assert_string_equal(text, "00:00:00Z stats   tls                  flows=3 new=4 down=8.00M "
				  "up=100k bit/s loss=5.0% rst=2\n"
				  "00:00:00Z stats   all                  flows=3 new=4 down=8.00M "
				  "up=100k bit/s loss=5.0% rst=2\n");
	opened(0, false, true, true);
	sink.ops->stats(sink.s, &m, START, 2);
	assert_non_null(strstr(text, "down=500k up=6.25k byte/s"));
}

static void only_what_was_asked_for(void **state)
{
	struct finding f = make();

	opened(0, false, true, false); /* flows and resets are not among the default lines */
	sink.ops->flow(sink.s, &m, &m.flow[0]);
	assert_int_equal(len, 0);
	opened(EVENT_FLOW, false, true, false);
	sink.ops->finding(sink.s, &m, &f, FINDING_OPEN, START);
	sink.ops->stats(sink.s, &m, START, 1);
	assert_int_equal(len, 0);
	sink.ops->flow(sink.s, &m, &m.flow[0]);
	assert_string_equal(text, "00:01:01Z flow    tcp   192.168.1.20 50096 -> 203.0.113.7 443 tls "
				  "down=1.23MB up=890B end=fin history=ShADadfF "
				  "www.example.org?[2J\n");
}

static void resets_as_lines(void **state)
{
	struct rst_event e = { .flow = &m.flow[0], .time_ns = START, .suspect = true, .score = 4,
			       .reasons = { "ttl", "ipid" }, .nreasons = 2, .stage = "post_psh",
			       .ttl = 117, .flow_ttl = 54, .copies = 3 };

	opened(EVENT_RST, false, true, false);
	sink.ops->rst(sink.s, &m, &e);
	assert_string_equal(text, "00:00:00Z rst     suspect 4.00 192.168.1.20 50096 <- 203.0.113.7 443 "
				  "tls post_psh ttl=117/54 copies=3 ttl,ipid\n");
}

static void the_end_of_a_capture(void **state)
{
	struct totals t = { .c = { .seen = 10, .in_flows = 7 }, .flows_started = 2, .records = 7 };
	struct tool_event e = { .time_ns = START, .action = TOOL_STOP, .totals = &t };

	t.c.elsewhere[WEIR_NOT_IP] = 2;
	t.c.elsewhere[WEIR_FRAGMENT] = 1;
	m.type[0].flows_started = 1;
	m.type[1].flows_started = 1;
	m.type[1].bytes[TO_CLIENT] = 5000;
	opened(0, false, false, false);
	sink.ops->flow(sink.s, &m, &m.flow[0]);
	sink.ops->stats(sink.s, &m, START, 1);
	sink.ops->tool(sink.s, &e);
	assert_non_null(strstr(text, "\nTYPE "));
	assert_true(strstr(text, "\ntls ") < strstr(text, "\nunknown ")); /* by bytes */
	assert_non_null(strstr(text, "packets=10 in_flows=7 elsewhere=3 (not_ip 2, fragment 1) "
				     "flows=2 records=7 lost=0\n"));
	assert_null(strstr(text, " stats "));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(findings_as_lines),  T(a_capture_shows_the_reasons), T(stats_as_lines),
		T(only_what_was_asked_for), T(resets_as_lines), T(the_end_of_a_capture),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
