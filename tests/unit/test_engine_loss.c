// SPDX-License-Identifier: GPL-2.0-or-later
/* What a TCP segment is (bpf/loss.h): in order, a hole, its filler by loss or reordering, a duplicate, sent again. */
#include "engine_kit.h"

#define RTT_US 30000 /* of tcp_open(): 20 ms to the server, 10 ms to the client */

static const char *const names[WEIR_LABELS] = { "in order", "hole", "fill", "seen", "acked", "reorder", "duplicate", "keepalive" };

#define expect(rec, want)                                                                           \
	do {                                                                                        \
		const struct weir_rec *r_ = (rec);                                                  \
		if (r_->label != (want))                                                            \
			fail_msg("%s, wanted %s", names[r_->label], names[want]);                   \
	} while (0)

/* Data of the server's: its bytes from..from+len of the stream. */
static const struct weir_rec *data(struct tcp *t, uint64_t us, uint32_t from, unsigned len)
{
	return tcp_seg(t, us, SERVER, ACK, SISN + 1 + from, CISN + 1, len);
}

/* The client has all up to upto. */
static const struct weir_rec *ack(struct tcp *t, uint64_t us, uint32_t upto)
{
	return tcp_seg(t, us, CLIENT, ACK, CISN + 1, SISN + 1 + upto, 0);
}

/* Ends everything; the server's counters. */
static struct weir_dir_cold finish(struct kit *k, struct weir_dir *d)
{
	struct weir_dir_cold c;
	int dir;

	host_engine_finish(k->e);
	dir = tcp_dir(k, SERVER);
	c = k->flow.cold[dir];
	if (d)
		*d = k->flow.dir[dir];
	kit_free(k);
	return c;
}

static struct tcp begin(bool v6, bool ts)
{
	struct tcp t = tcp_new(kit_new(NULL, 0), v6);

	t.ts = ts;
	t.tsval[CLIENT] = 100;
	t.tsval[SERVER] = 900;
	tcp_open(&t);
	return t;
}

static void in_order(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;
	struct weir_dir d;

	for (unsigned i = 0; i < 20; i++) {
		expect(data(&t, 40000 + 1000 * i, 1000 * i, 1000), WEIR_IN_ORDER);
		expect(ack(&t, 40500 + 1000 * i, 1000 * i + 1000), WEIR_IN_ORDER);
	}
	c = finish(t.k, &d);
	assert_int_equal(c.retx + c.lost_before + c.lost_after + c.reordered + c.duplicated + c.loss_events, 0);
	assert_int_equal(d.data_packets, 20);
	assert_int_equal(d.end, SISN + 20001);
}

/* A hole that is filled a round trip later was lost before us. */
static void lost_before(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;
	const struct weir_rec *r;

	data(&t, 40000, 0, 1000);
	expect(data(&t, 40100, 2000, 1000), WEIR_HOLE);
	expect(data(&t, 40200, 3000, 1000), WEIR_IN_ORDER);
	r = data(&t, 40100 + RTT_US, 1000, 1000);
	expect(r, WEIR_RETX_FILL);
	assert_int_equal(r->hole_age_us, RTT_US);
	expect(data(&t, 80000, 4000, 1000), WEIR_IN_ORDER);
	c = finish(t.k, NULL);
	assert_int_equal(c.lost_before, 1);
	assert_int_equal(c.retx, 1);
	assert_int_equal(c.lost_after, 0);
	assert_int_equal(c.loss_events, 1); /* the hole and its filler are one loss */
}

/* The last of a burst is lost: an acknowledgment's own number tells, long before it is sent again. */
static void lost_tail(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	expect(tcp_seg(&t, 50000, SERVER, ACK, SISN + 2001, CISN + 101, 0), WEIR_HOLE);
	expect(tcp_seg(&t, 50100, SERVER, ACK, SISN + 2001, CISN + 201, 0), WEIR_IN_ORDER);
	expect(data(&t, 50200, 1000, 1000), WEIR_RETX_FILL); /* soon: the loss was before the hole was seen */
	expect(data(&t, 50300, 2000, 1000), WEIR_IN_ORDER);
	expect(tcp_seg(&t, 60000, SERVER, ACK, SISN + 4001, CISN + 201, 0), WEIR_HOLE);
	t.base[SERVER].ipid -= 2;
	expect(data(&t, 60010, 3000, 1000), WEIR_REORDER); /* overtaken, as its IP-ID says */
	c = finish(t.k, NULL);
	assert_int_equal(c.lost_before, 1);
	assert_int_equal(c.retx, 1);
}

