// SPDX-License-Identifier: GPL-2.0-or-later
#include "file.h"

#include <string.h>

#include "error.h"
#include "heap.h"
#include "out.h"
#include "reader.h"

#define TICK_NS 1000000000ULL
#define STEP_BACK_NS (10 * TICK_NS)
#define STEP_PACKETS 32
#define LINK_HEAD 512 /* bytes that link headers of varying length are looked for in */
#define AHEAD	 32 /* packets read before they are looked at */

/* What stands before the IP header, by link type; -1: not known. */
struct link_kind {
	int dlt;
	enum weir_link link;
	int skip;
};

static const struct link_kind links[] = {
	{ DLT_EN10MB, WEIR_LINK_ETHERNET, 0 }, { DLT_RAW, WEIR_LINK_IP, 0 },
	{ DLT_IPV4, WEIR_LINK_IP, 0 },	       { DLT_IPV6, WEIR_LINK_IP, 0 },
	{ DLT_NULL, WEIR_LINK_IP, 4 },	       { DLT_LOOP, WEIR_LINK_IP, 4 },
	{ DLT_LINUX_SLL, WEIR_LINK_IP, 16 },   { DLT_LINUX_SLL2, WEIR_LINK_IP, 20 },
};

static int ppp_header(const uint8_t *b, uint32_t n)
{
	int at = n >= 2 && b[0] == 0xff && b[1] == 3 ? 2 : 0;

	if (n < (uint32_t)at + 2)
		return -1;
	if (b[at] == 0x21 || b[at] == 0x57) /* RFC 1661, 2: compressed to one byte */
		return at + 1;
	return b[at] == 0 && (b[at + 1] == 0x21 || b[at + 1] == 0x57) ? at + 2 : -1;
}

/* 802.11 data frames with LLC/SNAP (RFC 1042): where IP begins, -1 for others. */
static int wlan_header(const uint8_t *b, uint32_t n)
{
	uint32_t h = 24;

	if (n < 24 || (b[0] & 0x0c) != 0x08 || (b[0] & 0x40) || (b[1] & 0x40))
		return -1; /* not data, no payload, or encrypted */
	if ((b[1] & 3) == 3)
		h += 6;
	if (b[0] & 0x80)
		h += 2;
	if (n < h + 8 || b[h] != 0xaa || b[h + 1] != 0xaa)
		return -1;
	if ((b[h + 6] == 0x08 && b[h + 7] == 0x00) || (b[h + 6] == 0x86 && b[h + 7] == 0xdd))
		return h + 8;
	return -1;
}

static const struct link_kind *link_of(int dlt)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (links[i].dlt == dlt)
			return &links[i];
	return NULL;
}

/* Bytes before the IP header where that differs from packet to packet. -1: no IP that we can reach. */
static int skip_link(int dlt, const uint8_t *b, uint32_t n)
{
	uint32_t radiotap;
	int at;

	switch (dlt) {
	case DLT_PPP:
	case DLT_PPP_SERIAL:
		return ppp_header(b, n);
	case DLT_PPP_ETHER:
		return n < 8 ? -1 : ppp_header(b + 6, n - 6) < 0 ? -1 : 6 + ppp_header(b + 6, n - 6);
	case DLT_IEEE802_11:
		return wlan_header(b, n);
	case DLT_IEEE802_11_RADIO:
		if (n < 4)
			return -1;
		radiotap = b[2] | b[3] << 8;
		if (radiotap > n)
			return -1;
		at = wlan_header(b + radiotap, n - radiotap);
		return at < 0 ? -1 : (int)radiotap + at;
	}
	return -1;
}

struct run {
	struct pipeline *p;
	int dlt;
	const struct link_kind *link; /* NULL: see skip_link() */
	struct host_engine *engine;
	uint64_t ended, evicted;
	uint64_t stop_after_ns; /* of packet time; 0: never */
	uint64_t newest_ns;
	unsigned behind; /* packets in a row that are from long before the newest */
};

static void on_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	struct run *run = arg;

	pipeline_record_at(run->p, host_engine_user(run->engine, r->flow_id), r, payload);
}

