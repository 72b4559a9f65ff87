/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gateway as its own routes and links describe it: which interface leads where. */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include "links.h"
#include "routes.h"

enum role {
	ROLE_NONE,    /* down, loopback, a VRF */
	ROLE_WAN,     /* has a default route */
	ROLE_LAN,     /* up, and none */
	ROLE_PORT,    /* member of a bridge or bond: the master shows its traffic */
	ROLE_CARRIER, /* carries a VLAN, a tunnel or a PPP session whose own interface shows it plain */
};

/* "WAN", "LAN", "port", "carrier", "-". */
const char *role_name(enum role r);

/* "lan0:wan": cuts the role off, ROLE_NONE where there is none. ':' is in no interface's name. */
enum role role_take(char *name);

/* Fills role[i] for links[i]. */
void gateway_roles(const struct link *links, unsigned n, const struct routes *routes, enum role *role);

/*
 * Has ifindex a default route, or one that stands on it: a VLAN, the PPP link of a PPPoE session? Of its
 * packets those count that leave by that.
 */
bool gateway_leads_out(const struct link *links, unsigned n, const struct routes *routes, unsigned ifindex);

/* The bond or team that l is a member of: it is to be watched, a member shows a share of each flow. NULL: none. */
const struct link *gateway_bond_of(const struct link *links, unsigned n, const struct link *l);

#endif
