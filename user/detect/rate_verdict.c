// SPDX-License-Identifier: GPL-2.0-or-later
/* Policer, queue, or not to be told: what a good fit means. */
#include "rate.h"

#include <math.h>
#include <stdlib.h>

#define TOP_MIN	     6	 /* round trips at a high backlog that decide */
#define TOP_MOST     .6
#define SHOWN_MIN    .7
#define HEIGHT_MIN   .008
#define HEIGHT_SHORT .025 /* s: a higher one shows over what is there anyway */
#define HEIGHT_LOW   .06  /* s: of a lower one a quarter of the round trips at a high backlog must show nothing */
#define LOW_MIN	     .25
#define HEIGHT_NOISE 3.0 /* times the delay that is there anyway */
#define FLAT_CORR    .4	 /* delay that follows the backlog more closely is not flat */
#define FLAT_SLOPE   .04
#define FLAT_MAX     .020 /* s */
#define HIGH_MAX     .25
#define FOLLOW_MAX   .1 /* of those that should have waited may have, beyond chance */
#define ABOVE_MIN    .1	 /* s of backlog that no noise of a round trip hides */
#define ABOVE_TOP    24
#define WEAK_RUNS    40
#define WEAK_LOSS    .2
#define LOOSE_RUNS   20
#define LOOSE_SLICES 12
#define LOOSE_BUCKET_S 4 /* a thirtieth of a larger one is right by itself */
#define LOOSE_SLACKS 15 /* of a smaller bucket a thirtieth is less than the slack is anyway */
#define STANDING_MAX .025 /* s */
#define STANDING_SHARE .35 /* of the least backlog: a queue would have added all of it */
#define TINY_SLACKS  5 /* a bucket that holds less must fit better */
#define TINY_J       .97
#define SURE_RUNS    12
#define SURE_J	     .99
#define TINY_RUNS    30
#define USED_MIN     .2	 /* share of the rate that passed: less is no limit worth the name */
#define USED_WELL    .6
#define FAST_OFF     .1 /* what fills four times as fast parts lost from passed less well by so much */
#define FAST_OFF_IDLE .25
#define SELDOM	     .19 /* of the bucket is used at most when it is used most: it is run into now and then */
#define BURSTY	     .25 /* of the bytes passed in bursts */
#define BURSTY_S     .008
#define UNKNOWN_J    .93
#define UNKNOWN_RUNS 8
#define UNKNOWN_LOST 60
#define UNKNOWN_SLICES 12
#define LINE_DEPTH_S .035 /* a queue that varies by so much shows */
#define LINE_RTTS    24
#define LINE_FIT_J   .97
#define LINE_RISE    .3 /* of that depth, at most: no queue */

/*
 * Is it the rate that is run into, and not only a buffer? A short queue before a fast link drops the end of
 * what comes at once, and is empty before the next: of a bucket for that any rate will do, so that frames of a camera
 * that no loss slows down would be limited. The less of the rate is used, the surer that must be.
 */
static bool by_rate(const struct rate_fit *f)
{
	return f->fast < f->j - (f->base < USED_WELL * f->rate ? FAST_OFF_IDLE : FAST_OFF);
}

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
 * How high a backlog is, and not only how much it rises, is known where the bucket was seen to run
 * empty from full. What comes out of a link that is always full fits a bucket of any size.
 */
static bool depth_shown(const struct fit_input *in, const struct rate_fit *f)
{
	return in->whole && f->shown >= SHOWN_MIN * f->burst;
}

/*
 * Noise only adds to a round trip: those that take less than the backlog alone,
 * and no more than where there is none, deny a queue however noisy the others are.
 */
static bool unqueued(const struct fit_input *in, const struct rate_fit *f)
{
	return depth_shown(in, f) && f->top >= ABOVE_TOP && f->sure * f->x_high >= ABOVE_MIN &&
	       f->low >= TOP_MOST && f->flat >= TOP_MOST && f->dq <= 0 &&
	       (f->x_low <= .5 * f->x_high || f->q_mid <= fmax(STANDING_MAX + f->jitter, STANDING_SHARE * f->x_low));
}

/*
 * Packets of several flows reach a limiter in another order than us, and a small
 * bucket parts them less well. Many losses, often, and no queue: chance does not do that.
 */
static bool weak_fit(const struct fit_input *in, const struct rate_fit *f)
{
	return in->flows > 1 && f->j >= FIT_WEAK_J && f->runs >= WEAK_RUNS &&
	       f->lost >= WEAK_LOSS * (f->lost + f->passed) && !isnan(f->dx) && unqueued(in, f);
}

/*
 * Who finds a queue waits: round trips at a high backlog that show nothing of it
 * deny a queue. Told by the rise between low and high backlog; where the backlog
 * is always high, by the height over the least round trip, if that was seen with
 * an empty bucket's worth of nothing before it.
 */
static enum verdict by_delay(const struct fit_input *in, const struct rate_fit *f)
{
	bool wide = f->risen >= TOP_MIN;
	bool tall = depth_shown(in, f) && f->sure * f->x_high >= HEIGHT_MIN &&
		    f->sure * f->x_high >= HEIGHT_NOISE * f->q_low;
	double height = f->sure * (f->x_high - (depth_shown(in, f) ? 0 : f->x_low)); /* that is sure */
	bool rises = f->corr > FLAT_CORR && f->slope > FLAT_SLOPE;

