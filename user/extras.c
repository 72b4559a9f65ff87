// SPDX-License-Identifier: GPL-2.0-or-later
#include "extras.h"

#include <stdio.h>
#include <stdlib.h>

#include "classify.h"
#include "commands.h"
#include "error.h"
#include "evidence.h"
#include "history.h"

static void drop_from(struct pipeline_config *cfg, unsigned first)
{
	for (unsigned i = first; i < cfg->nsinks; i++)
		if (cfg->sink[i].ops && cfg->sink[i].ops->close)
			cfg->sink[i].ops->close(cfg->sink[i].s);
	cfg->nsinks = first;
}

void extras_drop_sinks(struct pipeline_config *cfg)
{
	drop_from(cfg, 0);
}

static int give_up(struct extras *x, struct pipeline_config *cfg, unsigned first, int code)
{
	drop_from(cfg, first);
	cfg->rules = NULL;
	cfg->evidence = NULL;
	extras_close(x);
	return code;
}

int extras_open(struct extras *x, const struct options *o, struct pipeline_config *cfg, char *why,
		size_t len)
{
	unsigned first = cfg->nsinks;
	int code;

	*x = (struct extras){ 0 };
	if (o->rules) {
		char err[256];

		x->rules = rules_load(o->rules, err, sizeof(err));
		if (!x->rules) {
			snprintf(why, len,
				 "can't use the rules: %s. Mend the file, or leave --rules out.", err);
			return EX_CONFIG;
		}
		cfg->rules = x->rules;
	}
	/* The screen keeps them in memory, for who presses e. */
	if ((o->evidence || (o->command && o->command->bit == CMD_LIVE)) && o->evidence_mode != EVIDENCE_OFF && cfg->nsinks < PIPELINE_SINKS) {
		x->evidence = evidence_new(o->evidence);
		if (!x->evidence) {
			snprintf(why, len, "can't keep evidence in %s. Name another with --evidence.",
				 o->evidence);
			return give_up(x, cfg, first, EX_CANTCREAT);
		}
		x->privacy = calloc(1, sizeof(*x->privacy));
		if (!x->privacy) {
			snprintf(why, len, "can't keep evidence: out of memory. Free some.");
			return give_up(x, cfg, first, EX_OSERR);
		}
		x->privacy->who = o->redact_report;
		code = privacy_open(x->privacy, o->redact_key, why, len);
		if (code)
			return give_up(x, cfg, first, code);
		evidence_privacy(x->evidence, x->privacy);
		evidence_limits(x->evidence, o->snaplen, o->evidence_total);
		evidence_suspects(x->evidence, o->evidence_mode == EVIDENCE_ALL_SUSPECT);
		cfg->evidence = x->evidence;
		cfg->sink[cfg->nsinks++] = evidence_sink(x->evidence);
		cfg->first_finding = evidence_next(x->evidence);
	}
	if (o->history && cfg->nsinks < PIPELINE_SINKS) {
		struct history_error e;
		struct sink_ref sink = history_sink(o->history, &e);

		if (!sink.ops) {
			snprintf(why, len, "%s", e.text);
			return give_up(x, cfg, first, e.code);
		}
		cfg->sink[cfg->nsinks++] = x->history = sink;
		if (history_next(&sink) > cfg->first_finding)
			cfg->first_finding = history_next(&sink);
	}
	return 0;
}

bool extras_reload(struct extras *x, const struct options *o, struct rules **old, char *why,
		   size_t len)
{
	char err[256];
	struct rules *r = rules_load(o->rules, err, sizeof(err));

	if (!r) {
		snprintf(why, len, "the rules stay as they are: %s. Mend the file and send SIGHUP again.",
			 err);
		return false;
	}
	*old = x->rules;
	x->rules = r;
	return true;
}

int extras_close(struct extras *x)
{
	int code = x->evidence && evidence_failed(x->evidence) ? EX_CANTCREAT : EX_OK;

	evidence_free(x->evidence);
	if (x->privacy)
		privacy_close(x->privacy);
	free(x->privacy);
	if (x->rules)
		rules_free(x->rules);
	*x = (struct extras){ 0 };
	return code;
}
