// SPDX-License-Identifier: GPL-2.0-or-later
#include "history.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "interval.h"
#include "jbuf.h"
#include "out.h"

#define SECOND	   1000000000ull
#define PAGE_SIZE  4096
#define PAGES_MAX  (200000000 / PAGE_SIZE - 1100) /* beside it the log, bounded below */
#define LOG_BYTES  "4000000"
#define BUSY_MS	   2000
#define PENDING    64 /* findings that wait for room on the disk */
#define TIDY_EVERY 360 /* rows of 10 s: an hour */

const struct history_table history_tables[HISTORY_TABLES] = {
	{ "series_10s", 10, 2 * 86400 },
	{ "series_1m", 60, 30 * 86400 },
	{ "series_1h", 3600, 731 * 86400 },
};

#define SERIES_COLUMNS                                                                    \
	"t INTEGER, type INTEGER, packets_up INTEGER, packets_down INTEGER, bytes_up INTEGER," \
	" bytes_down INTEGER, data_up INTEGER, data_down INTEGER, lost_up INTEGER,"            \
	" lost_down INTEGER, retx_up INTEGER, retx_down INTEGER, flows INTEGER, rsts INTEGER," \
	" rtt_n INTEGER, rtt_us INTEGER, PRIMARY KEY (t, type)) WITHOUT ROWID;"
#define SERIES_VALUES 14

static const char schema[] =
	"CREATE TABLE run (id INTEGER PRIMARY KEY, start INTEGER NOT NULL, pid INTEGER);"
	"CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE finding (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, number INTEGER NOT NULL,"
	" kind TEXT NOT NULL, subkind TEXT NOT NULL, level INTEGER NOT NULL, type TEXT, app TEXT,"
	" direction TEXT, start INTEGER NOT NULL, end INTEGER, updated INTEGER NOT NULL,"
	" closed INTEGER NOT NULL, confidence REAL, flows INTEGER, clients INTEGER,"
	" servers INTEGER, what TEXT, body TEXT NOT NULL, UNIQUE (run, number));"
	"CREATE INDEX finding_start ON finding (start);"
	"CREATE INDEX finding_updated ON finding (updated);"
	"CREATE TABLE series_10s (" SERIES_COLUMNS "CREATE TABLE series_1m (" SERIES_COLUMNS
	"CREATE TABLE series_1h (" SERIES_COLUMNS;

/* What a type carried in the 10 s that run. */
struct sums {
	int64_t v[SERIES_VALUES - 1]; /* packets_up to rtt_n */
	double rtt_us;		      /* times samples */
	bool any;
};

struct row {
	unsigned number;
	sqlite3_int64 values[10]; /* level, start, end (0: none), updated, closed, flows, clients, servers */
	double confidence;
	char *kind, *subkind, *type, *app, *direction, *what, *body; /* one allocation, at kind */
};

struct history {
	sqlite3 *db;
	sqlite3_stmt *add[HISTORY_TABLES], *finding, *type, *type_id;
	sqlite3_int64 run, type_of[MAX_TYPES]; /* 0: not looked up */
	uint64_t bucket, dropped, tidied;
	struct interval before;
	struct sums sums[MAX_TYPES];
	struct row pending[PENDING];
	unsigned npending;
	bool said;
	const struct model *model; /* valid while the sink is called */
	uint64_t last_ns;	   /* of the traffic that is in the sums */
};

