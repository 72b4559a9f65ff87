// SPDX-License-Identifier: GPL-2.0-or-later
/* The history file: what goes in comes out, by whoever reads it, after whatever happened to the writer. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "error.h"
#include "history.h"

#include <cmocka.h>

#define SECOND 1000000000ull
#define EPOCH  (1800000000ull * SECOND)
#define TYPES  20

/* ---- stand-ins for the model ---- */

static struct type_stats types[TYPES];

unsigned model_types(const struct model *m)
{
	return TYPES;
}

const struct type_stats *model_type(const struct model *m, unsigned type)
{
	return &types[type];
}

const char *model_type_name(const struct model *m, unsigned type)
{
	return types[type].name;
}

const char *model_app_name(const struct model *m, unsigned app)
{
	return "whatsapp";
}

/* ---- */

static char dir[64], path[96];

static void fresh_types(void)
{
	memset(types, 0, sizeof(types));
	for (unsigned i = 0; i < TYPES; i++)
		snprintf(types[i].name, sizeof(types[i].name), "type-%u", i);
}

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/weir-history-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/h.db", dir);
	fresh_types();
	return 0;
}

static int teardown(void **state)
{
	char name[128];

	for (const char *const *s = (const char *const[]){ "", "-wal", "-shm", NULL }; *s; s++) {
		snprintf(name, sizeof(name), "%s%s", path, *s);
		unlink(name);
	}
	return rmdir(dir);
}

static struct sink_ref open_history(void)
{
	struct history_error e = { 0 };
	struct sink_ref s = history_sink(path, &e);

	if (!s.ops)
		fail_msg("%s", e.text);
	return s;
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t v = -1;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	if (sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

static sqlite3 *reader(void)
{
	struct history_error e = { 0 };
	sqlite3 *db = history_open(path, false, &e);

	if (!db)
		fail_msg("%s", e.text);
	return db;
}

/* n seconds of traffic of all types: 10 packets of 1,000 bytes down, 5 up. */
static void seconds(struct sink_ref *s, uint64_t from, unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		for (unsigned t = 0; t < TYPES; t++) {
			types[t].packets[TO_CLIENT] += 10;
			types[t].bytes[TO_CLIENT] += 10000;
			types[t].packets[TO_SERVER] += 5;
			types[t].lost[TO_SERVER] += t == 3;
		}
		s->ops->stats(s->s, NULL, from + i * SECOND, 1);
	}
}

static struct finding a_finding(uint32_t id)
{
	struct finding f = { .id = id,
			     .kind = KIND_SELECTIVE_DROP,
			     .subkind = SUBKIND_LOSS,
			     .level = LEVEL_LIKELY,
			     .confidence = 0.99,
			     .start_ns = EPOCH,
			     .type = 3,
			     .direction = DIRECTION_UP,
			     .clients = 2,
			     .servers = 3 };

	fact_num(&f.estimate, "drop_ratio", 0.25);
	fact_text(&f.reasons, "spread", "3 of 3 \"servers\"");
	fact_text(&f.ruled_out, "path_loss", "none");
	snprintf(f.what, sizeof(f.what), "25 %% dropped");
	return f;
}

static void test_findings(void **state)
{
	struct sink_ref s = open_history();
	struct finding f = a_finding(7);
	sqlite3 *db;

	s.ops->finding(s.s, NULL, &f, FINDING_OPEN, EPOCH + 5 * SECOND);
	db = reader(); /* while it is written */
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 1);
	assert_int_equal(number(db, "SELECT closed FROM finding"), 0);
	assert_int_equal(number(db, "SELECT end IS NULL FROM finding"), 1);
	f.level = LEVEL_CORROBORATED;
	f.end_ns = EPOCH + 60 * SECOND;
	s.ops->finding(s.s, NULL, &f, FINDING_CLOSE, EPOCH + 70 * SECOND);
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 1);
	assert_int_equal(number(db, "SELECT closed AND level = 2 FROM finding"), 1);
	assert_int_equal(number(db, "SELECT end - start FROM finding"), 60000000);
	assert_int_equal(number(db, "SELECT type = 'type-3' AND direction = 'up' FROM finding"), 1);
	assert_int_equal(number(db, "SELECT json_extract('{' || body || '}', '$.estimate.drop_ratio') = 0.25"
				    " FROM finding"), 1);
	s.ops->close(s.s);
	/* another run counts its findings from 1 again: they are others */
	s = open_history();
	f = a_finding(7);
	s.ops->finding(s.s, NULL, &f, FINDING_OPEN, EPOCH + 500 * SECOND);
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 2);
	s.ops->close(s.s);
	sqlite3_close(db);
}

