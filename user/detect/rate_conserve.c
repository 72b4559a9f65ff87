// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes in comes out. At a loss the bucket holds less than a packet: what passed from one loss to
 * another is what its rate gave, to a packet, unless it was full in between and tokens were lost. So a
 * sender that never lets it fill up tells the rate to a packet in all that time, whatever clocks do to
 * the packets one by one; and what passed since it was full last, at that rate, is its size.
 */
#include "rate_bank.h"

#include <math.h>
#include <stdlib.h>

#define MISFIT_POOR  .3	 /* packets per loss: a better fit knows more than this does */
#define NEARLY_FULL  .85 /* of its size: from there on tokens may have been lost */
#define ROUNDS	     4
/*
 * Of the time from first to last loss. Where the bucket fills up now and then, little is left but what
 * senders do after a loss, and there a resend that was none costs most.
 */
#define OFTEN_EMPTY  .5
#define NEVER_FULL   .9
#define PARTS_MAX    24
#define PART_SLACKS  100
#define RATE_OFF     .004 /* as a share: what is known less well, the fit may know better */
#define OFF_MIN	     .001
#define RATE_CHANGE  .08 /* what the fit may be off by */
#define BURST_CHANGE .4	 /* as a logarithm */
#define DEEP_SLACKS  6	 /* of a smaller one late clocks make too much */
#define DRIFT	     1.005
#define SAMPLES	     512

struct spent {
	double seconds, bytes;
	unsigned stretches; /* of losses with no full bucket in between */
	unsigned parts;
};

/*
 * What passed between losses while a bucket of that rate and size was not nearly full; by parts of at
 * least so many bytes, their rates in v.
 */
static struct spent spent(const struct fit_work *w, double rate, double burst, double part, float *v)
{
	struct spent s = { 0 };
	double level = 0, seconds = 0, bytes = 0, part_s = 0, part_bytes = 0;
	bool since_loss = false, filled = false, joined = false;

	for (unsigned i = 0; i < w->n; i++) {
		seconds += w->dt[i];
		level += rate * w->dt[i];
		filled |= level > NEARLY_FULL * burst;
		level = fmin(level, burst);
		if (!w->is_lost[i]) {
			level = fmax(level - w->len[i], 0);
			bytes += w->len[i];
			continue;
		}
		if (since_loss && !filled) {
			s.seconds += seconds;
			s.bytes += bytes;
			s.stretches += !joined;
			part_s += seconds;
			part_bytes += bytes;
			if (part_bytes >= part && s.parts < PARTS_MAX) {
				v[s.parts++] = (float)(part_bytes / part_s);
				part_s = part_bytes = 0;
			}
		}
		joined = since_loss && !filled;
		since_loss = true;
		filled = false;
		level = fmin(level, w->len[i]);
		seconds = bytes = 0;
	}
	return s;
}

/* Backlogs of a bucket of about that size at the first loss since it was full, and half a packet. */
static unsigned backlogs(const struct fit_work *w, double rate, double burst, float *v, unsigned max)
{
	double q = w->empty ? burst : 0;
	bool full = !w->empty;
	unsigned k = 0;

	for (unsigned i = 0; i < w->n && k < max; i++) {
		q -= rate * w->dt[i];
		if (q <= 0) {
			q = 0;
			full |= i > 0;
		}
		if (!w->is_lost[i]) {
			q += w->len[i];
			continue;
		}
		if (full)
			v[k++] = (float)(q + w->len[i] / 2);
		full = false;
		q = burst; /* it is empty now: what the rate is off by does not add up */
	}
	return k;
}

/* The most that passed beyond a little more than the rate at once: the bucket is at least that deep. */
static double deepest(const struct fit_work *w, double rate)
{
	double q = 0, most = 0;

	for (unsigned i = 0; i < w->n; i++) {
		q = fmax(q - DRIFT * rate * w->dt[i], 0);
		if (!w->is_lost[i])
			q += w->len[i];
		most = fmax(most, q);
	}
	return most;
}

/* The rate by conservation, begun at a guess; 0: not to be told. *off: what it may be off by, a share. */
static double conserved(struct fit_work *w, double rate, double burst, double share, double *off,
			uint64_t *cost)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		double slack = bank_slack(w, (float)rate);
		struct spent s = spent(w, rate, burst, fmax(PART_SLACKS * slack, w->bytes / PARTS_MAX),
				       w->tmp);

		*cost += w->n;
		if (s.seconds < share * w->span || s.bytes <= 0)
			return 0;
		*off = sqrt(s.stretches) * slack / s.bytes;
		if (*off > RATE_OFF)
			return 0;
		rate = s.bytes / s.seconds;
		/* A time when others that we don't see took of it is left out. */
		if (s.parts >= 3) {
			qsort(w->tmp, s.parts, sizeof(*w->tmp), by_float);
			rate = w->tmp[s.parts / 2];
		}
	}
	return rate;
}

void fit_conserve(struct fit_work *w, struct rate_fit *out, uint64_t *cost)
{
	double off, rate, burst, deep, slack;
	unsigned k;

	if (out->misfit <= MISFIT_POOR)
		return;
	rate = conserved(w, out->rate, out->burst, OFTEN_EMPTY, &off, cost);
	/* One that is too high fills the bucket where nothing did. */
	if (!rate)
		rate = conserved(w, w->base, out->burst, NEVER_FULL, &off, cost);
	if (!rate || fabs(rate / out->rate - 1) > RATE_CHANGE)
		return;
	out->rate = rate;
	out->rate_low = rate * (1 - fmax(off, OFF_MIN));
	out->rate_high = rate * (1 + fmax(off, OFF_MIN));
	deep = deepest(w, rate);
	slack = 2 * bank_slack(w, (float)rate);
	*cost += w->n;
	if (out->burst >= deep - slack || deep < DEEP_SLACKS * slack)
		return;
	/* More passed at once than the fit allows. */
	k = backlogs(w, rate, out->burst, w->tmp, SAMPLES);
	*cost += w->n;
	qsort(w->tmp, k, sizeof(*w->tmp), by_float);
	burst = k && fabs(w->tmp[k / 2] - deep) <= slack ? w->tmp[k / 2] : deep;
	if (fabs(log(burst / out->burst)) > BURST_CHANGE)
		return;
	out->burst = burst;
	out->burst_low = fmin(out->burst_low, burst);
	out->burst_high = fmax(out->burst_high, burst);
}
