// SPDX-License-Identifier: GPL-2.0-or-later
/* Resets as injectors and as honest hosts send them, packet by packet, through the whole pipeline. */
#include "rst_rules.h"
#include "wire.h"

static struct wire w;

static int setup(void **state)
{
	wire_open(&w);
	return 0;
}

/* The detector's own look at a forged header: another box, far from the server's. */
static const struct look forged = { 101, 0x3a1c, 0, 0, 0, 0 };
/* A stealthy one: the server's TTL, DF, timestamps even; its IP-ID is the server's next. */
static struct look stealthy(const struct conn *c)
{
	return (struct look){ c->sttl, c->sipid + 1, 1, 1, 502, 0 };
}

/* Other connections to the server tell how far it is. */
static double learn_rtt(double ms, double rtt, unsigned flows)
{
	for (unsigned i = 0; i < flows; i++) {
		struct conn c = wire_conn(100 + i);

		ms = wire_open_conn(&w, ms, &c, rtt);
		ms = wire_exchange(&w, ms + 1, &c, rtt) + 1;
	}
	return ms;
}

static const struct rst_event *only_event(void)
{
	wire_close(&w);
	assert_int_equal(w.nevents, 1);
	return &w.event[0];
}

static void done_without_suspicion(void)
{
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 0);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
	assert_int_equal(wire_claims(&w, KIND_CONTENT_INJECTION), 0);
}

/* R1: nothing but time tells. Known by three connections, the fourth is reset. */
static void ack_sooner_than_it_can_be(void **state)
{
	double t = learn_rtt(0, 40, 3);
	struct conn c = wire_conn(0);
	const struct rst_event *e;

	t = wire_open_conn(&w, t + 50, &c, 40);
	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 11, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, stealthy(&c));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
	assert_true(w.reported_ms[0] <= t + 11 + 1000);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(e->suspect && e->score >= 6);
	assert_true(wire_reason(e, "ack_too_soon"));
	assert_string_equal(e->stage, "post_psh");
	assert_string_equal(e->signature, "⟨PSH+ACK → RST+ACK⟩");
	assert_int_equal(e->seq_rel, 0);
	assert_false(e->from_client);
	/* The server never answered: the box swallowed the request. */
	assert_int_equal(w.finding[0].subkind, SUBKIND_IN_PATH);
	assert_int_equal(w.finding[0].direction, DIRECTION_DOWN);
}

/* A slow first SYN is no distance: one sample proves nothing. */
static void one_sample_is_no_proof(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 300);

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 41, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, stealthy(&c));
	wire_idle(&w, t + 4000);
	done_without_suspicion();
	assert_true(wire_reason(&w.event[0], "ack_soon"));
}

/* With jitter the smallest of few samples is not the path's. */
static void jitter_is_no_proof(void **state)
{
	static const double rtts[] = { 44, 58, 39, 51 };
	double t = 0;
	struct conn c;

	for (unsigned i = 0; i < 4; i++) {
		c = wire_conn(100 + i);
		t = wire_open_conn(&w, t, &c, rtts[i]);
		t = wire_exchange(&w, t + 1, &c, rtts[3 - i]);
	}
	c = wire_conn(0);
	t = wire_open_conn(&w, t + 5, &c, 47);
	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 1 + 31, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, stealthy(&c));
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* R2 and R10: the server answers after "its" reset; the reset's header was another's. */
static void life_after_reset(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 36, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, forged);
	wire_send(&w, t + 41, &c, false, ACK, NULL, 0);
	wire_seg(&w, t + 41.3, &c, true, RST, c.cseq, 0, NULL, 0, OWN);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(w.nevents, 2);
	e = w.event[0].from_client ? &w.event[1] : &w.event[0];
	assert_true(e->suspect && e->score >= 6);
	assert_true(wire_reason(e, "life_after_reset") && wire_reason(e, "ttl") && wire_reason(e, "no_timestamps"));
	assert_int_equal(wire_suspects(&w), 1); /* the client's answer is honest */
	assert_int_equal(w.finding[0].subkind, SUBKIND_ON_PATH);
}

/* An ACK that the reset overtook by a hair is no life. */
static void overtaken_is_no_life(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_send(&w, t + 41.2, &c, false, RST | ACK, NULL, 0);
	wire_send(&w, t + 41.6, &c, false, ACK, NULL, 0);
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* Both ends go on after a reset that only a third can have sent, however well it looks. */
static void both_ends_go_on(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);

	wire_send(&w, t + 1, &c, true, RST | ACK, NULL, 0);
	wire_exchange(&w, t + 60, &c, 40);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(w.nevents, 1);
	assert_true(w.event[0].suspect && w.event[0].from_client);
	assert_true(wire_reason(&w.event[0], "both_ends_go_on"));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
	assert_int_equal(w.finding[0].direction, DIRECTION_UP);
}

