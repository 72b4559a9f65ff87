// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A limit on how many connections a client may open (research A.8: "connection-count
 * policing"). After so many openings its next ones to a server go unanswered, all of
 * them, for a while; others reach that server meanwhile, and this client others. A
 * server's own guard does the same, so the servers of one network are no claim; nor is
 * what happens once, as an outage does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect.h"
#include "rst_host.h"
#include "stats.h"

#define SETS 256
#define WAYS 4

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define SECOND	  1000000000ull
#define COPY_NS	  (SECOND * 3 / 4) /* an opening's copy is sent a second later (RFC 6298) */
#define PAUSE_NS  (30 * SECOND)	   /* between openings: a count begins again */
#define MANY	  8		   /* openings before a freeze */
#define FAILED	  5		   /* in a row */
#define FROZEN_NS (4 * SECOND)
#define FREEZES	  32
#define POSSIBLE  2 /* freezes */
#define LIKELY	  3
#define NETS	  2   /* of the servers */
#define ALIKE	  2	/* the most openings before a freeze by the fewest: copies that waited come at once */
#define LENGTHS	  1.5 /* of those that ended, the longest by the shortest */
#define APART_NS  (3 * SECOND) /* what begins at once is an outage */
#define RECENT_NS (900 * SECOND)
#define QUIET_NS  (180 * SECOND)
#define OUTCOMES  512  /* newest openings held: a freeze is known a few seconds after its begin */
#define BESIDE	  .1   /* of the openings beside, a claim's, may fail */
#define REPORT_NS (10 * SECOND)
#define RATIO_NEW .05  /* is told sooner */

/* A client and a server's port. */
struct pair {
	struct in6_addr client, server;
	uint16_t port;
	uint8_t type; /* of its newest typed flow */
	bool used, frozen;
	uint64_t begun_ns, opened_ns; /* openings that were answered: the first of the row, the newest */
	uint32_t opened;	      /* in the row */
	uint32_t opened_since;	      /* in all since its first freeze */
	bool froze;
	uint64_t first_ns, last_ns;   /* openings that failed since then */
	uint32_t failed;
	uint64_t flow_id[FAILED];     /* of the first of these */
};

struct freeze {
	struct in6_addr client, server;
	uint16_t port;
	uint8_t type;
	uint32_t opened, failed; /* openings before, and in it */
	double opened_s;	 /* in so much time */
	uint64_t start_ns, last_ns, end_ns; /* end 0: it lasts */
	uint64_t flow_id[FAILED];
	bool server_lives, client_lives; /* for others; elsewhere */
	uint32_t beside, beside_failed;	 /* others' openings there while it lasts, and this client's elsewhere */
};

/* Of a pair that never froze. */
struct outcome {
	struct in6_addr client, server;
	uint16_t port;
	bool failed;
	uint8_t beside; /* the freeze it was counted for, and 1; 0: none */
	uint64_t syn_ns;
};

/* A flow's opening. */
struct opening {
	uint64_t syn_ns;
	bool answered, failed;
};

struct opens {
	const struct detect_env *env;
	struct pair pair[SETS][WAYS];
	struct freeze freeze[FREEZES]; /* ring */
	uint32_t nfreezes;
	struct outcome outcome[OUTCOMES]; /* ring */
	uint32_t noutcomes;
	bool changed, open;
	enum level level;
	uint64_t key, last_ns, end_ns; /* of the finding; newest failure; end 0: it lasts */
	uint64_t reported_ns;
	double reported_ratio;
};

static uint64_t used_ns(const struct pair *p)
{
	return p->opened_ns > p->last_ns ? p->opened_ns : p->last_ns;
}

static struct pair *pair_of(struct opens *o, const struct flow *f)
{
	uint64_t h = rst_hash(&f->client.ip, sizeof(f->client.ip), f->server.port);
	struct pair *set = o->pair[rst_hash(&f->server.ip, sizeof(f->server.ip), h) % SETS], *old = set;

	for (unsigned i = 0; i < WAYS; i++) {
		struct pair *p = &set[i];

		if (p->used && p->port == f->server.port && ip_same(&p->client, &f->client.ip) &&
		    ip_same(&p->server, &f->server.ip))
			return p;
		if (used_ns(p) < used_ns(old))
			old = p;
	}
	memset(old, 0, sizeof(*old));
	old->client = f->client.ip;
	old->server = f->server.ip;
	old->port = f->server.port;
	old->used = true;
	return old;
}

