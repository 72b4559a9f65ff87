// SPDX-License-Identifier: GPL-2.0-or-later
/* A drop in words: subkind, estimate, reasons, what was ruled out, which known block it is like. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop_judge.h"

#define HAS(v, c, s) ((v)->stages & 1 << ((c) * STAGES + (s)))

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/*
 * Where flows stopped for good: the median, and whether at least 60 % of five
 * or more lie within 20 % of it (research C.3).
 */
static bool sharp(const float *v, unsigned n, double *median)
{
	float sorted[STOPS_MAX];
	unsigned near = 0;

	*median = 0;
	if (n < 5)
		return false;
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	*median = sorted[n / 2];
	for (unsigned i = 0; i < n; i++)
		near += fabs(sorted[i] - *median) <= 0.2 * *median;
	return near * 10 >= n * 6;
}

struct shape {
	bool freeze;
	double packets, bytes; /* at which flows stop */
	bool by_bytes;
	int nth;	/* the data packet that is lost first, 0: no pattern */
	double cut;	/* payload size from which it drops, 0: none */
};

static void shape_of(const struct drop_type *t, const struct drop_verdict *v, struct shape *s)
{
	float packets[STOPS_MAX], bytes[STOPS_MAX];
	static const double edge[] = { 0, 200, 600, 1000 };
	unsigned n = 0, held = t->nstops < STOPS_MAX ? t->nstops : STOPS_MAX, agree[8] = { 0 };
	bool p, b;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < held; i++) {
		if (t->stop_ns[i] < slot_ns(v->first))
			continue;
		packets[n] = t->stop_packets[i];
		bytes[n++] = t->stop_bytes[i];
	}
	p = sharp(packets, n, &s->packets) && s->packets >= 8;
	b = sharp(bytes, n, &s->bytes) && s->bytes >= 2000;
	s->freeze = p || b;
	s->by_bytes = b && !p;
	n = t->nfirst < STOPS_MAX ? t->nfirst : STOPS_MAX;
	for (unsigned i = 0; i < n; i++)
		if (t->first_lost[i] < 8)
			agree[t->first_lost[i]]++;
	for (unsigned i = 1; i < 8; i++)
		if (n >= 5 && agree[i] * 10 >= n * 8)
			s->nth = i;
	/* sizes: a step from below a tenth of the upper bin's ratio */
	for (unsigned i = 1; i < 4; i++) {
		double below_n = 0, below = 0, above_n = 0, above = 0;

		for (unsigned j = 0; j < 4; j++) {
			*(j < i ? &below_n : &above_n) += t->size_n[j];
			*(j < i ? &below : &above) += t->size_lost[j];
		}
		if (below_n >= 30 && above_n >= 30 && above / above_n > 0.1 &&
		    below / below_n < 0.1 * above / above_n && stats_g(above, above_n - above, below,
								       below_n - below) > 23.93)
			s->cut = edge[i];
	}
}

static enum subkind subkind_of(const struct drop_verdict *v, const struct shape *s)
{
	if (s->freeze && v->ratio < 0.98)
		return SUBKIND_FREEZE;
	return v->ratio >= 0.9 ? SUBKIND_BLACKHOLE : SUBKIND_LOSS;
}

static const char *stage_text(const struct drop_verdict *v)
{
	bool up = v->channels & 1 << CH_UP, down = v->channels & 1 << CH_DOWN;
	bool open = HAS(v, CH_OPEN, STAGE_FIRST);

	if (!up && !down)
		return open ? "openings are not answered" : "flows fall silent";
	if (open)
		return "openings and data alike";
	if ((up && HAS(v, CH_UP, STAGE_FIRST)) || (down && HAS(v, CH_DOWN, STAGE_FIRST)))
		return "data, from the first packet of a flow on";
	return "data, after a first part got through";
}

