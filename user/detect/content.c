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
#define CHUNK	   128
#define SEGMENTS   3	       /* kept per direction */
#define PAGES	   32	       /* strange first answers remembered across flows */
#define REORDER_US 25000u
#define FAR_APART  (1u << 26)  /* sequence numbers: of no one stream's start */
#define SYNACK_US  900000u     /* two answers to one SYN: beyond, it may have been sent again, unseen (RFC 6298) */

/* A doubtful packet of one direction, followed. */
struct doubt {
	struct content_look odd;
	uint32_t rules;
	struct inject_told told;
	uint64_t odd_ns, group;
	uint8_t subkind;
	char odd_line[48], real_line[48];
};

/* Every packet writes the first two cache lines. */
struct content_side {
	struct content_look last, usual; /* usual: newest behind the handshake, before any doubt */
	uint32_t kept_from, kept_to; /* seg[] lies within, unless it is scattered */
	unsigned nseg;
	uint16_t ipid_near, ipid_far;
	uint16_t mss;
	uint8_t wscale;
	bool has_last, has_usual, has_fin, has_synack, data, scattered;
	uint8_t first_soon, fin_soon; /* rst_too_soon() of the first bytes, of the FIN */
	struct content_look fin, synack;
	struct content_look seg[SEGMENTS];
	uint8_t bytes[SEGMENTS][CONTENT_KEPT];
} __attribute__((aligned(64)));

struct content_flow {
	struct flow *flow;
	struct content_flow *next_free;
	uint32_t syns;
	bool touched;
	bool doubted[2];	     /* doubt holds something */
	struct rst_host *host[2];    /* by way: where the sender's was found last */
	struct content_side side[2]; /* by way */
	struct doubt doubt[2];
};

struct strange_page {
	uint64_t flow_id;
	uint16_t ipid;
};

struct content_detector {
	const struct detect_env *env;
	struct content_flow *chunk[FLOWS / CHUNK], *free;
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

	for (unsigned i = 0; i < FLOWS / CHUNK; i++)
		free(d->chunk[i]);
	inject_free(&d->inject);
	free(d);
}

static struct content_flow *slot(struct content_detector *d, unsigned i)
{
	struct content_flow **c = &d->chunk[i / CHUNK];

	if (!*c)
		*c = aligned_alloc(64, CHUNK * sizeof(**c));
	return *c ? &(*c)[i % CHUNK] : NULL;
}

static struct content_flow *state_new(struct content_detector *d, struct flow *f)
{
	struct content_flow *s = d->free;

