/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may share a limiter, and what it did to all of them together. */
#include "rate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_ip(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool same_direction(const struct path *a, const struct path *b)
{
	if (a->ifindex != b->ifindex)
		return false;
	if (a->inbound || a->outbound || b->inbound || b->outbound)
		return a->inbound == b->inbound && a->outbound == b->outbound;
	return a->way == b->way;
}

/* The end that a provider knows its customer by. */
static const struct in6_addr *host(const struct path *p)
{
	if (p->inbound)
		return &p->to;
	if (p->outbound)
		return &p->from;
	return &p->client;
}

bool group_has(const struct path *p, const struct path *like, enum group_kind kind)
{
	switch (kind) {
	case GROUP_PATH:
		return p->flow_id == like->flow_id && p->way == like->way;
	case GROUP_PAIR:
		return same_ip(&p->from, &like->from) && same_ip(&p->to, &like->to);
	case GROUP_HOST_TYPE:
		return p->type == like->type && same_direction(p, like) &&
		       same_ip(host(p), host(like));
	case GROUP_HOST:
		return same_direction(p, like) && same_ip(host(p), host(like));
	case GROUP_TYPE:
		return p->type == like->type && same_direction(p, like);
	case GROUP_ALL:
		return same_direction(p, like);
	default:
		return false;
	}
}

void group_of(const struct rate *r, const struct path *like, enum group_kind kind, struct group *g)
{
	g->kind = kind;
	g->n = 0;
	for (struct path *p = r->paths; p && g->n < MEMBERS_MAX; p = p->next)
		if (p->s->n && group_has(p, like, kind))
			g->path[g->n++] = p;
}

unsigned group_losses(const struct group *g, enum side side, unsigned *lossy)
{
	unsigned lost = 0;

	*lossy = 0;
	for (unsigned i = 0; i < g->n; i++) {
		unsigned l = g->path[i]->s->lost[side];

		lost += l;
		*lossy += l >= 2;
	}
	return lost;
}

uint64_t group_packets(const struct group *g)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += g->path[i]->s->packets;
	return n;
}

static int by_time(const void *a, const void *b)
{
	const struct fit_packet *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->lost - y->lost;
}

static int by_rtt_time(const void *a, const void *b)
{
	double x = ((const struct fit_rtt *)a)->t, y = ((const struct fit_rtt *)b)->t;

	return x < y ? -1 : x > y;
}

/* From when on all members are held packet by packet, and fit into the room. */
static uint64_t gather_from(const struct group *g)
{
	uint64_t from = 0, last = 0, sum = 0, oldest = UINT64_MAX;

	for (unsigned i = 0; i < g->n; i++) {
		const struct series *s = g->path[i]->s;

		if (!s->whole && s->from_ns > from)
			from = s->from_ns;
		if (g->path[i]->last_ns > last)
			last = g->path[i]->last_ns;
		if (s->from_ns < oldest)
			oldest = s->from_ns;
		sum += s->n;
	}
	if (oldest < from)
		oldest = from;
	if (sum > GATHER_MAX && last > oldest)
		from = last - (uint64_t)((double)(last - oldest) * GATHER_MAX * .8 / (double)sum);
	return from;
}

void group_gather(struct rate *r, const struct group *g, enum side side, struct fit_input *in,
		  uint64_t *origin_ns)
{
	uint64_t from = gather_from(g), origin = UINT64_MAX;
	unsigned n = 0, m = 0;
	double slice = .01;

	for (unsigned i = 0; i < g->n; i++)
		if (g->path[i]->s->n && series_at(g->path[i]->s, 0)->t_ns < origin)
			origin = series_at(g->path[i]->s, 0)->t_ns;
	for (unsigned i = 0; i < g->n; i++) {
		const struct series *s = g->path[i]->s;
		double rtt = 0;
		unsigned k;

		n += series_packets(s, side, from, origin, r->packets + n, GATHER_MAX - n);
		k = series_rtts(s, side, from, origin, r->rtts + m, FIT_RTTS_MAX - m);
		/* Servers are at different distances: only what a round trip is above the least. */
		for (unsigned j = m; j < m + k; j++)
			r->rtts[j].rtt -= (float)s->rtt[side]->min_us * 1e-6f;
		m += k;
		for (unsigned j = 0; j < SIDES; j++)
			rtt += s->rtt[j] ? s->rtt[j]->min_us * 1e-6 : 0;
		slice = fmax(slice, rtt);
	}
	qsort(r->packets, n, sizeof(*r->packets), by_time);
	if (g->n > 1)
		qsort(r->rtts, m, sizeof(*r->rtts), by_rtt_time);
	*in = (struct fit_input){ .packet = r->packets, .packets = n, .rtt = r->rtts, .rtts = m,
				  .slice = fmin(slice, 1), .flows = g->n };
	*origin_ns = origin;
}
