/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine with its records and ended flows kept, and a TCP connection to say
 * packets by. Times are in µs from a fixed start.
 */
#ifndef ENGINE_KIT_H
#define ENGINE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host_engine.h"
#include "names.h"
#include "packets.h"

#define KIT_START 1700000000000000000ull
#define KIT_RECS  4096

struct kit {
	struct host_engine *e;
	unsigned n; /* records so far; the newest KIT_RECS are kept */
	struct weir_rec rec[KIT_RECS];
	uint8_t payload[KIT_RECS][WEIR_PAYLOAD_MAX];
	unsigned ended;
	struct weir_flow flow; /* the flow that ended last */
	struct weir_key6 key;
	unsigned why;
	uint64_t packets, bytes; /* sums over ended flows */
	unsigned evicted, reused;
	struct weir_flow old; /* of the last WEIR_REC_REUSE */
};

static inline void kit_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	struct kit *k = arg;
	unsigned i = k->n++ % KIT_RECS;

	k->rec[i] = *r;
	if (r->kind == WEIR_REC_REUSE) {
		assert_int_equal(r->caplen, sizeof(k->old));
		memcpy(&k->old, payload, sizeof(k->old));
		k->reused++;
		return;
	}
	assert_true(r->caplen <= WEIR_PAYLOAD_MAX);
	memcpy(k->payload[i], payload, r->caplen);
}

static inline void kit_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	struct kit *k = arg;

	k->ended++;
	k->evicted += why == END_EVICTED;
	k->flow = *f;
	k->key = *key;
	k->why = why;
	k->packets += (uint64_t)f->dir[0].packets + f->dir[1].packets;
	k->bytes += f->dir[0].bytes + f->dir[1].bytes;
}

static inline struct kit *kit_new(const struct weir_config *cfg, unsigned max_flows)
{
	static const struct weir_config every = { .first_packets = 24, .focus_packets = 0xffff,
						  .payload_segments = 4, .payload_bytes = 4096 };
	struct kit *k = calloc(1, sizeof(*k));
	struct host_engine_ops ops = { kit_record, kit_flow_end, k };

	assert_non_null(k);
	k->e = host_engine_new(cfg ? cfg : &every, max_flows, &ops);
	assert_non_null(k->e);
	return k;
}

/* The newest record. */
static inline const struct weir_rec *kit_last(const struct kit *k)
{
	assert_true(k->n);
	return &k->rec[(k->n - 1) % KIT_RECS];
}

/* Raw bytes to the engine, in memory of just their size, so that a read beyond is seen. */
static inline void kit_bytes(struct kit *k, uint64_t us, enum weir_link link, const uint8_t *b, unsigned cap, unsigned len)
{
	uint8_t *exact = malloc(cap ? cap : 1);

	assert_non_null(exact);
	memcpy(exact, b, cap);
	host_engine_packet(k->e, link, exact, cap, len, KIT_START + us * 1000);
	free(exact);
}

/* One packet; its record, NULL when it gave none. */
static inline const struct weir_rec *kit_packet(struct kit *k, uint64_t us, const struct pk *p)
{
	static uint8_t b[PK_MAX];
	unsigned n = pk_build(b, p), before = k->n;

	kit_bytes(k, us, p->link == PK_NONE ? WEIR_LINK_IP : WEIR_LINK_ETHERNET, b, n, n);
	return k->n > before ? kit_last(k) : NULL;
}

static inline struct weir_counters kit_counters(const struct kit *k)
{
	struct weir_counters c;

	host_engine_counters(k->e, &c);
	return c;
}

/* What must hold at any time: every packet is counted once. */
static inline void kit_conserved(const struct kit *k)
{
	struct weir_counters c = kit_counters(k);
	uint64_t n = c.in_flows, bytes = c.in_flow_bytes;

	for (int i = 0; i < WEIR_ELSEWHERE; i++) {
		n += c.elsewhere[i];
		bytes += c.elsewhere_bytes[i];
	}
	assert_int_equal(c.seen, n);
	assert_int_equal(c.seen_bytes, bytes);
}

/* Ends all flows; their sums are what the counters say. Frees the kit. */
static inline void kit_free(struct kit *k)
{
	struct weir_counters c;

	kit_conserved(k);
	host_engine_finish(k->e);
	c = kit_counters(k);
	assert_int_equal(k->packets + c.reused_packets, c.in_flows);
	assert_int_equal(k->bytes + c.reused_bytes, c.in_flow_bytes);
	assert_int_equal(k->ended + c.reused, c.flows);
	assert_int_equal(c.records, k->n);
	host_engine_free(k->e);
	free(k);
}

/* A connection: client 10.0.0.9:40000, server 10.0.0.1:443 (or the like in IPv6). */
struct tcp {
	struct kit *k;
	struct pk base[2]; /* 0: the client's packets, 1: the server's */
	uint32_t tsval[2]; /* with ts: what the next packet says */
	bool ts;
	uint8_t opt[12];
};

#define CLIENT 0
#define SERVER 1
#define CISN   1000u
#define SISN   500000u

static inline struct tcp tcp_new(struct kit *k, bool v6)
{
	struct tcp t = { .k = k };

	t.base[CLIENT] = (struct pk){ .v6 = v6, .src = 9, .dst = 1, .sport = 40000, .dport = 443, .ipid = 1 };
	t.base[SERVER] = (struct pk){ .v6 = v6, .src = 1, .dst = 9, .sport = 443, .dport = 40000, .ipid = 7001, .ttl = 50 };
	return t;
}

/* A segment; a fresh IP-ID each. */
static inline const struct weir_rec *tcp_seg(struct tcp *t, uint64_t us, int who, unsigned flags, uint32_t seq,
					     uint32_t ack, unsigned len)
{
	struct pk p = t->base[who];

	p.flags = (uint8_t)flags;
	p.seq = seq;
	p.ack = ack;
	p.len = len;
	t->base[who].ipid++;
	if (t->ts) {
		memcpy(t->opt, "\1\1\x08\x0a", 4);
		put32(t->opt + 4, t->tsval[who]);
		put32(t->opt + 8, t->tsval[!who]);
		p.opt = t->opt;
		p.nopt = 12;
	}
	return kit_packet(t->k, us, &p);
}

/* Handshake from 0 on: SYN-ACK after 20 ms, ACK 10 ms later. Ends at 30,000 µs. */
static inline void tcp_open(struct tcp *t)
{
	tcp_seg(t, 0, CLIENT, SYN, CISN, 0, 0);
	tcp_seg(t, 20000, SERVER, SYN | ACK, SISN, CISN + 1, 0);
	tcp_seg(t, 30000, CLIENT, ACK, CISN + 1, SISN + 1, 0);
}

/* Counters of the side after the flow has ended. */
static inline int tcp_dir(const struct kit *k, int who)
{
	return (k->flow.client == WEIR_CLIENT_LO) == (who == CLIENT) ? 0 : 1;
}

#endif
