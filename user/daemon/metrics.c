// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metrics_own.h"
#include "options.h"

#define LOSS_NS 10000000000ULL /* a share of lost packets is of at least so long */

#define X(id, name) name,
static const char *const stages[] = { STAGE_LIST(X) };
#undef X

const char *stage_name(unsigned stage)
{
	return stages[stage];
}

struct metrics *metrics_new(void)
{
	struct metrics *mx = calloc(1, sizeof(*mx));

	if (!mx)
		return NULL;
	for (unsigned i = 0; i < MAX_TYPES; i++)
		mx->loss[i][0] = mx->loss[i][1] = NAN;
	metrics_reloaded(mx, true);
	return mx;
}

void metrics_free(struct metrics *mx)
{
	if (!mx)
		return;
	for (unsigned i = 0; i < METRICS_IFACES; i++) {
		free(mx->iface[i].ended);
		free(mx->iface[i].shown);
	}
	free(mx->evidence_dir);
	free(mx);
}

void metrics_reloaded(struct metrics *mx, bool ok)
{
	mx->reload_ok = ok;
	if (ok)
		mx->reloaded_s = time(NULL);
}

void metrics_lost(struct metrics *mx, enum metrics_lost what, uint64_t n)
{
	mx->lost[what] = n;
}

static struct per_iface *iface_named(struct metrics *mx, const char *name)
{
	struct per_iface *f = &mx->iface[mx->nifaces];

	for (unsigned i = 0; i < mx->nifaces; i++)
		if (!strcmp(mx->iface[i].name, name))
			return &mx->iface[i];
	if (mx->nifaces == METRICS_IFACES)
		return NULL;
	f->ended = calloc(MAX_TYPES, sizeof(*f->ended));
	f->shown = calloc(MAX_TYPES, sizeof(*f->shown));
	if (!f->ended || !f->shown) {
		free(f->ended);
		free(f->shown);
		f->ended = f->shown = NULL;
		return NULL;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	mx->nifaces++;
	return f;
}

void metrics_iface(struct metrics *mx, const char *name, unsigned ifindex)
{
	struct per_iface *f = iface_named(mx, name);

	if (f && ifindex)
		f->ifindex = ifindex & 0xffff;
}

void metrics_about(struct metrics *mx, const struct live *l, const struct options *o)
{
	const char *name[LIVE_IFACES];
	unsigned n = l ? live_ifaces(l, name, LIVE_IFACES) : 0;
	size_t at = 0;

	mx->names[0] = 0;
	for (unsigned i = 0; i < n && at < sizeof(mx->names); i++) {
		metrics_iface(mx, name[i], if_nametoindex(name[i]));
		at += snprintf(mx->names + at, sizeof(mx->names) - at, "%s%s", i ? "+" : "", name[i]);
	}
	free(mx->evidence_dir);
	mx->evidence_dir = o->evidence ? strdup(o->evidence) : NULL;
}

/* A capture ends with its model: what it counted stays. */
void metrics_show(struct metrics *mx, struct live *l, struct model *m, const struct findings *f)
{
	if (mx->model && !m) {
		metrics_look(mx);
		memcpy(mx->rtt_before, mx->rtt, sizeof(mx->rtt_before));
		memcpy(mx->kernel_lost_before, mx->kernel_lost, sizeof(mx->kernel_lost_before));
		mx->full_before = mx->full;
		memset(mx->level_of, 0, sizeof(mx->level_of));
	}
	mx->live = l;
	mx->model = m;
	mx->findings = f;
	mx->nmapped = 0;
	mx->looked_ns = 0;
	memset(&mx->before, 0, sizeof(mx->before));
}

/* The model's types come and go with it; ours stay. */
static unsigned type_of(struct metrics *mx, const struct model *m, unsigned type)
{
	for (; mx->nmapped < model_types(m); mx->nmapped++) {
		const char *name = model_type_name(m, mx->nmapped);
		unsigned i = 0;

		while (i < mx->ntypes && strcmp(mx->type_name[i], name))
			i++;
		if (i == mx->ntypes && i < MAX_TYPES)
			snprintf(mx->type_name[mx->ntypes++], TYPE_NAME_LEN, "%s", name);
		mx->type_of[mx->nmapped] = i < MAX_TYPES ? i : 0;
	}
	return type < mx->nmapped ? mx->type_of[type] : 0;
}

static struct per_iface *iface_of(struct metrics *mx, const struct flow *f)
{
	char name[IF_NAMESIZE];

