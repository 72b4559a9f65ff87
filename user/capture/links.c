// SPDX-License-Identifier: GPL-2.0-or-later
#include "links.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

struct dump {
	struct link *links;
	size_t n, max;
};

static int ethtool(const char *name, void *cmd)
{
	struct ifreq req = { .ifr_data = cmd };
	int fd, err;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = ioctl(fd, SIOCETHTOOL, &req) ? -errno : 0;
	close(fd);
	return err;
}

bool link_has_lro(const char *name)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GFLAGS };

	return !ethtool(name, &v) && (v.data & ETH_FLAG_LRO);
}

/* Feature names are strings of the running kernel: find the bit by its name. */
bool link_has_tc_offload(const char *name)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} sset = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *features;
	uint32_t n, blocks;
	bool on = false;

	if (ethtool(name, &sset) || !sset.info.sset_mask)
		return false;
	n = sset.count;
	if (!n || n > 4096)
		return false;
	blocks = (n + 31) / 32;
	names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	features = calloc(1, sizeof(*features) + blocks * sizeof(features->features[0]));
	if (names && features) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_FEATURES;
		names->len = n;
		features->cmd = ETHTOOL_GFEATURES;
		features->size = blocks;
		if (!ethtool(name, names) && !ethtool(name, features))
			for (uint32_t i = 0; i < n; i++)
				if (!strncmp((char *)names->data + (size_t)i * ETH_GSTRING_LEN,
					     "hw-tc-offload", ETH_GSTRING_LEN))
					on = features->features[i / 32].active & (1u << (i % 32));
	}
	free(names);
	free(features);
	return on;
}

void link_ask_device(struct link *l)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	char path[64 + IFNAMSIZ];

	if (!ethtool(l->name, &info))
		snprintf(l->driver, sizeof(l->driver), "%.*s", (int)sizeof(info.driver) - 1,
			 info.driver);
	/* Before 5.14 rtnetlink does not name the parent device; sysfs does. */
	if (!l->physical && !l->kind[0] && l->arphrd == ARPHRD_ETHER) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/device", l->name);
		l->physical = !access(path, F_OK);
	}
}

static void read_xdp(const struct nlattr *nest, struct link *l)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest) {
		switch (mnl_attr_get_type(a)) {
		case IFLA_XDP_PROG_ID:
			if (mnl_attr_get_payload_len(a) >= 4)
				l->xdp_id = mnl_attr_get_u32(a);
			break;
		case IFLA_XDP_ATTACHED:
			if (mnl_attr_get_payload_len(a) >= 1)
				l->xdp_mode = mnl_attr_get_u8(a);
			break;
		}
	}
}

static void read_info(const struct nlattr *nest, struct link *l)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			snprintf(l->kind, sizeof(l->kind), "%.*s",
				 (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
}

/* False: not a link's message. */
static bool read_link(const struct nlmsghdr *h, struct link *l)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	bool elsewhere = false;

	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*ifi) ||
	    (ifi->ifi_family != AF_UNSPEC && ifi->ifi_family != AF_PACKET))
		return false;
	memset(l, 0, sizeof(*l));
	l->ifindex = ifi->ifi_index;
	l->arphrd = ifi->ifi_type;
	l->up = ifi->ifi_flags & IFF_UP;
	l->running = ifi->ifi_flags & IFF_RUNNING;
	mnl_attr_for_each(a, h, sizeof(*ifi)) {
		size_t len = mnl_attr_get_payload_len(a);

		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			snprintf(l->name, sizeof(l->name), "%.*s", (int)len, mnl_attr_get_str(a));
			break;
		case IFLA_MTU:
			if (len >= 4)
				l->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_MASTER:
			if (len >= 4)
				l->master = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK:
			if (len >= 4)
				l->lower = mnl_attr_get_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_STATS64:
			memcpy(&l->stats, mnl_attr_get_payload(a),
			       len < sizeof(l->stats) ? len : sizeof(l->stats));
			break;
		case IFLA_LINKINFO:
			read_info(a, l);
			break;
		case IFLA_XDP:
			read_xdp(a, l);
			break;
		case IFLA_PARENT_DEV_NAME:
			l->physical = true;
			break;
		}
	}
	if (elsewhere) /* another namespace's numbers */
		l->lower = 0;
	return l->name[0];
}

static int add_link(const struct nlmsghdr *h, void *arg)
{
	struct dump *d = arg;

	if (d->n < d->max && read_link(h, &d->links[d->n]))
		d->n++;
	return MNL_CB_OK;
}

/* Asks for one link, or for all (name NULL, ifindex 0). */
static int ask(const char *name, unsigned ifindex, struct dump *d)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	bool all = !name && !ifindex;
	struct ifinfomsg *ifi;
	int err = -EINTR;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | (all ? NLM_F_DUMP : NLM_F_ACK);
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	if (name)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
	for (unsigned i = 0; i < NETLINK_TRIES && err == -EINTR; i++) {
		d->n = 0;
		err = netlink_ask(NETLINK_ROUTE, h, add_link, d);
	}
	return err;
}

/* "Id Address Device": its own column, the last. */
static void mark_pppoe(struct link *links, size_t n)
{
	FILE *f = fopen("/proc/net/pppoe", "re");
	char line[128], dev[IFNAMSIZ];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %15s", dev) != 1)
			continue;
		for (size_t i = 0; i < n; i++)
			links[i].pppoe |= !strcmp(links[i].name, dev);
	}
	if (f)
		fclose(f);
}

static int by_index(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

int links_dump(struct link *links, size_t max)
{
	struct dump d = { .links = links, .max = max };
	int err = ask(NULL, 0, &d);

	if (err)
		return err;
	mark_pppoe(links, d.n);
	qsort(links, d.n, sizeof(*links), by_index);
	return d.n;
}

int links_read(struct link *links, size_t max)
{
	int n = links_dump(links, max);

	for (int i = 0; i < n; i++)
		link_ask_device(&links[i]);
	return n;
}

int link_get(const char *name, unsigned ifindex, struct link *out)
{
	struct dump d = { .links = out, .max = 1 };
	int err;

	if (name && (!name[0] || strlen(name) >= IFNAMSIZ))
		return -ENODEV;
	err = ask(name, ifindex, &d);
	if (err)
		return err;
	if (!d.n)
		return -ENODEV;
	link_ask_device(out);
	return 0;
}

const struct link *links_by_index(const struct link *links, unsigned n, unsigned ifindex)
{
	for (unsigned i = 0; ifindex && i < n; i++)
		if (links[i].ifindex == ifindex)
			return &links[i];
	return NULL;
}

bool link_is_bond(const struct link *l)
{
	return !strcmp(l->kind, "bond") || !strcmp(l->kind, "team");
}

bool link_is_ethernet(const struct link *l)
{
	return l->arphrd == ARPHRD_ETHER || l->arphrd == ARPHRD_LOOPBACK;
}

int links_monitor(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int links_drain(int fd, void (*fn)(void *arg, const struct link *l, bool gone), void *arg)
{
	char buf[32768] __attribute__((aligned(8)));
	struct sockaddr_nl from;
	socklen_t fromlen;
	ssize_t n;

	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
		int left;

		fromlen = sizeof(from);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &fromlen);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (fromlen != sizeof(from) || from.nl_pid)
			continue; /* not the kernel */
		left = n;
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			struct link l;

			if (!read_link(h, &l))
				continue;
			fn(arg, &l, h->nlmsg_type == RTM_DELLINK);
		}
	}
}
