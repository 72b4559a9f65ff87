// SPDX-License-Identifier: GPL-2.0-or-later
/* bpf/weir_xdp.bpf.c with another verdict: what comes after the program must not be measured. */
#define WEIR_HOOK_XDP
#include "env_bpf.h"

SEC("xdp")
int weir_drop(struct xdp_md *ctx)
{
	weir_run(ctx, weir_clock(), ctx->ingress_ifindex, WEIR_LINK_ETHERNET, 0);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
