// SPDX-License-Identifier: GPL-2.0-or-later
#include "drop_bank.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_PER_S 16
#define CONTROL_NEAR 3	  /* control slots that must lie near a trial */
#define CONTROL_MINUTE 10 /* and in the last minute */
#define WILSON_Z 1.645
#define HOUR_TRIALS 100 /* that an hour of day needs to count */
#define HOURS_SEEN 6
#define HOUR_CAP 100000 /* then the past counts half */

/* Evidence beyond this says nothing more; kept below so that a recovery shows. */
#define LOG_CAP 300

static struct series *series_of(struct drop_bank *b, unsigned type, unsigned channel)
{
	struct series **s = &b->series[type][channel];

	if (!*s) {
		*s = calloc(1, sizeof(**s));
		if (!*s)
			return NULL;
		seq_init(&(*s)->test);
		if (type >= b->types)
			b->types = type + 1;
	}
	return *s;
}

void bank_free(struct drop_bank *b)
{
	for (unsigned t = 0; t < b->types; t++)
		for (unsigned c = 0; c < CHANNELS; c++)
			free(b->series[t][c]);
	memset(b, 0, sizeof(*b));
}

static void count(uint16_t *c, unsigned n)
{
	*c = *c + n > UINT16_MAX ? UINT16_MAX : *c + n;
}

bool bank_add(struct drop_bank *b, unsigned type, const struct trial *t)
{
	struct series *s = series_of(b, type, t->channel);
	uint64_t no = t->time_ns / SLOT_NS;
	struct slot *slot;

	if (!s)
		return false;
	if (no > b->front)
		no = b->front;
	if (no < b->done)
		no = b->done;
	slot = &s->slot[no % SLOTS];
	count(&slot->n[t->stage], t->n);
	count(&slot->lost[t->stage], t->lost);
	if (t->thin) {
		count(&slot->thin, t->n);
		count(&slot->thin_lost, t->lost);
	}
	return true;
}

/* A loss whose packet was counted before (n 0) may stand alone in its slot. */
static double share(const struct slot *s)
{
	return s->thin_lost >= s->thin ? s->thin_lost > 0 : (double)s->thin_lost / s->thin;
}

static bool tried(const struct slot *s)
{
	return s->thin || s->thin_lost;
}

/* What was tried and failed around a slot, in windows of growing width. */
static const unsigned width[] = { 2, 6, NEAR_SLOTS };
#define WIDTHS 3

struct near {
	double trials[WIDTHS], failed[WIDTHS];
};

static struct near near_of(const struct drop_bank *b, const struct series *s, uint64_t no)
{
	struct near sum = { { 0 }, { 0 } };

	for (int i = -NEAR_SLOTS; i <= NEAR_SLOTS; i++) {
		const struct slot *slot = &s->slot[(no + i) % SLOTS];

		if (no + i > b->front || !tried(slot))
			continue;
		for (unsigned w = 0; w < WIDTHS; w++)
			if (abs(i) <= (int)width[w]) {
				sum.trials[w] += 1;
				sum.failed[w] += share(slot);
			}
	}
	return sum;
}

/*
 * The rate at which the control fails around now: a burst shows in the moment
 * before it shows in the minute, and in the narrow window most. One loss among
 * many trials is no burst.
 */
static double near_rate(const struct near *n)
{
	double rate = 0;

	for (unsigned w = 0; w < WIDTHS; w++)
		if (n->trials[w] >= CONTROL_NEAR &&
		    (n->failed[w] >= 2 || (n->failed[w] > 0 && n->trials[w] < CONTROL_MINUTE)))
			rate = fmax(rate, n->failed[w] / n->trials[w]);
	return rate;
}

void bank_control(const struct drop_bank *b, unsigned type, unsigned channel, double *trials,
		  double *failed)
{
	*trials = *failed = 0;
	for (unsigned t = 0; t < b->types; t++) {
		const struct series *s = b->series[t][channel];

		if (s && t != type && !b->claimed[t]) {
			*trials += s->trials;
			*failed += s->failed;
		}
	}
}

double bank_p0(const struct drop_bank *b, unsigned type, unsigned channel)
{
	double trials, failed;

	bank_control(b, type, channel, &trials, &failed);
	if (trials < CONTROL_MINUTE)
		return 1;
	failed = stats_wilson(failed, trials, WILSON_Z).high;
	if (b->series[type][channel])
		failed = fmax(failed, b->series[type][channel]->usual);
	return fmax(P0_FLOOR, failed);
}

/*
 * What a type fails anyhow (peers that are gone, say) it fails at all hours; a
 * block may spare some. So the lower quartile of the hours is usual, and quiet
 * days don't hide bad nights, nor bad nights become the custom.
 */
static void usual(struct series *s)
{
	double ratio[24];
	unsigned n = 0;

	for (unsigned h = 0; h < 24; h++)
		if (s->hour_trials[h] >= HOUR_TRIALS)
			ratio[n++] = s->hour_failed[h] / s->hour_trials[h];
	if (n < HOURS_SEEN)
		return;
	qsort(ratio, n, sizeof(*ratio), stats_by_value);
	s->usual = ratio[n / 4];
}

