// SPDX-License-Identifier: GPL-2.0-or-later
/* From evidence to a claim: what failed, since when, where, and what else could have done it. */
#include "drop_judge.h"

#include <math.h>
#include <string.h>

#define SECOND 1000000000ull
#define ROUND_NS (8 * SECOND)
#define FIRED 3	      /* a channel takes part from here on */
#define QUIET 0	      /* below: nothing is going on, counts may turn */
#define RATIO_MIN 3   /* effect: so many times the control */
#define DIFF_MIN 0.02 /* and so much more */
#define LOST_MIN 5
#define FLOWS_MIN 3
#define SPAN_SLOTS 32 /* 2 s between the first and the newest failure */
#define LIMIT_NS (600 * SECOND)
#define RECOVERED (-12) /* log probability that a drop of this ratio spares all that came since */
#define RECOVERED_NS (5 * SECOND) /* and at least this long, and twice the longest pause so far */
#define QUEUE_FIT 0.72
#define WINDOW_FREE 8 /* packets a round trip */
#define WINDOW_LOSS 6
#define ALL ((1 << CHANNELS) - 1)
#define IDS_MIN 100
#define STUCK_MIN 5
#define FLOWS_FEW                                                                                  \
	2 /* enough where both ends differ and the evidence is plenty: calls are few, and long */

/*
 * The e-value of a claim: at sensitivity normal 1,250, so that a channel whose
 * null hypothesis holds just so is claimed at most once in 1,250 days.
 */
static double threshold(const struct drop *d)
{
	static const double by_sensitivity[] = { 11.5, 7.13, 5.3 };

	return by_sensitivity[d->env->sensitivity];
}

static double cells(const struct tally *t, unsigned i, double *n)
{
	*n = t->n[i] > t->lost[i] ? t->n[i] : t->lost[i];
	return *n > 0 ? t->lost[i] / *n : 0;
}

/*
 * Which way is it? Where nothing passes, an unanswered packet may have been lost
 * itself, or its answer: only a far end that is heard on tells. Partial drops show
 * their way by DSACKs and holes.
 */
static enum direction direction_of(const struct drop_verdict *v, const struct drop_type *t)
{
	bool up = v->channels & 1 << CH_UP, down = v->channels & 1 << CH_DOWN;

	if (up == down || (v->ratio >= 0.9 && t->after_loss < 2))
		return DIRECTION_BOTH;
	return up ? DIRECTION_UP : DIRECTION_DOWN;
}

/*
 * Some of what goes up is lost, and some of what comes down: an opening needs both
 * ways, and fails at neither's ratio.
 */
static bool both_ways(const struct drop *d, unsigned type)
{
	for (unsigned c = CH_UP; c <= CH_DOWN; c++) {
		const struct episode *e = bank_episode(&d->bank, type, c);
		double n, lost;

		if (!e || bank_evidence(&d->bank, type, c) < FIRED)
			return false;
		lost = e->sum.lost[STAGE_FIRST] + e->sum.lost[STAGE_LATER];
		n = fmax(lost, e->sum.n[STAGE_FIRST] + e->sum.n[STAGE_LATER]);
		if (n < 20 || lost > 0.9 * n)
			return false;
	}
	return true;
}

