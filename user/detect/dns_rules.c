/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns_rules.h"

#define RCODE(flags) ((flags) & 15)
#define MIN_RTT_US   4000

static const struct {
	const char *name;
	double weight;
} rules[DNS_RULES] = {
	[DNS_DISAGREE] = { "answers_disagree", 3 },
	[DNS_ADDRESSES] = { "addresses_differ", 1 },
	[DNS_OUTCOME] = { "outcomes_differ", 1 },
	[DNS_BOGUS] = { "no_public_address", 2 },
	[DNS_FLAGS] = { "flags_differ", 2 },
	[DNS_EDNS] = { "edns_differs", 1 },
	[DNS_CASE] = { "case_not_kept", 2 },
	[DNS_TTL] = { "ttl_differs", 2 },
	[DNS_DF] = { "dont_fragment_differs", 1 },
	[DNS_TOO_SOON] = { "too_soon", 3 },
	[DNS_RETRIED] = { "asked_again", -3 },
};

const char *dns_rule_name(unsigned rule)
{
	return rule < DNS_RULES ? rules[rule].name : "?";
}

static bool apart(uint8_t a, uint8_t b)
{
	return (a > b ? a - b : b - a) >= 2;
}

static bool same_content(const struct dns_answer *a, const struct dns_answer *b)
{
	if (RCODE(a->flags) != RCODE(b->flags))
		return false;
	if (a->full && b->full)
		return a->set == b->set;
	/* Without the records: lengths and counts must differ both to say anything. */
	return a->ancount == b->ancount || a->payload_len == b->payload_len;
}

static bool usual_ttl(const struct dns_habit *h, uint8_t ttl)
{
	return h->answers && (!apart(ttl, h->ttl) || (h->ttl2 && !apart(ttl, h->ttl2)));
}

void dns_learn(struct dns_habit *h, const struct dns_answer *a, uint64_t delay_us)
{
	if (delay_us && delay_us < UINT32_MAX && (!h->rtt_min_us || delay_us < h->rtt_min_us))
		h->rtt_min_us = (uint32_t)delay_us;
	if (h->answers && h->ttl != a->ttl)
		h->ttl2 = h->ttl;
	h->ttl = a->ttl;
	h->with_aa += !!(a->flags & DNS_AA);
	h->with_ra += !!(a->flags & DNS_RA);
	h->answers++;
	h->mixed |= h->odd > 0;
	h->odd = 0;
}

void dns_learn_odd(struct dns_habit *h)
{
	if (++h->odd >= 3)
		*h = (struct dns_habit){ 0 };
}

/* The first sooner than the resolver can be, the second when it is due. */
static bool first_too_soon(const struct dns_answer *a, const struct dns_answer *b, const struct dns_habit *h,
			   uint64_t asked_ns)
{
	return h->answers >= 5 && h->rtt_min_us >= MIN_RTT_US && (a->time_ns - asked_ns) / 1000 < h->rtt_min_us / 2 &&
	       (b->time_ns - asked_ns) / 1000 >= h->rtt_min_us / 10 * 8;
}

uint32_t dns_pair(const struct dns_answer *a, const struct dns_answer *b, const struct dns_habit *h, uint64_t asked_ns,
		  unsigned questions, unsigned answers)
{
	uint32_t set = 0;

	if (same_content(a, b))
		return 0;
	/* A resolver that gives up and is heard twice, or says "truncated" first, forges nothing. */
	if ((a->flags | b->flags) & DNS_TC)
		return 0;
	set |= DNS_BIT(DNS_DISAGREE);
	if (RCODE(a->flags) != RCODE(b->flags)) {
		set |= DNS_BIT(DNS_OUTCOME);
	} else if (a->full && b->full && a->addresses != b->addresses) {
		set |= DNS_BIT(DNS_ADDRESSES);
		if (a->bogus != b->bogus)
			set |= DNS_BIT(DNS_BOGUS);
	}
	if ((a->flags ^ b->flags) & (DNS_AA | DNS_RA))
		set |= DNS_BIT(DNS_FLAGS);
	if (a->full && b->full && a->edns != b->edns)
		set |= DNS_BIT(DNS_EDNS);
	if (a->question && b->question && a->qname_case != b->qname_case)
		set |= DNS_BIT(DNS_CASE);
	/* Several machines of one resolver differ, and are known by that. */
	if (apart(a->ttl, b->ttl) && !(usual_ttl(h, a->ttl) && usual_ttl(h, b->ttl)))
		set |= DNS_BIT(DNS_TTL);
	if (first_too_soon(a, b, h, asked_ns))
		set |= DNS_BIT(DNS_TOO_SOON);
	if (a->df != b->df)
		set |= DNS_BIT(DNS_DF);
	if (questions >= answers)
		set |= DNS_BIT(DNS_RETRIED);
	return set;
}

static bool strange_flags(const struct dns_answer *a, const struct dns_habit *h)
{
	bool aa = a->flags & DNS_AA, ra = a->flags & DNS_RA;

	return h->answers >= 5 && ((aa && !h->with_aa) || (!ra && h->with_ra == h->answers));
}

uint32_t dns_alone(const struct dns_answer *a, const struct dns_habit *h, uint32_t delay_us, uint64_t asked_case)
{
	uint32_t set = 0;

	if (h->answers < 5)
		return 0;
	if (h->rtt_min_us >= MIN_RTT_US && delay_us < h->rtt_min_us / 2)
		set |= DNS_BIT(DNS_TOO_SOON);
	if (!h->ttl2 && apart(a->ttl, h->ttl))
		set |= DNS_BIT(DNS_TTL);
	if (strange_flags(a, h))
		set |= DNS_BIT(DNS_FLAGS);
	if (asked_case && a->question && a->qname_case != asked_case)
		set |= DNS_BIT(DNS_CASE);
	/* By themselves these are a resolver's policy, not a race. */
	if (!(set & (DNS_BIT(DNS_TOO_SOON) | DNS_BIT(DNS_TTL))))
		return 0;
	if (a->full && a->bogus)
		set |= DNS_BIT(DNS_BOGUS);
	return set;
}

double dns_score(uint32_t set)
{
	double score = 0;

	for (unsigned r = 0; r < DNS_RULES; r++)
		if (set & DNS_BIT(r))
			score += rules[r].weight;
	return score;
}

int dns_doubt(const struct dns_answer *a, const struct dns_habit *h)
{
	int doubt = 0;

	doubt += 2 * (a->full && a->bogus);
	doubt += (a->flags & DNS_AA) && !(a->flags & DNS_RA);
	doubt += h->answers >= 3 && !h->ttl2 && apart(a->ttl, h->ttl) ? 2 : 0;
	doubt += strange_flags(a, h);
	return doubt;
}
