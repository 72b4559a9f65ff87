// SPDX-License-Identifier: GPL-2.0-or-later
/* Events as JSON Lines, schema 1 (`weir schema`). */
#include <math.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "interval.h"
#include "jbuf.h"
#include "out.h"
#include "redact.h"

#define SCHEMA 1

struct json {
	struct jbuf b;
	unsigned events;
	bool live;
	const struct privacy *privacy; /* NULL: everything may be told */
	struct interval iv;
};

static void event(struct json *j, uint64_t time_ns, const char *type)
{
	j->b.len = 0;
	jb_open(&j->b, NULL, '{');
	jb_time(&j->b, "timestamp", time_ns);
	jb_u64(&j->b, "schema", SCHEMA);
	jb_str(&j->b, "event_type", type);
}

static void event_end(struct json *j)
{
	jb_close(&j->b, '}');
	jb_raw(&j->b, "\n", 1);
	if (!j->b.failed)
		output_write(j->b.text, j->b.len);
}

/* Whose flow an event is about; the client is always src. */
static void endpoints(struct json *j, const struct model *m, const struct flow *f)
{
	struct in6_addr client, server;
	char ip[IP_LEN], number[8], iface[IF_NAMESIZE];
	bool ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->client.port ||
		     f->server.port;

	if (j->live && f->ifindex && if_indextoname(f->ifindex, iface))
		jb_str(&j->b, "in_iface", iface);
	jb_u64(&j->b, "flow_id", flow_id_out(f->id));
	privacy_ends(j->privacy, m, f, &client, &server);
	format_ip(ip, &client);
	jb_str(&j->b, "src_ip", ip);
	if (ports)
		jb_u64(&j->b, "src_port", f->client.port);
	format_ip(ip, &server);
	jb_str(&j->b, "dest_ip", ip);
	if (ports)
		jb_u64(&j->b, "dest_port", f->server.port);
	jb_str(&j->b, "proto", proto_name(f->proto, number));
	if (j->privacy && j->privacy->map)
		jb_bool(&j->b, "redacted", true);
}

/* seen = in_flows + the sum of elsewhere. */
static void conserved(struct jbuf *b, const char *what, uint64_t seen, uint64_t in_flows,
		      const __u64 *elsewhere)
{
	jb_open(b, what, '{');
	jb_u64(b, "seen", seen);
	jb_u64(b, "in_flows", in_flows);
	jb_open(b, "elsewhere", '{');
	for (unsigned i = 0; i < WEIR_ELSEWHERE; i++)
		jb_u64(b, elsewhere_name(i), elsewhere[i]);
	jb_close(b, '}');
	jb_close(b, '}');
}

static void counts(struct jbuf *b, const struct totals *t)
{
	conserved(b, "packets", t->c.seen, t->c.in_flows, t->c.elsewhere);
	conserved(b, "bytes", t->c.seen_bytes, t->c.in_flow_bytes, t->c.elsewhere_bytes);
	jb_open(b, "buffers", '{');
	jb_u64(b, "seen", t->c.buffers);
	jb_u64(b, "bytes", t->c.buffer_bytes);
	jb_close(b, '}');
	jb_open(b, "records", '{');
	jb_u64(b, "sent", t->records);
	jb_open(b, "lost", '{');
	for (unsigned i = 0; i < WEIR_UNSENT; i++)
		jb_u64(b, unsent_name(i), t->lost[i]);
	jb_close(b, '}');
	jb_close(b, '}');
	jb_open(b, "flows", '{');
	jb_u64(b, "started", t->flows_started);
	jb_u64(b, "active", t->flows_active);
	jb_u64(b, "evicted", t->flows_evicted);
	jb_close(b, '}');
}

