// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The detector on synthetic connections: three types, three clients, three
 * servers, one exchange after the other, resends as TCP does them. What is
 * dropped, where and when, is known exactly.
 */
#include <arpa/inet.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drop.h"
#include "random.h"
#include "facts.h"

#define MS     1000000ull
#define SECOND 1000000000ull
#define EPOCH  1800000000ull * SECOND
#define RTT_MS 30
#define FLOWS  400
#define EVENTS 400000

enum { SYN = 2, ACK = 16, FIN = 1 };

/* ---- stand-ins for the model ---- */

static uint64_t now_ns;

uint64_t model_now(const struct model *m)
{
	return now_ns;
}

bool model_is_local(const struct model *m, const struct in6_addr *ip)
{
	return ip->s6_addr[12] == 10 && ip->s6_addr[13] == 10;
}

void model_drop_trials(struct model *m, unsigned type, uint32_t have, uint32_t need)
{
}

struct flow *model_flow(struct model *m, uint64_t id)
{
	return NULL;
}

bool model_same_host(const struct model *m, const struct in6_addr *a, const struct in6_addr *b)
{
	return ip_same(a, b);
}

/* ---- the world ---- */

struct event {
	uint64_t ns;
	unsigned flow, order;
	struct weir_rec r;
};

static struct flow flows[FLOWS];
static struct event *events;
static unsigned nflows, nevents;
static unsigned records_per_flow; /* of UDP: beyond them packets are only counted; 0: all are recorded */
static double sweep_s;		  /* flows' counters are read so often, as live; 0: with each packet */

/* A packet on its way to the server, as the drop sees it. */
struct packet {
	unsigned type, server;
	bool syn;
	double at; /* seconds since the start */
};

typedef bool (*dropper)(const struct packet *p);

static struct in6_addr address(unsigned net, unsigned host)
{
	struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff, 10, net, 0, host } };

	return ip;
}

static struct weir_rec *add(unsigned flow, double at, bool up, uint8_t flags, uint32_t seq,
			    uint32_t len, uint32_t ack, uint8_t label)
{
	struct event *e = &events[nevents];

	assert_true(nevents < EVENTS);
	memset(e, 0, sizeof(*e));
	e->order = nevents++;
	e->flow = flow;
	e->ns = EPOCH + (uint64_t)(at * SECOND);
	e->r = (struct weir_rec){ .time_ns = e->ns,
				  .flow_id = flow + 1,
				  .proto = IPPROTO_TCP,
				  .kind = WEIR_REC_PACKET,
				  .dir = !up,
				  .payload_len = len,
				  .segs = 1,
				  .seq = seq,
				  .ack = ack,
				  .tcp_flags = flags,
				  .label = label,
				  .rtt_min_us = up ? 0 : RTT_MS * 1000 };
	return &e->r;
}

/* Of what comes down of type 2, so much is lost before us: a SYN-ACK for good, data until it fills its hole. */
static double down_loss;

/* Of what is sent before then nothing that comes back shows: it takes another road. */
static double half_until;

/* One message up and its acknowledgment, resent until it gets through or patience ends; its end. */
static double exchange(unsigned flow, struct packet *p, uint32_t seq, uint32_t len, uint8_t flags,
		       double until, dropper drop)
{
	double wait = p->syn ? 1 : 0.25, at = p->at;
	bool first = true;

	while (at < until) {
		p->at = at;
		add(flow, at, true, flags, seq, len, 1, first ? WEIR_IN_ORDER : WEIR_RETX_SEEN);
		if (!drop(p)) {
			bool lost = p->type == 2 && uniform() < down_loss;
			struct weir_rec *r;

			if (at < half_until)
				return at + RTT_MS / 1e3;
			if (!lost || !p->syn) {
				r = add(flow, at + RTT_MS / 1e3, false, p->syn ? SYN | ACK : ACK, 0,
					p->syn ? 0 : 120, seq + len + p->syn,
					lost ? WEIR_RETX_FILL : WEIR_IN_ORDER);
				r->hole_age_us = lost ? 20000 : 0;
				return at + RTT_MS / 1e3;
			}
		}
		first = false;
		at += wait;
		wait *= 2;
	}
	return INFINITY;
}

