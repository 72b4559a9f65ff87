/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said of a packet, and whether. By rising need: first packets,
 * handshake and end, signs of loss, RTT samples, payload starts, flows in
 * focus; and any packet of flows that began while there was room to spare, as
 * long as there is. A budget bounds the rate; what is not sent is counted by reason.
 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#define AFTER_RST_US 2000000u  /* everything of a flow for so long after a reset */
#define RST_PER_S    8	       /* records of resets a direction and second */
#define RTT_REC_US   1000000u  /* between RTT samples of a quiet flow */
#define BURST_S	     1	       /* depth of the budget's bucket, seconds */

/* What has come since the bucket was last touched, at so many records a second. */
static __always_inline u64 filled(const struct weir_bucket *b, u64 rate, u64 now)
{
	u64 ns = now > b->last_ns ? now - b->last_ns : 0;

	if (!b->last_ns || ns > 1000000000ULL * BURST_S)
		ns = 1000000000ULL * BURST_S;
	return ns * rate;
}

/* A record from it; 0: it is empty. */
static __always_inline int take_token(struct weir_bucket *b, u64 rate, u64 now)
{
	b->tokens += filled(b, rate, now);
	b->last_ns = now;
	if (b->tokens > rate * BURST_S * 1000000000ULL)
		b->tokens = rate * BURST_S * 1000000000ULL;
	if (b->tokens < 1000000000ULL)
		return 0;
	b->tokens -= 1000000000ULL;
	return 1;
}

static __always_inline int within_budget(u64 now)
{
	struct weir_bucket *b;

	if (!weir_cfg.records_per_s)
		return 1;
	b = weir_budget();
	return b && take_token(b, weir_cfg.records_per_s, now);
}

/* Half of it is for the flows that are told of already. */
static __always_inline int has_spare(u64 now)
{
	const struct weir_bucket *b;
	u64 rate = weir_cfg.spare_per_s;

	if (!rate)
		return 0;
	b = weir_spare();
	return b && b->tokens + filled(b, rate, now) > rate * BURST_S * 500000000ULL;
}

/* May a packet be told of that nobody asked for? CPUs may take one token twice: it is a bound on the whole only. */
static __noinline int can_spare(u64 now)
{
	struct weir_bucket *b;

	if (!weir_cfg.spare_per_s)
		return 0;
	b = weir_spare();
	return b && take_token(b, weir_cfg.spare_per_s, now);
}

static __always_inline void record_addresses(struct weir_rec *r, const struct weir_pkt *p)
{
	if (p->v4) {
		r->saddr[0] = r->saddr[1] = r->daddr[0] = r->daddr[1] = 0;
		r->saddr[2] = r->daddr[2] = MAPPED;
		r->saddr[3] = p->dir ? p->k4.hi : p->k4.lo;
		r->daddr[3] = p->dir ? p->k4.lo : p->k4.hi;
		return;
	}
	__builtin_memcpy(r->saddr, p->dir ? p->k6.hi : p->k6.lo, sizeof(r->saddr));
	__builtin_memcpy(r->daddr, p->dir ? p->k6.lo : p->k6.hi, sizeof(r->daddr));
}

/*
 * One record: kind << 16 | payload bytes to send along. A static function, and so
 * verified from each place that calls it; it takes the flow instead of looking it up.
 */
