/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP per direction: ends, acknowledgments, round trips, losses (RFC 9293, 7323, 2018, 2883, 6298). */
#ifndef WEIR_TCP_H
#define WEIR_TCP_H

#define RTT_SANE_US 60000000u

/* DSACK (RFC 2883, 4): the first block lies below the ACK, or inside the second. */
static __always_inline int is_dsack(const struct weir_pkt *p)
{
	if (!p->nsack)
		return 0;
	if (!seq_after(p->sack[0][1], p->ack))
		return 1;
	return p->nsack > 1 && !seq_before(p->sack[0][0], p->sack[1][0]) &&
	       !seq_after(p->sack[0][1], p->sack[1][1]);
}

static __always_inline void take_rtt(struct weir_dir *d, struct weir_pkt *p, u32 us)
{
	if (us > RTT_SANE_US)
		return;
	if (!us)
		us = 1;
	p->rtt_us = us;
	if (!d->rtt_min_us || us < d->rtt_min_us)
		d->rtt_min_us = us;
}

/*
 * Round trip us -> sender of d -> us: d acknowledges exactly the segment end
 * being timed, or echoes the TSval that the other side's pure ACK carried. What
 * the peer times is only read here and only written by the peer's packets, so
 * that each direction's line has one writer.
 */
static __always_inline int acks_timed(const struct weir_dir *d, const struct weir_dir *o, u32 ack)
{
	return o->seq_us && ack == o->seq_end && (!(d->flags & WEIR_DIR_ACK) || seq_after(ack, d->ack));
}

static __always_inline int echoes_timed(const struct weir_dir *d, const struct weir_dir *o, int data_with_ts, u32 tsecr)
{
	return o->ts_us && data_with_ts && tsecr == o->tsval && d->seen != o->tsval;
}

static __always_inline void sample_rtt(struct weir_dir *d, const struct weir_dir *o, struct weir_pkt *p)
{
	if (acks_timed(d, o, p->ack)) {
		take_rtt(d, p, p->now_us - o->seq_us);
	} else if (echoes_timed(d, o, p->has_ts && p->payload_len, p->tsecr)) {
		d->seen = o->tsval;
		take_rtt(d, p, p->now_us - o->ts_us);
	}
}

/* A TSval that data bore is not timed when one without payload bears it too: that may have come late. */
static __always_inline void with_data(struct weir_dir *d, u32 tsval)
{
	d->tsval = tsval ? tsval : d->tsval; /* 0: it bore none */
	d->ts_us = 0;
}

/* Starts timing a segment that ends at end, if none of its direction is being timed. */
static __always_inline void time_data(struct weir_dir *d, const struct weir_dir *o, u64 now, u32 end, u32 tsval)
{
	if (!d->seq_us || !seq_before(o->ack, d->seq_end)) {
		d->seq_end = end;
		d->seq_us = mark_us(to_us(now));
	}
	with_data(d, tsval);
}

/* Likewise the TSval of one without payload. */
static __always_inline void time_empty(struct weir_dir *d, u64 now, u32 tsval)
{
	if (tsval != d->tsval) {
		d->tsval = tsval;
		d->ts_us = mark_us(to_us(now));
	}
}

/* SYN, FIN, RST: rare, and so out of the common path. */
static __noinline int tcp_flags(struct weir_flow *f, const struct weir_pkt *p, u32 fl)
{
	struct weir_dir_cold *c;
	struct weir_dir *d;

	d = &f->dir[p->dir & 1];
	c = &f->cold[p->dir & 1];
	if (fl & TCP_SYN) {
		d->flags |= WEIR_DIR_SYN | (p->has_ts ? WEIR_DIR_TS : 0);
		c->isn = p->seq;
		c->mss = p->mss;
		c->wscale = p->wscale;
		if (!(fl & TCP_ACK))
			f->syn_us = mark_us(p->now_us);
		f->client = (p->dir == 0) == !(fl & TCP_ACK) ? WEIR_CLIENT_LO : WEIR_CLIENT_HI;
	}
	if (fl & TCP_FIN)
		d->flags |= WEIR_DIR_FIN;
	if (fl & TCP_RST) {
		d->flags |= WEIR_DIR_RST;
		f->dir[0].quiet = f->dir[1].quiet = 0;
		if (c->rsts != 0xff)
			c->rsts++;
	}
	return 0;
}

