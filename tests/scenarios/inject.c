/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forges packets on the path: watches an interface, and when a packet meets the condition, sends
 * what a middlebox would. For the scenarios' own network namespaces only.
 *
 *	inject IFACE ON PORT DO [KEY=VALUE...]
 *
 * ON    syn | synack | data (client's first payload) | sni:TEXT | payload:TEXT | down:N (the
 *       server's Nth segment with payload) | query:NAME (DNS)
 * PORT  the server's, 0 any
 * DO    rst | fin | synack | page | data | alert | dns:ADDRESS
 * KEY   to=cli|srv|both  flags=R|RA  n=COPIES  step=BYTES (seq of each next copy)
 *       seq=right|start|zero|random|past  ttl=N|copy|random  ipid=N|copy|random  win=N
 *       payload=BYTES  delay=MS  gap=MS (between copies)  times=N (per flow)
 *       for=SECONDS (then it ends; for ever without)
 *       upmac=MAC downmac=MAC (next hop to the server, to the client)  upif=IFACE downif=IFACE
 *
 * Prints "forged SRC SPORT DST DPORT KIND" per packet sent, client first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

enum { FLOWS = 4096, QUEUE = 4096, FRAME = 1600 };
enum on { ON_SYN, ON_SYNACK, ON_DATA, ON_SNI, ON_PAYLOAD, ON_DOWN, ON_QUERY };
enum act { DO_RST, DO_FIN, DO_SYNACK, DO_PAGE, DO_DATA, DO_ALERT, DO_DNS };
enum { COPY = -1, RANDOM = -2 };
enum seqmode { SEQ_RIGHT, SEQ_START, SEQ_ZERO, SEQ_RANDOM, SEQ_PAST };

static struct {
	enum on on;
	const char *text;
	unsigned nth, port;
	enum act act;
	uint32_t answer;
	int to_cli, to_srv, flags, copies, step, ttl, ipid, win, payload, delay, gap, times;
	int seconds;
	enum seqmode seq;
	uint8_t upmac[6], downmac[6], own[6];
	int ifindex, upif, downif;
} c = { .to_cli = 1,
	.flags = TH_RST | TH_ACK,
	.copies = 1,
	.ttl = 64,
	.ipid = 0,
	.win = 0,
	.times = 1 };

/* What was seen of a flow: its server's last TTL and IPID, how often it was struck. */
static struct flow {
	uint32_t cli, srv;
	uint16_t cport, sport;
	uint8_t ttl_srv, ttl_cli;
	uint16_t id_srv, id_cli;
	unsigned down, hits;
} flows[FLOWS];

static struct queued {
	uint64_t at_us;
	int used, toward_srv;
	size_t n;
	uint8_t frame[FRAME];
	uint32_t cli, srv;
	uint16_t cport, sport;
} queue[QUEUE];

static const char *const names[] = { "rst", "fin", "synack", "page", "data", "alert", "dns" };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t s)
{
	for (; n > 1; p += 2, n -= 2)
		s += p[0] << 8 | p[1];
	return n ? s + (p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons(~s & 0xffff);
}

static struct flow *flow_of(uint32_t cli, uint16_t cport, uint32_t srv, uint16_t sport)
{
	uint32_t h = (cli * 2654435761u) ^ (srv * 40503u) ^ (cport * 65599u) ^ sport;

	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow *f = &flows[(h + i) % FLOWS];

		if (!f->cli) {
			*f = (struct flow){ cli, srv, cport, sport, 64, 64, 0, 0, 0, 0 };
			return f;
		}
		if (f->cli == cli && f->srv == srv && f->cport == cport && f->sport == sport)
			return f;
	}
	return &flows[h % FLOWS];
}

static int pick(int mode, int copied, unsigned range, unsigned low)
{
	return mode == COPY ? copied : mode == RANDOM ? (int)(low + rnd() % range) : mode;
}

