/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS messages (RFC 1035): the question's name and the addresses answered. */
#ifndef WEIR_DNS_H
#define WEIR_DNS_H

#include <netinet/in.h>

#include "probe.h"

struct dns_address {
	struct in6_addr ip; /* IPv4 mapped */
	uint32_t ttl;
};

#define DNS_ADDRESSES 32

struct dns_answer {
	char name[HOST_LEN]; /* asked for, lower case, printable; "" none */
	unsigned n;
	struct dns_address a[DNS_ADDRESSES];
};

/*
 * Is it a DNS message? strict: wrong counts, odd opcodes and cut sections are
 * refused; lax, as on port 53, a header and question that make sense do.
 */
bool dns_message(struct seg d, bool strict, struct found *out);

/* Addresses out of an answer; those it can't follow are left out. False: no answer to a question.
 */
bool dns_addresses(struct seg d, struct dns_answer *out);

#endif
