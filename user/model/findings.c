// SPDX-License-Identifier: GPL-2.0-or-later
#include "findings.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

#define POSSIBLE_CONFIDENCE .6

struct entry {
	struct finding f;
	uint32_t next; /* in its bucket */
	bool changed;  /* since it was last told */
};

#define REMARK 128

struct findings {
	findings_changed changed;
	void *arg;
	struct entry **entry; /* oldest first */
	uint32_t *bucket;
	uint32_t mask;
	unsigned n, limit;
	uint32_t last_id;
	uint64_t refused;
	bool (*wanted)(void *arg, const struct finding *f);
	void *wanted_arg;
	char remark[REMARK];
	uint64_t own_ns; /* this host dropped packets of unknown flows; 0 never */
};

struct findings *findings_new(unsigned limit, findings_changed changed, void *arg)
{
	struct findings *s = calloc(1, sizeof(*s));
	uint32_t buckets = 16;

	if (!s)
		return NULL;
	while (buckets < limit)
		buckets *= 2;
	s->limit = limit ? limit : 1;
	s->mask = buckets - 1;
	s->changed = changed;
	s->arg = arg;
	s->entry = calloc(s->limit, sizeof(*s->entry));
	s->bucket = malloc(buckets * sizeof(*s->bucket));
	if (!s->entry || !s->bucket) {
		findings_free(s);
		return NULL;
	}
	memset(s->bucket, 0xff, buckets * sizeof(*s->bucket));
	return s;
}

void findings_free(struct findings *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		free(s->entry[i]);
	free(s->entry);
	free(s->bucket);
	free(s);
}

void findings_number(struct findings *s, uint32_t id)
{
	if (id)
		s->last_id = id - 1;
}

/* Keys may come from addresses an attacker picks: spread them (splitmix64's finisher). */
static uint32_t bucket_of(const struct findings *s, uint64_t key)
{
	key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ull;
	key = (key ^ (key >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)(key ^ (key >> 31)) & s->mask;
}

/* The newest entry of a key stands first in its bucket. */
static struct entry *find(const struct findings *s, uint64_t key)
{
	for (uint32_t i = s->bucket[bucket_of(s, key)]; i != NONE; i = s->entry[i]->next)
		if (s->entry[i]->f.key == key)
			return s->entry[i];
	return NULL;
}

static void link_entry(struct findings *s, uint32_t i)
{
	uint32_t *head = &s->bucket[bucket_of(s, s->entry[i]->f.key)];

	s->entry[i]->next = *head;
	*head = i;
}

/* Makes room by forgetting the oldest closed finding; the outputs have been told of it. */
static bool make_room(struct findings *s)
{
	unsigned i = 0;

	while (i < s->n && !s->entry[i]->f.closed)
		i++;
	if (i == s->n)
		return false;
	free(s->entry[i]);
	s->n--;
	memmove(&s->entry[i], &s->entry[i + 1], (s->n - i) * sizeof(*s->entry));
	memset(s->bucket, 0xff, (s->mask + 1) * sizeof(*s->bucket));
	for (i = 0; i < s->n; i++)
		link_entry(s, i);
	return true;
}

static void tell(struct findings *s, struct entry *e, enum finding_action action)
{
	e->changed = false;
	if (s->changed)
		s->changed(s->arg, &e->f, action);
}

static int open_finding(struct findings *s, const struct finding *f)
{
	struct entry *e;

	if (s->wanted && !s->wanted(s->wanted_arg, f))
		return -1;
	if (s->n == s->limit && !make_room(s)) {
		s->refused++;
		return -1;
	}
	e = calloc(1, sizeof(*e));
	if (!e) {
		s->refused++;
		return -1;
	}
	e->f = *f;
	e->f.closed = false;
	e->f.id = ++s->last_id;
	s->entry[s->n] = e;
	link_entry(s, s->n++);
	tell(s, e, FINDING_OPEN);
	if (f->closed) {
		e->f.closed = true;
		tell(s, e, FINDING_CLOSE);
	}
	return (int)e->f.id;
}

void findings_remark(struct findings *s, const char *text)
{
	snprintf(s->remark, sizeof(s->remark), "%s", text);
}

static int report(struct findings *s, const struct finding *f)
{
	struct entry *e = find(s, f->key);
	enum level level;
	double confidence;
	bool rose, closes;

	if (!f->reasons.n || !f->ruled_out.n) {
		s->refused++;
		return -1;
	}
	/* What closed and now comes back is another incident, unless it only adds its last word. */
	if (!e || (e->f.closed && !f->closed))
		return open_finding(s, f);

	rose = f->level > e->f.level;
	closes = f->closed && !e->f.closed;
	level = rose ? f->level : e->f.level;
	confidence = f->level < e->f.level ? e->f.confidence : f->confidence;
	uint32_t id = e->f.id;

	e->f = *f;
	e->f.id = id;
	e->f.level = level;
	e->f.confidence = confidence;
	e->changed = true;
	if (closes)
		tell(s, e, FINDING_CLOSE);
	else if (rose)
		tell(s, e, FINDING_UPDATE);
	return (int)id;
}

void findings_own_drops(struct findings *s, uint64_t newest_ns)
{
	s->own_ns = newest_ns;
}

int findings_report(struct findings *s, const struct finding *f)
{
	bool capped = s->own_ns && f->start_ns <= s->own_ns &&
		      (f->kind == KIND_RATE_LIMIT || f->kind == KIND_SELECTIVE_DROP);
	struct finding remarked;

	if (!s->remark[0] && !capped)
		return report(s, f);
	remarked = *f;
	/* They are no reasons by themselves. */
	if (s->remark[0] && remarked.reasons.n)
		fact_text(&remarked.reasons, "clients_hidden", "%s", s->remark);
	if (capped) {
		remarked.level = LEVEL_POSSIBLE;
		remarked.degraded = true;
		if (remarked.confidence > POSSIBLE_CONFIDENCE)
			remarked.confidence = POSSIBLE_CONFIDENCE;
		if (remarked.reasons.n)
			fact_text(&remarked.reasons, "own_drops", "of which flows this host itself drops packets is not known");
	}
	return report(s, &remarked);
}

bool findings_close(struct findings *s, uint64_t key, uint64_t end_ns)
{
	struct entry *e = find(s, key);

	if (!e || e->f.closed)
		return false;
	e->f.closed = true;
	e->f.end_ns = end_ns;
	tell(s, e, FINDING_CLOSE);
	return true;
}

void findings_flush(struct findings *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->entry[i]->changed)
			tell(s, s->entry[i], FINDING_UPDATE);
}

