// SPDX-License-Identifier: GPL-2.0-or-later
#include "attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINK_BEFORE	(1u << 3) /* BPF_F_BEFORE: without a neighbour, first of all */

/*
 * In-tree drivers with native XDP that keep ring sizes, offloads and queues
 * usable under it. virtio_net is not among them: XDP turns its receive offloads
 * off and wants a transmit queue per CPU.
 */
const char *const attach_xdp_drivers[] = {
	"bnxt_en", "i40e", "ice",  "igb",   "igc", "ixgbe", "mlx5_core",
	"mtk_eth_soc", "mvpp2", "nfp", "qede", "sfc", NULL,
};

static const char *const names[] = { "auto", "xdp", "tcx", "tc", "none" };

const char *attach_name(enum attach_kind k)
{
	return k < sizeof(names) / sizeof(names[0]) ? names[k] : "?";
}

const char *attach_text(const struct attachment *h)
{
	if (h->in == ATTACH_NONE)
		return "none";
	if (h->in == ATTACH_XDP)
		return h->out == ATTACH_TCX ? "xdp+tcx" : "xdp+tc";
	return attach_name(h->in);
}

static void __attribute__((format(printf, 2, 3))) explain(struct attachment *h, const char *format, ...)
{
	size_t at = strlen(h->why);
	va_list ap;

	if (at && at + 2 < sizeof(h->why))
		at += snprintf(h->why + at, sizeof(h->why) - at, " ");
	va_start(ap, format);
	vsnprintf(h->why + at, sizeof(h->why) - at, format, ap);
	va_end(ap);
}

enum attach_kind attach_plan(const struct link *l, char *why, size_t size)
{
	if (!l->physical) {
		snprintf(why, size, "%s is virtual", l->name);
		return ATTACH_AUTO;
	}
	if (l->xdp_id) {
		snprintf(why, size, "%s already runs an XDP program (id %u)", l->name, l->xdp_id);
		return ATTACH_AUTO;
	}
	if (!link_is_ethernet(l)) {
		snprintf(why, size, "%s has no Ethernet header", l->name);
		return ATTACH_AUTO;
	}
	for (const char *const *d = attach_xdp_drivers; *d; d++)
		if (!strcmp(*d, l->driver)) {
			snprintf(why, size, "driver %s has native XDP", l->driver);
			return ATTACH_XDP;
		}
	snprintf(why, size, "driver %s is not known to keep its throughput under native XDP",
		 l->driver[0] ? l->driver : "(unnamed)");
	return ATTACH_AUTO;
}

bool attach_have_tcx(int prog_fd)
{
	static int have = -1;

	if (have < 0) {
		/* No interface has index 2^31-1: tcx answers ENODEV, a kernel without it EINVAL. */
		int fd = bpf_link_create(prog_fd, 0x7fffffff, ATTACH_TCX_INGRESS, NULL);

		have = fd == -ENODEV;
		if (fd >= 0)
			close(fd);
	}
	return have;
}

/* Names the XDP program that holds the hook, as far as we may ask. */
static void who_holds(const struct link *l, char *buf, size_t size)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	struct link now;
	int fd;

	snprintf(buf, size, "another");
	if (link_get(NULL, l->ifindex, &now) || !now.xdp_id)
		return;
	snprintf(buf, size, "id %u", now.xdp_id);
	fd = bpf_prog_get_fd_by_id(now.xdp_id);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		snprintf(buf, size, "id %u, \"%.16s\"", now.xdp_id, info.name);
	close(fd);
}

static int tc_prog(const struct attach_progs *p, const struct link *l, bool egress)
{
	if (link_is_ethernet(l))
		return egress ? p->tc_out : p->tc_in;
	return egress ? p->tc_out_ip : p->tc_in_ip;
}

