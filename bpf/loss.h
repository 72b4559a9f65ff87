/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an out-of-order segment is: a hole, the retransmission of something lost
 * before us or after us, reordering, a duplicate. The order of tests is that of
 * Jaiswal et al. (IMC 2003) with the timestamps option in front, and behind it
 * the IP-ID, by which most hosts number what they send; a retransmission can't
 * follow the hole sooner than a round trip.
 */
#ifndef WEIR_LOSS_H
#define WEIR_LOSS_H

#define HOLE_SANE  (1 << 24) /* a jump beyond this isn't a loss but another stream */
#define ID_NEAR	   256	     /* IP-IDs so far back were sent before; of random ones, one in 256 seems so */
#define DUP_NS	   5000000ULL
#define DUP6_NS	   200000ULL /* IPv6 has no ID to compare */
#define REORDER_US 3000	     /* without any RTT sample */
#define FILL_AGAIN 3	     /* further holes that one packet may fill: a sender repacks, hosts merge */

/* Counters of 16 bits stay at their end. No branch: the verifier would walk on from both its sides. */
static __always_inline void count16(u16 *n)
{
	*n += (*n - 0xffffu) >> 31;
}

static __always_inline void loss_event(struct weir_flow *f, struct weir_dir_cold *c, u32 now_us)
{
	u32 rtt = f->dir[0].rtt_min_us + f->dir[1].rtt_min_us;

	if (!c->loss_us || now_us - c->loss_us > rtt) {
		if (c->loss_events != 0xffff)
			c->loss_events++;
		c->loss_us = mark_us(now_us);
	}
	if (f->losses != 0xff)
		f->losses++;
}

/* Was id sent before the packet that has later? Hosts that number by chance are wrong rarely (ID_NEAR). */
static __always_inline int id_before(u16 id, u16 later)
{
	return id && later && (u16)(later - id - 1) < ID_NEAR;
}

/* A hole's filler: late by reordering, or sent again? */
static __always_inline int is_late(const struct weir_pkt *p, const struct weir_hole *h)
{
	u32 age = p->now_us - h->us;

	if (p->has_ts && h->tsval && p->tsval != h->tsval)
		return seq_before(p->tsval, h->tsval);
	if (id_before(p->ipid, h->ipid))
		return 1;
	return age < (p->path_us ? p->path_us / 2 : REORDER_US);
}

/* The oldest hole makes room: the span of those that did so stays known, one for all. */
static __always_inline void give_up(struct weir_hole *gone, const struct weir_hole *h)
{
	if (gone->start == gone->end) {
		*gone = *h;
		return;
	}
	if (seq_before(h->start, gone->start))
		gone->start = h->start;
	if (seq_after(h->end, gone->end))
		gone->end = h->end;
}

/* From start to the packet's number, which was missing already age_us ago. */
static __noinline int open_hole(struct weir_flow *f, struct weir_pkt *p, u32 start, u32 age_us)
{
	struct weir_holes *h;
	struct weir_hole *hole;
	u32 dir;

	if (!f || !p)
		return 0;
	dir = p->dir & 1;
	f->dir[dir].flags |= WEIR_DIR_LOSSY;
	h = weir_holes_get(f->id);
	if (!h)
		h = weir_holes_new(f->id);
	if (!h) {
		p->no_room = 1;
		return 0;
	}
	hole = &h->hole[dir][weir_index(h->next[dir], WEIR_MAX_HOLES)];
	if (hole->start != hole->end) /* the oldest is the least likely to be filled yet */
		give_up(&h->gone[dir], hole);
	else
		h->open[dir]++;
	hole->start = start;
	hole->end = p->seq;
	hole->us = p->now_us - age_us;
	hole->tsval = p->has_ts ? p->tsval : 0;
	hole->ipid = p->ipid;
	h->next[dir]++;
	return 0;
}

/*
 * [s, e) fills no hole that is known: perhaps one of those given up. Losses are
 * filled from below, and so what lies below is settled.
 */
static __always_inline int fill_gone(struct weir_pkt *p, struct weir_hole *gone, u32 s, u32 e)
{
	if (gone->start == gone->end || !seq_before(s, gone->end) || !seq_after(e, gone->start))
		return WEIR_IN_ORDER;
	p->hole_age_us = p->now_us - gone->us;
	gone->start = seq_before(e, gone->end) ? e : gone->end;
	return is_late(p, gone) ? WEIR_REORDER : WEIR_RETX_FILL;
}

/*
 * Takes [s, e) out of the first hole that it touches. Returns the label of the
 * filler, WEIR_IN_ORDER when it touches none; FILLED_LAST with it when no hole
 * is left.
 */
