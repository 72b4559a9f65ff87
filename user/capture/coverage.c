// SPDX-License-Identifier: GPL-2.0-or-later
#include "coverage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clsact.h"
#include "conntrack.h"
#include "netlink.h"

#define DUMP_MAX 200000 /* connections looked at by one reading */

static void copy_str(char *to, size_t size, const struct nlattr *a)
{
	snprintf(to, size, "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
}

static void read_devs(const struct nlattr *hook, struct coverage *c)
{
	const struct nlattr *a, *d;
	size_t at = strlen(c->flowtable_devs);
	char name[IFNAMSIZ];

	mnl_attr_for_each_nested(a, hook) {
		if (mnl_attr_get_type(a) != NFTA_FLOWTABLE_HOOK_DEVS)
			continue;
		mnl_attr_for_each_nested(d, a) {
			if (mnl_attr_get_type(d) != NFTA_DEVICE_NAME || at >= sizeof(c->flowtable_devs))
				continue;
			copy_str(name, sizeof(name), d);
			at += snprintf(c->flowtable_devs + at, sizeof(c->flowtable_devs) - at, "%s%s",
				       at ? ", " : "", name);
		}
	}
}

static void on_flowtable(const struct nlmsghdr *h, struct coverage *c)
{
	char table[32] = "", name[32] = "";
	const struct nlattr *a, *hook = NULL;
	bool hw = false;

	if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE))
		return;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
		switch (mnl_attr_get_type(a)) {
		case NFTA_FLOWTABLE_TABLE:
			copy_str(table, sizeof(table), a);
			break;
		case NFTA_FLOWTABLE_NAME:
			copy_str(name, sizeof(name), a);
			break;
		case NFTA_FLOWTABLE_FLAGS:
			if (mnl_attr_get_payload_len(a) >= 4)
				hw = ntohl(mnl_attr_get_u32(a)) & NFT_FLOWTABLE_HW_OFFLOAD;
			break;
		case NFTA_FLOWTABLE_HOOK:
			hook = a;
			break;
		}
	}
	if (!c->flowtables++ || (hw && !c->hw_offload)) {
		snprintf(c->flowtable, sizeof(c->flowtable), "%s/%s", table, name);
		c->flowtable_devs[0] = 0;
		if (hook)
			read_devs(hook, c);
	}
	c->hw_offload |= hw;
}

static void on_chain(const struct nlmsghdr *h, struct coverage *c)
{
	char table[32] = "", name[32] = "", type[16] = "";
	const struct nlattr *a, *b;
	unsigned hook = ~0u;

	if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN))
		return;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
		switch (mnl_attr_get_type(a)) {
		case NFTA_CHAIN_TABLE:
			copy_str(table, sizeof(table), a);
			break;
		case NFTA_CHAIN_NAME:
			copy_str(name, sizeof(name), a);
			break;
		case NFTA_CHAIN_TYPE:
			copy_str(type, sizeof(type), a);
			break;
		case NFTA_CHAIN_HOOK:
			mnl_attr_for_each_nested(b, a)
				if (mnl_attr_get_type(b) == NFTA_HOOK_HOOKNUM &&
				    mnl_attr_get_payload_len(b) >= 4)
					hook = ntohl(mnl_attr_get_u32(b));
			break;
		}
	}
	if (!strcmp(type, "nat") && hook == NF_INET_POST_ROUTING && !c->nat) {
		c->nat = true;
		snprintf(c->nat_chain, sizeof(c->nat_chain), "%s/%s", table, name);
	}
}

void coverage_message(struct coverage *c, const struct nlmsghdr *h)
{
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return;
	on_flowtable(h, c);
	on_chain(h, c);
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	coverage_message(arg, h);
	return MNL_CB_OK;
}

/* 0 or -errno. */
static int dump(uint16_t what, struct coverage *c)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | what;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = NFPROTO_UNSPEC;
	g->version = NFNETLINK_V0;
	return netlink_ask(NETLINK_NETFILTER, h, on_message, c);
}

static bool count_entry(void *arg, const struct ct_entry *e)
{
	struct coverage *c = arg;

	c->conntrack++;
	c->translated += ct_translated(e);
	return c->conntrack < DUMP_MAX;
}

void coverage_iptables(struct coverage *c, const char *path)
{
	FILE *f = fopen(path, "re");
	char table[32];

	while (f && fscanf(f, "%31s", table) == 1) {
		if (strcmp(table, "nat") || c->nat)
			continue;
		c->nat = true;
		snprintf(c->nat_chain, sizeof(c->nat_chain), "iptables nat");
	}
	if (f)
		fclose(f);
}

void coverage_read(struct coverage *c)
{
	*c = (struct coverage){ .conntrack = -ENODATA };
	c->nft = !dump(NFT_MSG_GETCHAIN, c);
	/* Before 4.16, or built without: no flowtables to ask for. */
	dump(NFT_MSG_GETFLOWTABLE, c);
	coverage_iptables(c, "/proc/net/ip_tables_names");
}

void coverage_connections(struct coverage *c)
{
	int err;

	c->conntrack = 0;
	err = ct_dump(count_entry, c);
	if (err)
		c->conntrack = err;
}

bool coverage_hw_filters(const struct link *l, char *why, size_t size)
{
	/* Many drivers have the feature on from the start: what counts is that it is used. */
	if (!l->physical || !link_has_tc_offload(l->name) || !clsact_in_hardware(l->ifindex))
		return false;
	snprintf(why, size, "tc filters of %s run in its card: what they forward or drop there is invisible "
		 "(ethtool -K %s hw-tc-offload off).", l->name, l->name);
	return true;
}

bool coverage_lro(const struct link *l, char *why, size_t size)
{
	if (!link_has_lro(l->name))
		return false;
	snprintf(why, size, "LRO merges packets on %s for good: their number and times are lost "
		 "(ethtool -K %s lro off).", l->name, l->name);
	return true;
}
