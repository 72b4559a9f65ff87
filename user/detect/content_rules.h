/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes put into a TCP stream by somebody else: what speaks for it. TCP never
 * changes a byte once sent (RFC 9293 3.8.1), so two versions of one sequence
 * range come from two senders, or from one that tests a monitor; headers tell which.
 */
#ifndef WEIR_CONTENT_RULES_H
#define WEIR_CONTENT_RULES_H

#include <stddef.h>

#include "rst_rules.h"

#define CONTENT_KEPT 192 /* payload bytes kept of a segment */

enum content_rule {
	CONTENT_CONFLICT,   /* other bytes for the same sequence range */
	CONTENT_AFTER_FIN,  /* its sender goes on behind its own FIN */
	CONTENT_TWO_ISNS,   /* one SYN, two SYN-ACKs with other numbers */
	CONTENT_CERTAIN,    /* acknowledges what cannot have arrived yet */
	CONTENT_SOON,
	CONTENT_UNAWARE,    /* its sender's next packets do not know of these bytes */
	CONTENT_NO_TS,	    /* RFC 7323 3.2: once negotiated, on every segment */
	CONTENT_IPID_SAME,  /* two packets with one IP-ID that no counter gave, fragmentable */
	CONTENT_IPID_FLOWS, /* the same IP-ID on such packets of several flows */
	CONTENT_TTL,
	CONTENT_IPID,
	CONTENT_DF,
	CONTENT_WINDOW,
	CONTENT_OPTIONS,    /* of SYN-ACKs */
	CONTENT_STALE_ACK,  /* acknowledges less than its sender did before */
	CONTENT_FIN_FIRST,  /* the first bytes of an answer close the connection */
	CONTENT_PAGE,	    /* a redirect or a refusal as first answer; a TLS alert */
	CONTENT_OWN_SIDE,   /* guard: the endpoint on our own side did it */
	CONTENT_RULES
};

#define CONTENT_BIT(rule) (1u << (rule))

/* What no one sender does. */
#define CONTENT_CONTRADICTS (CONTENT_BIT(CONTENT_CONFLICT) | CONTENT_BIT(CONTENT_AFTER_FIN) | CONTENT_BIT(CONTENT_TWO_ISNS))

/* A segment's look. */
struct content_look {
	uint64_t time_ns;
	uint32_t seq, ack, us;
	uint16_t ipid, win, len, kept;
	uint8_t ttl, tcp_flags;
	bool df, ts, ipv4;
};

enum content_first { CONTENT_OTHER, CONTENT_IS_PAGE, CONTENT_IS_ALERT };

/* What the first bytes of an answer are. */
enum content_first content_first(const uint8_t *payload, size_t len);

/* Do the kept bytes of both disagree where they overlap? Keep-alive probes aside. */
bool content_conflict(const struct content_look *a, const uint8_t *abytes, const struct content_look *b,
		      const uint8_t *bbytes);

/*
 * What sets `odd` apart from `usual`, another packet of the same sender (not a
 * SYN where windows are compared). uses_ts: the flow negotiated timestamps.
 */
uint32_t content_stack(const struct content_look *odd, const struct content_look *usual, bool uses_ts, bool counts_ipid);

/* 6 and more: injected. Without CONFLICT, AFTER_FIN, TWO_ISNS, PAGE or CERTAIN it is nothing. */
double content_score(uint32_t rules);

const char *content_rule_name(unsigned rule);

#endif
