// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_ceiling.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define PACKET	     1514
#define CLOSE	     (3 * PACKET) /* to the ceiling: packets and the moments they came at are that coarse */
#define PACKETS_MIN  200
#define TOUCH_S	     .5
#define TOUCHES_MIN  8
#define TOUCHES_PART .12 /* of the half seconds between the first and the last */
#define SPAN_S	     10
#define THIRDS	     3   /* of that time: reached in each */
#define BURST_MIN    (8 * PACKET) /* what links and cards send at once is less */
#define BURST_MIN_S  .02
#define BURST_MAX_S  1.5 /* many a bound that is so loose is reached now and then */
#define FULL	     .7  /* of the rate is used: who sends less meets no limit */
#define OFF_MIN	     (8 * PACKET) /* bytes that the parts are off their shares */
#define OFF_TIMES    12  /* packets that the parts are judged by */
#define ALONE	     .3 /* as often as the sum: where that is at its ceiling, all with one of their own are */
#define ALONE_FULL   .93 /* a rate that is too high has a low bound, which anything reaches */
#define UNSURE	     .005 /* of the rate: what is reached is not always reached to the end */
#define COARSE	     300
#define FINE	     41
#define LEAST	     .9  /* rates tried, times what passed on average */
#define MOST	     1.6

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

/* The bound at a rate, and in how many half seconds it is reached. */
static void try_rate(const struct ceiling_packet *p, unsigned n, unsigned mask, double rate,
		     struct ceiling *c)
{
	double q = 0, most = 0;
	unsigned k = 0;
	long at = -1;

	for (unsigned i = 0; i < n; i++) {
		q = backlog(p, i, rate, mask, q);
		most = fmax(most, q);
	}
	q = 0;
	for (unsigned i = 0; i < n; i++) {
		q = backlog(p, i, rate, mask, q);
		if (q < most - CLOSE || len_of(&p[i], mask) <= 0 || (long)(p[i].t / TOUCH_S) == at)
			continue;
		at = (long)(p[i].t / TOUCH_S);
		k++;
	}
	if (k <= c->touches)
		return;
	c->rate = rate;
	c->burst = most;
	c->touches = k;
}

/* The rate whose bound is reached most often. */
static void search(const struct ceiling_packet *p, unsigned n, unsigned mask, struct ceiling *c)
{
	double bytes = 0, base, coarse;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < n; i++)
		bytes += len_of(&p[i], mask);
	base = bytes / (p[n - 1].t - p[0].t);
	for (unsigned i = 0; i < COARSE; i++)
		try_rate(p, n, mask, base * LEAST * pow(MOST / LEAST, (double)i / (COARSE - 1)), c);
	coarse = c->rate;
	for (unsigned i = 0; i < FINE; i++)
		try_rate(p, n, mask, coarse * (.996 + .008 * i / (FINE - 1)), c);
}

static bool part_of(const struct ceiling_packet *p, unsigned part)
{
	return p->parts >> part & 1;
}

/*
 * How far each part is from its share of what passed, where the ceiling is reached: what is held to a pace or
 * a bucket of its own is near it then. What was not used while nobody sent is of no account.
 */
static bool parts_vary(const struct ceiling_packet *p, unsigned n, struct ceiling *c)
{
	double q = 0, all = 0, share[CEILING_PARTS] = { 0 }, part[CEILING_PARTS] = { 0 };
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
	return times >= OFF_TIMES;
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
		if (c->first < 0 || c->last < c->first + SPAN_S)
			return false;
	}
	for (unsigned k = 0; k < THIRDS; k++)
		if (!third[k])
			return false;
	c->base = (at_last - at_first) / (c->last - c->first);
	return c->touches >= TOUCHES_MIN && c->base >= FULL * c->rate &&
	       c->touches >= TOUCHES_PART * (c->last - c->first) / TOUCH_S;
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
	if (n < PACKETS_MIN || p[n - 1].t < p[0].t + SPAN_S)
		return;
	search(p, n, ALL, c);
	if (c->burst < BURST_MIN || c->burst < BURST_MIN_S * c->rate || c->burst > BURST_MAX_S * c->rate ||
	    !goes_on(p, n, ALL, c) || !parts_vary(p, n, c))
		return;
	for (unsigned k = 0; k < CEILING_PARTS; k++)
		if (part_alone(p, n, k, c->touches))
			return;
	unsure = UNSURE * c->rate + CLOSE / (c->last - c->first);
	c->rate_low = c->rate - unsure;
	c->rate_high = c->rate + unsure;
	c->holds = true;
}