static void on_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	struct run *run = arg;

	run->ended++;
	if (why == END_EVICTED)
		run->evicted++;
	pipeline_flow_end(run->p, key, f, why);
}

/* A packet that was read and not looked at yet. */
struct slot {
	struct captured c;
	struct host_head head;
	int skip; /* of c.data: where head begins; not there: its link layer is not known */
	void *flow;
};

/*
 * The file is read some packets ahead of the engine: what a packet's flow consists of lies in a dozen places,
 * and by then they are in the cache.
 */
struct ahead {
	struct slot slot[AHEAD];
	uint64_t in, out; /* packets read, packets taken */
	enum reader_result got; /* the reader's last word */
};

static void expect_packet(struct slot *s, const struct run *run)
{
	enum weir_link link = run->link ? run->link->link : WEIR_LINK_IP;
	const struct captured *c = &s->c;

	if (run->link) {
		s->skip = run->link->skip;
	} else {
		uint8_t head[LINK_HEAD];
		uint32_t n = c->caplen < sizeof(head) ? c->caplen : sizeof(head);

		memcpy(head, c->data, n);
		s->skip = skip_link(run->dlt, head, n);
	}
	s->flow = NULL;
	s->head.hash = 0;
	if (s->skip >= 0 && (uint32_t)s->skip <= c->caplen)
		host_engine_expect(run->engine, link, c->data + s->skip, c->caplen - (uint32_t)s->skip, &s->head);
}

/* Reads until AHEAD packets wait or there are no more for now. */
static void ahead_fill(struct ahead *a, const struct run *run, struct reader *reader)
{
	while ((a->got == READER_PACKET || a->got == READER_WAIT) && a->in - a->out < AHEAD) {
		struct slot *s = &a->slot[a->in % AHEAD];

		a->got = reader_next(reader, &s->c, a->in, a->out);
		if (a->got != READER_PACKET)
			return;
		expect_packet(s, run);
		a->in++;
	}
}

/* The packet that is n behind the next one, where its flow can be told. */
static struct slot *waiting(struct ahead *a, unsigned n)
{
	struct slot *s = &a->slot[(a->out + n) % AHEAD];

	return s->head.hash ? s : NULL;
}

static void expect(struct ahead *a, const struct run *run)
{
	struct slot *s;

	if (a->in - a->out < AHEAD) /* the last ones, or few that were read at once */
		return;
	s = waiting(a, 24);
	if (s)
		host_engine_expect_entry(run->engine, s->head.hash);
	s = waiting(a, 18);
	if (s) {
		s->flow = host_engine_expect_flow(run->engine, s->head.hash);
		pipeline_expect(run->p, s->flow, s->head.dir, 0);
	}
	s = waiting(a, 12);
	if (s)
		pipeline_expect(run->p, s->flow, s->head.dir, 1);
	s = waiting(a, 6);
	if (s)
		pipeline_expect(run->p, s->flow, s->head.dir, 2);
}

static void one_packet(struct run *run, const struct slot *s)
{
	const struct captured *c = &s->c;
	uint32_t len = c->len > c->caplen ? c->len : c->caplen;

	if (s->skip < 0 || (uint32_t)s->skip > c->caplen) {
		host_engine_unknown_link(run->engine, len);
		return;
	}
	host_engine_expected(run->engine, &s->head, c->data + s->skip, c->caplen - (uint32_t)s->skip,
			     len - (uint32_t)s->skip, c->time_ns);
}

/*
 * Packets overtake each other, and single ones bear a wrong time. When time has stepped back for good (captures
 * one behind another, a clock that was set), all begins anew: ages and waits across the step mean nothing.
 */
static bool steps_back(struct run *run, struct ahead *a, uint64_t t)
{
	static const char say[] = "the capture's time steps back: all flows end, what follows begins anew";
	struct tool_event e = { .time_ns = t, .action = TOOL_LOST, .why = say };

	if (t + STEP_BACK_NS >= run->newest_ns) {
		if (t > run->newest_ns)
			run->newest_ns = t;
		run->behind = 0;
		return false;
	}
	if (++run->behind < STEP_PACKETS)
		return false;
	host_engine_finish(run->engine);
	for (unsigned i = 0; i < AHEAD; i++)
		a->slot[i].flow = NULL;
	pipeline_restart(run->p, t);
	pipeline_tool(run->p, &e);
	run->newest_ns = t;
	run->behind = 0;
	return true;
}

