// SPDX-License-Identifier: GPL-2.0-or-later
#include "addrs.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

struct found {
	struct addr *out;
	size_t n, max;
};

static int read_addr(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *ip = NULL;
	struct found *f = arg;
	struct addr *out;

	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    f->n == f->max)
		return MNL_CB_OK;
	/* On a point-to-point link IFA_ADDRESS is the other end, IFA_LOCAL is ours. */
	mnl_attr_for_each(a, h, sizeof(*m))
		if (mnl_attr_get_type(a) == IFA_LOCAL || (mnl_attr_get_type(a) == IFA_ADDRESS && !ip))
			ip = a;
	if (!ip)
		return MNL_CB_OK;
	out = &f->out[f->n];
	memset(out, 0, sizeof(*out));
	out->ifindex = m->ifa_index;
	if (!netlink_ip(ip, m->ifa_family, &out->ip))
		return MNL_CB_OK;
	if (m->ifa_family == AF_INET)
		out->prefix = 96 + (m->ifa_prefixlen <= 32 ? m->ifa_prefixlen : 32);
	else
		out->prefix = m->ifa_prefixlen <= 128 ? m->ifa_prefixlen : 128;
	f->n++;
	return MNL_CB_OK;
}

int addrs_read(struct addr *out, size_t max)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct found f = { out, 0, max };
	struct ifaddrmsg *m;
	int err = -EINTR;

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_UNSPEC;
	for (unsigned i = 0; i < NETLINK_TRIES && err == -EINTR; i++) {
		f.n = 0;
		err = netlink_ask(NETLINK_ROUTE, h, read_addr, &f);
	}
	return err ? err : (int)f.n;
}
