/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What join.c has decided of flows that keep their name: nearly all, a million of them. Nine bytes a place, open
 * addressing with linear probing (Knuth, TAOCP 6.4, algorithms L and R).
 */
#ifndef WEIR_JOIN_IDS_H
#define WEIR_JOIN_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct join_ids {
	uint64_t *id;
	uint8_t *flags; /* one more than those given, 0: the place is free */
	size_t size, n, max;
	uint64_t seed;
};

/* At most max ids, max < 2^31. False: out of memory. */
bool join_ids_init(struct join_ids *t, size_t max, uint64_t seed);
void join_ids_free(struct join_ids *t);

/* The flags kept with the id, -1 if it is not there. */
int join_ids_get(const struct join_ids *t, uint64_t id);
/* Keeps a new id with its flags, below 255. False: full, or out of memory. */
bool join_ids_add(struct join_ids *t, uint64_t id, unsigned flags);
void join_ids_del(struct join_ids *t, uint64_t id);

#endif
