/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Delivered or lost, by type and channel, over time: the statistics of
 * selective drops (research C.4). Trials are gathered in slots of 1/16 s; a
 * slot of a type is one trial of which the lost share failed, so that a burst
 * counts once. Each is held against the other types' slots of the same moment
 * and the last minute; what the control loses, this type may lose.
 */
#ifndef WEIR_DROP_BANK_H
#define WEIR_DROP_BANK_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"
#include "stats.h"

#define SLOT_NS 62500000ull
#define SLOTS 256     /* ring: 16 s */
#define LAG_SLOTS 80  /* a slot is judged 5 s later, when its packets' fates are known */
#define NEAR_SLOTS 16 /* "the same moment": 1 s to either side */
#define SECONDS 60    /* of control */

/* What may fail: an opening (its way is not known), what goes up, what comes down. */
enum channel { CH_OPEN, CH_UP, CH_DOWN, CHANNELS };

/* Before and after the first payload got through. In CH_OPEN: SYNs and requests; a flow that falls
 * silent. */
enum stage { STAGE_FIRST, STAGE_LATER, STAGES };

struct slot {
	uint16_t n[STAGES], lost[STAGES]; /* all packets */
	uint16_t thin, thin_lost;	  /* those of flows with few packets in flight */
};

struct tally {
	double n[STAGES], lost[STAGES];
};

/* From the first failure on, while failures keep coming: one for each alternative of the test. */
struct episode {
	double w;	       /* CUSUM of the log likelihood ratio; 0: none */
	uint64_t first, last;  /* slot numbers of the first and the newest failure */
	uint64_t after;	       /* of the first success after the newest failure; 0: none */
	uint64_t gap;	       /* slots, the longest without failure between two */
	struct tally sum;      /* up to the newest failure */
	struct tally tail;     /* after it */
	double trials, failed; /* slots judged, lost shares */
	double tail_trials;
	double control_trials, control_failed; /* totals of the other types when it began */
};

struct series {
	struct slot slot[SLOTS];
	float second_trials[SECONDS], second_failed[SECONDS];
	double trials, failed;	       /* last minute, of thin slots */
	double all_trials, all_failed; /* ever, while part of the control */
	/* by hour of day (UTC), older days fade */
	float hour_trials[24], hour_failed[24];
	double usual; /* what it fails in its better hours, block or no block; 0 not known */
	struct seq_test test;
	uint64_t day; /* of the newest trial */
	struct episode episode[SEQ_ALTS];
};

struct drop_bank {
	struct series *series[MAX_TYPES][CHANNELS]; /* NULL until used */
	unsigned types;				    /* no series at this type or above */
	bool claimed[MAX_TYPES];		    /* being dropped: no part of the control */
	double trials[CHANNELS],
		failed[CHANNELS]; /* of all types, ever, while part of the control */
	uint64_t front;		  /* newest slot */
	uint64_t done;		  /* slots below are judged */
	uint64_t second;
};

/* A fate: n packets of which `lost` were lost, sent at time_ns. */
struct trial {
	uint64_t time_ns;
	uint16_t n, lost;
	uint8_t channel, stage;
	bool thin;
};

/* Smallest failure rate that the null hypothesis grants everybody. */
#define P0_FLOOR 0.01

void bank_free(struct drop_bank *b);

/*
 * Adds a trial; one older than what is judged goes to the oldest slot left, one
 * ahead of bank_advance() to the newest. False: out of memory.
 */
bool bank_add(struct drop_bank *b, unsigned type, const struct trial *t);

/* Time has come to now_ns: judges what is old enough; all that there is with `flush`. */
void bank_advance(struct drop_bank *b, uint64_t now_ns, bool flush);

/* The best-fitting alternative's episode of a channel, NULL when there is none. */
const struct episode *bank_episode(const struct drop_bank *b, unsigned type, unsigned channel);

/* What the other types tried and failed since the episode began. */
void bank_episode_control(const struct drop_bank *b, unsigned type, unsigned channel,
			  const struct episode *e, double *trials, double *failed);

/* Log of the summed evidence of a channel, -inf without. */
double bank_evidence(const struct drop_bank *b, unsigned type, unsigned channel);

/* The other types' trials and failed shares of the last minute. */
void bank_control(const struct drop_bank *b, unsigned type, unsigned channel, double *trials,
		  double *failed);

/* What the null grants type now: see bank_advance(). 1 when there is too little control. */
double bank_p0(const struct drop_bank *b, unsigned type, unsigned channel);

/*
 * Bits of the hours of day (UTC) in which the channel failed at least three times
 * what is usual, and 2 % more. 0 until six hours have been seen.
 */
uint32_t bank_bad_hours(const struct drop_bank *b, unsigned type, unsigned channel);

/* Starts the test over: after a finding was closed. */
void bank_reset(struct drop_bank *b, unsigned type);

static inline uint64_t slot_ns(uint64_t slot)
{
	return slot * SLOT_NS;
}

#endif