static __noinline int emit(WEIR_CTX *ctx, struct weir_pkt *p, struct weir_flow *f, u32 kind_payload)
{
	u32 payload = kind_payload & 0xffff, kind = kind_payload >> 16, len;
	struct weir_counters *count = weir_counters(p->slot);
	struct weir_out *out;
	struct weir_dir *d, *o;
	struct weir_rec *r;
	u32 dir;

	if (!count)
		return 0;
	if (!within_budget(p->now_ns)) {
		weir_add(&count->unsent[WEIR_BUDGET], 1);
		return 0;
	}
	out = weir_scratch();
	if (!out)
		return 0;
	dir = p->dir & 1;
	d = &f->dir[dir];
	o = &f->dir[!dir];
	r = &out->r;
	r->time_ns = p->now_ns;
	r->flow_id = f->id;
	record_addresses(r, p);
	r->sport = p->sport;
	r->dport = p->dport;
	r->proto = p->proto;
	r->kind = kind;
	r->dir = dir;
	r->client = f->client;
	r->flags = p->rec_flags | (p->egress ? WEIR_REC_EGRESS : 0) | (p->fresh ? WEIR_REC_NEW : 0) |
		   (p->has_ts ? WEIR_REC_TS : 0);
	r->ifindex = p->ifindex;
	r->l2_len = p->l2_len;
	r->ip_len = p->ip_len;
	r->payload_len = p->payload_len;
	r->segs = p->segs;
	r->seq = p->seq;
	r->ack = p->ack;
	r->tsval = p->has_ts ? p->tsval : 0;
	r->tsecr = p->has_ts ? p->tsecr : 0;
	r->win = p->win;
	r->ipid = p->ipid;
	r->ttl = p->ttl;
	r->tos = p->tos;
	r->tcp_flags = p->tcp_flags;
	r->tcp_reserved = p->tcp_reserved;
	r->label = p->label;
	r->nsack = p->nsack;
	r->l7 = f->l7;
	r->wscale = p->wscale;
	r->mss = p->mss;
	r->count = p->held;
	if (p->proto == PROTO_TCP && !p->nsack) {
		__builtin_memset(r->sack, 0, sizeof(r->sack));
	} else if (p->proto == PROTO_TCP) {
		for (int i = 0; i < WEIR_MAX_SACK; i++) {
			u32 there = (u32)((s32)(i - p->nsack) >> 31); /* all ones or 0: no branch to verify */

			r->sack[i][0] = p->sack[i][0] & there;
			r->sack[i][1] = p->sack[i][1] & there;
		}
	} else {
		struct weir_pkt *loaded = weir_pkt();

		if (!loaded)
			return 0;
		__builtin_memset(loaded->bytes, 0, sizeof(r->head));
		len = weir_min(p->payload_len, sizeof(r->head));
		if (len)
			weir_load_few(ctx, p->payload_off, len);
		__builtin_memcpy(r->head, loaded->bytes, sizeof(r->head));
	}
	r->rtt_us = p->rtt_us;
	r->rtt_min_us = d->rtt_min_us;
	r->rtt_peer_us = o->rtt_min_us;
	r->own_end = p->own_end;
	r->own_ack = p->own_ack;
	r->peer_end = o->end;
	r->peer_ack = o->ack;
	r->peer_age_us = ~0u;
	if (o->last_ns && p->now_ns - o->last_ns < 3600000000000ULL)
		r->peer_age_us = (p->now_ns - o->last_ns) / 1000;
	r->hole_age_us = p->hole_age_us;
	r->own_pkts = p->own_pkts;
	r->peer_pkts = weir_min(o->packets, 0xffff);
	r->own_ttl = d->ttl;
	r->own_dir_flags = d->flags;
	r->peer_dir_flags = o->flags;
	r->vlans = p->vlans;
	r->ack_age_us = ~0u;
	if (p->proto == PROTO_TCP && o->seq_us && p->ack == o->seq_end && (p->tcp_flags & TCP_ACK))
		r->ack_age_us = p->now_us - o->seq_us;
	len = forgotten(&p->outcome, weir_min(payload, WEIR_PAYLOAD_MAX));
	if (len && weir_load_payload(ctx, p->payload_off, len))
		p->outcome = 0;
	len = weir_min(*(volatile u32 *)&p->outcome, WEIR_PAYLOAD_MAX);
	r->caplen = len;
	if (weir_send(out, sizeof(*r) + len)) {
		weir_add(&count->unsent[WEIR_RING_FULL], 1);
		return 0;
	}
	weir_add(&count->records, 1);
	weir_add(&count->record_bytes, sizeof(*r) + len);
	return 1;
}

#define TYPED_SEGMENTS 3 /* payloads a direction sends even when its flow's type is known */

/*
 * Payload may go along: while the flow's type is open; then still the first
 * answers and what comes again, so that two versions of them can be compared.
 */
static __always_inline int may_carry(const struct weir_flow *f, const struct weir_pkt *p)
{
	return !(f->state & WEIR_FLOW_TYPED) || f->dir[p->dir & 1].payload_recs < TYPED_SEGMENTS || p->label;
}

/* Payload bytes to send along: the start of each direction. */
static __always_inline u32 wanted_payload(WEIR_CTX *ctx, const struct weir_flow *f, const struct weir_pkt *p)
{
	const struct weir_dir *d = &f->dir[p->dir & 1];
	const struct weir_dir_cold *c = &f->cold[p->dir & 1];
	u32 here, room;

	if (p->proto == PROTO_TCP) {
		/* By place in the stream where it is known: late and tiny segments count as well. */
		if ((d->flags & WEIR_DIR_SYN) && p->seq + !!(p->tcp_flags & TCP_SYN) - (c->isn + 1) >= weir_cfg.payload_bytes)
			return 0;
		if (!(d->flags & WEIR_DIR_SYN) && d->payload_recs >= weir_cfg.payload_segments)
			return 0;
	} else if (d->payload_recs >= weir_cfg.payload_segments) {
		return 0;
	}
	here = weir_captured(ctx, p->payload_off);
	room = weir_cfg.payload_bytes - c->payload_bytes;
	here = weir_min(here, p->payload_len);
	here = weir_min(here, room);
	return weir_min(here, WEIR_PAYLOAD_MAX);
}

