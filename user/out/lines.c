// SPDX-License-Identifier: GPL-2.0-or-later
/* Plain lines: one per event, fixed columns, no escape codes. A capture ends with a table of its types. */
#include <math.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "interval.h"
#include "out.h"

struct lines {
	unsigned events;
	bool live, bytes;
	bool intervals;		/* stats as lines; else only the table at the end */
	const struct privacy *privacy; /* NULL: everything may be told */
	const struct model *model; /* of the last event; lives as long as the pipeline */
	struct interval iv;
};

static void rate(char out[16], const struct lines *l, double bits_per_s)
{
	format_si(out, l->bytes ? bits_per_s / 8 : bits_per_s);
}

static void lines_flow(void *s, const struct model *m, const struct flow *f)
{
	struct lines *l = s;
	char clock[16], client[IP_LEN], server[IP_LEN], down[8], up[8], hint[64], number[8];
	char cut[NAME_CUT];
	struct in6_addr from, to;
	const char *name;

	l->model = m;
	if (!(l->events & EVENT_FLOW))
		return;
	format_clock(clock, f->end_ns ? f->end_ns : f->last_ns);
	privacy_ends(l->privacy, m, f, &from, &to);
	format_ip(client, &from);
	format_ip(server, &to);
	format_si(down, f->count[TO_CLIENT].bytes);
	format_si(up, f->count[TO_SERVER].bytes);
	name = privacy_name(l->privacy, f->hint, cut);
	format_plain(hint, sizeof(hint), name ? name : "-");
	output_printf("%s flow    %-5s %s %u -> %s %u %s down=%sB up=%sB end=%s history=%s %s\n",
		      clock, proto_name(f->proto, number), client, f->client.port, server,
		      f->server.port, model_type_name(m, f->type), down, up,
		      flow_end_name(f->ended), *f->history ? f->history : "-", hint);
}

static void lines_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct lines *l = s;
	char clock[16], client[IP_LEN], server[IP_LEN];
	struct in6_addr from, to;

	l->model = m;
	if (!(l->events & EVENT_RST))
		return;
	format_clock(clock, e->time_ns);
	privacy_ends(l->privacy, m, e->flow, &from, &to);
	format_ip(client, &from);
	format_ip(server, &to);
	output_printf("%s rst     %-7s %.2f %s %u %s %s %u %s %s ttl=%u/%u copies=%u", clock,
		      e->suspect ? "suspect" : "honest", e->score, client, e->flow->client.port,
		      e->from_client ? "->" : "<-", server, e->flow->server.port,
		      model_type_name(m, e->flow->type), e->stage ? e->stage : "-", e->ttl,
		      e->flow_ttl, e->copies);
	for (unsigned i = 0; i < e->nreasons; i++)
		output_printf("%s%s", i ? "," : " ", e->reasons[i]);
	if (e->held_back)
		output_printf(" held_back=%u", e->held_back);
	output_printf("\n");
}

static void lines_finding(void *s, const struct model *m, const struct finding *f,
			  enum finding_action action, uint64_t time_ns)
{
	static const char *const actions[] = { "open", "update", "close" };
	struct lines *l = s;
	char clock[16], what[sizeof(f->what)];

	l->model = m;
	if (!(l->events & EVENT_FINDING))
		return;
	format_clock(clock, time_ns);
	format_plain(what, sizeof(what), f->what);
	output_printf("%s %-7s #%u %s/%s %s %.2f %s %s %s flows=%u clients=%u%s\n", clock,
		      actions[action], f->id, kind_name(f->kind), subkind_name(f->subkind),
		      level_name(f->level), f->confidence,
		      f->type >= 0 ? model_type_name(m, f->type) : "-",
		      direction_name(f->direction), *what ? what : "-", f->flows, f->clients,
		      f->degraded ? " degraded" : "");
	if (!l->live && action == FINDING_CLOSE)
		finding_why(f);
}

static void stats_line(const struct lines *l, const char *clock, const char *type,
		       const struct type_stats *t, double interval_s)
{
	double loss = loss_ratio(t, TO_CLIENT);
	char down[16], up[16];

	rate(down, l, t->bytes[TO_CLIENT] * 8 / interval_s);
	rate(up, l, t->bytes[TO_SERVER] * 8 / interval_s);
	output_printf("%s stats   %-20s flows=%u new=%lu down=%s up=%s %s", clock, type,
		      t->flows_active, (unsigned long)t->flows_started, down, up,
		      l->bytes ? "byte/s" : "bit/s");
	if (!isnan(loss))
		output_printf(" loss=%.1f%%", loss * 100);
	if (t->rtt.n)
		output_printf(" rtt=%.1fms", rtt_quantile_us(&t->rtt, 0.5) / 1000);
	output_printf(" rst=%lu\n", (unsigned long)t->rsts);
}

static void lines_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct lines *l = s;
	struct type_stats t, all = { 0 };
	unsigned n = model_types(m);
	char clock[16];

	l->model = m;
	if (!(l->events & EVENT_STATS) || !l->intervals || interval_s <= 0)
		return;
	format_clock(clock, time_ns);
	for (unsigned i = 0; i < n; i++) {
		interval_next(&l->iv, m, i, &t, &all);
		if (!t.packets[TO_SERVER] && !t.packets[TO_CLIENT])
			continue;
		stats_line(l, clock, t.name, &t, interval_s);
	}
	interval_clamp(&all);
	stats_line(l, clock, "all", &all, interval_s);
}

