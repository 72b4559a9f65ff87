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
	__u16 network_header;
	unsigned int end; /* of 64-bit kernels: an offset */
	unsigned char *head;
} __attribute__((preserve_access_index));

struct skb_shared_info {
	unsigned short gso_segs;
} __attribute__((preserve_access_index));

/* Our network namespace: interfaces of others have the same numbers. Set before it is loaded. */
const volatile __u32 our_net;

/* Reasons that mean this host took a packet from its way: a byte each. Set before it is loaded. */
const volatile __u8 ours[DROPS_REASONS];

/* Flows that lost packets to this host since userspace emptied it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DROPS_FLOWS);
	__type(key, struct drop_tuple);
	__type(value, __u64);
} flows SEC(".maps");

/* Packets counted in flows, ever: nothing to read where it stands still. */
__u64 flow_drops;

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

/* TCP and UDP behind IP without options or extensions in their way; false: something else. */
static __always_inline int read_tuple(struct sk_buff *skb, struct drop_tuple *t)
{
	const unsigned char *at = skb->head + skb->network_header;
	unsigned char ip[40];
	__u32 len = 40;

	if (bpf_probe_read_kernel(ip, 20, at))
		return 0;
	if (ip[0] >> 4 == 4) {
		len = (ip[0] & 15) * 4;
		/* A later fragment has no ports. */
		if (len < 20 || (ip[6] & 0x1f) || ip[7])
			return 0;
		t->src[10] = t->src[11] = t->dst[10] = t->dst[11] = 0xff;
		__builtin_memcpy(t->src + 12, ip + 12, 4);
		__builtin_memcpy(t->dst + 12, ip + 16, 4);
		t->proto = ip[9];
	} else if (ip[0] >> 4 == 6) {
		if (bpf_probe_read_kernel(ip, 40, at))
			return 0;
		__builtin_memcpy(t->src, ip + 8, 16);
		__builtin_memcpy(t->dst, ip + 24, 16);
		t->proto = ip[6];
	} else {
		return 0;
	}
	return (t->proto == 6 || t->proto == 17) && !bpf_probe_read_kernel(&t->sport, 4, at + len);
}

/* Segments of a merged packet, else 1. */
static __always_inline __u64 packets_of(struct sk_buff *skb)
{
	struct skb_shared_info *info;
	unsigned short n = 0;

	if (bpf_core_field_size(skb->end) != 4)
		return 1;
	info = (void *)(skb->head + skb->end);
	if (bpf_core_read(&n, sizeof(n), &info->gso_segs) || !n)
		return 1;
	return n;
}

static __always_inline void count_flow(struct sk_buff *skb, __u32 reason)
{
	struct drop_tuple t = { 0 };
	__u64 packets, *n;

	if (!our_net || reason >= DROPS_REASONS || !ours[reason] || !read_tuple(skb, &t))
		return;
	packets = packets_of(skb);
	n = bpf_map_lookup_elem(&flows, &t);
	if (n)
		__sync_fetch_and_add(n, packets);
	else
		bpf_map_update_elem(&flows, &t, &packets, BPF_NOEXIST);
	__sync_fetch_and_add(&flow_drops, packets);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(weir_drop, struct sk_buff *skb, void *location, int reason)
{
	struct net_device *dev = skb->dev;
	struct drop_key key = { .reason = reason };
	__u64 one = 1, *n;

	if (!dev || (our_net && bpf_core_field_exists(dev->nd_net) &&
		     dev->nd_net.net->ns.inum != our_net))
		return 0;
	count_flow(skb, reason);
	key.ifindex = dev->ifindex;
	if (!bpf_map_lookup_elem(&watched, &key.ifindex)) {
		key.ifindex = skb->skb_iif;
		if (!bpf_map_lookup_elem(&watched, &key.ifindex)) {
			if (!our_net)
				return 0;
			key.ifindex = 0;
		}
	}
	n = bpf_map_lookup_elem(&dropped, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&dropped, &key, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
