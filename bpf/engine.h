/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet engine: one packet in; flow state, counters and records out. The
 * same code as BPF and on the host. A build includes engine_env.h, supplies the
 * names listed there, then includes this.
 */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MAPPED 0xffff0000u /* ::ffff:0:0/96, third word, network order */
#else
#define MAPPED 0x0000ffffu
#endif

#include "parse.h"
#include "count.h"
#include "loss.h"
#include "tcp.h"
#include "guess.h"
#include "record.h"
#include "quick.h"

#define EPHEMERAL 32768 /* RFC 6335 says 49152, Linux begins here */

/* Well-known ports name the server where no SYN does; then ports that no client is given. */
static __always_inline u8 who_is_client(const struct weir_pkt *p)
{
	int sender_is_client = 1;

	if (p->proto == PROTO_TCP && (p->tcp_flags & TCP_SYN))
		sender_is_client = !(p->tcp_flags & TCP_ACK);
	else if ((p->sport < 1024) != (p->dport < 1024))
		sender_is_client = p->dport < 1024;
	else if (p->proto == PROTO_TCP && (p->sport < EPHEMERAL) != (p->dport < EPHEMERAL))
		sender_is_client = p->dport < EPHEMERAL;
	return (p->dir == 0) == sender_is_client ? WEIR_CLIENT_LO : WEIR_CLIENT_HI;
}

