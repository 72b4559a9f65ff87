/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows for tests of the classifier: packets are put in, the verdict is read
 * off. Stands in for the model, of which the classifier needs names only.
 * Include in one file of a test.
 */
#ifndef CLASSIFY_KIT_H
#define CLASSIFY_KIT_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "classify.h"

struct model {
	char type[MAX_TYPES][TYPE_NAME_LEN], app[MAX_TYPES][TYPE_NAME_LEN];
	unsigned types, apps;
};

static unsigned interned(char names[][TYPE_NAME_LEN], unsigned *n, const char *name)
{
	for (unsigned i = 0; i < *n; i++)
		if (!strcmp(names[i], name))
			return i;
	if (*n == MAX_TYPES)
		return 0;
	strncpy(names[*n], name, TYPE_NAME_LEN - 1);
	return (*n)++;
}

unsigned model_type_id(struct model *m, const char *name)
{
	return interned(m->type, &m->types, name);
}

unsigned model_app_id(struct model *m, const char *name)
{
	return interned(m->app, &m->apps, name);
}

struct kit {
	struct model m;
	struct classifier *c;
	struct flow f;
	struct class_result r;
	uint32_t isn[2];
	uint64_t now;
	unsigned changes;
};

static inline struct in6_addr address(const char *s)
{
	struct in6_addr a = { 0 };

	if (inet_pton(AF_INET6, s, &a) == 1)
		return a;
	memset(&a, 0, sizeof(a));
	memset(a.s6_addr + 10, 0xff, 2);
	assert_int_equal(inet_pton(AF_INET, s, a.s6_addr + 12), 1);
	return a;
}

/* A new flow; what the classifier learnt from the ones before stays. */
static inline void kit_flow(struct kit *k, unsigned proto, const char *client, unsigned cport,
			    const char *server, unsigned sport)
{
	classify_flow_free(k->c, &k->f);
	memset(&k->f, 0, sizeof(k->f));
	memset(&k->r, 0, sizeof(k->r));
	k->f.proto = (uint8_t)proto;
	k->f.client = (struct endpoint){ address(client), (uint16_t)cport };
	k->f.server = (struct endpoint){ address(server), (uint16_t)sport };
	k->isn[0] = 0xfffffff0u; /* so that sequence numbers wrap early */
	k->isn[1] = 1000;
	k->changes = 0;
}

static inline void kit_init(struct kit *k, const struct rules *rules)
{
	memset(k, 0, sizeof(*k));
	model_type_id(&k->m, "unknown");
	k->m.apps = 1;
	k->c = classifier_new(&k->m, rules);
	assert_non_null(k->c);
	k->now = 1700000000ull * 1000000000;
	kit_flow(k, IPPROTO_TCP, "192.168.1.10", 50000, "198.51.100.1", 443);
}

static inline void kit_free(struct kit *k)
{
	classify_flow_free(k->c, &k->f);
	classifier_free(k->c);
}

static inline void kit_packet(struct kit *k, struct weir_rec *r, unsigned way, const void *p,
			      size_t n)
{
	uint8_t *copy = malloc(n ? n : 1); /* exactly as long: reads beyond it are found */

	memcpy(copy, p, n);
	r->kind = WEIR_REC_PACKET;
	r->dir = (uint8_t)way;
	r->time_ns = k->f.last_ns = k->now;
	r->proto = k->f.proto;
	r->payload_len = (uint32_t)n;
	r->caplen = (uint16_t)n;
	k->changes += classify_packet(k->c, &k->f, r, copy, &k->r);
	k->now += 1000000;
	free(copy);
}

static inline void kit_syn(struct kit *k)
{
	for (unsigned way = 0; way < 2; way++) {
		struct weir_rec r = { .seq = k->isn[way], .tcp_flags = way ? 0x12 : 0x02 };

		kit_packet(k, &r, way, "", 0);
	}
}

/* n bytes at offset off of a direction's payload. */
static inline void kit_tcp(struct kit *k, unsigned way, size_t off, const void *p, size_t n)
{
	struct weir_rec r = { .seq = k->isn[way] + 1 + (uint32_t)off, .tcp_flags = 0x18 };

	kit_packet(k, &r, way, p, n);
}

