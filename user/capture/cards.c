// SPDX-License-Identifier: GPL-2.0-or-later
#include "cards.h"

#include <net/if_arp.h>
#include <string.h>

#define LEVELS 6 /* VLAN in VLAN on a bond in a bridge, and two more */

struct descent {
	const struct link *links;
	unsigned n;
	const struct link **out;
	unsigned found, max;
};

/* Its packets pass the link that it names as its lower one, as they are. */
static bool stands_on(const struct link *l)
{
	static const char *const kinds[] = { "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "dsa" };

	if (l->lower && !l->kind[0]) /* a port of DSA, which had no kind before Linux 6.1 */
		return true;
	for (size_t i = 0; l->lower && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return false;
}

static bool is_under(const struct link *l, const struct link *below)
{
	return below->master == l->ifindex || (stands_on(l) && below->ifindex == l->lower) ||
	       (l->arphrd == ARPHRD_PPP && below->pppoe);
}

static void add(struct descent *d, const struct link *l)
{
	for (unsigned i = 0; i < d->found; i++)
		if (d->out[i] == l)
			return;
	if (d->found < d->max)
		d->out[d->found++] = l;
}

static void descend(struct descent *d, const struct link *l, unsigned level)
{
	bool bottom = true;

	for (unsigned i = 0; i < d->n && level < LEVELS; i++)
		if (&d->links[i] != l && is_under(l, &d->links[i])) {
			bottom = false;
			descend(d, &d->links[i], level + 1);
		}
	if (bottom && (!level || !l->kind[0]))
		add(d, l);
}

unsigned cards_under(const struct link *links, unsigned n, unsigned ifindex, const struct link **out, unsigned max)
{
	struct descent d = { .links = links, .n = n, .out = out, .max = max };
	const struct link *l = links_by_index(links, n, ifindex);

	if (l)
		descend(&d, l, 0);
	return d.found;
}

struct card *cards_get(struct cards *c, const struct link *l)
{
	struct card *k;

	for (unsigned i = 0; i < c->n; i++)
		if (c->card[i].ifindex == l->ifindex)
			return &c->card[i];
	k = &c->card[c->n < CARDS_MAX ? c->n++ : c->next++ % CARDS_MAX];
	*k = (struct card){ .ifindex = l->ifindex, .missed = link_missed(l),
			    .packets = l->stats.rx_packets };
	return k;
}

uint64_t card_missed(struct card *c, const struct link *l)
{
	uint64_t now = link_missed(l), more = now > c->missed ? now - c->missed : 0;
	uint64_t got = l->stats.rx_packets > c->packets ? l->stats.rx_packets - c->packets : 0;

	c->missed = now;
	c->packets = l->stats.rx_packets;
	return more > got / CARD_SHARE ? more : 0;
}
