// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_ids.h"

#include <stdlib.h>

#define USED 1u /* so that no entry is 0 */
#define BITS (JOIN_IDS_FLAGS + 1)

bool join_ids_init(struct join_ids *t, size_t max, uint64_t seed)
{
	*t = (struct join_ids){ .size = 256, .max = max, .seed = seed | 1 };
	t->place = calloc(t->size, sizeof(*t->place));
	return t->place;
}

void join_ids_free(struct join_ids *t)
{
	free(t->place);
	t->place = NULL;
}

/* Where an id belongs. */
static size_t home(const struct join_ids *t, uint64_t id)
{
	uint64_t h = id * t->seed;

	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	return (h >> 32) * t->size >> 32;
}

static size_t next(const struct join_ids *t, size_t i)
{
	return i + 1 < t->size ? i + 1 : 0;
}

/* How far it is from one place on to another. */
static size_t way(const struct join_ids *t, size_t from, size_t to)
{
	return to >= from ? to - from : to + t->size - from;
}

/* Where it is, or would be. */
static size_t find(const struct join_ids *t, uint64_t id)
{
	size_t i = home(t, id);

	while (t->place[i] && t->place[i] >> BITS != id)
		i = next(t, i);
	return i;
}

int join_ids_get(const struct join_ids *t, uint64_t id)
{
	uint64_t x = t->place[find(t, id)];

	return x ? (int)(x >> 1 & ((1u << JOIN_IDS_FLAGS) - 1)) : -1;
}

static bool grow(struct join_ids *t)
{
	struct join_ids to = *t;

	to.size += t->size / 2; /* not twice as much: it is the largest table of all */
	to.place = calloc(to.size, sizeof(*to.place));
	if (!to.place)
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->place[i])
			to.place[find(&to, t->place[i] >> BITS)] = t->place[i];
	free(t->place);
	*t = to;
	return true;
}

bool join_ids_add(struct join_ids *t, uint64_t id, unsigned flags)
{
	if (t->n >= t->max || (t->n >= t->size / 4 * 3 && !grow(t)))
		return false;
	t->place[find(t, id)] = id << BITS | flags << 1 | USED;
	t->n++;
	return true;
}

void join_ids_del(struct join_ids *t, uint64_t id)
{
	size_t hole = find(t, id);

	if (!t->place[hole])
		return;
	t->n--;
	t->place[hole] = 0;
	/* What was pushed past the hole moves back into it. */
	for (size_t i = next(t, hole); t->place[i]; i = next(t, i)) {
		if (way(t, home(t, t->place[i] >> BITS), i) < way(t, hole, i))
			continue;
		t->place[hole] = t->place[i];
		t->place[i] = 0;
		hole = i;
	}
}
