// SPDX-License-Identifier: GPL-2.0-or-later
/* weir live: live capture on the screen; where there is none, as lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture_run.h"
#include "commands.h"
#include "error.h"
#include "evidence.h"
#include "joined.h"
#include "report.h"
#include "screen.h"

#define WRITTEN 8

struct showing {
	struct screen *screen;
	struct live *live;
	struct pipeline *pipeline;
	struct report *report; /* NULL: no memory for one */
	const struct options *o;
	char written[WRITTEN][300]; /* told once more when the screen is gone */
	unsigned nwritten;
};

static void opened(void *arg, struct live *l, struct pipeline *p)
{
	struct showing *w = arg;

	w->live = l;
	w->pipeline = p;
	screen_show(w->screen, pipeline_model(p), pipeline_findings(p));
}

static bool draw(void *arg)
{
	struct showing *w = arg;
	struct live_status now;
	struct screen_status st = { 0 };

	live_status(w->live, &now);
	st.source = now.ifaces;
	st.problem = *now.problem ? now.problem : NULL;
	st.packets = now.seen;
	st.lost = now.lost;
	st.max_flows = live_max_flows(w->live);
	st.uptime_s = now.uptime_s;
	st.now_ns = now.now_ns;
	screen_draw(w->screen, &st);
	return true;
}

static bool input(void *arg)
{
	struct showing *w = arg;

	return screen_keys(w->screen) && draw(w);
}

/* Some terminals tell of their new size late or not at all: looked at on each redraw too. */
static bool redraw(void *arg)
{
	return input(arg);
}

/* A new file where we are, else in /tmp: nobody's is overwritten, no link is followed. */
static FILE *new_file(const char *name, char *path, size_t len)
{
	static const char *const dirs[] = { ".", "/tmp" };
	FILE *f;
	int fd;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, len, "%s%s%s", i ? dirs[i] : "", i ? "/" : "", name);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			continue;
		f = fdopen(fd, "w");
		if (!f)
			close(fd);
		return f;
	}
	return NULL;
}

static bool write_report(struct showing *w, FILE *to)
{
	struct report_source s = { .name = "live traffic", .command = "weir live, R",
				   .settings = "as it was seen until the report was written" };
	struct live_status now;

	live_status(w->live, &now);
	report_fill(w->report, now.now_ns);
	w->report->history = true; /* what it is of goes on */
	report_html(to, w->report, &s);
	return !ferror(to);
}

static void write_file(void *arg, int key, uint32_t finding, char *said, size_t len)
{
	struct showing *w = arg;
	struct evidence *packets = pipeline_evidence(w->pipeline);
	char name[64], path[256];
	struct live_status now;
	bool ok;
	FILE *f;

	if (key == 'e' && (!packets || !evidence_packets(packets, finding))) {
		if (packets && w->o->evidence)
			snprintf(said, len, "written already: %s/%u.pcapng", w->o->evidence, finding);
		else
			snprintf(said, len, "no packets of #%u are kept", finding);
		return;
	}
	if (key == 'R' && (!w->report || !w->report->model)) {
		snprintf(said, len, "nothing was seen yet to report of");
		return;
	}
	live_status(w->live, &now);
	if (key == 'e')
		snprintf(name, sizeof(name), "weir-%u-%llu.pcapng", finding, (unsigned long long)now.now_ns / 1000000000);
	else
		snprintf(name, sizeof(name), "weir-report-%llu.html", (unsigned long long)now.now_ns / 1000000000);
	f = new_file(name, path, sizeof(path));
	if (!f) {
		snprintf(said, len, "can't write %s: %s", path, strerror(errno));
		return;
	}
	ok = key == 'e' ? evidence_write(packets, finding, f) : write_report(w, f);
	if (fclose(f) || !ok) {
		snprintf(said, len, "can't write %s: %s", path, strerror(errno ? errno : EIO));
		unlink(path);
		return;
	}
	snprintf(said, len, "wrote %s", path);
	snprintf(w->written[w->nwritten++ % WRITTEN], sizeof(w->written[0]), "%s", path);
}

static void tell_written(const struct showing *w)
{
	for (unsigned i = 0; i < w->nwritten && i < WRITTEN; i++)
		printf("wrote %s\n", w->written[i]);
}

int cmd_live(const struct options *o)
{
	struct showing w = { .o = o };
	struct live_ui ui = { .fd = STDIN_FILENO, .redraw_ms = 1000, .opened = opened,
			      .input = input, .redraw = redraw, .arg = &w };
	const struct request r = { .what = REQUEST_SCREEN };
	struct live_error e = { 0 };
	struct sink_ref sinks[2];
	unsigned nsinks = 0;
	struct client c;
	char why[128];
	int code, joined;

	if (o->json)
		return cmd_watch(o);
	w.screen = screen_open(o, why, sizeof(why));
	if (!w.screen) {
		if (isatty(STDOUT_FILENO))
			notice("no screen: %s. Printing lines, as weir watch does.", why);
		return cmd_watch(o);
	}
	joined = client_join(&c, o, &r, &code);
	if (joined < 0) {
		screen_close(w.screen);
		return code;
	}
	if (joined) {
		code = joined_screen(&c, w.screen, why, sizeof(why));
		return code ? fail(code, "%s", why) : EX_OK;
	}
	/* The screen shows what the tool says; words on stderr would tear it. */
	verbosity = -1;
	sinks[nsinks++] = screen_sink(w.screen);
	w.report = report_new(false);
	if (w.report)
		sinks[nsinks++] = report_sink(w.report);
	screen_writes(w.screen, write_file, &w);
	code = capture_run(o, sinks, nsinks, &ui, &e);
	screen_close(w.screen);
	tell_written(&w);
	report_free(w.report);
	return code ? fail(code, "%s", e.text) : EX_OK;
}
