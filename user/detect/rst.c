/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forged resets. Each burst of resets waits up to two seconds of packet time
 * for what comes after it: an endpoint that goes on did not reset. What is
 * certain before is reported at once.
 */
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "rst.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define HOST_SAMPLES 32	  /* that one flow gives of its hosts */
#define REORDER_US 25000u /* where packets overtake, by how much at most */
#define AGAIN_US 5000u

static void *rst_create(const struct detect_env *env)
{
	struct rst_detector *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->env = env;
	d->inject.env = env;
	d->inject.rule_name = (const char *(*)(unsigned))rst_rule_name;
	d->inject.rest = rst_rest;
	d->inject.method = "rst_injection/rules/1";
	return d;
}

static void rst_destroy(void *arg)
{
	struct rst_detector *d = arg;

	rst_flows_done(&d->flows);
	rst_bursts_done(&d->bursts);
	inject_free(&d->inject);
	free(d);
}

static const struct in6_addr *sender_ip(const struct flow *f, unsigned way)
{
	return way == TO_CLIENT ? &f->server.ip : &f->client.ip;
}

static void expire(struct rst_detector *d, uint64_t now_ns)
{
	struct rst_burst *b;

	while ((b = d->bursts.fresh) && now_ns >= b->first_ns + RST_LOOK_NS) {
		d->bursts.fresh = b->next;
		rst_look(d, b, b->flow->detector[d->env->slot], 4);
	}
	while (d->bursts.first && now_ns >= d->bursts.first->first_ns + RST_HOLD_NS)
		rst_decide(d, d->bursts.first, true);
}

static struct rst_packet packet_of(const struct weir_rec *r)
{
	return (struct rst_packet){
		.seq = r->seq,
		.ack = r->ack,
		.us = (uint32_t)(r->time_ns / 1000),
		.ipid = r->ipid,
		.win = r->win,
		.ifindex = r->ifindex,
		.ttl = r->ttl,
		.tos = r->tos,
		.tcp_flags = r->tcp_flags,
		.reserved = r->tcp_reserved,
		.df = r->flags & WEIR_REC_DF,
		.ts = r->flags & WEIR_REC_TS,
		.payload = r->payload_len > 0,
		.egress = r->flags & WEIR_REC_EGRESS,
		.ipv4 = r->flags & WEIR_REC_IPV4,
	};
}

static enum rst_stage stage_of(const struct flow *f, const struct rst_flow *s,
			       const struct weir_rec *r, unsigned way)
{
	uint8_t own = r->own_dir_flags;
	uint8_t client, server;
	uint32_t pushes = s->side[TO_SERVER].pushes;

	/* A reset that carries bytes is no data of its sender. */
	if (r->payload_len && !s->side[way].data_pkts)
		own &= (uint8_t)~WEIR_DIR_DATA;
	client = way == TO_SERVER ? own : r->peer_dir_flags;
	server = way == TO_SERVER ? r->peer_dir_flags : own;

	if ((server | client) & WEIR_DIR_DATA) {
		if (server & WEIR_DIR_DATA)
			return RST_LATER;
		/* One message that takes two segments is still the first one. */
		if (!s->side[TO_SERVER].data_pkts)
			pushes = f->count[TO_SERVER].data_packets;
		return pushes <= 1 ? RST_POST_PSH : RST_LATER;
	}
	if (server & WEIR_DIR_SYN)
		return client & WEIR_DIR_ACK ? RST_POST_ACK : RST_POST_SYN;
	return client & WEIR_DIR_SYN ? RST_POST_SYN : RST_POST_ACK;
}

/* R0: it came in where only its receiver's packets do, and its sender's go out. */
static bool wrong_interface(const struct rst_flow *s, unsigned way, const struct weir_rec *r)
{
	const struct rst_side *own = &s->side[way], *peer = &s->side[!way];
	uint16_t iface = r->ifindex + 1;

	return !(r->flags & WEIR_REC_EGRESS) && own->out_if == iface && own->in_if != iface &&
	       peer->in_if == iface && peer->out_if != iface && own->pkts >= 2 && peer->pkts >= 2;
}

static void ages(struct rst_burst *b, const struct rst_flow *s, const struct weir_rec *r)
{
	struct rst_case *c = &b->c;
	const struct rst_side *peer = &s->side[!b->way];
	const struct rst_packet *p = &c->one[0];

	c->ack_age_us = c->trigger_age_us = ~0u;
	if (p->tcp_flags & TCP_ACK) {
		c->ack_age_us = rst_ack_age(peer, p->ack, p->us);
		if (c->ack_age_us == ~0u && r->peer_pkts == 1 && c->peer_end_known &&
		    p->ack == c->peer_end)
			c->ack_age_us = r->peer_age_us;
		if (c->ack_age_us == ~0u)
			c->ack_age_us = r->ack_age_us;
	}
	if (peer->whole && peer->seen >= r->peer_pkts)
		c->trigger_age_us = rst_acked_age(peer, p->seq, p->us);
}

