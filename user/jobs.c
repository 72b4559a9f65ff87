// SPDX-License-Identifier: GPL-2.0-or-later
#include "jobs.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

struct job {
	pid_t pid;	 /* 0: not running */
	FILE *out, *err; /* where it writes until its turn comes; NULL: it had it from the start */
	int code;
	bool done;
};

unsigned jobs_default(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static void close_files(struct job *j)
{
	if (j->out)
		fclose(j->out);
	if (j->err)
		fclose(j->err);
	j->out = j->err = NULL;
}

/* The child: never returns. */
static void work(const struct job *j, unsigned i, int (*run)(unsigned i, void *arg), void *arg)
{
	int code;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (j->out && (dup2(fileno(j->out), STDOUT_FILENO) < 0 || dup2(fileno(j->err), STDERR_FILENO) < 0))
		_exit(EX_OSERR);
	code = run(i, arg);
	if (fflush(NULL) && !code)
		code = EX_IOERR;
	_exit(code);
}

static int start(struct job *j, unsigned i, bool its_turn, int (*run)(unsigned i, void *arg), void *arg)
{
	if (!its_turn) { /* files: what waits may be more than memory holds */
		j->out = tmpfile();
		j->err = tmpfile();
		if (!j->out || !j->err) {
			int err = errno;

			close_files(j);
			return fail(EX_CANTCREAT, "can't keep what waits to be printed: %s. Free space in /tmp, or use "
				    "--jobs 1.", strerror(err));
		}
	}
	j->pid = fork();
	if (!j->pid)
		work(j, i, run, arg);
	if (j->pid < 0) {
		int err = errno;

		j->pid = 0;
		close_files(j);
		return fail(EX_OSERR, "can't start another process: %s. Use --jobs 1.", strerror(err));
	}
	return 0;
}

static bool copy(FILE *from, int to)
{
	char buf[65536];
	size_t n;

	rewind(from);
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0)
		for (size_t at = 0; at < n;) {
			ssize_t w = write(to, buf + at, n - at);

			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return false;
			at += (size_t)w;
		}
	return !ferror(from);
}

static int tell(struct job *j)
{
	int code = j->code;

	if (j->out && !copy(j->out, STDOUT_FILENO))
		code = errno == EPIPE ? EX_IOERR :
			fail(EX_IOERR, "can't write the events: %s. Free space, or write elsewhere.", strerror(errno));
	if (j->err)
		copy(j->err, STDERR_FILENO);
	close_files(j);
	return code;
}

/* Waits for one of them to end. */
static void reap(struct job *jobs, unsigned n)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; pid > 0 && i < n; i++) {
		if (jobs[i].pid != pid)
			continue;
		jobs[i].pid = 0;
		jobs[i].done = true;
		jobs[i].code = WIFEXITED(status) ? WEXITSTATUS(status) :
			fail(EX_SOFTWARE, "one of several runs died of signal %d. Report it, with what it was to read.",
			     WTERMSIG(status));
	}
}

int jobs_run(unsigned n, unsigned at_once, int (*run)(unsigned i, void *arg), void *arg)
{
	struct job *jobs = calloc(n, sizeof(*jobs));
	unsigned next = 0, turn = 0;
	int code = 0;

	if (!jobs)
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	signal(SIGCHLD, SIG_DFL); /* ignored, as it may be inherited, nobody could be waited for */
	while (turn < n) {
		int got = 0;

		if (next < n && next - turn < at_once) {
			got = start(&jobs[next], next, next == turn, run, arg);
			next += !got;
		} else if (!jobs[turn].done) {
			reap(jobs, next);
			continue;
		} else {
			got = tell(&jobs[turn++]);
		}
		code = code ? code : got;
		if (got == EX_IOERR || got == EX_CANTCREAT || got == EX_OSERR)
			break;
	}
	for (unsigned i = turn; i < next; i++) {
		if (jobs[i].pid)
			kill(jobs[i].pid, SIGTERM);
		while (jobs[i].pid)
			reap(jobs + i, 1);
		close_files(&jobs[i]);
	}
	free(jobs);
	return code;
}
