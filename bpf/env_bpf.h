/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's environment as BPF: maps, helpers. UAPI headers only, nothing
 * that 5.10 lacks. WEIR_HOOK_XDP or WEIR_HOOK_TC is defined before.
 */
#ifndef WEIR_ENV_BPF_H
#define WEIR_ENV_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "engine_env.h"

/* IPv4 flows. Written by the programs, deleted by userspace alone; when full, packets count as table_full. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct weir_key4);
	__type(value, struct weir_flow);
} flows4 SEC(".maps");

/* IPv6 flows, likewise; memory is taken as they come. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct weir_key6);
	__type(value, struct weir_flow);
} flows6 SEC(".maps");

/* Missing ranges by flow id, only of flows that miss something. When full, unsent[holes_full]. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct weir_holes);
} holes SEC(".maps");

/* Records to userspace. When full, unsent[ring_full]. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23);
} ring SEC(".maps");

/* Conservation: (ifindex & (WEIR_IF_SLOTS - 1)) * 2 + egress. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_IF_SLOTS * 2);
	__type(key, __u32);
	__type(value, struct weir_counters);
} counters SEC(".maps");

/* Too large for the stack: a record being built, the record budget, a zeroed flow and holes. */
struct percpu {
	struct weir_pkt pkt, quoted; /* here, not on the stack: the verifier merges states */
	struct weir_out out;
	struct weir_bucket bucket;
	struct weir_flow zero_flow;
	struct weir_holes zero_holes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct percpu);
} scratch SEC(".maps");

/* Test runs only: the time of the next packet, 0 for the clock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} test_time SEC(".maps");

const volatile struct weir_config weir_cfg = {
	.first_packets = 24,
	.sample_mask = 0xff,
	.focus_packets = 12000,
	.payload_segments = 4,
	.payload_bytes = 4096,
	.records_per_s = 200000,
	.wake_bytes = 1 << 20,
};
const volatile __u32 weir_test_clock = 0;

static __always_inline u16 ld16(const u8 *p)
{
	return __builtin_bswap16(*(const u16 *)p);
}

static __always_inline u32 ld32(const u8 *p)
{
	return __builtin_bswap32(*(const u32 *)p);
}

static __always_inline u32 ldraw32(const u8 *p)
{
	return *(const u32 *)p;
}

static __always_inline struct percpu *mine(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline struct weir_pkt *weir_pkt(void)
{
	struct percpu *m = mine();

	return m ? &m->pkt : 0;
}

static __always_inline struct weir_pkt *weir_pkt2(void)
{
	struct percpu *m = mine();

	return m ? &m->quoted : 0;
}

static __always_inline struct weir_flow *weir_lookup4(const struct weir_key4 *k)
{
	return bpf_map_lookup_elem(&flows4, k);
}

static __always_inline struct weir_flow *weir_lookup6(const struct weir_key6 *k)
{
	return bpf_map_lookup_elem(&flows6, k);
}

static __always_inline struct weir_flow *weir_create4(const struct weir_key4 *k)
{
	struct percpu *m = mine();

	if (!m || bpf_map_update_elem(&flows4, k, &m->zero_flow, BPF_NOEXIST) == -7 /* E2BIG */)
		return 0;
	return bpf_map_lookup_elem(&flows4, k);
}

static __always_inline struct weir_flow *weir_create6(const struct weir_key6 *k)
{
	struct percpu *m = mine();

	if (!m || bpf_map_update_elem(&flows6, k, &m->zero_flow, BPF_NOEXIST) == -7)
		return 0;
	return bpf_map_lookup_elem(&flows6, k);
}

static __always_inline struct weir_holes *weir_holes_get(u64 id)
{
	return bpf_map_lookup_elem(&holes, &id);
}

static __always_inline struct weir_holes *weir_holes_new(u64 id)
{
	struct percpu *m = mine();

	if (!m)
		return 0;
	bpf_map_update_elem(&holes, &id, &m->zero_holes, BPF_NOEXIST);
	return bpf_map_lookup_elem(&holes, &id);
}

static __always_inline void weir_holes_del(u64 id)
{
	bpf_map_delete_elem(&holes, &id);
}

