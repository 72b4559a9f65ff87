// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine on XDP, ingress only, frags-capable. Passes every packet on, untouched. */
#define WEIR_HOOK_XDP
#include "env_bpf.h"

SEC("xdp.frags")
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