/* R5: X, X+1460, X+4380 cover what the server may have sent by then. */
static void spread_triple(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	for (unsigned i = 0; i < 3; i++)
		wire_seg(&w, t + 30 + i, &c, false, RST | ACK, c.sseq + (i == 1 ? 1460 : i == 2 ? 4380 : 0), c.cseq, NULL,
			 0, (struct look){ 101, 0x1111 * (int)(i + 1), 0, 0, 0, 0 });
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(wire_reason(e, "several_seqs"));
	assert_int_equal(e->copies, 3);
	assert_string_equal(e->signature, "⟨PSH+ACK → RST+ACK; RST+ACK⟩");
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* R4: ahead of anything sent. */
static void ahead_of_what_was_sent(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	t = wire_exchange(&w, t, &c, 40);
	wire_seg(&w, t + 100, &c, false, RST, c.sseq + 12503, 0, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(wire_reason(e, "seq_ahead") && e->suspect);
	assert_int_equal(e->seq_rel, 12503);
	assert_string_equal(e->signature, "⟨PSH+ACK; Data → RST⟩");
}

/* R3, in mid transfer: a plain reset's number lies between what the client has acknowledged. */
static void between_two_acknowledgments(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 40), &c, 40);
	const struct rst_event *e;
	uint32_t number = 0;

	for (unsigned i = 0; i < 40; i++) {
		if (i == 35)
			number = c.sseq + 10;
		wire_send(&w, t + i, &c, false, ACK, "twenty bytes of them", 20);
		wire_send(&w, t + i + 0.3, &c, true, ACK, NULL, 0);
	}
	wire_seg(&w, t + 40, &c, false, RST, number, 0, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(e->suspect && wire_reason(e, "seq_behind"));
}

/* The server answers the request, after it is said to have reset: without a clock, without a header that differs. */
static void answers_after_its_reset(void **state)
{
	double t = 0;

	for (unsigned i = 0; i < 3; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t, &c, 40);
		wire_send(&w, t + 0.1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 36, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ c.sttl, 0, 1, 0, 0, 0 });
		wire_send(&w, t + 41, &c, false, PSH | ACK, "HTTP/1.1 200 OK\r\n\r\n", 19);
		wire_seg(&w, t + 41.3, &c, true, RST, c.cseq, 0, NULL, 0, OWN);
		t += 1000;
	}
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 3);
	assert_true(wire_reason(&w.event[0], "answered_after_reset") || wire_reason(&w.event[1], "answered_after_reset"));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* R3: behind what was sent, and no acknowledgment says so. */
static void behind_what_was_sent(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	t = wire_exchange(&w, t, &c, 40);
	wire_seg(&w, t + 100, &c, false, RST, c.sseq - 7, 0, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(wire_reason(e, "seq_behind"));
	assert_false(wire_reason(e, "seq_ahead"));
}

/* R6: acknowledgments that no one stack gives. */
static void acks_that_change(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 30, &c, false, RST, c.sseq, 0x12345678, NULL, 0, forged);
	wire_seg(&w, t + 30.5, &c, false, RST, c.sseq, 0x7a7a7a7a, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(wire_reason(e, "several_acks"));
	assert_string_equal(e->signature, "⟨PSH+ACK → RST ≠ RST⟩");
}

/* R7: three alike, but for TTLs that change from copy to copy. */
static void copies_with_changing_ttl(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 40);
	const struct rst_event *e;

	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	for (int i = 0; i < 3; i++)
		wire_seg(&w, t + 38 + i, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0,
			 (struct look){ 90 + i, 0x2000 + 999 * i, 1, 0, 0, 0 });
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(wire_reason(e, "unlike_copies"));
	assert_true(e->suspect);
	assert_int_equal(e->copies, 3);
}

/* R8: both ends are told at once, sooner than either could hear of the other. */
static void both_ends_reset(void **state)
{
	struct conn c = wire_conn(0);
	double t = 60;

	/* The client is 20 ms behind us. */
	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_send(&w, 40, &c, false, SYN | ACK, NULL, 0);
	wire_send(&w, 60, &c, true, ACK, NULL, 0);
	wire_send(&w, t + 20, &c, false, PSH | ACK, "220 ready\r\n", 11);
	wire_send(&w, t + 40, &c, true, PSH | ACK, "EHLO a\r\n", 8);
	wire_seg(&w, t + 45, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, forged);
	wire_seg(&w, t + 46, &c, true, RST | ACK, c.cseq, c.sseq, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(w.nevents, 2);
	assert_true(wire_reason(&w.event[0], "both_ends_reset") && wire_reason(&w.event[1], "both_ends_reset"));
}

/* R9: refused and accepted, one SYN. */
static void refused_and_accepted(void **state)
{
	struct conn c = wire_conn(0);
	const struct rst_event *e;

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 33, &c, false, RST | ACK, 0, c.cseq, NULL, 0, forged);
	wire_send(&w, 40, &c, false, SYN | ACK, NULL, 0);
	wire_idle(&w, 4000);
	e = only_event();
	assert_true(wire_reason(e, "syn_answered_twice") && e->suspect);
	assert_string_equal(e->stage, "post_syn");
	assert_string_equal(e->signature, "⟨SYN → RST+ACK⟩");
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* R9: the acknowledgment of a SYN is its number plus one; reserved bits are none. */
static void refused_with_the_wrong_number(void **state)
{
	struct conn c = wire_conn(0);
	struct look l = { 46, 0, 1, 0, 0, 0xf };
	const struct rst_event *e;

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 234, &c, false, RST | ACK, 0, c.cseq - 1, NULL, 0, l);
	wire_send(&w, 1266, &c, false, SYN | ACK, NULL, 0);
	wire_send(&w, 1267, &c, true, ACK, NULL, 0);
	wire_exchange(&w, 1268, &c, 40);
	wire_idle(&w, 5000);
	e = only_event();
	assert_true(wire_reason(e, "syn_answered_twice") && wire_reason(e, "reserved_bits"));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* R0, as on a gateway: the client's packets leave by this interface, and do not come in by it. */
static void from_the_wrong_side(void **state)
{
	struct conn c = wire_conn(0);
	const struct rst_event *e;

	w.ifindex = 3;
	for (unsigned i = 0; i < 6; i++) {
		static const unsigned flags[] = { SYN, SYN | ACK, ACK, PSH | ACK, ACK, PSH | ACK };
		bool client = i == 0 || i == 2 || i == 3;

		w.egress = client;
		wire_send(&w, i * 20, &c, client, flags[i], "some bytes", flags[i] & PSH ? 10 : 0);
	}
	w.egress = false;
	wire_seg(&w, 105, &c, true, RST | ACK, c.cseq, c.sseq, NULL, 0, (struct look){ c.cttl, c.cipid + 1, 1, 1, 502, 0 });
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
	wire_idle(&w, 4000);
	e = only_event();
	assert_true(wire_reason(e, "wrong_interface") && e->from_client);
	assert_int_equal(w.finding[0].direction, DIRECTION_UP);
}

/* In a capture there is one interface, and nothing leaves it. */
static void one_interface_has_no_sides(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);

	wire_send(&w, t + 50, &c, true, RST | ACK, NULL, 0);
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* The injector lost the race: the server is further on, and goes on. */
static void behind_a_fast_server(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 15), &c, 15);
	const struct rst_event *e;

	wire_seg(&w, t + 1, &c, false, RST | ACK, c.sseq - 20, c.cseq, NULL, 0,
		 (struct look){ c.sttl, c.sipid + 1, 1, 1, 502, 0 });
	t = wire_exchange(&w, t + 5, &c, 15);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(e->suspect && wire_reason(e, "seq_behind") && wire_reason(e, "both_ends_go_on"));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* The client answers nothing but acknowledgments to what is sent after its "reset". */
