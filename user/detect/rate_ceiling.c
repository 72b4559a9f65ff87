// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_ceiling.h"
#include "stats.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PACKET	     1514
#define CLOSE	     (3 * PACKET) /* to the ceiling: packets and the moments they came at are that coarse */
#define PACKETS_MIN  200
#define TOUCH_S	     .5
#define TOUCHES_MIN  8
#define TOUCHES_PART .4  /* of the half seconds between the first and the last */
#define THIRDS	     3   /* of that time: reached in each */
#define CHANCE_TIMES 3.
#define BURST_MIN    (8 * PACKET) /* what links and cards send at once is less */
#define BURST_MIN_S  .02
#define BURST_MAX_S  1.5 /* many a bound that is so loose is reached now and then */
#define FULL	     .7  /* of the rate is used: who sends less meets no limit */
#define OFF_MIN	     (8 * PACKET) /* bytes that the parts are off their shares */
#define SWING_MIN    (2 * PACKET) /* bytes: the median step of a part's half seconds */
#define SWINGS_MIN   (CEILING_MIN_S / TOUCH_S / 4) /* steps of half of SWING_MIN: the median has twice as many of all of it */
#define OFF_TIMES    12  /* packets that the parts are judged by */
#define ALONE	     .3 /* as often as the sum: where that is at its ceiling, all with one of their own are */
#define ALONE_FULL   .93 /* a rate that is too high has a low bound, which anything reaches */
#define UNSURE	     .005 /* of the rate: what is reached is not always reached to the end */
#define TOGETHER     16   /* rates in one pass; the numbers of rates are multiples */
#define COARSE	     304
#define FINE	     48
#define FINE_PART    .008 /* of the rate, from the least to the most */
#define SLOTS	     (CEILING_MAX_S * 2 + 1)
#define MOST	     1.6 /* times what passed on average */

/* Packets of which parts are looked at. */
#define ALL 0xffu

static double len_of(const struct ceiling_packet *p, unsigned mask)
{
	return mask == ALL || p->parts & mask ? p->len : 0;
}

/* What is ahead in the bucket's stead after a packet, q after the one before. */
static double backlog(const struct ceiling_packet *p, unsigned i, double rate, unsigned mask, double q)
{
	return fmax(0, q - (i ? rate * (p[i].t - p[i - 1].t) : 0)) + len_of(&p[i], mask);
}

/* A packet of what is looked at: after how much time without one, s; bytes; its half second. */
struct step {
	float dt, len;
	unsigned slot;
};

/* Rates tried in one pass: one's backlog is a chain of dependent steps, which others beside it hide. */
typedef float four __attribute__((vector_size(16)));
typedef int32_t bits __attribute__((vector_size(16)));

static inline four larger(four a, four b)
{
	bits is = a > b;

	return (four)((is & (bits)a) | (~is & (bits)b));
}

/* The bounds at these rates, and in how many half seconds each is reached. */
static void try_rates(const struct step *s, unsigned n, const float *rates, struct ceiling *c)
{
	four rate[TOGETHER / 4], q[TOGETHER / 4] = { 0 }, most[TOGETHER / 4] = { 0 }, high[SLOTS][TOGETHER / 4];
	unsigned slots = 0;

	memcpy(rate, rates, sizeof(rate));
	for (unsigned i = 0; i < n;) {
		four top[TOGETHER / 4] = { 0 };

		for (unsigned slot = s[i].slot; i < n && s[i].slot == slot; i++) {
#pragma GCC unroll 4
			for (unsigned k = 0; k < TOGETHER / 4; k++) {
				q[k] = larger(q[k] - rate[k] * s[i].dt, (four){ 0 }) + s[i].len;
				top[k] = larger(q[k], top[k]);
			}
		}
#pragma GCC unroll 4
		for (unsigned k = 0; k < TOGETHER / 4; k++) {
			high[slots][k] = top[k];
			most[k] = larger(top[k], most[k]);
		}
		slots++;
	}
	for (unsigned k = 0; k < TOGETHER; k++) {
		double bound = (double)most[k / 4][k % 4];
		unsigned touches = 0;

		for (unsigned i = 0; i < slots; i++)
			touches += (double)high[i][k / 4][k % 4] >= bound - CLOSE;
		if (touches <= c->touches)
			continue;
		c->rate = rates[k];
		c->burst = bound;
		c->touches = touches;
	}
}

