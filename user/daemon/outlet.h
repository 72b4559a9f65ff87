/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events as text to somewhere else than stdout, with summaries at a pace of its
 * own: the daemon's log, and each of its clients.
 */
#ifndef WEIR_OUTLET_H
#define WEIR_OUTLET_H

#include "options.h"
#include "sink.h"

struct outlet {
	struct sink_ref inner;
	double interval_s;
	uint64_t last_ns; /* of the last summary */
	void (*write)(void *arg, const char *text, size_t len); /* NULL: stdout */
	void *arg;
	struct privacy privacy; /* the map is the options' */
};

/*
 * json, events, bytes, interval_s and privacy of how are used; its map must
 * live as long. False: out of memory.
 */
bool outlet_open(struct outlet *o, const struct options *how,
		 void (*write)(void *arg, const char *text, size_t len), void *arg);

/* Other privacy from now on. Where it does not say, names stay out, as in all that live capture writes. */
void outlet_privacy(struct outlet *o, const struct privacy *p);

/* What was counted so far is not the first summary's: for one that opens late. */
void outlet_skip(struct outlet *o, const struct model *m, uint64_t time_ns);

/*
 * The sink: s is the outlet. Its close does nothing, for an outlet outlives a
 * pipeline; while it is closed (inner.ops NULL) it says nothing.
 */
extern const struct sink outlet_sink;

void outlet_close(struct outlet *o);

#endif