static void acknowledges_what_came_later(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);
	const struct rst_event *e;

	wire_send(&w, t + 1, &c, true, RST | ACK, NULL, 0);
	wire_send(&w, t + 30, &c, false, PSH | ACK, "bytes and bytes", 15);
	wire_send(&w, t + 35, &c, true, ACK, NULL, 0);
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(e->suspect && wire_reason(e, "both_ends_go_on"));
}

/* A router says so: told as possible, no claim. Unreachable ports are not prohibited ones. */
static void icmp_prohibited(void **state)
{
	struct conn c = wire_conn(0);
	struct look router = { 250, 0, 0, 0, 0, 0 };
	uint8_t b[8 + 28] = { 3, 3 };

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	b[8] = 0x45;
	b[16] = 60; /* of the 64 that it left us with */
	b[17] = 6;
	put32(b + 20, c.cip);
	put32(b + 24, c.sip);
	put16(b + 28, c.cport);
	put16(b + 30, c.sport);
	wire_ip(&w, 20, 0x05050505, c.cip, 1, &router, b, sizeof(b));
	assert_int_equal(w.nfindings, 0);
	b[1] = 13;
	wire_ip(&w, 21, 0x05050505, c.cip, 1, &router, b, sizeof(b));
	wire_close(&w);
	assert_int_equal(w.nfindings, 1);
	assert_int_equal(w.finding[0].level, LEVEL_POSSIBLE);
	assert_true(wire_because(&w.finding[0], "icmp_prohibited"));
	assert_string_equal(w.finding[0].estimate.fact[w.finding[0].estimate.n - 1].name, "drop_hops");
	assert_true(w.finding[0].estimate.fact[w.finding[0].estimate.n - 1].value == 4);
}

/* A rejecting firewall in the path: plain resets, its TTL next to the server's, and silence behind. */
static void rejected_in_the_path(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 3, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ c.sttl + 1, 0, 1, 0, 0, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	wire_close(&w);
	assert_true(wire_reason(&w.event[0], "answers_too_soon") && wire_reason(&w.event[0], "answers_too_soon_surely"));
	assert_int_equal(wire_suspects(&w), 4);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
	assert_int_equal(w.finding[0].subkind, SUBKIND_IN_PATH);
}

/* What is only probable is told within the second, too, and the claim within one of the packet that completes it. */
static void told_within_a_second(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 3; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 3, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ c.sttl + 1, 0, 1, 0, 0, 0 });
		wire_idle(&w, t + 900);
		assert_int_equal(w.nfindings, 1);
		assert_int_equal(w.finding[0].level, i < 2 ? LEVEL_POSSIBLE : LEVEL_LIKELY);
		t += 3000;
	}
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 3);
	assert_int_equal(w.finding[0].flows, 3);
}

