/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a limiter did to one direction of a flow, packet by packet: when each
 * passed, which got lost (before us: a hole that a resend filled later; after
 * us: a packet that we saw and that had to be sent again), round trips, what the
 * receiver acknowledged.
 */
#ifndef WEIR_RATE_SERIES_H
#define WEIR_RATE_SERIES_H

#include "rate_fit.h"
#include "model.h"

#define SERIES_PACKETS_MAX 12000
#define SERIES_FIRST	   8 /* packets there is room for at first: most flows are short */
#define SERIES_RTTS	   512
#define SERIES_PACKETS_ALL 1500000 /* over all series: 36 MB */

enum {
	OBS_LOST_BEFORE = 1, /* not seen: its time is inferred */
	OBS_LOST_AFTER = 2,
	OBS_RESEND = 4,
	OBS_BRIDGED = 8, /* passed without a record: its time is inferred */
};

/* There are a million of them: 24 bytes. */
struct obs {
	uint64_t t_ns;
	uint32_t seq;
	uint32_t payload;
	uint32_t until_us; /* lost before us: it may have been as much later */
	uint16_t headers; /* layer-2 bytes beyond the payload; lost before us: of the resend */
	uint16_t segs : 12;
	uint16_t flags : 4;
};

#define OBS_HEADERS_MAX UINT16_MAX
#define OBS_SEGS_MAX	4095

static inline uint32_t obs_len(const struct obs *o)
{
	return o->payload + o->headers;
}

/* Which side of us a limiter is on, seen along the direction of the data. */
enum side { SIDE_BEFORE, SIDE_AFTER, SIDES };

struct rtt_obs {
	uint64_t t_ns; /* when the packet that took it set out from us */
	uint32_t us;
};

struct rtt_ring {
	struct rtt_obs *o; /* SERIES_RTTS; NULL until the first */
	uint64_t last_ns;
	unsigned n;
	uint32_t every_us; /* thinned to one in so much */
	uint32_t min_us;
};

/* What an acknowledgment said was delivered, selectively or not: bytes that left a limiter after us. */
struct ack_obs {
	uint64_t t_ns;
	uint32_t bytes;
};

/*
 * Sequence space beyond the acknowledged that the receiver says it holds: disjoint, in order.
 * A queue that is full may drop every other packet of a round: as many spans.
 */
#define SERIES_SPANS 1024
struct span {
	uint32_t from, to;
};

struct spans {
	struct span *s; /* NULL until the first */
	unsigned n, cap;
};

/* Timestamps (RFC 7323) of one end that wait for their echo. */
#define SERIES_ECHOES 16
struct echoes {
	uint64_t newest_ns;
	uint32_t newest, oldest; /* timestamps */
	uint32_t passed; /* the newest that passed us, noted or not */
	bool known; /* passed is */
	uint8_t head, n;
};

struct echo {
	uint64_t t_ns;
	uint32_t tsval;
};

/* What every packet touches comes first: it is four cache lines. */
struct series {
	struct obs *o; /* ring */
	unsigned cap, n, head; /* head: oldest */
	uint32_t end, acked; /* sequence: highest seen, highest acknowledged */
	bool end_known, acked_known;
	bool whole; /* from the flow's start on, nothing left out */
	uint16_t segs_max;
	uint64_t from_ns;      /* complete since */
	uint64_t packets, bytes, payload; /* all that were added since from_ns */
	struct echoes echo[SIDES]; /* [SIDE_AFTER] the sender's, [SIDE_BEFORE] the receiver's */
	struct rtt_ring rtt[SIDES];
	struct ack_obs *ack; /* ring, NULL until the first */
	unsigned acks, ack_cap, ack_head;
	struct spans held;
	unsigned lost[SIDES];  /* marked in it, also those that left the ring */
	unsigned events[SIDES]; /* losses, those within a round trip taken as one */
	uint64_t event_ns[SIDES];
	uint64_t lost_ns[SIDES]; /* the last one's time */
	unsigned gaps; /* how often it began anew behind one */
	uint64_t bridged; /* bytes that passed without a record, taken as evenly spread */
	struct echo echoed[SIDES][SERIES_ECHOES]; /* rings */
};

struct series_budget {
	uint64_t packets;  /* allocated in all series */
	uint64_t refused;  /* could not grow */
};

struct series *series_new(struct series_budget *b);
void series_free(struct series *s, struct series_budget *b);

/* Both directions' packets come soon: fetches what they will touch. */
static inline void series_expect(const struct series *s)
{
	for (size_t at = 0; at < offsetof(struct series, lost); at += 64)
		__builtin_prefetch((const char *)s + at, 1);
}

/* Where the next packet will be written, and the next acknowledgment, while there is room. */
static inline struct obs *series_tail(const struct series *s)
{
	unsigned k = s->head + s->n;

	return s->o + (k < s->cap ? k : k - s->cap);
}

static inline struct ack_obs *series_ack_tail(const struct series *s)
{
	unsigned k = s->ack_head + s->acks;

	return s->ack + (k < s->ack_cap ? k : k - s->ack_cap);
}

/*
 * A packet of the series' direction. What passed between without a record is bridged where that was
 * not long; else the series starts again.
 */
void series_packet(struct series *s, struct series_budget *b, const struct weir_rec *r);

/* A packet of the other direction: acknowledgments, round trips, DSACKs. */
void series_reverse(struct series *s, struct series_budget *b, const struct weir_rec *r);

/*
 * Appends to p (room for max) what a limiter on that side did from from_ns on, unsorted;
 * times in s since origin_ns. Returns how many.
 */
unsigned series_packets(const struct series *s, enum side side, uint64_t from_ns,
			uint64_t origin_ns, struct fit_packet *p, unsigned max);
/* The same of what was delivered, in layer-2 bytes: nothing of it is lost. */
unsigned series_acked(const struct series *s, uint64_t from_ns, uint64_t origin_ns,
		      struct fit_packet *p, unsigned max);
unsigned series_rtts(const struct series *s, enum side side, uint64_t from_ns, uint64_t origin_ns,
		     struct fit_rtt *r, unsigned max);

/* Do the newest round trips speak of a queue? */
bool series_waits(const struct series *s, enum side side);

static inline const struct obs *series_at(const struct series *s, unsigned i)
{
	unsigned k = s->head + i;

	return &s->o[k < s->cap ? k : k - s->cap];
}

#endif
