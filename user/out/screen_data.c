// SPDX-License-Identifier: GPL-2.0-or-later
/* The screen's figures: rates per type and flow, windows, order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "screen_priv.h"

#define RTT_KEEP_S 60
#define LOSS_MIN   30

const unsigned screen_windows[4] = { 2, 10, 60, 300 };

/* One type's share of interval_s, spread over slots entries of its ring. */
static void type_second(struct screen *s, const struct model *m, unsigned type, double interval_s,
			unsigned slots)
{
	struct type_row *row = &s->type[type];
	const struct type_stats *now = model_type(m, type);
	struct type_stats d;
	struct second sec;

	interval_next(&s->iv, m, type, &d, NULL);
	row->type = type;
	row->total = *now;
	row->flows_new = d.flows_started / interval_s;
	if (!row->ring) {
		if (!now->packets[0] && !now->packets[1])
			return;
		row->ring = calloc(RING, sizeof(*row->ring));
		if (!row->ring)
			return;
	}
	for (unsigned w = 0; w < 2; w++) {
		sec.bits[w] = d.bytes[w] * 8 / interval_s;
		sec.tcp_data[w] = (float)d.tcp_data_packets[w] / slots;
		sec.lost[w] = (float)d.lost[w] / slots;
		s->now_bits[w] += sec.bits[w];
	}
	for (unsigned i = 0; i < slots; i++)
		row->ring[(s->intervals + i) % RING] = sec;

	/* The median of the last one to two minutes: what came after the older of two marks. */
	row->rtt.n = 0;
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		row->rtt.count[i] = now->rtt.count[i] - s->rtt_old.before[type].rtt.count[i];
		row->rtt.n += row->rtt.count[i];
	}
}

static uint64_t spread(uint64_t id)
{
	id = (id ^ (id >> 31)) * 0x9e3779b97f4a7c15ull;
	return id ^ (id >> 29);
}

static size_t mark_slot(const struct flow_mark *mark, size_t n, uint64_t id)
{
	size_t i = spread(id) & (n - 1);

	while (mark[i].id && mark[i].id != id)
		i = (i + 1) & (n - 1);
	return i;
}

struct marking {
	struct screen *s;
	struct flow_mark *to;
	size_t n, used;
	double interval_s;
};

static bool mark_flow(struct flow *f, void *arg)
{
	struct marking *k = arg;
	struct flow_mark *to, *from = NULL;

	if (!f->id)
		return true;
	if (k->used * 2 >= k->n)
		return false;
	to = &k->to[mark_slot(k->to, k->n, f->id)];
	if (!to->id)
		k->used++;
	if (k->s->nmarks)
		from = &k->s->mark[mark_slot(k->s->mark, k->s->nmarks, f->id)];
	to->id = f->id;
	for (unsigned w = 0; w < 2; w++) {
		uint64_t since = f->count[w].bytes - (from && from->id ? from->bytes[w] : 0);

		/* A flow first seen now has only this interval's bytes, unless it is the first look. */
		to->bytes[w] = f->count[w].bytes;
		to->bits[w] = (from && from->id) || k->s->intervals ? since * 8 / k->interval_s : 0;
	}
	return true;
}

static size_t followed(const struct screen *s)
{
	return model_flows(s->m) - model_parked(s->m);
}

static void flow_rates(struct screen *s, double interval_s)
{
	struct marking k = { .s = s, .n = 256, .interval_s = interval_s };

	s->flows_held = model_flows(s->m);
	while (k.n < followed(s) * 2 + 2)
		k.n *= 2;
	k.to = calloc(k.n, sizeof(*k.to));
	if (!k.to)
		return;
	model_each_flow(s->m, mark_flow, &k);
	free(s->mark);
	s->mark = k.to;
	s->nmarks = k.n;
}

void data_stats(struct screen *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	double slots;

	if (interval_s <= 0)
		return;
	if (s->paused) {
		s->skipped_s += interval_s;
		return;
	}
	/* After a pause its traffic counts as evenly spread over it. */
	s->second_s = interval_s;
	interval_s += s->skipped_s;
	s->skipped_s = 0;
	slots = fmin(fmax(round(interval_s / s->second_s), 1), RING);
	s->time_ns = time_ns;
	s->now_bits[0] = s->now_bits[1] = 0;
	s->ntypes = model_types(m);
	for (unsigned i = 0; i < s->ntypes; i++)
		type_second(s, m, i, interval_s, slots);
	s->rtt_age += interval_s > 1 ? (unsigned)interval_s : 1;
	if (s->rtt_age >= RTT_KEEP_S) {
		s->rtt_age = 0;
		s->rtt_old = s->rtt_new;
		for (unsigned i = 0; i < s->ntypes; i++)
			s->rtt_new.before[i] = *model_type(m, i);
	}
	if (s->m)
		flow_rates(s, interval_s);
	s->intervals += slots;
}

