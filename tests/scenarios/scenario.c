/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs scenarios, several side by side in namespaces of their own, and prints what came of each.
 *
 *	scenario run [-j N] [-o DIR] [-s SET] [-x SET] [-H live,offline] [-c CCA] [-w WEIR] [-k] [-l]
 *	             [-n TIMES] [-d FILE] [-t SECONDS] [-1] FILE...
 *	scenario check [-s SET] [-x SET] [-d FILE] FILE...	how much there is to do
 *	scenario judge [-j N] [-o DIR] [-w WEIR] FILE...	the captures that -k left, once more
 *
 * -s SET   only scenarios whose set names it (default: all given)
 * -x SET   what is not of that set runs in brief: with the impairment on, and live
 * -b       only benign ones
 * -d FILE  what has come of its lines (scenario<tab>on|off) already: not again
 * -t SECONDS  what has not begun by then is skipped, and said
 * -1       only with the impairment on   -k keep what passed   -l lenient: what this kernel lacks
 *          is skipped, not failed        -n each so many times
 * A line per result: RESULT<tab>scenario<tab>row<tab>on|off<tab>live|offline<tab>pass|fail|skip
 * <tab>seconds<tab>what was found. Exit 0: none failed; 1: some did; 64: usage.
 */
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scen.h"

enum { JOBS = 4096, PARALLEL = 64, TRIES = 3 };

/* Beyond that a machine is too busy for what scenarios time: seconds at once, share of all. */
#define LAG_MOST 0.5
#define LAG_SHARE 0.25

struct job {
	struct scenario *s;
	bool on, brief;
	unsigned round;
};

static struct job jobs[JOBS];
static unsigned njobs;

static char *done; /* what -d names, lines with a newline before the first */

static const char *const words[] = { "pass", "fail", "skip" };

static void result(const struct job *j, const char *how, enum verdict v, double seconds,
		   const char *why)
{
	/* What weir can't judge yet is run all the same, and does not count against it. */
	bool later = v == FAIL && *j->s->todo;

	printf("RESULT\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s%s%s\n", j->s->name,
	       *j->s->row ? j->s->row : "-", j->on ? "on" : "off", how, words[later ? SKIP : v],
	       seconds, later ? j->s->todo : "", later ? ": " : "", why);
}

static void add_lag(const struct outcome *out, char *why, size_t room)
{
	size_t at = strlen(why);

	snprintf(why + at, room - at,
		 " (the machine stood still for up to %.2f s, %.0f %% of the time)", out->lag_most,
		 100 * out->lag_share);
}

/* In a child: one job from beginning to end. */
static int work(const struct job *j, const struct run_opts *base, unsigned index)
{
	struct run_opts o = *base;
	struct outcome out;
	char dir[300];
	double t = now_s();
	int bad = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	o.tag = getpid() * 1000ul + index % 1000;
	if (j->brief && !j->s->no_live)
		o.offline = false;
	if (j->round) {
		snprintf(dir, sizeof(dir), "%s/round%u", base->out, j->round);
		o.out = dir;
	}
	for (int try = 1;; try++) {
		bool failed;

		if (o.judge)
			scen_judge_again(j->s, &o, &out);
		else
			scen_run(j->s, j->on, &o, &out);
		failed = (out.has_live && out.live == FAIL) ||
			 (out.has_offline && out.offline == FAIL);
		/* A machine that stood still did not run the scenario: no verdict, for or against.
		 */
		if (!failed || try == TRIES ||
		    (out.lag_most < LAG_MOST && out.lag_share < LAG_SHARE))
			break;
		printf("%s %s: the machine stood still for up to %.2f s, %.0f %% of the time: "
		       "again\n",
		       j->s->name, j->on ? "on" : "off", out.lag_most, 100 * out.lag_share);
	}
	t = now_s() - t;
	if (out.lag_most >= LAG_MOST || out.lag_share >= LAG_SHARE) {
		add_lag(&out, out.live_why, sizeof(out.live_why));
		add_lag(&out, out.offline_why, sizeof(out.offline_why));
	}
	if (out.has_live) {
		result(j, "live", out.live, t, out.live_why);
		bad |= out.live == FAIL && !*j->s->todo;
	}
	if (out.has_offline) {
		result(j, "offline", out.offline, t, out.offline_why);
		bad |= out.offline == FAIL && !*j->s->todo;
	}
	fflush(stdout);
	return bad;
}

/* The long ones first: the last to start decides when all is done. Those that must be alone last.
 */
static int longest(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->s->alone != y->s->alone)
		return x->s->alone - y->s->alone;
	return x->s->end < y->s->end ? 1 : x->s->end > y->s->end ? -1 : 0;
}

/* One that was not begun in time, under the name of each way that it would have been judged in. */
static void not_begun(const struct job *j, const struct run_opts *o, double budget)
{
	char why[80];

	snprintf(why, sizeof(why), "not begun within the %.0f s that there were", budget);
	if (o->live && !j->s->no_live)
		result(j, "live", SKIP, 0, why);
	if (o->offline && !j->s->no_offline && (!j->brief || j->s->no_live))
		result(j, "offline", SKIP, 0, why);
}

