/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parked flows: what is kept of a flow that is counted but that nobody looks at.
 * 80 bytes, 24 more with IPv6; what only few flows have lies packed beside it.
 * Its counters live in the engine's table, and the detectors hold nothing of it.
 */
#ifndef WEIR_PARKED_H
#define WEIR_PARKED_H

#include "model.h"

struct parked;
struct parking;

/* NULL: out of memory. */
struct parking *parking_new(void);
void parking_free(struct parking *p);

size_t parking_count(const struct parking *p);

/* By id, NULL if it is not there. Valid until something is parked or taken out. */
struct parked *parking_find(const struct parking *p, uint64_t id);
/* Stage 0: brings near its place in the index; 1: itself. */
void parking_expect(const struct parking *p, uint64_t id, unsigned stage);

/*
 * Takes f over: its hint and its samples of RTT are packed and freed, classifier
 * and detectors must have let go of it. False: out of memory, or it has counted
 * more than a place holds; f is as it was.
 */
bool parking_put(struct parking *p, struct flow *f);

/* Back into f, all of it, with lists and hash links zero; the place is free. Out of memory: without hint or RTT. */
void parking_take(struct parking *p, struct parked *k, struct flow *f);

/*
 * The engine's counters in place: what they were (packets, bytes, data_packets of both ways) goes
 * to old, what they are to now. False, and nothing done: it lost packets or has moved by so much that it
 * should be looked at again.
 */
bool parked_count(struct parked *k, const struct weir_flow *c, struct flow_counts old[2], struct flow_counts now[2]);
uint8_t parked_type(const struct parked *k);
uint8_t parked_proto(const struct parked *k);

/* Each one as a flow without hint and RTT, in no order; stop when fn returns false. */
void parking_each(const struct parking *p, bool (*fn)(struct flow *f, void *arg), void *arg);

/* The one that has been still for longest among the next few, round and round; NULL: none is there. */
struct parked *parking_stale(struct parking *p);

#endif