/* A box on the client's side resets the server alone: nobody there had anything to answer. */
static void answers_nothing(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 3; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 12, &c, true, RST, c.cseq, 0, NULL, 0, (struct look){ 45, 0, 1, 0, 0, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	wire_close(&w);
	assert_true(wire_reason(&w.event[0], "answers_nothing"));
	assert_int_equal(wire_suspects(&w), 3);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* The same number from the client's own stack, and from its NAT that answers what the server sent, are honest. */
static void client_or_its_nat(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 8; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		if (i % 2)
			wire_send(&w, t + 41, &c, false, PSH | ACK, "an answer", 9);
		wire_seg(&w, t + 42, &c, true, RST, c.cseq, 0, NULL, 0, (struct look){ i % 2 ? 255 : c.cttl, 0, 1, 0, 0, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	done_without_suspicion();
}

/* Late, alone, and with the right number: but each flow's reset by another TTL. */
static void ttl_at_random(void **state)
{
	static const uint8_t ttl[] = { 98, 201, 149, 73, 180, 230 };
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		t = wire_exchange(&w, t + 1, &c, 40);
		wire_seg(&w, t + 300, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, (struct look){ ttl[i], c.sipid + 1, 1, 1, 502, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 4);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

/* Three machines in front of a server, each with its own system: all of TTLs that systems begin with. */
static void three_boxes_in_front(void **state)
{
	static const uint8_t ttl[] = { 250, 121, 60 };
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 12; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		t = wire_exchange(&w, t + 1, &c, 40);
		wire_seg(&w, t + 300, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, (struct look){ ttl[i % 3], c.sipid + 1, 1, 1, 502, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	done_without_suspicion();
}

/* Blind resets at random meet on one port in a flood: three unlike ones of no connection say nothing. */
static void blind_ones_meet(void **state)
{
	struct conn c = wire_conn(0);

	for (int i = 0; i < 3; i++)
		wire_seg(&w, i, &c, false, i == 1 ? RST : RST | ACK, 1000000007u * (unsigned)(i + 1), i == 1 ? 0 : 77777u * (unsigned)i, NULL, 0,
			 (struct look){ 49 + 70 * i, 1000 * i + 5, 1, 0, 0, 0 });
	wire_idle(&w, 5000);
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
}

/* Told as possible, and then explained, by a server that resets all it has: no finding counts it any more. */
static void taken_back(void **state)
{
	double t = learn_rtt(0, 40, 4);
	struct conn c[6];

	for (unsigned i = 0; i < 6; i++) {
		c[i] = wire_conn(i);
		t = wire_open_conn(&w, t + 50, &c[i], 40);
		t = wire_exchange(&w, t + 1, &c[i], 40);
	}
	t += 1000;
	/* From where it would have been: we don't see all that it sends. */
	for (unsigned i = 0; i < 6; i++)
		wire_seg(&w, t + (i ? 700 + i : 0), &c[i], false, RST, c[i].sseq + 4000, 0, NULL, 0, (struct look){ c[i].sttl, 0, 1, 0, 0, 0 });
	assert_int_equal(w.nfindings, 1);
	assert_int_equal(w.finding[0].level, LEVEL_POSSIBLE);
	assert_false(w.finding[0].closed);
	wire_idle(&w, t + 4000);
	assert_true(w.finding[0].closed);
	wire_close(&w);
	assert_int_equal(w.nfindings, 1);
	assert_int_equal(wire_suspects(&w), 0);
}

/* An old stack aborts with a plain reset right behind its answer: soon after the client acknowledged, not because. */
static void plain_abort_behind_an_answer(void **state)
{
	double t = learn_rtt(0, 40, 4);

	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		t = wire_exchange(&w, t + 1, &c, 40);
		wire_send(&w, t + 2, &c, false, RST, NULL, 0);
	}
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* A box that marks all its resets alike is known by many. */
static void one_ipid_on_many_flows(void **state)
{
	double t = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);

		c.ts = false;
		c.sipid = 500;
		wire_send(&w, t, &c, true, SYN, NULL, 0);
		wire_seg(&w, t + 200, &c, false, SYN | ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 230, 501, 0, 0, 4128, 0 });
		c.sseq++;
		wire_send(&w, t + 201, &c, true, ACK, NULL, 0);
		wire_send(&w, t + 202, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 410, &c, false, ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 230, 502, 0, 0, 4100, 0 });
		wire_seg(&w, t + 411, &c, false, ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 230, 503, 0, 0, 4100, 0 });
		wire_seg(&w, t + 460, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0,
			 (struct look){ 51, 13330, 0, 0, 32120, 0 });
		t += 1000;
	}
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_true(wire_reason(&w.event[w.nevents - 1], "ipid_same_on_flows"));
	assert_true(wire_suspects(&w) >= 3);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
	assert_int_equal(w.finding[0].flows, wire_suspects(&w));
}

/* R11: the same client, server and port, before any content, after a trigger. */
static void residual_blocking(void **state)
{
	double t = learn_rtt(0, 40, 3);
	struct conn c = wire_conn(0), d = wire_conn(1);
	unsigned seen = 0;

	t = wire_open_conn(&w, t + 50, &c, 40);
	wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 11, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, forged);
	t += 20000;
	wire_open_conn(&w, t, &d, 40);
	wire_seg(&w, t + 50, &d, false, RST | ACK, d.sseq, d.cseq, NULL, 0, forged);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	for (unsigned i = 0; i < w.nevents; i++)
		seen += wire_reason(&w.event[i], "residual");
	assert_int_equal(seen, 1);
}

/* Behind what the server has sent meanwhile, from another machine; nobody heeds it, and it was the last packet. */
static void another_machine_and_behind(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 15), &c, 15);
	const struct rst_event *e;

	wire_seg(&w, t + 4, &c, false, RST | ACK, c.sseq - 40, c.cseq, NULL, 0, (struct look){ 117, 0, 1, 0, 0, 0 });
	wire_idle(&w, t + 4000);
	e = only_event();
	assert_true(e->suspect && wire_reason(e, "seq_behind") && wire_reason(e, "another_stack"));
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
}

/* Connections that were opened after the first of them was reset were not there when a server died. */
static void opened_since_is_no_restart(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 7; i++) {
		struct conn c = wire_conn(i);

		t = wire_exchange(&w, wire_open_conn(&w, t + 2, &c, 40), &c, 40);
		wire_seg(&w, t + 4, &c, false, RST | ACK, c.sseq - 30, c.cseq, NULL, 0,
			 (struct look){ 101, 0x1a1c + 977 * (int)i, 0, 0, 0, 0 });
		t += 44;
	}
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 7);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 1);
}

static bool anyone_says(const char *name)
{
	for (unsigned i = 0; i < w.nevents; i++)
		if (wire_reason(&w.event[i], name))
			return true;
	return false;
}

