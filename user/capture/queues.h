/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host's own queues and tc filters dropped, as their counters say. */
#ifndef WEIR_QUEUES_H
#define WEIR_QUEUES_H

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;
struct queue {
	unsigned ifindex;
	bool filters; /* ingress or clsact: what tc filters dropped */
	char kind[16];
	uint32_t passed, dropped; /* packets since it was made, modulo 2^32 as the kernel counts */
};

typedef void (*queue_fn)(void *arg, const struct queue *q);

/*
 * fn: each link's root qdisc, and its ingress or clsact. 0 or -errno.
 */
int queues_read(queue_fn fn, void *arg);

/* One message of that answer; for tests, too. */
void queues_message(const struct nlmsghdr *h, queue_fn fn, void *arg);

#endif
