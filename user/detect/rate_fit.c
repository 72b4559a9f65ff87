// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_bank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS	  3
#define RATE_SPAN 5.0 /* rates are tried from 0.8 of what passed to so much more */
#define MISFIT_GOOD .2	/* packets per loss: a fit that good is not looked for elsewhere */
#define HOPELESS_J .6	/* no finer grid makes a fit of this */
#define NESTS	   4
#define BURST_GAP_S 50e-6
#define BURST_BYTES 3100
#define RUN_MAX 6 /* losses in a row that count */
#define RELOCATE_J .75
#define RELOCATE_MAX 300 /* packets that a loss may be moved over */
#define FAST 4 /* times the rate: see rate_fit.fast */
#define LOOSE (1 / 30.f)
#define WIDEST_RATES 5
#define WIDEST_J .02
#define QUICK_MIN .3  /* a virtual queue that parts less is not worth a closer look */

struct fit_work *fit_work_new(void)
{
	return calloc(1, sizeof(struct fit_work));
}

void fit_work_free(struct fit_work *w)
{
	free(w);
}

/*
 * The packets as the fit takes them: of losses with nothing passed in between
 * the first few stand for all, for a bucket that ran empty once is no crowd of
 * witnesses.
 */
static bool load(struct fit_work *w, const struct fit_packet *p, unsigned n, bool whole)
{
	double first = 0, last = 0, at, bytes = 0, upto = 0;
	unsigned in_run = 0, runs = 0;

	/* How full the bucket was is known at the very start, and at a loss. */
	w->empty = !whole;
	while (!whole && n && !p->lost) {
		p++;
		n--;
	}
	at = w->from = n ? p[0].t : 0;
	w->n = w->lost = w->passed = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned k = w->n;

		if (p[i].lost) {
			in_run = k && w->is_lost[k - 1] ? in_run + 1 : 0;
			runs += !in_run;
			if (in_run >= RUN_MAX)
				continue;
			if (!w->lost)
				first = p[i].t;
			last = p[i].t;
			upto = bytes;
			w->lost++;
		} else {
			bytes += w->lost ? p[i].len : 0;
			/* A burst's packets, a few at a time: the bucket has no time to fill. */
			if (k && !w->is_lost[k - 1] && p[i].t - at < BURST_GAP_S &&
			    w->len[k - 1] + p[i].len <= BURST_BYTES) {
				w->len[k - 1] += p[i].len;
				continue;
			}
			w->passed++;
		}
		/* Too many: again without as many of the oldest. */
		if (k == FIT_PACKETS_MAX)
			return load(w, p + (n - i), i, false);
		w->dt[k] = (float)fmax(p[i].t - at, 0);
		at = p[i].t;
		w->len[k] = p[i].len;
		w->until[k] = p[i].until;
		w->is_lost[k] = p[i].lost;
		w->n++;
	}
	w->span = last - first;
	w->bytes = upto;
	w->runs = runs;
	if (w->span <= 0 || upto <= 0)
		return false;
	w->base = upto / w->span;
	return true;
}

/* Bin of a backlog: the float's exponent and five bits of its mantissa. */
static unsigned backlog_bin(float s)
{
	union {
		float f;
		uint32_t u;
	} v = { .f = s < 1 ? 1 : s };
	unsigned b = (v.u >> 18) - (127u << 5);

	return b < VQ_BINS ? b : VQ_BINS - 1;
}

static double bin_edge(unsigned b)
{
	return ldexp(1.0 + (b & 31) / 32.0, (int)(b >> 5));
}

