// SPDX-License-Identifier: GPL-2.0-or-later
#include <netinet/in.h>
#include <string.h>

#include "pcapng.h"

#define TCP_SYN 0x02
#define COMMENT_MAX 1000 /* bytes of it that are written */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t sum16(const uint8_t *p, unsigned n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (n)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static unsigned tcp_options(uint8_t *p, const struct weir_rec *r)
{
	unsigned n = 0, blocks = r->nsack < WEIR_MAX_SACK ? r->nsack : WEIR_MAX_SACK;

	if ((r->tcp_flags & TCP_SYN) && r->mss) {
		memcpy(p + n, "\x02\x04", 2);
		put16(p + n + 2, r->mss);
		n += 4;
	}
	if ((r->tcp_flags & TCP_SYN) && r->wscale != 255) {
		memcpy(p + n, "\x01\x03\x03", 3);
		p[n + 3] = r->wscale;
		n += 4;
	}
	if (r->flags & WEIR_REC_TS) {
		memcpy(p + n, "\x01\x01\x08\x0a", 4);
		put32(p + n + 4, r->tsval);
		put32(p + n + 8, r->tsecr);
		n += 12;
	}
	/* 40 bytes of options hold three blocks beside timestamps (RFC 2018, 3). */
	if (!(r->tcp_flags & TCP_SYN) && blocks) {
		memcpy(p + n, "\x01\x01\x05", 3);
		p[n + 3] = (uint8_t)(2 + 8 * blocks);
		n += 4;
		for (unsigned i = 0; i < blocks; i++, n += 8) {
			put32(p + n, r->sack[i][0]);
			put32(p + n + 4, r->sack[i][1]);
		}
	}
	return n;
}

static unsigned transport(uint8_t *p, const struct weir_rec *r)
{
	unsigned n = 20;

	if (r->proto == IPPROTO_UDP) {
		put16(p, r->sport);
		put16(p + 2, r->dport);
		put16(p + 4, r->payload_len + 8 <= 0xffff ? r->payload_len + 8 : 0);
		put16(p + 6, 0);
		return 8;
	}
	if (r->proto != IPPROTO_TCP)
		return 0;
	put16(p, r->sport);
	put16(p + 2, r->dport);
	put32(p + 4, r->seq);
	put32(p + 8, r->ack);
	n += tcp_options(p + 20, r);
	/* Reserved bits, NS among them, as they passed. */
	p[12] = (uint8_t)(n / 4 << 4 | (r->tcp_reserved & 0x0f));
	p[13] = r->tcp_flags;
	put16(p + 14, r->win);
	put16(p + 16, 0);
	put16(p + 18, 0);
	return n;
}

/* The checksum of a whole segment; of a cut one nobody can tell. */
static void transport_checksum(uint8_t *p, unsigned len, const uint8_t *addresses, unsigned addr_len, unsigned proto)
{
	uint32_t sum = sum16(addresses, addr_len, len + proto);
	unsigned at = proto == IPPROTO_UDP ? 6 : 16;
	unsigned check = fold(sum16(p, len, sum));

	put16(p + at, proto == IPPROTO_UDP && !check ? 0xffff : check);
}

static unsigned ipv4_header(uint8_t *p, const struct weir_rec *r, unsigned total)
{
	p[0] = 0x45;
	p[1] = r->tos;
	put16(p + 2, total <= 0xffff ? total : 0); /* merged segments: as offloads show them */
	put16(p + 4, r->ipid);
	put16(p + 6, (r->flags & WEIR_REC_DF ? 0x4000 : 0) | (r->flags & WEIR_REC_FRAG ? 0x2000 : 0));
	p[8] = r->ttl;
	p[9] = r->proto;
	put16(p + 10, 0);
	memcpy(p + 12, &r->saddr[3], 4);
	memcpy(p + 16, &r->daddr[3], 4);
	put16(p + 10, fold(sum16(p, 20, 0)));
	return 20;
}

static unsigned ipv6_header(uint8_t *p, const struct weir_rec *r, unsigned total)
{
	put32(p, 0x60000000 | (uint32_t)r->tos << 20);
	put16(p + 4, total - 40 <= 0xffff ? total - 40 : 0);
	p[6] = r->proto;
	p[7] = r->ttl;
	memcpy(p + 8, r->saddr, 16);
	memcpy(p + 24, r->daddr, 16);
	return 40;
}