/* budget: in seconds; no job begins after it. */
static int run_all(const struct run_opts *o, unsigned parallel, double budget)
{
	unsigned next = 0, running = 0;
	double began = now_s();
	int failed = 0, st;

	qsort(jobs, njobs, sizeof(*jobs), longest);
	while (next < njobs || running) {
		while (next < njobs && now_s() - began > budget)
			not_begun(&jobs[next++], o, budget);
		if (next < njobs && running < parallel && (!jobs[next].s->alone || !running)) {
			pid_t pid;

			fflush(stdout);
			pid = fork();
			if (!pid)
				_exit(work(&jobs[next], o, next));
			running += pid > 0;
			next++;
			continue;
		}
		if (wait(&st) > 0) {
			running--;
			failed |= !WIFEXITED(st) || WEXITSTATUS(st);
			if (!WIFEXITED(st))
				printf("RESULT\t?\t-\ton\tlive\tfail\t0\tthe runner crashed\n");
		}
	}
	return failed;
}

/* What an earlier run, cut short, has results of. */
static int read_done(const char *file)
{
	struct stat st;
	FILE *f = fopen(file, "r");

	if (!f || fstat(fileno(f), &st) || !(done = calloc(1, st.st_size + 2))) {
		fprintf(stderr, "scenario: %s can't be read\n", file);
		return -1;
	}
	*done = '\n';
	st.st_size = fread(done + 1, 1, st.st_size, f);
	fclose(f);
	return 0;
}

static void add(struct scenario *s, bool on, bool brief, unsigned round)
{
	char line[100];

	snprintf(line, sizeof(line), "\n%s\t%s\n", s->name, on ? "on" : "off");
	if (!done || !strstr(done, line))
		jobs[njobs++] = (struct job){ s, on, brief, round };
}

static bool in_set(const struct scenario *s, const char *set)
{
	char list[sizeof(s->set)];

	strcpy(list, s->set);
	for (char *p = strtok(list, " ,"); p; p = strtok(NULL, " ,"))
		if (!strcmp(p, set))
			return true;
	return false;
}

static void usage(void)
{
	fprintf(stderr, "usage: scenario run [-j N] [-o DIR] [-s SET] [-x SET] [-H live,offline] [-c CCA] "
			"[-w WEIR] [-n TIMES] [-d FILE] [-t SECONDS] "
			"[-1bkl] FILE... | scenario check FILE... | scenario judge [-j N] [-o DIR] [-w WEIR] "
			"FILE...\n");
	exit(64);
}

int main(int argc, char **argv)
{
	struct run_opts o = {
		.live = true, .offline = true, .out = "scenarios.out", .weir = "weir"
	};
	const char *set = NULL, *whole = NULL;
	double budget = INFINITY;
	unsigned parallel = 1, times = 1;
	bool once = false, benign = false, check;
	int c;

	if (argc < 2)
		usage();
	check = !strcmp(argv[1], "check");
	o.judge = !strcmp(argv[1], "judge");
	if (!check && !o.judge && strcmp(argv[1], "run"))
		usage();
	argv++;
	argc--;
	while ((c = getopt(argc, argv, "j:o:s:x:H:c:w:n:d:t:1bkl")) != -1)
		switch (c) {
		case 'j':
			parallel = atoi(optarg);
			break;
		case 'o':
			o.out = optarg;
			break;
		case 's':
			set = optarg;
			break;
		case 'x':
			whole = optarg;
			break;
		case 'H':
			o.live = strstr(optarg, "live") != NULL;
			o.offline = strstr(optarg, "offline") != NULL;
			break;
		case 'c':
			o.cca = optarg;
			break;
		case 'w':
			o.weir = optarg;
			break;
		case 'n':
			times = atoi(optarg);
			break;
		case 'd':
			if (read_done(optarg))
				return 66;
			break;
		case 't':
			budget = atof(optarg);
			break;
		case 'b':
			benign = true;
			break;
		case '1':
			once = true;
			break;
		case 'k':
			o.keep = true;
			break;
		case 'l':
			o.lenient = true;
			break;
		default:
			usage();
		}
	if (optind == argc || parallel < 1 || parallel > PARALLEL)
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = optind; i < argc; i++) {
		struct scenario *s = malloc(sizeof(*s));
		bool brief;

		if (!s || scen_read(s, argv[i]))
			return 65;
		if ((set && !in_set(s, set)) || (benign && !s->benign)) {
			free(s);
			continue;
		}
		brief = whole && !in_set(s, whole);
		for (unsigned n = 0; n < times && njobs + 2 <= JOBS; n++) {
			add(s, true, brief, n);
			/* Benign trouble is what is tested: without it there is nothing to run. */
			if (!once && !brief && !s->benign && !o.judge)
				add(s, false, false, n);
		}
	}
	if (check) {
		double sum = 0, most = 0;

		for (unsigned i = 0; i < njobs; i++) {
			sum += jobs[i].s->end + 8;
			if (jobs[i].s->end > most)
				most = jobs[i].s->end;
		}
		printf("%u runs, %.0f seconds, the longest %.0f\n", njobs, sum, most);
		return 0;
	}
	mkdir(o.out, 0755);
	return run_all(&o, parallel, budget);
}