/* Puts a forged packet into the queue. seq and ack in host order; l4 is TCP unless udp. */
static void enqueue(const struct flow *f, int toward_srv, int udp, uint32_t seq, uint32_t ack,
		    int flags, const uint8_t *payload, size_t plen, uint64_t at)
{
	struct queued *q = NULL;
	size_t l4 = udp ? 8 : flags & TH_SYN ? 24 : 20;
	struct iphdr *ip;
	uint8_t *p, *t;
	uint32_t s;

	for (unsigned i = 0; i < QUEUE && !q; i++)
		if (!queue[i].used)
			q = &queue[i];
	if (!q || 14 + 20 + l4 + plen > FRAME) {
		fprintf(stderr, "inject: queue full\n");
		return;
	}
	memset(q, 0, sizeof(*q));
	q->used = 1;
	q->at_us = at;
	q->toward_srv = toward_srv;
	q->cli = f->cli;
	q->srv = f->srv;
	q->cport = f->cport;
	q->sport = f->sport;
	p = q->frame;
	memcpy(p, toward_srv ? c.upmac : c.downmac, 6);
	memcpy(p + 6, c.own, 6);
	p[12] = 8;
	ip = (struct iphdr *)(p + 14);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(20 + l4 + plen);
	ip->id = htons(pick(c.ipid, (toward_srv ? f->id_cli : f->id_srv) + 1, 65535, 1));
	ip->frag_off = htons(IP_DF);
	ip->ttl = pick(c.ttl, toward_srv ? f->ttl_cli : f->ttl_srv, 160, 40);
	ip->protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
	ip->saddr = toward_srv ? f->cli : f->srv;
	ip->daddr = toward_srv ? f->srv : f->cli;
	ip->check = fold(sum16((uint8_t *)ip, 20, 0));
	t = p + 34;
	memcpy(t, toward_srv ? &f->cport : &f->sport, 2);
	memcpy(t + 2, toward_srv ? &f->sport : &f->cport, 2);
	if (udp) {
		uint16_t len = htons(8 + plen);

		memcpy(t + 4, &len, 2);
	} else {
		seq = htonl(seq);
		ack = flags & TH_ACK ? htonl(ack) : 0;
		memcpy(t + 4, &seq, 4);
		memcpy(t + 8, &ack, 4);
		t[12] = (l4 / 4) << 4;
		t[13] = flags;
		t[14] = c.win >> 8;
		t[15] = c.win & 255;
		if (flags & TH_SYN)
			memcpy(t + 20, "\2\4\5\xb4", 4);
	}
	memcpy(t + l4, payload, plen);
	s = sum16((uint8_t *)&ip->saddr, 8, ip->protocol + l4 + plen);
	s = fold(sum16(t, l4 + plen, s));
	memcpy(t + (udp ? 6 : 16), &(uint16_t){ s }, 2);
	q->n = 34 + l4 + plen;
}

struct seen {
	struct flow *f;
	int from_client, udp, flags;
	uint32_t seq, ack;
	const uint8_t *payload;
	size_t len;
};

/* start: where the packet in question begins, as if its header were taken. */
static uint32_t seq_by_mode(uint32_t right, size_t len)
{
	switch (c.seq) {
	case SEQ_START:
		return right - len;
	case SEQ_ZERO:
		return 0;
	case SEQ_RANDOM:
		return rnd();
	case SEQ_PAST:
		return right + 100000;
	default:
		return right;
	}
}