static __always_inline struct weir_bucket *weir_budget(void)
{
	struct percpu *m = mine();

	return m ? &m->bucket : 0;
}

static __always_inline struct weir_out *weir_scratch(void)
{
	struct percpu *m = mine();

	return m ? &m->out : 0;
}

static __always_inline void weir_add(u64 *counter, u64 n)
{
	*counter += n;
}

/* Wakes the reader only when much waits; it polls on a timer as well. */
static __always_inline int weir_send(struct weir_out *o, u32 len)
{
	u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= weir_cfg.wake_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	if (len > sizeof(*o))
		len = sizeof(*o);
	return bpf_ringbuf_output(&ring, o, len, flags);
}

#ifdef WEIR_HOOK_TC

static __always_inline u32 weir_captured(const struct weir_view *v, u32 off)
{
	return v->len - off;
}

static __always_inline int weir_more(const struct weir_view *v)
{
	return (u32)(v->end - v->data) < v->len;
}

static __always_inline int weir_load(const struct weir_view *v, u32 off, u8 *dst, const u32 n)
{
	return bpf_skb_load_bytes(v->ctx, off, dst, n);
}

static __always_inline int weir_load_options(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	if (n < 1 || n > 40)
		return -1;
	return bpf_skb_load_bytes(v->ctx, off, dst, n);
}

static __always_inline int weir_load_payload(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	/* Verifiers before 6.8 learn no lower bound from n != 0, which the compiler makes of n >= 1. */
	u32 less = n - 1;

	barrier_var(less);
	if (less >= WEIR_PAYLOAD_MAX)
		return -1;
	return bpf_skb_load_bytes(v->ctx, off, dst, less + 1);
}

#else

static __always_inline u32 weir_captured(const struct weir_view *v, u32 off)
{
	u32 linear = v->end - v->data;

	return linear > off ? linear - off : 0;
}

static __always_inline int weir_more(const struct weir_view *v)
{
	return 0;
}

/* bpf_xdp_load_bytes came with 5.18: words and bytes by hand. */
static __always_inline int weir_load(const struct weir_view *v, u32 off, u8 *dst, const u32 n)
{
	const u8 *from;

	if (off > 0x3fff)
		return -1;
	from = v->data + off;
	if (from + n > v->end)
		return -1;
	for (u32 i = 0; i < n; i++)
		dst[i] = from[i];
	return 0;
}

static __always_inline int weir_load_options(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	const u8 *from;

	if (off > 0x3fff)
		return -1;
	from = v->data + off;
	for (u32 i = 0; i + 4 <= 40; i += 4) { /* headers come in words */
		if (i + 4 > n)
			break;
		if (from + i + 4 > v->end)
			return -1;
		*(u32 *)(dst + i) = *(const u32 *)(from + i);
	}
	return 0;
}

static __always_inline int weir_load_payload(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	const u8 *from;
	u32 i;

	if (off > 0x3fff || n > WEIR_PAYLOAD_MAX)
		return -1;
	from = v->data + off;
	for (i = 0; i + 8 <= WEIR_PAYLOAD_MAX; i += 8) {
		if (i + 8 > n || from + i + 8 > v->end)
			break;
		*(u64 *)(dst + i) = *(const u64 *)(from + i);
	}
	i = weir_index(i, 2048);
	for (u32 j = 0; j < 8; j++) {
		u32 at = i + j;

		if (at >= n || at >= WEIR_PAYLOAD_MAX || from + at + 1 > v->end)
			break;
		dst[at] = from[at];
	}
	return 0;
}

#endif

#include "engine.h"

static __always_inline int begin_view(struct weir_view *v, u32 ifindex)
{
	u32 slot = (ifindex & (WEIR_IF_SLOTS - 1)) * 2 + v->egress, zero = 0;
	u64 *t;

	v->count = bpf_map_lookup_elem(&counters, &slot);
	if (!v->count)
		return 0;
	v->ifindex = ifindex & 0xffff;
	if (weir_test_clock) {
		t = bpf_map_lookup_elem(&test_time, &zero);
		v->now = t ? *t : 0;
	} else {
		v->now = bpf_ktime_get_ns();
	}
	return 1;
}

#endif
