/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a screen shows, as one line of JSON a second: the daemon writes it, the
 * client of `weir live` builds a model of its own from it. Types and findings whole, the flows
 * that were active last up to a bound.
 */
#ifndef WEIR_SNAPSHOT_H
#define WEIR_SNAPSHOT_H

#include "findings.h"
#include "jbuf.h"
#include "redact.h"
#include "screen.h"

#define SNAPSHOT_FLOWS	  1000
#define SNAPSHOT_FINDINGS 64

/* Replaces what b holds. head: members of the object "head". p: what may be told. */
void snapshot_write(struct jbuf *b, const struct jbuf *head, const struct model *m,
		    const struct findings *f, const struct privacy *p, uint64_t time_ns,
		    double interval_s);

/* The reader's side. */
struct replica;

struct replica *replica_new(void); /* NULL: out of memory */
struct model *replica_model(struct replica *r);
struct findings *replica_findings(struct replica *r);

/* A line without its newline. False: it is none; what was read before stays. */
bool replica_read(struct replica *r, const char *line, size_t len);

/* The newest one's; strings hold until the next. interval_s, time_ns: for the screen's stats hook. */
void replica_status(const struct replica *r, struct screen_status *st, uint64_t *time_ns,
		    double *interval_s);
void replica_free(struct replica *r);

#endif
