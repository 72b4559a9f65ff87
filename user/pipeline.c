// SPDX-License-Identifier: GPL-2.0-or-later
#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "classify.h"
#include "evidence.h"
#include "model_own.h"

#define FINDINGS_MAX   1024
#define TICK_NS	       1000000000ULL
#define LOST_NS	       2000000000ULL /* how long after lost records a flow is suspicious */
#define CTL_QUEUE      1024
#define CALLS_MAX	 64   /* calls that are followed packet by packet */
#define FOCUS_PACKETS	 8192 /* asked for again before the engine's focus ends */
#define TYPE_PATIENCE_NS 10000000000ULL
#define FOLLOWED_MAX	 12288 /* flows, live: of the others only counters are kept */

struct pipeline {
	struct pipeline_config cfg;
	struct model *model;
	struct findings *findings;
	struct classifier *classifier;
	struct detect_env env[DETECTORS_MAX];
	const struct detector *detector[DETECTORS_MAX];
	void *state[DETECTORS_MAX];
	unsigned ndetectors;
	struct {
		unsigned n;
		struct {
			void (*hook)(void *d, struct flow *f, const struct weir_rec *r, const uint8_t *payload);
			void *state;
		} hook[DETECTORS_MAX];
	} packet[PACKET_ANY + 1]; /* by packet_classes(): who wants it */
	unsigned nexpect; /* the detectors that have this hook */
	struct {
		void (*hook)(const void *d, const struct flow *f, unsigned way);
		const void *state;
	} expect[DETECTORS_MAX];
	uint64_t next_tick, last_stats, lost_until, lost;
	struct weir_ctl ctl[CTL_QUEUE]; /* a ring: when full the oldest wishes go first */
	unsigned ctl_from, ctl_n;
	unsigned calls;			/* flows with focus_at */
};

#define SINKS(p, hook, ...)                                                                        \
	for (unsigned sink_ = 0; sink_ < (p)->cfg.nsinks; sink_++)                                 \
		if ((p)->cfg.sink[sink_].ops->hook)                                                \
	(p)->cfg.sink[sink_].ops->hook((p)->cfg.sink[sink_].s, __VA_ARGS__)

static void finding_changed(void *arg, const struct finding *f, enum finding_action action)
{
	struct pipeline *p = arg;

	SINKS(p, finding, p->model, f, action, model_now(p->model));
}

static void rst_judged(void *arg, const struct rst_event *e)
{
	struct pipeline *p = arg;

	if (e->suspect)
		model_suspect_rst(p->model, e->flow);
	SINKS(p, rst, p->model, e);
}

static void marked(void *arg, const struct flow *f, uint64_t time_ns, const char *comment)
{
	evidence_mark(arg, f->id, time_ns, comment);
}

static bool is_disabled(const struct pipeline *p, const struct finding *f, const char *type)
{
	const char *kind = kind_name(f->kind);
	size_t n = strlen(kind);

	for (unsigned i = 0; i < p->cfg.ndisabled; i++) {
		const char *d = p->cfg.disabled[i];

		if (!strcmp(d, type) || (!strncmp(d, kind, n) && d[n] == ':' && !strcmp(d + n + 1, type)))
			return true;
	}
	return false;
}

static bool wanted(void *arg, const struct finding *f)
{
	const struct pipeline *p = arg;

	return f->flows >= p->cfg.min_flows &&
	       (f->type < 0 || !is_disabled(p, f, model_type_name(p->model, f->type)));
}

void pipeline_retune(struct pipeline *p, const struct pipeline_config *cfg)
{
	p->cfg.sensitivity = cfg->sensitivity;
	p->cfg.disabled = cfg->disabled;
	p->cfg.ndisabled = cfg->ndisabled;
	p->cfg.min_flows = cfg->min_flows;
	for (unsigned i = 0; i < p->ndetectors; i++)
		p->env[i].sensitivity = cfg->sensitivity;
}

