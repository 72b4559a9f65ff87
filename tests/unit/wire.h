/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets as a test says them, through the engine and the whole pipeline, and
 * the reset events and findings that come of it. Times are in ms from a fixed
 * start. An endpoint behaves like Linux unless told otherwise: DF, one IP-ID
 * counter per connection, 0 on SYN-ACKs and on resets without a socket.
 */
#ifndef WIRE_H
#define WIRE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "classify.h"
#include "host_engine.h"
#include "pipeline.h"
#include "../bytes.h"

/* An archive is linked by need: these are what the test is about, and the classifier that gives the hints. */
const struct detector *const detectors[DETECTORS_MAX + 1] = { &detect_rst, &detect_content, &detect_dns };
struct classifier *(*const wire_classifier)(struct model *, const struct rules *) = classifier_new;

#define WIRE_START 1795737600000000000ull
#define FIN	   1
#define SYN	   2
#define RST	   4
#define PSH	   8
#define ACK	   16
#define AUTO	   (-1)

struct wire {
	struct pipeline *p;
	struct host_engine *e;
	uint64_t ticked;
	uint16_t ifindex; /* of what comes; egress: seen on its way out of it */
	bool egress;
	unsigned nevents, nfindings;
	struct rst_event event[4096];
	uint64_t event_flow[4096];
	uint16_t event_port[4096]; /* the client's */
	struct finding finding[64];
	double reported_ms[64]; /* when it became likely; NAN */
};

/* A connection. ttl and ipid are the ends' own. */
struct conn {
	uint32_t cip, sip; /* host order */
	uint16_t cport, sport;
	uint32_t cseq, sseq; /* next */
	uint8_t cttl, sttl;
	uint16_t cipid, sipid;
	bool ts;
	uint32_t clock;
};

/* What a forged packet's header says; AUTO: as the sender's own. */
struct look {
	int ttl, ipid, df, ts, win, reserved;
};

#define OWN ((struct look){ AUTO, AUTO, AUTO, AUTO, AUTO, 0 })

static inline void wire_rst(void *s, const struct model *m, const struct rst_event *e)
{
	struct wire *w = s;

	if (w->nevents < 4096) {
		w->event_flow[w->nevents] = e->flow->id;
		w->event_port[w->nevents] = e->flow->client.port;
		w->event[w->nevents] = *e;
		w->event[w->nevents].flow = NULL;
	}
	w->nevents++;
}

static inline void wire_finding(void *s, const struct model *m, const struct finding *f, enum finding_action a, uint64_t now)
{
	struct wire *w = s;
	unsigned i = 0;

	while (i < w->nfindings && w->finding[i].id != f->id)
		i++;
	assert_true(i < 64);
	if (i == w->nfindings) {
		w->reported_ms[i] = NAN;
		w->nfindings++;
	}
	w->finding[i] = *f;
	if (f->level >= LEVEL_LIKELY && isnan(w->reported_ms[i]))
		w->reported_ms[i] = (double)(now - WIRE_START) / 1e6;
	assert_true(f->reasons.n && f->ruled_out.n);
}

static inline void wire_record(void *arg, const struct weir_rec *r, const uint8_t *payload)
{
	const struct wire *w = arg;
	struct weir_rec seen = *r;

	/* Which interface and way is the capture's to know. */
	seen.ifindex = w->ifindex;
	seen.flags |= w->egress ? WEIR_REC_EGRESS : 0;
	pipeline_record(w->p, &seen, payload);
}

static inline void wire_flow_end(void *arg, const struct weir_key6 *key, const struct weir_flow *f, unsigned why)
{
	pipeline_flow_end(((struct wire *)arg)->p, key, f, why);
}

static inline void wire_open(struct wire *w)
{
	static const struct sink ops = { .rst = wire_rst, .finding = wire_finding };
	const struct weir_config every = { .first_packets = 0xff, .focus_packets = 0xffff, .payload_segments = 16,
					   .payload_bytes = 4096 };
	struct host_engine_ops eo = { wire_record, wire_flow_end, w };
	struct pipeline_config cfg = { .nsinks = 1, .sensitivity = SENSITIVITY_NORMAL };

	memset(w, 0, sizeof(*w));
	cfg.sink[0] = (struct sink_ref){ &ops, w };
	w->p = pipeline_new(&cfg);
	w->e = host_engine_new(&every, 0, &eo);
	assert_non_null(w->p);
	assert_non_null(w->e);
}

static inline void wire_close(struct wire *w)
{
	struct totals t = { 0 };

	host_engine_finish(w->e);
	pipeline_finish(w->p, &t);
	pipeline_free(w->p);
	host_engine_free(w->e);
}

/* IPv4 with its payload, to the engine. */
static inline void wire_ip(struct wire *w, double ms, uint32_t src, uint32_t dst, uint8_t proto, const struct look *l,
		    const uint8_t *payload, unsigned len)
{
	uint64_t now = WIRE_START + (uint64_t)(ms * 1e6);
	uint8_t b[2048] = { 0x45 };

	assert_true(len + 20 <= sizeof(b));
	put16(b + 2, 20 + len);
	put16(b + 4, (unsigned)l->ipid);
	put16(b + 6, l->df ? 0x4000 : 0);
	b[8] = (uint8_t)l->ttl;
	b[9] = proto;
	put32(b + 12, src);
	put32(b + 16, dst);
	memcpy(b + 20, payload, len);
	while (w->ticked && now >= w->ticked + 1000000000ull) {
		w->ticked += 1000000000ull;
		pipeline_tick(w->p, w->ticked);
	}
	if (!w->ticked)
		w->ticked = now;
	host_engine_packet(w->e, WEIR_LINK_IP, b, 20 + len, 20 + len, now);
}