/* How many of the ring's entries make up the window now. */
static unsigned window_entries(const struct screen *s)
{
	unsigned n = screen_windows[s->window] / (s->second_s > 0 ? s->second_s : 1);

	n = n ? n : 1;
	n = n < RING ? n : RING;
	return n < s->intervals ? n : (unsigned)s->intervals;
}

double data_bits(const struct screen *s, const struct type_row *t, unsigned way)
{
	unsigned n = window_entries(s);
	double sum = 0;

	if (!t->ring || !n)
		return 0;
	for (unsigned i = 1; i <= n; i++)
		sum += t->ring[(s->intervals - i) % RING].bits[way];
	return sum / n;
}

double data_loss(const struct screen *s, const struct type_row *t, unsigned way)
{
	/* A share needs packets: at least a minute's, whatever the rates' window. */
	unsigned n = window_entries(s), least = 60 / (s->second_s > 0 ? s->second_s : 1);
	double data = 0, lost = 0;

	if (!t->ring)
		return NAN;
	n = n > least ? n : least;
	n = n < s->intervals ? n : (unsigned)s->intervals;
	n = n < RING ? n : RING;
	for (unsigned i = 1; i <= n; i++) {
		const struct second *sec = &t->ring[(s->intervals - i) % RING];

		data += sec->tcp_data[way];
		lost += sec->lost[way];
	}
	return data < LOSS_MIN ? NAN : lost / (data + lost);
}

double flow_loss(const struct flow *f, unsigned way)
{
	const struct flow_counts *c = &f->count[way];
	double lost = (double)c->lost_before + c->lost_after;

	if (f->proto != IPPROTO_TCP || c->data_packets < LOSS_MIN)
		return NAN;
	return lost / (c->data_packets + lost);
}

const struct finding *data_finding_of(const struct screen *s, int type)
{
	const struct finding *best = NULL;

	if (!s->findings)
		return NULL;
	for (unsigned i = 0; i < findings_count(s->findings); i++) {
		const struct finding *f = findings_at(s->findings, i);

		if (!f->closed && f->type == type && (!best || f->level > best->level))
			best = f;
	}
	return best;
}

/* qsort has no argument; the screen draws in one thread only. */
static const struct screen *sorting;

static int compare_numbers(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b);
	return a < b ? 1 : a > b ? -1 : 0;
}

static double type_value(const struct type_row *t)
{
	switch (sorting->sort[PANEL_TYPES]) {
	case TYPES_BY_UP:
		return data_bits(sorting, t, TO_SERVER);
	case TYPES_BY_FLOWS:
		return t->total.flows_active;
	case TYPES_BY_LOSS:
		return data_loss(sorting, t, TO_CLIENT);
	case TYPES_BY_RTT:
		return t->rtt.n ? rtt_quantile_us(&t->rtt, 0.5) : NAN;
	case TYPES_BY_RST:
		return t->total.rsts;
	default:
		return data_bits(sorting, t, TO_CLIENT);
	}
}

static int compare_types(const void *a, const void *b)
{
	const struct type_row *x = &sorting->type[*(const unsigned *)a];
	const struct type_row *y = &sorting->type[*(const unsigned *)b];
	int c = 0;

	if (sorting->sort[PANEL_TYPES] != TYPES_BY_NAME)
		c = compare_numbers(type_value(x), type_value(y));
	if (!c)
		c = strcmp(x->total.name, y->total.name);
	return sorting->reverse[PANEL_TYPES] ? -c : c;
}

void data_types(struct screen *s)
{
	unsigned n = 0;

	if (s->paused || s->frozen)
		return;
	for (unsigned i = 0; i < s->ntypes; i++) {
		struct filter_fields x = { .type = s->type[i].total.name };

		if (s->type[i].ring && filter_match(&s->filter, &x))
			s->type_order[n++] = i;
	}
	s->ntype_rows = n;
	sorting = s;
	qsort(s->type_order, n, sizeof(*s->type_order), compare_types);
}

struct candidate {
	struct flow *f;
	double value;
};

struct gathering {
	struct screen *s;
	struct candidate *c;
	size_t n, size;
};

static void mark_bits(const struct screen *s, const struct flow *f, double bits[2])
{
	const struct flow_mark *k;

	bits[0] = bits[1] = 0;
	if (!s->nmarks)
		return;
	k = &s->mark[mark_slot(s->mark, s->nmarks, f->id)];
	if (k->id) {
		bits[0] = k->bits[0];
		bits[1] = k->bits[1];
	}
}