uint32_t bank_bad_hours(const struct drop_bank *b, unsigned type, unsigned channel)
{
	const struct series *s = b->series[type][channel];
	uint32_t bad = 0;
	unsigned n = 0;

	for (unsigned h = 0; s && h < 24; h++) {
		double ratio = s->hour_failed[h] / s->hour_trials[h];

		if (!(s->hour_trials[h] >= HOUR_TRIALS))
			continue;
		n++;
		if (ratio >= 3 * s->usual && ratio >= s->usual + 0.02)
			bad |= 1u << h;
	}
	return n >= HOURS_SEEN ? bad : 0;
}

static void tally_slot(struct tally *t, const struct slot *s)
{
	for (unsigned i = 0; i < STAGES; i++) {
		t->n[i] += s->n[i];
		t->lost[i] += s->lost[i];
	}
}

static void episode_add(struct episode *e, const struct slot *s, uint64_t no)
{
	bool lost = s->lost[STAGE_FIRST] || s->lost[STAGE_LATER];

	tally_slot(&e->tail, s);
	if (!lost) {
		if (!e->after)
			e->after = no;
		return;
	}
	if (!e->first)
		e->first = no;
	if (e->last && no - e->last > e->gap)
		e->gap = no - e->last;
	e->last = no;
	e->after = 0;
	e->tail_trials = 0;
	for (unsigned i = 0; i < STAGES; i++) {
		e->sum.n[i] += e->tail.n[i];
		e->sum.lost[i] += e->tail.lost[i];
	}
	memset(&e->tail, 0, sizeof(e->tail));
}

static bool empty(const struct slot *s)
{
	return !s->n[STAGE_FIRST] && !s->n[STAGE_LATER] && !tried(s);
}

/*
 * One trial against the null. It weighs what the control around it can vouch
 * for: where the control tried half as often, it counts half (a likelihood ratio
 * to a power below 1 keeps its mean below 1).
 */
static void judge(struct drop_bank *b, unsigned type, unsigned channel, uint64_t no,
		  const struct near *near, double own)
{
	struct series *s = b->series[type][channel];
	const struct slot *slot = &s->slot[no % SLOTS];
	double p0 = fmax(bank_p0(b, type, channel), near_rate(near)), x = share(slot);
	double trials = near->trials[WIDTHS - 1], weight = fmin(1, trials / fmax(1, own));
	bool fair = tried(slot) && trials >= CONTROL_NEAR && p0 < 0.9;

	if (fair) {
		uint64_t day = no / (86400 * SLOTS_PER_S);

		if (day != s->day)
			seq_day(&s->test);
		s->day = day;
		seq_add(&s->test, x, p0, weight);
	}
	for (unsigned i = 0; i < SEQ_ALTS; i++) {
		struct episode *e = &s->episode[i];

		if (fair) {
			s->test.log_sum[i] = fmin(s->test.log_sum[i], LOG_CAP);
			e->w = fmin(e->w + s->test.llr[i], LOG_CAP);
		}
		if (e->w <= 0) {
			if (e->first || e->w < 0)
				memset(e, 0, sizeof(*e));
			continue;
		}
		if (!e->first) {
			e->control_trials = b->trials[channel] - s->all_trials;
			e->control_failed = b->failed[channel] - s->all_failed;
		}
		episode_add(e, slot, no);
		if (fair) {
			e->trials += 1;
			e->failed += x;
		}
		/* that it gets through again needs no control to be seen */
		e->tail_trials += tried(slot) && !(x > 0);
	}
}

static void note_hour(struct series *s, unsigned hour, double trials, double failed)
{
	float before = s->hour_trials[hour];

	s->hour_trials[hour] += trials;
	s->hour_failed[hour] += failed;
	if (s->hour_trials[hour] > HOUR_CAP) {
		s->hour_trials[hour] /= 2;
		s->hour_failed[hour] /= 2;
	}
	/* now and then is often enough */
	if ((unsigned)(before / HOUR_TRIALS) != (unsigned)(s->hour_trials[hour] / HOUR_TRIALS))
		usual(s);
}

/* The slots of a second are judged: they become control of the next minute. */
static void close_second(struct drop_bank *b)
{
	unsigned at = b->second++ % SECONDS, hour = b->done / (3600 * SLOTS_PER_S) % 24;

	for (unsigned t = 0; t < b->types; t++)
		for (unsigned c = 0; c < CHANNELS; c++) {
			struct series *s = b->series[t][c];
			double trials = 0, failed = 0;

			if (!s)
				continue;
			s->second_trials[at] = s->second_failed[at] = 0;
			for (unsigned i = 1; i <= SLOTS_PER_S; i++) {
				const struct slot *slot = &s->slot[(b->done - i) % SLOTS];

				if (tried(slot)) {
					s->second_trials[at] += 1;
					s->second_failed[at] += share(slot);
				}
			}
			note_hour(s, hour, s->second_trials[at], s->second_failed[at]);
			for (unsigned i = 0; i < SECONDS; i++) {
				trials += s->second_trials[i];
				failed += s->second_failed[i];
			}
			s->trials = trials;
			s->failed = failed;
		}
}

