/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS (RFC 8446, 5246, 6066) and DTLS (RFC 6347, 9147): records, hellos, names. */
#include "model.h"
#include "probe.h"

#define MAX_RECORD (16384 + 2048)
#define HS_MAX 6144 /* a ClientHello with post-quantum shares is about 1,800 bytes */

enum { CCS = 20, ALERT = 21, HANDSHAKE = 22, APPDATA = 23, HEARTBEAT = 24 };
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, HELLO_VERIFY = 3, CERTIFICATE = 11 };
enum { EXT_SNI = 0, EXT_ALPN = 16, EXT_ESNI = 0xffce, EXT_ECH = 0xfe0d };

/* A vector with a length in front of it, cut where the bytes end. */
static struct seg vec(struct seg *s, unsigned width)
{
	struct seg v;
	size_t n;

	if (s->n < width) {
		*s = (struct seg){ s->p, 0 };
		return *s;
	}
	n = width == 1 ? s->p[0] : be16(s->p);
	v = seg_head(seg_skip(*s, width), n);
	*s = seg_skip(*s, width + n);
	return v;
}

static void sni(struct seg e, struct found *out)
{
	struct seg list = vec(&e, 2);

	while (list.n > 3) {
		uint8_t type = list.p[0];
		size_t want = be16(list.p + 1);
		struct seg name;

		list = seg_skip(list, 1);
		name = vec(&list, 2);
		/* A name cut short is no name. */
		if (type == 0 && name.n && name.n == want) {
			found_host(out, name.p, name.n);
			return;
		}
	}
}

static void alpn(struct seg e, struct found *out)
{
	struct seg list = vec(&e, 2), name;
	size_t want = list.n ? list.p[0] : 0;

	name = vec(&list, 1);
	if (name.n && name.n == want)
		found_alpn(out, name.p, name.n);
}

static void extensions(struct seg s, struct found *out)
{
	struct seg all = vec(&s, 2);

	while (all.n >= 4) {
		unsigned type = be16(all.p);
		struct seg e;

		all = seg_skip(all, 2);
		e = vec(&all, 2);
		switch (type) {
		case EXT_SNI:
			if (!out->host[0])
				sni(e, out);
			break;
		case EXT_ALPN:
			alpn(e, out);
			break;
		case EXT_ECH:
		case EXT_ESNI:
			out->ech = true;
			break;
		}
	}
}

/* The body after the random; DTLS has a cookie in it. */
static void hello_body(struct seg s, bool dtls, struct found *out)
{
	vec(&s, 1); /* session id */
	if (dtls)
		vec(&s, 1);
	vec(&s, 2); /* cipher suites */
	vec(&s, 1); /* compression */
	extensions(s, out);
}

bool client_hello(struct seg hs, struct found *out)
{
	if (hs.n < 4 || hs.p[0] != CLIENT_HELLO)
		return false;
	if (hs.n >= 6 && (hs.p[4] != 3 || hs.p[5] > 4))
		return false;
	hello_body(seg_skip(seg_head(hs, 4 + be24(hs.p + 1)), 4 + 2 + 32), false, out);
	return true;
}

/*
 * Tor's link certificate up to TLS 1.2: subject CN www.<random>.net, issuer CN
 * www.<random>.com, nothing else in either name, both base32 of 8 to 20 letters.
 */
static bool tor_name(const uint8_t *p, size_t n, const char *tld, size_t most)
{
	if (n < 4 + 8 + 4 || n > 4 + most + 4 || memcmp(p, "www.", 4) || memcmp(p + n - 4, tld, 4))
		return false;
	for (size_t i = 4; i < n - 4; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '2' && p[i] <= '7')))
			return false;
	return true;
}

static bool tor_certificate(struct seg s)
{
	static const uint8_t cn[] = { 0x06, 0x03, 0x55, 0x04, 0x03 };
	unsigned names = 0;
	bool issuer = false;

	for (size_t i = 0; i + sizeof(cn) + 2 <= s.n && i < 1024; i++) {
		size_t len;

		if (memcmp(s.p + i, cn, sizeof(cn)))
			continue;
		len = s.p[i + 6];
		if (i + 7 + len > s.n)
			return false;
		names++;
		if (names == 1)
			issuer = tor_name(s.p + i + 7, len, ".com", 20);
		else
			return issuer && tor_name(s.p + i + 7, len, ".net", 20);
	}
	return false;
}

