// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The floor: what no per-flow tracker can do without. Headers, the clock, one
 * look-up, a direction's time, packets, bytes and sequence. And the bench's
 * walker, which turns one test packet into many flows'.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench_abi.h"

struct five_tuple {
	__u32 low, high;
	__u16 low_port, high_port;
	__u32 protocol;
};

struct direction {
	__u64 time_ns, packets, bytes;
	__u32 seq, unused;
};

struct tracked {
	struct direction way[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, struct five_tuple);
	__type(value, struct tracked);
} tracked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_walk);
} walk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_ORDER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} order SEC(".maps");

/* The program under test, by hook: a program array takes one type only. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject_xdp SEC(".maps"), subject_tc SEC(".maps");

static __always_inline void track(void *data, void *end, __u32 length)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct five_tuple key = { .protocol = IPPROTO_TCP };
	struct tracked *t, fresh = {};
	struct direction *d;
	__u64 now;
	int forward;

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP)
		return;
	forward = ip->saddr < ip->daddr;
	key.low = forward ? ip->saddr : ip->daddr;
	key.high = forward ? ip->daddr : ip->saddr;
	key.low_port = forward ? tcp->source : tcp->dest;
	key.high_port = forward ? tcp->dest : tcp->source;
	now = bpf_ktime_get_ns();
	t = bpf_map_lookup_elem(&tracked, &key);
	if (!t) {
		bpf_map_update_elem(&tracked, &key, &fresh, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&tracked, &key);
		if (!t)
			return;
	}
	d = &t->way[forward];
	d->time_ns = now;
	d->packets++;
	d->bytes += length;
	d->seq = tcp->seq;
}

SEC("xdp")
int floor_xdp(struct xdp_md *ctx)
{
	track((void *)(long)ctx->data, (void *)(long)ctx->data_end, ctx->data_end - ctx->data);
	return XDP_PASS;
}

SEC("tc")
int floor_tc(struct __sk_buff *skb)
{
	track((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len);
	return TC_ACT_UNSPEC;
}

SEC("xdp")
int empty_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int empty_tc(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

/* Writes the next flow's source address and sequence number into the packet. */
static __always_inline void next_packet(void *data, void *end)
{
	__u32 zero = 0;
	struct bench_walk *w = bpf_map_lookup_elem(&walk, &zero);
	__u8 *l4, *address;
	__u64 *step;
	__u32 at;

	if (!w)
		return;
	l4 = data + (w->l4 & 127);
	address = data + (w->address & 127);
	if (address + 4 > (__u8 *)end || l4 + 8 > (__u8 *)end)
		return;
	if (w->fresh) {
		*(__u32 *)address = bpf_htonl(0x0a000000 + (__u32)(w->at++ & 0xffffff));
		return;
	}
	at = w->at;
	step = bpf_map_lookup_elem(&order, &at);
	if (!step)
		return;
	*(__u32 *)address = bpf_htonl(0x0a000000 + BENCH_FLOW(*step));
	if (w->seg)
		*(__u32 *)(l4 + 4) = bpf_htonl(w->base + w->seg * ((__u32)w->pass * BENCH_VISITS(*step) + BENCH_VISIT(*step)));
	if (++w->at == w->length) {
		w->at = 0;
		w->pass++;
	}
}

SEC("xdp")
int walk_xdp(struct xdp_md *ctx)
{
	next_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	bpf_tail_call(ctx, &subject_xdp, 0);
	return XDP_PASS;
}

SEC("tc")
int walk_tc(struct __sk_buff *skb)
{
	next_packet((void *)(long)skb->data, (void *)(long)skb->data_end);
	bpf_tail_call(skb, &subject_tc, 0);
	return TC_ACT_UNSPEC;
}

/* Live frames: packets go out on one end of a veth pair, and at the other the subject drops them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} dropped SEC(".maps");

const volatile __u32 out_ifindex = 0;

static __always_inline int drop(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&dropped, &zero);

	if (n)
		++*n;
	return XDP_DROP;
}

SEC("xdp")
int walk_out(struct xdp_md *ctx)
{
	next_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return bpf_redirect(out_ifindex, 0);
}

SEC("xdp")
int floor_drop(struct xdp_md *ctx)
{
	track((void *)(long)ctx->data, (void *)(long)ctx->data_end, ctx->data_end - ctx->data);
	return drop();
}

SEC("xdp")
int empty_drop(struct xdp_md *ctx)
{
	return drop();
}

char LICENSE[] SEC("license") = "GPL";