static void wish(struct pipeline *p, const struct flow *f, uint8_t op)
{
	struct weir_ctl *c;
	const struct endpoint *lo = f->client_dir ? &f->server : &f->client;
	const struct endpoint *hi = f->client_dir ? &f->client : &f->server;

	if (!p->cfg.live)
		return;
	if (p->ctl_n == CTL_QUEUE) {
		p->ctl_from = (p->ctl_from + 1) % CTL_QUEUE;
		p->ctl_n--;
	}
	c = &p->ctl[(p->ctl_from + p->ctl_n++) % CTL_QUEUE];
	memset(c, 0, sizeof(*c));
	memcpy(c->key.lo, &lo->ip, sizeof(c->key.lo));
	memcpy(c->key.hi, &hi->ip, sizeof(c->key.hi));
	c->key.lo_port = lo->port;
	c->key.hi_port = hi->port;
	c->key.proto = f->proto;
	c->key.ifindex = f->ifindex;
	c->flow_id = f->id;
	c->op = op;
	c->l7 = f->l7;
	c->type = f->type;
}

static void focused(void *arg, const struct flow *f)
{
	wish(arg, f, WEIR_CTL_FOCUS);
}

static void hook_detectors(struct pipeline *p)
{
	memset(p->packet, 0, sizeof(p->packet));
	p->nexpect = 0;
	for (unsigned i = 0; i < p->ndetectors; i++) {
		const struct detector *d = p->detector[i];

		for (unsigned classes = 0; d->packet && classes <= PACKET_ANY; classes++) {
			unsigned n = p->packet[classes].n;

			if (!(d->wants & classes))
				continue;
			p->packet[classes].hook[n].hook = d->packet;
			p->packet[classes].hook[n].state = p->state[i];
			p->packet[classes].n = n + 1;
		}
		if (d->expect) {
			p->expect[p->nexpect].hook = d->expect;
			p->expect[p->nexpect++].state = p->state[i];
		}
	}
}

struct pipeline *pipeline_new(const struct pipeline_config *cfg)
{
	struct pipeline *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->cfg = *cfg;
	p->model = model_new(cfg->max_flows, cfg->local, cfg->nlocal);
	p->findings = findings_new(FINDINGS_MAX, finding_changed, p);
	if (!p->model || !p->findings)
		goto fail;
	if (cfg->live)
		model_follow(p->model, FOLLOWED_MAX);
	findings_number(p->findings, cfg->first_finding);
	findings_wanted(p->findings, wanted, p);
	p->classifier = classifier_new(p->model, cfg->rules);
	if (!p->classifier)
		goto fail;
	for (unsigned n = 0; n < DETECTORS_MAX && detectors[n]; n++) {
		const struct detector *d = detectors[n];

		p->env[n] = (struct detect_env){
			.model = p->model, .findings = p->findings, .sensitivity = cfg->sensitivity,
			.slot = n, .rst = rst_judged, .rst_arg = p,
			.mark = cfg->evidence ? marked : NULL, .mark_arg = cfg->evidence,
			.focus = cfg->live ? focused : NULL, .focus_arg = p,
		};
		p->detector[n] = d;
		p->state[n] = d->create(&p->env[n]);
		if (!p->state[n])
			goto fail;
		p->ndetectors++;
	}
	hook_detectors(p);
	return p;
fail:
	pipeline_free(p);
	return NULL;
}

void pipeline_rules(struct pipeline *p, const struct rules *rules)
{
	classifier_rules(p->classifier, rules);
}

struct model *pipeline_model(struct pipeline *p)
{
	return p->model;
}

struct findings *pipeline_findings(struct pipeline *p)
{
	return p->findings;
}

struct evidence *pipeline_evidence(struct pipeline *p)
{
	return p->cfg.evidence;
}

unsigned pipeline_ctl(struct pipeline *p, struct weir_ctl *ctl, unsigned max)
{
	unsigned n = 0;

	while (n < max && p->ctl_n) {
		ctl[n++] = p->ctl[p->ctl_from];
		p->ctl_from = (p->ctl_from + 1) % CTL_QUEUE;
		p->ctl_n--;
	}
	return n;
}

/* What a call loses shows in its sequence numbers only: live, each packet is asked for. */
static void follow_call(struct pipeline *p, struct flow *f)
{
	uint32_t packets;

	if (!p->cfg.live || f->l7 != WEIR_L7_RTP || f->proto != IPPROTO_UDP)
		return;
	packets = f->count[0].packets + f->count[1].packets;
	if (f->focus_at ? packets - f->focus_at < FOCUS_PACKETS : p->calls >= CALLS_MAX)
		return;
	p->calls += !f->focus_at;
	f->focus_at = packets ? packets : 1;
	wish(p, f, WEIR_CTL_FOCUS);
}

