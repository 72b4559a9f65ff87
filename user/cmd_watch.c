// SPDX-License-Identifier: GPL-2.0-or-later
/* weir watch: live capture as lines. */
#include <signal.h>
#include <string.h>

#include "capture_run.h"
#include "commands.h"
#include "error.h"
#include "joined.h"
#include "out.h"

static bool still_read(void *arg)
{
	return output_ok();
}

int cmd_watch(const struct options *o)
{
	struct live_ui ui = { .fd = -1, .redraw_ms = 100, .redraw = still_read };
	const struct request r = { .what = REQUEST_EVENTS, .json = o->json, .bytes = o->bytes,
				   .events = options_events(o), .interval_s = o->interval_s };
	struct live_error e = { 0 };
	struct sink_ref sink;
	struct client c;
	int code, joined = client_join(&c, o, &r, &code);

	if (joined)
		return joined < 0 ? code : joined_lines(&c, o);
	sink = output_open(o, true);

	if (!sink.ops)
		return fail(EX_OSERR, "out of memory.");
	/* A reader that goes away is told by EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	code = capture_run(o, &sink, 1, &ui, &e);
	return code ? fail(code, "%s", e.text) : output_code();
}