/* Clients that wait in vain close after four seconds; their FIN passes, and is acknowledged selectively. */
static bool closes;

static void close_in_vain(unsigned flow, uint32_t seq, double at)
{
	struct weir_rec *r;

	add(flow, at, true, FIN | ACK, seq, 0, 1, WEIR_IN_ORDER);
	r = add(flow, at + RTT_MS / 1e3, false, ACK, 1, 0, 1, WEIR_IN_ORDER);
	r->nsack = 1;
	r->sack[0][0] = seq;
	r->sack[0][1] = seq + 1;
}

static void connection(unsigned type, unsigned client, unsigned server, double at, double last,
		       dropper drop)
{
	struct flow *f = &flows[nflows];
	struct packet p = { .type = type, .server = server, .syn = true, .at = at };
	uint32_t seq = 1;
	double t;

	assert_true(nflows < FLOWS);
	memset(f, 0, sizeof(*f));
	f->id = nflows + 1;
	f->proto = IPPROTO_TCP;
	f->client = (struct endpoint){ address(10, 2 + client), 20000 + nflows };
	f->server = (struct endpoint){ address(30, 2 + server), 1000 + type };
	f->source = SOURCE_PAYLOAD;
	t = exchange(nflows, &p, 0, 0, SYN, at + 4, drop);
	p.syn = false;
	while (t < at + 4 && t < last) {
		p.at = t;
		t = exchange(nflows, &p, seq, 90, ACK, last, drop) + 0.05 + 0.1 * uniform();
		seq += 90;
	}
	if (closes && isinf(t))
		close_in_vain(nflows, seq, at + 4);
	nflows++;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->ns != y->ns ? (x->ns > y->ns) - (x->ns < y->ns) : (int)x->order - (int)y->order;
}

struct run {
	struct findings *findings;
	struct detect_env env;
	void *d;
	uint64_t next_tick;
};

static void start(struct run *run)
{
	memset(run, 0, sizeof(*run));
	run->findings = findings_new(100, NULL, NULL);
	run->env = (struct detect_env){ .findings = run->findings,
					.sensitivity = SENSITIVITY_NORMAL };
	run->d = detect_drop.create(&run->env);
	assert_non_null(run->findings);
	assert_non_null(run->d);
}

/* Feeds what was made, in order; a flow's type is known from its first payload on. */
static void feed(struct run *run)
{
	static struct flow_counts count[FLOWS][2];
	uint64_t sweep_ns = 0;

	memset(count, 0, sizeof(count));
	qsort(events, nevents, sizeof(*events), by_time);
	for (unsigned i = 0; i < nevents; i++) {
		struct event *e = &events[i];
		struct flow *f = &flows[e->flow];
		struct flow_counts *c;
		unsigned way = e->r.dir;

		now_ns = f->last_ns = e->ns;
		if (sweep_s && now_ns >= sweep_ns) {
			for (unsigned k = 0; k < nflows; k++)
				memcpy(flows[k].count, count[k], sizeof(count[k]));
			sweep_ns = now_ns + (uint64_t)(sweep_s * 1e9);
		}
		while (run->next_tick && run->next_tick <= now_ns) {
			detect_drop.tick(run->d, run->next_tick);
			run->next_tick += SECOND;
		}
		if (!run->next_tick)
			run->next_tick = now_ns + SECOND;
		if (e->r.payload_len && !f->typed) {
			f->type = f->server.port - 1000;
			f->typed = true;
			detect_drop.typed(run->d, f, 0);
		}
		c = count[e->flow];
		e->r.own_pkts = c[way].packets + (f->proto == IPPROTO_UDP ? e->r.peer_age_us : 0);
		e->r.peer_pkts = c[!way].packets;
		if (!records_per_flow || f->proto != IPPROTO_UDP || c[0].packets + c[1].packets < records_per_flow)
			detect_drop.packet(run->d, f, &e->r, NULL);
		c[way].packets++;
		if (!sweep_s)
			f->count[way] = c[way];
	}
	for (unsigned i = 0; i < nflows; i++)
		detect_drop.flow_end(run->d, &flows[i]);
	detect_drop.finish(run->d, now_ns);
}

