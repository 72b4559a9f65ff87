// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One type delayed, the others not (research A.10: a step of the round trip of
 * this type alone). Each server is compared with itself before, so that a distant
 * one is no finding. A longer way shows in the TTL, and would take the other
 * types' servers of that network along; a queue follows the load; a slow server
 * is one server; an application's time is in what it sends, and in acknowledgments
 * that wait for that or for a timer, but not for longer than that.
 */
#include "delay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect.h"
#include "rst_host.h"
#include "stats.h"

#define TCP_SYN 0x02

#define SETS 128
#define WAYS 4

#define STEP_US	       60000 /* less is what routes and radios do */
#define STEP_USUAL     .5    /* of the usual round trip */
#define STEP_SPREAD    4     /* times what it varied by */
#define SERVERS_MIN    2
#define RUN_MIN	       2  /* slow seconds of a server */
#define SECONDS_MIN    10 /* of all */
#define SPAN_MIN_S     6
#define TOGETHER_S     3   /* all began within */
#define STEADY	       .3  /* of the delay: between its tenth and its ninth decile */
#define ALIKE	       .25 /* between the servers */
#define FREE	       .25 /* of the delay: what others may have more than usual */
#define BEFORE_MIN	3    /* seconds of a server before */
#define FREE_NEAR      4   /* seconds of others in the same networks */
#define FREE_ALL       8
#define FREE_ENDS      2
#define HELD_BACK_US   250000 /* timers of delayed acknowledgments: up to 200 ms, of all that are in use */
#define PROMPT_BYTES   2400   /* two segments: acknowledged at once (RFC 5681, 4.2) */
#define LOAD_VARIED    .6 /* mean of the lower third by that of the upper: a full queue has one load */
#define LOAD_NONE      .12 /* of the delay: what more of it there is at high load */
#define QUIET_S	       60
#define REPORT_S       10
#define POOL_MAX       512
#define CLIENTS_MAX    16

struct delay_type {
	uint64_t flow_id[FINDING_FLOWS];
	struct in6_addr client[CLIENTS_MAX];
	uint32_t nflows, nclients;
	bool open, degraded;
	enum level level;
	uint64_t key;
	uint32_t start_s, last_s, reported_s;
};

struct delay {
	const struct detect_env *env;
	struct delay_end end[SETS][WAYS];
	struct delay_type *type[MAX_TYPES]; /* NULL until something was slow */
	uint64_t bytes[MAX_TYPES][2];	    /* by the newest tick, by way */
	float load[MAX_TYPES][2];
	uint64_t tick_ns;
};

struct second {
	double added, load[2]; /* by way */
};

/* The slow seconds of all servers of a type, and the others' beside them. */
struct verdict {
	struct second s[POOL_MAX];
	unsigned n, servers, prompt; /* prompt: servers where not only what may be held back was late */
	uint32_t first_s, last_s, usual_s; /* first and newest slow second; the newest usual one before */
	double low, median, high;	   /* us added */
	double usual;			   /* us, median of the servers */
	double shift;			   /* how much more of it there was at high load, either way; NaN: the load did not vary */
	bool alike, spared;
	bool aged; /* what a server was like before is no longer held: known as unchanged since */
	struct in6_addr net[8];
	unsigned nets;
	unsigned free_near, free_all, free_ends, held; /* seconds of others, their servers; seconds with as much delay */
	double control_sum;			       /* us that others had more than before, */
	unsigned controls;			       /* in so many seconds */
	char types[64];
};

static double quantile(double *v, unsigned n, double q)
{
	qsort(v, n, sizeof(*v), stats_by_value);
	return v[(unsigned)(q * (n - 1) + .5)];
}

/* ---- one server ---- */

static unsigned held(uint32_t n, unsigned room)
{
	return n < room ? n : room;
}

static void learn(struct delay_end *e, uint32_t s, uint32_t us)
{
	double v[DELAY_WAS];
	unsigned n;

	e->was_us[e->nwas % DELAY_WAS] = us;
	e->was_s[e->nwas++ % DELAY_WAS] = s;
	n = held(e->nwas, DELAY_WAS);
	for (unsigned i = 0; i < n; i++)
		v[i] = e->was_us[i];
	e->usual_us = (uint32_t)quantile(v, n, .5);
	e->spread_us = (uint32_t)(v[(n - 1) * 9 / 10] - v[(n - 1) / 10]);
}

