// SPDX-License-Identifier: GPL-2.0-or-later
#include "routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

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

int routes_default(unsigned *ifindex, size_t max)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	char buf[32768] __attribute__((aligned(8)));
	struct found f = { ifindex, 0, max };
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int err = 0;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	for (unsigned i = 0; !err && i < sizeof(families); i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
		struct rtmsg *r;
		ssize_t n;
		int more;

		h->nlmsg_type = RTM_GETROUTE;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		h->nlmsg_seq = i + 1;
		r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
		r->rtm_family = families[i];
		if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
			err = -errno;
			break;
		}
		do {
			n = mnl_socket_recvfrom(s, buf, sizeof(buf));
			more = n < 0 ? -1 : mnl_cb_run(buf, n, i + 1, mnl_socket_get_portid(s),
						       read_route, &f);
		} while (more > MNL_CB_STOP);
		/* A kernel without IPv6 answers with an error: no default route there. */
		if (more < 0 && families[i] == AF_INET)
			err = -errno;
	}
	mnl_socket_close(s);
	return err ? err : (int)f.n;
}
