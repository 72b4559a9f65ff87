// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A seeded mix of traffic as a pcap on standard output: make_capture PACKETS [SEED]. Downloads over TLS and
 * HTTP (a tenth of them policed, a tenth with random loss), short requests, DNS, RTP, IPv6 in all of them.
 * Of 2,000 flows at a time, each step of the one whose time has come gives one packet. Downloads come in
 * bursts, and people pause: a million packets last about five minutes, as on a line of some 25 Mbit/s.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench.h"

#define FLOWS	 2000
#define MSS	 1400
#define SNAP	 1600
#define RTT	 0.03
#define LIMIT	 250000.0 /* bytes/s of a policed flow, and its bucket */
#define BUCKET	 60000.0
#define RESENDS	 64
#define PAUSE	 120.0 /* s, at most, between one flow and the next of its place */
#define THINK	 0.5   /* s, at most, for each segment of a burst, before the next */

enum kind { TLS, HTTP, SHORT, DNS, RTP };

struct flow {
	double t;	/* of its next packet */
	double gap;	/* between data packets: the sender's rate */
	double tokens, filled;
	double loss;
	enum kind kind;
	bool v6, policed;
	uint32_t client, server, seq, ack, left, burst, step, acked, fins;
	uint16_t port, ipid[2];
	struct {
		double t;
		uint32_t seq;
	} resend[RESENDS];
	unsigned from, n;
};

static struct flow flow[FLOWS];
static unsigned heap[FLOWS];
static uint64_t state = 88172645463325252ull;
static uint16_t next_port = 20000;
static uint64_t written;

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double uniform(void)
{
	return (double)(draw() >> 11) / (1ull << 53);
}

static void begin(struct flow *f, double now)
{
	double u = (double)(f - flow) / FLOWS; /* a place keeps its kind, or the long ones would take them all */

	memset(f, 0, sizeof(*f));
	f->kind = u < 0.15 ? TLS : u < 0.25 ? HTTP : u < 0.65 ? SHORT : u < 0.98 ? DNS : RTP;
	f->t = now + uniform() * PAUSE;
	f->gap = f->kind == RTP ? 0.02 : 0.0005 + uniform() * 0.004;
	f->v6 = uniform() < 0.2;
	f->policed = f->kind <= HTTP && uniform() < 0.1;
	f->loss = f->kind <= HTTP && uniform() < 0.1 ? 0.005 : 0;
	f->client = 0x0a000000 + (draw() % 500);
	f->server = 0xcb007100 + (draw() % 200);
	f->port = next_port++;
	if (next_port > 60000)
		next_port = 20000;
	f->seq = (uint32_t)draw();
	f->ack = (uint32_t)draw();
	f->left = f->kind <= HTTP ? 100 + draw() % 4000 : f->kind == SHORT ? 4 + draw() % 12 : f->kind == DNS ? 2 : 1500;
	f->burst = 16u << draw() % 6;
	f->tokens = BUCKET;
	f->filled = f->t;
}

/* Writes one packet of f, by the client or to it. */
static void emit(struct flow *f, bool to_client, struct packet *p, const uint8_t *l4, uint16_t server_port)
{
	uint32_t h[4] = { (uint32_t)f->t, (uint32_t)(fmod(f->t, 1) * 1e6), p->len, p->len };
	uint8_t *b = p->bytes, *t = b + (l4 - b);

	if (f->v6) {
		put32(b + 22 + 12, to_client ? f->server : f->client);
		put32(b + 38 + 12, to_client ? f->client : f->server);
		put32(b + 22, to_client ? 0x20010db8 : 0xfd000007);
		put32(b + 38, to_client ? 0xfd000007 : 0x20010db8);
	} else {
		put32(b + 26, to_client ? f->server : f->client);
		put32(b + 30, to_client ? f->client : f->server);
		put16(b + 18, ++f->ipid[to_client]);
	}
	b[f->v6 ? 21 : 22] = to_client ? 55 : 64;
	put16(t, to_client ? server_port : f->port);
	put16(t + 2, to_client ? f->port : server_port);
	fwrite(h, sizeof(h), 1, stdout);
	fwrite(b, p->len, 1, stdout);
	written++;
}

