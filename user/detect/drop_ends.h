/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What drop detection remembers of addresses: who answered when, by type, and
 * which type an address and port had. Set-associative, of fixed size; the
 * longest unused entry of a set makes room.
 */
#ifndef WEIR_DROP_ENDS_H
#define WEIR_DROP_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

#define ENDS_KINDS 4 /* enum channel, and what IP identifications say */
#define ENDS_IPID 3
#define ENDS_SETS 256
#define ENDS_WAYS 16
#define SPOT_SETS 1024
#define SPOT_WAYS 4
#define PORT_SLOTS 512

/*
 * Packets offered and lost by channel, in buckets of time: 64 s finely, half an hour coarsely. The latter hold what has
 * left the former.
 */
#define END_BUCKETS 16
#define END_FINE_NS 4000000000ull
#define END_COARSE_NS 120000000000ull

struct end_bucket {
	uint32_t no; /* which one since the epoch */
	uint16_t n[ENDS_KINDS], lost[ENDS_KINDS];
};

/* An address and a type. Every packet counts here: what it touches is two cache lines. */
struct end {
	struct in6_addr ip;
	uint16_t type;
	bool used, many; /* many: flows got through other than ok_flow */
	uint64_t ok_flow;
	uint64_t ok_ns, fail_ns; /* newest; 0 never */
	uint16_t at;		 /* its place among all */
	uint16_t fines, coarses; /* which of the buckets hold something, bits */
	struct end_bucket fine[END_BUCKETS], coarse[END_BUCKETS];
};

struct ends {
	/* What a look-up needs of a set, on few lines: hash of address and type, newest packet. 0: free. */
	uint32_t tag[ENDS_SETS][ENDS_WAYS];
	uint64_t newest[ENDS_SETS][ENDS_WAYS];
	struct end end[ENDS_SETS][ENDS_WAYS];
};

/*
 * Counts n packets of a channel of which lost were lost, between this address and us. *at: where the caller
 * last found that end, NULL not yet; kept up to date.
 */
void ends_add(struct ends *e, struct end **at, const struct in6_addr *ip, unsigned type, unsigned channel,
	      uint64_t flow, uint64_t time_ns, unsigned n, unsigned lost);

/* That end is counted again soon, about then: fetches what it will touch. */
static inline void ends_expect(const struct end *x, uint64_t time_ns)
{
	if (!x)
		return;
	__builtin_prefetch(x, 1);
	__builtin_prefetch(&x->fine[time_ns / END_FINE_NS % END_BUCKETS], 1);
}

/* Did anything get through to that address at or after since_ns? flow: not by this one alone; 0
 * any. */
bool ends_alive(const struct ends *e, const struct in6_addr *ip, uint64_t since_ns, uint64_t flow);

/* Do other types fail there now, with nothing that got through since? */
bool ends_down(const struct ends *e, const struct in6_addr *ip, unsigned type, uint64_t now_ns);

/*
 * Packets and losses of the channels whose bits are set, from and to which is
 * included, to a bucket: of the last minute finely, else of the last half hour.
 */
void end_count(const struct end *x, unsigned channels, uint64_t from_ns, uint64_t to_ns, double *n,
	       double *lost);

/* Every entry of a type (or of all: type < 0); stop when fn returns false. */
void ends_each(const struct ends *e, int type, bool (*fn)(const struct end *x, void *arg),
	       void *arg);

/* Which type an address and port had, and ports as a weak second. */
struct spot {
	struct in6_addr ip;
	uint16_t port, type;
	uint8_t proto;
	bool used;
	uint64_t seen_ns;
};

struct port_type {
	uint16_t port, type;
	uint8_t hosts; /* that agree, saturates */
	bool used, mixed;
	struct in6_addr first;
};

struct spots {
	struct spot spot[SPOT_SETS][SPOT_WAYS];
	struct port_type port[2][PORT_SLOTS]; /* TCP, UDP; the first to come keeps its slot */
};

void spots_learn(struct spots *s, const struct endpoint *e, uint8_t proto, unsigned type,
		 uint64_t now_ns);

/* The type; -1 unknown. By address and port, else by a port on which at least two hosts agree. */
int spots_type(const struct spots *s, const struct endpoint *e, uint8_t proto);

#endif
