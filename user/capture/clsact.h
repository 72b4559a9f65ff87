/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF filters on the clsact qdisc, for kernels without tcx (before 6.6). A
 * filter outlives the process that made it, so every one of ours says whose it
 * is: its handle names an abstract socket that its owner keeps bound in the
 * same network namespace. Nobody bound: the owner is dead, the filter is swept.
 * Other programs' filters and qdiscs are never touched.
 */
#ifndef WEIR_CLSACT_H
#define WEIR_CLSACT_H

#include <stdbool.h>
#include <stdint.h>

#define CLSACT_PREF 100 /* before filters with the kernel's own preferences, after hand-set ones */

struct clsact_owner {
	int fd;		 /* the bound socket */
	uint32_t handle; /* of all our filters; bit 0 says that we made the qdisc */
};

/* Claims a handle. 0 or -errno. */
int clsact_own(struct clsact_owner *o);
void clsact_disown(struct clsact_owner *o);

/*
 * Adds prog_fd at ingress or egress of ifindex, making the clsact qdisc where
 * there is none. 0 or -errno: ENOENT or EOPNOTSUPP without clsact or cls_bpf,
 * EINVAL when filters of other kinds hold all our preferences.
 */
int clsact_add(const struct clsact_owner *o, unsigned ifindex, bool egress, int prog_fd,
	       const char *name);

/*
 * Does another program's filter run before ours? Only one with a preference set by hand does. o: NULL: before
 * one that would be added now.
 */
bool clsact_overtaken(const struct clsact_owner *o, unsigned ifindex, bool egress);

/* Has the card taken over a filter at ingress of ifindex, with what its actions do? */
bool clsact_in_hardware(unsigned ifindex);

/* One RTM_NEWTFILTER message: does its filter say that it is in hardware? For tests, too. */
struct nlmsghdr;
bool clsact_says_hardware(const struct nlmsghdr *h);

/* Removes our own filters, and the qdisc if we made it and nobody else uses it. 0 or -errno. */
int clsact_remove(const struct clsact_owner *o, unsigned ifindex);

/*
 * Removes what earlier runs left on any interface: filters named with our
 * prefix whose owner is dead. say is told of each. How many were removed.
 */
int clsact_sweep(void (*say)(void *arg, unsigned ifindex, bool egress, const char *name),
		 void *arg);

#endif