static void stop(struct run *run)
{
	detect_drop.destroy(run->d);
	findings_free(run->findings);
	nevents = nflows = 0;
}

/* Types 1 to 3, a connection each every 0.6 s. */
static void traffic(double seconds, dropper drop)
{
	unsigned i = 0;

	for (double t = 0; t < seconds - 4; t += 0.6, i++)
		for (unsigned type = 1; type <= 3; type++)
			connection(type, i % 3, i / 3 % 3, t + 0.05 * type, seconds, drop);
}

static const struct finding *only_claim(const struct run *run)
{
	const struct finding *claim = NULL;

	for (unsigned i = 0; i < findings_count(run->findings); i++) {
		const struct finding *f = findings_at(run->findings, i);

		if (f->level < LEVEL_LIKELY)
			continue;
		assert_null(claim);
		claim = f;
	}
	return claim;
}

/* Types 1 to 3 for so long under one dropper: what it is claimed as, just once. */
static const struct finding *claim_of(struct run *run, uint32_t from, double seconds, dropper drop)
{
	const struct finding *f;

	seed = from;
	start(run);
	traffic(seconds, drop);
	feed(run);
	f = only_claim(run);
	assert_non_null(f);
	return f;
}

static double after_start(uint64_t ns)
{
	return (ns - EPOCH) / 1e9;
}

static bool quarter(const struct packet *p)
{
	return p->type == 2 && p->at > 6 && uniform() < 0.25;
}

static void test_quarter(void **state)
{
	const struct finding *f;
	struct run run;
	double ratio;

	f = claim_of(&run, 1, 24, quarter);
	assert_int_equal(f->kind, KIND_SELECTIVE_DROP);
	assert_int_equal(f->subkind, SUBKIND_LOSS);
	assert_int_equal(f->type, 2);
	assert_int_equal(f->direction, DIRECTION_UP);
	ratio = fact(&f->estimate, "drop_ratio");
	assert_true(fabs(ratio - 0.25) < 0.05);
	assert_true(fact(&f->estimate, "drop_ratio_low") < 0.25);
	assert_true(fact(&f->estimate, "drop_ratio_high") > 0.25);
	assert_true(fact(&f->control, "drop_ratio") < 0.01);
	assert_true(after_start(f->start_ns) > 5.9 && after_start(f->start_ns) < 7.5);
	assert_true(f->reasons.n && f->ruled_out.n);
	stop(&run);
}

static bool data_vanish(const struct packet *p)
{
	return p->type == 2 && !p->syn && p->at > 6;
}

static void test_fin_passes(void **state)
{
	const struct finding *f;
	struct run run;

	seed = 13;
	closes = true;
	start(&run);
	traffic(24, data_vanish);
	feed(&run);
	closes = false;
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->subkind, SUBKIND_BLACKHOLE);
	assert_true(fact(&f->estimate, "drop_ratio") > 0.99);
	stop(&run);
}

/* A quarter of what goes up, 0.15 of what comes down: an opening fails at another ratio, for it needs both. */
static void test_both_ways(void **state)
{
	const struct finding *f;
	struct run run;

	seed = 7;
	down_loss = 0.15;
	start(&run);
	traffic(40, quarter);
	feed(&run);
	down_loss = 0;
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->direction, DIRECTION_BOTH);
	assert_true(fabs(fact(&f->estimate, "drop_ratio") - 0.2) < 0.04);
	stop(&run);
}

