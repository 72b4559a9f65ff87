// SPDX-License-Identifier: GPL-2.0-or-later
#include "routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink.h"

struct found {
	unsigned *ifindex;
	size_t n, max;
};

static void add(struct found *f, unsigned ifindex)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->ifindex[i] == ifindex)
			return;
	if (ifindex && f->n < f->max)
		f->ifindex[f->n++] = ifindex;
}

static void add_hops(struct found *f, const struct nlattr *a)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(a);
	int left = mnl_attr_get_payload_len(a);

	while (RTNH_OK(hop, left)) {
		add(f, hop->rtnh_ifindex);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static int read_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *r = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*r) ||
	    r->rtm_dst_len || r->rtm_type != RTN_UNICAST || r->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*r)) {
		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) >= 4)
			add(arg, mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			add_hops(arg, a);
	}
	return MNL_CB_OK;
}

/* 0 or -errno. */
static int ask(unsigned char family, struct found *f)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *r;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->rtm_family = family;
	return netlink_ask(NETLINK_ROUTE, h, read_route, f);
}

int routes_default(unsigned *ifindex, size_t max)
{
	struct found f = { ifindex, 0, max };
	int err = -EINTR;

	/* Each interface once, however often it is asked for. */
	for (unsigned i = 0; i < NETLINK_TRIES && err == -EINTR; i++)
		err = ask(AF_INET, &f);
	/* A kernel without IPv6 answers with an error: no default route there. */
	for (unsigned i = 0; i < NETLINK_TRIES && !err; i++)
		if (ask(AF_INET6, &f) != -EINTR)
			break;
	return err ? err : (int)f.n;
}