/* The path's median: both sides of us together where both are known; 0: neither. */
static double path_rtt_us(const struct flow *f)
{
	double us = 0;

	for (unsigned w = 0; w < 2; w++)
		if (flow_rtt_samples(f, w))
			us += flow_rtt_us(f, w, 0.5);
	return us;
}

static double flow_value(const struct screen *s, const struct flow *f)
{
	double bits[2];

	switch (s->sort[PANEL_FLOWS]) {
	case FLOWS_BY_UP:
		mark_bits(s, f, bits);
		return bits[TO_SERVER];
	case FLOWS_BY_LOSS:
		return flow_loss(f, TO_CLIENT);
	case FLOWS_BY_RTT:
		return path_rtt_us(f) > 0 ? path_rtt_us(f) : NAN;
	case FLOWS_BY_AGE:
		return -(double)f->start_ns;
	default:
		mark_bits(s, f, bits);
		return bits[TO_CLIENT];
	}
}

static bool flow_matches(const struct screen *s, const struct flow *f)
{
	char client[IP_LEN], server[IP_LEN], number[8], cut[NAME_CUT];
	struct filter_fields x = { .flow = true };

	if (s->only_type >= 0 && f->type != s->only_type)
		return false;
	if (!*s->filter.text)
		return true;
	format_ip(client, &f->client.ip);
	format_ip(server, &f->server.ip);
	x.type = model_type_name(s->m, f->type);
	x.app = model_app_name(s->m, f->app);
	x.l7 = l7_name(f->l7);
	x.client = client;
	x.server = server;
	x.hint = privacy_name(&s->privacy, f->hint, cut);
	x.state = flow_end_name(f->ended);
	x.proto = proto_name(f->proto, number);
	x.cport = f->client.port;
	x.sport = f->server.port;
	return filter_match(&s->filter, &x);
}

static bool gather(struct flow *f, void *arg)
{
	struct gathering *g = arg;

	if (!flow_matches(g->s, f) || g->n == g->size)
		return true;
	g->c[g->n].f = f;
	g->c[g->n++].value = flow_value(g->s, f);
	return true;
}

static int compare_flows(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int c;

	if (sorting->sort[PANEL_FLOWS] == FLOWS_BY_CLIENT)
		c = memcmp(&x->f->client.ip, &y->f->client.ip, 16);
	else
		c = compare_numbers(x->value, y->value);
	if (!c)
		c = x->f->id < y->f->id ? -1 : 1;
	return sorting->reverse[PANEL_FLOWS] ? -c : c;
}

static void fill_row(const struct screen *s, struct flow_row *row, const struct flow *f)
{
	char cut[NAME_CUT];
	const char *name;

	row->id = f->id;
	row->f = *f;
	row->gone = false;
	name = privacy_name(&s->privacy, f->hint, cut);
	format_plain(row->hint, sizeof(row->hint), name ? name : "");
	mark_bits(s, f, row->bits);
	row->rtt_us = path_rtt_us(f);
	for (unsigned w = 0; w < 2; w++) {
		row->side_us[w] = flow_rtt_samples(f, w) ? flow_rtt_us(f, w, 0.5) : 0;
		row->side_p95_us[w] = flow_rtt_samples(f, w) ? flow_rtt_us(f, w, 0.95) : 0;
	}
}

/* The rows keep their places; their figures go on, or stay where the flow has ended. */
static void refresh_rows(struct screen *s)
{
	for (unsigned i = 0; i < s->nflow_rows; i++) {
		const struct flow *f = model_flow(s->m, s->flow[i].id);

		if (f) {
			fill_row(s, &s->flow[i], f);
		} else {
			s->flow[i].gone = true;
			s->flow[i].bits[0] = s->flow[i].bits[1] = 0;
		}
	}
}

void data_flows(struct screen *s)
{
	struct gathering g = { .s = s };

	if (s->paused || !s->m)
		return;
	if (s->frozen || s->view == VIEW_FLOW) {
		refresh_rows(s);
		return;
	}
	g.size = followed(s);
	g.c = malloc((g.size + 1) * sizeof(*g.c));
	if (!g.c)
		return;
	model_each_flow(s->m, gather, &g);
	sorting = s;
	qsort(g.c, g.n, sizeof(*g.c), compare_flows);
	s->flows_matching = g.n;
	s->nflow_rows = g.n < FLOW_ROWS ? g.n : FLOW_ROWS;
	for (unsigned i = 0; i < s->nflow_rows; i++)
		fill_row(s, &s->flow[i], g.c[i].f);
	free(g.c);
}

void data_free(struct screen *s)
{
	for (unsigned i = 0; i < MAX_TYPES; i++)
		free(s->type[i].ring);
	free(s->mark);
}
