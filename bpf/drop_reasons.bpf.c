// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Optional, needs kernel BTF: what this host itself drops, by the reason that
 * the kernel gives (5.17 and later). The one object that looks into kernel
 * structures; nothing on the packet path depends on it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "drops_abi.h"

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct net_device *dev;
	int skb_iif;
} __attribute__((preserve_access_index));

/* Our network namespace: interfaces of others have the same numbers. Set before it is loaded. */
const volatile __u32 our_net;

/* Interfaces watched: index to anything. Written by userspace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u8);
} watched SEC(".maps");

/* Packets dropped by interface and reason. When full, the rest is not told. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DROPS_MAX);
	__type(key, struct drop_key);
	__type(value, __u64);
} dropped SEC(".maps");

SEC("tp_btf/kfree_skb")
int BPF_PROG(weir_drop, struct sk_buff *skb, void *location, int reason)
{
	struct net_device *dev = skb->dev;
	struct drop_key key = { .reason = reason };
	__u64 one = 1, *n;

	if (!dev || (our_net && bpf_core_field_exists(dev->nd_net) &&
		     dev->nd_net.net->ns.inum != our_net))
		return 0;
	key.ifindex = dev->ifindex;
	if (!bpf_map_lookup_elem(&watched, &key.ifindex)) {
		key.ifindex = skb->skb_iif;
		if (!bpf_map_lookup_elem(&watched, &key.ifindex))
			return 0;
	}
	n = bpf_map_lookup_elem(&dropped, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&dropped, &key, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
