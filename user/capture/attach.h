/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where our programs sit on an interface. Ingress: native XDP on hardware whose
 * driver keeps its throughput under it, else TC; egress: TC. TC means tcx links
 * (6.6 and later) or a filter of our own on clsact. Nothing that is there is
 * replaced; every fall-back is told in words.
 */
#ifndef WEIR_ATTACH_H
#define WEIR_ATTACH_H

#include "clsact.h"
#include "links.h"

/* Newer than the headers that libbpf 1.1 comes with (kernel 6.6). */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

/* In the order of --hook (enum hook of options.h), then nowhere. */
enum attach_kind { ATTACH_AUTO, ATTACH_XDP, ATTACH_TCX, ATTACH_TC, ATTACH_NONE };

struct attach_progs {
	int xdp;		    /* program fds; -1: not loaded */
	int tc_in, tc_out;	    /* for interfaces with an Ethernet header; negative: not loaded */
	int tc_in_ip, tc_out_ip;    /* for those without; negative: not loaded */
	int any;		    /* one of them that is */
};

struct attachment {
	unsigned ifindex;
	enum attach_kind in, out; /* what is in use, ATTACH_NONE while detached */
	int in_fd, out_fd;	/* links; -1: none (clsact, or detached) */
	char why[256];		/* why not what was asked for; "" */
};

/* "auto", "xdp", "tcx", "tc", "none". */
const char *attach_name(enum attach_kind k);

/* How both directions are watched: "tcx", "tc", "xdp+tcx", "xdp+tc"; static storage. */
const char *attach_text(const struct attachment *h);

/* Drivers under which auto uses native XDP, NULL at the end. */
extern const char *const attach_xdp_drivers[];

/* What auto would put at ingress of l: ATTACH_XDP or ATTACH_AUTO for TC; why gets the reason. */
enum attach_kind attach_plan(const struct link *l, char *why, size_t size);

/* Has the running kernel tcx? Asked once, by trying on a descriptor that can't be attached. */
bool attach_have_tcx(int prog_fd);

/* 0, or -errno with the reason in h->why and nothing attached. want: ATTACH_AUTO to ATTACH_TC. */
int attach(struct attachment *h, const struct link *l, enum attach_kind want,
		const struct attach_progs *p, const struct clsact_owner *owner);

/* Safe on a hook that never attached or whose interface is gone. */
void detach(struct attachment *h, const struct clsact_owner *owner);

#endif
