// SPDX-License-Identifier: GPL-2.0-or-later
/* What the report keeps of a run. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_WIDTH 1000000000ull

struct report *report_new(void)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->finding = calloc(REPORT_FINDINGS, sizeof(*r->finding));
	if (!r->finding) {
		free(r);
		return NULL;
	}
	return r;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	free(r->finding);
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
		for (unsigned w = 0; w < 2; w++) {
			double *b = s->bytes[t][w];

			for (unsigned i = 0; i < REPORT_BINS / 2; i++)
				b[i] = b[2 * i] + b[2 * i + 1];
			memset(b + REPORT_BINS / 2, 0, REPORT_BINS / 2 * sizeof(*b));
		}
	}
	s->width_ns *= 2;
}

/* What came between two times, shared evenly over the bins it may lie in. */
static void spread(struct report_series *s, unsigned type, unsigned way, uint64_t bytes,
		   uint64_t from, uint64_t to)
{
	double *bin = s->bytes[type][way];

	for (uint64_t t = from; t < to;) {
		uint64_t i = (t - s->start_ns) / s->width_ns;
		uint64_t end = s->start_ns + (i + 1) * s->width_ns;

		end = end < to ? end : to;
		bin[i] += (double)bytes * (end - t) / (to - from);
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
		for (unsigned w = 0; w < 2; w++)
			if (t.bytes[w])
				spread(s, i, w, t.bytes[w], from, to);
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

/* A place for a finding: its own, a free one, or that of one which says less. */
static struct report_finding *place(struct report *r, const struct finding *f, bool first)
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

static void report_finding(void *s, const struct model *m, const struct finding *f,
			   enum finding_action action, uint64_t time_ns)
{
	struct report *r = s;
	struct report_finding *p = place(r, f, action == FINDING_OPEN);
	int series = series_of(m, f);

	seen(r, m, f->start_ns, time_ns);
	if (!p)
		return;
	p->f = *f;
	p->series = series >= 0 && series < MAX_TYPES ? series : p->series;
}

static void report_tool(void *s, const struct tool_event *e)
{
	struct report *r = s;

	if (e->action != TOOL_STOP)
		return;
	if (e->totals)
		r->totals = *e->totals;
	if (!r->model)
		return;
	add_interval(r, r->series.end_ns ? r->series.end_ns : r->start_ns,
		     e->time_ns > r->end_ns ? e->time_ns : r->end_ns);
	for (unsigned i = 0; i < model_types(r->model) && i < MAX_TYPES; i++)
		r->type[r->ntypes++] = *model_type(r->model, i);
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
