/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two TCP endpoints, a path with a middlebox on it, and us in between, as events
 * in time: what a reset does to the ends, and what they say to what comes after
 * it, follows by itself. No loss recovery but a timeout, no congestion control but
 * a growing window: enough for how connections end.
 *
 *	client -- dc ms -- us -- ds ms -- server,	the box at `box` of the way us..server,
 *							or, box < 0, of the way us..client
 */
#ifndef TCP_SIM_H
#define TCP_SIM_H

#include "wire.h"

#define SIM_FLOWS  48
#define SIM_EVENTS 65536

enum sim_ipid { IPID_COUNTER, IPID_HOST, IPID_ZERO, IPID_RANDOM };

/* Habits of a host. */
struct sim_stack {
	uint8_t ttl; /* as we see it */
	enum sim_ipid ipid;
	bool df, ts;
	uint16_t win;
	bool abort_acks;   /* an abort is RST+ACK (Linux, Windows), or RST (old BSDs, boxes) */
	bool rst_ipid;	   /* resets without a socket are numbered, too */
	uint8_t rst_ttl;   /* of resets without a socket */
	double ack_delay;  /* ms, at most */
	double speed;	   /* ms from a request to its answer */
};

enum sim_ending {
	BY_FIN,
	BY_SERVER_FIN,
	BY_CLIENT_ABORT,     /* instead of its FIN */
	BY_CLIENT_ABORT_MID, /* in the middle of the download */
	BY_SERVER_ABORT,     /* behind its answer */
	BY_SERVER_ABORT_MID,
	BY_SERVER_ABORT_REQUEST, /* instead of an answer */
	BY_SERVER_ABORT_ACKED,	  /* the same, the request acknowledged before */
	BY_REFUSED,
	BY_CRASH,	/* its kernel answers what comes next, without a socket */
	BY_HALF_CLOSE, /* the client closes for writing, then altogether */
	BY_FIN_THEN_RST, /* ... and resets what comes later */
	BY_NONE,	/* stays open */
};

struct sim_script {
	double at;
	unsigned request, answer, rounds;
	double pause; /* between rounds */
	enum sim_ending end;
	bool trigger; /* what a box acts on */
	uint16_t sport;
};

struct sim_pkt {
	uint8_t flow;
	bool client, forged;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t len;
	const uint8_t *data; /* NULL: the stream's own */
	struct look look;
};

enum sim_where { AT_BOX, AT_US, AT_END, AT_TIMER };

struct sim_host_end {
	bool open, listening, fin_sent, fin_got;
	uint32_t iss, una, next, end, rcv; /* end: of what the program has written */
	uint32_t got;			   /* stream bytes received */
	unsigned window, tries;		   /* segments */
	uint32_t armed;			   /* una when the timer was set */
	bool timer;
	double acked_ms;
};

struct sim_flow {
	struct conn c;
	struct sim_script s;
	struct sim_host_end e[2]; /* 0 server, 1 client, as bool client */
	unsigned round, down, hits, boxed;
	bool forged, blocked;
};

struct sim_event {
	double ms;
	uint32_t order;
	uint8_t where, kind;
	struct sim_pkt p;
};

enum { T_OPEN = 1, T_RTO, T_ANSWER, T_NEXT, T_DATA_ABORT, T_ACK, T_CLOSE_ALL };

struct sim {
	struct wire *w;
	uint64_t random;
	double now, dc, ds, box, jitter;
	double fifo[4][2];
	struct sim_stack stack[2];
	uint16_t host_ipid[2];
	struct sim_flow f[SIM_FLOWS];
	unsigned nflows, nevents, order;
	struct sim_event *heap;
	/* What the path and we do. */
	double reorder, duplicate, unseen; /* shares */
	int one_way;			   /* 1: we see the client's only, 2: the server's */
	int ttl_step;			   /* of the server's packets, after ttl_after packets of a flow */
	unsigned ttl_after;
	int synack_ttl; /* 0: as the data's */
	/* The box sees a packet. False: it goes no further. */
	bool (*middle)(struct sim *s, struct sim_pkt *p);
	void *arg;
};