/* Brings the channels that fired together: one drop. */
static bool combine(const struct drop *d, unsigned type, struct drop_verdict *v)
{
	double most = 0, n, failed;
	bool there_and_back = both_ways(d, type);

	memset(v, 0, sizeof(*v));
	v->type = type;
	v->evidence = -INFINITY;
	for (unsigned c = 0; c < CHANNELS; c++) {
		const struct episode *e = bank_episode(&d->bank, type, c);
		double evidence = bank_evidence(&d->bank, type, c);

		if (!e || evidence < FIRED)
			continue;
		v->channels |= 1 << c;
		v->evidence = fmax(v->evidence, evidence);
		for (unsigned i = 0; i < STAGES; i++) {
			double ratio = cells(&e->sum, i, &n);

			if (n >= 3 && ratio > most && !(c == CH_OPEN && there_and_back))
				most = ratio;
		}
	}
	for (unsigned c = 0; c < CHANNELS; c++) {
		const struct episode *e = bank_episode(&d->bank, type, c);

		if (!(v->channels & 1 << c))
			continue;
		for (unsigned i = 0; i < STAGES; i++) {
			double ratio = cells(&e->sum, i, &n);

			if (!(e->sum.lost[i] > 0) || ratio < most / 2 ||
			    (c == CH_OPEN && there_and_back))
				continue;
			v->n += n;
			v->lost += e->sum.lost[i];
			v->stages |= 1 << (c * STAGES + i);
		}
		bank_episode_control(&d->bank, type, c, e, &n, &failed);
		v->control_n += n;
		v->control_lost += failed;
		v->trials += e->trials;
		v->failed += e->failed;
		v->tail_trials += e->tail_trials;
		if (c != CH_OPEN && d->type[type])
			v->window = fmax(v->window,
					 d->type[type]->window[c == CH_UP ? TO_SERVER : TO_CLIENT]);
		v->gap = e->gap > v->gap ? e->gap : v->gap;
		if (!v->first || e->first < v->first)
			v->first = e->first;
		if (e->last >= v->last) {
			v->last = e->last;
			v->after = e->after;
		}
	}
	if (!v->channels || !(v->n > 0))
		return false;
	v->ratio = v->lost / v->n;
	v->range = stats_wilson(v->lost / 1.5, v->n / 1.5, 1.96);
	v->control = v->control_n > 0 ? v->control_lost / v->control_n : 0;
	v->control_range = stats_wilson(v->control_lost, v->control_n, 1.96);
	v->direction = direction_of(v, d->type[type]);
	return true;
}

/* ---- who fails ---- */

#define CLIENTS_TOLD 64 /* apart, by host */

struct survey {
	const struct drop *d;
	struct drop_verdict *v;
	unsigned type;
	uint64_t first_ns, last_ns, now_ns;
	double worst_lost, worst_n, clean_n, n, lost;
	double ids, ids_lost, other_ids,
		other_ids_lost; /* by IP identification: this type, the others */
	struct in6_addr net[8]; /* networks of the failing servers */
	struct in6_addr client[CLIENTS_TOLD];
	bool failing[CLIENTS_TOLD];
	unsigned clients; /* of these */
};

static int net_index(const struct survey *s, const struct in6_addr *ip)
{
	struct in6_addr net = ip_net(ip);

	for (unsigned i = 0; i < s->v->nets && i < 8; i++)
		if (!memcmp(&s->net[i], &net, sizeof(net)))
			return i;
	return -1;
}

static bool survey_far(const struct end *x, void *arg)
{
	struct survey *s = arg;
	const struct ends *far = &s->d->far;
	double n, lost;

	end_count(x, s->v->channels, s->first_ns, s->last_ns, &n, &lost);
	if (!(n > 0))
		return true;
	if (!ends_alive(far, &x->ip, 1, 0)) {
		s->v->never_alive++;
		return true;
	}
	s->v->servers++;
	if (!(lost > 0)) {
		s->clean_n += n;
		return true;
	}
	if (ends_down(far, &x->ip, s->type, s->now_ns)) {
		s->v->down++;
		return true;
	}
	if (lost < (s->v->ratio < 0.2 ? 1 : 2))
		return true;
	s->v->failing++;
	s->n += n;
	s->lost += lost;
	if (lost > s->worst_lost) {
		s->worst_lost = lost;
		s->worst_n = n;
	}
	if (ends_alive(far, &x->ip, s->first_ns, 0))
		s->v->alive++;
	end_count(x, 1 << ENDS_IPID, s->first_ns, s->last_ns, &n, &lost);
	s->ids += n;
	s->ids_lost += lost;
	if (net_index(s, &x->ip) < 0) {
		if (s->v->nets < 8)
			s->net[s->v->nets] = ip_net(&x->ip);
		s->v->nets++;
	}
	return true;
}

/* What other types lost in the networks of the failing servers. */
static bool survey_nets(const struct end *x, void *arg)
{
	struct survey *s = arg;

	double n, lost;

	if (x->type == s->type || s->d->bank.claimed[x->type] || net_index(s, &x->ip) < 0)
		return true;
	end_count(x, ALL, s->first_ns, s->last_ns, &n, &lost);
	s->v->matched_n += n;
	s->v->matched_lost += lost;
	end_count(x, 1 << ENDS_IPID, s->first_ns, s->last_ns, &n, &lost);
	s->other_ids += n;
	s->other_ids_lost += lost;
	return true;
}