unsigned packet_make(uint8_t *to, const struct weir_rec *r, const uint8_t *payload, unsigned keep, unsigned *original)
{
	bool v4 = r->flags & WEIR_REC_IPV4;
	unsigned ip = v4 ? 20 : 40, l4, total;
	bool bare = keep == PACKET_HEADERS_ONLY;

	if (keep > r->caplen)
		keep = r->caplen;
	if (bare)
		keep = 0;
	else if (!keep && r->proto == IPPROTO_UDP) {
		/* The first bytes of a datagram come with every record. */
		payload = r->head;
		keep = r->payload_len < sizeof(r->head) ? r->payload_len : sizeof(r->head);
	}
	l4 = transport(to + ip, r);
	total = l4 ? ip + l4 + r->payload_len : r->ip_len > ip ? r->ip_len : ip;
	if (v4)
		ipv4_header(to, r, total);
	else
		ipv6_header(to, r, total);
	if (!l4)
		keep = 0;
	if (keep)
		memcpy(to + ip + l4, payload, keep);
	if (l4 && keep == r->payload_len && !(r->flags & WEIR_REC_FRAG))
		transport_checksum(to + ip, l4 + keep, to + (v4 ? 12 : 8), v4 ? 8 : 32, r->proto);
	*original = total;
	return ip + l4 + keep;
}

static bool put(FILE *f, const void *data, size_t n)
{
	return fwrite(data, 1, n, f) == n;
}

static bool put_u32(FILE *f, uint32_t v)
{
	return put(f, &v, 4);
}

static unsigned pad4(unsigned n)
{
	return (n + 3) & ~3u;
}

static bool put_padded(FILE *f, const void *data, unsigned n)
{
	return put(f, data, n) && put(f, "\0\0\0", pad4(n) - n);
}

/* Type, length, value, and no end-of-options. */
static bool option(FILE *f, uint16_t code, const void *data, unsigned n)
{
	uint16_t head[2] = { code, (uint16_t)n };

	return put(f, head, 4) && put_padded(f, data, n);
}

static unsigned option_size(unsigned n)
{
	return n ? 4 + pad4(n) : 0;
}

static unsigned comment_size(const char *comment)
{
	size_t n = comment ? strlen(comment) : 0;

	return n < COMMENT_MAX ? (unsigned)n : COMMENT_MAX;
}

bool pcapng_begin(FILE *f, const char *comment)
{
	static const char app[] = "weir " WEIR_VERSION;
	unsigned c = comment_size(comment);
	uint32_t len = 28 + option_size(c) + option_size(sizeof(app) - 1) + 4;
	const uint32_t section[] = { 0x0a0d0d0a, len, 0x1a2b3c4d, 0x00000001, 0xffffffff, 0xffffffff };
	/* LINKTYPE_RAW; times in units of 10^-9 s */
	const uint32_t interface[] = { 1, 32, 101, 0, 0x00010009, 9, 0, 32 };

	return put(f, section, sizeof(section)) && (!c || option(f, 1, comment, c)) && option(f, 4, app, sizeof(app) - 1) &&
	       put_u32(f, 0) && put_u32(f, len) && put(f, interface, sizeof(interface));
}

bool pcapng_packet(FILE *f, uint64_t time_ns, const uint8_t *data, unsigned len, unsigned original, const char *comment)
{
	unsigned c = comment_size(comment);
	uint32_t total = 32 + pad4(len) + (c ? option_size(c) + 4 : 0);
	const uint32_t head[] = { 6, total, 0, (uint32_t)(time_ns >> 32), (uint32_t)time_ns, len, original < len ? len : original };

	return put(f, head, sizeof(head)) && put_padded(f, data, len) && (!c || (option(f, 1, comment, c) && put_u32(f, 0))) &&
	       put_u32(f, total);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* The comment among the options from at on. */
static void find_comment(struct pcapng_view *v, const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 4) {
		uint16_t code, n;

		memcpy(&code, p, 2);
		memcpy(&n, p + 2, 2);
		if (!code || pad4(n) > end - p - 4)
			return;
		if (code == 1) {
			v->comment = (const char *)p + 4;
			v->comment_len = n;
			return;
		}
		p += 4 + pad4(n);
	}
}

unsigned pcapng_read(const uint8_t *file, size_t len, struct pcapng_view *out, unsigned max)
{
	unsigned n = 0;

	if (len < 28 || get32(file) != 0x0a0d0d0a || get32(file + 8) != 0x1a2b3c4d)
		return 0;
	for (size_t at = 0; len - at >= 12 && n < max;) {
		const uint8_t *b = file + at;
		uint32_t total = get32(b + 4), captured;

		if (total < 12 || total % 4 || total > len - at)
			return n;
		if (get32(b) == 6 && total >= 32) {
			captured = get32(b + 20);
			if (captured > total - 32 || pad4(captured) > total - 32)
				return n;
			out[n] = (struct pcapng_view){
				.time_ns = (uint64_t)get32(b + 12) << 32 | get32(b + 16),
				.data = b + 28, .len = captured, .original = get32(b + 24),
			};
			find_comment(&out[n++], b + 28 + pad4(captured), b + total - 4);
		}
		at += total;
	}
	return n;
}
