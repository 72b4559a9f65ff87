// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_ids.h"

#include <stdlib.h>

static bool make(struct join_ids *t, size_t size)
{
	t->size = size;
	t->id = malloc(size * sizeof(*t->id));
	t->flags = calloc(size, sizeof(*t->flags));
	if (t->id && t->flags)
		return true;
	join_ids_free(t);
	return false;
}

bool join_ids_init(struct join_ids *t, size_t max, uint64_t seed)
{
	*t = (struct join_ids){ .max = max, .seed = seed | 1 };
	return make(t, 256);
}

void join_ids_free(struct join_ids *t)
{
	free(t->id);
	free(t->flags);
	t->id = NULL;
	t->flags = NULL;
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

	while (t->flags[i] && t->id[i] != id)
		i = next(t, i);
	return i;
}

int join_ids_get(const struct join_ids *t, uint64_t id)
{
	return t->flags[find(t, id)] - 1;
}

static void put(struct join_ids *t, size_t i, uint64_t id, uint8_t flags)
{
	t->id[i] = id;
	t->flags[i] = flags;
}

static bool grow(struct join_ids *t)
{
	struct join_ids to = *t;

	/* Not twice as much: it is the largest table of all. */
	if (!make(&to, t->size + t->size / 2))
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->flags[i])
			put(&to, find(&to, t->id[i]), t->id[i], t->flags[i]);
	join_ids_free(t);
	*t = to;
	return true;
}

bool join_ids_add(struct join_ids *t, uint64_t id, unsigned flags)
{
	if (t->n >= t->max || (t->n >= t->size / 4 * 3 && !grow(t)))
		return false;
	put(t, find(t, id), id, (uint8_t)(flags + 1));
	t->n++;
	return true;
}

void join_ids_del(struct join_ids *t, uint64_t id)
{
	size_t hole = find(t, id);

	if (!t->flags[hole])
		return;
	t->n--;
	t->flags[hole] = 0;
	/* What was pushed past the hole moves back into it. */
	for (size_t i = next(t, hole); t->flags[i]; i = next(t, i)) {
		if (way(t, home(t, t->id[i]), i) < way(t, hole, i))
			continue;
		put(t, hole, t->id[i], t->flags[i]);
		t->flags[i] = 0;
		hole = i;
	}
}
