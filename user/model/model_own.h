/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What feeds the model: for the pipeline alone. Everybody else reads model.h. */
#ifndef WEIR_MODEL_OWN_H
#define WEIR_MODEL_OWN_H

#include "model.h"

struct local_net;

/* max_flows 0: no bound but memory. The local nets are copied. NULL: out of memory. */
struct model *model_new(unsigned max_flows, const struct local_net *local, unsigned nlocal);
void model_free(struct model *m);
/* No more flows than so many are followed, the others are to be parked; 0: all are followed. */
void model_follow(struct model *m, unsigned flows);

/* A network that this host's own routes say is inside: beside the usual ones, each once, the oldest may go. */
void model_learn_local(struct model *m, const struct in6_addr *ip, unsigned prefix);

/* The neighbour table has this address (IPv4 mapped) at that link-layer address. */
void model_learn_host(struct model *m, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]);

/* Have flows begun since the last call of whom the neighbour table may tell more? */
bool model_strangers(struct model *m);

void model_set_now(struct model *m, uint64_t ns); /* never steps back */
void model_restart(struct model *m, uint64_t ns); /* but so */

/*
 * The flow of a record, made where new, followed again where it was parked. NULL: out of memory, or full
 * (then *evict is one that was still for long).
 */
struct flow *model_flow_of(struct model *m, const struct weir_rec *r, struct flow **evict);

/*
 * The one to be parked, for too many are followed: the one that was still for longest, those spared that talk both ways,
 * or that are busy; and keep. Only so many are spared for one, so that a flood of those costs no time. NULL: none.
 */
struct flow *model_crowd(struct model *m, const struct flow *keep, bool (*busy)(void *arg, const struct flow *f), void *arg);
/* Parks it: classifier and detectors have let go of it, it is no more. False: no memory, it is followed on. */
bool model_park(struct model *m, struct flow *f);
/* A parked flow is followed again; NULL: it is not parked, or no memory. */
struct flow *model_unpark(struct model *m, uint64_t id);
struct flow *model_unpark_any(struct model *m);
/* The engine's counters of a parked flow. False: it is none, or so much happened that it is to be followed. */
bool model_parked_counters(struct model *m, const struct weir_flow *c);

/* Counters of a flow come soon: brings near its place in the tables; then itself. */
void model_expect_counters(const struct model *m, uint64_t id, unsigned stage);

/* A flow's next record comes soon: brings near itself; then what it points to; then what that points to. */
void model_expect_flow(const struct flow *f);
void model_expect_parts(const struct flow *f);
void model_expect_deep(const struct flow *f, unsigned way);

/* One recorded packet: history, RTT; counters too when count is set. */
void model_packet(struct model *m, struct flow *f, const struct weir_rec *r, bool count);

/* The engine's counters of the flow as they are now. */
void model_counters(struct model *m, struct flow *f, const struct weir_flow *c);

/* Moves the flow, with what it counted, to another type. */
void model_set_type(struct model *m, struct flow *f, unsigned type);

void model_suspect_rst(struct model *m, const struct flow *f);

/* For a copy of another model: the type's facts as they are there. The name stays. */
void model_put_type(struct model *m, unsigned type, const struct type_stats *t);

/* Takes a flow out; its pointers must be freed by then. */
void model_flow_end(struct model *m, struct flow *f);

#endif
