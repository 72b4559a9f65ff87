// SPDX-License-Identifier: GPL-2.0-or-later
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BITS  6 /* 64 µs: what lies below is one bucket */
#define OCTAVE_BITS 5
#define MAX_US	    ((1u << (FIRST_BITS + RTT_OCTAVES)) - 1)

/* Octave 0 is all below 64 µs, in its first bucket. */
static void place(uint32_t us, unsigned *octave, unsigned *in)
{
	unsigned top;

	if (us > MAX_US)
		us = MAX_US;
	if (us < 1u << FIRST_BITS) {
		*octave = *in = 0;
		return;
	}
	top = 31 - __builtin_clz(us);
	*octave = top - FIRST_BITS + 1;
	*in = (us >> (top - OCTAVE_BITS)) & (RTT_OCTAVE - 1);
}

static unsigned bucket_at(unsigned octave, unsigned in)
{
	return octave ? 1 + (octave - 1) * RTT_OCTAVE + in : 0;
}

static double bucket_start(unsigned b)
{
	if (!b)
		return 0;
	b--;
	return (double)((uint64_t)(RTT_OCTAVE + b % RTT_OCTAVE) << (b / RTT_OCTAVE)) *
	       (1 << (FIRST_BITS - OCTAVE_BITS));
}

const uint32_t rtt_bounds_us[RTT_BOUNDS] = { 1000,   2500,   5000,   10000,   25000,	50000,
					      100000, 250000, 500000, 1000000, 2500000, 5000000 };

void rtt_sums_add(struct rtt_sums *s, uint32_t us)
{
	unsigned i = 0;

	while (i < RTT_BOUNDS && us > rtt_bounds_us[i])
		i++;
	s->n[i]++;
	s->sum_us += us;
}

void rtt_add(struct rtt_hist *h, uint32_t us)
{
	unsigned octave, in;

	place(us, &octave, &in);
	h->count[bucket_at(octave, in)]++;
	h->n++;
}

/* The sample of that rank (0 the smallest), where its bucket's samples lie evenly. */
static double ranked(const double *weight, double rank)
{
	double below = 0;
	unsigned last = 0;

	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		if (weight[i] <= 0)
			continue;
		if (below + weight[i] > rank) {
			double from = bucket_start(i), to = bucket_start(i + 1);

			return from + (to - from) * (rank - below + 0.5) / (weight[i] + 1);
		}
		below += weight[i];
		last = i;
	}
	return bucket_start(last + 1);
}

/*
 * Between two samples the quantile lies on the line that joins them (Hyndman
 * and Fan 1996, type 7). Weights may be fractions: sides have faded differently.
 */
static double quantile(const double *weight, double q)
{
	double total = 0, pos, low, part;

	for (unsigned i = 0; i < RTT_BUCKETS; i++)
		total += weight[i];
	if (total <= 0)
		return 0;
	pos = total > 1 ? q * (total - 1) : 0;
	low = floor(pos);
	part = pos - low;
	return ranked(weight, low) * (1 - part) + ranked(weight, low + 1 < total ? low + 1 : low) * part;
}

double rtt_quantile_us(const struct rtt_hist *h, double q)
{
	double weight[RTT_BUCKETS];

	for (unsigned i = 0; i < RTT_BUCKETS; i++)
		weight[i] = h->count[i];
	return quantile(weight, q);
}

/* The bucket's count, its block made where missing; NULL: out of memory. */
static uint8_t *bucket_of(struct rtt_side *s, unsigned octave, unsigned in)
{
	if (!s->block_of[octave]) {
		uint8_t(*block)[RTT_OCTAVE] = realloc(s->block, (s->blocks + 1) * sizeof(*block));

		if (!block)
			return NULL;
		s->block = block;
		memset(block[s->blocks], 0, sizeof(*block));
		s->block_of[octave] = ++s->blocks;
	}
	return &s->block[s->block_of[octave] - 1][in];
}

