// SPDX-License-Identifier: GPL-2.0-or-later
/* weir live: live capture on the screen; where there is none, as lines. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture_run.h"
#include "commands.h"
#include "error.h"
#include "joined.h"
#include "screen.h"

struct showing {
	struct screen *screen;
	struct live *live;
};

static void opened(void *arg, struct live *l, struct pipeline *p)
{
	struct showing *w = arg;

	w->live = l;
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

int cmd_live(const struct options *o)
{
	struct showing w = { 0 };
	struct live_ui ui = { .fd = STDIN_FILENO, .redraw_ms = 1000, .opened = opened,
			      .input = input, .redraw = redraw, .arg = &w };
	const struct request r = { .what = REQUEST_SCREEN };
	struct live_error e = { 0 };
	struct sink_ref sink;
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
	sink = screen_sink(w.screen);
	code = capture_run(o, &sink, 1, &ui, &e);
	screen_close(w.screen);
	return code ? fail(code, "%s", e.text) : EX_OK;
}
