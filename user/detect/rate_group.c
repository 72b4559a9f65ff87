// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may share a limiter, and what it did to all of them together. */
#include "rate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
		return ip_same(&p->from, &like->from) && ip_same(&p->to, &like->to);
	case GROUP_HOST_TYPE:
		return p->type == like->type && same_direction(p, like) &&
		       ip_same(host(p), host(like));
	case GROUP_HOST:
		return same_direction(p, like) && ip_same(host(p), host(like));
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

static bool later(const struct fit_packet *a, const struct fit_packet *b)
{
	return a->t > b->t || (a->t == b->t && a->lost > b->lost);
}

/* A path's packets are in order but for the lost ones, which are not far from their place. */
static void settle(struct fit_packet *p, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct fit_packet x = p[i];
		unsigned j = i;

		for (; j && later(&p[j - 1], &x); j--)
			p[j] = p[j - 1];
		p[j] = x;
	}
}

/* Merges runs that end at end[0..k) until one is left. */
static void merge(struct fit_packet *p, struct fit_packet *room, unsigned *end, unsigned k)
{
	while (k > 1) {
		unsigned out = 0, from = 0;

		for (unsigned i = 0; i < k; i += 2) {
			unsigned a = from, mid = end[i], b = mid, to = i + 1 < k ? end[i + 1] : mid;
			unsigned at = from;

			while (a < mid && b < to)
				room[at++] = later(&p[a], &p[b]) ? p[b++] : p[a++];
			memcpy(&room[at], &p[a], (mid - a) * sizeof(*p));
			at += mid - a;
			memcpy(&room[at], &p[b], (to - b) * sizeof(*p));
			memcpy(&p[from], &room[from], (to - from) * sizeof(*p));
			end[out++] = to;
			from = to;
		}
		k = out;
	}
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

void group_gather(struct rate *r, const struct group *g, enum side side, bool acked,
		  struct fit_input *in, uint64_t *origin_ns)
{
	uint64_t from = gather_from(g), origin = UINT64_MAX;
	unsigned n = 0, m = 0, end[MEMBERS_MAX];
	double slice = .01;

	for (unsigned i = 0; i < g->n; i++)
		if (g->path[i]->s->n && series_at(g->path[i]->s, 0)->t_ns < origin)
			origin = series_at(g->path[i]->s, 0)->t_ns;
	for (unsigned i = 0; i < g->n; i++) {
		const struct series *s = g->path[i]->s;
		double rtt = 0;
		unsigned k;

		k = acked ? series_acked(s, from, origin, r->packets + n, GATHER_MAX - n) :
			    series_packets(s, side, from, origin, r->packets + n, GATHER_MAX - n);
		settle(r->packets + n, k);
		n += k;
		end[i] = n;
		k = series_rtts(s, side, from, origin, r->rtts + m, FIT_RTTS_MAX - m);
		/* Servers are at different distances: only what a round trip is above the least. */
		for (unsigned j = m; j < m + k; j++) {
			/* What was delivered is known when its acknowledgment comes. */
			r->rtts[j].t += acked ? r->rtts[j].rtt : 0;
			r->rtts[j].rtt -= (float)s->rtt[side].min_us * 1e-6f;
		}
		m += k;
		for (unsigned j = 0; j < SIDES; j++)
			rtt += s->rtt[j].min_us * 1e-6;
		slice = fmax(slice, rtt);
	}
	merge(r->packets, r->room, end, g->n);
	if (g->n > 1 || acked)
		qsort(r->rtts, m, sizeof(*r->rtts), by_rtt_time);
	*in = (struct fit_input){ .packet = r->packets, .packets = n, .rtt = r->rtts, .rtts = m,
				  .slice = fmin(slice, 1), .flows = g->n, .whole = !from };
	*origin_ns = origin;
}
