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
	weir_run(ctx, weir_clock(), ctx->ingress_ifindex, WEIR_LINK_ETHERNET, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
