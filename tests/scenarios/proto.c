/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

#define SERVER_TLS (5 + 90 + 6 + 5 + 2900)
#define SERVER_NOISE (3 + 350)
#define FINISH_TLS (6 + 5 + 53)
#define FINISH_NOISE (3 + 280)

static const struct {
	const char *name;
	uint16_t port;
	int udp;
} protos[P_COUNT] = {
	[P_NOISE] = { "noise", 5222, 0 }, [P_TLS] = { "tls", 443, 0 },
	[P_HTTP] = { "http", 80, 0 },	  [P_RANDOM] = { "random", 8388, 0 },
	[P_STUN] = { "stun", 3478, 1 },	  [P_RTP] = { "rtp", 20000, 1 },
	[P_QUIC] = { "quic", 443, 1 },	  [P_DNS] = { "dns", 53, 1 },
};

static uint64_t state = 88172645463325252ull;

int proto_by_name(const char *name)
{
	for (int i = 0; i < P_COUNT; i++)
		if (!strcmp(protos[i].name, name))
			return i;
	return -1;
}

int proto_is_udp(enum proto p)
{
	return protos[p].udp;
}

uint16_t proto_port(enum proto p)
{
	return protos[p].port;
}

static uint64_t mix(uint64_t *s)
{
	/* splitmix64 (Steele, Lea, Flood 2014): every bit of the output looks uniform. */
	uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void seed(uint64_t s)
{
	state = s;
}

uint32_t rnd(void)
{
	return mix(&state) >> 32;
}

void rnd_fill(uint8_t *p, size_t n)
{
	while (n) {
		uint64_t v = mix(&state);
		size_t k = n < 8 ? n : 8;

		memcpy(p, &v, k);
		p += k;
		n -= k;
	}
}

static void whiten(uint8_t *p, const uint8_t nonce[8])
{
	uint64_t s;

	memcpy(&s, nonce, 8);
	for (int i = 0; i < 3; i++) {
		uint64_t v, k = mix(&s);

		memcpy(&v, p + 8 * i, 8);
		v ^= k;
		memcpy(p + 8 * i, &v, 8);
	}
}

void want_put(uint8_t out[WANT_LEN], const struct want *w)
{
	_Static_assert(sizeof(*w) == 20, "fits beside the mark");
	rnd_fill(out, 8);
	memcpy(out + 8, w, sizeof(*w));
	memcpy(out + 28, "want", 4);
	whiten(out + 8, out);
}

int want_get(const uint8_t in[WANT_LEN], struct want *w)
{
	uint8_t b[WANT_LEN];

	memcpy(b, in, WANT_LEN);
	whiten(b + 8, b);
	if (memcmp(b + 28, "want", 4))
		return 0;
	memcpy(w, b + 8, sizeof(*w));
	return 1;
}

struct buf {
	uint8_t *p;
	size_t n;
};

static void put(struct buf *b, const void *data, size_t n)
{
	memcpy(b->p + b->n, data, n);
	b->n += n;
}

static void put8(struct buf *b, unsigned v)
{
	b->p[b->n++] = v;
}

static void put16(struct buf *b, unsigned v)
{
	put8(b, v >> 8);
	put8(b, v & 255);
}

static void put24(struct buf *b, unsigned v)
{
	put8(b, v >> 16);
	put16(b, v & 0xffff);
}

static void put_rnd(struct buf *b, size_t n)
{
	rnd_fill(b->p + b->n, n);
	b->n += n;
}

static void set16(struct buf *b, size_t at, unsigned v)
{
	b->p[at] = v >> 8;
	b->p[at + 1] = v & 255;
}

/* A ClientHello handshake message (RFC 8446 4.1.2); quic leaves the session id empty. */
static void client_hello(struct buf *b, const uint8_t random[32], const char *name, int quic)
{
	static const uint8_t suites[] = { 0x13, 1,    0x13, 2,	  0x13, 3,    0xc0,
					  0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30 };
	static const uint8_t groups[] = { 0, 10, 0, 8, 0, 6, 0, 0x1d, 0, 0x17, 0, 0x18 };
	static const uint8_t algs[] = { 0, 13, 0, 14, 0, 12, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 6, 1 };
	static const uint8_t versions[] = { 0, 43, 0, 5, 4, 3, 4, 3, 3 };
	size_t start = b->n, ext, len = strlen(name);

	put8(b, 1);
	put24(b, 0);
	put16(b, 0x0303);
	put(b, random, 32);
	put8(b, quic ? 0 : 32);
	if (!quic)
		put_rnd(b, 32);
	put16(b, sizeof(suites));
	put(b, suites, sizeof(suites));
	put16(b, 0x0100);
	ext = b->n;
	put16(b, 0);
	if (len) {
		put16(b, 0);
		put16(b, len + 5);
		put16(b, len + 3);
		put8(b, 0);
		put16(b, len);
		put(b, name, len);
	}
	put(b, groups, sizeof(groups));
	put(b, algs, sizeof(algs));
	put(b, versions, sizeof(versions));
	put16(b, 16); /* ALPN */
	if (quic) {
		put16(b, 5);
		put16(b, 3);
		put(b, "\2h3", 3);
		put16(b, 57); /* transport parameters: max_idle_timeout */
		put16(b, 4);
		put(b, "\1\2\x40\x64", 4);
	} else {
		put16(b, 14);
		put16(b, 12);
		put(b, "\2h2\10http/1.1", 12);
	}
	put16(b, 51); /* key_share, x25519 */
	put16(b, 38);
	put16(b, 36);
	put16(b, 0x1d);
	put16(b, 32);
	put_rnd(b, 32);
	set16(b, ext, b->n - ext - 2);
	b->p[start + 1] = 0;
	set16(b, start + 2, b->n - start - 4);
}

size_t hello_client(enum proto p, uint8_t *out, const struct want *w, const char *name)
{
	struct buf b = { out, 0 };
	uint8_t wb[WANT_LEN];

	want_put(wb, w);
	switch (p) {
	case P_NOISE: /* prologue, then a protobuf with the ephemeral key */
		put(&b, "WA\6\3", 4);
		put24(&b, 36);
		put(&b, "\x12\x22\x0a\x20", 4);
		put(&b, wb, 32);
		break;
	case P_TLS:
		put(&b, "\x16\3\1\0\0", 5);
		client_hello(&b, wb, name, 0);
		set16(&b, 3, b.n - 5);
		break;
	case P_HTTP:
		b.n = sprintf((char *)out, "%s /", w->upchunk ? "POST" : "GET");
		for (int i = 0; i < WANT_LEN; i++)
			b.n += sprintf((char *)out + b.n, "%02x", wb[i]);
		b.n += sprintf((char *)out + b.n,
			       " HTTP/1.1\r\nHost: %s\r\nUser-Agent: traffic/1\r\n"
			       "Accept: */*\r\nContent-Length: %u\r\n\r\n",
			       name, w->upchunk);
		break;
	case P_RANDOM:
		put(&b, wb, 32);
		put_rnd(&b, 180 + rnd() % 300);
		break;
	default:
		break;
	}
	return b.n;
}

/* The name in a ClientHello's server_name extension, by its fixed layout above or any other. */
static void sni_of(const uint8_t *h, size_t n, char *name)
{
	size_t at = 4 + 2 + 32, end;

	*name = 0;
	if (n < at + 1)
		return;
	at += 1 + h[at];
	if (n < at + 2)
		return;
	at += 2 + (h[at] << 8 | h[at + 1]);
	if (n < at + 1)
		return;
	at += 1 + h[at] + 2;
	end = n;
	while (at + 4 <= end) {
		unsigned type = h[at] << 8 | h[at + 1], len = h[at + 2] << 8 | h[at + 3];

		at += 4;
		if (at + len > end)
			return;
		if (!type && len > 5 && len - 5 < 255) {
			memcpy(name, h + at + 5, len - 5);
			name[len - 5] = 0;
			return;
		}
		at += len;
	}
}

long hello_parse(enum proto p, const uint8_t *in, size_t len, struct want *w, char *name)
{
	const char *end, *host;
	size_t n;

	*name = 0;
	switch (p) {
	case P_NOISE:
		if (len < 4 + 3 + 36)
			return 0;
		return want_get(in + 11, w) ? 4 + 3 + 36 : -1;
	case P_TLS:
		if (len < 5)
			return 0;
		n = 5 + (in[3] << 8 | in[4]);
		if (len < n)
			return 0;
		sni_of(in + 5, n - 5, name);
		return n > 43 && want_get(in + 11, w) ? (long)n : -1;
	case P_HTTP:
		end = memmem(in, len, "\r\n\r\n", 4);
		if (!end)
			return 0;
		host = memmem(in, len, "Host: ", 6);
		if (host)
			sscanf(host + 6, "%255[^\r\n]", name);
		host = memchr(in, '/', len);
		if (!host || (const uint8_t *)host + 1 + 2 * WANT_LEN > in + len)
			return -1;
		{
			uint8_t wb[WANT_LEN];
			unsigned v;

			for (int i = 0; i < WANT_LEN; i++) {
				if (sscanf(host + 1 + 2 * i, "%2x", &v) != 1)
					return -1;
				wb[i] = v;
			}
			return want_get(wb, w) ? end + 4 - (const char *)in : -1;
		}
	case P_RANDOM: /* no framing: whatever came first is the hello */
		if (len < WANT_LEN)
			return 0;
		return want_get(in, w) ? (long)len : -1;
	default:
		return -1;
	}
}

size_t hello_server_len(enum proto p)
{
	return p == P_NOISE ? SERVER_NOISE : p == P_TLS ? SERVER_TLS : p == P_RANDOM ? 120 : 0;
}

size_t hello_finish_len(enum proto p)
{
	return p == P_NOISE ? FINISH_NOISE : p == P_TLS ? FINISH_TLS : 0;
}

size_t hello_server(enum proto p, uint8_t *out)
{
	struct buf b = { out, 0 };

	switch (p) {
	case P_NOISE:
		put24(&b, 350);
		put(&b, "\x1a\xdb\x02\x0a\x20", 5);
		put_rnd(&b, 345);
		break;
	case P_TLS: /* ServerHello, ChangeCipherSpec, encrypted extensions and certificate */
		put(&b, "\x16\3\3\0\x5a\2\0\0\x56\3\3", 11);
		put_rnd(&b, 32);
		put8(&b, 32);
		put_rnd(&b, 32);
		put(&b, "\x13\1\0\0\x0e\0\x2b\0\2\3\4\0\x33\0\4\0\x1d\0\0", 19);
		put(&b, "\x14\3\3\0\1\1", 6);
		put8(&b, 0x17);
		put16(&b, 0x0303);
		put16(&b, 2900);
		put_rnd(&b, 2900);
		break;
	case P_RANDOM:
		put_rnd(&b, 120);
		break;
	default:
		break;
	}
	return b.n;
}

size_t hello_finish(enum proto p, uint8_t *out)
{
	struct buf b = { out, 0 };

	if (p == P_NOISE) {
		put24(&b, 280);
		put(&b, "\x22\x95\x02\x0a\x30", 5);
		put_rnd(&b, 275);
	} else if (p == P_TLS) {
		put(&b, "\x14\3\3\0\1\1\x17\3\3\0\x35", 11);
		put_rnd(&b, 53);
	}
	return b.n;
}

size_t frame_max(enum proto p)
{
	return p == P_NOISE ? 60000 : 16000;
}

size_t frame_header(enum proto p, uint8_t *out, size_t n)
{
	struct buf b = { out, 0 };

	if (p == P_TLS) {
		put(&b, "\x17\3\3", 3);
		put16(&b, n);
	} else if (p == P_NOISE) {
		put24(&b, n);
	}
	return b.n;
}

size_t stun_request(uint8_t *out, const struct want *w)
{
	struct buf b = { out, 0 };
	uint8_t wb[WANT_LEN];

	want_put(wb, w);
	put(&b, "\0\1\0\x24\x21\x12\xa4\x42", 8);
	put_rnd(&b, 12);
	put16(&b, 0x8022); /* SOFTWARE: 32 opaque bytes */
	put16(&b, WANT_LEN);
	put(&b, wb, WANT_LEN);
	return b.n;
}

size_t stun_response(uint8_t *out, const uint8_t *request)
{
	struct buf b = { out, 0 };

	put(&b, "\1\1\0\x0c\x21\x12\xa4\x42", 8);
	put(&b, request + 8, 12);
	put(&b, "\0\x20\0\x08\0\1", 6);
	put_rnd(&b, 6);
	return b.n;
}

size_t rtp_packet(uint8_t *out, uint16_t seq, uint32_t ssrc, const struct want *w, size_t size)
{
	struct buf b = { out, 0 };
	uint32_t ts = seq * 960u;

	put8(&b, 0x80);
	put8(&b, 111);
	put16(&b, seq);
	put16(&b, ts >> 16);
	put16(&b, ts & 0xffff);
	put16(&b, ssrc >> 16);
	put16(&b, ssrc & 0xffff);
	if (w) {
		want_put(out + b.n, w);
		b.n += WANT_LEN;
	}
	if (size > b.n)
		put_rnd(&b, size - b.n);
	return b.n;
}

size_t quic_short(uint8_t *out, const uint8_t cid[8], const struct want *w, size_t size)
{
	struct buf b = { out, 0 };

	put8(&b, 0x40 | (rnd() & 0x1f));
	put(&b, cid, 8);
	if (w) {
		want_put(out + b.n, w);
		b.n += WANT_LEN;
	}
	if (size > b.n)
		put_rnd(&b, size - b.n);
	return b.n;
}

size_t dns_query(uint8_t *out, uint16_t id, const char *name)
{
	struct buf b = { out, 0 };

	put16(&b, id);
	put(&b, "\1\0\0\1\0\0\0\0\0\0", 10);
	while (*name) {
		size_t n = strcspn(name, ".");

		put8(&b, n);
		put(&b, name, n);
		name += n + (name[n] == '.');
	}
	put8(&b, 0);
	put(&b, "\0\1\0\1", 4);
	return b.n;
}

/* quic.c builds its Initial around this. */
size_t quic_client_hello(uint8_t *out, const char *name);
size_t quic_client_hello(uint8_t *out, const char *name)
{
	struct buf b = { out, 0 };
	uint8_t random[32];

	rnd_fill(random, 32);
	client_hello(&b, random, name, 1);
	return b.n;
}
