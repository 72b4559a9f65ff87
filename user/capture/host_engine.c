// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_engine.h"

#include <stdlib.h>

#include "env_host.h"
#include "fetch.h"
#include "names.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FLOWS_MAX	(1u << 24)
#define HOLES_MAX	8192 /* flows whose losses are followed at once */
#define IDLE_TCP_NS	300000000000ULL
#define IDLE_OTHER_NS	120000000000ULL
#define IDLE_CLOSED_NS	5000000000ULL
#define CHUNK		1024 /* flows allocated at once: entries never move */

/* How long a flow has been idle: what is closed ends in the first, all but TCP in the second. */
enum stage { STAGE_CLOSED, STAGE_OTHER, STAGES };

struct entry {
	struct weir_flow flow;
	struct weir_key6 key; /* with what the look-up needs: a cache line */
	u32 hash;
	struct entry *next;	      /* in the bucket, or free */
	void *user;
	u64 epoch, touched;	      /* of its last packet: when, about, and which one */
	struct entry *older, *newer;  /* by the epoch of the last packet: see in_order() */
	struct weir_holes *holes;
} __attribute__((aligned(64)));

struct chunk {
	struct chunk *next;
	struct entry entry[CHUNK];
};

struct host_engine {
	struct host_env env;
	struct host_engine_ops ops;
	struct entry **bucket;
	u32 mask, n, max;
	u32 nholes;
	u32 hint; /* what the packet's key most likely hashes to; 0 none */
	u16 ifindex;
	u64 epoch, ordered; /* the present one; the newest that in_order() has sorted */
	u64 packets;
	struct entry **sorting; /* room of in_order() */
	u32 sorting_room;
	struct entry *free, *oldest, *newest, *current;
	struct entry *unexpired[STAGES]; /* those before it have waited so long and may wait longer; NULL: all have */
	struct chunk *chunks;
	struct weir_holes *spare_holes; /* one, against malloc at every loss */
};

__thread struct host_env *host_env;

static u32 hash_key(const struct weir_key6 *k)
{
	return (u32)XXH3_64bits(k, sizeof(*k));
}

static void unlink_age(struct host_engine *e, struct entry *x)
{
	for (unsigned i = 0; i < STAGES; i++)
		if (e->unexpired[i] == x)
			e->unexpired[i] = x->newer;
	if (x->older)
		x->older->newer = x->newer;
	else
		e->oldest = x->newer;
	if (x->newer)
		x->newer->older = x->older;
	else
		e->newest = x->older;
}

static void link_newest(struct host_engine *e, struct entry *x)
{
	x->older = e->newest;
	x->newer = NULL;
	if (e->newest)
		e->newest->newer = x;
	else
		e->oldest = x;
	e->newest = x;
	for (unsigned i = 0; i < STAGES; i++)
		if (!e->unexpired[i])
			e->unexpired[i] = x;
}

static int by_last_packet(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

	return x->touched < y->touched ? -1 : 1;
}

/*
 * Flows stand by the epoch of their last packet, about a second, and not by the packet: to move a flow to the
 * end with each one would touch two others', and memory is what packets wait for. Those of the oldest
 * epoch are put in order when they are looked at (where there is no memory to, they stay as they are).
 */
static void in_order(struct host_engine *e, struct entry *first)
{
	struct entry *after = first, *before = first->older;
	u64 epoch = first->epoch;
	u32 n = 0;

	if (epoch <= e->ordered)
		return;
	if (epoch == e->epoch) /* that of none is open while it is looked at */
		e->epoch++;
	for (; after && after->epoch == epoch; after = after->newer)
		n++;
	if (n > e->sorting_room) {
		struct entry **more = realloc(e->sorting, n * sizeof(*more));

		if (!more)
			return;
		e->sorting = more;
		e->sorting_room = n;
	}
	n = 0;
	for (struct entry *x = first; x != after; x = x->newer)
		e->sorting[n++] = x;
	qsort(e->sorting, n, sizeof(*e->sorting), by_last_packet);
	for (u32 i = 0; i < n; i++) {
		struct entry *x = e->sorting[i];

		x->older = i ? e->sorting[i - 1] : before;
		x->newer = i + 1 < n ? e->sorting[i + 1] : after;
	}
	for (unsigned i = 0; i < STAGES; i++)
		if (e->unexpired[i] == first) /* never in the middle of what is not in order */
			e->unexpired[i] = e->sorting[0];
	if (before)
		before->newer = e->sorting[0];
	else
		e->oldest = e->sorting[0];
	if (after)
		after->older = e->sorting[n - 1];
	else
		e->newest = e->sorting[n - 1];
	e->ordered = epoch;
}

