/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a host across its flows: how far it is from us, and how its
 * stack numbers packets. The reset rules need it when a flow is too young to
 * have a history of its own. A bounded table; the least recently used goes.
 */
#ifndef WEIR_RST_HOST_H
#define WEIR_RST_HOST_H

#include <string.h>

#include "model.h"

#define RST_HOSTS 4096
#define RST_HOST_SPAN_NS                                                                           \
	300000000000ull /* an RTT minimum lives one to two of these: 10 minutes at most */

#define RST_ODD_TTLS 4

struct rst_host {
	struct in6_addr ip;
	uint64_t used_ns;	      /* 0: free */
	uint64_t span_ns;	      /* when the current span began */
	uint32_t rtt_min_us[2];	      /* of this span and the one before; 0 none */
	uint32_t rtt_n;		      /* samples, saturates */
	float rtt_mean_us;	      /* the last 16 weigh most */
	uint32_t ipid_near, ipid_far; /* IP-ID steps of 0..256, and others, within flows */
	uint64_t rst_ns[2]; /* start of the second that rst_flows counts, and of the one before */
	uint32_t rst_flows[2]; /* flows it reset in that second, that were open when it began */
	bool reorders;	       /* packets of it came reordered */
	uint8_t odd_ttl[RST_ODD_TTLS], nodd; /* of resets in its name, far from its own and from each other */
	uint64_t odd_ns;		     /* the newest */
};

struct rst_hosts {
	struct rst_host host[RST_HOSTS];
};

/* The host's entry, made where missing; never NULL. Valid until the next call. */
struct rst_host *rst_host(struct rst_hosts *t, const struct in6_addr *ip, uint64_t now_ns);

/* The same where the caller remembers where it was found last: *at, NULL not yet. */
static inline struct rst_host *rst_host_at(struct rst_hosts *t, struct rst_host **at, const struct in6_addr *ip,
					   uint64_t now_ns)
{
	struct rst_host *h = *at;

	if (!h || !h->used_ns || memcmp(&h->ip, ip, sizeof(*ip)))
		return *at = rst_host(t, ip, now_ns);
	h->used_ns = now_ns ? now_ns : 1;
	return h;
}

/* A round trip us -> host -> us. */
void rst_host_rtt(struct rst_host *h, uint32_t us, uint64_t now_ns);

/* Smallest round trip of the last 5 to 10 minutes; 0 none. */
uint32_t rst_host_rtt_min(const struct rst_host *h, uint64_t now_ns);

/* The host numbers the packets of a flow one after the other. */
bool rst_host_counts_ipid(const struct rst_host *h);

/*
 * One more of its flows ended by reset. False: that flow was opened after the
 * first of them, so it is no casualty of what ended the others.
 */
bool rst_host_reset(struct rst_host *h, uint64_t now_ns, uint64_t opened_ns);

/*
 * A flow of the host was reset by a TTL that is far from its own. True: by now so many TTLs that are far from each other,
 * one of them of no stack's initial value, that no few machines in front of it explain them: they are drawn at random.
 */
bool rst_host_odd_ttl(struct rst_host *h, uint8_t ttl, uint64_t now_ns);

/* How many ended so within the second in which `ns` lies, one of the newest two; else 0. */
uint32_t rst_host_resets(const struct rst_host *h, uint64_t ns);

uint64_t rst_hash(const void *data, size_t n, uint64_t seed); /* FNV-1a with a final mix */

#endif
