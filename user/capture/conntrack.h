/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's connection table (ctnetlink): who stands behind a translated address. */
#ifndef WEIR_CONNTRACK_H
#define WEIR_CONNTRACK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* One direction of a connection; IPv4 mapped, ports in host order (ICMP: 0). */
struct ct_tuple {
	struct in6_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct ct_entry {
	struct ct_tuple orig;  /* as the side that opened it sent it */
	struct ct_tuple reply; /* as answers come back */
	bool gone;	       /* an event: the connection ended */
};

/* Is the reply something else than the turned-round original? */
bool ct_translated(const struct ct_entry *e);

/* Every connection; fn false stops. 0 or -errno (EPERM: CAP_NET_ADMIN; ENOENT, EPROTONOSUPPORT: no ctnetlink). */
int ct_dump(bool (*fn)(void *arg, const struct ct_entry *e), void *arg);

/* New, and ended, connections from now on: a socket to poll, or -errno. */
int ct_monitor(void);

/* Hands on what waits. 0, -ENOBUFS when some were lost, another -errno. */
int ct_drain(int fd, bool (*fn)(void *arg, const struct ct_entry *e), void *arg);

/* One entry from a ctnetlink message's attributes; false: nothing useful. For tests, too. */
struct nlmsghdr;
bool ct_parse(const struct nlmsghdr *h, struct ct_entry *out);

#endif
