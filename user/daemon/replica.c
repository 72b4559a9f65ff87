// SPDX-License-Identifier: GPL-2.0-or-later
/* The client's side of a snapshot: a model and a store of findings that follow the daemon's. */
#include <arpa/inet.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"
#include "snapshot.h"

struct replica {
	struct model *model;
	struct findings *findings;
	uint8_t type_of[MAX_TYPES]; /* the daemon's type -> ours */
	unsigned ntypes;
	uint64_t time_ns, turn;
	double interval_s;
	struct screen_status head;
	char source[128], problem[128];
	uint64_t seen[2 * SNAPSHOT_FLOWS]; /* the ids of this snapshot, sorted */
	unsigned nseen;
};

static uint64_t u64(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 ? 0 : (uint64_t)v;
}

static unsigned below(uint64_t v, unsigned limit)
{
	return v < limit ? (unsigned)v : 0;
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = from ? strnlen(from, size - 1) : 0;

	memcpy(to, from ? from : "", n);
	to[n] = 0;
}

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

struct replica *replica_new(void)
{
	struct replica *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->model = model_new(4 * SNAPSHOT_FLOWS, NULL, 0);
	r->findings = findings_new(SNAPSHOT_FINDINGS, NULL, NULL);
	if (r->model && r->findings)
		return r;
	replica_free(r);
	return NULL;
}

struct model *replica_model(struct replica *r)
{
	return r->model;
}

struct findings *replica_findings(struct replica *r)
{
	return r->findings;
}

/* ---- types ---- */

static void read_pair(const json_t *o, const char *key, uint64_t v[2])
{
	const json_t *a = json_object_get(o, key);

	for (unsigned i = 0; i < 2; i++)
		v[i] = json_integer_value(json_array_get(a, i));
}

static void read_type(struct replica *r, const json_t *o, unsigned i)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const json_t *rtt = json_object_get(o, "rtt");
	static struct type_stats t; /* a kilobyte or three */

	if (!name || i >= MAX_TYPES)
		return;
	memset(&t, 0, sizeof(t));
	t.flows_started = u64(o, "started");
	t.flows_ended = u64(o, "ended");
	t.flows_active = u64(o, "active");
	read_pair(o, "packets", t.packets);
	read_pair(o, "bytes", t.bytes);
	read_pair(o, "data", t.data_packets);
	read_pair(o, "tcp_data", t.tcp_data_packets);
	read_pair(o, "retx", t.retx);
	read_pair(o, "lost", t.lost);
	t.rsts = u64(o, "rsts");
	t.rsts_suspect = u64(o, "suspect");
	t.drop_have = u64(o, "have");
	t.drop_need = u64(o, "need");
	for (size_t k = 0; k + 1 < json_array_size(rtt); k += 2) {
		json_int_t bucket = json_integer_value(json_array_get(rtt, k));

		if (bucket < 0 || bucket >= RTT_BUCKETS)
			continue;
		t.rtt.count[bucket] = json_integer_value(json_array_get(rtt, k + 1));
		t.rtt.n += t.rtt.count[bucket];
	}
	r->type_of[i] = model_type_id(r->model, name);
	model_put_type(r->model, r->type_of[i], &t);
}

/* ---- flows ---- */

struct cursor {
	const json_t *array;
	size_t at;
};

static uint64_t next(struct cursor *c)
{
	return json_integer_value(json_array_get(c->array, c->at++));
}

static const char *next_text(struct cursor *c)
{
	const char *s = json_string_value(json_array_get(c->array, c->at++));

	return s ? s : "";
}

static void read_end(struct cursor *c, uint8_t ip[16], uint16_t *port)
{
	const char *text = next_text(c);

	memset(ip, 0, 16);
	if (inet_pton(AF_INET, text, ip + 12) == 1)
		ip[10] = ip[11] = 0xff;
	else if (inet_pton(AF_INET6, text, ip) != 1)
		memset(ip, 0, 16);
	*port = next(c);
}

