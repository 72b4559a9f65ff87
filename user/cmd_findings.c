// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weir findings: what the history kept. Without an argument every finding of
 * the time asked for and a summary by channel: since when, how often, for how
 * long, is it getting worse; with an id that finding in full.
 */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "client.h"
#include "error.h"
#include "format.h"
#include "history.h"
#include "jbuf.h"
#include "out.h"

#define CHANNELS_SHOWN 32
#define US	       1000000ll

#define COLUMNS                                                                              \
	"id, kind, subkind, level, coalesce(type, '-'), direction, start, end, updated, closed," \
	" flows, clients, servers, coalesce(what, ''), body, confidence"

enum { ID, KIND, SUBKIND, LEVEL, TYPE, DIRECTION, START, END, UPDATED, CLOSED, FLOWS, CLIENTS,
       SERVERS, WHAT, BODY, CONFIDENCE };

static const char *text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t ? t : "";
}

/* To the newest failure known: its end, or when it was last heard of. */
static int64_t until(sqlite3_stmt *s)
{
	return sqlite3_column_type(s, END) == SQLITE_NULL ? sqlite3_column_int64(s, UPDATED)
							  : sqlite3_column_int64(s, END);
}

/* ---- the list ---- */

struct channel {
	char type[48], kind[48];
	unsigned times, open;
	int64_t first, last, total; /* µs */
	int64_t half[2];	    /* of the time, by halves of the range */
};

static void sum_up(struct channel *c, unsigned *n, sqlite3_stmt *s, int64_t from, int64_t to)
{
	int64_t start = sqlite3_column_int64(s, START), end = until(s), middle = from / 2 + to / 2;
	unsigned i;

	if (sqlite3_column_int(s, LEVEL) < LEVEL_LIKELY)
		return;
	for (i = 0; i < *n; i++)
		if (!strcmp(c[i].type, text(s, TYPE)) && !strcmp(c[i].kind, text(s, KIND)))
			break;
	if (i == CHANNELS_SHOWN)
		return;
	if (i == *n) {
		memset(&c[i], 0, sizeof(c[i]));
		snprintf(c[i].type, sizeof(c[i].type), "%s", text(s, TYPE));
		snprintf(c[i].kind, sizeof(c[i].kind), "%s", text(s, KIND));
		c[i].first = start;
		++*n;
	}
	if (end < start)
		end = start;
	c[i].times++;
	c[i].open += !sqlite3_column_int(s, CLOSED);
	c[i].first = start < c[i].first ? start : c[i].first;
	c[i].last = end > c[i].last ? end : c[i].last;
	c[i].total += end - start;
	c[i].half[0] += start < middle ? (end < middle ? end : middle) - start : 0;
	c[i].half[1] += end > middle ? end - (start > middle ? start : middle) : 0;
}

/* By how long it lasted in the newer half against the older one. */
static const char *trend(const struct channel *c)
{
	if (c->times < 2)
		return "once";
	if (c->half[1] > 1.5 * c->half[0])
		return "worse";
	return c->half[0] > 1.5 * c->half[1] ? "better" : "steady";
}

static void stamp(char out[TIME_LEN], int64_t us)
{
	format_time(out, (uint64_t)us * 1000);
	out[19] = 'Z'; /* whole seconds */
	out[20] = 0;
}

static void plain(const char *t, int width)
{
	char copy[128];

	format_plain(copy, sizeof(copy), t);
	output_printf("%-*s ", width, copy);
}

static void print_row(sqlite3_stmt *s)
{
	char from[TIME_LEN], age[16];

	stamp(from, sqlite3_column_int64(s, START));
	format_age(age, (until(s) - sqlite3_column_int64(s, START)) / 1e6);
	output_printf("%5lld  %s %6s%c ", (long long)sqlite3_column_int64(s, ID), from, age,
		      sqlite3_column_int(s, CLOSED) ? ' ' : '+');
	plain(level_name(sqlite3_column_int(s, LEVEL)), 12);
	plain(text(s, KIND), 15);
	plain(text(s, SUBKIND), 9);
	plain(text(s, TYPE), 20);
	plain(text(s, DIRECTION), 4);
	plain(text(s, WHAT), 0);
	output_printf("\n");
}

