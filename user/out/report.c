// SPDX-License-Identifier: GPL-2.0-or-later
/* What the report keeps of a run. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "evidence.h"
#include "html.h"
#include "report_packets.h"
#include "report_tracks.h"

#define FIRST_WIDTH 1000000000ull

struct report *report_new(bool tracks)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->finding = calloc(REPORT_FINDINGS, sizeof(*r->finding));
	r->span = calloc(REPORT_SPANS, sizeof(*r->span));
	r->tracks = tracks ? tracks_new() : NULL;
	if (!r->finding || !r->span || (tracks && !r->tracks)) {
		report_free(r);
		return NULL;
	}
	return r;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	tracks_free(r->tracks);
	free(r->finding);
	free(r->span);
	free(r);
}

const struct fact *report_fact(const struct facts *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->fact[i].name, name))
			return &s->fact[i];
	return NULL;
}

bool report_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*(list += strspn(list, ", "))) {
		size_t n = strcspn(list, ", ");

		if (n == len && !memcmp(list, name, n))
			return true;
		list += n;
	}
	return false;
}

/* ---- bytes over time ---- */

static void widen(struct report_series *s)
{
	for (unsigned t = 0; t < MAX_TYPES; t++) {
		for (unsigned w = 0; w < 4; w++) {
			double *b = w < 2 ? s->bytes[t][w] : s->lost[t][w - 2];

			for (unsigned i = 0; i < REPORT_BINS / 2; i++)
				b[i] = b[2 * i] + b[2 * i + 1];
			memset(b + REPORT_BINS / 2, 0, REPORT_BINS / 2 * sizeof(*b));
		}
	}
	s->width_ns *= 2;
}

/* What came between two times, shared evenly over the bins it may lie in. */
static void spread(const struct report_series *s, double *bin, uint64_t amount, uint64_t from,
		   uint64_t to)
{
	for (uint64_t t = from; t < to;) {
		uint64_t i = (t - s->start_ns) / s->width_ns;
		uint64_t end = s->start_ns + (i + 1) * s->width_ns;

		end = end < to ? end : to;
		bin[i] += (double)amount * (end - t) / (to - from);
		t = end;
	}
}

static void add_interval(struct report *r, uint64_t from, uint64_t to)
{
	struct report_series *s = &r->series;
	unsigned n = model_types(r->model);

	if (!s->start_ns) {
		s->start_ns = from;
		s->width_ns = FIRST_WIDTH;
	}
	if (from < s->start_ns || to <= from)
		return;
	while (to - s->start_ns > REPORT_BINS * s->width_ns)
		widen(s);
	s->end_ns = to;
	for (unsigned i = 0; i < n && i < MAX_TYPES; i++) {
		struct type_stats t;

		interval_next(&r->interval, r->model, i, &t, NULL);
		for (unsigned w = 0; w < 2; w++) {
			if (t.bytes[w])
				spread(s, s->bytes[i][w], t.bytes[w], from, to);
			if (t.lost[w])
				spread(s, s->lost[i][w], t.lost[w], from, to);
		}
	}
}

/* ---- the sink ---- */

static void seen(struct report *r, const struct model *m, uint64_t from, uint64_t to)
{
	r->model = m;
	if (!r->start_ns || from < r->start_ns)
		r->start_ns = from;
	if (to > r->end_ns)
		r->end_ns = to;
}

static void report_flow(void *s, const struct model *m, const struct flow *f)
{
	seen(s, m, f->start_ns, f->last_ns);
}

static void report_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct report *r = s;

	r->model = m;
}

static void report_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct report *r = s;
	uint64_t length = interval_s > 0 ? (uint64_t)(interval_s * 1e9) : 0;

	r->model = m;
	if (length < time_ns)
		add_interval(r, r->series.end_ns ? r->series.end_ns : time_ns - length, time_ns);
}

void report_record(void *s, const struct flow *f, const struct weir_rec *rec)
{
	struct report *r = s;

	if (r->tracks)
		tracks_record(r->tracks, f, rec);
}

/* The type to draw: the finding's, else that of its first flow that is still held. */
static int series_of(const struct model *m, const struct finding *f)
{
	if (f->type >= 0)
		return f->type;
	for (unsigned i = 0; i < f->flows && i < FINDING_FLOWS; i++) {
		const struct flow *flow = model_flow((struct model *)m, f->flow_id[i]);

		if (flow)
			return flow->type;
	}
	return -1;
}