/*
 * What has lost a connection on the client's side (a NAT, a router) answers what comes for it. Here the client itself
 * has answered all, has gone on, and an answer of such a box would have come by now.
 */
static bool unprovoked(const struct rst_burst *b, const struct rst_side *own, const struct rst_side *peer,
		       const struct weir_rec *r)
{
	const struct rst_case *c = &b->c;
	uint64_t since = r->time_ns - peer->last_ns;

	return b->way == TO_SERVER && own->pkts >= 2 && peer->pkts && !c->misses && !c->fin_seen && !c->opposite_rst &&
	       c->own_end_known && c->peer_end_known && seq_dist(c->own_ack, c->peer_end) >= 0 && b->flow_rtt_us &&
	       own->last_ns > peer->last_ns && r->time_ns > own->last_ns && r->time_ns - own->last_ns < RST_BURST_NS &&
	       since / 1000 > 3000 + b->flow_rtt_us + b->flow_rtt_us / 2;
}

/* Resets of a connection that is one, with a number of its own: blind ones prove nothing of who sent them. */
static bool odd_ttl(const struct rst_burst *b, struct rst_host *h, const struct rst_side *own, const struct weir_rec *r)
{
	const struct rst_case *c = &b->c;
	int32_t off = seq_dist(r->seq, c->own_end);

	return own->pkts >= 2 && c->own_end_known && !c->fin_seen && off < RST_BLIND && off > -RST_BLIND &&
	       rst_ttl_far(own, r->ttl) && rst_host_odd_ttl(h, r->ttl, r->time_ns);
}

static struct rst_burst *begin(struct rst_detector *d, struct flow *f, struct rst_flow *s,
			       const struct weir_rec *r, unsigned way)
{
	const struct rst_side *own = &s->side[way];
	struct rst_burst *b = rst_burst_new(&d->bursts);
	struct rst_host *h;
	struct rst_case *c;

	if (!b && d->bursts.first) {
		rst_decide(d, d->bursts.first, false);
		b = rst_burst_new(&d->bursts);
	}
	if (!b)
		return NULL;
	b->flow = f;
	b->way = way;
	b->first_ns = r->time_ns;
	b->stage = stage_of(f, s, r, way);
	b->flow_rtt_us = r->rtt_min_us;
	b->degraded = f->fragile;
	c = &b->c;
	c->one[0] = packet_of(r);
	c->n = 1;
	c->own_end_known = r->own_dir_flags & WEIR_DIR_SEQ;
	c->peer_end_known = r->peer_dir_flags & WEIR_DIR_SEQ;
	c->peer_ack_known = r->peer_dir_flags & WEIR_DIR_ACK;
	c->own_end = r->own_end;
	c->own_ack = r->own_ack;
	c->peer_end = r->peer_end;
	c->peer_ack = r->peer_ack;
	c->own_uses_ts = rec_uses_ts(r);
	c->own_sent_data =
		own->data_pkts || ((r->own_dir_flags & WEIR_DIR_DATA) && !r->payload_len);
	c->peer_sent_data = r->peer_dir_flags & WEIR_DIR_DATA;
	c->own_pkts = r->own_pkts;
	c->peer_pkts = r->peer_pkts;
	c->idle_us = ~0u;
	if (own->pkts && r->time_ns > own->last_ns)
		c->idle_us = (r->time_ns - own->last_ns) / 1000 < UINT32_MAX
				     ? (uint32_t)((r->time_ns - own->last_ns) / 1000)
				     : ~0u - 1;
	c->syn_stage = !(r->own_dir_flags & WEIR_DIR_SYN) && !r->own_pkts &&
		       (r->peer_dir_flags & WEIR_DIR_SYN) && !(r->peer_dir_flags & WEIR_DIR_ACK);
	c->fin_seen = (r->own_dir_flags | r->peer_dir_flags) & WEIR_DIR_FIN;
	c->opposite_rst = r->peer_dir_flags & WEIR_DIR_RST;
	c->misses = f->fragile || (c->own_end_known && (r->peer_dir_flags & WEIR_DIR_ACK) &&
				   seq_dist(r->peer_ack, r->own_end) > 0);
	c->from_receivers_side = wrong_interface(s, way, r);
	c->both_ends_us = ~0u;
	c->peer_rtt_us = r->rtt_peer_us;
	c->ipid_before = r->own_pkts - own->last_pkts <= 64 ? own->ipid : 0;
	ages(b, s, r);
	h = rst_host(&d->hosts, sender_ip(f, way), r->time_ns);
	b->among_many = !c->syn_stage && rst_host_reset(h, r->time_ns, f->start_ns);
	c->residual = b->stage <= RST_POST_ACK && rst_residual(d, f, r->time_ns, true);
	c->syn_sent = way == TO_SERVER && (r->own_dir_flags & WEIR_DIR_SYN) &&
		      !(r->own_dir_flags & WEIR_DIR_ACK) && r->peer_pkts;
	c->accepted = way == TO_CLIENT && s->asked_once && !r->seq && (r->tcp_flags & TCP_ACK) &&
		      own->nacked && r->ack == own->acked[0].seq && own->nacked < RST_ACKED;
	c->unprovoked = unprovoked(b, own, &s->side[!way], r);
	c->ttls_of_flows = odd_ttl(b, h, own, r);
	c->dies_on_way = way == TO_SERVER && r->ttl <= 10 && r->own_ttl > 30;
	rst_strays(d, b, true);
	s->burst[way] = b;
	return b;
}

