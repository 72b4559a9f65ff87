/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one way of data in userspace: records and swept counters in, model,
 * classifier, detectors, then the sinks. Live capture and capture files feed
 * the same calls.
 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include "detect.h"
#include "sink.h"

struct rules;
struct evidence;

#define PIPELINE_SINKS 8
#define LOCAL_NETS     32

struct local_net {
	struct in6_addr ip; /* IPv4 mapped */
	uint8_t prefix;	    /* of 128 */
};

struct pipeline_config {
	unsigned max_flows; /* 0: 65,536 live, unbounded for captures */
	enum sensitivity sensitivity;
	struct local_net local[LOCAL_NETS]; /* none: the default set */
	unsigned nlocal;
	const struct rules *rules; /* NULL: built in */
	double interval_s;	   /* between stats events */
	const char *file;	   /* named in tool events; NULL: not. The caller's */
	struct sink_ref sink[PIPELINE_SINKS];
	unsigned nsinks;
	struct evidence *evidence; /* every record goes there, too; NULL: none is kept. Its sink is one of the above */
	uint32_t first_finding; /* the id of the first one; 0: 1. So that ids say the same in events, history, evidence */
	/* Each record of a flow, before the detectors see it; NULL: nobody wants them. */
	void (*record)(void *arg, const struct flow *f, const struct weir_rec *r);
	void *record_arg;
	const char *const *disabled; /* TYPE or KIND:TYPE, of which no findings are told; the caller's */
	unsigned ndisabled;
	unsigned min_flows; /* findings of fewer flows are not told */
	bool live; /* counters come from sweeps, not from every packet's record */
};

struct pipeline;

/* NULL: out of memory. cfg is copied, the rules and sinks are not. */
struct pipeline *pipeline_new(const struct pipeline_config *cfg);
struct model *pipeline_model(struct pipeline *p);
/* Other rules from now on; flows that are typed keep their type. Not owned. */
void pipeline_rules(struct pipeline *p, const struct rules *rules);
/* What the detectors are told from now on: cfg's sensitivity, disabled, min_flows. */
void pipeline_retune(struct pipeline *p, const struct pipeline_config *cfg);
struct findings *pipeline_findings(struct pipeline *p);
struct evidence *pipeline_evidence(struct pipeline *p); /* NULL: none is kept */

/* One record; payload has r->caplen bytes. Times may step back a little, not forward by years. */
void pipeline_record(struct pipeline *p, const struct weir_rec *r, const uint8_t *payload);

/*
 * The same from who keeps a pointer for each flow: *at is the flow where it was found before, NULL at first, and
 * NULL again when it has ended. at NULL: nobody keeps one.
 */
void pipeline_record_at(struct pipeline *p, void **at, const struct weir_rec *r, const uint8_t *payload);

/*
 * A record of the flow that *at was, in the engine's direction dir, comes in a few packets: stage 0 first, 2 last,
 * packets apart. Captures name what comes long before it is looked at, or each packet would wait for memory. Changes
 * nothing.
 */
void pipeline_expect(const struct pipeline *p, const void *at, unsigned dir, unsigned stage);

/* That comes soon for this flow: stage 0 first, then 1. Changes nothing. */
void pipeline_expect_counters(const struct pipeline *p, uint64_t id, unsigned stage);

/* A sweep's word on a flow: its counters now. IPv4 keys mapped. */
void pipeline_counters(struct pipeline *p, const struct weir_key6 *key, const struct weir_flow *c);

/* The flow left the engine's table; its last counters. */
void pipeline_flow_end(struct pipeline *p, const struct weir_key6 *key, const struct weir_flow *c,
		       enum flow_end why);

/* What userspace wants of the engine since the last call; writes at most max, returns how many. */
unsigned pipeline_ctl(struct pipeline *p, struct weir_ctl *ctl, unsigned max);

/* Packet time has come to now_ns: detectors' ticks, stats events. */
void pipeline_tick(struct pipeline *p, uint64_t now_ns);

/* This host itself dropped packets of that flow: no path's doing. Unknown ids are ignored. */
void pipeline_own_drops(struct pipeline *p, uint64_t flow_id, uint64_t packets);

/* Drops of this host's own will be told, by pipeline_own_drops(). Without it findings say that they are not known. */
void pipeline_drop_reasons(struct pipeline *p);

/* A network that is inside, as the gateway's own addresses tell. */
void pipeline_local(struct pipeline *p, const struct in6_addr *ip, unsigned prefix);

/* Who has that address (IPv4 mapped) on one of this host's links, as its kernel knows. */
void pipeline_neighbour(struct pipeline *p, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]);

/* Have flows begun since the last call of whom it may tell more? */
bool pipeline_strangers(struct pipeline *p);

/* Records were lost: what is found now is degraded. */
void pipeline_lost(struct pipeline *p, uint64_t n);

/*
 * Time has stepped back to now_ns, and the engine has ended all flows: they and the findings are closed at the old
 * time, the detectors begin anew. What was named and typed so far stays known.
 */
void pipeline_restart(struct pipeline *p, uint64_t now_ns);

/* Totals for the last tool event; then everything is closed: flows, findings, sinks. */
void pipeline_finish(struct pipeline *p, const struct totals *t);
void pipeline_tool(struct pipeline *p, const struct tool_event *e);
void pipeline_free(struct pipeline *p);

#endif
