/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "rst_rules.h"

#define TCP_ACK 0x10
#define DSCP(tos) ((tos)&0xfc)

#define MIN_BASE_US 2000u /* below that, scheduling decides, not distance */
#define IDLE_US 55000000u /* state in NATs and balancers starts to time out at 60 s */
#define PAIR_US 2000000u  /* Weaver's correlation window */
#define BURST_US 50000u
#define ANSWERS_US 1000000u /* what repeats an acknowledgment that young may answer it */
#define IPID_NEAR 256
#define REACH	  (1 << 24) /* a number further off is of another numbering: a proxy's, an earlier connection's */

static const struct {
	const char *name;
	double weight;
} rules[RST_RULES] = {
	[RST_R0_INTERFACE] = { "wrong_interface", 6 },
	[RST_R1_CERTAIN] = { "ack_too_soon", 6 },
	[RST_R1_GRADED] = { "ack_soon", 3 },
	[RST_R1B_TRIGGER] = { "answers_too_soon", 3 },
	[RST_R1B_SURE] = { "answers_too_soon_surely", 1 },
	[RST_R2_LIFE] = { "life_after_reset", 3 },
	[RST_R2_BOTH_LIVE] = { "both_ends_go_on", 3 },
	[RST_R2_ANSWERS] = { "answered_after_reset", 1 },
	[RST_R3_SEQ_BEHIND] = { "seq_behind", 2 },
	[RST_R4_SEQ_AHEAD] = { "seq_ahead", 4 },
	[RST_R5_MULTI_SEQ] = { "several_seqs", 3 },
	[RST_R6_MULTI_ACK] = { "several_acks", 3 },
	[RST_R7_BURST] = { "unlike_copies", 3 },
	[RST_R8_BOTH_ENDS] = { "both_ends_reset", 3 },
	[RST_R9_SYN_STAGE] = { "syn_answered_twice", 4 },
	[RST_R11_RESIDUAL] = { "residual", 2 },
	[RST_FOREIGN] = { "another_stack", 1 },
	[RST_IPID_FLOWS] = { "ipid_same_on_flows", 2 },
	[RST_UNPROVOKED] = { "answers_nothing", 3 },
	[RST_TTL] = { "ttl", 1 },
	[RST_IPID] = { "ipid", 1 },
	[RST_DF] = { "dont_fragment", 1 },
	[RST_DSCP] = { "dscp", 1 },
	[RST_NO_TS] = { "no_timestamps", 1 },
	[RST_RESERVED] = { "reserved_bits", 1 },
	[RST_PAYLOAD] = { "payload", 1 },
	[RST_WINDOW] = { "window", 1 },
	[RST_ICMP] = { "icmp_prohibited", 4 },
	[RST_FIN] = { "after_fin", -4 },
	[RST_IDLE] = { "after_idle", -4 },
	[RST_SERVER_WIDE] = { "server_wide", -3 },
	[RST_OWN_SIDE] = { "dies_on_the_way", -4 },
};

const char *rst_rule_name(enum rst_rule rule)
{
	return rule < RST_RULES ? rules[rule].name : "?";
}

uint32_t rst_ack_age(const struct rst_side *s, uint32_t ack, uint32_t now_us)
{
	uint32_t have = s->nsent < RST_SENT ? s->nsent : RST_SENT;

	/* From the oldest kept: the first whose end covers the byte before ack. */
	for (uint32_t i = s->nsent - have; i != s->nsent; i++) {
		const struct rst_mark *m = &s->sent[i % RST_SENT];

		if (seq_dist(m->seq, ack) < 0)
			continue;
		/* Where older ones were forgotten, only the segment that ends there is sure. */
		if (i == s->nsent - have && s->forgot && m->seq != ack)
			return ~0u;
		return now_us - m->us;
	}
	return ~0u;
}

uint32_t rst_acked_age(const struct rst_side *s, uint32_t seq, uint32_t now_us)
{
	uint32_t have = s->nacked < RST_ACKED ? s->nacked : RST_ACKED;

	for (uint32_t i = s->nacked - have; i != s->nacked; i++)
		if (s->acked[i % RST_ACKED].seq == seq)
			return now_us - s->acked[i % RST_ACKED].us;
	return ~0u;
}

