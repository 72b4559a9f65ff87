// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP: what can be told from outside. Requests that must be answered (STUN RFC
 * 8489, DNS RFC 1035, QUIC Initials RFC 9000, DTLS RFC 9147, WireGuard,
 * OpenVPN, NTP), flows whose far end falls silent while ours goes on, a QUIC
 * server that repeats its handshake, holes in RTP sequence numbers (RFC 3550).
 */
#include <stdlib.h>
#include <string.h>

#include "drop.h"

#define SECOND 1000000000ull
#define QUIC_JOIN 100000000ull /* an Initial in several datagrams is one request */
#define SILENT_NS (3 * SECOND)
#define SILENT_PACKETS 5
#define RTCP_NS                                                                                    \
	(8 * SECOND) /* a far end that only listens reports this often at least (RFC 3550, 6.2) */
#define SWEEP_NS (2 * SECOND) /* counters come so late */
#define TWO_WAY 8	      /* at least one packet down for so many up */

static uint32_t hash_id(const uint8_t *p, unsigned n)
{
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static uint32_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static bool quic_long(const uint8_t *h)
{
	return (h[0] & 0xc0) == 0xc0 && (h[1] | h[2] | h[3] | h[4]);
}

/* Version 1 and those like it: type 0; version 2 (RFC 9369): type 1. */
static bool quic_initial(const uint8_t *h)
{
	bool v2 = h[1] == 0x6b && h[2] == 0x33 && h[3] == 0x43 && h[4] == 0xcf;

	return quic_long(h) && (h[0] >> 4 & 3) == (v2 ? 1 : 0);
}

static bool stun(const uint8_t *h, uint32_t len)
{
	return len >= 20 && !(h[0] & 0xc0) && h[4] == 0x21 && h[5] == 0x12 && h[6] == 0xa4 &&
	       h[7] == 0x42;
}

static bool is_dns(const struct flow *f)
{
	return f->l7 == WEIR_L7_DNS || f->server.port == 53;
}

static bool is_ntp(const struct flow *f)
{
	return f->l7 == WEIR_L7_NTP || f->server.port == 123;
}

/* Is this datagram a request that wants an answer? Its id, 0 where it has none. */
static bool request(const struct drop_flow *df, const struct weir_rec *r, uint32_t *id)
{
	const struct flow *f = df->flow;
	const uint8_t *h = r->head;
	uint32_t len = r->payload_len;

	*id = 0;
	if (stun(h, len)) {
		*id = hash_id(h + 8, 12);
		return !(be16(h) & 0x0110);
	}
	if (len >= 1200 && quic_initial(h))
		return !df->answered;
	if (is_dns(f) && len >= 12) {
		*id = be16(h);
		return !(h[2] & 0x80);
	}
	if (is_ntp(f))
		return len >= 48 && (h[0] & 7) == 3;
	if (len == 148 && h[0] == 1 && !(h[1] | h[2] | h[3]))
		return true;
	if (f->l7 == WEIR_L7_OPENVPN)
		return h[0] >> 3 == 7;
	if (len > 13 && h[0] == 22 && h[1] == 0xfe && h[13] == 1)
		return !df->answered;
	return false;
}

static bool stun_answer(const struct weir_rec *r)
{
	return stun(r->head, r->payload_len) && (be16(r->head) & 0x0100);
}

/* An answer: by its id where it has one that is known, else to the newest request. */
static void answer(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	uint32_t id = 0;
	int hit = -1;

	if (stun(r->head, r->payload_len)) {
		if (!stun_answer(r))
			return; /* the far end's own request */
		id = hash_id(r->head + 8, 12);
	} else if (is_dns(df->flow)) {
		id = be16(r->head);
	}
	for (unsigned i = 0; i < df->nsent; i++) {
		if (df->sent[i].state == SENT_TOLD)
			continue;
		if (id && df->sent[i].seq == id)
			hit = i;
		else if (hit < 0 || df->sent[hit].seq != id)
			hit = i;
	}
	if (hit < 0)
		return;
	struct sent s = df->sent[hit];

	drop_sent_remove(df, hit);
	drop_tell_sent(d, df, &s, false);
	df->lost_row = 0;
	df->stop_packets = r->own_pkts + r->peer_pkts;
	df->stop_bytes = df->far_bytes;
}

static void ask(struct drop *d, struct drop_flow *df, const struct weir_rec *r, uint32_t id)
{
	bool initial = r->payload_len >= 1200 && quic_initial(r->head);
	struct sent s = { .ns = r->time_ns,
			  .seq = id,
			  .n = 1,
			  .len = r->payload_len,
			  .channel = CH_OPEN,
			  .stage = STAGE_FIRST,
			  .nth = df->out_packets > UINT16_MAX ? UINT16_MAX : df->out_packets,
			  .thin = true };

	if (initial) {
		df->quic = true;
		if (df->nsent && df->sent[df->nsent - 1].ns + QUIC_JOIN > r->time_ns)
			return;
	}
	drop_sent_add(d, df, &s);
}

/* One trial a second, while both ends have been heard of and ours is talking. */
static void continuity(struct drop *d, struct drop_flow *df, uint64_t now_ns, bool silent)
{
	uint64_t second = now_ns / SECOND;
	struct trial t = { .time_ns = now_ns,
			   .n = 1,
			   .lost = silent,
			   .channel = CH_OPEN,
			   .stage = STAGE_LATER,
			   .thin = true };

	if (df->ruled_ns == second)
		return;
	df->ruled_ns = second;
	drop_tell(d, df, &t, 0);
}

/* The server sends its handshake again although our side answered: what goes up is lost. */
static void quic_repeats(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	uint64_t wait = df->rtt_us ? df->rtt_us * 3000ull : 0;

	if (!df->quic || !quic_long(r->head) || df->out_packets < 3 || !df->far_ns)
		return;
	if (wait < 300000000ull)
		wait = 300000000ull;
	if (df->silent_packets < 2 || df->far_ns + wait > r->time_ns)
		return;
	struct trial t = { .time_ns = r->time_ns,
			   .n = 1,
			   .lost = 1,
			   .channel = CH_UP,
			   .stage = STAGE_LATER,
			   .thin = true };

	drop_tell(d, df, &t, r->payload_len);
}

/* The oldest hole stays one. */
static void rtp_lost(struct drop *d, struct drop_flow *df)
{
	struct rtp_gaps *g = df->gaps;
	struct trial t = { .time_ns = g->gap[0].ns,
			   .n = g->gap[0].lost,
			   .lost = g->gap[0].lost,
			   .channel = drop_channel(!drop_out(df)),
			   .stage = STAGE_LATER,
			   .thin = true };

	memmove(&g->gap[0], &g->gap[1], --g->n * sizeof(g->gap[0]));
	if (t.lost)
		drop_tell(d, df, &t, 0);
}

static void rtp_hole(struct drop *d, struct drop_flow *df, uint64_t ns, uint16_t from, uint16_t n)
{
	struct rtp_gaps *g = df->gaps;

	if (!g)
		g = df->gaps = calloc(1, sizeof(*g));
	if (!g) {
		model_refuse(d->env->model);
		return;
	}
	if (g->n == GAPS_MAX)
		rtp_lost(d, df);
	g->gap[g->n].ns = ns;
	g->gap[g->n].from = from;
	g->gap[g->n].n = g->gap[g->n].lost = n;
	g->n++;
}

/* Holes in RTP sequence numbers; a late packet within half a second closes one. */
static void rtp(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	const uint8_t *h = r->head;
	uint32_t ssrc;
	uint16_t seq;
	int step, missed;
	struct trial t = { .time_ns = r->time_ns,
			   .n = 1,
			   .channel = drop_channel(!drop_out(df)),
			   .stage = STAGE_LATER,
			   .thin = true };

	if (r->payload_len < 12 || h[0] >> 6 != 2 || ((h[1] & 0x7f) >= 64 && (h[1] & 0x7f) < 96))
		return;
	ssrc = hash_id(h + 8, 4);
	seq = be16(h + 2);
	step = (int16_t)(seq - df->rtp_seq);
	missed = df->rtp_missed;
	if (step > 0)
		df->rtp_missed = 0;
	if (!df->rtp || ssrc != df->ssrc || step - missed > 200 || step < -200) {
		df->rtp = true;
		df->ssrc = ssrc;
		df->rtp_seq = seq;
		df->rtp_missed = 0;
		if (df->gaps)
			df->gaps->n = 0;
		return;
	}
	if (step <= 0) {
		for (unsigned i = 0; step && df->gaps && i < df->gaps->n; i++)
			if ((uint16_t)(seq - df->gaps->gap[i].from) < df->gaps->gap[i].n &&
			    df->gaps->gap[i].lost)
				df->gaps->gap[i].lost--;
		return;
	}
	t.n += missed < step ? missed : step - 1;
	drop_tell(d, df, &t, r->payload_len);
	/* what passed without a record is none */
	if (step - 1 > missed)
		rtp_hole(d, df, r->time_ns, df->rtp_seq + 1, step - 1 - missed);
	df->rtp_seq = seq;
}

static void rtp_settle(struct drop *d, struct drop_flow *df, uint64_t now_ns)
{
	while (df->gaps && df->gaps->n && df->gaps->gap[0].ns + SECOND / 2 <= now_ns)
		rtp_lost(d, df);
}

static uint64_t patience(const struct drop_flow *df)
{
	return df->flow->l7 == WEIR_L7_RTP ? RTCP_NS : SILENT_NS;
}

/*
 * The same by counters, which go on where records don't: live, those end with a
 * flow's first packets.
 */
static void counted(struct drop *d, struct drop_flow *df, uint64_t now_ns)
{
	uint64_t up = df->flow->count[TO_SERVER].packets, down = df->flow->count[TO_CLIENT].packets;
	bool goes_on = up != df->count_up;

	df->count_up = up;
	if (down != df->count_down) {
		if (df->count_silent)
			continuity(d, df, now_ns, false);
		df->count_silent = false;
		df->count_down = down;
		/* by the record of the newest from there, where it has one: until the reading ours sent on */
		df->count_then = down == df->rec_down ? df->rec_up : up;
		df->count_ns = now_ns;
		return;
	}
	if (!goes_on || up < df->count_then + SILENT_PACKETS || down * TWO_WAY < df->count_then ||
	    df->count_ns + patience(df) + SWEEP_NS > now_ns)
		return;
	df->count_silent = true;
	continuity(d, df, now_ns, true);
}

void drop_udp(struct drop *d, struct drop_flow *df, const struct weir_rec *r)
{
	unsigned way = rec_way(df->flow, r);
	uint32_t id;

	drop_thin(df, way, r->time_ns, r->segs);
	if (!r->payload_len)
		return;
	if (way != drop_out(df) && df->rtp_missed + df->pace[way].missed < INT16_MAX)
		df->rtp_missed += df->pace[way].missed;
	if (df->flow->l7 == WEIR_L7_RTP && way != drop_out(df))
		rtp(d, df, r);
	rtp_settle(d, df, r->time_ns);
	if (df->far_client)
		return;
	if (way == TO_SERVER) {
		df->out_packets++;
		if (request(df, r, &id)) {
			ask(d, df, r, id);
		} else if (df->answered) {
			if (!df->silent_packets++)
				df->silent_ns = r->time_ns;
			if (df->silent_packets >= SILENT_PACKETS &&
			    df->far_packets * TWO_WAY >= df->out_packets - df->silent_packets &&
			    df->silent_ns + patience(df) < r->time_ns)
				continuity(d, df, r->time_ns, true);
		}
		return;
	}
	if (r->rtt_min_us)
		df->rtt_us = r->rtt_min_us;
	if (!df->answered && df->nsent)
		df->rtt_us = (r->time_ns - df->sent[df->nsent - 1].ns) / 1000;
	quic_repeats(d, df, r);
	answer(d, df, r);
	/* everything before the first answer to an opening that may be repeated was lost */
	if (df->silent_packets)
		continuity(d, df, r->time_ns, false);
	df->answered = true;
	df->counted = !is_dns(df->flow) && !is_ntp(df->flow); /* each of their packets is answered for itself */
	drop_list(d, df);
	df->far_ns = r->time_ns;
	df->silent_packets = 0;
	df->far_packets++;
	df->far_bytes += r->payload_len;
	if (r->own_pkts < UINT16_MAX && r->peer_pkts < UINT16_MAX) {
		df->rec_down = r->own_pkts + r->segs;
		df->rec_up = r->peer_pkts;
	}
}

void drop_udp_time(struct drop *d, struct drop_flow *df, uint64_t now_ns)
{
	uint64_t wait = drop_patience_ns(df);

	rtp_settle(d, df, now_ns);
	if (df->counted)
		counted(d, df, now_ns);
	for (unsigned i = 0; i < df->nsent;) {
		struct sent s = df->sent[i];

		if (s.ns + wait > now_ns) {
			i++;
			continue;
		}
		drop_sent_remove(df, i);
		/* a row of them: unless a later one was answered */
		if (df->far_ns < s.ns)
			df->lost_row++;
		drop_tell_sent(d, df, &s, true);
	}
}