/* A histogram that has the same median and the same 95th percentile. */
static void fake_rtt(struct flow *f, unsigned side, uint64_t p50, uint64_t p95)
{
	if (!p50 || p50 > UINT32_MAX || p95 > UINT32_MAX)
		return;
	for (unsigned i = 0; i < 18; i++)
		flow_rtt_add(f, side, p50);
	for (unsigned i = 0; i < 2; i++)
		flow_rtt_add(f, side, p95 > p50 ? p95 : p50);
}

static void read_counts(struct cursor *c, struct flow *f, unsigned way)
{
	struct flow_counts *k = &f->count[way];
	uint64_t p50;

	k->packets = next(c);
	k->bytes = next(c);
	k->data_packets = next(c);
	k->retx = next(c);
	k->lost_before = next(c);
	k->lost_after = next(c);
	k->reordered = next(c);
	k->duplicated = next(c);
	k->zero_windows = next(c);
	k->ttl = next(c);
	p50 = next(c);
	fake_rtt(f, way, p50, next(c));
}

static struct flow *flow_for(struct replica *r, uint64_t id, struct cursor *c)
{
	struct weir_rec rec = { .kind = WEIR_REC_PACKET, .client = WEIR_CLIENT_LO };
	struct flow *f, *evict;

	rec.flow_id = id;
	read_end(c, (uint8_t *)rec.saddr, &rec.sport);
	read_end(c, (uint8_t *)rec.daddr, &rec.dport);
	f = model_flow_of(r->model, &rec, &evict);
	if (f || !evict)
		return f;
	free(evict->hint);
	flow_rtt_free(evict);
	evict->hint = NULL;
	model_flow_end(r->model, evict);
	return model_flow_of(r->model, &rec, &evict);
}