static struct freeze *freeze_of(struct opens *o, const struct pair *p)
{
	for (unsigned i = 0; i < FREEZES && i < o->nfreezes; i++) {
		struct freeze *z = &o->freeze[i];

		if (!z->end_ns && z->port == p->port && ip_same(&z->client, &p->client) &&
		    ip_same(&z->server, &p->server))
			return z;
	}
	return NULL;
}

/* Does that server answer others since it began, and this client get answers elsewhere? */
static void lives(const struct opens *o, struct freeze *z)
{
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct pair *x = &o->pair[i / WAYS][i % WAYS];

		if (!x->used || x->opened_ns <= z->start_ns)
			continue;
		z->server_lives |= ip_same(&x->server, &z->server) && x->port == z->port &&
				   !ip_same(&x->client, &z->client);
		z->client_lives |= ip_same(&x->client, &z->client) && !ip_same(&x->server, &z->server);
	}
}

static bool is_beside(const struct freeze *z, const struct outcome *x)
{
	bool client = ip_same(&x->client, &z->client);
	bool server = ip_same(&x->server, &z->server);

	if (x->syn_ns <= z->start_ns || (z->end_ns && x->syn_ns >= z->end_ns))
		return false;
	return client ? !server : server && x->port == z->port;
}

/* For one of the freezes that it is beside: it is one packet. */
static void count_beside(struct opens *o, struct outcome *x)
{
	for (unsigned i = 0; i < FREEZES && i < o->nfreezes; i++) {
		struct freeze *z = &o->freeze[i];

		if (!is_beside(z, x))
			continue;
		x->beside = (uint8_t)(i + 1);
		z->beside++;
		z->beside_failed += x->failed;
		return;
	}
}

static void note_outcome(struct opens *o, const struct pair *p, uint64_t syn_ns, bool failed)
{
	struct outcome *x;

	if (p->froze)
		return;
	x = &o->outcome[o->noutcomes++ % OUTCOMES];
	*x = (struct outcome){ .client = p->client, .server = p->server, .port = p->port,
			       .failed = failed, .syn_ns = syn_ns };
	count_beside(o, x);
}

/* Since a freeze's begin: what was beside it till it was known; what was taken for beside others and is this one. */
static void outcomes_since(struct opens *o, const struct freeze *z)
{
	for (unsigned i = 0; i < OUTCOMES && i < o->noutcomes; i++) {
		struct outcome *x = &o->outcome[i];

		if (ip_same(&x->client, &z->client) && ip_same(&x->server, &z->server) && x->port == z->port) {
			struct freeze *of = x->beside ? &o->freeze[x->beside - 1] : NULL;

			if (of && x->failed && x->syn_ns >= z->start_ns && is_beside(of, x)) {
				of->beside--;
				of->beside_failed--;
				x->beside = 0;
			}
		} else if (!x->beside) {
			count_beside(o, x);
		}
	}
}

static void opening_failed(struct opens *o, const struct flow *f, uint64_t syn_ns)
{
	struct pair *p = pair_of(o, f);
	struct freeze *z;

	note_outcome(o, p, syn_ns, true);
	if (p->opened_ns > syn_ns)
		return;
	if (!p->failed)
		p->first_ns = syn_ns;
	if (p->failed < FAILED)
		p->flow_id[p->failed] = f->id;
	p->failed++;
	if (syn_ns > p->last_ns)
		p->last_ns = syn_ns;
	if (!p->frozen) {
		if (p->failed < FAILED || p->last_ns < p->first_ns + FROZEN_NS || p->opened < MANY ||
		    p->opened_ns + PAUSE_NS < p->first_ns)
			return;
		p->frozen = p->froze = true;
		o->freeze[o->nfreezes++ % FREEZES] = (struct freeze){
			.client = p->client, .server = p->server, .port = p->port, .type = p->type,
			.opened = p->opened, .opened_s = (double)(p->first_ns - p->begun_ns) * 1e-9,
			.start_ns = p->first_ns
		};
		outcomes_since(o, freeze_of(o, p));
	}
	z = freeze_of(o, p);
	if (!z) /* the ring went round */
		return;
	z->failed = p->failed;
	z->last_ns = p->last_ns;
	memcpy(z->flow_id, p->flow_id, sizeof(z->flow_id));
	o->changed = true;
}

