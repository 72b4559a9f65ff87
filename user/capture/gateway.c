// SPDX-License-Identifier: GPL-2.0-or-later
#include "gateway.h"

#include <net/if_arp.h>

const char *role_name(enum role r)
{
	static const char *const names[] = { "-", "WAN", "LAN", "port", "carrier" };

	return r < sizeof(names) / sizeof(names[0]) ? names[r] : "?";
}

static bool carries(const struct link *links, unsigned n, unsigned ifindex)
{
	for (unsigned i = 0; i < n; i++)
		if (links[i].lower == ifindex && links[i].ifindex != ifindex && links[i].up &&
		    links[i].kind[0] == 'v' && links[i].kind[1] == 'l') /* vlan; a veth's is its peer */
			return true;
	return false;
}

void gateway_roles(const struct link *links, unsigned n, const unsigned *default_routes,
		   unsigned nroutes, enum role *role)
{
	for (unsigned i = 0; i < n; i++) {
		const struct link *l = &links[i];

		role[i] = ROLE_LAN;
		if (!l->up || l->arphrd == ARPHRD_LOOPBACK)
			role[i] = ROLE_NONE;
		else if (l->master)
			role[i] = ROLE_PORT;
		else if (carries(links, n, l->ifindex))
			role[i] = ROLE_CARRIER;
		for (unsigned r = 0; r < nroutes; r++)
			if (default_routes[r] == l->ifindex)
				role[i] = ROLE_WAN;
	}
}
