// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_line.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOSSES_MAX 4096
#define LEVELS_MAX 36000
#define LOSSES_MIN 8
#define STRETCH	   6	/* of the losses in a stretch: a sixth */
#define STRETCH_MIN 3
#define OFF_PACKETS 3.0 /* of a stretch: two losses' grain, and their time's */
#define OFF_SHARE  .04
#define PACKET	   1514
#define WIDE_MIN   .01
#define HOLDS_LOSSES 20
#define HOLDS_S	   3
#define HOLDS_AGREE .9
#define HOLDS_BELOW .72 /* chance and bursts: up to .68 */
#define DENIES_AGREE .5 /* limiters that let go in between keep to it by three stretches in four */
#define HOLDS_DEPTH 1.2 /* packets: a stream that never varies has less, whatever it loses */

/*
 * What the bucket holds at each packet, counted from the loss before: of a policer a packet passes
 * when there is one's worth, and is lost when there is not.
 */
static void levels(const struct fit_packet *p, unsigned n, struct loss_line *out)
{
	static _Thread_local double held[2][LEVELS_MAX];
	unsigned k[2] = { 0, 0 };
	double tokens = 0, at = 0;
	bool known = false, run = false;

	for (unsigned i = 0; i < n; i++) {
		tokens += known ? out->rate * (p[i].t - at) : 0;
		at = p[i].t;
		if (known && !(p[i].lost && run) && k[p[i].lost] < LEVELS_MAX)
			held[p[i].lost][k[p[i].lost]++] = tokens;
		if (p[i].lost)
			tokens = 0;
		else
			tokens -= p[i].len;
		known |= p[i].lost;
		run = p[i].lost;
	}
	out->below = stats_mann_whitney(held[0], k[0], held[1], k[1], NULL);
	if (k[0])
		out->depth = held[0][(unsigned)(.9 * (k[0] - 1))];
}

void loss_line(const struct fit_packet *p, unsigned n, struct loss_line *out)
{
	static _Thread_local double at[LOSSES_MAX], passed[LOSSES_MAX], slope[LOSSES_MAX];
	unsigned m = 0, k, stretches = 0, agree = 0;
	double bytes = 0, wide;
	unsigned count = 0;
	bool run = false;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < n && m < LOSSES_MAX; i++) {
		if (!p[i].lost) {
			bytes += p[i].len;
			count++;
			run = false;
			continue;
		}
		if (!run) {
			at[m] = p[i].t;
			passed[m++] = bytes;
		}
		run = true;
	}
	out->losses = m;
	out->packet = count ? bytes / count : 0;
	if (m < LOSSES_MIN)
		return;
	out->seconds = at[m - 1] - at[0];
	k = m / STRETCH > STRETCH_MIN ? m / STRETCH : STRETCH_MIN;
	for (unsigned i = 0; i + k < m; i++)
		if (at[i + k] > at[i])
			slope[stretches++] = (passed[i + k] - passed[i]) / (at[i + k] - at[i]);
	if (!stretches)
		return;
	qsort(slope, stretches, sizeof(*slope), stats_by_value);
	out->rate = slope[stretches / 2];
	/* The quartiles lie at 0.67 standard deviations; k stretches share their losses. */
	wide = (slope[3 * stretches / 4] - slope[stretches / 4]) / 1.35 * 1.645 / sqrt((double)m / k);
	/* Not knowing which loss is whose leaves a packet at either end, and a bucket may have been full. */
	wide = fmax(wide, fmax(2 * out->packet / out->seconds, WIDE_MIN * out->rate));
	out->rate_low = out->rate - wide;
	out->rate_high = out->rate + wide;
	for (unsigned i = 0; i + k < m; i++) {
		double want = out->rate * (at[i + k] - at[i]), got = passed[i + k] - passed[i];

		agree += fabs(got - want) <= OFF_PACKETS * out->packet + OFF_SHARE * want;
	}
	out->agree = (double)agree / (m - k);
	levels(p, n, out);
}

void line_burst(const struct fit_packet *p, unsigned n, double rate, double *burst, double *low, double *high)
{
	static _Thread_local double full[LOSSES_MAX];
	double backlog = 0, at = n ? p[0].t : 0;
	unsigned m = 0;
	bool run = false;

	*burst = *low = *high = 0;
	for (unsigned i = 0; i < n; i++) {
		backlog = fmax(0, backlog - rate * (p[i].t - at));
		at = p[i].t;
		if (!p[i].lost)
			backlog += p[i].len;
		else if (!run && m < LOSSES_MAX)
			full[m++] = backlog;
		run = p[i].lost;
	}
	if (!m)
		return;
	qsort(full, m, sizeof(*full), stats_by_value);
	*burst = full[m / 2] + PACKET / 2.0;
	*low = full[m / 10];
	*high = full[m - 1 - m / 10] + PACKET;
}

bool line_holds(const struct loss_line *l)
{
	return l->losses >= HOLDS_LOSSES && l->seconds >= HOLDS_S && l->agree >= HOLDS_AGREE &&
	       l->below >= HOLDS_BELOW && l->depth >= HOLDS_DEPTH * l->packet;
}

bool line_denies(const struct loss_line *l)
{
	return l->losses >= LOSSES_MIN && l->agree < DENIES_AGREE && l->below < HOLDS_BELOW;
}