static bool record_header(const uint8_t *p, size_t n)
{
	unsigned len;

	if (p[0] < CCS || p[0] > HEARTBEAT || (n > 1 && p[1] != 3) || (n > 2 && p[2] > 4))
		return false;
	if (n < 5)
		return true;
	len = be16(p + 3);
	if (!len || len > MAX_RECORD)
		return false;
	return p[0] != CCS || len == 1;
}

/* Strings the handshake messages of s's records together; stops at the first other record. */
static size_t handshake(struct seg s, uint8_t *hs, size_t room, bool *cut)
{
	size_t n = 0;

	*cut = true;
	while (s.n >= 5 && record_header(s.p, 5)) {
		struct seg body;
		size_t len = be16(s.p + 3);

		if (s.p[0] != HANDSHAKE) {
			*cut = false;
			break;
		}
		body = seg_head(seg_skip(s, 5), len);
		if (body.n > room - n)
			body.n = room - n;
		memcpy(hs + n, body.p, body.n);
		n += body.n;
		if (n == room)
			break;
		s = seg_skip(s, 5 + len);
	}
	return n;
}

/* SSLv2's hello, as old clients open with it to offer TLS (RFC 5246 E.2). */
static bool sslv2_hello(struct seg s)
{
	size_t len, ciphers;

	if (s.n < 11 || !(s.p[0] & 0x80) || s.p[2] != CLIENT_HELLO)
		return false;
	len = be16(s.p) & 0x7fff;
	ciphers = be16(s.p + 5);
	return (s.p[3] == 3 ? s.p[4] <= 3 : s.p[3] == 0 && s.p[4] == 2) && ciphers % 3 == 0 &&
	       ciphers && be16(s.p + 7) <= 32 && len == 9 + ciphers + be16(s.p + 7) + be16(s.p + 9);
}

/* Records of a connection whose start was not seen: a header that leads to the next one. */
static enum match midway(struct seg s, bool full)
{
	size_t at = 0, records = 0;

	while (at + 5 <= s.n && record_header(s.p + at, 5) && s.p[at + 1] == 3) {
		if (s.p[at] == HANDSHAKE && at == 0)
			return MATCH_NO; /* a hello would have been taken for one */
		records++;
		at += 5 + be16(s.p + at + 3);
		if (at >= s.n || records == 3)
			break;
	}
	if (!records || (at + 5 <= s.n && records < 3))
		return MATCH_NO;
	if (records > 1 || at == s.n)
		return MATCH_YES;
	return full ? MATCH_YES : MATCH_MORE;
}

static enum match server_side(struct seg s, struct found *out)
{
	uint8_t hs[HS_MAX];
	bool cut;
	size_t n;

	if (s.n < 6 || s.p[0] != HANDSHAKE || !record_header(s.p, s.n))
		return MATCH_NO;
	if (s.p[5] != SERVER_HELLO)
		return MATCH_NO;
	n = handshake(s, hs, sizeof(hs), &cut);
	if (n >= 4) {
		size_t at = 4 + be24(hs + 1);

		if (at + 4 <= n && hs[at] == CERTIFICATE &&
		    tor_certificate((struct seg){ hs + at, n - at }))
			out->sig = SIG_TOR_CERT;
	}
	return MATCH_YES;
}

static enum match hello_side(struct seg s, const struct tcp_view *v, struct found *out)
{
	uint8_t hs[HS_MAX];
	size_t n, want;
	bool cut;

	if (!s.n || !record_header(s.p, s.n) || s.p[0] != HANDSHAKE)
		return MATCH_NO;
	if (s.n < 6)
		return v->full ? MATCH_NO : MATCH_MORE;
	if (s.p[5] != CLIENT_HELLO)
		return MATCH_NO;
	n = handshake(s, hs, sizeof(hs), &cut);
	if (n >= 4) {
		want = 4 + be24(hs + 1);
		/* What is there may have the name already, and the rest may never come. */
		if (!client_hello((struct seg){ hs, n < want ? n : want }, out))
			return MATCH_NO;
		out->final = n >= want || v->full || n == sizeof(hs) || !cut;
	}
	return MATCH_YES;
}

