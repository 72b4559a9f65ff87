// SPDX-License-Identifier: GPL-2.0-or-later
/* The log's ring of files: bounds, torn lines, files moved away, files that can't be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_log.h"

extern int verbosity; /* error.h, whose fail() cmocka has taken */

static char dir[] = "/tmp/weir-log-XXXXXX";
static char path[PATH_MAX];

static int setup(void **state)
{
	verbosity = -1;
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/e", dir);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct event_log *open_log(uint64_t size, unsigned files)
{
	char why[512];
	struct event_log *l = event_log_open(&(struct event_log_config){ path, size, files }, why, sizeof(why));

	assert_non_null(l);
	return l;
}

static const char *name(unsigned n)
{
	static char s[PATH_MAX + 16];

	snprintf(s, sizeof(s), n ? "%s.%u" : "%s", path, n);
	return s;
}

static long size_of(unsigned n)
{
	struct stat st;

	return stat(name(n), &st) ? -1 : (long)st.st_size;
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void expect(const char *text)
{
	char got[4096] = "";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = 0;
	fclose(f);
	assert_string_equal(got, text);
}

static void never_outgrows_its_bound(void **state)
{
	struct event_log *l = open_log(4096, 3);
	char line[100];
	long sum = 0;

	memset(line, 'x', sizeof(line));
	line[99] = '\n';
	for (unsigned i = 0; i < 5000; i++) {
		event_log_write(l, line, sizeof(line));
		if (i % 7 == 0)
			event_log_flush(l, i + 1);
	}
	event_log_close(l);
	for (unsigned n = 0; n < 3; n++) {
		assert_in_range(size_of(n), 1, 4096);
		assert_int_equal(size_of(n) % 100, 0);
		sum += size_of(n);
	}
	assert_in_range(sum, 2 * 4096, 3 * 4096);
	assert_int_equal(size_of(3), -1);
}

static void fewer_files_than_before(void **state)
{
	struct event_log *l;

	write_file("1\n");
	assert_int_equal(link(path, name(2)), 0);
	assert_int_equal(link(path, name(3)), 0);
	l = open_log(4096, 2);
	for (unsigned i = 0; i < 3000; i++)
		event_log_write(l, "1234567\n", 8);
	event_log_close(l);
	assert_true(size_of(1) > 0);
	assert_int_equal(size_of(2), -1);
	assert_int_equal(size_of(3), -1);
}

static void one_file_starts_anew(void **state)
{
	struct event_log *l = open_log(4096, 1);

	for (unsigned i = 0; i < 3000; i++) {
		event_log_write(l, "1234567\n", 8);
		event_log_flush(l, i + 1);
	}
	event_log_close(l);
	assert_in_range(size_of(0), 8, 4096);
	assert_int_equal(size_of(1), -1);
}

static void torn_line_is_cut_off(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = { { "one\ntwo\nthr", "one\ntwo\nnew\n" }, { "thr", "new\n" }, { "", "new\n" },
		      { "one\n", "one\nnew\n" } };

	for (unsigned i = 0; i < 4; i++) {
		struct event_log *l;

		write_file(cases[i].before);
		l = open_log(0, 0);
		event_log_write(l, "new\n", 4);
		event_log_close(l);
		expect(cases[i].after);
	}
}

/* A bound on the file's size stands in for a disk that is full: write() comes short the same way. */
static void full_disk_leaves_whole_lines(void **state)
{
	struct rlimit old, small = { .rlim_max = RLIM_INFINITY };
	struct event_log *l = open_log(0, 0);

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_cur = 10;
	event_log_write(l, "first\n", 6);
	event_log_flush(l, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	event_log_write(l, "second\n", 7);
	event_log_flush(l, 2);
	expect("first\n");

	/* It waits ten seconds before it tries again. */
	small.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &small);
	event_log_flush(l, 5000000000ULL);
	expect("first\n");
	event_log_flush(l, 10000000003ULL);
	expect("first\nsecond\n");
	assert_int_equal(event_log_lost(l), 0);
	event_log_close(l);
	setrlimit(RLIMIT_FSIZE, &old);
}

static void what_finds_no_room_is_counted(void **state)
{
	struct rlimit old, small = { .rlim_cur = 3, .rlim_max = RLIM_INFINITY };
	struct event_log *l = open_log(0, 0);
	char line[1000];

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	setrlimit(RLIMIT_FSIZE, &small);
	memset(line, 'y', sizeof(line));
	line[999] = '\n';
	for (unsigned i = 0; i < 1000; i++)
		event_log_write(l, line, sizeof(line));
	assert_in_range(event_log_lost(l), 1000 - 70, 1000 - 1);
	setrlimit(RLIMIT_FSIZE, &old);
	event_log_close(l);
	assert_in_range(size_of(0), 1000, 65536);
	assert_int_equal(size_of(0) % 1000, 0);
}

static void what_is_no_log_is_refused(void **state)
{
	char why[512] = "", fifo[PATH_MAX + 16];
	struct event_log_config cfg = { .path = "/proc/none/x" };

	assert_null(event_log_open(&cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "/proc/none/x: No such file"));
	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	cfg.path = fifo;
	assert_null(event_log_open(&cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "no regular file"));
	cfg.path = dir;
	assert_null(event_log_open(&cfg, why, sizeof(why)));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	cfg.path = path;
	assert_null(event_log_open(&cfg, why, sizeof(why)));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(never_outgrows_its_bound), T(fewer_files_than_before), T(one_file_starts_anew),
		T(torn_line_is_cut_off), T(full_disk_leaves_whole_lines), T(what_finds_no_room_is_counted),
		T(what_is_no_log_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
