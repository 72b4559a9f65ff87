/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drop of one type as the evidence has it, on its way to a finding. */
#ifndef WEIR_DROP_JUDGE_H
#define WEIR_DROP_JUDGE_H

#include "drop.h"

struct drop_verdict {
	unsigned type;
	uint8_t channels, stages; /* bits; stages: channel * STAGES + stage */
	uint64_t first, last,
		after; /* slots: first and newest failure, first success after it (0 none) */
	uint64_t gap;  /* slots: longest pause between failures */
	double n, lost, ratio; /* packets offered and dropped from first to last */
	struct range range, control_range;
	double control, control_n, control_lost;
	double evidence, trials, failed, tail_trials; /* slots: judged, shares lost, spared since */
	double window; /* packets a round trip of the flows, of the ways that fired */
	enum direction direction;
	unsigned servers, failing, alive, down, never_alive, nets, flows;
	unsigned clients, all_clients;	/* that lost; that used the type */
	double matched_n, matched_lost; /* other types in the failing servers' networks */
	bool beyond_one;		/* stands without the worst server */
	bool spared;	  /* servers of the type that lose nothing: not the type's drop */
	double queue_fit; /* drop_queue_fit(); NaN: not enough */
};

/* Fills and reports the finding of the type's open drop; end_ns 0 while it goes on. */
void drop_report(struct drop *d, unsigned type, const struct drop_verdict *v, uint64_t end_ns);

#endif