/* again: to a copy, its first packet has failed. */
static void opening_answered(struct opens *o, const struct flow *f, uint64_t syn_ns, bool again)
{
	struct pair *p = pair_of(o, f);
	struct freeze *z = p->frozen ? freeze_of(o, p) : NULL;

	if (!again)
		note_outcome(o, p, syn_ns, false);
	if (p->failed && syn_ns <= p->first_ns)
		return;
	if (z) {
		z->end_ns = syn_ns;
		lives(o, z);
		o->changed = true;
	}
	if (p->failed || p->opened_ns + PAUSE_NS < syn_ns) {
		p->begun_ns = syn_ns;
		/* one that failed is a packet that was lost: the count goes on */
		if (p->frozen || p->opened_ns + PAUSE_NS < syn_ns)
			p->opened = 0;
	}
	p->frozen = false;
	p->failed = 0;
	p->opened++;
	p->opened_since += p->froze;
	p->opened_ns = syn_ns;
}

/* ---- the finding ---- */

struct tally {
	const struct freeze *z[FREEZES]; /* of one port, recent, fair */
	unsigned n, nets, servers, clients, ended, moments;
	unsigned alone; /* began when no other pair's did */
	double shortest, longest; /* of those that ended, s */
	uint32_t failed, opened, fewest, most; /* opened: of these pairs since */
	uint32_t beside, beside_failed;	       /* others' openings meanwhile */
	double opened_s, seconds;	       /* longest; the mean length of those that ended */
	uint64_t first_ns, last_ns, end_ns;    /* end 0: one lasts */
	int type;
	bool again; /* the same pair more than once */
};

/* Two openings' time: it began at some moment between the last that was answered and the first that was not. */
static double unsure_s(const struct freeze *z)
{
	return 2 * z->opened_s / (z->opened ? z->opened : 1);
}

/* Did another pair's begin then, as what an outage cuts off does? One of several equal ways spares others. */
static bool began_alone(const struct opens *o, const struct freeze *z)
{
	for (unsigned i = 0; i < FREEZES && i < o->nfreezes; i++) {
		const struct freeze *x = &o->freeze[i];
		double apart = fabs((double)(int64_t)(x->start_ns - z->start_ns) * 1e-9);

		if (ip_same(&x->client, &z->client) && ip_same(&x->server, &z->server) && x->port == z->port)
			continue;
		if (apart <= fmax(unsure_s(x), unsure_s(z)))
			return false;
	}
	return true;
}

static void tally(const struct opens *o, uint64_t now_ns, struct tally *t)
{
	unsigned held = o->nfreezes < FREEZES ? o->nfreezes : FREEZES;
	const struct freeze *newest = NULL;

	memset(t, 0, sizeof(*t));
	t->fewest = UINT32_MAX;
	t->first_ns = UINT64_MAX;
	for (unsigned i = 0; i < held; i++)
		if (!newest || o->freeze[i].start_ns > newest->start_ns)
			newest = &o->freeze[i];
	for (unsigned i = 0; i < held; i++) {
		const struct freeze *z = &o->freeze[i];
		bool net = true, server = true, client = true, moment = true;

		if (z->port != newest->port || !z->server_lives || !z->client_lives ||
		    z->last_ns + RECENT_NS < now_ns)
			continue;
		for (unsigned k = 0; k < t->n; k++) {
			const struct freeze *x = t->z[k];
			uint64_t apart = x->start_ns > z->start_ns ? x->start_ns - z->start_ns :
								     z->start_ns - x->start_ns;

			net &= !ip_same_net(&x->server, &z->server);
			server &= !ip_same(&x->server, &z->server);
			client &= !model_same_host(o->env->model, &x->client, &z->client);
			moment &= apart >= APART_NS;
			t->again |= ip_same(&x->server, &z->server) && ip_same(&x->client, &z->client);
		}
		t->nets += net;
		t->servers += server;
		t->clients += client;
		t->moments += moment;
		t->alone += began_alone(o, z);
		t->type = !t->n || t->type == z->type ? z->type : -1;
		t->z[t->n++] = z;
		t->failed += z->failed;
		t->beside += z->beside;
		t->beside_failed += z->beside_failed;
		t->fewest = z->opened < t->fewest ? z->opened : t->fewest;
		t->most = z->opened > t->most ? z->opened : t->most;
		t->opened_s = fmax(t->opened_s, z->opened_s);
		t->first_ns = z->start_ns < t->first_ns ? z->start_ns : t->first_ns;
		t->last_ns = z->last_ns > t->last_ns ? z->last_ns : t->last_ns;
		t->end_ns = z->end_ns > t->end_ns ? z->end_ns : t->end_ns;
		if (z->end_ns) {
			double length = (double)(z->end_ns - z->start_ns) * 1e-9;

			t->shortest = t->ended ? fmin(t->shortest, length) : length;
			t->longest = fmax(t->longest, length);
			t->seconds += length;
			t->ended++;
		}
	}
	t->seconds /= t->ended ? t->ended : NAN;
	if (t->ended < t->n)
		t->end_ns = 0;
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct pair *p = &o->pair[i / WAYS][i % WAYS];

		t->opened += p->used && p->froze && newest && p->port == newest->port ? p->opened_since : 0;
	}
}

