// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is it load that is lost? A bucket and a queue alike drop when what passed in
 * the last moments, drained at a rate, has filled them (research A.2). Where
 * some rate makes that level tell the lost packets from the passed ones, a
 * limit is at work; drops by kind don't care about the level.
 */
#include <math.h>
#include <stdlib.h>

#include "drop.h"

#define LOST_MIN   15
#define PASSED_MIN 30

static int by_time(const void *a, const void *b)
{
	double x = ((const struct vq_packet *)a)->t, y = ((const struct vq_packet *)b)->t;

	return (x > y) - (x < y);
}

double drop_queue_fit(const struct vq_log *log, double since_s)
{
	static const double factors[] = { 0.5, 0.7, 0.85, 0.93, 1, 1.07, 1.15, 1.3, 1.6, 2, 3 };
	static _Thread_local struct vq_packet p[VQ_MAX];
	static _Thread_local double level[2][VQ_MAX];
	double best = NAN, bytes = 0, span;
	unsigned n = 0, held = log->n < VQ_MAX ? log->n : VQ_MAX, lost = 0;

	for (unsigned i = 0; i < held; i++)
		if (log->p[i].t >= since_s)
			p[n++] = log->p[i];
	qsort(p, n, sizeof(*p), by_time);
	for (unsigned i = 0; i < n; i++) {
		lost += p[i].lost;
		bytes += p[i].lost ? 0 : p[i].len;
	}
	if (lost < LOST_MIN || n - lost < PASSED_MIN)
		return NAN;
	span = p[n - 1].t - p[0].t;
	if (!(span > 0))
		return NAN;
	for (unsigned k = 0; k < sizeof(factors) / sizeof(*factors); k++) {
		double rate = bytes / span * factors[k], q = 0, auc;
		unsigned at[2] = { 0, 0 };

		for (unsigned i = 0; i < n; i++) {
			q = i ? fmax(0, q - rate * (p[i].t - p[i - 1].t)) : 0;
			level[p[i].lost][at[p[i].lost]++] = q + p[i].len;
			if (!p[i].lost)
				q += p[i].len;
		}
		auc = stats_mann_whitney(level[1], at[1], level[0], at[0], NULL);
		if (!(best >= auc))
			best = auc;
	}
	return best;
}
