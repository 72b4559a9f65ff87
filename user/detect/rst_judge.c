/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made of a burst of resets: verdict, event, finding; residual blocking; the flows that
 * pass. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rst.h"

#define RST_KEY "reset"
#define UNSEEN_NS  600000000000ull /* a capture that drops does so again */
#define WIDE_FLOWS 5 /* a host that resets so many flows within a second restarts */

static struct rst_base base_of(struct rst_detector *d, const struct rst_burst *b)
{
	const struct flow *f = b->flow;
	const struct in6_addr *ip = b->way == TO_CLIENT ? &f->server.ip : &f->client.ip;
	const struct rst_host *h = rst_host(&d->hosts, ip, b->last_ns);
	struct rst_base base = { .min_us = rst_host_rtt_min(h, b->last_ns),
				 .n = h->rtt_n,
				 .mean_us = (uint32_t)h->rtt_mean_us,
				 .reorders = h->reorders };

	if (b->flow_rtt_us && (!base.min_us || b->flow_rtt_us < base.min_us))
		base.min_us = b->flow_rtt_us;
	if (!base.n && base.min_us)
		base.n = 1;
	if (base.mean_us < base.min_us)
		base.mean_us = base.min_us;
	return base;
}

/*
 * A NAT on the way that forgot the connection answers its next packet so: near, with a header of its own, and then
 * nothing comes. A client's NAT is nearer than it, whatever comes.
 */
static bool forgotten(const struct rst_burst *b, const struct rst_side *receiver, uint32_t rules)
{
	const uint32_t header = RST_BIT(RST_TTL) | RST_BIT(RST_IPID) | RST_BIT(RST_DF) |
				RST_BIT(RST_WINDOW) | RST_BIT(RST_FOREIGN);

	if (b->way == TO_SERVER)
		return (rules & ~(header | RST_BIT(RST_R1B_SURE) | RST_BIT(RST_SERVER_WIDE))) == RST_BIT(RST_R1B_TRIGGER);
	return b->stage == RST_LATER && (rules & ~header) == RST_BIT(RST_R1B_TRIGGER) &&
	       !(b->c.settled && rst_answers_one_only(&b->c, receiver));
}

/* Numbers alone, when it may yet show that packets pass that we don't see. */
static bool numbers_alone(uint32_t rules)
{
	return !(rules & ~(RST_BIT(RST_R3_SEQ_BEHIND) | RST_BIT(RST_R4_SEQ_AHEAD) | RST_BIT(RST_R5_MULTI_SEQ) |
			   RST_BIT(RST_R6_MULTI_ACK)));
}

uint32_t rst_judge(struct rst_detector *d, struct rst_burst *b, struct rst_flow *s, double *score)
{
	const struct in6_addr *ip = b->way == TO_CLIENT ? &b->flow->server.ip : &b->flow->client.ip;
	struct rst_base base = base_of(d, b);
	uint32_t rules;

	b->c.host_counts_ipid = rst_host_counts_ipid(rst_host(&d->hosts, ip, b->last_ns));
	b->c.ipid_flows = rst_strays(d, b, false);
	b->c.server_wide = b->among_many && rst_host_resets(rst_host(&d->hosts, ip, b->last_ns),
							    b->first_ns) >= WIDE_FLOWS;
	b->c.misses |= d->unseen_ns && b->first_ns < d->unseen_ns + UNSEEN_NS;
	rules = rst_rules(&b->c, &s->side[b->way], &s->side[!b->way], &base);
	*score = rst_score(rules);
	if (forgotten(b, &s->side[!b->way], rules))
		*score = fmin(*score, 3);
	if (!b->c.settled && numbers_alone(rules))
		*score = fmin(*score, 5);
	return rules;
}

unsigned rst_strays(struct rst_detector *d, const struct rst_burst *b, bool note)
{
	const struct rst_packet *p = &b->c.one[0];

	if (!p->ipv4 || p->df || !p->ipid)
		return 0;
	for (unsigned i = 0; i < RST_STRAYS && i < d->nstrays; i++) {
		struct rst_stray *t = &d->stray[i];

		if (t->ipid != p->ipid)
			continue;
		if (note && t->flow_id != b->flow->id) {
			t->flow_id = b->flow->id;
			t->flows++;
		}
		return t->flows - 1;
	}
	if (note)
		d->stray[d->nstrays++ % RST_STRAYS] = (struct rst_stray){ b->flow->id, p->ipid, 1 };
	return 0;
}