/* The flow whose last packet is the longest ago. */
static struct entry *oldest(struct host_engine *e)
{
	if (e->oldest)
		in_order(e, e->oldest);
	return e->oldest;
}

static struct entry *find(struct host_engine *e, const struct weir_key6 *k, u32 hash)
{
	for (struct entry *x = e->bucket[hash & e->mask]; x; x = x->next)
		if (x->hash == hash && !memcmp(&x->key, k, sizeof(*k)))
			return x;
	return NULL;
}

struct weir_flow *host_lookup(void *engine, const struct weir_key6 *key)
{
	struct host_engine *e = engine;
	struct entry *x = e->hint ? find(e, key, e->hint) : NULL;

	e->hint = 0; /* the packet's own flow is looked up first */
	if (!x)
		x = find(e, key, hash_key(key));
	if (!x)
		return NULL;
	if (!e->current) /* the first is the packet's own; an ICMP error looks up another */
		e->current = x;
	return &x->flow;
}

struct weir_flow *host_current(void *engine)
{
	struct host_engine *e = engine;

	return e->current ? &e->current->flow : NULL;
}

static void grow(struct host_engine *e)
{
	u32 size = (e->mask + 1) * 2;
	struct entry **bucket = calloc(size, sizeof(*bucket));

	if (!bucket)
		return; /* longer chains, nothing worse */
	for (u32 i = 0; i <= e->mask; i++) {
		struct entry *next;

		for (struct entry *x = e->bucket[i]; x; x = next) {
			next = x->next;
			x->next = bucket[x->hash & (size - 1)];
			bucket[x->hash & (size - 1)] = x;
		}
	}
	free(e->bucket);
	e->bucket = bucket;
	e->mask = size - 1;
}

static void drop_holes(struct host_engine *e, struct entry *x)
{
	if (!x->holes)
		return;
	if (e->spare_holes)
		free(x->holes);
	else
		e->spare_holes = x->holes;
	x->holes = NULL;
	e->nholes--;
}

static void end_flow(struct host_engine *e, struct entry *x, enum flow_end why)
{
	struct entry **at = &e->bucket[x->hash & e->mask];

	e->ops.flow_end(e->ops.arg, &x->key, &x->flow, why);
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	unlink_age(e, x);
	drop_holes(e, x);
	x->next = e->free;
	e->free = x;
	e->n--;
}

static bool add_chunk(struct host_engine *e)
{
	struct chunk *c = aligned_alloc(64, sizeof(*c));

	if (!c)
		return false;
	c->next = e->chunks;
	e->chunks = c;
	for (int i = CHUNK - 1; i >= 0; i--) {
		c->entry[i].next = e->free;
		e->free = &c->entry[i];
	}
	return true;
}

int host_insert(void *engine, const struct weir_key6 *key, const struct weir_flow *f)
{
	struct host_engine *e = engine;
	struct entry *x;

	if (e->n >= e->max) /* a capture can't wait for a sweep: the longest idle one goes */
		end_flow(e, oldest(e), END_EVICTED);
	if (!e->free && !add_chunk(e))
		return -1;
	if (e->n > e->mask)
		grow(e);
	x = e->free;
	e->free = x->next;
	memset(x, 0, sizeof(*x));
	x->flow = *f;
	x->key = *key;
	x->hash = hash_key(key);
	x->next = e->bucket[x->hash & e->mask];
	e->bucket[x->hash & e->mask] = x;
	x->epoch = e->epoch;
	x->touched = e->packets;
	link_newest(e, x);
	e->n++;
	e->current = x;
	return 0;
}

/* Losses are tracked for the packet's own flow only: that is the current entry. */
struct weir_holes *host_holes(void *engine, u64 id, int make)
{
	struct host_engine *e = engine;
	struct entry *x = e->current;

	if (x->flow.id != id)
		return NULL;
	if (!x->holes && make && e->nholes < HOLES_MAX) {
		x->holes = e->spare_holes ? e->spare_holes : malloc(sizeof(*x->holes));
		e->spare_holes = NULL;
		if (x->holes) {
			memset(x->holes, 0, sizeof(*x->holes));
			e->nholes++;
		}
	}
	return x->holes;
}

void host_holes_del(void *engine, u64 id)
{
	struct host_engine *e = engine;

	if (e->current->flow.id == id)
		drop_holes(e, e->current);
}

