/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which answer to a question is forged: rules over two answers, or one answer and the resolver's habits. */
#ifndef WEIR_DNS_RULES_H
#define WEIR_DNS_RULES_H

#include "dns_message.h"

enum dns_rule {
	DNS_DISAGREE,	  /* two answers to one question, and not the same */
	DNS_ADDRESSES,	  /* the addresses themselves differ */
	DNS_OUTCOME,	  /* one says that the name exists, the other not */
	DNS_BOGUS,	  /* an address that no public name has, or not the kind that was asked for */
	DNS_FLAGS,	  /* AA or RA differ, or are not the resolver's */
	DNS_EDNS,	  /* only one of them answers EDNS */
	DNS_CASE,	  /* the question's letter case was not kept */
	DNS_TTL,	  /* IP TTL */
	DNS_DF,		  /* IP don't fragment */
	DNS_TOO_SOON,	  /* sooner than the resolver ever answered */
	DNS_RETRIED,	  /* guard: the question was asked more than once */
	DNS_RULES
};

#define DNS_BIT(rule) (1u << (rule))

struct dns_answer {
	uint64_t time_ns;
	uint64_t set, addresses, qname_case;
	uint16_t flags, ancount, ipid;
	uint16_t payload_len;
	uint8_t ttl;
	bool df, edns, full, bogus, question;
	char address[DNS_ADDR_TEXT];
};

/* What a resolver's answers looked like so far, those in doubt left out. */
struct dns_habit {
	uint32_t answers, rtt_min_us;
	uint8_t ttl, ttl2; /* of the newest, and of the newest with another; ttl2 0: none */
	uint32_t with_aa, with_ra;
	uint32_t odd;	   /* answers in a row that look forged, nobody contradicting them */
	bool mixed;	   /* such were followed by usual ones: it's no new route to the resolver */
};

/*
 * Both answer the same question, a first; which is forged is not said. 0: they
 * agree. asked_ns: when it was asked.
 */
uint32_t dns_pair(const struct dns_answer *a, const struct dns_answer *b, const struct dns_habit *h, uint64_t asked_ns,
		  unsigned questions, unsigned answers);

/* An answer that nobody contradicted, delay_us after its question. */
void dns_learn(struct dns_habit *h, const struct dns_answer *a, uint64_t delay_us);

/* One that looks forged was not contradicted, either: a few in a row are another route, and all is learned anew. */
void dns_learn_odd(struct dns_habit *h);

/* One answer on its own. asked_case: hash of the name as asked; 0 unknown. */
uint32_t dns_alone(const struct dns_answer *a, const struct dns_habit *h, uint32_t delay_us, uint64_t asked_case);

/* 6 and more: forged. */
double dns_score(uint32_t rules);

/* How much speaks for a being the forged one of a pair. */
int dns_doubt(const struct dns_answer *a, const struct dns_habit *h);

const char *dns_rule_name(unsigned rule);

#endif
