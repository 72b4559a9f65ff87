// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hundreds of worlds at random, from fixed seeds: injectors of every kind that must be found, and
 * hosts, balancers and NATs of every kind that must not be taken for one.
 */
#include <stdio.h>

#include "tcp_sim.h"

static struct wire w;
static struct sim sim;
static unsigned long long only; /* a seed from the command line: tells all of it */

/* How a box forges. */
struct injector {
	enum { ON_SYN, ON_REQUEST, ON_DOWN } on;
	unsigned nth; /* segment of the answer */
	bool acks, to_client, to_server, drops;
	unsigned copies, step;
	double delay, gap;
	int ttl, ttl_step, ipid, win, df; /* ttl, ipid -1: copied, -2: random */
	bool closes;
};

static void tell(const char *what, unsigned long long seed, const char *how)
{
	if (!only)
		fprintf(stderr, "seed %llu: %s: %s\n", seed, what, how);
}

static bool strikes(const struct injector *j, struct sim_flow *f, const struct sim_pkt *p)
{
	if (!f->s.trigger || f->hits)
		return false;
	if (j->on == ON_SYN)
		return p->client && (p->flags & (SYN | ACK)) == SYN;
	if (j->on == ON_REQUEST)
		return p->client && p->len;
	return !p->client && p->len && ++f->boxed == j->nth;
}

static void forge(struct sim *s, const struct injector *j, const struct sim_pkt *p, bool client)
{
	uint32_t next = p->seq + p->len + !!(p->flags & SYN);
	struct sim_pkt r = { .flow = p->flow, .client = client, .flags = j->acks ? RST | ACK : RST };
	const struct sim_stack *k = &s->stack[client];
	const struct sim_flow *f = &s->f[p->flow];

	r.seq = client == p->client ? next : p->ack;
	r.ack = client == p->client ? p->ack : next;
	if (!j->acks)
		r.ack = 0;
	for (unsigned i = 0; i < j->copies; i++) {
		r.look.ttl = j->ttl == -1 ? k->ttl : j->ttl == -2 ? (int)(40 + sim_below(s, 160)) : j->ttl + j->ttl_step * (int)i;
		r.look.ipid = j->ipid == -1 ? (client ? f->c.cipid : f->c.sipid) + 1 + (int)i :
			      j->ipid == -2 ? (int)(1 + sim_below(s, 65535)) : j->ipid;
		r.look.df = j->df;
		r.look.win = j->win;
		sim_forge(s, r, j->delay + i * j->gap);
		r.seq += j->step;
	}
}

static bool box(struct sim *s, struct sim_pkt *p)
{
	const struct injector *j = s->arg;
	struct sim_flow *f = &s->f[p->flow];

	if (f->blocked)
		return false;
	if (!strikes(j, f, p))
		return true;
	f->hits++;
	f->forged = true;
	if (j->to_client)
		forge(s, j, p, false);
	if (j->to_server)
		forge(s, j, p, true);
	f->blocked = j->drops;
	return !j->drops;
}

static struct sim_stack some_stack(struct sim *s, bool server)
{
	static const uint8_t initial[] = { 64, 64, 64, 128, 255 };
	uint8_t ttl = initial[sim_below(s, 5)];
	unsigned hops = server ? 3 + sim_below(s, 18) : sim_below(s, 2);
	bool box = ttl == 255;
	struct sim_stack k = {
		.ttl = (uint8_t)(ttl - hops),
		.ipid = ttl == 128 ? IPID_HOST : box ? (enum sim_ipid)sim_below(s, 4) : IPID_COUNTER,
		.df = !box || sim_chance(s, 0.5),
		.ts = ttl == 64 && sim_chance(s, 0.85),
		.win = (uint16_t)(ttl == 128 ? 1024 : 200 + sim_below(s, 800)),
		.abort_acks = sim_chance(s, 0.8),
		.rst_ipid = ttl != 64,
		.rst_ttl = (uint8_t)(ttl - hops),
		.ack_delay = sim_chance(s, 0.5) ? 40 : 0,
		.speed = sim_chance(s, 0.7) ? sim_real(s, 0.1, 3) : sim_real(s, 3, 60),
	};

	if (ttl == 64 && sim_chance(s, 0.15))
		k.ipid = sim_chance(s, 0.5) ? IPID_ZERO : IPID_RANDOM;
	return k;
}