void findings_finish(struct findings *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct entry *e = s->entry[i];

		if (e->f.closed && !e->changed)
			continue;
		e->f.closed = true;
		tell(s, e, FINDING_CLOSE);
	}
}

const struct finding *findings_by_key(const struct findings *s, uint64_t key)
{
	struct entry *e = find(s, key);

	return e ? &e->f : NULL;
}

unsigned findings_count(const struct findings *s)
{
	return s->n;
}

void findings_clear(struct findings *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->entry[i]);
	s->n = 0;
	memset(s->bucket, 0xff, (s->mask + 1) * sizeof(*s->bucket));
}

bool findings_put(struct findings *s, const struct finding *f)
{
	struct entry *e = s->n < s->limit ? calloc(1, sizeof(*e)) : NULL;

	if (!e)
		return false;
	e->f = *f;
	s->entry[s->n] = e;
	link_entry(s, s->n++);
	return true;
}

void findings_wanted(struct findings *s, bool (*wanted)(void *arg, const struct finding *f), void *arg)
{
	s->wanted = wanted;
	s->wanted_arg = arg;
}

uint64_t findings_refused(const struct findings *s)
{
	return s->refused;
}

const struct finding *findings_at(const struct findings *s, unsigned i)
{
	return i < s->n ? &s->entry[i]->f : NULL;
}

static struct fact *fact_add(struct facts *s, const char *name, double value, double control)
{
	struct fact *f;

	if (s->n >= FINDING_REASONS)
		return NULL;
	f = &s->fact[s->n++];
	memset(f, 0, sizeof(*f));
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->value = value;
	f->control = control;
	return f;
}

bool fact_num(struct facts *s, const char *name, double value)
{
	return fact_add(s, name, value, NAN);
}

bool fact_vs(struct facts *s, const char *name, double value, double control)
{
	return fact_add(s, name, value, control);
}

bool fact_text(struct facts *s, const char *name, const char *format, ...)
{
	struct fact *f = fact_add(s, name, NAN, NAN);
	va_list args;

	if (!f)
		return false;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return true;
}

void finding_add_flow(struct finding *f, const struct flow *flow)
{
	unsigned kept = f->flows < FINDING_FLOWS ? f->flows : FINDING_FLOWS;

	for (unsigned i = 0; i < kept; i++)
		if (f->flow_id[i] == flow->id)
			return;
	if (kept < FINDING_FLOWS)
		f->flow_id[kept] = flow->id;
	f->flows++;
}
