// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate_series.h"

#include <stdlib.h>
#include <string.h>

/* How far back the sent packet of a resend is looked for. */
#define LOOK_BACK 3000

/* An echo that took longer is not waited for. */
#define ECHO_LATE_NS 10000000000ull

/* What passed without a record in less is bridged. */
#define BRIDGE_NS    300000000ull
#define BRIDGE_BYTES (2u << 20)

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static struct obs *at(struct series *s, unsigned i)
{
	unsigned k = s->head + i;

	return &s->o[k < s->cap ? k : k - s->cap];
}

struct series *series_new(struct series_budget *b)
{
	struct series *s;

	if (b->packets + SERIES_FIRST > SERIES_PACKETS_ALL) {
		b->refused++;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->o = malloc(SERIES_FIRST * sizeof(*s->o));
	if (!s->o) {
		free(s);
		return NULL;
	}
	s->cap = SERIES_FIRST;
	s->whole = true;
	b->packets += SERIES_FIRST;
	return s;
}

/* What so many spans take of the budget, which is counted in packets. */
static unsigned span_cost(unsigned spans)
{
	return (unsigned)(spans * sizeof(struct span) / sizeof(struct obs));
}

void series_free(struct series *s, struct series_budget *b)
{
	if (!s)
		return;
	b->packets -= s->cap + s->ack_cap + span_cost(s->held.cap);
	free(s->o);
	free(s->ack);
	free(s->held.s);
	free(s->rtt[SIDE_BEFORE].o);
	free(s->rtt[SIDE_AFTER].o);
	free(s);
}

static struct obs obs_of(const struct weir_rec *r)
{
	uint32_t headers = r->l2_len > r->payload_len ? r->l2_len - r->payload_len : 0;

