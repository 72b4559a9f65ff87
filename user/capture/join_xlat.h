/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between IPv4 and IPv6: a NAT64 (RFC 6146) or a CLAT (RFC 6877) on this host is no connection of conntrack's.
 * The server's IPv4 address stands in its IPv6 one (RFC 6052), and ports stay where the translator keeps them:
 * by these both sightings are known.
 */
#ifndef WEIR_JOIN_XLAT_H
#define WEIR_JOIN_XLAT_H

#include <netinet/in.h>
#include <stdbool.h>

struct join_config;
struct join_end;
struct join_key;

/* An address that stands for one of IPv4: 64:ff9b::/96, or 64:ff9b:1::/48 (RFC 8215). */
bool join_is_nat64(const struct in6_addr *ip);
bool join_has_nat64(const struct join_key *name);

/*
 * What both families' names of a flow have in common; *server: which end of name that is. client: the end that
 * opened it, NULL: to be told by its side. False: no such flow.
 */
bool join_xlat_key(const struct join_config *c, const struct join_key *name, const struct join_end *client,
		   struct join_key *out, int *server);

#endif
