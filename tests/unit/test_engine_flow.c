// SPDX-License-Identifier: GPL-2.0-or-later
/* Flows: who is client, round trips, ICMP errors, five-tuples used again, and that every packet is counted once. */
#include "engine_kit.h"
#include "random.h"

/* The address that ends in last is the client's. */
static bool client_is(const struct kit *k, uint8_t last)
{
	const struct weir_rec *r = kit_last(k);
	const uint8_t *lo = (const uint8_t *)(r->dir == 0 ? r->saddr : r->daddr);
	const uint8_t *hi = (const uint8_t *)(r->dir == 0 ? r->daddr : r->saddr);

	return (r->client == WEIR_CLIENT_LO ? lo : hi)[15] == last;
}

static void who_is_client(void **state)
{
	static const struct {
		const char *name;
		struct pk pk;
		uint8_t client;
	} rows[] = {
		{ "SYN", { .src = 1, .dst = 9, .sport = 80, .dport = 50000, .flags = SYN }, 1 },
		{ "SYN to a high port", { .src = 9, .dst = 1, .sport = 80, .dport = 50000, .flags = SYN }, 9 },
		{ "SYN-ACK", { .src = 1, .dst = 9, .sport = 50000, .dport = 80, .flags = SYN | ACK }, 9 },
		{ "from the well-known port", { .src = 1, .dst = 9, .sport = 443, .dport = 50000, .flags = ACK }, 9 },
		{ "to the well-known port", { .src = 1, .dst = 9, .sport = 50000, .dport = 443, .flags = ACK }, 1 },
		{ "both are high: who sends first", { .src = 9, .dst = 1, .sport = 5000, .dport = 6000, .flags = ACK }, 9 },
		{ "from a port below the ephemeral ones", { .src = 9, .dst = 1, .sport = 5222, .dport = 40000, .flags = ACK }, 1 },
		{ "to a port below the ephemeral ones", { .src = 9, .dst = 1, .sport = 40000, .dport = 5222, .flags = ACK }, 9 },
		{ "both are low", { .src = 1, .dst = 9, .sport = 53, .dport = 123, .proto = UDP, .len = 20 }, 1 },
		{ "an answer of DNS", { .src = 1, .dst = 9, .sport = 53, .dport = 5353, .proto = UDP, .len = 20 }, 9 },
		{ "IPv6", { .v6 = true, .src = 1, .dst = 9, .sport = 443, .dport = 5000, .flags = ACK }, 9 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct kit *k = kit_new(NULL, 0);

		kit_packet(k, 0, &rows[i].pk);
		if (!client_is(k, rows[i].client))
			fail_msg("%s: the other one", rows[i].name);
		kit_free(k);
	}
}

/* A SYN seen late settles it, against ports and who was first. */
static void syn_settles(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct pk p = { .src = 1, .dst = 9, .sport = 443, .dport = 40000, .flags = ACK, .len = 10 };

	kit_packet(k, 0, &p);
	assert_true(client_is(k, 9));
	p.flags = SYN;
	kit_packet(k, 100, &p);
	assert_true(client_is(k, 1));
	kit_free(k);
}

static void handshake(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct kit *k = kit_new(NULL, 0);
		struct tcp t = tcp_new(k, v6);
		const struct weir_rec *r;

		r = tcp_seg(&t, 0, CLIENT, SYN, CISN, 0, 0);
		assert_true(r->flags & WEIR_REC_NEW);
		r = tcp_seg(&t, 20000, SERVER, SYN | ACK, SISN, CISN + 1, 0);
		assert_false(r->flags & (WEIR_REC_NEW | WEIR_REC_HANDSHAKE));
		assert_int_equal(r->rtt_us, 20000); /* us -> server -> us */
		assert_int_equal(r->ack_age_us, 20000);
		assert_int_equal(r->peer_age_us, 20000);
		assert_int_equal(r->peer_end, CISN + 1);
		r = tcp_seg(&t, 30000, CLIENT, ACK, CISN + 1, SISN + 1, 0);
		assert_true(r->flags & WEIR_REC_HANDSHAKE);
		assert_int_equal(r->rtt_us, 10000); /* us -> client -> us */
		assert_int_equal(r->rtt_peer_us, 20000);
		assert_int_equal(r->own_pkts, 1);
		assert_int_equal(r->peer_pkts, 1);
		r = tcp_seg(&t, 31000, CLIENT, ACK, CISN + 1, SISN + 1, 10);
		assert_false(r->flags & WEIR_REC_HANDSHAKE);
		assert_int_equal(r->peer_ack, CISN + 1);
		assert_int_equal(r->own_ack, SISN + 1);
		host_engine_finish(k->e);
		assert_int_equal(k->flow.handshake_us, 30000);
		assert_int_equal(k->flow.cold[tcp_dir(k, CLIENT)].isn, CISN);
		assert_int_equal(k->flow.cold[tcp_dir(k, SERVER)].isn, SISN);
		kit_free(k);
	}
}