	return (struct obs){
		.t_ns = r->time_ns,
		.seq = r->seq,
		.payload = r->payload_len,
		.headers = (uint16_t)(headers < OBS_HEADERS_MAX ? headers : OBS_HEADERS_MAX),
		.segs = r->segs < OBS_SEGS_MAX ? r->segs : OBS_SEGS_MAX,
	};
}

static bool grow(struct series *s, struct series_budget *b)
{
	unsigned cap = s->cap * 2 > SERIES_PACKETS_MAX ? SERIES_PACKETS_MAX : s->cap * 2;
	struct obs *o;

	if (cap == s->cap)
		return false;
	if (b->packets + cap - s->cap > SERIES_PACKETS_ALL) {
		b->refused++;
		return false;
	}
	if (s->head) {
		o = malloc(cap * sizeof(*o));
		for (unsigned i = 0; o && i < s->n; i++)
			o[i] = *series_at(s, i);
		if (o)
			free(s->o);
	} else {
		o = realloc(s->o, cap * sizeof(*o));
	}
	if (!o)
		return false;
	b->packets += cap - s->cap;
	s->o = o;
	s->cap = cap;
	s->head = 0;
	return true;
}

static struct obs *append(struct series *s, struct series_budget *b)
{
	if (s->n == s->cap && !grow(s, b)) {
		s->from_ns = s->o[s->head].t_ns + 1;
		s->whole = false;
		s->head = s->head + 1 == s->cap ? 0 : s->head + 1;
		s->n--;
	}
	return at(s, s->n++);
}

static void restart(struct series *s, uint64_t now_ns)
{
	s->gaps++;
	s->n = s->head = 0;
	s->acks = s->ack_head = 0;
	s->from_ns = now_ns;
	s->whole = false;
	s->packets = s->bytes = s->payload = s->bridged = 0;
	memset(s->lost, 0, sizeof(s->lost));
	memset(s->events, 0, sizeof(s->events));
	s->end_known = s->acked_known = false;
	s->held.n = 0;
}

static void note_loss(struct series *s, enum side side, uint64_t t_ns)
{
	uint64_t rtt = 0;

	for (unsigned i = 0; i < SIDES; i++)
		rtt += s->rtt[i].min_us * 1000ull;
	if (rtt < 10000000)
		rtt = 10000000;
	s->lost[side]++;
	if (t_ns > s->lost_ns[side])
		s->lost_ns[side] = t_ns;
	if (!s->events[side] || t_ns > s->event_ns[side] + rtt) {
		s->events[side]++;
		s->event_ns[side] = t_ns;
	}
}

/*
 * A hole was filled by a resend: the packet was lost before us, after the last
 * new packet before the hole and before the one that opened it. What is left of
 * a burst when the bucket is empty is lost at once: so right after the former.
 */
static void lost_before(struct series *s, struct series_budget *b, const struct weir_rec *r)
{
	uint64_t opened = r->time_ns - r->hole_age_us * 1000ull, slack = 2000;
	struct obs o = obs_of(r);

	o.t_ns = opened;
	o.flags = OBS_LOST_BEFORE;
	for (unsigned i = s->n, k = 0; i-- > 0 && k < LOOK_BACK; k++) {
		const struct obs *c = series_at(s, i);

		if (!c->payload || c->flags & (OBS_LOST_BEFORE | OBS_RESEND) ||
		    c->t_ns + slack >= opened || !before(c->seq, r->seq))
			continue;
		o.t_ns = c->t_ns + 1000;
		o.until_us = (uint32_t)((opened - c->t_ns) / 1000);
		break;
	}
	if (o.t_ns < s->from_ns)
		return;
	*append(s, b) = o;
	note_loss(s, SIDE_BEFORE, o.t_ns);
}

/* The newest packet that carried the sequence number, NULL if it is not held. */
static struct obs *sent(struct series *s, uint32_t seq)
{
	for (unsigned i = s->n, k = 0; i-- > 0 && k < LOOK_BACK; k++) {
		struct obs *o = at(s, i);

		if (o->flags & OBS_LOST_BEFORE || !o->payload)
			continue;
		if (!before(seq, o->seq) && before(seq, o->seq + o->payload))
			return o;
	}
	return NULL;
}

static void lost_after(struct series *s, const struct weir_rec *r)
{
	struct obs *o = sent(s, r->seq);

	if (!o || o->flags & OBS_LOST_AFTER)
		return;
	o->flags |= OBS_LOST_AFTER;
	note_loss(s, SIDE_AFTER, o->t_ns);
}

static void rtt_sample(struct series *s, enum side side, uint64_t t_ns, uint32_t us)
{
	struct rtt_ring *g = &s->rtt[side];

	if (!g->o) {
		if (s->n < 8)
			return;
		g->o = malloc(SERIES_RTTS * sizeof(*g->o));
		if (!g->o)
			return;
		g->every_us = 1000;
	}
	if (!g->min_us || us < g->min_us)
		g->min_us = us;
	if (g->n && t_ns < g->last_ns + g->every_us * 1000ull)
		return;
	if (g->n == SERIES_RTTS) {
		if (g->every_us < 200000) {
			g->every_us *= 2;
			for (unsigned i = 0; i < SERIES_RTTS / 2; i++)
				g->o[i] = g->o[2 * i + 1];
			g->n = SERIES_RTTS / 2;
		} else {
			memmove(g->o, g->o + SERIES_RTTS / 4, (SERIES_RTTS - SERIES_RTTS / 4) * sizeof(*g->o));
			g->n -= SERIES_RTTS / 4;
		}
	}
	g->o[g->n++] = (struct rtt_obs){ t_ns, us };
	g->last_ns = t_ns;
}

/*
 * Does this timestamp pass us for the first time? Packets that bear the same one left together: some
 * may be held up on their way to us, but the echo is of the first. One far ahead, as of an injector
 * that guesses, must not stand for good.
 */
static bool first_pass(struct echoes *e, const struct weir_rec *r)
{
	bool known = e->known, newer = before(e->passed, r->tsval);

	if (known && !newer && r->time_ns < e->newest_ns + ECHO_LATE_NS)
		return false;
	if (known && !newer)
		e->n = 0; /* what waits for an echo waits in vain */
	e->passed = r->tsval;
	e->known = true;
	return known && newer;
}

/* Notes a timestamp that passed us, not every one. */
static void echo_sent(struct series *s, enum side side, const struct weir_rec *r)
{
	struct echoes *e = &s->echo[side];
	uint64_t apart = 1000000 + s->rtt[side].min_us * 125ull; /* an eighth of a round trip */

	if (!first_pass(e, r) || (e->n && (!before(e->newest, r->tsval) || r->time_ns < e->newest_ns + apart)))
		return;
	if (e->n == SERIES_ECHOES) {
		/* The echo is late where a queue is long: wait for it. */
		if (r->time_ns < s->echoed[side][e->head].t_ns + ECHO_LATE_NS)
			return;
		e->n = 0;
	}
	if (!e->n)
		e->oldest = r->tsval;
	s->echoed[side][(e->head + e->n++) % SERIES_ECHOES] = (struct echo){ r->time_ns, r->tsval };
	e->newest = r->tsval;
	e->newest_ns = r->time_ns;
}

/* The first echo of a timestamp makes a round trip. */
static void echo_back(struct series *s, enum side side, const struct weir_rec *r)
{
	struct echoes *e = &s->echo[side];

	while (e->n && !before(r->tsecr, e->oldest)) {
		uint64_t sent = s->echoed[side][e->head].t_ns;

		if (r->tsecr == e->oldest && r->time_ns > sent)
			rtt_sample(s, side, side == SIDE_BEFORE ? r->time_ns : sent,
				   (uint32_t)((r->time_ns - sent) / 1000) + 1);
		e->head = (e->head + 1) % SERIES_ECHOES;
		e->n--;
		e->oldest = s->echoed[side][e->head].tsval;
	}
}

/* Were there packets between the last one and this that gave no record? */
static bool gap(const struct series *s, const struct weir_rec *r)
{
	if (r->proto == IPPROTO_TCP)
		return s->end_known && r->own_end != s->end;
	return false;
}

/*
 * Sequence numbers tell how much passed between two records, and their times when, within a little:
 * so long as that is short to what a limiter does, its packets are as good as seen. What was lost of
 * them shows when it is sent again.
 */
static bool bridge(struct series *s, struct series_budget *b, const struct weir_rec *r)
{
	const struct obs *last = s->n ? series_at(s, s->n - 1) : NULL;
	uint32_t bytes = r->own_end - s->end, each, n;
	uint16_t head;
	uint64_t t;

	if (!last || bytes > BRIDGE_BYTES || !s->payload || r->time_ns <= last->t_ns ||
	    r->time_ns - last->t_ns > BRIDGE_NS)
		return false;
	t = last->t_ns;
	each = last->payload / (last->segs ? last->segs : 1);
	if (each < 500)
		each = 1448;
	head = (uint16_t)((s->bytes - s->payload) / s->packets % 200);
	n = (bytes + each - 1) / each;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = i + 1 < n ? each : bytes - i * each;
		struct obs o = { .t_ns = t + (r->time_ns - t) / (n + 1) * (i + 1), .seq = s->end,
				 .payload = len, .headers = head, .segs = 1, .flags = OBS_BRIDGED };

		*append(s, b) = o;
		s->packets++;
		s->bytes += len + head;
		s->payload += len;
		s->end += len;
	}
	s->bridged += bytes;
	return true;
}

