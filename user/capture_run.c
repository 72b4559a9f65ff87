// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "classify.h"
#include "error.h"
#include "extras.h"

void capture_config(const struct options *o, struct live_config *cfg)
{
	*cfg = (struct live_config){
		.nifaces = o->nifaces,
		.hook = (enum attach_kind)o->hook,
		.max_flows = o->max_flows,
		.verbose = verbosity > 0,
		.interval_s = o->interval_s,
		.count = o->count,
		.wait = o->wait,
		.local_given = o->nlocal,
	};
	for (unsigned i = 0; i < o->nifaces; i++)
		cfg->iface[i] = o->iface[i];
}

static int broken(struct live_error *e, int code, const char *what, int err)
{
	snprintf(e->text, sizeof(e->text), "%s: %s.", what, strerror(err));
	e->code = code;
	return code;
}

static int run(struct live *l, struct pipeline *p, const struct live_ui *ui, struct live_error *e)
{
	struct totals t = { 0 };
	int err;

	if (ui && ui->opened)
		ui->opened(ui->arg, l, p);
	if (live_start(l, p, e)) {
		pipeline_finish(p, &t);
		return e->code;
	}
	err = live_run(l, ui);
	live_stop(l, &t);
	pipeline_finish(p, &t);
	return err ? broken(e, EX_SOFTWARE, "capture broke off", -err) : EX_OK;
}

struct reload {
	const struct options *o;
	struct extras *x;
	struct live *l;
	struct pipeline *p;
};

static void reload(void *arg)
{
	struct reload *re = arg;
	struct live_status s;
	struct rules *old = NULL;
	char why[400] = "";

	live_status(re->l, &s);
	if (extras_reload(re->x, re->o, &old, why, sizeof(why))) {
		pipeline_rules(re->p, re->x->rules);
		rules_free(old);
	} else {
		notice("%s", why);
	}
	pipeline_tool(re->p, &(struct tool_event){ .time_ns = s.now_ns,
						   .action = TOOL_RELOAD,
						   .why = why[0] ? why : NULL });
}

int capture_run(const struct options *o, const struct sink_ref *sinks, unsigned n,
		const struct live_ui *ui, struct live_error *e)
{
	struct pipeline_config cfg = { 0 };
	struct live_config live_cfg;
	struct pipeline *p;
	struct extras x;
	struct live *l;
	int code, kept;

	options_pipeline(o, &cfg);
	cfg.live = true;
	for (unsigned i = 0; i < n && cfg.nsinks < PIPELINE_SINKS; i++)
		cfg.sink[cfg.nsinks++] = sinks[i];
	e->code = extras_open(&x, o, &cfg, e->text, sizeof(e->text));
	if (e->code) {
		extras_drop_sinks(&cfg);
		return e->code;
	}
	capture_config(o, &live_cfg);
	l = live_open(&live_cfg, e);
	if (!l) {
		extras_drop_sinks(&cfg);
		extras_close(&x);
		return e->code;
	}
	/* Both tables full, and the flows that are just leaving: the model evicts none by itself. */
	cfg.max_flows = 2 * live_max_flows(l) + 4096;
	p = pipeline_new(&cfg);
	if (p) {
		struct live_ui shared = ui ? *ui : (struct live_ui){ .fd = -1 };
		struct reload re = { o, &x, l, p };

		/* Where there is a screen, SIGHUP says that its terminal is gone. */
		if (o->rules && shared.fd < 0) {
			shared.reload = reload;
			shared.reload_arg = &re;
		}
		code = run(l, p, ui || shared.reload ? &shared : NULL, e);
	} else {
		extras_drop_sinks(&cfg);
		code = broken(e, EX_OSERR, "can't set up", ENOMEM);
	}
	live_free(l);
	pipeline_free(p);
	kept = extras_close(&x);
	if (!code && kept) {
		snprintf(e->text, sizeof(e->text), "not all evidence could be written to %s. Free space there.",
			 o->evidence);
		code = e->code = kept;
	}
	return code;
}
