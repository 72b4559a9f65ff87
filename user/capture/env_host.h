/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine's environment on the host: a table of our own, no clock, no ring. */
#ifndef WEIR_ENV_HOST_H
#define WEIR_ENV_HOST_H

#include <string.h>

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline	__attribute__((noinline))

#include "engine_env.h"

struct weir_flow *host_lookup(void *engine, const struct weir_key6 *key);
struct weir_flow *host_create(void *engine, const struct weir_key6 *key);
struct weir_holes *host_holes(void *engine, u64 id, int make);
void host_holes_del(void *engine, u64 id);
int host_send(void *engine, struct weir_out *out, u32 len);

/* What one engine holds beside its table; the engine's names below reach it through this. */
struct host_env {
	void *engine;
	struct weir_config cfg;
	struct weir_bucket bucket;
	struct weir_pkt pkt, quoted;
	struct weir_out out;
};

extern __thread struct host_env *host_env;

#define weir_cfg (host_env->cfg)

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

static inline struct weir_flow *weir_create4(const struct weir_key4 *k)
{
	struct weir_key6 m = mapped_key(k);

	return host_create(host_env->engine, &m);
}

static inline struct weir_flow *weir_create6(const struct weir_key6 *k)
{
	return host_create(host_env->engine, k);
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

static inline struct weir_out *weir_scratch(void)
{
	return &host_env->out;
}

static inline struct weir_pkt *weir_pkt(void)
{
	return &host_env->pkt;
}

static inline struct weir_pkt *weir_pkt2(void)
{
	return &host_env->quoted;
}

static inline void weir_add(u64 *counter, u64 n)
{
	*counter += n;
}

static inline u32 weir_captured(const struct weir_view *v, u32 off)
{
	u32 n = (u32)(v->end - v->data);

	return n > off ? n - off : 0;
}

static inline int weir_more(const struct weir_view *v)
{
	return 0;
}

static inline int weir_load(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	if (weir_captured(v, off) < n)
		return -1;
	memcpy(dst, v->data + off, n);
	return 0;
}

static inline int weir_load_options(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	return weir_load(v, off, dst, n);
}

static inline int weir_load_payload(const struct weir_view *v, u32 off, u8 *dst, u32 n)
{
	return weir_load(v, off, dst, n);
}

static inline int weir_send(struct weir_out *out, u32 len)
{
	return host_send(host_env->engine, out, len);
}

#include "engine.h"

#endif