static void print_json(sqlite3_stmt *s)
{
	struct jbuf b = { 0 };
	const char *body = text(s, BODY);

	jb_open(&b, NULL, '{');
	jb_time(&b, "timestamp", (uint64_t)sqlite3_column_int64(s, UPDATED) * 1000);
	jb_u64(&b, "schema", 1);
	jb_str(&b, "event_type", "finding");
	jb_open(&b, "finding", '{');
	jb_u64(&b, "id", sqlite3_column_int64(s, ID));
	jb_str(&b, "action", sqlite3_column_int(s, CLOSED) ? "close" : "update");
	if (*body) {
		jb_raw(&b, ",", 1);
		jb_raw(&b, body, strlen(body));
	}
	jb_close(&b, '}');
	jb_close(&b, '}');
	jb_raw(&b, "\n", 1);
	if (!b.failed)
		output_write(b.text, b.len);
	jbuf_free(&b);
}

static void print_channels(const struct channel *c, unsigned n)
{
	char first[TIME_LEN], last[TIME_LEN], total[16];

	if (!n)
		return;
	output_printf("\n%-20s %-15s %5s  %-20s  %-20s %7s  %s\n", "channel", "kind", "times",
		      "since", "last", "in all", "trend");
	for (unsigned i = 0; i < n; i++) {
		stamp(first, c[i].first);
		stamp(last, c[i].last);
		format_age(total, c[i].total / 1e6);
		plain(c[i].type, 20);
		output_printf("%-15s %5u  %-20s  %-20s %7s  %s%s\n", c[i].kind, c[i].times, first,
			      c[i].open ? "going on" : last, total, trend(&c[i]),
			      c[i].open ? ", open" : "");
	}
}

/* ---- one finding ---- */

static void print_value(const json_t *v)
{
	if (json_is_real(v))
		output_printf(" %.4g", json_real_value(v));
	else if (json_is_integer(v))
		output_printf(" %lld", (long long)json_integer_value(v));
}

static void print_facts(const char *title, const json_t *facts, const char *name_key)
{
	const char *key;
	const json_t *v;
	size_t i;
	char plain_text[160];

	if (json_is_object(facts)) {
		json_object_foreach((json_t *)facts, key, v) {
			format_plain(plain_text, sizeof(plain_text), json_is_string(v) ? json_string_value(v) : "");
			output_printf("  %-10s %s", title, key);
			print_value(v);
			output_printf("%s%s\n", *plain_text ? " " : "", plain_text);
			title = "";
		}
		return;
	}
	json_array_foreach(facts, i, v) {
		const char *t = json_string_value(json_object_get(v, "text"));

		format_plain(plain_text, sizeof(plain_text), t ? t : "");
		key = json_string_value(json_object_get(v, name_key));
		output_printf("  %-10s %s", title, key ? key : "?");
		print_value(json_object_get(v, "value"));
		if (json_object_get(v, "control")) {
			output_printf(", control");
			print_value(json_object_get(v, "control"));
		}
		output_printf("%s%s\n", t ? ": " : "", plain_text);
		title = "";
	}
}

static void print_full(sqlite3_stmt *s)
{
	const char *body = text(s, BODY);
	char from[TIME_LEN], to[TIME_LEN];
	json_error_t err;
	json_t *j = NULL;
	char *whole = malloc(strlen(body) + 3);

	if (whole) {
		sprintf(whole, "{%s}", body);
		j = json_loads(whole, 0, &err);
		free(whole);
	}
	print_row(s);
	stamp(from, sqlite3_column_int64(s, START));
	stamp(to, until(s));
	output_printf("  from       %s to %s%s\n  clients    %d, servers %d, flows %d\n", from, to,
		      sqlite3_column_int(s, CLOSED) ? "" : " (going on when last heard of)",
		      sqlite3_column_int(s, CLIENTS), sqlite3_column_int(s, SERVERS),
		      sqlite3_column_int(s, FLOWS));
	if (!j)
		return;
	print_facts("estimate", json_object_get(j, "estimate"), NULL);
	print_facts("control", json_object_get(j, "control"), NULL);
	print_facts("because", json_object_get(j, "reasons"), "test");
	print_facts("ruled out", json_object_get(j, "ruled_out"), "explanation");
	json_decref(j);
}

static int failed(sqlite3 *db, const char *path)
{
	int code = fail(EX_IOERR, "can't read the history %s: %s. Try again, or check the disk.", path,
			sqlite3_errmsg(db));

	sqlite3_close(db);
	return code;
}