static unsigned reports; /* only every so many packets up one comes down: 0: as many */
static unsigned unrecorded; /* of those that come down, one in so many is recorded; 0: all */

/* A call of RTP: 50 packets a second each way, numbered; what the drop takes of those that come down is not seen. */
static void call(unsigned client, unsigned server, double from, double to, double lossy, double share)
{
	struct flow *f = &flows[nflows];
	uint16_t seq = 1000;
	unsigned gone = 0;

	memset(f, 0, sizeof(*f));
	f->id = nflows + 1;
	f->proto = IPPROTO_UDP;
	f->l7 = WEIR_L7_RTP;
	f->client = (struct endpoint){ address(10, 2 + client), 30000 + nflows };
	f->server = (struct endpoint){ address(30, 2 + server), 1004 };
	f->source = SOURCE_PAYLOAD;
	for (double at = from; at < to; at += 0.02, seq++)
		for (unsigned way = 0; way < 2; way++) {
			struct weir_rec *r;

			if (way && at > lossy && uniform() < share)
				continue;
			if (way && reports && seq % reports)
				continue;
			if (way && unrecorded && seq % unrecorded) {
				gone++;
				continue;
			}
			r = add(nflows, at + 0.01 * way, !way, 0, 0, 172, 0, WEIR_IN_ORDER);
			r->proto = IPPROTO_UDP;
			r->head[0] = 0x80;
			r->head[1] = way && reports ? 201 : 111;
			r->head[2] = seq >> 8;
			r->head[3] = seq & 255;
			r->head[8] = way + 1;
			if (way)
				r->peer_age_us = gone; /* feed() counts them before it */
		}
	nflows++;
}

static bool nothing(const struct packet *p);

static void calls(struct run *run, unsigned bad)
{
	seed = 8;
	start(run);
	traffic(40, nothing);
	for (unsigned i = 0; i < 2; i++)
		call(i, i, 0.5 + i, 38, i < bad ? 6 : 1000, 0.4);
	feed(run);
}

/* Calls from 'first' on, one each 'every' seconds, that fall silent: all at 'silent', or so long after each began. */
static void silence(unsigned seeded, double first, double every, double silent, bool each, double swept)
{
	struct run run;

	seed = seeded;
	start(&run);
	traffic(40, nothing);
	for (unsigned i = 0; i < 4; i++)
		call(i % 3, i % 3, first + every * i, 38, silent + (each ? first + every * i : 0), 1);
	records_per_flow = 24;
	sweep_s = swept;
	feed(&run);
	records_per_flow = 0;
	sweep_s = 0;
	assert_non_null(only_claim(&run));
	assert_int_equal(only_claim(&run)->type, 4);
	stop(&run);
}

/* Live, a flow's records end with its first packets; that the far end fell silent is counted. */
static void test_silence_counted(void **state)
{
	silence(11, 0.5, 1, 10, false, 0);
}

/* A far end that stopped between two readings of the counters: until the next, ours sent many. */
static void test_silence_swept(void **state)
{
	silence(12, 0.2, 2, 0.07, true, 2);
}

/* What one end only sends, and the other reports on every five seconds, has not fallen silent (RFC 3550, 6.2). */
static void test_one_way(void **state)
{
	struct run run;

	seed = 10;
	start(&run);
	traffic(40, nothing);
	reports = 250;
	for (unsigned i = 0; i < 4; i++)
		call(i % 3, i % 3, 0.5 + i, 38, 1000, 0);
	feed(&run);
	reports = 0;
	assert_null(only_claim(&run));
	stop(&run);
}

/* Live, packets between records are only counted: none of them is a hole, and what is one shows all the same. */
static void test_calls_sampled(void **state)
{
	struct run run;

	seed = 9;
	start(&run);
	traffic(40, nothing);
	unrecorded = 3;
	for (unsigned i = 0; i < 3; i++)
		call(i, i, 0.5 + i, 38, 1000, 0);
	feed(&run);
	unrecorded = 0;
	assert_null(only_claim(&run));
	stop(&run);
}