static void read_flow(struct replica *r, const json_t *o)
{
	struct cursor c = { o, 0 };
	const char *text;
	struct flow *f;
	uint64_t id = next(&c);

	f = id ? flow_for(r, id, &c) : NULL;
	if (!f || r->nseen == 2 * SNAPSHOT_FLOWS)
		return;
	r->seen[r->nseen++] = id;
	f->start_ns = next(&c);
	f->last_ns = next(&c);
	f->end_ns = next(&c);
	f->proto = next(&c);
	f->l7 = below(next(&c), WEIR_L7_COUNT);
	f->type = r->type_of[below(next(&c), MAX_TYPES)];
	text = next_text(&c);
	f->app = *text ? model_app_id(r->model, text) : 0;
	f->source = below(next(&c), SOURCE_COUNT);
	f->limit = below(next(&c), LIMIT_COUNT);
	f->ended = below(next(&c), END_COUNT);
	f->complete = next(&c);
	f->handshake_us = next(&c);
	f->icmp = next(&c);
	copy(f->history, sizeof(f->history), next_text(&c));
	text = next_text(&c);
	free(f->hint);
	f->hint = *text ? strdup(text) : NULL;
	flow_rtt_free(f);
	for (unsigned i = 0; i < 2; i++)
		read_counts(&c, f, i);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A flow that the daemon tells of no more has ended, or is not among the newest. */
static bool forget_flow(struct flow *f, void *arg)
{
	struct replica *r = arg;

	if (bsearch(&f->id, r->seen, r->nseen, sizeof(*r->seen), by_id))
		return true;
	free(f->hint);
	f->hint = NULL;
	flow_rtt_free(f);
	model_flow_end(r->model, f);
	return true;
}

/* ---- findings ---- */

static void read_facts(const json_t *o, const char *key, struct facts *s)
{
	const json_t *list = json_object_get(o, key), *e;

	for (size_t i = 0; i < json_array_size(list) && s->n < FINDING_REASONS; i++) {
		struct fact *f = &s->fact[s->n++];

		e = json_array_get(list, i);
		copy(f->name, sizeof(f->name), json_string_value(json_object_get(e, "name")));
		copy(f->text, sizeof(f->text), json_string_value(json_object_get(e, "text")));
		f->value = number(e, "value");
		f->control = number(e, "control");
	}
}

static void read_finding(struct replica *r, const json_t *o)
{
	const json_t *ids = json_object_get(o, "flow_ids");
	json_int_t type = json_integer_value(json_object_get(o, "type"));
	static struct finding f; /* ten kilobytes */

	memset(&f, 0, sizeof(f));
	f.key = json_integer_value(json_object_get(o, "key"));
	f.id = u64(o, "id");
	f.kind = below(u64(o, "kind"), KIND_COUNT);
	f.subkind = below(u64(o, "subkind"), SUBKIND_COUNT);
	f.level = below(u64(o, "level"), LEVEL_COUNT);
	f.confidence = json_number_value(json_object_get(o, "confidence"));
	copy(f.method, sizeof(f.method), json_string_value(json_object_get(o, "method")));
	f.start_ns = u64(o, "start");
	f.end_ns = u64(o, "end");
	f.type = type < 0 || type >= MAX_TYPES ? -1 : r->type_of[type];
	f.direction = below(u64(o, "direction"), DIRECTION_COUNT);
	f.flows = u64(o, "flows");
	f.clients = u64(o, "clients");
	f.servers = u64(o, "servers");
	for (unsigned i = 0; i < FINDING_FLOWS && i < json_array_size(ids); i++)
		f.flow_id[i] = json_integer_value(json_array_get(ids, i));
	read_facts(o, "estimate", &f.estimate);
	read_facts(o, "control", &f.control);
	read_facts(o, "reasons", &f.reasons);
	read_facts(o, "ruled_out", &f.ruled_out);
	copy(f.what, sizeof(f.what), json_string_value(json_object_get(o, "what")));
	f.degraded = json_is_true(json_object_get(o, "degraded"));
	f.closed = json_is_true(json_object_get(o, "closed"));
	findings_put(r->findings, &f);
}

static void read_head(struct replica *r, const json_t *o)
{
	const char *problem = json_string_value(json_object_get(o, "problem"));

	copy(r->source, sizeof(r->source), json_string_value(json_object_get(o, "source")));
	copy(r->problem, sizeof(r->problem), problem);
	r->head.source = r->source;
	r->head.problem = *r->problem ? r->problem : NULL;
	r->head.packets = u64(o, "packets");
	r->head.lost = u64(o, "lost");
	r->head.max_flows = u64(o, "max_flows");
	r->head.uptime_s = json_number_value(json_object_get(o, "uptime_s"));
	r->head.now_ns = u64(o, "now_ns");
}

bool replica_read(struct replica *r, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, 0, NULL), *list;
	double interval = o ? json_number_value(json_object_get(o, "interval_s")) : 0;

	if (!json_is_object(o) || !json_is_array(json_object_get(o, "types")) || !(interval > 0)) {
		json_decref(o);
		return false;
	}
	r->time_ns = u64(o, "time");
	r->interval_s = interval;
	model_set_now(r->model, r->time_ns);
	read_head(r, json_object_get(o, "head"));

	/* Names first: flows and findings point at them. Counts last: flows that come and go change them. */
	list = json_object_get(o, "types");
	for (size_t i = 0; i < json_array_size(list); i++)
		read_type(r, json_array_get(list, i), i);
	r->nseen = 0;
	list = json_object_get(o, "flows");
	/* The daemon's first is its newest: the last read is the newest here. */
	for (size_t i = json_array_size(list); i; i--)
		read_flow(r, json_array_get(list, i - 1));
	qsort(r->seen, r->nseen, sizeof(*r->seen), by_id);
	model_each_flow(r->model, forget_flow, r);
	list = json_object_get(o, "types");
	for (size_t i = 0; i < json_array_size(list); i++)
		read_type(r, json_array_get(list, i), i);

	findings_clear(r->findings);
	list = json_object_get(o, "findings");
	for (size_t i = 0; i < json_array_size(list); i++)
		read_finding(r, json_array_get(list, i));
	json_decref(o);
	return true;
}

void replica_status(const struct replica *r, struct screen_status *st, uint64_t *time_ns,
		    double *interval_s)
{
	*st = r->head;
	*time_ns = r->time_ns;
	*interval_s = r->interval_s;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	if (r->model) {
		r->nseen = 0;
		model_each_flow(r->model, forget_flow, r);
		model_free(r->model);
	}
	findings_free(r->findings);
	free(r);
}
