// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's side: what the model holds, as a line. replica.c reads it. */
#include <math.h>
#include <string.h>

#include "format.h"
#include "snapshot.h"

/* ns and ids need 64 bits; JSON readers take signed ones. */
static void big(struct jbuf *b, uint64_t v)
{
	jb_i64(b, NULL, (int64_t)v);
}

static void pair(struct jbuf *b, const char *key, const uint64_t v[2])
{
	jb_open(b, key, '[');
	jb_u64(b, NULL, v[0]);
	jb_u64(b, NULL, v[1]);
	jb_close(b, ']');
}

static void write_type(struct jbuf *b, const struct type_stats *t)
{
	jb_open(b, NULL, '{');
	jb_str(b, "name", t->name);
	jb_u64(b, "started", t->flows_started);
	jb_u64(b, "ended", t->flows_ended);
	jb_u64(b, "active", t->flows_active);
	pair(b, "packets", t->packets);
	pair(b, "bytes", t->bytes);
	pair(b, "data", t->data_packets);
	pair(b, "tcp_data", t->tcp_data_packets);
	pair(b, "retx", t->retx);
	pair(b, "lost", t->lost);
	jb_u64(b, "rsts", t->rsts);
	jb_u64(b, "suspect", t->rsts_suspect);
	jb_u64(b, "have", t->drop_have);
	jb_u64(b, "need", t->drop_need);
	jb_open(b, "rtt", '[');
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		if (!t->rtt.count[i])
			continue;
		jb_u64(b, NULL, i);
		jb_u64(b, NULL, t->rtt.count[i]);
	}
	jb_close(b, ']');
	jb_close(b, '}');
}

static void write_end(struct jbuf *b, const struct in6_addr *addr, uint16_t port)
{
	char ip[IP_LEN];

	format_ip(ip, addr);
	jb_str(b, NULL, ip);
	jb_u64(b, NULL, port);
}

static void write_counts(struct jbuf *b, const struct flow *f, unsigned w)
{
	const struct flow_counts *c = &f->count[w];

	jb_u64(b, NULL, c->packets);
	jb_u64(b, NULL, c->bytes);
	jb_u64(b, NULL, c->data_packets);
	jb_u64(b, NULL, c->retx);
	jb_u64(b, NULL, c->lost_before);
	jb_u64(b, NULL, c->lost_after);
	jb_u64(b, NULL, c->reordered);
	jb_u64(b, NULL, c->duplicated);
	jb_u64(b, NULL, c->zero_windows);
	jb_u64(b, NULL, c->ttl);
	jb_u64(b, NULL, flow_rtt_samples(f, w) ? (uint64_t)flow_rtt_us(f, w, 0.5) : 0);
	jb_u64(b, NULL, flow_rtt_samples(f, w) ? (uint64_t)flow_rtt_us(f, w, 0.95) : 0);
}

struct writing {
	struct jbuf *b;
	const struct model *m;
	const struct privacy *privacy;
	unsigned left;
};

/* By place, for there are many: replica.c reads them in this order. */
static bool write_flow(struct flow *f, void *arg)
{
	struct writing *w = arg;
	struct jbuf *b = w->b;
	const char *app = model_app_name(w->m, f->app), *name;
	struct in6_addr client, server;
	char cut[NAME_CUT];

	jb_open(b, NULL, '[');
	big(b, f->id);
	privacy_ends(w->privacy, w->m, f, &client, &server);
	write_end(b, &client, f->client.port);
	write_end(b, &server, f->server.port);
	big(b, f->start_ns);
	big(b, f->last_ns);
	big(b, f->end_ns);
	jb_u64(b, NULL, f->proto);
	jb_u64(b, NULL, f->l7);
	jb_u64(b, NULL, f->type);
	jb_str(b, NULL, app ? app : "");
	jb_u64(b, NULL, f->source);
	jb_u64(b, NULL, f->limit);
	jb_u64(b, NULL, f->ended);
	jb_u64(b, NULL, f->complete);
	jb_u64(b, NULL, f->handshake_us);
	jb_u64(b, NULL, f->icmp);
	jb_str(b, NULL, f->history);
	name = f->hint ? privacy_name(w->privacy, f->hint, cut) : NULL;
	jb_str(b, NULL, name ? name : "");
	for (unsigned i = 0; i < 2; i++)
		write_counts(b, f, i);
	jb_close(b, ']');
	return --w->left;
}

