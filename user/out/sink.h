/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An output: told of each event, reads the model, changes nothing. */
#ifndef WEIR_SINK_H
#define WEIR_SINK_H

#include "detect.h"
#include "findings.h"
#include "model.h"

/* Totals at a moment (contract: tool stop). seen = in_flows + sum(elsewhere), exactly. */
struct totals {
	struct weir_counters c;	       /* summed over CPUs, interfaces, directions */
	uint64_t records, lost[WEIR_UNSENT];
	uint64_t flows_active, flows_started, flows_evicted;
};

enum tool_action { TOOL_START, TOOL_ATTACH, TOOL_DETACH, TOOL_RELOAD, TOOL_LOST, TOOL_STOP };

struct tool_event {
	uint64_t time_ns;
	enum tool_action action;
	const char *iface, *hook, *why; /* NULL where it does not apply */
	const char *file; /* one of several captures; NULL: there is but one, or none */
	const struct totals *totals;	/* TOOL_STOP, TOOL_LOST */
	/* TOOL_STOP: what userspace had no room for; types and apps count as flows. */
	uint64_t refused_findings, refused_flows;
};

struct sink {
	void (*tool)(void *s, const struct tool_event *e);
	void (*flow)(void *s, const struct model *m, const struct flow *f); /* at its end */
	void (*rst)(void *s, const struct model *m, const struct rst_event *e);
	void (*finding)(void *s, const struct model *m, const struct finding *f,
			enum finding_action action, uint64_t time_ns);
	/* Once an interval: per-type facts stand in the model. */
	void (*stats)(void *s, const struct model *m, uint64_t time_ns, double interval_s);
	void (*close)(void *s);
};

struct sink_ref {
	const struct sink *ops;
	void *s;
};

#endif
