/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's environment on the host: a table of our own, no clock, no ring. */
#ifndef WEIR_ENV_HOST_H
#define WEIR_ENV_HOST_H

#include <sanitizer/asan_interface.h>
#include <string.h>

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline	__attribute__((noinline))

#include "engine_env.h"

/* A packet as the host has it. It may lie in a file that changes meanwhile: what is judged by is a copy of it. */
struct host_packet {
	const u8 *data;
	u32 caplen, len;
};

#define HOST_MORE 4096 /* what at_offset() reaches */

#define WEIR_CTX const struct host_packet
#define WEIR_SUB static __noinline

struct weir_flow *host_lookup(void *engine, const struct weir_key6 *key);
struct weir_flow *host_current(void *engine);
int host_insert(void *engine, const struct weir_key6 *key, const struct weir_flow *f);
struct weir_holes *host_holes(void *engine, u64 id, int make);
void host_holes_del(void *engine, u64 id);
int host_send(void *engine, struct weir_out *out, u32 len);

/* What one engine holds beside its table; the engine's names below reach it through this. */
struct host_env {
	void *engine;
	struct weir_config cfg;
	struct weir_bucket bucket, spare;
	struct weir_counters count;
	struct weir_pkt pkt, quoted;
	struct weir_out out;
	struct weir_flow fresh;
	const u8 *seen; /* the copy of the packet's first nseen bytes */
	u32 nseen;
	u8 more[HOST_MORE];
};

extern __thread struct host_env *host_env;

#define weir_cfg (host_env->cfg)
#define weir_some_quiet() (host_env->cfg.sample_mask)

static inline u16 ld16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static inline u32 ld32(const u8 *p)
{
	u32 x;

	memcpy(&x, p, 4);
	return __builtin_bswap32(x);
}

static inline u64 ldraw64(const u8 *p)
{
	u64 x;

	memcpy(&x, p, 8);
	return x;
}

static inline u16 ldraw16(const u8 *p)
{
	u16 x;

	memcpy(&x, p, 2);
	return x;
}

static inline u32 ldraw32(const u8 *p)
{
	u32 x;

	memcpy(&x, p, 4);
	return x;
}

/* IPv4 keys are mapped: one table serves both. */
static inline struct weir_key6 mapped_key(const struct weir_key4 *k)
{
	return (struct weir_key6){
		.lo = { 0, 0, __builtin_bswap32(0xffff), k->lo }, .hi = { 0, 0, __builtin_bswap32(0xffff), k->hi },
		.lo_port = k->lo_port, .hi_port = k->hi_port, .proto = k->proto, .ifindex = k->ifindex,
	};
}

static inline struct weir_flow *weir_lookup4(const struct weir_key4 *k)
{
	struct weir_key6 m = mapped_key(k);

	return host_lookup(host_env->engine, &m);
}

static inline struct weir_flow *weir_lookup6(const struct weir_key6 *k)
{
	return host_lookup(host_env->engine, k);
}

static inline struct weir_flow *weir_fresh(void)
{
	return &host_env->fresh;
}

static inline int weir_insert(const struct weir_pkt *p, const struct weir_flow *f)
{
	struct weir_key6 m = p->v4 ? mapped_key(&p->k4) : p->k6;

	return host_insert(host_env->engine, &m, f);
}

static inline struct weir_holes *weir_holes_get(u64 id)
{
	return host_holes(host_env->engine, id, 0);
}

static inline struct weir_holes *weir_holes_new(u64 id)
{
	return host_holes(host_env->engine, id, 1);
}

static inline void weir_holes_del(u64 id)
{
	host_holes_del(host_env->engine, id);
}

static inline struct weir_bucket *weir_budget(void)
{
	return &host_env->bucket;
}

static inline struct weir_bucket *weir_spare(void)
{
	return &host_env->spare;
}

static inline struct weir_out *weir_scratch(void)
{
	return &host_env->out;
}

static inline struct weir_pkt *weir_pkt(void)
{
	return &host_env->pkt;
}

static inline struct weir_pkt *weir_quoted(void)
{
	return &host_env->quoted;
}

static inline void weir_add(u64 *counter, u64 n)
{
	*counter += n;
}

/* One thread runs an engine. */
#define weir_add_shared(counter, n) (*(counter) += (n))

static inline struct weir_counters *weir_counters(u32 slot)
{
	return &host_env->count;
}

/* The flow at hand, without another look-up; a quoted packet has one of its own. */
static inline struct weir_flow *weir_again(const struct weir_pkt *p)
{
	if (!p->quoted)
		return host_current(host_env->engine);
	return p->v4 ? weir_lookup4(&p->k4) : weir_lookup6(&p->k6);
}

/* Copies up to `most` bytes for the view that follows. */
static inline void host_look_at(WEIR_CTX *ctx, u32 most)
{
	struct host_env *h = host_env;

	h->seen = h->more;
	h->nseen = ctx->caplen < most ? ctx->caplen : most;
	ASAN_UNPOISON_MEMORY_REGION(h->more, sizeof(h->more));
	memcpy(h->more, ctx->data, h->nseen);
	ASAN_POISON_MEMORY_REGION(h->more + h->nseen, sizeof(h->more) - h->nseen);
}

static inline void weir_look(WEIR_CTX *ctx, struct weir_view *v)
{
	v->data = host_env->seen;
	v->end = host_env->seen + host_env->nseen;
	v->len = ctx->len;
	v->segs = 0;
}

static inline int weir_more(WEIR_CTX *ctx, const struct weir_view *v)
{
	if (host_env->nseen == ctx->caplen || host_env->nseen == HOST_MORE)
		return 0;
	host_look_at(ctx, HOST_MORE);
	return 1;
}

static inline u32 weir_captured(WEIR_CTX *ctx, u32 off)
{
	return ctx->caplen > off ? ctx->caplen - off : 0;
}

static inline int weir_load_few(WEIR_CTX *ctx, u32 off, u32 n)
{
	if (n > 40 || weir_captured(ctx, off) < n)
		return -1;
	memcpy(host_env->pkt.bytes, ctx->data + off, n);
	return 0;
}

static inline int weir_load_payload(WEIR_CTX *ctx, u32 off, u32 n)
{
	if (n > WEIR_PAYLOAD_MAX || weir_captured(ctx, off) < n)
		return -1;
	memcpy(host_env->out.payload, ctx->data + off, n);
	return 0;
}

static inline int weir_send(struct weir_out *out, u32 len)
{
	return host_send(host_env->engine, out, len);
}

#include "engine.h"

#endif