	/* few round trips, as of senders that lose all the time: too few for a policer, or for a queue that waits */
	if (f->top < TOP_MIN)
		return rises ? VERDICT_NONE : VERDICT_UNKNOWN;
	if ((wide && f->follow >= TOP_MOST) || (!wide && tall && f->high >= TOP_MOST))
		return VERDICT_QUEUE;
	if (rises || f->dq > FLAT_MAX)
		return VERDICT_NONE;
	if (unqueued(in, f))
		return VERDICT_POLICER;
	/* A delay that is always there may be a queue that is never empty. */
	if (in->whole && f->high > HIGH_MAX)
		return wide && f->flat < TOP_MOST ? VERDICT_NONE : VERDICT_UNKNOWN;
	if (f->q_mid > STANDING_MAX + f->jitter)
		return VERDICT_NONE;
	if (wide && (f->flat < TOP_MOST || f->follow > f->chance + FOLLOW_MAX))
		return VERDICT_NONE;
	/* a wait as short as what a busy host adds and takes, or a short one like what is there anyway, shows nothing */
	if (wide && ((depth_shown(in, f) && height < HEIGHT_LOW && f->low < LOW_MIN) ||
		     height < fmax(HEIGHT_MIN, fmin(HEIGHT_SHORT, HEIGHT_NOISE * f->q_low))))
		return VERDICT_UNKNOWN;
	if (wide)
		return VERDICT_POLICER;
	if (tall && f->low >= TOP_MOST)
		return VERDICT_POLICER;
	return tall ? VERDICT_NONE : VERDICT_UNKNOWN;
}

/* Packets were held up between the limiter and us: most are right within a little of the bucket, and there is no queue. */
static bool loose_fit(const struct fit_input *in, const struct rate_fit *f)
{
	return f->j >= FIT_WEAK_J && f->loose >= FIT_LOOSE_J && f->runs >= LOOSE_RUNS && f->slices >= LOOSE_SLICES &&
	       f->base >= USED_MIN * f->rate && f->burst >= LOOSE_SLACKS * f->slack &&
	       f->burst <= LOOSE_BUCKET_S * f->rate && by_rate(f) &&
	       f->top >= ABOVE_TOP && !isnan(f->dx) && by_delay(in, f) == VERDICT_POLICER;
}

/* A bucket of a few packets: many losses, or all of them and delay that denies a queue. */
static bool tiny_fit(const struct rate_fit *f, enum verdict v)
{
	return f->j >= TINY_J && (f->runs >= TINY_RUNS || (v == VERDICT_POLICER && f->j >= SURE_J &&
							    f->runs >= SURE_RUNS));
}

enum verdict verdict_of(const struct fit_input *in, const struct rate_fit *f, enum side side)
{
	enum verdict v;

	if (f->enough && f->j < FIT_MIN_J && (weak_fit(in, f) || loose_fit(in, f)))
		return VERDICT_POLICER;
	if (!f->enough || f->j < FIT_MIN_J || f->base < USED_MIN * f->rate)
		return VERDICT_NONE;
	v = isnan(f->dx) ? VERDICT_UNKNOWN : by_delay(in, f);
	if (f->burst < TINY_SLACKS * f->slack && !tiny_fit(f, v))
		return VERDICT_NONE;
	if (v != VERDICT_UNKNOWN)
		return v;
	if (f->x_high < SELDOM * f->burst / f->rate)
		return VERDICT_NONE;
	/*
	 * Delay can't tell. What comes out of a queue comes one by one: behind a
	 * bucket bursts pass. And losses must speak louder.
	 */
	if (f->j < UNKNOWN_J || f->runs < UNKNOWN_RUNS)
		return VERDICT_NONE;
	if (side == SIDE_BEFORE)
		return bursty(in, f->rate) < BURSTY ? VERDICT_NONE :
		       f->burst >= BURSTY_S * f->rate ? VERDICT_POLICER : VERDICT_UNKNOWN;
	return isnan(f->dx) || f->lost < UNKNOWN_LOST || f->slices < UNKNOWN_SLICES ||
			       f->q_mid > FLAT_MAX ?
		       VERDICT_NONE : VERDICT_UNKNOWN;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

/*
 * What was ahead of a packet varied by depth: in a queue half of them would wait for
 * half of it, and noise only adds to a round trip. Where a bucket parts them well
 * and is no limit's, they are lost to a short queue, at the end of what comes at
 * once: senders of a steady pace draw that line themselves.
 */
enum verdict verdict_of_line(const struct fit_input *in, const struct rate_fit *f, const struct loss_line *l)
{
	static _Thread_local float rtt[FIT_RTTS_MAX];
	unsigned n = in->rtts < FIT_RTTS_MAX ? in->rtts : FIT_RTTS_MAX;

	if (f->j >= LINE_FIT_J || (f->j >= FIT_MIN_J && !by_rate(f)))
		return VERDICT_NONE;
	if (!line_holds(l) || in->flows < 2 || n < LINE_RTTS || l->depth < LINE_DEPTH_S * l->rate)
		return VERDICT_NONE;
	for (unsigned i = 0; i < n; i++)
		rtt[i] = in->rtt[i].rtt;
	qsort(rtt, n, sizeof(*rtt), by_value);
	return rtt[n / 2] * l->rate <= LINE_RISE * l->depth ? VERDICT_POLICER : VERDICT_NONE;
}