/* A SACK block that is a DSACK: what we took for lost after us was not. */
WEIR_SUB int weir_sack(u32 nsack)
{
	struct weir_pkt *p = weir_pkt();
	struct weir_flow *f = p ? weir_again(p) : 0;
	struct weir_dir_cold *o;

	if (!f || !nsack || !is_dsack(p))
		return 0;
	o = &f->cold[!(p->dir & 1)];
	count16(&f->cold[p->dir & 1].dsacks);
	p->rec_flags |= WEIR_REC_DSACK;
	if (o->lost_after)
		o->lost_after--;
	return 1;
}

/* The client's first ACK after the SYN-ACK. */
WEIR_SUB int weir_handshake(u32 now_us)
{
	struct weir_pkt *p = weir_pkt();
	struct weir_flow *f = p ? weir_again(p) : 0;
	u32 dir;

	if (!f)
		return 0;
	dir = p->dir & 1;
	if ((p->tcp_flags & TCP_SYN) || !(f->dir[!dir].flags & WEIR_DIR_SYN) ||
	    dir != (f->client == WEIR_CLIENT_HI))
		return 0;
	f->handshake_us = now_us - f->syn_us;
	if (!f->handshake_us)
		f->handshake_us = 1;
	p->rec_flags |= WEIR_REC_HANDSHAKE;
	return 1;
}

/* Everything of one TCP packet but counters and times. */
static __always_inline void track_tcp(struct weir_flow *f, struct weir_pkt *p)
{
	u32 dir = p->dir & 1;
	struct weir_dir *d = &f->dir[dir], *o = &f->dir[!dir];
	u32 seg_len = p->payload_len + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);
	u32 end = p->seq + seg_len;

	if (p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST))
		tcp_flags(f, p, p->tcp_flags);
	/* A reset's numbers are often an injector's guess: they move nothing. */
	if (p->tcp_flags & TCP_RST)
		return;
	if ((p->tcp_flags & TCP_ACK) && (o->flags & WEIR_DIR_SEQ)) {
		sample_rtt(d, o, p);
		if (!seq_after(p->ack, o->end) && (!(d->flags & WEIR_DIR_ACK) || seq_after(p->ack, d->ack))) {
			d->ack = p->ack;
			d->flags |= WEIR_DIR_ACK;
		}
		if (p->nsack)
			weir_sack(p->nsack);
		if (!d->quiet && !f->handshake_us && f->syn_us)
			weir_handshake(p->now_us);
	}
	if (!p->win && !(p->tcp_flags & TCP_SYN))
		count16(&f->cold[dir].zero_windows);
	if (!(d->flags & WEIR_DIR_SEQ)) {
		d->flags |= WEIR_DIR_SEQ;
		d->end = end;
	} else if (seg_len ? p->seq != d->end : seq_after(p->seq, d->end)) { /* an empty one tells of a lost tail */
		p->label = label_of(f, p, seg_len);
		if (seg_len && p->has_ts && seq_after(p->tsval, d->tsval))
			with_data(d, p->tsval);
		return;
	} else if (!seg_len && p->seq + 1 == d->end && (o->flags & WEIR_DIR_ACK) && o->ack == d->end) {
		count16(&f->cold[dir].keepalives);
		p->label = WEIR_KEEPALIVE;
		return;
	} else if (seg_len) {
		d->end = end;
	}
	if (seg_len)
		time_data(d, o, p->now_ns, end, p->has_ts ? p->tsval : 0);
	else if (p->has_ts)
		time_empty(d, p->now_ns, p->tsval);
}

#endif
