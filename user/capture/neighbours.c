// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink.h"

struct reading {
	void (*fn)(void *arg, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]);
	void *arg;
	int n;
};

static int read_neighbour(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *dst = NULL, *mac = NULL;
	struct reading *r = arg;
	struct in6_addr ip;

	if (h->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->ndm_ifindex <= 0 ||
	    !(m->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m)) {
		if (mnl_attr_get_type(a) == NDA_DST)
			dst = a;
		else if (mnl_attr_get_type(a) == NDA_LLADDR)
			mac = a;
	}
	if (!dst || !mac || mnl_attr_get_payload_len(mac) != 6 || !netlink_ip(dst, m->ndm_family, &ip))
		return MNL_CB_OK;
	r->fn(r->arg, &ip, (unsigned)m->ndm_ifindex, mnl_attr_get_payload(mac));
	return ++r->n < NEIGHBOURS_MAX ? MNL_CB_OK : MNL_CB_STOP;
}

static int ask(unsigned char family, struct reading *r)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ndmsg *m;
	int err = -EINTR;

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = family;
	for (unsigned i = 0; i < NETLINK_TRIES && err == -EINTR; i++) {
		r->n = 0;
		err = netlink_ask(NETLINK_ROUTE, h, read_neighbour, r);
	}
	return err ? err : r->n;
}

int neighbours_each(void (*fn)(void *arg, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6]), void *arg)
{
	struct reading r = { .fn = fn, .arg = arg };
	int v4 = ask(AF_INET, &r), v6 = ask(AF_INET6, &r);

	return v4 < 0 ? v4 : v6 < 0 ? v6 : v4 + v6;
}
