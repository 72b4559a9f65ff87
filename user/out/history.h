/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The history: findings and what each type carried, in one SQLite file that is
 * read while it is written. Sums are kept by 10 s for 2 days, by minute for 30
 * days, by hour for 2 years; the file stays below 200 MB. Killed at any moment it
 * loses the last 10 s; with a full disk what can't be written is dropped,
 * counted and said once, and writing goes on when there is room again.
 */
#ifndef WEIR_HISTORY_H
#define WEIR_HISTORY_H

#include <sqlite3.h>

#include "sink.h"

#define HISTORY_SCHEMA 1
#define HISTORY_APP    0x77656972 /* "weir": SQLite's application_id */

/* How long each table keeps its rows, and the width of a row, in seconds. */
struct history_table {
	const char *name;
	unsigned width, keep;
};

#define HISTORY_TABLES 3
extern const struct history_table history_tables[HISTORY_TABLES];

/* Why it could not be opened: a paragraph for people, and the sysexits code. */
struct history_error {
	int code;
	char text[512];
};

/* The sink that writes to path; made where it is not there. On failure ops is NULL and *e says why. */
struct sink_ref history_sink(const char *path, struct history_error *e);

/* The first id that no finding in it has. Findings numbered from there on keep their number as id. */
uint32_t history_next(const struct sink_ref *sink);

/*
 * Opens path (write: making it) and checks that it is a history of a schema we
 * know. NULL: *e says why.
 */
sqlite3 *history_open(const char *path, bool write, struct history_error *e);

/*
 * A point in time as options have it: 30d, 12h, 45m, 90s ago, or
 * 2026-11-23[THH:MM[:SS][Z]] in UTC, in µs since the epoch. False: neither.
 */
bool history_time(const char *text, int64_t now_us, int64_t *us);

/* Writes that were dropped because the file could not be written. */
uint64_t history_dropped(const struct sink_ref *sink);

#endif
