/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings: what detectors claim, from first suspicion to close. A detector
 * fills a struct finding and reports it again whenever it knows more; the store
 * gives ids, keeps the highest level, and tells the outputs of each change.
 */
#ifndef WEIR_FINDINGS_H
#define WEIR_FINDINGS_H

#include <stdio.h>
#include <string.h>

#include "model.h"

#define FINDING_FLOWS	64
#define FINDING_FACTS	12
#define FINDING_REASONS 16

/* A named value: a number, a text, or both. NaN: no number; "" : no text. */
struct fact {
	char name[32];
	double value;
	double control; /* the same of the control group; NaN: none */
	char text[96];
};

struct facts {
	unsigned n;
	struct fact fact[FINDING_REASONS];
};

struct finding {
	/* The detector's key: what makes it the same finding. */
	uint64_t key;

	uint32_t id; /* the store's */
	enum kind kind;
	enum subkind subkind;
	enum level level;
	double confidence; /* 0..1 */
	char method[40];   /* "rst_injection/rules/1": detector, test, version */
	uint64_t start_ns, end_ns; /* end_ns 0 while it lasts */
	int type;	   /* -1: not of one type */
	int app;	   /* 0: none */
	enum direction direction;
	uint32_t flows, clients, servers;
	uint64_t flow_id[FINDING_FLOWS]; /* the first min(flows, FINDING_FLOWS); 0: of that one it was not kept */
	struct facts estimate, control, reasons, ruled_out;
	char what[96];	   /* one line for people: "1.53 Mbit/s, burst 100 kB" */
	bool degraded;
	bool closed;
};

struct findings;

enum finding_action { FINDING_OPEN, FINDING_UPDATE, FINDING_CLOSE };

/* Told of each change; f is the store's and holds until the next report. */
typedef void (*findings_changed)(void *arg, const struct finding *f, enum finding_action action);

/*
 * At most limit findings are held (a finding is about 10 kB); when full the
 * oldest closed one gives way. NULL: out of memory.
 */
struct findings *findings_new(unsigned limit, findings_changed changed, void *arg);
void findings_free(struct findings *s);

/* The next finding gets this id; 0: as it was. */
void findings_number(struct findings *s, uint32_t id);

/*
 * Tells of the updates since the last call. Opening, closing and a level that
 * rises are told at once; other updates wait for this, so that a detector may
 * report on every packet. Call it about once a second of packet time.
 */
void findings_flush(struct findings *s);

/* The end of the traffic: closes what is open. end_ns stays as reported (0: it still lasted). */
void findings_finish(struct findings *s);

/*
 * Asked before a finding opens: false keeps it away, uncounted (the user wants
 * none of these). NULL: everything is wanted.
 */
void findings_wanted(struct findings *s, bool (*wanted)(void *arg, const struct finding *f), void *arg);

/* What every finding from now on says beside its reasons (cut at 127 bytes): what can't be told here. "": nothing. */
void findings_remark(struct findings *s, const char *text);

/*
 * This host itself dropped packets of unknown flows, or may have, at last at newest_ns: what rests on losses (rate_limit,
 * selective_drop) and began before is reported as possible at most, and says why: a claim would have to rule that out.
 */
void findings_own_drops(struct findings *s, uint64_t newest_ns);

/* How many reports were refused: without reasons or ruled_out, or the store was full. */
uint64_t findings_refused(const struct findings *s);

/*
 * Reports f (copied). Opens it where the key is new, updates it otherwise; the
 * level never falls. A finding without reasons or ruled_out is refused (-1):
 * no verdict without both. Returns its id; -1 too when the store is full (counted).
 * f->closed closes it with this report. A key that was closed and is reported as
 * open again is a new finding with a new id.
 */
int findings_report(struct findings *s, const struct finding *f);

/* Closes the open finding with that key, at end_ns. False: no such one. */
bool findings_close(struct findings *s, uint64_t key, uint64_t end_ns);

/* The one with that key, open or closed; NULL: none. Valid until the next report. */
const struct finding *findings_by_key(const struct findings *s, uint64_t key);

/* For a copy of another store: forgets all; takes f as it is, id too. False: full or out of memory. */
void findings_clear(struct findings *s);
bool findings_put(struct findings *s, const struct finding *f);

unsigned findings_count(const struct findings *s);
const struct finding *findings_at(const struct findings *s, unsigned i); /* oldest first */

/* Adds a fact; the name is cut at 31 bytes, the text at 95. False when full. */
bool fact_num(struct facts *s, const char *name, double value);
bool fact_vs(struct facts *s, const char *name, double value, double control);
bool fact_text(struct facts *s, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a name to names parted by spaces, each once; one that has no room is left out. */
static inline void fact_list(char *list, size_t size, const char *name)
{
	size_t at = strlen(list);

	if (!strstr(list, name) && at + strlen(name) + 2 <= size)
		snprintf(list + at, size - at, "%s%s", at ? " " : "", name);
}

/* Notes a flow of the finding: counts it, keeps the first 64 ids, each once among those. */
void finding_add_flow(struct finding *f, const struct flow *flow);

#endif
