// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CHUNK 128

struct join_node {
	struct join_node *next;
	struct join_node *older, *newer; /* of those that may go */
	bool aged;
	struct join_key key;
	struct join_value value;
};

struct join_chunk {
	struct join_chunk *next;
	struct join_node node[CHUNK];
};

bool join_table_init(struct join_table *t, size_t max)
{
	memset(t, 0, sizeof(*t));
	t->max = max;
	t->mask = 255;
	while (t->mask + 1 < max / 2 && t->mask < (1u << 20) - 1)
		t->mask = t->mask * 2 + 1;
	/* Names come off the wire: nobody may know which of them collide. */
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return false;
	t->bucket = calloc(t->mask + 1, sizeof(*t->bucket));
	return t->bucket;
}

void join_table_free(struct join_table *t)
{
	while (t->chunks) {
		struct join_chunk *c = t->chunks;

		t->chunks = c->next;
		free(c);
	}
	free(t->bucket);
	t->bucket = NULL;
}

void join_key_make(struct join_key *k, const struct join_end *a, const struct join_end *b,
		   uint8_t proto)
{
	int order = memcmp(&a->ip, &b->ip, sizeof(a->ip));
	bool swap = order > 0 || (!order && a->port > b->port);

	memset(k, 0, sizeof(*k)); /* padding is part of the key */
	k->end[0].ip = swap ? b->ip : a->ip;
	k->end[0].port = swap ? b->port : a->port;
	k->end[1].ip = swap ? a->ip : b->ip;
	k->end[1].port = swap ? a->port : b->port;
	k->proto = proto;
}

void join_key_id(struct join_key *k, uint64_t id)
{
	memset(k, 0, sizeof(*k));
	memcpy(&k->end[0].ip, &id, sizeof(id));
}

static struct join_node **slot(struct join_table *t, const struct join_key *k)
{
	uint64_t word, h = t->seed;
	const char *p = (const char *)k;
	struct join_node **at;

	for (size_t i = 0; i < sizeof(*k); i += sizeof(word)) {
		word = 0;
		memcpy(&word, p + i, sizeof(*k) - i < sizeof(word) ? sizeof(*k) - i : sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	at = &t->bucket[(h ^ h >> 17) & t->mask];
	while (*at && memcmp(&(*at)->key, k, sizeof(*k)))
		at = &(*at)->next;
	return at;
}

struct join_value *join_table_get(struct join_table *t, const struct join_key *k)
{
	struct join_node *n = *slot(t, k);

	return n ? &n->value : NULL;
}

static struct join_node *take(struct join_table *t)
{
	struct join_node *n;

	if (!t->free) {
		struct join_chunk *c = calloc(1, sizeof(*c));

		if (!c)
			return NULL;
		c->next = t->chunks;
		t->chunks = c;
		for (int i = 0; i < CHUNK; i++) {
			c->node[i].next = t->free;
			t->free = &c->node[i];
		}
	}
	n = t->free;
	t->free = n->next;
	return n;
}

struct join_value *join_table_add(struct join_table *t, const struct join_key *k)
{
	struct join_node **at = slot(t, k), *n = *at;

	if (n)
		return &n->value;
	if (t->n >= t->max)
		return NULL;
	n = take(t);
	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->key = *k;
	*at = n;
	t->n++;
	return &n->value;
}

static void unlink_aged(struct join_table *t, struct join_node *n)
{
	if (!n->aged)
		return;
	*(n->older ? &n->older->newer : &t->oldest) = n->newer;
	*(n->newer ? &n->newer->older : &t->newest) = n->older;
	n->older = n->newer = NULL;
	n->aged = false;
	t->aged--;
}

static void del_at(struct join_table *t, struct join_node **at)
{
	struct join_node *n = *at;

	unlink_aged(t, n);
	*at = n->next;
	n->next = t->free;
	t->free = n;
	t->n--;
}

void join_table_del(struct join_table *t, const struct join_key *k)
{
	struct join_node **at = slot(t, k);

	if (*at)
		del_at(t, at);
}

void join_table_keep(struct join_table *t, const struct join_key *k)
{
	struct join_node *n = *slot(t, k);

	if (n)
		unlink_aged(t, n);
}

void join_table_age(struct join_table *t, const struct join_key *k)
{
	struct join_node *n = *slot(t, k);

	if (!n || n->aged)
		return;
	n->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = n;
	t->newest = n;
	n->aged = true;
	if (++t->aged > t->max / 8 + 1)
		del_at(t, slot(t, &t->oldest->key));
}

void join_table_forget_aged(struct join_table *t)
{
	while (t->oldest)
		del_at(t, slot(t, &t->oldest->key));
}

void join_table_clear(struct join_table *t)
{
	for (size_t i = 0; i <= t->mask; i++)
		while (t->bucket[i])
			del_at(t, &t->bucket[i]);
}