static void world(struct sim *s, uint64_t seed)
{
	sim_open(s, &w, seed);
	s->stack[0] = some_stack(s, true);
	s->stack[1] = some_stack(s, false);
	s->stack[0].ts = s->stack[1].ts = s->stack[0].ts && s->stack[1].ts;
	s->host_ipid[0] = (uint16_t)sim_rnd(s);
	s->host_ipid[1] = (uint16_t)sim_rnd(s);
	s->dc = sim_real(s, 0.1, 4);
	s->ds = sim_real(s, 5, 90);
	s->jitter = sim_chance(s, 0.4) ? sim_real(s, 0, 6) : 0.2;
}

static struct sim_script plain(struct sim *s, double at)
{
	struct sim_script k = { .at = at, .request = 80 + sim_below(s, 500), .answer = 500 + sim_below(s, 30000),
				.rounds = 1 + sim_below(s, 3), .pause = sim_real(s, 1, 400) };

	k.end = sim_chance(s, 0.7) ? BY_FIN : BY_SERVER_FIN;
	return k;
}

static void describe(const struct sim *s, const struct injector *j, char *t, size_t n)
{
	snprintf(t, n, "on %d.%u %s to %s%s n=%u step=%u delay=%.0f gap=%.1f ttl=%d%+d ipid=%d df=%d win=%d drop=%d rtt=%.0f jit=%.1f srv ttl=%u id=%d ts=%d",
		 j->on, j->nth, j->acks ? "RA" : "R", j->to_client ? "C" : "", j->to_server ? "S" : "", j->copies, j->step, j->delay,
		 j->gap, j->ttl, j->ttl_step, j->ipid, j->df, j->win, j->drops, 2 * (s->dc + s->ds), s->jitter, s->stack[0].ttl,
		 s->stack[0].ipid, s->stack[0].ts);
}

struct tally {
	unsigned worlds, claimed, flows, suspected, honest_suspected, other_claims;
	unsigned far, far_claimed; /* the box beyond us, where it shows most */
};

static unsigned flow_at(const struct sim *s, const struct rst_event *e, unsigned i)
{
	for (unsigned k = 0; k < s->nflows; k++)
		if (s->f[k].c.cport == w.event_port[i])
			return k;
	return ~0u;
}

static void look_all(const struct sim *s)
{
	for (unsigned i = 0; i < w.nevents && i < 4096; i++) {
		const struct rst_event *e = &w.event[i];

		fprintf(stderr, "flow %u%s %s score %.0f %s seq_rel %d copies %u ttl %u/%u:", flow_at(s, e, i),
			s->f[flow_at(s, e, i)].forged ? " forged" : "", e->from_client ? "client" : "server", e->score, e->stage,
			(int)e->seq_rel, e->copies, e->ttl, e->flow_ttl);
		for (unsigned r = 0; r < e->nreasons; r++)
			fprintf(stderr, " %s", e->reasons[r]);
		fprintf(stderr, "\n");
	}
	for (unsigned i = 0; i < w.nfindings; i++)
		fprintf(stderr, "finding %s/%s level %d %s\n", kind_name(w.finding[i].kind), subkind_name(w.finding[i].subkind),
			w.finding[i].level, w.finding[i].what);
	for (unsigned i = 0; i < w.nfindings; i++)
		for (unsigned k = 0; k < w.finding[i].reasons.n; k++)
			fprintf(stderr, " %s", w.finding[i].reasons.fact[k].name);
	fprintf(stderr, "\n");
}