static void json_tool(void *s, const struct tool_event *e)
{
	static const char *const actions[] = { "start",	 "attach", "detach",
					       "reload", "lost",   "stop" };
	struct json *j = s;

	if (!(j->events & EVENT_TOOL))
		return;
	event(j, e->time_ns, "tool");
	jb_str(&j->b, "in_iface", e->iface);
	jb_open(&j->b, "tool", '{');
	jb_str(&j->b, "action", actions[e->action]);
	if (e->action == TOOL_START)
		jb_str(&j->b, "version", WEIR_VERSION);
	jb_str(&j->b, "hook", e->hook);
	jb_str(&j->b, "why", e->why);
	jb_str(&j->b, "file", e->file);
	if (e->totals)
		counts(&j->b, e->totals);
	if (e->action == TOOL_STOP) {
		jb_open(&j->b, "refused", '{');
		jb_u64(&j->b, "findings", e->refused_findings);
		jb_u64(&j->b, "flows", e->refused_flows);
		jb_close(&j->b, '}');
	}
	jb_close(&j->b, '}');
	event_end(j);
}

static void ms(struct jbuf *b, const char *key, double us)
{
	if (us > 0)
		jb_num(b, key, us / 1000, 3);
}

/* The smallest sample of either side; without samples in records, what the engine kept. */
static uint32_t smallest_rtt_us(const struct flow *f)
{
	uint32_t side[2] = { f->count[TO_SERVER].rtt_min_us, f->count[TO_CLIENT].rtt_min_us };

	if (f->rtt) {
		side[0] = f->rtt->side[0].min_us;
		side[1] = f->rtt->side[1].min_us;
	}
	if (!side[0] || !side[1])
		return side[0] + side[1];
	return side[0] < side[1] ? side[0] : side[1];
}

static const char *flow_state(const struct flow *f)
{
	if (f->ended == END_FIN || f->ended == END_RST)
		return "closed";
	if (f->proto == IPPROTO_TCP ? f->handshake_us || f->count[TO_CLIENT].data_packets
				    : f->count[TO_CLIENT].packets && f->count[TO_SERVER].packets)
		return "established";
	return "new";
}

static void json_flow(void *s, const struct model *m, const struct flow *f)
{
	struct json *j = s;
	struct jbuf *b = &j->b;
	const struct flow_counts *up = &f->count[TO_SERVER], *down = &f->count[TO_CLIENT];
	uint64_t end = f->end_ns ? f->end_ns : f->last_ns;
	char name[NAME_CUT];

	if (!(j->events & EVENT_FLOW))
		return;
	event(j, end, "flow");
	endpoints(j, m, f);
	jb_open(b, "flow", '{');
	jb_str(b, "l7", l7_name(f->l7));
	jb_str(b, "app", model_app_name(m, f->app));
	jb_str(b, "type", model_type_name(m, f->type));
	if (f->source != SOURCE_NONE)
		jb_str(b, "type_source", source_name(f->source));
	jb_str(b, "hint", privacy_name(j->privacy, f->hint, name));
	jb_time(b, "start", f->start_ns);
	jb_time(b, "end", end);
	jb_str(b, "state", flow_state(f));
	jb_str(b, "reason", flow_end_name(f->ended));
	if (*f->history)
		jb_str(b, "history", f->history);
	jb_u64(b, "pkts_toserver", up->packets);
	jb_u64(b, "pkts_toclient", down->packets);
	jb_u64(b, "bytes_toserver", up->bytes);
	jb_u64(b, "bytes_toclient", down->bytes);
	if (f->proto == IPPROTO_TCP) {
		jb_u64(b, "retx_toserver", up->retx);
		jb_u64(b, "retx_toclient", down->retx);
		jb_u64(b, "lost_toserver", (uint64_t)up->lost_before + up->lost_after);
		jb_u64(b, "lost_toclient", (uint64_t)down->lost_before + down->lost_after);
	}
	ms(b, "rtt_min_ms", smallest_rtt_us(f));
	if (flow_rtt_samples(f, BOTH_SIDES))
		ms(b, "rtt_p50_ms", flow_rtt_us(f, BOTH_SIDES, 0.5));
	if (flow_rtt_samples(f, TO_SERVER))
		ms(b, "rtt_server_p50_ms", flow_rtt_us(f, TO_SERVER, 0.5));
	if (flow_rtt_samples(f, TO_CLIENT))
		ms(b, "rtt_client_p50_ms", flow_rtt_us(f, TO_CLIENT, 0.5));
	ms(b, "handshake_ms", f->handshake_us);
	if (f->limit != LIMIT_NONE)
		jb_str(b, "limit", limit_name(f->limit));
	jb_close(b, '}');
	event_end(j);
}