static uint8_t flow_ttl(const struct rst_side *s)
{
	unsigned best = 0;

	for (unsigned i = 1; i < s->nttl; i++)
		if (s->ttl_pkts[i] > s->ttl_pkts[best])
			best = i;
	return s->nttl ? s->ttl[best] : 0;
}

/* Did it come when the answer to the newest data was due, or sooner? */
static bool answers(const struct rst_case *c, uint32_t rtt_us)
{
	uint32_t age = c->ack_age_us < c->trigger_age_us ? c->ack_age_us : c->trigger_age_us;

	return age != ~0u && age < 2 * rtt_us + 50000;
}

static struct inject_case case_of(struct rst_detector *d, const struct rst_burst *b,
				  const struct rst_flow *s, uint32_t rules, double score)
{
	const struct rst_case *c = &b->c;
	struct rst_base base = base_of(d, b);
	struct inject_case k = {
		.key = b->group ? b->group : inject_key(b->flow, RST_KEY),
		.kind = KIND_RST_INJECTION,
		.flow = b->flow,
		.time_ns = b->first_ns,
		.score = score,
		.rules = rules,
		.firm = rules & (RST_BIT(RST_R1_GRADED) | RST_BIT(RST_R1B_TRIGGER) |
				 RST_BIT(RST_R2_ANSWERS) | RST_BIT(RST_R6_MULTI_ACK) | RST_BIT(RST_R7_BURST) |
				 RST_BIT(RST_R4_SEQ_AHEAD) | RST_BIT(RST_R5_MULTI_SEQ) |
				 RST_BIT(RST_R9_SYN_STAGE) | RST_BIT(RST_IPID_FLOWS) |
				 RST_BIT(RST_UNPROVOKED)) ||
			(rules & RST_BIT(RST_FOREIGN) && b->stage >= RST_POST_PSH &&
			 (rules & RST_BIT(RST_R3_SEQ_BEHIND) || answers(c, base.min_us))),
		.toward_client = b->way == TO_CLIENT,
		.degraded = b->degraded || b->flow->fragile,
		.signature = rst_signature(b->stage, c->one, c->n),
		.stage = rst_stage_name(b->stage),
		.label = b->label,
		.ttl = c->one[0].ttl,
		.flow_ttl = flow_ttl(&s->side[b->way]),
		.copies = c->copies,
		.rtt_us = base.min_us,
	};

	for (unsigned i = 1; i < c->n; i++)
		k.ttl_varies |= c->one[i].ttl != c->one[0].ttl;
	if (c->ack_age_us != ~0u && c->ack_age_us < base.min_us)
		k.delay_us = c->ack_age_us;
	else if (c->trigger_age_us != ~0u && c->trigger_age_us < base.min_us)
		k.delay_us = c->trigger_age_us;
	return k;
}

static uint64_t trigger_key(const struct flow *f)
{
	struct {
		struct in6_addr client, server;
		uint16_t port;
	} k;

	memset(&k, 0, sizeof(k));
	k.client = f->client.ip;
	k.server = f->server.ip;
	k.port = f->server.port;
	return rst_hash(&k, sizeof(k), 1) | 1;
}

static void note_trigger(struct rst_detector *d, const struct rst_burst *b)
{
	uint64_t key = trigger_key(b->flow);
	struct rst_trigger *t = &d->trigger[key % RST_TRIGGERS];

	/* What needed no content to be reset triggered nothing: it may itself be a residue. */
	if (b->stage < RST_POST_PSH)
		return;
	if (t->key == key && b->first_ns < t->first_ns + RESIDUAL_NS)
		return;
	*t = (struct rst_trigger){ .key = key, .group = b->group, .first_ns = b->first_ns };
	d->triggered = true;
}

bool rst_residual(struct rst_detector *d, const struct flow *f, uint64_t now_ns, bool failed)
{
	uint64_t key = trigger_key(f);
	struct rst_trigger *t = &d->trigger[key % RST_TRIGGERS];
	struct inject_group *g;

	if (t->key != key || f->start_ns < t->first_ns + 1000000000ull ||
	    now_ns > t->first_ns + RESIDUAL_NS)
		return false;
	if (failed)
		t->fail_ns = now_ns;
	else if (t->fail_ns && !t->pass_ns)
		t->pass_ns = now_ns;
	g = t->fail_ns && t->pass_ns > t->fail_ns ? inject_group(&d->inject, t->group) : NULL;
	if (g) {
		g->residual_low_s = (uint32_t)((t->fail_ns - t->first_ns) / 1000000000);
		g->residual_high_s = (uint32_t)((t->pass_ns - t->first_ns) / 1000000000) + 1;
		g->dirty = true;
	}
	return true;
}

