/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QUIC (RFC 9000, 9001, 9369, drafts since 21, Google's Q050 to T051): the long
 * header tells that it is QUIC; the client's Initials are opened, and what the
 * CRYPTO frames of several datagrams carry is put together to the ClientHello.
 */
#include <stdlib.h>

#include "model.h"
#include "probe.h"
#include "gquic.h"
#include "quic_crypto.h"
#include "stream.h"

#define DERIVE_MAX 12 /* key derivations a flow: a Retry, guesses at an unknown version */
#define OPEN_MAX 16   /* Initials opened a flow */
#define FRAMES_MAX 512

struct quic_state {
	struct quic_keys keys;
	struct stream crypto;
	uint32_t version;
	uint8_t dcid[20], dcid_len;
	bool proven; /* and have opened a packet */
	uint8_t salt;
	uint8_t derived, opened;
};

struct initial {
	uint32_t version;
	const uint8_t *dcid;
	size_t dcid_len;
	size_t head;   /* bytes before the packet number */
	size_t length; /* packet number, payload and tag */
	bool initial;  /* else another long-header packet */
	size_t total;  /* head + length, 0: up to the datagram's end */
};

/* RFC 9000 16. False: cut short. */
static bool varint(struct seg *s, uint64_t *v)
{
	size_t n;

	if (!s->n)
		return false;
	n = (size_t)1 << (s->p[0] >> 6);
	if (s->n < n)
		return false;
	*v = s->p[0] & 0x3f;
	for (size_t i = 1; i < n; i++)
		*v = *v << 8 | s->p[i];
	*s = seg_skip(*s, n);
	return true;
}

static bool known_version(uint32_t v)
{
	if (quic_version_salt(v) != SALT_UNKNOWN || (v & 0x0f0f0f0f) == 0x0a0a0a0a)
		return true;
	/* Other drafts, mvfst, Google's Qnnn and Tnnn, and what implementers took for tests. */
	return (v >> 8) == 0xff0000 || (v >> 8) == 0xfaceb0 || (v >> 8) == 0x454747 ||
	       (v >> 12) == 0x51303 || (v >> 12) == 0x54303 || (v >> 8) == 0x504351 ||
	       (v >> 16) == 0xabcd || (v >> 8) == 0x5c1000;
}

/* A long header, which a datagram may have several of. */
static bool long_header(struct seg d, struct initial *h)
{
	struct seg s = d;
	uint64_t len;
	unsigned type;
	bool v2;

	memset(h, 0, sizeof(*h));
	if (d.n < 7 || !(d.p[0] & 0x80))
		return false;
	h->version = be32(d.p + 1);
	h->dcid_len = d.p[5];
	if (h->dcid_len > 20)
		return false;
	h->dcid = d.p + 6;
	s = seg_skip(s, 6 + h->dcid_len);
	if (s.n < 1 || s.p[0] > 20)
		return false;
	if (s.n < 1 + (size_t)s.p[0])
		return false;
	s = seg_skip(s, 1 + s.p[0]);
	type = d.p[0] >> 4 & 3;
	v2 = h->version == 0x6b3343cf || h->version == 0x709a50c4 || h->version == 0xff020000;
	h->initial = h->version && (v2 ? type == 1 : type == 0);
	if (h->version && type == (v2 ? 0 : 3))
		return true; /* Retry: up to the end */
	if (h->initial) {
		if (!varint(&s, &len) || len > s.n)
			return h->initial = false, true;
		s = seg_skip(s, (size_t)len);
	}
	if (!h->version)
		return true;
	if (!varint(&s, &len) || len < 20 || len > s.n)
		return h->initial = false, true;
	h->head = d.n - s.n;
	h->length = (size_t)len;
	h->total = h->head + h->length;
	return true;
}

/* CRYPTO frames into the stream. False: a frame that has no place in an Initial. */
static bool frames(struct quic_state *q, struct seg s)
{
	for (unsigned i = 0; s.n && i < FRAMES_MAX; i++) {
		uint64_t v[4], type;

		while (s.n && !s.p[0])
			s = seg_skip(s, 1);
		if (!s.n)
			break;
		if (!varint(&s, &type))
			return false;
		switch (type) {
		case 1:
			continue;
		case 2:
		case 3:
			for (unsigned k = 0; k < 4; k++)
				if (!varint(&s, &v[k]))
					return false;
			for (uint64_t k = 0; k < v[2] * 2; k++)
				if (!varint(&s, &v[0]))
					return false;
			for (unsigned k = 0; type == 3 && k < 3; k++)
				if (!varint(&s, &v[0]))
					return false;
			continue;
		case 6:
			if (!varint(&s, &v[0]) || !varint(&s, &v[1]) || v[1] > s.n)
				return false;
			if (v[0] < STREAM_MAX)
				stream_add(&q->crypto, (uint32_t)v[0], s.p, (size_t)v[1]);
			s = seg_skip(s, (size_t)v[1]);
			continue;
		default:
			return false;
		}
	}
	return true;
}

static size_t try_open(struct quic_state *q, struct seg d, const struct initial *h,
		       enum quic_salt salt, uint8_t *plain)
{
	size_t n;

	if (q->derived >= DERIVE_MAX)
		return 0;
	q->derived++;
	quic_derive(&q->keys, salt, h->dcid, h->dcid_len);
	n = quic_open(&q->keys, d.p, h->head, h->length, plain);
	if (n) {
		memcpy(q->dcid, h->dcid, h->dcid_len);
		q->dcid_len = (uint8_t)h->dcid_len;
		q->salt = (uint8_t)salt;
		q->proven = true;
	}
	return n;
}

/*
 * The keys come from the first Initial's destination id and stay when the
 * server chooses another; after a Retry they come from the new one.
 */
static size_t open_initial(struct quic_state *q, struct seg d, const struct initial *h,
			   uint8_t *plain)
{
	static const uint8_t guesses[] = { SALT_V1, SALT_DRAFT_29, SALT_DRAFT_23, SALT_V2,
					   SALT_DRAFT_22 };
	enum quic_salt salt = quic_version_salt(h->version);
	size_t n = 0;

	if (q->proven) {
		n = quic_open(&q->keys, d.p, h->head, h->length, plain);
		if (n)
			return n;
		if (q->dcid_len == h->dcid_len && !memcmp(q->dcid, h->dcid, h->dcid_len))
			return 0;
		return try_open(q, d, h, salt == SALT_UNKNOWN ? (enum quic_salt)q->salt : salt,
				plain);
	}
	if (salt != SALT_UNKNOWN)
		return try_open(q, d, h, salt, plain);
	for (unsigned i = 0; i < sizeof(guesses) && !n; i++)
		n = try_open(q, d, h, (enum quic_salt)guesses[i], plain);
	return n;
}

static bool google_hello(uint32_t version)
{
	return version >> 24 == 'Q';
}

static void initial(struct udp_memory *mem, struct seg d, const struct initial *h,
		    struct found *out)
{
	uint8_t plain[QUIC_HEAD_MAX];
	struct quic_state *q = mem->quic;
	size_t n;

	if (!q) {
		q = mem->quic = calloc(1, sizeof(*q));
		if (!q)
			return;
	}
	if (h->length > sizeof(plain) || q->opened >= OPEN_MAX)
		return;
	q->opened++;
	n = open_initial(q, d, h, plain);
	if (!n)
		return;
	if (google_hello(h->version)) {
		if (gquic_hello((struct seg){ plain, n }, out))
			out->final = true;
		return;
	}
	frames(q, (struct seg){ plain, n });
	if (q->crypto.have >= 4) {
		struct seg hs = { q->crypto.buf, q->crypto.have };
		size_t want = 4 + be24(hs.p + 1);

		/* The name may be there before the end is. */
		if (client_hello(hs, out))
			out->final = hs.n >= want || hs.n == STREAM_MAX;
	}
}

enum match quic_udp(const struct udp_view *v, struct found *out)
{
	struct initial h;
	struct seg d = v->d;
	bool yes = false;

	if (d.n < 7 || !(d.p[0] & 0x80))
		return MATCH_NO;
	if (!long_header(d, &h)) {
		/* Before draft 22 both lengths were in one byte: told by the version alone. */
		out->l7 = WEIR_L7_QUIC;
		return h.version >> 8 == 0xff0000 && (h.version & 0xff) < 22 ? MATCH_YES : MATCH_NO;
	}
	if (h.version == 0) {
		/* Version negotiation: a list of versions, at least one of which we know. */
		size_t at = 6 + h.dcid_len;

		at += 1 + d.p[at];
		if (v->way == TO_SERVER || (v->len - at) % 4 || v->len <= at)
			return MATCH_NO;
		for (; at + 4 <= d.n; at += 4)
			yes |= known_version(be32(d.p + at));
		out->l7 = WEIR_L7_QUIC;
		return yes ? MATCH_YES : MATCH_NO;
	}
	if (!known_version(h.version)) {
		/* An unknown version only in the client's padded first flight. */
		if (!h.initial || v->way != TO_SERVER || v->len < 1200 || !(d.p[0] & 0x40))
			return MATCH_NO;
	}
	for (unsigned i = 0; i < 4; i++) {
		if (h.initial && h.version)
			initial(v->mem, d, &h, out);
		if (!h.total || h.total >= d.n || out->final)
			break;
		d = seg_skip(d, h.total);
		if (!long_header(d, &h) || !h.version)
			break;
	}
	out->l7 = WEIR_L7_QUIC;
	if (known_version(be32(v->d.p + 1)))
		return MATCH_YES;
	return v->mem->quic && v->mem->quic->proven ? MATCH_YES : MATCH_NO;
}

void quic_free(struct udp_memory *mem)
{
	if (mem->quic) {
		stream_free(&mem->quic->crypto);
		free(mem->quic);
		mem->quic = NULL;
	}
}