void delay_sample(struct delay_end *e, uint32_t us, uint8_t ttl, bool prompt, uint32_t s)
{
	if (!e->now_us || us < e->now_us) {
		e->now_us = us;
		e->now_ttl = ttl;
	}
	e->now_prompt |= prompt;
	e->used_s = s;
}

bool delay_is_step(const struct delay_end *e, uint32_t us)
{
	double step = fmax(STEP_US, fmax(STEP_USUAL * e->usual_us, STEP_SPREAD * (double)e->spread_us));

	return e->nwas >= DELAY_WAS_MIN && us >= e->usual_us + step;
}

void delay_second(struct delay_end *e, uint32_t s, const float load[2])
{
	uint32_t us = e->now_us;
	bool prompt = e->now_prompt;

	if (!us)
		return;
	e->now_us = 0;
	e->now_prompt = false;
	if (e->now_ttl != e->ttl) { /* another way: all there was is of the old one */
		e->ttl = e->now_ttl;
		e->nwas = e->nrun = 0;
		e->slow = false;
	}
	if (!delay_is_step(e, us)) {
		e->slow = false;
		learn(e, s, us);
		return;
	}
	if (!e->slow) {
		e->nrun = e->nprompt = 0;
		e->first_s = s;
	}
	e->slow = true;
	e->last_s = s;
	e->run_us[e->nrun % DELAY_RUN] = (float)(us - e->usual_us);
	memcpy(e->run_load[e->nrun++ % DELAY_RUN], load, 2 * sizeof(*load));
	e->nprompt += prompt;
}

/* ---- a type ---- */

static bool near(const struct verdict *v, const struct in6_addr *ip)
{
	struct in6_addr net = ip_net(ip);

	for (unsigned i = 0; i < v->nets; i++)
		if (!memcmp(&v->net[i], &net, sizeof(net)))
			return true;
	return false;
}

static int by_load(const void *a, const void *b, void *way)
{
	double x = ((const struct second *)a)->load[*(unsigned *)way];
	double y = ((const struct second *)b)->load[*(unsigned *)way];

	return (x > y) - (x < y);
}

/* What stands in a full queue does so at one load, that which it lets out; any other queue follows its load. */
static double shift_by_load(struct second *s, unsigned n, unsigned servers, unsigned way)
{
	double low = 0, high = 0, added = 0;
	unsigned third = n / 3;

	if (third < 3 || third <= servers)
		return NAN;
	qsort_r(s, n, sizeof(*s), by_load, &way);
	for (unsigned i = 0; i < third; i++) {
		low += s[i].load[way] / third;
		/* One second's may be of a flow that became of this type then, with all that it had carried. */
		high += i >= servers ? s[n - 1 - i].load[way] / (third - servers) : 0;
		added += s[n - 1 - i].added - s[i].added;
	}
	if (low >= LOAD_VARIED * high)
		return NAN;
	return added / third;
}

/* Either way may hold the queue: one that carries much the other way says nothing of it. */
static double shift_either_way(struct second *s, unsigned n, unsigned servers)
{
	double up = shift_by_load(s, n, servers, TO_SERVER), down = shift_by_load(s, n, servers, TO_CLIENT);

	if (isnan(up) || isnan(down))
		return NAN;
	return fabs(up) > fabs(down) ? up : down;
}

/* The servers of a type that are slow now. False: too few. */
static bool slow_ends(const struct delay *d, unsigned type, struct verdict *v)
{
	double added[POOL_MAX], of_end[DELAY_RUN], middle[SETS * WAYS], usual[SETS * WAYS];

	memset(v, 0, sizeof(*v));
	v->first_s = UINT32_MAX;
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct delay_end *e = &d->end[i / WAYS][i % WAYS];
		unsigned n = held(e->nrun, DELAY_RUN);

		if (e->type != type || !e->slow || e->nrun < RUN_MIN)
			continue;
		for (unsigned k = 0; k < n; k++) {
			of_end[k] = e->run_us[k];
			if (v->n < POOL_MAX)
				v->s[v->n++] = (struct second){ e->run_us[k],
								{ e->run_load[k][0], e->run_load[k][1] } };
		}
		v->prompt += e->nprompt > 0;
		middle[v->servers] = quantile(of_end, n, .5);
		usual[v->servers++] = e->usual_us;
		v->first_s = e->first_s < v->first_s ? e->first_s : v->first_s;
		v->last_s = e->last_s > v->last_s ? e->last_s : v->last_s;
		if (!near(v, &e->ip) && v->nets < 8)
			v->net[v->nets++] = ip_net(&e->ip);
	}
	if (v->servers < SERVERS_MIN || v->n < SECONDS_MIN || v->last_s < v->first_s + SPAN_MIN_S)
		return false;
	for (unsigned i = 0; i < v->n; i++)
		added[i] = v->s[i].added;
	v->median = quantile(added, v->n, .5);
	v->low = quantile(added, v->n, .1);
	v->high = quantile(added, v->n, .9);
	v->usual = quantile(usual, v->servers, .5);
	quantile(middle, v->servers, .5);
	v->alike = middle[v->servers - 1] - middle[0] <= ALIKE * v->median;
	v->shift = shift_either_way(v->s, v->n, v->servers);
	return true;
}

