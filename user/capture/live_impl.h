/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of live capture share. */
#ifndef WEIR_LIVE_IMPL_H
#define WEIR_LIVE_IMPL_H

#include "before.h"
#include "cards.h"
#include "gateway.h"
#include "join.h"
#include "live.h"
#include "live_load.h"
#include "queues.h"
#include "sweep.h"
#include "wallclock.h"

#define QUEUES_MAX 256

struct ring_buffer;
struct drops;

struct live_iface {
	char name[IFNAMSIZ];
	struct attachment at;
	enum role role; /* as the user says; ROLE_NONE: by route */
	bool attached, wan, loopback;
	bool seen;	/* it was attached to, then went away */
	unsigned told;	/* problems told already, a bit each */
	unsigned one_way[2], both_ways; /* TCP flows since the last look: only out, only in; both */
	bool half;	/* shows one way only, as far as is known */
	unsigned gaps, whole;	     /* TCP flows that ended: bytes acknowledged that never showed */
	unsigned twice;	     /* TCP flows that ended: each packet showed twice */
	uint32_t own;	    /* packets that its queue or filters dropped, not told yet */
	char queue[16];	    /* kind of the one that did */
	char said[256]; /* the fall-back told last: told once, not at each return */
};

struct live {
	struct live_config cfg;
	struct live_objects obj;
	struct live_iface iface[LIVE_IFACES];
	unsigned nifaces;
	struct clsact_owner owner;
	struct before_claims claims;
	struct pipeline *pipeline;
	struct ring_buffer *ring;
	struct sweep *sweep;
	struct wallclock clock;
	uint64_t slots;		/* counter slots ever used: bit ifindex & 63 */
	struct weir_counters *percpu;
	unsigned ncpus;
	struct weir_counters now; /* as last read */
	uint64_t lost_told;
	uint64_t flows_at_sweep, active_at_sweep, sweep_ns, sweep_took_ns;
	uint64_t ended;
	int epoll, timer, signals, monitor;
	int conntrack, conntrack_err; /* events; why connections can't be read, 0 */
	struct join *join;
	uint64_t own_told[2];
	bool lan_told;		  /* that the LAN's sightings are reported */
	uint64_t nat64, nat64_ns; /* flows told of, when there were more */
	uint64_t looks;
	struct queue queue[QUEUES_MAX]; /* of all links, as last read */
	unsigned nqueues;
	uint64_t queues_ns, window_ns; /* they were read; since then dropped is counted */
	bool own_hidden;	       /* what the firewall drops looks lost outside */
	uint32_t dropped, own;	       /* since window_ns; at links that are not watched, not told yet */
	bool uplink_away;	  /* one that is used is not watched */
	struct cards cards;	  /* hardware under the interfaces */
	struct drops *drops; /* NULL: no reasons to be had */
	uint64_t started_ns, attached_ns, looked_ns, neighbours_ns, neighbours_took_ns;
	char problem[80]; /* of coverage, for the screen: the first of problems */
	unsigned problems;
	bool clients_hidden; /* and findings say so */
	bool dark;	  /* part of the traffic can't be seen: what is found is degraded */
	bool stop;
	bool resized;
};

/* live_ifaces.c */
int live_choose(struct live *l, const struct live_config *cfg, struct live_error *e);
int live_attach_all(struct live *l, struct live_error *e);
void live_detach_all(struct live *l);
/* News from the kernel about links: detaches from those gone, attaches to those back. */
void live_links_changed(struct live *l);
void live_tool(struct live *l, enum tool_action action, const struct live_iface *i,
	       const char *why);

/* live_sight.c */
int live_sight_open(struct live *l);	 /* once attached */
void live_sight_changed(struct live *l); /* interfaces came or went */
void live_neighbours(struct live *l);	 /* who is on the links now */
void live_connections(struct live *l);	 /* conntrack's news */
/* A flow's counters: does the interface show both of its ways? */
void live_note_ways(struct live *l, const struct weir_key6 *key, const struct weir_flow *f, bool ended);
void live_own_flows(struct live *l);	 /* hands the flows that lost packets to this host to the pipeline */
void live_own_drops(struct live *l);	 /* tells of this host's own drops since the last time */
void live_own_queues(struct live *l);	 /* without the kernel's reasons: what its queues say */
void live_look_around(struct live *l);	 /* every few seconds: what can't be seen */

/* live.c */
void live_drain(struct live *l);   /* what waits in the ring */
void live_obey(struct live *l);	   /* carries the pipeline's wishes to the engine */
void live_count(struct live *l);   /* reads the counters into l->now */
int live_sweep(struct live *l, uint64_t mono, enum sweep_pressure pressure);

#endif