static void strike_dns(const struct seen *s, uint64_t at)
{
	uint8_t out[600];
	size_t q = s->len;

	if (q + 16 > sizeof(out))
		return;
	memcpy(out, s->payload, q);
	memcpy(out + 2, "\x81\x80\0\1\0\1\0\0\0\0", 10);
	memcpy(out + q, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4", 12);
	memcpy(out + q + 12, &c.answer, 4);
	/* an EDNS record of the query would follow its question: our queries have none */
	enqueue(s->f, 0, 1, 0, 0, 0, out, q + 16, at);
}

static void strike(const struct seen *s)
{
	static const char page[] =
		"HTTP/1.1 302 Found\r\nLocation: http://blocked.example/notice\r\n"
		"Content-Length: 0\r\nConnection: close\r\n\r\n";
	uint8_t junk[1460];
	/* What each side expects next, this packet counted. */
	uint32_t next = s->seq + s->len + !!(s->flags & (TH_SYN | TH_FIN));
	uint32_t cli_next = s->from_client ? next : s->ack,
		 srv_next = s->from_client ? s->ack : next;
	uint64_t at = now_us() + c.delay * 1000ull;

	rnd_fill(junk, sizeof(junk));
	for (int i = 0; i < c.copies; i++, at += c.gap * 1000ull) {
		uint32_t cs = seq_by_mode(srv_next, s->len) + i * c.step,
			 ss = seq_by_mode(cli_next, s->len) + i * c.step;

		switch (c.act) {
		case DO_RST:
			if (c.to_cli)
				enqueue(s->f, 0, 0, cs, cli_next, c.flags, junk, c.payload, at);
			if (c.to_srv)
				enqueue(s->f, 1, 0, ss, srv_next, c.flags, junk, c.payload, at);
			break;
		case DO_FIN:
			if (c.to_cli)
				enqueue(s->f, 0, 0, cs, cli_next, TH_FIN | TH_ACK, junk, 0, at);
			if (c.to_srv)
				enqueue(s->f, 1, 0, ss, srv_next, TH_FIN | TH_ACK, junk, 0, at);
			break;
		case DO_SYNACK:
			enqueue(s->f, 0, 0, rnd(), cli_next, TH_SYN | TH_ACK, junk, 0, at);
			break;
		case DO_PAGE:
			enqueue(s->f, 0, 0, cs, cli_next, TH_PUSH | TH_ACK | TH_FIN,
				(const uint8_t *)page, sizeof(page) - 1, at);
			break;
		case DO_DATA:
			enqueue(s->f, 0, 0, cs, cli_next, TH_PUSH | TH_ACK, junk, c.payload ?: 400,
				at);
			break;
		case DO_ALERT:
			enqueue(s->f, 0, 0, cs, cli_next, TH_PUSH | TH_ACK,
				(const uint8_t *)"\x15\3\3\0\2\2\x28", 7, at);
			break;
		case DO_DNS:
			strike_dns(s, at);
			break;
		}
	}
}

static int has(const struct seen *s, const char *text)
{
	return s->len && memmem(s->payload, s->len, text, strlen(text));
}

static int meets(const struct seen *s)
{
	char label[64];

	switch (c.on) {
	case ON_SYN:
		return s->from_client && (s->flags & (TH_SYN | TH_ACK)) == TH_SYN;
	case ON_SYNACK:
		return !s->from_client && (s->flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK);
	case ON_DATA:
		return s->from_client && !s->udp && s->len;
	case ON_SNI:
		return s->from_client && s->len > 5 && s->payload[0] == 0x16 && has(s, c.text);
	case ON_PAYLOAD:
		return s->from_client && has(s, c.text);
	case ON_DOWN:
		return !s->from_client && s->len && ++s->f->down == c.nth;
	case ON_QUERY: /* the first label of the name */
		snprintf(label, sizeof(label), "%c%.*s", (int)strcspn(c.text, "."),
			 (int)strcspn(c.text, "."), c.text);
		return s->from_client && s->udp && has(s, label);
	}
	return 0;
}

static void look(const uint8_t *p, size_t n)
{
	const struct iphdr *ip = (const struct iphdr *)(p + 14);
	struct seen s = { 0 };
	uint32_t cli, srv;
	uint16_t sp, dp, cport, sport;
	const uint8_t *t;
	size_t l4;

	if (n < 34 || p[12] != 8 || p[13] || ip->version != 4)
		return;
	t = p + 14 + ip->ihl * 4;
	if (ntohs(ip->tot_len) + 14u < n)
		n = ntohs(ip->tot_len) + 14u;
	s.udp = ip->protocol == IPPROTO_UDP;
	if ((!s.udp && ip->protocol != IPPROTO_TCP) || t + (s.udp ? 8 : 20) > p + n)
		return;
	memcpy(&sp, t, 2);
	memcpy(&dp, t + 2, 2);
	/* The client's is the higher port: so our scenarios are made. */
	s.from_client = ntohs(sp) > ntohs(dp);
	cli = s.from_client ? ip->saddr : ip->daddr;
	srv = s.from_client ? ip->daddr : ip->saddr;
	cport = s.from_client ? sp : dp;
	sport = s.from_client ? dp : sp;
	if (c.port && ntohs(sport) != c.port)
		return;
	s.f = flow_of(cli, cport, srv, sport);
	if (s.from_client) {
		s.f->ttl_cli = ip->ttl;
		s.f->id_cli = ntohs(ip->id);
	} else {
		s.f->ttl_srv = ip->ttl;
		s.f->id_srv = ntohs(ip->id);
	}
	l4 = s.udp ? 8 : (t[12] >> 4) * 4;
	if (l4 < 8 || t + l4 > p + n)
		return;
	if (!s.udp) {
		memcpy(&s.seq, t + 4, 4);
		memcpy(&s.ack, t + 8, 4);
		s.seq = ntohl(s.seq);
		s.ack = ntohl(s.ack);
		s.flags = t[13];
	}
	s.payload = t + l4;
	s.len = p + n - s.payload;
	if (s.f->hits < (unsigned)c.times && meets(&s)) {
		s.f->hits++;
		strike(&s);
	}
}

static int mode_of(const char *v)
{
	return !strcmp(v, "copy") ? COPY : !strcmp(v, "random") ? RANDOM : atoi(v);
}

static int option(char *kv)
{
	static const char *const seqs[] = { "right", "start", "zero", "random", "past" };
	char *v = strchr(kv, '=');
	unsigned m[6];

	if (!v)
		return -1;
	*v++ = 0;
	if (!strcmp(kv, "to")) {
		c.to_cli = strcmp(v, "srv") != 0;
		c.to_srv = strcmp(v, "cli") != 0;
	} else if (!strcmp(kv, "flags"))
		c.flags = !strcmp(v, "R") ? TH_RST : TH_RST | TH_ACK;
	else if (!strcmp(kv, "n"))
		c.copies = atoi(v);
	else if (!strcmp(kv, "step"))
		c.step = atoi(v);
	else if (!strcmp(kv, "ttl"))
		c.ttl = mode_of(v);
	else if (!strcmp(kv, "ipid"))
		c.ipid = mode_of(v);
	else if (!strcmp(kv, "win"))
		c.win = atoi(v);
	else if (!strcmp(kv, "payload"))
		c.payload = atoi(v);
	else if (!strcmp(kv, "delay"))
		c.delay = atoi(v);
	else if (!strcmp(kv, "gap"))
		c.gap = atoi(v);
	else if (!strcmp(kv, "for"))
		c.seconds = atoi(v);
	else if (!strcmp(kv, "times"))
		c.times = atoi(v);
	else if (!strcmp(kv, "upif"))
		c.upif = if_nametoindex(v);
	else if (!strcmp(kv, "downif"))
		c.downif = if_nametoindex(v);
	else if (!strcmp(kv, "seq")) {
		for (unsigned i = 0; i < 5; i++)
			if (!strcmp(v, seqs[i])) {
				c.seq = i;
				return 0;
			}
		return -1;
	} else if ((!strcmp(kv, "upmac") || !strcmp(kv, "downmac")) &&
		   sscanf(v, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) == 6) {
		for (int i = 0; i < 6; i++)
			(kv[0] == 'u' ? c.upmac : c.downmac)[i] = m[i];
	} else
		return -1;
	return 0;
}

static int condition(char *on)
{
	static const char *const ons[] = { "syn",     "synack", "data", "sni",
					   "payload", "down",	"query" };
	char *arg = strchr(on, ':');

	if (arg)
		*arg++ = 0;
	for (unsigned i = 0; i < sizeof(ons) / sizeof(*ons); i++)
		if (!strcmp(on, ons[i])) {
			c.on = i;
			c.text = arg;
			c.nth = arg ? atoi(arg) : 1;
			return i >= ON_SNI && !arg ? -1 : 0;
		}
	return -1;
}

static int action(char *act)
{
	char *arg = strchr(act, ':');

	if (arg)
		*arg++ = 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(act, names[i])) {
			c.act = i;
			return i == DO_DNS ? -(!arg || inet_pton(AF_INET, arg, &c.answer) != 1) : 0;
		}
	return -1;
}