/* What came around a reset: the reset itself, and everything for two seconds after. */
WEIR_SUB int weir_after_reset(u32 slot)
{
	struct weir_counters *count = weir_counters(slot);
	struct weir_pkt *p = weir_pkt();
	struct weir_flow *f = p ? weir_again(p) : 0;
	struct weir_dir_cold *c;
	u32 age0, age1;

	if (!f || !count)
		return 0;
	c = &f->cold[p->dir & 1];
	if (p->tcp_flags & TCP_RST) {
		if (!c->rst_us || p->now_us - c->rst_us > 1000000u) {
			p->held = c->rsts > RST_PER_S + 1 ? c->rsts - RST_PER_S - 1 : 0; /* without this one */
			c->rst_us = mark_us(p->now_us);
			c->rsts = 1;
		} else if (c->rsts > RST_PER_S) {
			weir_add(&count->unsent[WEIR_RST_CAPPED], 1);
			return -1; /* the next second's first record says how many */
		}
		return 1;
	}
	age0 = p->now_us - f->cold[0].rst_us;
	age1 = p->now_us - f->cold[1].rst_us;
	return (f->cold[0].rst_us && age0 < AFTER_RST_US) || (f->cold[1].rst_us && age1 < AFTER_RST_US);
}

/* The payload start that goes along, counted against the direction's share; 0: none. */
static __noinline u32 take_payload(WEIR_CTX *ctx, const struct weir_pkt *p, struct weir_flow *f)
{
	struct weir_dir *d;
	u32 payload;

	if (!may_carry(f, p))
		return 0;
	payload = wanted_payload(ctx, f, p);
	if (payload) {
		d = &f->dir[p->dir & 1];
		if (d->payload_recs != 0xff)
			d->payload_recs++;
		f->cold[p->dir & 1].payload_bytes += payload;
	}
	return payload;
}

/* Both directions are looked at again, packet by packet. */
static __always_inline void unquiet(struct weir_flow *f)
{
	f->dir[0].quiet = f->dir[1].quiet = 0;
}

/* Of which of this direction's common packets nothing more is to be said: WEIR_QUIET_*. */
static __always_inline u8 how_quiet(const struct weir_flow *f, const struct weir_pkt *p)
{
	const struct weir_dir *d = &f->dir[p->dir & 1];
	const struct weir_dir_cold *c = &f->cold[p->dir & 1];
	int typed = f->state & WEIR_FLOW_TYPED;

	if (f->focus_left || f->recs < weir_cfg.first_packets || (f->state & WEIR_FLOW_DYING) ||
	    ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_RST))
		return 0;
	if (c->payload_bytes < weir_cfg.payload_bytes && !(typed && d->payload_recs >= TYPED_SEGMENTS)) {
		if (p->proto == PROTO_TCP && (d->flags & WEIR_DIR_SYN)) {
			if (d->end - c->isn <= weir_cfg.payload_bytes)
				return WEIR_QUIET_EMPTY;
		} else if (d->payload_recs < weir_cfg.payload_segments) {
			return WEIR_QUIET_EMPTY;
		}
	}
	return WEIR_QUIET_EMPTY | WEIR_QUIET_DATA;
}

/* Decides, after tracking. Not called for the common packets of a quiet direction. */
static __noinline int record(WEIR_CTX *ctx, struct weir_pkt *p, struct weir_flow *f)
{
	struct weir_dir_cold *c;
	u32 payload = 0, want, spare = 0, last = 0;
	int reset = 0;

	c = &f->cold[p->dir & 1];
	want = p->label;
	if (f->focus_left == WEIR_FOCUS_SPARE) {
		spare = 1;
	} else if (f->focus_left) {
		want = 1;
		if (f->focus_left == 1 && can_spare(p->now_ns))
			f->focus_left = WEIR_FOCUS_SPARE;
		else if (f->focus_left == 1)
			last = 1;
		else if (f->focus_left != WEIR_FOCUS_ALL)
			f->focus_left--;
	} else if (p->label && f->losses >= 8) {
		f->focus_left = weir_focus(weir_cfg.focus_packets);
		unquiet(f);
	}
	if (f->recs < weir_cfg.first_packets) {
		want = 1;
		f->recs++;
	}
	if (p->tcp_flags & (TCP_SYN | TCP_FIN))
		want = 1;
	if (p->rtt_us && p->now_us - c->rtt_rec_us > RTT_REC_US) {
		c->rtt_rec_us = p->now_us;
		want = 1;
	}
	want = forgotten(&p->found, want);
	if (p->payload_len && c->payload_bytes < weir_cfg.payload_bytes)
		payload = take_payload(ctx, p, f);
	if ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_RST)
		reset = weir_after_reset(p->slot);
	if (spare && !(want | payload | reset)) {
		want = 1;
		p->rec_flags |= WEIR_REC_SPARE;
		last = !can_spare(p->now_ns);
	}
	if (last)
		p->rec_flags |= WEIR_REC_LAST;
	if (reset >= 0 && (want | payload | reset) && emit(ctx, p, f, (u32)WEIR_REC_PACKET << 16 | payload) && last &&
	    (f->focus_left == WEIR_FOCUS_SPARE || f->focus_left == 1)) /* or userspace has just asked for it */
		f->focus_left = 0;
	f->dir[p->dir & 1].quiet = how_quiet(f, p);
	return 0;
}

#endif
