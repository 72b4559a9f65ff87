/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the bench share: packets to test with, and rows of results as JSON Lines. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bytes.h"

#define BENCH_ROUNDS 5

struct packet {
	uint8_t bytes[1600];
	uint32_t len, address, l4; /* offsets: of the source address's last word, of the transport header */
};

/* Ethernet and IPv4 or IPv6 with rest bytes of transport behind; where that begins. */
static inline uint8_t *ip_packet(struct packet *p, int version, uint8_t proto, uint32_t rest)
{
	uint8_t *b = p->bytes;

	memset(b, 0, sizeof(p->bytes));
	b[0] = b[6] = 2;
	put16(b + 12, version == 4 ? 0x0800 : 0x86dd);
	b += 14;
	if (version == 4) {
		b[0] = 0x45;
		put16(b + 2, 20 + rest);
		put16(b + 4, 7);
		b[6] = 0x40;
		b[8] = 64;
		b[9] = proto;
		put32(b + 12, 0x0a000000);
		put32(b + 16, 0xc0a80001);
		p->address = 26;
		p->l4 = 34;
	} else {
		b[0] = 0x60;
		put16(b + 4, rest);
		b[6] = proto;
		b[7] = 64;
		put32(b + 8, 0xfd000000);
		put32(b + 24, 0xfd000001);
		b[39] = 1;
		p->address = 34;
		p->l4 = 54;
	}
	p->len = p->l4 + rest;
	return p->bytes + p->l4;
}

/* A TCP segment with the timestamps option from port 50000 to 443. */
static inline uint8_t *tcp_packet(struct packet *p, int version, uint8_t flags, uint32_t payload)
{
	uint8_t *t = ip_packet(p, version, 6, 32 + payload);

	put16(t, 50000);
	put16(t + 2, 443);
	put32(t + 4, 1000);
	put32(t + 8, 5000);
	t[12] = 0x80;
	t[13] = flags;
	put16(t + 14, 500);
	put32(t + 20, 0x0101080a);
	put32(t + 24, 77);
	put32(t + 28, 66);
	return t + 32;
}

static inline uint8_t *udp_packet(struct packet *p, int version, uint32_t payload)
{
	uint8_t *u = ip_packet(p, version, 17, 8 + payload);

	put16(u, 50000);
	put16(u + 2, 443);
	put16(u + 4, 8 + payload);
	return u + 8;
}

static inline int bench_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double bench_median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), bench_by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* One result; beside: what it is held against, NULL none. tests/bench/table holds the bounds. */
static inline void bench_row(const char *row, double value, const char *unit, const char *beside, double other)
{
	printf("{\"row\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", row, value, unit);
	if (beside)
		printf(",\"beside\":\"%s\",\"other\":%.6g", beside, other);
	puts("}");
	fflush(stdout);
}

#endif
