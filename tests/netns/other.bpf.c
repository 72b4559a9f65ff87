// SPDX-License-Identifier: GPL-2.0-or-later
/* Somebody else's programs on the hooks: they count packets, and must go on doing so. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} other_count SEC(".maps");

static __always_inline void count(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&other_count, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

SEC("xdp")
int other_xdp(struct xdp_md *ctx)
{
	count();
	return XDP_PASS;
}

SEC("tc")
int other_tc(struct __sk_buff *skb)
{
	count();
	return 0; /* TC_ACT_OK: ends the chain */
}

char LICENSE[] SEC("license") = "GPL";
