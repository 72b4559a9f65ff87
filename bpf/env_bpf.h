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

#define WEIR_SUB __attribute__((noinline))
#ifdef WEIR_HOOK_TC
#define WEIR_CTX struct __sk_buff
#else
#define WEIR_CTX struct xdp_md
#endif

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

/* Records that may be spared for flows that nobody asked for: one bucket for all CPUs and both objects. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_bucket);
} spare SEC(".maps");

/* Too large for the stack: a record being built, the record budget, a flow being begun, zeroed holes. */
struct percpu {
	struct weir_pkt pkt, quoted; /* here, not on the stack: the verifier merges states */
	struct weir_out out;
	struct weir_bucket bucket;
	struct weir_flow fresh_flow;
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
	.spare_per_s = 4000,
	.wake_bytes = 1 << 20,
};
const volatile __u32 weir_test_clock = 0;
const volatile __u32 weir_xdp_load = 0; /* bpf_xdp_load_bytes and bpf_xdp_get_buff_len are there: 5.18 */

static __always_inline u16 ld16(const u8 *p)
{
	return __builtin_bswap16(*(const u16 *)p);
}

static __always_inline u32 ld32(const u8 *p)
{
	return __builtin_bswap32(*(const u32 *)p);
}

static __always_inline u16 ldraw16(const u8 *p)
{
	return *(const u16 *)p;
}

static __always_inline u32 ldraw32(const u8 *p)
{
	return *(const u32 *)p;
}