static inline uint32_t sim_rnd(struct sim *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)(s->random >> 16);
}

static inline unsigned sim_below(struct sim *s, unsigned n)
{
	return sim_rnd(s) % n;
}

static inline double sim_real(struct sim *s, double low, double high)
{
	return low + (high - low) * (sim_rnd(s) / 4294967296.0);
}

static inline bool sim_chance(struct sim *s, double p)
{
	return sim_real(s, 0, 1) < p;
}

static inline bool sim_sooner(const struct sim_event *a, const struct sim_event *b)
{
	return a->ms < b->ms || (a->ms == b->ms && a->order < b->order);
}

static inline void sim_push(struct sim *s, struct sim_event e)
{
	unsigned i = s->nevents++;

	assert_true(s->nevents <= SIM_EVENTS);
	e.order = s->order++;
	while (i && sim_sooner(&e, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = e;
}

static inline struct sim_event sim_pop(struct sim *s)
{
	struct sim_event top = s->heap[0], last = s->heap[--s->nevents];
	unsigned i = 0, c;

	for (; (c = 2 * i + 1) < s->nevents; i = c) {
		c += c + 1 < s->nevents && sim_sooner(&s->heap[c + 1], &s->heap[c]);
		if (!sim_sooner(&s->heap[c], &last))
			break;
		s->heap[i] = s->heap[c];
	}
	s->heap[i] = last;
	return top;
}

static inline void sim_timer(struct sim *s, double in, unsigned kind, unsigned flow, bool client)
{
	struct sim_event e = { .ms = s->now + in, .where = AT_TIMER, .kind = (uint8_t)kind };

	e.p.flow = (uint8_t)flow;
	e.p.client = client;
	sim_push(s, e);
}

/*
 * A packet is at stage `from` of its way (0: it leaves its end) and goes on. A packet's
 * stages: end, then us and the box in the order of its way, then the other end.
 */
static inline void sim_travel(struct sim *s, const struct sim_pkt *p, unsigned from)
{
	bool box_near = s->box < 0; /* on the client's side of us */
	double far = box_near ? s->dc * -s->box : s->ds * s->box;
	/* Legs in the client's order: client..first, first..second, second..server. */
	double leg[3] = { box_near ? s->dc - far : s->dc, far, box_near ? s->ds : s->ds - far };
	unsigned i = p->client ? from : 2 - from;
	double at = s->now + leg[i] + sim_real(s, 0, s->jitter / 3);
	struct sim_event e = { .where = from == 2 ? AT_END : (from == 0) == (p->client == box_near) ? AT_BOX : AT_US,
			       .kind = (uint8_t)(from + 1), .p = *p };

	if (s->reorder > 0 && i == (p->client ? 0u : 2u) && sim_chance(s, s->reorder)) {
		at += sim_real(s, 1, 8);
	} else {
		if (at < s->fifo[i][p->client])
			at = s->fifo[i][p->client] + 0.001;
		s->fifo[i][p->client] = at;
	}
	e.ms = at;
	sim_push(s, e);
}

static inline struct look sim_look(struct sim *s, struct sim_flow *f, bool client, unsigned flags, bool socket)
{
	const struct sim_stack *k = &s->stack[client];
	struct look l = { k->ttl, 0, k->df, 0, k->win, 0 };
	uint16_t *counter = client ? &f->c.cipid : &f->c.sipid;

	l.ts = k->ts && socket;
	if (!socket || (flags & RST))
		l.win = flags & ACK && socket ? k->win : 0;
	if (!socket)
		l.ttl = k->rst_ttl;
	if (socket || k->rst_ipid) {
		if (k->ipid == IPID_COUNTER)
			l.ipid = ++*counter;
		else if (k->ipid == IPID_HOST)
			l.ipid = s->host_ipid[client] = (uint16_t)(s->host_ipid[client] + 1 + sim_below(s, 3));
		else if (k->ipid == IPID_RANDOM)
			l.ipid = (int)(1 + sim_below(s, 65535));
	}
	if (!client && (flags & SYN) && s->synack_ttl)
		l.ttl = s->synack_ttl;
	return l;
}

static inline void sim_send(struct sim *s, unsigned flow, bool client, unsigned flags, uint32_t seq, uint32_t ack, unsigned len,
			    bool socket)
{
	struct sim_flow *f = &s->f[flow];
	struct sim_pkt p = { .flow = (uint8_t)flow, .client = client, .flags = (uint8_t)flags, .seq = seq,
			     .ack = flags & ACK ? ack : 0, .len = (uint16_t)len, .look = sim_look(s, f, client, flags, socket) };

	sim_travel(s, &p, 0);
}

static inline void sim_arm(struct sim *s, unsigned flow, bool client)
{
	struct sim_host_end *e = &s->f[flow].e[client];

	if (e->timer || e->una == e->next)
		return;
	e->timer = true;
	e->armed = e->una;
	sim_timer(s, (200 + 2 * (s->dc + s->ds)) * (1 << e->tries), T_RTO, flow, client);
}

/* What the window lets go. */
static inline void sim_output(struct sim *s, unsigned flow, bool client)
{
	struct sim_host_end *e = &s->f[flow].e[client];
	unsigned mss = 1000;

	while (e->open && (int32_t)(e->end - e->next) > 0 && e->next - e->una < e->window * mss) {
		unsigned n = e->end - e->next < mss ? e->end - e->next : mss;

		sim_send(s, flow, client, n == e->end - e->next ? PSH | ACK : ACK, e->next, e->rcv, n, true);
		e->next += n;
	}
	sim_arm(s, flow, client);
}

static inline void sim_write(struct sim *s, unsigned flow, bool client, unsigned n)
{
	struct sim_host_end *e = &s->f[flow].e[client];

	if (!e->open || e->fin_sent)
		return;
	e->end += n;
	sim_output(s, flow, client);
}

static inline void sim_fin(struct sim *s, unsigned flow, bool client)
{
	struct sim_host_end *e = &s->f[flow].e[client];

	if (!e->open || e->fin_sent)
		return;
	sim_send(s, flow, client, FIN | ACK, e->next, e->rcv, 0, true);
	e->fin_sent = true;
	e->next++;
	e->end = e->next;
	sim_arm(s, flow, client);
}

static inline void sim_abort(struct sim *s, unsigned flow, bool client)
{
	struct sim_host_end *e = &s->f[flow].e[client];

	if (!e->open)
		return;
	e->open = false;
	sim_send(s, flow, client, s->stack[client].abort_acks ? RST | ACK : RST, e->next, e->rcv, 0, true);
}

/* The program's answer to bytes. */
static inline void sim_program(struct sim *s, unsigned flow, bool client)
{
	struct sim_flow *f = &s->f[flow];
	const struct sim_script *k = &f->s;
	struct sim_host_end *e = &f->e[client];
	bool last = f->round + 1 >= k->rounds;

	if (!client) {
		if (e->got < k->request * (f->round + 1))
			return;
		if (last && (k->end == BY_SERVER_ABORT_REQUEST || k->end == BY_SERVER_ABORT_ACKED))
			sim_timer(s, k->end == BY_SERVER_ABORT_ACKED ? s->stack[0].speed + 1 : 0.05, T_DATA_ABORT, flow, false);
		else if (last && k->end == BY_CRASH)
			e->open = false;
		else
			sim_timer(s, s->stack[0].speed, T_ANSWER, flow, false);
		return;
	}
	if (last && k->end == BY_CLIENT_ABORT_MID && e->got > k->answer * f->round + k->answer / 2) {
		sim_abort(s, flow, true);
		return;
	}
	if (last && k->end == BY_HALF_CLOSE && e->got > k->answer * f->round && !e->fin_sent)
		sim_fin(s, flow, true);
	if (e->got < k->answer * (f->round + 1))
		return;
	f->round++;
	sim_timer(s, last ? sim_real(s, 0.2, 3) : k->pause, T_NEXT, flow, true);
}

static inline void sim_on_timer(struct sim *s, const struct sim_event *t)
{
	struct sim_flow *f = &s->f[t->p.flow];
	struct sim_host_end *e = &f->e[t->p.client];
	bool client = t->p.client;

	switch (t->kind) {
	case T_OPEN:
		e->open = true;
		sim_send(s, t->p.flow, true, SYN, e->iss, 0, 0, true);
		e->next = e->end = e->iss + 1;
		sim_arm(s, t->p.flow, true);
		break;
	case T_RTO:
		e->timer = false;
		if (!e->open || e->una == e->next || e->tries >= 5)
			break;
		if (e->una == e->armed) {
			e->tries++;
			if (e->una == e->iss) {
				sim_send(s, t->p.flow, client, client ? SYN : SYN | ACK, e->iss, e->rcv, 0, true);
			} else if (e->fin_sent && e->next - e->una == 1) {
				sim_send(s, t->p.flow, client, FIN | ACK, e->una, e->rcv, 0, true);
			} else if (e->next - e->una) {
				unsigned n = e->next - e->una - e->fin_sent;

				sim_send(s, t->p.flow, client, PSH | ACK, e->una, e->rcv, n < 1000 ? n : 1000, true);
			}
		}
		sim_arm(s, t->p.flow, client);
		break;
	case T_ANSWER:
		if (f->s.end == BY_SERVER_ABORT_MID && f->round + 1 >= f->s.rounds)
			sim_timer(s, 2.3 * (s->dc + s->ds) + 0.4, T_DATA_ABORT, t->p.flow, false);
		sim_write(s, t->p.flow, false, f->s.answer);
		if (f->round + 1 < f->s.rounds)
			break;
		if (f->s.end == BY_SERVER_FIN)
			sim_timer(s, 0.01, T_CLOSE_ALL, t->p.flow, false);
		if (f->s.end == BY_SERVER_ABORT)
			sim_timer(s, 1 + 2 * (s->dc + s->ds) * (1 + f->s.answer / 20000), T_DATA_ABORT, t->p.flow, false);
		break;
	case T_CLOSE_ALL: /* once all is sent */
		if (e->next != e->end)
			sim_timer(s, 5, T_CLOSE_ALL, t->p.flow, client);
		else
			sim_fin(s, t->p.flow, client);
		break;
	case T_NEXT:
		if (f->round < f->s.rounds)
			sim_write(s, t->p.flow, true, f->s.request);
		else if (f->s.end == BY_CLIENT_ABORT)
			sim_abort(s, t->p.flow, true);
		else if (f->s.end == BY_FIN || f->s.end == BY_FIN_THEN_RST)
			sim_fin(s, t->p.flow, true);
		break;
	case T_DATA_ABORT:
		sim_abort(s, t->p.flow, client);
		break;
	case T_ACK:
		if (e->open && e->acked_ms == s->now)
			sim_send(s, t->p.flow, client, ACK, e->next, e->rcv, 0, true);
		break;
	}
}

/* No socket: RFC 9293 3.10.7.1. */
static inline void sim_refuse(struct sim *s, const struct sim_pkt *p)
{
	if (p->flags & RST)
		return;
	if (p->flags & ACK)
		sim_send(s, p->flow, !p->client, RST, p->ack, 0, 0, false);
	else
		sim_send(s, p->flow, !p->client, RST | ACK, 0, p->seq + p->len + !!(p->flags & SYN), 0, false);
}

static inline void sim_arrive(struct sim *s, const struct sim_pkt *p)
{
	struct sim_flow *f = &s->f[p->flow];
	bool client = !p->client; /* who gets it */
	struct sim_host_end *e = &f->e[client];
	uint32_t end = p->seq + p->len + !!(p->flags & FIN);
	bool fresh = false;

	if (!client && e->listening && (p->flags & (SYN | ACK | RST)) == SYN) {
		e->listening = false;
		e->open = true;
		e->rcv = p->seq + 1;
		sim_send(s, p->flow, false, SYN | ACK, e->iss, e->rcv, 0, true);
		e->next = e->end = e->iss + 1;
		sim_arm(s, p->flow, false);
		return;
	}
	if (!e->open) {
		if (!e->listening)
			sim_refuse(s, p);
		return;
	}
	if (client && e->una == e->iss) { /* SYN-SENT */
		if (!(p->flags & ACK) || p->ack != e->next) {
			if ((p->flags & ACK) && !(p->flags & RST))
				sim_send(s, p->flow, true, RST, p->ack, 0, 0, false);
			return;
		}
		if (p->flags & RST) {
			e->open = false;
			return;
		}
		if (!(p->flags & SYN))
			return;
		e->una = e->next;
		e->tries = 0;
		e->rcv = p->seq + 1;
		sim_send(s, p->flow, true, ACK, e->next, e->rcv, 0, true);
		sim_write(s, p->flow, true, f->s.request);
		return;
	}
	if (p->flags & RST) { /* RFC 5961 3.2 */
		if (p->seq == e->rcv)
			e->open = false;
		else if ((int32_t)(p->seq - e->rcv) > 0 && p->seq - e->rcv < 65535)
			sim_send(s, p->flow, client, ACK, e->next, e->rcv, 0, true);
		return;
	}
	if (p->flags & SYN) {
		bool again = !client && e->next == e->iss + 1 && p->seq + 1 == e->rcv && !(p->flags & ACK);

		sim_send(s, p->flow, client, again ? SYN | ACK : ACK, again ? e->iss : e->next, e->rcv, 0, true);
		return;
	}
	if ((int32_t)(p->ack - e->next) > 0) {
		sim_send(s, p->flow, client, ACK, e->next, e->rcv, 0, true);
		return;
	}
	if ((p->flags & ACK) && (int32_t)(p->ack - e->una) > 0) {
		e->una = p->ack;
		e->tries = 0;
		e->window += e->window < 64;
	}
	if (end != p->seq) {
		if ((int32_t)(p->seq - e->rcv) <= 0 && (int32_t)(end - e->rcv) > 0) {
			uint32_t n = end - e->rcv;

			fresh = true;
			e->rcv = end;
			if (p->flags & FIN) {
				n--;
				e->fin_got = true;
			}
			e->got += n;
			if (e->fin_sent && f->s.end == BY_FIN_THEN_RST && n) {
				e->open = false;
				sim_refuse(s, p);
				return;
			}
			if (!client && f->s.end == BY_SERVER_ABORT_REQUEST && f->round + 1 >= f->s.rounds &&
			    e->got >= f->s.request * f->s.rounds) {
				sim_program(s, p->flow, false);
				return;
			}
		}
		if (s->stack[client].ack_delay > 0 && fresh && p->len < 1000 && !(p->flags & FIN)) {
			e->acked_ms = s->now + sim_real(s, 0, s->stack[client].ack_delay);
			sim_timer(s, e->acked_ms - s->now, T_ACK, p->flow, client);
		} else {
			sim_send(s, p->flow, client, ACK, e->next, e->rcv, 0, true);
		}
	}
	if (fresh)
		sim_program(s, p->flow, client);
	if (e->fin_got && !e->fin_sent && e->next == e->end && f->s.end != BY_HALF_CLOSE)
		sim_fin(s, p->flow, client);
	sim_output(s, p->flow, client);
}

#define SIM_GET "GET /%u HTTP/1.1\r\nHost: %s\r\nUser-Agent: sim\r\nAccept: */*\r\n\r\n"

/* The bytes of a stream, from its number on. */
static inline void sim_bytes(const struct sim *s, const struct sim_pkt *p, uint8_t *b)
{
	const struct sim_flow *f = &s->f[p->flow];
	uint32_t from = p->seq - (f->e[p->client].iss + 1);
	char text[1400];
	int n = p->client ? snprintf(text, sizeof(text), SIM_GET, p->flow, f->s.trigger ? "blocked.example" : "open.example")
			  : snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", f->s.answer);

	for (unsigned i = 0; i < p->len; i++) {
		uint32_t at = from + i;

		b[i] = at < (uint32_t)n ? (uint8_t)text[at] : (uint8_t)(at * 2654435761u >> 24 ^ p->flow);
	}
}

static inline void sim_show(struct sim *s, const struct sim_pkt *p)
{
	struct sim_flow *f = &s->f[p->flow];
	uint8_t b[1500];
	struct look l = p->look;
	unsigned times = 1;

	if ((s->one_way == 1 && !p->client) || (s->one_way == 2 && p->client) || (s->unseen > 0 && sim_chance(s, s->unseen)))
		return;
	if (!p->client && !p->forged) {
		f->down++;
		if (s->ttl_step && f->down > s->ttl_after)
			l.ttl += s->ttl_step;
	}
	if (s->duplicate > 0 && sim_chance(s, s->duplicate))
		times = 2;
	if (p->data)
		memcpy(b, p->data, p->len);
	else
		sim_bytes(s, p, b);
	f->c.ts = s->stack[p->client].ts;
	for (unsigned i = 0; i < times; i++)
		wire_seg(s->w, s->now + i * 0.004, &f->c, p->client, p->flags, p->seq, p->ack, b, p->len, l);
}

static inline void sim_run(struct sim *s, double until)
{
	while (s->nevents && s->heap[0].ms <= until) {
		struct sim_event e = sim_pop(s);

		s->now = e.ms;
		switch (e.where) {
		case AT_TIMER:
			sim_on_timer(s, &e);
			break;
		case AT_END:
			sim_arrive(s, &e.p);
			break;
		case AT_US:
			sim_show(s, &e.p);
			sim_travel(s, &e.p, e.kind);
			break;
		case AT_BOX:
			if (!s->middle || e.p.forged || s->middle(s, &e.p))
				sim_travel(s, &e.p, e.kind);
			break;
		}
	}
	s->now = until;
}

/* The box sends a packet of its own now, as if it came from one end. Toward the side that does not pass us, too. */
static inline void sim_forge(struct sim *s, struct sim_pkt p, double in)
{
	struct sim_event e = { .where = AT_BOX, .p = p };

	/* It begins at the box: the stage that the sender's own packets have there. */
	e.kind = (uint8_t)(p.client == (s->box < 0) ? 1 : 2);
	e.p.forged = true;
	e.ms = s->now + in;
	sim_push(s, e);
}

static inline unsigned sim_flow(struct sim *s, struct sim_script k)
{
	unsigned i = s->nflows++;
	struct sim_flow *f = &s->f[i];

	assert_true(s->nflows <= SIM_FLOWS);
	f->s = k;
	f->c = wire_conn(0);
	f->c.cport = (uint16_t)(20000 + sim_below(s, 200) + 300 * i);
	f->c.sport = k.sport ? k.sport : 80;
	f->c.cipid = (uint16_t)sim_rnd(s);
	f->c.sipid = (uint16_t)sim_rnd(s);
	f->e[0].iss = sim_rnd(s);
	f->e[1].iss = sim_rnd(s);
	f->e[0].una = f->e[0].next = f->e[0].iss;
	f->e[1].una = f->e[1].next = f->e[1].iss;
	f->e[0].una++; /* the SYN-ACK needs no timer of its own here */
	f->e[0].window = f->e[1].window = 4;
	f->e[0].listening = k.end != BY_REFUSED;
	s->now = 0;
	sim_timer(s, k.at, T_OPEN, i, true);
	return i;
}

static inline void sim_open(struct sim *s, struct wire *w, uint64_t seed)
{
	static struct sim_event heap[SIM_EVENTS];

	memset(s, 0, sizeof(*s));
	wire_open(w);
	s->w = w;
	s->heap = heap;
	s->random = seed * 0x9e3779b97f4a7c15ull | 1;
	for (unsigned i = 0; i < 8; i++)
		sim_rnd(s);
	s->dc = 2;
	s->ds = 20;
	s->box = 0.3;
}

#endif
