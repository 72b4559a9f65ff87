/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ceiling that flows share, told by what passes alone: QUIC hides its losses and acknowledgments
 * (research A.7 ii). What a token bucket of rate r and b bytes let through never exceeds b + r t in any
 * time t, and reaches it whenever the bucket is empty. Every traffic has such a bound; but that it is
 * reached again and again, to a few packets, by a sum whose parts share it out differently each time is
 * no sender's doing: senders don't know of each other.
 */
#ifndef WEIR_RATE_CEILING_H
#define WEIR_RATE_CEILING_H

#include <stdbool.h>
#include <stdint.h>

/* What the sum is split by, each in two. */
enum ceiling_part { PART_CLIENT, PART_NET, CEILING_PARTS };

struct ceiling_packet {
	double t;  /* s */
	float len; /* bytes, layer 2 */
	uint8_t parts; /* bits: it is the client's that got most, of the network that sent most */
};

struct ceiling {
	bool holds;
	double rate, rate_low, rate_high; /* bytes/s */
	double burst;	  /* bytes: the bucket */
	double base;	  /* bytes/s that passed from the first touch to the last */
	unsigned touches; /* half seconds in which it was reached */
	double first, last; /* s: of these */
	double swing[CEILING_PARTS]; /* bytes: the median step from one of its half seconds to the next */
	double off[CEILING_PARTS]; /* bytes, rms: how far a part then was from its share of what had passed */
};

/* p: n packets that passed, in time order. Cost: about CEILING_COST n, twice as much where it holds. */
#define CEILING_COST 60
#define CEILING_MIN_S 10 /* packets of less time, or of more, tell none */
#define CEILING_MAX_S 64
#define CEILING_LEAST .9 /* times what passed on average: no rate is lower */
/* False: no fit of these, in any order, would hold. A small part of its cost. */
bool ceiling_possible(const struct ceiling_packet *p, unsigned n);
void ceiling_fit(const struct ceiling_packet *p, unsigned n, struct ceiling *c);

#endif
