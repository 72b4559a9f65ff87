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
	struct weir_view v = { .ctx = ctx, .link = WEIR_LINK_ETHERNET };

	if (!begin_view(&v, ctx->ingress_ifindex))
		return XDP_PASS;
	v.data = (void *)(long)ctx->data;
	v.end = (void *)(long)ctx->data_end;
	v.len = v.end - v.data;
	weir_packet(&v);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
