// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The quick path and the long way come to the same: the same IP packets behind Ethernet, which the
 * quick path takes, and without a link header, where it never runs.
 */
#include "engine_kit.h"

#define PACKETS 1000

static uint32_t state;

static uint32_t below(uint32_t n)
{
	state = state * 1664525u + 1013904223u; /* Numerical Recipes */
	return (uint32_t)((uint64_t)(state >> 8) * n >> 24);
}

static void same_record(const struct kit *a, const struct kit *b, unsigned i)
{
	struct weir_rec x = a->rec[i % KIT_RECS], y = b->rec[i % KIT_RECS];

	x.l2_len = y.l2_len = 0; /* with an Ethernet header, and without */
	assert_memory_equal(&x, &y, sizeof(x));
	assert_memory_equal(a->payload[i % KIT_RECS], b->payload[i % KIT_RECS], x.caplen);
}

/* What a side sends next: mostly the expected, now and then anything else. */
static unsigned next_packet(uint8_t *b, struct pk *base, uint32_t end[2], uint32_t acked[2],
			    uint32_t tsval, uint32_t said[2], bool ts, uint8_t opt[12])
{
	unsigned who = below(2);
	struct pk p = base[who];

	p.flags = ACK;
	p.seq = end[who];
	p.len = below(3) ? below(2) ? 1400 : 1 + below(300) : 0;
	if (!below(3))
		acked[who] = end[!who];
	p.ack = acked[who];
	p.ipid = base[who].ipid++;
	if (p.len >= 11 && !below(3)) {
		p.data = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
		p.len = 11;
	}
	switch (below(24)) {
	case 0: /* lost before us */
		p.seq += below(3000);
		break;
	case 1: /* sent again, or late */
		p.seq -= below(4000);
		p.ipid -= (uint16_t)below(4);
		break;
	case 2:
		p.ack -= below(5000);
		break;
	case 3: /* a keep-alive, or close to one */
		p.seq--;
		p.len = below(2);
		p.data = NULL;
		break;
	case 4:
		p.win0 = true;
		p.tos = 3;
		break;
	case 5:
		p.frag = below(2) ? 0x4000 : 0x2000;
		p.ttl = 40;
		break;
	case 6:
		p.pad = below(6);
		p.flags |= PSH;
		break;
	case 7:
		if (!below(12))
			p.flags = below(2) ? FIN | ACK : RST | ACK;
		break;
	case 8:
		p.ack += below(3) << 20; /* of what was never sent */
		break;
	default:
		break;
	}
	if (ts) {
		memcpy(opt, "\1\1\x08\x0a", 4);
		put32(opt + 4, tsval);
		put32(opt + 8, said[!who] - !below(4));
		said[who] = tsval;
		p.opt = opt;
		p.nopt = 12;
	}
	if ((int32_t)(p.seq + p.len - end[who]) > 0)
		end[who] = p.seq + p.len;
	return pk_build(b, &p);
}

static void connection(uint32_t seed)
{
	struct weir_config cfg = { .first_packets = 2,
				   .sample_mask = seed % 8 ? 0xffffffff : 0xff,
				   .focus_packets = 30,
				   .payload_segments = 1 + seed % 4,
				   .payload_bytes = seed % 3 ? 300 : 4096 };
	struct kit *framed = kit_new(&cfg, 0), *bare = kit_new(&cfg, 0);
	struct pk base[2] = {
		{ .src = 9, .dst = 1, .sport = 40000, .dport = 443, .ipid = 1 },
		{ .src = 1, .dst = 9, .sport = 443, .dport = 40000, .ipid = 7001, .ttl = 50 },
	};
	uint32_t end[2] = { seed << 20, 0u - seed }, acked[2] = { end[1], end[0] }, said[2] = { 0 };
	uint64_t us = 0;

	state = seed;
	for (unsigned i = 0; i < PACKETS; i++) {
		uint8_t b[PK_MAX], opt[12];
		unsigned n = next_packet(b, base, end, acked, (uint32_t)(us / 4000), said, seed & 1,
					 opt);

		us += below(50) ? below(2000) : below(3000000);
		kit_bytes(framed, us, WEIR_LINK_ETHERNET, b, n, n);
		kit_bytes(bare, us, WEIR_LINK_IP, b + 14, n - 14, n - 14);
		assert_int_equal(framed->n, bare->n);
		if (framed->n)
			same_record(framed, bare, framed->n - 1);
	}
	host_engine_finish(framed->e);
	host_engine_finish(bare->e);
	assert_int_equal(framed->ended, 1);
	assert_int_equal(bare->ended, 1);
	assert_memory_equal(&framed->flow, &bare->flow, sizeof(framed->flow));
	assert_true(framed->flow.dir[0].quiet || framed->flow.dir[1].quiet ||
		    framed->n > PACKETS / 4);
	kit_free(framed);
	kit_free(bare);
}

static void both_ways(void **unused)
{
	for (uint32_t seed = 1; seed <= 60; seed++)
		connection(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_ways) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
