/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The screen of `weir live` (ncursesw). It only reads: the model, the findings,
 * and what the capture says of itself.
 *
 *	s = screen_open(o, err, sizeof(err));	NULL: print lines instead
 *	cfg.sink[n++] = screen_sink(s);		as one of the pipeline's sinks
 *	screen_show(s, pipeline_model(p), pipeline_findings(p));
 *	each turn of the loop (stdin readable, EINTR, a tick):
 *		if (!screen_keys(s)) break;	q
 *		screen_draw(s, &status);
 *	screen_close(s);			the terminal as it was
 */
#ifndef WEIR_SCREEN_H
#define WEIR_SCREEN_H

#include "findings.h"
#include "options.h"
#include "sink.h"

struct screen;

/* What the header says of the capture. */
struct screen_status {
	const char *source;  /* interfaces with the hook in use: "wan0 tcx, ppp0 tc" */
	const char *problem; /* what part of the traffic is not seen; takes the clock's place; NULL */
	uint64_t packets;    /* seen so far */
	uint64_t lost;	     /* records lost so far */
	unsigned max_flows;  /* 0: no bound */
	double uptime_s;
	uint64_t now_ns; /* the clock to show, ns since the epoch */
};

/*
 * Takes the terminal. NULL when stdin or stdout is none, or one that can't move
 * its cursor; why is then the reason in words.
 */
struct screen *screen_open(const struct options *o, char *why, size_t len);

/* Its stats hook makes the figures of the interval; call with any interval. */
struct sink_ref screen_sink(struct screen *s);

/* What to show. Both must live until screen_close(). */
void screen_show(struct screen *s, struct model *m, struct findings *f);

/*
 * Who writes what the user asks for: key 'e' the evidence of a finding, 'R' a
 * report. What came of it goes to said, for the last line. Without one the screen
 * says which command does it.
 */
typedef void (*screen_writer)(void *arg, int key, uint32_t finding, char *said, size_t len);
void screen_writes(struct screen *s, screen_writer write, void *arg);

/* Takes the keys that wait (stdin never blocks). False: the user wants to leave. */
bool screen_keys(struct screen *s);

/* Draws what changed. Cheap when nothing did: ncurses sends differences only. */
void screen_draw(struct screen *s, const struct screen_status *status);

/* Gives the terminal back; also done on exit() and on a crash. The sink's close does nothing. */
void screen_close(struct screen *s);

#endif