/* Virtual queue drained at rate: how well one threshold parts lost from passed. */
static double vq(struct fit_work *w, float rate, double *burst)
{
	float q = 0;
	double best = -1, lost = 0, passed = 0;
	unsigned from = 0, to = 0;

	memset(w->bin_lost, 0, sizeof(w->bin_lost));
	memset(w->bin_passed, 0, sizeof(w->bin_passed));
	for (unsigned i = 0; i < w->n; i++) {
		float s;

		q -= rate * w->dt[i];
		q = q < 0 ? 0 : q;
		s = q + w->len[i];
		if (w->is_lost[i]) {
			w->bin_lost[backlog_bin(s)]++;
		} else {
			w->bin_passed[backlog_bin(s)]++;
			q = s;
		}
	}
	for (unsigned b = VQ_BINS; b-- > 0 && bin_edge(b) >= BURST_MIN;) {
		double j;

		if (!w->bin_lost[b] && !w->bin_passed[b])
			continue;
		lost += w->bin_lost[b];
		passed += w->bin_passed[b];
		j = lost / w->lost - passed / w->passed;
		if (j > best) {
			best = j;
			from = to = b;
		}
	}
	/* The threshold lies between this bin and the next lower one that is taken. */
	while (to > 0 && !w->bin_lost[to - 1] && !w->bin_passed[to - 1])
		to--;
	*burst = (bin_edge(from) + bin_edge(to)) / 2;
	return best;
}

static double vq_search(struct fit_work *w, double low, double high, unsigned steps, double *rate,
			double *burst)
{
	double best = -1, sum_r = 0, sum_b = 0;
	unsigned ties = 0;

	for (unsigned i = 0; i < steps; i++) {
		double r = low * pow(high / low, i / (steps - 1.0)), b, j;

		j = vq(w, (float)r, &b);
		if (j > best + 1e-9) {
			best = j;
			ties = 0;
			sum_r = sum_b = 0;
		}
		if (j > best - 1e-9) {
			ties++;
			sum_r += r;
			sum_b += b;
		}
	}
	*rate = sum_r / ties;
	*burst = sum_b / ties;
	return best;
}

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* A step of a search by ever finer grids: spans, steps, and where misfits are cut. */
static const struct nest {
	double rspan, bspan;
	unsigned nr, nb;
	float cap;
} nests[] = { { .05, .30, 11, 11, 24 }, /* the width of the coarse grid's mesh */
	      { .015, .12, 9, 9, 8 },
	      { .006, .05, 9, 9, 4 },
	      { .002, .02, 7, 7, 4 } };

static struct cell refine(struct fit_work *w, struct cell seed, unsigned from, unsigned to,
			  uint64_t *cost)
{
	for (unsigned i = from; i < to; i++) {
		unsigned n = bank_grid(w->cell, seed.rate, nests[i].rspan, nests[i].nr, seed.burst,
				  nests[i].bspan, nests[i].nb);

		bank(w, w->cell, n, nests[i].cap, false);
		*cost += (uint64_t)n * w->n;
		seed = w->cell[bank_least(w->cell, n)];
	}
	return seed;
}

static unsigned loss_slices(const struct fit_packet *p, unsigned n, double slice)
{
	double end = -HUGE_VAL;
	unsigned slices = 0;

	for (unsigned i = 0; i < n; i++)
		if (p[i].lost && p[i].t > end) {
			slices++;
			end = p[i].t + slice;
		}
	return slices;
}

/*
 * The best cell at about the rate that passed: what a limiter lets through that is
 * never idle. There a virtual queue without correction drifts away.
 */
static struct cell at_base(struct fit_work *w, double *j, uint64_t *cost)
{
	enum { RATES = 4, BURSTS = 12 };
	static const double share[RATES] = { 1, 1.01, 1.025, 1.05 };
	unsigned n = 0, at;

	for (unsigned i = 0; i < RATES; i++)
		for (unsigned k = 0; k < BURSTS; k++) {
			w->cell[n].rate = (float)(share[i] * w->base);
			w->cell[n++].burst = (float)(BURST_MIN * pow(BURST_MAX / BURST_MIN,
								     k / (BURSTS - 1.0)));
		}
	bank(w, w->cell, n, 24, false);
	*cost += (uint64_t)n * w->n;
	at = bank_least(w->cell, n);
	*j = w->cell[at].j;
	return w->cell[at];
}

