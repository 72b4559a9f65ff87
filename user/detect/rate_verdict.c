/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policer, queue, or not to be told: what a good fit means. */
#include "rate.h"

#include <math.h>

#define TOP_MIN	    8	 /* round trips at a high backlog that decide alone */
#define TOP_MOST    .6
#define DX_MIN	    .003 /* s: less predicted delay than this can't be told from none */
#define DX_JITTER   6.0	 /* ... nor less than so many times the jitter */
#define FLAT_SLOPE  .08	 /* of the predicted delay, and the delay counts as flat */
#define FLAT_MAX    .020 /* s: but no more than this */
#define X_MIN	    .008 /* s: as DX_MIN, of the delay's height */
#define X_JITTER    3.0
#define FLAT_LEVEL  .15	 /* of the predicted height, and there is no queue */
#define FLAT_WIDE   .35	 /* of the larger of height and width */
#define FLAT_CORR   .4	 /* delay that follows the backlog more closely is not flat */
#define QUEUE_LEVEL .5
#define QUEUE_SLOPE .5
#define QUEUE_CORR  .5
#define USED_MIN    .2	 /* share of the rate that passed: less is no limit worth the name */
#define BURSTY	    .20	 /* of the bytes passed in bursts */
#define UNKNOWN_J   .95
#define UNKNOWN_LOST 60
#define UNKNOWN_SLICES 12

/*
 * Share of the bytes after the first loss that passed at more than 1.5 times the
 * rate, four packets at a time. What comes out of a queue never does.
 */
static double bursty(const struct fit_input *in, double rate)
{
	double t[4] = { 0 }, len[4] = { 0 }, fast = 0, all = 0;
	unsigned k = 0;
	bool lossy = false;

	for (unsigned i = 0; i < in->packets; i++) {
		const struct fit_packet *p = &in->packet[i];

		lossy |= p->lost;
		if (!lossy || p->lost || p->len < 200)
			continue;
		if (k >= 4 && len[(k + 1) & 3] + len[(k + 2) & 3] + len[(k + 3) & 3] >
				      1.5 * rate * (t[(k + 3) & 3] - t[k & 3]) + 1)
			fast += p->len;
		all += p->len;
		t[k & 3] = p->t;
		len[k & 3] = p->len;
		k++;
	}
	return all > 0 ? fast / all : 0;
}

/*
 * Who finds a queue waits: round trips at a high backlog that show nothing of it
 * deny a queue. With few of these: the delay's rise with the backlog, and its
 * height over the least.
 */
static enum verdict by_delay(const struct rate_fit *f)
{
	bool tall = f->x_mid >= X_MIN && f->x_mid >= X_JITTER * f->jitter;
	bool wide = f->dx >= DX_MIN && f->dx >= DX_JITTER * f->jitter;

	if (f->top >= TOP_MIN) {
		bool rises = f->corr > FLAT_CORR && f->slope > .5 * FLAT_SLOPE;

		if (f->follow >= TOP_MOST)
			return VERDICT_QUEUE;
		return f->flat >= TOP_MOST && !rises && f->dq <= FLAT_MAX ? VERDICT_POLICER : VERDICT_NONE;
	}
	if (wide && f->dq >= QUEUE_SLOPE * f->dx && f->corr >= QUEUE_CORR)
		return VERDICT_QUEUE;
	if (tall && f->q_mid >= QUEUE_LEVEL * f->x_mid)
		return VERDICT_QUEUE;
	if (f->corr > FLAT_CORR && f->slope > .5 * FLAT_SLOPE)
		return VERDICT_NONE;
	if (wide && f->q_mid > FLAT_WIDE * fmax(f->x_mid, f->dx))
		return VERDICT_NONE;
	if (tall && f->q_mid <= FLAT_LEVEL * f->x_mid && f->q_mid <= FLAT_MAX &&
	    (!wide || f->dq <= FLAT_LEVEL * f->dx))
		return VERDICT_POLICER;
	if (wide && f->dq <= FLAT_SLOPE * f->dx + fmin(f->jitter, .1 * f->dx) && f->dq <= FLAT_MAX)
		return VERDICT_POLICER;
	return tall || wide ? VERDICT_NONE : VERDICT_UNKNOWN;
}

enum verdict verdict_of(const struct fit_input *in, const struct rate_fit *f, enum side side)
{
	double bursts;
	enum verdict v;

	if (!f->enough || f->j < FIT_MIN_J || f->base < USED_MIN * f->rate)
		return VERDICT_NONE;
	v = isnan(f->dx) ? VERDICT_UNKNOWN : by_delay(f);
	if (v != VERDICT_UNKNOWN)
		return v;
	/* What comes out of a queue comes one by one: behind a bucket bursts pass. */
	bursts = side == SIDE_BEFORE ? bursty(in, f->rate) : NAN;
	if (isnan(f->dx))
		return bursts >= BURSTY && f->burst >= X_MIN * f->rate && f->j >= UNKNOWN_J ?
			       VERDICT_POLICER : VERDICT_NONE;
	/* Where delay can't tell, losses must speak louder. */
	if (f->j < UNKNOWN_J || f->lost < UNKNOWN_LOST || f->slices < UNKNOWN_SLICES ||
	    f->q_mid > FLAT_MAX || bursts < BURSTY)
		return VERDICT_NONE;
	return v;
}
