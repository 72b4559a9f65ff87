/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traffic by chance: TCP connections that lose, reorder, repeat and reset, UDP,
 * ICMP errors, fragments, and any of these with bytes changed or cut off. The
 * same seed gives the same packets.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdlib.h>

#include "packets.h"

#define TRACE_CONNS 48

struct trace_packet {
	uint64_t time_ns;
	uint32_t len;
	bool ip; /* no link header */
	uint8_t b[3400];
};

struct trace_conn {
	struct pk side[2];
	uint32_t next[2], ack[2], ts[2];
	bool has_ts;
};

struct trace {
	uint64_t random, now;
	struct trace_conn conn[TRACE_CONNS];
	struct trace_packet last;
	bool ip; /* packets without link headers */
};

static inline uint32_t trace_random(struct trace *t, uint32_t below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (uint32_t)((t->random * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static inline void trace_conn(struct trace *t, struct trace_conn *c)
{
	static const enum pk_link links[] = { PK_ETHERNET, PK_ETHERNET, PK_VLAN, PK_QINQ, PK_PPPOE };
	static const uint16_t ports[] = { 443, 80, 22, 53, 3478, 6881, 5000 };
	unsigned n = (unsigned)(c - t->conn);

	memset(c, 0, sizeof(*c));
	c->side[0] = (struct pk){ .src = (uint8_t)(1 + n % 9), .dst = (uint8_t)(100 + n % 7), .sport = (uint16_t)(30000 + n),
				  .dport = ports[trace_random(t, 7)], .ttl = 64 };
	c->side[0].v6 = trace_random(t, 2);
	c->side[0].link = t->ip ? PK_NONE : links[trace_random(t, 5)];
	c->side[0].proto = n % 4 == 3 ? UDP : 0;
	c->side[1] = c->side[0];
	c->side[1].src = c->side[0].dst;
	c->side[1].dst = c->side[0].src;
	c->side[1].sport = c->side[0].dport;
	c->side[1].dport = c->side[0].sport;
	c->side[1].ttl = 50;
	for (int s = 0; s < 2; s++) {
		c->next[s] = trace_random(t, 4) ? trace_random(t, 1u << 30) : 0xffffe000u;
		c->side[s].ipid = (uint16_t)trace_random(t, 65536);
		c->ts[s] = trace_random(t, 1u << 30);
	}
	c->has_ts = trace_random(t, 2);
}

static inline void trace_begin(struct trace *t, uint64_t seed, bool ip)
{
	memset(t, 0, sizeof(*t));
	t->random = seed * 0x9e3779b97f4a7c15ull + 1;
	t->now = 1700000000000000000ull;
	t->ip = ip;
	for (unsigned i = 0; i < TRACE_CONNS; i++)
		trace_conn(t, &t->conn[i]);
}

/* Options for a packet of side s; how many bytes. */
static inline unsigned trace_options(struct trace *t, struct trace_conn *c, int s, unsigned flags, uint8_t *o)
{
	unsigned n = 0;

	if (flags & SYN) {
		memcpy(o, "\2\4\5\xb4\1\3\3\7", 8);
		n = 8;
	}
	if (c->has_ts) {
		c->ts[s] += trace_random(t, 3);
		memcpy(o + n, "\1\1\x08\x0a", 4);
		put32(o + n + 4, c->ts[s]);
		put32(o + n + 8, c->ts[!s] - trace_random(t, 2));
		n += 12;
	}
	if (!(flags & SYN) && !trace_random(t, 6)) {
		unsigned blocks = 1 + trace_random(t, 3);

		memcpy(o + n, "\1\1\5", 3);
		o[n + 3] = (uint8_t)(2 + 8 * blocks);
		for (unsigned b = 0; b < blocks; b++) {
			uint32_t from = c->next[!s] - trace_random(t, 9000);

			put32(o + n + 4 + 8 * b, from);
			put32(o + n + 8 + 8 * b, from + trace_random(t, 3000));
		}
		n += 4 + 8 * blocks;
	}
	return n > 40 ? 0 : n;
}

static inline void trace_tcp(struct trace *t, struct trace_conn *c, struct pk *p, int s, uint8_t *opt)
{
	unsigned what = trace_random(t, 100);

	p->flags = ACK;
	p->len = trace_random(t, 3) ? trace_random(t, 1400) : 0;
	if (!trace_random(t, 50))
		p->len = 1400 + trace_random(t, 1500);
	if (what < 8) /* the network or the sender lost some */
		c->next[s] += trace_random(t, 4000);
	p->seq = c->next[s];
	if (what >= 8 && what < 20) { /* again, or late */
		p->seq -= trace_random(t, 8000);
	} else if (what == 20) {
		p->flags = SYN;
		p->len = 0;
		p->seq = c->next[0] = trace_random(t, 1u << 30);
		s = 0;
	} else if (what == 21) {
		p->flags = SYN | ACK;
		p->len = 0;
	} else if (what == 22) {
		p->flags |= FIN;
	} else if (what < 25) {
		p->flags = trace_random(t, 2) ? RST : RST | ACK;
		p->seq += trace_random(t, 3) * 1460;
	} else if (what < 28) {
		p->seq--;
		p->len = trace_random(t, 2);
	} else if (what < 30) {
		p->win0 = true;
	} else if (what == 30) { /* another stream */
		p->seq += trace_random(t, 0x7fffffff);
	}
	p->ack = c->next[!s] - (trace_random(t, 4) ? 0 : trace_random(t, 20000));
	p->win = p->win0 ? 0 : (uint16_t)(1 + trace_random(t, 65535));
	if (p->seq == c->next[s] && !(p->flags & RST))
		c->next[s] += p->len + !!(p->flags & SYN) + !!(p->flags & FIN);
	p->opt = opt;
	p->nopt = trace_options(t, c, s, p->flags, opt);
}

/* The kinds of payload that the engine tells apart. */
static inline void trace_payload(struct trace *t, const struct pk *p, uint8_t *at)
{
	static const char *const begin[] = { "GET / HTTP/1.1\r\n", "\x16\3\1\2\0\1\0\1\xfc\3\3", "SSH-2.0-x", "WA\5\1\0\0\0\0\0",
					     "\x13" "BitTorrent", "\0\1\0\0\x21\x12\xa4\x42" };

	if (p->len >= 20 && !trace_random(t, 3)) {
		const char *s = begin[trace_random(t, 6)];

		memcpy(at, s, 8);
	}
}

/* An ICMP error about the packet before, which was built from no link header. */
static inline void trace_icmp(struct trace *t, struct pk *p, uint8_t *body)
{
	static const uint8_t types4[] = { 3, 11, 12, 8 }, types6[] = { 1, 2, 3, 4, 128 };
	struct pk inner = *p;
	uint8_t b[PK_MAX];
	unsigned n;

	inner.link = PK_NONE;
	n = pk_build(b, &inner);
	n = n > 200 ? 28 + trace_random(t, 170) : n;
	memset(body, 0, 8);
	body[0] = p->v6 ? types6[trace_random(t, 5)] : types4[trace_random(t, 4)];
	body[1] = (uint8_t)trace_random(t, 5);
	memcpy(body + 8, b, n);
	*p = (struct pk){ .link = p->link, .v6 = p->v6, .src = 200, .dst = p->src, .proto = p->v6 ? ICMP6 : ICMP4, .data = body,
			  .len = 8 + n };
}

static inline void trace_time(struct trace *t)
{
	unsigned r = trace_random(t, 1000);

	t->now += r < 980 ? trace_random(t, 3000000) : r < 995 ? trace_random(t, 300000000) : trace_random(t, 2500000000u);
}

/* The next packet. */
static inline const struct trace_packet *trace_next(struct trace *t)
{
	static const uint8_t ext[3][8] = { { 0, 0, 5, 2 }, { 0, 0, 0, 1 }, { 0, 0, 0, 9 } };
	struct trace_conn *c = &t->conn[trace_random(t, TRACE_CONNS)];
	unsigned kind = trace_random(t, 100), e = trace_random(t, 3);
	int s = trace_random(t, 2);
	uint8_t b[PK_MAX], body[512], opt[64];
	struct pk p;
	unsigned n;

	trace_time(t);
	t->last.time_ns = t->now;
	if (kind < 3 && t->last.len) /* the very same again */
		return &t->last;
	if (kind < 8 && t->last.len) { /* bytes changed */
		for (unsigned i = trace_random(t, 4); i < 5; i++)
			t->last.b[trace_random(t, t->last.len < 80 ? t->last.len : 80)] = (uint8_t)trace_random(t, 256);
		if (trace_random(t, 2))
			t->last.len = 14 + trace_random(t, t->last.len - 13);
		return &t->last;
	}
	c->side[s].ipid++;
	p = c->side[s];
	if (p.proto == UDP)
		p.len = trace_random(t, 1400);
	else
		trace_tcp(t, c, &p, s, opt);
	p.frag = trace_random(t, 2) ? 0x4000 : 0;
	p.tos = trace_random(t, 10) ? 0 : 0xb8;
	if (kind < 11) {
		trace_icmp(t, &p, body);
	} else if (kind < 13 && !p.v6) {
		p.frag = trace_random(t, 2) ? 0x2000 : 0x20;
	} else if (kind < 18 && p.v6) {
		p.ext_first = e ? 44 : 60;
		p.ext = ext[e];
		p.next = 8;
	} else if (kind < 15 && !p.v6) {
		p.ipopt = "\x94\4\0\0";
		p.nipopt = 4;
	}
	n = pk_build(b, &p);
	if (p.len >= 20 && kind >= 18)
		trace_payload(t, &p, b + n - p.len);
	t->last.ip = p.link == PK_NONE;
	t->last.len = n;
	memcpy(t->last.b, b, n);
	if (!trace_random(t, 400))
		trace_conn(t, c);
	return &t->last;
}

#endif
