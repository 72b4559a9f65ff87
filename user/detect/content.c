/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Injected content: block pages, TLS alerts, data, FIN and SYN-ACK that the
 * apparent sender did not send. The start of both directions of a flow is kept
 * and compared with what comes again; a first answer that redirects, refuses or
 * alerts is looked at more closely.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content_rules.h"
#include "inject.h"
#include "rst_host.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define FLOWS	   4096
#define SEGMENTS   3	       /* kept per direction */
#define PAGES	   32	       /* strange first answers remembered across flows */
#define REORDER_US 25000u
#define SYNACK_US  3000000u    /* two answers to one SYN: not further apart */

struct content_side {
	struct content_look seg[SEGMENTS];
	uint8_t bytes[SEGMENTS][CONTENT_KEPT];
	struct content_look last, usual, fin, synack; /* usual: newest behind the handshake, before any doubt */
	unsigned nseg;
	uint16_t ipid_near, ipid_far;
	uint16_t mss;
	uint8_t wscale;
	bool has_last, has_usual, has_fin, has_synack, data;
};

struct content_flow {
	struct flow *flow;
	struct content_side side[2]; /* by way */
	uint32_t syns;
	/* The one doubtful packet that is followed. */
	struct content_look odd;
	uint32_t rules, told_rules;
	double told_score;
	uint64_t odd_ns, group;
	uint8_t way, subkind;
	bool doubt, touched;
	char odd_line[48], real_line[48];
	struct content_flow *next_free;
};

struct strange_page {
	uint64_t flow_id;
	uint16_t ipid;
};

struct content_detector {
	const struct detect_env *env;
	struct content_flow *slot, *free;
	unsigned used, hand;
	struct strange_page page[PAGES];
	unsigned npages;
	struct rst_hosts hosts;
	struct inject inject;
};

static void content_rest(const struct inject_group *g, struct finding *f);
static void conclude(struct content_detector *d, struct content_flow *s);

static void *content_create(const struct detect_env *env)
{
	struct content_detector *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->slot = calloc(FLOWS, sizeof(*d->slot));
	if (!d->slot) {
		free(d);
		return NULL;
	}
	d->env = env;
	d->inject.env = env;
	d->inject.rule_name = content_rule_name;
	d->inject.rest = content_rest;
	d->inject.method = "content_injection/rules/1";
	return d;
}

static void content_destroy(void *arg)
{
	struct content_detector *d = arg;

	free(d->slot);
	free(d);
}

static struct content_flow *state_new(struct content_detector *d, struct flow *f)
{
	struct content_flow *s = d->free;

	if (s) {
		d->free = s->next_free;
	} else if (d->used < FLOWS) {
		s = &d->slot[d->used++];
	} else {
		/* The quiet ones give way: what is injected comes early. */
		do {
			s = &d->slot[d->hand++ % FLOWS];
			if (!s->touched)
				break;
			s->touched = false;
		} while (true);
		conclude(d, s);
		s->flow->detector[d->env->slot] = NULL;
	}
	memset(s, 0, sizeof(*s));
	s->flow = f;
	f->detector[d->env->slot] = s;
	return s;
}

static struct content_look look_of(const struct weir_rec *r)
{
	return (struct content_look){
		.seq = r->seq,
		.ack = r->ack,
		.us = (uint32_t)(r->time_ns / 1000),
		.ipid = r->ipid,
		.win = r->win,
		.len = r->payload_len < UINT16_MAX ? (uint16_t)r->payload_len : UINT16_MAX,
		.kept = r->caplen < CONTENT_KEPT ? r->caplen : CONTENT_KEPT,
		.ttl = r->ttl,
		.tcp_flags = r->tcp_flags,
		.df = r->flags & WEIR_REC_DF,
		.ts = r->flags & WEIR_REC_TS,
		.ipv4 = r->flags & WEIR_REC_IPV4,
	};
}

static void first_line(char line[48], const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < 47 && p[i] != '\r' && p[i] != '\n'; i++)
		line[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.';
	line[i] = 0;
}

