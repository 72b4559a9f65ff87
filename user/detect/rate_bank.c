// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_bank.h"

#include <math.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define VECTORS 3 /* token buckets are run so many vectors at a time */
#define BATCH	(LANES * VECTORS)

/* BATCH token buckets, and what they made of a stretch of packets. */
struct buckets {
	vfloat rate[VECTORS], burst[VECTORS], tokens[VECTORS], slack[VECTORS], cap[VECTORS];
	vfloat allowed[VECTORS]; /* the slack, and what the work is looser by */
	vint wrong_lost[VECTORS], wrong_passed[VECTORS]; /* by more than that */
	vfloat misfit[VECTORS]; /* bytes, each packet's cut at the cap */
};

#ifdef __SSE2__
static inline vfloat least_of(vfloat a, vfloat b)
{
	return (vfloat)_mm_min_ps((__m128)a, (__m128)b);
}

static inline vfloat most_of(vfloat a, vfloat b)
{
	return (vfloat)_mm_max_ps((__m128)a, (__m128)b);
}

static inline bool any_sign(vint m)
{
	return _mm_movemask_ps((__m128)m);
}
#else
static inline vfloat least_of(vfloat a, vfloat b)
{
	vint m = a < b;

	return (vfloat)(((vint)a & m) | ((vint)b & ~m));
}

static inline vfloat most_of(vfloat a, vfloat b)
{
	vint m = a > b;

	return (vfloat)(((vint)a & m) | ((vint)b & ~m));
}

static inline bool any_sign(vint m)
{
	return (m[0] | m[1] | m[2] | m[3]) < 0;
}
#endif

/*
 * Token buckets over packets from..to. A lost packet that the bucket had tokens
 * for, or a passed one that it had none for, is a misfit; beyond the slack, which
 * is what clocks and jitter between the limiter and us may do, it is an error and
 * corrects the bucket a little, so that it isn't carried on for minutes.
 */
static void bank_run(const struct fit_work *w, unsigned from, unsigned to, struct buckets *k)
{
	struct buckets x = *k;

	for (unsigned i = from; i < to; i++) {
		const vfloat len = (vfloat){ 0 } + w->len[i];
		vint below = { 0 };

		for (unsigned v = 0; v < VECTORS; v++) {
			x.tokens[v] = least_of(x.tokens[v] + x.rate[v] * w->dt[i], x.burst[v]) - len;
			below |= (vint)x.tokens[v];
		}
		/* Most pass, and most buckets have the tokens. */
		if (!w->is_lost[i] && !any_sign(below))
			continue;
		for (unsigned v = 0; v < VECTORS; v++) {
			vfloat t = x.tokens[v], over;
			vint wrong;

			if (w->is_lost[i]) {
				over = most_of(t, (vfloat){ 0 });
				wrong = over > x.slack[v];
				x.wrong_lost[v] -= over > x.allowed[v];
				t += len;
				t -= (vfloat)((vint)least_of(over, 2 * x.slack[v]) & wrong);
			} else {
				over = most_of(-t, (vfloat){ 0 });
				x.wrong_passed[v] -= over > x.allowed[v];
				t = most_of(t, -2 * x.slack[v]);
			}
			x.misfit[v] += least_of(over, x.cap[v]);
			x.tokens[v] = t;
		}
	}
	*k = x;
}

/* Timestamps and jitter: a packet or so, and a quarter of a millisecond. */
float bank_slack(const struct fit_work *w, float rate)
{
	return w->slack_packets * 1514 + rate * .25e-3f;
}

void bank(struct fit_work *w, struct cell *c, unsigned n, float cap, bool by_block)
{
	for (unsigned at = 0; at < n; at += BATCH) {
		struct buckets k;
		unsigned m = n - at < BATCH ? n - at : BATCH, from = 0;

		memset(&k, 0, sizeof(k));
		for (unsigned i = 0; i < BATCH; i++) {
			const struct cell *x = &c[at + (i < m ? i : 0)];

			k.rate[i / LANES][i % LANES] = x->rate;
			k.burst[i / LANES][i % LANES] = x->burst;
			k.tokens[i / LANES][i % LANES] = w->empty ? 0 : x->burst;
			k.slack[i / LANES][i % LANES] = bank_slack(w, x->rate);
			k.allowed[i / LANES][i % LANES] = bank_slack(w, x->rate) + w->loose * x->burst;
			k.cap[i / LANES][i % LANES] = bank_slack(w, x->rate) * cap;
		}
		if (!by_block)
			bank_run(w, 0, w->n, &k);
		for (unsigned b = 0; by_block && b < FIT_BLOCKS; b++) {
			vfloat was[VECTORS];

			memcpy(was, k.misfit, sizeof(was));
			bank_run(w, from, w->block_end[b], &k);
			from = w->block_end[b];
			for (unsigned i = 0; i < m; i++)
				w->misfit[at + i][b] = k.misfit[i / LANES][i % LANES] -
						       was[i / LANES][i % LANES];
		}
		for (unsigned i = 0; i < m; i++) {
			unsigned v = i / LANES, l = i % LANES;

			c[at + i].j = 1 - (float)k.wrong_lost[v][l] / w->lost -
				      (float)k.wrong_passed[v][l] / w->passed;
			c[at + i].misfit = k.misfit[v][l] / (k.slack[v][l] * w->lost);
			/* Less than four slacks fits whatever is lost back to back. */
			if (c[at + i].burst < 4 * k.slack[v][l])
				c[at + i].misfit = HUGE_VALF;
		}
	}
}

unsigned bank_grid(struct cell *c, double rate, double rspan, unsigned nr, double burst,
		     double bspan, unsigned nb)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nr; i++)
		for (unsigned k = 0; k < nb; k++) {
			double u = nr > 1 ? 2.0 * i / (nr - 1) - 1 : 0;
			double v = nb > 1 ? 2.0 * k / (nb - 1) - 1 : 0;

			c[n].rate = (float)(rate * exp(u * log1p(rspan)));
			c[n].burst = (float)fmax(burst * exp(v * log1p(bspan)), BURST_MIN);
			n++;
		}
	return n;
}

int by_float(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

unsigned bank_least(const struct cell *c, unsigned n)
{
	unsigned first = 0, last = 0;

	for (unsigned i = 1; i < n; i++) {
		if (c[i].misfit < c[first].misfit)
			first = last = i;
		else if (c[i].misfit <= c[first].misfit)
			last = i;
	}
	for (unsigned i = (first + last) / 2; i <= last; i++)
		if (c[i].misfit <= c[first].misfit)
			return i;
	return first;
}
