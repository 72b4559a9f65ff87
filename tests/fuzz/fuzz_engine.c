/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet engine. Input: a byte of configuration, then packets, each of 5
 * bytes (link layer and time, time, length, length, cut) and its bytes. What must
 * hold: every packet is counted once, flows add up, records are within bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "host_engine.h"
#include "weir_l7.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct sums {
	uint64_t records, packets, bytes, flows, payload;
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void on_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	struct sums *s = arg;

	s->records++;
	check(r->label < WEIR_LABELS && r->l7 < WEIR_L7_COUNT && r->nsack <= WEIR_MAX_SACK);
	check(r->kind == WEIR_REC_REUSE || r->segs == 1);
	check(r->kind >= WEIR_REC_PACKET && r->kind <= WEIR_REC_REUSE && r->dir <= 1 && r->client <= WEIR_CLIENT_HI);
	check(r->caplen <= WEIR_PAYLOAD_MAX && (r->kind != WEIR_REC_PACKET || r->caplen <= r->payload_len));
	for (unsigned i = 0; i < r->caplen; i++)
		s->payload += payload[i]; /* every byte can be read */
}

static void on_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	struct sums *s = arg;

	s->flows++;
	s->packets += (uint64_t)f->dir[0].packets + f->dir[1].packets;
	s->bytes += f->dir[0].bytes + f->dir[1].bytes;
	check(memcmp(key->lo, key->hi, 16) != 0 || key->lo_port <= key->hi_port);
}

static void conserved(const struct weir_counters *c)
{
	uint64_t packets = c->in_flows, bytes = c->in_flow_bytes;

	for (int i = 0; i < WEIR_ELSEWHERE; i++) {
		packets += c->elsewhere[i];
		bytes += c->elsewhere_bytes[i];
	}
	check(packets == c->seen && bytes == c->seen_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct weir_config configs[] = {
		{ .first_packets = 24, .focus_packets = 0xffff, .payload_segments = 8, .payload_bytes = 8192 },
		{ .first_packets = 2, .sample_mask = 0xff, .focus_packets = 5, .payload_segments = 2, .payload_bytes = 100,
		  .records_per_s = 50 },
	};
	struct sums sums = { 0 };
	struct host_engine_ops ops = { on_record, on_flow_end, &sums };
	uint64_t now = 1700000000000000000ull;
	struct weir_counters c;
	struct host_engine *e;

	if (!n)
		return 0;
	e = host_engine_new(&configs[p[0] & 1], p[0] & 2 ? 3 : 0, &ops);
	check(e != NULL);
	for (p++, n--; n >= 5;) {
		enum weir_link link = p[0] & 1 ? WEIR_LINK_IP : WEIR_LINK_ETHERNET;
		size_t len = (size_t)(p[2] & 15) << 8 | p[3], room = p[4] & 0x80 ? p[4] & 0x7f : 0;
		uint8_t *exact;

		now += ((uint64_t)p[1] << (p[0] >> 3)) * 1000; /* from µs to days */
		if (p[0] & 4 && now > 1600000000000000000ull)
			now -= 1000000000ull;
		p += 5;
		n -= 5;
		len = len > n ? n : len;
		exact = malloc(len + !len);
		check(exact != NULL);
		memcpy(exact, p, len);
		host_engine_packet(e, link, exact, (uint32_t)len, (uint32_t)(len + room), now);
		free(exact);
		p += len;
		n -= len;
		if (len == 0)
			host_engine_expire(e, now);
	}
	host_engine_counters(e, &c);
	conserved(&c);
	host_engine_finish(e);
	host_engine_counters(e, &c);
	check(sums.packets + c.reused_packets == c.in_flows && sums.bytes + c.reused_bytes == c.in_flow_bytes);
	check(sums.flows + c.reused == c.flows && sums.records == c.records);
	host_engine_free(e);
	return 0;
}
