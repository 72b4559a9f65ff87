// SPDX-License-Identifier: GPL-2.0-or-later
/* How well a fit is known, and what the delay says of it. */
#include "rate_bank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_SPAN  .15 /* of the grid, as a logarithm */
#define BURST_SPAN .6
#define SHOWN_RATE 1.005
#define FLAT_SHARE .25 /* of the predicted delay, and a packet did not wait */
#define FOLLOW_SHARE .5
#define RATE_STEP  1.08
#define BURST_STEP .12
#define AS_GOOD	   .01 /* packets of misfit per loss */
#define ONE_OFF	   1.5 /* packets of misfit in all: no more than a late clock makes */

/* Blocks with about as many losses each. */
static void cut_blocks(struct fit_work *w)
{
	unsigned b = 0, lost = 0;

	for (unsigned i = 0; i < w->n; i++) {
		while (b < FIT_BLOCKS - 1 && lost * FIT_BLOCKS >= (b + 1) * w->lost) {
			w->block_end[b] = i;
			b++;
		}
		lost += w->is_lost[i];
	}
	for (; b < FIT_BLOCKS; b++)
		w->block_end[b] = w->n;
}

/* xorshift: the same series gives the same interval. */
static uint32_t next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

/* Cells around the fit, the denser the nearer. */
static unsigned cubic_grid(struct cell *c, double rate, double burst)
{
	enum { RATES = 17, BURSTS = 27 };
	unsigned n = 0;

	for (unsigned i = 0; i < RATES; i++)
		for (unsigned k = 0; k < BURSTS; k++) {
			double u = 2.0 * i / (RATES - 1) - 1, v = 2.0 * k / (BURSTS - 1) - 1;

			c[n].rate = (float)(rate * exp(RATE_SPAN * u * u * u));
			c[n++].burst = (float)fmax(burst * exp(BURST_SPAN * v * v * v), BURST_MIN);
		}
	return n;
}

static void widen(struct rate_fit *out, const struct cell *c)
{
	out->rate_low = fmin(out->rate_low, c->rate);
	out->rate_high = fmax(out->rate_high, c->rate);
	out->burst_low = fmin(out->burst_low, c->burst);
	out->burst_high = fmax(out->burst_high, c->burst);
}

/*
 * How far the rate may be off beyond the grid, one way, and cells still fit that well: a bucket that is
 * emptied in a moment tells its size, and little of what refills it. Returns the last that does.
 */
static struct cell as_good(struct fit_work *w, struct cell at, double step, float most,
			   uint64_t *cost)
{
	enum { STEPS = 24, BURSTS = 11 };

	for (unsigned i = 0; i < STEPS; i++) {
		unsigned n = bank_grid(w->cell, at.rate * step, 0, 1, at.burst, BURST_STEP, BURSTS), k;

		bank(w, w->cell, n, 4, false);
		*cost += (uint64_t)n * w->n;
		k = bank_least(w->cell, n);
		if (!(w->cell[k].misfit <= most))
			break;
		at = w->cell[k];
	}
	return at;
}

/*
 * 90 % intervals: blocks of the series drawn with replacement, the best cell of
 * each draw; and all cells that fit the whole series as well as makes no odds.
 */