static void apply_class(struct pipeline *p, struct flow *f, const struct class_result *r)
{
	unsigned old = f->type;

	f->l7 = r->l7;
	f->source = r->source;
	f->app = r->app;
	if (r->hint[0] && (!f->hint || strcmp(f->hint, r->hint))) {
		free(f->hint);
		f->hint = strdup(r->hint);
	}
	model_set_type(p->model, f, r->type);
	for (unsigned i = 0; i < p->ndetectors; i++)
		if (p->detector[i]->typed)
			p->detector[i]->typed(p->state[i], f, old);
}

static void settle_class(struct pipeline *p, struct flow *f)
{
	f->typed = true;
	classify_flow_free(p->classifier, f);
	wish(p, f, WEIR_CTL_TYPE);
}

static void classify(struct pipeline *p, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	struct class_result c;

	if (f->typed)
		return;
	/* A SYN too: it says where the first byte is. */
	if (r->caplen || r->tcp_flags & 0x02) {
		memset(&c, 0, sizeof(c));
		if (classify_packet(p->classifier, f, r, payload, &c)) {
			apply_class(p, f, &c);
			if (c.done)
				settle_class(p, f);
		}
	} else if (r->time_ns - f->start_ns > TYPE_PATIENCE_NS && r->time_ns > f->start_ns && f->classify) {
		memset(&c, 0, sizeof(c));
		if (classify_finish(p->classifier, f, &c))
			apply_class(p, f, &c);
		settle_class(p, f);
	}
}

/* The detectors let go of it: it has ended, or is followed no longer. */
static void let_go(struct pipeline *p, struct flow *f)
{
	p->calls -= !!f->focus_at;
	f->focus_at = 0;
	for (unsigned i = 0; i < p->ndetectors; i++)
		if (p->detector[i]->flow_end)
			p->detector[i]->flow_end(p->state[i], f);
}

static void end_flow(struct pipeline *p, struct flow *f, enum flow_end why)
{
	if (!f->typed) {
		struct class_result c = { 0 };

		if (classify_finish(p->classifier, f, &c))
			apply_class(p, f, &c);
		classify_flow_free(p->classifier, f);
	}
	f->ended = why;
	f->end_ns = f->last_ns;
	let_go(p, f);
	SINKS(p, flow, p->model, f);
	model_flow_end(p->model, f);
}

/* What its bytes said so far is all that they will say; of one that had none yet the first may still come. */
static bool park(struct pipeline *p, struct flow *f)
{
	struct class_result c = { 0 };

	if (!f->typed && classify_begun(f)) {
		if (classify_finish(p->classifier, f, &c))
			apply_class(p, f, &c);
		settle_class(p, f);
	}
	classify_flow_free(p->classifier, f);
	let_go(p, f);
	return model_park(p->model, f);
}

static bool busy(void *arg, const struct flow *f)
{
	struct pipeline *p = arg;

	for (unsigned i = 0; i < p->ndetectors; i++)
		if (p->detector[i]->busy && p->detector[i]->busy(p->state[i], f))
			return true;
	return false;
}

/* No more flows are followed than may be; keep is among them. */
static void make_room(struct pipeline *p, const struct flow *keep)
{
	struct flow *f;

	while ((f = model_crowd(p->model, keep, busy, p)) && park(p, f))
		;
}

/* A flow that is held, followed from now on. */
static struct flow *known_flow(struct pipeline *p, uint64_t id)
{
	struct flow *f = model_flow(p->model, id);

	return f ? f : model_unpark(p->model, id);
}

static void count(struct pipeline *p, struct flow *f, const struct weir_flow *c)
{
	model_counters(p->model, f, c);
	/* Live, not every packet has a record. */
	for (int d = 0; p->cfg.live && d < 2; d++)
		if (c->dir[d].last_ns > f->last_ns)
			f->last_ns = c->dir[d].last_ns;
}

static void reused(struct pipeline *p, const struct weir_rec *r, const uint8_t *payload)
{
	struct flow *f = known_flow(p, r->flow_id);
	struct weir_flow c;

	if (!f || r->caplen < sizeof(c))
		return;
	memcpy(&c, payload, sizeof(c));
	count(p, f, &c);
	end_flow(p, f, END_REUSED);
}