static bool run_sql(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int pragma(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int v = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return v;
}

static sqlite3 *refuse(sqlite3 *db, struct history_error *e, int code, const char *path,
		       const char *what, const char *advice)
{
	e->code = code;
	snprintf(e->text, sizeof(e->text), "can't use the history %s: %s. %s", path, what, advice);
	sqlite3_close(db);
	return NULL;
}

sqlite3 *history_open(const char *path, bool write, struct history_error *e)
{
	char sql[160];
	sqlite3 *db = NULL;
	int version, err;

	if (!write && access(path, F_OK))
		return refuse(NULL, e, EX_NOINPUT, path, "no such file",
			      "weir watch --history FILE writes one.");
	err = sqlite3_open_v2(path, &db, write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
					       : SQLITE_OPEN_READWRITE, NULL);
	if (err == SQLITE_CANTOPEN && !write) {
		sqlite3_close(db);
		err = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	}
	/* A reader that may not make the log's files needs none where nobody writes. */
	if (err == SQLITE_OK && !write && pragma(db, "PRAGMA user_version") < 0 &&
	    (sqlite3_errcode(db) == SQLITE_CANTOPEN || sqlite3_errcode(db) == SQLITE_READONLY)) {
		char uri[4096];

		sqlite3_close(db);
		sqlite3_snprintf(sizeof(uri), uri, "file:%s?immutable=1", path);
		err = strpbrk(path, "?#%") ? SQLITE_CANTOPEN
					   : sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	}
	if (err != SQLITE_OK)
		return refuse(db, e, write ? EX_CANTCREAT : EX_NOINPUT, path,
			      db ? sqlite3_errmsg(db) : "out of memory",
			      "Name a file in a directory that can be written.");
	sqlite3_busy_timeout(db, BUSY_MS);
	version = pragma(db, "PRAGMA user_version");
	if (version < 0) {
		err = sqlite3_errcode(db);
		return refuse(db, e, err == SQLITE_NOTADB ? EX_DATAERR : EX_IOERR, path,
			      sqlite3_errmsg(db), "Name another file.");
	}
	if (version > HISTORY_SCHEMA) {
		snprintf(sql, sizeof(sql), "its schema is %d, this weir knows up to %d", version,
			 HISTORY_SCHEMA);
		return refuse(db, e, EX_DATAERR, path, sql, "Use a newer weir, or another file.");
	}
	if (version && pragma(db, "PRAGMA application_id") != HISTORY_APP)
		return refuse(db, e, EX_DATAERR, path, "it is some other program's database",
			      "Name another file.");
	if (!version && (pragma(db, "SELECT count(*) FROM sqlite_master") > 0 || !write))
		return refuse(db, e, EX_DATAERR, path, "it is no history", "Name another file.");
	if (!write)
		return db;
	snprintf(sql, sizeof(sql), "PRAGMA page_size=%d; PRAGMA journal_mode=WAL", PAGE_SIZE);
	if (!run_sql(db, sql))
		goto broken;
	/* a commit survives a kill; a power cut may take the last ones, never the file */
	snprintf(sql, sizeof(sql), "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=" LOG_BYTES
		 "; PRAGMA max_page_count=%d", PAGES_MAX);
	if (!run_sql(db, sql))
		goto broken;
	if (version)
		return db;
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d", HISTORY_APP,
		 HISTORY_SCHEMA);
	if (run_sql(db, "BEGIN IMMEDIATE") && run_sql(db, schema) && run_sql(db, sql) &&
	    run_sql(db, "COMMIT"))
		return db;
broken:
	return refuse(db, e, EX_CANTCREAT, path, sqlite3_errmsg(db),
		      "Free space, or name another file.");
}

/* A write failed: what it carried is lost, the program goes on. */
static void drop(struct history *h)
{
	h->dropped++;
	if (h->said)
		return;
	h->said = true;
	notice("the history can't be written: %s. It goes on without; free space on its disk.",
	       sqlite3_errmsg(h->db));
}

static bool step(sqlite3_stmt *s)
{
	bool ok = sqlite3_step(s) == SQLITE_DONE;

	sqlite3_reset(s);
	return ok;
}

static sqlite3_int64 type_row(struct history *h, const struct model *m, unsigned type)
{
	const char *name = model_type_name(m, type);
	sqlite3_int64 id = 0;

	if (h->type_of[type])
		return h->type_of[type];
	sqlite3_bind_text(h->type, 1, name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(h->type_id, 1, name, -1, SQLITE_TRANSIENT);
	if (step(h->type) && sqlite3_step(h->type_id) == SQLITE_ROW)
		id = sqlite3_column_int64(h->type_id, 0);
	sqlite3_reset(h->type_id);
	return h->type_of[type] = id;
}

/* ---- findings ---- */

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	if (text && *text)
		sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, at);
}

static bool put_row(struct history *h, const struct row *r)
{
	const char *text[] = { r->kind, r->subkind, r->type, r->app, r->direction, r->what, r->body };
	sqlite3_stmt *s = h->finding;

	sqlite3_bind_int64(s, 1, h->run);
	sqlite3_bind_int64(s, 2, r->number);
	for (int i = 0; i < 7; i++)
		bind_text(s, 3 + i, text[i]);
	for (int i = 0; i < 8; i++)
		sqlite3_bind_int64(s, 10 + i, r->values[i]);
	if (!r->values[2])
		sqlite3_bind_null(s, 12);
	sqlite3_bind_double(s, 18, r->confidence);
	sqlite3_bind_int64(s, 19, r->number);
	return step(s);
}

