/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host's own queues and tc filters dropped, as their counters say. */
#ifndef WEIR_QUEUES_H
#define WEIR_QUEUES_H

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;
/* filters: what tc filters dropped, not a queue. */
typedef void (*queue_fn)(void *arg, unsigned ifindex, bool filters, const char *kind, uint64_t dropped);

/*
 * fn: each link's root qdisc, and its ingress or clsact (what tc filters dropped), with the packets dropped
 * since it was made (the kernel counts in 32 bits). 0 or -errno.
 */
int queues_read(queue_fn fn, void *arg);

/* One message of that answer; for tests, too. */
void queues_message(const struct nlmsghdr *h, queue_fn fn, void *arg);

#endif