/* Without timestamps the hole's age tells: below half a round trip nobody can have sent it again. */
static void reordered(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	expect(data(&t, 40100, 2000, 1000), WEIR_HOLE);
	expect(data(&t, 40100 + RTT_US / 2 - 1, 1000, 1000), WEIR_REORDER);
	c = finish(t.k, NULL);
	assert_int_equal(c.reordered, 1);
	assert_int_equal(c.retx, 0);
	assert_int_equal(c.lost_before, 0);
}

/* With timestamps the sender's clock tells, whatever the hole's age. */
static void reordered_by_timestamps(void **state)
{
	struct tcp t = begin(false, true);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	t.tsval[SERVER] = 905;
	expect(data(&t, 40100, 2000, 1000), WEIR_HOLE);
	t.tsval[SERVER] = 904; /* sent before the hole's opener, came 100 ms after it */
	expect(data(&t, 140000, 1000, 1000), WEIR_REORDER);
	t.tsval[SERVER] = 1100;
	expect(data(&t, 240000, 4000, 1000), WEIR_HOLE);
	t.tsval[SERVER] = 1105; /* sent after it, and soon: the sender was told by others */
	expect(data(&t, 241000, 3000, 1000), WEIR_RETX_FILL);
	t.tsval[SERVER] = 1200; /* the same tick: the age decides */
	expect(data(&t, 340000, 6000, 1000), WEIR_HOLE);
	expect(data(&t, 340300, 5000, 1000), WEIR_REORDER);
	c = finish(t.k, NULL);
	assert_int_equal(c.reordered, 2);
	assert_int_equal(c.lost_before, 1);
}

/* The network's copy: the same IP-ID right behind it; in IPv6 within 0.2 ms. */
static void duplicates(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct tcp t = begin(v6, false);
		struct weir_dir_cold c;

		data(&t, 40000, 0, 1000);
		t.base[SERVER].ipid--;
		expect(data(&t, 40150, 0, 1000), WEIR_DUPLICATE);
		expect(data(&t, 40300, 1000, 1000), WEIR_IN_ORDER);
		t.base[SERVER].ipid += 5; /* another ID, and later than 0.2 ms: another sending */
		expect(data(&t, 41300, 1000, 1000), WEIR_RETX_SEEN);
		c = finish(t.k, NULL);
		assert_int_equal(c.duplicated, 1);
		assert_int_equal(c.retx, 1);
	}
}

/* Copies that come behind others, a whole burst twice: their IP-IDs were passed. */
static void burst_duplicated(void **state)
{
	struct tcp t = begin(false, false);
	uint16_t first = t.base[SERVER].ipid, next;
	struct weir_dir_cold c;

	for (unsigned i = 0; i < 10; i++)
		expect(data(&t, 40000 + 10 * i, 1000 * i, 1000), WEIR_IN_ORDER);
	next = t.base[SERVER].ipid;
	for (unsigned i = 0; i < 10; i++) {
		t.base[SERVER].ipid = (uint16_t)(first + i);
		expect(data(&t, 40200 + 10 * i, 1000 * i, 1000), WEIR_DUPLICATE);
	}
	t.base[SERVER].ipid = next; /* the same bytes under a new ID: sent again */
	expect(data(&t, 40400, 0, 1000), WEIR_RETX_SEEN);
	c = finish(t.k, NULL);
	assert_int_equal(c.duplicated, 10);
	assert_int_equal(c.retx, 1);
}

/* A filler whose IP-ID was given before the opener's is late, however old the hole; 0 says nothing. */
static void reordered_by_ip_id(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	t.base[SERVER].ipid = 3;
	expect(data(&t, 40100, 2000, 1000), WEIR_HOLE);
	t.base[SERVER].ipid = 0xfffe; /* five before, across the wrap */
	expect(data(&t, 140000, 1000, 1000), WEIR_REORDER);
	t.base[SERVER].ipid = 500;
	expect(data(&t, 240000, 4000, 1000), WEIR_HOLE);
	t.base[SERVER].ipid = 501;
	expect(data(&t, 340000, 3000, 1000), WEIR_RETX_FILL);
	t.base[SERVER].ipid = 0;
	expect(data(&t, 440000, 6000, 1000), WEIR_HOLE);
	t.base[SERVER].ipid = 0;
	expect(data(&t, 540000, 5000, 1000), WEIR_RETX_FILL);
	c = finish(t.k, NULL);
	assert_int_equal(c.reordered, 1);
	assert_int_equal(c.lost_before, 2);
}