static struct rst_base base_of(struct content_detector *d, const struct flow *f, unsigned way, uint64_t now_ns)
{
	const struct rst_host *h = rst_host(&d->hosts, way == TO_CLIENT ? &f->server.ip : &f->client.ip, now_ns);

	return (struct rst_base){ .min_us = rst_host_rtt_min(h, now_ns), .n = h->rtt_n,
				  .mean_us = (uint32_t)h->rtt_mean_us, .reorders = h->reorders };
}

static void report(struct content_detector *d, struct content_flow *s)
{
	const struct flow *f = s->flow;
	const struct content_side *x = &s->side[s->way];
	struct rst_base base = base_of(d, f, s->way, s->odd_ns);
	struct inject_case k = {
		.kind = KIND_CONTENT_INJECTION,
		.subkind = s->subkind,
		.flow = f,
		.time_ns = s->odd_ns,
		.score = content_score(s->rules),
		.rules = s->rules,
		.toward_client = s->way == TO_CLIENT,
		.degraded = f->fragile,
		.ttl = s->odd.ttl,
		.flow_ttl = x->has_usual ? x->usual.ttl : x->has_synack ? x->synack.ttl : 0,
		.copies = 1,
		.rtt_us = base.min_us,
	};
	char what[16] = "content/";
	struct inject_group *g;

	if (k.score < 4)
		return;
	what[8] = (char)('a' + s->subkind);
	k.key = s->group ? s->group : inject_key(f, what);
	if (s->group) {
		inject_more(&d->inject, &k, s->told_rules, s->told_score);
	} else {
		g = inject_add(&d->inject, &k);
		if (!g)
			return;
		s->group = k.key;
		snprintf(g->text[0], sizeof(g->text[0]), "%s", s->odd_line);
		snprintf(g->text[1], sizeof(g->text[1]), "%s", s->real_line);
		g->dirty = true;
	}
	s->told_rules |= s->rules;
	s->told_score = k.score;
}

static void weigh(struct content_detector *d, struct content_flow *s)
{
	if (content_score(s->rules) >= 6 && (!s->group || s->rules & ~s->told_rules))
		report(d, s);
}

/* No more is to come: what stayed below a claim is said as possible. */
static void conclude(struct content_detector *d, struct content_flow *s)
{
	if (s->doubt && (!s->group || s->rules & ~s->told_rules))
		report(d, s);
}

static void doubt(struct content_flow *s, const struct content_look *odd, unsigned way, enum subkind subkind,
		  uint64_t now_ns)
{
	if (s->doubt)
		return;
	s->doubt = true;
	s->odd = *odd;
	s->odd_ns = now_ns;
	s->way = (uint8_t)way;
	s->subkind = (uint8_t)subkind;
}

static bool counts_ipid(struct content_detector *d, const struct content_flow *s, unsigned way, uint64_t now_ns)
{
	const struct content_side *x = &s->side[way];
	const struct in6_addr *ip = way == TO_CLIENT ? &s->flow->server.ip : &s->flow->client.ip;

	if (x->ipid_near || x->ipid_far)
		return x->ipid_near && !x->ipid_far;
	return rst_host_counts_ipid(rst_host(&d->hosts, ip, now_ns));
}

static void second_synack(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
			  const struct content_look *l)
{
	struct content_side *x = &s->side[TO_CLIENT];
	struct rst_base base = base_of(d, s->flow, TO_CLIENT, r->time_ns);

	if (s->syns > 1 || l->seq == x->synack.seq || l->ack != x->synack.ack || l->us - x->synack.us > SYNACK_US)
		return;
	/* The forger wins the race: the first is the odd one. */
	doubt(s, &x->synack, TO_CLIENT, SUBKIND_SYN_ACK, r->time_ns);
	s->rules |= CONTENT_BIT(CONTENT_TWO_ISNS) | content_stack(&x->synack, l, false, false);
	if (x->mss != r->mss || x->wscale != r->wscale || x->synack.ts != l->ts)
		s->rules |= CONTENT_BIT(CONTENT_OPTIONS);
	if (x->synack.win / 4 > l->win || l->win / 4 > x->synack.win)
		s->rules |= CONTENT_BIT(CONTENT_WINDOW);
	if (base.n >= 3 && rst_too_soon(x->synack.us - s->side[TO_SERVER].synack.us, &base) == 2)
		s->rules |= CONTENT_BIT(CONTENT_SOON);
	weigh(d, s);
}