static void tcp(struct flow *f, bool to_client, uint8_t flags, uint32_t seq, uint32_t len, const char *data)
{
	static struct packet p;
	uint8_t *payload = tcp_packet(&p, f->v6 ? 6 : 4, flags, len), *t = payload - 32;

	put32(t + 4, seq);
	put32(t + 8, flags & 0x10 ? (to_client ? f->ack : f->acked) : 0);
	put32(t + 24, (uint32_t)(f->t * 1000));
	if (data)
		memcpy(payload, data, strlen(data) < len ? strlen(data) : len);
	else
		memset(payload, 0x17 + (seq & 63), len);
	emit(f, to_client, &p, t, f->kind == HTTP ? 80 : 443);
}

/* A ClientHello with a name (RFC 8446, RFC 6066). */
static uint32_t hello(uint8_t *b, uint32_t server)
{
	char name[32];
	unsigned n = (unsigned)snprintf(name, sizeof(name), "h%u.example.net", server & 255), ext = n + 9, at = 0;

	memset(b, 0, 256);
	b[at++] = 0x16, b[at++] = 3, b[at++] = 1;
	put16(b + at, 4 + 2 + 32 + 1 + 4 + 2 + 2 + ext), at += 2;
	b[at++] = 1, b[at++] = 0;
	put16(b + at, 2 + 32 + 1 + 4 + 2 + 2 + ext), at += 2;
	put16(b + at, 0x0303), at += 2 + 32;
	b[at++] = 0;
	put16(b + at, 2), put16(b + at + 2, 0x1301), at += 4;
	b[at++] = 1, b[at++] = 0;
	put16(b + at, ext), at += 2;
	put16(b + at, 0), put16(b + at + 2, n + 5), put16(b + at + 4, n + 3), b[at + 6] = 0, put16(b + at + 7, n);
	memcpy(b + at + 9, name, n);
	return at + 9 + n;
}

static bool passes(struct flow *f, uint32_t len)
{
	if (uniform() < f->loss)
		return false;
	if (!f->policed)
		return true;
	f->tokens += (f->t - f->filled) * LIMIT;
	f->filled = f->t;
	if (f->tokens > BUCKET)
		f->burst = 16u << draw() % 6;
	f->tokens = BUCKET;
	if (f->tokens < len + 66)
		return false;
	f->tokens -= len + 66;
	return true;
}

/* The server's next segment, or one sent again; every second one is acknowledged. */
static bool download(struct flow *f)
{
	if (f->n && f->resend[f->from % RESENDS].t <= f->t) {
		uint32_t seq = f->resend[f->from++ % RESENDS].seq;

		f->n--;
		tcp(f, true, 0x10, seq, MSS, NULL);
		if (!f->n)
			f->acked = f->seq;
		f->t += f->gap;
		return true;
	}
	if (!f->left)
		return f->n ? (f->t = f->resend[f->from % RESENDS].t, true) : false;
	f->left--;
	if (f->n == RESENDS || passes(f, MSS)) {
		tcp(f, true, 0x10, f->seq, MSS, NULL);
		f->gap = f->policed ? f->gap * 0.998 : f->gap;
	} else {
		f->resend[(f->from + f->n) % RESENDS].t = f->t + RTT;
		f->resend[(f->from + f->n++) % RESENDS].seq = f->seq;
		f->gap = f->policed && f->gap < 0.02 ? f->gap * 1.3 : f->gap;
	}
	f->seq += MSS;
	if (!f->n)
		f->acked = f->seq;
	if (f->left % 2)
		tcp(f, false, 0x10, f->ack, 0, NULL);
	f->t += f->gap;
	if (!f->n && f->left % f->burst == 0)
		f->t += uniform() * THINK * f->burst;
	return true;
}

