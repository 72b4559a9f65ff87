// SPDX-License-Identifier: GPL-2.0-or-later
#include "report_history.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define US	 1000ull /* ns */
#define SECOND	 1000000000ull
#define AROUND	 1 / 4	 /* of its length, shown before and after a finding */
#define AROUND_S 300	 /* at least so much */

/* The types by the database's ids. */
struct types {
	sqlite3_int64 id[MAX_TYPES];
};

static const char *text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t ? t : "";
}

static bool prepare(sqlite3 *db, sqlite3_stmt **s, const char *sql)
{
	return sqlite3_prepare_v2(db, sql, -1, s, NULL) == SQLITE_OK;
}

/* The database may be anybody's: times out of any range are no times. */
static uint64_t ns_of(int64_t us)
{
	return us > 0 && us < 9000000000000000ll ? (uint64_t)us * US : 0;
}

static int type_named(struct report *r, const char *name)
{
	for (unsigned i = 0; i < r->ntypes; i++)
		if (!strcmp(r->type[i].name, name))
			return (int)i;
	if (r->ntypes == MAX_TYPES)
		return -1;
	snprintf(r->type[r->ntypes].name, sizeof(r->type[0].name), "%s", name);
	return (int)r->ntypes++;
}

static bool load_types(struct report *r, sqlite3 *db, struct types *t)
{
	sqlite3_stmt *s;
	int err;

	if (!prepare(db, &s, "SELECT id, name FROM type ORDER BY id LIMIT 256"))
		return false;
	while ((err = sqlite3_step(s)) == SQLITE_ROW) {
		int i = type_named(r, text(s, 1));

		if (i >= 0)
			t->id[i] = sqlite3_column_int64(s, 0);
	}
	sqlite3_finalize(s);
	return err == SQLITE_DONE;
}

static int type_of(const struct report *r, const struct types *t, sqlite3_int64 id)
{
	for (unsigned i = 0; i < r->ntypes; i++)
		if (t->id[i] == id)
			return (int)i;
	return -1;
}

/* ---- findings ---- */

static unsigned by_name(const char *(*name)(unsigned), unsigned n, const char *word)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(name(i), word))
			return i;
	return n;
}

static void add_fact(struct facts *to, const char *name, const json_t *value, const json_t *control,
		     const json_t *words)
{
	const char *t = json_string_value(words ? words : value);
	struct fact *f;

	if (to->n == FINDING_REASONS || !name)
		return;
	f = &to->fact[to->n++];
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->text, sizeof(f->text), "%s", t ? t : "");
	f->value = json_is_number(value) ? json_number_value(value) : NAN;
	f->control = json_is_number(control) ? json_number_value(control) : NAN;
}

static void facts_of(struct facts *to, const json_t *from, const char *name)
{
	const char *key;
	const json_t *v;
	size_t i;

	if (json_is_object(from)) {
		json_object_foreach((json_t *)from, key, v) {
			add_fact(to, key, v, NULL, NULL);
		}
	}
	json_array_foreach(from, i, v) {
		add_fact(to, json_string_value(json_object_get(v, name)), json_object_get(v, "value"),
			 json_object_get(v, "control"), json_object_get(v, "text"));
	}
}

static void body(struct finding *f, const char *members)
{
	size_t len = strlen(members) + 3;
	char *whole = malloc(len);
	const char *method;
	json_error_t err;
	json_t *j;

	if (!whole)
		return;
	snprintf(whole, len, "{%s}", members);
	j = json_loads(whole, 0, &err);
	free(whole);
	if (!j)
		return;
	method = json_string_value(json_object_get(j, "method"));
	snprintf(f->method, sizeof(f->method), "%s", method ? method : "");
	f->degraded = json_is_true(json_object_get(j, "degraded"));
	facts_of(&f->estimate, json_object_get(j, "estimate"), NULL);
	facts_of(&f->control, json_object_get(j, "control"), NULL);
	facts_of(&f->reasons, json_object_get(j, "reasons"), "test");
	facts_of(&f->ruled_out, json_object_get(j, "ruled_out"), "explanation");
	json_decref(j);
}

