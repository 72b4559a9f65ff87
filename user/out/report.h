/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report: one file that shows what was found, against what, and what else
 * was thought of. What it shows is collected in a struct report: by a sink while
 * a capture or the traffic passes, or out of the history. The page is written
 * from that alone. No client's address is written.
 */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <stdio.h>

#include "interval.h"
#include "sink.h"

#define REPORT_BINS	128
#define REPORT_FINDINGS 128
#define REPORT_FULL	12 /* findings told in full; of the others, the sentence */
#define REPORT_PACKETS	32 /* of a finding's evidence */
#define REPORT_SPANS	4096
#define REPORT_COMMENT	200

struct evidence;
struct report_tracks;

/* The bytes of a finding's type and of what it is compared with, over time. */
struct report_plot {
	uint64_t start_ns, width_ns, end_ns; /* end_ns 0: not known */
	unsigned n;
	double bytes[2][REPORT_BINS]; /* the type, the control; IP bytes */
	double lost[REPORT_BINS];     /* packets of the type */
	unsigned control_types;	      /* that carried anything */
	char control_names[128];
};

/* The bytes of the flows that show a rate limit, summed; and when they lost. */
struct report_curve {
	uint64_t start_ns, width_ns;
	unsigned n, flows; /* n 0: nothing known; flows 0: the whole type's */
	double bytes[REPORT_BINS], lost[REPORT_BINS];
};

/* A packet of the evidence, as its headers tell. */
struct report_packet {
	uint64_t time_ns;
	uint32_t seq, ack, payload;
	uint16_t ipid;
	uint8_t way; /* TO_SERVER, TO_CLIENT */
	uint8_t proto, flags, ttl;
	bool v4;
	char comment[REPORT_COMMENT]; /* "": none */
};

/* A finding as it was last told of. */
struct report_finding {
	struct finding f;
	char app[TYPE_NAME_LEN];
	char subject[TYPE_NAME_LEN + 16]; /* of one that is not of a type: whose flows; "": not known */
	int series; /* the type whose rate is drawn; -1: none */
	bool lead; /* the one that stands for all of its subject and kind: the highest, then newest */
	struct report_plot plot;
	struct report_curve curve;
	struct report_packet packet[REPORT_PACKETS]; /* of one flow, in time's order */
	unsigned npackets;
};

/* When one subject showed one kind of interference. */
struct report_span {
	char subject[TYPE_NAME_LEN + 16];
	enum kind kind;
	enum level level;
	uint64_t start_ns, end_ns;
	unsigned times;
	bool open;
};

/* The bytes of each type over time. When the bins are full, two become one. */
struct report_series {
	uint64_t start_ns, width_ns, end_ns;	 /* start_ns 0: nothing yet */
	double bytes[MAX_TYPES][2][REPORT_BINS]; /* IP bytes; TO_SERVER, TO_CLIENT */
	double lost[MAX_TYPES][2][REPORT_BINS];	 /* packets of TCP */
};

struct report {
	const struct model *model; /* valid while the sink is called */
	struct evidence *evidence; /* where the packets of findings are; NULL: nowhere */
	struct report_finding *finding;
	unsigned nfindings, left_out; /* left_out: there was no room for */
	unsigned total[LEVEL_COUNT];  /* of all findings, those left out too */
	struct report_span *span;     /* in order of their start */
	unsigned nspans;
	struct report_series series;
	struct report_tracks *tracks; /* NULL: no record of each packet comes */
	struct interval interval;
	unsigned ntypes;
	struct type_stats type[MAX_TYPES]; /* at the end; of the rtt only n counts */
	double rtt_ms[MAX_TYPES];	   /* median; 0: not measured */
	struct totals totals;
	uint64_t start_ns, end_ns; /* of the traffic */
	bool history;		   /* out of the history: no totals of packets */
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

/*
 * tracks: keep the curves of single flows (4 MB), for sinks that see every
 * packet. NULL: out of memory.
 */
struct report *report_new(bool tracks);
void report_free(struct report *r);

/* Its close does nothing: the report is its owner's. */
struct sink_ref report_sink(struct report *r);

/* For a pipeline's record, arg a struct report: the curves of flows, where they are kept. */
void report_record(void *arg, const struct flow *f, const struct weir_rec *r);

/*
 * Makes of what the sink collected what the page shows: types, plots, curves,
 * packets. At TOOL_STOP the sink does it itself; while it runs, before a page
 * is written. now_ns: up to when.
 */
void report_fill(struct report *r, uint64_t now_ns);

/* A finding's packets out of its evidence file; nothing where there is none or it is broken. */
void report_packets_file(struct report_finding *f, const char *path);

/* The page, and the same as Markdown and as JSON. Errors stay with the stream. */
void report_html(FILE *to, struct report *r, const struct report_source *source);
void report_md(FILE *to, struct report *r, const struct report_source *source);
void report_json(FILE *to, struct report *r, const struct report_source *source);

/* The parts of the page. */
void report_sentence(FILE *to, const struct report *r, const struct report_finding *f);
void report_timeline(FILE *to, const struct report *r);
void report_rates(FILE *to, const struct report *r, const struct report_finding *f);
void report_bytes(FILE *to, const struct report *r, const struct report_finding *f);
void report_ladder(FILE *to, const struct report_finding *f);
void report_losses(FILE *to, const struct report *r);
void report_facts(FILE *to, const struct finding *f);
void report_ruled_out(FILE *to, const struct finding *f);

/* The fact of that name, NULL if there is none. */
const struct fact *report_fact(const struct facts *s, const char *name);

/* The name of what a finding is about: its type, or how it is shared. Not escaped. */
const char *report_subject(const struct report *r, const struct report_finding *f);

/* Is the type one of a comma-separated list? */
bool report_listed(const char *list, const char *name);

/* A kind in words; a name of the program's with its underscores as blanks. */
const char *report_kind(enum kind kind);
void report_name(FILE *to, const char *name);

/* The limit found, in bit/s of IP bytes, as the curves count; NaN: none. low, high: its interval. */
double report_limit(const struct finding *f, double *low, double *high);

/* The other address of two is the client's: hides every address in the texts of a finding. */
void report_redact(struct finding *f);

/*
 * Notes when; merged with the last of its kind where the two touch. False: no room.
 * Sorted by their start when all are there.
 */
bool report_span_add(struct report *r, const struct report_span *s);
void report_sort_spans(struct report *r);

/* A place for a finding with that id: its own, a free one, or that of one which says less. */
struct report_finding *report_place(struct report *r, const struct finding *f, bool first);

/* Adds up the plot of a finding: type of all types, its bytes and losses of one bin. */
void report_plot_add(struct report_plot *p, const struct report *r, const struct report_finding *f,
		     unsigned type, unsigned bin, const double bytes[2], const double lost[2]);

#endif
