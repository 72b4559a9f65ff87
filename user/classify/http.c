/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HTTP/1 (RFC 9112), HTTP/2 with prior knowledge (RFC 9113), SSDP (UPnP 1.1). */
#include "model.h"
#include "probe.h"

#define HEADERS_MAX 128

static const char *const methods[] = { "GET",	      "POST",	      "HEAD",
				       "PUT",	      "DELETE",	      "OPTIONS",
				       "CONNECT",     "PATCH",	      "TRACE",
				       "PROPFIND",    "PROPPATCH",    "MKCOL",
				       "COPY",	      "MOVE",	      "LOCK",
				       "UNLOCK",      "SEARCH",	      "REPORT",
				       "SUBSCRIBE",   "UNSUBSCRIBE",  "NOTIFY",
				       "BDELETE",     "BITS_POST",    "CCM_POST",
				       "RPC_IN_DATA", "RPC_OUT_DATA", "SSTP_DUPLEX_POST" };

/* Length of the method and its blank, 0 none; *more: cut before that can be told. */
static size_t method(struct seg s, bool *more)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t n = strlen(methods[i]), have = s.n < n ? s.n : n;

		if (memcmp(s.p, methods[i], have))
			continue;
		if (s.n <= n)
			*more = true;
		else if (s.p[n] == ' ')
			return n + 1;
	}
	return 0;
}

/* A line without its end; *s goes on behind it. False: no end yet. */
static bool line(struct seg *s, struct seg *l)
{
	const uint8_t *end = memchr(s->p, '\n', s->n);

	if (!end)
		return false;
	*l = (struct seg){ s->p, (size_t)(end - s->p) };
	*s = seg_skip(*s, l->n + 1);
	if (l->n && l->p[l->n - 1] == '\r')
		l->n--;
	return true;
}

/* host[:port] without its port; of a.b:80 "a.b", of [::1]:80 "::1". */
static struct seg without_port(struct seg h)
{
	const uint8_t *colon;

	while (h.n && (h.p[0] == ' ' || h.p[0] == '\t'))
		h = seg_skip(h, 1);
	while (h.n && (h.p[h.n - 1] == ' ' || h.p[h.n - 1] == '\t'))
		h.n--;
	if (h.n && h.p[0] == '[') {
		const uint8_t *end = memchr(h.p, ']', h.n);

		return end ? (struct seg){ h.p + 1, (size_t)(end - h.p) - 1 } : h;
	}
	colon = memchr(h.p, ':', h.n);
	if (colon)
		h.n = (size_t)(colon - h.p);
	return h;
}

static void target_host(struct seg target, bool connect, struct found *out)
{
	const uint8_t *slash;

	if (!connect) {
		if (!SEG_HAS_CASE(target, "http://"))
			return;
		target = seg_skip(target, 7);
	}
	slash = memchr(target.p, '/', target.n);
	if (slash)
		target.n = (size_t)(slash - target.p);
	target = without_port(target);
	found_host(out, target.p, target.n);
}

static bool version_at_end(struct seg l)
{
	return l.n > 9 && !memcmp(l.p + l.n - 9, " HTTP/1.", 8);
}

static void headers(struct seg s, bool full, struct found *out)
{
	struct seg l;

	for (unsigned i = 0; i < HEADERS_MAX; i++) {
		if (!line(&s, &l)) {
			out->final = full;
			return;
		}
		if (!l.n)
			break;
		if (SEG_HAS_CASE(l, "host:")) {
			struct seg h = without_port(seg_skip(l, 5));

			if (h.n)
				found_host(out, h.p, h.n);
			break;
		}
	}
	out->final = true;
}

static enum match request(struct seg s, bool full, struct found *out)
{
	struct seg l, start = s;
	bool more = false;
	size_t m;

	if (SEG_HAS(s, "PRI * HTTP/2.0\r\n")) {
		out->final = true;
		return MATCH_YES;
	}
	m = method(s, &more);
	if (!m)
		return (more || SEG_MAY(s, "PRI * HTTP/2.0\r\n")) && !full ? MATCH_MORE : MATCH_NO;
	if (!line(&s, &l)) {
		/* A long target, cut: words of a target only. */
		for (size_t i = m; i < start.n; i++)
			if (start.p[i] < 0x21 || start.p[i] > 0x7e)
				return MATCH_NO;
		if (start.n <= m)
			return full ? MATCH_NO : MATCH_MORE;
		if (start.p[m] != '/' && !SEG_HAS_CASE(seg_skip(start, m), "http"))
			return full ? MATCH_NO : MATCH_MORE;
		return MATCH_YES;
	}
	if (!version_at_end(l))
		return MATCH_NO;
	target_host((struct seg){ l.p + m, l.n - m - 9 }, SEG_HAS(l, "CONNECT "), out);
	if (SEG_HAS(seg_skip(l, m), "/announce?info_hash=") ||
	    SEG_HAS(seg_skip(l, m), "/scrape?info_hash="))
		out->sig = SIG_BITTORRENT;
	if (SEG_HAS(seg_skip(l, m), "/mmtls/"))
		out->sig = SIG_MMTLS;
	headers(s, full, out);
	return MATCH_YES;
}

static enum match response(struct seg s, bool full)
{
	if (SEG_HAS(s, "HTTP/1.0 ") || SEG_HAS(s, "HTTP/1.1 "))
		return MATCH_YES;
	return (SEG_MAY(s, "HTTP/1.0 ") || SEG_MAY(s, "HTTP/1.1 ")) && s.n && !full ? MATCH_MORE
										    : MATCH_NO;
}

enum match http_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_HTTP;
	for (unsigned w = 0; w < 2 && m != MATCH_YES; w++) {
		enum match a = MATCH_NO, b;

		if (!v->way[w].n)
			continue;
		a = request(v->way[w], v->full, out);
		b = response(v->way[w], v->full);
		if (a > m)
			m = a;
		if (b > m)
			m = b;
	}
	return m;
}

enum match ssdp_udp(const struct udp_view *v, struct found *out)
{
	struct seg d = v->d;

	out->l7 = WEIR_L7_SSDP;
	out->final = true;
	if (SEG_HAS(d, "M-SEARCH * HTTP/1.1\r\n") || SEG_HAS(d, "NOTIFY * HTTP/1.1\r\n"))
		return MATCH_YES;
	if (SEG_HAS(d, "HTTP/1.1 200 OK\r\n") &&
	    (memmem(d.p, d.n, "USN:", 4) || memmem(d.p, d.n, "\nST:", 4) ||
	     memmem(d.p, d.n, "\nSt:", 4)))
		return MATCH_YES;
	return MATCH_NO;
}