static void sent_again(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	data(&t, 40100, 1000, 1000);
	ack(&t, 45000, 1000);
	expect(data(&t, 240000, 1000, 1000), WEIR_RETX_SEEN);	/* passed us, not acknowledged */
	expect(data(&t, 250000, 0, 1000), WEIR_RETX_ACKED);	/* not needed */
	expect(data(&t, 260000, 1500, 1000), WEIR_RETX_SEEN);	/* half old, half new */
	expect(data(&t, 270000, 2500, 1000), WEIR_IN_ORDER);
	c = finish(t.k, NULL);
	assert_int_equal(c.retx, 3);
	assert_int_equal(c.lost_after, 2);
	assert_int_equal(c.spurious, 1);
	assert_int_equal(c.lost_before, 0);
}

static const struct weir_rec *dsack(struct tcp *t, uint64_t us, uint32_t upto, uint32_t from, uint32_t to)
{
	struct pk p = t->base[CLIENT];
	uint8_t opt[12] = { 1, 1, 5, 10 };

	put32(opt + 4, SISN + 1 + from);
	put32(opt + 8, SISN + 1 + to);
	p.flags = ACK;
	p.seq = CISN + 1;
	p.ack = SISN + 1 + upto;
	p.opt = opt;
	p.nopt = 12;
	return kit_packet(t->k, us, &p);
}

/* RFC 2883: the receiver had both, so nothing was lost after us. */
static void taken_back(void **state)
{
	struct tcp t = begin(false, false);
	const struct weir_rec *r;
	struct weir_flow f;
	int s;

	data(&t, 40000, 0, 1000);
	data(&t, 40100, 1000, 1000);
	expect(data(&t, 240000, 0, 1000), WEIR_RETX_SEEN);
	expect(data(&t, 240100, 1000, 1000), WEIR_RETX_SEEN);
	r = dsack(&t, 260000, 2000, 0, 1000);
	assert_true(r->flags & WEIR_REC_DSACK);
	assert_int_equal(r->nsack, 1);
	assert_int_equal(r->sack[0][0], SISN + 1);
	r = dsack(&t, 260100, 2000, 3000, 4000); /* beyond the ACK: a plain SACK */
	assert_false(r->flags & WEIR_REC_DSACK);
	host_engine_finish(t.k->e);
	s = tcp_dir(t.k, SERVER);
	f = t.k->flow;
	assert_int_equal(f.cold[s].lost_after, 1);
	assert_int_equal(f.cold[s].retx, 2);
	assert_int_equal(f.cold[!s].dsacks, 1);
	kit_free(t.k);
}

static void keepalives(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	ack(&t, 41000, 1000);
	expect(tcp_seg(&t, 60000000, SERVER, ACK, SISN + 1000, CISN + 1, 0), WEIR_KEEPALIVE);
	expect(tcp_seg(&t, 120000000, SERVER, ACK, SISN + 1000, CISN + 1, 1), WEIR_KEEPALIVE); /* with a byte */
	expect(data(&t, 130000000, 1000, 1000), WEIR_IN_ORDER);
	expect(tcp_seg(&t, 190000000, SERVER, ACK, SISN + 2000, CISN + 1, 0), WEIR_IN_ORDER); /* 1,000 unacknowledged */
	c = finish(t.k, NULL);
	assert_int_equal(c.keepalives, 2);
	assert_int_equal(c.retx, 0);
}

/* Sequence numbers wrap in the middle of a hole. */
static void wraps(void **state)
{
	struct tcp t = tcp_new(kit_new(NULL, 0), false);
	uint32_t isn = 0xfffffa00;
	struct weir_dir_cold c;
	struct weir_dir d;

	tcp_seg(&t, 0, CLIENT, SYN, CISN, 0, 0);
	tcp_seg(&t, 20000, SERVER, SYN | ACK, isn, CISN + 1, 0);
	tcp_seg(&t, 30000, CLIENT, ACK, CISN + 1, isn + 1, 0);
	expect(tcp_seg(&t, 40000, SERVER, ACK, isn + 1, CISN + 1, 1000), WEIR_IN_ORDER);
	expect(tcp_seg(&t, 40100, SERVER, ACK, isn + 2001, CISN + 1, 1000), WEIR_HOLE); /* 1,001..2,001 spans 0 */
	expect(tcp_seg(&t, 40200, SERVER, ACK, isn + 3001, CISN + 1, 1000), WEIR_IN_ORDER);
	expect(tcp_seg(&t, 80000, SERVER, ACK, isn + 1001, CISN + 1, 1000), WEIR_RETX_FILL);
	tcp_seg(&t, 81000, CLIENT, ACK, CISN + 1, isn + 4001, 0);
	expect(tcp_seg(&t, 90000, SERVER, ACK, isn + 1001, CISN + 1, 1000), WEIR_RETX_ACKED);
	c = finish(t.k, &d);
	assert_int_equal(c.lost_before, 1);
	assert_int_equal(d.end, isn + 4001);
}