static bool survey_near(const struct end *x, void *arg)
{
	struct survey *s = arg;
	double n, lost;

	end_count(x, s->v->channels, s->first_ns, s->last_ns, &n, &lost);
	if (n <= 0)
		return true;
	/* One host under several addresses is one client. Of more than are kept each address counts. */
	for (unsigned i = 0; i < s->clients; i++) {
		if (!model_same_host(s->d->env->model, &s->client[i], &x->ip))
			continue;
		s->v->clients += lost > 0 && !s->failing[i];
		s->failing[i] |= lost > 0;
		return true;
	}
	if (s->clients < CLIENTS_TOLD) {
		s->client[s->clients] = x->ip;
		s->failing[s->clients++] = lost > 0;
	}
	s->v->clients += lost > 0;
	s->v->all_clients++;
	return true;
}

static void survey(const struct drop *d, unsigned type, struct drop_verdict *v, uint64_t now_ns)
{
	struct survey s = { .d = d,
			    .v = v,
			    .type = type,
			    .first_ns = slot_ns(v->first),
			    .last_ns = slot_ns(v->last),
			    .now_ns = now_ns };
	const struct drop_type *t = d->type[type];
	double rest_n, rest_lost, share, p0 = 0;

	ends_each(&d->far, type, survey_far, &s);
	ends_each(&d->far, -1, survey_nets, &s);
	ends_each(&d->near, type, survey_near, &s);
	for (unsigned i = 0; t && i < LOSSY_MAX && i < t->nlossy; i++)
		v->flows += t->lossy_ns[i] >= s.first_ns;
	/* without the worst server it must still stand: one server is not a type */
	rest_n = s.n - s.worst_n;
	rest_lost = s.lost - s.worst_lost;
	for (unsigned c = 0; c < CHANNELS; c++)
		if (v->channels & 1 << c)
			p0 = fmax(p0, bank_p0(&d->bank, type, c));
	p0 = fmax(P0_FLOOR, fmin(p0, v->control_range.high));
	v->beyond_one = v->failing >= 2 && rest_lost >= 3 &&
			stats_binom_ge(rest_lost / 2, fmax(rest_n, rest_lost) / 2, p0) < 1e-3;
	/* of what comes, only some losses leave a hole; numbers that count packets show them all */
	if (v->direction == DIRECTION_DOWN && s.ids >= IDS_MIN && s.other_ids >= IDS_MIN &&
	    s.other_ids_lost <= 0.01 * s.other_ids && s.ids_lost / s.ids > v->ratio) {
		v->n = s.ids;
		v->lost = s.ids_lost;
		v->ratio = v->lost / v->n;
		v->range = stats_wilson(v->lost / 1.5, v->n / 1.5, 1.96);
	}
	share = s.n > 0 ? fmin(s.lost / s.n, 0.95) : 0;
	v->spared = s.clean_n > 0 && s.clean_n * log1p(-share) < RECOVERED;
}

/* ---- what else could it be ---- */

/* Is a limit on single flows one on flows of this type? Those no longer held may have been. */
static bool limits_type(const struct drop *d, const struct finding *f, unsigned type)
{
	unsigned others = 0, n = f->flows < FINDING_FLOWS ? f->flows : FINDING_FLOWS;

	if (f->type >= 0)
		return (unsigned)f->type == type;
	for (unsigned i = 0; i < n; i++) {
		const struct flow *flow = model_flow(d->env->model, f->flow_id[i]);

		if (flow && flow->type == type)
			return true;
		others += !!flow;
	}
	return !n || others < n;
}

/* A rate limit on the type, now or in the last minutes: what it drops is its. */
static bool rate_limited(const struct drop *d, unsigned type, const struct drop_verdict *v)
{
	for (unsigned i = 0; i < findings_count(d->env->findings); i++) {
		const struct finding *f = findings_at(d->env->findings, i);

		if (f->kind != KIND_RATE_LIMIT || !limits_type(d, f, type))
			continue;
		if (f->end_ns && f->end_ns + LIMIT_NS < slot_ns(v->first))
			continue;
		if (f->direction == v->direction || f->direction == DIRECTION_BOTH ||
		    v->direction == DIRECTION_BOTH)
			return true;
	}
	return false;
}

/*
 * A limit lets the copies of a packet pass that are sent seconds apart, whatever
 * else it drops. Where most of what is lost is lost again and again, flow by
 * flow, that decides, not load.
 */
static bool by_flow(const struct drop_type *t, const struct drop_verdict *v)
{
	return t && t->stuck >= STUCK_MIN && t->stuck_lost >= 0.5 * v->lost;
}

