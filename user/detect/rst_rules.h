/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules that tell a forged reset from an honest one, without any flow
 * table: what each end was seen to send, what a burst of resets looked like,
 * and what followed it, in; rules, evidence and a score out. The rules'
 * numbers and weights follow Weaver, Sommer, Paxson (NDSS 2009) and the ack
 * causality argument: nobody acknowledges a byte sooner than it can have got there.
 */
#ifndef WEIR_RST_RULES_H
#define WEIR_RST_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "weir_abi.h"

#define RST_OVERTAKE_US 1000u /* packets may overtake each other by so much anywhere */

#define RST_SENT 8  /* newest stretches of data remembered per direction */
#define RST_ACKED 16 /* newest acknowledgment values */
#define RST_BLIND (1 << 20) /* a number further off was guessed */
#define RST_TTLS 3
#define RST_TTL_NEAR 4 /* hops by which paths of one pair of hosts, and boxes in front of them, differ */
#define RST_KEPT 8 /* resets of a burst that are compared with each other */

/* Sequence numbers wrap: a - b as a signed distance. */
static inline int32_t seq_dist(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

/* A sequence end (or acknowledgment), and when it first passed us: µs, wraps. */
struct rst_mark {
	uint32_t seq, us;
};

/* What one end of a flow was seen to send, resets apart. Times in µs that wrap. */
struct rst_side {
	uint32_t nsent, nacked;
	bool end_known;
	bool forgot;		  /* sent[] does not reach back without a gap */
	uint32_t end, ack;	  /* highest */
	uint32_t pkts, data_pkts; /* records; data: of new bytes only */
	uint32_t seen;		  /* packets, those before the first record in */
	bool whole;		  /* none that could carry an acknowledgment passed before */
	uint32_t pushes;	  /* data packets with PSH */
	uint32_t df_pkts;
	uint64_t last_ns; /* its newest packet, and enough of it to know it again */
	uint32_t last_seq, last_ack;
	uint16_t last_ipid, last_pkts;
	uint8_t last_flags;
	uint16_t ipid, ipid_near, ipid_far; /* newest non-zero; steps of 0..256, others */
	uint8_t ttl[RST_TTLS], nttl;
	uint8_t ttl_pkts[RST_TTLS]; /* saturates */
	uint8_t tos, tos_pkts;	    /* packets in a row with that DSCP */
	uint16_t win, syn_win;	    /* newest behind the SYN, of the SYN; unscaled, 0 none */
	bool scales;		    /* offered window scaling */
	bool syn, fin, reordered;
	bool acked_back; /* an acknowledgment came behind a higher one: acked[] lacks it */
	bool hole;	 /* bytes before hole_end did not pass us so far */
	uint32_t hole_end;
	uint16_t in_if, out_if; /* interface + 1 it came in by, went out by; 0 none */
	struct rst_mark sent[RST_SENT], acked[RST_ACKED]; /* rings; [n % size] is next */
} __attribute__((aligned(64)));

/* The flow of r negotiated timestamps (RFC 7323): every segment but a reset carries them. */
static inline bool rec_uses_ts(const struct weir_rec *r)
{
	return r->own_dir_flags & r->peer_dir_flags & WEIR_DIR_TS;
}

/* A reset as it passed. */
struct rst_packet {
	uint32_t seq, ack, us;
	uint16_t ipid, win, ifindex;
	uint8_t ttl, tos, tcp_flags, reserved;
	bool df, ts, payload, egress, ipv4;
};

enum rst_rule {
	RST_R0_INTERFACE,
	RST_R1_CERTAIN,
	RST_R1_GRADED,
	RST_R1B_TRIGGER,
	RST_R1B_SURE, /* the same, by a distance that is known well, with nothing sent before that
			 it could belong to */
	RST_R2_LIFE,
	RST_R2_BOTH_LIVE,
	RST_R2_ANSWERS, /* it is what lay unanswered before the reset that is answered after it */
	RST_R3_SEQ_BEHIND,
	RST_R4_SEQ_AHEAD,
	RST_R5_MULTI_SEQ,
	RST_R6_MULTI_ACK,
	RST_R7_BURST,
	RST_R8_BOTH_ENDS,
	RST_R9_SYN_STAGE,
	RST_R11_RESIDUAL,
	RST_FOREIGN, /* another machine's header in all that can be told, when nothing explained it
		      */
	RST_IPID_FLOWS, /* resets of several flows carry one IP-ID that no counter gave */
	RST_UNPROVOKED, /* a client's by name, of another hop count, when nothing came that anyone there
			   could have answered */
	/* R10, evidence from the stack: one point each, three at most */
	RST_TTL,
	RST_IPID,
	RST_DF,
	RST_DSCP,
	RST_NO_TS,
	RST_RESERVED,
	RST_PAYLOAD,
	RST_WINDOW,
	RST_ICMP, /* no reset at all: a router says that the flow is prohibited */
	/* guards */
	RST_FIN,
	RST_IDLE,
	RST_SERVER_WIDE,
	RST_OWN_SIDE, /* sent by an endpoint with so few hops to live that it dies on the way */
	RST_RULES
};

#define RST_BIT(rule) (1u << (rule))

/* The round trip us -> sender -> us that a reset is judged by. */
struct rst_base {
	uint32_t min_us; /* 0: unknown */
	uint32_t n;	 /* samples behind it */
	uint32_t mean_us;
	bool reorders;
};

/* A burst of resets that claim one sender, towards one receiver, and what came with it. */
struct rst_case {
	struct rst_packet one[RST_KEPT];
	unsigned n; /* of one[] */
	uint32_t copies;
	/* As it was just before the first one. */
	uint32_t own_end, own_ack, peer_end, peer_ack;
	bool own_end_known, peer_end_known, peer_ack_known, own_uses_ts, own_sent_data,
		peer_sent_data;
	uint32_t own_pkts, peer_pkts;
	uint32_t idle_us; /* since the last packet of either end; ~0 none */
	bool syn_stage;	  /* its sender had sent nothing yet, its receiver a SYN */
	bool accepted;	  /* it refuses (number 0) the one SYN that its sender has accepted */
	bool fin_seen;
	bool opposite_rst; /* the receiver had sent a reset before */
	bool syn_sent; /* its sender waits for a SYN-ACK: it may reset what it got instead, and go on */
	bool misses;   /* packets were not seen by us: numbers prove nothing */
	bool from_receivers_side; /* R0: came in where the receiver's packets come in, and the
				     sender's do not */
	uint32_t ack_age_us, trigger_age_us; /* see rst_ack_age; ~0 unknown */
	/* What came after. */
	bool life, life_data, life_answered, answers, late_synack, syn_again;
	bool filled; /* its sender's bytes up to its number came, those that it overtook */
	uint32_t both_ends_us; /* to a reset of the other direction; ~0 none */
	uint32_t peer_rtt_us;  /* us -> receiver -> us; 0 unknown */
	uint16_t ipid_after;   /* first non-zero of the sender after it; 0 none */
	uint16_t ipid_before;  /* newest non-zero of the sender before it; 0 none */
	bool residual, server_wide;
	bool settled;	     /* its time is over: what could explain it would have come */
	bool unprovoked;     /* a client's: the newest that was sent to it is answered, and long past */
	bool ttls_of_flows;  /* several flows were reset in its sender's name, by TTLs of no one machine */
	bool dies_on_way;    /* a client's, with few hops left where its others have many */
	unsigned ipid_flows; /* other flows reset with the same IP-ID */
	bool host_counts_ipid;
};

/* What the other end had sent before r, as far as r tells; for a side that was not followed so far.
 */
void rst_side_prime(struct rst_side *s, const struct weir_rec *r);

/* The one packet that the sender of r had sent before, as far as r tells. */
void rst_side_first(struct rst_side *s, const struct weir_rec *r);

/*
 * The sender of r was seen to send it (not a reset). False: the very packet that
 * it sent last, seen again (another interface, a mirror); nothing was noted then.
 */
bool rst_side_saw(struct rst_side *s, const struct weir_rec *r);

/*
 * Since when an end could know what `ack` acknowledges: µs since the byte
 * before it first passed us, from the end that sent it. ~0: not known.
 */
uint32_t rst_ack_age(const struct rst_side *sender_of_data, uint32_t ack, uint32_t now_us);

/* Since the acknowledgment value `seq` first passed us (an honest reply repeats one). ~0: not
 * known. */
uint32_t rst_acked_age(const struct rst_side *acker, uint32_t seq, uint32_t now_us);

/*
 * A box that lost a connection answers each packet of it alike. Here packets
 * behind the one that the reset repeats had passed before it came, and none was.
 */
bool rst_answers_one_only(const struct rst_case *c, const struct rst_side *acker);

/* No few hops more or less: nothing of what the sender sent has about that TTL. */
bool rst_ttl_far(const struct rst_side *sender, uint8_t ttl);

/* 2: sooner than anything can come back, 1: probably so, 0: no, or not known. */
int rst_too_soon(uint32_t age_us, const struct rst_base *base);

/* Every rule and guard that holds for the case: a set of RST_BIT()s. */
uint32_t rst_rules(const struct rst_case *c, const struct rst_side *sender,
		   const struct rst_side *receiver, const struct rst_base *base);

/* 6 and more: injected, 4 to below 6: probably, 2 to 4: says something in numbers only. */
double rst_score(uint32_t rules);

const char *rst_rule_name(enum rst_rule rule); /* as in events and findings */

#endif
