/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bounded hash table for join.c: keys are two ends and a protocol, or a flow's id. */
#ifndef WEIR_JOIN_TABLE_H
#define WEIR_JOIN_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct join_end {
	struct in6_addr ip;
	uint16_t port;
};

struct join_key {
	struct join_end end[2]; /* in canonical order */
	uint8_t proto;
};

struct join_value {
	struct join_end from[2], to[2]; /* renaming */
	uint64_t packets[2][2];		/* a pair's: by sighting and way */
	uint8_t verdict;
	uint8_t ended;			/* bit 0: the LAN's sighting, 1: the WAN's */
	bool seen, partial;
};

struct join_node;

struct join_table {
	struct join_node **bucket, *free;
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

#endif
