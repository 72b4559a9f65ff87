/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BitTorrent: peers over TCP (BEP 3) and uTP (BEP 29), DHT (BEP 5), UDP trackers (BEP 15), LSD (BEP
 * 14). */
#include "model.h"
#include "probe.h"

#define PEER_HELLO                                                                                 \
	"\x13"                                                                                     \
	"BitTorrent protocol"

enum match bittorrent_tcp(const struct tcp_view *v, struct found *out)
{
	enum match m = MATCH_NO;

	out->l7 = WEIR_L7_BITTORRENT;
	out->final = true;
	for (unsigned w = 0; w < 2; w++) {
		if (SEG_HAS(v->way[w], PEER_HELLO))
			return MATCH_YES;
		if (v->way[w].n && SEG_MAY(v->way[w], PEER_HELLO) && !v->full)
			m = MATCH_MORE;
	}
	return m;
}

/* KRPC: a bencoded dictionary whose keys are of the protocol. */
static bool dht(struct seg d)
{
	static const char *const marks[] = { "1:y1:q", "1:y1:r", "1:y1:e" };

	if (d.n < 12 || d.p[0] != 'd' || d.p[2] != ':')
		return false;
	if (SEG_HAS(d, "d1:ad2:id20:") || SEG_HAS(d, "d1:rd2:id20:") || SEG_HAS(d, "d2:ip6:") ||
	    SEG_HAS(d, "d2:ip4:") || SEG_HAS(d, "d2:ip18:"))
		return true;
	for (unsigned i = 0; i < 3; i++)
		if (memmem(d.p, d.n, marks[i], 6))
			return true;
	return false;
}

/*
 * uTP: type and version in a byte, an extension, connection id, two
 * timestamps, window, sequence, acknowledgment. A SYN (no ack, no payload,
 * sequence 1) and its answer that names the connection are proof.
 */
static enum match utp(const struct udp_view *v)
{
	struct udp_memory *m = v->mem;
	const uint8_t *p = v->d.p;
	unsigned w = v->way, type, conn;
	size_t head = 20;

	if (v->d.n < 20 || (p[0] & 15) != 1 || p[0] >> 4 > 4 || p[1] > 3)
		return MATCH_NO;
	type = p[0] >> 4;
	conn = be16(p + 2);
	for (unsigned ext = p[1], i = 0; ext; i++) {
		if (i == 4 || head + 2 > v->d.n || head + 2 + p[head + 1] > v->len)
			return MATCH_NO;
		ext = p[head];
		if (ext > 3)
			return MATCH_NO;
		head += 2u + p[head + 1];
	}
	/* Only data and FIN may carry payload; data does. */
	if ((type >= 2 && v->len != head) || (type == 0 && v->len == head))
		return MATCH_NO;
	/* A SYN alone has enough that is fixed: no difference yet, sequence 1, nothing acknowledged. */
	if (type == 4 && all_zero(p + 8, 4) && be16(p + 16) == 1 && !be16(p + 18) && v->len == head)
		return MATCH_YES;
	if (m->slot[SLOT_UTP][!w].kind == 0x10 && be16(m->slot[SLOT_UTP][!w].b) == conn &&
	    type == 2 && be16(p + 18) == be16(m->slot[SLOT_UTP][!w].b + 4))
		return MATCH_YES;
	/* Both ways, or one on and on: the same connection, sequence near. */
	if (m->slot[SLOT_UTP][w].kind == 0x10 && be16(m->slot[SLOT_UTP][w].b + 2) == conn &&
	    (uint16_t)(be16(p + 16) - be16(m->slot[SLOT_UTP][w].b + 4)) < 64 &&
	    be32(p + 4) - be32(m->slot[SLOT_UTP][w].b + 6) - 1 < 0x2000000 && conn &&
	    (type == 2 || type == 0 || be16(p + 16) == 1))
		return m->seen[w] >= 2 || type == 4 ? MATCH_YES : MATCH_MORE;
	m->slot[SLOT_UTP][w].kind = 0x10;
	/* A SYN names the id that it wants to receive on. */
	m->slot[SLOT_UTP][w].b[0] = (uint8_t)(conn >> 8);
	m->slot[SLOT_UTP][w].b[1] = (uint8_t)conn;
	m->slot[SLOT_UTP][w].b[2] = (uint8_t)((conn + (type == 4)) >> 8);
	m->slot[SLOT_UTP][w].b[3] = (uint8_t)(conn + (type == 4));
	m->slot[SLOT_UTP][w].b[4] = p[16];
	m->slot[SLOT_UTP][w].b[5] = p[17];
	memcpy(m->slot[SLOT_UTP][w].b + 6, p + 4, 4);
	return MATCH_MORE;
}

/* BEP 15: connect with the protocol's number; then the answer with the same transaction. */
static bool tracker(const struct udp_view *v)
{
	static const uint8_t magic[] = { 0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0 };

	return v->len == 16 && v->d.n == 16 && !memcmp(v->d.p, magic, sizeof(magic));
}

enum match bittorrent_udp(const struct udp_view *v, struct found *out)
{
	out->l7 = WEIR_L7_BITTORRENT;
	out->final = true;
	if (dht(v->d) || tracker(v) || SEG_HAS(v->d, "BT-SEARCH * HTTP/1.1\r\n") ||
	    (v->d.n > 40 && memmem(v->d.p, v->d.n < 64 ? v->d.n : 64, PEER_HELLO, 20)))
		return MATCH_YES;
	return utp(v);
}
