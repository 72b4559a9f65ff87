// SPDX-License-Identifier: GPL-2.0-or-later
/* Capture files of every link type, whole, broken off and gzipped: what is counted, and what is said. */
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>
#include <zlib.h>

#include "engine_kit.h"
#include "file.h"

#include <pcap/dlt.h>

static char said[4096]; /* on stderr, by the last analyze() */

struct capture {
	uint8_t b[1 << 16];
	unsigned n;
};

static void put_le32(struct capture *c, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		c->b[c->n++] = (uint8_t)(v >> 8 * i);
}

static void pcap_begin(struct capture *c, unsigned dlt)
{
	c->n = 0;
	put_le32(c, 0xa1b2c3d4);
	put_le32(c, 4 << 16 | 2);
	put_le32(c, 0);
	put_le32(c, 0);
	put_le32(c, 65535);
	put_le32(c, dlt);
}

/* before: n bytes of link header in front of the IP packet. */
static void pcap_packet(struct capture *c, uint32_t s, const void *before, unsigned n, const struct pk *p, uint32_t cut)
{
	uint8_t b[PK_MAX];
	unsigned len = pk_build(b, p);

	put_le32(c, s);
	put_le32(c, 0);
	put_le32(c, n + len - cut);
	put_le32(c, n + len);
	memcpy(c->b + c->n, before, n);
	memcpy(c->b + c->n + n, b, len - cut);
	c->n += n + len - cut;
}