/* R10: each field that is another's, alone; none is a suspicion. */
static void each_field_of_the_header(void **state)
{
	static const struct {
		const char *name;
		struct look l;
		unsigned payload;
	} field[] = {
		{ "ttl", { 61, AUTO, 1, 1, 502, 0 }, 0 },
		{ "ipid", { 52, 3, 1, 1, 502, 0 }, 0 },
		{ "dont_fragment", { 52, AUTO, 0, 1, 502, 0 }, 0 },
		{ "no_timestamps", { 52, AUTO, 1, 0, 502, 0 }, 0 },
		{ "reserved_bits", { 52, AUTO, 1, 1, 502, 4 }, 0 },
		{ "payload", { 52, AUTO, 1, 1, 502, 0 }, 10 },
		{ "window", { 52, AUTO, 1, 1, 60000, 0 }, 0 },
	};
	unsigned n = sizeof(field) / sizeof(field[0]);

	for (unsigned i = 0; i < n; i++) {
		struct conn c = wire_conn(i);
		double t = wire_exchange(&w, wire_open_conn(&w, i * 5000, &c, 40), &c, 40);

		t = wire_exchange(&w, t + 10, &c, 40);
		wire_seg(&w, t + 50, &c, false, RST | ACK, c.sseq, c.cseq, "\1\2\3\4\5\6\7\10\11", field[i].payload, field[i].l);
	}
	wire_idle(&w, 90000);
	wire_close(&w);
	assert_int_equal(w.nevents, n);
	assert_int_equal(wire_suspects(&w), 0);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(wire_reason(&w.event[i], field[k].name), i == k);
}

static void another_class_of_service(void **state)
{
	const struct rst_side server = { .pkts = 3, .tos = 0xb8, .tos_pkts = 3 }, client = { 0 };
	const struct rst_base base = { 0 };
	struct rst_case c = { .n = 1, .idle_us = ~0u, .ack_age_us = ~0u, .trigger_age_us = ~0u, .both_ends_us = ~0u };

	c.one[0].tcp_flags = RST | ACK;
	assert_true(rst_rules(&c, &server, &client, &base) == RST_BIT(RST_DSCP));
	c.one[0].tos = 0xb9; /* ECN is another matter */
	assert_true(rst_rules(&c, &server, &client, &base) == 0);
}

/* The benign: each of these must pass without suspicion. */

/* A provider's NAT that forgot a connection answers its next packet itself: near, at its own hop, with a plain reset. */
static void forgotten_by_a_nat(void **state)
{
	double t = learn_rtt(0, 40, 4);
	struct conn c = wire_conn(0);

	t = wire_open_conn(&w, t + 50, &c, 40);
	for (unsigned i = 0; i < 6; i++)
		t = wire_exchange(&w, t + 500, &c, 40);
	wire_send(&w, t + 300, &c, false, PSH | ACK, "more of it", 10);
	wire_send(&w, t + 301, &c, true, ACK, NULL, 0);
	wire_seg(&w, t + 303, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ c.sttl + 1, 0, 1, 0, 0, 0 });
	wire_idle(&w, t + 5000);
	done_without_suspicion();
}

/*
 * A balancer that answers for a server, which sends its data itself: another TTL, IP-ID, no
 * timestamps; when the answer is due, with the right numbers, and nothing after it.
 */
static void balancer_in_front(void **state)
{
	double t = learn_rtt(0, 40, 3);

	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);

		t = wire_exchange(&w, wire_open_conn(&w, t + 50, &c, 40), &c, 40);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 45, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0,
			 (struct look){ 241, 0x1a1c + 977 * (int)i, 0, 0, 0, 0 });
		t += 3000;
	}
	wire_idle(&w, t);
	done_without_suspicion();
}

/* The same with a header of its own in two fields more. */
static void forgotten_by_a_foreign_nat(void **state)
{
	double t = learn_rtt(0, 40, 4);

	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t + 50, &c, 40);
		for (unsigned k = 0; k < 3; k++)
			t = wire_exchange(&w, t + 500, &c, 40);
		wire_send(&w, t + 300, &c, false, PSH | ACK, "more of it", 10);
		wire_send(&w, t + 301, &c, true, ACK, NULL, 0);
		wire_seg(&w, t + 303, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ 254, 0, 0, 0, 0, 0 });
	}
	wire_idle(&w, t + 5000);
	done_without_suspicion();
}

/* A firewall drops what was idle, and tells both ends of it at the next packet, acknowledging that. */
static void idle_timeout_of_a_firewall(void **state)
{
	double t = learn_rtt(0, 40, 4);

	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);

		t = wire_exchange(&w, wire_open_conn(&w, t, &c, 40), &c, 40) + 61000;
		wire_send(&w, t, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + 3, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, (struct look){ 254, 0x77, 0, 0, 0, 0 });
	}
	wire_idle(&w, t + 5000);
	done_without_suspicion();
}

/* A balancer that lost its servers tells all their clients, with a header of its own. */
static void balancer_without_servers(void **state)
{
	static struct conn c[20];
	double t = learn_rtt(0, 30, 3);

	for (unsigned i = 0; i < 20; i++) {
		c[i] = wire_conn(i);
		t = wire_exchange(&w, wire_open_conn(&w, t, &c[i], 30), &c[i], 30);
	}
	t += 500;
	for (unsigned i = 0; i < 20; i++) {
		wire_send(&w, t + i * 2, &c[i], true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + i * 2 + 31, &c[i], false, RST | ACK, c[i].sseq, c[i].cseq, NULL, 0,
			 (struct look){ 101, 0x1a1c + 977 * (int)i, 0, 0, 0, 0 });
	}
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
}


static void closed_port(void **state)
{
	for (unsigned i = 0; i < 30; i++) {
		struct conn c = wire_conn(i);

		c.sport = (uint16_t)(1000 + i);
		wire_send(&w, i * 100, &c, true, SYN, NULL, 0);
		wire_seg(&w, i * 100 + 30, &c, false, RST | ACK, 0, c.cseq, NULL, 0, (struct look){ 52, 0, 1, 0, 0, 0 });
	}
	wire_idle(&w, 9000);
	done_without_suspicion();
}

