/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "peers.h"

#define SETS 8192 /* x 4 x 128 bytes: 4 MiB when full, touched as it fills */
#define WAYS 4

struct peers {
	struct peer set[SETS][WAYS];
};

struct peers *peers_new(void)
{
	return calloc(1, sizeof(struct peers));
}

void peers_free(struct peers *p)
{
	free(p);
}

void peers_clear(struct peers *p)
{
	memset(p, 0, sizeof(*p));
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

static unsigned set_of(const struct peer_key *k)
{
	uint64_t a[4], h = (uint64_t)k->port << 8 | k->proto;

	memcpy(a, &k->client, 16);
	memcpy(a + 2, &k->server, 16);
	for (unsigned i = 0; i < 4; i++)
		h = mix(h, a[i]);
	return (unsigned)(h >> 20) % SETS;
}

static bool same(const struct peer *e, const struct peer_key *k)
{
	return e->until_ns && e->port == k->port && e->proto == k->proto &&
	       !memcmp(&e->client, &k->client, 16) && !memcmp(&e->server, &k->server, 16);
}

const struct peer *peers_find(const struct peers *p, const struct peer_key *k, uint64_t now_ns)
{
	const struct peer *set = p->set[set_of(k)];

	for (unsigned i = 0; i < WAYS; i++)
		if (same(&set[i], k))
			return set[i].until_ns >= now_ns ? &set[i] : NULL;
	return NULL;
}

void peers_learn(struct peers *p, const struct peer_key *k, int app, unsigned channel, unsigned l7,
		 const char *name, uint64_t now_ns, uint64_t ttl_ns)
{
	struct peer *set = p->set[set_of(k)], *e = &set[0];
	bool known = false;

	for (unsigned i = 0; i < WAYS && !known; i++) {
		if (same(&set[i], k)) {
			e = &set[i];
			known = true;
		} else if (set[i].until_ns < e->until_ns) {
			e = &set[i];
		}
	}
	if (!known || e->until_ns < now_ns) {
		memset(e, 0, sizeof(*e));
		e->client = k->client;
		e->server = k->server;
		e->port = k->port;
		e->proto = k->proto;
		e->app = (int16_t)app;
		e->channel = (uint8_t)channel;
		e->l7 = (uint8_t)l7;
	} else {
		e->several |= e->app != app;
		if (e->channel != channel)
			e->channel = 0;
		if (e->l7 != l7)
			e->l7 = 0;
	}
	if (name && strlen(name) < PEER_NAME)
		strcpy(e->name, name);
	else
		e->name[0] = 0;
	if (e->until_ns < now_ns + ttl_ns)
		e->until_ns = now_ns + ttl_ns;
}
