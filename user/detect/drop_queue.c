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
#include "rate_line.h"
#include "stats.h"

#define LOST_MIN 15
#define PASSED_MIN 30
#define BINS 10
#define PLATEAU_BIN_S 1.0
#define PLATEAU_LOST 60
#define PLATEAU_CV .15
#define PLATEAU_EVENED 1.4

static int by_time(const void *a, const void *b)
{
	double x = ((const struct vq_packet *)a)->t, y = ((const struct vq_packet *)b)->t;

	return (x > y) - (x < y);
}

/*
 * The rate while it loses: between two losses a bucket or queue is full at both
 * ends, so what passed in between is what drains. The median over pairs of
 * losses a tenth of them apart.
 */
static double draining(const struct vq_packet *p, unsigned n, unsigned lost)
{
	static _Thread_local double at[VQ_MAX], passed[VQ_MAX], rate[VQ_MAX];
	unsigned apart = lost / 10 < 3 ? 3 : lost / 10, k = 0, m = 0;
	double bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		if (p[i].lost) {
			at[k] = p[i].t;
			passed[k++] = bytes;
		} else {
			bytes += p[i].len;
		}
	}
	for (unsigned i = 0; i + apart < k; i++)
		if (at[i + apart] > at[i])
			rate[m++] = (passed[i + apart] - passed[i]) / (at[i + apart] - at[i]);
	if (!m)
		return 0;
	qsort(rate, m, sizeof(*rate), stats_by_value);
	return rate[m / 2];
}

/* The level before each packet, lost ones and passed ones apart, and how well it parts them. */
static double by_level(const struct vq_packet *p, unsigned n, double rate)
{
	static _Thread_local double level[2][VQ_MAX];
	unsigned at[2] = { 0, 0 };
	double q = 0;

	for (unsigned i = 0; i < n; i++) {
		q = i ? fmax(0, q - rate * (p[i].t - p[i - 1].t)) : 0;
		level[p[i].lost][at[p[i].lost]++] = q + p[i].len;
		if (!p[i].lost)
			q += p[i].len;
	}
	return stats_mann_whitney(level[1], at[1], level[0], at[0], NULL);
}

/* The same with what passed in the last moment: no rate to be off by. */
static double by_load(const struct vq_packet *p, unsigned n, double window)
{
	static _Thread_local double load[2][VQ_MAX];
	unsigned at[2] = { 0, 0 }, old = 0;
	double bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		for (; p[old].t < p[i].t - window; old++)
			bytes -= p[old].lost ? 0 : p[old].len;
		load[p[i].lost][at[p[i].lost]++] = bytes + p[i].len;
		if (!p[i].lost)
			bytes += p[i].len;
	}
	return stats_mann_whitney(load[1], at[1], load[0], at[0], NULL);
}

/*
 * Chance thins what is offered, so what it leaves varies at least as much. A
 * limit evens it out: what passes per bin is one constant, whatever was offered.
 */
int drop_plateau(const struct vq_log *log, double since_s)
{
	double passed[BINS] = { 0 }, offered[BINS] = { 0 }, from = HUGE_VAL, to = -HUGE_VAL, bin;
	unsigned held = log->n < VQ_MAX ? log->n : VQ_MAX, lost = 0;
	double sum[2] = { 0 }, sq[2] = { 0 }, cv[2];

	for (unsigned i = 0; i < held; i++)
		if (log->p[i].t >= since_s && log->p[i].lost) {
			from = fmin(from, log->p[i].t);
			to = fmax(to, log->p[i].t);
			lost++;
		}
	if (lost < PLATEAU_LOST || to - from < BINS * PLATEAU_BIN_S)
		return -1;
	bin = (to - from) / BINS;
	for (unsigned i = 0; i < held; i++) {
		const struct vq_packet *p = &log->p[i];
		unsigned k;

		if (p->t < from || p->t >= to)
			continue;
		k = (unsigned)fmin((p->t - from) / bin, BINS - 1);
		offered[k] += p->len;
		passed[k] += p->lost ? 0 : p->len;
	}
	for (unsigned k = 0; k < BINS; k++) {
		sum[0] += offered[k];
		sq[0] += offered[k] * offered[k];
		sum[1] += passed[k];
		sq[1] += passed[k] * passed[k];
	}
	if (sum[1] <= 0)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		cv[i] = sqrt(fmax(0, BINS * sq[i] / (sum[i] * sum[i]) - 1));
	return cv[1] <= PLATEAU_CV && cv[0] >= PLATEAU_EVENED * cv[1];
}

bool drop_limit_line(const struct vq_log *log, double since_s)
{
	static _Thread_local struct vq_packet p[VQ_MAX];
	static _Thread_local struct fit_packet q[VQ_MAX];
	unsigned n = 0, held = log->n < VQ_MAX ? log->n : VQ_MAX;
	struct loss_line line;

	for (unsigned i = 0; i < held; i++)
		if (log->p[i].t >= since_s)
			p[n++] = log->p[i];
	qsort(p, n, sizeof(*p), by_time);
	for (unsigned i = 0; i < n; i++)
		q[i] = (struct fit_packet){ .t = p[i].t - p[0].t, .len = p[i].len, .lost = p[i].lost };
	loss_line(q, n, &line);
	return line_holds(&line);
}

double drop_queue_fit(const struct vq_log *log, double since_s)
{
	static const double factors[] = { 0.8, 0.9, 0.95, 0.98, 1, 1.02, 1.05, 1.1, 1.25, 1.6 };
	static const double windows[] = { 0.02, 0.05, 0.1, 0.25, 0.6 };
	static _Thread_local struct vq_packet p[VQ_MAX];
	unsigned n = 0, held = log->n < VQ_MAX ? log->n : VQ_MAX, lost = 0;
	double best = 0, rate;

	for (unsigned i = 0; i < held; i++)
		if (log->p[i].t >= since_s) {
			lost += log->p[i].lost;
			p[n++] = log->p[i];
		}
	if (lost < LOST_MIN || n - lost < PASSED_MIN)
		return NAN;
	qsort(p, n, sizeof(*p), by_time);
	rate = draining(p, n, lost);
	for (unsigned k = 0; k < sizeof(factors) / sizeof(*factors) && rate > 0; k++)
		best = fmax(best, by_level(p, n, rate * factors[k]));
	for (unsigned k = 0; k < sizeof(windows) / sizeof(*windows); k++)
		best = fmax(best, by_load(p, n, windows[k]));
	return best;
}