void flow_rtt_add(struct flow *f, unsigned side, uint32_t us)
{
	unsigned octave, in;
	struct rtt_side *s;
	uint8_t *c;

	if (!f->rtt)
		f->rtt = calloc(1, sizeof(*f->rtt));
	if (!f->rtt)
		return;
	s = &f->rtt->side[side];
	place(us, &octave, &in);
	c = bucket_of(s, octave, in);
	if (!c)
		return;
	if (*c == UINT8_MAX)
		for (unsigned b = 0; b < s->blocks; b++)
			for (unsigned i = 0; i < RTT_OCTAVE; i++)
				s->block[b][i] = (s->block[b][i] + 1) / 2;
	(*c)++;
	s->n++;
	if (!s->min_us || us < s->min_us)
		s->min_us = us;
}

uint32_t flow_rtt_samples(const struct flow *f, unsigned side)
{
	if (!f->rtt)
		return 0;
	return side == BOTH_SIDES ? f->rtt->side[0].n + f->rtt->side[1].n : f->rtt->side[side].n;
}

static void add_side(double *weight, const struct rtt_side *s)
{
	unsigned left = 0;

	for (unsigned b = 0; b < s->blocks; b++)
		for (unsigned i = 0; i < RTT_OCTAVE; i++)
			left += s->block[b][i];
	for (unsigned o = 0; left && o <= RTT_OCTAVES; o++)
		for (unsigned i = 0; s->block_of[o] && i < (o ? RTT_OCTAVE : 1u); i++)
			weight[bucket_at(o, i)] += (double)s->block[s->block_of[o] - 1][i] * s->n / left;
}

double flow_rtt_us(const struct flow *f, unsigned side, double q)
{
	double weight[RTT_BUCKETS] = { 0 };

	if (!f->rtt)
		return 0;
	for (unsigned s = 0; s < 2; s++)
		if (side == BOTH_SIDES || side == s)
			add_side(weight, &f->rtt->side[s]);
	return quantile(weight, q);
}

/* A packed side: n, min_us, how many buckets follow; each its place and what is in it. */
struct packed_side {
	uint32_t n, min_us;
	uint16_t buckets;
};

struct packed_bucket {
	uint16_t place; /* octave * RTT_OCTAVE + bucket */
	uint8_t count;
} __attribute__((packed));

size_t flow_rtt_pack(const struct flow_rtt *r, uint8_t *to)
{
	size_t at = 0;

	for (unsigned side = 0; side < 2; side++) {
		const struct rtt_side *s = &r->side[side];
		struct packed_side head;
		size_t start = at;

		memset(&head, 0, sizeof(head));
		head.n = s->n;
		head.min_us = s->min_us;
		at += sizeof(head);
		for (unsigned o = 0; o <= RTT_OCTAVES; o++)
			for (unsigned i = 0; s->block_of[o] && i < RTT_OCTAVE; i++) {
				struct packed_bucket b = { (uint16_t)(o * RTT_OCTAVE + i),
							   s->block[s->block_of[o] - 1][i] };

				if (!b.count)
					continue;
				head.buckets++;
				if (to)
					memcpy(to + at, &b, sizeof(b));
				at += sizeof(b);
			}
		if (to)
			memcpy(to + start, &head, sizeof(head));
	}
	return at;
}

struct flow_rtt *flow_rtt_unpack(const uint8_t *from)
{
	struct flow_rtt *r = calloc(1, sizeof(*r));

	for (unsigned side = 0; r && side < 2; side++) {
		struct packed_side head;

		memcpy(&head, from, sizeof(head));
		from += sizeof(head);
		r->side[side].n = head.n;
		r->side[side].min_us = head.min_us;
		for (unsigned i = 0; i < head.buckets; i++) {
			struct packed_bucket b;
			uint8_t *c;

			memcpy(&b, from, sizeof(b));
			from += sizeof(b);
			c = bucket_of(&r->side[side], b.place / RTT_OCTAVE, b.place % RTT_OCTAVE);
			if (c)
				*c = b.count;
		}
	}
	return r;
}

void flow_rtt_free(struct flow *f)
{
	if (!f->rtt)
		return;
	free(f->rtt->side[0].block);
	free(f->rtt->side[1].block);
	free(f->rtt);
	f->rtt = NULL;
}