static __always_inline u64 mix64(u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

/* An id from key and time: the same packets give the same ids in both builds. */
static __always_inline u64 make_id(const struct weir_pkt *p, u64 now)
{
	u64 x = mix64(now); /* or a flood whose addresses run like the clock would share ids */

	if (p->v4) {
		x = mix64(x ^ ((u64)p->k4.lo << 32 | p->k4.hi));
		x ^= (u64)p->k4.lo_port << 48 | (u64)p->k4.hi_port << 32;
	} else {
		for (int i = 0; i < 4; i++)
			x = mix64(x ^ ((u64)p->k6.lo[i] << 32 | p->k6.hi[i]));
		x ^= (u64)p->k6.lo_port << 48 | (u64)p->k6.hi_port << 32;
	}
	return mix64(x ^ p->proto ^ (u64)p->k4.ifindex << 8);
}

/* A new flow's id, its client, its share of records: all that differs from zero. */
static __always_inline void begin_flow(struct weir_flow *f, const struct weir_pkt *p)
{
	int sampled;

	f->id = make_id(p, p->now_ns);
	f->start_ns = p->now_ns;
	f->client = who_is_client(p);
	sampled = !(f->id & weir_cfg.sample_mask);
	f->focus_left = sampled ? WEIR_FOCUS_ALL : has_spare(p->now_ns) ? WEIR_FOCUS_SPARE : 0;
	f->state = (sampled ? WEIR_FLOW_SAMPLED : 0) |
		   (p->proto == PROTO_TCP && !(p->tcp_flags & TCP_SYN) ? WEIR_FLOW_EARLY : 0);
	f->l7 = p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6 ? WEIR_L7_ICMP : 0;
}

/*
 * Into the table goes a flow that has its id: the other direction may run on
 * another CPU, find it at once, and must neither begin it again nor see it half
 * begun. Negative: the table is full.
 */
WEIR_SUB int weir_begin_flow(u32 slot)
{
	struct weir_counters *count = weir_counters(slot);
	struct weir_flow *f = weir_fresh();
	struct weir_pkt *p = weir_pkt();
	int r;

	if (!f || !p || !count)
		return -1;
	begin_flow(f, p);
	r = weir_insert(p, f);
	if (r)
		return r;
	p->fresh = 1;
	weir_add(&count->flows, 1);
	return 0;
}

/* A SYN on a connection that is over, or with another number: a new connection (RFC 9293, 3.6.1). */
static __always_inline int is_reuse(const struct weir_flow *f, const struct weir_pkt *p)
{
	u32 dir = p->dir & 1;
	const struct weir_dir *d = &f->dir[dir];
	u8 ends = f->dir[0].flags | f->dir[1].flags;

	if (p->proto != PROTO_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return 0;
	if ((d->flags & WEIR_DIR_SYN) && f->cold[dir].isn == p->seq)
		return 0; /* the same SYN again */
	if (ends & (WEIR_DIR_FIN | WEIR_DIR_RST))
		return 1;
	return (d->flags & WEIR_DIR_SEQ) && p->now_ns - d->last_ns > 1000000000ULL;
}

WEIR_SUB int weir_restart(u32 slot)
{
	struct weir_counters *count = weir_counters(slot);
	struct weir_pkt *p = weir_pkt();
	struct weir_flow *f = p ? weir_again(p) : 0, *fresh = weir_fresh();
	struct weir_out *out = weir_scratch();

	if (!f || !fresh || !count || !out)
		return 0;
	weir_add(&count->reused, 1);
	weir_add(&count->reused_packets, (u64)f->dir[0].packets + f->dir[1].packets);
	weir_add(&count->reused_bytes, f->dir[0].bytes + f->dir[1].bytes);
	__builtin_memset(&out->r, 0, sizeof(out->r));
	out->r.time_ns = p->now_ns;
	out->r.flow_id = f->id;
	out->r.kind = WEIR_REC_REUSE;
	out->r.client = f->client;
	record_addresses(&out->r, p);
	out->r.sport = p->sport;
	out->r.dport = p->dport;
	out->r.proto = p->proto;
	out->r.dir = p->dir;
	out->r.ifindex = p->ifindex;
	out->r.caplen = sizeof(*f);
	__builtin_memcpy(out->payload, f, sizeof(*f));
	if (weir_send(out, sizeof(out->r) + sizeof(*f))) {
		weir_add(&count->unsent[WEIR_RING_FULL], 1);
	} else {
		weir_add(&count->records, 1);
		weir_add(&count->record_bytes, sizeof(out->r) + sizeof(*f));
	}
	if ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_LOSSY)
		weir_holes_del(f->id);
	begin_flow(fresh, p);
	*f = *fresh;
	p->fresh = 1;
	weir_add(&count->flows, 1);
	return 0;
}

/* An ICMP error: find the flow that it quotes and say so (RFC 792, RFC 4443, RFC 5508). */
WEIR_SUB int weir_icmp_error(WEIR_CTX *ctx)
{
	u32 off, type, code, ttl;
	struct weir_pkt *p = weir_pkt(), *q = weir_quoted();
	struct weir_flow *f;
	const u8 *b;

	if (!p || !q || p->payload_len < 8 || weir_load_few(ctx, p->payload_off, 8))
		return 0;
	__builtin_memset(q, 0, sizeof(*q));
	b = p->bytes;
	type = b[0];
	code = b[1];
	if (p->v4 ? type != 3 && type != 11 && type != 12 : type < 1 || type > 4)
		return 0;
	off = p->payload_off + 8;
	if (weir_load_few(ctx, off, p->v4 ? 20 : 40))
		return 0;
	if (p->v4 ? (b[0] >> 4) != 4 || (b[0] & 0xf) < 5 : (b[0] >> 4) != 6)
		return 0;
	q->proto = p->v4 ? b[9] : b[6];
	ttl = p->v4 ? b[8] : b[7];
	if (q->proto != PROTO_TCP && q->proto != PROTO_UDP)
		return 0;
	__builtin_memcpy(q->bytes, b, 40);
	if (weir_load_few(ctx, off + (p->v4 ? (q->bytes[0] & 0xf) * 4 : 40), 8))
		return 0;
	q->sport = ld16(b);
	q->dport = ld16(b + 2);
	b = q->bytes;
	if (p->v4) {
		set_key4(q, ldraw32(b + 12), ldraw32(b + 16), p->ifindex);
		f = weir_lookup4(&q->k4);
	} else {
		set_key6(q, b + 8, b + 24, p->ifindex);
		f = weir_lookup6(&q->k6);
	}
	if (!f)
		return 0;
	q->seq = (u32)type << 8 | code;
	q->ack = ttl;
	q->ttl = p->ttl;
	q->ipid = p->ipid;
	q->ip_len = p->ip_len;
	q->l2_len = p->l2_len;
	q->segs = 1;
	q->now_us = p->now_us;
	q->now_ns = p->now_ns;
	q->slot = p->slot;
	q->ifindex = p->ifindex;
	q->egress = p->egress;
	q->quoted = 1;
	q->rec_flags = p->rec_flags;
	q->wscale = 255;
	emit(ctx, q, f, (u32)WEIR_REC_ICMP << 16);
	return 0;
}

/* What the payload's first bytes look like: enum weir_l7. */
WEIR_SUB int weir_guess(WEIR_CTX *ctx)
{
	struct weir_pkt *p = weir_pkt();

	if (!p || p->payload_len < 8 || weir_load_few(ctx, p->payload_off, 8))
		return WEIR_L7_UNKNOWN;
	if (p->proto == PROTO_TCP)
		return guess_tcp(p->bytes, p->payload_len);
	if (p->proto == PROTO_UDP)
		return guess_udp(p->bytes, p->payload_len, p->sport, p->dport);
	return WEIR_L7_UNKNOWN;
}

/* Begins a packet: scratch cleared, what the hook knows set. NULL: no scratch. */
static __always_inline struct weir_pkt *weir_begin(u64 now, u32 ifindex, u8 link, u8 egress)
{
	struct weir_pkt *p = weir_pkt();

	if (!p)
		return 0;
	p->rtt_us = p->hole_age_us = 0;
	p->nsack = p->vlans = p->label = p->has_ts = p->fresh = p->no_room = 0;
	p->rec_flags = p->held = 0;
	p->now_ns = now;
	p->now_us = to_us(now);
	p->ifindex = ifindex;
	p->link = link;
	p->egress = egress;
	p->slot = counters_slot(ifindex, egress);
	return p;
}

/* Takes back what a parse that fell short of bytes has set. */
static __always_inline void weir_parse_again(struct weir_pkt *p)
{
	p->rec_flags = 0;
	p->vlans = p->nsack = p->has_ts = 0;
}

/* The packet behind its parse, which came to r (PARSED_OK or a reason); its flow, where it is known. */
static __always_inline void weir_packet(WEIR_CTX *ctx, const struct weir_view *v, struct weir_pkt *p, u32 r, struct weir_flow *f)
{
	struct weir_counters *count = weir_counters(p->slot);
	struct weir_dir *d;

	if (!count)
		return;
	count_buffer(count, v->len);
	if (r == PARSED_OK)
		r = finish_parse(v, p);
	if (r != PARSED_OK) {
		count_elsewhere(count, r, v->segs > 1 ? v->segs : 1, v->len);
		return;
	}
	if (!f)
		f = p->v4 ? weir_lookup4(&p->k4) : weir_lookup6(&p->k6);
	if (!f) {
		f = weir_begin_flow(p->slot) < 0 ? 0 : weir_again(p);
		if (!f) {
			count_elsewhere(count, WEIR_TABLE_FULL, p->segs, p->ip_len);
			return;
		}
	} else if (!f->dir[p->dir & 1].quiet && (f->state & WEIR_FLOW_DYING)) {
		count_elsewhere(count, WEIR_LATE, p->segs, p->ip_len);
		return;
	} else if ((p->tcp_flags & TCP_SYN) && is_reuse(f, p)) {
		weir_restart(p->slot);
	}
	count_in_flow(count, p->segs, p->ip_len);

	d = &f->dir[p->dir & 1];
	p->own_end = d->end;
	p->own_ack = d->ack;
	p->own_pkts = weir_min(d->packets, 0xffff);
	if (p->proto == PROTO_TCP)
		track_tcp(f, p);
	if (p->no_room)
		weir_add(&count->unsent[WEIR_HOLES_FULL], 1);
	if (p->payload_len) {
		if (d->data_packets < GUESSED && !f->l7)
			f->l7 = weir_guess(ctx);
		d->data_packets += p->segs;
		d->flags |= WEIR_DIR_DATA;
	}
	if (!(d->quiet & (p->payload_len ? WEIR_QUIET_DATA : WEIR_QUIET_EMPTY)) || p->label || p->rtt_us ||
	    (p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		record(ctx, p, f);
	count_packet(d, p->segs, p->ip_len);
	d->last_ns = p->now_ns;
	d->win = p->win;
	if (p->label < WEIR_REORDER) /* what is late or a copy was numbered before */
		d->ipid = p->ipid;
	/* An injector's header says nothing of the sender. */
	if (!(p->tcp_flags & TCP_RST) || !d->ttl)
		d->ttl = p->ttl;
	if (p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6)
		weir_icmp_error(ctx);
}

/* One packet, from what the hook hands over to all that is kept and said of it. */
static __always_inline void weir_run(WEIR_CTX *ctx, u64 now, u32 ifindex, u8 link, u8 egress)
{
	struct weir_flow *f = 0;
	struct weir_view v;
	struct weir_pkt *p;
	u32 r;

	weir_look(ctx, &v);
	if (weir_some_quiet() && link == WEIR_LINK_ETHERNET && weir_quick(&v, now, ifindex, egress, &f))
		return;
	p = weir_begin(now, ifindex, link, egress);
	if (!p)
		return;
	r = weir_parse(ctx);
	if (r == WEIR_TRUNCATED && weir_more(ctx, &v)) {
		weir_parse_again(p);
		r = weir_parse(ctx);
	}
	weir_look(ctx, &v);
	weir_packet(ctx, &v, p, r, f);
}

#endif