/* A service that starts: refused, asked again, accepted. */
static void refused_then_asked_again(void **state)
{
	struct conn c = wire_conn(0);

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 30, &c, false, RST | ACK, 0, c.cseq, NULL, 0, (struct look){ 52, 0, 1, 0, 0, 0 });
	wire_seg(&w, 530, &c, true, SYN, c.cseq - 1, 0, NULL, 0, OWN);
	wire_send(&w, 560, &c, false, SYN | ACK, NULL, 0);
	wire_send(&w, 561, &c, true, ACK, NULL, 0);
	wire_exchange(&w, 562, &c, 30);
	wire_idle(&w, 4000);
	done_without_suspicion();
}

static void client_aborts_download(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);
	uint32_t ack;

	for (unsigned i = 0; i < 20; i++)
		wire_send(&w, t + i * 0.1, &c, false, ACK, "some of many bytes", 18);
	ack = c.cseq;
	wire_send(&w, t + 3, &c, true, RST | ACK, NULL, 0);
	for (unsigned i = 0; i < 10; i++) {
		wire_send(&w, t + 4 + i, &c, false, ACK, "bytes under way", 15);
		wire_seg(&w, t + 4.2 + i, &c, true, RST, ack, 0, NULL, 0, OWN);
	}
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

static void server_aborts_after_request(void **state)
{
	double t = learn_rtt(0, 30, 4);

	for (unsigned i = 0; i < 5; i++) {
		struct conn c = wire_conn(i);

		t = wire_open_conn(&w, t, &c, 30);
		wire_send(&w, t + 1, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_send(&w, t + 31.2, &c, false, RST | ACK, NULL, 0);
		t += 400;
	}
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* A server that died: its kernel resets each flow in answer to data, all at once. */
static void server_restart(void **state)
{
	static struct conn c[50];
	double t = 0;

	for (unsigned i = 0; i < 50; i++) {
		c[i] = wire_conn(i);
		wire_exchange(&w, wire_open_conn(&w, i * 10, &c[i], 30), &c[i], 30);
	}
	t = 2000;
	for (unsigned i = 0; i < 50; i++) {
		wire_send(&w, t + i * 2, &c[i], true, PSH | ACK, GET, sizeof(GET) - 1);
		wire_seg(&w, t + i * 2 + 30, &c[i], false, RST, c[i].sseq, 0, NULL, 0, OWN);
	}
	wire_idle(&w, t + 4000);
	done_without_suspicion();
	assert_true(anyone_says("server_wide"));
}

/* A tool of the client's own resets what it goes on with, to die on the way before the server. */
static void decoy_of_the_client(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);
		double t = wire_open_conn(&w, i * 5000, &c, 40);

		wire_seg(&w, t + 0.5, &c, true, RST | ACK, c.cseq, c.sseq, NULL, 0, (struct look){ 4, 0, 1, 1, 502, 0 });
		wire_exchange(&w, t + 2, &c, 40);
	}
	wire_idle(&w, 50000);
	wire_close(&w);
	assert_int_equal(wire_claims(&w, KIND_RST_INJECTION), 0);
	assert_true(anyone_says("dies_on_the_way"));
}

/* A balancer that forgot the flow, with a TTL and stack of its own. */
static void idle_timeout_of_a_balancer(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30) + 70000;

	wire_send(&w, t, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_seg(&w, t + 25, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ 248, 0x77, 0, 0, 0, 0 });
	wire_idle(&w, t + 4000);
	done_without_suspicion();
	assert_true(anyone_says("after_idle"));
}

/* A front end that answers what comes after a close, from another hop. */
static void resets_after_fin(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);

	wire_send(&w, t + 10, &c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_send(&w, t + 11, &c, true, FIN | ACK, NULL, 0);
	wire_send(&w, t + 12, &c, false, FIN | ACK, NULL, 0);
	wire_seg(&w, t + 41, &c, false, RST, c.sseq - 1, 0, NULL, 0, (struct look){ 59, 0, 1, 0, 0, 0 });
	wire_seg(&w, t + 42, &c, false, RST, c.sseq, 0, NULL, 0, (struct look){ 59, 0, 1, 0, 0, 0 });
	wire_idle(&w, t + 4000);
	done_without_suspicion();
	assert_true(anyone_says("after_fin"));
}

/* The network duplicates: the same reset, header and all. */
static void duplicated_reset(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);
	struct look l = { 52, c.sipid + 1, 1, 1, 502, 0 };

	for (unsigned i = 0; i < 4; i++)
		wire_seg(&w, t + 50 + i * 0.01, &c, false, RST | ACK, c.sseq, c.cseq, NULL, 0, l);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	assert_int_equal(w.nevents, 1);
	assert_int_equal(w.event[0].copies, 1);
	assert_false(w.event[0].suspect);
}

/*
 * Linux' SYNPROXY gives a server's reset the first number behind the SYN-ACK, whatever was sent
 * since; what it overtook by a hair comes behind it, and the client acknowledges that.
 */
static void renumbered_by_a_proxy(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);
		uint32_t first;
		double t;

		t = wire_open_conn(&w, 4000 * i, &c, 40);
		first = c.sseq;
		t = wire_exchange(&w, t, &c, 40);
		wire_seg(&w, t + 10, &c, false, RST | ACK, first, c.cseq, NULL, 0, OWN);
		wire_send(&w, t + 10.4, &c, false, PSH | ACK, "the end of the answer", 21);
		wire_send(&w, t + 10.9, &c, true, ACK, NULL, 0);
		wire_seg(&w, t + 50, &c, false, RST, first, 0, NULL, 0, OWN);
	}
	wire_idle(&w, 30000);
	done_without_suspicion();
}