enum { ID, KIND, SUBKIND, LEVEL, TYPE, APP, DIRECTION, START, END, UPDATED, CLOSED, FLOWS, CLIENTS,
       SERVERS, WHAT, BODY, CONFIDENCE };

/* False: no finding that this program writes. */
static bool row(struct report *r, sqlite3_stmt *s, struct finding *f)
{
	memset(f, 0, sizeof(*f));
	f->id = (uint32_t)sqlite3_column_int64(s, ID);
	f->kind = by_name(kind_name, KIND_COUNT, text(s, KIND));
	f->subkind = by_name(subkind_name, SUBKIND_COUNT, text(s, SUBKIND));
	f->level = (enum level)sqlite3_column_int(s, LEVEL);
	f->direction = by_name(direction_name, DIRECTION_COUNT, text(s, DIRECTION));
	f->start_ns = ns_of(sqlite3_column_int64(s, START));
	if (f->kind == KIND_COUNT || f->subkind == SUBKIND_COUNT || f->direction == DIRECTION_COUNT ||
	    (unsigned)f->level >= LEVEL_COUNT || !f->start_ns)
		return false;
	f->closed = sqlite3_column_int(s, CLOSED);
	f->end_ns = ns_of(sqlite3_column_int64(s, END));
	if (!f->end_ns && f->closed)
		f->end_ns = ns_of(sqlite3_column_int64(s, UPDATED));
	f->type = *text(s, TYPE) ? type_named(r, text(s, TYPE)) : -1;
	f->flows = (uint32_t)sqlite3_column_int(s, FLOWS);
	f->clients = (uint32_t)sqlite3_column_int(s, CLIENTS);
	f->servers = (uint32_t)sqlite3_column_int(s, SERVERS);
	snprintf(f->what, sizeof(f->what), "%s", text(s, WHAT));
	f->confidence = sqlite3_column_double(s, CONFIDENCE);
	body(f, text(s, BODY));
	report_redact(f);
	return true;
}

static void add_span(struct report *r, const struct finding *f)
{
	struct report_finding one = { .f = *f };
	struct report_span s = { .kind = f->kind, .level = f->level, .open = !f->end_ns, .times = 1,
				 .start_ns = f->start_ns < r->start_ns ? r->start_ns : f->start_ns,
				 .end_ns = f->end_ns ? f->end_ns : r->end_ns };

	s.end_ns = s.end_ns > r->end_ns ? r->end_ns : s.end_ns;
	snprintf(s.subject, sizeof(s.subject), "%s", report_subject(r, &one));
	report_span_add(r, &s);
}

static bool load_findings(struct report *r, sqlite3 *db, const struct report_range *range)
{
	sqlite3_stmt *s;
	int err;

	if (!prepare(db, &s,
		     "SELECT id, kind, subkind, level, type, app, direction, start, end, updated,"
		     " closed, flows, clients, servers, what, body, confidence FROM finding"
		     " WHERE coalesce(end, updated) >= ?1 AND start <= ?2"
		     " AND (?3 IS NULL OR type = ?3) ORDER BY start DESC, id DESC"))
		return false;
	sqlite3_bind_int64(s, 1, range->since_us);
	sqlite3_bind_int64(s, 2, range->until_us);
	if (range->type)
		sqlite3_bind_text(s, 3, range->type, -1, SQLITE_STATIC);
	while ((err = sqlite3_step(s)) == SQLITE_ROW) {
		struct report_finding *p;
		struct finding f;

		if (!row(r, s, &f))
			continue;
		add_span(r, &f);
		r->total[f.level]++;
		p = report_place(r, &f, true);
		if (!p)
			continue;
		memset(p, 0, sizeof(*p));
		p->f = f;
		p->series = f.type;
		snprintf(p->app, sizeof(p->app), "%s", text(s, APP));
	}
	sqlite3_finalize(s);
	report_sort_spans(r);
	return err == SQLITE_DONE;
}

