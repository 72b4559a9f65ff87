// SPDX-License-Identifier: GPL-2.0-or-later
#include "routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

#define TABLES 64 /* that rules name */

struct found {
	struct routes *r;
	unsigned table[TABLES], ntables;
	bool any_table; /* rules can't be read, or name more: every table is in use */
	bool overflow;
};

static bool in_use(const struct found *f, unsigned table)
{
	for (unsigned i = 0; i < f->ntables; i++)
		if (f->table[i] == table)
			return true;
	return f->any_table || table == RT_TABLE_MAIN;
}

static int read_rule(const struct nlmsghdr *h, void *arg)
{
	const struct fib_rule_hdr *r = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	struct found *f = arg;
	unsigned table;

	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof(*r))
		return MNL_CB_OK;
	table = r->table;
	mnl_attr_for_each(a, h, sizeof(*r))
		if (mnl_attr_get_type(a) == FRA_TABLE && mnl_attr_get_payload_len(a) >= 4)
			table = mnl_attr_get_u32(a);
	/* A VRF's rule names none: the packet's interface does. */
	if (!table || r->action != FR_ACT_TO_TBL || in_use(f, table))
		return MNL_CB_OK;
	if (f->ntables < TABLES)
		f->table[f->ntables++] = table;
	else
		f->any_table = true;
	return MNL_CB_OK;
}

static void add_uplink(struct found *f, unsigned ifindex, bool used)
{
	struct routes *r = f->r;

	for (unsigned i = 0; i < r->nuplinks; i++)
		if (r->uplink[i].ifindex == ifindex) {
			r->uplink[i].used |= used;
			return;
		}
	if (!ifindex || r->nuplinks == UPLINKS_MAX)
		return;
	r->uplink[r->nuplinks].ifindex = ifindex;
	r->uplink[r->nuplinks++].used = used;
}

static void add_hops(struct found *f, const struct nlattr *a, bool used)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(a);
	int left = mnl_attr_get_payload_len(a);

	while (RTNH_OK(hop, left)) {
		add_uplink(f, hop->rtnh_ifindex, used);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static void add_net(struct found *f, const struct rtmsg *m, const struct nlattr *dst, unsigned ifindex)
{
	struct route *to;

	if (!ifindex || !dst || mnl_attr_get_payload_len(dst) < (m->rtm_family == AF_INET ? 4 : 16))
		return;
	if (f->r->nnets == ROUTES_MAX) {
		f->overflow = true;
		return;
	}
	to = &f->r->net[f->r->nnets++];
	memset(to, 0, sizeof(*to));
	to->ifindex = ifindex;
	to->prefix = m->rtm_dst_len;
	if (m->rtm_family == AF_INET) {
		to->prefix += 96;
		to->net.s6_addr[10] = to->net.s6_addr[11] = 0xff;
		memcpy(&to->net.s6_addr[12], mnl_attr_get_payload(dst), 4);
	} else {
		memcpy(&to->net, mnl_attr_get_payload(dst), 16);
	}
}

/* Both halves of everything, or 2000::/3, as VPN clients set them beside the default route. */
static bool is_default(const struct rtmsg *m)
{
	return m->rtm_dst_len <= (m->rtm_family == AF_INET ? 1 : 3);
}

static int read_route(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *dst = NULL, *hops = NULL;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	unsigned ifindex = 0, table;
	struct found *f = arg;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    m->rtm_type != RTN_UNICAST || m->rtm_flags & RTM_F_CLONED ||
	    (m->rtm_family == AF_INET ? m->rtm_dst_len > 32 : m->rtm_dst_len > 128))
		return MNL_CB_OK;
	table = m->rtm_table;
	mnl_attr_for_each(a, h, sizeof(*m)) {
		size_t len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == RTA_OIF && len >= 4)
			ifindex = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_TABLE && len >= 4)
			table = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_DST)
			dst = a;
		else if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			hops = a;
	}
	if (table == RT_TABLE_LOCAL)
		return MNL_CB_OK;
	if (!is_default(m))
		add_net(f, m, dst, ifindex);
	else if (hops)
		add_hops(f, hops, in_use(f, table));
	else
		add_uplink(f, ifindex, in_use(f, table));
	return MNL_CB_OK;
}

/* 0 or -errno. */
static int ask(uint16_t what, unsigned char family, mnl_cb_t cb, struct found *f)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *r;

	h->nlmsg_type = what;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r)); /* a rule's header begins alike and is as long */
	r->rtm_family = family;
	return netlink_ask(NETLINK_ROUTE, h, cb, f);
}

/* What was found twice counts once, but for networks: those begin anew at each try. */
static int ask_routes(unsigned char family, struct found *f)
{
	unsigned nets = f->r->nnets;
	int err = -EINTR;

	for (unsigned i = 0; i < NETLINK_TRIES && err == -EINTR; i++) {
		f->r->nnets = nets;
		err = ask(RTM_GETROUTE, family, read_route, f);
	}
	return err;
}

int routes_read(struct routes *r)
{
	struct found f = { .r = r };
	int err;

	memset(r, 0, sizeof(*r));
	for (int i = 0; i < 2; i++) {
		err = ask(RTM_GETRULE, i ? AF_INET6 : AF_INET, read_rule, &f);
		/* A kernel without policy routing has no rules, and no tables for them. */
		f.any_table |= err && err != -EOPNOTSUPP && err != -EAFNOSUPPORT;
	}
	err = ask_routes(AF_INET, &f);
	/* A kernel without IPv6 answers with an error: no route there. */
	if (!err)
		ask_routes(AF_INET6, &f);
	if (f.overflow)
		r->nnets = 0;
	return err;
}

bool routes_is_uplink(const struct routes *r, unsigned ifindex)
{
	for (unsigned i = 0; i < r->nuplinks; i++)
		if (r->uplink[i].ifindex == ifindex)
			return true;
	return false;
}
