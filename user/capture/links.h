/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network interfaces of this namespace, as rtnetlink and ethtool tell of them. */
#ifndef WEIR_LINKS_H
#define WEIR_LINKS_H

#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINKS_MAX 1024

struct link {
	unsigned ifindex;
	char name[IFNAMSIZ];
	char kind[16];	 /* IFLA_INFO_KIND: "veth", "bridge", "vlan"; "" for hardware */
	char driver[32]; /* ethtool's word; "" unknown */
	unsigned master; /* ifindex of its bridge or bond, 0 none */
	unsigned lower;	 /* ifindex of what it stands on (vlan's carrier), 0 none or in another namespace */
	unsigned mtu;
	unsigned short arphrd; /* ARPHRD_* */
	bool up;	 /* administratively */
	bool running;	 /* has a carrier */
	bool physical;	 /* a device stands behind it */
	bool pppoe;	 /* the kernel has a PPPoE session on it */
	uint32_t xdp_id; /* id of an XDP program on it, 0 none */
	uint8_t xdp_mode;/* XDP_ATTACHED_* */
	struct rtnl_link_stats64 stats;
};

/* Fills links, sorted by index. How many, or -errno. Frees nothing: plain array of the caller's. */
int links_read(struct link *links, size_t max);

/* The same by one question, without what is asked of each: driver and physical. */
int links_dump(struct link *links, size_t max);
void link_ask_device(struct link *l);

/* One by name, or by index where name is NULL. 0, -ENODEV, or another -errno. */
int link_get(const char *name, unsigned ifindex, struct link *out);

/* Among those read; NULL: none, or 0 was asked for. */
const struct link *links_by_index(const struct link *links, unsigned n, unsigned ifindex);

/* A bond, or a team: each member shows a share of its packets. */
bool link_is_bond(const struct link *l);

/* Packets that the card dropped before anybody saw them. */
static inline uint64_t link_missed(const struct link *l)
{
	return l->stats.rx_missed_errors + l->stats.rx_fifo_errors + l->stats.rx_over_errors;
}

/* Has the link an Ethernet header? */
bool link_is_ethernet(const struct link *l);

/* Can LRO (which hides packet boundaries for good) be seen to be on? */
bool link_has_lro(const char *name);

/* Hardware flow offload (hw-tc-offload) switched on. */
bool link_has_tc_offload(const char *name);

/*
 * News of links coming, going and changing: a netlink socket to poll, -errno.
 * links_drain reads what waits, calls fn with each link that changed (gone:
 * true with only ifindex and name valid). -ENOBUFS: news were lost, read all again.
 */
int links_monitor(void);
int links_drain(int fd, void (*fn)(void *arg, const struct link *l, bool gone), void *arg);

#endif