static unsigned steps_of(const struct ceiling_packet *p, unsigned n, unsigned mask, struct step *s)
{
	unsigned steps = 0;
	double last = p[0].t;

	for (unsigned i = 0; i < n; i++) {
		if (len_of(&p[i], mask) <= 0)
			continue;
		s[steps++] = (struct step){ (float)(p[i].t - last), p[i].len, (unsigned)((p[i].t - p[0].t) / TOUCH_S) };
		last = p[i].t;
	}
	return steps;
}

/* The rate whose bound is reached most often; 0 without memory. */
static void search(const struct ceiling_packet *p, unsigned n, unsigned mask, struct ceiling *c)
{
	struct step *s = malloc(n * sizeof(*s));
	double bytes = 0, base, coarse;
	float rate[TOGETHER];
	unsigned steps;

	memset(c, 0, sizeof(*c));
	if (!s)
		return;
	steps = steps_of(p, n, mask, s);
	for (unsigned i = 0; i < steps; i++)
		bytes += (double)s[i].len;
	base = bytes / (p[n - 1].t - p[0].t);
	for (unsigned i = 0; i < COARSE; i += TOGETHER) {
		for (unsigned k = 0; k < TOGETHER; k++)
			rate[k] = (float)(base * CEILING_LEAST * pow(MOST / CEILING_LEAST, (double)(i + k) / (COARSE - 1)));
		try_rates(s, steps, rate, c);
	}
	coarse = c->rate;
	for (unsigned i = 0; i < FINE; i += TOGETHER) {
		for (unsigned k = 0; k < TOGETHER; k++)
			rate[k] = (float)(coarse * (1 + FINE_PART * ((double)(i + k) / (FINE - 1) - .5)));
		try_rates(s, steps, rate, c);
	}
	free(s);
}

static bool part_of(const struct ceiling_packet *p, unsigned part)
{
	return p->parts >> part & 1;
}

/*
 * Does each part go on changing? Calls go on at their pace until one begins or ends, and their sum is steady
 * for that long without any limit.
 */
static bool swings(const struct ceiling_packet *p, unsigned n, struct ceiling *c)
{
	double in[CEILING_PARTS][SLOTS] = { { 0 } };
	unsigned slots = (unsigned)((p[n - 1].t - p[0].t) / TOUCH_S); /* the last is not whole */

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < CEILING_PARTS; k++)
			if (part_of(&p[i], k))
				in[k][(unsigned)((p[i].t - p[0].t) / TOUCH_S)] += p[i].len;
	for (unsigned k = 0; k < CEILING_PARTS; k++) {
		for (unsigned i = 0; i + 1 < slots; i++)
			in[k][i] = fabs(in[k][i + 1] - in[k][i]);
		qsort(in[k], slots - 1, sizeof(in[k][0]), stats_by_value);
		c->swing[k] = in[k][(slots - 1) / 2];
		if (c->swing[k] < SWING_MIN)
			return false;
	}
	return true;
}

bool ceiling_possible(const struct ceiling_packet *p, unsigned n)
{
	float in[CEILING_PARTS][SLOTS] = { { 0 } };
	double first = n ? p[0].t : 0;

	for (unsigned i = 1; i < n; i++)
		first = fmin(first, p[i].t);
	for (unsigned i = 0; i < n; i++) {
		double slot = (p[i].t - first) / TOUCH_S;

		for (unsigned k = 0; k < CEILING_PARTS && slot < SLOTS; k++)
			in[k][(unsigned)slot] += part_of(&p[i], k) ? p[i].len : 0;
	}
	for (unsigned k = 0; k < CEILING_PARTS; k++) {
		unsigned swings = 0;

		for (unsigned i = 0; i + 1 < SLOTS; i++)
			swings += fabsf(in[k][i + 1] - in[k][i]) >= SWING_MIN / 2;
		if (swings < SWINGS_MIN)
			return false;
	}
	return true;
}

/*
 * How far each part is from its share of what passed, where the ceiling is reached: what is held to a pace or
 * a bucket of its own is near it then. What was not used while nobody sent is of no account.
 */
