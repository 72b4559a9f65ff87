// SPDX-License-Identifier: GPL-2.0-or-later
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define SETS 2048
#define WAYS 4

struct known {
	struct in6_addr ip;
	uint64_t owner; /* interface and link-layer address; 0: free */
	uint64_t heard; /* which note it was */
};

struct hosts {
	uint64_t notes;
	struct known set[SETS][WAYS];
};

struct hosts *hosts_new(void)
{
	return calloc(1, sizeof(struct hosts));
}

void hosts_free(struct hosts *h)
{
	free(h);
}

void hosts_note(struct hosts *h, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6])
{
	struct known *set = h->set[ip_hash(ip, 0) % SETS], *k = set;
	uint64_t owner = 0;

	for (unsigned i = 0; i < 6; i++)
		owner = owner << 8 | mac[i];
	if (!owner)
		return;
	owner |= (uint64_t)ifindex << 48;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].owner && ip_same(&set[i].ip, ip)) {
			k = &set[i];
			break;
		}
		if (set[i].heard < k->heard)
			k = &set[i];
	}
	*k = (struct known){ .ip = *ip, .owner = owner, .heard = ++h->notes };
}

static uint64_t owner_of(const struct hosts *h, const struct in6_addr *ip)
{
	const struct known *set = h->set[ip_hash(ip, 0) % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].owner && ip_same(&set[i].ip, ip))
			return set[i].owner;
	return 0;
}

/* Who has several IPv4 addresses. Looked through for hosts that share a link-layer address only: few, and seldom. */
static bool answers_for_others(const struct hosts *h, uint64_t owner)
{
	const struct known *first = NULL;

	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct known *k = &h->set[i / WAYS][i % WAYS];

		if (k->owner != owner || !IN6_IS_ADDR_V4MAPPED(&k->ip))
			continue;
		if (first)
			return true;
		first = k;
	}
	return false;
}

/* RFC 4862, 7217, 8981: of 64 bits of which the upper ones are as likely set as not. */
static bool self_made(const struct in6_addr *ip)
{
	return !IN6_IS_ADDR_V4MAPPED(ip) && (ip->s6_addr[8] || ip->s6_addr[9] || ip->s6_addr[10] || ip->s6_addr[11]);
}

bool hosts_stranger(const struct hosts *h, const struct in6_addr *ip)
{
	return self_made(ip) && !(h && owner_of(h, ip));
}

bool hosts_same(const struct hosts *h, const struct in6_addr *a, const struct in6_addr *b)
{
	bool made_a = self_made(a), made_b = self_made(b);
	uint64_t owner;

	if (ip_same(a, b))
		return true;
	if (!(made_a && (made_b || IN6_IS_ADDR_V4MAPPED(b))) && !(made_b && IN6_IS_ADDR_V4MAPPED(a)))
		return false;
	owner = owner_of(h, a);
	return owner && owner == owner_of(h, b) && !answers_for_others(h, owner);
}