static void judge(const struct sim *s, uint64_t seed, const char *how, struct tally *t, bool forging)
{
	bool suspect[SIM_FLOWS] = { false };
	unsigned claims, forged = 0, missed = 0;

	wire_idle(&w, s->now + 4000);
	wire_close(&w);
	if (only)
		look_all(s);
	for (unsigned i = 0; i < w.nevents && i < 4096; i++)
		if (w.event[i].suspect) {
			unsigned k = flow_at(s, &w.event[i], i);

			assert_true(k < s->nflows);
			suspect[k] = true;
		}
	t->worlds++;
	for (unsigned k = 0; k < s->nflows; k++) {
		if (s->f[k].forged) {
			t->flows++;
			t->suspected += suspect[k];
			forged++;
			missed += !suspect[k];
		} else if (suspect[k]) {
			t->honest_suspected++;
			tell("honest reset suspected", seed, how);
		}
	}
	claims = wire_claims(&w, KIND_RST_INJECTION);
	t->claimed += forged && claims;
	t->far += forged && s->box >= 0;
	t->far_claimed += forged && claims && s->box >= 0;
	if (forging && forged && !claims)
		tell("not claimed", seed, how);
	else if (missed && forging)
		tell("flows missed", seed, how);
	if (!forging && claims)
		tell("claimed", seed, how);
	if (wire_claims(&w, KIND_CONTENT_INJECTION) || wire_claims(&w, KIND_DNS_INJECTION)) {
		t->other_claims++;
		tell("content claimed", seed, how);
	}
	if (!forging)
		t->claimed += !!claims;
}

/* Boxes as they are sold and as papers describe them: seldom do they copy everything. */
static struct injector some_injector(struct sim *s)
{
	struct injector j = {
		.on = sim_below(s, 10) < 2 ? ON_SYN : sim_below(s, 10) < 7 ? ON_REQUEST : ON_DOWN,
		.nth = 2 + sim_below(s, 25),
		.acks = sim_chance(s, 0.6),
		.copies = sim_chance(s, 0.5) ? 1 : 2 + sim_below(s, 3),
		.delay = sim_real(s, 4, 20),
		.gap = sim_chance(s, 0.5) ? 0.01 : sim_real(s, 0.1, 2),
		.drops = sim_chance(s, 0.3),
		.df = sim_chance(s, 0.5),
		.win = sim_chance(s, 0.5) ? 0 : (int)sim_below(s, 65535),
	};
	unsigned to = sim_below(s, 4), ttl = sim_below(s, 4), id = sim_below(s, 4);

	j.to_client = to != 0;
	j.to_server = to != 1;
	if (!j.to_client && s->box >= 0)
		j.to_client = true; /* what goes to the server alone passes us only from a box on our side */
	j.ttl = ttl == 0 ? -1 : ttl == 1 ? -2 : (int)(ttl == 2 ? 40 + sim_below(s, 24) : 64 + sim_below(s, 180));
	j.ttl_step = ttl == 3 && sim_chance(s, 0.5);
	j.ipid = id == 0 ? -1 : id == 1 ? -2 : (int)(id == 2 ? 0 : sim_below(s, 65535));
	j.step = j.copies > 1 && sim_chance(s, 0.3) ? 1460 : 0;
	if (j.on == ON_SYN) {
		j.acks = true;
		j.step = 0;
		j.to_client = true;
	}
	return j;
}

static void forged(void **state)
{
	struct tally t = { 0 };

	for (uint64_t seed = only ? only : 1; seed <= (only ? only : 300); seed++) {
		struct injector j;
		char how[300];
		unsigned n;

		world(&sim, seed);
		sim.box = sim_chance(&sim, 0.85) ? sim_real(&sim, 0.05, 0.6) : -sim_real(&sim, 0.1, 0.9);
		j = some_injector(&sim);
		sim.middle = box;
		sim.arg = &j;
		n = 8 + sim_below(&sim, 6);
		for (unsigned i = 0; i < n; i++) {
			struct sim_script k = plain(&sim, i * sim_real(&sim, 200, 700));

			k.trigger = i % 3 == 1;
			if (k.trigger && j.on == ON_DOWN && k.answer < 30000)
				k.answer += 30000;
			sim_flow(&sim, k);
		}
		sim_run(&sim, 20000);
		describe(&sim, &j, how, sizeof(how));
		judge(&sim, seed, how, &t, true);
	}
	printf("forged: %u worlds, %u claimed, %u of %u with the box beyond us; %u flows, %u suspected; honest %u; content %u\n", t.worlds,
	       t.claimed, t.far_claimed, t.far, t.flows, t.suspected, t.honest_suspected, t.other_claims);
	/* Late copies that an endpoint might have sent are not told apart. */
	assert_true(only || t.far_claimed * 100 >= t.far * 90);
	assert_int_equal(t.honest_suspected, 0);
	assert_int_equal(t.other_claims, 0);
}

/* Bytes, an end or a beginning that the server did not send. */
enum put { PUT_PAGE, PUT_DATA, PUT_ALERT, PUT_FIN, PUT_SYNACK, PUTS };