static bool load_lost(const struct drop *d, unsigned type, struct drop_verdict *v)
{
	struct drop_type *t = d->type[type];

	v->queue_fit = NAN;
	for (unsigned way = 0; way < 2 && t; way++) {
		double fit;

		if (!t->vq[way] || !(v->channels & 1 << drop_channel(way)))
			continue;
		t->line |= drop_limit_line(t->vq[way], slot_ns(v->first) / 1e9);
		fit = drop_queue_fit(t->vq[way], slot_ns(v->first) / 1e9);
		if (!(v->queue_fit >= fit))
			v->queue_fit = fit;
	}
	/* the log holds only the newest: what was told before goes on to hold */
	if (d->type[type] && isfinite(v->queue_fit) && v->queue_fit > 0)
		d->type[type]->fit = v->queue_fit;
	else if (d->type[type] && d->type[type]->fit > 0)
		v->queue_fit = d->type[type]->fit;
	return (t && t->line) || (v->queue_fit >= QUEUE_FIT && !by_flow(t, v));
}

/* Does one constant pass, whatever is offered? */
static bool plateau(const struct drop *d, unsigned type, const struct drop_verdict *v)
{
	struct drop_type *t = d->type[type];

	for (unsigned way = 0; way < 2 && t; way++) {
		if (!t->vq[way] || !(v->channels & 1 << drop_channel(way)) ||
		    t->level_at == v->last)
			continue;
		switch (drop_plateau(t->vq[way], slot_ns(v->first) / 1e9)) {
		case 1:
			t->level_yes += t->level_yes < UINT16_MAX;
			break;
		case 0:
			t->level_no += t->level_no < UINT16_MAX;
			break;
		}
	}
	if (t)
		t->level_at = v->last;
	/* one look may err, and so do those when it is over */
	return t && t->level_yes && t->level_yes >= t->level_no;
}

/*
 * A flow limited by congestion loses about 1.5 / W^2 of its packets at W packets
 * a round trip (Mathis et al. 1997). What loses no more than a few times that
 * fills its own queue; flows of a handful of packets fill none.
 */
static bool self_made(const struct drop_verdict *v)
{
	double ratio = v->trials > 0 ? v->failed / v->trials : 0;

	return v->window > WINDOW_FREE && ratio * v->window * v->window < WINDOW_LOSS;
}

/* The level this verdict deserves; -1: none. */
static int level_of(const struct drop *d, unsigned type, struct drop_verdict *v)
{
	bool matched, path, few;
	double slots;

	if (v->evidence < threshold(d) || v->lost < LOST_MIN || v->last < v->first + SPAN_SLOTS)
		return -1;
	/* by packets and by slots, where a burst counts once */
	slots = v->trials > 0 ? v->failed / v->trials : 0;
	if (fmin(v->ratio, slots) < RATIO_MIN * v->control ||
	    fmin(v->ratio, slots) < v->control + DIFF_MIN)
		return -1;
	few = v->flows < FLOWS_MIN && (v->flows < FLOWS_FEW || v->failing < 2 || v->clients < 2 ||
				       v->evidence < 1.5 * threshold(d));
	if (!v->failing || few || v->spared)
		return -1;
	/* the channels of a limit lose with load; an opening is never load */
	if (v->ratio < 0.9 && (self_made(v) || rate_limited(d, type, v) || load_lost(d, type, v)))
		return -1;
	matched = v->matched_n >= 20;
	path = matched && (v->ratio < RATIO_MIN * v->matched_lost / v->matched_n ||
			   v->ratio < v->matched_lost / v->matched_n + DIFF_MIN);
	if (path)
		return -1;
	/* far-away networks of a type may be worse than the rest: then it takes more */
	if (!matched && (v->ratio < 0.15 || v->nets < 2))
		return LEVEL_POSSIBLE;
	if (!v->beyond_one)
		return LEVEL_POSSIBLE;
	if (v->ratio < 0.9 && plateau(d, type, v))
		return LEVEL_POSSIBLE;
	if (v->alive < 2 && (v->failing < 3 || v->nets < 2))
		return LEVEL_POSSIBLE;
	if (v->evidence > 5 * threshold(d) && v->clients >= 2 && v->alive >= 2 && matched)
		return LEVEL_CORROBORATED;
	return LEVEL_LIKELY;
}