/* The best cells of a coarse grid, each of another neighbourhood. */
static unsigned coarse(struct fit_work *w, struct cell *seed, unsigned max, uint64_t *cost)
{
	enum { RATES = 36, BURSTS = 20 };
	unsigned n = 0, seeds = 0;

	for (unsigned i = 0; i < RATES; i++)
		for (unsigned k = 0; k < BURSTS; k++) {
			double r = 0.8 * w->base * pow(RATE_SPAN, i / (RATES - 1.0));
			double b = BURST_MIN * pow(BURST_MAX / BURST_MIN, k / (BURSTS - 1.0));

			if (b < 4 * bank_slack(w, (float)r) || b > 8 * w->bytes)
				continue;
			w->cell[n].rate = (float)r;
			w->cell[n++].burst = (float)b;
		}
	bank(w, w->cell, n, 24, false);
	*cost += (uint64_t)n * w->n;
	while (seeds < max) {
		unsigned at = 0;

		for (unsigned i = 1; i < n; i++)
			if (w->cell[i].misfit < w->cell[at].misfit)
				at = i;
		if (!n || w->cell[at].misfit == HUGE_VALF)
			break;
		seed[seeds] = w->cell[at];
		for (unsigned i = 0; i < n; i++)
			if (fabsf(logf(w->cell[i].rate / seed[seeds].rate)) < .12f &&
			    fabsf(logf(w->cell[i].burst / seed[seeds].burst)) < .5f)
				w->cell[i].misfit = HUGE_VALF;
		seeds++;
	}
	return seeds;
}

/*
 * Of several flows: a loss was somewhere between the packets of its own flow, and
 * there it was where the bucket, as fitted so far, was lowest.
 */
static void relocate(struct fit_work *w, struct cell c)
{
	double t = w->empty ? 0 : c.burst, now = 0;
	unsigned k = 0;

	for (unsigned i = 0; i < w->n; i++) {
		now += w->dt[i];
		w->at[i].t = now;
		w->at[i].index = i;
		t = fmin(c.burst, t + c.rate * w->dt[i]);
		if (!w->is_lost[i])
			t = fmax(t - w->len[i], -2 * bank_slack(w, c.rate));
		w->level[i] = (float)t;
	}
	for (unsigned i = 0; i < w->n; i++) {
		unsigned best = i;

		if (!w->is_lost[i])
			continue;
		for (unsigned j = i + 1, far = 0; j < w->n && far < RELOCATE_MAX; j++, far++) {
			if (w->at[j].t > w->at[i].t + w->until[i])
				break;
			if (!w->is_lost[j] && w->level[j] < w->level[best])
				best = j;
		}
		if (w->level[i] > w->len[i] && best != i)
			w->moved[k++] = (struct place){ w->at[best].t, i };
	}
	for (unsigned i = 0; i < k; i++)
		w->at[w->moved[i].index].t = w->moved[i].t + 1e-9;
	qsort(w->at, w->n, sizeof(w->at[0]), by_place);
	for (unsigned i = 0; i < w->n; i++) {
		unsigned from = w->at[i].index;

		w->level[i] = w->len[from];
		w->tmp_lost[i] = w->is_lost[from];
		w->dt[i] = i ? (float)(w->at[i].t - w->at[i - 1].t) : 0;
	}
	memcpy(w->len, w->level, w->n * sizeof(w->len[0]));
	memcpy(w->is_lost, w->tmp_lost, w->n);
}

/* The neighbourhood of the best cell there is. */
static struct cell search(struct fit_work *w, const struct rate_fit *near, double *quick,
			  uint64_t *cost)
{
	struct cell seed[SEEDS + 4], best = { .misfit = HUGE_VALF };
	unsigned seeds = 0;
	double r, b, j;

	if (near)
		seed[seeds++] = (struct cell){ (float)near->seed_rate, (float)near->seed_burst, 0, 0 };
	if (near && near->rate != near->seed_rate)
		seed[seeds++] = (struct cell){ (float)near->rate, (float)near->seed_burst, 0, 0 };
	seed[seeds++] = at_base(w, &j, cost);
	*quick = vq_search(w, 0.8 * w->base, 0.8 * RATE_SPAN * w->base, 40, &r, &b);
	*cost += 40ull * w->n;
	*quick = fmax(*quick, j);
	if (*quick < QUICK_MIN)
		return best;
	seed[seeds++] = (struct cell){ (float)r, (float)fmax(b, 4.1 * bank_slack(w, (float)r)), 0, 0 };
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < seeds; i++) {
			struct cell c = refine(w, seed[i], 0, 1, cost);

			if (c.misfit < best.misfit)
				best = c;
		}
		if (pass || best.misfit <= MISFIT_GOOD)
			break;
		seeds = coarse(w, seed, SEEDS, cost);
	}
	return best;
}