/* Calls are few and long: two of them, of two clients and two servers, are enough; one is not. */
static void test_calls(void **state)
{
	const struct finding *f;
	struct run run;

	calls(&run, 2);
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->type, 4);
	assert_int_equal(f->direction, DIRECTION_DOWN);
	assert_int_equal(f->subkind, SUBKIND_LOSS);
	assert_true(fabs(fact(&f->estimate, "drop_ratio") - 0.4) < 0.05);
	stop(&run);
	calls(&run, 1);
	assert_null(only_claim(&run));
	stop(&run);
}

static bool syns(const struct packet *p)
{
	return p->type == 3 && p->syn && p->at > 8;
}

/* Openings that fail have no payload: their type is what the address and port were before. */
static void test_openings(void **state)
{
	const struct finding *f;
	struct run run;

	f = claim_of(&run, 2, 30, syns);
	assert_int_equal(f->subkind, SUBKIND_BLACKHOLE);
	assert_int_equal(f->type, 3);
	assert_true(fact(&f->estimate, "drop_ratio") > 0.99);
	assert_true(fabs(after_start(f->start_ns) - 8) < 1);
	stop(&run);
}

static bool hellos(const struct packet *p)
{
	return p->type == 2 && !p->syn;
}

/* Of flows that showed one way only nothing is known: what was sent may have been acknowledged, or not. */
static void test_half_seen(void **state)
{
	const struct finding *f;
	struct run run;

	seed = 4;
	start(&run);
	half_until = 8;
	traffic(40, hellos);
	feed(&run);
	half_until = 0;
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->subkind, SUBKIND_BLACKHOLE);
	assert_int_equal(f->type, 2);
	assert_true(fact(&f->estimate, "drop_ratio") > 0.99);
	assert_true(fact(&f->control, "drop_ratio") < 0.01);
	stop(&run);
}

static bool six_seconds(const struct packet *p)
{
	return p->type == 1 && p->at > 7 && p->at < 13;
}

static void test_disruption(void **state)
{
	const struct finding *f;
	struct run run;

	f = claim_of(&run, 3, 40, six_seconds);
	assert_true(f->closed);
	assert_true(fabs(after_start(f->start_ns) - 7) < 1);
	assert_true(after_start(f->end_ns) >= 12.9 && after_start(f->end_ns) < 14.5);
	assert_true(fact(&f->estimate, "drop_ratio") > 0.9);
	stop(&run);
}

static bool everybody(const struct packet *p)
{
	return uniform() < 0.12;
}

static bool one_server(const struct packet *p)
{
	return p->type == 2 && p->server == 1 && p->at > 6;
}

static bool dead_server(const struct packet *p)
{
	return p->server == 1 && p->at > 6;
}

static bool outage(const struct packet *p)
{
	return p->at > 8 && p->at < 12;
}

static bool nothing(const struct packet *p)
{
	return false;
}

static void test_benign(void **state)
{
	static const dropper benign[] = { everybody, one_server, dead_server, outage, nothing };

	for (unsigned i = 0; i < sizeof(benign) / sizeof(*benign); i++) {
		struct run run;

		seed = 10 + i;
		start(&run);
		traffic(30, benign[i]);
		feed(&run);
		if (only_claim(&run))
			fail_msg("benign case %u is claimed", i);
		stop(&run);
	}
}

/* One type alone on the line: no control, nothing to say. */
static void test_alone(void **state)
{
	struct run run;

	seed = 4;
	start(&run);
	for (unsigned i = 0; i < 40; i++)
		connection(2, i % 3, i / 3 % 3, i * 0.6, 28, quarter);
	feed(&run);
	assert_int_equal(findings_count(run.findings), 0);
	assert_int_equal(drop_need(run.d, 2).need, 0);
	stop(&run);
}

static bool content(const struct packet *p)
{
	return p->type == 2 && !p->syn;
}