/* A SYN sent again: the handshake counts from the one that was answered. */
static void syn_again(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, false);

	tcp_seg(&t, 0, CLIENT, SYN, CISN, 0, 0);
	tcp_seg(&t, 1000000, CLIENT, SYN, CISN, 0, 0);
	assert_int_equal(kit_last(k)->label, WEIR_RETX_SEEN);
	tcp_seg(&t, 1020000, SERVER, SYN | ACK, SISN, CISN + 1, 0);
	assert_int_equal(kit_last(k)->rtt_us, 0); /* Karn: which of them is answered can't be told */
	tcp_seg(&t, 1030000, CLIENT, ACK, CISN + 1, SISN + 1, 0);
	host_engine_finish(k->e);
	assert_int_equal(k->flow.handshake_us, 30000);
	kit_free(k);
}

static void rtt_by_sequence(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, false);
	const struct weir_rec *r;

	tcp_open(&t);
	tcp_seg(&t, 40000, SERVER, ACK, SISN + 1, CISN + 1, 1000);
	tcp_seg(&t, 40100, SERVER, ACK, SISN + 1001, CISN + 1, 1000);
	r = tcp_seg(&t, 52000, CLIENT, ACK, CISN + 1, SISN + 1001, 0);
	assert_int_equal(r->rtt_us, 12000);
	r = tcp_seg(&t, 52100, CLIENT, ACK, CISN + 1, SISN + 1001, 0); /* once only */
	assert_int_equal(r->rtt_us, 0);
	tcp_seg(&t, 60000, SERVER, ACK, SISN + 2001, CISN + 1, 1000);
	r = tcp_seg(&t, 67000, CLIENT, ACK, CISN + 1, SISN + 2001, 0); /* of a segment that nobody timed */
	assert_int_equal(r->rtt_us, 0);
	tcp_seg(&t, 200000, SERVER, ACK, SISN + 3001, CISN + 1, 1000);
	tcp_seg(&t, 210000, SERVER, ACK, SISN + 3001, CISN + 1, 1000); /* Karn */
	r = tcp_seg(&t, 211000, CLIENT, ACK, CISN + 1, SISN + 4001, 0);
	assert_int_equal(r->rtt_us, 0);
	tcp_seg(&t, 300000, SERVER, ACK, SISN + 4001, CISN + 1, 1000);
	r = tcp_seg(&t, 308000, CLIENT, ACK, CISN + 1, SISN + 5001, 0);
	assert_int_equal(r->rtt_us, 8000);
	host_engine_finish(k->e);
	assert_int_equal(k->flow.dir[tcp_dir(k, CLIENT)].rtt_min_us, 8000);
	assert_int_equal(k->flow.dir[tcp_dir(k, SERVER)].rtt_min_us, 20000);
	kit_free(k);
}