#define FILLED_LAST 0x100
WEIR_SUB int weir_fill(u32 s, u32 e)
{
	struct weir_pkt *p = weir_pkt();
	struct weir_holes *h;
	struct weir_hole *x;
	u32 dir, i, tail;
	int label;

	if (!p)
		return WEIR_IN_ORDER;
	dir = p->dir & 1;
	h = weir_holes_get(p->flow_id);
	if (!h)
		return WEIR_IN_ORDER;
	for (i = 0; i < WEIR_MAX_HOLES; i++) {
		x = &h->hole[dir][i];
		if (x->start != x->end && seq_before(s, x->end) && seq_after(e, x->start))
			break;
	}
	i = forgotten(&p->found, i);
	if (i >= WEIR_MAX_HOLES)
		return fill_gone(p, &h->gone[dir], s, e);
	x = &h->hole[dir][weir_index(i, WEIR_MAX_HOLES)];
	label = is_late(p, x) ? WEIR_REORDER : WEIR_RETX_FILL;
	p->hole_age_us = p->now_us - x->us;
	if (seq_after(s, x->start)) {
		tail = x->end;
		x->end = s;
		if (seq_before(e, tail)) { /* from the middle: two are left */
			struct weir_hole *y = &h->hole[dir][weir_index(h->next[dir], WEIR_MAX_HOLES)];

			if (y->start != y->end)
				give_up(&h->gone[dir], y);
			else
				h->open[dir]++;
			y->us = x->us;
			y->tsval = x->tsval;
			y->ipid = x->ipid;
			y->start = e;
			y->end = tail;
			h->next[dir]++;
		}
		return label;
	}
	if (seq_before(e, x->end)) {
		x->start = e;
		return label;
	}
	x->start = x->end;
	h->open[dir]--;
	if (h->open[0] || h->open[1] || h->gone[0].start != h->gone[0].end || h->gone[1].start != h->gone[1].end)
		return label;
	weir_holes_del(p->flow_id);
	return label | FILLED_LAST;
}

/* A segment [seq, seq + seg_len) that does not begin at the highest end seen; an empty one, beyond it. */
static __noinline int label_of(struct weir_flow *f, struct weir_pkt *p, u32 seg_len)
{
	struct weir_dir_cold *c;
	struct weir_dir *d, *o;
	u32 e, now_us, age_us;
	u32 dir;
	int label;

	dir = p->dir & 1;
	d = &f->dir[dir];
	o = &f->dir[!dir];
	c = &f->cold[dir];
	e = p->seq + seg_len;
	now_us = p->now_us;
	if (seq_after(p->seq, d->end)) {
		if (p->seq - d->end > HOLE_SANE) {
			d->end = e;
			return WEIR_IN_ORDER;
		}
		/* What an empty segment tells of was lost before it: its filler is late only by other signs. */
		open_hole(f, p, d->end, seg_len ? 0 : (d->rtt_min_us + o->rtt_min_us) / 2 + REORDER_US);
		d->end = e;
		loss_event(f, c, now_us);
		return WEIR_HOLE;
	}
	if (d->end - p->seq > HOLE_SANE) { /* likewise; or ours again after another's */
		d->end = e;
		return WEIR_IN_ORDER;
	}
	if (seq_after(e, d->end)) { /* something new behind it */
		d->end = e;
	}
	if (p->payload_len <= 1 && !(p->tcp_flags & (TCP_SYN | TCP_FIN)) && p->seq + 1 == p->own_end &&
	    (o->flags & WEIR_DIR_ACK) && !seq_before(o->ack, p->own_end)) {
		count16(&c->keepalives);
		return WEIR_KEEPALIVE;
	}
	d->seq_us = 0; /* Karn: which copy is answered can't be told */
	if (d->flags & WEIR_DIR_LOSSY) {
		p->flow_id = f->id;
		p->path_us = d->rtt_min_us + o->rtt_min_us;
		label = weir_fill(p->seq, e);
		age_us = p->hole_age_us;
		for (u32 i = 0; i < FILL_AGAIN && label && label < FILLED_LAST; i++) {
			int more = weir_fill(p->seq, e);

			if (!more)
				break;
			label |= more & FILLED_LAST;
		}
		p->hole_age_us = age_us;
		if (label & FILLED_LAST) {
			d->flags &= ~WEIR_DIR_LOSSY;
			o->flags &= ~WEIR_DIR_LOSSY;
		}
		label &= ~FILLED_LAST;
		if (label == WEIR_REORDER) {
			count16(&c->reordered);
			return label;
		}
		if (label == WEIR_RETX_FILL) {
			c->lost_before += p->segs;
			c->retx += p->segs;
			loss_event(f, c, now_us);
			return label;
		}
	}
	if (p->v4 ? id_before(p->ipid, d->ipid + 1) && p->now_ns - d->last_ns < DUP_NS :
		    p->now_ns - d->last_ns < DUP6_NS && e == p->own_end) {
		count16(&c->duplicated);
		return WEIR_DUPLICATE;
	}
	c->retx += p->segs;
	if ((o->flags & WEIR_DIR_ACK) && !seq_after(e, o->ack)) {
		count16(&c->spurious);
		return WEIR_RETX_ACKED;
	}
	c->lost_after += p->segs;
	loss_event(f, c, now_us);
	return WEIR_RETX_SEEN;
}

#endif