bool rst_answers_one_only(const struct rst_case *c, const struct rst_side *s)
{
	uint32_t have = s->nacked < RST_ACKED ? s->nacked : RST_ACKED, later = 0;
	const struct rst_packet *p = &c->one[0];

	if (c->trigger_age_us == ~0u)
		return false;
	for (uint32_t i = s->nacked - have; i != s->nacked; i++) {
		const struct rst_mark *m = &s->acked[i % RST_ACKED];

		if (seq_dist(m->seq, p->seq) <= 0 || (int32_t)(p->us - m->us) <= 0)
			continue;
		later++;
		for (unsigned k = 1; k < c->n; k++)
			if (c->one[k].seq == m->seq &&
			    c->one[k].us - m->us < 2 * c->trigger_age_us + RST_OVERTAKE_US)
				return false;
	}
	return later >= 2;
}

int rst_too_soon(uint32_t age_us, const struct rst_base *b)
{
	double age = age_us, min = b->min_us;

	if (age_us == ~0u || b->min_us < MIN_BASE_US || age >= 0.8 * min)
		return 0;
	/*
	 * Few samples may all have been slow (a radio that wakes up, a full
	 * queue, a first look-up); with jitter the smallest of few is not the
	 * path's; where packets overtake each other, so may a reset.
	 */
	if (b->n < 3 || age + ((double)b->mean_us - min) >= min)
		return 1;
	return b->reorders && age >= 0.35 * min ? 1 : 2;
}

static bool has_ack(const struct rst_packet *p)
{
	return p->tcp_flags & TCP_ACK;
}

/* Its number is one that its sender had passed. */
static bool behind(const struct rst_case *c)
{
	int32_t off = seq_dist(c->one[0].seq, c->own_end);

	return c->own_end_known && !c->syn_stage && c->one[0].seq && off < 0 && off > -REACH;
}

static uint32_t timing(const struct rst_case *c, const struct rst_base *base)
{
	int grade = rst_too_soon(c->ack_age_us, base);

	if (grade == 2)
		return RST_BIT(RST_R1_CERTAIN);
	if (grade == 1)
		return RST_BIT(RST_R1_GRADED);
	/* One that acknowledges, too, may be an endpoint's own abort: at the end of what it sent. */
	grade = has_ack(&c->one[0]) && (c->misses || !behind(c)) ? 0 : rst_too_soon(c->trigger_age_us, base);
	if (grade < 2 && (!grade || c->trigger_age_us >= base->min_us / 2))
		return 0;
	/* An abort of its own comes with or behind what its sender has to say, not just when it is
	 * asked first. */
	return RST_BIT(RST_R1B_TRIGGER) |
	       (grade == 2 && c->peer_sent_data && !c->own_sent_data ? RST_BIT(RST_R1B_SURE) : 0);
}

/*
 * An honest reply repeats an acknowledgment, and has none itself (RFC 9293,
 * 3.10.7.1). Beyond the highest one, or between those that we all saw, there is none to repeat.
 */
static bool never_acked(const struct rst_case *c, const struct rst_side *receiver)
{
	const struct rst_packet *p = &c->one[0];
	uint32_t oldest;

	if (c->peer_ack_known && seq_dist(p->seq, c->peer_ack) > 0)
		return true;
	if (!receiver->nacked || receiver->acked_back || receiver->seen < c->peer_pkts)
		return false;
	oldest = receiver->acked[receiver->nacked % RST_ACKED].seq;
	if (receiver->nacked <= RST_ACKED ? !receiver->whole : seq_dist(p->seq, oldest) < 0)
		return false;
	return rst_acked_age(receiver, p->seq, p->us) == ~0u;
}

static uint32_t numbers(const struct rst_case *c, const struct rst_side *receiver)
{
	const struct rst_packet *p = &c->one[0];
	uint32_t set = 0;
	int32_t off;

	if (c->syn_stage || c->misses || !c->own_end_known)
		return 0;
	/* One past a FIN, two for Weaver's tolerance. */
	off = seq_dist(p->seq, c->own_end);
	if (off > 2 && off < REACH && c->peer_ack_known && seq_dist(p->seq, c->peer_ack) > 0 &&
	    (!c->filled || c->life))
		set |= RST_BIT(RST_R4_SEQ_AHEAD);
	if (behind(c) && (has_ack(p) || never_acked(c, receiver)))
		set |= RST_BIT(RST_R3_SEQ_BEHIND);
	return set;
}

