/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live, watch and events where a daemon runs: what it sees, shown here. */
#ifndef WEIR_JOINED_H
#define WEIR_JOINED_H

#include "client.h"

/* The daemon's events on stdout until a signal, the count or the daemon ends it. The exit code. */
int joined_lines(struct client *c, const struct options *o);

struct screen;

/* The screen on the daemon's model. The exit code; the sentence is in why, to be said on the terminal given back. */
int joined_screen(struct client *c, struct screen *s, char *why, size_t len);

#endif
