/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where addresses lead: the uplinks, and the networks behind each interface. */
#ifndef WEIR_ROUTES_H
#define WEIR_ROUTES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route {
	struct in6_addr net; /* IPv4 mapped */
	uint8_t prefix;	     /* of 128 */
	unsigned ifindex;
};

#define ROUTES_MAX   256
#define UPLINKS_MAX  32

struct routes {
	struct {
		unsigned ifindex;
		bool used; /* by the main table, or one that a rule names: traffic of no VRF may take it */
	} uplink[UPLINKS_MAX]; /* interfaces with a default route in any table, each once */
	unsigned nuplinks;
	struct route net[ROUTES_MAX]; /* all others, of all tables but the local one */
	unsigned nnets;		      /* 0 where there are more than fit: half of them would mislead */
};

/* What the kernel has now, IPv4 and IPv6. 0 or -errno. */
int routes_read(struct routes *r);

/* Has it a default route? */
bool routes_is_uplink(const struct routes *r, unsigned ifindex);

#endif