static const char *const put_names[PUTS] = { "page", "data", "alert", "fin", "syn-ack" };
static const char page[] = "HTTP/1.1 302 Found\r\nLocation: http://notice.example/\r\nContent-Length: 0\r\n\r\n";
static const char bytes[] = "just other bytes than those that the server is going to send for this request";
static const char alert[] = "\x15\x03\x03\x00\x02\x02\x28";

static bool put_in(struct sim *s, struct sim_pkt *p)
{
	const struct injector *j = s->arg;
	struct sim_flow *f = &s->f[p->flow];
	const struct sim_stack *k = &s->stack[0];
	struct sim_pkt r = { .flow = p->flow, .flags = PSH | ACK, .seq = p->ack, .ack = p->seq + p->len };

	if (!strikes(j, f, p))
		return true;
	f->hits++;
	f->forged = true;
	switch (j->nth) {
	case PUT_PAGE:
		r.data = (const uint8_t *)page;
		r.len = sizeof(page) - 1;
		r.flags |= j->closes ? FIN : 0;
		break;
	case PUT_DATA:
		r.data = (const uint8_t *)bytes;
		r.len = sizeof(bytes) - 1;
		break;
	case PUT_ALERT:
		r.data = (const uint8_t *)alert;
		r.len = sizeof(alert) - 1;
		break;
	case PUT_FIN:
		r.flags = FIN | ACK;
		break;
	default:
		r.flags = SYN | ACK;
		r.seq = sim_rnd(s);
		r.ack++;
	}
	r.look.ttl = j->ttl == -1 ? k->ttl : j->ttl == -2 ? (int)(40 + sim_below(s, 160)) : j->ttl;
	r.look.ipid = j->ipid == -1 ? f->c.sipid + 1 : j->ipid == -2 ? (int)(1 + sim_below(s, 65535)) : j->ipid;
	r.look.df = j->df;
	r.look.win = j->win;
	sim_forge(s, r, j->delay);
	return true;
}

static void forged_content(void **state)
{
	unsigned worlds[PUTS] = { 0 }, claimed[PUTS] = { 0 }, n, resets = 0, all = 0, found = 0;
	char how[300];

	for (uint64_t seed = only ? only : 1; seed <= (only ? only : 200); seed++) {
		struct injector j;
		unsigned forged = 0, claims;

		world(&sim, seed ^ 0xc0de);
		sim.box = sim_real(&sim, 0.05, 0.6);
		j = some_injector(&sim);
		j.nth = sim_below(&sim, PUTS);
		j.on = j.nth == PUT_SYNACK ? ON_SYN : ON_REQUEST;
		j.closes = sim_chance(&sim, 0.5);
		sim.middle = put_in;
		sim.arg = &j;
		n = 8 + sim_below(&sim, 6);
		for (unsigned i = 0; i < n; i++) {
			struct sim_script k = plain(&sim, i * sim_real(&sim, 200, 700));

			k.trigger = i % 3 == 1;
			sim_flow(&sim, k);
		}
		sim_run(&sim, 20000);
		wire_idle(&w, sim.now + 4000);
		wire_close(&w);
		for (unsigned i = 0; i < n; i++)
			forged += sim.f[i].forged;
		claims = wire_claims(&w, KIND_CONTENT_INJECTION);
		resets += wire_suspects(&w);
		describe(&sim, &j, how, sizeof(how));
		worlds[j.nth] += forged > 0;
		claimed[j.nth] += forged && claims;
		if (forged && !claims)
			tell(put_names[j.nth], seed, how);
		if (wire_suspects(&w))
			tell("resets suspected", seed, how);
		if (only)
			look_all(&sim);
	}
	for (unsigned i = 0; i < PUTS; i++) {
		printf("forged %s: %u worlds, %u claimed\n", put_names[i], worlds[i], claimed[i]);
		all += worlds[i];
		found += claimed[i];
	}
	assert_int_equal(resets, 0);
	assert_true(only || found * 100 >= all * 95);
}

/* What honest boxes do. */
struct keeper {
	enum { KEEPER_NONE, NAT_FORGETS, IDLE_TIMEOUT, BALANCER_REFUSES, BALANCER_DROPS, PROXY_RENUMBERS, NEARER_NODE, CLIENTS_NAT, KEEPERS } kind;
	bool acks, both, answers_again;
	struct look look;
	unsigned at; /* which client packet with payload */
};

