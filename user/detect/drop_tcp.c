// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP: what became of each packet on the far side of us. Out (towards the far
 * end): forwarded, then acknowledged or sent again. In: came, or left a hole
 * that a resend filled. Losses on the near side are not counted: they are the
 * home network's.
 */
#include <string.h>

#include "drop.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define IPID_GAP 64
#define STUCK_ROW 3
#define STUCK_NS 1500000000ull

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool covers(uint32_t left, uint32_t right, const struct sent *s)
{
	return !before(s->seq, left) && !before(right, s->end);
}

/* A DSACK: the far end had those bytes already, so what went first was not lost. */
static void take_dsack(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	unsigned in = !drop_out(df);

	for (unsigned i = 0; i < df->nsent;) {
		struct sent s = df->sent[i];

		if ((s.state != SENT_RESENT && s.state != SENT_CONFIRM) ||
		    !covers(r->sack[0][0], r->sack[0][1], &s)) {
			i++;
			continue;
		}
		drop_sent_remove(df, i);
		drop_tell_sent(d, df, &s, false);
		/* it was the acknowledgment that did not come through */
		if (df->rtt_us) {
			struct trial t = { .time_ns = s.ns + df->rtt_us * 1000ull,
					   .n = 1,
					   .lost = 1,
					   .channel = drop_channel(in),
					   .stage = STAGE_LATER,
					   .thin = true };

			drop_tell(d, df, &t, 0);
		}
	}
}

static bool acknowledged(const struct weir_rec *r, const struct sent *s)
{
	if (!before(r->ack, s->end))
		return true;
	for (unsigned i = r->flags & WEIR_REC_DSACK ? 1 : 0; i < r->nsack && i < WEIR_MAX_SACK; i++)
		if (covers(r->sack[i][0], r->sack[i][1], s))
			return true;
	return false;
}

static void take_ack(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	uint64_t newest[SENT_MAX];
	bool progress = false;

	if (r->flags & WEIR_REC_DSACK && r->nsack)
		take_dsack(d, df, r);
	/* when the newest copy of each was sent */
	for (unsigned i = 0; i < df->nsent; i++) {
		newest[i] = df->sent[i].ns;
		for (unsigned j = i + 1; j < df->nsent; j++)
			if (before(df->sent[j].seq, df->sent[i].end) &&
			    before(df->sent[i].seq, df->sent[j].end))
				newest[i] = df->sent[j].ns;
	}
	for (unsigned i = 0, k = 0; i < df->nsent; k++) {
		struct sent *s = &df->sent[i], copy = *s;

		if (!acknowledged(r, s)) {
			i++;
			continue;
		}
		switch (s->state) {
		case SENT_WAITING:
			progress = true;
			drop_sent_remove(df, i);
			drop_tell_sent(d, df, &copy, false);
			break;
		case SENT_RESENT:
			/* too early to be the copy's acknowledgment */
			if (r->rtt_min_us && newest[k] + r->rtt_min_us * 700ull > r->time_ns) {
				drop_sent_remove(df, i);
				drop_tell_sent(d, df, &copy, false);
				break;
			}
			s->state = SENT_CONFIRM;
			i++;
			break;
		case SENT_CONFIRM:
			i++;
			break;
		default:
			progress = true;
			drop_sent_remove(df, i);
		}
	}
	if (progress) {
		df->lost_row = 0;
		df->stop_packets = r->own_pkts + r->peer_pkts;
		df->stop_bytes = df->far_bytes;
	}
}

/* Copies of one packet are lost over two seconds and more. */
static void note_stuck(struct drop *d, struct drop_flow *df, uint64_t now_ns)
{
	struct drop_type *t = d->type[df->flow->type];

	if (df->lost_row == 1)
		df->row_ns = now_ns;
	if (!t || df->lost_row < STUCK_ROW || now_ns < df->row_ns + STUCK_NS)
		return;
	t->stuck += !df->stuck;
	t->stuck_lost += df->stuck ? 1 : df->lost_row;
	df->stuck = true;
}

static void go_out(struct drop *d, struct drop_flow *df, const struct weir_rec *r, bool thin)
{
	uint32_t len = r->payload_len, seq = r->seq;
	bool syn = r->tcp_flags & TCP_SYN, fin = r->tcp_flags & TCP_FIN, known = false;
	uint32_t end = seq + len + syn + fin;
	struct sent s = {
		.ns = r->time_ns, .seq = seq, .end = end, .n = r->segs ? r->segs : 1, .thin = thin
	};

	if (seq == end || r->label == WEIR_KEEPALIVE || r->label == WEIR_DUPLICATE ||
	    r->label == WEIR_RETX_ACKED)
		return;
	/* an opening from outside is anybody's; only what we open ourselves is a trial */
	if (syn && (df->far_client || r->tcp_flags & TCP_ACK))
		return;
	s.len = rec_each(r);
	s.channel = syn ? CH_OPEN : drop_channel(drop_out(df));
	s.stage = syn || !df->acked_data ? STAGE_FIRST : STAGE_LATER;
	for (unsigned i = 0; i < df->nsent; i++) {
		struct sent *o = &df->sent[i];

		if (!before(o->seq, end) || !before(seq, o->end))
			continue;
		known = true;
		if (o->state == SENT_WAITING) {
			o->state = SENT_RESENT;
			df->lost_row++;
			note_stuck(d, df, s.ns);
		}
	}
	/* a bare FIN has nothing that a box looks for, and passes where the data before it vanish */
	if (!known && !len && fin && df->nsent)
		return;
	if (!known && r->label == WEIR_RETX_SEEN) {
		/* the first copy was too long ago to be on the list: it counts as passed, so only
		 * the loss */
		struct trial t = { .time_ns = r->time_ns -
					      (df->rtt_us ? df->rtt_us : 200000) * 1000ull,
				   .lost = 1,
				   .channel = s.channel,
				   .stage = s.stage,
				   .thin = thin };

		drop_tell(d, df, &t, s.len);
	}
	if (len) {
		df->out_packets += s.n;
		s.nth = df->out_packets > UINT16_MAX ? UINT16_MAX : df->out_packets;
	}
	drop_sent_add(d, df, &s);
}

