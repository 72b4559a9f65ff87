/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happened between two stats calls: the model's cumulative facts, less those of the last time. */
#ifndef WEIR_INTERVAL_H
#define WEIR_INTERVAL_H

#include "model.h"

struct interval {
	struct type_stats before[MAX_TYPES];
};

/*
 * The type's share of the interval; flows_active and name stay as they are now.
 * Notes it as seen. all: the sum over types, added to; may be NULL. A flow that
 * changes its type takes its counts along, so a type may have less than before:
 * that counts as nothing here, and is right in the sum.
 */
void interval_next(struct interval *iv, const struct model *m, unsigned type,
		   struct type_stats *out, struct type_stats *all);

/*
 * Counts below zero become zero. Losses can go back: a resend turns out to have
 * been needless (RFC 2883). interval_next() did it for out; all needs it at the end.
 */
void interval_clamp(struct type_stats *t);

/*
 * Lost packets of TCP as a share of those offered, one way; NaN where too few
 * were seen for a share to mean anything (fewer than 30 data packets).
 */
double loss_ratio(const struct type_stats *t, unsigned way);

#endif