/* One segment with sequence numbers as given. */
static inline void wire_seg(struct wire *w, double ms, struct conn *c, bool client, unsigned flags, uint32_t seq, uint32_t ack,
		     const void *data, unsigned len, struct look l)
{
	uint8_t b[2048] = { 0 };
	bool own = l.ipid == AUTO;
	unsigned opt = 20;
	bool ts = l.ts == AUTO ? c->ts && !((flags & RST) && !(flags & ACK)) : l.ts;

	if (l.ttl == AUTO)
		l.ttl = client ? c->cttl : c->sttl;
	if (l.df == AUTO)
		l.df = 1;
	if (own)
		l.ipid = ((flags & RST) && !(flags & ACK)) || (flags & (SYN | ACK)) == (SYN | ACK) ? 0 :
			 client ? ++c->cipid : ++c->sipid;
	if (l.win == AUTO)
		l.win = flags & SYN ? 64240 : flags & RST ? 0 : 502;
	put16(b, client ? c->cport : c->sport);
	put16(b + 2, client ? c->sport : c->cport);
	put32(b + 4, seq);
	put32(b + 8, ack);
	if (flags & SYN) {
		memcpy(b + opt, "\x02\x04\x05\xb4\x01\x03\x03\x07", 8);
		opt += 8;
	}
	if (ts) {
		memcpy(b + opt, "\x01\x01\x08\x0a", 4);
		put32(b + opt + 4, c->clock + (uint32_t)ms);
		put32(b + opt + 8, c->clock + (uint32_t)ms - 20);
		opt += 12;
	}
	b[12] = (uint8_t)(opt / 4 << 4 | l.reserved);
	b[13] = (uint8_t)flags;
	put16(b + 14, (unsigned)l.win);
	assert_true(opt + len <= sizeof(b));
	if (len)
		memcpy(b + opt, data, len);
	wire_ip(w, ms, client ? c->cip : c->sip, client ? c->sip : c->cip, 6, &l, b, opt + len);
}

static inline struct conn wire_conn(unsigned n)
{
	/* A home network's client, servers of the outside. */
	return (struct conn){ 0xc0a80102, 0xcb007100 + n / 256, (uint16_t)(20000 + n), 443, 1000000 * (n + 1), 77000000 * (n + 1),
			      64, 52, (uint16_t)(1000 + 77 * n), (uint16_t)(40000 + 991 * n), true, 5000000 + n };
}

/* The sender's own segment at its next sequence number. */
static inline void wire_send(struct wire *w, double ms, struct conn *c, bool client, unsigned flags, const void *data, unsigned len)
{
	uint32_t *own = client ? &c->cseq : &c->sseq, peer = client ? c->sseq : c->cseq;

	wire_seg(w, ms, c, client, flags, *own, flags & ACK ? peer : 0, data, len, OWN);
	if (!(flags & RST))
		*own += len + !!(flags & SYN) + !!(flags & FIN);
}

/* Handshake: SYN at ms, server rtt away. Returns when it is done. */
static inline double wire_open_conn(struct wire *w, double ms, struct conn *c, double rtt)
{
	wire_send(w, ms, c, true, SYN, NULL, 0);
	wire_seg(w, ms + rtt, c, false, SYN | ACK, c->sseq, c->cseq, NULL, 0, OWN);
	c->sseq++;
	wire_send(w, ms + rtt + 0.3, c, true, ACK, NULL, 0);
	return ms + rtt + 0.3;
}

#define GET "GET / HTTP/1.1\r\nHost: blocked.example\r\n\r\n"

/* Request, its acknowledgment and an answer rtt later. Returns when the client acknowledged. */
static inline double wire_exchange(struct wire *w, double ms, struct conn *c, double rtt)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

	wire_send(w, ms, c, true, PSH | ACK, GET, sizeof(GET) - 1);
	wire_send(w, ms + rtt, c, false, ACK, NULL, 0);
	wire_send(w, ms + rtt + 1, c, false, PSH | ACK, answer, sizeof(answer) - 1);
	wire_send(w, ms + rtt + 1.3, c, true, ACK, NULL, 0);
	return ms + rtt + 1.3;
}

/* Nothing of a case: time goes on, so that what waits is decided. */
static inline void wire_idle(struct wire *w, double ms)
{
	struct conn c = wire_conn(999);

	c.cip = 0xc0a80163;
	wire_send(w, ms, &c, true, SYN, NULL, 0);
}

static inline unsigned wire_claims(const struct wire *w, enum kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->nfindings; i++)
		n += w->finding[i].kind == kind && w->finding[i].level >= LEVEL_LIKELY;
	return n;
}

static inline unsigned wire_suspects(const struct wire *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->nevents && i < 4096; i++)
		n += w->event[i].suspect;
	return n;
}

static inline bool wire_reason(const struct rst_event *e, const char *name)
{
	for (unsigned i = 0; i < e->nreasons; i++)
		if (!strcmp(e->reasons[i], name))
			return true;
	return false;
}

static inline bool wire_because(const struct finding *f, const char *name)
{
	for (unsigned i = 0; i < f->reasons.n; i++)
		if (!strcmp(f->reasons.fact[i].name, name))
			return true;
	return false;
}

#endif