static uint64_t passed_key(const struct in6_addr *server, uint16_t port, const char *hint)
{
	uint64_t key = rst_hash(server, sizeof(*server), port);

	return (hint && *hint ? rst_hash(hint, strlen(hint), key) : key) | 1;
}

static void count_passed(struct rst_detector *d, uint64_t key)
{
	struct rst_passed *p = &d->passed[key % RST_PASSED];

	if (p->key != key)
		*p = (struct rst_passed){ .key = key };
	p->flows++;
}

static uint32_t passed(const struct rst_detector *d, uint64_t key)
{
	const struct rst_passed *p = &d->passed[key % RST_PASSED];

	return p->key == key ? p->flows : 0;
}

void rst_note_passed(struct rst_detector *d, const struct flow *f)
{
	count_passed(d, passed_key(&f->server.ip, f->server.port, NULL));
	if (f->hint && *f->hint)
		count_passed(d, passed_key(&f->server.ip, f->server.port, f->hint));
}

/* Flows to the same server with and without the trigger that were let pass. */
static void note_control(struct rst_detector *d, const struct flow *f, struct inject_group *g)
{
	uint32_t all = passed(d, passed_key(&f->server.ip, f->server.port, NULL)), with = 0;

	if (f->hint && *f->hint)
		with = passed(d, passed_key(&f->server.ip, f->server.port, f->hint));
	g->passed_with = with;
	g->passed_without = all > with ? all - with : 0;
}

/* What stands beside the packet in the evidence. */
static void mark(struct rst_detector *d, const struct rst_burst *b, uint32_t rules, double score)
{
	char text[200];
	int n;

	if (!d->env->mark)
		return;
	n = snprintf(text, sizeof(text), "forged reset, score %.0f:", score);
	for (unsigned r = 0; r < RST_RULES && n < (int)sizeof(text); r++)
		if (rules & RST_BIT(r))
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", rst_rule_name(r));
	d->env->mark(d->env->mark_arg, b->flow, b->first_ns, text);
}

static void tell_finding(struct rst_detector *d, struct rst_burst *b, struct rst_flow *s,
			 uint32_t rules, double score, bool last, bool waited)
{
	struct inject_case k = case_of(d, b, s, rules, score);
	struct inject_group *g;

	if (last) {
		k.path_known = b->genuine_after || waited;
		k.genuine_after = b->genuine_after;
	}
	if (score >= 4)
		mark(d, b, rules, score);
	if (b->group) {
		inject_more(&d->inject, &k, &b->told);
	} else {
		g = inject_add(&d->inject, &k);
		if (!g)
			return;
		b->group = k.key;
		note_control(d, b->flow, g);
		note_trigger(d, b);
	}
	inject_told(&b->told, &k);
	s->suspect = score >= 4;
}

void rst_look(struct rst_detector *d, struct rst_burst *b, struct rst_flow *s, double least)
{
	double score;
	uint32_t rules = rst_judge(d, b, s, &score);

	if (score >= least && (!b->group || rules & ~b->told.rules))
		tell_finding(d, b, s, rules, score, false, false);
}

static void tell_event(struct rst_detector *d, const struct rst_burst *b, const struct rst_flow *s,
		       uint32_t rules, double score)
{
	const struct rst_case *c = &b->c;
	struct rst_event e = {
		.flow = b->flow,
		.time_ns = b->first_ns,
		.from_client = b->way == TO_SERVER,
		.suspect = score >= 4,
		.score = score,
		.stage = rst_stage_name(b->stage),
		.signature = rst_signature(b->stage, c->one, c->n),
		.ttl = c->one[0].ttl,
		.flow_ttl = flow_ttl(&s->side[b->way]),
		.ipid = c->one[0].ipid,
		.seq_rel = c->own_end_known ? seq_dist(c->one[0].seq, c->own_end) : 0,
		.copies = c->copies,
	};

	if (!d->env->rst)
		return;
	for (unsigned r = 0; r < RST_RULES; r++)
		if ((rules & RST_BIT(r)) && e.nreasons < sizeof(e.reasons) / sizeof(e.reasons[0]))
			e.reasons[e.nreasons++] = rst_rule_name(r);
	/* Bursts of flows that end are decided before older ones: those count in the newest second, too. */
	if (b->first_ns >= d->event_second + 1000000000ull ||
	    b->first_ns + RST_HOLD_NS + RST_BURST_NS < d->event_second) {
		rst_tell_held(d);
		d->event_second = b->first_ns;
		d->events[0] = d->events[1] = 0;
	}
	/* A flood of honest ones hides no suspect. */
	if (++d->events[e.suspect] <= RST_EVENTS_PER_S) {
		d->env->rst(d->env->rst_arg, &e);
		return;
	}
	e.held_back = d->held.flow ? d->held.held_back + 1 : 0;
	d->held = e;
	d->held_flow = *e.flow;
	d->held_flow.hint = NULL;
	d->held_flow.rtt = NULL;
	d->held_flow.unacked = NULL;
	d->held_flow.classify = NULL;
	d->held.flow = &d->held_flow;
}