/* One step of a connection; false at its end. */
static bool connection(struct flow *f)
{
	uint8_t b[512] = { 0 };
	uint32_t n;

	switch (f->step++) {
	case 0:
		tcp(f, false, 0x02, f->ack - 1, 0, NULL);
		f->t += RTT / 2;
		return true;
	case 1:
		tcp(f, true, 0x12, f->seq - 1, 0, NULL);
		f->acked = f->seq;
		f->t += RTT / 2;
		return true;
	case 2:
		tcp(f, false, 0x10, f->ack, 0, NULL);
		f->t += 0.0002;
		return true;
	case 3:
		if (f->kind == HTTP) {
			const char *get = "GET /file HTTP/1.1\r\nHost: files.example.org\r\n\r\n";

			n = (uint32_t)strlen(get);
			tcp(f, false, 0x18, f->ack, n, get);
		} else {
			static struct packet p;
			uint8_t *payload;

			n = hello(b, f->server);
			payload = tcp_packet(&p, f->v6 ? 6 : 4, 0x18, n);
			put32(payload - 28, f->ack);
			put32(payload - 24, f->acked);
			put32(payload - 8, (uint32_t)(f->t * 1000));
			memcpy(payload, b, n);
			emit(f, false, &p, payload - 32, 443);
		}
		f->ack += n;
		f->t += RTT;
		return true;
	}
	if (download(f))
		return true;
	/* FIN, FIN and what acknowledges it */
	tcp(f, f->fins != 1, f->fins < 2 ? 0x11 : 0x10, f->fins == 1 ? f->ack : f->seq, 0, NULL);
	if (f->fins == 1)
		f->ack++;
	else
		f->acked = ++f->seq;
	f->t += 0.001;
	return ++f->fins < 3;
}

static bool datagrams(struct flow *f)
{
	static struct packet p;
	bool dns = f->kind == DNS, back = dns ? f->left == 1 : f->left & 1;
	uint8_t *b = udp_packet(&p, f->v6 ? 6 : 4, dns ? (back ? 50 : 34) : 172);

	if (dns) {
		put16(b, f->port);
		put16(b + 2, back ? 0x8180 : 0x0100);
		b[5] = 1, b[7] = back;
		memcpy(b + 12, "\x04www1\x07""example\x03net\0\0\1\0\1", 22);
		memcpy(b + 34, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xcb\0\x71\7", back ? 16 : 0);
	} else {
		b[0] = 0x80, b[1] = 8;
		put16(b + 2, 1500 - f->left / 2); /* each way numbers its own */
		put32(b + 4, (1500 - f->left / 2) * 160);
		put32(b + 8, f->client ^ (uint32_t)back);
		memset(b + 12, (int)f->left, 160);
	}
	emit(f, back, &p, b - 8, dns ? 53 : 5004);
	f->t += dns ? 0.02 : f->gap;
	return --f->left;
}

static void sink_down(unsigned i)
{
	for (;;) {
		unsigned c = 2 * i + 1, t;

		if (c >= FLOWS)
			return;
		if (c + 1 < FLOWS && flow[heap[c + 1]].t < flow[heap[c]].t)
			c++;
		if (flow[heap[i]].t <= flow[heap[c]].t)
			return;
		t = heap[i];
		heap[i] = heap[c];
		heap[c] = t;
		i = c;
	}
}

int main(int argc, char **argv)
{
	const uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, SNAP, 1 };
	uint64_t packets = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	static char buffer[1 << 20];

	state ^= argc > 2 ? strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull : 0;
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	fwrite(head, sizeof(head), 1, stdout);
	for (unsigned i = 0; i < FLOWS; i++) {
		begin(&flow[i], 1700000000.0);
		heap[i] = i;
	}
	for (int i = FLOWS / 2; i >= 0; i--)
		sink_down((unsigned)i);
	while (written < packets) {
		struct flow *f = &flow[heap[0]];

		if (!(f->kind < DNS ? connection(f) : datagrams(f)))
			begin(f, f->t);
		sink_down(0);
	}
	return fflush(stdout) ? 1 : 0;
}
