// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SIGHUP. Everything that the new configuration needs is opened first; only
 * when all of it is there does it take over. Log, metrics and what detectors are
 * told change under way; another set of interfaces, networks or files to keep
 * findings in needs another capture, which is loaded before the old one ends.
 */
#include <stdio.h>
#include <string.h>

#include "classify.h"
#include "daemon.h"
#include "error.h"
#include "options_table.h"

/* Keys that change under way. */
static bool is_soft(const struct option_row *r)
{
	static const char *const soft[] = { "detect", "events", "metrics", "screen" };

	for (unsigned i = 0; i < sizeof(soft) / sizeof(*soft); i++)
		if (!strcmp(r->section, soft[i]))
			return true;
	return false;
}

static bool same(const struct option_row *r, const struct options *a, const struct options *b)
{
	char x[2048], y[2048];

	r->get(a, x, sizeof(x));
	r->get(b, y, sizeof(y));
	return !strcmp(x, y);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool needs_restart(const struct options *a, const struct options *b)
{
	for (const struct option_row *r = option_table; r->name; r++)
		if (r->key && r->get && !is_soft(r) && !same(r, a, b))
			return true;
	/* The built-in rules come with another classifier. */
	return a->rules && !b->rules;
}

static void tell(struct daemon *d, const char *why)
{
	struct live_status s;

	live_status(d->live, &s);
	pipeline_tool(d->pipeline, &(struct tool_event){ .time_ns = s.now_ns,
							 .action = TOOL_RELOAD, .why = why });
	metrics_reloaded(d->metrics, !why);
	notify_send(&d->notify, "READY=1");
}

static void keep(struct daemon *d, struct options *next, const char *why)
{
	notice("%s Keeping the old configuration.", why);
	options_free(next);
	tell(d, why);
}

/* Opened, not yet in force. */
struct prepared {
	struct rules *rules;
	struct event_log *log;
	struct outlet to_log;
	struct http *http;
	struct live *live;
	bool other_http;
};

static void drop(struct prepared *p)
{
	if (p->rules)
		rules_free(p->rules);
	outlet_close(&p->to_log);
	event_log_close(p->log);
	http_close(p->http);
	live_free(p->live);
}

static bool prepare(struct daemon *d, const struct options *next, struct prepared *p, char *why,
		    size_t len)
{
	struct live_config cfg;
	struct live_error e = { 0 };
	char err[256];

	if (!same_text(options_socket(next), options_socket(&d->now))) {
		snprintf(why, len, "the socket can't change under way: restart the daemon.");
		return false;
	}
	if (next->rules) {
		p->rules = rules_load(next->rules, err, sizeof(err));
		if (!p->rules) {
			snprintf(why, len, "can't use the rules: %s.", err);
			return false;
		}
	}
	p->other_http = !same_text(next->listen, d->now.listen);
	if (!daemon_open_log(next, &p->log, &p->to_log, why, len) ||
	    (p->other_http && !daemon_open_http(d, next, &p->http, why, len)))
		return false;
	if (!needs_restart(&d->now, next))
		return true;
	capture_config(next, &cfg);
	p->live = live_open(&cfg, &e);
	if (!p->live)
		snprintf(why, len, "%s", e.text);
	return p->live;
}

static void take_rules(struct daemon *d, struct prepared *p)
{
	if (!p->rules)
		return;
	pipeline_rules(d->pipeline, p->rules);
	if (d->extras.rules)
		rules_free(d->extras.rules);
	d->extras.rules = p->rules;
	p->rules = NULL;
}

static void take(struct daemon *d, struct options *next, struct prepared *p)
{
	struct pipeline_config cfg = { 0 };

	/* The same file again, so that one that was moved away is let go. */
	outlet_close(&d->to_log);
	event_log_close(d->log);
	d->log = p->log;
	d->to_log = p->to_log;
	p->log = NULL;
	p->to_log.inner.ops = NULL;
	if (d->log)
		outlet_skip(&d->to_log, pipeline_model(d->pipeline), model_now(pipeline_model(d->pipeline)));
	if (p->other_http) {
		http_close(d->http);
		d->http = p->http;
		p->http = NULL;
	}
	d->told_ns = 0;
	d->textfile_said = false;
	if (p->live) {
		d->next = *next;
		d->next_live = p->live;
		p->live = NULL;
		d->restart = true;
		return;
	}
	take_rules(d, p);
	options_free(&d->now);
	d->now = *next;
	/* The pipeline looks into the options that are in force. */
	options_pipeline(&d->now, &cfg);
	pipeline_retune(d->pipeline, &cfg);
	daemon_about(d);
}

void daemon_reload(void *arg)
{
	struct daemon *d = arg;
	struct prepared p = { 0 };
	struct options next;
	char why[768] = "";

	notify_reloading(&d->notify);
	if (options_parse(&next, d->now.command, d->now.argc, d->now.argv)) {
		snprintf(why, sizeof(why), "%s", fail_text());
		keep(d, &next, why);
		return;
	}
	if (prepare(d, &next, &p, why, sizeof(why))) {
		take(d, &next, &p);
		tell(d, NULL);
		notice("configuration read again.");
	} else {
		keep(d, &next, why);
	}
	drop(&p);
}
