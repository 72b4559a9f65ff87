// SPDX-License-Identifier: GPL-2.0-or-later
/* bpf/weir_xdp.bpf.c with another verdict: what comes after the program must not be measured. */
#define WEIR_HOOK_XDP
#include "env_bpf.h"

SEC("xdp")
int weir_drop(struct xdp_md *ctx)
{
	struct weir_pkt *p = weir_begin(weir_clock(), ctx->ingress_ifindex, WEIR_LINK_ETHERNET, 0);
	struct weir_view v;
	u32 r = PARSED_OK;

	if (!p)
		return XDP_DROP;
	weir_look(ctx, &v);
	if (!parse_common(&v, p))
		r = weir_parse(ctx);
	weir_packet(ctx, &v, p, r);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