static bool make_row(struct row *r, const struct model *m, const struct finding *f,
		     enum finding_action action, uint64_t time_ns)
{
	const char *text[7] = { kind_name(f->kind), subkind_name(f->subkind),
				f->type >= 0 ? model_type_name(m, f->type) : "",
				f->app > 0 ? model_app_name(m, f->app) : "",
				direction_name(f->direction), f->what, NULL };
	char **to[7] = { &r->kind, &r->subkind, &r->type, &r->app, &r->direction, &r->what, &r->body };
	struct jbuf b = { 0 };
	size_t size = 0;
	char *p;

	finding_body(&b, m, f);
	jb_raw(&b, "", 1);
	if (b.failed) {
		jbuf_free(&b);
		return false;
	}
	text[6] = b.text;
	for (int i = 0; i < 7; i++)
		size += strlen(text[i] ? text[i] : "") + 1;
	p = malloc(size);
	for (int i = 0; i < 7 && p; i++) {
		*to[i] = p;
		p = stpcpy(p, text[i] ? text[i] : "") + 1;
	}
	jbuf_free(&b);
	r->number = f->id;
	r->values[0] = f->level;
	r->values[1] = f->start_ns / 1000;
	r->values[2] = f->end_ns / 1000;
	r->values[3] = time_ns / 1000;
	r->values[4] = action == FINDING_CLOSE || f->closed;
	r->values[5] = f->flows;
	r->values[6] = f->clients;
	r->values[7] = f->servers;
	r->confidence = f->confidence;
	return p;
}

/* Keeps a row until there is room; a newer one of the same finding replaces it. */
static void keep(struct history *h, struct row *r)
{
	for (unsigned i = 0; i < h->npending; i++)
		if (h->pending[i].number == r->number) {
			free(h->pending[i].kind);
			h->pending[i] = *r;
			return;
		}
	if (h->npending == PENDING) {
		free(r->kind);
		return;
	}
	h->pending[h->npending++] = *r;
}

static void write_pending(struct history *h)
{
	while (h->npending) {
		struct row *r = &h->pending[h->npending - 1];

		if (!put_row(h, r)) {
			drop(h);
			return;
		}
		free(r->kind);
		h->npending--;
	}
}

static void on_finding(void *s, const struct model *m, const struct finding *f,
		       enum finding_action action, uint64_t time_ns)
{
	struct history *h = s;
	struct row r = { 0 };

	h->model = m;
	if (!make_row(&r, m, f, action, time_ns)) {
		h->dropped++;
		return;
	}
	keep(h, &r);
	write_pending(h);
}

/* ---- series ---- */

static bool add_row(struct history *h, unsigned table, uint64_t t, sqlite3_int64 type,
		    const struct sums *x)
{
	sqlite3_stmt *s = h->add[table];

	sqlite3_bind_int64(s, 1, t - t % history_tables[table].width);
	sqlite3_bind_int64(s, 2, type);
	for (int i = 0; i < SERIES_VALUES - 1; i++)
		sqlite3_bind_int64(s, 3 + i, x->v[i]);
	sqlite3_bind_int64(s, 2 + SERIES_VALUES, x->rtt_us);
	return step(s);
}

/* What is older than its table keeps, findings as the coarsest; after that the pages are used again. */
static void tidy(struct history *h, uint64_t now)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "DELETE FROM finding WHERE updated < %lld",
		 ((long long)now - history_tables[HISTORY_TABLES - 1].keep) * 1000000);
	run_sql(h->db, sql);
	for (unsigned i = 0; i < HISTORY_TABLES; i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE t < %lld", history_tables[i].name,
			 (long long)now - history_tables[i].keep);
		run_sql(h->db, sql);
	}
}

/* Full all the same (more types than two years were planned for): the finest rows go first. */
static void make_room(struct history *h)
{
	run_sql(h->db, "DELETE FROM series_10s WHERE t < (SELECT avg(t) FROM series_10s)");
	run_sql(h->db, "DELETE FROM series_1m WHERE t < (SELECT avg(t) FROM series_1m)");
}