/* IP-IDs that no counter gave: a step back, or far ahead. */
static bool ipid_apart(uint16_t from, uint16_t to)
{
	return (uint16_t)(to - from) > IPID_NEAR;
}

static bool side_counts_ipid(const struct rst_side *s, const struct rst_case *c)
{
	if (s->ipid_near >= 2)
		return s->ipid_near >= 4 * s->ipid_far;
	return c->host_counts_ipid && !s->ipid_far;
}

/* How many TTLs that are no neighbours, whatever the copies' numbers; of a connection that is none, blind ones meet by
 * chance in a flood. */
static unsigned far_ttls(const struct rst_case *c)
{
	uint8_t seen[RST_KEPT];
	unsigned n = 0;

	for (unsigned i = 0, k; c->own_end_known && i < c->n && c->one[i].us - c->one[0].us < BURST_US; i++) {
		int32_t off = seq_dist(c->one[i].seq, c->own_end);

		if (off >= RST_BLIND || off <= -RST_BLIND)
			continue;
		for (k = 0; k < n && abs(seen[k] - c->one[i].ttl) > RST_TTL_NEAR; k++)
			;
		if (k == n)
			seen[n++] = c->one[i].ttl;
	}
	return n;
}

/* Of the copies with one number, how many TTLs. */
static unsigned ttls(const struct rst_case *c)
{
	unsigned n = 0;

	for (unsigned i = 0, k; i < c->n; i++) {
		const struct rst_packet *p = &c->one[i];

		if (p->us - c->one[0].us >= BURST_US || p->seq != c->one[0].seq)
			continue;
		for (k = 0; k < i && (c->one[k].ttl != p->ttl || c->one[k].seq != p->seq); k++)
			;
		n += k == i;
	}
	return n;
}

/* Copies of one burst against each other: R5, R6, R7. */
static uint32_t copies(const struct rst_case *c, const struct rst_side *sender)
{
	const struct rst_packet *a = &c->one[0];
	unsigned like = 1, unlike = 0;
	uint32_t set = 0;

	for (unsigned i = 1; i < c->n; i++) {
		const struct rst_packet *b = &c->one[i], *prev = &c->one[i - 1];

		if (b->us - prev->us < PAIR_US && !c->fin_seen && !c->opposite_rst &&
		    !c->syn_stage && c->own_end_known && !c->misses &&
		    seq_dist(b->seq, prev->seq) > 2 && seq_dist(b->seq, c->own_end) > 0 &&
		    seq_dist(b->seq, c->own_end) < REACH && seq_dist(b->seq, c->peer_ack) > 2)
			set |= RST_BIT(RST_R5_MULTI_SEQ);
		if (b->us - a->us < PAIR_US && has_ack(a) == has_ack(b) && a->ack != b->ack &&
		    (!has_ack(b) ? !a->ack != !b->ack || (a->ack && b->ack)
				 : !b->ack != !a->ack || (c->peer_end_known &&
							  seq_dist(b->ack, c->peer_end) > 0)))
			set |= RST_BIT(RST_R6_MULTI_ACK);
		if (b->us - a->us < BURST_US && b->seq == a->seq && b->ack == a->ack &&
		    has_ack(a) && has_ack(b)) {
			like++;
			if (b->ttl != a->ttl ||
			    (side_counts_ipid(sender, c) && ipid_apart(prev->ipid, b->ipid) &&
			     prev->ipid && b->ipid))
				unlike++;
		}
	}
	/* Each SYN that is sent again is refused again; plain ones answer each packet, by two routes perhaps. */
	if (!c->syn_stage && ((like >= 3 && unlike) || ttls(c) >= 3 || far_ttls(c) >= 3 || c->ttls_of_flows))
		set |= RST_BIT(RST_R7_BURST);
	return set;
}

/* By how much no TTL of the sender fits. */
static unsigned ttl_off(const struct rst_side *s, uint8_t ttl, unsigned *pkts)
{
	unsigned nearest = 256;

	*pkts = 0;
	for (unsigned i = 0; i < s->nttl; i++) {
		unsigned d = s->ttl[i] > ttl ? s->ttl[i] - ttl : ttl - s->ttl[i];

		if (d < nearest)
			nearest = d;
		*pkts += s->ttl_pkts[i];
	}
	return s->nttl ? nearest : 0;
}

