/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rate_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* 16 bytes: what SSE2 and NEON have; other machines do it piecewise. */
#define LANES 4
typedef float vfloat __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t vint __attribute__((vector_size(LANES * sizeof(int32_t))));

#define VQ_BINS	  768 /* 32 an octave, 1 byte to 16 MB */
#define CELLS_MAX 2048
#define SEEDS	  3
#define BURST_MIN 6056.0 /* 4 packets */
#define BURST_MAX 8e6
#define RATE_SPAN 5.0 /* rates are tried from 0.8 of what passed to so much more */
#define MISFIT_GOOD .2	/* packets per loss: a fit that good is not looked for elsewhere */
#define HOPELESS_J .6	/* no finer grid makes a fit of this */
#define NESTS	   4
#define BURST_GAP_S 50e-6
#define BURST_BYTES 3100
#define RUN_MAX 6 /* losses in a row that count */
#define RELOCATE_MAX 300 /* packets that a loss may be moved over */
#define QUICK_MIN .3  /* a virtual queue that parts less is not worth a closer look */

struct cell {
	float rate, burst;
	float j;
	float misfit; /* in slacks per lost packet */
};

/* When a packet is taken to have been, and which one. */
struct place {
	double t;
	unsigned index;
};

struct fit_work {
	unsigned n, passed, lost, runs;
	float slack_packets;
	float dt[FIT_PACKETS_MAX], len[FIT_PACKETS_MAX];
	float until[FIT_PACKETS_MAX];
	uint8_t is_lost[FIT_PACKETS_MAX];
	struct place at[FIT_PACKETS_MAX], moved[FIT_PACKETS_MAX];
	float level[FIT_PACKETS_MAX];
	uint8_t tmp_lost[FIT_PACKETS_MAX];
	double span; /* first to last loss, s */
	double base; /* bytes/s passed in it */
	double bytes; /* passed in it */
	unsigned bin_lost[VQ_BINS], bin_passed[VQ_BINS];
	struct cell cell[CELLS_MAX];
	struct cell best[CELLS_MAX];
	unsigned block_end[FIT_BLOCKS];
	float misfit[CELLS_MAX][FIT_BLOCKS];
	float x[FIT_RTTS_MAX], q[FIT_RTTS_MAX], tmp[FIT_RTTS_MAX];
	unsigned order[FIT_RTTS_MAX];
};

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
static bool load(struct fit_work *w, const struct fit_packet *p, unsigned n)
{
	double first = 0, last = 0, at = n ? p[0].t : 0, bytes = 0, upto = 0;
	unsigned in_run = 0, runs = 0;

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
		if (k == FIT_PACKETS_MAX)
			break;
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

#define VECTORS 3 /* token buckets are run so many vectors at a time */
#define BATCH	(LANES * VECTORS)

/* BATCH token buckets, and what they made of a stretch of packets. */
struct buckets {
	vfloat rate[VECTORS], burst[VECTORS], tokens[VECTORS], slack[VECTORS], cap[VECTORS];
	vint wrong_lost[VECTORS], wrong_passed[VECTORS]; /* by more than the slack */
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
				x.wrong_lost[v] -= wrong;
				t += len;
				t -= (vfloat)((vint)least_of(over, 2 * x.slack[v]) & wrong);
			} else {
				over = most_of(-t, (vfloat){ 0 });
				x.wrong_passed[v] -= over > x.slack[v];
				t = most_of(t, -2 * x.slack[v]);
			}
			x.misfit[v] += least_of(over, x.cap[v]);
			x.tokens[v] = t;
		}
	}
	*k = x;
}

/* Timestamps and jitter make the bucket's level uncertain by a packet or so and a quarter of a millisecond. */
static float slack_of(const struct fit_work *w, float rate)
{
	return w->slack_packets * 1514 + rate * .25e-3f;
}

