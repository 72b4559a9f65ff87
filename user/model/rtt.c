// SPDX-License-Identifier: GPL-2.0-or-later
#include "model.h"

#define FIRST_BITS 6 /* 64 µs: what lies below is one bucket */

static unsigned bucket_of(uint32_t us)
{
	unsigned octave, b;

	if (us < 1u << FIRST_BITS)
		return 0;
	octave = 31 - __builtin_clz(us);
	b = 1 + (octave - FIRST_BITS) * 8 + ((us >> (octave - 3)) & 7);
	return b < RTT_BUCKETS ? b : RTT_BUCKETS - 1;
}

static double bucket_start(unsigned b)
{
	if (!b)
		return 0;
	b--;
	return (double)((8u + b % 8) << (b / 8)) * (1 << (FIRST_BITS - 3));
}

void rtt_add(struct rtt_hist *h, uint32_t us)
{
	uint8_t *c = &h->count[bucket_of(us)];

	if (*c == UINT8_MAX)
		for (unsigned i = 0; i < RTT_BUCKETS; i++)
			h->count[i] = (h->count[i] + 1) / 2;
	(*c)++;
	h->n++;
}

double rtt_quantile_us(const struct rtt_hist *h, double q)
{
	unsigned total = 0, below = 0;
	double want;

	for (unsigned i = 0; i < RTT_BUCKETS; i++)
		total += h->count[i];
	if (!total)
		return 0;
	want = q * total;
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		if (h->count[i] && below + h->count[i] >= want) {
			double from = bucket_start(i), to = bucket_start(i + 1);

			return from + (to - from) * (want - below) / h->count[i];
		}
		below += h->count[i];
	}
	return bucket_start(RTT_BUCKETS - 1);
}
