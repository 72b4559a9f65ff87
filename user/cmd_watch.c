// SPDX-License-Identifier: GPL-2.0-or-later
/* weir watch: live capture as lines. */
#include <signal.h>
#include <string.h>

#include "capture_run.h"
#include "commands.h"
#include "error.h"
#include "out.h"

static bool still_read(void *arg)
{
	return output_ok();
}

int cmd_watch(const struct options *o)
{
	struct live_ui ui = { .fd = -1, .redraw_ms = 100, .redraw = still_read };
	struct sink_ref sink = output_open(o, true);
	struct live_error e = { 0 };
	int code;

	if (!sink.ops)
		return fail(EX_OSERR, "out of memory.");
	/* A reader that goes away is told by EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	code = capture_run(o, &sink, 1, &ui, &e);
	return code ? fail(code, "%s", e.text) : output_code();
}