/* Each server for eight of fifteen seconds, at different times: openings and data alike. */
static bool blocked(const struct packet *p)
{
	return p->type == 2 && fmod(p->at + 5 * p->server, 15) < 8;
}

/* The same, but one connection of six is let pass: what fails is not quite all. */
static bool most_content(const struct packet *p)
{
	static unsigned n;

	n += p->syn;
	return p->type == 2 && !p->syn && n % 6;
}

static void residual(double every, dropper drop, enum subkind subkind)
{
	const struct finding *f;
	struct run run;
	unsigned i = 0;

	seed = 5;
	start(&run);
	for (double t = 0; t < 56; t += 1.2, i++) {
		connection(1, i % 3, i / 3 % 3, t, 60, drop);
		connection(3, i % 3, i / 3 % 3, t + 0.3, 60, drop);
	}
	for (unsigned who = 0; who < 3; who++)
		for (double t = 0.2 + 1.4 * who; t < 56; t += every)
			connection(2, who, who, t, fmin(60, t + fmax(4, every - 0.5)), drop);
	feed(&run);
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->kind, KIND_SELECTIVE_DROP);
	assert_int_equal(f->type, 2);
	assert_int_equal(f->subkind, subkind);
	stop(&run);
}

/* Each hello is dropped for itself: the openings in between pass, so nothing outlasts its trigger. */
static void test_each_content(void **state)
{
	residual(9, content, SUBKIND_BLACKHOLE);
	residual(9, most_content, SUBKIND_BLACKHOLE);
}

/* All of client, server and port fails for a time, also what passes before and after. */
static void test_residual(void **state)
{
	residual(1.7, blocked, SUBKIND_RESIDUAL);
}

/* A rate limit on type 2, up, known since the fifth second. */
static void report_limit(struct run *run)
{
	struct finding limit = { .key = 1,
				 .kind = KIND_RATE_LIMIT,
				 .level = LEVEL_LIKELY,
				 .type = 2,
				 .direction = DIRECTION_UP,
				 .start_ns = EPOCH + 5 * SECOND };

	fact_num(&limit.reasons, "rate", 1);
	fact_num(&limit.ruled_out, "app", 1);
	assert_true(findings_report(run->findings, &limit) >= 0);
}

/* What a rate limit explains is left to it. */
static void test_rate_limit(void **state)
{
	const struct finding *f;
	struct run run;

	seed = 1;
	start(&run);
	report_limit(&run);
	traffic(24, quarter);
	feed(&run);
	f = only_claim(&run);
	assert_non_null(f);
	assert_int_equal(f->kind, KIND_RATE_LIMIT);
	stop(&run);
}

static bool limited_then_gone(const struct packet *p)
{
	return p->type == 2 && ((p->at > 5 && p->at < 15 && uniform() < 0.3) || (p->at > 34 && p->at < 46));
}

/* What a limit dropped is over when all passes again: a block half a minute later is one of its own. */
static void test_after_limit(void **state)
{
	const struct finding *f = NULL;
	struct run run;

	seed = 6;
	start(&run);
	report_limit(&run);
	traffic(62, limited_then_gone);
	feed(&run);
	for (unsigned i = 0; i < findings_count(run.findings); i++)
		if (findings_at(run.findings, i)->kind == KIND_SELECTIVE_DROP) {
			assert_null(f);
			f = findings_at(run.findings, i);
		}
	assert_non_null(f);
	assert_true(f->level >= LEVEL_LIKELY && f->closed);
	assert_int_equal(f->subkind, SUBKIND_BLACKHOLE);
	assert_true(fabs(after_start(f->start_ns) - 34) < 1);
	assert_true(after_start(f->end_ns) >= 45.9 && after_start(f->end_ns) < 47.5);
	stop(&run);
}

static bool now_and_then(const struct packet *p)
{
	return p->type == 2 && p->at > 6 && fmod(p->at, 14) < 0.9;
}

