/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The output of a token bucket with a queue (a shaper): a burst that passes at
 * the sender's pace, then a straight line at the token rate while the queue
 * stands, and the round trip with it. A plain bottleneck has the line without
 * the burst; a paced sender has no queue.
 */
#ifndef WEIR_RATE_SHAPE_H
#define WEIR_RATE_SHAPE_H

#include "rate_fit.h"

struct shape {
	bool line;	/* a straight stretch was found */
	bool queued;	/* with a round trip that rose */
	bool stepped;	/* it had risen before the line, too: as where a link gets slower */
	double rate;	/* bytes/s */
	double rate_low, rate_high;
	double burst;	/* bytes; 0: none to speak of */
	double burst_low, burst_high;
	bool whole;	/* the bucket was full at the start */
	double seconds;	/* how long the line was held in all */
	double cv;	/* of the rate in it */
	double residual;/* bytes: median distance from the line */
	double rtt_free, rtt_queued; /* s: median before the bucket ran empty, and on the line; NaN none */
	double rtt_full; /* s: on the line, of ten the highest but one */
	double most;	/* bytes beyond the rate that ever passed at once */
	double peak;	/* bytes/s: while the bucket drained */
	unsigned bursts;/* times that the bucket was run empty */
	double first, last; /* s: the line's first and last moment */
	double held;	/* of what the line would have passed from first to last, passed */
};

/*
 * p: n passed packets (lost ones are skipped) in time order, rtt: m round trips
 * in time order, whole: the series starts with the traffic (the bucket was full);
 * grain: bytes that the series may be off its line by (acknowledgments come in steps).
 */
void shape_fit(const struct fit_packet *p, unsigned n, const struct fit_rtt *rtt, unsigned m,
	       bool whole, double grain, struct shape *out);

/*
 * Did the bucket run empty in a burst? A sender that goes on for seconds and is slower from then on may
 * as well have had a link to itself, which others came to share.
 */
bool shape_quick(const struct shape *s);

/*
 * The most that stood before a limiter of that rate with these packets sent to it, bytes; of p only
 * what came up to the time until, and those that got lost later only if lost.
 */
double shape_backlog(const struct fit_packet *p, unsigned n, double rate, double until, bool lost);

#endif