static double ratio_of(const struct tally *t)
{
	return (double)t->failed / (t->failed + t->opened);
}

static int level_of(const struct tally *t)
{
	if (t->n < POSSIBLE || t->most > ALIKE * t->fewest)
		return -1;
	if (!t->beside || t->beside_failed > BESIDE * t->beside)
		return LEVEL_POSSIBLE;
	return t->n >= LIKELY && t->nets >= NETS && t->again && t->moments >= 2 && 2 * t->alone >= t->n &&
			       t->ended >= 2 && t->longest <= LENGTHS * t->shortest ?
		       LEVEL_LIKELY : LEVEL_POSSIBLE;
}

static void report(struct opens *o, const struct tally *t)
{
	struct finding f = { .key = o->key, .kind = KIND_SELECTIVE_DROP, .subkind = SUBKIND_FREEZE,
			     .level = o->level, .confidence = o->level >= LEVEL_LIKELY ? .95 : .6,
			     .method = "selective_drop/connection_limit/1", .start_ns = t->first_ns,
			     .type = t->type > 0 ? t->type : -1, .direction = DIRECTION_BOTH,
			     .flows = t->failed, .clients = t->clients, .servers = t->servers };
	struct range own = stats_wilson(t->failed, t->failed + t->opened, 1.96);
	struct range control = stats_wilson(t->beside_failed, t->beside, 1.96);
	double control_ratio = t->beside ? (double)t->beside_failed / t->beside : NAN;

	for (unsigned i = 0, n = 0; i < t->n; i++)
		for (unsigned k = 0; k < FAILED && k < t->z[i]->failed && n < FINDING_FLOWS; k++)
			f.flow_id[n++] = t->z[i]->flow_id[k];
	fact_num(&f.estimate, "drop_ratio", ratio_of(t));
	fact_num(&f.estimate, "drop_ratio_low", own.low);
	fact_num(&f.estimate, "drop_ratio_high", own.high);
	fact_num(&f.estimate, "connections_low", t->fewest);
	fact_num(&f.estimate, "connections_high", t->most);
	if (t->ended)
		fact_num(&f.estimate, "freeze_s", t->seconds);
	if (t->beside) {
		fact_num(&f.control, "drop_ratio", control_ratio);
		fact_num(&f.control, "drop_ratio_low", control.low);
		fact_num(&f.control, "drop_ratio_high", control.high);
	}
	fact_num(&f.control, "trials", t->beside);
	fact_vs(&f.reasons, "drop_ratio_while_frozen", 1, control_ratio);
	fact_text(&f.reasons, "connection_limit", "after %u to %u openings in %.0f s the next ones go unanswered",
		  t->fewest, t->most, t->opened_s);
	fact_text(&f.reasons, "freezes", "%u, of %u clients, at %u servers in %u networks", t->n, t->clients,
		  t->servers, t->nets);
	fact_text(&f.ruled_out, "server_down", "other clients' openings there were answered meanwhile");
	fact_text(&f.ruled_out, "outage", "%u of %u began when no other client's or server's did", t->alone, t->n);
	fact_text(&f.ruled_out, "nat_exhaustion", "these clients' openings elsewhere were answered meanwhile");
	if (t->nets >= NETS)
		fact_text(&f.ruled_out, "servers_own_guard", "servers of %u networks do it alike", t->nets);
	else
		fact_text(&f.ruled_out, "servers_own_guard", "not ruled out: the servers are of one network");
	fact_text(&f.ruled_out, "own_drops", "%s", o->env->drop_reasons ?
		  "flows of which this host dropped packets are not counted" :
		  "not ruled out: no kernel told of what this host drops itself");
	fact_text(&f.ruled_out, "refused", "resets and refusals are not counted");
	snprintf(f.what, sizeof(f.what), "freezes: after %u connections, %u times", t->fewest, t->n);
	findings_report(o->env->findings, &f);
}

