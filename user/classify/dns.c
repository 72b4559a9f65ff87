/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns.h"
#include "model.h"

#define JUMPS_MAX 16
#define RECORDS_MAX 64

/*
 * A name at *at as text (escaped to printable later); *at goes behind it.
 * out may be NULL. False: runs out of the message, or loops.
 */
static bool name(struct seg d, size_t *at, char *out, size_t room)
{
	size_t i = *at, n = 0;
	unsigned jumps = 0;

	for (;;) {
		unsigned l;

		if (i >= d.n)
			return false;
		l = d.p[i];
		if (!l)
			break;
		if ((l & 0xc0) == 0xc0) {
			if (i + 1 >= d.n || ++jumps > JUMPS_MAX)
				return false;
			if (jumps == 1)
				*at = i + 2;
			i = (l & 0x3f) << 8 | d.p[i + 1];
			continue;
		}
		if (l > 63 || i + 1 + l > d.n)
			return false;
		if (out && n + l + 1 < room) {
			if (n)
				out[n++] = '.';
			memcpy(out + n, d.p + i + 1, l);
			n += l;
		}
		i += 1 + l;
	}
	if (!jumps)
		*at = i + 1;
	if (out)
		out[n] = 0;
	return true;
}

static bool question(struct seg d, size_t *at, struct found *out)
{
	char text[HOST_LEN];
	unsigned class;

	if (!name(d, at, text, sizeof(text)) || *at + 4 > d.n)
		return false;
	class = be16(d.p + *at + 2) & 0x7fff;
	*at += 4;
	if (!out->host[0] && text[0])
		found_host(out, (const uint8_t *)text, strlen(text));
	return class == 1 || class == 255 || class == 3 || class == 4;
}

bool dns_message(struct seg d, bool strict, struct found *out)
{
	unsigned flags, opcode, qd, an, ns, ar;
	size_t at = 12;

	if (d.n < 12)
		return false;
	flags = be16(d.p + 2);
	opcode = flags >> 11 & 15;
	qd = be16(d.p + 4);
	an = be16(d.p + 6);
	ns = be16(d.p + 8);
	ar = be16(d.p + 10);
	if (opcode == 3 || opcode > 6 || (strict && opcode && opcode != 4 && opcode != 5))
		return false;
	if (strict) {
		if (flags & 0x0040 || qd > 8 || (!(flags & 0x8000) && (flags & 0x000f)))
			return false;
		if (!qd && (!an || !(flags & 0x8000)))
			return false;
		if (an > 200 || ns > 200 || ar > 200 || (!(flags & 0x8000) && an > 32))
			return false;
		if (qd && !question(d, &at, out))
			return false;
		if (!qd && !name(d, &at, NULL, 0))
			return false;
		/* A question without more ends where the message does. */
		return qd != 1 || an || ns || ar || at == d.n;
	}
	if (qd > 64 || qd + an + ns + ar == 0)
		return flags & 0x8000 && (flags & 15) && !qd && d.n == 12;
	/* A damaged question, as tunnels and broken clients send: the header must be a plain one.
	 */
	if (qd && !question(d, &at, out))
		return !opcode && qd <= 2;
	return true;
}

bool dns_addresses(struct seg d, struct dns_answer *out)
{
	struct found f = { 0 };
	unsigned qd, an;
	size_t at = 12;

	out->n = 0;
	out->name[0] = 0;
	if (d.n < 12 || !(d.p[2] & 0x80) || (d.p[3] & 15))
		return false;
	qd = be16(d.p + 4);
	an = be16(d.p + 6);
	if (qd != 1 || !an || !question(d, &at, &f) || !f.host[0])
		return false;
	memcpy(out->name, f.host, sizeof(out->name));
	for (unsigned i = 0; i < an && i < RECORDS_MAX && out->n < DNS_ADDRESSES; i++) {
		struct dns_address *a = &out->a[out->n];
		unsigned type, len;

		if (!name(d, &at, NULL, 0) || at + 10 > d.n)
			break;
		type = be16(d.p + at);
		a->ttl = be32(d.p + at + 4);
		len = be16(d.p + at + 8);
		at += 10;
		if (at + len > d.n)
			break;
		if (type == 1 && len == 4) {
			memset(&a->ip, 0, 10);
			memset(a->ip.s6_addr + 10, 0xff, 2);
			memcpy(a->ip.s6_addr + 12, d.p + at, 4);
			out->n++;
		} else if (type == 28 && len == 16) {
			memcpy(&a->ip, d.p + at, 16);
			out->n++;
		}
		at += len;
	}
	return out->n;
}

enum match dns_udp(const struct udp_view *v, struct found *out)
{
	bool server = v->server_port == 53 || v->client_port == 53;
	bool multicast = v->server_port == 5353 || v->client_port == 5353;

	/* Link-local names (LLMNR, RFC 4795) have the same form as mDNS's; NetBIOS's is another's.
	 */
	bool llmnr = v->server_port == 5355 || v->client_port == 5355;

	if (v->server_port == 137 || v->client_port == 137)
		return MATCH_NO;
	if (!dns_message(v->d, !server && !multicast && !llmnr, out))
		return MATCH_NO;
	out->l7 = multicast || llmnr ? WEIR_L7_MDNS : WEIR_L7_DNS;
	return MATCH_YES;
}

/* RFC 7766: each message with its length in front. */
enum match dns_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	for (unsigned w = 0; w < 2 && m != MATCH_YES; w++) {
		struct seg s = v->way[w];
		size_t len;

		if (s.n < 2) {
			if (s.n && v->server_port == 53)
				m = MATCH_MORE;
			continue;
		}
		len = be16(s.p);
		if (len < 12)
			continue;
		s = seg_skip(s, 2);
		/* On another port the whole message must be there and fit. */
		if (v->server_port != 53 && (s.n < 12 || s.n < len)) {
			if (s.n >= 12 && (s.p[2] & 0x78 || be16(s.p + 4) != 1))
				continue;
			if (!v->full && len <= 1024)
				m = MATCH_MORE;
			continue;
		}
		if (s.n < 12) {
			m = v->full ? m : MATCH_MORE;
			continue;
		}
		if (dns_message(seg_head(s, len), v->server_port != 53, out))
			m = MATCH_YES;
		else if (s.n < len && !v->full && !out->host[0])
			m = MATCH_MORE;
	}
	out->l7 = WEIR_L7_DNS;
	return v->full && m == MATCH_MORE ? MATCH_NO : m;
}
