// SPDX-License-Identifier: GPL-2.0-or-later
/* weir events: the stream of a daemon that runs. */
#include "commands.h"
#include "joined.h"

int cmd_events(const struct options *o)
{
	const struct request r = { .what = REQUEST_EVENTS, .json = true, .events = o->events,
				   .interval_s = o->interval_s };
	struct options always = *o;
	struct client c;
	int code;

	always.connect = true;
	if (client_join(&c, &always, &r, &code) < 0)
		return code;
	return joined_lines(&c, o);
}