void series_packet(struct series *s, struct series_budget *b, const struct weir_rec *r)
{
	uint32_t end = r->seq + r->payload_len + !!(r->tcp_flags & 3);
	struct obs o = obs_of(r);

	if (gap(s, r)) {
		/* What had no record may have borne its timestamp. */
		s->echo[SIDE_BEFORE].known = s->echo[SIDE_AFTER].known = false;
		if (!bridge(s, b, r))
			restart(s, r->time_ns);
	}
	if (!s->from_ns)
		s->from_ns = r->time_ns;
	for (unsigned i = 0; i < SIDES; i++) {
		uint32_t least = i == SIDE_BEFORE ? r->rtt_min_us : r->rtt_peer_us;

		/* The engine saw the handshake. */
		if (least && least < s->rtt[i].min_us)
			s->rtt[i].min_us = least;
	}
	if (r->label == WEIR_RETX_FILL)
		lost_before(s, b, r);
	else if (r->label == WEIR_RETX_SEEN && r->payload_len)
		lost_after(s, r);
	if (r->label == WEIR_RETX_FILL || r->label == WEIR_RETX_SEEN || r->label == WEIR_RETX_ACKED)
		o.flags |= OBS_RESEND;
	if (r->label != WEIR_DUPLICATE) {
		*append(s, b) = o;
		s->packets++;
		s->bytes += r->l2_len;
		s->payload += r->payload_len;
	}
	if (r->segs > s->segs_max)
		s->segs_max = r->segs;
	if (r->flags & WEIR_REC_TS) {
		echo_back(s, SIDE_BEFORE, r);
		echo_sent(s, SIDE_AFTER, r);
	} else if (r->rtt_us) {
		rtt_sample(s, SIDE_BEFORE, r->time_ns, r->rtt_us);
	}
	if (r->proto == IPPROTO_TCP) {
		s->end = s->end_known && before(end, s->end) ? s->end : end;
		s->end_known = true;
	}
}

/* The receiver says that it got this twice: the packet that we took for lost was not. */
static void not_lost(struct series *s, uint32_t seq)
{
	struct obs *o = NULL;

	for (unsigned i = s->n, k = 0; i-- > 0 && k < LOOK_BACK; k++) {
		struct obs *c = at(s, i);

		if (c->payload && c->flags & OBS_LOST_AFTER && !before(seq, c->seq) &&
		    before(seq, c->seq + c->payload)) {
			o = c;
			break;
		}
	}
	if (!o)
		return;
	o->flags &= 15 & ~OBS_LOST_AFTER;
	if (s->lost[SIDE_AFTER])
		s->lost[SIDE_AFTER]--;
}

