// SPDX-License-Identifier: GPL-2.0-or-later
#include "gateway.h"

#include <net/if_arp.h>
#include <string.h>

const char *role_name(enum role r)
{
	static const char *const names[] = { "-", "WAN", "LAN", "port", "carrier" };

	return r < sizeof(names) / sizeof(names[0]) ? names[r] : "?";
}

enum role role_take(char *name)
{
	char *colon = strchr(name, ':');

	if (!colon)
		return ROLE_NONE;
	*colon = 0;
	return !strcmp(colon + 1, "wan") ? ROLE_WAN : !strcmp(colon + 1, "lan") ? ROLE_LAN : ROLE_NONE;
}

/* A VLAN stands on it, or a PPPoE session. */
static bool carries(const struct link *links, unsigned n, const struct link *l)
{
	for (unsigned i = 0; i < n; i++)
		if (links[i].lower == l->ifindex && links[i].up && !strcmp(links[i].kind, "vlan"))
			return true;
	return l->pppoe;
}

/* Member of a bridge or bond; a VRF shows nothing of its own. */
static bool is_port(const struct link *links, unsigned n, const struct link *l)
{
	const struct link *master = links_by_index(links, n, l->master);

	return master ? strcmp(master->kind, "vrf") != 0 : l->master != 0;
}

void gateway_roles(const struct link *links, unsigned n, const struct routes *routes, enum role *role)
{
	for (unsigned i = 0; i < n; i++) {
		const struct link *l = &links[i];

		role[i] = ROLE_LAN;
		if (!l->up || l->arphrd == ARPHRD_LOOPBACK || !strcmp(l->kind, "vrf"))
			role[i] = ROLE_NONE;
		else if (is_port(links, n, l))
			role[i] = ROLE_PORT;
		else if (carries(links, n, l))
			role[i] = ROLE_CARRIER;
		if (routes_is_uplink(routes, l->ifindex))
			role[i] = ROLE_WAN;
	}
}

static bool on_it(const struct link *l, const struct link *below)
{
	return (!strcmp(l->kind, "vlan") && l->lower == below->ifindex) || (l->arphrd == ARPHRD_PPP && below->pppoe);
}

static bool leads_out(const struct link *links, unsigned n, const struct routes *r, const struct link *l, unsigned level)
{
	enum { LEVELS = 4 };

	if (routes_is_uplink(r, l->ifindex))
		return true;
	for (unsigned i = 0; i < n && level < LEVELS; i++)
		if (on_it(&links[i], l) && leads_out(links, n, r, &links[i], level + 1))
			return true;
	return false;
}

bool gateway_leads_out(const struct link *links, unsigned n, const struct routes *routes, unsigned ifindex)
{
	const struct link *l = links_by_index(links, n, ifindex);

	return l ? leads_out(links, n, routes, l, 0) : routes_is_uplink(routes, ifindex);
}

const struct link *gateway_bond_of(const struct link *links, unsigned n, const struct link *l)
{
	const struct link *master = links_by_index(links, n, l->master);

	return master && link_is_bond(master) ? master : NULL;
}