int host_send(void *engine, struct weir_out *out, u32 len)
{
	struct host_engine *e = engine;

	e->ops.record(e->ops.arg, &out->r, out->payload);
	return 0;
}

struct host_engine *host_engine_new(const struct weir_config *cfg, unsigned max_flows,
				    const struct host_engine_ops *ops)
{
	struct host_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->env.engine = e;
	e->env.cfg = *cfg;
	e->ops = *ops;
	e->max = max_flows && max_flows < FLOWS_MAX ? max_flows : FLOWS_MAX;
	e->mask = (1 << 10) - 1;
	e->epoch = 1;
	e->bucket = calloc(e->mask + 1, sizeof(*e->bucket));
	if (!e->bucket) {
		free(e);
		return NULL;
	}
	return e;
}

static void take(struct host_engine *e, enum weir_link link, const struct host_packet *p, uint64_t time_ns)
{
	e->current = NULL;
	e->packets++;
	weir_run(p, time_ns, e->ifindex, link, 0);
	if (e->current) {
		e->current->touched = e->packets;
		if (e->current->epoch != e->epoch) {
			unlink_age(e, e->current);
			link_newest(e, e->current);
			e->current->epoch = e->epoch;
		}
	}
}

void host_engine_packet(struct host_engine *e, enum weir_link link, const uint8_t *data, uint32_t caplen,
			uint32_t len, uint64_t time_ns)
{
	struct host_packet p = { .data = data, .caplen = caplen, .len = len };

	host_env = &e->env;
	host_look_at(&p, HOST_HEAD);
	take(e, link, &p, time_ns);
}

void host_engine_expected(struct host_engine *e, const struct host_head *h, const uint8_t *data, uint32_t caplen,
			  uint32_t len, uint64_t time_ns)
{
	struct host_packet p = { .data = data, .caplen = caplen, .len = len };

	host_env = &e->env;
	e->env.seen = h->bytes;
	e->env.nseen = h->n;
	e->hint = h->hash;
	take(e, h->link, &p, time_ns);
}

void **host_engine_user(struct host_engine *e, uint64_t flow_id)
{
	return e->current && e->current->flow.id == flow_id ? &e->current->user : NULL;
}

/* What most packets are; others are only not expected. The key is the one that the parser will make. */
static uint32_t hash_of(const struct host_engine *e, struct host_head *h)
{
	uint32_t off = h->link == WEIR_LINK_ETHERNET ? 14 : 0;
	const uint8_t *ip = h->bytes + off;
	struct weir_key6 key;
	struct weir_pkt p;

	if (h->link == WEIR_LINK_NONE || h->n < off + 44)
		return 0;
	if ((ip[0] >> 4) == 4) {
		uint32_t header = (ip[0] & 0xf) * 4u;

		p.proto = ip[9];
		if ((p.proto != PROTO_TCP && p.proto != PROTO_UDP) || h->n < off + header + 4)
			return 0;
		p.sport = ld16(ip + header);
		p.dport = ld16(ip + header + 2);
		set_key4(&p, ldraw32(ip + 12), ldraw32(ip + 16), e->ifindex);
		key = mapped_key(&p.k4);
	} else {
		p.proto = ip[6];
		if (p.proto != PROTO_TCP && p.proto != PROTO_UDP)
			return 0;
		p.sport = ld16(ip + 40);
		p.dport = ld16(ip + 42);
		set_key6(&p, ip + 8, ip + 24, e->ifindex);
		key = p.k6;
	}
	h->dir = p.dir;
	return hash_key(&key);
}

