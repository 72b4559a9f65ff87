// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

static void read_ip(const struct nlattr *nest, struct ct_tuple *t)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest) {
		unsigned type = mnl_attr_get_type(a), len = mnl_attr_get_payload_len(a);
		bool src = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC;
		struct in6_addr *ip = src ? &t->src : &t->dst;

		if ((type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST) && len >= 4) {
			memset(ip, 0, sizeof(*ip));
			ip->s6_addr[10] = ip->s6_addr[11] = 0xff;
			memcpy(&ip->s6_addr[12], mnl_attr_get_payload(a), 4);
		} else if ((type == CTA_IP_V6_SRC || type == CTA_IP_V6_DST) && len >= 16) {
			memcpy(ip, mnl_attr_get_payload(a), 16);
		}
	}
}

static void read_proto(const struct nlattr *nest, struct ct_tuple *t)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest) {
		unsigned len = mnl_attr_get_payload_len(a);

		switch (mnl_attr_get_type(a)) {
		case CTA_PROTO_NUM:
			if (len >= 1)
				t->proto = mnl_attr_get_u8(a);
			break;
		case CTA_PROTO_SRC_PORT:
			if (len >= 2)
				t->sport = ntohs(mnl_attr_get_u16(a));
			break;
		case CTA_PROTO_DST_PORT:
			if (len >= 2)
				t->dport = ntohs(mnl_attr_get_u16(a));
			break;
		}
	}
}

static bool read_tuple(const struct nlattr *nest, struct ct_tuple *t)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest) {
		if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
			read_ip(a, t);
		if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
			read_proto(a, t);
	}
	return t->proto;
}

bool ct_parse(const struct nlmsghdr *h, struct ct_entry *out)
{
	const struct nlattr *a;
	bool orig = false, reply = false;

	memset(out, 0, sizeof(*out));
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return false;
	out->gone = (h->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			orig = read_tuple(a, &out->orig);
		if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY)
			reply = read_tuple(a, &out->reply);
	}
	return orig && reply;
}

bool ct_translated(const struct ct_entry *e)
{
	return memcmp(&e->orig.src, &e->reply.dst, sizeof(e->orig.src)) ||
	       memcmp(&e->orig.dst, &e->reply.src, sizeof(e->orig.dst)) ||
	       e->orig.sport != e->reply.dport || e->orig.dport != e->reply.sport;
}

struct handler {
	bool (*fn)(void *arg, const struct ct_entry *e);
	void *arg;
	bool stop;
};

static int on_entry(const struct nlmsghdr *h, void *arg)
{
	struct handler *to = arg;
	struct ct_entry e;

	if (!to->stop && ct_parse(h, &e))
		to->stop = !to->fn(to->arg, &e);
	return to->stop ? MNL_CB_STOP : MNL_CB_OK;
}

int ct_dump(bool (*fn)(void *arg, const struct ct_entry *e), void *arg)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct handler to = { fn, arg, false };
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	return netlink_ask(NETLINK_NETFILTER, h, on_entry, &to);
}

int ct_monitor(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (NFNLGRP_CONNTRACK_NEW - 1) | 1u << (NFNLGRP_CONNTRACK_DESTROY - 1),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 4 << 20 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int ct_drain(int fd, bool (*fn)(void *arg, const struct ct_entry *e), void *arg)
{
	char buf[65536] __attribute__((aligned(8)));
	struct handler to = { fn, arg, false };
	struct sockaddr_nl from;
	socklen_t fromlen;
	ssize_t n;

	for (;;) {
		fromlen = sizeof(from);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &fromlen);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (fromlen == sizeof(from) && !from.nl_pid)
			mnl_cb_run(buf, n, 0, 0, on_entry, &to);
	}
}
