/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the events of a run against what the scenario says must, may and must not be found. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scen.h"

enum { CLAIMS = 256, KEYS = 8192 };

struct key {
	char cli[48], srv[48];
	unsigned cport, sport;
	bool suspect;
};

struct judge {
	const struct scenario *s;
	const struct truth *t;
	json_t *claim[CLAIMS]; /* the last word of each finding that reached likely */
	unsigned claims;
	json_t *finding; /* id -> {"best": n, "last": finding} */
	unsigned own; /* a bit for each word of j->s->own that was said */
	struct key suspect[KEYS], forged[KEYS];
	unsigned suspects, forgeries;
	unsigned flows[SCEN_WANTS];
	json_t *stop;
	unsigned lines;
	char *why;
	size_t room, at;
	bool bad;
};

__attribute__((format(printf, 2, 3))) static void say(struct judge *j, const char *format, ...)
{
	va_list ap;
	int n;

	if (j->at && j->at + 2 < j->room) {
		memcpy(j->why + j->at, "; ", 3);
		j->at += 2;
	}
	va_start(ap, format);
	n = vsnprintf(j->why + j->at, j->room - j->at, format, ap);
	va_end(ap);
	j->at = j->at + n < j->room ? j->at + n : j->room - 1;
}

static const char *text(const json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

static int level(const json_t *f)
{
	const char *l = text(f, "level");

	return !strcmp(l, "likely") ? 1 : !strcmp(l, "corroborated") ? 2 : 0;
}

/* RFC 3339 UTC to Unix seconds; 0 when it can't be read. */
static double when(const char *s)
{
	struct tm tm = { 0 };
	double sec;

	if (sscanf(s, "%d-%d-%dT%d:%d:%lf", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &sec) != 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return timegm(&tm) + sec;
}

/* Is v among the names a|b|c? */
static bool among(const char *list, const char *v)
{
	size_t n = strlen(v);

	while (*list) {
		size_t k = strcspn(list, "|");

		if (k == n && !strncmp(list, v, n))
			return true;
		list += k + (list[k] == '|');
	}
	return false;
}

static bool fits(const struct expect *e, const json_t *f)
{
	size_t n = strcspn(e->kind, "/");
	const char *kind = text(f, "kind"), *type = text(f, "type");

	if (strlen(kind) != n || strncmp(kind, e->kind, n))
		return false;
	if (e->kind[n] && !among(e->kind + n + 1, text(f, "subkind")))
		return false;
	if (*e->direction && strcmp(e->direction, "any") &&
	    !among(e->direction, text(f, "direction")))
		return false;
	if (!strcmp(e->type, "-"))
		return !*type;
	return !*e->type || among(e->type, type);
}

static bool injects(const struct expect *e)
{
	return strstr(e->kind, "_injection") != NULL;
}

bool scen_injects(const struct scenario *s)
{
	for (int i = 0; i < s->finds; i++)
		if (injects(&s->find[i]))
			return true;
	return false;
}

void scen_arrived(const struct scenario *s, const char *line, double now, struct truth *t)
{
	json_t *e = strstr(line, "\"finding\"") ? json_loads(line, 0, NULL) : NULL;
	const json_t *f = json_object_get(e, "finding");

	for (int i = 0; f && i < s->finds; i++) {
		double start = when(text(f, "start"));

		if (!start || !injects(&s->find[i]) || !fits(&s->find[i], f))
			continue;
		if (!t->told[i])
			t->told[i] = now - start;
		if (!t->claimed[i] && level(f))
			t->claimed[i] = now - start;
	}
	json_decref(e);
}

static void note_finding(struct judge *j, json_t *f)
{
	char id[32];
	json_t *old, *v;
	int best = level(f);

	v = json_object_get(f, "id");
	if (json_is_string(v))
		snprintf(id, sizeof(id), "%s", json_string_value(v));
	else
		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(v));
	old = json_object_get(j->finding, id);
	if (old && json_integer_value(json_object_get(old, "best")) > best)
		best = json_integer_value(json_object_get(old, "best"));
	json_object_set_new(j->finding, id, json_pack("{s:i,s:O}", "best", best, "last", f));
}

static bool same(const struct judge *j, const struct key *a, const struct key *b)
{
	return a->cport == b->cport && a->sport == b->sport && (j->s->nat || !strcmp(a->cli, b->cli)) &&
	       !strcmp(a->srv, b->srv);
}

static struct key *find_key(const struct judge *j, struct key *list, unsigned n, const struct key *k)
{
	for (unsigned i = 0; i < n; i++)
		if (same(j, &list[i], k))
			return &list[i];
	return NULL;
}

static void note_rst(struct judge *j, const json_t *e, const json_t *rst)
{
	struct key k = { .suspect = true };

	if (!json_is_true(json_object_get(rst, "suspect")))
		return;
	snprintf(k.cli, sizeof(k.cli), "%s", text(e, "src_ip"));
	snprintf(k.srv, sizeof(k.srv), "%s", text(e, "dest_ip"));
	k.cport = json_integer_value(json_object_get(e, "src_port"));
	k.sport = json_integer_value(json_object_get(e, "dest_port"));
	if (j->suspects < KEYS && !find_key(j, j->suspect, j->suspects, &k))
		j->suspect[j->suspects++] = k;
}

/* "LEAST..MOST" of a number. */
static bool fits_range(const char *range, const json_t *v)
{
	const char *dots = strstr(range, "..");

	return dots && json_is_number(v) && json_number_value(v) >= strtoll(range, NULL, 10) &&
	       json_number_value(v) <= strtoll(dots + 2, NULL, 10);
}

static void note_flow(struct judge *j, const json_t *e, const json_t *flow)
{
	for (int i = 0; i < j->s->flows; i++) {
		const struct flow_check *c = &j->s->flow[i];
		bool fit = true;

		for (int k = 0; k < c->keys && fit; k++) {
			const json_t *v =
				json_object_get(flow, c->key[k]) ?: json_object_get(e, c->key[k]);
			char num[32];

			snprintf(num, sizeof(num), "%lld", (long long)json_integer_value(v));
			fit = v && (fits_range(c->value[k], v) ||
				    among(c->value[k], json_is_string(v) ? json_string_value(v) : num));
		}
		j->flows[i] += fit;
	}
}

#define OWN_WORDS 8

static int own_words(const struct scenario *s, char word[OWN_WORDS][32])
{
	int n = 0, used;

	for (const char *p = s->own; n < OWN_WORDS && sscanf(p, "%31s%n", word[n], &used) == 1; p += used)
		n++;
	return n;
}

static void note_own(struct judge *j, const char *why)
{
	char word[OWN_WORDS][32];

	for (int i = 0; i < own_words(j->s, word); i++)
		j->own |= strstr(why, word[i]) ? 1u << i : 0;
}

static int read_events(struct judge *j, const char *file)
{
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t room = 0;
	json_error_t err;

	if (!f) {
		say(j, "no events at all");
		return -1;
	}
	while (getline(&line, &room, f) > 0) {
		json_t *e = json_loads(line, 0, &err);
		const char *type;

		j->lines++;
		if (!e) {
			say(j, "line %u is not JSON: %s", j->lines, err.text);
			j->bad = true;
			break;
		}
		type = text(e, "event_type");
		if (!strcmp(type, "finding"))
			note_finding(j, json_object_get(e, "finding"));
		else if (!strcmp(type, "rst"))
			note_rst(j, e, json_object_get(e, "rst"));
		else if (!strcmp(type, "flow"))
			note_flow(j, e, json_object_get(e, "flow"));
		else if (!strcmp(type, "tool") &&
			 !strcmp(text(json_object_get(e, "tool"), "action"), "lost"))
			note_own(j, text(json_object_get(e, "tool"), "why"));
		else if (!strcmp(type, "tool") &&
			 !strcmp(text(json_object_get(e, "tool"), "action"), "stop")) {
			json_decref(j->stop);
			j->stop = json_incref(json_object_get(e, "tool"));
		}
		json_decref(e);
	}
	free(line);
	fclose(f);
	return 0;
}

static void read_forged(struct judge *j)
{
	FILE *f = j->t->forged_log ? fopen(j->t->forged_log, "r") : NULL;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		struct key k = { 0 };

		if (sscanf(line, "forged %47s %u %47s %u", k.cli, &k.cport, k.srv, &k.sport) == 4 &&
		    j->forgeries < KEYS && !find_key(j, j->forged, j->forgeries, &k))
			j->forged[j->forgeries++] = k;
	}
	if (f)
		fclose(f);
}