static void test_series(void **state)
{
	struct sink_ref s = open_history();
	sqlite3 *db;

	seconds(&s, EPOCH, 7200);
	s.ops->close(s.s);
	db = reader();
	assert_int_equal(number(db, "SELECT count(*) FROM series_10s"), 720 * TYPES);
	assert_int_equal(number(db, "SELECT count(*) FROM series_1m"), 120 * TYPES);
	assert_int_equal(number(db, "SELECT count(*) FROM series_1h"), 2 * TYPES);
	for (const char *const *t = (const char *const[]){ "10s", "1m", "1h", NULL }; *t; t++) {
		char sql[128];

		snprintf(sql, sizeof(sql), "SELECT sum(packets_down) FROM series_%s", *t);
		assert_int_equal(number(db, sql), 72000 * TYPES);
		snprintf(sql, sizeof(sql), "SELECT sum(lost_up) FROM series_%s JOIN type ON type.id = type"
			 " WHERE name = 'type-3'", *t);
		assert_int_equal(number(db, sql), 7200);
	}
	sqlite3_close(db);
	/* a run in the same minute adds to it */
	fresh_types();
	s = open_history();
	seconds(&s, EPOCH + 7190 * SECOND, 10);
	s.ops->close(s.s);
	db = reader();
	assert_int_equal(number(db, "SELECT sum(packets_up) FROM series_1h"), (7200 + 10) * 5 * TYPES);
	assert_int_equal(number(db, "SELECT count(*) FROM type"), TYPES);
	sqlite3_close(db);
}

/* Findings name what was interfered with: they go with the coarsest sums, the newest stays. */
static void test_old_findings(void **state)
{
	struct sink_ref s = open_history();
	struct finding old = a_finding(1), new = a_finding(2);
	uint64_t later = EPOCH + 732ull * 86400 * SECOND;
	sqlite3 *db;

	s.ops->finding(s.s, NULL, &old, FINDING_OPEN, EPOCH);
	seconds(&s, EPOCH, 30);
	new.start_ns = later;
	s.ops->finding(s.s, NULL, &new, FINDING_OPEN, later);
	seconds(&s, later, 30);
	s.ops->close(s.s);
	db = reader();
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 1);
	assert_int_equal(number(db, "SELECT number FROM finding"), 2);
	sqlite3_close(db);
}

/* Two years of 20 types: rows by what each table keeps, bytes by what a row takes here. */
static void test_size(void **state)
{
	struct sink_ref s = open_history();
	double rows = 0, bytes_a_row, here;
	struct stat st;
	sqlite3 *db;

	/* counters of a busy gateway: large numbers take more bytes */
	for (unsigned i = 1; i <= 6 * 3600 / 10; i++) {
		for (unsigned t = 0; t < TYPES; t++)
			for (unsigned w = 0; w < 2; w++) {
				types[t].packets[w] += 100000;
				types[t].bytes[w] += 100000000;
				types[t].data_packets[w] += 90000;
				types[t].lost[w] += 300;
				types[t].retx[w] += 300;
			}
		s.ops->stats(s.s, NULL, EPOCH + i * 10 * SECOND, 10);
	}
	s.ops->close(s.s);
	db = reader();
	here = number(db, "SELECT (SELECT count(*) FROM series_10s) + (SELECT count(*) FROM series_1m)"
			  " + (SELECT count(*) FROM series_1h)");
	sqlite3_close(db);
	assert_int_equal(stat(path, &st), 0);
	bytes_a_row = st.st_size / here;
	for (unsigned i = 0; i < HISTORY_TABLES; i++)
		rows += (double)TYPES * history_tables[i].keep / history_tables[i].width;
	print_message("%.1f bytes a row, %.0f MB for two years\n", bytes_a_row, rows * bytes_a_row / 1e6);
	assert_true(rows * bytes_a_row < 180e6);
}

static void test_killed(void **state)
{
	int ready[2], status;
	sqlite3 *db;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct sink_ref s = open_history();

		for (unsigned i = 0;; i++) {
			struct finding f = a_finding(i + 1);

			seconds(&s, EPOCH + i * 30 * SECOND, 30);
			s.ops->finding(s.s, NULL, &f, FINDING_OPEN, EPOCH + i * 30 * SECOND);
			if (i == 20 && write(ready[1], "", 1) != 1)
				_exit(1);
		}
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ready[0]);
	close(ready[1]);
	db = reader();
	assert_true(number(db, "SELECT count(*) FROM finding") >= 20);
	assert_true(number(db, "SELECT count(*) FROM series_10s") >= 20 * 2 * TYPES);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	/* the tables agree: a flush is one transaction */
	assert_int_equal(number(db, "SELECT (SELECT sum(packets_down) FROM series_10s) ="
				    " (SELECT sum(packets_down) FROM series_1m)"), 1);
	sqlite3_close(db);
}

