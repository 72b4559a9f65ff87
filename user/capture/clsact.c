// SPDX-License-Identifier: GPL-2.0-or-later
#include "clsact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "links.h"
#include "netlink.h"

#define NAME_PREFIX   "weir_"
#define HANDLE_PREFIX 0x77000000u /* 'w' */
#define MADE_QDISC    1u
#define PREF_TRIES    8u
#define FILTERS_MAX   256

struct filter {
	uint32_t handle;
	uint32_t pref;
	char kind[16], name[64];
};

struct filters {
	struct filter f[FILTERS_MAX];
	unsigned n;
	bool more; /* there are others that found no room */
};

static int socket_of(uint32_t handle)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len, err;

	if (fd < 0)
		return -errno;
	/* Abstract names are one namespace per network namespace, as filters are. */
	len = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "weir/filter/%08x",
		       handle & ~MADE_QDISC);
	if (!bind(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + len))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int clsact_own(struct clsact_owner *o)
{
	for (int i = 0; i < 16; i++) {
		uint32_t r;

		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return -errno;
		o->handle = HANDLE_PREFIX | (r & 0xfffffe);
		o->fd = socket_of(o->handle);
		if (o->fd != -EADDRINUSE)
			return o->fd < 0 ? o->fd : 0;
	}
	return -EADDRINUSE;
}

void clsact_disown(struct clsact_owner *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

static struct tcmsg *request(struct nlmsghdr *h, uint16_t type, uint16_t flags, unsigned ifindex)
{
	struct tcmsg *t;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = ifindex;
	return t;
}

static uint32_t parent_of(bool egress)
{
	return TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

static int add_filter(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *b;
	struct filters *all = arg;
	struct filter f = { 0 };

	if (h->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(h) < sizeof(*t) ||
	    !t->tcm_handle)
		return MNL_CB_OK; /* handle 0: the preference's head, not a filter */
	f.handle = t->tcm_handle;
	f.pref = t->tcm_info >> 16;
	mnl_attr_for_each(a, h, sizeof(*t)) {
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(f.kind, sizeof(f.kind), "%.*s", (int)mnl_attr_get_payload_len(a),
				 mnl_attr_get_str(a));
		if (mnl_attr_get_type(a) != TCA_OPTIONS || strcmp(f.kind, "bpf"))
			continue;
		mnl_attr_for_each_nested(b, a)
			if (mnl_attr_get_type(b) == TCA_BPF_NAME)
				snprintf(f.name, sizeof(f.name), "%.*s",
					 (int)mnl_attr_get_payload_len(b), mnl_attr_get_str(b));
	}
	if (all->n == FILTERS_MAX)
		all->more = true;
	else
		all->f[all->n++] = f;
	return MNL_CB_OK;
}

/* EINVAL: no clsact qdisc there. */
static int read_filters(unsigned ifindex, bool egress, struct filters *out)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	out->n = 0;
	out->more = false;
	request(h, RTM_GETTFILTER, NLM_F_DUMP, ifindex)->tcm_parent = parent_of(egress);
	return netlink_ask(NETLINK_ROUTE, h, add_filter, out);
}

static bool is_ours(const struct filter *f)
{
	return !strcmp(f->kind, "bpf") && !strncmp(f->name, NAME_PREFIX, strlen(NAME_PREFIX)) &&
	       (f->handle & 0xff000000u) == HANDLE_PREFIX && f->pref >= CLSACT_PREF &&
	       f->pref < CLSACT_PREF + PREF_TRIES;
}

static int change_qdisc(unsigned ifindex, uint16_t type, uint16_t flags)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = request(h, type, NLM_F_ACK | flags, ifindex);

	t->tcm_parent = TC_H_CLSACT;
	t->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	return netlink_ask(NETLINK_ROUTE, h, NULL, NULL);
}

static int delete_filter(unsigned ifindex, bool egress, const struct filter *f)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = request(h, RTM_DELTFILTER, NLM_F_ACK, ifindex);

	t->tcm_parent = parent_of(egress);
	t->tcm_handle = f->handle;
	t->tcm_info = TC_H_MAKE(f->pref << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	return netlink_ask(NETLINK_ROUTE, h, NULL, NULL);
}