/* The same packet once more: another interface, or a mirror. */
static bool again(const struct rst_burst *b, const struct weir_rec *r)
{
	const struct rst_packet *p = &b->c.one[b->c.n - 1];

	if ((uint32_t)(r->time_ns / 1000) - p->us > AGAIN_US || p->seq != r->seq ||
	    p->ack != r->ack || p->ipid != r->ipid || p->tcp_flags != r->tcp_flags)
		return false;
	if (p->ifindex != r->ifindex || p->egress != !!(r->flags & WEIR_REC_EGRESS))
		return true;
	return r->label == WEIR_DUPLICATE || (p->ipid && p->ttl == r->ttl);
}

static void on_reset(struct rst_detector *d, struct flow *f, struct rst_flow *s,
		     const struct weir_rec *r, const uint8_t *payload)
{
	unsigned way = rec_way(f, r);
	struct rst_burst *b = s->burst[way], *other;

	if (b && again(b, r)) {
		b->c.copies += r->count;
		return;
	}
	if (b && r->time_ns - b->first_ns > RST_BURST_NS) {
		rst_decide(d, b, false);
		b = NULL;
	}
	if (b && b->c.n < RST_KEPT)
		b->c.one[b->c.n++] = packet_of(r);
	else if (!b)
		b = begin(d, f, s, r, way);
	if (!b)
		return;
	b->c.copies += 1 + r->count;
	b->last_ns = r->time_ns;
	b->label = rst_label(b->c.one, b->c.n, payload, payload ? r->caplen : 0);
	other = s->burst[!way];
	if (other && b->c.n == 1 && r->time_ns >= other->first_ns) {
		uint64_t apart = (r->time_ns - other->first_ns) / 1000;

		/* The one that this one goes to had no time to hear of the first. */
		b->c.both_ends_us = other->c.both_ends_us =
			apart < UINT32_MAX ? (uint32_t)apart : ~0u;
		b->c.peer_rtt_us = other->c.peer_rtt_us;
	}
	rst_look(d, b, s, 6);
}

