/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One question to the kernel over netlink, and all its answers. */
#ifndef WEIR_NETLINK_H
#define WEIR_NETLINK_H

#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <stdbool.h>

/*
 * Sends request on a socket of its own to bus (NETLINK_*) and hands each answer to
 * cb until the kernel is done (a dump's end, an acknowledgment) or cb returns
 * MNL_CB_STOP; its sequence number is set here. 0 or -errno; -EINTR: a dump whose
 * list changed meanwhile, to be asked for again.
 */
int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t cb, void *arg);

/* The address that an attribute holds, IPv4 mapped; false: none of that family. */
bool netlink_ip(const struct nlattr *a, unsigned char family, struct in6_addr *ip);

#define NETLINK_TRIES 4 /* at a dump that keeps changing */

#endif