static void forget_control(struct drop_bank *b)
{
	for (unsigned t = 0; t < b->types; t++)
		for (unsigned c = 0; c < CHANNELS; c++) {
			struct series *s = b->series[t][c];

			if (!s)
				continue;
			memset(s->second_trials, 0, sizeof(s->second_trials));
			memset(s->second_failed, 0, sizeof(s->second_failed));
			s->trials = s->failed = 0;
		}
}

static void near_add(struct near *a, const struct near *b, double sign)
{
	for (unsigned w = 0; w < WIDTHS; w++) {
		a->trials[w] += sign * b->trials[w];
		a->failed[w] = fmax(0, a->failed[w] + sign * b->failed[w]);
	}
}

static void judge_channel(struct drop_bank *b, unsigned channel, uint64_t no)
{
	struct near own[MAX_TYPES], all = { { 0 }, { 0 } };
	bool any = false;

	for (unsigned t = 0; t < b->types; t++) {
		struct series *s = b->series[t][channel];
		const struct slot *slot = s ? &s->slot[no % SLOTS] : NULL;

		if (!s || empty(slot))
			continue;
		any = true;
		if (b->claimed[t] || !tried(slot))
			continue;
		s->all_trials += 1;
		s->all_failed += share(slot);
		b->trials[channel] += 1;
		b->failed[channel] += share(slot);
	}
	if (!any)
		return;
	for (unsigned t = 0; t < b->types; t++) {
		if (!b->series[t][channel])
			continue;
		own[t] = near_of(b, b->series[t][channel], no);
		if (!b->claimed[t])
			near_add(&all, &own[t], 1);
	}
	for (unsigned t = 0; t < b->types; t++) {
		struct near near = all;

		if (!b->series[t][channel] || empty(&b->series[t][channel]->slot[no % SLOTS]))
			continue;
		if (!b->claimed[t])
			near_add(&near, &own[t], -1);
		judge(b, t, channel, no, &near, own[t].trials[WIDTHS - 1]);
	}
}

static void judge_next(struct drop_bank *b)
{
	for (unsigned c = 0; c < CHANNELS; c++)
		judge_channel(b, c, b->done);
	b->done++;
	if (b->done % SLOTS_PER_S == 0)
		close_second(b);
}

static void open_slot(struct drop_bank *b, uint64_t no)
{
	for (unsigned t = 0; t < b->types; t++)
		for (unsigned c = 0; c < CHANNELS; c++)
			if (b->series[t][c])
				memset(&b->series[t][c]->slot[no % SLOTS], 0, sizeof(struct slot));
}

void bank_advance(struct drop_bank *b, uint64_t now_ns, bool flush)
{
	uint64_t to = now_ns / SLOT_NS;

	if (!b->front) {
		b->front = to;
		b->done = to > LAG_SLOTS ? to - LAG_SLOTS : 0;
	}
	/* nothing happened for longer than the ring: judge what is there, forget the gap */
	if (to > b->front + SLOTS) {
		while (b->done <= b->front)
			judge_next(b);
		forget_control(b);
		b->front = to;
		b->done = to - LAG_SLOTS;
		for (unsigned i = 0; i < SLOTS; i++)
			open_slot(b, i);
	}
	while (b->front < to) {
		open_slot(b, ++b->front);
		if (b->done + LAG_SLOTS <= b->front)
			judge_next(b);
	}
	while (flush && b->done <= b->front)
		judge_next(b);
}

const struct episode *bank_episode(const struct drop_bank *b, unsigned type, unsigned channel)
{
	const struct series *s = b->series[type][channel];
	const struct episode *e;

	if (!s)
		return NULL;
	e = &s->episode[seq_best(&s->test)];
	return e->first ? e : NULL;
}

void bank_episode_control(const struct drop_bank *b, unsigned type, unsigned channel,
			  const struct episode *e, double *trials, double *failed)
{
	const struct series *s = b->series[type][channel];

	*trials = fmax(0, b->trials[channel] - s->all_trials - e->control_trials);
	*failed = fmin(*trials, fmax(0, b->failed[channel] - s->all_failed - e->control_failed));
}

double bank_evidence(const struct drop_bank *b, unsigned type, unsigned channel)
{
	const struct series *s = b->series[type][channel];

	return s ? seq_log_value(&s->test) : -INFINITY;
}

void bank_reset(struct drop_bank *b, unsigned type)
{
	for (unsigned c = 0; c < CHANNELS; c++) {
		struct series *s = b->series[type][c];

		if (!s)
			continue;
		seq_init(&s->test);
		memset(s->episode, 0, sizeof(s->episode));
	}
}