void rst_tell_held(struct rst_detector *d)
{
	if (d->held.flow)
		d->env->rst(d->env->rst_arg, &d->held);
	d->held.flow = NULL;
}

void rst_decide(struct rst_detector *d, struct rst_burst *b, bool waited)
{
	struct rst_flow *s = b->flow->detector[d->env->slot];
	double score;
	uint32_t rules;

	b->c.settled = true;
	rules = rst_judge(d, b, s, &score);
	if (score >= 4 || b->group)
		tell_finding(d, b, s, rules, score, true, waited);
	tell_event(d, b, s, rules, score);
	s->burst[b->way] = NULL;
	rst_burst_free(&d->bursts, b);
}

/* What else resets connections, and why it was not that. */
void rst_rest(const struct inject_group *g, struct finding *f)
{
	struct facts *out = &f->ruled_out;
	uint32_t flows = g->injected + g->probable;

	if (f->kind == KIND_SELECTIVE_DROP) {
		fact_text(&f->reasons, "icmp", "type %u code %u: prohibited", g->icmp >> 8,
			  g->icmp & 0xff);
		if (g->drop_hops)
			fact_num(&f->estimate, "drop_hops", g->drop_hops);
		fact_text(out, "closed_port", "the error says prohibited, not unreachable");
		fact_text(out, "loss", "an answer came");
		return;
	}

	/* Which side of us they came from: the claimed sender's, unless the interface says
	 * otherwise. */
	fact_text(&f->estimate, "side", "%s",
		  g->up && g->down				 ? "both"
		  : g->down != !!g->rule_cases[RST_R0_INTERFACE] ? "server"
								 : "client");
	if (g->rtt_us && g->delay_min_us)
		fact_text(
			&f->reasons, "distance",
			"the reset came %.1f ms after what it answers; its sender is %.1f ms away",
			g->delay_min_us / 1000.0, g->rtt_us / 1000.0);
	if (g->ttl_high && g->flow_ttl && (g->ttl_low != g->flow_ttl || g->ttl_high != g->flow_ttl))
		fact_text(&f->reasons, "ttl_differs", "resets %u..%u, the flow's own packets %u",
			  g->ttl_low, g->ttl_high, g->flow_ttl);
	if (g->on_path)
		fact_text(&f->reasons, "real_answer_came",
			  "in %u of %u flows the true sender's packets followed", g->on_path,
			  flows);
	fact_text(out, "connection_refused", "%s",
		  g->rule_cases[RST_R9_SYN_STAGE] ? "the same SYN was accepted, too"
						  : "the resets do not fit a closed port's answer");
	fact_text(out, "server_or_client_abort", "%s",
		  g->rule_cases[RST_R2_LIFE]
			  ? "its sender went on after it"
			  : "sooner than its sender can answer, or not its stack's");
	fact_num(out, "after_fin", g->rule_cases[RST_FIN]);
	fact_num(out, "idle_timeout", g->rule_cases[RST_IDLE]);
	fact_num(out, "server_restart", g->rule_cases[RST_SERVER_WIDE]);
	fact_text(out, "duplicates", "the same packet seen twice counts once");
	fact_text(out, "lost_records", "%s",
		  f->degraded ? "not all could be seen: less sure" : "none of these flows");
	if (g->passed_with || g->passed_without) {
		fact_num(&f->control, "passed_with_trigger", g->passed_with);
		fact_num(&f->control, "passed_without", g->passed_without);
	}
}
