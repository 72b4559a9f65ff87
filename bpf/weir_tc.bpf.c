// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine on TC: tcx from 6.6, clsact below. Passes every packet on, untouched. */
#define WEIR_HOOK_TC
#include "env_bpf.h"

#define NEXT -1 /* TCX_NEXT, TC_ACT_UNSPEC: whoever comes next decides */

static __always_inline int run(struct __sk_buff *skb, u8 link, u8 egress)
{
	weir_run(skb, weir_clock(), skb->ifindex, link, egress);
	return NEXT;
}

SEC("tc")
int weir_tc_in(struct __sk_buff *skb)
{
	return run(skb, WEIR_LINK_ETHERNET, 0);
}

SEC("tc")
int weir_tc_out(struct __sk_buff *skb)
{
	return run(skb, WEIR_LINK_ETHERNET, 1);
}

/* Interfaces without a link header: ppp, tun, wg. */
SEC("tc")
int weir_tc_in_ip(struct __sk_buff *skb)
{
	return run(skb, WEIR_LINK_IP, 0);
}

SEC("tc")
int weir_tc_out_ip(struct __sk_buff *skb)
{
	return run(skb, WEIR_LINK_IP, 1);
}

static __always_inline void obey(struct weir_flow *f, const struct weir_ctl *c)
{
	if (!f || (c->flow_id && c->flow_id != f->id))
		return;
	if (c->op == WEIR_CTL_TYPE) {
		f->l7 = c->l7;
		f->type = c->type;
		f->state |= WEIR_FLOW_TYPED;
	} else if (c->op == WEIR_CTL_FOCUS) {
		if (f->focus_left != WEIR_FOCUS_ALL)
			f->focus_left = weir_focus(weir_cfg.focus_packets);
		unquiet(f);
	} else if (c->op == WEIR_CTL_DYING) {
		f->state |= WEIR_FLOW_DYING;
		unquiet(f);
	}
}

/*
 * Userspace's word on flows: never attached, only test-run, with struct weir_ctl
 * behind a 16-byte head as the packet. Writes single fields, so that counters
 * go on beside it; a map update from userspace would overwrite them.
 */
SEC("tc")
int weir_ctl(struct __sk_buff *skb)
{
	u32 off = 16;

	for (int i = 0; i < WEIR_CTL_BATCH; i++) {
		struct weir_ctl c;

		if (bpf_skb_load_bytes(skb, off, &c, sizeof(c)))
			break;
		off += sizeof(c);
		if (!c.key.lo[0] && !c.key.lo[1] && c.key.lo[2] == MAPPED) {
			struct weir_key4 k = {
				.lo = c.key.lo[3], .hi = c.key.hi[3], .lo_port = c.key.lo_port,
				.hi_port = c.key.hi_port, .proto = c.key.proto, .ifindex = c.key.ifindex,
			};

			obey(weir_lookup4(&k), &c);
		} else {
			obey(weir_lookup6(&c.key), &c);
		}
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