static const char *const keepers[] = { "", "nat forgets", "idle timeout", "balancer refuses", "balancer drops", "proxy renumbers", "nearer node", "clients nat" };

static void answer(struct sim *s, const struct keeper *k, const struct sim_pkt *p, double in)
{
	struct sim_pkt r = { .flow = p->flow, .client = !p->client, .flags = k->acks ? RST | ACK : RST, .seq = p->ack,
			     .ack = k->acks ? p->seq + p->len : 0, .look = k->look };

	if (r.look.ipid == -2)
		r.look.ipid = (int)(1 + sim_below(s, 65535));
	sim_forge(s, r, in);
}

static bool keep(struct sim *s, struct sim_pkt *p)
{
	const struct keeper *k = s->arg;
	struct sim_flow *f = &s->f[p->flow];
	double back = 2 * s->ds * (1 - (s->box > 0 ? s->box : 0)); /* to the server and back */

	if (f->blocked && k->kind == CLIENTS_NAT) { /* another port is the client's from now on */
		if (!p->client && !(p->flags & RST))
			answer(s, k, p, 0.1);
		return false;
	}
	if (f->blocked) {
		if (p->client && !(p->flags & RST) && k->answers_again)
			answer(s, k, p, k->kind == BALANCER_REFUSES || k->kind == BALANCER_DROPS ? back : 0.1);
		return false;
	}
	if (!f->s.trigger)
		return true;
	if (k->kind == PROXY_RENUMBERS) { /* as Linux' SYNPROXY does */
		if (!p->client && (p->flags & RST))
			p->seq = f->e[0].iss + 1;
		return true;
	}
	if (!p->client || !p->len || ++f->boxed != k->at + 1)
		return true;
	switch (k->kind) {
	case CLIENTS_NAT:
		f->blocked = true;
		return true;
	case NAT_FORGETS:
	case IDLE_TIMEOUT:
		f->blocked = true;
		answer(s, k, p, 0.1);
		if (k->both) {
			struct sim_pkt other = *p;

			other.client = false;
			other.seq = p->ack;
			other.ack = p->seq;
			other.len = 0;
			answer(s, k, &other, 0.1);
		}
		return false;
	case BALANCER_REFUSES: /* it is where the servers are */
		f->blocked = true;
		answer(s, k, p, back + sim_real(s, 0, 3));
		return false;
	case NEARER_NODE: /* a network of servers: another one gets the packets from now on */
		f->blocked = true;
		answer(s, k, p, back * 0.3);
		return false;
	default:
		return true;
	}
}

static const char *const ends[] = { "fin", "server fin", "client abort", "client abort mid", "server abort", "server abort mid",
				    "server abort request", "server abort acked", "refused", "crash", "half close", "fin then rst", "none" };

