// SPDX-License-Identifier: GPL-2.0-or-later
/* weir daemon: the watch loop as a service, with a log, a history, metrics, and clients on a socket. */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "classify.h"
#include "commands.h"
#include "error.h"
#include "out.h"
#include "syscalls.h"

#define TURN_MS	    100
#define TEXTFILE_NS 15000000000ULL

static void to_log(void *arg, const char *text, size_t len)
{
	event_log_write(arg, text, len);
}

/* Flows are many: a log has them only where they are asked for. */
bool daemon_open_log(const struct options *o, struct event_log **log, struct outlet *to, char *why,
		     size_t len)
{
	const struct event_log_config cfg = { o->log, o->log_size, o->log_files };
	struct options how = { .json = true, .interval_s = o->interval_s, .privacy = o->privacy };

	how.events = o->events ? o->events : EVENT_ALL & ~EVENT_FLOW;
	*to = (struct outlet){ 0 };
	*log = o->log ? event_log_open(&cfg, why, len) : NULL;
	if (!o->log)
		return true;
	if (*log && outlet_open(to, &how, to_log, *log))
		return true;
	if (*log)
		snprintf(why, len, "out of memory.");
	event_log_close(*log);
	*log = NULL;
	return false;
}

/* What a kill must not take: written at once. The rest waits for the next turn. */
static void flush_log(struct daemon *d)
{
	if (d->log)
		event_log_flush(d->log, live_mono_ns());
}

static void log_tool(void *arg, const struct tool_event *e)
{
	struct daemon *d = arg;

	outlet_sink.tool(&d->to_log, e);
	flush_log(d);
}

static void log_finding(void *arg, const struct model *m, const struct finding *f,
			enum finding_action action, uint64_t time_ns)
{
	struct daemon *d = arg;

	outlet_sink.finding(&d->to_log, m, f, action, time_ns);
	if (action != FINDING_UPDATE)
		flush_log(d);
}

static void log_flow(void *arg, const struct model *m, const struct flow *f)
{
	outlet_sink.flow(&((struct daemon *)arg)->to_log, m, f);
}

static void log_rst(void *arg, const struct model *m, const struct rst_event *e)
{
	outlet_sink.rst(&((struct daemon *)arg)->to_log, m, e);
}

static void log_stats(void *arg, const struct model *m, uint64_t time_ns, double interval_s)
{
	outlet_sink.stats(&((struct daemon *)arg)->to_log, m, time_ns, interval_s);
}

static const struct sink log_sink = { .tool = log_tool, .flow = log_flow, .rst = log_rst,
				      .finding = log_finding, .stats = log_stats };

bool daemon_open_http(struct daemon *d, const struct options *o, struct http **http, char *why,
		      size_t len)
{
	struct epoll_event ev = { .events = EPOLLIN };

	*http = NULL;
	if (!o->listen)
		return true;
	*http = http_open(o->listen, d->metrics, why, len);
	if (!*http)
		return false;
	if (!epoll_ctl(d->epoll, EPOLL_CTL_ADD, http_fd(*http), &ev))
		return true;
	snprintf(why, len, "can't serve metrics: %s.", strerror(errno));
	http_close(*http);
	*http = NULL;
	return false;
}

void daemon_about(struct daemon *d)
{
	const char *names[LIVE_IFACES];
	struct server_about about = { .ifaces = names, .history = d->now.history };

	about.nifaces = live_ifaces(d->live, names, LIVE_IFACES);
	server_about(d->server, &about);
	server_privacy(d->server, &d->now.privacy);
	outlet_privacy(&d->to_log, &d->now.privacy);
	outlet_privacy(&d->to_stdout, &d->now.privacy);
	metrics_about(d->metrics, d->live, &d->now);
}

/* ---- the loop's side ---- */

static void write_textfile(struct daemon *d, uint64_t now)
{
	char why[256];
	bool ok;

	if (!d->now.textfile || (d->told_ns && now - d->told_ns < TEXTFILE_NS))
		return;
	d->told_ns = now;
	ok = metrics_textfile(d->metrics, d->now.textfile, why, sizeof(why));
	if (!ok && !d->textfile_said)
		notice("%s It is tried again.", why);
	d->textfile_said = !ok;
}