struct report_finding *report_place(struct report *r, const struct finding *f, bool first)
{
	for (unsigned i = 0; i < r->nfindings; i++)
		if (r->finding[i].f.id == f->id)
			return &r->finding[i];
	if (r->nfindings < REPORT_FINDINGS) {
		r->finding[r->nfindings].series = -1;
		return &r->finding[r->nfindings++];
	}
	for (unsigned i = 0; i < r->nfindings; i++) {
		if (r->finding[i].f.level < f->level) {
			r->left_out += first; /* else it was counted when it opened */
			r->finding[i].series = -1;
			return &r->finding[i];
		}
	}
	r->left_out += first;
	return NULL;
}

void report_redact(struct finding *f)
{
	struct facts *all[] = { &f->estimate, &f->control, &f->reasons, &f->ruled_out };

	html_redact(f->what, sizeof(f->what));
	/* The answers to DNS questions are what such a finding is about. */
	if (f->kind == KIND_DNS_INJECTION)
		return;
	for (unsigned k = 0; k < 4; k++)
		for (unsigned i = 0; i < all[k]->n; i++)
			html_redact(all[k]->fact[i].text, sizeof(all[k]->fact[i].text));
}

static void report_finding(void *s, const struct model *m, const struct finding *f,
			   enum finding_action action, uint64_t time_ns)
{
	struct report *r = s;
	struct report_finding *p = report_place(r, f, action == FINDING_OPEN);
	int series = series_of(m, f);
	const char *app = f->app > 0 ? model_app_name(m, f->app) : NULL;

	seen(r, m, f->start_ns, time_ns);
	if (!p)
		return;
	p->f = *f;
	report_redact(&p->f);
	snprintf(p->app, sizeof(p->app), "%s", app ? app : "");
	p->series = series >= 0 && series < MAX_TYPES ? series : p->series;
	if (p->series >= 0)
		snprintf(p->subject, sizeof(p->subject), "flows of %s",
			 model_type_name(m, (unsigned)p->series));
}

static void report_tool(void *s, const struct tool_event *e)
{
	struct report *r = s;

	if (e->action != TOOL_STOP)
		return;
	if (e->totals)
		r->totals = *e->totals;
	report_fill(r, e->time_ns);
	r->model = NULL;
}

static void report_close(void *s)
{
}

struct sink_ref report_sink(struct report *r)
{
	static const struct sink ops = { report_tool,	 report_flow,  report_rst,
					 report_finding, report_stats, report_close };

	return (struct sink_ref){ &ops, r };
}

/* ---- what the page shows ---- */

