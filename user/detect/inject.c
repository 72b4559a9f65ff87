/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject.h"
#include "rst_host.h"
#include "rst_names.h"

#define QUIET_NS 600000000000ull

uint64_t inject_key(const struct flow *f, const char *what)
{
	uint64_t seed = rst_hash(what, strlen(what), 0);

	if (f->hint && *f->hint)
		return rst_hash(f->hint, strlen(f->hint), seed) | 1;
	return rst_hash(&f->server.port, sizeof(f->server.port), seed + f->proto) | 1;
}

static bool host_add(struct in6_addr *set, uint32_t *n, const struct in6_addr *ip)
{
	uint32_t kept = *n < INJECT_HOSTS ? *n : INJECT_HOSTS;

	for (uint32_t i = 0; i < kept; i++)
		if (!memcmp(&set[i], ip, sizeof(*ip)))
			return false;
	if (kept < INJECT_HOSTS) {
		set[kept] = *ip;
		++*n;
	}
	return true;
}

struct inject_group *inject_group(struct inject *in, uint64_t key)
{
	for (unsigned i = 0; i < INJECT_GROUPS; i++)
		if (in->group[i] && in->group[i]->key == key)
			return in->group[i];
	return NULL;
}

static struct inject_group *find(struct inject *in, uint64_t key)
{
	struct inject_group *g = inject_group(in, key);

	for (unsigned i = 0; !g && i < INJECT_GROUPS; i++) {
		if (in->group[i])
			continue;
		g = in->group[i] = calloc(1, sizeof(*g));
		if (!g)
			return NULL;
		g->key = key;
	}
	return g;
}

void inject_free(struct inject *in)
{
	for (unsigned i = 0; i < INJECT_GROUPS; i++)
		free(in->group[i]);
}

static void drop_group(struct inject *in, struct inject_group *g)
{
	for (unsigned i = 0; i < INJECT_GROUPS; i++)
		if (in->group[i] == g)
			in->group[i] = NULL;
	free(g);
}

static void begin(struct inject *in, struct inject_group *g, const struct inject_case *c)
{
	const struct flow *flow = c->flow;
	struct finding *f = &g->f;

	f->key = g->key;
	f->kind = c->kind;
	f->start_ns = c->time_ns;
	f->type = flow->type;
	f->app = flow->app;
	snprintf(f->method, sizeof(f->method), "%s", in->method);
	if (c->trigger)
		snprintf(g->trigger, sizeof(g->trigger), "%s", c->trigger);
	else if (flow->hint && *flow->hint)
		snprintf(g->trigger, sizeof(g->trigger), "%s", flow->hint);
	else
		snprintf(g->trigger, sizeof(g->trigger), "%s port %u", flow->proto == IPPROTO_TCP ? "TCP" : "UDP",
			 flow->server.port);
	g->ttl_low = 255;
}

static void note_ttl(struct inject_group *g, const struct inject_case *c)
{
	if (!c->ttl)
		return;
	if (c->ttl < g->ttl_low)
		g->ttl_low = c->ttl;
	if (c->ttl > g->ttl_high)
		g->ttl_high = c->ttl;
	g->ttl_varies |= c->ttl_varies || g->ttl_low != g->ttl_high;
	if (c->flow_ttl)
		g->flow_ttl = c->flow_ttl;
}

static enum subkind subkind_of(const struct inject_group *g)
{
	unsigned best = SUBKIND_UNKNOWN;

	if (g->f.kind == KIND_RST_INJECTION)
		return g->on_path ? SUBKIND_ON_PATH : g->in_path ? SUBKIND_IN_PATH : SUBKIND_UNKNOWN;
	for (unsigned i = 0; i < SUBKIND_COUNT; i++)
		if (g->subkind_cases[i] > (best == SUBKIND_UNKNOWN ? 0 : g->subkind_cases[best]))
			best = i;
	return best;
}

static void estimate(const struct inject_group *g, struct finding *f)
{
	struct facts *e = &f->estimate;

	if (g->signature)
		fact_text(e, "signature", "%s", g->signature);
	if (g->stage)
		fact_text(e, "stage", "%s", g->stage);
	if (g->ttl_high)
		fact_num(e, "ttl", g->ttl_low);
	if (g->ttl_high && g->ttl_low != g->ttl_high)
		fact_num(e, "ttl_high", g->ttl_high);
	if (g->flow_ttl)
		fact_num(e, "flow_ttl", g->flow_ttl);
	if (g->copies_max)
		fact_num(e, "copies", g->copies_max);
	/* Hops only where the sender keeps to one TTL. */
	if (g->ttl_high && !g->ttl_varies)
		fact_num(e, "hops", rst_hops(g->ttl_low));
	if (g->flow_ttl)
		fact_num(e, "flow_hops", rst_hops(g->flow_ttl));
	if (g->delay_min_us)
		fact_num(e, "delay_ms", g->delay_min_us / 1000.0);
	if (g->rtt_us)
		fact_num(e, "rtt_ms", g->rtt_us / 1000.0);
	if (g->delay_min_us && g->rtt_us > g->delay_min_us)
		fact_num(e, "path_ratio", (double)g->delay_min_us / g->rtt_us);
	if (g->label)
		fact_text(e, "label", "%s", g->label);
	if (g->residual_low_s || g->residual_high_s) {
		fact_num(e, "residual_low_s", g->residual_low_s);
		if (g->residual_high_s)
			fact_num(e, "residual_high_s", g->residual_high_s);
	}
}

static void what(const struct inject_group *g, struct finding *f)
{
	/* The trigger came off the wire; outputs escape it. */
	snprintf(f->what, sizeof(f->what), "%.60s: %u flow%s%s%s", g->trigger, f->flows, f->flows == 1 ? "" : "s",
		 g->label ? ", like " : "", g->label ? g->label : "");
}