/* A receiver's pure ACK comes back as TSecr with the sender's next data: the path to the sender. */
static void rtt_by_timestamps(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, true);
	const struct weir_rec *r;

	t.ts = true;
	t.tsval[CLIENT] = 5000;
	t.tsval[SERVER] = 9000;
	tcp_seg(&t, 0, CLIENT, SYN, CISN, 0, 0);
	tcp_seg(&t, 20000, SERVER, SYN | ACK, SISN, CISN + 1, 0);
	t.tsval[CLIENT] = 5003;
	tcp_seg(&t, 30000, CLIENT, ACK, CISN + 1, SISN + 1, 0);
	r = tcp_seg(&t, 40000, SERVER, ACK, SISN + 1, CISN + 1, 1000); /* echoes the handshake's ACK */
	assert_int_equal(r->rtt_us, 10000);
	t.tsval[CLIENT] = 5010;
	tcp_seg(&t, 50000, CLIENT, ACK, CISN + 1, SISN + 1001, 0);
	t.tsval[SERVER] = 9030;
	r = tcp_seg(&t, 75000, SERVER, ACK, SISN + 1001, CISN + 1, 1000);
	assert_int_equal(r->rtt_us, 25000);
	assert_int_equal(r->tsecr, 5010);
	r = tcp_seg(&t, 75100, SERVER, ACK, SISN + 2001, CISN + 1, 1000); /* the same echo, and an ACK long timed */
	assert_int_equal(r->rtt_us, 0);
	r = tcp_seg(&t, 75200, SERVER, ACK, SISN + 3001, CISN + 1, 1000);
	assert_int_equal(r->rtt_us, 0);
	/* A TSval is timed from when it first passed, or not at all: data carried this one before. */
	t.tsval[CLIENT] = 5100;
	tcp_seg(&t, 200000, CLIENT, ACK, CISN + 1, SISN + 4001, 500);
	tcp_seg(&t, 222000, CLIENT, ACK, CISN + 501, SISN + 4001, 0);
	r = tcp_seg(&t, 226000, SERVER, ACK, SISN + 4001, CISN + 1, 1000);
	assert_int_equal(r->rtt_us, 0);
	t.tsval[CLIENT] = 5200;
	tcp_seg(&t, 300000, CLIENT, ACK, CISN + 1, SISN + 4001, 500); /* again */
	tcp_seg(&t, 323000, CLIENT, ACK, CISN + 501, SISN + 5001, 0);
	r = tcp_seg(&t, 326000, SERVER, ACK, SISN + 5001, CISN + 1, 1000);
	assert_int_equal(r->rtt_us, 0);
	host_engine_finish(k->e);
	assert_int_equal(k->flow.dir[tcp_dir(k, SERVER)].rtt_min_us, 10000);
	assert_true(k->flow.dir[0].flags & k->flow.dir[1].flags & WEIR_DIR_TS);
	kit_free(k);
}

/* An ACK of what was never sent is not believed, the first one neither. */
static void impossible_ack(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, false);
	const struct weir_rec *r;

	tcp_seg(&t, 0, SERVER, ACK, SISN, CISN, 1000);
	tcp_seg(&t, 10, CLIENT, ACK, CISN, SISN + 900000, 10);
	tcp_seg(&t, 20000, CLIENT, ACK, CISN + 10, SISN + 500, 0);
	r = tcp_seg(&t, 300000, SERVER, ACK, SISN + 500, CISN, 500);
	assert_int_equal(r->label, WEIR_RETX_SEEN);
	assert_int_equal(r->peer_ack, SISN + 500);
	kit_free(k);
}

/* IP, transport and error header of an ICMP error about quoted; returns its length. */
static unsigned icmp_about(uint8_t *b, const struct pk *quoted, unsigned type, unsigned code, unsigned keep)
{
	uint8_t body[PK_MAX] = { (uint8_t)type, (uint8_t)code };
	struct pk inner = *quoted, outer = { .link = PK_NONE, .v6 = quoted->v6, .src = 77, .dst = quoted->src,
					     .proto = quoted->v6 ? ICMP6 : ICMP4, .ttl = 60, .ipid = 99 };
	unsigned n;

	inner.link = PK_NONE;
	n = pk_build(body + 8, &inner);
	outer.data = body;
	outer.len = 8 + (keep && keep < n ? keep : n);
	return pk_build(b, &outer);
}