/* memcpy() would be a string instruction here, which takes longer to begin than this to end. */
static void copy_head(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (n < 16) {
		for (uint32_t i = 0; i < n; i++)
			to[i] = from[i];
	} else if (n < HOST_HEAD) {
		for (uint32_t i = 0; i + 16 <= n; i += 16)
			memcpy(to + i, from + i, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	} else {
#pragma GCC unroll 8
		for (uint32_t i = 0; i < HOST_HEAD; i += 16)
			memcpy(to + i, from + i, 16);
	}
}

void host_engine_expect(const struct host_engine *e, enum weir_link link, const uint8_t *data, uint32_t caplen,
			struct host_head *h)
{
	h->link = link;
	h->n = caplen < HOST_HEAD ? caplen : HOST_HEAD;
	copy_head(h->bytes, data, h->n);
	h->hash = hash_of(e, h);
	if (h->hash)
		__builtin_prefetch(&e->bucket[h->hash & e->mask]);
}

void host_engine_expect_entry(const struct host_engine *e, uint32_t hash)
{
	const struct entry *x = e->bucket[hash & e->mask];

	if (x)
		__builtin_prefetch(&x->key, 1);
}

void *host_engine_expect_flow(const struct host_engine *e, uint32_t hash)
{
	const struct entry *x = e->bucket[hash & e->mask];

	while (x && x->hash != hash)
		x = x->next;
	if (!x)
		return NULL;
	fetch_lines(x, sizeof(*x));
	return x->user;
}

void host_engine_interface(struct host_engine *e, uint16_t ifindex)
{
	e->ifindex = ifindex;
}

void host_engine_unknown_link(struct host_engine *e, uint32_t len)
{
	e->env.count.buffers++;
	e->env.count.buffer_bytes += len;
	count_elsewhere(&e->env.count, WEIR_LINK, 1, len);
}

static enum flow_end why_ended(const struct weir_flow *f, enum flow_end otherwise)
{
	if ((f->dir[0].flags | f->dir[1].flags) & WEIR_DIR_RST)
		return END_RST;
	if (f->dir[0].flags & f->dir[1].flags & WEIR_DIR_FIN)
		return END_FIN;
	return otherwise;
}

static u64 last_ns(const struct weir_flow *f)
{
	return f->dir[0].last_ns > f->dir[1].last_ns ? f->dir[0].last_ns : f->dir[1].last_ns;
}

/* The flows of a stage (STAGES: all) to the first that has not been idle for so long: those after it are younger. */
static struct entry *expire(struct host_engine *e, enum stage stage, uint64_t now_ns, u64 idle_ns)
{
	struct entry **from = stage == STAGES ? &e->oldest : &e->unexpired[stage], *newer;
	struct entry *x = *from;

	if (x && (!x->older || x->older->epoch != x->epoch))
		in_order(e, x);
	for (x = *from; x; x = newer) {
		enum flow_end why = why_ended(&x->flow, END_TIMEOUT);
		u64 last = last_ns(&x->flow);

		if (now_ns < last || now_ns - last < idle_ns)
			break;
		newer = x->newer;
		if (newer && newer->epoch != x->epoch) {
			in_order(e, newer);
			newer = x->newer;
		}
		if (stage == STAGES || (stage == STAGE_OTHER ? x->key.proto != PROTO_TCP : why != END_TIMEOUT))
			end_flow(e, x, why);
	}
	return x;
}

void host_engine_expire(struct host_engine *e, uint64_t now_ns)
{
	e->epoch++;
	expire(e, STAGES, now_ns, IDLE_TCP_NS);
	e->unexpired[STAGE_OTHER] = expire(e, STAGE_OTHER, now_ns, IDLE_OTHER_NS);
	e->unexpired[STAGE_CLOSED] = expire(e, STAGE_CLOSED, now_ns, IDLE_CLOSED_NS);
}

void host_engine_finish(struct host_engine *e)
{
	for (struct entry *x = oldest(e); x; x = oldest(e))
		end_flow(e, x, why_ended(&x->flow, END_STOP));
}

void host_engine_counters(const struct host_engine *e, struct weir_counters *out)
{
	*out = e->env.count;
}

void host_engine_ctl(struct host_engine *e, const struct weir_ctl *ctl)
{
	struct entry *x = find(e, &ctl->key, hash_key(&ctl->key));

	if (!x || (ctl->flow_id && ctl->flow_id != x->flow.id))
		return;
	if (ctl->op == WEIR_CTL_TYPE) {
		x->flow.l7 = ctl->l7;
		x->flow.type = ctl->type;
		x->flow.state |= WEIR_FLOW_TYPED;
	} else if (ctl->op == WEIR_CTL_FOCUS) {
		if (x->flow.focus_left != WEIR_FOCUS_ALL)
			x->flow.focus_left = weir_focus(e->env.cfg.focus_packets);
		unquiet(&x->flow);
	}
}

void host_engine_free(struct host_engine *e)
{
	struct chunk *next;

	if (!e)
		return;
	ASAN_UNPOISON_MEMORY_REGION(e->env.more, sizeof(e->env.more));
	for (struct entry *x = e->oldest; x; x = x->newer)
		free(x->holes);
	for (struct chunk *c = e->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(e->spare_holes);
	free(e->sorting);
	free(e->bucket);
	free(e);
}
