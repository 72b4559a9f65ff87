/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine asks of each build. BPF: bpf/env_bpf.h. Host:
 * user/capture/env_host.h. Everything else of the engine is common code.
 *
 *	WEIR_CTX			what a hook hands over: __sk_buff, xdp_md, weir_view
 *	WEIR_SUB			a subprogram. As BPF a global function, verified once
 *					whatever its callers know; from 5.6 on such a function
 *					takes the context and scalars, nothing else
 *	weir_look(ctx, view)		fills a struct weir_view
 *	weir_more(ctx, view)		1: more of the packet is in the view from now on, look again
 *	weir_cfg			struct weir_config
 *	weir_some_quiet()		0: of no flow is less told than all, and weir_quick() never serves
 *	weir_pkt(), weir_quoted()	struct weir_pkt of this CPU: the packet, and the one
 *					that an ICMP error quotes
 *	weir_lookup4(key), weir_lookup6(key)	flow or NULL
 *	weir_fresh()			a flow of this CPU to be filled in before the table has it: what
 *					weir_begin_flow() does not write stays zero
 *	weir_insert(pkt, flow)		a copy into the table: 0, or 1 where another CPU was first;
 *					negative: table full
 *	weir_again(pkt)			the packet's flow once more
 *	weir_holes_get(id), weir_holes_new(id), weir_holes_del(id)
 *	weir_counters(slot)		this CPU's
 *	weir_add(counter, n)		to one of this CPU's
 *	weir_add_shared(counter, n)	to a u32 or u64 that several CPUs add to
 *	weir_budget(), weir_spare()	struct weir_bucket of this CPU, of all
 *	weir_scratch()			struct weir_out of this CPU
 *	weir_load_few(ctx, off, n)	copies n packet bytes, 1..40, to weir_pkt()->bytes; 0 or negative
 *	weir_load_payload(ctx, off, n)	the same, 1..WEIR_PAYLOAD_MAX, to weir_scratch()->payload
 *	weir_captured(ctx, off)		bytes that can be loaded from off on
 *	weir_send(out, len)		0, negative when the ring is full
 */
#ifndef WEIR_ENGINE_ENV_H
#define WEIR_ENGINE_ENV_H

#include "weir_abi.h"
#include "weir_l7.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;

/* A packet's linear bytes, and what its hook knows of it. */
struct weir_view {
	const u8 *data, *end;
	u32 len;  /* whole length, link header in */
	u32 segs; /* GSO/GRO segments, 0 or 1 where not merged */
};

struct weir_bucket {
	u64 last_ns;
	u64 tokens; /* records * 1e9 */
};

/* A record and the payload behind it. */
struct weir_out {
	struct weir_rec r;
	u8 payload[WEIR_PAYLOAD_MAX];
};

/* A parsed packet. What stands first is cleared for each, the rest always written before it is read. */
struct weir_pkt {
	u32 rtt_us, hole_age_us;
	u8 nsack, vlans, label, has_ts, fresh, no_room;
	u16 rec_flags, held;

	u64 now_ns, flow_id;
	union {
		struct weir_key4 k4;
		struct weir_key6 k6;
		u32 k[10]; /* either in words */
	};
	u32 l2_len, ip_len;   /* on the wire, all segments */
	u32 payload_len;      /* TCP, UDP: all segments; else behind the IP header */
	u32 payload_off;      /* from view.data */
	u32 l3_off, l4_off;   /* likewise */
	u32 outcome, found;   /* of parsing, of a search: see forgotten() */
	u32 seq, ack;
	u32 tsval, tsecr;     /* when has_ts */
	u32 sack[WEIR_MAX_SACK][2]; /* nsack of them */
	u32 slot;	      /* of the counters */
	u32 now_us;
	u32 path_us;
	u32 own_end, own_ack; /* of the flow, before this packet */
	u16 own_pkts;
	u16 segs;
	u16 win, ipid, mss;
	u16 sport, dport;
	u16 ifindex;
	u8 dir, v4, proto, ttl, tos;
	u8 tcp_flags, tcp_reserved, wscale;
	u8 egress, link, quoted, cursor;
	u8 bytes[96];	      /* loaded from the packet, room behind */
};

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_PSH 8
#define TCP_ACK 16

static inline __attribute__((always_inline)) u32 weir_min(u32 a, u32 b)
{
	return a < b ? a : b;
}

/* Times that wrap are kept in µs. */
static inline __attribute__((always_inline)) u32 to_us(u64 ns)
{
	return ns / 1000;
}

/* A time that is kept: 0 means none. */
static inline __attribute__((always_inline)) u32 mark_us(u32 us)
{
	return us ? us : 1;
}

/* An index below a power of two, in a way that the verifier sees and the compiler can't undo. */
static inline __attribute__((always_inline)) u32 weir_index(u32 i, u32 size)
{
	__asm__ volatile("" : "+r"(i));
	return i & (size - 1);
}

/*
 * Offsets, lengths and loop results pass through the scratch, read back as
 * volatile: the verifier forgets how they came about, and so walks what follows
 * once instead of once for every way to it.
 */
static inline __attribute__((always_inline)) u32 forgotten(u32 *where, u32 value)
{
	*(volatile u32 *)where = value;
	return *(volatile u32 *)where;
}

/* Sequence numbers wrap (RFC 9293, 3.4). */
static inline __attribute__((always_inline)) int seq_before(u32 a, u32 b)
{
	return (s32)(a - b) < 0;
}

static inline __attribute__((always_inline)) int seq_after(u32 a, u32 b)
{
	return (s32)(a - b) > 0;
}

#endif
