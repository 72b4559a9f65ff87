/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report: one HTML file that shows what was found, against what, and what
 * else was thought of. A sink collects while the capture is read; the page is
 * written from what it kept. No client's address is written.
 */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <stdio.h>

#include "interval.h"
#include "sink.h"

#define REPORT_BINS 128
#define REPORT_FINDINGS 128

/* A finding as it was last told of. */
struct report_finding {
	struct finding f;
	int series; /* the type whose rate is drawn; -1: none */
};

/* The bytes of each type over time. When the bins are full, two become one. */
struct report_series {
	uint64_t start_ns, width_ns, end_ns;	 /* start_ns 0: nothing yet */
	double bytes[MAX_TYPES][2][REPORT_BINS]; /* IP bytes; TO_SERVER, TO_CLIENT */
};

struct report {
	const struct model *model; /* valid while the sink is called */
	struct report_finding *finding;
	unsigned nfindings, left_out; /* left_out: there was no room for */
	struct report_series series;
	struct interval interval;
	unsigned ntypes;
	struct type_stats type[MAX_TYPES]; /* at the end */
	struct totals totals;
	uint64_t start_ns, end_ns; /* of the traffic */
};

/* What the report is of. Texts may be anything: they are escaped. */
struct report_source {
	const char *name;     /* of the capture; without its directory */
	const char *command;  /* that makes this report */
	const char *settings; /* "sensitivity normal, ..." */
	const char *sha256;   /* hexadecimal; NULL: not known (standard input) */
	bool broken;	      /* the capture breaks off */
	uint64_t bytes;
};

struct report *report_new(void); /* NULL: out of memory */
void report_free(struct report *r);

/* Its close does nothing: the report is its owner's. */
struct sink_ref report_sink(struct report *r);

/* The page. Errors stay with the stream. */
void report_html(FILE *to, struct report *r, const struct report_source *source);

/* The parts of the page. */
void report_sentence(FILE *to, const struct report *r, const struct report_finding *f);
void report_timeline(FILE *to, const struct report *r);
void report_rates(FILE *to, const struct report *r, const struct report_finding *f);
void report_facts(FILE *to, const struct finding *f);
void report_ruled_out(FILE *to, const struct finding *f);

/* The fact of that name, NULL if there is none. */
const struct fact *report_fact(const struct facts *s, const char *name);

/* The name of what a finding is about: its type, or how it is shared. Not escaped. */
const char *report_subject(const struct report *r, const struct report_finding *f);

/* Is the type one of a comma-separated list? */
bool report_listed(const char *list, const char *name);

#endif