static void on_synack(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
		      const struct content_look *l)
{
	struct content_side *x = &s->side[TO_CLIENT];

	if (x->has_synack) {
		second_synack(d, s, r, l);
		return;
	}
	x->synack = *l;
	x->has_synack = true;
	x->mss = r->mss;
	x->wscale = r->wscale;
	/* When the SYN passed. */
	s->side[TO_SERVER].synack.us = r->peer_age_us != ~0u ? l->us - r->peer_age_us : l->us;
	if (r->peer_pkts > 1)
		s->syns = r->peer_pkts;
	if (r->rtt_us)
		rst_host_rtt(rst_host(&d->hosts, &s->flow->server.ip, r->time_ns), r->rtt_us, r->time_ns);
}

/* The first bytes of an answer. */
static void first_answer(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
			 const struct content_look *l, const uint8_t *payload)
{
	struct content_side *x = &s->side[TO_CLIENT];
	enum content_first what = content_first(payload, r->caplen);
	struct rst_base base = base_of(d, s->flow, TO_CLIENT, r->time_ns);
	bool uses_ts = r->own_dir_flags & WEIR_DIR_TS;
	uint32_t set = 0;
	int soon = rst_too_soon(r->ack_age_us, &base);

	if (!s->side[TO_SERVER].data)
		return;
	if (what != CONTENT_OTHER)
		set |= CONTENT_BIT(CONTENT_PAGE);
	if (soon == 2)
		set |= CONTENT_BIT(CONTENT_CERTAIN);
	if (!set)
		return;
	if (soon == 1)
		set |= CONTENT_BIT(CONTENT_SOON);
	if (l->tcp_flags & TCP_FIN)
		set |= CONTENT_BIT(CONTENT_FIN_FIRST);
	if (x->has_usual)
		set |= content_stack(l, &x->usual, uses_ts, counts_ipid(d, s, TO_CLIENT, r->time_ns));
	else if (x->has_synack)
		set |= content_stack(l, &x->synack, uses_ts, false) & ~CONTENT_BIT(CONTENT_WINDOW);
	if (x->has_usual && seq_dist(l->ack, x->usual.ack) < 0)
		set |= CONTENT_BIT(CONTENT_STALE_ACK);
	doubt(s, l, TO_CLIENT,
	      what == CONTENT_IS_PAGE ? SUBKIND_PAGE : what == CONTENT_IS_ALERT ? SUBKIND_ALERT : SUBKIND_DATA, r->time_ns);
	if (!s->odd_line[0])
		first_line(s->odd_line, payload, r->caplen);
	s->rules |= set;
	weigh(d, s);
}

static unsigned unlike(const struct content_look *a, const struct content_side *x, bool uses_ts)
{
	const struct content_look *usual = x->has_usual ? &x->usual : &x->synack;

	if (!x->has_usual && !x->has_synack)
		return 0;
	return (unsigned)__builtin_popcount(content_stack(a, usual, uses_ts, x->ipid_near && !x->ipid_far));
}

static void conflict(struct content_detector *d, struct content_flow *s, unsigned way, unsigned i,
		     const struct weir_rec *r, const struct content_look *l, const uint8_t *payload)
{
	struct content_side *x = &s->side[way];
	const struct content_look *old = &x->seg[i];
	bool uses_ts = r->own_dir_flags & WEIR_DIR_TS;
	/* The forger wins the race, unless its header gives the other away. */
	bool later = unlike(l, x, uses_ts) > unlike(old, x, uses_ts);
	const struct content_look *odd = later ? l : old, *real = later ? old : l;
	const uint8_t *bytes = later ? payload : x->bytes[i], *other = later ? x->bytes[i] : payload;
	enum content_first what = content_first(bytes, odd->kept);

	if (s->doubt && s->odd.seq != odd->seq)
		return;
	doubt(s, odd, way,
	      what == CONTENT_IS_PAGE ? SUBKIND_PAGE : what == CONTENT_IS_ALERT ? SUBKIND_ALERT : SUBKIND_DATA, r->time_ns);
	s->rules |= CONTENT_BIT(CONTENT_CONFLICT) | content_stack(odd, real, uses_ts, counts_ipid(d, s, way, r->time_ns));
	if (what != CONTENT_OTHER)
		s->rules |= CONTENT_BIT(CONTENT_PAGE);
	if (seq_dist(odd->ack, real->ack) < 0 && odd == l)
		s->rules |= CONTENT_BIT(CONTENT_STALE_ACK);
	first_line(s->odd_line, bytes, odd->kept);
	first_line(s->real_line, other, real->kept);
	weigh(d, s);
}

