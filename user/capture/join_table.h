/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bounded hash table for join.c: keys are two ends and a protocol, or a flow's id. Some of it may go for newer ones. */
#ifndef WEIR_JOIN_TABLE_H
#define WEIR_JOIN_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct join_end {
	struct in6_addr ip;
	uint16_t port;
};

static inline bool join_same_end(const struct join_end *a, const struct join_end *b)
{
	return a->port == b->port && !memcmp(&a->ip, &b->ip, sizeof(a->ip));
}

struct join_key {
	struct join_end end[2]; /* in canonical order */
	uint8_t proto;
};

struct join_value {
	struct join_end from[2], to[2]; /* renaming; the side that opened it first */
	union {
		struct { /* of a translated connection */
			bool reply; /* from[] are its names beyond the NAT */
		};
		struct { /* of a LAN's flow that may be translated to the other family: from[] are its ends */
			uint64_t id;
			bool ambiguous; /* others have the same ports */
		};
		struct { /* of a flow, by its id */
			uint8_t verdict;
			bool renamed, matched;
		};
		struct { /* of a pair of sightings */
			uint64_t owner;		/* the flow that is reported */
			unsigned ifindex;	/* where that one is seen */
			uint32_t packets[2][2]; /* by side (LAN, WAN) and way */
			uint8_t ended;		/* bit 0: the echo, 1: the owner */
			bool wan, partial;
			bool answered;		/* the WAN showed the SYN-ACK */
			bool half;		/* it did not, though the LAN did */
		};
	};
};

struct join_node;

struct join_table {
	struct join_node **bucket, *free;
	struct join_node *oldest, *newest; /* that may go */
	size_t aged;
	struct join_chunk *chunks;
	size_t mask, n, max;
	uint64_t seed;
};

/* False: out of memory. Nodes are made as needed, at most max. */
bool join_table_init(struct join_table *t, size_t max);
void join_table_free(struct join_table *t);

void join_key_make(struct join_key *k, const struct join_end *a, const struct join_end *b,
		   uint8_t proto);
void join_key_id(struct join_key *k, uint64_t id);

struct join_value *join_table_get(struct join_table *t, const struct join_key *k);
/* The one there, or a zeroed new one; NULL: full. */
struct join_value *join_table_add(struct join_table *t, const struct join_key *k);
void join_table_del(struct join_table *t, const struct join_key *k);
/* It is needed no more than a while: the oldest such go when an eighth of the room is theirs. */
void join_table_age(struct join_table *t, const struct join_key *k);
/* It is needed again. */
void join_table_keep(struct join_table *t, const struct join_key *k);
void join_table_forget_aged(struct join_table *t);
void join_table_clear(struct join_table *t);

#endif