static int take_all(struct run *run, struct reader *reader, const char *path, struct ahead *a)
{
	uint64_t next = 0, at = reader_at(reader), stop_ns = 0;

	for (;; a->out++) {
		const struct slot *s;
		uint64_t t;

		ahead_fill(a, run, reader);
		if (a->out == a->in)
			break;
		s = &a->slot[a->out % AHEAD];
		t = s->c.second_ns;
		if (!a->out) {
			struct tool_event e = { .time_ns = s->c.time_ns, .action = TOOL_START };

			pipeline_tool(run->p, &e);
			stop_ns = run->stop_after_ns ? e.time_ns + run->stop_after_ns : 0;
		}
		if (stop_ns && s->c.time_ns >= stop_ns)
			return 0;
		if (steps_back(run, a, s->c.time_ns))
			next = 0;
		expect(a, run);
		one_packet(run, s);
		at = s->c.at;
		if (t >= next) {
			next = t + TICK_NS;
			heap_grown();
			host_engine_expire(run->engine, t);
			pipeline_tick(run->p, t);
			if (!output_ok())
				return 0;
		}
	}
	if (a->got == READER_NOMEM)
		return fail(EX_OSERR, "can't analyse %s: out of memory. Free some.", path);
	if (a->got == READER_BROKEN)
		return fail(EX_DATAERR, "%s is broken at byte %llu, after %llu packets: %s. What comes before "
			    "has been analysed.", path, (unsigned long long)at, (unsigned long long)a->out,
			    reader_error(reader));
	return 0;
}

static int read_all(struct run *run, struct reader *reader, const char *path)
{
	struct ahead a = { .got = READER_PACKET };
	int code = take_all(run, reader, path, &a);

	for (unsigned i = 0; i < AHEAD; i++)
		captured_free(&a.slot[i].c);
	return code;
}

int file_analyze(struct pipeline *p, const char *path, const char *filter, unsigned max_flows,
		 double stop_after_s, struct totals *t)
{
	const struct weir_config cfg = {
		.first_packets = 24, .focus_packets = 0xffff,
		.payload_segments = 8, .payload_bytes = 8192,
	};
	struct run run = { .p = p, .stop_after_ns = stop_after_s * 1e9 };
	struct host_engine_ops ops = { .record = on_record, .flow_end = on_flow_end, .arg = &run };
	char why[PCAP_ERRBUF_SIZE];
	struct reader *reader;
	int code, err;

	memset(t, 0, sizeof(*t));
	reader = reader_open(path, &err, why);
	if (!reader && err)
		return fail(EX_NOINPUT, "can't open %s: %s. Name a pcap or pcapng file, or - for standard input.",
			    path, strerror(err));
	if (!reader)
		return fail(EX_DATAERR, "%s is no capture that can be read: %s. Name a pcap or pcapng file, "
			    "plain or gzipped.", path, why);
	if (filter && !reader_filter(reader, filter)) {
		code = fail(EX_USAGE, "can't use the filter \"%s\": %s. See pcap-filter(7).", filter,
			    reader_error(reader));
		reader_close(reader);
		return code;
	}
	run.engine = host_engine_new(&cfg, max_flows, &ops);
	if (!run.engine) {
		reader_close(reader);
		return fail(EX_OSERR, "can't analyse %s: out of memory. Lower --max-flows.", path);
	}
	run.dlt = reader_link(reader);
	run.link = link_of(run.dlt);
	code = read_all(&run, reader, path);
	host_engine_finish(run.engine);
	host_engine_counters(run.engine, &t->c);
	t->records = t->c.records;
	memcpy(t->lost, t->c.unsent, sizeof(t->lost));
	t->flows_started = t->c.flows;
	t->flows_evicted = run.evicted;
	host_engine_free(run.engine);
	reader_close(reader);
	return code;
}