/* ---- series ---- */

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t v = 0;

	if (prepare(db, &s, sql) && sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

/* The finest table that still holds the beginning, as far as any does. */
static const struct history_table *table_for(sqlite3 *db, int64_t since_s)
{
	int64_t oldest[HISTORY_TABLES], first = INT64_MAX;
	char sql[64];

	for (unsigned i = 0; i < HISTORY_TABLES; i++) {
		snprintf(sql, sizeof(sql), "SELECT min(t) FROM %s", history_tables[i].name);
		oldest[i] = number(db, sql);
		if (oldest[i] < 0)
			oldest[i] = 0;
		if (oldest[i])
			first = oldest[i] < first ? oldest[i] : first;
	}
	for (unsigned i = 0; i < HISTORY_TABLES; i++)
		if (oldest[i] && oldest[i] - history_tables[i].width <= (since_s > first ? since_s : first))
			return &history_tables[i];
	return &history_tables[HISTORY_TABLES - 1];
}

/* What each type carried in the time of the report. */
static bool load_sums(struct report *r, sqlite3 *db, const struct types *types)
{
	int64_t from = (int64_t)(r->start_ns / SECOND), to = (int64_t)(r->end_ns / SECOND);
	const struct history_table *table = table_for(db, from);
	char sql[512];
	sqlite3_stmt *s;
	int err;

	snprintf(sql, sizeof(sql),
		 "SELECT type, sum(bytes_up), sum(bytes_down), sum(data_up), sum(data_down),"
		 " sum(lost_up), sum(lost_down), sum(flows), sum(rsts), sum(rtt_n), sum(rtt_us)"
		 " FROM %s WHERE t BETWEEN ?1 AND ?2 GROUP BY type",
		 table->name);
	if (!prepare(db, &s, sql))
		return false;
	sqlite3_bind_int64(s, 1, from - table->width);
	sqlite3_bind_int64(s, 2, to);
	while ((err = sqlite3_step(s)) == SQLITE_ROW) {
		int i = type_of(r, types, sqlite3_column_int64(s, 0));
		struct type_stats *t = &r->type[i];
		int64_t samples = sqlite3_column_int64(s, 9);

		if (i < 0)
			continue;
		for (int w = 0; w < 2; w++) {
			t->bytes[w] = (uint64_t)sqlite3_column_int64(s, 1 + w);
			t->tcp_data_packets[w] = (uint64_t)sqlite3_column_int64(s, 3 + w);
			t->lost[w] = (uint64_t)sqlite3_column_int64(s, 5 + w);
		}
		t->flows_started = (uint64_t)sqlite3_column_int64(s, 7);
		t->rsts = (uint64_t)sqlite3_column_int64(s, 8);
		r->rtt_ms[i] = samples > 0 ? (double)sqlite3_column_int64(s, 10) / samples / 1000 : 0;
	}
	sqlite3_finalize(s);
	return err == SQLITE_DONE;
}

static void one_row(struct report *r, struct report_finding *f, const struct types *types,
		    sqlite3_stmt *s, bool carried[MAX_TYPES])
{
	int type = type_of(r, types, sqlite3_column_int64(s, 1));
	int64_t bin = sqlite3_column_int64(s, 0);

	if (type < 0 || bin < 0)
		return;
	report_plot_add(&f->plot, r, f, (unsigned)type, (unsigned)bin,
			(double[2]){ sqlite3_column_double(s, 2), sqlite3_column_double(s, 3) },
			(double[2]){ sqlite3_column_double(s, 4), sqlite3_column_double(s, 5) });
	carried[type] = true;
}

/* The rates around a finding, as finely as its time is still held. */
static bool load_plot(struct report *r, struct report_finding *f, sqlite3 *db,
		      const struct types *types)
{
	const struct fact *names = report_fact(&f->f.control, "types");
	uint64_t start = f->f.start_ns / SECOND, end = (f->f.end_ns ? f->f.end_ns : r->end_ns) / SECOND,
		 around;
	bool carried[MAX_TYPES] = { false };
	const struct history_table *table;
	struct report_plot *p = &f->plot;
	char sql[320];
	sqlite3_stmt *s;
	uint64_t width;
	int err;

	end = end > start ? end : start + 1;
	around = (end - start) * AROUND > AROUND_S ? (end - start) * AROUND : AROUND_S;
	start = start > around ? start - around : 0;
	end += around;
	table = table_for(db, (int64_t)start);
	width = ((end - start) / REPORT_BINS / table->width + 1) * table->width;
	start -= start % width;
	snprintf(sql, sizeof(sql),
		 "SELECT (t - ?1) / ?3, type, sum(bytes_up), sum(bytes_down), sum(lost_up),"
		 " sum(lost_down) FROM %s WHERE t >= ?1 AND t < ?2 GROUP BY 1, 2",
		 table->name);
	if (!prepare(db, &s, sql))
		return false;
	sqlite3_bind_int64(s, 1, (int64_t)start);
	sqlite3_bind_int64(s, 2, (int64_t)end);
	sqlite3_bind_int64(s, 3, (int64_t)width);
	while ((err = sqlite3_step(s)) == SQLITE_ROW)
		one_row(r, f, types, s, carried);
	sqlite3_finalize(s);
	if (err != SQLITE_DONE)
		return false;
	p->start_ns = start * SECOND;
	p->width_ns = width * SECOND;
	p->n = (unsigned)((end - start + width - 1) / width);
	p->n = p->n < REPORT_BINS ? p->n : REPORT_BINS;
	p->end_ns = p->start_ns + p->n * p->width_ns;
	if (f->series < 0 || !carried[f->series])
		p->n = 0;
	for (unsigned i = 0; i < r->ntypes; i++)
		p->control_types += carried[i] && (int)i != f->series &&
				    (!names || !*names->text || report_listed(names->text, r->type[i].name));
	snprintf(p->control_names, sizeof(p->control_names), "%s",
		 names && *names->text ? names->text : "all other types together");
	if (f->f.kind == KIND_RATE_LIMIT && f->f.type >= 0 && p->n > 1) {
		f->curve.start_ns = p->start_ns;
		f->curve.width_ns = p->width_ns;
		f->curve.n = p->n;
		memcpy(f->curve.bytes, p->bytes[0], sizeof(f->curve.bytes));
		memcpy(f->curve.lost, p->lost, sizeof(f->curve.lost));
	}
	return true;
}

static int64_t seconds_us(int64_t s)
{
	return s > 0 && s < 9000000000ll ? s * 1000000 : 0;
}

/* What was asked for, as far as the history reaches. */
static void extent(struct report *r, sqlite3 *db, const struct report_range *range)
{
	int64_t first = number(db, "SELECT min(start) FROM finding"),
		last = number(db, "SELECT max(max(updated), max(coalesce(end, 0))) FROM finding");

	for (unsigned i = 0; i < HISTORY_TABLES; i++) {
		char sql[64];
		int64_t t;

		snprintf(sql, sizeof(sql), "SELECT min(t) FROM %s", history_tables[i].name);
		t = seconds_us(number(db, sql));
		first = t && (!first || t < first) ? t : first;
		snprintf(sql, sizeof(sql), "SELECT max(t) FROM %s", history_tables[i].name);
		t = number(db, sql);
		t = t ? seconds_us(t) + history_tables[i].width * 1000000ll : 0;
		/* the hour's row is young while its hour lasts */
		last = i == 0 || !last ? (t > last ? t : last) : last;
	}
	first = range->since_us > first ? range->since_us : first;
	last = range->until_us < last ? range->until_us : last;
	r->start_ns = ns_of(first);
	r->end_ns = ns_of(last) > r->start_ns ? ns_of(last) : r->start_ns + 1;
}

bool report_history(struct report *r, sqlite3 *db, const struct report_range *range)
{
	struct types types = { { 0 } };
	char path[PATH_MAX];

	r->history = true;
	extent(r, db, range);
	if (!load_types(r, db, &types) || !load_findings(r, db, range) || !load_sums(r, db, &types))
		return false;
	for (unsigned i = 0; i < r->nfindings; i++) {
		struct report_finding *f = &r->finding[i];

		if (!load_plot(r, f, db, &types))
			return false;
		if (range->evidence && snprintf(path, sizeof(path), "%s/%u.pcapng", range->evidence,
						f->f.id) < (int)sizeof(path))
			report_packets_file(f, path);
	}
	return true;
}