static int one(sqlite3 *db, const struct options *o)
{
	const char *arg = o->args[0];
	sqlite3_stmt *s;
	char *end;
	long long id = strtoll(*arg == '#' ? arg + 1 : arg, &end, 10);
	int err;

	if (*end || end == arg || id <= 0) {
		sqlite3_close(db);
		return fail(EX_USAGE, "\"%s\" is no finding's number. weir findings lists them.", arg);
	}
	if (sqlite3_prepare_v2(db, "SELECT " COLUMNS " FROM finding WHERE id=?", -1, &s, NULL))
		return failed(db, o->history);
	sqlite3_bind_int64(s, 1, id);
	err = sqlite3_step(s);
	if (err == SQLITE_ROW && o->json)
		print_json(s);
	else if (err == SQLITE_ROW)
		print_full(s);
	sqlite3_finalize(s);
	if (err != SQLITE_ROW && err != SQLITE_DONE)
		return failed(db, o->history);
	sqlite3_close(db);
	if (err == SQLITE_DONE)
		return fail(EX_NOINPUT, "there is no finding %lld. weir findings lists them.", id);
	return output_code();
}

static int list(sqlite3 *db, const struct options *o, int64_t since, int64_t first, int64_t last)
{
	struct channel c[CHANNELS_SHOWN];
	unsigned n = 0, rows = 0;
	sqlite3_stmt *s;
	int err;

	/* what was still heard of since then, newest last */
	if (sqlite3_prepare_v2(db,
			       "SELECT " COLUMNS " FROM finding WHERE updated >= ?1"
			       " AND (?2 IS NULL OR type = ?2) ORDER BY start, id",
			       -1, &s, NULL))
		return failed(db, o->history);
	sqlite3_bind_int64(s, 1, since);
	if (o->type)
		sqlite3_bind_text(s, 2, o->type, -1, SQLITE_STATIC);
	while ((err = sqlite3_step(s)) == SQLITE_ROW && output_ok()) {
		if (!rows++ && !o->json)
			output_printf("%5s  %-20s %6s  %-12s %-15s %-9s %-20s %-4s %s\n", "id",
				      "since", "for", "level", "kind", "subkind", "type", "way",
				      "what");
		if (o->json)
			print_json(s);
		else
			print_row(s);
		sum_up(c, &n, s, first, last);
	}
	sqlite3_finalize(s);
	if (err != SQLITE_DONE && err != SQLITE_ROW)
		return failed(db, o->history);
	sqlite3_close(db);
	if (!o->json && !rows)
		output_printf("no findings\n");
	if (!o->json)
		print_channels(c, n);
	return output_code();
}

/* The first start and the newest word of all findings; false: none. */
static bool extent(sqlite3 *db, int64_t *first, int64_t *last)
{
	sqlite3_stmt *s;
	bool any = sqlite3_prepare_v2(db, "SELECT min(start), max(updated) FROM finding", -1, &s,
				      NULL) == SQLITE_OK &&
		   sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL;

	*first = any ? sqlite3_column_int64(s, 0) : 0;
	*last = any ? sqlite3_column_int64(s, 1) : 0;
	sqlite3_finalize(s);
	return any;
}

/* Of the daemon that runs: where it keeps its history. Who is in its group may read it. */
static int with_daemons_history(const struct options *o)
{
	const struct request r = { .what = REQUEST_HELLO };
	struct options of_daemon = *o;
	struct client c;
	int code, joined = client_join(&c, o, &r, &code);

	if (joined < 0)
		return code;
	if (joined && c.history[0]) {
		of_daemon.history = c.history;
		code = cmd_findings(&of_daemon);
	} else {
		code = fail(EX_USAGE, joined ? "the daemon keeps no history. Give it [history] file, or name one with --history FILE."
					     : "which history? weir findings --history FILE, or [history] file in the configuration.");
	}
	client_close(&c);
	return code;
}

int cmd_findings(const struct options *o)
{
	int64_t since = INT64_MIN, now = (int64_t)time(NULL) * US, first, last;
	struct history_error e;
	sqlite3 *db;

	if (!o->history)
		return with_daemons_history(o);
	if (o->since && !history_time(o->since, now, &since))
		return fail(EX_USAGE, "can't use --since \"%s\": no time. 30d, 12h, 45m, or "
			    "2026-11-23 or 2026-11-23T08:00Z.", o->since);
	db = history_open(o->history, false, &e);
	if (!db)
		return fail(e.code, "%s", e.text);
	if (o->nargs)
		return one(db, o);
	/* the trend compares the halves of the time asked for, as far as there is any */
	if (extent(db, &first, &last)) {
		first = since > first ? since : first;
		last = o->since ? now : last;
	}
	return list(db, o, since, first, last);
}