/* The flow of a record, made where new, at the price of one that was still for long where the model is full. */
static struct flow *flow_of(struct pipeline *p, const struct weir_rec *r)
{
	struct flow *evict, *f = model_flow_of(p->model, r, &evict);

	if (f || !evict)
		return f;
	end_flow(p, evict, END_EVICTED);
	return model_flow_of(p->model, r, &evict);
}

/* A flow whose every record was lost is known by its counters all the same. */
static struct flow *flow_of_counters(struct pipeline *p, const struct weir_key6 *key,
				     const struct weir_flow *c)
{
	struct flow *f = known_flow(p, c->id);
	struct weir_rec r = { .kind = WEIR_REC_PACKET, .flow_id = c->id, .time_ns = c->start_ns,
			      .sport = key->lo_port, .dport = key->hi_port, .proto = key->proto,
			      .ifindex = key->ifindex, .client = c->client };

	if (f)
		return f;
	memcpy(r.saddr, key->lo, sizeof(r.saddr));
	memcpy(r.daddr, key->hi, sizeof(r.daddr));
	f = flow_of(p, &r);
	if (f)
		f->fragile = true;
	return f;
}

static void take(struct pipeline *p, struct flow *f, const struct weir_rec *r, const uint8_t *payload)
{
	unsigned classes = packet_classes(r);

	if (r->time_ns < p->lost_until)
		f->fragile = true;
	if (p->cfg.evidence)
		evidence_record(p->cfg.evidence, f, r, payload);
	if (p->cfg.record)
		p->cfg.record(p->cfg.record_arg, f, r);
	if (r->kind == WEIR_REC_PACKET)
		classify(p, f, r, payload);
	follow_call(p, f);
	for (unsigned i = 0; i < p->packet[classes].n; i++)
		p->packet[classes].hook[i].hook(p->packet[classes].hook[i].state, f, r, payload);
	model_packet(p->model, f, r, !p->cfg.live);
}

void pipeline_record_at(struct pipeline *p, void **at, const struct weir_rec *r, const uint8_t *payload)
{
	struct flow *f = at ? *at : NULL;

	if (r->kind == WEIR_REC_REUSE) {
		reused(p, r, payload);
		f = NULL;
	} else {
		if (!f)
			f = flow_of(p, r);
		make_room(p, f);
		if (f)
			take(p, f, r, payload);
	}
	if (at)
		*at = f;
}

void pipeline_record(struct pipeline *p, const struct weir_rec *r, const uint8_t *payload)
{
	pipeline_record_at(p, NULL, r, payload);
}

void pipeline_expect(const struct pipeline *p, const void *at, unsigned dir, unsigned stage)
{
	const struct flow *f = at;
	unsigned way;

	if (!f)
		return;
	if (stage == 0) {
		model_expect_flow(f);
		return;
	}
	if (stage == 1) {
		model_expect_parts(f);
		return;
	}
	way = dir == f->client_dir ? TO_SERVER : TO_CLIENT;
	model_expect_deep(f, way);
	for (unsigned i = 0; i < p->nexpect; i++)
		p->expect[i].hook(p->expect[i].state, f, way);
}

void pipeline_expect_counters(const struct pipeline *p, uint64_t id, unsigned stage)
{
	model_expect_counters(p->model, id, stage);
}

void pipeline_counters(struct pipeline *p, const struct weir_key6 *key, const struct weir_flow *c)
{
	struct flow *f;

	if (model_parked_counters(p->model, c))
		return;
	f = flow_of_counters(p, key, c);
	if (!f)
		return;
	count(p, f, c);
	make_room(p, f);
}

void pipeline_flow_end(struct pipeline *p, const struct weir_key6 *key, const struct weir_flow *c,
		       enum flow_end why)
{
	struct flow *f = flow_of_counters(p, key, c);

	if (!f)
		return;
	count(p, f, c);
	end_flow(p, f, why);
}

void pipeline_local(struct pipeline *p, const struct in6_addr *ip, unsigned prefix)
{
	model_learn_local(p->model, ip, prefix);
}