/* Not quite a second of every fourteen is too little to claim; what comes again and again adds up. */
static void test_now_and_then(void **state)
{
	const struct finding *f;
	struct run run;

	f = claim_of(&run, 7, 62, now_and_then);
	assert_int_equal(f->kind, KIND_SELECTIVE_DROP);
	assert_int_equal(f->type, 2);
	stop(&run);
}

/* "12 of 30": trials of the last minute, and what a quarter's drop needs. */
static void test_need(void **state)
{
	struct drop_need need;
	struct run run;

	seed = 5;
	start(&run);
	traffic(24, nothing);
	feed(&run);
	need = drop_need(run.d, 2);
	assert_true(need.have > 100);
	assert_in_range(need.need, 10, 60);
	assert_int_equal(drop_need(run.d, 77).have, 0);
	stop(&run);
}

/* Levels of a bucket of 1 kB/s tell what it lost; a coin does not. */
static void test_queue_fit(void **state)
{
	static struct vq_log bucket, coin;
	double level = 0, t = 0;

	seed = 6;
	for (unsigned i = 0; i < VQ_MAX; i++) {
		double gap = uniform() < 0.2 ? 0.5 : 0.01;
		struct vq_packet p = { .len = 100 };

		t += gap;
		p.t = t;
		level = fmax(0, level - 1000 * gap);
		p.lost = level + 100 > 600;
		if (!p.lost)
			level += 100;
		bucket.p[bucket.n++] = p;
		p.lost = uniform() < 0.25;
		coin.p[coin.n++] = p;
	}
	assert_true(drop_queue_fit(&bucket, 0) > 0.9);
	assert_true(drop_queue_fit(&coin, 0) < 0.7);
	assert_true(isnan(drop_queue_fit(&coin, t)));
}

/* Flows of a few packets that wait and try again: between losses a limit lets one rate pass, a coin does not. */
static void test_limit_line(void **state)
{
	static struct vq_log limit, coin;

	for (unsigned len = 90; len <= 1500; len += 1410) {
		double tokens = 0, t = 0;

		seed = 9 + len;
		limit.n = coin.n = 0;
		while (limit.n < VQ_MAX) {
			unsigned k = 2 + (unsigned)(8 * uniform());
			double gap = .05 + .1 * uniform();

			t += gap;
			tokens = fmin(60 * len, tokens + 40 * len * gap);
			for (unsigned i = 0; i < k && limit.n < VQ_MAX; i++) {
				struct vq_packet p = { .t = t + i * 1e-4, .len = (uint16_t)len, .lost = tokens < len };

				tokens -= p.lost ? 0 : len;
				limit.p[limit.n++] = p;
				p.lost = uniform() < .25;
				coin.p[coin.n++] = p;
			}
		}
		assert_true(drop_limit_line(&limit, 0));
		assert_false(drop_limit_line(&coin, 0));
		assert_false(drop_limit_line(&limit, t));
	}
}

static int setup(void **state)
{
	events = calloc(EVENTS, sizeof(*events));
	return !events;
}

static int teardown(void **state)
{
	free(events);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quarter), cmocka_unit_test(test_fin_passes),	   cmocka_unit_test(test_openings),
		cmocka_unit_test(test_disruption), cmocka_unit_test(test_benign),
		cmocka_unit_test(test_alone),	   cmocka_unit_test(test_rate_limit), cmocka_unit_test(test_after_limit), cmocka_unit_test(test_now_and_then),
		cmocka_unit_test(test_need),	   cmocka_unit_test(test_queue_fit), cmocka_unit_test(test_limit_line),
		cmocka_unit_test(test_both_ways), cmocka_unit_test(test_calls), cmocka_unit_test(test_calls_sampled), cmocka_unit_test(test_one_way), cmocka_unit_test(test_half_seen), cmocka_unit_test(test_silence_counted),
		cmocka_unit_test(test_silence_swept),
		cmocka_unit_test(test_each_content), cmocka_unit_test(test_residual),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