	for (unsigned i = 0; i < mx->nifaces; i++)
		if (mx->iface[i].ifindex == f->ifindex)
			return &mx->iface[i];
	/* It came back with another number. */
	for (unsigned i = 0; f->ifindex && i < mx->nifaces; i++)
		if (if_indextoname(f->ifindex, name) && !strcmp(name, mx->iface[i].name)) {
			mx->iface[i].ifindex = f->ifindex;
			return &mx->iface[i];
		}
	return mx->nifaces ? &mx->iface[0] : NULL;
}

static struct sums *sums_of(struct metrics *mx, const struct model *m, const struct flow *f)
{
	struct per_iface *i = iface_of(mx, f);
	unsigned type = type_of(mx, m, f->type);

	if (!i)
		return NULL;
	i->used[type] = true;
	return &i->ended[type];
}

static void add_flow(struct sums *s, const struct flow *f)
{
	for (unsigned w = 0; w < 2; w++) {
		const struct flow_counts *c = &f->count[w];

		s->packets[w] += c->packets;
		s->bytes[w] += c->bytes;
		s->retx[w] += c->retx;
		s->lost[w] += (uint64_t)c->lost_before + c->lost_after;
	}
}

/* ---- events ---- */

/* How far a connection came that brought its client nothing: the stages of its resets. STAGES: it did. */
static enum stage failed_at(const struct flow *f)
{
	const struct flow_counts *up = &f->count[TO_SERVER], *down = &f->count[TO_CLIENT];

	if (f->proto != IPPROTO_TCP || !f->complete || down->data_packets ||
	    (f->ended != END_RST && f->ended != END_TIMEOUT))
		return STAGES;
	if (!f->handshake_us)
		return STAGE_POST_SYN;
	return up->data_packets ? STAGE_POST_PSH : STAGE_POST_ACK;
}

static void on_flow(void *s, const struct model *m, const struct flow *f)
{
	struct metrics *mx = s;
	struct sums *x = sums_of(mx, m, f);
	enum stage stage = failed_at(f);

	if (!x)
		return;
	add_flow(x, f);
	if (f->ended < END_COUNT)
		x->ended[f->ended]++;
	if (stage < STAGES)
		x->failed[stage]++;
}

static void on_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct metrics *mx = s;
	struct sums *x = sums_of(mx, m, e->flow);
	unsigned stage = 0;

	while (stage < STAGES && e->stage && strcmp(stages[stage], e->stage))
		stage++;
	if (!x || !e->stage || stage == STAGES)
		return;
	x->resets[stage] += 1 + e->held_back;
	x->suspect[stage] += e->suspect;
}

/* Each level that it reaches counts once. */
static void on_finding(void *s, const struct model *m, const struct finding *f,
		       enum finding_action action, uint64_t time_ns)
{
	struct metrics *mx = s;
	unsigned type = f->type < 0 ? MAX_TYPES : type_of(mx, m, f->type), i, at = f->id % LEVELS_MAX;

	if (mx->level_of[at].id == f->id && mx->level_of[at].level >= f->level + 1)
		return;
	mx->level_of[at].id = f->id;
	mx->level_of[at].level = f->level + 1;
	for (i = 0; i < mx->nopened; i++)
		if (mx->opened[i].kind == f->kind && mx->opened[i].type == type &&
		    mx->opened[i].level == f->level)
			break;
	if (i == OPENED_MAX)
		return;
	if (i == mx->nopened)
		mx->opened[mx->nopened++] = (struct opened){ f->kind, f->level, type, 0 };
	mx->opened[i].n++;
}

