// SPDX-License-Identifier: GPL-2.0-or-later
#include "interval.h"

#include <math.h>
#include <string.h>

#define LOSS_MIN_PACKETS 30

static void rtt_since(struct rtt_hist *out, const struct rtt_hist *now, const struct rtt_hist *then)
{
	out->n = 0;
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		out->count[i] = now->count[i] - then->count[i];
		out->n += out->count[i];
	}
}

static void add(struct type_stats *a, const struct type_stats *b)
{
	a->flows_started += b->flows_started;
	a->flows_ended += b->flows_ended;
	a->flows_active += b->flows_active;
	a->rsts += b->rsts;
	a->rsts_suspect += b->rsts_suspect;
	for (unsigned w = 0; w < 2; w++) {
		a->packets[w] += b->packets[w];
		a->bytes[w] += b->bytes[w];
		a->data_packets[w] += b->data_packets[w];
		a->tcp_data_packets[w] += b->tcp_data_packets[w];
		a->retx[w] += b->retx[w];
		a->lost[w] += b->lost[w];
	}
	a->rtt.n = 0;
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		a->rtt.count[i] += b->rtt.count[i];
		a->rtt.n += a->rtt.count[i];
	}
}

static void not_below_zero(uint64_t *v)
{
	if ((int64_t)*v < 0)
		*v = 0;
}

void interval_clamp(struct type_stats *out)
{
	not_below_zero(&out->flows_started);
	not_below_zero(&out->flows_ended);
	not_below_zero(&out->rsts);
	not_below_zero(&out->rsts_suspect);
	for (unsigned w = 0; w < 2; w++) {
		not_below_zero(&out->packets[w]);
		not_below_zero(&out->bytes[w]);
		not_below_zero(&out->data_packets[w]);
		not_below_zero(&out->tcp_data_packets[w]);
		not_below_zero(&out->retx[w]);
		not_below_zero(&out->lost[w]);
	}
}

void interval_next(struct interval *iv, const struct model *m, unsigned type,
		   struct type_stats *out, struct type_stats *all)
{
	const struct type_stats *now = model_type(m, type);
	struct type_stats *then = &iv->before[type];

	*out = *now;
	out->flows_started -= then->flows_started;
	out->flows_ended -= then->flows_ended;
	out->rsts -= then->rsts;
	out->rsts_suspect -= then->rsts_suspect;
	for (unsigned w = 0; w < 2; w++) {
		out->packets[w] -= then->packets[w];
		out->bytes[w] -= then->bytes[w];
		out->data_packets[w] -= then->data_packets[w];
		out->tcp_data_packets[w] -= then->tcp_data_packets[w];
		out->retx[w] -= then->retx[w];
		out->lost[w] -= then->lost[w];
	}
	rtt_since(&out->rtt, &now->rtt, &then->rtt);
	*then = *now;

	/* What moved to another type is less here and more there: right in the sum, nothing here. */
	if (all)
		add(all, out);
	interval_clamp(out);
}

double loss_ratio(const struct type_stats *t, unsigned way)
{
	uint64_t offered = t->tcp_data_packets[way] + t->lost[way];

	if (t->tcp_data_packets[way] < LOSS_MIN_PACKETS)
		return NAN;
	return (double)t->lost[way] / offered;
}