static enum level level_of(const struct inject *in, const struct inject_group *g)
{
	bool low = in->env->sensitivity == SENSITIVITY_LOW;

	if (g->injected >= 3 && g->f.servers >= 2)
		return LEVEL_CORROBORATED;
	if (g->injected >= (low ? 2u : 1u) || (!low && g->injected + g->firm >= 3))
		return LEVEL_LIKELY;
	return LEVEL_POSSIBLE;
}

static void report(struct inject *in, struct inject_group *g)
{
	struct finding *f = &g->f;

	f->estimate.n = f->control.n = f->reasons.n = f->ruled_out.n = 0;
	f->subkind = subkind_of(g);
	f->level = level_of(in, g);
	f->clients = model_hosts(in->env->model, g->client, g->nclients);
	f->confidence = 1 - exp(-(g->score_max * 0.35 + 0.2 * (g->injected > 1)));
	f->direction = g->up && g->down ? DIRECTION_BOTH : g->up ? DIRECTION_UP : DIRECTION_DOWN;
	estimate(g, f);
	fact_text(&f->reasons, "trigger", "%s", g->trigger);
	for (unsigned r = 0; r < INJECT_RULES; r++)
		if (g->rule_cases[r])
			fact_num(&f->reasons, in->rule_name(r), g->rule_cases[r]);
	in->rest(g, f);
	what(g, f);
	g->dirty = false;
	findings_report(in->env->findings, f);
}

static void note_path(struct inject_group *g, const struct inject_case *c)
{
	if (c->path_known && c->genuine_after)
		g->on_path++;
	else if (c->path_known)
		g->in_path++;
}

static void note_look(struct inject_group *g, const struct inject_case *c)
{
	if (c->copies > g->copies_max)
		g->copies_max = c->copies;
	if (c->score >= g->score_max) {
		g->signature = c->signature ? c->signature : g->signature;
		g->stage = c->stage ? c->stage : g->stage;
		g->score_max = c->score;
	}
	if (c->label)
		g->label = c->label;
	g->f.degraded |= c->degraded;
	note_ttl(g, c);
}

static bool probably_firm(const struct inject_case *c)
{
	return c->score < 6 && c->firm;
}

struct inject_group *inject_add(struct inject *in, const struct inject_case *c)
{
	struct inject_group *g = find(in, c->key);
	enum level before;
	bool fresh;

	if (!g) {
		in->refused++;
		return NULL;
	}
	fresh = !g->f.key;
	if (fresh)
		begin(in, g, c);
	before = g->f.level;
	finding_add_flow(&g->f, c->flow);
	host_add(g->server, &g->f.servers, &c->flow->server.ip);
	host_add(g->client, &g->nclients, &c->flow->client.ip);
	if (c->score >= 6)
		g->injected++;
	else
		g->probable++;
	g->firm += probably_firm(c);
	for (unsigned r = 0; r < INJECT_RULES; r++)
		g->rule_cases[r] += c->rules >> r & 1;
	g->subkind_cases[c->subkind]++;
	note_path(g, c);
	note_look(g, c);
	if (c->delay_us && (!g->delay_min_us || c->delay_us < g->delay_min_us)) {
		g->delay_min_us = c->delay_us;
		g->rtt_us = c->rtt_us;
	}
	if (c->toward_client)
		g->down = true;
	else
		g->up = true;
	if (c->time_ns < g->f.start_ns)
		g->f.start_ns = c->time_ns;
	if (c->time_ns > g->last_ns)
		g->last_ns = c->time_ns;
	g->dirty = true;
	if (fresh || level_of(in, g) > before)
		report(in, g);
	return g;
}

void inject_told(struct inject_told *t, const struct inject_case *c)
{
	t->rules |= c->rules;
	t->score = c->score > t->score ? c->score : t->score;
	t->firm = probably_firm(c);
}

static void take_back(struct inject *in, struct inject_group *g, const struct inject_told *t)
{
	g->probable -= g->probable > 0;
	g->firm -= t->firm && g->firm;
	for (unsigned r = 0; r < INJECT_RULES; r++)
		g->rule_cases[r] -= (t->rules >> r & 1) && g->rule_cases[r];
	if (g->injected || g->probable || g->f.level >= LEVEL_LIKELY)
		return;
	findings_close(in->env->findings, g->key, g->last_ns);
	drop_group(in, g);
}

void inject_more(struct inject *in, const struct inject_case *c, const struct inject_told *before)
{
	struct inject_group *g = inject_group(in, c->key);
	uint32_t more = c->rules & ~before->rules;
	bool firm = probably_firm(c);

	if (!g)
		return;
	if (before->score < 6 && c->score < 4) {
		take_back(in, g, before);
		return;
	}
	g->firm += firm && !before->firm;
	g->firm -= !firm && before->firm && g->firm;
	for (unsigned r = 0; r < INJECT_RULES; r++)
		g->rule_cases[r] += more >> r & 1;
	if (before->score < 6 && c->score >= 6 && g->probable) {
		g->probable--;
		g->injected++;
	}
	note_path(g, c);
	note_look(g, c);
	g->dirty = true;
	if (level_of(in, g) > g->f.level)
		report(in, g);
}

void inject_tick(struct inject *in, uint64_t now_ns)
{
	for (unsigned i = 0; i < INJECT_GROUPS; i++) {
		struct inject_group *g = in->group[i];

		if (!g)
			continue;
		if (g->dirty)
			report(in, g);
		if (now_ns > g->last_ns + QUIET_NS) {
			findings_close(in->env->findings, g->key, g->last_ns);
			drop_group(in, g);
		}
	}
}
