// SPDX-License-Identifier: GPL-2.0-or-later
/* One type against the others in the same direction in the same minutes. */
#include "rate.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_PACKETS	 30  /* of a flow, to be compared with */
#define CONTROL_BYTES	 20000
#define CONTROLS_MAX	 256
#define FREE_LOSS	 .34 /* controls lose less than so much of what the limited lose */
#define FREE_RTT	 .34
#define FREE_RATE	 1.5 /* a flow of the type that goes so much faster is not limited */
#define FREE_PEAK	 3.0 /* the fastest control, at its fastest, against the limit */
#define FREE_CHANCE	 .02 /* share that controls may lose on their own */
#define OTHERS_PACKETS	 100
#define OTHERS_WAIT	 .5 /* of what a queue in the bucket's stead would add */
#define PEAK_PACKETS	 16
#define PEAK_S		 .02 /* what comes closer together than a queue could tell is a sender's burst */

struct sample {
	double rtt[512];
	unsigned n;
};

static double median(double *v, unsigned n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), stats_by_value);
	return v[n / 2];
}

/* Round trips of a path while the limiter was at work, above the path's least. */
static void add_waits(struct sample *s, const struct path *p, const struct limiter *l)
{
	const struct rtt_ring *g = &p->s->rtt[l->side];
	unsigned step = 1 + g->n / 64;

	for (unsigned i = 0; i < g->n && s->n < 512; i += step)
		if (g->o[i].t_ns >= l->start_ns && g->o[i].t_ns <= l->last_ns)
			s->rtt[s->n++] = (g->o[i].us - g->min_us) * 1e-6;
}

struct tally {
	uint64_t packets, lost;
	double bytes, seconds;
};

/*
 * What passed of a path, and was lost. Live, most packets of a flow that is not in focus give no
 * record: then the engine's own counts know more, as long as they tell packets at all.
 */
static struct tally tally_of(const struct rate *r, const struct path *p, enum side side)
{
	const struct flow_counts *c = p->flow ? &p->flow->count[p->way] : &p->count;
	struct tally t = { .packets = p->s->packets, .lost = p->s->lost[side],
			   .bytes = (double)p->s->bytes };
	uint64_t span = p->lim.last_ns - p->lim.first_ns;

	if (r->env.focus && c->packets > t.packets)
		t = (struct tally){ .packets = c->packets, .bytes = (double)c->bytes,
				    .lost = side == SIDE_BEFORE ? c->lost_before : c->lost_after };
	else
		span -= p->lim.idle_ns;
	t.seconds = (double)span * 1e-9;
	return t;
}

static double tally_rate(const struct tally *t)
{
	return t->seconds > .01 ? t->bytes / t->seconds : 0;
}

/* The most that a path sent in a row, packets apart: what it can do when nothing holds it. */
static double path_peak(const struct path *p)
{
	double best = 0, bytes = 0;
	unsigned from = 0;

	for (unsigned i = 0; i < p->s->n; i++) {
		const struct obs *o = series_at(p->s, i);

		bytes += obs_len(o);
		if (i - from < PEAK_PACKETS)
			continue;
		bytes -= obs_len(series_at(p->s, from++));
		best = fmax(best, bytes / fmax((double)(int64_t)(o->t_ns - series_at(p->s, from)->t_ns) * 1e-9,
					       PEAK_S));
	}
	return best;
}

void type_compare(struct rate *r, struct limiter *l)
{
	struct sample own = { .n = 0 }, control = { .n = 0 }, others = { .n = 0 };
	double rates[CONTROLS_MAX], limit = l->verdict == VERDICT_SHAPER ? l->shape.rate : l->fit.rate;
	uint64_t lost = 0, packets = 0, control_lost = 0, others_lost = 0;
	unsigned n = 0;

	l->control_flows = 0;
	l->control_packets = 0;
	l->control_best = 0;
	l->others_packets = 0;
	l->other_type_limited = l->type_free = false;
	l->control_types[0] = 0;
	for (const struct path *p = r->paths; p; p = p->next) {
		bool in = group_has(p, &l->like, l->kind);
		struct tally t = tally_of(r, p, l->side);

		if (p->last_ns < l->start_ns || p->start_ns > l->last_ns || !t.packets)
			continue;
		if (in) {
			packets += t.packets;
			lost += t.lost;
			add_waits(&own, p, l);
			l->other_type_limited |= p->type != l->like.type && t.packets >= CONTROL_PACKETS;
		}
		if (!group_has(p, &l->like, GROUP_ALL) || t.packets < CONTROL_PACKETS ||
		    t.bytes < CONTROL_BYTES)
			continue;
		if (!in) {
			others_lost += t.lost;
			l->others_packets += t.packets;
			add_waits(&others, p, l);
		}
		if (p->type == l->like.type) {
			l->type_free |= !in && tally_rate(&t) > FREE_RATE * limit;
			continue;
		}
		if (in)
			continue;
		control_lost += t.lost;
		l->control_packets += t.packets;
		l->control_flows++;
		add_waits(&control, p, l);
		if (n < CONTROLS_MAX)
			rates[n++] = tally_rate(&t);
		l->control_best = fmax(l->control_best, path_peak(p));
		fact_list(l->control_types, sizeof(l->control_types), model_type_name(r->env.model, p->type));
	}
	l->own_loss = packets ? (double)lost / (double)(packets + lost) : NAN;
	l->control_loss = l->control_packets ?
				  (double)control_lost / (double)(l->control_packets + control_lost) :
				  NAN;
	l->own_rtt = median(own.rtt, own.n);
	l->control_rtt = median(control.rtt, control.n);
	l->control_rate = median(rates, n);
	l->others_loss = l->others_packets ?
				 (double)others_lost / (double)(l->others_packets + others_lost) : NAN;
	l->others_rtt = median(others.rtt, others.n);
}

bool others_queue(const struct limiter *l)
{
	return l->others_packets >= OTHERS_PACKETS && l->others_rtt >= OTHERS_WAIT * l->shape.rtt_queued;
}

bool others_share(const struct limiter *l)
{
	return l->others_packets >= OTHERS_PACKETS && l->others_loss >= fmax(FREE_CHANCE, FREE_LOSS * l->own_loss) &&
	       l->others_rtt >= OTHERS_WAIT * l->fit.dx;
}

bool type_only(const struct limiter *l)
{
	double limit = l->verdict == VERDICT_SHAPER ? l->shape.rate : l->fit.rate;

	if (l->control_flows < 2 || l->control_packets < 100 || l->other_type_limited ||
	    l->type_free)
		return false;
	if (l->kind != GROUP_HOST_TYPE && l->kind != GROUP_TYPE && l->kind != GROUP_PAIR)
		return false;
	if (l->verdict == VERDICT_SHAPER)
		return l->control_best >= FREE_PEAK * limit && !isnan(l->control_rtt) &&
		       l->control_rtt <= FREE_RTT * l->own_rtt &&
		       l->control_loss <= fmax(FREE_CHANCE, FREE_LOSS * l->own_loss);
	return l->control_loss <= FREE_LOSS * l->own_loss;
}