static void flush(struct history *h, const struct model *m)
{
	bool ok = run_sql(h->db, "BEGIN IMMEDIATE");
	uint64_t t = h->bucket * 10;

	for (unsigned type = 0; type < MAX_TYPES && ok; type++) {
		sqlite3_int64 id;

		if (!h->sums[type].any)
			continue;
		id = m ? type_row(h, m, type) : h->type_of[type];
		for (unsigned i = 0; i < HISTORY_TABLES && ok; i++)
			ok = id && add_row(h, i, t, id, &h->sums[type]);
	}
	if (ok && h->bucket - h->tidied >= TIDY_EVERY) {
		tidy(h, t);
		h->tidied = h->bucket;
	}
	ok = ok && run_sql(h->db, "COMMIT");
	if (!ok) {
		int err = sqlite3_errcode(h->db);

		drop(h);
		run_sql(h->db, "ROLLBACK");
		memset(h->type_of, 0, sizeof(h->type_of)); /* rows of types may be gone with it */
		if (err == SQLITE_FULL)
			make_room(h);
	} else {
		h->said = false;
	}
	memset(h->sums, 0, sizeof(h->sums));
	write_pending(h);
}

static void on_stats(void *s, const struct model *m, uint64_t time_ns, double interval_s)
{
	struct history *h = s;
	uint64_t middle = time_ns - (uint64_t)(interval_s * SECOND / 2), bucket = middle / SECOND / 10;
	unsigned n = model_types(m);

	h->model = m;
	h->last_ns = time_ns;
	if (bucket != h->bucket) {
		if (h->bucket)
			flush(h, m);
		h->bucket = bucket;
	}
	for (unsigned i = 0; i < n && i < MAX_TYPES; i++) {
		struct sums *x = &h->sums[i];
		struct type_stats t;

		interval_next(&h->before, m, i, &t, NULL);
		if (!t.packets[TO_SERVER] && !t.packets[TO_CLIENT])
			continue;
		x->any = true;
		for (unsigned w = 0; w < 2; w++) {
			x->v[w] += t.packets[w];
			x->v[2 + w] += t.bytes[w];
			x->v[4 + w] += t.tcp_data_packets[w]; /* what lost is a share of */
			x->v[6 + w] += t.lost[w];
			x->v[8 + w] += t.retx[w];
		}
		x->v[10] += t.flows_started;
		x->v[11] += t.rsts;
		x->v[12] += t.rtt.n;
		x->rtt_us += t.rtt.n * rtt_quantile_us(&t.rtt, 0.5);
		if (!h->type_of[i])
			type_row(h, m, i);
	}
}

static void on_flow(void *s, const struct model *m, const struct flow *f)
{
	((struct history *)s)->model = m;
}

/* What came since the last interval, at most ten seconds of it as one row. */
static void on_tool(void *s, const struct tool_event *e)
{
	struct history *h = s;
	uint64_t since = h->last_ns ? e->time_ns - h->last_ns : 0;

	if (e->action != TOOL_STOP || !h->model || e->time_ns < h->last_ns || !e->time_ns)
		return;
	on_stats(h, h->model, e->time_ns, since < 10 * SECOND ? (double)since / SECOND : 10);
}

static void on_close(void *s)
{
	struct history *h = s;

	if (h->bucket)
		flush(h, NULL);
	for (unsigned i = 0; i < h->npending; i++)
		free(h->pending[i].kind);
	for (unsigned i = 0; i < HISTORY_TABLES; i++)
		sqlite3_finalize(h->add[i]);
	sqlite3_finalize(h->finding);
	sqlite3_finalize(h->type);
	sqlite3_finalize(h->type_id);
	sqlite3_close(h->db);
	free(h);
}

uint32_t history_next(const struct sink_ref *sink)
{
	int id = pragma(((const struct history *)sink->s)->db,
			"SELECT min(coalesce(max(id), 0), 2000000000) FROM finding");

	return id >= 0 && id < 2000000000 ? (uint32_t)id + 1 : 1;
}

uint64_t history_dropped(const struct sink_ref *sink)
{
	return ((const struct history *)sink->s)->dropped;
}