/* What a server of another type did since the delay began, against before. */
static void control(const struct delay *d, unsigned type, const struct delay_end *e,
		    struct verdict *v)
{
	double before[DELAY_WAS], usual;
	unsigned k = 0, n = held(e->nwas, DELAY_WAS), free = 0;

	for (unsigned i = 0; i < n; i++)
		if (e->was_s[i] < v->first_s)
			before[k++] = e->was_us[i];
	/* What it learned since it would not have, had it been slow: enough for what is claimed to go on. */
	if (k < BEFORE_MIN && !(d->type[type]->open && e->nwas > DELAY_WAS))
		return;
	v->aged |= k < BEFORE_MIN;
	usual = k < BEFORE_MIN ? e->usual_us : quantile(before, k, .5);
	for (unsigned i = 0; i < n; i++) {
		double more = e->was_us[i] - usual;

		if (e->was_s[i] <= v->first_s)
			continue;
		free += more <= FREE * v->median;
		v->held += more > FREE * v->median;
		v->control_sum += fmax(more, 0);
		v->controls++;
	}
	if (e->slow && e->last_s >= v->first_s)
		v->held += e->nrun;
	if (!free)
		return;
	v->free_all += free;
	v->free_ends++;
	v->free_near += near(v, &e->ip) ? free : 0;
	fact_list(v->types, sizeof(v->types), model_type_name(d->env->model, e->type));
}

/* The type's other servers, and those of other types. */
static void others(const struct delay *d, unsigned type, struct verdict *v)
{
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct delay_end *e = &d->end[i / WAYS][i % WAYS];
		unsigned n = held(e->nwas, DELAY_WAS);

		if (e->type && e->type != type)
			control(d, type, e, v);
		if (e->type != type || n < DELAY_WAS_MIN)
			continue;
		/* spared since, or it began there later */
		for (unsigned k = 0; k < n; k++)
			v->spared |= e->was_s[k] > v->first_s + (e->slow ? TOGETHER_S : 0);
	}
}

/* What is limited in rate waits for that. */
static bool rate_limited(const struct delay *d, unsigned type)
{
	for (unsigned i = 0; i < findings_count(d->env->findings); i++) {
		const struct finding *f = findings_at(d->env->findings, i);

		if (f->kind == KIND_RATE_LIMIT && f->subkind != SUBKIND_DELAY && f->type == (int)type &&
		    !f->closed)
			return true;
	}
	return false;
}

/* May it be acknowledgments that servers hold back, since the clients ask for less at once? */
static bool held_back(const struct verdict *v)
{
	return v->high <= HELD_BACK_US && v->prompt < SERVERS_MIN;
}

/* The level it deserves; -1 none. */
static int level_of(const struct delay *d, unsigned type, const struct verdict *v)
{
	if (!v->alike || v->spared || v->high - v->low > STEADY * v->median || rate_limited(d, type))
		return -1;
	if (v->free_all < FREE_ALL || v->free_ends < FREE_ENDS || v->held * 10 > v->free_all)
		return -1;
	if (v->free_near < FREE_NEAR || held_back(v) || isnan(v->shift) ||
	    fabs(v->shift) > LOAD_NONE * v->median)
		return LEVEL_POSSIBLE;
	return LEVEL_LIKELY;
}

