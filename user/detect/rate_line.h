/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line of losses. At each loss a token bucket holds less than a packet: what
 * passes between two losses is the rate times the time, and a packet more or less,
 * whatever the flows do. Few and late losses, as those of flows that live on
 * timeouts, tell the rate by it long before they tell which packet was lost.
 */
#ifndef WEIR_RATE_LINE_H
#define WEIR_RATE_LINE_H

#include "rate_fit.h"

struct loss_line {
	unsigned losses; /* those with nothing passed in between taken as one */
	double rate;	 /* bytes/s; 0: none to be had */
	double rate_low, rate_high; /* 90 % interval */
	double agree;	 /* share of the stretches between losses that keep to it */
	double seconds;	 /* from the first loss to the last */
	double below;	 /* probability that a packet that passed found more in the bucket than one that was lost */
	double packet;	 /* mean length of those that passed */
	double depth;	 /* bytes that the bucket held at times, at least: ninth decile */
};

/* p: n packets in time order. */
void loss_line(const struct fit_packet *p, unsigned n, struct loss_line *out);

/*
 * The bucket of a limiter of that rate: how much stands before it when something is lost, bytes; median, first
 * and ninth decile. The packets must begin with a full bucket.
 */
void line_burst(const struct fit_packet *p, unsigned n, double rate, double *burst, double *low, double *high);

/* Is that a limit's line, and no chance? A queue that drops has one as well. */
bool line_holds(const struct loss_line *l);
/* Is there none, though there are losses for one: what is lost is not lost to one rate. */
bool line_denies(const struct loss_line *l);

#endif