/* Its exit code; what it says on stderr is in said. */
static int analyze_path(const char *path, struct totals *t)
{
	struct pipeline_config cfg = { .sensitivity = SENSITIVITY_NORMAL };
	struct pipeline *p = pipeline_new(&cfg);
	int words = memfd_create("stderr", 0), terminal = dup(2), code;
	ssize_t n;

	assert_non_null(p);
	dup2(words, 2);
	code = file_analyze(p, path, NULL, 0, 0, t);
	dup2(terminal, 2);
	n = pread(words, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = 0;
	close(words);
	close(terminal);
	pipeline_finish(p, t);
	pipeline_free(p);
	return code;
}

static int analyze(const uint8_t *b, unsigned n, struct totals *t)
{
	int fd = memfd_create("capture", 0), code;
	char path[32];

	assert_int_equal(write(fd, b, n), n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	code = analyze_path(path, t);
	close(fd);
	return code;
}

static const struct pk plain = { .link = PK_NONE, .src = 9, .dst = 1, .sport = 5000, .dport = 443, .flags = ACK, .len = 50 };

static void link_types(void **state)
{
	static const struct {
		const char *name;
		unsigned dlt, n;
		const char *before;
		unsigned want; /* WEIR_ELSEWHERE: in a flow */
	} rows[] = {
		{ "raw", DLT_RAW, 0, "", WEIR_ELSEWHERE },
		{ "IPv4", DLT_IPV4, 0, "", WEIR_ELSEWHERE },
		{ "null", DLT_NULL, 4, "\2\0\0\0", WEIR_ELSEWHERE },
		{ "loop", DLT_LOOP, 4, "\0\0\0\2", WEIR_ELSEWHERE },
		{ "SLL", DLT_LINUX_SLL, 16, "\0\0\0\1\0\6\2\0\0\0\0\1\0\0\x08\0", WEIR_ELSEWHERE },
		{ "SLL2", DLT_LINUX_SLL2, 20, "\x08\0\0\0\0\0\0\2\0\1\0\6\2\0\0\0\0\1\0\0", WEIR_ELSEWHERE },
		{ "PPP", DLT_PPP, 2, "\0\x21", WEIR_ELSEWHERE },
		{ "PPP, address and control", DLT_PPP, 4, "\xff\3\0\x21", WEIR_ELSEWHERE },
		{ "PPP, one byte", DLT_PPP, 1, "\x21", WEIR_ELSEWHERE },
		{ "PPP, LCP", DLT_PPP, 2, "\xc0\x21", WEIR_LINK },
		{ "PPPoE", DLT_PPP_ETHER, 8, "\x11\0\0\1\0\0\0\x21", WEIR_ELSEWHERE },
		{ "802.11, LLC", DLT_IEEE802_11, 32,
		  "\x08\1\0\0\2\0\0\0\0\1\2\0\0\0\0\2\2\0\0\0\0\3\0\0\xaa\xaa\3\0\0\0\x08\0", WEIR_ELSEWHERE },
		{ "802.11, encrypted", DLT_IEEE802_11, 32,
		  "\x08\x41\0\0\2\0\0\0\0\1\2\0\0\0\0\2\2\0\0\0\0\3\0\0\xaa\xaa\3\0\0\0\x08\0", WEIR_LINK },
		{ "radiotap", DLT_IEEE802_11_RADIO, 40,
		  "\0\0\x08\0\0\0\0\0\x08\1\0\0\2\0\0\0\0\1\2\0\0\0\0\2\2\0\0\0\0\3\0\0\xaa\xaa\3\0\0\0\x08\0", WEIR_ELSEWHERE },
		{ "radiotap beyond the packet", DLT_IEEE802_11_RADIO, 4, "\0\0\xff\xff", WEIR_LINK },
		{ "USB", DLT_USB_LINUX, 0, "", WEIR_LINK },
	};
	struct capture *c = calloc(1, sizeof(*c));

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct totals t;

		pcap_begin(c, rows[i].dlt);
		pcap_packet(c, 1700000000, rows[i].before, rows[i].n, &plain, 0);
		assert_int_equal(analyze(c->b, c->n, &t), 0);
		if (t.c.seen != 1 || t.c.in_flows != (rows[i].want == WEIR_ELSEWHERE) ||
		    (rows[i].want < WEIR_ELSEWHERE && t.c.elsewhere[rows[i].want] != 1))
			fail_msg("%s: %u in flows, %u of no known link", rows[i].name, (unsigned)t.c.in_flows,
				 (unsigned)t.c.elsewhere[WEIR_LINK]);
		if (t.c.in_flows)
			assert_int_equal(t.c.in_flow_bytes, 90);
	}
	free(c);
}

/* Snapped packets count with their lengths on the wire. */
static void snapped(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct totals t;

	pcap_begin(c, DLT_RAW);
	pcap_packet(c, 1700000000, "", 0, &plain, 50);
	pcap_packet(c, 1700000001, "", 0, &plain, 51);
	assert_int_equal(analyze(c->b, c->n, &t), 0);
	assert_int_equal(t.c.in_flows, 1);
	assert_int_equal(t.c.in_flow_bytes, 90);
	assert_int_equal(t.c.elsewhere[WEIR_TRUNCATED], 1);
	free(c);
}

/* Broken off anywhere: what came before counts, the exit code says it, the place is named. */
static void broken_off(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct totals t;
	unsigned first;
	char at[64];

	pcap_begin(c, DLT_RAW);
	pcap_packet(c, 1700000000, "", 0, &plain, 0);
	first = c->n;
	pcap_packet(c, 1700000001, "", 0, &plain, 0);
	snprintf(at, sizeof(at), "is broken at byte %u, after 1 packets", first);
	for (unsigned n = first; n < c->n; n++) {
		int code = analyze(c->b, n, &t);

		assert_int_equal(t.c.in_flows, 1);
		assert_int_equal(code, n == first ? 0 : EX_DATAERR);
		if (n > first)
			assert_non_null(strstr(said, at));
	}
	for (unsigned n = 0; n < 24; n++) {
		assert_int_equal(analyze(c->b, n, &t), EX_DATAERR);
		assert_int_equal(t.c.seen, 0);
	}
	assert_int_equal(analyze((const uint8_t *)"no capture at all, just text", 28, &t), EX_DATAERR);
	free(c);
}

static void gzipped(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	uint8_t packed[4096];
	z_stream z = { .next_out = packed, .avail_out = sizeof(packed) };
	struct totals t;

	pcap_begin(c, DLT_RAW);
	for (unsigned i = 0; i < 20; i++)
		pcap_packet(c, 1700000000 + i, "", 0, &plain, 0);
	z.next_in = c->b;
	z.avail_in = c->n;
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(analyze(packed, (unsigned)z.total_out, &t), 0);
	assert_int_equal(t.c.in_flows, 20);
	assert_int_equal(analyze(packed, (unsigned)z.total_out / 2, &t), EX_DATAERR);
	deflateEnd(&z);
	free(c);
}

/* Times that step back, and forward by years, end nothing twice and lose nothing. */
static void times_step(void **state)
{
	static const uint32_t times[] = { 1700000000, 1700000001, 1600000000, 1600000001, 4000000000u, 1700000002, 0, 1 };
	struct capture *c = calloc(1, sizeof(*c));
	struct totals t;

	pcap_begin(c, DLT_RAW);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		pcap_packet(c, times[i], "", 0, &plain, 0);
	assert_int_equal(analyze(c->b, c->n, &t), 0);
	assert_int_equal(t.c.in_flows, 8);
	free(c);
}

/* What is told in time. */
struct told {
	unsigned stats, steps, resets;
	double longest_s;
	uint64_t stats_ns, reset_ns;
};

static void told_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct told *t = s;

	t->stats++;
	t->stats_ns = time_ns;
	t->longest_s = interval_s > t->longest_s ? interval_s : t->longest_s;
}