/* level: what the verdict deserves by itself; what was claimed on more stands. */
static void report(struct delay *d, unsigned type, struct delay_type *t, const struct verdict *v,
		   enum level level)
{
	struct finding f = { .key = t->key,
			     .kind = KIND_RATE_LIMIT,
			     .subkind = SUBKIND_DELAY,
			     .level = t->level,
			     .confidence = t->level >= LEVEL_LIKELY ? .95 : .6,
			     .method = "rate_limit/delay_step/1",
			     .start_ns = t->start_s * 1000000000ull,
			     .type = (int)type,
			     .direction = DIRECTION_BOTH,
			     .flows = t->nflows,
			     .clients = model_hosts(d->env->model, t->client, held(t->nclients, CLIENTS_MAX)),
			     .servers = v->servers,
			     .degraded = t->degraded };

	double control_ms = v->controls ? v->control_sum / v->controls / 1e3 : NAN;

	memcpy(f.flow_id, t->flow_id, sizeof(f.flow_id));
	fact_num(&f.estimate, "added_delay_ms", v->median / 1e3);
	fact_num(&f.estimate, "added_delay_ms_low", v->low / 1e3);
	fact_num(&f.estimate, "added_delay_ms_high", v->high / 1e3);
	fact_num(&f.control, "added_delay_ms", control_ms);
	fact_text(&f.control, "types", "%s", v->types);
	fact_vs(&f.reasons, "added_delay_ms_vs_control", v->median / 1e3, control_ms);
	fact_num(&f.reasons, "usual_rtt_ms", v->usual / 1e3);
	fact_text(&f.reasons, "step", "%u servers got slower by as much within seconds", v->servers);
	fact_num(&f.reasons, "slow_seconds", v->n);
	if (level < t->level)
		fact_text(&f.reasons, "claimed_earlier", "on more than the newest %u slow seconds rule out", v->n);
	fact_text(&f.ruled_out, "distance", "the same servers answered in %.0f ms before", v->usual / 1e3);
	if (v->free_near >= FREE_NEAR)
		fact_text(&f.ruled_out, "route", "TTLs are as before; other types in their networks do not wait (%u s)",
			  v->free_near);
	else
		fact_text(&f.ruled_out, "route", "not ruled out: TTLs are as before, but no other type goes there");
	if (isnan(v->shift))
		fact_text(&f.ruled_out, "congestion", "not ruled out: the load was about the same");
	else
		fact_text(&f.ruled_out, "congestion", "at high load it was %+.0f ms, of %.0f", v->shift / 1e3,
			  v->median / 1e3);
	if (held_back(v))
		fact_text(&f.ruled_out, "slow_server", "not ruled out: so long may an acknowledgment be held back");
	else
		fact_text(&f.ruled_out, "slow_server", "%u at once; no acknowledgment is held back so long", v->servers);
	fact_text(&f.ruled_out, "near_side", "only round trips beyond us count");
	snprintf(f.what, sizeof(f.what), "+%.0f ms, %u servers", v->median / 1e3, v->servers);
	findings_report(d->env->findings, &f);
}

/* The first usual second after the delay, 0 none: it ends with the first server that is as before. */
static uint32_t recovered(const struct delay *d, unsigned type, const struct delay_type *t)
{
	uint32_t first = 0;

	for (unsigned i = 0; i < SETS * WAYS; i++) {
		const struct delay_end *e = &d->end[i / WAYS][i % WAYS];

		if (e->type != type || e->slow)
			continue;
		for (unsigned k = 0; k < held(e->nwas, DELAY_WAS); k++)
			if (e->was_s[k] > t->start_s && (!first || e->was_s[k] < first))
				first = e->was_s[k];
	}
	return first;
}

static void judge(struct delay *d, unsigned type, uint32_t s)
{
	struct delay_type *t = d->type[type];
	struct verdict v;
	bool slow = slow_ends(d, type, &v);
	int level = -1;

	if (slow) {
		others(d, type, &v);
		level = level_of(d, type, &v);
		if (v.aged && level > (int)t->level)
			level = (int)t->level;
	}
	if (!t->open) {
		if (!slow && !v.servers)
			t->nflows = t->nclients = 0;
		if (level < 0)
			return;
		t->open = true;
		t->level = (enum level)level;
		t->start_s = v.first_s;
		t->reported_s = 0;
		t->key = 0xde1aull << 48 ^ (uint64_t)type << 40 ^ t->start_s;
	}
	if (slow)
		t->last_s = v.last_s;
	if (level >= 0) {
		bool higher = level > (int)t->level;

		t->level = higher ? (enum level)level : t->level;
		if (higher || s >= t->reported_s + REPORT_S) {
			t->reported_s = s;
			report(d, type, t, &v, (enum level)level);
		}
		return;
	}
	if (recovered(d, type, t) || rate_limited(d, type) || s > t->last_s + QUIET_S) {
		uint32_t end = recovered(d, type, t);

		findings_close(d->env->findings, t->key, (end ? end : t->last_s) * 1000000000ull);
		t->open = false;
	}
}

