/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets built from what a test says of them: link, network and transport
 * header, each of which may be bent. Lengths are right unless set. Checksums
 * are left 0: the engine doesn't read them.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../bytes.h"

#define PK_MAX 9216

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16

#define UDP   17
#define ICMP4 1
#define ICMP6 58

enum pk_link { PK_ETHERNET, PK_VLAN, PK_QINQ, PK_PPPOE, PK_NONE };

struct pk {
	enum pk_link link;
	bool v6;
	uint8_t proto;		/* 0: TCP */
	uint8_t src, dst;	/* 10.0.0.x or 2001:db8::x */
	uint16_t sport, dport;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t win;		/* 0: 1000, unless win0 */
	bool win0;
	const void *opt;	/* TCP options, padded with 0 to four bytes */
	unsigned nopt;
	const void *data;	/* NULL: a pattern of len bytes */
	unsigned len;
	uint8_t ttl, tos;	/* ttl 0: 64 */
	uint16_t ipid, frag;	/* frag: as in the header, flags and offset */
	const void *ipopt;	/* IPv4 options, a multiple of four */
	unsigned nipopt;
	uint8_t ext_first;	/* IPv6: type of the first extension header */
	const void *ext;	/* their bytes; the last one's next header is set */
	unsigned next, ext_last;/* bytes of ext; where the last one begins */
	unsigned pad;		/* bytes behind the IP packet */
	int ether, ip_total, ihl, doff, udp_len; /* values to set instead; 0: right ones, -1: zero */
};

static inline unsigned instead(int set, unsigned right)
{
	return set ? (set < 0 ? 0 : (unsigned)set) : right;
}

static inline uint8_t *pk_link(uint8_t *at, const struct pk *k)
{
	unsigned type = instead(k->ether, k->v6 ? 0x86dd : 0x0800);

	if (k->link == PK_NONE)
		return at;
	memcpy(at, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	at += 12;
	if (k->link == PK_QINQ) {
		put32(at, 0x88a80064);
		at += 4;
	}
	if (k->link == PK_VLAN || k->link == PK_QINQ) {
		put32(at, 0x8100000a);
		at += 4;
	}
	if (k->link == PK_PPPOE) {
		memcpy(at, "\x88\x64\x11\0\0\7\0\0", 8);
		put16(at + 8, instead(k->ether, k->v6 ? 0x57 : 0x21));
		return at + 10;
	}
	put16(at, type);
	return at + 2;
}

/* Transport header and payload. */
static inline uint8_t *pk_transport(uint8_t *at, const struct pk *k)
{
	unsigned nopt = (k->nopt + 3) & ~3u;
	uint8_t proto = k->proto ? k->proto : 6;

	if (proto == 6) {
		memset(at, 0, 20 + nopt);
		put16(at, k->sport);
		put16(at + 2, k->dport);
		put32(at + 4, k->seq);
		put32(at + 8, k->ack);
		at[12] = (uint8_t)(instead(k->doff, 5 + nopt / 4) << 4);
		at[13] = k->flags;
		put16(at + 14, k->win ? k->win : k->win0 ? 0 : 1000);
		if (k->nopt)
			memcpy(at + 20, k->opt, k->nopt);
		at += 20 + nopt;
	} else if (proto == UDP) {
		put16(at, k->sport);
		put16(at + 2, k->dport);
		put32(at + 4, instead(k->udp_len, 8 + k->len) << 16);
		at += 8;
	}
	if (k->data) {
		memcpy(at, k->data, k->len);
	} else {
		for (unsigned i = 0; i < k->len; i++)
			at[i] = (uint8_t)(k->seq + i);
	}
	return at + k->len;
}

/* The packet in b, which has room for PK_MAX bytes; how long it is. */
static inline unsigned pk_build(uint8_t *b, const struct pk *k)
{
	uint8_t *ip = pk_link(b, k), *l4, *end, proto = k->proto ? k->proto : 6;

	if (k->v6) {
		l4 = ip + 40 + k->next;
		end = pk_transport(l4, k);
		memset(ip, 0, 40);
		put16(ip, 0x6000u | k->tos << 4);
		put16(ip + 4, instead(k->ip_total, (unsigned)(end - ip) - 40));
		ip[6] = k->next ? k->ext_first : proto;
		ip[7] = k->ttl ? k->ttl : 64;
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15);
		ip[23] = k->src;
		memcpy(ip + 24, ip + 8, 15);
		ip[39] = k->dst;
		if (k->next) {
			memcpy(ip + 40, k->ext, k->next);
			ip[40 + k->ext_last] = proto;
		}
		if (k->ihl)
			ip[0] = (uint8_t)(instead(k->ihl, 6) << 4);
	} else {
		l4 = ip + 20 + k->nipopt;
		end = pk_transport(l4, k);
		memset(ip, 0, 20);
		ip[0] = (uint8_t)(k->ihl ? instead(k->ihl, 0) : 0x45 + k->nipopt / 4);
		ip[1] = k->tos;
		put16(ip + 2, instead(k->ip_total, (unsigned)(end - ip)));
		put16(ip + 4, k->ipid);
		put16(ip + 6, k->frag);
		ip[8] = k->ttl ? k->ttl : 64;
		ip[9] = proto;
		ip[12] = ip[16] = 10;
		ip[15] = k->src;
		ip[19] = k->dst;
		if (k->nipopt)
			memcpy(ip + 20, k->ipopt, k->nipopt);
	}
	memset(end, 0, k->pad);
	return (unsigned)(end - b) + k->pad;
}

#endif