/* What a proxy's firewall holds for invalid keeps the server's own numbering: anywhere in the space. */
static void not_renumbered_by_a_proxy(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);
		double t = wire_exchange(&w, wire_open_conn(&w, 4000 * i, &c, 40), &c, 40);
		uint32_t off = 0x21234567 * (i + 1);

		wire_seg(&w, t + 10, &c, false, RST | ACK, c.sseq + off, c.cseq, NULL, 0, OWN);
		wire_seg(&w, t + 30, &c, false, RST, c.sseq + off + 20, 0, NULL, 0, OWN);
	}
	wire_idle(&w, 30000);
	done_without_suspicion();
}

/* A capture that drops: a server's last segment is missing, and its reset seems ahead. */
static void capture_with_gaps(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		struct conn c = wire_conn(i);
		double t = wire_exchange(&w, wire_open_conn(&w, 4000 * i, &c, 40), &c, 40);

		c.sseq += 1000; /* unseen, */
		wire_send(&w, t + 11, &c, false, PSH | ACK, "and more", 8);
		wire_send(&w, t + 12, &c, true, ACK, NULL, 0); /* and acknowledged */
		c.sseq += 1000;
		wire_send(&w, t + 20, &c, false, RST | ACK, NULL, 0);
	}
	wire_idle(&w, 30000);
	done_without_suspicion();
}

/* A server's reset overtakes its last bytes, on a path that reorders: nothing came after it. */
static void overtakes_its_own_data(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);
		double t = wire_exchange(&w, wire_open_conn(&w, 4000 * i, &c, 40), &c, 40);

		wire_seg(&w, t + 10, &c, false, RST, c.sseq + 40, 0, NULL, 0, OWN);
		wire_send(&w, t + 14, &c, false, ACK, "the first twenty bytes", 20);
		wire_send(&w, t + 15, &c, false, PSH | ACK, "the last twenty bytes.", 20);
	}
	wire_idle(&w, 30000);
	done_without_suspicion();
}

/* A client aborts, an acknowledgment of its comes late: the server answers that a round trip on. */
static void resets_that_answer(void **state)
{
	struct conn c = wire_conn(0);
	double t = 100;

	/* The client is 20 ms behind us. */
	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_send(&w, 40, &c, false, SYN | ACK, NULL, 0);
	wire_send(&w, 60, &c, true, ACK, NULL, 0);
	wire_send(&w, t - 20, &c, false, PSH | ACK, "220 ready\r\n", 11);
	wire_send(&w, t, &c, true, RST | ACK, NULL, 0);
	wire_send(&w, t + 0.5, &c, true, ACK, NULL, 0);
	for (unsigned i = 0; i < 3; i++)
		wire_seg(&w, t + 38 + i, &c, true, RST, c.cseq, 0, NULL, 0, OWN);
	wire_seg(&w, t + 41, &c, false, RST, c.sseq, 0, NULL, 0, OWN);
	wire_idle(&w, t + 4000);
	wire_close(&w);
	for (unsigned i = 0; i < w.nevents; i++)
		assert_false(wire_reason(&w.event[i], "both_ends_reset"));
	assert_int_equal(wire_suspects(&w), 0);
}

/* The port is taken again; resets of the connection before it come late, in its numbers. */
static void resets_of_an_earlier_connection(void **state)
{
	double t = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i), old;

		t = wire_exchange(&w, wire_open_conn(&w, t, &c, 40), &c, 40);
		wire_send(&w, t + 1, &c, true, FIN | ACK, NULL, 0);
		wire_send(&w, t + 41, &c, false, FIN | ACK, NULL, 0);
		wire_send(&w, t + 42, &c, true, ACK, NULL, 0);
		old = c;
		c.cseq += 0x1234567;
		c.sseq += 0x31234567;
		t = wire_open_conn(&w, t + 2000, &c, 40);
		wire_seg(&w, t + 1, &c, false, RST, old.sseq, 0, NULL, 0, OWN);
		wire_seg(&w, t + 2, &c, true, RST, old.cseq, 0, NULL, 0, OWN);
		t = wire_exchange(&w, t + 20, &c, 40) + 1000;
	}
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* TIME-WAIT assassination (RFC 1337): the server's old state answers a new SYN, the client resets that and asks again. */
static void time_wait_answers(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);
		uint32_t oldack, oldseq;
		double t;

		t = wire_exchange(&w, wire_open_conn(&w, i * 9000, &c, 40), &c, 40);
		wire_send(&w, t + 1, &c, false, FIN | ACK, NULL, 0);
		wire_send(&w, t + 2, &c, true, FIN | ACK, NULL, 0);
		wire_send(&w, t + 42, &c, false, ACK, NULL, 0);
		oldack = c.cseq;
		oldseq = c.sseq;
		c.cseq += 0x2345678;
		c.sseq += 0x11111111;
		wire_send(&w, t + 500, &c, true, SYN, NULL, 0);
		wire_seg(&w, t + 540, &c, false, ACK, oldseq, oldack, NULL, 0, OWN);
		wire_seg(&w, t + 541, &c, true, RST, oldack, 0, NULL, 0, OWN);
		wire_seg(&w, t + 1500, &c, true, SYN, c.cseq - 1, 0, NULL, 0, OWN);
		wire_send(&w, t + 1540, &c, false, SYN | ACK, NULL, 0);
		wire_send(&w, t + 1541, &c, true, ACK, NULL, 0);
		wire_exchange(&w, t + 1542, &c, 40);
	}
	wire_idle(&w, 50000);
	done_without_suspicion();
}