static bool parts_vary(const struct ceiling_packet *p, unsigned n, struct ceiling *c)
{
	double q = c->burst - p[0].len, all = 0, share[CEILING_PARTS] = { 0 }, part[CEILING_PARTS] = { 0 };
	unsigned times = 0;
	bool known = false;

	for (unsigned i = 0; i < n; i++) {
		all += p[i].len;
		for (unsigned k = 0; k < CEILING_PARTS; k++)
			share[k] += part_of(&p[i], k) ? p[i].len : 0;
	}
	for (unsigned i = 0; i < n; i++) {
		q -= i ? c->rate * (p[i].t - p[i - 1].t) : 0;
		known &= q >= 0;
		q = fmax(0, q) + p[i].len;
		for (unsigned k = 0; k < CEILING_PARTS; k++)
			part[k] += p[i].len * ((part_of(&p[i], k) ? 1 : 0) - share[k] / all);
		if (q < c->burst - CLOSE)
			continue;
		if (!known)
			memset(part, 0, sizeof(part));
		times += known;
		known = true;
		for (unsigned k = 0; k < CEILING_PARTS; k++)
			c->off[k] += part[k] * part[k];
	}
	for (unsigned k = 0; k < CEILING_PARTS; k++) {
		c->off[k] = sqrt(c->off[k] / (times ? times : 1));
		if (c->off[k] < OFF_MIN)
			return false;
	}
	return times >= OFF_TIMES && swings(p, n, c);
}

/*
 * How often chance comes so close: where nothing limits a sum, what it is ahead of a pace falls off
 * exponentially (Kingman 1964), and of n such samples n^(d/m) are within d of the largest, m.
 */
static double by_chance(unsigned n, const struct ceiling *c)
{
	return pow(n, CLOSE / c->burst);
}

/* Is it reached all the time, and what passed not much less? */
static bool goes_on(const struct ceiling_packet *p, unsigned n, unsigned mask, struct ceiling *c)
{
	bool third[THIRDS] = { false };
	double q = 0, sum = 0, at_first = 0, at_last = 0;

	c->first = -1;
	for (unsigned pass = 0; pass < 2; pass++) {
		q = sum = 0;
		for (unsigned i = 0; i < n; i++) {
			q = backlog(p, i, c->rate, mask, q);
			sum += len_of(&p[i], mask);
			if (q < c->burst - CLOSE)
				continue;
			if (pass) {
				double at = (p[i].t - c->first) / (c->last - c->first);

				third[(unsigned)fmin(THIRDS - 1, THIRDS * at)] = true;
				continue;
			}
			if (c->first < 0) {
				c->first = p[i].t;
				at_first = sum;
			}
			c->last = p[i].t;
			at_last = sum;
		}
		if (c->first < 0 || c->last < c->first + CEILING_MIN_S)
			return false;
	}
	for (unsigned k = 0; k < THIRDS; k++)
		if (!third[k])
			return false;
	c->base = (at_last - at_first) / (c->last - c->first);
	return c->touches >= TOUCHES_MIN && c->base >= FULL * c->rate &&
	       c->touches >= TOUCHES_PART * (c->last - c->first) / TOUCH_S;
}

/* What is from the first to the last touch: what was before, or after, tells nothing of who shares what. */
static const struct ceiling_packet *between(const struct ceiling_packet *p, unsigned *n, const struct ceiling *c)
{
	unsigned from = 0, to = *n;

	while (from < to && p[from].t < c->first)
		from++;
	while (to > from && p[to - 1].t > c->last)
		to--;
	*n = to - from;
	return p + from;
}

/* Does a part keep to a ceiling of its own? Then it shares none: each has its limit, or its pace. */
static bool part_alone(const struct ceiling_packet *p, unsigned n, unsigned part, unsigned touches)
{
	struct ceiling c;

	search(p, n, 1u << part, &c);
	return c.touches >= ALONE * touches && goes_on(p, n, 1u << part, &c) && c.base >= ALONE_FULL * c.rate;
}

void ceiling_fit(const struct ceiling_packet *p, unsigned n, struct ceiling *c)
{
	double unsure;

	memset(c, 0, sizeof(*c));
	if (n < PACKETS_MIN || p[n - 1].t < p[0].t + CEILING_MIN_S || p[n - 1].t > p[0].t + CEILING_MAX_S)
		return;
	search(p, n, ALL, c);
	if (c->burst < BURST_MIN || c->burst < BURST_MIN_S * c->rate || c->burst > BURST_MAX_S * c->rate ||
	    c->touches < CHANCE_TIMES * by_chance(n, c) || !goes_on(p, n, ALL, c))
		return;
	p = between(p, &n, c);
	if (!parts_vary(p, n, c))
		return;
	for (unsigned k = 0; k < CEILING_PARTS; k++)
		if (part_alone(p, n, k, c->touches))
			return;
	unsure = UNSURE * c->rate + CLOSE / (c->last - c->first);
	c->rate_low = c->rate - unsure;
	c->rate_high = c->rate + unsure;
	c->holds = true;
}
