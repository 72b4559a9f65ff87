// SPDX-License-Identifier: GPL-2.0-or-later
/* A drop in words: subkind, estimate, reasons, what was ruled out, which known block it is like. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop_judge.h"

#define RESIDUAL_NS 900000000000ull /* blocks of an earlier finding may explain this one */
#define HAS(v, c, s) ((v)->stages & 1 << ((c)*STAGES + (s)))

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
	bool freeze, residual;
	double residual_low, residual_high; /* seconds that a block lasts after what set it off */
	double packets, bytes;		    /* at which flows stop */
	bool by_bytes;
	int nth;    /* the data packet that is lost first, 0: no pattern */
	double cut; /* payload size from which it drops, 0: none */
};

/*
 * Blocks of one client, server and port that begin at different times and last
 * equally long: three or more, of which most agree on a length.
 */
static void residual_of(const struct drop_type *t, const struct drop_verdict *v, struct shape *s)
{
	unsigned held = t->nresiduals < STOPS_MAX ? t->nresiduals : STOPS_MAX, n = 0, agree = 0;
	float length[STOPS_MAX], middle;
	uint64_t from = UINT64_MAX, to = 0;

	for (unsigned i = 0; i < held; i++) {
		const struct residual *r = &t->residual[i];

		if (r->start_ns + RESIDUAL_NS < slot_ns(v->first))
			continue;
		length[n++] = (r->low_s + r->high_s) / 2;
		from = r->start_ns < from ? r->start_ns : from;
		to = r->start_ns > to ? r->start_ns : to;
	}
	if (n < 3)
		return;
	qsort(length, n, sizeof(*length), by_value);
	middle = length[n / 2];
	s->residual_high = INFINITY;
	for (unsigned i = 0; i < held; i++) {
		const struct residual *r = &t->residual[i];

		if (r->start_ns + RESIDUAL_NS < slot_ns(v->first) || r->low_s > 1.1f * middle ||
		    r->high_s < 0.9f * middle)
			continue;
		agree++;
		s->residual_low = fmax(s->residual_low, r->low_s);
		s->residual_high = fmin(s->residual_high, r->high_s);
	}
	/* all at once is an outage of the type, however many see it */
	s->residual = agree * 10 >= n * 6 && agree >= 3 && (to - from) / 1e9 > middle / 2;
	if (s->residual_low > s->residual_high)
		s->residual_low = s->residual_high = middle;
}

static void shape_of(const struct drop_type *t, const struct drop_verdict *v, struct shape *s)
{
	float packets[STOPS_MAX], bytes[STOPS_MAX];
	static const double edge[] = { 0, 200, 600, 1000 };
	unsigned n = 0, held = t->nstops < STOPS_MAX ? t->nstops : STOPS_MAX, agree[8] = { 0 };
	bool p, b;

	memset(s, 0, sizeof(*s));
	residual_of(t, v, s);
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
		    below / below_n < 0.1 * above / above_n &&
		    stats_g(above, above_n - above, below, below_n - below) > 23.93)
			s->cut = edge[i];
	}
}

static enum subkind subkind_of(const struct drop_verdict *v, const struct shape *s)
{
	if (s->residual && v->ratio < 0.98)
		return SUBKIND_RESIDUAL;
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
	char hours[24 * 3 + 1];
	uint32_t bad = 0;
	unsigned at = 0;

