/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Link, network and transport headers: from a view to a struct weir_pkt. Every
 * length in a packet is hostile; nothing is read before it is known to be there.
 */
#ifndef WEIR_PARSE_H
#define WEIR_PARSE_H

#define P_8021Q	  0x8100
#define P_8021AD  0x88a8
#define P_QINQ1	  0x9100
#define P_PPPOE	  0x8864
#define P_IP	  0x0800
#define P_IPV6	  0x86dd
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RAW16(x) __builtin_bswap16(x)
#define RAW32(x) __builtin_bswap32(x)
#define TWO16(first, second) ((u32)(first) | (u32)(second) << 16) /* as they lie in memory */
#define FIRST8(x) (x)
#else
#define RAW16(x) (x)
#define RAW32(x) (x)
#define TWO16(first, second) ((u32)(first) << 16 | (u32)(second))
#define FIRST8(x) ((x) << 8)
#endif
#define PROTO_ICMP   1
#define PROTO_TCP    6
#define PROTO_UDP    17
#define PROTO_ICMPV6 58
#define MAX_EXT	    6  /* IPv6 extension headers followed */
#define MAX_OPTIONS 10 /* TCP options, padding included */

/* A pointer n bytes into the packet; what lies behind is still to be checked. */
static __always_inline const u8 *at_offset(const struct weir_view *v, u32 off)
{
	return v->data + weir_index(off, 4096);
}

/* What parsing came to: an elsewhere reason, or OK. */
#define PARSED_OK WEIR_ELSEWHERE

/* Link header up to the network protocol: *c is advanced, the protocol returned; negative: -1 - reason. */
static __always_inline int parse_link(const struct weir_view *v, struct weir_pkt *p, const u8 **c)
{
	const u8 *at = *c;
	u16 proto;

	if (p->link == WEIR_LINK_IP) {
		if (at + 1 > v->end)
			return -1 - WEIR_TRUNCATED;
		return (*at >> 4) == 4 ? P_IP : (*at >> 4) == 6 ? P_IPV6 : -1 - WEIR_NOT_IP;
	}
	if (at + 14 > v->end)
		return -1 - WEIR_TRUNCATED;
	proto = ld16(at + 12);
	at += 14;
	if (proto != P_IP && proto != P_IPV6) {
		for (int i = 0; i < 2; i++) {
			if (proto != P_8021Q && proto != P_8021AD && proto != P_QINQ1)
				break;
			if (at + 4 > v->end)
				return -1 - WEIR_TRUNCATED;
			proto = ld16(at + 2);
			at += 4;
			p->vlans++;
		}
		if (proto == P_PPPOE) { /* RFC 2516: 6 bytes, then PPP's protocol */
			if (at + 8 > v->end)
				return -1 - WEIR_TRUNCATED;
			proto = ld16(at + 6) == 0x0021 ? P_IP : ld16(at + 6) == 0x0057 ? P_IPV6 : 0;
			at += 8;
		}
	}
	*c = at;
	return proto == P_IP || proto == P_IPV6 ? proto : -1 - WEIR_NOT_IP;
}

/*
 * TCP options (RFC 9293 3.2, 7323, 2018): n bytes of them at off. Read from a
 * copy, with the cursor in the map's memory: the verifier forgets its value and
 * so sees each turn of the loop alike.
 */
WEIR_SUB int weir_tcp_options(WEIR_CTX *ctx, u32 off, u32 n)
{
	struct weir_pkt *p = weir_pkt();

	if (!p || n < 4 || n > 40 || weir_load_few(ctx, off, n))
		return 0;
	p->found = n;
	p->cursor = 0;
	for (u32 turn = 0; turn < MAX_OPTIONS; turn++) {
		volatile u8 *cursor = &p->cursor;
		u32 i = weir_index(*cursor, 64);
		const u8 *o = p->bytes + i;
		u8 len;

		n = *(volatile u32 *)&p->found;

		if (i >= n || o[0] == 0)
			break;
		if (o[0] == 1) {
			*cursor = i + 1;
			continue;
		}
		len = o[1];
		if (len < 2 || i + len > n)
			break;
		*cursor = i + len;
		if (o[0] == 8 && len == 10) {
			p->has_ts = 1;
			p->tsval = ld32(o + 2);
			p->tsecr = ld32(o + 6);
		} else if (o[0] == 2 && len == 4) {
			p->mss = ld16(o + 2);
		} else if (o[0] == 3 && len == 3) {
			p->wscale = o[2];
		} else if (o[0] == 5 && len >= 10) {
			p->nsack = len >= 26 ? 3 : len >= 18 ? 2 : 1;
			p->outcome = i + 2;
		}
	}
	if (p->nsack) {
		const u8 *o = p->bytes + weir_index(p->outcome, 64);

		for (u32 b = 0; b < WEIR_MAX_SACK; b++) {
			p->sack[b][0] = ld32(o + 8 * b);
			p->sack[b][1] = ld32(o + 4 + 8 * b);
		}
	}
	return 0;
}

#define MAX_EXT_BYTES 2048 /* at_offset() reaches no further */

