/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Injected DNS answers: several to one question that do not agree, or one that
 * comes sooner and from elsewhere than the resolver's. Questions are kept for
 * two seconds after their first answer in a table of fixed size.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_rules.h"
#include "inject.h"
#include "rst_host.h"

#define QUESTIONS 4096
#define WAYS	  4
#define RESOLVERS 512
#define NAMES	  (INJECT_GROUPS / 2) /* findings with a name of their own; then one for all others */
#define WAIT_NS	  2000000000ull	      /* for further answers after the first */
#define ASK_NS	  10000000000ull      /* for the first one */

struct question {
	uint64_t key; /* flow and id; 0: free */
	uint64_t asked_ns;
	uint64_t qname_hash, qname_case;
	uint64_t flow_id;
	struct in6_addr resolver;
	uint8_t asked, answered;
	bool reported, odd; /* odd: its answer looks forged, though nobody contradicts it */
	struct dns_answer first;
	char name[DNS_NAME_TEXT];
};

struct resolver {
	struct in6_addr ip;
	uint64_t used_ns;
	struct dns_habit habit;
};

struct dns_detector {
	const struct detect_env *env;
	struct question question[QUESTIONS];
	uint64_t taken[QUESTIONS / 64]; /* bits: which of them have a key */
	struct resolver resolver[RESOLVERS];
	struct inject inject;
	unsigned names;
};

static void dns_rest(const struct inject_group *g, struct finding *f);

static void *dns_create(const struct detect_env *env)
{
	struct dns_detector *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->env = env;
	d->inject.env = env;
	d->inject.rule_name = dns_rule_name;
	d->inject.rest = dns_rest;
	d->inject.method = "dns_injection/rules/1";
	return d;
}

static struct resolver *resolver(struct dns_detector *d, const struct in6_addr *ip, uint64_t now_ns)
{
	size_t set = rst_hash(ip, sizeof(*ip), 3) % (RESOLVERS / WAYS) * WAYS;
	struct resolver *old = &d->resolver[set];

	for (size_t i = set; i < set + WAYS; i++) {
		struct resolver *r = &d->resolver[i];

		if (r->used_ns && !memcmp(&r->ip, ip, sizeof(*ip))) {
			r->used_ns = now_ns;
			return r;
		}
		if (r->used_ns < old->used_ns)
			old = r;
	}
	memset(old, 0, sizeof(*old));
	old->ip = *ip;
	old->used_ns = now_ns;
	return old;
}

static void take_place(struct dns_detector *d, const struct question *q, bool taken)
{
	size_t i = (size_t)(q - d->question);
	uint64_t bit = 1ull << i % 64;

	d->taken[i / 64] = taken ? d->taken[i / 64] | bit : d->taken[i / 64] & ~bit;
}

/* The question is over: an answer that nobody contradicted tells of the resolver. */
static void settle(struct dns_detector *d, struct question *q)
{
	const struct dns_answer *a = &q->first;

	if (q->answered == 1 && q->asked == 1 && !q->reported) {
		struct dns_habit *h = &resolver(d, &q->resolver, a->time_ns)->habit;

		if (q->odd)
			dns_learn_odd(h);
		else
			dns_learn(h, a, (a->time_ns - q->asked_ns) / 1000);
	}
	q->key = 0;
	take_place(d, q, false);
}

static bool over(const struct question *q, uint64_t now_ns)
{
	return now_ns > (q->answered ? q->first.time_ns + WAIT_NS : q->asked_ns + ASK_NS);
}

static struct question *lookup(struct dns_detector *d, const struct flow *f, uint16_t id, uint64_t now_ns, bool make)
{
	uint64_t key = rst_hash(&f->id, sizeof(f->id), id) | 1;
	size_t set = (key >> 16) % (QUESTIONS / WAYS) * WAYS;
	struct question *old = &d->question[set];

