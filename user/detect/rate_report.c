// SPDX-License-Identifier: GPL-2.0-or-later
/* What was found, why, and what it is not. */
#include "rate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BURST_SURE 1.3 /* high over low: an interval that narrow is an estimate */

void rate_text(char *out, size_t n, double bps)
{
	if (bps >= 1e6)
		snprintf(out, n, "%.3g Mbit/s", bps / 1e6);
	else
		snprintf(out, n, "%.3g kbit/s", bps / 1e3);
}

static void bytes_text(char *out, size_t n, double bytes)
{
	if (bytes >= 1e6)
		snprintf(out, n, "%.3g MB", bytes / 1e6);
	else
		snprintf(out, n, "%.3g kB", bytes / 1e3);
}

/* Ethernet's header is 14 bytes of each packet: the same limit in IP bytes. */
static double l3_share(const struct rate *r, const struct limiter *l)
{
	uint64_t bytes = 0, packets = 0;

	for (const struct path *p = r->paths; p; p = p->next)
		if (group_has(p, &l->like, l->kind)) {
			bytes += p->s->bytes;
			packets += p->s->packets;
		}
	return bytes ? 1 - 14.0 * (double)packets / (double)bytes : 1;
}

static void policer_reasons(const struct limiter *l, struct finding *f)
{
	const struct rate_fit *x = &l->fit;
	bool fits = x->j >= FIT_WEAK_J; /* else the line alone told it */

	if (fits)
		fact_num(&f->reasons, "fit_j", x->j);
	fact_num(&f->reasons, "losses", x->lost);
	fact_num(&f->reasons, "loss_episodes", x->slices);
	fact_num(&f->reasons, "loss_ratio", (double)x->lost / (x->lost + x->passed));
	if (fits)
		fact_num(&f->reasons, "misfit_packets", x->misfit);
	if (fits && !isnan(x->dx)) {
		fact_num(&f->reasons, "predicted_delay_ms", x->dx * 1e3);
		fact_num(&f->reasons, "measured_delay_ms", x->dq * 1e3);
		fact_num(&f->reasons, "delay_slope", x->slope);
	}
	if (l->by_line)
		fact_text(&f->reasons, "line_of_losses", "between losses one rate passes: %.0f %% of the stretches",
			  100 * l->line.agree);
	if (fits)
		fact_text(&f->ruled_out, "random_loss",
			  "one bucket parts lost from passed packets (J %.2f); chance would not", x->j);
	else
		fact_text(&f->ruled_out, "random_loss",
			  "as much passes between any losses, and what passes finds more in the bucket (%.2f)",
			  l->line.below);
	if (!fits)
		fact_text(&f->ruled_out, "congestion", "what was ahead varied by %.0f ms, and nobody waited for it",
			  l->line.depth / l->line.rate * 1e3);
	else if (l->verdict == VERDICT_POLICER)
		fact_text(&f->ruled_out, "congestion",
			  "a queue would add %.0f ms where the bucket is low; measured %.1f ms",
			  x->dx * 1e3, x->dq * 1e3);
	else
		fact_text(&f->ruled_out, "congestion",
			  "not ruled out: bucket or queue is too small to tell (%.1f ms)",
			  isnan(x->dx) ? x->burst / x->rate * 1e3 : x->dx * 1e3);
	fact_text(&f->ruled_out, "app", "packets are lost exactly when the bucket is empty");
	fact_text(&f->ruled_out, "receiver", "packets are lost, not held back");
	fact_text(&f->ruled_out, "sender_pacing", "a paced sender loses nothing");
}

static void shaper_reasons(const struct limiter *l, struct finding *f)
{
	const struct shape *s = &l->shape;

	fact_num(&f->reasons, "line_s", s->seconds);
	fact_num(&f->reasons, "rate_cv", s->cv);
	fact_num(&f->reasons, "line_residual_bytes", s->residual);
	fact_num(&f->reasons, "rtt_rise_ms", (s->rtt_queued - fmin(s->rtt_free, s->rtt_queued)) * 1e3);
	if (s->burst >= 18000) {
		fact_num(&f->reasons, "bursts", s->bursts);
		fact_num(&f->reasons, "burst_rate_bps", s->peak * 8);
	}
	fact_text(&f->ruled_out, "random_loss", "the limit is held without loss");
	if (l->type >= 0)
		fact_text(&f->ruled_out, "congestion", "other types do not wait: %.1f ms against %.1f ms",
			  l->control_rtt * 1e3, l->own_rtt * 1e3);
	else
		fact_text(&f->ruled_out, "congestion",
			  "a full link has no bucket: %.0f kB passed at %.3g times the rate",
			  s->burst / 1e3, s->peak / s->rate);
	fact_text(&f->ruled_out, "app", "a queue stands (%.0f ms): more was sent than passed",
		  s->rtt_queued * 1e3);
	fact_text(&f->ruled_out, "receiver", "a queue stands: the window is not what holds it");
	fact_text(&f->ruled_out, "sender_pacing", "a paced sender fills no queue");
}