	fact_vs(r, "drop_ratio", v->ratio, v->control);
	fact_num(r, "log10_evidence", v->evidence / M_LN10);
	fact_text(r, "stage", "%s", stage_text(v));
	fact_text(r, "spread", "%u of %u servers fail, %u of these answer otherwise, %u networks",
		  v->failing, v->servers, v->alive, v->nets);
	if (v->alive < 2 || !v->beyond_one)
		fact_text(r, "server_or_policy", "too few servers to tell the type from a server");
	if (v->matched_n >= 20)
		fact_vs(r, "same_network", v->ratio, v->matched_lost / v->matched_n);
	if (v->direction == DIRECTION_BOTH && v->ratio >= 0.9)
		fact_text(r, "direction", "nothing comes back: the way is not known");
	else if (v->direction == DIRECTION_UP && t->after_loss)
		fact_text(r, "far_end_still_heard", "in %u flows", t->after_loss);
	if (s->residual)
		fact_text(r, "residual", "client, server and port stay blocked for %.0f to %.0f s",
			  s->residual_low, s->residual_high);
	if (s->freeze && s->by_bytes)
		fact_text(r, "freeze_at", "%.0f bytes from the server", s->bytes);
	else if (s->freeze)
		fact_text(r, "freeze_at", "%.0f packets", s->packets);
	if (s->nth > 1 && !HAS(v, CH_OPEN, STAGE_FIRST))
		fact_text(r, "first_lost", "data packet %d of each flow", s->nth);
	if (s->cut > 0)
		fact_num(r, "only_payloads_over_bytes", s->cut);
	if (t->episodes)
		fact_text(r, "seen_before", "%u times", t->episodes);
	for (unsigned c = 0; c < CHANNELS; c++)
		bad |= v->channels & 1 << c ? bank_bad_hours(&d->bank, v->type, c) : 0;
	for (unsigned h = 0; h < 24; h++)
		if (bad & 1u << h)
			at += snprintf(hours + at, sizeof(hours) - at, " %02u", h);
	if (bad)
		fact_text(r, "bad_hours", "of the day, UTC:%s", hours);
}

static void ruled_out(const struct drop *d, const struct drop_type *t, const struct drop_verdict *v, struct finding *f)
{
	struct facts *r = &f->ruled_out;

	fact_text(r, "path_loss", "the other types lost %.2g %% at the same time",
		  100 * v->control);
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
	if (t->own_lost)
		fact_text(r, "own_drops", "%u packets that this host dropped itself are not counted",
			  t->own_lost);
	else if (d->env->drop_reasons)
		fact_text(r, "own_drops", "the kernel tells of none of these flows, as far as it was asked");
	else
		fact_text(r, "own_drops", "not ruled out: no kernel told of what this host drops itself");
	if (v->channels & 1 << CH_OPEN)
		fact_text(r, "nat_exhaustion", "the other types' openings passed, %.2g %% failed",
			  100 * v->control);
	fact_text(r, "refused", "resets and refusals are not counted");
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
			     .degraded = t->fragile_ns && t->fragile_ns >= slot_ns(v->first),
			     .clients = v->clients,
			     .servers = v->failing };
	struct shape s;
	double doubt = exp(-v->evidence);

	shape_of(t, v, &s);
	f.subkind = subkind_of(v, &s);
	f.confidence = fmin(0.9999, fmax(0.5, 1 - doubt));
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
	if (s.residual) {
		fact_num(&f.estimate, "residual_s_low", s.residual_low);
		fact_num(&f.estimate, "residual_s_high", s.residual_high);
	}
	if (s.freeze)
		fact_num(&f.estimate, s.by_bytes ? "freeze_bytes" : "freeze_packets",
			 s.by_bytes ? s.bytes : s.packets);
	fact_num(&f.control, "drop_ratio", v->control);
	fact_num(&f.control, "drop_ratio_low", v->control_range.low);
	fact_num(&f.control, "drop_ratio_high", v->control_range.high);
	fact_num(&f.control, "trials", v->control_n);
	reasons(d, t, v, &s, &f);
	ruled_out(d, t, v, &f);
	snprintf(f.what, sizeof(f.what), "%s%.0f %% dropped, %u of %u clients, control %.2g %%",
		 f.subkind == SUBKIND_FREEZE ? "freezes: " : "", 100 * v->ratio, v->clients,
		 v->all_clients, 100 * v->control);
	findings_report(d->env->findings, &f);
}