/* A packet, not a reset, of the one that is said to have reset. */
static bool sender_goes_on(struct rst_detector *d, struct rst_burst *b, const struct rst_side *own,
			   const struct weir_rec *r)
{
	struct rst_case *c = &b->c;
	const struct rst_packet *p = &c->one[0];
	const struct rst_host *h = rst_host(&d->hosts, sender_ip(b->flow, b->way), r->time_ns);
	uint32_t age = (uint32_t)(r->time_ns / 1000) - p->us;
	/* A number from before what passed already: from elsewhere, or the first that we see overtake. */
	bool early = c->own_end_known && seq_dist(p->seq, c->own_end) < 0;
	bool overtaken = age <= (own->reordered || h->reorders || early ? REORDER_US : RST_OVERTAKE_US);
	uint32_t end = r->seq + r->payload_len + !!(r->tcp_flags & TCP_FIN);
	bool fresh = c->own_end_known && seq_dist(end, c->own_end) > 0;
	/* Ahead of what had passed: what it overtook lies below its number. */
	bool below = seq_dist(p->seq, c->own_end) > 0 && seq_dist(end, p->seq) <= 0;
	/* Where proxies number anew, or one repeats an old acknowledgment, it is no place in the stream. */
	bool placed = (p->tcp_flags & TCP_ACK) && seq_dist(p->seq, c->own_end) >= 0;
	int before = c->life + c->late_synack + c->life_answered + c->answers;

	/* Asked again after a refusal, it is another attempt: what comes answers that. */
	if (r->label == WEIR_DUPLICATE || r->label == WEIR_KEEPALIVE || c->syn_again)
		return false;
	if (!overtaken)
		b->genuine_after = true;
	if (r->ipid && !c->ipid_after && r->own_pkts < UINT16_MAX &&
	    r->own_pkts - c->own_pkts <= 64)
		c->ipid_after = r->ipid;
	if (r->tcp_flags & TCP_SYN) {
		/* An answer to a SYN that was refused already. */
		if ((r->tcp_flags & TCP_ACK) && c->syn_stage && !c->syn_again &&
		    c->peer_end_known && r->ack == c->peer_end &&
		    (p->seq != r->seq + 1 || !overtaken))
			c->late_synack = true;
		return c->life + c->late_synack + c->life_answered + c->answers != before;
	}
	c->filled |= below && end == p->seq;
	fresh &= !below;
	/* Bytes from beyond the reset were sent after it, whatever overtook what. */
	if (fresh && r->payload_len && ((placed && seq_dist(r->seq, p->seq) >= 0) || !overtaken)) {
		c->life = c->life_data = true;
		b->data_end = end;
		c->answers |= !overtaken && c->peer_sent_data && c->peer_end_known &&
			      seq_dist(c->peer_end, c->own_ack) > 0 &&
			      seq_dist(r->ack, c->peer_end) >= 0;
	}
	/* A connection that was refused, and is one. */
	if (c->late_synack && r->payload_len) {
		c->life = c->life_data = true;
		b->data_end = end;
	}
	if (fresh && !overtaken)
		c->life = true;
	/* Nor does a closed socket acknowledge what was sent to it later; that overtook nothing. */
	if ((r->tcp_flags & TCP_ACK) && b->peer_sends && seq_dist(r->ack, b->peer_data_end) >= 0 &&
	    age > RST_OVERTAKE_US)
		c->life = c->life_data = c->life_answered = true;
	if ((r->tcp_flags & TCP_ACK) && (c->own_pkts || c->late_synack) &&
	    seq_dist(r->ack, c->own_ack) > 0 && (c->own_ack || c->late_synack) && !overtaken)
		c->life = true;
	return c->life + c->late_synack + c->life_answered + c->answers != before;
}