static void come_in(struct drop *d, struct drop_flow *df, const struct weir_rec *r, bool thin)
{
	struct trial t = { .time_ns = r->time_ns,
			   .n = r->segs ? r->segs : 1,
			   .channel = drop_channel(!drop_out(df)),
			   .stage = df->far_packets ? STAGE_LATER : STAGE_FIRST,
			   .thin = thin };

	if (!r->payload_len)
		return;
	if (df->lost_row)
		df->in_after_loss++;
	/* whatever its label, it passed; and a hole that it fills was lost */
	drop_vq(d, df->flow, !drop_out(df), t.time_ns, t.n, rec_each(r), false);
	if (r->label == WEIR_RETX_FILL)
		/* before the packet that jumped it */
		drop_vq(d, df->flow, !drop_out(df), t.time_ns - r->hole_age_us * 1000ull - 1000,
			t.n, rec_each(r), true);
	switch (r->label) {
	case WEIR_IN_ORDER:
	case WEIR_HOLE:
	case WEIR_REORDER:
		break;
	case WEIR_RETX_FILL:
		t.time_ns -= r->hole_age_us * 1000ull;
		t.lost = t.n;
		break;
	default:
		return;
	}
	df->far_packets += t.n;
	df->far_bytes += r->payload_len;
	drop_tell(d, df, &t, rec_each(r));
}

/*
 * Many stacks number a connection's IPv4 packets one by one (Linux among them):
 * numbers that are missing were lost before us, bare acknowledgments too. Only an
 * estimate is made of it, and only where the other types' numbers are complete.
 */
static void take_ipid(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	uint16_t step = r->ipid - df->ipid, own = r->own_pkts - df->ipid_own;
	const struct flow *f = df->flow;

	if (!(r->flags & WEIR_REC_IPV4) || !r->ipid || r->own_pkts == UINT16_MAX ||
	    r->tcp_flags & TCP_SYN)
		return;
	if (df->ipid_known && (int16_t)step <= 0)
		return; /* late */
	if (df->ipid_known && step >= own && step - own < IPID_GAP)
		ends_add(&d->far, &df->at_far, df->far_client ? &f->client.ip : &f->server.ip, f->type,
			 ENDS_IPID, f->id, r->time_ns, step, step - own);
	df->ipid = r->ipid;
	df->ipid_own = r->own_pkts;
	df->ipid_known = true;
}

/*
 * Its SYN passed, and it acknowledges: a SYN-ACK has reached it. None that passed us, nor anything else: what comes
 * back takes another road, and nothing can be said of what becomes of its packets.
 */
static bool is_half_seen(const struct drop_flow *df, const struct weir_rec *r)
{
	if (r->peer_pkts || !(r->tcp_flags & TCP_ACK))
		return false;
	for (unsigned i = 0; i < df->nsent; i++)
		if (df->sent[i].channel == CH_OPEN)
			return true;
	return false;
}

void drop_tcp(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	unsigned way = rec_way(df->flow, r);
	bool out = way == drop_out(df), thin;

	if (df->dead)
		return;
	if (r->tcp_flags & TCP_RST) {
		/* refused or reset: somebody answered, and nothing more is to be learned here */
		if (!out && df->nsent)
			ends_add(&d->far, &df->at_far,
				 df->far_client ? &df->flow->client.ip : &df->flow->server.ip,
				 df->flow->type, CH_OPEN, df->flow->id, r->time_ns, 1, 0);
		df->dead = true;
		df->nsent = 0;
		return;
	}
	thin = drop_thin(df, way, r->time_ns, r->payload_len ? r->segs : 0);
	if (out && is_half_seen(df, r)) {
		df->dead = true;
		df->nsent = df->nearly = 0;
		return;
	}
	if (out) {
		go_out(d, df, r, thin);
		return;
	}
	if (r->rtt_min_us)
		df->rtt_us = r->rtt_min_us;
	if (df->flow->type)
		take_ipid(d, df, r);
	if (r->tcp_flags & TCP_ACK) {
		/* before the data state moves on: the first data's own trial is of the first stage
		 */
		take_ack(d, df, r);
		if (df->out_packets && !df->nsent)
			df->acked_data = true;
	}
	come_in(d, df, r, thin);
}

void drop_tcp_time(struct drop *d, struct drop_flow *df, uint64_t now_ns)
{
	uint64_t patience = drop_patience_ns(df);
	uint64_t confirm = 200000000ull + df->rtt_us * 1500ull;

	for (unsigned i = 0; i < df->nsent;) {
		struct sent *s = &df->sent[i], copy = *s;

		if (s->state == SENT_CONFIRM && s->ns + patience / 2 + confirm < now_ns) {
			drop_sent_remove(df, i);
			drop_tell_sent(d, df, &copy, true);
			continue;
		}
		if ((s->state == SENT_WAITING || s->state == SENT_RESENT) &&
		    s->ns + patience < now_ns) {
			s->state = SENT_TOLD;
			drop_tell_sent(d, df, &copy, true);
		}
		i++;
	}
}