/* A file that may not grow: what does not fit is dropped and counted; later it goes on. */
static void test_full_disk(void **state)
{
	struct sink_ref s = open_history();
	struct finding f = a_finding(1);
	struct rlimit old, now;
	struct stat st;
	char wal[128];
	sqlite3 *db;

	seconds(&s, EPOCH, 100);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(wal, &st), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	now = old;
	now.rlim_cur = st.st_size;
	signal(SIGXFSZ, SIG_IGN);
	verbosity = -1;
	setrlimit(RLIMIT_FSIZE, &now);
	seconds(&s, EPOCH + 100 * SECOND, 100);
	s.ops->finding(s.s, NULL, &f, FINDING_OPEN, EPOCH + 150 * SECOND);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_true(history_dropped(&s) > 0);
	db = reader();
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 0);
	seconds(&s, EPOCH + 200 * SECOND, 100);
	/* the finding waited; the series go on */
	assert_int_equal(number(db, "SELECT count(*) FROM finding"), 1);
	assert_true(number(db, "SELECT max(t) FROM series_10s") >= (int64_t)(EPOCH / SECOND + 280));
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	sqlite3_close(db);
	s.ops->close(s.s);
	verbosity = 0;
}

static void test_refused(void **state)
{
	struct history_error e = { 0 };
	sqlite3 *db;
	FILE *f;

	assert_null(history_open(path, false, &e));
	assert_int_equal(e.code, EX_NOINPUT);
	f = fopen(path, "w");
	for (unsigned i = 0; i < 200; i++)
		fputs("this is no database at all\n", f);
	fclose(f);
	assert_null(history_sink(path, &e).ops);
	assert_int_equal(e.code, EX_DATAERR);
	unlink(path);
	/* another program's database is left alone */
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE mine (x)", NULL, NULL, NULL), SQLITE_OK);
	assert_null(history_sink(path, &e).ops);
	assert_int_equal(e.code, EX_DATAERR);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_master"), 1);
	sqlite3_close(db);
	unlink(path);
	/* a newer schema */
	struct sink_ref s = open_history();

	s.ops->close(s.s);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_null(history_sink(path, &e).ops);
	assert_int_equal(e.code, EX_DATAERR);
	assert_non_null(strstr(e.text, "99"));
	assert_null(history_open("/nonexistent/dir/h.db", true, &e));
	assert_int_equal(e.code, EX_CANTCREAT);
}

/* What weir findings prints, into text. */
static int shown(const struct options *o, char *text, size_t len)
{
	char name[128];
	int code, out = dup(1), fd;
	ssize_t n;

	snprintf(name, sizeof(name), "%s/out", dir);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	fflush(stdout);
	dup2(fd, 1);
	code = cmd_findings(o);
	fflush(stdout);
	dup2(out, 1);
	n = pread(fd, text, len - 1, 0);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	close(out);
	unlink(name);
	return code;
}

static void test_command(void **state)
{
	struct options o = { .history = path };
	struct sink_ref s = open_history();
	char text[8192], *id[] = { "2", NULL };

	for (unsigned i = 0; i < 3; i++) {
		struct finding f = a_finding(i + 1);

		f.start_ns += i * 86400 * SECOND;
		f.end_ns = f.start_ns + (i + 1) * 600 * SECOND;
		f.type = i == 1 ? 4 : 3;
		s.ops->finding(s.s, NULL, &f, FINDING_CLOSE, f.end_ns);
	}
	s.ops->close(s.s);
	assert_int_equal(shown(&o, text, sizeof(text)), EX_OK);
	assert_non_null(strstr(text, "type-4"));
	/* twice on type-3, 10 min then 30 min: worse */
	assert_non_null(strstr(text, "worse"));
	o.type = "type-4";
	assert_int_equal(shown(&o, text, sizeof(text)), EX_OK);
	assert_null(strstr(text, "type-3"));
	o.type = NULL;
	o.since = "2027-01-16T08:00Z"; /* EPOCH is 2027-01-15T08:00Z: the first ended before */
	o.json = true;
	assert_int_equal(shown(&o, text, sizeof(text)), EX_OK);
	assert_null(strstr(text, "\"id\":1,"));
	assert_non_null(strstr(text, "\"id\":2,"));
	assert_non_null(strstr(text, "\"event_type\":\"finding\""));
	o.since = NULL;
	o.json = false;
	o.args = id;
	o.nargs = 1;
	assert_int_equal(shown(&o, text, sizeof(text)), EX_OK);
	assert_non_null(strstr(text, "drop_ratio 0.25"));
	assert_non_null(strstr(text, "path_loss"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_findings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_series, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_findings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_command, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
