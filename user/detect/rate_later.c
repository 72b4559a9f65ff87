// SPDX-License-Identifier: GPL-2.0-or-later
/* A limit that came when the flows were there. */
#include "rate_bank.h"

#include <math.h>

#include "rate.h"

#define LATER_S 1
#define LATER_J .03 /* a bucket that was full at the start does so much worse */
#define LATER_BUCKET_S 8 /* what takes longer to run empty is hardly a bucket */

/* Of a large bucket the rate is easily missed: again at a rate that is known, and with what must have been in it. */
static void fit_again_at(struct fit_work *w, const struct fit_input *in, double rate, unsigned first, struct rate_fit *f,
			 uint64_t *cost)
{
	struct rate_fit near = { .rate = rate, .seed_rate = rate }, g;
	double taken = 0, last = in->packet[0].t;

	for (unsigned i = 0; i <= first; last = in->packet[i++].t)
		taken = fmax(taken - rate * (in->packet[i].t - last), 0) + (i < first ? in->packet[i].len : 0);
	near.seed_burst = fmax(taken, BURST_MIN);
	rate_fit(w, in, &near, &g, cost);
	if (g.j > f->j)
		*f = g;
}

bool rate_fit_later(struct fit_work *w, struct fit_input *in, struct rate_fit *f, uint64_t *cost)
{
	struct fit_input rest = *in;
	struct rate_fit g;
	unsigned first = 0;

	while (first < in->packets && !in->packet[first].lost)
		first++;
	if (!f->whole || !f->enough || first == in->packets || in->packet[first].t - in->packet[0].t < LATER_S)
		return false;
	/* Nothing explains it better. */
	if (f->j >= 1 - LATER_J && f->burst <= LATER_BUCKET_S * f->rate)
		return false;
	rest.whole = false;
	rate_fit(w, &rest, f->rate > 0 ? f : NULL, &g, cost);
	if (g.j < FIT_MIN_J) {
		/* a bucket that explains nothing but that it ran empty once */
		if (f->burst > LATER_BUCKET_S * f->rate) {
			f->j = fmin(f->j, g.j);
			f->loose = 0;
		}
		return false;
	}
	/* From there on it is a queue: a link that became slower. */
	if (verdict_of(&rest, &g, SIDE_AFTER) != VERDICT_QUEUE) {
		if (f->j < g.j - LATER_J)
			fit_again_at(w, in, g.rate, first, f, cost);
		if (f->j >= g.j - LATER_J && (f->burst <= LATER_BUCKET_S * f->rate || g.j < f->j - LATER_J))
			return false;
	}
	in->whole = false;
	*f = g;
	return true;
}