/* Parts of a hole: from its front, its end, its middle, and beyond both its ends. */
static void parts_of_a_hole(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;
	struct weir_dir d;

	data(&t, 40000, 0, 1000);
	expect(data(&t, 40100, 6000, 1000), WEIR_HOLE); /* 1,000..6,000 is missing */
	expect(data(&t, 100000, 1000, 500), WEIR_RETX_FILL);
	expect(data(&t, 100100, 5500, 500), WEIR_RETX_FILL);
	expect(data(&t, 100200, 3000, 500), WEIR_RETX_FILL); /* left: 1,500..3,000 and 3,500..5,500 */
	expect(data(&t, 100300, 3000, 500), WEIR_RETX_SEEN);
	expect(data(&t, 100400, 1000, 2500), WEIR_RETX_FILL);
	expect(data(&t, 100500, 3000, 3000), WEIR_RETX_FILL);
	expect(data(&t, 100600, 1500, 1500), WEIR_RETX_SEEN);
	expect(data(&t, 100700, 3500, 2000), WEIR_RETX_SEEN);
	expect(data(&t, 100800, 7000, 1000), WEIR_IN_ORDER);
	c = finish(t.k, &d);
	assert_int_equal(c.lost_before, 5);
	assert_int_equal(c.lost_after, 3);
	assert_false(d.flags & WEIR_DIR_LOSSY); /* every hole is closed, and the table's entry given back */
}

/* One segment that fills two holes at once (a sender that repacks) leaves none behind. */
static void two_holes_at_once(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir d;

	data(&t, 40000, 0, 1000);
	expect(data(&t, 40100, 2000, 1000), WEIR_HOLE);
	expect(data(&t, 40200, 4000, 1000), WEIR_HOLE);
	expect(data(&t, 100000, 1000, 3000), WEIR_RETX_FILL);
	expect(data(&t, 200000, 3000, 1000), WEIR_RETX_SEEN);
	finish(t.k, &d);
	assert_false(d.flags & WEIR_DIR_LOSSY);
}

/* More holes than are followed one by one: the fillers of all are known, and what was there is told from them. */
static void many_holes(void **state)
{
	struct tcp t = begin(false, false);
	unsigned holes = 3 * WEIR_MAX_HOLES;
	struct weir_dir_cold c;
	struct weir_dir d;

	data(&t, 40000, 0, 1000);
	for (unsigned i = 0; i < holes; i++)
		expect(data(&t, 40100 + i, 2000 + 2000 * i, 1000), WEIR_HOLE);
	expect(data(&t, 90000, 0, 1000), WEIR_RETX_SEEN);
	for (unsigned i = 0; i < holes; i++)
		expect(data(&t, 100000 + i, 1000 + 2000 * i, 1000), WEIR_RETX_FILL);
	expect(data(&t, 190000, 4000, 1000), WEIR_RETX_SEEN);
	c = finish(t.k, &d);
	assert_int_equal(c.lost_before, holes);
	assert_int_equal(c.lost_after, 2);
	assert_false(d.flags & WEIR_DIR_LOSSY); /* nothing is left of them */
}

/* Both directions lose on their own. */
static void both_directions(void **state)
{
	struct tcp t = begin(true, false);
	struct weir_flow f;
	int s;

	data(&t, 40000, 0, 1000);
	data(&t, 40100, 2000, 1000);
	tcp_seg(&t, 40200, CLIENT, ACK, CISN + 1, SISN + 1001, 100);
	expect(tcp_seg(&t, 40300, CLIENT, ACK, CISN + 201, SISN + 1001, 100), WEIR_HOLE);
	expect(data(&t, 100000, 1000, 1000), WEIR_RETX_FILL);
	expect(tcp_seg(&t, 100100, CLIENT, ACK, CISN + 101, SISN + 3001, 100), WEIR_RETX_FILL);
	host_engine_finish(t.k->e);
	s = tcp_dir(t.k, SERVER);
	f = t.k->flow;
	assert_int_equal(f.cold[s].lost_before, 1);
	assert_int_equal(f.cold[!s].lost_before, 1);
	assert_false((f.dir[0].flags | f.dir[1].flags) & WEIR_DIR_LOSSY);
	kit_free(t.k);
}