	for (size_t i = set; i < set + WAYS; i++) {
		struct question *q = &d->question[i];

		if (q->key && over(q, now_ns))
			settle(d, q);
		if (q->key == key)
			return q;
		if (!q->key || (old->key && q->asked_ns < old->asked_ns))
			old = q;
	}
	if (!make)
		return NULL;
	if (old->key)
		settle(d, old);
	memset(old, 0, sizeof(*old));
	old->key = key;
	take_place(d, old, true);
	old->flow_id = f->id;
	old->asked_ns = now_ns;
	old->resolver = f->server.ip;
	return old;
}

static void on_question(struct dns_detector *d, const struct flow *f, const struct weir_rec *r, const struct dns_message *m)
{
	struct question *q = lookup(d, f, m->id, r->time_ns, true);

	if (q->answered) {
		/* The same id again: another question, or the same asked again after its answer. */
		settle(d, q);
		q = lookup(d, f, m->id, r->time_ns, true);
	}
	if (r->label == WEIR_DUPLICATE)
		return;
	q->asked += q->asked < 255;
	if (m->question) {
		q->qname_hash = m->qname_hash;
		q->qname_case = m->qname_case;
		memcpy(q->name, m->name, sizeof(q->name));
	}
}

static struct dns_answer answer_of(const struct weir_rec *r, const struct dns_message *m)
{
	struct dns_answer a = {
		.time_ns = r->time_ns,
		.set = m->set,
		.addresses = m->addresses,
		.qname_case = m->qname_case,
		.flags = m->flags,
		.ancount = m->ancount,
		.ipid = r->ipid,
		.payload_len = r->payload_len < UINT16_MAX ? (uint16_t)r->payload_len : UINT16_MAX,
		.ttl = r->ttl,
		.df = r->flags & WEIR_REC_DF,
		.edns = m->edns,
		.full = m->answers,
		.bogus = m->bogus,
		.question = m->question,
	};

	memcpy(a.address, m->address, sizeof(a.address));
	return a;
}

static uint64_t group_key(struct dns_detector *d, const struct question *q, const char **trigger)
{
	uint64_t key = rst_hash(q->name, strlen(q->name), 5) | 1;

	*trigger = q->name[0] ? q->name : "a name";
	if (inject_group(&d->inject, key) || ++d->names <= NAMES)
		return key;
	*trigger = "many names";
	return rst_hash("many", 4, 5) | 1;
}

