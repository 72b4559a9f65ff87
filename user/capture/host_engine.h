/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet engine as host code: the very code that runs as BPF, with a table of our own. */
#ifndef WEIR_HOST_ENGINE_H
#define WEIR_HOST_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir_abi.h"

struct host_engine;

struct host_engine_ops {
	/* A record; payload has r->caplen bytes. */
	void (*record)(void *arg, const struct weir_rec *r, const uint8_t *payload);
	/* A flow leaves the table: idle, closed, or the table was full (evicted). */
	void (*flow_end)(void *arg, const struct weir_key6 *key, const struct weir_flow *f,
			 unsigned why /* enum flow_end */);
	void *arg;
};

/* max_flows 0: as many as memory holds, up to 16 M. NULL: out of memory. */
struct host_engine *host_engine_new(const struct weir_config *cfg, unsigned max_flows,
				    const struct host_engine_ops *ops);

/* One packet as captured: caplen bytes of an original length len, link layer as given, at time_ns. */
void host_engine_packet(struct host_engine *e, enum weir_link link, const uint8_t *data,
			uint32_t caplen, uint32_t len, uint64_t time_ns);

#define HOST_HEAD 128 /* bytes: nearly all headers end before */

/* What is known of a packet that comes soon. */
struct host_head {
	enum weir_link link;
	uint32_t hash; /* of its flow; 0: not to be told */
	unsigned dir;  /* as in its record, where hash is not 0 */
	uint32_t n;
	uint8_t bytes[HOST_HEAD]; /* its first n */
};

/*
 * Packets come soon whose flows lie far away in memory. These three, a few packets apart and in this order,
 * bring a packet's flow near; they change nothing. The first fills in *h, the last gives the flow's user pointer,
 * NULL: none.
 */
void host_engine_expect(const struct host_engine *e, enum weir_link link, const uint8_t *data, uint32_t caplen,
			struct host_head *h);
void host_engine_expect_entry(const struct host_engine *e, uint32_t hash);
void *host_engine_expect_flow(const struct host_engine *e, uint32_t hash);

/* That packet, as host_engine_packet(); its bytes may have changed since, its headers are those of *h. */
void host_engine_expected(struct host_engine *e, const struct host_head *h, const uint8_t *data, uint32_t caplen,
			  uint32_t len, uint64_t time_ns);

/*
 * While a record is told: the user's pointer in its flow, which a new flow has as NULL. NULL: the record is of
 * another flow than the packet (an ICMP error).
 */
void **host_engine_user(struct host_engine *e, uint64_t flow_id);

/* The interface that packets are of from now on; 0 at first. Flows of two interfaces are two. */
void host_engine_interface(struct host_engine *e, uint16_t ifindex);

/* A packet of a link layer that we don't know: counted, no more. */
void host_engine_unknown_link(struct host_engine *e, uint32_t len);

/* Ends flows idle at now_ns (TCP closed 5 s, TCP 300 s, else 120 s). */
void host_engine_expire(struct host_engine *e, uint64_t now_ns);

/* Ends all flows that are left. */
void host_engine_finish(struct host_engine *e);

void host_engine_counters(const struct host_engine *e, struct weir_counters *out);
void host_engine_ctl(struct host_engine *e, const struct weir_ctl *ctl);
void host_engine_free(struct host_engine *e);

#endif