static void icmp_errors(void **state)
{
	static const struct {
		const char *name;
		unsigned type4, code4, type6, code6, keep;
		bool tied;
	} rows[] = {
		{ "port unreachable", 3, 3, 1, 4, 0, true },
		{ "too big", 3, 4, 2, 0, 0, true },
		{ "time exceeded", 11, 0, 3, 0, 0, true },
		{ "parameter problem", 12, 0, 4, 1, 0, true },
		{ "echo", 8, 0, 128, 0, 0, false },
		{ "redirect", 5, 1, 137, 0, 0, false },
		{ "header and 8 bytes", 3, 1, 1, 0, 48, true },
		{ "header and 7 bytes", 3, 1, 1, 0, 27, false },
		{ "half a header", 3, 1, 1, 0, 12, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct kit *k = kit_new(NULL, 0);
			struct pk q = { .link = PK_NONE, .v6 = v6, .src = 9, .dst = 1, .sport = 40000, .dport = 443,
					.flags = SYN, .seq = 5, .ttl = 2 };
			uint64_t id = kit_packet(k, 0, &q)->flow_id;
			uint8_t b[PK_MAX];
			unsigned keep = rows[i].keep == 48 && !v6 ? 28 : rows[i].keep;
			unsigned n = icmp_about(b, &q, v6 ? rows[i].type6 : rows[i].type4,
						v6 ? rows[i].code6 : rows[i].code4, keep), found = 0;

			kit_bytes(k, 3000, WEIR_LINK_IP, b, n, n);
			for (unsigned x = 0; x < k->n; x++) {
				const struct weir_rec *r = &k->rec[x];

				if (r->kind != WEIR_REC_ICMP)
					continue;
				found++;
				assert_int_equal(r->flow_id, id);
				assert_int_equal(r->seq, v6 ? rows[i].type6 << 8 | rows[i].code6 :
							      rows[i].type4 << 8 | rows[i].code4);
				assert_int_equal(r->ack, 2);
				assert_int_equal(r->ttl, 60);
				assert_int_equal(r->proto, 6);
				assert_int_equal(r->sport, 40000);
				assert_int_equal(((const uint8_t *)r->saddr)[15], 9);
			}
			if (found != rows[i].tied)
				fail_msg("%s, IPv%d: %u records", rows[i].name, v6 ? 6 : 4, found);
			assert_int_equal(kit_counters(k).in_flows, 2); /* the error is a packet of its own flow */
			kit_free(k);
		}
	}
}

/* An error about a flow that we don't have is no more than a packet. */
static void icmp_of_nobody(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct pk q = { .src = 9, .dst = 1, .sport = 40000, .dport = 443, .flags = SYN };
	uint8_t b[PK_MAX];
	unsigned n = icmp_about(b, &q, 3, 3, 0);

	kit_bytes(k, 0, WEIR_LINK_IP, b, n, n);
	assert_int_equal(k->n, 1);
	assert_int_equal(kit_last(k)->kind, WEIR_REC_PACKET);
	assert_int_equal(kit_last(k)->l7, WEIR_L7_ICMP);
	kit_free(k);
}

/* A new connection on the same five-tuple: the old one's counters go along with the word of it. */
static void used_again(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, false);
	struct weir_flow old;
	uint64_t id;

	tcp_open(&t);
	id = kit_last(k)->flow_id;
	tcp_seg(&t, 40000, CLIENT, FIN | ACK, CISN + 1, SISN + 1, 0);
	tcp_seg(&t, 60000, SERVER, FIN | ACK, SISN + 1, CISN + 2, 0);
	tcp_seg(&t, 70000, CLIENT, SYN, CISN, 0, 0); /* the very SYN again: not a new one */
	assert_int_equal(k->reused, 0);
	tcp_seg(&t, 80000, CLIENT, SYN, 777777, 0, 0);
	assert_int_equal(k->reused, 1);
	assert_int_equal(k->old.id, id);
	assert_int_equal(k->old.dir[0].packets + k->old.dir[1].packets, 6);
	assert_int_equal(kit_counters(k).reused_packets, 6);
	assert_int_equal(kit_counters(k).flows, 2);
	assert_true(kit_last(k)->flags & WEIR_REC_NEW);
	assert_true(kit_last(k)->flow_id != id);
	assert_int_equal(kit_last(k)->own_pkts, 0);
	old = k->old;
	assert_int_equal(old.handshake_us, 30000);
	host_engine_finish(k->e);
	assert_int_equal(k->flow.dir[0].packets + k->flow.dir[1].packets, 1);
	kit_free(k);
}