void fit_intervals(struct fit_work *w, struct rate_fit *out, uint64_t *cost)
{
	enum { DRAWS = 40 };
	float rates[DRAWS], bursts[DRAWS], least = HUGE_VALF, mid;
	double grid_low = out->rate * exp(-.99 * RATE_SPAN), grid_high = out->rate * exp(.99 * RATE_SPAN);
	struct cell low = { .rate = HUGE_VALF }, high = { .rate = 0 };
	unsigned good = 0;
	uint32_t seed = 2463534242u;
	unsigned n = cubic_grid(w->cell, out->rate, out->burst);

	cut_blocks(w);
	bank(w, w->cell, n, 4, true);
	*cost += (uint64_t)n * w->n;
	for (unsigned i = 0; i < n; i++)
		least = w->cell[i].misfit < least ? w->cell[i].misfit : least;
	for (unsigned i = 0; i < n; i++) {
		if (w->cell[i].misfit <= least + AS_GOOD) {
			widen(out, &w->cell[i]);
			w->tmp[good] = w->cell[i].rate;
			w->tmp2[good++] = w->cell[i].burst;
			if (w->cell[i].rate < low.rate)
				low = w->cell[i];
			if (w->cell[i].rate > high.rate)
				high = w->cell[i];
		}
		w->cell[i].j = w->cell[i].misfit; /* kept: HUGE_VALF is out of the question */
	}
	/* All of these are as good: the one in the middle is the best guess. */
	mid = (float)sqrt(out->rate_low * out->rate_high);
	if (out->rate_high > 1.01 * out->rate_low) {
		unsigned at = 0;

		for (unsigned i = 1; i < good; i++)
			if (fabsf(w->tmp[i] - mid) < fabsf(w->tmp[at] - mid))
				at = i;
		out->rate = w->tmp[at];
		out->burst = w->tmp2[at];
	}
	for (unsigned d = 0; d < DRAWS; d++) {
		unsigned times[FIT_BLOCKS] = { 0 }, at;

		for (unsigned b = 0; b < FIT_BLOCKS; b++)
			times[next_random(&seed) % FIT_BLOCKS]++;
		for (unsigned i = 0; i < n; i++) {
			if (w->cell[i].j == HUGE_VALF)
				continue;
			w->cell[i].misfit = 0;
			for (unsigned b = 0; b < FIT_BLOCKS; b++)
				w->cell[i].misfit += (float)times[b] * w->misfit[i][b];
		}
		at = bank_least(w->cell, n);
		rates[d] = w->cell[at].rate;
		bursts[d] = w->cell[at].burst;
	}
	qsort(rates, DRAWS, sizeof(float), by_float);
	qsort(bursts, DRAWS, sizeof(float), by_float);
	widen(out, &(struct cell){ .rate = rates[DRAWS / 20], .burst = bursts[DRAWS / 20] });
	widen(out, &(struct cell){ .rate = rates[DRAWS - 1 - DRAWS / 20],
				   .burst = bursts[DRAWS - 1 - DRAWS / 20] });
	least += fmaxf(AS_GOOD, ONE_OFF / (float)w->lost);
	if (low.rate <= grid_low)
		low = as_good(w, low, 1 / RATE_STEP, least, cost);
	if (high.rate >= grid_high)
		high = as_good(w, high, RATE_STEP, least, cost);
	widen(out, &low);
	widen(out, &high);
}

static float median_of(float *v, unsigned n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), by_float);
	return v[n / 2];
}

/* The middle of the predicted delays up to a bound. */
static float median_low(struct fit_work *w, unsigned k, float bound)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k; i++)
		if (w->x[i] <= bound)
			w->tmp[n++] = w->x[i];
	return median_of(w->tmp, n);
}

/* How much passed beyond a little more than the rate: drifts of a slope that is off don't add up. */
static double beyond(const struct fit_packet *p, unsigned n, double rate)
{
	double q = 0, most = 0, last = p[0].t;

	for (unsigned i = 0; i < n; i++) {
		if (p[i].lost)
			continue;
		q = fmax(q - SHOWN_RATE * rate * (p[i].t - last), 0) + p[i].len;
		last = p[i].t;
		most = fmax(most, q);
	}
	return most;
}

