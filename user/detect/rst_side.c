/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one end of a flow was seen to send. */
#include "rst_rules.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_PSH 0x08
#define TCP_ACK 0x10

#define AGAIN_NS 5000000ull /* a mirror or a second interface shows a packet twice within this */

static void ttl_saw(struct rst_side *s, uint8_t ttl)
{
	unsigned least = 0;

	for (unsigned i = 0; i < s->nttl; i++) {
		if (s->ttl[i] == ttl) {
			if (s->ttl_pkts[i] < 255)
				s->ttl_pkts[i]++;
			return;
		}
		if (s->ttl_pkts[i] < s->ttl_pkts[least])
			least = i;
	}
	if (s->nttl < RST_TTLS)
		least = s->nttl++;
	s->ttl[least] = ttl;
	s->ttl_pkts[least] = 1;
}

static void ipid_saw(struct rst_side *s, const struct weir_rec *r)
{
	bool next = s->pkts && r->own_pkts < UINT16_MAX && r->own_pkts == s->last_pkts + 1;

	if (r->ipid) {
		if (s->ipid && next) {
			if ((uint16_t)(r->ipid - s->ipid) <= 256)
				s->ipid_near += s->ipid_near < UINT16_MAX;
			else
				s->ipid_far += s->ipid_far < UINT16_MAX;
		}
		s->ipid = r->ipid;
	}
	s->last_pkts = r->own_pkts;
}

static void data_saw(struct rst_side *s, const struct weir_rec *r, uint32_t us)
{
	uint32_t end =
		r->seq + r->payload_len + !!(r->tcp_flags & TCP_SYN) + !!(r->tcp_flags & TCP_FIN);

	/* The flags hold this very packet; of a first one the end before is 0. */
	if ((r->own_dir_flags & WEIR_DIR_SEQ) && r->own_pkts && (r->own_end || r->own_ack) &&
	    (!s->end_known || seq_dist(r->own_end, s->end) > 0)) {
		/* Packets passed without a record. */
		s->end = r->own_end;
		s->nsent = 0;
		s->forgot = s->end_known = true;
	}
	if (s->end_known && seq_dist(end, s->end) <= 0)
		return;
	s->end = end;
	s->end_known = true;
	if (end == r->seq)
		return;
	s->forgot |= s->nsent >= RST_SENT;
	s->sent[s->nsent++ % RST_SENT] = (struct rst_mark){ end, us };
	if (r->payload_len) {
		s->data_pkts++;
		s->pushes += !!(r->tcp_flags & TCP_PSH);
	}
}

static void ack_saw(struct rst_side *s, const struct weir_rec *r, uint32_t us)
{
	if (s->nacked && seq_dist(r->ack, s->ack) <= 0) {
		s->acked_back |= r->ack != s->ack;
		return;
	}
	s->ack = r->ack;
	s->acked[s->nacked++ % RST_ACKED] = (struct rst_mark){ r->ack, us };
}

void rst_side_prime(struct rst_side *s, const struct weir_rec *r)
{
	if (!(r->peer_dir_flags & WEIR_DIR_SEQ))
		return;
	s->end = r->peer_end;
	s->end_known = s->forgot = true;
	s->syn = r->peer_dir_flags & WEIR_DIR_SYN;
	s->fin = r->peer_dir_flags & WEIR_DIR_FIN;
	s->seen = r->peer_pkts;
	s->whole = r->peer_pkts <= 1;
	if (r->peer_pkts != 1 || r->peer_age_us == ~0u)
		return;
	s->sent[s->nsent++] =
		(struct rst_mark){ r->peer_end, (uint32_t)(r->time_ns / 1000) - r->peer_age_us };
	s->forgot = false;
}

void rst_side_first(struct rst_side *s, const struct weir_rec *r)
{
	if (r->own_ttl)
		ttl_saw(s, r->own_ttl);
}

bool rst_side_saw(struct rst_side *s, const struct weir_rec *r)
{
	uint32_t us = (uint32_t)(r->time_ns / 1000);
	uint16_t iface = r->ifindex + 1;

	if (r->flags & WEIR_REC_EGRESS)
		s->out_if = iface;
	else
		s->in_if = iface;
	if (s->pkts && r->time_ns - s->last_ns < AGAIN_NS && (r->flags & WEIR_REC_IPV4) &&
	    r->ipid && r->ipid == s->last_ipid && r->seq == s->last_seq && r->ack == s->last_ack &&
	    r->tcp_flags == s->last_flags)
		return false;
	if (!s->pkts && !s->seen) {
		s->seen = r->own_pkts;
		s->whole = !r->own_pkts;
	}
	s->seen += r->segs;
	data_saw(s, r, us);
	if (r->tcp_flags & TCP_ACK)
		ack_saw(s, r, us);
	ttl_saw(s, r->ttl);
	ipid_saw(s, r);
	s->tos_pkts = s->pkts && (s->tos & 0xfc) == (r->tos & 0xfc)
			      ? s->tos_pkts + (s->tos_pkts < 255)
			      : 1;
	s->tos = r->tos;
	s->df_pkts += !!(r->flags & WEIR_REC_DF);
	if (r->tcp_flags & TCP_SYN) {
		s->syn = true;
		s->syn_win = r->win;
		s->scales = r->wscale != 255;
	} else {
		s->win = r->win;
	}
	s->fin |= !!(r->tcp_flags & TCP_FIN);
	s->reordered |= r->label == WEIR_REORDER;
	s->pkts++;
	s->last_ns = r->time_ns;
	s->last_seq = r->seq;
	s->last_ack = r->ack;
	s->last_ipid = r->ipid;
	s->last_flags = r->tcp_flags;
	return true;
}
