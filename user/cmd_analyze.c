// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "classify.h"
#include "commands.h"
#include "error.h"
#include "evidence.h"
#include "file.h"
#include "history.h"
#include "out.h"

#pragma weak rules_load
#pragma weak rules_free

int cmd_analyze(const struct options *o)
{
	struct pipeline_config cfg = { 0 };
	struct rules *rules = NULL;
	struct pipeline *p;
	struct totals t;
	char err[256];
	int code;

	options_pipeline(o, &cfg);
	cfg.max_flows = 0; /* the engine's table bounds them */
	if (o->rules && rules_load) {
		rules = rules_load(o->rules, err, sizeof(err));
		if (!rules)
			return fail(EX_CONFIG, "can't use the rules: %s. Mend the file, or leave --rules out.", err);
		cfg.rules = rules;
	}
	cfg.sink[cfg.nsinks++] = output_open(o, false);
	if (o->evidence && cfg.sink[0].ops) {
		cfg.evidence = evidence_new(o->evidence);
		if (!cfg.evidence)
			return EX_CANTCREAT;
		cfg.sink[cfg.nsinks++] = evidence_sink(cfg.evidence);
	}
	if (o->history && cfg.sink[0].ops) {
		struct history_error e;

		cfg.sink[cfg.nsinks] = history_sink(o->history, &e);
		if (!cfg.sink[cfg.nsinks++].ops)
			return fail(e.code, "%s", e.text);
	}
	p = cfg.sink[0].ops ? pipeline_new(&cfg) : NULL;
	if (!p)
		return fail(EX_OSERR, "can't start: out of memory. Free some.");
	code = file_analyze(p, o->args[0], o->filter, o->max_flows, &t);
	if (code == EX_NOINPUT) /* nothing was read, so there is nothing to sum up */
		cfg.sink[0].ops->close(cfg.sink[0].s);
	else
		pipeline_finish(p, &t);
	pipeline_free(p);
	if (!code && cfg.evidence && evidence_failed(cfg.evidence))
		code = EX_CANTCREAT;
	evidence_free(cfg.evidence);
	if (rules)
		rules_free(rules);
	if (!code)
		code = output_code();
	return code;
}