/* Keep-alive probes to a host that started anew, and a closed window that never opens: honest ends of long flows. */
static void probes_are_reset(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct conn c = wire_conn(i);
		double t = wire_exchange(&w, wire_open_conn(&w, i * 20000, &c, 40), &c, 40);

		wire_seg(&w, t + 9000, &c, true, ACK, c.cseq - 1, c.sseq, NULL, 0, OWN);
		wire_send(&w, t + 9040, &c, false, ACK, NULL, 0);
		wire_seg(&w, t + 18000, &c, true, ACK, c.cseq - 1, c.sseq, "", 1, OWN);
		wire_seg(&w, t + 18040, &c, false, RST, c.sseq, 0, NULL, 0, OWN);
	}
	wire_idle(&w, 100000);
	done_without_suspicion();
}

/* Another route for all that follows: the TTL steps, the reset steps with it. */
static void route_change(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_exchange(&w, wire_open_conn(&w, 0, &c, 30), &c, 30);

	c.sttl = 49;
	t = wire_exchange(&w, t + 10, &c, 30);
	wire_send(&w, t + 50, &c, false, RST | ACK, NULL, 0);
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* The loser of a race between address families is reset by its own client. */
static void happy_eyeballs(void **state)
{
	struct conn c = wire_conn(0);
	double t = wire_open_conn(&w, 0, &c, 30);

	wire_send(&w, t + 1, &c, true, RST | ACK, NULL, 0);
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* In SYN-SENT a reset answers what is no SYN-ACK, and the connection goes on. */
static void reset_in_syn_sent(void **state)
{
	struct conn c = wire_conn(0);
	double t;

	wire_send(&w, 0, &c, true, SYN, NULL, 0);
	wire_seg(&w, 20, &c, false, ACK, 0x5555, 0x7777, NULL, 0, OWN); /* an old connection's */
	wire_seg(&w, 20.2, &c, true, RST, 0x7777, 0, NULL, 0, OWN);
	wire_seg(&w, 1020, &c, true, SYN, c.cseq - 1, 0, NULL, 0, OWN);
	wire_send(&w, 1050, &c, false, SYN | ACK, NULL, 0);
	wire_send(&w, 1050.3, &c, true, ACK, NULL, 0);
	t = wire_exchange(&w, 1051, &c, 30);
	wire_idle(&w, t + 4000);
	done_without_suspicion();
}

/* 10,000 resets a second, spoofed and refused: no claim, no loss of wits, bounded events. */
static void flood(void **state)
{
	unsigned told = 0;

	for (unsigned i = 0; i < 30000; i++) {
		struct conn c = wire_conn(0);

		c.cip = 0xc0a80000 + i / 4000;
		c.cport = (uint16_t)(1024 + i % 4000);
		c.cseq = 17 * i;
		wire_send(&w, i * 0.1, &c, true, SYN, NULL, 0);
		wire_seg(&w, i * 0.1 + 0.05, &c, false, RST | ACK, 0, c.cseq, NULL, 0, (struct look){ 60, 0, 1, 0, 0, 0 });
	}
	wire_close(&w);
	assert_true(w.nevents > 1000 && w.nevents < 6000);
	for (unsigned i = 0; i < w.nevents && i < 4096; i++)
		told += 1 + w.event[i].held_back;
	assert_int_equal(told, 30000);
	assert_int_equal(wire_suspects(&w), 0);
	assert_int_equal(w.nfindings, 0);
}

/* Resets out of nowhere for flows that were never seen. */
static void blind_reset_flood(void **state)
{
	for (unsigned i = 0; i < 20000; i++) {
		struct conn c = wire_conn(0);

		c.cip = 0xc0a80000 + i / 4000;
		c.cport = (uint16_t)(1024 + i % 4000);
		wire_seg(&w, i * 0.1, &c, false, RST, i * 7919, 0, NULL, 0, (struct look){ 40 + i % 60, i & 0xffff, 0, 0, 0, 0 });
	}
	wire_close(&w);
	assert_int_equal(wire_suspects(&w), 0);
	assert_int_equal(w.nfindings, 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ack_sooner_than_it_can_be), T(one_sample_is_no_proof), T(jitter_is_no_proof), T(life_after_reset),
		T(overtaken_is_no_life), T(both_ends_go_on), T(spread_triple), T(ahead_of_what_was_sent),
		T(behind_what_was_sent), T(acks_that_change), T(copies_with_changing_ttl), T(both_ends_reset),
		T(refused_and_accepted), T(balancer_in_front), T(forgotten_by_a_foreign_nat), T(idle_timeout_of_a_firewall),
		T(another_machine_and_behind),
		T(opened_since_is_no_restart), T(balancer_without_servers), T(forgotten_by_a_nat), T(refused_with_the_wrong_number), T(one_ipid_on_many_flows), T(residual_blocking), T(rejected_in_the_path), T(plain_abort_behind_an_answer), T(icmp_prohibited),
		T(from_the_wrong_side), T(one_interface_has_no_sides), T(behind_a_fast_server), T(acknowledges_what_came_later),
		T(between_two_acknowledgments), T(answers_after_its_reset), T(renumbered_by_a_proxy), T(not_renumbered_by_a_proxy),
		T(capture_with_gaps), T(overtakes_its_own_data), T(resets_that_answer), T(each_field_of_the_header), cmocka_unit_test(another_class_of_service), T(decoy_of_the_client), T(resets_of_an_earlier_connection), T(time_wait_answers), T(probes_are_reset),
		T(closed_port), T(refused_then_asked_again), T(client_aborts_download), T(server_aborts_after_request),
		T(server_restart), T(idle_timeout_of_a_balancer), T(resets_after_fin), T(duplicated_reset), T(route_change),
		T(happy_eyeballs), T(reset_in_syn_sent), T(flood), T(blind_reset_flood),
		T(told_within_a_second), T(taken_back), T(answers_nothing), T(client_or_its_nat),
		T(ttl_at_random), T(three_boxes_in_front), T(blind_ones_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