static int add_at(unsigned ifindex, bool egress, uint32_t pref, uint32_t handle, int prog_fd,
		  const char *name)
{
	char buf[512] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = request(h, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifindex);
	struct nlattr *nest;

	t->tcm_parent = parent_of(egress);
	t->tcm_handle = handle;
	t->tcm_info = TC_H_MAKE(pref << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	nest = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put_u32(h, TCA_BPF_FD, prog_fd);
	mnl_attr_put_strz(h, TCA_BPF_NAME, name);
	mnl_attr_put_u32(h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(h, nest);
	return netlink_ask(NETLINK_ROUTE, h, NULL, NULL);
}

static bool same_owner(const struct filter *f, const void *arg)
{
	const struct clsact_owner *o = arg;

	return (f->handle & ~MADE_QDISC) == (o->handle & ~MADE_QDISC);
}

int clsact_add(const struct clsact_owner *o, unsigned ifindex, bool egress, int prog_fd,
	       const char *name)
{
	uint32_t handle = o->handle & ~MADE_QDISC;
	struct filters *all;
	int err = change_qdisc(ifindex, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);

	if (err && err != -EEXIST)
		return err;
	if (!err)
		handle |= MADE_QDISC;
	all = malloc(sizeof(*all));
	if (!all)
		return -ENOMEM;
	/* Egress comes second: whether the qdisc is ours stands in the ingress filter. */
	for (int e = 0; e < 2 && !read_filters(ifindex, e, all); e++)
		for (unsigned i = 0; i < all->n; i++)
			if (is_ours(&all->f[i]) && same_owner(&all->f[i], o))
				handle |= all->f[i].handle & MADE_QDISC;
	free(all);

	/* EINVAL: a filter of another kind holds that preference; it stays. */
	err = -EINVAL;
	for (uint32_t pref = CLSACT_PREF; err == -EINVAL && pref < CLSACT_PREF + PREF_TRIES; pref++)
		err = add_at(ifindex, egress, pref, handle, prog_fd, name);
	if (err && (handle & MADE_QDISC) && !egress)
		change_qdisc(ifindex, RTM_DELQDISC, 0);
	return err;
}

bool clsact_overtaken(const struct clsact_owner *o, unsigned ifindex, bool egress)
{
	struct filters *all = malloc(sizeof(*all));
	uint32_t ours = o ? 0 : CLSACT_PREF;
	bool found = false;

	if (!all || read_filters(ifindex, egress, all)) {
		free(all);
		return false;
	}
	for (unsigned i = 0; o && i < all->n; i++)
		if (is_ours(&all->f[i]) && same_owner(&all->f[i], o))
			ours = all->f[i].pref;
	for (unsigned i = 0; i < all->n; i++)
		found |= !is_ours(&all->f[i]) && all->f[i].pref <= ours;
	free(all);
	return found;
}

/* The option of a kind of filter that holds its flags; 0: a kind that no card takes over. */
static int flags_option(const char *kind)
{
	static const struct {
		const char *kind;
		int option;
	} all[] = { { "flower", TCA_FLOWER_FLAGS }, { "u32", TCA_U32_FLAGS }, { "matchall", TCA_MATCHALL_FLAGS },
		    { "bpf", TCA_BPF_FLAGS_GEN } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(kind, all[i].kind))
			return all[i].option;
	return 0;
}

bool clsact_says_hardware(const struct nlmsghdr *h)
{
	const struct nlattr *a, *b, *options = NULL;
	char kind[16] = "";
	int option;

	if (h->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(h) < sizeof(struct tcmsg))
		return false;
	mnl_attr_for_each(a, h, sizeof(struct tcmsg)) {
		if (mnl_attr_get_type(a) == TCA_KIND)
			snprintf(kind, sizeof(kind), "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
		if (mnl_attr_get_type(a) == TCA_OPTIONS)
			options = a;
	}
	option = flags_option(kind);
	if (!options || !option)
		return false;
	mnl_attr_for_each_nested(b, options)
		if (mnl_attr_get_type(b) == option && mnl_attr_get_payload_len(b) >= 4)
			return mnl_attr_get_u32(b) & TCA_CLS_FLAGS_IN_HW;
	return false;
}

static int look_for_hardware(const struct nlmsghdr *h, void *arg)
{
	bool *found = arg;

	*found |= clsact_says_hardware(h);
	return MNL_CB_OK;
}

bool clsact_in_hardware(unsigned ifindex)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	bool found = false;

	/* The old ingress qdisc answers to that parent, too. */
	request(h, RTM_GETTFILTER, NLM_F_DUMP, ifindex)->tcm_parent = parent_of(false);
	netlink_ask(NETLINK_ROUTE, h, look_for_hardware, &found);
	return found;
}

/* The qdisc goes only while nobody has a filter on it. */
static void drop_empty_qdisc(unsigned ifindex, struct filters *all)
{
	for (int e = 0; e < 2; e++)
		if (read_filters(ifindex, e, all) || all->n || all->more)
			return;
	change_qdisc(ifindex, RTM_DELQDISC, 0);
}

static int remove_if(unsigned ifindex, bool (*mine)(const struct filter *f, const void *arg),
		     const void *arg,
		     void (*say)(void *arg, unsigned ifindex, bool egress, const char *name),
		     void *say_arg)
{
	struct filters *all = malloc(sizeof(*all));
	bool made = false;
	int n = 0, err = 0;

	if (!all)
		return -ENOMEM;
	for (int e = 0; e < 2; e++) {
		if (read_filters(ifindex, e, all))
			break; /* no clsact here */
		for (unsigned i = 0; i < all->n; i++) {
			int r;

			if (!is_ours(&all->f[i]) || !mine(&all->f[i], arg))
				continue;
			made |= all->f[i].handle & MADE_QDISC;
			r = delete_filter(ifindex, e, &all->f[i]);
			if (r) {
				err = r;
				continue;
			}
			n++;
			if (say)
				say(say_arg, ifindex, e, all->f[i].name);
		}
	}
	if (made)
		drop_empty_qdisc(ifindex, all);
	free(all);
	return err ? err : n;
}

int clsact_remove(const struct clsact_owner *o, unsigned ifindex)
{
	int r = remove_if(ifindex, same_owner, o, NULL, NULL);

	return r < 0 ? r : 0;
}

static bool owner_is_dead(const struct filter *f, const void *arg)
{
	int fd = socket_of(f->handle);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int clsact_sweep(void (*say)(void *arg, unsigned ifindex, bool egress, const char *name),
		 void *arg)
{
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	int total = 0, n = links ? links_read(links, LINKS_MAX) : 0;

	for (int i = 0; i < n; i++) {
		int r = remove_if(links[i].ifindex, owner_is_dead, NULL, say, arg);

		if (r > 0)
			total += r;
	}
	free(links);
	return total;
}