static double number(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* A named value of a claim against what is true. False: out of tolerance, told. */
static bool value_ok(struct judge *j, const struct expect *e, int i, const json_t *f, bool tell)
{
	const char *name = e->num[i].name;
	double want = e->num[i].value, got, off;

	if (e->num[i].mark) {
		want = e->num[i].mark == 1 ? j->t->on_at : j->t->off_at;
		got = when(text(f, name));
		off = got ? got - want : NAN;
	} else {
		const json_t *est = json_object_get(f, "estimate");

		got = number(json_object_get(est, name));
		if (isnan(got))
			got = number(json_object_get(f, name));
		off = got - want;
	}
	if (!isnan(off) &&
	    (fabs(off) <= e->num[i].abs || fabs(off) <= e->num[i].rel * fabs(want))) {
		if (tell)
			say(j, e->num[i].mark ? "%s %+.1f s" : "%s %.6g", name,
			    e->num[i].mark ? off : got);
		return true;
	}
	if (tell) {
		if (isnan(off))
			say(j, "WRONG: %s has no %s", e->kind, name);
		else if (e->num[i].mark)
			say(j, "WRONG: %s %+.1f s", name, off);
		else
			say(j, "WRONG: %s %.6g, true is %.6g", name, got, want);
	}
	return false;
}

static bool values_ok(struct judge *j, const struct expect *e, const json_t *f, bool tell)
{
	bool ok = true;

	for (int i = 0; i < e->nums; i++)
		ok &= value_ok(j, e, i, f, tell);
	return ok;
}

static void describe(struct judge *j, const char *word, const json_t *f)
{
	double bps = number(json_object_get(json_object_get(f, "estimate"), "limit_bps"));

	say(j, "%s %s/%s %s %s", word, text(f, "kind"), text(f, "subkind"), text(f, "type"),
	    text(f, "direction"));
	if (!isnan(bps))
		say(j, "%.4g bit/s", bps);
}

static void judge_claims(struct judge *j)
{
	bool used[CLAIMS] = { false };
	int finds = j->t->on ? j->s->finds : 0, allows = j->t->on ? j->s->allows : 0;

	for (int i = 0; i < finds; i++) {
		const struct expect *e = &j->s->find[i];
		int first = -1, good = -1;

		for (unsigned k = 0; k < j->claims; k++)
			if (fits(e, j->claim[k])) {
				used[k] = true;
				if (first < 0)
					first = k;
				if (good < 0 && values_ok(j, e, j->claim[k], false))
					good = k;
			}
		if (first < 0) {
			say(j, "MISSED %s %s %s", e->kind, e->type, e->direction);
			j->bad = true;
			continue;
		}
		describe(j, "found", j->claim[good >= 0 ? good : first]);
		if (!values_ok(j, e, j->claim[good >= 0 ? good : first], true))
			j->bad = true;
	}
	for (unsigned k = 0; k < j->claims; k++) {
		bool fine = used[k];

		for (int i = 0; i < allows && !fine; i++)
			fine = fits(&j->s->allow[i], j->claim[k]);
		if (!fine) {
			describe(j, "FALSE", j->claim[k]);
			j->bad = true;
		}
	}
}

static void judge_resets(struct judge *j)
{
	unsigned hit = 0, honest = 0;

	for (unsigned i = 0; i < j->forgeries; i++)
		hit += find_key(j, j->suspect, j->suspects, &j->forged[i]) != NULL;
	for (unsigned i = 0; i < j->suspects; i++)
		honest += !find_key(j, j->forged, j->forgeries, &j->suspect[i]);
	if (honest && !(j->s->any_suspects && j->t->on)) {
		say(j, "WRONG: %u flows with honest resets are suspects", honest);
		j->bad = true;
	}
	if (j->t->on && j->s->forged >= 0) {
		say(j, "forged resets %u of %u flows", hit, j->forgeries);
		if (!j->forgeries || hit < j->s->forged * j->forgeries) {
			say(j, "WRONG: too few");
			j->bad = true;
		}
	}
}

static void judge_flows(struct judge *j)
{
	for (int i = 0; j->t->on && i < j->s->flows; i++) {
		const struct flow_check *c = &j->s->flow[i];

		if (j->flows[i] < c->least || j->flows[i] > c->most) {
			say(j, "WRONG: %u flows with %s=%s", j->flows[i], c->key[0], c->value[0]);
			j->bad = true;
		}
	}
}

/* A forged packet is told of within a second of it; what a busy machine stood still, and our own look, aside. */
static void judge_delay(struct judge *j)
{
	const struct truth *t = j->t;

	for (int i = 0; t->live && t->on && i < j->s->finds; i++) {
		if (!injects(&j->s->find[i]))
			continue;
		say(j, "told %.2f s after the packet, claimed %.2f s", t->told[i], t->claimed[i]);
		if (t->told[i] && t->told[i] <= 1 + 2 * SCEN_LOOK_S + t->lag)
			continue;
		say(j, "WRONG: too late, the machine having stood still for %.2f s", t->lag);
		j->bad = true;
	}
}

static double sum(const json_t *o)
{
	const char *key;
	json_t *v;
	double s = 0;

	json_object_foreach((json_t *)o, key, v) s += json_number_value(v);
	return s;
}

/* seen = in_flows + elsewhere, and what the interface counted. */
static void judge_totals(struct judge *j)
{
	const json_t *p = json_object_get(j->stop, "packets"),
		     *r = json_object_get(j->stop, "records");
	double seen = number(json_object_get(p, "seen")),
	       in = number(json_object_get(p, "in_flows"));
	const json_t *l = json_object_get(r, "lost");
	/* Not what was held back by design and counted: resets under a flood, holes beyond the
	 * table. */
	double lost = json_number_value(json_object_get(l, "ring_full")) +
		      json_number_value(json_object_get(l, "budget"));
	char word[OWN_WORDS][32];
	double least = j->t->iface_least, most = j->t->iface_most;

	if (!j->stop || isnan(seen) || isnan(in)) {
		say(j, "WRONG: no tool event that says stop, or no packets in it");
		j->bad = true;
		return;
	}
	for (int i = 0; i < own_words(j->s, word) && j->t->on; i++)
		if (!(j->own & 1u << i)) {
			say(j, "WRONG: no word of \"%s\"", word[i]);
			j->bad = true;
		}
	if (seen != in + sum(json_object_get(p, "elsewhere"))) {
		say(j, "WRONG: seen %.0f, in flows %.0f, elsewhere %.0f", seen, in,
		    sum(json_object_get(p, "elsewhere")));
		j->bad = true;
	}
	if (lost && !j->s->loss_of_records_ok && !j->s->lost) {
		say(j, "WRONG: %.0f records lost", lost);
		j->bad = true;
	}
	if (j->s->lost && most && j->t->on) {
		say(j, "%.0f records lost", lost);
		if (lost < j->s->lost) {
			say(j, "WRONG: none lost, or not counted");
			j->bad = true;
		}
	}
	/* What our own queues drop passed us, and never left. */
	if (most && !j->s->offloads && !*j->s->own &&
	    (seen < least - 30 - 0.01 * least || seen > most + 30 + 0.01 * most)) {
		say(j, "WRONG: weir saw %.0f packets, the interface counted %.0f to %.0f", seen,
		    least, most);
		j->bad = true;
	}
}

/* What this run was to find, for the one who reads of its failure far from the scenario's file. */
static void tell_expected(struct judge *j)
{
	int finds = j->t->on ? j->s->finds : 0;

	if (!finds)
		say(j, j->t->on ? "EXPECTED no claim" : "EXPECTED no claim, the impairment being off");
	for (int i = 0; i < finds; i++) {
		const struct expect *e = &j->s->find[i];

		say(j, "EXPECTED %s%s%s%s%s", e->kind, *e->type ? " type=" : "", e->type,
		    *e->direction ? " " : "", e->direction);
	}
}

enum verdict scen_judge(const struct scenario *s, const struct truth *t, const char *events,
			char *why, size_t room)
{
	struct judge *j = calloc(1, sizeof(*j));
	enum verdict v = FAIL;
	const char *id;
	json_t *f;

	*why = 0;
	if (!j)
		return FAIL;
	j->s = s;
	j->t = t;
	j->why = why;
	j->room = room;
	j->finding = json_object();
	if (!read_events(j, events)) {
		json_object_foreach(j->finding, id,
				    f) if (json_integer_value(json_object_get(f, "best")) &&
					   j->claims < CLAIMS) j->claim[j->claims++] =
			json_object_get(f, "last");
		read_forged(j);
		judge_claims(j);
		judge_resets(j);
		judge_flows(j);
		judge_delay(j);
		judge_totals(j);
		v = j->bad ? FAIL : PASS;
		if (j->bad)
			tell_expected(j);
		if (!j->at)
			say(j, "silent, as it should be");
	}
	json_decref(j->finding);
	json_decref(j->stop);
	free(j);
	return v;
}