static void tell_head(struct daemon *d)
{
	struct live_status st;

	live_status(d->live, &st);
	server_head(d->server, st.ifaces, *st.problem ? st.problem : NULL, st.seen, st.lost,
		    live_max_flows(d->live), st.uptime_s, st.now_ns);
}

/* Every tenth of a second. */
static bool turn(void *arg)
{
	struct daemon *d = arg;
	uint64_t now = live_mono_ns();
	struct server_stats st;

	tell_head(d);
	server_stats(d->server, &st);
	metrics_lost(d->metrics, METRICS_LOST_QUEUE, st.cut);
	if (d->log)
		metrics_lost(d->metrics, METRICS_LOST_LOG, event_log_lost(d->log));
	if (d->extras.history.ops)
		metrics_lost(d->metrics, METRICS_LOST_HISTORY, history_dropped(&d->extras.history));
	server_serve(d->server, now);
	if (d->http)
		http_serve(d->http);
	if (d->log)
		event_log_flush(d->log, now);
	write_textfile(d, now);
	notify_alive(&d->notify, now);
	return !d->restart && output_ok();
}

static bool input(void *arg)
{
	struct daemon *d = arg;
	struct epoll_event ev[4];

	/* Their own sets say what it is; ours only woke us. */
	epoll_wait(d->epoll, ev, 4, 0);
	server_serve(d->server, live_mono_ns());
	if (d->http)
		http_serve(d->http);
	return !d->restart;
}

static void dump(void *arg)
{
	struct daemon *d = arg;

	d->told_ns = 0;
	write_textfile(d, live_mono_ns());
	if (d->log)
		event_log_flush(d->log, live_mono_ns());
}

/* ---- one capture ---- */

static int say(struct live_error *e, int code, const char *why)
{
	snprintf(e->text, sizeof(e->text), "%s", why);
	return e->code = code;
}

static void add_sink(struct pipeline_config *cfg, const struct sink *ops, void *s)
{
	if (s && cfg->nsinks < PIPELINE_SINKS)
		cfg->sink[cfg->nsinks++] = (struct sink_ref){ ops, s };
}

static int open_pipeline(struct daemon *d, struct live_error *e)
{
	struct pipeline_config cfg = { 0 };
	struct sink_ref server = server_sink(d->server), metrics = metrics_sink(d->metrics);

	options_pipeline(&d->now, &cfg);
	cfg.live = true;
	/* The history adds up seconds, and screens want one each; the others pace themselves. */
	cfg.interval_s = 1;
	cfg.max_flows = 2 * live_max_flows(d->live) + 4096;
	/* First what opens a file of its own: it is closed with the pipeline. */
	e->code = extras_open(&d->extras, &d->now, &cfg, e->text, sizeof(e->text));
	if (e->code)
		return e->code;
	if (d->to_stdout.inner.ops)
		add_sink(&cfg, &outlet_sink, &d->to_stdout);
	/* Always there: a reload may begin to log. */
	add_sink(&cfg, &log_sink, d);
	add_sink(&cfg, server.ops, server.s);
	add_sink(&cfg, metrics.ops, metrics.s);
	d->pipeline = pipeline_new(&cfg);
	if (d->pipeline)
		return 0;
	extras_drop_sinks(&cfg);
	extras_close(&d->extras);
	return say(e, EX_OSERR, "out of memory.");
}

static void close_pipeline(struct daemon *d)
{
	struct totals t = { 0 };

	live_stop(d->live, &t);
	pipeline_finish(d->pipeline, &t);
	server_show(d->server, NULL, NULL);
	metrics_show(d->metrics, NULL, NULL, NULL);
	pipeline_free(d->pipeline);
	d->pipeline = NULL;
	extras_close(&d->extras);
}