/* Round trips against the backlog that the fitted bucket has when they set out. */
void fit_delay(struct fit_work *w, const struct fit_packet *p, unsigned n,
		       const struct fit_rtt *rtt, unsigned m, struct rate_fit *out)
{
	double t = w->empty ? 0 : out->burst, last, mx = 0, mq = 0, sxx = 0, sxq = 0, sqq = 0;
	float low, high, xlow, xhigh;
	unsigned k = 0, at = 0, nl = 0, nh = 0;

	/* What came before says nothing of a backlog that is known from there on only. */
	for (; n > 1 && p->t < w->from; n--)
		p++;
	last = p[0].t;
	for (unsigned i = 0; i < n && k < FIT_RTTS_MAX; i++) {
		while (at < m && rtt[at].t < p[i].t && k < FIT_RTTS_MAX) {
			if (rtt[at].t >= last && rtt[at].t >= p[0].t) {
				double now = fmin(out->burst, t + out->rate * (rtt[at].t - last));

				w->x[k] = (float)((out->burst - now) / out->rate);
				w->q[k++] = rtt[at].rtt;
			}
			at++;
		}
		t = fmin(out->burst, t + out->rate * fmax(p[i].t - last, 0));
		last = p[i].t;
		if (p[i].lost)
			t = fmin(t, p[i].len - 1);
		else
			t = fmax(t - p[i].len, 0);
	}
	out->rtts = k;
	out->shown = beyond(p, n, out->rate);
	out->sure = out->burst_low / out->burst;
	out->x_mid = out->q_mid = NAN;
	out->dx = out->dq = out->slope = out->corr = out->jitter = NAN;
	if (k < 12)
		return;
	for (unsigned i = 0; i < k; i++) {
		mx += w->x[i] / k;
		mq += w->q[i] / k;
	}
	for (unsigned i = 0; i < k; i++) {
		sxx += (w->x[i] - mx) * (w->x[i] - mx);
		sxq += (w->x[i] - mx) * (w->q[i] - mq);
		sqq += (w->q[i] - mq) * (w->q[i] - mq);
	}
	out->slope = sxx > 0 ? sxq / sxx : 0;
	out->corr = sxx > 0 && sqq > 0 ? sxq / sqrt(sxx * sqq) : 0;
	memcpy(w->tmp, w->x, k * sizeof(float));
	qsort(w->tmp, k, sizeof(float), by_float);
	xlow = w->tmp[k / 4];
	out->x_mid = w->tmp[k / 2];
	xhigh = w->tmp[k - 1 - k / 4];
	out->dx = w->tmp[k - 1 - k / 8] - w->tmp[k / 8];
	for (unsigned i = 0; i < k; i++)
		if (w->x[i] <= xlow)
			w->tmp[nl++] = w->q[i];
	low = median_of(w->tmp, nl);
	for (unsigned i = 0; i < nl; i++)
		w->tmp[i] = fabsf(w->tmp[i] - low);
	out->jitter = median_of(w->tmp, nl);
	for (unsigned i = 0; i < k; i++)
		if (w->x[i] >= xhigh)
			w->tmp[nh++] = w->q[i];
	high = median_of(w->tmp, nh);
	out->dq = high - low;
	out->q_low = low;
	out->x_low = median_low(w, k, xlow);
	out->chance = 0;
	for (unsigned i = 0; i < k; i++) {
		double x = w->x[i] - out->x_low, q = w->q[i] - low;

		if (w->x[i] <= xlow)
			out->chance += q >= FOLLOW_SHARE * (xhigh - out->x_low);
		if (w->x[i] < xhigh)
			continue;
		out->top++;
		out->x_high += w->x[i];
		if (out->sure * x >= fmax(RISE_MIN, RISE_JITTER * out->jitter)) {
			out->risen++;
			out->flat += q < FLAT_SHARE * out->sure * x;
			out->follow += q >= FOLLOW_SHARE * x;
		}
		out->low += w->q[i] < FLAT_SHARE * out->sure * w->x[i];
		out->high += w->q[i] >= FOLLOW_SHARE * w->x[i];
	}
	out->chance /= fmax(nl, 1);
	if (out->top) {
		out->x_high /= out->top;
		out->flat /= fmax(out->risen, 1);
		out->follow /= fmax(out->risen, 1);
		out->low /= out->top;
		out->high /= out->top;
	}
	memcpy(w->tmp, w->q, k * sizeof(float));
	out->q_mid = median_of(w->tmp, k);
}