/* J and misfit of n cells, misfits cut at so many slacks; by_block: misfits per block too. */
static void bank(struct fit_work *w, struct cell *c, unsigned n, float cap, bool by_block)
{
	for (unsigned at = 0; at < n; at += BATCH) {
		struct buckets k;
		unsigned m = n - at < BATCH ? n - at : BATCH, from = 0;

		memset(&k, 0, sizeof(k));
		for (unsigned i = 0; i < BATCH; i++) {
			const struct cell *x = &c[at + (i < m ? i : 0)];

			k.rate[i / LANES][i % LANES] = x->rate;
			k.burst[i / LANES][i % LANES] = k.tokens[i / LANES][i % LANES] = x->burst;
			k.slack[i / LANES][i % LANES] = slack_of(w, x->rate);
			k.cap[i / LANES][i % LANES] = slack_of(w, x->rate) * cap;
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

static unsigned grid(struct cell *c, double rate, double rspan, unsigned nr, double burst,
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

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int by_float(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

/* The cell with the least misfit; of equals the middle one. */
static unsigned least(const struct cell *c, unsigned n)
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
		unsigned n = grid(w->cell, seed.rate, nests[i].rspan, nests[i].nr, seed.burst,
				  nests[i].bspan, nests[i].nb);

		bank(w, w->cell, n, nests[i].cap, false);
		*cost += (uint64_t)n * w->n;
		seed = w->cell[least(w->cell, n)];
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

static void intervals(struct fit_work *w, struct rate_fit *out, uint64_t *cost)
{
	enum { DRAWS = 60 };
	float rates[DRAWS], bursts[DRAWS];
	uint32_t seed = 2463534242u;
	unsigned n = grid(w->cell, out->rate, .03, 25, out->burst, .3, 9);

	cut_blocks(w);
	bank(w, w->cell, n, 4, true);
	*cost += (uint64_t)n * w->n;
	for (unsigned d = 0; d < DRAWS; d++) {
		unsigned times[FIT_BLOCKS] = { 0 }, at;

		for (unsigned b = 0; b < FIT_BLOCKS; b++)
			times[next_random(&seed) % FIT_BLOCKS]++;
		for (unsigned i = 0; i < n; i++) {
			w->cell[i].misfit = 0;
			for (unsigned b = 0; b < FIT_BLOCKS; b++)
				w->cell[i].misfit += times[b] * w->misfit[i][b];
		}
		at = least(w->cell, n);
		rates[d] = w->cell[at].rate;
		bursts[d] = w->cell[at].burst;
	}
	qsort(rates, DRAWS, sizeof(float), by_float);
	qsort(bursts, DRAWS, sizeof(float), by_float);
	out->rate_low = fmin(rates[DRAWS / 20], out->rate);
	out->rate_high = fmax(rates[DRAWS - 1 - DRAWS / 20], out->rate);
	out->burst_low = fmin(bursts[DRAWS / 20], out->burst);
	out->burst_high = fmax(bursts[DRAWS - 1 - DRAWS / 20], out->burst);
}

static float median_of(float *v, unsigned n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), by_float);
	return v[n / 2];
}

/* Round trips against the backlog that the fitted bucket has when they set out. */
static void delay_test(struct fit_work *w, const struct fit_packet *p, unsigned n,
		       const struct fit_rtt *rtt, unsigned m, struct rate_fit *out)
{
	double t = out->burst, last = p[0].t, mx = 0, mq = 0, sxx = 0, sxq = 0, sqq = 0;
	float low, high, xlow, xhigh;
	unsigned k = 0, at = 0, nl = 0, nh = 0;

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
	memcpy(w->tmp, w->q, k * sizeof(float));
	out->q_mid = median_of(w->tmp, k);
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
	at = least(w->cell, n);
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

			if (b < 4 * slack_of(w, (float)r) || b > 8 * w->bytes)
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
	double t = c.burst, now = 0;
	unsigned k = 0;

	for (unsigned i = 0; i < w->n; i++) {
		now += w->dt[i];
		w->at[i].t = now;
		w->at[i].index = i;
		t = fmin(c.burst, t + c.rate * w->dt[i]);
		if (!w->is_lost[i])
			t = fmax(t - w->len[i], -2 * slack_of(w, c.rate));
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
	struct cell seed[SEEDS + 3], best = { .misfit = HUGE_VALF };
	unsigned seeds = 0;
	double r, b, j;

	if (near)
		seed[seeds++] = (struct cell){ (float)near->rate, (float)near->burst, 0, 0 };
	seed[seeds++] = at_base(w, &j, cost);
	*quick = vq_search(w, 0.8 * w->base, 0.8 * RATE_SPAN * w->base, 40, &r, &b);
	*cost += 40ull * w->n;
	*quick = fmax(*quick, j);
	if (*quick < QUICK_MIN)
		return best;
	seed[seeds++] = (struct cell){ (float)r, (float)fmax(b, 4.1 * slack_of(w, (float)r)), 0, 0 };
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
	if (!load(w, p, n))
		return;
	out->runs = w->runs;
	out->base = w->base;
	out->enough = out->lost >= FIT_MIN_LOST && w->passed >= FIT_MIN_LOST &&
		      out->runs >= FIT_MIN_RUNS && out->slices >= FIT_MIN_SLICES;
	if (!out->enough)
		return;
	best = search(w, near, &out->quick, cost);
	if (best.j >= HOPELESS_J)
		best = refine(w, best, 1, NESTS, cost);
	if (in->flows > 1 && best.j >= FIT_MIN_J) {
		float j = best.j;

		relocate(w, best);
		best = refine(w, best, 0, NESTS, cost);
		best.j = best.j < j ? best.j : j;
	}
	if (best.misfit == HUGE_VALF)
		return;
	out->j = best.j;
	out->misfit = best.misfit;
	out->rate = best.rate;
	out->burst = best.burst;
	out->rate_low = out->rate_high = out->rate;
	out->burst_low = out->burst_high = out->burst;
	if (out->j >= FIT_MIN_J)
		intervals(w, out, cost);
	delay_test(w, p, n, in->rtt, in->rtts, out);
}