static void on_tool(void *s, const struct tool_event *e)
{
	struct metrics *mx = s;
	struct per_iface *f;

	if (!e->iface || (e->action != TOOL_ATTACH && e->action != TOOL_DETACH))
		return;
	metrics_iface(mx, e->iface, if_nametoindex(e->iface));
	f = iface_named(mx, e->iface);
	if (f)
		snprintf(f->hook, sizeof(f->hook), "%s",
			 e->action == TOOL_ATTACH && e->hook ? e->hook : "");
}

struct sink_ref metrics_sink(struct metrics *mx)
{
	static const struct sink ops = { .tool = on_tool, .flow = on_flow, .rst = on_rst,
					 .finding = on_finding };

	return (struct sink_ref){ &ops, mx };
}

/* ---- what stands in the model ---- */

struct looking {
	struct metrics *mx;
	struct sums *live[METRICS_IFACES]; /* of flows that go on; MAX_TYPES each, NULL: none */
};

static bool look_at_flow(struct flow *f, void *arg)
{
	struct looking *k = arg;
	struct per_iface *i = iface_of(k->mx, f);
	unsigned at = i ? i - k->mx->iface : 0, type = type_of(k->mx, k->mx->model, f->type);

	if (!i)
		return false;
	if (!k->live[at])
		k->live[at] = calloc(MAX_TYPES, sizeof(**k->live));
	if (!k->live[at])
		return false;
	i->used[type] = true;
	add_flow(&k->live[at][type], f);
	k->live[at][type].active++;
	return true;
}

/*
 * A flow that finds its type takes its counts along, and the type it leaves has
 * less. A counter must not step back: it stands until it is overtaken.
 */
static void take_larger(struct sums *shown, const struct sums *ended, const struct sums *live)
{
	static const struct sums none;
	const uint64_t *e = (const uint64_t *)ended, *l = (const uint64_t *)(live ? live : &none);
	uint64_t *s = (uint64_t *)shown;

	for (unsigned i = 0; i < sizeof(*shown) / sizeof(*s); i++)
		if (e[i] + l[i] > s[i])
			s[i] = e[i] + l[i];
	shown->active = live ? live->active : 0;
}

static void look_at_types(struct metrics *mx)
{
	uint64_t now = model_now(mx->model);
	bool loss = now - mx->looked_ns >= LOSS_NS;

	for (unsigned i = 0; i < model_types(mx->model); i++) {
		unsigned type = type_of(mx, mx->model, i);
		const struct type_stats *t = model_type(mx->model, i);
		struct type_stats d;

		for (unsigned w = 0; w < 2; w++) {
			mx->rtt[type][w] = mx->rtt_before[type][w];
			mx->rtt[type][w].sum_us += t->rtt_side[w].sum_us;
			for (unsigned b = 0; b <= RTT_BOUNDS; b++)
				mx->rtt[type][w].n[b] += t->rtt_side[w].n[b];
		}
		if (!loss)
			continue;
		interval_next(&mx->before, mx->model, i, &d, NULL);
		for (unsigned w = 0; w < 2; w++)
			mx->loss[type][w] = loss_ratio(&d, w);
	}
	if (loss)
		mx->looked_ns = now;
}

static void look_at_capture(struct metrics *mx)
{
	live_totals(mx->live, &mx->totals);
	live_status(mx->live, &mx->status);
	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		mx->kernel_lost[i] = mx->kernel_lost_before[i] + mx->totals.lost[i];
	mx->full = mx->full_before + mx->totals.c.elsewhere[WEIR_TABLE_FULL];
}

void metrics_look(struct metrics *mx)
{
	struct looking k = { .mx = mx };

	if (mx->model) {
		model_each_flow(mx->model, look_at_flow, &k);
		model_each_parked(mx->model, look_at_flow, &k);
		look_at_types(mx);
	}
	for (unsigned i = 0; i < mx->nifaces; i++) {
		struct per_iface *f = &mx->iface[i];

		for (unsigned t = 0; t < mx->ntypes; t++)
			if (f->used[t])
				take_larger(&f->shown[t], &f->ended[t], k.live[i] ? &k.live[i][t] : NULL);
		free(k.live[i]);
	}
	if (mx->live)
		look_at_capture(mx);
}
