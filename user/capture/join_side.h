/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On which side of the gateway an address is: by its own routes, then by what is known of addresses. */
#ifndef WEIR_JOIN_SIDE_H
#define WEIR_JOIN_SIDE_H

#include <netinet/in.h>
#include <stdbool.h>

struct join_config;
struct join_key;

enum join_side {
	JOIN_OWN,     /* this host's */
	JOIN_LINK,    /* never routed: multicast, broadcast, link-local, loopback */
	JOIN_INSIDE,
	JOIN_OUTSIDE,
};

enum join_side join_side(const struct join_config *c, const struct in6_addr *ip);

/* The interface that the longest prefix leads to, the default route aside; 0: none. */
unsigned join_leads_to(const struct join_config *c, const struct in6_addr *ip);

/* Is one end inside and the other outside? */
bool join_crosses(const struct join_config *c, const struct join_key *k);

/* Is an end of it this host, or one that is never routed? */
bool join_has_own(const struct join_config *c, const struct join_key *k);
bool join_on_link(const struct join_key *k);

/* Does a watched LAN interface lead to the end that is inside? */
bool join_from_lan(const struct join_config *c, const struct join_key *k);

#endif