static bool prepare(struct history *h)
{
	static const char finding[] =
		"INSERT INTO finding (id, run, number, kind, subkind, type, app, direction, what, body,"
		" level, start, end, updated, closed, flows, clients, servers, confidence)"
		" VALUES ((SELECT ?19 WHERE NOT EXISTS (SELECT 1 FROM finding WHERE id=?19)),"
		" ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18) ON CONFLICT (run, number) DO UPDATE SET"
		" subkind=excluded.subkind, direction=excluded.direction, what=excluded.what,"
		" body=excluded.body, level=excluded.level, start=excluded.start, end=excluded.end,"
		" updated=excluded.updated, closed=excluded.closed, flows=excluded.flows,"
		" clients=excluded.clients, servers=excluded.servers, confidence=excluded.confidence";
	static const char *const columns[] = { "packets_up", "packets_down", "bytes_up", "bytes_down",
					       "data_up",    "data_down",    "lost_up",	 "lost_down",
					       "retx_up",    "retx_down",    "flows",	 "rsts",
					       "rtt_n",	     "rtt_us" };
	bool ok = true;

	for (unsigned i = 0; i < HISTORY_TABLES && ok; i++) {
		char sql[1024];
		int n = snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES (?,?", history_tables[i].name);

		for (int c = 0; c < SERIES_VALUES; c++)
			n += snprintf(sql + n, sizeof(sql) - n, ",?");
		n += snprintf(sql + n, sizeof(sql) - n, ") ON CONFLICT (t, type) DO UPDATE SET ");
		for (int c = 0; c < SERIES_VALUES; c++)
			n += snprintf(sql + n, sizeof(sql) - n, "%s%s=%s+excluded.%s", c ? "," : "",
				      columns[c], columns[c], columns[c]);
		ok = sqlite3_prepare_v2(h->db, sql, -1, &h->add[i], NULL) == SQLITE_OK;
	}
	return ok && sqlite3_prepare_v2(h->db, finding, -1, &h->finding, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(h->db, "INSERT OR IGNORE INTO type (name) VALUES (?)", -1, &h->type,
				  NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(h->db, "SELECT id FROM type WHERE name=?", -1, &h->type_id, NULL) ==
		       SQLITE_OK;
}

bool history_time(const char *v, int64_t now_us, int64_t *us)
{
	static const char units[] = "smhdw";
	static const int64_t seconds[] = { 1, 60, 3600, 86400, 7 * 86400 };
	struct tm tm = { 0 };
	char *end;
	double n = strtod(v, &end);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (end != v && unit && !end[1] && n >= 0 && n < 1e6) {
		*us = now_us - (int64_t)(n * seconds[unit - units]) * 1000000ll;
		return true;
	}
	end = strptime(v, "%Y-%m-%d", &tm);
	if (end && (*end == 'T' || *end == ' ')) {
		const char *clock = end + 1;

		end = strptime(clock, "%H:%M:%S", &tm);
		if (!end)
			end = strptime(clock, "%H:%M", &tm);
	}
	if (!end || (*end && strcmp(end, "Z")))
		return false;
	*us = (int64_t)timegm(&tm) * 1000000ll;
	return true;
}

struct sink_ref history_sink(const char *path, struct history_error *e)
{
	static const struct sink ops = { .tool = on_tool, .flow = on_flow, .finding = on_finding,
					 .stats = on_stats, .close = on_close };
	struct history *h = calloc(1, sizeof(*h));
	char sql[128];

	if (!h) {
		refuse(NULL, e, EX_OSERR, path, "out of memory", "Free some.");
		return (struct sink_ref){ 0 };
	}
	h->db = history_open(path, true, e);
	if (!h->db) {
		free(h);
		return (struct sink_ref){ 0 };
	}
	snprintf(sql, sizeof(sql), "INSERT INTO run (start, pid) VALUES (strftime('%%s','now'), %d)",
		 (int)getpid());
	if (!prepare(h) || !run_sql(h->db, sql)) {
		refuse(NULL, e, EX_CANTCREAT, path, sqlite3_errmsg(h->db),
		       "Free space, or name another file.");
		on_close(h);
		return (struct sink_ref){ 0 };
	}
	h->run = sqlite3_last_insert_rowid(h->db);
	return (struct sink_ref){ &ops, h };
}