static void behind_fin(struct content_detector *d, struct content_flow *s, unsigned way, const struct weir_rec *r,
		       const struct content_look *l)
{
	struct content_side *x = &s->side[way];

	if (seq_dist(l->seq + l->len, x->fin.seq + x->fin.len) <= 0 || (s->doubt && s->odd.seq != x->fin.seq))
		return;
	doubt(s, &x->fin, way, x->fin.len ? SUBKIND_DATA : SUBKIND_FIN, r->time_ns);
	s->rules |= CONTENT_BIT(CONTENT_AFTER_FIN) |
		    content_stack(&x->fin, l, r->own_dir_flags & WEIR_DIR_TS, counts_ipid(d, s, way, r->time_ns));
	weigh(d, s);
}

/* Does the sender of the doubtful packet know of it? */
static void after_doubt(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
			const struct content_look *l)
{
	const struct rst_host *h = rst_host(&d->hosts, s->way == TO_CLIENT ? &s->flow->server.ip : &s->flow->client.ip,
					    r->time_ns);
	uint32_t age = l->us - s->odd.us;
	uint32_t had = s->rules;

	if ((s->rules & CONTENT_BIT(CONTENT_IPID)) && l->ipv4 && !l->df && l->ipid == s->odd.ipid && l->seq != s->odd.seq)
		s->rules |= CONTENT_BIT(CONTENT_IPID_SAME);
	if (s->odd.len > 1 && !l->len && seq_dist(l->seq, s->odd.seq) <= 0 && !(l->tcp_flags & TCP_SYN) &&
	    age > (h->reorders ? REORDER_US : RST_OVERTAKE_US))
		s->rules |= CONTENT_BIT(CONTENT_UNAWARE) |
			    content_stack(&s->odd, l, r->own_dir_flags & WEIR_DIR_TS, counts_ipid(d, s, s->way, r->time_ns));
	if (s->rules != had)
		weigh(d, s);
}

static void note_strange(struct content_detector *d, struct content_flow *s)
{
	for (unsigned i = 0; i < PAGES && i < d->npages; i++) {
		if (d->page[i].ipid != s->odd.ipid)
			continue;
		if (d->page[i].flow_id != s->flow->id) {
			s->rules |= CONTENT_BIT(CONTENT_IPID_FLOWS);
			weigh(d, s);
		}
		return;
	}
	d->page[d->npages++ % PAGES] = (struct strange_page){ s->flow->id, s->odd.ipid };
}

static void on_payload(struct content_detector *d, struct content_flow *s, unsigned way, const struct weir_rec *r,
		       const struct content_look *l, const uint8_t *payload)
{
	struct content_side *x = &s->side[way];
	bool had = s->doubt;

	for (unsigned i = 0; i < x->nseg; i++)
		if (content_conflict(&x->seg[i], x->bytes[i], l, payload)) {
			conflict(d, s, way, i, r, l, payload);
			break;
		}
	if (x->has_fin)
		behind_fin(d, s, way, r, l);
	if (way == TO_CLIENT && !x->data && l->kept)
		first_answer(d, s, r, l, payload);
	if (!had && s->doubt && (s->rules & CONTENT_BIT(CONTENT_IPID)) && (s->rules & CONTENT_BIT(CONTENT_PAGE)))
		note_strange(d, s);
	if (x->nseg < SEGMENTS && l->kept) {
		memcpy(x->bytes[x->nseg], payload, l->kept);
		x->seg[x->nseg++] = *l;
	}
	x->data = true;
}