static int attach_xdp(struct attachment *h, const struct link *l, const struct attach_progs *p)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	char who[64];
	int fd;

	if (!link_is_ethernet(l)) {
		explain(h, "%s has no Ethernet header for the XDP program; using tc.", l->name);
		return -ENOTSUP;
	}
	if (p->xdp < 0) {
		explain(h, "The kernel refused the XDP program; using tc.");
		return -ENOTSUP;
	}
	fd = bpf_link_create(p->xdp, l->ifindex, BPF_XDP, &opts);
	switch (fd < 0 ? -fd : 0) {
	case 0:
		h->in_fd = fd;
		h->in = ATTACH_XDP;
		return 0;
	case EBUSY:
	case EEXIST:
		who_holds(l, who, sizeof(who));
		explain(h, "%s already runs an XDP program (%s); using tc, it is left alone.",
			l->name, who);
		break;
	case ERANGE:
		explain(h, "XDP needs a smaller MTU on %s (now %u); using tc.", l->name, l->mtu);
		break;
	case EOPNOTSUPP:
		if (link_has_lro(l->name))
			explain(h, "XDP needs LRO off on %s (ethtool -K %s lro off); using tc.",
				l->name, l->name);
		else
			explain(h, "%s's driver has no native XDP; using tc.", l->name);
		break;
	default:
		explain(h, "XDP could not be attached to %s (%s%s); using tc.", l->name,
			strerror(-fd), l->mtu > 3500 ? ", MTU above about 3.5k?" : "");
	}
	return fd;
}

static int attach_tcx(struct attachment *h, const struct link *l, const struct attach_progs *p,
		      bool egress)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = LINK_BEFORE);
	int fd = bpf_link_create(tc_prog(p, l, egress), l->ifindex,
				 egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS, &opts);

	if (fd < 0)
		return fd;
	*(egress ? &h->out_fd : &h->in_fd) = fd;
	*(egress ? &h->out : &h->in) = ATTACH_TCX;
	return 0;
}

static int attach_clsact(struct attachment *h, const struct link *l, const struct attach_progs *p,
			 const struct clsact_owner *owner, bool egress)
{
	int err = clsact_add(owner, l->ifindex, egress, tc_prog(p, l, egress),
			     egress ? "weir_out" : "weir_in");

	if (err)
		return err;
	*(egress ? &h->out : &h->in) = ATTACH_TC;
	return 0;
}

static int attach_tc(struct attachment *h, const struct link *l, enum attach_kind want,
		     const struct attach_progs *p, const struct clsact_owner *owner, bool egress)
{
	int err;

	if (want != ATTACH_TC && attach_have_tcx(p->any)) {
		err = attach_tcx(h, l, p, egress);
		if (!err)
			return 0;
		if (err == -ENODEV || err == -EPERM)
			return err;
		explain(h, "tcx could not be attached (%s); using clsact.", strerror(-err));
	} else if (want == ATTACH_TCX && !egress) {
		explain(h, "This kernel has no tcx (it came in 6.6); using clsact.");
	}
	return attach_clsact(h, l, p, owner, egress);
}

int attach(struct attachment *h, const struct link *l, enum attach_kind want,
		const struct attach_progs *p, const struct clsact_owner *owner)
{
	char reason[128];
	int err = 0;

	*h = (struct attachment){ .ifindex = l->ifindex, .in = ATTACH_NONE, .out = ATTACH_NONE,
			    .in_fd = -1, .out_fd = -1 };
	if (tc_prog(p, l, false) < 0) {
		explain(h, "it has %s Ethernet header now: start weir again.",
			link_is_ethernet(l) ? "an" : "no");
		return -EPROTOTYPE;
	}
	if (want == ATTACH_XDP ||
	    (want == ATTACH_AUTO && attach_plan(l, reason, sizeof(reason)) == ATTACH_XDP))
		attach_xdp(h, l, p);
	if (h->in == ATTACH_NONE)
		err = attach_tc(h, l, want, p, owner, false);
	/* A packet on the loopback passes both ways through one interface: once is enough. */
	if (!err && l->arphrd != ARPHRD_LOOPBACK)
		err = attach_tc(h, l, want, p, owner, true);
	if (err) {
		detach(h, owner);
		h->why[0] = 0;
		if (err == -ENOENT || err == -EOPNOTSUPP)
			explain(h, "kernel lacks cls_bpf/clsact. OpenWrt: apk add (or opkg install) "
				   "kmod-sched-bpf. Debian: modprobe cls_bpf.");
		else
			explain(h, "%s.", strerror(-err));
	}
	return err;
}

void detach(struct attachment *h, const struct clsact_owner *owner)
{
	if (h->in_fd >= 0)
		close(h->in_fd);
	if (h->out_fd >= 0)
		close(h->out_fd);
	if (h->in == ATTACH_TC || h->out == ATTACH_TC)
		clsact_remove(owner, h->ifindex);
	h->in_fd = h->out_fd = -1;
	h->in = h->out = ATTACH_NONE;
}