/* What is new waits for its time, but for a higher level, and for what differs much. False: it waits. */
static bool judge(struct opens *o, uint64_t now_ns, bool last)
{
	struct tally t;
	int level;

	for (unsigned i = 0; i < FREEZES && i < o->nfreezes; i++)
		if (!o->freeze[i].end_ns)
			lives(o, &o->freeze[i]);
	tally(o, now_ns, &t);
	level = level_of(&t);
	if (level < 0)
		return true;
	if (!o->open) {
		o->open = true;
		o->level = (enum level)level;
		o->key = 0x09e5ull << 48 ^ t.first_ns / 1000000;
		o->reported_ns = 0;
	}
	last |= level > (int)o->level;
	o->level = level > (int)o->level ? (enum level)level : o->level;
	o->last_ns = t.last_ns;
	o->end_ns = t.end_ns;
	if (!last && now_ns < o->reported_ns + REPORT_NS && fabs(ratio_of(&t) - o->reported_ratio) < RATIO_NEW)
		return false;
	o->reported_ns = now_ns;
	o->reported_ratio = ratio_of(&t);
	report(o, &t);
	return true;
}

static void close_finding(struct opens *o, uint64_t end_ns)
{
	findings_close(o->env->findings, o->key, end_ns);
	o->open = false;
	o->nfreezes = 0;
	/* what they were beside is gone */
	for (unsigned i = 0; i < OUTCOMES; i++)
		o->outcome[i].beside = 0;
}

/* ---- the detector ---- */

static void *create(const struct detect_env *env)
{
	struct opens *o = calloc(1, sizeof(*o));

	if (o)
		o->env = env;
	return o;
}

static void packet(void *arg, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct opens *o = arg;
	struct opening *x = f->detector[o->env->slot];

	if (x && x->answered)
		return;
	if (rec_way(f, r) == TO_CLIENT) {
		if (!x)
			return;
		x->answered = true;
		if (!(r->tcp_flags & TCP_RST))
			opening_answered(o, f, x->syn_ns, x->failed);
		return;
	}
	if ((r->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return;
	/* whom outsiders may reach is not the path's to say */
	if (model_is_local(o->env->model, &f->server.ip) && !model_is_local(o->env->model, &f->client.ip))
		return;
	if (!x) {
		x = f->detector[o->env->slot] = calloc(1, sizeof(*x));
		if (!x)
			model_refuse(o->env->model);
		else
			x->syn_ns = r->time_ns;
		return;
	}
	if (!x->failed && !f->own_drops && !f->icmp && r->time_ns >= x->syn_ns + COPY_NS) {
		x->failed = true;
		opening_failed(o, f, x->syn_ns);
	}
}

static void typed(void *arg, struct flow *f, unsigned old_type)
{
	struct opens *o = arg;
	struct opening *x = f->detector[o->env->slot];
	struct freeze *z;
	struct pair *p;

	if (!x || !x->answered || !f->type)
		return;
	p = pair_of(o, f);
	p->type = f->type;
	z = freeze_of(o, p);
	if (z && !z->type)
		z->type = f->type;
}

/* The copy of its opening decides. */
static bool busy(void *arg, const struct flow *f)
{
	struct opens *o = arg;
	const struct opening *x = f->detector[o->env->slot];

	return x && !x->answered && !x->failed && model_now(o->env->model) < x->syn_ns + 2 * SECOND;
}

static void flow_end(void *arg, struct flow *f)
{
	struct opens *o = arg;

	free(f->detector[o->env->slot]);
	f->detector[o->env->slot] = NULL;
}

static void tick(void *arg, uint64_t now_ns)
{
	struct opens *o = arg;

	if (o->changed && (o->nfreezes < POSSIBLE || judge(o, now_ns, false)))
		o->changed = false;
	/* who left while it lasted sees no end: then it's the last that failed */
	if (o->open && now_ns > (o->end_ns ? o->end_ns : o->last_ns) + QUIET_NS)
		close_finding(o, o->end_ns ? o->end_ns : o->last_ns);
}

static void finish(void *arg, uint64_t now_ns)
{
	struct opens *o = arg;

	if (o->changed && o->nfreezes >= POSSIBLE)
		judge(o, now_ns, true);
	if (o->open)
		close_finding(o, o->end_ns);
}

static void destroy(void *arg)
{
	free(arg);
}

const struct detector detect_opens = {
	.name = "opens",
	.wants = PACKET_TCP,
	.create = create,
	.packet = packet,
	.typed = typed,
	.flow_end = flow_end,
	.busy = busy,
	.tick = tick,
	.finish = finish,
	.destroy = destroy,
};
