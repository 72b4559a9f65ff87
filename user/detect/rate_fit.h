/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is there one rate and one bucket that explain which packets got lost? Fits a
 * token bucket to a series of passed and lost packets, and tells from the delay
 * whether what ran full was a bucket (policer) or a queue.
 *
 * A bucket of b bytes refilled at r is a queue of b bytes drained at r that
 * keeps nobody waiting: a packet passes when the backlog Q plus its length is at
 * most b. So losses alone can't tell a policer from a drop-tail queue; delay can:
 * in the queue a packet waits Q/r.
 */
#ifndef WEIR_RATE_FIT_H
#define WEIR_RATE_FIT_H

#include <stdbool.h>
#include <stdint.h>

#define FIT_PACKETS_MAX 16000 /* of bursts a few packets count as one */
#define FIT_RTTS_MAX	4096
#define FIT_MIN_LOST	15 /* and as many passed */
#define FIT_MIN_RUNS	5
#define FIT_MIN_SLICES	3  /* round trips with a loss in them */
#define FIT_MIN_J	.85
#define FIT_WEAK_J	.78 /* when delay denies a queue beyond doubt: of several flows, or where the loose J is high */
#define FIT_LOOSE_J	.93
#define RISE_MIN  .003 /* s of predicted delay that round trips can show */
#define RISE_JITTER 2.0
#define FIT_BLOCKS	24 /* the series is resampled in so many blocks */

/* One packet at the limiter, in time order. */
struct fit_packet {
	double t; /* s */
	float len; /* bytes as the limiter counts them: layer 2 */
	float until; /* lost: it may have been as much later, s */
	uint8_t lost;
};

/* What the round trip of a packet sent at t was above the least. */
struct fit_rtt {
	double t;  /* s */
	float rtt; /* s */
};

struct rate_fit {
	bool enough;	/* packets, losses and loss episodes suffice for a fit */
	unsigned passed, lost, slices;
	unsigned runs;	/* losses, those with nothing passed in between taken as one */
	double j;	/* 1 - share of passed and of lost packets that (rate, burst) gets wrong */
	double loose;	/* J where a packet may be off by a thirtieth of the bucket; of a weak fit, else 0 */
	bool whole;	/* the bucket was full at the start; else its fill there is not known */
	double quick;	/* the best that a threshold on a virtual queue can do */
	double fast;	/* J of the best threshold where the rate is four times as much */
	double base;	/* bytes/s passed between the first and the last loss */
	double misfit;	/* tokens too many at losses, too few at passes; in packets per loss */
	double rate;	/* bytes/s */
	double burst;	/* bytes */
	double seed_rate, seed_burst; /* where the next fit begins to look */
	double slack;	/* bytes that the bucket's level may be off */
	double rate_low, rate_high, burst_low, burst_high; /* 90 % interval, by resampling blocks */
	/* Delay against predicted backlog; NaN without enough samples. */
	unsigned rtts;
	double dx, dq;	/* s: predicted and measured delay, top quarter less bottom quarter */
	double x_mid, q_mid; /* s: medians of predicted and of measured delay */
	unsigned top;	/* round trips in the top quarter of the backlog, where a queue would show */
	double shown;	/* bytes beyond the rate that were seen to pass at once: so deep the bucket is, at least */
	double sure;	/* the least that the bucket may be, as a share of it */
	double x_low, x_high, q_low; /* s: medians, of the bottom quarter; mean of the top one */
	unsigned risen;	/* of top: those whose backlog is enough above the bottom quarter's to be seen */
	double flat, follow; /* shares of risen: did not rise with the backlog; rose by half of it or more */
	double chance; /* share of the bottom quarter's round trips that were so much longer anyway */
	double low, high; /* the same for the whole height, not for the rise above the bottom quarter */
	double slope, corr;
	double jitter;	/* s: median absolute deviation of the round trip at low backlog */
};

struct fit_work;

/* Working memory for fits, about 0.5 MB; NULL: out of memory. */
struct fit_work *fit_work_new(void);
void fit_work_free(struct fit_work *w);

struct fit_input {
	const struct fit_packet *packet; /* in time order */
	unsigned packets;
	const struct fit_rtt *rtt; /* in time order */
	unsigned rtts;
	double slice;	/* a round trip, s */
	unsigned flows; /* how many the packets are of */
	bool whole;	/* from the first packet on: the bucket was full */
};

/*
 * Fits a token bucket to the packets; near: where to look, NULL everywhere.
 * Deterministic. Its cost in units of one packet against one candidate is added
 * to *cost.
 */
void rate_fit(struct fit_work *w, const struct fit_input *in, const struct rate_fit *near,
	      struct rate_fit *out, uint64_t *cost);

/*
 * Did the limit come when the flows were there already, so that what passed before it tells nothing of its bucket?
 * Then *f becomes the fit from the first loss on, and in->whole false. f: of the same input.
 */
bool rate_fit_later(struct fit_work *w, struct fit_input *in, struct rate_fit *f, uint64_t *cost);

#endif