bool rst_ttl_far(const struct rst_side *s, uint8_t ttl)
{
	unsigned pkts;

	return ttl_off(s, ttl, &pkts) > RST_TTL_NEAR;
}

static bool ttl_apart(const struct rst_side *s, uint8_t ttl)
{
	unsigned pkts, nearest = ttl_off(s, ttl, &pkts);

	return s->nttl && (nearest >= 2 || (nearest >= 1 && s->nttl == 1 && pkts >= 8));
}

static bool ipid_strange(const struct rst_case *c, const struct rst_side *s, uint16_t ipid)
{
	if (!ipid || !side_counts_ipid(s, c) || (!c->ipid_before && !c->ipid_after))
		return false;
	if (c->ipid_after && !ipid_apart(ipid, c->ipid_after))
		return false;
	return !c->ipid_before || ipid_apart(c->ipid_before, ipid);
}

/* Windows move, but not by leaps; a SYN's compares only where nothing is scaled. */
static bool window_apart(const struct rst_side *s, uint16_t win)
{
	uint16_t usual = s->win ? s->win : s->scales ? 0 : s->syn_win;

	return usual && (win / 4 > usual || usual / 4 > win);
}

/* R10: is this the sender's own stack? */
static uint32_t stack(const struct rst_case *c, const struct rst_side *s)
{
	const struct rst_packet *p = &c->one[0];
	uint32_t set = 0;

	if (ttl_apart(s, p->ttl))
		set |= RST_BIT(RST_TTL);
	if (p->ipv4 && ipid_strange(c, s, p->ipid))
		set |= RST_BIT(RST_IPID);
	if (p->ipv4 && s->pkts >= 2 && (s->df_pkts == s->pkts ? !p->df : !s->df_pkts && p->df))
		set |= RST_BIT(RST_DF);
	if (has_ack(p) && s->tos_pkts >= 3 && DSCP(s->tos) != DSCP(p->tos))
		set |= RST_BIT(RST_DSCP);
	if (has_ack(p) && !p->ts && c->own_uses_ts && c->own_end_known && p->seq == c->own_end)
		set |= RST_BIT(RST_NO_TS);
	if (p->reserved)
		set |= RST_BIT(RST_RESERVED);
	if (p->payload)
		set |= RST_BIT(RST_PAYLOAD);
	if (has_ack(p) && !c->syn_stage && p->win && window_apart(s, p->win))
		set |= RST_BIT(RST_WINDOW);
	if ((set & RST_BIT(RST_IPID)) && !p->df && c->ipid_flows)
		set |= RST_BIT(RST_IPID_FLOWS);
	return set;
}

#define HEADER (RST_BIT(RST_WINDOW + 1) - RST_BIT(RST_TTL)) /* R10 */

/* What no endpoint does, whoever's header it has: a balancer in front resets with one of its own. */
#define CONTRADICTIONS                                                                             \
	(RST_BIT(RST_R1_CERTAIN) | RST_BIT(RST_R1_GRADED) | RST_BIT(RST_R1B_TRIGGER) |             \
	 RST_BIT(RST_R2_LIFE) | RST_BIT(RST_R3_SEQ_BEHIND) | RST_BIT(RST_R4_SEQ_AHEAD) |           \
	 RST_BIT(RST_R5_MULTI_SEQ) | RST_BIT(RST_R6_MULTI_ACK) | RST_BIT(RST_R7_BURST) |           \
	 RST_BIT(RST_R8_BOTH_ENDS) | RST_BIT(RST_R9_SYN_STAGE))

/*
 * Another machine's: a hop or two are a balancer's, another initial TTL is not,
 * and nothing else fits the sender either: two fields, or a number that its
 * sender had passed already.
 */
static bool foreign(const struct rst_case *c, const struct rst_side *s, uint32_t set)
{
	unsigned others = set & RST_BIT(RST_R3_SEQ_BEHIND) ? 2 : 0;

	if (!c->settled || !(set & CONTRADICTIONS) || !(set & RST_BIT(RST_TTL)) || !rst_ttl_far(s, c->one[0].ttl))
		return false;
	for (unsigned r = RST_IPID; r <= RST_WINDOW; r++)
		others += !!(set & RST_BIT(r));
	return others >= 2;
}