	if (s) {
		d->free = s->next_free;
	} else if (d->used < FLOWS) {
		s = slot(d, d->used);
		if (!s)
			return NULL;
		d->used++;
	} else {
		/* The quiet ones give way: what is injected comes early. */
		do {
			s = slot(d, d->hand++ % FLOWS);
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
		.time_ns = r->time_ns,
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

static struct rst_host *host_of(struct content_detector *d, struct content_flow *s, unsigned way, uint64_t now_ns)
{
	return rst_host_at(&d->hosts, &s->host[way], way == TO_CLIENT ? &s->flow->server.ip : &s->flow->client.ip,
			   now_ns);
}

static struct rst_base base_of(struct content_detector *d, struct content_flow *s, unsigned way, uint64_t now_ns)
{
	const struct rst_host *h = host_of(d, s, way, now_ns);

	return (struct rst_base){ .min_us = rst_host_rtt_min(h, now_ns), .n = h->rtt_n,
				  .mean_us = (uint32_t)h->rtt_mean_us, .reorders = h->reorders };
}

/* What stands beside the packet in the evidence. */
static void mark(struct content_detector *d, const struct flow *f, const struct doubt *q, double score)
{
	char text[200];
	int n;

	if (!d->env->mark)
		return;
	n = snprintf(text, sizeof(text), "injected %s, score %.0f:", subkind_name(q->subkind), score);
	for (unsigned r = 0; r < CONTENT_RULES && n < (int)sizeof(text); r++)
		if (q->rules & CONTENT_BIT(r))
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", content_rule_name(r));
	d->env->mark(d->env->mark_arg, f, q->odd.time_ns, text);
}

static void report(struct content_detector *d, struct content_flow *s, unsigned way)
{
	const struct flow *f = s->flow;
	const struct content_side *x = &s->side[way];
	struct doubt *q = &s->doubt[way];
	struct rst_base base = base_of(d, s, way, q->odd_ns);
	struct inject_case k = {
		.kind = KIND_CONTENT_INJECTION,
		.subkind = q->subkind,
		.flow = f,
		.time_ns = q->odd_ns,
		.score = content_score(q->rules),
		.rules = q->rules,
		.firm = content_score(q->rules) >= 5 && q->rules & CONTENT_CONTRADICTS,
		.toward_client = way == TO_CLIENT,
		.degraded = f->fragile,
		.ttl = q->odd.ttl,
		.flow_ttl = x->has_usual ? x->usual.ttl : x->has_synack ? x->synack.ttl : 0,
		.copies = 1,
		.rtt_us = base.min_us,
	};
	char what[] = "content/?";
	struct inject_group *g;

	if (k.score < 4)
		return;
	mark(d, s->flow, q, k.score);
	what[sizeof(what) - 2] = (char)('a' + q->subkind);
	k.key = q->group ? q->group : inject_key(f, what);
	if (q->group) {
		inject_more(&d->inject, &k, &q->told);
	} else {
		g = inject_add(&d->inject, &k);
		if (!g)
			return;
		q->group = k.key;
		snprintf(g->text[0], sizeof(g->text[0]), "%s", q->odd_line);
		snprintf(g->text[1], sizeof(g->text[1]), "%s", q->real_line);
		g->dirty = true;
	}
	inject_told(&q->told, &k);
}

static void weigh(struct content_detector *d, struct content_flow *s, unsigned way)
{
	const struct doubt *q = &s->doubt[way];

	if (content_score(q->rules) >= 6 && (!q->group || q->rules & ~q->told.rules))
		report(d, s, way);
}

/* No more is to come: what stayed below a claim is said as possible. */
static void conclude(struct content_detector *d, struct content_flow *s)
{
	for (unsigned way = 0; way < 2; way++)
		if (s->doubted[way] && (!s->doubt[way].group || s->doubt[way].rules & ~s->doubt[way].told.rules))
			report(d, s, way);
}

/*
 * Tools against censorship send their own connection's false packets ahead, to
 * expire on the way: from our side of the gateway, or with little left to live.
 */
static bool own_side(struct content_detector *d, const struct flow *f, unsigned way, const struct content_look *odd,
		     const struct content_side *x)
{
	const struct model *m = d->env->model;

	if (way == TO_SERVER && odd->ttl <= 10 && x->has_usual && x->usual.ttl > 30)
		return true;
	return model_is_local(m, way == TO_SERVER ? &f->client.ip : &f->server.ip) &&
	       !model_is_local(m, way == TO_SERVER ? &f->server.ip : &f->client.ip);
}

static struct doubt *doubt(struct content_detector *d, struct content_flow *s, const struct content_look *odd,
			   unsigned way, enum subkind subkind, uint64_t now_ns)
{
	struct doubt *q = &s->doubt[way];

	if (s->doubted[way])
		return q;
	s->doubted[way] = true;
	q->odd = *odd;
	q->odd_ns = now_ns;
	q->subkind = (uint8_t)subkind;
	if (own_side(d, s->flow, way, odd, &s->side[way]))
		q->rules |= CONTENT_BIT(CONTENT_OWN_SIDE);
	return q;
}

static bool counts_ipid(struct content_detector *d, struct content_flow *s, unsigned way, uint64_t now_ns)
{
	const struct content_side *x = &s->side[way];

	if (x->ipid_near || x->ipid_far)
		return x->ipid_near && !x->ipid_far;
	return rst_host_counts_ipid(host_of(d, s, way, now_ns));
}

static void second_synack(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
			  const struct content_look *l)
{
	struct content_side *x = &s->side[TO_CLIENT];
	struct rst_base base = base_of(d, s, TO_CLIENT, r->time_ns);
	struct doubt *q;

	if (s->syns > 1 || l->seq == x->synack.seq || l->ack != x->synack.ack || l->us - x->synack.us > SYNACK_US)
		return;
	/* The forger wins the race: the first is the odd one. */
	q = doubt(d, s, &x->synack, TO_CLIENT, SUBKIND_SYN_ACK, r->time_ns);
	q->rules |= CONTENT_BIT(CONTENT_TWO_ISNS) | content_stack(&x->synack, l, false, false);
	if (x->mss != r->mss || x->wscale != r->wscale || x->synack.ts != l->ts)
		q->rules |= CONTENT_BIT(CONTENT_OPTIONS);
	if (x->synack.win / 4 > l->win || l->win / 4 > x->synack.win)
		q->rules |= CONTENT_BIT(CONTENT_WINDOW);
	if (base.n >= 3 && rst_too_soon(x->synack.us - s->side[TO_SERVER].synack.us, &base) == 2)
		q->rules |= CONTENT_BIT(CONTENT_SOON);
	weigh(d, s, TO_CLIENT);
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
		rst_host_rtt(host_of(d, s, TO_CLIENT, r->time_ns), r->rtt_us, r->time_ns);
}

static enum subkind subkind_of(enum content_first what)
{
	return what == CONTENT_IS_PAGE ? SUBKIND_PAGE : what == CONTENT_IS_ALERT ? SUBKIND_ALERT : SUBKIND_DATA;
}

static uint32_t soon_rule(unsigned soon)
{
	return soon == 2 ? CONTENT_BIT(CONTENT_CERTAIN) : soon ? CONTENT_BIT(CONTENT_SOON) : 0;
}

/* The first bytes of an answer. */
static void first_answer(struct content_detector *d, struct content_flow *s, const struct weir_rec *r,
			 const struct content_look *l, const uint8_t *payload)
{
	struct content_side *x = &s->side[TO_CLIENT];
	enum content_first what = content_first(payload, r->caplen);
	struct rst_base base = base_of(d, s, TO_CLIENT, r->time_ns);
	bool uses_ts = rec_uses_ts(r);
	uint32_t set = 0, stack = 0;
	int soon = rst_too_soon(r->ack_age_us, &base);
	struct doubt *q;

	if (!s->side[TO_SERVER].data)
		return;
	x->first_soon = (uint8_t)soon;
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
		stack = content_stack(l, &x->usual, uses_ts, counts_ipid(d, s, TO_CLIENT, r->time_ns));
	else if (x->has_synack)
		stack = content_stack(l, &x->synack, uses_ts, false) & ~CONTENT_BIT(CONTENT_WINDOW);
	/* Time alone makes no case of bytes that look like any others. */
	if (what == CONTENT_OTHER && !stack)
		return;
	set |= stack;
	if (x->has_usual && seq_dist(l->ack, x->usual.ack) < 0)
		set |= CONTENT_BIT(CONTENT_STALE_ACK);
	q = doubt(d, s, l, TO_CLIENT, subkind_of(what), r->time_ns);
	if (!q->odd_line[0])
		first_line(q->odd_line, payload, r->caplen);
	q->rules |= set;
	weigh(d, s, TO_CLIENT);
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
	bool uses_ts = rec_uses_ts(r);
	/* The forger wins the race, unless its header gives the other away. */
	bool later = unlike(l, x, uses_ts) > unlike(old, x, uses_ts);
	const struct content_look *odd = later ? l : old, *real = later ? old : l;
	const uint8_t *bytes = later ? payload : x->bytes[i], *other = later ? x->bytes[i] : payload;
	enum content_first what = content_first(bytes, odd->kept);

	struct doubt *q = &s->doubt[way];

	if (s->doubted[way] && q->odd.seq != odd->seq)
		return;
	q = doubt(d, s, odd, way, subkind_of(what), r->time_ns);
	q->rules |= CONTENT_BIT(CONTENT_CONFLICT) | content_stack(odd, real, uses_ts, counts_ipid(d, s, way, r->time_ns));
	if (what != CONTENT_OTHER)
		q->rules |= CONTENT_BIT(CONTENT_PAGE);
	if (odd == old && !i)
		q->rules |= soon_rule(x->first_soon);
	if (seq_dist(odd->ack, real->ack) < 0 && odd == l)
		q->rules |= CONTENT_BIT(CONTENT_STALE_ACK);
	first_line(q->odd_line, bytes, odd->kept);
	first_line(q->real_line, other, real->kept);
	weigh(d, s, way);
}

static void behind_fin(struct content_detector *d, struct content_flow *s, unsigned way, const struct weir_rec *r,
		       const struct content_look *l)
{
	struct content_side *x = &s->side[way];

	struct doubt *q = &s->doubt[way];

	if (seq_dist(l->seq + l->len, x->fin.seq + x->fin.len) <= 0 || (s->doubted[way] && q->odd.seq != x->fin.seq))
		return;
	q = doubt(d, s, &x->fin, way, x->fin.len ? SUBKIND_DATA : SUBKIND_FIN, r->time_ns);
	q->rules |= CONTENT_BIT(CONTENT_AFTER_FIN) | soon_rule(x->fin_soon) |
		    content_stack(&x->fin, l, rec_uses_ts(r), counts_ipid(d, s, way, r->time_ns));
	weigh(d, s, way);
}

/* Does the sender of the doubtful packet know of it? */
static void after_doubt(struct content_detector *d, struct content_flow *s, unsigned way, const struct weir_rec *r,
			const struct content_look *l)
{
	const struct rst_host *h = host_of(d, s, way, r->time_ns);
	struct doubt *q = &s->doubt[way];
	uint32_t age = l->us - q->odd.us, had = q->rules;

	if ((q->rules & CONTENT_BIT(CONTENT_IPID)) && l->ipv4 && !l->df && l->ipid == q->odd.ipid && l->seq != q->odd.seq)
		q->rules |= CONTENT_BIT(CONTENT_IPID_SAME);
	if (q->odd.len > 1 && !l->len && seq_dist(l->seq, q->odd.seq) <= 0 && !(l->tcp_flags & TCP_SYN) &&
	    age > (h->reorders ? REORDER_US : RST_OVERTAKE_US))
		q->rules |= CONTENT_BIT(CONTENT_UNAWARE) |
			    content_stack(&q->odd, l, rec_uses_ts(r), counts_ipid(d, s, way, r->time_ns));
	if (q->rules != had)
		weigh(d, s, way);
}

/* A box that gives its packets one IP-ID shows it from flow to flow. */
static void note_strange(struct content_detector *d, struct content_flow *s, unsigned way)
{
	struct doubt *q = &s->doubt[way];

	for (unsigned i = 0; i < PAGES && i < d->npages; i++) {
		if (d->page[i].ipid != q->odd.ipid)
			continue;
		if (d->page[i].flow_id != s->flow->id) {
			q->rules |= CONTENT_BIT(CONTENT_IPID_FLOWS);
			weigh(d, s, way);
		}
		return;
	}
	d->page[d->npages++ % PAGES] = (struct strange_page){ s->flow->id, q->odd.ipid };
}

/* The range that holds all that is kept; numbers too far apart have no order. */
static void keep_range(struct content_side *x, const struct content_look *l)
{
	if (!x->nseg) {
		x->kept_from = l->seq;
		x->kept_to = l->seq + l->kept;
		return;
	}
	x->scattered |= l->seq - x->kept_from + FAR_APART > 2 * FAR_APART;
	if (seq_dist(l->seq, x->kept_from) < 0)
		x->kept_from = l->seq;
	if (seq_dist(l->seq + l->kept, x->kept_to) > 0)
		x->kept_to = l->seq + l->kept;
}

/* May it overlap what is kept? Most come long after. */
static bool near_kept(const struct content_side *x, const struct content_look *l)
{
	return x->scattered || (seq_dist(l->seq, x->kept_to) < 0 && seq_dist(l->seq + l->kept, x->kept_from) > 0);
}

static void on_payload(struct content_detector *d, struct content_flow *s, unsigned way, const struct weir_rec *r,
		       const struct content_look *l, const uint8_t *payload)
{
	struct content_side *x = &s->side[way];
	const struct doubt *q = &s->doubt[way];
	bool had = s->doubted[way];

	for (unsigned i = 0; i < x->nseg && near_kept(x, l); i++)
		if (content_conflict(&x->seg[i], x->bytes[i], l, payload)) {
			conflict(d, s, way, i, r, l, payload);
			break;
		}
	if (x->has_fin)
		behind_fin(d, s, way, r, l);
	if (way == TO_CLIENT && !x->data && l->kept)
		first_answer(d, s, r, l, payload);
	if (!had && s->doubted[way] && (q->rules & CONTENT_BIT(CONTENT_IPID)) && (q->rules & CONTENT_BIT(CONTENT_PAGE)))
		note_strange(d, s, way);
	if (x->nseg < SEGMENTS && l->kept) {
		memcpy(x->bytes[x->nseg], payload, l->kept);
		keep_range(x, l);
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
		else if (!s->doubted[way])
			x->ipid_far += x->ipid_far < UINT16_MAX;
	}
	x->last = *l;
	x->has_last = true;
	/* What came since a doubt may be the forger's. */
	if (!(l->tcp_flags & TCP_SYN) && !s->doubted[way]) {
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

	if (r->tcp_flags & TCP_RST)
		return;
	way = rec_way(f, r);
	if (!s) {
		if ((r->tcp_flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) || way != TO_CLIENT)
			return;
		s = state_new(d, f);
		if (!s)
			return;
		s->syns = 1;
	}
	s->touched = true;
	l = look_of(r);
	x = &s->side[way];
	if (r->label == WEIR_DUPLICATE || again(x, &l))
		return;
	if (r->label == WEIR_REORDER)
		host_of(d, s, way, r->time_ns)->reorders = true;
	if (r->tcp_flags & TCP_SYN) {
		if (way == TO_SERVER)
			s->syns++;
		else if (r->tcp_flags & TCP_ACK)
			on_synack(d, s, r, &l);
	} else if (s->doubted[way]) {
		after_doubt(d, s, way, r, &l);
	}
	/* How far its sender is, by what is not easily forged unseen. */
	if (r->rtt_us && !l.len && !(r->tcp_flags & (TCP_SYN | TCP_FIN)) && r->own_pkts < 64 && (!rec_uses_ts(r) || l.ts))
		rst_host_rtt(host_of(d, s, way, r->time_ns), r->rtt_us, r->time_ns);
	if (l.len && !(r->tcp_flags & TCP_SYN))
		on_payload(d, s, way, r, &l, payload);
	if ((r->tcp_flags & TCP_FIN) && !x->has_fin) {
		struct rst_base base = base_of(d, s, way, r->time_ns);

		x->fin = l;
		x->has_fin = true;
		x->fin_soon = (uint8_t)rst_too_soon(r->ack_age_us, &base);
	}
	note_usual(x, &l, s, way);
}

static void content_expect(const void *arg, const struct flow *f, unsigned way)
{
	const struct content_detector *d = arg;
	const struct content_flow *s = f->detector[d->env->slot];

	if (!s)
		return;
	__builtin_prefetch(&s->side[way], 1);
	__builtin_prefetch(&s->side[way].nseg, 1);
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

static bool content_busy(void *arg, const struct flow *f)
{
	struct content_detector *d = arg;
	const struct content_flow *s = f->detector[d->env->slot];

	return s && (s->doubted[0] || s->doubted[1]);
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
	.wants = PACKET_TCP,
	.create = content_create,
	.packet = content_on_packet,
	.expect = content_expect,
	.flow_end = content_flow_end,
	.busy = content_busy,
	.tick = content_tick,
	.finish = content_tick,
	.destroy = content_destroy,
};