static void describe(const struct dns_answer *a, char text[96])
{
	static const char *const rcode[] = { "no address", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" };
	unsigned code = a->flags & 15;

	if (a->address[0])
		snprintf(text, 96, "%s", a->address);
	else
		snprintf(text, 96, "%s", code < 6 ? rcode[code] : "an error");
}

static void report(struct dns_detector *d, struct question *q, const struct flow *f, const struct dns_answer *forged,
		   const struct dns_answer *real, uint32_t rules)
{
	struct inject_case k = {
		.kind = KIND_DNS_INJECTION,
		.subkind = real ? SUBKIND_RACE : SUBKIND_FORGED,
		.flow = f,
		.time_ns = forged->time_ns,
		.score = dns_score(rules),
		.rules = rules,
		.toward_client = true,
		.degraded = f->fragile,
		.ttl = forged->ttl,
		.copies = 1,
		.delay_us = (uint32_t)((forged->time_ns - q->asked_ns) / 1000),
	};
	const struct resolver *r = resolver(d, &q->resolver, forged->time_ns);
	struct inject_group *g;

	if (k.score < 4)
		return;
	if (d->env->mark) {
		char text[200];

		snprintf(text, sizeof(text), "forged answer, score %.0f%s%s", k.score, real ? "; another one: " : "",
			 real ? real->address : "");
		d->env->mark(d->env->mark_arg, f, forged->time_ns, text);
	}
	k.key = group_key(d, q, &k.trigger);
	k.flow_ttl = real ? real->ttl : r->habit.ttl;
	k.rtt_us = r->habit.rtt_min_us;
	q->reported = true;
	g = inject_add(&d->inject, &k);
	if (!g)
		return;
	describe(forged, g->text[0]);
	if (real)
		describe(real, g->text[1]);
	g->dirty = true;
}

static void on_answer(struct dns_detector *d, const struct flow *f, const struct weir_rec *r, const struct dns_message *m)
{
	struct question *q = lookup(d, f, m->id, r->time_ns, false);
	struct dns_answer a = answer_of(r, m);
	struct dns_habit *h;
	uint32_t rules;

	if (!q || r->label == WEIR_DUPLICATE || (m->question && q->qname_hash && m->qname_hash != q->qname_hash))
		return;
	q->answered += q->answered < 255;
	h = &resolver(d, &q->resolver, r->time_ns)->habit;
	if (q->answered == 1) {
		q->first = a;
		rules = dns_alone(&a, h, (uint32_t)((r->time_ns - q->asked_ns) / 1000), q->qname_case);
		q->odd = dns_score(rules) >= 6;
		if (q->odd && h->mixed)
			report(d, q, f, &a, NULL, rules);
		return;
	}
	rules = dns_pair(&q->first, &a, h, q->asked_ns, q->asked, q->answered);
	if (!rules || q->reported)
		return;
	if (dns_doubt(&a, h) > dns_doubt(&q->first, h))
		report(d, q, f, &a, &q->first, rules);
	else
		report(d, q, f, &q->first, &a, rules);
}

/* Where several hosts may answer by design: multicast and link-local name services. */
static bool unicast_dns(const struct flow *f)
{
	uint16_t port = f->server.port;

	return f->proto == IPPROTO_UDP && (port == 53 || (f->l7 == WEIR_L7_DNS && port != 5353 && port != 5355 && port != 137));
}

static void dns_on_packet(void *arg, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct dns_detector *d = arg;
	struct dns_message m;

	if (!r->payload_len || !unicast_dns(f))
		return;
	if (!(r->caplen && payload ? dns_parse(&m, payload, r->caplen)
				   : dns_parse_head(&m, r->head, r->payload_len < sizeof(r->head) ? r->payload_len
												 : sizeof(r->head))))
		return;
	if (r->caplen < r->payload_len)
		m.answers = false;
	if (rec_way(f, r) == TO_SERVER && !(m.flags & DNS_QR))
		on_question(d, f, r, &m);
	else if (rec_way(f, r) == TO_CLIENT && (m.flags & DNS_QR))
		on_answer(d, f, r, &m);
}

static void dns_rest(const struct inject_group *g, struct finding *f)
{
	struct facts *out = &f->ruled_out;

	if (g->text[0][0])
		fact_text(&f->estimate, "forged_answer", "%s", g->text[0]);
	if (g->text[1][0])
		fact_text(&f->estimate, "other_answer", "%s", g->text[1]);
	fact_text(out, "retransmission", "the answers differ in content");
	fact_num(out, "asked_again", g->rule_cases[DNS_RETRIED]);
	fact_text(out, "record_order", "sets were compared, whatever their order");
	fact_text(out, "across_questions", "answers to one question only were compared");
}

static void dns_tick(void *arg, uint64_t now_ns)
{
	struct dns_detector *d = arg;

	for (unsigned i = 0; i < QUESTIONS / 64; i++)
		for (uint64_t left = d->taken[i]; left; left &= left - 1) {
			struct question *q = &d->question[i * 64 + (unsigned)__builtin_ctzll(left)];

			if (over(q, now_ns))
				settle(d, q);
		}
	inject_tick(&d->inject, now_ns);
}

static void dns_destroy(void *arg)
{
	struct dns_detector *d = arg;

	inject_free(&d->inject);
	free(d);
}

const struct detector detect_dns = {
	.name = "dns",
	.wants = PACKET_UDP,
	.create = dns_create,
	.packet = dns_on_packet,
	.tick = dns_tick,
	.finish = dns_tick,
	.destroy = dns_destroy,
};