/*
 * J again, with the same bucket corrected as before. Where packets are held up between the limiter and
 * us, by a radio or a busy host, the bucket's level is off by what passes in that time: little, of a large one.
 */
static double loose_j(struct fit_work *w, struct cell c, uint64_t *cost)
{
	w->loose = LOOSE;
	bank(w, &c, 1, 4, false);
	w->loose = 0;
	*cost += w->n;
	return c.j;
}

/*
 * Of a bucket that was never seen full only its least size is known, unless it is seen that it holds no more:
 * a rate a little higher hides in a small one that overflows. How large may it be? One that never
 * overflows lets pass what flows into it, between two times when it is empty.
 */
static double widest(struct fit_work *w, const struct rate_fit *f, uint64_t *cost)
{
	double burst = f->burst_high, off = bank_slack(w, (float)w->base) / (w->span * w->base);
	struct cell told = { .rate = (float)f->rate, .burst = (float)f->burst };

	bank(w, &told, 1, 4, false);
	for (double b = 2 * f->burst; b <= 2 * BURST_MAX; b *= 2) {
		unsigned n = bank_grid(w->cell, w->base, off, WIDEST_RATES, b, 0, 1);

		bank(w, w->cell, n, 4, false);
		*cost += (uint64_t)n * w->n;
		if (w->cell[bank_least(w->cell, n)].j < told.j - WIDEST_J)
			break;
		burst = fmax(burst, b);
	}
	return burst;
}

void rate_fit(struct fit_work *w, const struct fit_input *in, const struct rate_fit *near,
	      struct rate_fit *out, uint64_t *cost)
{
	const struct fit_packet *p = in->packet;
	struct cell best;
	unsigned n = in->packets;

	memset(out, 0, sizeof(*out));
	out->x_mid = out->q_mid = NAN;
	out->dx = out->dq = out->slope = out->corr = out->jitter = NAN;
	w->slack_packets = in->flows > 1 ? 2 : 1;
	for (unsigned i = 0; i < n; i++)
		out->lost += p[i].lost;
	out->passed = n - out->lost;
	out->slices = loss_slices(p, n, in->slice);
	if (!load(w, p, n, in->whole))
		return;
	out->whole = !w->empty; /* the oldest may have been too much */
	out->runs = w->runs;
	out->base = w->base;
	out->enough = out->lost >= FIT_MIN_LOST && w->passed >= FIT_MIN_LOST &&
		      out->runs >= FIT_MIN_RUNS && out->slices >= FIT_MIN_SLICES;
	if (!out->enough)
		return;
	best = search(w, near, &out->quick, cost);
	if (best.j >= HOPELESS_J)
		best = refine(w, best, 1, NESTS, cost);
	if (in->flows > 1 && best.j >= RELOCATE_J) {
		float j = best.j;

		relocate(w, best);
		w->slack_packets = 1;
		best = refine(w, best, 0, NESTS, cost);
		best.j = (best.j + j) / 2;
	}
	if (best.misfit == HUGE_VALF)
		return;
	out->j = best.j;
	out->misfit = best.misfit;
	out->rate = best.rate;
	out->burst = best.burst;
	out->slack = bank_slack(w, best.rate);
	out->rate_low = out->rate_high = out->rate;
	out->burst_low = out->burst_high = out->burst;
	if (out->j < FIT_MIN_J && out->j >= FIT_WEAK_J)
		out->loose = loose_j(w, best, cost);
	if (out->j >= FIT_MIN_J || (out->j >= FIT_WEAK_J && (in->flows > 1 || out->loose >= FIT_LOOSE_J)))
		fit_intervals(w, out, cost);
	if (w->empty && out->j >= FIT_MIN_J)
		out->burst_high = widest(w, out, cost);
	out->seed_rate = out->rate;
	out->seed_burst = out->burst;
	out->fast = vq(w, (float)(FAST * out->rate), &(double){ 0 });
	*cost += w->n;
	if (out->j >= FIT_WEAK_J)
		fit_conserve(w, out, cost);
	fit_delay(w, p, n, in->rtt, in->rtts, out);
}