/*
 * Tor's clients send a made-up www.<4 to 25 base32 letters>.com and no ALPN,
 * which every browser has. Taken for that only where the name does not read like
 * words (two digits, or five consonants in a row) and is long enough to tell, and
 * where the server's certificate, as far as it is in the clear, is not for it.
 */
static bool tor_hello(const struct found *f, struct seg server)
{
	size_t n = strlen(f->host), run = 0, longest = 0, digits = 0;

	if (f->alpn[0] || f->ech || !tor_name((const uint8_t *)f->host, n, ".com", 25))
		return false;
	for (size_t i = 4; i < n - 4; i++) {
		bool digit = f->host[i] <= '9';

		digits += digit;
		run = digit || strchr("aeiouy", f->host[i]) ? 0 : run + 1;
		if (run > longest)
			longest = run;
	}
	return (digits >= 2 || longest >= 5) && !memmem(server.p, server.n, f->host + 4, n - 4);
}

enum match tls_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO, first;

	out->l7 = WEIR_L7_TLS;
	/* Usually the client's; in captures begun midway the sides may be swapped. */
	first = hello_side(v->way[TO_SERVER], v, out);
	if (first == MATCH_NO && v->way[TO_CLIENT].n)
		first = hello_side(v->way[TO_CLIENT], v, out);
	if (first == MATCH_NO && (sslv2_hello(v->way[TO_SERVER])))
		first = MATCH_YES;
	if (first == MATCH_YES && out->final && tor_hello(out, v->way[TO_CLIENT])) {
		out->sig = SIG_TOR_HELLO;
		/* The certificate says more. */
		out->final = v->full || v->way[TO_CLIENT].n > 1200;
	}
	for (unsigned w = 0; w < 2; w++)
		if (server_side(v->way[w], out) == MATCH_YES)
			m = MATCH_YES;
	if (first != MATCH_YES && m != MATCH_YES)
		for (unsigned w = 0; w < 2 && first != MATCH_YES; w++) {
			enum match mid = midway(v->way[w], v->full);

			if (mid > first)
				first = mid;
		}
	if (first == MATCH_YES || m == MATCH_YES)
		m = MATCH_YES;
	else
		m = first;
	if (m == MATCH_YES && (v->server_port == 853 || !strcmp(out->alpn, "dot")))
		out->l7 = WEIR_L7_DOT;
	return m;
}

/* Header, then for a handshake its message header; the two lengths must agree. */
enum match dtls_udp(const struct udp_view *v, struct found *out)
{
	struct seg d = v->d;
	const uint8_t *p = d.p;
	size_t len;

	if (d.n < 14 || p[0] < CCS || p[0] > APPDATA + 2)
		return MATCH_NO;
	/* DTLS 1.0, 1.2, and what OpenSSL before 0.9.8f (Cisco still) sends. */
	if (!(p[1] == 0xfe && (p[2] == 0xff || p[2] == 0xfd || p[2] == 0xfc)) &&
	    !(p[1] == 1 && p[2] == 0))
		return MATCH_NO;
	len = be16(p + 11);
	if (!len || len > MAX_RECORD || 13 + len > v->len)
		return MATCH_NO;
	out->l7 = WEIR_L7_DTLS;
	if (p[0] != HANDSHAKE || be16(p + 3))
		return MATCH_YES; /* encrypted, or no hello */
	if (d.n < 25 || (p[13] > 24 && p[13] != 254) || len < 12)
		return MATCH_YES;
	if (be24(p + 19) + be24(p + 22) > be24(p + 14))
		return MATCH_NO; /* fragment beyond its message */
	if (p[13] == CLIENT_HELLO && !be24(p + 19)) {
		hello_body(seg_skip(seg_head(d, 13 + len), 25 + 2 + 32), true, out);
		out->final = out->host[0] != 0;
	}
	return MATCH_YES;
}
