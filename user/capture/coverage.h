/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What part of the traffic the hooks can't see, as far as the machine's set-up
 * tells: flows handed to hardware, merged beyond recognition, rewritten.
 */
#ifndef WEIR_COVERAGE_H
#define WEIR_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "links.h"

struct coverage {
	unsigned flowtables;	/* software or hardware */
	bool hw_offload;	/* a flowtable hands connections to hardware */
	char flowtable[64];	/* "table/name", of the hardware one if there is one */
	char flowtable_devs[128];
	bool nat;		/* a nat chain at postrouting, or iptables' nat table */
	char nat_chain[64];	/* "table/chain", "iptables nat" */
	int conntrack;		/* connections known, -errno when they can't be read */
	unsigned translated;	/* among them: rewritten on their way */
	bool nft;		/* nftables could be asked at all */
};

/* Asks nftables of this namespace; conntrack stays -ENODATA. What can't be asked stays zero. */
void coverage_read(struct coverage *c);

/* One message of nftables': what it says of NAT and flow offload is added. */
struct nlmsghdr;
void coverage_message(struct coverage *c, const struct nlmsghdr *h);

/* iptables before nftables keeps its tables to itself; path: what lists those in use (/proc/net/ip_tables_names). */
void coverage_iptables(struct coverage *c, const char *path);

/* Counts the connections, too: a second for a million of them. */
void coverage_connections(struct coverage *c);

/* What of l hides traffic, as a sentence; false: nothing. Filters that its card has taken over; LRO. */
bool coverage_hw_filters(const struct link *l, char *why, size_t size);
bool coverage_lro(const struct link *l, char *why, size_t size);

#endif
