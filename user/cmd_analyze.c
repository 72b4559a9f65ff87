// SPDX-License-Identifier: GPL-2.0-or-later
#include "commands.h"
#include "error.h"
#include "extras.h"
#include "file.h"
#include "format.h"
#include "heap.h"
#include "jobs.h"
#include "out.h"

#include <string.h>

/* of: all files named; more than one, and the output says which this is. */
static int analyze(const struct options *o, unsigned i, unsigned of)
{
	struct pipeline_config cfg = { 0 };
	struct pipeline *p;
	struct extras x;
	struct totals t;
	char why[768];
	int code, kept;

	heap_large_pages();
	options_pipeline(o, &cfg);
	cfg.max_flows = 0; /* the engine's table bounds them */
	cfg.file = of > 1 ? o->args[i] : NULL;
	cfg.sink[cfg.nsinks++] = output_open(o, false);
	if (!cfg.sink[0].ops)
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	code = extras_open(&x, o, &cfg, why, sizeof(why));
	if (code) {
		extras_drop_sinks(&cfg);
		return fail(code, "%s", why);
	}
	p = pipeline_new(&cfg);
	if (!p)
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	if (of > 1 && !o->json) {
		char name[256];

		format_plain(name, sizeof(name), o->args[i]);
		output_printf("%s==> %s <==\n", i ? "\n" : "", name);
	}
	code = file_analyze(p, o->args[i], o->filter, o->max_flows, o->count * o->interval_s, &t);
	if (code == EX_NOINPUT) /* nothing was read, so there is nothing to sum up */
		extras_drop_sinks(&cfg);
	else
		pipeline_finish(p, &t);
	pipeline_free(p);
	kept = extras_close(&x);
	if (!code)
		code = kept;
	if (!code)
		code = output_code();
	return code;
}

static int analyze_job(unsigned i, void *o)
{
	return analyze(o, i, ((const struct options *)o)->nargs);
}

int cmd_analyze(const struct options *o)
{
	unsigned at_once = o->jobs ? o->jobs : jobs_default(), stdins = 0;
	int code = 0;

	for (unsigned i = 0; i < o->nargs; i++)
		stdins += !strcmp(o->args[i], "-");
	if (stdins > 1)
		return fail(EX_USAGE, "can't read standard input twice. Name - once.");
	/* What is kept is one row of findings: their ids go on from file to file. */
	if (o->nargs > 1 && at_once > 1 && !o->evidence && !o->history)
		return jobs_run(o->nargs, at_once, analyze_job, (void *)o);
	for (unsigned i = 0; i < o->nargs && code != EX_IOERR; i++) {
		int got = analyze(o, i, o->nargs);

		code = code ? code : got;
	}
	return code;
}