/* ---- the detector ---- */

static void *create(const struct detect_env *env)
{
	struct delay *d = calloc(1, sizeof(*d));

	if (d)
		d->env = env;
	return d;
}

static void destroy(void *arg)
{
	struct delay *d = arg;

	for (unsigned i = 0; i < MAX_TYPES; i++)
		free(d->type[i]);
	free(d);
}

static struct delay_end *end_of(struct delay *d, const struct in6_addr *ip, uint8_t type)
{
	struct delay_end *set = d->end[rst_hash(ip, sizeof(*ip), type) % SETS], *old = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].type == type && !memcmp(&set[i].ip, ip, sizeof(*ip)))
			return &set[i];
		if (set[i].used_s < old->used_s)
			old = &set[i];
	}
	memset(old, 0, sizeof(*old));
	old->ip = *ip;
	old->type = type;
	return old;
}

static void note_flow(struct delay *d, const struct flow *f)
{
	struct delay_type *t = d->type[f->type];
	unsigned k;

	if (!t)
		t = d->type[f->type] = calloc(1, sizeof(*t));
	if (!t) {
		model_refuse(d->env->model);
		return;
	}
	t->degraded |= f->fragile;
	k = held(t->nflows, FINDING_FLOWS);
	for (unsigned i = 0; i < k; i++)
		if (t->flow_id[i] == f->id)
			return;
	/* of more we don't know which were counted */
	if (k < FINDING_FLOWS)
		t->flow_id[t->nflows++] = f->id;
	k = held(t->nclients, CLIENTS_MAX);
	for (unsigned i = 0; i < k; i++)
		if (!memcmp(&t->client[i], &f->client.ip, sizeof(f->client.ip)))
			return;
	if (k < CLIENTS_MAX)
		t->client[t->nclients++] = f->client.ip;
}

static void packet(void *arg, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct delay *d = arg;
	bool syn = r->tcp_flags & TCP_SYN;
	struct delay_end *e;
	int32_t acked = r->own_dir_flags & WEIR_DIR_ACK ? (int32_t)(r->ack - r->own_ack) : 0;

	if (!f->type || rec_way(f, r) != TO_CLIENT)
		return;
	/* What echoes a timestamp and acknowledges nothing came when the application had something to say. */
	if (!syn && acked <= 0)
		return;
	/* clients from outside come from anywhere */
	if (model_is_local(d->env->model, &f->server.ip) && !model_is_local(d->env->model, &f->client.ip))
		return;
	e = end_of(d, &f->server.ip, f->type);
	if (delay_is_step(e, r->rtt_us))
		note_flow(d, f);
	delay_sample(e, r->rtt_us, r->ttl, syn || acked >= PROMPT_BYTES, (uint32_t)(r->time_ns / 1000000000ull));
}

static void tick(void *arg, uint64_t now_ns)
{
	struct delay *d = arg;
	uint32_t s = (uint32_t)(now_ns / 1000000000ull);
	double span = d->tick_ns && now_ns > d->tick_ns ? (double)(now_ns - d->tick_ns) * 1e-9 : 1;

	d->tick_ns = now_ns;
	for (unsigned i = 1; i < model_types(d->env->model); i++) {
		const struct type_stats *t = model_type(d->env->model, i);

		for (unsigned way = 0; way < 2; way++) {
			uint64_t had = d->bytes[i][way], has = t->bytes[way];

			/* less: a flow became another type's, with all it had carried */
			d->load[i][way] = has > had ? (float)((double)(has - had) / span) : 0;
			d->bytes[i][way] = has;
		}
	}
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		struct delay_end *e = &d->end[i / WAYS][i % WAYS];

		delay_second(e, s, d->load[e->type]);
	}
	for (unsigned i = 1; i < MAX_TYPES; i++)
		if (d->type[i])
			judge(d, i, s);
}

const struct detector detect_delay = {
	.name = "delay",
	.wants = PACKET_RTT,
	.create = create,
	.packet = packet,
	.tick = tick,
	.destroy = destroy,
};