static void write_facts(struct jbuf *b, const char *key, const struct facts *s)
{
	jb_open(b, key, '[');
	for (unsigned i = 0; i < s->n; i++) {
		jb_open(b, NULL, '{');
		jb_str(b, "name", s->fact[i].name);
		jb_any(b, "value", s->fact[i].value);
		jb_any(b, "control", s->fact[i].control);
		if (*s->fact[i].text)
			jb_str(b, "text", s->fact[i].text);
		jb_close(b, '}');
	}
	jb_close(b, ']');
}

static void write_finding(struct jbuf *b, const struct finding *f)
{
	jb_open(b, NULL, '{');
	jb_i64(b, "key", (int64_t)f->key);
	jb_u64(b, "id", f->id);
	jb_u64(b, "kind", f->kind);
	jb_u64(b, "subkind", f->subkind);
	jb_u64(b, "level", f->level);
	jb_num(b, "confidence", f->confidence, 4);
	jb_str(b, "method", f->method);
	jb_u64(b, "start", f->start_ns);
	jb_u64(b, "end", f->end_ns);
	jb_i64(b, "type", f->type);
	jb_u64(b, "direction", f->direction);
	jb_u64(b, "flows", f->flows);
	jb_u64(b, "clients", f->clients);
	jb_u64(b, "servers", f->servers);
	jb_open(b, "flow_ids", '[');
	for (unsigned i = 0; i < f->flows && i < FINDING_FLOWS; i++)
		big(b, f->flow_id[i]);
	jb_close(b, ']');
	write_facts(b, "estimate", &f->estimate);
	write_facts(b, "control", &f->control);
	write_facts(b, "reasons", &f->reasons);
	write_facts(b, "ruled_out", &f->ruled_out);
	jb_str(b, "what", f->what);
	jb_bool(b, "degraded", f->degraded);
	jb_bool(b, "closed", f->closed);
	jb_close(b, '}');
}

void snapshot_write(struct jbuf *b, const struct jbuf *head, const struct model *m,
		    const struct findings *f, const struct privacy *p, uint64_t time_ns,
		    double interval_s)
{
	struct writing w = { b, m, p, SNAPSHOT_FLOWS };
	unsigned n = findings_count(f), first = n > SNAPSHOT_FINDINGS ? n - SNAPSHOT_FINDINGS : 0;

	b->len = 0;
	jb_open(b, NULL, '{');
	jb_u64(b, "time", time_ns);
	jb_num(b, "interval_s", interval_s, 6);
	jb_open(b, "head", '{');
	jb_raw(b, head->text ? head->text : "", head->len);
	jb_close(b, '}');
	jb_open(b, "types", '[');
	for (unsigned i = 0; i < model_types(m); i++)
		write_type(b, model_type(m, i));
	jb_close(b, ']');
	jb_open(b, "flows", '[');
	/* It only reads; the call takes no const. */
	model_each_flow((struct model *)m, write_flow, &w);
	jb_close(b, ']');
	/* Those that are open come first where there are too many. */
	jb_open(b, "findings", '[');
	for (unsigned i = 0; i < first; i++)
		if (!findings_at(f, i)->closed && first < n) {
			write_finding(b, findings_at(f, i));
			first += first + 1 < n;
		}
	for (unsigned i = first; i < n; i++)
		write_finding(b, findings_at(f, i));
	jb_close(b, ']');
	jb_close(b, '}');
	jb_raw(b, "\n", 1);
}