void pipeline_neighbour(struct pipeline *p, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6])
{
	model_learn_host(p->model, ip, ifindex, mac);
}

bool pipeline_strangers(struct pipeline *p)
{
	return model_strangers(p->model);
}

void pipeline_own_drops(struct pipeline *p, uint64_t flow_id, uint64_t packets)
{
	struct flow *f = known_flow(p, flow_id);

	if (f)
		f->own_drops += packets < UINT32_MAX - f->own_drops ? packets : UINT32_MAX - f->own_drops;
}

void pipeline_drop_reasons(struct pipeline *p)
{
	for (unsigned i = 0; i < p->ndetectors; i++)
		p->env[i].drop_reasons = true;
}

void pipeline_lost(struct pipeline *p, uint64_t n)
{
	p->lost += n;
	p->lost_until = model_now(p->model) + LOST_NS;
}

void pipeline_tick(struct pipeline *p, uint64_t now_ns)
{
	model_set_now(p->model, now_ns);
	if (now_ns >= p->next_tick) {
		p->next_tick = now_ns + TICK_NS;
		for (unsigned i = 0; i < p->ndetectors; i++)
			if (p->detector[i]->tick)
				p->detector[i]->tick(p->state[i], now_ns);
		findings_flush(p->findings);
	}
	if (!p->last_stats)
		p->last_stats = now_ns;
	if (p->cfg.interval_s > 0 && now_ns > p->last_stats && now_ns - p->last_stats >= p->cfg.interval_s * 1e9) {
		SINKS(p, stats, p->model, now_ns, (now_ns - p->last_stats) / 1e9);
		p->last_stats = now_ns;
	}
}

void pipeline_tool(struct pipeline *p, const struct tool_event *e)
{
	struct tool_event named = *e;

	named.file = p->cfg.file;
	SINKS(p, tool, &named);
}

static bool end_each(struct flow *f, void *arg)
{
	end_flow(arg, f, END_STOP);
	return true;
}

/* Flows, detectors' last words, findings. */
static void wind_up(struct pipeline *p, uint64_t now)
{
	struct flow *f;

	for (unsigned i = 0; i < p->ndetectors; i++)
		if (p->detector[i]->tick)
			p->detector[i]->tick(p->state[i], now);
	model_each_flow(p->model, end_each, p);
	while ((f = model_unpark_any(p->model)))
		end_flow(p, f, END_STOP);
	for (unsigned i = 0; i < p->ndetectors; i++)
		if (p->detector[i]->finish)
			p->detector[i]->finish(p->state[i], now);
	findings_flush(p->findings);
	findings_finish(p->findings);
}

void pipeline_restart(struct pipeline *p, uint64_t now_ns)
{
	wind_up(p, model_now(p->model));
	for (unsigned i = 0; i < p->ndetectors; i++) {
		void *fresh = p->detector[i]->create(&p->env[i]);

		if (!fresh) /* no memory: the old state has no flows, and goes on */
			continue;
		p->detector[i]->destroy(p->state[i]);
		p->state[i] = fresh;
	}
	hook_detectors(p);
	model_restart(p->model, now_ns);
	p->next_tick = p->lost_until = 0;
	p->last_stats = now_ns;
}

void pipeline_finish(struct pipeline *p, const struct totals *t)
{
	struct tool_event e = { .time_ns = model_now(p->model), .action = TOOL_STOP, .totals = t };

	wind_up(p, e.time_ns);
	e.refused_findings = findings_refused(p->findings);
	e.refused_flows = model_refused(p->model);
	pipeline_tool(p, &e);
	for (unsigned i = 0; i < p->cfg.nsinks; i++)
		if (p->cfg.sink[i].ops->close)
			p->cfg.sink[i].ops->close(p->cfg.sink[i].s);
	p->cfg.nsinks = 0;
}

static bool free_each(struct flow *f, void *arg)
{
	struct pipeline *p = arg;

	p->cfg.nsinks = 0;
	end_flow(p, f, END_STOP);
	return true;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	if (p->model)
		model_each_flow(p->model, free_each, p);
	for (unsigned i = 0; i < p->ndetectors; i++)
		p->detector[i]->destroy(p->state[i]);
	if (p->classifier)
		classifier_free(p->classifier);
	findings_free(p->findings);
	model_free(p->model);
	free(p);
}