static void json_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct json *j = s;
	struct jbuf *b = &j->b;

	if (!(j->events & EVENT_RST))
		return;
	event(j, e->time_ns, "rst");
	endpoints(j, m, e->flow);
	jb_open(b, "rst", '{');
	jb_str(b, "type", model_type_name(m, e->flow->type));
	jb_str(b, "direction", direction_name(e->from_client ? DIRECTION_UP : DIRECTION_DOWN));
	jb_bool(b, "suspect", e->suspect);
	jb_num(b, "score", e->score, 3);
	jb_open(b, "reasons", '[');
	for (unsigned i = 0; i < e->nreasons; i++)
		jb_str(b, NULL, e->reasons[i]);
	jb_close(b, ']');
	jb_str(b, "stage", e->stage);
	jb_str(b, "signature", e->signature);
	jb_u64(b, "ttl", e->ttl);
	if (e->flow_ttl)
		jb_u64(b, "flow_ttl", e->flow_ttl);
	if (IN6_IS_ADDR_V4MAPPED(&e->flow->client.ip))
		jb_u64(b, "ipid", e->ipid);
	jb_i64(b, "seq_rel", e->seq_rel);
	jb_u64(b, "copies", e->copies);
	if (e->held_back)
		jb_u64(b, "held_back", e->held_back);
	jb_close(b, '}');
	event_end(j);
}

static bool named_before(const struct facts *s, unsigned i, const char *name)
{
	while (i--)
		if (!strcmp(s->fact[i].name, name))
			return true;
	return false;
}

/* A fact as a key of an object; one without value and text is left out. */
static void fact_key(struct jbuf *b, const struct fact *f)
{
	if (isfinite(f->value))
		jb_any(b, f->name, f->value);
	else if (*f->text)
		jb_str(b, f->name, f->text);
}

static void estimate(struct jbuf *b, const struct finding *f)
{
	jb_open(b, "estimate", '{');
	for (unsigned i = 0; i < f->estimate.n; i++)
		if (!named_before(&f->estimate, i, f->estimate.fact[i].name))
			fact_key(b, &f->estimate.fact[i]);
	jb_close(b, '}');

	/* The control's own facts, and what the estimate was compared with. */
	jb_open(b, "control", '{');
	for (unsigned i = 0; i < f->control.n; i++)
		if (!named_before(&f->control, i, f->control.fact[i].name))
			fact_key(b, &f->control.fact[i]);
	for (unsigned i = 0; i < f->estimate.n; i++) {
		const struct fact *e = &f->estimate.fact[i];

		if (!named_before(&f->control, f->control.n, e->name) &&
		    !named_before(&f->estimate, i, e->name))
			jb_any(b, e->name, e->control);
	}
	jb_close(b, '}');
}

static void tests(struct jbuf *b, const char *key, const char *what, const struct facts *s)
{
	jb_open(b, key, '[');
	for (unsigned i = 0; i < s->n; i++) {
		const struct fact *f = &s->fact[i];

		jb_open(b, NULL, '{');
		jb_str(b, what, f->name);
		jb_any(b, "value", f->value);
		jb_any(b, "control", f->control);
		if (*f->text)
			jb_str(b, "text", f->text);
		jb_close(b, '}');
	}
	jb_close(b, ']');
}

void finding_body(struct jbuf *b, const struct model *m, const struct finding *f)
{
	finding_body_named(b, f, f->type >= 0 ? model_type_name(m, f->type) : NULL,
			   f->app > 0 ? model_app_name(m, f->app) : NULL);
}

void finding_body_named(struct jbuf *b, const struct finding *f, const char *type, const char *app)
{
	jb_str(b, "kind", kind_name(f->kind));
	jb_str(b, "subkind", subkind_name(f->subkind));
	jb_str(b, "level", level_name(f->level));
	jb_num(b, "confidence", f->confidence, 3);
	jb_str(b, "method", f->method);
	jb_time(b, "start", f->start_ns);
	if (f->end_ns)
		jb_time(b, "end", f->end_ns);
	if (type && *type)
		jb_str(b, "type", type);
	if (app && *app)
		jb_str(b, "app", app);
	jb_str(b, "direction", direction_name(f->direction));
	if (*f->what)
		jb_str(b, "what", f->what);
	jb_u64(b, "flows", f->flows);
	jb_u64(b, "clients", f->clients);
	jb_u64(b, "servers", f->servers);
	jb_open(b, "flow_ids", '[');
	for (unsigned i = 0; i < f->flows && i < FINDING_FLOWS; i++)
		if (f->flow_id[i])
			jb_u64(b, NULL, flow_id_out(f->flow_id[i]));
	jb_close(b, ']');
	estimate(b, f);
	tests(b, "reasons", "test", &f->reasons);
	tests(b, "ruled_out", "explanation", &f->ruled_out);
	jb_bool(b, "degraded", f->degraded);
}