bool report_span_add(struct report *r, const struct report_span *s)
{
	uint64_t range = r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0;

	for (unsigned i = r->nspans; i-- && r->nspans - i < 64;) {
		struct report_span *last = &r->span[i];

		if (last->kind != s->kind || last->level != s->level ||
		    strcmp(last->subject, s->subject))
			continue;
		if (s->start_ns > last->end_ns + range / 2000 ||
		    last->start_ns > s->end_ns + range / 2000)
			break;
		last->start_ns = s->start_ns < last->start_ns ? s->start_ns : last->start_ns;
		last->end_ns = s->end_ns > last->end_ns ? s->end_ns : last->end_ns;
		last->times += s->times;
		last->open |= s->open;
		return true;
	}
	if (r->nspans == REPORT_SPANS)
		return false;
	r->span[r->nspans++] = *s;
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct report_span *x = a, *y = b;

	return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

void report_sort_spans(struct report *r)
{
	qsort(r->span, r->nspans, sizeof(*r->span), by_start);
}

static void fill_spans(struct report *r)
{
	r->nspans = 0;
	for (unsigned i = 0; i < r->nfindings; i++) {
		const struct report_finding *f = &r->finding[i];
		struct report_span s = { .kind = f->f.kind, .level = f->f.level,
					 .start_ns = f->f.start_ns,
					 .end_ns = f->f.end_ns ? f->f.end_ns : r->end_ns,
					 .times = 1, .open = !f->f.end_ns };

		snprintf(s.subject, sizeof(s.subject), "%s", report_subject(r, f));
		r->span[r->nspans++] = s; /* there are fewer findings than places */
	}
	report_sort_spans(r);
}

void report_plot_add(struct report_plot *p, const struct report *r, const struct report_finding *f,
		     unsigned type, unsigned bin, const double bytes[2], const double lost[2])
{
	const struct fact *types = report_fact(&f->f.control, "types");
	unsigned c = (int)type != f->series;
	unsigned from = f->f.direction == DIRECTION_DOWN ? TO_CLIENT : TO_SERVER;
	unsigned until = f->f.direction == DIRECTION_UP ? TO_SERVER : TO_CLIENT;

	/* The control: the types the detector compared with, else all others together. */
	if (bin >= REPORT_BINS ||
	    (c && types && *types->text && !report_listed(types->text, r->type[type].name)))
		return;
	for (unsigned w = from; w <= until; w++) {
		p->bytes[c][bin] += bytes[w];
		if (!c)
			p->lost[bin] += lost[w];
	}
}

static void fill_plot(struct report *r, struct report_finding *f)
{
	const struct fact *types = report_fact(&f->f.control, "types");
	const struct report_series *s = &r->series;
	struct report_plot *p = &f->plot;

	memset(p, 0, sizeof(*p));
	if (f->series < 0 || (unsigned)f->series >= r->ntypes || !s->end_ns)
		return;
	p->start_ns = s->start_ns;
	p->width_ns = s->width_ns;
	p->end_ns = s->end_ns;
	p->n = (unsigned)((s->end_ns - s->start_ns + s->width_ns - 1) / s->width_ns);
	p->n = p->n < REPORT_BINS ? p->n : REPORT_BINS;
	for (unsigned t = 0; t < r->ntypes; t++) {
		double before = 0, after = 0;

		for (unsigned i = 0; i < p->n; i++)
			before += p->bytes[1][i];
		for (unsigned i = 0; i < p->n; i++)
			report_plot_add(p, r, f, t, i,
					(double[2]){ s->bytes[t][0][i], s->bytes[t][1][i] },
					(double[2]){ s->lost[t][0][i], s->lost[t][1][i] });
		for (unsigned i = 0; i < p->n; i++)
			after += p->bytes[1][i];
		p->control_types += after > before;
	}
	snprintf(p->control_names, sizeof(p->control_names), "%s",
		 types && *types->text ? types->text : "all other types together");
}

/* Without curves of flows, or with too many flows for them: the type's, if the finding is of it. */
static void fill_curve(struct report *r, struct report_finding *f)
{
	struct report_curve *c = &f->curve;

	memset(c, 0, sizeof(*c));
	if (f->f.kind != KIND_RATE_LIMIT)
		return;
	if (r->tracks && f->f.flows <= FINDING_FLOWS)
		tracks_curve(r->tracks, &f->f, c);
	if (c->n || f->f.type < 0 || !f->plot.end_ns)
		return;
	c->start_ns = f->plot.start_ns;
	c->width_ns = f->plot.width_ns;
	c->n = f->plot.n;
	c->flows = 0;
	memcpy(c->bytes, f->plot.bytes[0], sizeof(c->bytes));
	memcpy(c->lost, f->plot.lost, sizeof(c->lost));
}

void report_fill(struct report *r, uint64_t now_ns)
{
	if (!r->model)
		return;
	if (now_ns > r->end_ns)
		r->end_ns = now_ns;
	add_interval(r, r->series.end_ns ? r->series.end_ns : r->start_ns, r->end_ns);
	r->ntypes = 0;
	for (unsigned i = 0; i < model_types(r->model) && i < MAX_TYPES; i++) {
		const struct type_stats *t = model_type(r->model, i);

		r->rtt_ms[i] = t->rtt.n ? rtt_quantile_us(&t->rtt, 0.5) / 1000 : 0;
		r->type[r->ntypes++] = *t;
	}
	memset(r->total, 0, sizeof(r->total));
	r->total[LEVEL_POSSIBLE] = r->left_out; /* what says least gives way */
	for (unsigned i = 0; i < r->nfindings; i++) {
		struct report_finding *f = &r->finding[i];

		r->total[f->f.level < LEVEL_COUNT ? f->f.level : LEVEL_POSSIBLE]++;
		fill_plot(r, f);
		fill_curve(r, f);
		if (r->evidence)
			report_packets(f, r->evidence);
	}
	fill_spans(r);
}
