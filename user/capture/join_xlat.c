// SPDX-License-Identifier: GPL-2.0-or-later
#include "join_xlat.h"

#include <string.h>

#include "join.h"
#include "join_side.h"
#include "join_table.h"

bool join_is_nat64(const struct in6_addr *ip)
{
	static const uint8_t known[12] = { 0, 0x64, 0xff, 0x9b }, local[6] = { 0, 0x64, 0xff, 0x9b, 0, 1 };

	return !memcmp(ip, known, sizeof(known)) || !memcmp(ip, local, sizeof(local));
}

bool join_has_nat64(const struct join_key *name)
{
	return join_is_nat64(&name->end[0].ip) || join_is_nat64(&name->end[1].ip);
}

bool join_xlat_key(const struct join_config *c, const struct join_key *name, const struct join_end *client,
		   struct join_key *out, int *server)
{
	bool nat64 = join_has_nat64(name);
	struct join_end end[2] = { 0 };
	int n = 0;

	for (int i = 0; i < 2; i++) {
		const struct in6_addr *ip = &name->end[i].ip;

		if (nat64 ? join_is_nat64(ip) : IN6_IS_ADDR_V4MAPPED(ip) && join_side(c, ip) == JOIN_OUTSIDE &&
				    !(client && join_same_end(client, &name->end[i]))) {
			*server = i;
			n++;
		}
	}
	if (n != 1)
		return false;
	end[0].ip.s6_addr[10] = end[0].ip.s6_addr[11] = 0xff;
	memcpy(&end[0].ip.s6_addr[12], &name->end[*server].ip.s6_addr[12], 4);
	end[0].port = name->end[*server].port;
	end[1].port = name->end[!*server].port;
	join_key_make(out, &end[0], &end[1], name->proto);
	return true;
}