static void told_tool(void *s, const struct tool_event *e)
{
	((struct told *)s)->steps += e->action == TOOL_LOST && strstr(e->why, "steps back");
}

/* The detectors tick, or it would wait for the end. */
static void told_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct told *t = s;

	t->resets++;
	t->reset_ns = model_now(m);
}

/* n seconds of a flow, and another one's reset after two thirds of them. */
static void put_reset(struct capture *c, uint32_t from, unsigned n)
{
	struct pk p = { .link = PK_NONE, .src = 9, .dst = 1, .sport = 6000, .dport = 443, .flags = RST, .len = 0 };

	for (unsigned i = 0; i < n; i++) {
		pcap_packet(c, from + i, "", 0, &plain, 0);
		if (i == 2 * n / 3)
			pcap_packet(c, from + i, "", 0, &p, 0);
	}
}

static void analyze_told(const struct capture *c, struct told *t)
{
	static const struct sink ops = { .stats = told_stats, .tool = told_tool, .rst = told_rst };
	struct pipeline_config cfg = { .sensitivity = SENSITIVITY_NORMAL, .interval_s = 1, .nsinks = 1 };
	struct totals totals;
	struct pipeline *p;
	char path[32];
	int fd = memfd_create("capture", 0);

	memset(t, 0, sizeof(*t));
	cfg.sink[0] = (struct sink_ref){ &ops, t };
	p = pipeline_new(&cfg);
	assert_non_null(p);
	assert_int_equal(write(fd, c->b, c->n), c->n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(file_analyze(p, path, NULL, 0, 0, &totals), 0);
	close(fd);
	assert_int_equal(totals.c.seen, totals.c.in_flows);
	pipeline_finish(p, &totals);
	pipeline_free(p);
}

/* One capture behind another that is later: all goes on at its times, and it is told. */
static void goes_on_after_step_back(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct told t;

	pcap_begin(c, DLT_RAW);
	put_reset(c, 1700090000, 60);
	put_reset(c, 1700000000, 100);
	analyze_told(c, &t);
	assert_int_equal(t.steps, 1);
	assert_int_equal(t.resets, 2);
	assert_in_range(t.reset_ns / 1000000000, 1700000066, 1700000070);
	assert_in_range(t.stats_ns / 1000000000, 1700000097, 1700000100);
	assert_in_range(t.stats, 100, 161);
	assert_true(t.longest_s < 3);
	free(c);
}

/* Packets that overtake each other, and a few of another clock, are no step. */
static void a_few_from_before_are_no_step(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct told t;

	pcap_begin(c, DLT_RAW);
	for (unsigned i = 0; i < 200; i++) {
		pcap_packet(c, 1700000000 + i, "", 0, &plain, 0);
		if (i % 5 == 4)
			pcap_packet(c, 1700000000 + i - 3, "", 0, &plain, 0);
		if (i % 5 < 2)
			pcap_packet(c, 1600000000 + i, "", 0, &plain, 0);
	}
	analyze_told(c, &t);
	assert_int_equal(t.steps, 0);
	assert_true(t.longest_s < 3);
	assert_in_range(t.stats, 190, 200);
	free(c);
}

static void no_such_file(void **state)
{
	struct totals t;

	assert_int_equal(analyze_path("/nonexistent/x.pcap", &t), EX_NOINPUT);
	assert_non_null(strstr(said, "can't open /nonexistent/x.pcap"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_types), cmocka_unit_test(snapped), cmocka_unit_test(broken_off),
		cmocka_unit_test(gzipped), cmocka_unit_test(times_step), cmocka_unit_test(no_such_file),
		cmocka_unit_test(goes_on_after_step_back), cmocka_unit_test(a_few_from_before_are_no_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