/* Every stack's way to end a connection, over paths that jitter, reorder, duplicate, change, and seen in part. */
static void honest(void **state)
{
	struct tally t = { 0 };

	for (uint64_t seed = only ? only : 1; seed <= (only ? only : 500); seed++) {
		unsigned n, usual;
		struct keeper k = { KEEPER_NONE };
		char how[300];

		world(&sim, seed ^ 0x5eed);
		if (sim_chance(&sim, 0.2))
			sim.reorder = sim_real(&sim, 0.005, 0.1);
		if (sim_chance(&sim, 0.2))
			sim.duplicate = sim_real(&sim, 0.005, 0.1);
		if (sim_chance(&sim, 0.15))
			sim.unseen = sim_real(&sim, 0.002, 0.08);
		if (sim_chance(&sim, 0.1))
			sim.one_way = 1 + (int)sim_below(&sim, 2);
		if (sim_chance(&sim, 0.2)) {
			sim.ttl_step = (int)sim_below(&sim, 7) - 3;
			sim.ttl_after = sim_below(&sim, 30);
		}
		if (sim_chance(&sim, 0.2))
			sim.synack_ttl = sim_chance(&sim, 0.5) ? 64 - (int)sim_below(&sim, 20) : 255 - (int)sim_below(&sim, 12);
		if (sim_chance(&sim, 0.15)) /* a balancer in front answers for what it has forgotten */
			sim.stack[0].rst_ttl = (uint8_t)(sim_chance(&sim, 0.5) ? sim.stack[0].ttl + 1 + sim_below(&sim, 3) : 255 - sim_below(&sim, 12));
		usual = sim_below(&sim, BY_NONE + 1);
		if (sim_chance(&sim, 0.5)) {
			k.kind = 1 + sim_below(&sim, KEEPERS - 1);
			k.acks = k.kind == BALANCER_REFUSES || k.kind == IDLE_TIMEOUT ? sim_chance(&sim, 0.6) : false;
			k.both = k.kind == IDLE_TIMEOUT && sim_chance(&sim, 0.5);
			k.answers_again = sim_chance(&sim, 0.6);
			k.at = k.kind == BALANCER_REFUSES ? 0 : 1;
			k.look = (struct look){ .ttl = sim_chance(&sim, 0.5) ? 255 - (int)sim_below(&sim, 10) :
							       sim_chance(&sim, 0.5) ? 64 - (int)sim_below(&sim, 10) :
							       sim.stack[0].ttl + 1 + (int)sim_below(&sim, 3),
						.ipid = sim_chance(&sim, 0.5) ? 0 : -2, .df = sim_chance(&sim, 0.5) };
			if (k.kind == NEARER_NODE)
				k.look.df = sim.stack[0].df, k.look.ipid = 0;
			k.at = k.kind == CLIENTS_NAT ? sim_below(&sim, 3) : k.at;
			sim.box = k.kind == NAT_FORGETS || k.kind == IDLE_TIMEOUT ? sim_real(&sim, 0.02, 0.3) :
				  k.kind == CLIENTS_NAT			       ? -sim_real(&sim, 0.05, 0.95) : 0.9;
			sim.middle = keep;
			sim.arg = &k;
		}
		n = 8 + sim_below(&sim, 8);
		for (unsigned i = 0; i < n; i++) {
			struct sim_script f = plain(&sim, i * sim_real(&sim, 100, 700));

			f.end = sim_chance(&sim, 0.8) ? (enum sim_ending)usual : (enum sim_ending)sim_below(&sim, BY_NONE + 1);
			f.trigger = sim_chance(&sim, 0.5);
			if (k.kind == PROXY_RENUMBERS && f.trigger)
				f.end = sim_chance(&sim, 0.5) ? BY_SERVER_ABORT : BY_SERVER_ABORT_MID;
			if (k.kind == NAT_FORGETS || k.kind == NEARER_NODE || k.kind == IDLE_TIMEOUT)
				f.rounds += f.rounds < 2;
			if (k.kind == IDLE_TIMEOUT)
				f.pause = sim_real(&sim, 61000, 200000);
			sim_flow(&sim, f);
		}
		sim_run(&sim, k.kind == IDLE_TIMEOUT ? 500000 : 20000);
		snprintf(how, sizeof(how), "%s %s%s%s rttl=%d rid=%d rdf=%d rtt=%.0f jit=%.1f reorder=%.3f dup=%.3f unseen=%.3f way=%d ttl=%u%+d@%u synack=%d rst=%u ts=%d id=%d acks=%d delack=%.0f",
			 ends[usual], keepers[k.kind], k.acks ? " RA" : "", k.both ? " both" : "", k.look.ttl, k.look.ipid, k.look.df, 2 * (sim.dc + sim.ds), sim.jitter, sim.reorder, sim.duplicate, sim.unseen, sim.one_way,
			 sim.stack[0].ttl, sim.ttl_step, sim.ttl_after, sim.synack_ttl, sim.stack[0].rst_ttl, sim.stack[0].ts, sim.stack[0].ipid,
			 sim.stack[0].abort_acks, sim.stack[0].ack_delay);
		judge(&sim, seed, how, &t, false);
	}
	printf("honest: %u worlds, %u claimed; %u suspected; content %u\n", t.worlds, t.claimed, t.honest_suspected, t.other_claims);
	assert_int_equal(t.claimed, 0);
	assert_int_equal(t.honest_suspected, 0);
	assert_int_equal(t.other_claims, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forged), cmocka_unit_test(forged_content), cmocka_unit_test(honest) };

	if (argc > 2) {
		only = strtoull(argv[2], NULL, 10);
		cmocka_set_test_filter(argv[1]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