static bool receiver_goes_on(struct rst_burst *b, const struct weir_rec *r)
{
	struct rst_case *c = &b->c;

	if ((r->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		c->syn_again = true;
	if (c->syn_again)
		return false;
	if (r->payload_len && c->peer_end_known && !b->peer_sends &&
	    seq_dist(r->seq + r->payload_len, c->peer_end) > 0 &&
	    seq_dist(r->seq, c->peer_end) >= 0) {
		b->peer_sends = true;
		b->peer_data_end = r->seq + r->payload_len;
	}
	if (!c->life_data || c->life_answered || !(r->tcp_flags & TCP_ACK) ||
	    seq_dist(r->ack, b->data_end) < 0)
		return false;
	c->life_answered = true;
	return true;
}

/* Bytes that are acknowledged and never passed: a capture that drops, or another way around us. */
static void note_unseen(struct rst_detector *d, struct rst_side *own, struct rst_side *peer,
			const struct weir_rec *r)
{
	if (r->label == WEIR_HOLE && !own->hole) {
		own->hole = true;
		own->hole_end = r->seq;
	} else if ((r->label == WEIR_RETX_FILL || r->label == WEIR_REORDER) &&
		   seq_dist(r->seq, own->hole_end) < 0) {
		own->hole = false;
	}
	if (!peer->hole || !(r->tcp_flags & TCP_ACK) || seq_dist(r->ack, peer->hole_end) < 0)
		return;
	peer->hole = false;
	d->unseen_ns = r->time_ns;
}

static void tell_host(struct rst_detector *d, const struct flow *f, struct rst_flow *s,
		      const struct weir_rec *r, unsigned way, uint16_t near, uint16_t far)
{
	const struct rst_side *own = &s->side[way];
	bool steps = own->ipid_near != near || own->ipid_far != far;
	/* What lacks the timestamps that its sender uses may be forged. */
	bool sample = r->rtt_us && (!rec_uses_ts(r) || (r->flags & WEIR_REC_TS));
	struct rst_host *h;

	if (!sample && !steps && r->label != WEIR_REORDER)
		return;
	if (s->rtt_samples >= HOST_SAMPLES && r->rtt_us >= r->rtt_min_us)
		return;
	h = rst_host_at(&d->hosts, &s->host[way], sender_ip(f, way), r->time_ns);
	h->reorders |= r->label == WEIR_REORDER;
	if (sample)
		rst_host_rtt(h, r->rtt_us, r->time_ns);
	if (sample || steps)
		s->rtt_samples += s->rtt_samples < 255;
	h->ipid_near += own->ipid_near - near;
	h->ipid_far += own->ipid_far - far;
}

static void rst_on_packet(void *arg, struct flow *f, const struct weir_rec *r,
			  const uint8_t *payload)
{
	struct rst_detector *d = arg;
	struct rst_flow *s = f->detector[d->env->slot];
	unsigned way = rec_way(f, r);
	uint16_t near, far;
	bool news = false;

	expire(d, r->time_ns);
	if (r->kind == WEIR_REC_ICMP)
		rst_on_icmp(d, f, r);
	if (r->kind != WEIR_REC_PACKET || r->proto != IPPROTO_TCP)
		return;
	if (!s) {
		/* A SYN alone is worth no memory: a scan is made of them. */
		if (!r->payload_len && !(r->tcp_flags & TCP_RST) &&
		    (r->tcp_flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
			return;
		s = rst_flow_new(&d->flows, f, d->env->slot);
		if (!s)
			return;
		rst_side_prime(&s->side[!way], r);
		if (r->own_pkts == 1)
			rst_side_first(&s->side[way], r);
	}
	s->touched = true;
	if (r->tcp_flags & TCP_SYN)
		s->asked_once = (r->tcp_flags & TCP_ACK) && r->peer_pkts == 1;
	if (r->tcp_flags & TCP_RST) {
		on_reset(d, f, s, r, payload);
		return;
	}
	near = s->side[way].ipid_near;
	far = s->side[way].ipid_far;
	if (s->burst[way])
		news = sender_goes_on(d, s->burst[way], &s->side[way], r);
	if (!rst_side_saw(&s->side[way], r))
		return;
	note_unseen(d, &s->side[way], &s->side[!way], r);
	if (news)
		rst_look(d, s->burst[way], s, 6);
	if (s->burst[!way] && receiver_goes_on(s->burst[!way], r))
		rst_look(d, s->burst[!way], s, 6);
	tell_host(d, f, s, r, way, near, far);
	if (d->triggered && way == TO_CLIENT && r->payload_len && s->side[way].data_pkts == 1)
		rst_residual(d, f, r->time_ns, false);
}

static void rst_expect(const void *arg, const struct flow *f, unsigned way)
{
	const struct rst_detector *d = arg;
	const struct rst_flow *s = f->detector[d->env->slot];

	if (s)
		fetch_lines(&s->side[way], sizeof(s->side[way]));
}

static void rst_flow_end(void *arg, struct flow *f)
{
	struct rst_detector *d = arg;
	struct rst_flow *s = f->detector[d->env->slot];

	if (!s)
		return;
	for (unsigned way = 0; way < 2; way++)
		if (s->burst[way])
			rst_decide(d, s->burst[way], false);
	if (!s->suspect && s->side[TO_CLIENT].data_pkts)
		rst_note_passed(d, f);
	rst_flow_free(&d->flows, s, d->env->slot);
}

static bool rst_busy(void *arg, const struct flow *f)
{
	struct rst_detector *d = arg;
	const struct rst_flow *s = f->detector[d->env->slot];

	return s && (s->burst[0] || s->burst[1]);
}

static void rst_tick(void *arg, uint64_t now_ns)
{
	struct rst_detector *d = arg;

	expire(d, now_ns);
	if (now_ns >= d->event_second + RST_HOLD_NS + RST_BURST_NS)
		rst_tell_held(d);
	inject_tick(&d->inject, now_ns);
}

static void rst_finish(void *arg, uint64_t now_ns)
{
	struct rst_detector *d = arg;

	while (d->bursts.first)
		rst_decide(d, d->bursts.first, false);
	rst_tell_held(d);
	inject_tick(&d->inject, now_ns);
}

const struct detector detect_rst = {
	.name = "rst",
	.wants = PACKET_ANY, /* its bursts end by any packet's time */
	.create = rst_create,
	.packet = rst_on_packet,
	.expect = rst_expect,
	.flow_end = rst_flow_end,
	.busy = rst_busy,
	.tick = rst_tick,
	.finish = rst_finish,
	.destroy = rst_destroy,
};