static inline void kit_udp(struct kit *k, unsigned way, const void *p, size_t n)
{
	struct weir_rec r = { 0 };

	kit_packet(k, &r, way, p, n);
}

static inline const char *kit_l7(struct kit *k)
{
	return l7_name(k->r.l7);
}

static inline const char *kit_type(struct kit *k)
{
	return k->m.type[k->r.type];
}

static inline const char *kit_app(struct kit *k)
{
	return k->r.app ? k->m.app[k->r.app] : "";
}

static inline const char *kit_source(struct kit *k)
{
	return source_name(k->r.source);
}

static inline void kit_finish(struct kit *k)
{
	k->changes += classify_finish(k->c, &k->f, &k->r);
	assert_true(k->r.done);
}

/* ---- bytes ---- */

struct blob {
	uint8_t p[8192];
	size_t n;
};

static inline void put(struct blob *b, const void *p, size_t n)
{
	assert_true(b->n + n <= sizeof(b->p));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put_be(struct blob *b, unsigned bytes, uint64_t v)
{
	while (bytes--) {
		uint8_t c = (uint8_t)(v >> 8 * bytes);

		put(b, &c, 1);
	}
}

static inline void put_fill(struct blob *b, uint8_t c, size_t n)
{
	while (n--)
		put(b, &c, 1);
}

/* Bytes without a pattern, the same every time. */
static inline void put_random(struct blob *b, uint32_t seed, size_t n)
{
	while (n--) {
		uint8_t c;

		seed = seed * 1664525u + 1013904223u;
		c = (uint8_t)(seed >> 24);
		put(b, &c, 1);
	}
}

/* A TLS 1.3 ClientHello message. share: length of the key share (1216: X25519MLKEM768). */
static inline void put_hello(struct blob *b, const char *sni, const char *alpn, size_t share,
			     bool ech)
{
	struct blob e = { .n = 0 }, body = { .n = 0 };

	if (share) { /* before the name, as shuffled extensions may be */
		put_be(&e, 2, 51);
		put_be(&e, 2, share + 6);
		put_be(&e, 2, share + 4);
		put_be(&e, 2, 0x11ec);
		put_be(&e, 2, share);
		put_random(&e, 7, share);
	}
	if (ech) {
		put_be(&e, 2, 0xfe0d);
		put_be(&e, 2, 60);
		put_random(&e, 9, 60);
	}
	if (sni) {
		size_t n = strlen(sni);

		put_be(&e, 2, 0);
		put_be(&e, 2, n + 5);
		put_be(&e, 2, n + 3);
		put_be(&e, 1, 0);
		put_be(&e, 2, n);
		put(&e, sni, n);
	}
	if (alpn) {
		size_t n = strlen(alpn);

		put_be(&e, 2, 16);
		put_be(&e, 2, n + 3);
		put_be(&e, 2, n + 1);
		put_be(&e, 1, n);
		put(&e, alpn, n);
	}
	put_be(&body, 2, 0x0303);
	put_random(&body, 1, 32);
	put_be(&body, 1, 32);
	put_random(&body, 2, 32);
	put_be(&body, 2, 4);
	put_be(&body, 4, 0x13011302);
	put_be(&body, 2, 0x0100);
	put_be(&body, 2, e.n);
	put(&body, e.p, e.n);
	put_be(b, 1, 1);
	put_be(b, 3, body.n);
	put(b, body.p, body.n);
}

/* The same in TLS records of at most `record` bytes. */
static inline void put_tls(struct blob *b, const char *sni, const char *alpn, size_t share,
			   bool ech, size_t record)
{
	struct blob h = { .n = 0 };

	put_hello(&h, sni, alpn, share, ech);
	for (size_t at = 0; at < h.n; at += record) {
		size_t n = h.n - at < record ? h.n - at : record;

		put_be(b, 1, 0x16);
		put_be(b, 2, 0x0301);
		put_be(b, 2, n);
		put(b, h.p + at, n);
	}
}

#endif