static void flush(int fd)
{
	uint64_t t = now_us();
	char a[16], b[16];

	for (unsigned i = 0; i < QUEUE; i++) {
		struct queued *q = &queue[i];
		struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };

		if (!q->used || q->at_us > t)
			continue;
		to.sll_ifindex = q->toward_srv ? c.upif : c.downif;
		memcpy(to.sll_addr, q->frame, 6);
		if (sendto(fd, q->frame, q->n, 0, (void *)&to, sizeof(to)) < 0)
			fprintf(stderr, "inject: send: %s\n", strerror(errno));
		inet_ntop(AF_INET, &q->cli, a, sizeof(a));
		inet_ntop(AF_INET, &q->srv, b, sizeof(b));
		printf("forged %s %u %s %u %s\n", a, ntohs(q->cport), b, ntohs(q->sport),
		       names[c.act]);
		q->used = 0;
	}
}

static int wait_ms(void)
{
	uint64_t t = now_us(), next = t + 1000000;

	for (unsigned i = 0; i < QUEUE; i++)
		if (queue[i].used && queue[i].at_us < next)
			next = queue[i].at_us;
	return next <= t ? 0 : (next - t + 999) / 1000;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	uint8_t frame[65536];
	int fd;

	if (argc < 5) {
		fprintf(stderr, "usage: inject IFACE ON PORT DO [KEY=VALUE...]\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed(now_us());
	c.ifindex = c.upif = c.downif = if_nametoindex(argv[1]);
	c.port = atoi(argv[3]);
	if (!c.ifindex || condition(argv[2]) || action(argv[4])) {
		fprintf(stderr, "inject: no such interface, condition or action\n");
		return 64;
	}
	for (int i = 5; i < argc; i++)
		if (option(argv[i])) {
			fprintf(stderr, "inject: what is %s?\n", argv[i]);
			return 64;
		}
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	at.sll_ifindex = c.ifindex;
	if (fd < 0 || bind(fd, (void *)&at, sizeof(at))) {
		perror("inject: packet socket");
		return 77;
	}
	alarm(c.seconds);
	rnd_fill(c.own, 6);
	c.own[0] = 2;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		flush(fd);
		if (poll(&p, 1, wait_ms()) > 0) {
			ssize_t n = recv(fd, frame, sizeof(frame), 0);
			if (n > 0)
				look(frame, n);
		}
	}
}
