/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of a DNS message (RFC 1035, 6891) that tell two answers to one
 * question apart. Every byte may be hostile: nothing is read out of bounds,
 * compression pointers only lead backwards, and work is bounded.
 */
#ifndef WEIR_DNS_MESSAGE_H
#define WEIR_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_TEXT 80 /* a name as text, cut */
#define DNS_ADDR_TEXT 48

#define DNS_QR 0x8000
#define DNS_AA 0x0400
#define DNS_TC 0x0200
#define DNS_RA 0x0080

struct dns_message {
	uint16_t id, flags, qdcount, ancount;
	uint16_t qtype;
	bool question; /* qname, qtype are there */
	bool answers;  /* the answer section was there in full */
	bool edns;
	bool bogus;    /* an address that no public name has: loopback, private, 0/8, 240/4 */
	uint64_t qname_hash; /* lower case */
	uint64_t qname_case; /* as written */
	/* Independent of their order and TTL: records of the answer, and its addresses alone. */
	uint64_t set, addresses;
	unsigned naddresses;
	char name[DNS_NAME_TEXT];
	char address[DNS_ADDR_TEXT]; /* the first; "" none */
};

/* False: not a DNS message (shorter than a header, or its question is none). What follows a cut is left out. */
bool dns_parse(struct dns_message *m, const uint8_t *data, size_t len);

/* The header alone, from the first 12 bytes; the rest of m is cleared. */
bool dns_parse_head(struct dns_message *m, const uint8_t *data, size_t len);

#endif