/* The same packet seen on another interface, or by a mirror. */
static bool again(const struct content_side *x, const struct content_look *l)
{
	return x->has_last && l->us - x->last.us < 5000 && l->seq == x->last.seq && l->ack == x->last.ack &&
	       l->ipid == x->last.ipid && l->len == x->last.len && l->tcp_flags == x->last.tcp_flags;
}

static void note_usual(struct content_side *x, const struct content_look *l, const struct content_flow *s, unsigned way)
{
	if (x->has_last && x->last.ipid && l->ipid) {
		if ((uint16_t)(l->ipid - x->last.ipid - 1) < 256)
			x->ipid_near += x->ipid_near < UINT16_MAX;
		else if (!s->doubt || s->way != way)
			x->ipid_far += x->ipid_far < UINT16_MAX;
	}
	x->last = *l;
	x->has_last = true;
	/* What came since a doubt may be the forger's. */
	if (!(l->tcp_flags & TCP_SYN) && (!s->doubt || s->way != way)) {
		x->usual = *l;
		x->has_usual = true;
	}
}

static void content_on_packet(void *arg, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct content_detector *d = arg;
	struct content_flow *s = f->detector[d->env->slot];
	struct content_look l;
	struct content_side *x;
	unsigned way;

	if (r->kind != WEIR_REC_PACKET || r->proto != IPPROTO_TCP || (r->tcp_flags & TCP_RST))
		return;
	way = rec_way(f, r);
	if (!s) {
		if ((r->tcp_flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) || way != TO_CLIENT)
			return;
		s = state_new(d, f);
		s->syns = 1;
	}
	s->touched = true;
	l = look_of(r);
	x = &s->side[way];
	if (r->label == WEIR_DUPLICATE || again(x, &l))
		return;
	if (r->label == WEIR_REORDER)
		rst_host(&d->hosts, way == TO_CLIENT ? &f->server.ip : &f->client.ip, r->time_ns)->reorders = true;
	if (r->tcp_flags & TCP_SYN) {
		if (way == TO_SERVER)
			s->syns++;
		else if (r->tcp_flags & TCP_ACK)
			on_synack(d, s, r, &l);
	} else if (s->doubt && s->way == way) {
		after_doubt(d, s, r, &l);
	}
	if (l.len && !(r->tcp_flags & TCP_SYN))
		on_payload(d, s, way, r, &l, payload);
	if ((r->tcp_flags & TCP_FIN) && !x->has_fin) {
		x->fin = l;
		x->has_fin = true;
	}
	note_usual(x, &l, s, way);
}

static void content_flow_end(void *arg, struct flow *f)
{
	struct content_detector *d = arg;
	struct content_flow *s = f->detector[d->env->slot];

	if (!s)
		return;
	conclude(d, s);
	f->detector[d->env->slot] = NULL;
	s->flow = NULL;
	s->next_free = d->free;
	d->free = s;
}

static void content_tick(void *arg, uint64_t now_ns)
{
	struct content_detector *d = arg;

	inject_tick(&d->inject, now_ns);
}

static void content_rest(const struct inject_group *g, struct finding *f)
{
	struct facts *out = &f->ruled_out;

	if (g->text[0][0])
		fact_text(&f->estimate, "injected", "%s", g->text[0]);
	if (g->text[1][0])
		fact_text(&f->estimate, "genuine", "%s", g->text[1]);
	fact_text(out, "retransmission", "%s",
		  g->rule_cases[CONTENT_CONFLICT] ? "a sender repeats the same bytes" : "nothing was sent again");
	fact_text(out, "keepalive", "probes and single bytes were left out");
	fact_text(out, "servers_own_answer", "%s", g->rule_cases[CONTENT_UNAWARE] ?
			  "its sender did not know of it" : "headers are not its sender's");
	if (f->subkind == SUBKIND_SYN_ACK)
		fact_text(out, "syn_sent_again", "one SYN only");
}

const struct detector detect_content = {
	.name = "content",
	.create = content_create,
	.packet = content_on_packet,
	.flow_end = content_flow_end,
	.tick = content_tick,
	.finish = content_tick,
	.destroy = content_destroy,
};