static void note_ack(struct series *s, struct series_budget *b, uint64_t t_ns, uint32_t bytes)
{
	struct ack_obs *a;

	if (bytes > 1u << 24)
		return;
	if (s->acks == s->ack_cap && s->ack_cap < SERIES_PACKETS_MAX / 2) {
		unsigned cap = s->ack_cap ? s->ack_cap * 2 : SERIES_FIRST;

		if (cap > SERIES_PACKETS_MAX / 2)
			cap = SERIES_PACKETS_MAX / 2;
		if (b->packets + cap - s->ack_cap > SERIES_PACKETS_ALL) {
			b->refused++;
			return;
		}
		a = malloc(cap * sizeof(*a));
		if (!a)
			return;
		for (unsigned i = 0; i < s->acks; i++)
			a[i] = s->ack[(s->ack_head + i) % s->ack_cap];
		free(s->ack);
		b->packets += cap - s->ack_cap;
		s->ack = a;
		s->ack_cap = cap;
		s->ack_head = 0;
	}
	if (s->acks == s->ack_cap) {
		s->ack_head = s->ack_head + 1 == s->ack_cap ? 0 : s->ack_head + 1;
		s->acks--;
	}
	*series_ack_tail(s) = (struct ack_obs){ t_ns, bytes };
	s->acks++;
}

static bool span_room(struct spans *s, struct series_budget *b)
{
	unsigned cap = s->cap ? s->cap * 2 : 8, more = span_cost(cap) - span_cost(s->cap);
	struct span *p;

	if (s->n < s->cap)
		return true;
	if (cap > SERIES_SPANS)
		return false;
	if (b->packets + more > SERIES_PACKETS_ALL) {
		b->refused++;
		return false;
	}
	p = realloc(s->s, cap * sizeof(*p));
	if (!p)
		return false;
	b->packets += more;
	s->s = p;
	s->cap = cap;
	return true;
}

/* Adds a span; returns the bytes of it that were not held yet. Where there is no room it is left out. */
static uint32_t span_add(struct spans *s, struct series_budget *b, uint32_t from, uint32_t to)
{
	uint32_t fresh = to - from;
	unsigned i = s->n, k;

	/* Mostly it is the last one that grows. */
	while (i && !before(s->s[i - 1].to, from))
		i--;
	for (k = i; k < s->n && !before(to, s->s[k].from); k++) {
		uint32_t a = before(s->s[k].from, from) ? from : s->s[k].from;
		uint32_t end = before(to, s->s[k].to) ? to : s->s[k].to;

		fresh -= end - a;
	}
	if (k == i && !span_room(s, b))
		return 0;
	if (k > i) {
		from = before(s->s[i].from, from) ? s->s[i].from : from;
		to = before(to, s->s[k - 1].to) ? s->s[k - 1].to : to;
	}
	if (k != i + 1)
		memmove(&s->s[i + 1], &s->s[k], (s->n - k) * sizeof(s->s[0]));
	s->s[i] = (struct span){ from, to };
	s->n = s->n + i + 1 - k;
	return fresh;
}

/* The bytes below ack that were held are accounted for. */
static uint32_t span_cut(struct spans *s, uint32_t ack)
{
	uint32_t held = 0;
	unsigned k = 0;

	while (k < s->n && !before(ack, s->s[k].to)) {
		held += s->s[k].to - s->s[k].from;
		k++;
	}
	if (k)
		memmove(s->s, s->s + k, (s->n - k) * sizeof(s->s[0]));
	s->n -= k;
	if (s->n && before(s->s[0].from, ack)) {
		held += ack - s->s[0].from;
		s->s[0].from = ack;
	}
	return held;
}

/*
 * While a hole is open no timestamp is echoed (RFC 7323), but what comes behind it is acknowledged
 * selectively, and at once.
 */
static void sack_rtt(struct series *s, const struct weir_rec *r, uint32_t seq)
{
	const struct rtt_ring *g = &s->rtt[SIDE_AFTER];
	const struct obs *o;

	if (g->o && r->time_ns < g->last_ns + g->every_us * 1000ull)
		return;
	o = sent(s, seq);
	if (o && !(o->flags & (OBS_RESEND | OBS_BRIDGED)) && r->time_ns > o->t_ns)
		rtt_sample(s, SIDE_AFTER, o->t_ns, (uint32_t)((r->time_ns - o->t_ns) / 1000) + 1);
}

