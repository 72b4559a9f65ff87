/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many token buckets at once over one series of packets: the fit's engine. Only
 * rate_fit.c, rate_bank.c and rate_bounds.c know it.
 */
#ifndef WEIR_RATE_BANK_H
#define WEIR_RATE_BANK_H

#include "rate_fit.h"

/* 16 bytes: what SSE2 and NEON have; other machines do it piecewise. */
#define LANES 4
typedef float vfloat __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t vint __attribute__((vector_size(LANES * sizeof(int32_t))));

#define VQ_BINS	  768 /* 32 an octave, 1 byte to 16 MB */
#define CELLS_MAX 2048
#define BURST_MIN 6056.0 /* 4 packets */
#define BURST_MAX 8e6

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
	float loose; /* share of the bucket that a packet may be off besides, without being wrong */
	bool empty; /* the series starts at a loss, with an empty bucket */
	float dt[FIT_PACKETS_MAX], len[FIT_PACKETS_MAX];
	float until[FIT_PACKETS_MAX];
	uint8_t is_lost[FIT_PACKETS_MAX];
	struct place at[FIT_PACKETS_MAX], moved[FIT_PACKETS_MAX];
	float level[FIT_PACKETS_MAX];
	uint8_t tmp_lost[FIT_PACKETS_MAX];
	double from; /* when what was loaded begins, s */
	double span; /* first to last loss, s */
	double base; /* bytes/s passed in it */
	double bytes; /* passed in it */
	unsigned bin_lost[VQ_BINS], bin_passed[VQ_BINS];
	struct cell cell[CELLS_MAX];
	struct cell best[CELLS_MAX];
	unsigned block_end[FIT_BLOCKS];
	float misfit[CELLS_MAX][FIT_BLOCKS];
	float x[FIT_RTTS_MAX], q[FIT_RTTS_MAX], tmp[FIT_RTTS_MAX], tmp2[FIT_RTTS_MAX];
	unsigned order[FIT_RTTS_MAX];
};

/* What a bucket's level may be off: bytes. */
float bank_slack(const struct fit_work *w, float rate);

/*
 * J and misfit of n <= CELLS_MAX cells, each packet's misfit cut at cap slacks;
 * by_block: misfits of each block too, in w->misfit.
 */
void bank(struct fit_work *w, struct cell *c, unsigned n, float cap, bool by_block);

/* nr x nb cells around (rate, burst), spans as shares; returns how many. */
unsigned bank_grid(struct cell *c, double rate, double rspan, unsigned nr, double burst,
		   double bspan, unsigned nb);

/* The cell with the least misfit; of equals the middle one. */
unsigned bank_least(const struct cell *c, unsigned n);

int by_float(const void *a, const void *b);

/* rate_conserve.c: rate and burst by what passed between losses, where that tells them better. */
void fit_conserve(struct fit_work *w, struct rate_fit *out, uint64_t *cost);

/* rate_bounds.c: 90 % intervals of rate and burst; what the round trips say. */
void fit_intervals(struct fit_work *w, struct rate_fit *out, uint64_t *cost);
void fit_delay(struct fit_work *w, const struct fit_packet *p, unsigned n,
	       const struct fit_rtt *rtt, unsigned m, struct rate_fit *out);

#endif
