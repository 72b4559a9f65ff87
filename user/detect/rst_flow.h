/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the reset detector holds of flows and of bursts of resets that wait for
 * what comes after them. Both are pools with a maximum: a flood or a scan costs
 * bounded memory, and what found no room is judged without it.
 */
#ifndef WEIR_RST_FLOW_H
#define WEIR_RST_FLOW_H

#include "detect.h"
#include "inject.h"
#include "rst_names.h"

#define RST_FLOWS 16384
#define RST_BURSTS 4096
#define RST_HOLD_NS 2000000000ull  /* what follows a reset counts for so long */
#define RST_LOOK_NS 500000000ull   /* what is probable by then is told, and taken back where it is explained */
#define RST_BURST_NS 1000000000ull /* copies within this are one burst */

struct rst_host;

struct rst_burst {
	struct flow *flow;
	struct rst_case c;
	enum rst_stage stage;
	uint8_t way; /* its packets go TO_SERVER or TO_CLIENT */
	uint64_t first_ns, last_ns;
	uint32_t flow_rtt_us;	/* the flow's own smallest us -> sender -> us before it */
	uint32_t data_end;	/* of the sender's data after it */
	uint32_t peer_data_end; /* of the first new data that was sent to it afterwards */
	bool peer_sends;
	uint64_t group;	     /* key of the finding it was reported to; 0: none yet */
	struct inject_told told; /* reported so far */
	const char *label;
	bool genuine_after; /* its sender sent something after it */
	bool degraded;
	bool among_many;	       /* counts where its host resets many flows at once */
	struct rst_burst *prev, *next; /* in time order */
};

struct rst_flow {
	struct flow *flow;	 /* NULL: free */
	struct rst_burst *burst[2];
	uint8_t rtt_samples; /* given to the host table */
	bool touched;
	bool asked_once; /* one SYN, and a SYN-ACK */
	bool suspect;
	struct rst_flow *next_free;
	struct rst_host *host[2]; /* by way: where the sender's was found last */
	struct rst_side side[2]; /* by way: what the client, what the server sent */
};

#define RST_CHUNK 128

struct rst_flows {
	struct rst_flow *chunk[RST_FLOWS / RST_CHUNK];
	unsigned used, hand;
	struct rst_flow *free;
	uint64_t evicted;
};

struct rst_bursts {
	struct rst_burst *chunk[RST_BURSTS / RST_CHUNK], *free, *first, *last;
	struct rst_burst *fresh; /* the first one that is younger than RST_LOOK_NS */
	unsigned used;
};

void rst_flows_done(struct rst_flows *p); /* gives the memory back */
void rst_bursts_done(struct rst_bursts *p);

/*
 * A state for the flow, put into f->detector[slot]. When the pool is full, that
 * of a flow that was quiet for longest gives way (but none with a burst). NULL: all have one, or no
 * memory.
 */
struct rst_flow *rst_flow_new(struct rst_flows *p, struct flow *f, unsigned slot);
void rst_flow_free(struct rst_flows *p, struct rst_flow *s, unsigned slot);

struct rst_burst *
rst_burst_new(struct rst_bursts *p); /* zeroed, last in order; NULL: full, or no memory */
void rst_burst_free(struct rst_bursts *p, struct rst_burst *b);

#endif