static __always_inline u64 ldraw64(const u8 *p)
{
	return *(const u64 *)p;
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

static __always_inline struct weir_pkt *weir_quoted(void)
{
	struct percpu *m = mine();

	if (!m)
		return 0;
	barrier_var(m); /* or the offset is added before the check */
	return &m->quoted;
}

static __always_inline struct weir_flow *weir_lookup4(const struct weir_key4 *k)
{
	return bpf_map_lookup_elem(&flows4, k);
}

static __always_inline struct weir_flow *weir_lookup6(const struct weir_key6 *k)
{
	return bpf_map_lookup_elem(&flows6, k);
}

static __always_inline struct weir_flow *weir_fresh(void)
{
	struct percpu *m = mine();

	if (!m)
		return 0;
	barrier_var(m);
	return &m->fresh_flow;
}

static __always_inline int weir_insert(const struct weir_pkt *p, const struct weir_flow *f)
{
	long err = p->v4 ? bpf_map_update_elem(&flows4, &p->k4, f, BPF_NOEXIST) :
			   bpf_map_update_elem(&flows6, &p->k6, f, BPF_NOEXIST);

	return err == -17 /* EEXIST */ ? 1 : err;
}

static __always_inline struct weir_flow *weir_again(const struct weir_pkt *p)
{
	return p->v4 ? weir_lookup4(&p->k4) : weir_lookup6(&p->k6);
}

static __always_inline struct weir_counters *weir_counters(u32 slot)
{
	return bpf_map_lookup_elem(&counters, &slot);
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

static __always_inline struct weir_bucket *weir_spare(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&spare, &zero);
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

#define weir_some_quiet() 1

#define weir_add_shared(counter, n) __sync_fetch_and_add(counter, n)

/*
 * Wakes the reader each time that another wake_bytes (a power of two) wait: a
 * wake-up costs ten times a record. It polls on a timer as well.
 */
static __always_inline int weir_send(struct weir_out *o, u32 len)
{
	u32 step = weir_cfg.wake_bytes - 1, waits;

	if (len > sizeof(*o))
		len = sizeof(*o);
	waits = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	return bpf_ringbuf_output(&ring, o, len, (waits & step) + len > step ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#ifdef WEIR_HOOK_TC

static __always_inline void weir_look(struct __sk_buff *skb, struct weir_view *v)
{
	v->data = (void *)(long)skb->data;
	v->end = (void *)(long)skb->data_end;
	v->len = skb->len;
	v->segs = skb->gso_segs;
}

/* Brings headers into the linear part; the bytes stay as they are. */
static __always_inline int weir_more(struct __sk_buff *skb, const struct weir_view *v)
{
	return v->end - v->data < v->len && !bpf_skb_pull_data(skb, skb->len < 160 ? skb->len : 160);
}

static __always_inline u32 weir_captured(struct __sk_buff *ctx, u32 off)
{
	return ctx->len > off ? ctx->len - off : 0;
}

/* n - 1 is what gets checked: 5.10 learns no lower bound from n != 0. */
WEIR_SUB int weir_load_few(struct __sk_buff *ctx, u32 off, u32 n)
{
	struct percpu *m = mine();
	u32 last = n - 1;

	__asm__ volatile("" : "+r"(last));
	if (!m || last >= 40)
		return -1;
	return bpf_skb_load_bytes(ctx, off, m->pkt.bytes, last + 1);
}

WEIR_SUB int weir_load_payload(struct __sk_buff *ctx, u32 off, u32 n)
{
	struct percpu *m = mine();
	u32 last = n - 1;

	__asm__ volatile("" : "+r"(last));
	if (!m || last >= WEIR_PAYLOAD_MAX)
		return -1;
	return bpf_skb_load_bytes(ctx, off, m->out.payload, last + 1);
}

#else

#define FIRST_PIECE 1536 /* the least that drivers put into a jumbo frame's first buffer */

/* The whole packet's length: a jumbo frame comes in pieces, of which data to data_end is the first. */
static __always_inline u32 xdp_len(struct xdp_md *ctx)
{
	u32 linear = ctx->data_end - ctx->data;

	return weir_xdp_load && linear >= FIRST_PIECE ? bpf_xdp_get_buff_len(ctx) : linear;
}

static __always_inline void weir_look(struct xdp_md *ctx, struct weir_view *v)
{
	v->data = (void *)(long)ctx->data;
	v->end = (void *)(long)ctx->data_end;
	v->len = xdp_len(ctx);
	v->segs = 0;
}

static __always_inline int weir_more(struct xdp_md *ctx, const struct weir_view *v)
{
	return 0;
}

static __always_inline u32 weir_captured(struct xdp_md *ctx, u32 off)
{
	u32 len = xdp_len(ctx);

	return len > off ? len - off : 0;
}

/* bpf_xdp_load_bytes came with 5.18; before it, words and bytes by hand. */
WEIR_SUB int weir_load_few(struct xdp_md *ctx, u32 off, u32 n)
{
	const u8 *from, *end = (void *)(long)ctx->data_end;
	struct percpu *m = mine();

	if (!m || off > 0x3fff)
		return -1;
	if (weir_xdp_load) {
		u32 last = n - 1;

		__asm__ volatile("" : "+r"(last));
		return last < 40 ? bpf_xdp_load_bytes(ctx, off, m->pkt.bytes, last + 1) : -1;
	}
	from = (void *)(long)ctx->data + off;
	for (u32 i = 0; i < 40; i++) {
		if (i >= n)
			break;
		if (from + i + 1 > end)
			return -1;
		m->pkt.bytes[i] = from[i];
	}
	return 0;
}

WEIR_SUB int weir_load_payload(struct xdp_md *ctx, u32 off, u32 n)
{
	const u8 *from, *end = (void *)(long)ctx->data_end;
	struct percpu *m = mine();
	u32 i;

	if (!m || off > 0x3fff || n > WEIR_PAYLOAD_MAX)
		return -1;
	if (weir_xdp_load) {
		u32 last = n - 1;

		__asm__ volatile("" : "+r"(last));
		return last < WEIR_PAYLOAD_MAX ? bpf_xdp_load_bytes(ctx, off, m->out.payload, last + 1) : -1;
	}
	from = (void *)(long)ctx->data + off;
	for (i = 0; i + 32 <= WEIR_PAYLOAD_MAX; i += 32) {
		if (i + 32 > n || from + i + 32 > end)
			break;
		for (u32 w = 0; w < 32; w += 8) /* memcpy would go byte by byte */
			*(u64 *)(m->out.payload + i + w) = ldraw64(from + i + w);
	}
	i = weir_index(forgotten(&m->pkt.found, i), 2048);
	n = forgotten(&m->pkt.found, n);
	from = (void *)(long)ctx->data + off;
	end = (void *)(long)ctx->data_end;
	for (u32 j = 0; j < 32; j++) {
		u32 at = i + j;

		if (at >= n || at >= WEIR_PAYLOAD_MAX || from + at + 1 > end)
			break;
		m->out.payload[at] = from[at];
	}
	return 0;
}

#endif

static __always_inline u64 weir_clock(void)
{
	u32 zero = 0;
	u64 *t;

	if (!weir_test_clock)
		return bpf_ktime_get_ns();
	t = bpf_map_lookup_elem(&test_time, &zero);
	return t ? *t : 0;
}

#include "engine.h"

#endif