/* Rates that known throttles have settled at (research A.8). */
static void known(const struct limiter *l, struct finding *f, double bps)
{
	if (bps >= 115e3 && bps <= 165e3 && l->hinted)
		fact_text(&f->reasons, "known_throttle",
			  "130-150 kbit/s by server name: as against Twitter in Russia, 2021");
	else if (bps >= 115e3 && bps <= 165e3)
		fact_text(&f->reasons, "known_throttle", "130-150 kbit/s: as in Russia, 2021");
	else if (bps <= 8e3)
		fact_text(&f->reasons, "known_throttle", "600-700 bytes/s: as in Russia, 2022");
}

static void sharing(const struct limiter *l, struct finding *f)
{
	static const char *const who[GROUP_KINDS] = {
		[GROUP_PATH] = "one flow", [GROUP_PAIR] = "flows between the same two hosts",
		[GROUP_HOST_TYPE] = "flows of one type of one host",
		[GROUP_HOST] = "flows of one host", [GROUP_TYPE] = "flows of one type",
		[GROUP_ALL] = "all flows in this direction",
	};

	fact_text(&f->reasons, "shared_by", "%s", who[l->kind]);
}

static void controls(const struct limiter *l, struct finding *f)
{
	if (!l->control_flows)
		return;
	fact_num(&f->control, "flows", l->control_flows);
	fact_text(&f->control, "types", "%s", l->control_types);
	if (l->control_rate > 0)
		fact_num(&f->control, "rate_bps", l->control_rate * 8);
	if (l->control_best > 0)
		fact_num(&f->control, "peak_rate_bps", l->control_best * 8);
	if (!isnan(l->control_loss))
		fact_vs(&f->reasons, "loss_ratio_vs_control", l->own_loss, l->control_loss);
	if (!isnan(l->control_rtt) && !isnan(l->own_rtt))
		fact_vs(&f->reasons, "rtt_rise_ms_vs_control", l->own_rtt * 1e3,
			l->control_rtt * 1e3);
}

/*
 * The bucket's size, 0 if not known: where its fill at the start is not, only
 * one that was seen full again later tells.
 */
static double known_burst(const struct limiter *l)
{
	if (l->verdict == VERDICT_SHAPER)
		return l->shape.whole || l->shape.bursts > 1 ? l->shape.burst : 0;
	return l->fit.whole || l->fit.burst_high <= BURST_SURE * l->fit.burst_low ? l->fit.burst : 0;
}

void rate_report(struct rate *r, const struct limiter *l)
{
	struct finding f;
	bool shaper = l->verdict == VERDICT_SHAPER;
	double rate = shaper ? l->shape.rate : l->fit.rate;
	double low = shaper ? l->shape.rate_low : l->fit.rate_low;
	double high = shaper ? l->shape.rate_high : l->fit.rate_high;
	double burst = known_burst(l);
	char rt[32], bt[32];

	memset(&f, 0, sizeof(f));
	f.key = (uint64_t)KIND_RATE_LIMIT << 56 | l->key;
	f.kind = KIND_RATE_LIMIT;
	f.subkind = shaper ? SUBKIND_SHAPER :
		    l->verdict == VERDICT_POLICER ? SUBKIND_POLICER : SUBKIND_UNKNOWN;
	f.level = l->level;
	f.confidence = shaper ? fmin(.99, .9 + .01 * l->shape.seconds) : fmin(.99, l->fit.j);
	snprintf(f.method, sizeof(f.method), "rate_limit/%s/1", shaper ? "line" : "bucket-fit");
	f.start_ns = l->start_ns;
	f.type = l->type;
	f.direction = l->ways == 3 ? DIRECTION_BOTH : l->ways & 1 ? DIRECTION_UP : DIRECTION_DOWN;
	f.flows = l->flows;
	f.clients = model_hosts(r->env.model, l->clients, l->nclients);
	f.servers = l->nservers;
	memcpy(f.flow_id, l->flow_id, sizeof(f.flow_id));
	fact_num(&f.estimate, "limit_bps", rate * 8);
	fact_num(&f.estimate, "limit_bps_low", low * 8);
	fact_num(&f.estimate, "limit_bps_high", high * 8);
	if (burst > 0) {
		fact_num(&f.estimate, "burst_bytes", burst);
		fact_num(&f.estimate, "burst_bytes_low", shaper ? l->shape.burst_low : l->fit.burst_low);
		fact_num(&f.estimate, "burst_bytes_high",
			 shaper ? l->shape.burst_high : l->fit.burst_high);
	}
	fact_num(&f.estimate, "limit_l3_bps", rate * 8 * l3_share(r, l));
	if (shaper)
		shaper_reasons(l, &f);
	else
		policer_reasons(l, &f);
	sharing(l, &f);
	controls(l, &f);
	known(l, &f, rate * 8);
	f.degraded = l->degraded;
	rate_text(rt, sizeof(rt), rate * 8);
	bytes_text(bt, sizeof(bt), burst);
	if (burst > 0)
		snprintf(f.what, sizeof(f.what), "%s, burst %s", rt, bt);
	else
		snprintf(f.what, sizeof(f.what), "%s", rt);
	findings_report(r->env.findings, &f);
}

void rate_close(struct rate *r, struct limiter *l)
{
	findings_close(r->env.findings, (uint64_t)KIND_RATE_LIMIT << 56 | l->key, l->last_ns);
	l->open = false;
	for (struct path *p = r->paths; p; p = p->next)
		if (p->limiter == l)
			p->limiter = NULL;
}
