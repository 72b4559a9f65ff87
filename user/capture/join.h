/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One flow, several sightings: a gateway with both its sides watched sees a
 * connection on the LAN and on the WAN, with NAT under two names. The WAN's
 * sighting is the one that is reported, for it shows the path; conntrack gives
 * it its true ends. The LAN's is foreseen, by addresses and routes, and kept
 * beside it: what came in on one side and never left on the other is this
 * host's own doing. What was not foreseen (two LANs, a tunnel beside its
 * carrier, ports of a bridge, a hairpin) is known by its ends: the first
 * sighting is reported. Pure bookkeeping: no I/O, so that a test can drive it.
 */
#ifndef WEIR_JOIN_H
#define WEIR_JOIN_H

#include "addrs.h"
#include "conntrack.h"
#include "routes.h"
#include "weir_abi.h"

#define JOIN_ADDRS  256
#define JOIN_IFACES 16

enum join_verdict {
	JOIN_KEEP,   /* report it as it is */
	JOIN_RENAME, /* report it under its true ends: record and key were rewritten */
	JOIN_ECHO,   /* the second sighting of a flow that another interface reports */
};

struct join_config {
	struct addr own[JOIN_ADDRS]; /* this host's addresses; on a LAN interface also its network */
	unsigned nown;
	unsigned wan[JOIN_IFACES], nwan; /* watched interfaces with a default route */
	unsigned lan[JOIN_IFACES], nlan; /* watched interfaces without one */
	struct route route[ROUTES_MAX]; /* but the default ones */
	unsigned nroutes;
	bool default_wan; /* what no route is for leaves by a watched WAN */
	/* --local-net (then local_given: it rules), or the private networks, where no route tells. NULL: none. */
	bool (*is_local)(const void *arg, const struct in6_addr *ip);
	const void *is_local_arg;
	bool local_given;
	/*
	 * Asked before a flow that conntrack has not translated is taken as it is: hands over
	 * what it has told since (by join_conntrack). NULL: nothing to ask.
	 */
	void (*more)(void *arg);
	void *more_arg;
	uint64_t since_ns; /* engine's clock: flows that began before it were not seen whole on both sides */
	bool all_wans;	 /* every default route's interface is watched: only then the LAN may be the echo */
	unsigned max;	 /* flows and connections remembered, each */
};

struct join;

struct join *join_new(const struct join_config *cfg);
void join_free(struct join *j);

/* The set-up changed: addresses, interfaces. Flows known keep their verdict. */
void join_configure(struct join *j, const struct join_config *cfg);

/* A connection that conntrack knows, or knows no longer (e->gone). */
void join_conntrack(struct join *j, const struct ct_entry *e);

/* Every record of before the last such news is through: connections that are gone are forgotten. */
void join_settled(struct join *j);

/* News of connections were lost: forgets them all, to be told again. */
void join_conntrack_lost(struct join *j);

/* What is to be done with a record; rewrites its addresses and ports for JOIN_RENAME. */
enum join_verdict join_record(struct join *j, struct weir_rec *r);

/* The same for a flow's key as swept. id: the flow's. */
enum join_verdict join_key(struct join *j, uint64_t id, struct weir_key6 *key);

/* A command's key back to what the engine knows the flow by. */
void join_ctl(struct join *j, struct weir_ctl *ctl);

/*
 * The flow left the engine's table with these counters. Forgets its verdict,
 * gives it as join_key() does. An echo whose first sighting never came (or was
 * forgotten) is JOIN_KEEP: somebody must report it.
 */
enum join_verdict join_end(struct join *j, struct weir_key6 *key, const struct weir_flow *f);

/* What the flow between two ends is called on the other side of the NAT, in place. False: the same. */
bool join_other_name(const struct join *j, struct in6_addr ip[2], uint16_t port[2], uint8_t proto);

/* Is what this address sends coming in where it is seen, by the routes, else by the interface's side? */
bool join_comes_in(const struct join *j, const struct in6_addr *ip, unsigned ifindex, bool wan);

struct join_stats {
	uint64_t echo_packets, echo_bytes; /* of flows counted once already, ended */
	uint64_t own_drops[2];		   /* packets lost between both sides: to the outside, to the inside */
	uint64_t joined;		   /* echoes of a flow that was reported */
	uint64_t unmatched;		   /* flows foreseen on the other side that never showed there, though answered */
	uint64_t nat64;			   /* likewise, to addresses that a NAT64 translates, and not known by their ports */
	uint64_t split;			   /* flows that left by one uplink and came back by another, watched or not */
	uint64_t both_ways;		   /* connections whose SYN-ACK both sides showed */
	uint64_t renamed;		   /* flows given their true ends */
	uint64_t refused;		   /* no room: a flow was kept as it was */
	unsigned connections;		   /* translated ones known now */
	bool lan_reports;		   /* too many leave or come unseen: the LAN's sightings are reported */
};

void join_stats(const struct join *j, struct join_stats *s);

#endif