static void json_finding(void *s, const struct model *m, const struct finding *f,
			 enum finding_action action, uint64_t time_ns)
{
	static const char *const actions[] = { "open", "update", "close" };
	struct json *j = s;
	struct jbuf *b = &j->b;
	struct finding told = *f;

	if (!(j->events & EVENT_FINDING))
		return;
	privacy_finding(j->privacy, m, &told);
	event(j, time_ns, "finding");
	jb_open(b, "finding", '{');
	jb_u64(b, "id", f->id);
	jb_str(b, "action", actions[action]);
	finding_body(b, m, &told);
	jb_close(b, '}');
	event_end(j);
}

/* One stats event; type NULL: all types together. */
static void stats_event(struct json *j, uint64_t time_ns, double interval_s, const char *type,
			const struct type_stats *t)
{
	struct jbuf *b = &j->b;

	event(j, time_ns, "stats");
	jb_open(b, "stats", '{');
	jb_str(b, "type", type);
	jb_num(b, "interval_s", interval_s, 3);
	jb_u64(b, "flows_active", t->flows_active);
	jb_u64(b, "flows_new", t->flows_started);
	jb_u64(b, "down_packets", t->packets[TO_CLIENT]);
	jb_u64(b, "up_packets", t->packets[TO_SERVER]);
	jb_u64(b, "down_bytes", t->bytes[TO_CLIENT]);
	jb_u64(b, "up_bytes", t->bytes[TO_SERVER]);
	if (interval_s > 0) {
		jb_num(b, "down_bps", t->bytes[TO_CLIENT] * 8 / interval_s, 0);
		jb_num(b, "up_bps", t->bytes[TO_SERVER] * 8 / interval_s, 0);
	}
	jb_num(b, "loss_down_ratio", loss_ratio(t, TO_CLIENT), 6);
	jb_num(b, "loss_up_ratio", loss_ratio(t, TO_SERVER), 6);
	if (t->rtt.n) {
		jb_open(b, "rtt_ms", '{');
		ms(b, "p50", rtt_quantile_us(&t->rtt, 0.5));
		ms(b, "p95", rtt_quantile_us(&t->rtt, 0.95));
		jb_u64(b, "n", t->rtt.n);
		jb_close(b, '}');
	}
	jb_u64(b, "rst", t->rsts);
	jb_u64(b, "rst_suspect", t->rsts_suspect);
	jb_close(b, '}');
	event_end(j);
}

static void json_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct json *j = s;
	struct type_stats t, all = { 0 };
	unsigned n = model_types(m);

	if (!(j->events & EVENT_STATS))
		return;
	for (unsigned i = 0; i < n; i++) {
		interval_next(&j->iv, m, i, &t, &all);
		if (!t.flows_active && !t.packets[TO_SERVER] && !t.packets[TO_CLIENT])
			continue;
		stats_event(j, time_ns, interval_s, t.name, &t);
	}
	interval_clamp(&all);
	stats_event(j, time_ns, interval_s, NULL, &all);
}

static void json_close(void *s)
{
	struct json *j = s;

	jbuf_free(&j->b);
	free(j);
}

struct sink_ref json_sink(unsigned events, bool live)
{
	static const struct sink ops = { json_tool,    json_flow,  json_rst,
					 json_finding, json_stats, json_close };
	struct json *j = calloc(1, sizeof(*j));

	if (!j)
		return (struct sink_ref){ 0 };
	j->events = events;
	j->live = live;
	return (struct sink_ref){ &ops, j };
}

void json_privacy(struct sink_ref sink, const struct privacy *p)
{
	struct json *j = sink.s;

	if (j)
		j->privacy = p;
}
