// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "error.h"
#include "history.h"

static void live_options(const struct options *o, struct live_config *cfg)
{
	*cfg = (struct live_config){
		.nifaces = o->nifaces,
		.hook = (enum attach_kind)o->hook,
		.max_flows = o->max_flows,
		.verbose = verbosity > 0,
		.interval_s = o->interval_s,
		.count = o->count,
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

static void close_all(const struct sink_ref *sinks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sinks[i].ops->close(sinks[i].s);
}

int capture_run(const struct options *o, const struct sink_ref *sinks, unsigned n,
		const struct live_ui *ui, struct live_error *e)
{
	struct pipeline_config cfg = { 0 };
	struct live_config live_cfg;
	struct history_error he;
	struct pipeline *p;
	struct live *l;
	int code;

	live_options(o, &live_cfg);
	l = live_open(&live_cfg, e);
	if (!l) {
		close_all(sinks, n);
		return e->code;
	}
	options_pipeline(o, &cfg);
	cfg.live = true;
	/* Both tables full, and the flows that are just leaving: the model evicts none by itself. */
	cfg.max_flows = 2 * live_max_flows(l) + 4096;
	for (unsigned i = 0; i < n && cfg.nsinks < PIPELINE_SINKS; i++)
		cfg.sink[cfg.nsinks++] = sinks[i];
	if (o->history && cfg.nsinks < PIPELINE_SINKS) {
		struct sink_ref history = history_sink(o->history, &he);

		if (!history.ops) {
			close_all(sinks, n);
			live_free(l);
			e->code = he.code;
			snprintf(e->text, sizeof(e->text), "%s", he.text);
			return e->code;
		}
		cfg.sink[cfg.nsinks++] = history;
	}
	p = pipeline_new(&cfg);
	if (p) {
		code = run(l, p, ui, e);
	} else {
		close_all(cfg.sink, cfg.nsinks);
		code = broken(e, EX_OSERR, "can't set up", ENOMEM);
	}
	live_free(l);
	pipeline_free(p);
	return code;
}