/* Hop-by-hop, routing, fragment, AH, destination options (RFC 8200, RFC 4302). */
static __always_inline int is_extension(u8 type)
{
	return type < 64 && (1ULL << type & (1ULL << 0 | 1ULL << 43 | 1ULL << 44 | 1ULL << 51 | 1ULL << 60));
}

/*
 * IPv6 extension headers, from the first on, which pkt->proto names, in a packet
 * of total bytes. Leaves in pkt->proto what follows them, in pkt->found where.
 * PARSED_OK or a reason. The cursor is in the map's memory, as above.
 */
WEIR_SUB int weir_ext_headers(WEIR_CTX *ctx, u32 l3_off, u32 total)
{
	struct weir_pkt *p = weir_pkt();

	if (!p)
		return WEIR_TRUNCATED;
	p->found = 40;
	for (u32 turn = 0; turn < MAX_EXT; turn++) {
		u32 at = *(volatile u32 *)&p->found, len;
		const u8 *b = p->bytes;
		u8 type = p->proto;

		if (at > MAX_EXT_BYTES)
			return WEIR_EXT_HEADERS;
		if (!is_extension(type))
			return PARSED_OK;
		if (at + 8 > total)
			return WEIR_MALFORMED;
		if (weir_load_few(ctx, l3_off + at, 8))
			return WEIR_TRUNCATED;
		len = type == 44 ? 8 : type == 51 ? (b[1] + 2u) * 4 : (b[1] + 1u) * 8;
		if (type == 44) {
			if (ld16(b + 2) & 0xfff8)
				return WEIR_FRAGMENT;
			p->rec_flags |= (b[3] & 1) * WEIR_REC_FRAG;
		}
		p->proto = b[0];
		*(volatile u32 *)&p->found = at + len;
		if (at + len > total)
			return WEIR_MALFORMED;
	}
	return p->found > MAX_EXT_BYTES || is_extension(p->proto) ? WEIR_EXT_HEADERS : PARSED_OK;
}

/* The two ends in canonical order; says which way the packet goes. */
static __always_inline void set_key4(struct weir_pkt *p, u32 saddr, u32 daddr, u32 ifindex)
{
	int up = saddr < daddr || (saddr == daddr && p->sport <= p->dport);

	p->v4 = 1;
	p->dir = !up;
	/* In the words that hash and compare will load: smaller stores would stall them. */
	p->k[0] = up ? saddr : daddr;
	p->k[1] = up ? daddr : saddr;
	p->k[2] = up ? TWO16(p->sport, p->dport) : TWO16(p->dport, p->sport);
	p->k[3] = TWO16(FIRST8(p->proto), ifindex);
}

static __always_inline void set_key6(struct weir_pkt *p, const u8 *saddr, const u8 *daddr, u32 ifindex)
{
	u64 s = ldraw64(saddr), d = ldraw64(daddr), s_low = ldraw64(saddr + 8), d_low = ldraw64(daddr + 8);
	int up = s != d ? s < d : s_low != d_low ? s_low < d_low : p->sport <= p->dport;
	const u8 *lo = up ? saddr : daddr, *hi = up ? daddr : saddr;

	for (int i = 0; i < 4; i++) {
		p->k[i] = ldraw32(lo + 4 * i);
		p->k[4 + i] = ldraw32(hi + 4 * i);
	}
	p->v4 = 0;
	p->dir = !up;
	p->k[8] = up ? TWO16(p->sport, p->dport) : TWO16(p->dport, p->sport);
	p->k[9] = TWO16(FIRST8(p->proto), ifindex);
}

/*
 * Transport header at off, l4_len bytes of it and its payload by the IP header
 * (one segment's worth unless merged). Returns PARSED_OK or a reason.
 */
static __always_inline int parse_transport(WEIR_CTX *ctx, const struct weir_view *v, struct weir_pkt *p,
					   u32 off, u32 l4_len)
{
	const u8 *c = at_offset(v, off);
	u32 header = 0;

	p->sport = p->dport = 0;
	p->seq = p->ack = 0;
	p->win = p->mss = 0;
	p->tcp_flags = p->tcp_reserved = 0;
	p->wscale = 255;

	if (p->proto == PROTO_TCP) {
		if (l4_len < 20)
			return WEIR_MALFORMED;
		if (c + 20 > v->end)
			return WEIR_TRUNCATED;
		p->sport = ld16(c);
		p->dport = ld16(c + 2);
		p->seq = ld32(c + 4);
		p->ack = ld32(c + 8);
		header = (c[12] >> 4) * 4;
		p->tcp_reserved = c[12] & 0xf;
		p->tcp_flags = c[13];
		p->win = ld16(c + 14);
		if (header < 20 || header > l4_len)
			return WEIR_MALFORMED;
		if (header > 20) {
			/* NOP NOP timestamps: what nearly every packet carries */
			if (header == 32 && c + 32 <= v->end && ld32(c + 20) == 0x0101080a) {
				p->has_ts = 1;
				p->tsval = ld32(c + 24);
				p->tsecr = ld32(c + 28);
			} else {
				weir_tcp_options(ctx, off + 20, header - 20);
			}
		}
	} else if (p->proto == PROTO_UDP) {
		if (l4_len < 8)
			return WEIR_MALFORMED;
		if (c + 8 > v->end)
			return WEIR_TRUNCATED;
		p->sport = ld16(c);
		p->dport = ld16(c + 2);
		header = 8;
		/*
		 * What lies behind the datagram is no payload (RFC 9868). A length that can't be is the receiver's
		 * to refuse: routers pass it by IP's length, so it belongs to its flow.
		 */
		if (ld16(c + 4) >= 8 && ld16(c + 4) < l4_len && !(p->rec_flags & WEIR_REC_FRAG) && l4_len <= 0xffff)
			l4_len = ld16(c + 4);
	}
	p->payload_off = off + header;
	p->payload_len = l4_len - header;
	return PARSED_OK;
}

