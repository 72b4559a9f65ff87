/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What userspace holds of the traffic: flows, types, findings. Fed with the
 * engine's records in time order; its clock is the packets' time. Detectors
 * read it, outputs read it, nothing calls back up.
 */
#ifndef WEIR_MODEL_H
#define WEIR_MODEL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "names.h"
#include "weir_abi.h"

#define MAX_TYPES     256 /* a type id is one byte in the engine's flow */
#define TYPE_NAME_LEN 40
#define HISTORY_LEN   24
#define HISTORY_LETTERS "SHRAGTDWF" /* SYN, SYN-ACK, reset, ACK, hole, sent again, data, closed window, FIN */

struct model;
struct classify_flow;

/* Address and port of an end; IPv4 mapped into IPv6, port in host order. */
struct endpoint {
	struct in6_addr ip;
	uint16_t port;
};

/*
 * All of its bits depend on each of the address: the hosts of one network differ in the last byte, the top of
 * a word here, which one multiplication leaves there.
 */
static inline uint64_t ip_hash(const struct in6_addr *ip, uint64_t seed)
{
	uint64_t half[2], h;

	memcpy(half, ip, sizeof(half));
	h = ((half[0] ^ seed) * 0x9e3779b97f4a7c15ull ^ half[1]) * 0xd6e8feb86659fd93ull;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

/* Leading bytes of an address that are its network's, what is routed together: /24, or /48 of IPv6. */
static inline unsigned ip_net_bytes(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_V4MAPPED(ip) ? 15 : 6;
}

/* The network, the rest zeros. */
static inline struct in6_addr ip_net(const struct in6_addr *ip)
{
	struct in6_addr net = *ip;
	unsigned keep = ip_net_bytes(ip);

	memset(&net.s6_addr[keep], 0, sizeof(net) - keep);
	return net;
}

static inline bool ip_same(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static inline bool ip_same_net(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, ip_net_bytes(a));
}

/* From the client's view; index 0 to the server (up), 1 to the client (down). */
enum { TO_SERVER, TO_CLIENT };

struct flow_counts {
	uint64_t packets, bytes; /* IP bytes on the wire, GSO/GRO undone */
	uint64_t data_packets;
	uint32_t retx, lost_before, lost_after, reordered, duplicated, spurious, zero_windows;
	uint32_t rtt_min_us; /* us -> receiver of this direction -> us; 0 none */
	uint8_t ttl;
};

/* Samples of RTT in a log-linear histogram: 32 buckets an octave from 64 µs to 67 s. */
#define RTT_OCTAVES  20
#define RTT_OCTAVE   32
#define RTT_BUCKETS (1 + RTT_OCTAVES * RTT_OCTAVE)
struct rtt_hist {
	uint32_t n;
	uint32_t count[RTT_BUCKETS];
};

/* The same over all time, for metrics: a few bounds in µs, and the sum. The last is without one. */
#define RTT_BOUNDS 12
struct rtt_sums {
	uint64_t n[RTT_BOUNDS + 1], sum_us;
};
extern const uint32_t rtt_bounds_us[RTT_BOUNDS];

/*
 * The same of one flow, small, for a flow's samples lie in few octaves. When a
 * bucket is full its side is halved: old samples fade.
 */
struct rtt_side {
	uint32_t n, min_us;
	uint8_t blocks;
	uint8_t block_of[RTT_OCTAVES + 1]; /* + 1; 0: no samples in that octave */
	uint8_t (*block)[RTT_OCTAVE];
};

/* [TO_SERVER] us -> server -> us, [TO_CLIENT] the client's side. */
struct flow_rtt {
	struct rtt_side side[2];
};

#define DETECTORS_MAX 8

/* In cache lines, as the model allocates them; a packet touches none of the last. */
struct flow {
	uint64_t id;		/* the engine's */
	struct endpoint client, server;
	uint64_t start_ns, last_ns;
	struct flow_counts count[2];
	uint32_t handshake_us;
	uint32_t own_drops;	/* packets of it that this host itself dropped, as far as the kernel tells */
	uint16_t ifindex;
	uint16_t icmp;		/* newest ICMP error that quoted a packet of it: type << 8 | code; 0 none */
	uint8_t proto;
	uint8_t client_dir;	/* engine direction in which the client sends: 0 or 1 */
	uint8_t l7;		/* enum weir_l7 */
	uint8_t type;		/* index into the model's types */
	uint8_t app;		/* index into the model's apps, 0: none */
	uint8_t source;		/* enum type_source */
	uint8_t limit;		/* enum limit, LIMIT_NONE: not told */
	uint8_t ended;		/* enum flow_end */
	uint8_t engine_client;	/* enum weir_client */
	bool complete;		/* its first packet was seen */
	bool typed;		/* the classifier is done with it */
	bool fragile;		/* records of it were lost: detectors mark their findings degraded */
	uint8_t lives;		/* the model's: how often it is spared when a flow must be parked */
	uint32_t focus_at;	/* its packets when its records were last asked for one by one; 0: never */
	uint32_t said;		/* letters in history: by HISTORY_LETTERS, the server's 16 bits higher */
	struct flow_rtt *rtt;	/* NULL until the first sample */
	struct unacked *unacked; /* captures only: what waits for its ACK; the model's */
	struct classify_flow *classify; /* until typed; owned by the classifier */
	void *detector[DETECTORS_MAX];	/* each detector's own state of this flow; NULL until it makes one */
	uint64_t end_ns;	/* 0 while open */
	char *hint;		/* SNI, Host, name asked for; NULL none; owned */
	char history[HISTORY_LEN]; /* Zeek's letters, upper case by the client */
	struct flow *next_hash, *lru_prev, *lru_next;
};

/* Cumulative facts of a type, and its last interval. */
struct type_stats {
	char name[TYPE_NAME_LEN];
	uint64_t flows_started, flows_ended;
	uint32_t flows_active;
	uint64_t packets[2], bytes[2]; /* TO_SERVER, TO_CLIENT */
	uint64_t data_packets[2];
	uint64_t tcp_data_packets[2]; /* of TCP: what retx and lost are shares of */
	uint64_t retx[2], lost[2];    /* TCP; lost: before us and after us */
	uint64_t rsts, rsts_suspect;
	/*
	 * Selective drops: trials of the last minute, and how many show a drop of a
	 * quarter; have < need: too little data. need 0: nothing to hold it against.
	 */
	uint32_t drop_have, drop_need;
	struct rtt_hist rtt;
	struct rtt_sums rtt_side[2]; /* [TO_SERVER] us -> server -> us, [TO_CLIENT]; only grows */
};

/* The model's parts that others read. */
uint64_t model_now(const struct model *m); /* newest packet time, ns since the epoch */
uint64_t model_refused(const struct model *m); /* flows, types and apps that found no room, and what a detector keeps of them */
void model_refuse(struct model *m);	       /* one more */
const char *model_type_name(const struct model *m, unsigned type);
const char *model_app_name(const struct model *m, unsigned app); /* NULL for app 0 */
unsigned model_types(const struct model *m);			 /* how many */
const struct type_stats *model_type(const struct model *m, unsigned type);

/*
 * The id of a type or app by name, made where missing. Type 0 is "unknown",
 * app 0 none. When the table is full the answer is 0 and the refusal counted.
 */
unsigned model_type_id(struct model *m, const char *name);
unsigned model_app_id(struct model *m, const char *name);

/* Notes how much there is to judge a type's drops by: type_stats.drop_have, drop_need. */
void model_drop_trials(struct model *m, unsigned type, uint32_t have, uint32_t need);

/*
 * Flows are followed or, where there are many, parked: of these only what they counted is kept (parked.h).
 * Every flow followed, most recently active first (of captures: begun); stop when fn returns false.
 */
void model_each_flow(struct model *m, bool (*fn)(struct flow *f, void *arg), void *arg);
/* Every parked one, as a copy without hint and RTT that holds for the call. */
void model_each_parked(const struct model *m, bool (*fn)(struct flow *f, void *arg), void *arg);
size_t model_flows(const struct model *m);  /* how many, parked ones too */
size_t model_parked(const struct model *m); /* of these */

/* A flow by id, NULL if it is not (any longer) followed. */
struct flow *model_flow(struct model *m, uint64_t id);

/* Which way a record went: TO_SERVER or TO_CLIENT. */
static inline unsigned rec_way(const struct flow *f, const struct weir_rec *r)
{
	return r->dir == f->client_dir ? TO_SERVER : TO_CLIENT;
}

/* Payload bytes of one of its packets. Nearly all records are of one: no division for them. */
static inline uint32_t rec_each(const struct weir_rec *r)
{
	return r->segs > 1 ? r->payload_len / r->segs : r->payload_len;
}

/* Quantile q (0..1) in µs, 0 without samples. Error: a bucket at most, 3.1 %. */
double rtt_quantile_us(const struct rtt_hist *h, double q);
void rtt_add(struct rtt_hist *h, uint32_t us);
void rtt_sums_add(struct rtt_sums *s, uint32_t us);

/*
 * The same of a flow: side TO_SERVER, TO_CLIENT, or BOTH_SIDES: all samples
 * together, as tshark's tcp.analysis.ack_rtt has them. 0: no sample.
 */
#define BOTH_SIDES 2
double flow_rtt_us(const struct flow *f, unsigned side, double q);
uint32_t flow_rtt_samples(const struct flow *f, unsigned side);
void flow_rtt_add(struct flow *f, unsigned side, uint32_t us);
void flow_rtt_free(struct flow *f);

/* As few bytes as hold it; to NULL: how many. And back, all of it; NULL: out of memory. */
size_t flow_rtt_pack(const struct flow_rtt *r, uint8_t *to);
struct flow_rtt *flow_rtt_unpack(const uint8_t *from);

/* Is this address inside (--local-net; default RFC 1918, RFC 4193, link-local, live also the LAN's own networks)? */
bool model_is_local(const struct model *m, const struct in6_addr *ip);

/*
 * Are these addresses one host's: the same, or, live, at one link-layer address and made by itself (hosts.h)? What was
 * counted before the neighbour table told it counts once from then on.
 */
bool model_same_host(const struct model *m, const struct in6_addr *a, const struct in6_addr *b);

/* How many hosts these n addresses are, n small. */
static inline unsigned model_hosts(const struct model *m, const struct in6_addr *ip, unsigned n)
{
	unsigned hosts = 0;

	for (unsigned i = 0; i < n; i++) {
		bool known = false;

		for (unsigned k = 0; k < i && !known; k++)
			known = model_same_host(m, &ip[k], &ip[i]);
		hosts += !known;
	}
	return hosts;
}

#endif