static int by_bytes(const void *a, const void *b)
{
	const struct type_stats *x = *(const struct type_stats *const *)a;
	const struct type_stats *y = *(const struct type_stats *const *)b;
	uint64_t p = x->bytes[0] + x->bytes[1], q = y->bytes[0] + y->bytes[1];

	return p < q ? 1 : p > q ? -1 : strcmp(x->name, y->name);
}

static void type_table(const struct model *m)
{
	const struct type_stats *type[MAX_TYPES];
	unsigned n = 0;

	for (unsigned i = 0; i < model_types(m) && n < MAX_TYPES; i++)
		if (model_type(m, i)->flows_started)
			type[n++] = model_type(m, i);
	qsort(type, n, sizeof(*type), by_bytes);
	output_printf("\n%-20s %8s %8s %8s %7s %7s %8s %6s %8s\n", "TYPE", "FLOWS", "DOWN B",
		      "UP B", "LOSS DN", "LOSS UP", "RTT", "RST", "SUSPECT");
	for (unsigned i = 0; i < n; i++) {
		const struct type_stats *t = type[i];
		char down[8], up[8], loss[2][12], rtt[12] = "n/a";

		format_si(down, t->bytes[TO_CLIENT]);
		format_si(up, t->bytes[TO_SERVER]);
		for (unsigned w = 0; w < 2; w++) {
			double r = loss_ratio(t, w);

			if (isnan(r))
				snprintf(loss[w], sizeof(loss[w]), "n/a");
			else
				snprintf(loss[w], sizeof(loss[w]), "%.1f%%", r * 100);
		}
		if (t->rtt.n)
			snprintf(rtt, sizeof(rtt), "%.1fms", rtt_quantile_us(&t->rtt, 0.5) / 1000);
		output_printf("%-20s %8lu %8s %8s %7s %7s %8s %6lu %8lu\n", t->name,
			      (unsigned long)t->flows_started, down, up, loss[TO_CLIENT],
			      loss[TO_SERVER], rtt, (unsigned long)t->rsts,
			      (unsigned long)t->rsts_suspect);
	}
	output_printf("\n");
}

static void reasons(const char *what, unsigned n, const uint64_t *count,
		    const char *(*name)(unsigned))
{
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		if (!count[i])
			continue;
		output_printf("%s%s %lu", any ? ", " : what, name(i), (unsigned long)count[i]);
		any = true;
	}
	if (any)
		output_printf(")");
}

static void lines_tool(void *s, const struct tool_event *e)
{
	static const char *const actions[] = { "start",	 "attach", "detach",
					       "reload", "lost",   "stop" };
	struct lines *l = s;
	const struct totals *t = e->totals;
	char clock[16];

	if (!(l->events & EVENT_TOOL))
		return;
	if (!l->live && e->action == TOOL_START)
		return;
	if (!l->live && e->action == TOOL_STOP && l->model)
		type_table(l->model);
	format_clock(clock, e->time_ns);
	output_printf("%s %-7s", clock, actions[e->action]);
	if (e->iface)
		output_printf(" %s", e->iface);
	if (e->hook)
		output_printf(" hook=%s", e->hook);
	if (e->why)
		output_printf(" %s", e->why);
	if (t) {
		uint64_t elsewhere = 0, lost = 0;

		for (unsigned i = 0; i < WEIR_ELSEWHERE; i++)
			elsewhere += t->c.elsewhere[i];
		for (unsigned i = 0; i < WEIR_UNSENT; i++)
			lost += t->lost[i];
		output_printf(" packets=%lu in_flows=%lu elsewhere=%lu",
			      (unsigned long)t->c.seen, (unsigned long)t->c.in_flows,
			      (unsigned long)elsewhere);
		reasons(" (", WEIR_ELSEWHERE, (const uint64_t *)t->c.elsewhere, elsewhere_name);
		output_printf(" flows=%lu records=%lu lost=%lu", (unsigned long)t->flows_started,
			      (unsigned long)t->records, (unsigned long)lost);
		reasons(" (", WEIR_UNSENT, t->lost, unsent_name);
		if (e->refused_findings || e->refused_flows)
			output_printf(" refused: %lu findings, %lu flows", (unsigned long)e->refused_findings,
				      (unsigned long)e->refused_flows);
	}
	output_printf("\n");
}

static void lines_close(void *s)
{
	free(s);
}

struct sink_ref lines_sink(const struct options *o, bool live, const struct privacy *privacy)
{
	static const struct sink ops = { lines_tool,	lines_flow,  lines_rst,
					 lines_finding, lines_stats, lines_close };
	struct lines *l = calloc(1, sizeof(*l));

	if (!l)
		return (struct sink_ref){ 0 };
	l->events = options_events(o);
	l->live = live;
	l->bytes = o->bytes;
	l->privacy = privacy;
	l->intervals = live || o->events & EVENT_STATS;
	return (struct sink_ref){ &ops, l };
}
