/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments waiting for their acknowledgment, one by one. The engine times one
 * segment at a time; a capture's reader has the memory to time all of them.
 */
#ifndef WEIR_UNACKED_H
#define WEIR_UNACKED_H

#include "model.h"

/*
 * One recorded TCP packet: remembers its end, answers what it acknowledges
 * exactly (the newest copy, as tshark does). Adds the samples to the flow.
 * Bounded: 2,048 segments a direction, older ones are forgotten. Returns the
 * sample in µs that this packet gave, 0 none.
 */
uint32_t unacked_packet(struct flow *f, const struct weir_rec *r);
void unacked_free(struct flow *f);

/* A packet of the flow that way comes soon: fetches what it will write and take out. */
void unacked_expect(const struct flow *f, unsigned way);

#endif
