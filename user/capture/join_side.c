// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_side.h"

#include <string.h>

#include "join.h"
#include "join_table.h"

static bool listed(const unsigned *list, unsigned n, unsigned ifindex)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == ifindex)
			return true;
	return false;
}

static bool same_net(const struct in6_addr *a, const struct in6_addr *b, unsigned prefix)
{
	unsigned bytes = prefix / 8, bits = prefix % 8;

	if (memcmp(a, b, bytes))
		return false;
	return !bits || !((a->s6_addr[bytes] ^ b->s6_addr[bytes]) >> (8 - bits));
}

static bool is_link(const struct in6_addr *ip)
{
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		const uint8_t *b = &ip->s6_addr[12];

		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || (b[0] == 169 && b[1] == 254);
	}
	return ip->s6_addr[0] == 0xff || IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_LOOPBACK(ip) ||
	       IN6_IS_ADDR_UNSPECIFIED(ip);
}

static bool is_own(const struct join_config *c, const struct in6_addr *ip)
{
	for (unsigned i = 0; i < c->nown; i++)
		if (!memcmp(ip, &c->own[i].ip, sizeof(*ip)))
			return true;
	return false;
}

unsigned join_leads_to(const struct join_config *c, const struct in6_addr *ip)
{
	unsigned best = 0, ifindex = 0;

	for (unsigned i = 0; i < c->nown; i++)
		if (c->own[i].prefix > best && same_net(ip, &c->own[i].ip, c->own[i].prefix)) {
			best = c->own[i].prefix;
			ifindex = c->own[i].ifindex;
		}
	for (unsigned i = 0; i < c->nroutes; i++)
		if (c->route[i].prefix > best && same_net(ip, &c->route[i].net, c->route[i].prefix)) {
			best = c->route[i].prefix;
			ifindex = c->route[i].ifindex;
		}
	return ifindex;
}

enum join_side join_side(const struct join_config *c, const struct in6_addr *ip)
{
	unsigned ifindex;

	if (is_own(c, ip))
		return JOIN_OWN;
	if (is_link(ip))
		return JOIN_LINK;
	ifindex = join_leads_to(c, ip);
	if (listed(c->lan, c->nlan, ifindex))
		return JOIN_INSIDE;
	/* Private addresses are inside, but for those that the WAN leads to (double NAT, a campus). */
	if (!c->local_given && (ifindex ? listed(c->wan, c->nwan, ifindex) : c->default_wan))
		return JOIN_OUTSIDE;
	return c->is_local && c->is_local(c->is_local_arg, ip) ? JOIN_INSIDE : JOIN_OUTSIDE;
}

bool join_crosses(const struct join_config *c, const struct join_key *k)
{
	enum join_side a = join_side(c, &k->end[0].ip), b = join_side(c, &k->end[1].ip);

	return (a == JOIN_INSIDE && b == JOIN_OUTSIDE) || (a == JOIN_OUTSIDE && b == JOIN_INSIDE);
}

bool join_has_own(const struct join_config *c, const struct join_key *k)
{
	return is_own(c, &k->end[0].ip) || is_own(c, &k->end[1].ip);
}

bool join_on_link(const struct join_key *k)
{
	return is_link(&k->end[0].ip) || is_link(&k->end[1].ip);
}

bool join_from_lan(const struct join_config *c, const struct join_key *k)
{
	for (int i = 0; i < 2; i++)
		if (listed(c->lan, c->nlan, join_leads_to(c, &k->end[i].ip)))
			return true;
	return false;
}
