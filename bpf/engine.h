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
#include "loss.h"
#include "tcp.h"
#include "guess.h"
#include "record.h"

/* Returned by weir_packet. */
enum { WEIR_DONE, WEIR_SHORT /* headers are there but not in the linear part */ };

/* Well-known ports name the server where no SYN does. */
static __always_inline u8 who_is_client(const struct weir_pkt *p)
{
	int sender_is_client = 1;

	if (p->proto == PROTO_TCP && (p->tcp_flags & TCP_SYN))
		sender_is_client = !(p->tcp_flags & TCP_ACK);
	else if ((p->sport < 1024) != (p->dport < 1024))
		sender_is_client = p->dport < 1024;
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
	u64 x = now;

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

static __always_inline void begin_flow(struct weir_flow *f, struct weir_pkt *p, u64 now)
{
	f->id = make_id(p, now);
	f->start_ns = now;
	f->client = who_is_client(p);
	if (!(f->id & weir_cfg.sample_mask)) {
		f->state |= WEIR_FLOW_SAMPLED;
		f->focus_left = 0xffff;
	}
	if (p->proto == PROTO_TCP && !(p->tcp_flags & TCP_SYN))
		f->state |= WEIR_FLOW_EARLY;
	if (p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6)
		f->l7 = WEIR_L7_ICMP;
	p->fresh = 1;
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

static __noinline int restart_flow(struct weir_view *v, struct weir_pkt *p, struct weir_flow *f)
{
	struct weir_out *out;

	if (!v || !p || !f)
		return 0;
	weir_add(&v->count->reused, 1);
	weir_add(&v->count->reused_packets, (u64)f->dir[0].packets + f->dir[1].packets);
	weir_add(&v->count->reused_bytes, f->dir[0].bytes + f->dir[1].bytes);
	out = weir_scratch();
	if (out) {
		__builtin_memset(&out->r, 0, sizeof(out->r));
		out->r.time_ns = v->now;
		out->r.flow_id = f->id;
		out->r.kind = WEIR_REC_REUSE;
		out->r.client = f->client;
		record_addresses(&out->r, p);
		out->r.sport = p->sport;
		out->r.dport = p->dport;
		out->r.proto = p->proto;
		out->r.dir = p->dir;
		out->r.ifindex = v->ifindex;
		out->r.caplen = sizeof(*f);
		__builtin_memcpy(out->payload, f, sizeof(*f));
		if (weir_send(out, sizeof(out->r) + sizeof(*f))) {
			weir_add(&v->count->unsent[WEIR_RING_FULL], 1);
		} else {
			weir_add(&v->count->records, 1);
			weir_add(&v->count->record_bytes, sizeof(out->r) + sizeof(*f));
		}
	}
	if ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_LOSSY)
		weir_holes_del(f->id);
	__builtin_memset(f, 0, sizeof(*f));
	begin_flow(f, p, v->now);
	weir_add(&v->count->flows, 1);
	return 0;
}

/* An ICMP error: find the flow that it quotes and say so (RFC 792, RFC 4443, RFC 5508). */
static __noinline int icmp_error(struct weir_view *v, struct weir_pkt *p)
{
	u8 b[8], type, code, ttl;
	u32 off, saddr, daddr;
	struct weir_pkt *q = weir_pkt2();
	struct weir_flow *f;

	if (!q || !v || !p || p->payload_len < 8 || weir_load(v, p->payload_off, b, 8))
		return 0;
	__builtin_memset(q, 0, __builtin_offsetof(struct weir_pkt, options));
	type = b[0];
	code = b[1];
	if (p->v4 ? type != 3 && type != 11 && type != 12 : type < 1 || type > 4)
		return 0;
	off = p->payload_off + 8;
	if (p->v4) {
		u8 ip[20];

		if (weir_load(v, off, ip, 20) || (ip[0] >> 4) != 4 || (ip[0] & 0xf) < 5)
			return 0;
		q->proto = ip[9];
		ttl = ip[8];
		saddr = ldraw32(ip + 12);
		daddr = ldraw32(ip + 16);
		off += (ip[0] & 0xf) * 4;
		if (q->proto != PROTO_TCP && q->proto != PROTO_UDP)
			return 0;
		if (weir_load(v, off, b, 8))
			return 0;
		q->sport = ld16(b);
		q->dport = ld16(b + 2);
		set_key4(q, saddr, daddr, v->ifindex);
		f = weir_lookup4(&q->k4);
	} else {
		u8 ip[40];

		if (weir_load(v, off, ip, 40) || (ip[0] >> 4) != 6)
			return 0;
		q->proto = ip[6];
		ttl = ip[7];
		if (q->proto != PROTO_TCP && q->proto != PROTO_UDP)
			return 0;
		if (weir_load(v, off + 40, b, 8))
			return 0;
		q->sport = ld16(b);
		q->dport = ld16(b + 2);
		set_key6(q, ip + 8, ip + 24, v->ifindex);
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
	q->rec_flags = p->rec_flags;
	q->wscale = 255;
	emit(v, q, f, (u32)WEIR_REC_ICMP << 16);
	return 0;
}

static __always_inline void count_elsewhere(struct weir_view *v, u32 reason)
{
	u32 n = v->segs > 1 ? v->segs : 1;

	weir_add(&v->count->seen, n);
	weir_add(&v->count->seen_bytes, v->len);
	if (reason < WEIR_ELSEWHERE) {
		weir_add(&v->count->elsewhere[reason], n);
		weir_add(&v->count->elsewhere_bytes[reason], v->len);
	}
}

static __always_inline void guess_type(struct weir_view *v, struct weir_pkt *p, struct weir_flow *f)
{
	u8 b[8];

	if (p->payload_len < 8 || weir_load(v, p->payload_off, b, 8))
		return;
	if (p->proto == PROTO_TCP)
		f->l7 = guess_tcp(b, p->payload_len);
	else if (p->proto == PROTO_UDP)
		f->l7 = guess_udp(b, p->payload_len, p->sport, p->dport);
}

/* One packet. v->count and v->now are set; counts it in a flow or elsewhere, never in both. */
static __always_inline int weir_packet(struct weir_view *v)
{
	struct weir_pkt *p = weir_pkt();
	struct weir_flow *f;
	struct weir_dir *d;
	int r;

	if (!p)
		return WEIR_DONE;
	__builtin_memset(p, 0, __builtin_offsetof(struct weir_pkt, options));
	p->wscale = 255;
	r = parse_packet(v, p);
	if (r == WEIR_TRUNCATED && weir_more(v))
		return WEIR_SHORT;
	weir_add(&v->count->buffers, 1);
	weir_add(&v->count->buffer_bytes, v->len);
	if (r != PARSED_OK) {
		count_elsewhere(v, r);
		return WEIR_DONE;
	}
	p->now_ns = v->now;
	p->now_us = v->now / 1000;
	f = p->v4 ? weir_lookup4(&p->k4) : weir_lookup6(&p->k6);
	if (!f) {
		f = p->v4 ? weir_create4(&p->k4) : weir_create6(&p->k6);
		if (!f) {
			weir_add(&v->count->seen, p->segs);
			weir_add(&v->count->seen_bytes, p->ip_len);
			weir_add(&v->count->elsewhere[WEIR_TABLE_FULL], p->segs);
			weir_add(&v->count->elsewhere_bytes[WEIR_TABLE_FULL], p->ip_len);
			return WEIR_DONE;
		}
		begin_flow(f, p, v->now);
		weir_add(&v->count->flows, 1);
	} else if (f->state & WEIR_FLOW_DYING) {
		weir_add(&v->count->seen, p->segs);
		weir_add(&v->count->seen_bytes, p->ip_len);
		weir_add(&v->count->elsewhere[WEIR_LATE], p->segs);
		weir_add(&v->count->elsewhere_bytes[WEIR_LATE], p->ip_len);
		return WEIR_DONE;
	} else if ((p->tcp_flags & TCP_SYN) && is_reuse(f, p)) {
		restart_flow(v, p, f);
	}
	weir_add(&v->count->seen, p->segs);
	weir_add(&v->count->seen_bytes, p->ip_len);
	weir_add(&v->count->in_flows, p->segs);
	weir_add(&v->count->in_flow_bytes, p->ip_len);

	d = &f->dir[p->dir & 1];
	p->own_end = d->end;
	p->own_ack = d->ack;
	p->own_pkts = weir_min(d->packets, 0xffff);
	if (p->proto == PROTO_TCP)
		track_tcp(f, p);
	if (p->no_room)
		weir_add(&v->count->unsent[WEIR_HOLES_FULL], 1);
	if (p->payload_len) {
		if (!f->l7 && d->data_packets < 3)
			guess_type(v, p, f);
		d->data_packets += p->segs;
		d->flags |= WEIR_DIR_DATA;
	}
	maybe_record(v, p, f);
	/* One direction may run on two CPUs at once; these must add up to in_flows exactly. */
	__sync_fetch_and_add(&d->packets, p->segs);
	__sync_fetch_and_add(&d->bytes, p->ip_len);
	d->last_ns = v->now;
	d->win = p->win;
	d->ipid = p->ipid;
	/* An injector's header says nothing of the sender. */
	if (!(p->tcp_flags & TCP_RST) || !d->ttl)
		d->ttl = p->ttl;
	if (p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6)
		icmp_error(v, p);
	return WEIR_DONE;
}

#endif