/* The packet's headers into weir_pkt(): PARSED_OK or a reason. finish_parse() comes after. */
WEIR_SUB int weir_parse(WEIR_CTX *ctx)
{
	struct weir_pkt *p = weir_pkt();
	struct weir_view view = { 0 }, *v = &view;
	const u8 *c;
	u32 l3_off, room, ip_header, total, l4_off;
	int proto, r;

	if (!p)
		return WEIR_TRUNCATED;
	weir_look(ctx, v);
	c = v->data;
	proto = parse_link(v, p, &c);
	if (proto < 0)
		return -1 - proto;
	l3_off = forgotten(&p->l3_off, c - v->data);
	c = at_offset(v, l3_off);
	if (v->len < l3_off)
		return WEIR_MALFORMED;
	room = v->len - l3_off;
	if (proto == P_IP) {
		u32 frag;

		if (c + 20 > v->end)
			return room < 20 ? WEIR_MALFORMED : WEIR_TRUNCATED;
		if ((c[0] >> 4) != 4)
			return WEIR_MALFORMED;
		ip_header = (c[0] & 0xf) * 4;
		total = ld16(c + 2);
		if (!total) /* merged beyond 64 KiB, or left to the NIC by TSO */
			total = room;
		if (ip_header < 20 || total < ip_header || total > room)
			return WEIR_MALFORMED;
		p->tos = c[1];
		p->ipid = ld16(c + 4);
		p->ttl = c[8];
		p->proto = c[9];
		frag = ld16(c + 6);
		if (frag & 0x4000)
			p->rec_flags |= WEIR_REC_DF;
		p->rec_flags |= WEIR_REC_IPV4;
		if (frag & 0x1fff)
			return WEIR_FRAGMENT;
		if (frag & 0x2000)
			p->rec_flags |= WEIR_REC_FRAG;
	} else {
		u32 jumbo = 0;

		if (c + 40 > v->end)
			return room < 40 ? WEIR_MALFORMED : WEIR_TRUNCATED;
		if ((c[0] >> 4) != 6)
			return WEIR_MALFORMED;
		total = ld16(c + 4) + 40u;
		if (total == 40 && room > 40) /* jumbogram or merged beyond 64 KiB */
			jumbo = 1;
		if (jumbo)
			total = room;
		if (total > room)
			return WEIR_MALFORMED;
		p->ipid = 0;
		p->tos = ((c[0] & 0xf) << 4) | (c[1] >> 4);
		p->ttl = c[7];
		p->proto = c[6];
		ip_header = 40;
		if (is_extension(p->proto)) {
			r = weir_ext_headers(ctx, l3_off, total);
			if (r != PARSED_OK)
				return r;
			ip_header = p->found;
		}
	}
	total = forgotten(&p->ip_len, total);
	ip_header = forgotten(&p->payload_off, ip_header);
	l4_off = forgotten(&p->l4_off, l3_off + ip_header);
	r = parse_transport(ctx, v, p, l4_off, total - ip_header);
	if (r != PARSED_OK)
		return r;
	return PARSED_OK;
}

/* What follows from a parse that came to PARSED_OK: lengths on the wire, and the key. */
static __always_inline int finish_parse(const struct weir_view *v, struct weir_pkt *p)
{
	const u8 *c = at_offset(v, p->l3_off);
	u32 total = p->ip_len;

	/* Merged packets: each further segment had headers of its own on the wire. */
	p->segs = v->segs > 1 && v->segs < 0xffff ? v->segs : 1;
	p->ip_len = total + (p->segs - 1) * (total - p->payload_len);
	p->l2_len = p->ip_len + p->segs * p->l3_off;
	if (p->segs == 1 && v->len > p->l3_off + total) /* Ethernet padding is on the wire too */
		p->l2_len = v->len;
	if (p->rec_flags & WEIR_REC_IPV4) {
		if (c + 20 > v->end)
			return WEIR_TRUNCATED;
		set_key4(p, ldraw32(c + 12), ldraw32(c + 16), p->ifindex);
	} else {
		if (c + 40 > v->end)
			return WEIR_TRUNCATED;
		set_key6(p, c + 8, c + 24, p->ifindex);
	}
	return PARSED_OK;
}

#endif