/* Is it over? At the end of what there is to see the sparing alone decides. */
static bool over(const struct drop_verdict *v, uint64_t now_ns, bool last)
{
	uint64_t wait = slot_ns(2 * v->gap);

	if (!v->after || v->tail_trials * log1p(-fmin(v->ratio, 0.95)) > RECOVERED)
		return false;
	if (wait < RECOVERED_NS)
		wait = RECOVERED_NS;
	/* what came in the newest seconds is not judged yet */
	return last || slot_ns(v->last + LAG_SLOTS) + wait < now_ns;
}

static void forget(struct drop *d, unsigned type)
{
	struct drop_type *t = d->type[type];

	t->fit = 0;
	t->line = false;
	t->level_yes = t->level_no = 0;
	bank_reset(&d->bank, type);
}

static void close_claim(struct drop *d, unsigned type, struct drop_verdict *v)
{
	struct drop_type *t = d->type[type];

	drop_report(d, type, v, slot_ns(v->after));
	findings_close(d->env->findings, t->key, slot_ns(v->after));
	t->open = false;
	t->closed_ns = slot_ns(v->after);
	t->episodes++;
	d->bank.claimed[type] = false;
	forget(d, type);
}

static void follow(struct drop *d, unsigned type, uint64_t now_ns, bool last)
{
	struct drop_type *t = d->type[type];
	struct drop_verdict v;
	int level;

	if (!combine(d, type, &v)) {
		/* the evidence has worn off without a clear end: it ended with the newest failure
		 */
		if (t->open) {
			findings_close(d->env->findings, t->key, t->last_ns);
			t->open = false;
			t->episodes++;
			d->bank.claimed[type] = false;
		}
		return;
	}
	survey(d, type, &v, now_ns);
	level = level_of(d, type, &v);
	if (!t->open) {
		if (level < 0) {
			/* What a limit dropped is no part of what begins later. Anything else may come and go. */
			if (over(&v, now_ns, false) && rate_limited(d, type, &v))
				forget(d, type);
			return;
		}
		t->open = true;
		t->start_ns = slot_ns(v.first);
		t->key = 0xd609ull << 48 ^ (uint64_t)type << 40 ^ (t->start_ns / 1000000);
		t->level = level;
		t->reported_ns = 0;
	}
	if (level > (int)t->level)
		t->level = level;
	if (slot_ns(v.first) < t->start_ns)
		t->start_ns = slot_ns(v.first);
	t->last_ns = slot_ns(v.last);
	d->bank.claimed[type] = t->level >= LEVEL_LIKELY;
	if (over(&v, now_ns, last)) {
		close_claim(d, type, &v);
		return;
	}
	if (last || !t->reported_ns || now_ns > t->reported_ns + 10 * SECOND ||
	    fabs(v.ratio - t->reported_ratio) > 0.05) {
		t->reported_ns = now_ns;
		t->reported_ratio = v.ratio;
		drop_report(d, type, &v, 0);
	}
}

void drop_judge(struct drop *d, uint64_t now_ns, bool last)
{
	for (unsigned type = 1; type < d->bank.types; type++) {
		struct drop_type *t = d->type[type];
		double most = -INFINITY;

		if (!t)
			continue;
		for (unsigned c = 0; c < CHANNELS; c++)
			most = fmax(most, bank_evidence(&d->bank, type, c));
		if (t->open || most >= FIRED)
			follow(d, type, now_ns, last);
		if (!t->open && most < QUIET && now_ns > t->round_ns + ROUND_NS) {
			t->round_ns = now_ns;
			memset(t->size_n, 0, sizeof(t->size_n));
			memset(t->size_lost, 0, sizeof(t->size_lost));
			t->lossy = t->after_loss = t->stuck = t->stuck_lost = t->own_lost = 0;
			t->fit = 0;
			t->line = false;
			t->level_yes = t->level_no = 0;
		}
	}
}

struct drop_need drop_need(const void *detector, unsigned type)
{
	const struct drop *d = detector;
	struct drop_need need = { 0, 0 };
	double p0 = 1;

	for (unsigned c = 0; c < CHANNELS && type < MAX_TYPES; c++) {
		if (!d->bank.series[type][c])
			continue;
		need.have += d->bank.series[type][c]->trials;
		p0 = fmin(p0, bank_p0(&d->bank, type, c));
	}
	if (p0 < 0.75)
		need.need = ceil(seq_need(0.25, p0, threshold(d)));
	return need;
}
