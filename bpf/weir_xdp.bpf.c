// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine on XDP, ingress only. Passes every packet on, untouched. It is frags-capable; who loads
 * it says so by BPF_F_XDP_HAS_FRAGS where the kernel knows the flag (5.18), not the section's name,
 * which would leave older kernels no way.
 */
#define WEIR_HOOK_XDP
#include "env_bpf.h"

SEC("xdp")
int weir_xdp(struct xdp_md *ctx)
{
	struct weir_pkt *p = weir_begin(weir_clock(), ctx->ingress_ifindex, WEIR_LINK_ETHERNET, 0);
	struct weir_view v;
	u32 r = PARSED_OK;

	if (!p)
		return XDP_PASS;
	weir_look(ctx, &v);
	if (!parse_common(&v, p))
		r = weir_parse(ctx);
	weir_packet(ctx, &v, p, r);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