/*
 * Bytes that this acknowledgment is the first to say are delivered. The cumulative
 * one alone stands still while a hole is open and jumps when it is filled, as if
 * a bucket had let all of it pass at once.
 */
static uint32_t delivered(struct series *s, struct series_budget *b, const struct weir_rec *r)
{
	uint32_t n = 0;

	if (before(s->acked, r->ack)) {
		n = r->ack - s->acked;
		n -= span_cut(&s->held, r->ack);
		s->acked = r->ack;
	}
	for (unsigned i = r->flags & WEIR_REC_DSACK ? 1 : 0; i < r->nsack && i < WEIR_MAX_SACK; i++) {
		uint32_t from = r->sack[i][0], to = r->sack[i][1], fresh;

		/* Only what was sent, and not yet acknowledged. */
		if (before(from, s->acked) || !before(from, to) || (s->end_known && before(s->end, to)) ||
		    to - s->acked > 1u << 24)
			continue;
		fresh = span_add(&s->held, b, from, to);
		if (fresh && !n)
			sack_rtt(s, r, to - 1);
		n += fresh;
	}
	return n;
}

void series_reverse(struct series *s, struct series_budget *b, const struct weir_rec *r)
{
	if (r->flags & WEIR_REC_DSACK && r->nsack)
		not_lost(s, r->sack[0][0]);
	if (r->flags & WEIR_REC_TS) {
		echo_sent(s, SIDE_BEFORE, r);
		echo_back(s, SIDE_AFTER, r);
	} else if (r->rtt_us) {
		rtt_sample(s, SIDE_AFTER, r->time_ns - r->rtt_us * 1000ull, r->rtt_us);
	}
	if (!(r->tcp_flags & 16)) /* no ACK */
		return;
	if (s->acked_known) {
		uint32_t n = delivered(s, b, r);

		if (n && s->n)
			note_ack(s, b, r->time_ns, n);
	} else {
		s->acked = r->ack;
		s->acked_known = true;
	}
}

unsigned series_packets(const struct series *s, enum side side, uint64_t from_ns,
			uint64_t origin_ns, struct fit_packet *p, unsigned max)
{
	unsigned k = 0;

	for (unsigned i = 0; i < s->n && k < max; i++) {
		const struct obs *o = series_at(s, i);

		if (o->t_ns < from_ns || (side == SIDE_AFTER && o->flags & OBS_LOST_BEFORE))
			continue;
		p[k].t = (double)(int64_t)(o->t_ns - origin_ns) * 1e-9;
		p[k].len = (float)obs_len(o);
		p[k].until = (float)o->until_us * 1e-6f;
		p[k++].lost = !!(o->flags & (side == SIDE_BEFORE ? OBS_LOST_BEFORE : OBS_LOST_AFTER));
	}
	return k;
}

unsigned series_acked(const struct series *s, uint64_t from_ns, uint64_t origin_ns,
		      struct fit_packet *p, unsigned max)
{
	double layer2 = s->payload ? (double)s->bytes / (double)s->payload : 1;
	unsigned k = 0;

	for (unsigned i = 0; i < s->acks && k < max; i++) {
		const struct ack_obs *a = &s->ack[(s->ack_head + i) % s->ack_cap];

		if (a->t_ns < from_ns)
			continue;
		p[k++] = (struct fit_packet){
			.t = (double)(int64_t)(a->t_ns - origin_ns) * 1e-9,
			.len = (float)(a->bytes * layer2),
		};
	}
	return k;
}

unsigned series_rtts(const struct series *s, enum side side, uint64_t from_ns, uint64_t origin_ns,
		     struct fit_rtt *r, unsigned max)
{
	const struct rtt_ring *g = &s->rtt[side];
	unsigned k = 0;

	for (unsigned i = 0; i < g->n && k < max; i++) {
		if (g->o[i].t_ns < from_ns)
			continue;
		r[k].t = (double)(int64_t)(g->o[i].t_ns - origin_ns) * 1e-9;
		r[k++].rtt = (float)g->o[i].us * 1e-6f;
	}
	return k;
}

bool series_waits(const struct series *s, enum side side)
{
	const struct rtt_ring *g = &s->rtt[side];
	unsigned high = 0, from = g->n < 16 ? g->n : 16;

	if (g->n < 4)
		return false;
	for (unsigned i = g->n - from; i < g->n; i++)
		high += g->o[i].us >= g->min_us + 3000;
	return high * 5 >= from * 2;
}
