// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_ids.h"

#include <stdlib.h>

#define USED 1u /* so that no entry is 0 */
#define BITS (JOIN_IDS_FLAGS + 1)

bool join_ids_init(struct join_ids *t, size_t max, uint64_t seed)
{
	*t = (struct join_ids){ .mask = 255, .max = max, .seed = seed | 1 };
	t->place = calloc(t->mask + 1, sizeof(*t->place));
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
	return h * 0x9e3779b97f4a7c15ull >> 20 & t->mask;
}

/* Where it is, or would be. */
static size_t find(const struct join_ids *t, uint64_t id)
{
	size_t i = home(t, id);

	while (t->place[i] && t->place[i] >> BITS != id)
		i = (i + 1) & t->mask;
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

	to.mask = 2 * t->mask + 1;
	to.place = calloc(to.mask + 1, sizeof(*to.place));
	if (!to.place)
		return false;
	for (size_t i = 0; i <= t->mask; i++)
		if (t->place[i])
			to.place[find(&to, t->place[i] >> BITS)] = t->place[i];
	free(t->place);
	*t = to;
	return true;
}

bool join_ids_add(struct join_ids *t, uint64_t id, unsigned flags)
{
	if (t->n >= t->max || (t->n >= t->mask / 4 * 3 && !grow(t)))
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
	for (size_t i = (hole + 1) & t->mask; t->place[i]; i = (i + 1) & t->mask) {
		size_t from = home(t, t->place[i] >> BITS);

		if (((i - from) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->place[hole] = t->place[i];
		t->place[i] = 0;
		hole = i;
	}
}