/* Other ways to begin anew, and what isn't one. */
static void when_used_again(void **state)
{
	static const struct {
		const char *name;
		unsigned before; /* flags of the server's last packet; 0: none */
		uint64_t at_us;	 /* of the SYN */
		uint32_t seq;
		unsigned flags;
		bool reuse;
	} rows[] = {
		{ "after a reset", RST, 40000, 99, SYN, true },
		{ "open, but idle for over a second", 0, 1100000, 99, SYN, true },
		{ "open and busy: a SYN out of nowhere", 0, 40000, 99, SYN, false },
		{ "the first SYN again, late", 0, 3000000, CISN, SYN, false },
		{ "a SYN-ACK", RST, 40000, 99, SYN | ACK, false },
		{ "no SYN", RST, 40000, 99, ACK, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct kit *k = kit_new(NULL, 0);
		struct tcp t = tcp_new(k, i & 1);

		tcp_open(&t);
		if (rows[i].before)
			tcp_seg(&t, 35000, SERVER, rows[i].before, SISN + 1, 0, 0);
		tcp_seg(&t, rows[i].at_us, CLIENT, rows[i].flags, rows[i].seq, 0, 0);
		if (k->reused != rows[i].reuse)
			fail_msg("%s", rows[i].name);
		kit_free(k);
	}
}

/* A full table: the longest idle flow goes, its counters are not lost. */
static void eviction(void **state)
{
	struct kit *k = kit_new(NULL, 100);
	struct pk p = { .src = 9, .dst = 1, .sport = 1, .dport = 443, .flags = SYN };

	for (unsigned i = 0; i < 1000; i++) {
		p.sport = (uint16_t)(1024 + i);
		p.v6 = i % 3 == 0;
		kit_packet(k, 10 * i, &p);
		if (i >= 100 && i % 7 == 0) {
			p.sport = (uint16_t)(1024 + i - 50); /* one that is used goes last */
			p.v6 = (i - 50) % 3 == 0;
			kit_packet(k, 10 * i + 5, &p);
		}
	}
	assert_int_equal(kit_counters(k).flows, k->evicted + 100);
	assert_true(k->evicted >= 900);
	kit_free(k);
}

/* Idle flows end: closed ones after 5 s, UDP after 120 s, TCP after 300 s. */
static void expiry(void **state)
{
	struct kit *k = kit_new(NULL, 0);
	struct tcp t = tcp_new(k, false);
	struct pk udp = { .src = 9, .dst = 1, .sport = 5000, .dport = 6000, .proto = UDP, .len = 5 };
	struct pk other = { .src = 8, .dst = 1, .sport = 5000, .dport = 443, .flags = ACK, .len = 5 };

	tcp_open(&t);
	tcp_seg(&t, 40000, SERVER, RST, SISN + 1, 0, 0);
	kit_packet(k, 40001, &udp);
	kit_packet(k, 40002, &other);
	host_engine_expire(k->e, KIT_START + 5000000000ull);
	assert_int_equal(k->ended, 0);
	host_engine_expire(k->e, KIT_START + 5041000000ull);
	assert_int_equal(k->ended, 1);
	assert_int_equal(k->why, END_RST);
	host_engine_expire(k->e, KIT_START + 121000000000ull);
	assert_int_equal(k->ended, 2);
	assert_int_equal(k->key.proto, UDP);
	assert_int_equal(k->why, END_TIMEOUT);
	host_engine_expire(k->e, KIT_START + 301000000000ull);
	assert_int_equal(k->ended, 3);
	kit_free(k);
}

/* Each ends in the second in which it is due, whoever stood before it; told by a plain list of last packets. */
static void expiry_of_many(void **state)
{
	enum { MANY = 200 };
	struct kit *k = kit_new(NULL, 64); /* the longest idle ones must go */
	struct {
		uint64_t us;
		bool alive, closed, udp;
	} f[MANY] = { 0 };
	seed = 5;
	for (unsigned s = 1; s <= 1500; s++) {
		unsigned due = 0, alive = 0, before;

		for (unsigned n = (unsigned)(uniform() * 4); n; n--) {
			unsigned i = (unsigned)(uniform() * MANY), oldest = MANY;
			struct pk p = { .src = 9, .dst = 1, .sport = (uint16_t)(3000 + i), .dport = 443, .flags = ACK, .len = 5 };

			if (!f[i].alive) {
				alive = 0;
				for (unsigned j = 0; j < MANY; j++) {
					alive += f[j].alive;
					if (f[j].alive && (oldest == MANY || f[j].us < f[oldest].us))
						oldest = j;
				}
				if (alive == 64)
					f[oldest].alive = false;
				f[i].alive = true;
				f[i].closed = false;
				f[i].udp = i % 3 == 0;
			}
			if (f[i].udp)
				p.proto = UDP, p.flags = 0;
			else if (uniform() < .1)
				p.flags = RST, p.len = 0, f[i].closed = true;
			f[i].us = 1000000ull * s - n * 100000 + i;
			kit_packet(k, f[i].us, &p);
		}
		for (unsigned i = 0; i < MANY; i++) {
			uint64_t idle = 1000000ull * s - f[i].us;

			if (f[i].alive && (idle >= 300000000 || (f[i].udp && idle >= 120000000) || (f[i].closed && idle >= 5000000)))
				f[i].alive = false, due++;
		}
		before = k->ended;
		host_engine_expire(k->e, KIT_START + 1000000000ull * s);
		assert_int_equal(k->ended - before, due);
	}
	kit_free(k);
}

/* The same bytes give the same ids, and other packets others. */
static void ids(void **state)
{
	struct pk p = { .src = 9, .dst = 1, .sport = 5000, .dport = 443, .flags = SYN };
	uint64_t seen[64];

	for (unsigned i = 0; i < 64; i++) {
		struct kit *k = kit_new(NULL, 0);

		p.sport = (uint16_t)(5000 + i % 32);
		p.v6 = i % 32 >= 16;
		seen[i] = kit_packet(k, 7, &p)->flow_id;
		for (unsigned x = 0; x < i; x++)
			assert_int_equal(seen[x] == seen[i], x + 32 == i);
		kit_free(k);
	}
}

/* Of flows that begin as far apart in time as their addresses are, bit for bit. */
static void ids_of_a_flood(void **state)
{
	static uint8_t b[PK_MAX];

	for (unsigned bit = 0; bit < 8; bit++) {
		struct pk p = { .src = 128, .dst = 1, .sport = 5000, .dport = 443, .flags = SYN };
		uint64_t at = KIT_START & ~0xffffffffull, first;
		struct kit *k = kit_new(NULL, 0);
		unsigned n = pk_build(b, &p);

		host_engine_packet(k->e, WEIR_LINK_ETHERNET, b, n, n, at);
		first = kit_last(k)->flow_id;
		p.src ^= 1 << bit;
		/* the address's last byte is the highest of the word it is read as */
		at ^= 1ull << (24 + bit);
		pk_build(b, &p);
		host_engine_packet(k->e, WEIR_LINK_ETHERNET, b, n, n, at);
		assert_int_equal(k->n, 2);
		assert_int_not_equal(kit_last(k)->flow_id, first);
		kit_free(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_client), cmocka_unit_test(syn_settles), cmocka_unit_test(handshake),
		cmocka_unit_test(syn_again), cmocka_unit_test(rtt_by_sequence), cmocka_unit_test(rtt_by_timestamps),
		cmocka_unit_test(impossible_ack), cmocka_unit_test(icmp_errors), cmocka_unit_test(icmp_of_nobody),
		cmocka_unit_test(used_again), cmocka_unit_test(when_used_again), cmocka_unit_test(eviction),
		cmocka_unit_test(expiry),
		cmocka_unit_test(expiry_of_many), cmocka_unit_test(ids), cmocka_unit_test(ids_of_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
