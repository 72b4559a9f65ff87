/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host's own addresses and the networks it is connected to. */
#ifndef WEIR_ADDRS_H
#define WEIR_ADDRS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	struct in6_addr ip; /* IPv4 mapped */
	uint8_t prefix;	    /* of 128 */
	unsigned ifindex;
};

/* Fills out. How many (at most max), or -errno. */
int addrs_read(struct addr *out, size_t max);

#endif
