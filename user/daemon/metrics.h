/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics in Prometheus' text format, and as OpenMetrics. No label tells of an
 * address, a port, a name or a client: types, interfaces and kinds only, so
 * that their number is bounded and nothing of anybody's traffic leaves with them.
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include "findings.h"
#include "jbuf.h"
#include "sink.h"

struct live;
struct options;
struct metrics;

struct metrics *metrics_new(void); /* NULL: out of memory */
void metrics_free(struct metrics *mx);

/* Counts events. Its close does nothing: counters go on over several captures. */
struct sink_ref metrics_sink(struct metrics *mx);

/* What the next renderings look at; all NULL while there is nothing to see. l may be NULL alone. */
void metrics_show(struct metrics *mx, struct live *l, struct model *m, const struct findings *f);

/* The interfaces and the evidence directory; o's strings are copied. l NULL: no interfaces. */
void metrics_about(struct metrics *mx, const struct live *l, const struct options *o);

/* The same for one who has no capture: names of interfaces with their ifindex. */
void metrics_iface(struct metrics *mx, const char *name, unsigned ifindex);

void metrics_reloaded(struct metrics *mx, bool ok);

/* Events that did not arrive, counted by others: the value so far. */
enum metrics_lost { METRICS_LOST_QUEUE, METRICS_LOST_LOG, METRICS_LOST_HISTORY, METRICS_LOST };
void metrics_lost(struct metrics *mx, enum metrics_lost what, uint64_t n);

enum metrics_form { METRICS_TEXT, METRICS_OPENMETRICS };

/* Replaces what b holds. b->failed: out of memory. */
void metrics_render(struct metrics *mx, enum metrics_form form, struct jbuf *b);

/*
 * Rendered into path, for node_exporter's textfile collector: written beside it,
 * synced, renamed, so that nobody sees half of it. False: why is a sentence.
 */
bool metrics_textfile(struct metrics *mx, const char *path, char *why, size_t len);

#endif