/* A segment from nowhere, ahead or behind, is not a loss; what was there goes on as before. */
static void another_stream(void **state)
{
	static const uint32_t off[] = { 1u << 25, 1u << 30, 0u - (1u << 25), 0u - (1u << 30) };

	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++) {
		struct tcp t = begin(false, false);
		struct weir_dir_cold c;

		data(&t, 40000, 0, 1000);
		data(&t, 40100, off[i], 1000);
		for (unsigned n = 1; n < 20; n++)
			data(&t, 40000 + 10000 * n, 1000 * n, 1000);
		c = finish(t.k, NULL);
		assert_int_equal(c.lost_before + c.lost_after + c.retx + c.loss_events, 0);
	}
}

/* A reset's sequence number is anybody's guess: it moves nothing. */
static void reset_moves_nothing(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	expect(tcp_seg(&t, 40100, SERVER, RST | ACK, SISN + 5001, CISN + 1, 0), WEIR_IN_ORDER);
	expect(data(&t, 40200, 1000, 1000), WEIR_IN_ORDER);
	c = finish(t.k, NULL);
	assert_int_equal(c.retx + c.lost_before, 0);
	assert_int_equal(c.rsts, 1);
}

/* FIN and SYN count in the sequence space and are told apart like data. */
static void control_bits(void **state)
{
	struct tcp t = begin(false, false);

	expect(tcp_seg(&t, 40000, SERVER, FIN | ACK, SISN + 1001, CISN + 1, 0), WEIR_HOLE);
	expect(data(&t, 100000, 0, 1000), WEIR_RETX_FILL);
	expect(tcp_seg(&t, 300000, SERVER, FIN | ACK, SISN + 1001, CISN + 1, 0), WEIR_RETX_SEEN);
	expect(tcp_seg(&t, 300100, SERVER, ACK, SISN + 1002, CISN + 1, 0), WEIR_IN_ORDER);
	expect(tcp_seg(&t, 300200, SERVER, SYN | ACK, SISN, CISN + 1, 0), WEIR_RETX_ACKED);
	kit_free(t.k);
}

static void zero_window(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_flow f;

	data(&t, 40000, 0, 1000);
	t.base[CLIENT].win0 = true;
	ack(&t, 41000, 1000);
	ack(&t, 42000, 1000);
	t.base[CLIENT].win0 = false;
	ack(&t, 43000, 1000);
	host_engine_finish(t.k->e);
	f = t.k->flow;
	assert_int_equal(f.cold[tcp_dir(t.k, CLIENT)].zero_windows, 2);
	assert_int_equal(f.cold[tcp_dir(t.k, SERVER)].zero_windows, 0);
	assert_int_equal(f.dir[tcp_dir(t.k, CLIENT)].win, 1000);
	kit_free(t.k);
}

/* Counters of a long-lived flow stay where they are full. */
static void small_counters_saturate(void **state)
{
	struct tcp t = begin(false, false);
	struct weir_dir_cold c;

	data(&t, 40000, 0, 1000);
	ack(&t, 41000, 1000);
	for (unsigned i = 0; i < 66000; i++)
		tcp_seg(&t, 50000 + i, SERVER, ACK, SISN + 1000, CISN + 1, 0);
	for (unsigned i = 0; i < 66000; i++)
		data(&t, 1000000 + 10000ull * i, 0, 1000);
	c = finish(t.k, NULL);
	assert_int_equal(c.keepalives, 0xffff);
	assert_int_equal(c.spurious, 0xffff);
	assert_int_equal(c.retx, 66000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order), cmocka_unit_test(lost_before), cmocka_unit_test(lost_tail),
		cmocka_unit_test(reordered),
		cmocka_unit_test(reordered_by_timestamps), cmocka_unit_test(duplicates), cmocka_unit_test(burst_duplicated),
		cmocka_unit_test(reordered_by_ip_id), cmocka_unit_test(sent_again),
		cmocka_unit_test(taken_back), cmocka_unit_test(keepalives), cmocka_unit_test(wraps),
		cmocka_unit_test(parts_of_a_hole), cmocka_unit_test(two_holes_at_once), cmocka_unit_test(many_holes),
		cmocka_unit_test(both_directions), cmocka_unit_test(another_stream), cmocka_unit_test(reset_moves_nothing),
		cmocka_unit_test(control_bits), cmocka_unit_test(zero_window), cmocka_unit_test(small_counters_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