static void reasons(const struct drop *d, const struct drop_type *t, const struct drop_verdict *v,
		    const struct shape *s, struct finding *f)
{
	struct facts *r = &f->reasons;

	fact_vs(r, "drop_ratio", v->ratio, v->control);
	fact_num(r, "log10_evidence", v->evidence / M_LN10);
	fact_text(r, "stage", "%s", stage_text(v));
	fact_text(r, "spread", "%u of %u servers fail, %u of these answer otherwise, %u networks",
		  v->failing, v->servers, v->alive, v->nets);
	if (v->alive < 2 || !v->beyond_one)
		fact_text(r, "server_or_policy", "too few servers to tell the type from a server");
	if (v->matched_n >= 20)
		fact_vs(r, "same_network", v->ratio, v->matched_lost / v->matched_n);
	if (!(v->channels & (1 << CH_UP | 1 << CH_DOWN)))
		fact_text(r, "direction", "nothing comes back: the way is not known");
	else if (v->direction == DIRECTION_UP && t->after_loss)
		fact_text(r, "far_end_still_heard", "in %u flows", t->after_loss);
	if (s->freeze && s->by_bytes)
		fact_text(r, "freeze_at", "%.0f bytes from the server", s->bytes);
	else if (s->freeze)
		fact_text(r, "freeze_at", "%.0f packets", s->packets);
	if (s->nth > 1 && !HAS(v, CH_OPEN, STAGE_FIRST))
		fact_text(r, "first_lost", "data packet %d of each flow", s->nth);
	if (s->cut > 0)
		fact_num(r, "only_payloads_over_bytes", s->cut);
	if (t->episodes) {
		char hours[64] = "";
		unsigned at = 0;

		for (unsigned h = 0; h < 24 && at + 4 < sizeof(hours); h++)
			if (t->hour_claims[h])
				at += snprintf(hours + at, sizeof(hours) - at, " %02u", h);
		fact_text(r, "seen_before", "%u times, hours (UTC)%s", t->episodes, hours);
	}
}

static void ruled_out(const struct drop_verdict *v, struct finding *f)
{
	struct facts *r = &f->ruled_out;

	fact_text(r, "path_loss", "the other types lost %.2g %% at the same time", 100 * v->control);
	fact_text(r, "near_side", "only what was lost beyond us counts");
	if (v->alive)
		fact_text(r, "server_down", "%u failing servers answered since", v->alive);
	if (v->beyond_one)
		fact_text(r, "one_server", "stands without the worst of them");
	if (v->ratio >= 0.9)
		fact_text(r, "rate_limit", "nothing passes, at any load");
	else if (isfinite(v->queue_fit))
		fact_vs(r, "rate_limit", v->queue_fit, 0.5);
	else
		fact_text(r, "rate_limit", "lost at few packets a round trip");
	fact_text(r, "refused", "resets and refusals are not counted");
}

struct seen {
	const struct ends *near;
	unsigned clients;
};

static bool client_seen(const struct end *x, void *arg)
{
	struct seen *s = arg;

	s->clients += end_n(s->near, x, 7) > 0;
	return true;
}

void drop_report(struct drop *d, unsigned type, const struct drop_verdict *v, uint64_t end_ns)
{
	struct drop_type *t = d->type[type];
	struct finding f = { .key = t->key,
			     .kind = KIND_SELECTIVE_DROP,
			     .level = t->level,
			     .method = "selective_drop/sequential/1",
			     .start_ns = t->start_ns,
			     .end_ns = end_ns,
			     .type = type,
			     .direction = v->direction,
			     .clients = v->clients,
			     .servers = v->failing };
	struct shape s;
	double doubt = exp(-v->evidence);
	struct seen seen = { &d->near, 0 };

	shape_of(t, v, &s);
	f.subkind = subkind_of(v, &s);
	f.confidence = fmin(0.9999, fmax(0.5, 1 - doubt));
	ends_each(&d->near, type, client_seen, &seen);
	for (unsigned i = 0; i < LOSSY_MAX && i < t->nlossy; i++) {
		if (t->lossy_ns[i] < slot_ns(v->first))
			continue;
		if (f.flows < FINDING_FLOWS)
			f.flow_id[f.flows] = t->lossy_flow[i];
		f.flows++;
	}
	if (t->lossy > f.flows)
		f.flows = t->lossy;
	fact_num(&f.estimate, "drop_ratio", v->ratio);
	fact_num(&f.estimate, "drop_ratio_low", v->range.low);
	fact_num(&f.estimate, "drop_ratio_high", v->range.high);
	fact_num(&f.estimate, "packets_offered", v->n);
	fact_num(&f.estimate, "packets_dropped", v->lost);
	fact_num(&f.control, "drop_ratio", v->control);
	fact_num(&f.control, "drop_ratio_low", v->control_range.low);
	fact_num(&f.control, "drop_ratio_high", v->control_range.high);
	fact_num(&f.control, "trials", v->control_n);
	reasons(d, t, v, &s, &f);
	ruled_out(v, &f);
	snprintf(f.what, sizeof(f.what), "%s%.0f %% dropped, %u of %u clients, control %.2g %%",
		 f.subkind == SUBKIND_FREEZE ? "freezes: " : "", 100 * v->ratio, v->clients, seen.clients,
		 100 * v->control);
	findings_report(d->env->findings, &f);
}
