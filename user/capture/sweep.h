/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flow tables seen from userspace: read in batches, flows that are over
 * taken out. A flow dies in two steps so that not a packet of it is lost: it is
 * marked (the engine counts no more into it), and at the next sweep, when no
 * CPU can still be writing, its last counters are read and it is deleted.
 */
#ifndef WEIR_SWEEP_H
#define WEIR_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"
#include "weir_abi.h"

/* How full the table is decides how soon a flow must go. */
enum sweep_pressure {
	SWEEP_CALM,    /* idle flows only */
	SWEEP_TIGHT,   /* above 3/4: half-open and one-sided flows after a second */
	SWEEP_FLOODED, /* above 7/8: those at once, closed ones too */
	SWEEP_CHOKED,  /* above 31/32: whatever has been still for 10 s */
};

struct sweep_ops {
	/* Its counters now. IPv4 keys mapped. Times as the engine stamps them. */
	void (*counters)(void *arg, const struct weir_key6 *key, const struct weir_flow *f);
	/* It is out of the table: its last counters. */
	void (*flow_end)(void *arg, const struct weir_key6 *key, const struct weir_flow *f,
			 enum flow_end why);
	void *arg;
	/* What is held of this flow is needed soon: stage 0 its place, stage 1 itself. NULL: nobody prepares. */
	void (*expect)(void *arg, uint64_t id, unsigned stage);
};

struct sweep_fds {
	int flows4, flows6, holes; /* maps */
	int ctl;		   /* the control program */
};

struct sweep;

/* NULL: out of memory. The fds stay the caller's. */
struct sweep *sweep_new(const struct sweep_fds *fds, const struct sweep_ops *ops);
void sweep_free(struct sweep *s);

/* One sweep at now_ns (engine's clock). 0 or -errno. Sweeps must be >= 50 ms apart. */
int sweep_run(struct sweep *s, uint64_t now_ns, enum sweep_pressure pressure);

/* The hooks are detached and quiet: every flow left ends. 0 or -errno. */
int sweep_finish(struct sweep *s);

/* Flows in both tables at the last sweep, and how many were ever evicted. */
uint64_t sweep_active(const struct sweep *s);
uint64_t sweep_evicted(const struct sweep *s);

/* Hands n commands to the engine. 0 or -errno. */
int sweep_ctl(struct sweep *s, const struct weir_ctl *ctl, unsigned n);

/* Which pressure active of max flows is. */
enum sweep_pressure sweep_pressure(uint64_t active, uint64_t max);

/*
 * From the start of one sweep to that of the next, if it took so long: a second, sooner under pressure. A large
 * table takes its time to read: a tenth of a core at most goes into that, half of one under pressure; but no
 * counters are older than four seconds, and under pressure no flow waits longer than one.
 */
uint64_t sweep_interval_ns(uint64_t took_ns, enum sweep_pressure pressure);

/* Is the flow over at now_ns, and why? END_OPEN: no. END_EVICTED: only for the pressure's sake. */
enum flow_end sweep_verdict(const struct weir_flow *f, uint8_t proto, uint64_t now_ns,
			    enum sweep_pressure pressure);

#endif
