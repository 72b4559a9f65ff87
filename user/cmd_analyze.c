// SPDX-License-Identifier: GPL-2.0-or-later
#include "commands.h"
#include "error.h"
#include "extras.h"
#include "file.h"
#include "out.h"

int cmd_analyze(const struct options *o)
{
	struct pipeline_config cfg = { 0 };
	struct pipeline *p;
	struct extras x;
	struct totals t;
	char why[768];
	int code, kept;

	options_pipeline(o, &cfg);
	cfg.max_flows = 0; /* the engine's table bounds them */
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
	code = file_analyze(p, o->args[0], o->filter, o->max_flows, o->count * o->interval_s, &t);
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
