/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers, times and addresses as people and events show them. */
#ifndef WEIR_FORMAT_H
#define WEIR_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"

#define TIME_LEN 32
#define IP_LEN	 46

/* RFC 3339, UTC, microseconds: 2026-11-23T08:00:01.000000Z. Up to the year 2554. */
void format_time(char out[TIME_LEN], uint64_t ns);

/* "12:04:31Z" */
void format_clock(char out[16], uint64_t ns);

/* IPv4 where mapped. */
void format_ip(char out[IP_LEN], const struct in6_addr *ip);

/* Three significant digits and an SI prefix: 84.2M, 1.53k, 999, 0; at most 5 columns. */
void format_si(char out[8], double v);

/* 4s, 12m, 3h12m, 5d */
void format_age(char out[16], double seconds);

/* Bytes of the UTF-8 character at p (NUL-terminated), 0 if it is none (RFC 3629). */
unsigned utf8_length(const unsigned char *p);

/* Copies text for a terminal: a character that is not printable ASCII, nor close to one, becomes '?'. */
void format_plain(char *out, size_t len, const char *text);

/* "tcp", "udp", "icmp", "icmp6", else the number's "ip-N" in out. */
const char *proto_name(uint8_t proto, char out[8]);

#endif
