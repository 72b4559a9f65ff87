// SPDX-License-Identifier: GPL-2.0-or-later
#include "queues.h"

#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "netlink.h"

struct reading {
	queue_fn fn;
	void *arg;
};

static void read_stats(const struct nlattr *stats, struct queue *to)
{
	struct gnet_stats_basic basic = { 0 };
	struct gnet_stats_queue q = { 0 };
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, stats) {
		size_t len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == TCA_STATS_QUEUE && len >= sizeof(q))
			memcpy(&q, mnl_attr_get_payload(a), sizeof(q));
		else if (mnl_attr_get_type(a) == TCA_STATS_BASIC && len >= offsetof(struct gnet_stats_basic, packets) + 4)
			memcpy(&basic, mnl_attr_get_payload(a), len < sizeof(basic) ? len : sizeof(basic));
	}
	to->dropped = q.drops;
	to->passed = basic.packets;
}

void queues_message(const struct nlmsghdr *h, queue_fn fn, void *arg)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct queue q = { 0 };

	if (h->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(h) < sizeof(*t))
		return;
	/* The kernel adds what classes drop to their root's; clsact goes by the same parent. */
	if (t->tcm_parent != TC_H_ROOT && t->tcm_parent != TC_H_INGRESS)
		return;
	q.ifindex = t->tcm_ifindex;
	q.filters = t->tcm_parent == TC_H_INGRESS;
	mnl_attr_for_each(a, h, sizeof(*t)) {
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(q.kind, sizeof(q.kind), "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == TCA_STATS2)
			read_stats(a, &q);
	}
	fn(arg, &q);
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	const struct reading *r = arg;

	queues_message(h, r->fn, r->arg);
	return MNL_CB_OK;
}

int queues_read(queue_fn fn, void *arg)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct reading r = { fn, arg };

	h->nlmsg_type = RTM_GETQDISC;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, sizeof(struct tcmsg));
	return netlink_ask(NETLINK_ROUTE, h, on_message, &r);
}