static int capture(struct daemon *d, struct live_error *e)
{
	const struct live_ui ui = { .fd = d->epoll, .redraw_ms = TURN_MS, .input = input,
				    .redraw = turn, .arg = d, .reload = daemon_reload,
				    .reload_arg = d, .now = dump };
	int err = open_pipeline(d, e);
	struct model *m;

	if (err)
		return err;
	m = pipeline_model(d->pipeline);
	server_show(d->server, m, pipeline_findings(d->pipeline));
	metrics_show(d->metrics, d->live, m, pipeline_findings(d->pipeline));
	daemon_about(d);
	if (live_start(d->live, d->pipeline, e)) {
		close_pipeline(d);
		return e->code;
	}
	err = syscalls_daemon();
	if (err)
		notice("no system call filter: %s. Running without.", strerror(-err));
	notify_send(&d->notify, "READY=1\nSTATUS=%s", d->now.nifaces ? "watching" : "watching the default route");
	err = live_run(d->live, &ui);
	if (!d->restart)
		notify_send(&d->notify, "STOPPING=1");
	close_pipeline(d);
	return err ? say(e, EX_SOFTWARE, "capture broke off.") : 0;
}

/* With the new configuration; where that fails all the same, with the old one. */
static int capture_again(struct daemon *d, struct live_error *e)
{
	struct options old = d->now;
	struct live_config cfg;
	int err;

	d->restart = false;
	live_free(d->live);
	d->live = d->next_live;
	d->next_live = NULL;
	d->now = d->next;
	memset(&d->next, 0, sizeof(d->next));
	err = capture(d, e);
	if (!err) {
		options_free(&old);
		return 0;
	}
	notice("%s Keeping the old configuration.", e->text);
	metrics_reloaded(d->metrics, false);
	options_free(&d->now);
	d->now = old;
	live_free(d->live);
	outlet_close(&d->to_log);
	event_log_close(d->log);
	if (!daemon_open_log(&d->now, &d->log, &d->to_log, e->text, sizeof(e->text)))
		return e->code = EX_CANTCREAT;
	capture_config(&d->now, &cfg);
	d->live = live_open(&cfg, e);
	return d->live ? capture(d, e) : e->code;
}

static int open_all(struct daemon *d, struct live_error *e)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct live_config cfg;
	struct server_error se = { 0 };

	capture_config(&d->now, &cfg);
	d->live = live_open(&cfg, e);
	if (!d->live)
		return e->code;
	d->server = server_open(options_socket(&d->now), &se);
	if (!d->server)
		return say(e, se.code, se.text);
	d->metrics = metrics_new();
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!d->metrics || d->epoll < 0 ||
	    epoll_ctl(d->epoll, EPOLL_CTL_ADD, server_fd(d->server), &ev))
		return say(e, EX_OSERR, "can't set up the daemon: no memory or no descriptors.");
	if (d->now.json && !outlet_open(&d->to_stdout, &d->now, NULL, NULL))
		return say(e, EX_OSERR, "out of memory.");
	if (!daemon_open_log(&d->now, &d->log, &d->to_log, e->text, sizeof(e->text)))
		return e->code = EX_CANTCREAT;
	if (!daemon_open_http(d, &d->now, &d->http, e->text, sizeof(e->text)))
		return e->code = EX_UNAVAILABLE;
	return 0;
}

static void close_all(struct daemon *d)
{
	server_close(d->server);
	http_close(d->http);
	metrics_free(d->metrics);
	outlet_close(&d->to_log);
	outlet_close(&d->to_stdout);
	event_log_close(d->log);
	live_free(d->live);
	live_free(d->next_live);
	options_free(&d->next);
	if (d->epoll >= 0)
		close(d->epoll);
	notify_close(&d->notify);
}

int cmd_daemon(const struct options *o)
{
	static struct daemon d; /* the flow tables are elsewhere, but it is no small thing */
	struct live_error e = { 0 };
	int code;

	d = (struct daemon){ .epoll = -1 };
	signal(SIGPIPE, SIG_IGN);
	notify_open(&d.notify);
	code = options_parse(&d.now, o->command, o->argc, o->argv);
	if (code)
		return code;
	/* Log, history and evidence: the group may read them. */
	umask(0027);
	code = open_all(&d, &e);
	if (!code)
		code = capture(&d, &e);
	while (!code && d.restart)
		code = capture_again(&d, &e);
	if (code)
		notify_send(&d.notify, "STATUS=%s", e.text);
	close_all(&d);
	options_free(&d.now);
	return code ? fail(code, "%s", e.text) : output_code();
}