/* Of another numbering: whoever sent it, for whatever connection, neither end heeds it. */
static bool elsewhere(const struct rst_case *c)
{
	int32_t off = seq_dist(c->one[0].seq, c->own_end);

	return c->own_end_known && !c->syn_stage && (off >= REACH || off <= -REACH);
}

static uint32_t aftermath(const struct rst_case *c)
{
	const struct rst_packet *p = &c->one[0];
	bool went_on = !c->syn_sent && !elsewhere(c);
	uint32_t set = 0;

	if (c->life && went_on)
		set |= RST_BIT(RST_R2_LIFE);
	if (c->life_data && c->life_answered && went_on)
		set |= RST_BIT(RST_R2_BOTH_LIVE);
	if (c->answers && went_on)
		set |= RST_BIT(RST_R2_ANSWERS);
	if ((c->accepted || (c->syn_stage && c->late_synack)) && !c->syn_again)
		set |= RST_BIT(RST_R9_SYN_STAGE);
	/* What refuses a SYN acknowledges it (RFC 9293 3.10.7.1); crude boxes that leave it 0
	 * aside. */
	if (c->syn_stage && c->peer_end_known && c->peer_pkts == 1 && !c->peer_sent_data &&
	    has_ack(p) && p->ack && p->ack != c->peer_end)
		set |= RST_BIT(RST_R9_SYN_STAGE);
	/* One may end it while a box in front of the other answers what came before. */
	if (c->both_ends_us != ~0u && c->peer_rtt_us && c->both_ends_us < c->peer_rtt_us / 2 &&
	    c->both_ends_us < BURST_US && (has_ack(p) || (c->trigger_age_us != ~0u && c->trigger_age_us > ANSWERS_US)))
		set |= RST_BIT(RST_R8_BOTH_ENDS);
	return set;
}

uint32_t rst_rules(const struct rst_case *c, const struct rst_side *sender,
		   const struct rst_side *receiver, const struct rst_base *base)
{
	uint32_t set = 0;

	if (!c->n)
		return 0;
	if (c->from_receivers_side)
		set |= RST_BIT(RST_R0_INTERFACE);
	set |= timing(c, base) | numbers(c, receiver) | copies(c, sender) | stack(c, sender) |
	       aftermath(c);
	if (c->unprovoked && !c->misses && rst_ttl_far(sender, c->one[0].ttl))
		set |= RST_BIT(RST_UNPROVOKED);
	if (foreign(c, sender, set))
		set |= RST_BIT(RST_FOREIGN);
	if (c->residual)
		set |= RST_BIT(RST_R11_RESIDUAL);
	if (c->fin_seen)
		set |= RST_BIT(RST_FIN);
	if (c->idle_us != ~0u && c->idle_us >= IDLE_US)
		set |= RST_BIT(RST_IDLE);
	if (c->dies_on_way)
		set |= RST_BIT(RST_OWN_SIDE);
	if (c->server_wide && !(set & (RST_BIT(RST_R0_INTERFACE) | RST_BIT(RST_R1_CERTAIN) |
				       RST_BIT(RST_R2_LIFE) | RST_BIT(RST_R9_SYN_STAGE))))
		set |= RST_BIT(RST_SERVER_WIDE);
	return set;
}

double rst_score(uint32_t set)
{
	double score = 0;
	unsigned items = 0;

	/* After so long it is answered by whoever has forgotten it, and looks so. */
	if (set & RST_BIT(RST_IDLE)) {
		set &= ~(HEADER | RST_BIT(RST_FOREIGN) | RST_BIT(RST_IPID_FLOWS) | RST_BIT(RST_UNPROVOKED));
		if (!(set & RST_BIT(RST_R2_LIFE)))
			set &= ~(RST_BIT(RST_R3_SEQ_BEHIND) | RST_BIT(RST_R4_SEQ_AHEAD));
	}
	for (unsigned r = 0; r < RST_RULES; r++) {
		if (!(set & RST_BIT(r)))
			continue;
		if (r >= RST_TTL && r <= RST_WINDOW && ++items > 3)
			continue;
		score += rules[r].weight;
	}
	/* Refused and accepted, and refused by another's header: nothing honest does both. */
	if ((set & RST_BIT(RST_R9_SYN_STAGE)) && items && score == 5)
		score = 6;
	return score;
}
