// SPDX-License-Identifier: GPL-2.0-or-later
#include "parked.h"

#include <stdlib.h>
#include <string.h>

#define NONE	     UINT32_MAX
#define V6	     0x80000000u /* of an index: in the table of IPv6 flows */
#define PER_SLAB     2048u
#define BYTES_MAX    ((1ull << 48) - 1)
#define MOVED	     64 /* packets since the last count: it is looked at again */
#define STALE_LOOKS  64
#define LETTERS	     12 /* of a history in place, five bits each */

/* IPv4; ip and the bytes behind it hold both addresses in full with IPv6. */
struct parked {
	uint64_t id; /* 0: free */
	uint64_t start_ns;
	union {
		uint64_t history;
		uint8_t *rest; /* if has_rest: the history too is in there */
	};
	uint32_t last_ms; /* since start_ns */
	uint32_t next;	  /* in its bucket, or of those that are free */
	uint32_t packets[2], data_packets[2];
	uint16_t bytes[2][3]; /* low, middle, high */
	uint16_t port[2];
	uint16_t ifindex;
	uint16_t client_dir : 1, engine_client : 2, complete : 1, typed : 1, fragile : 1, has_rest : 1, source : 4;
	uint8_t proto, l7, type, app;
	uint32_t ip[2]; /* client, server */
};

struct parked6 {
	struct parked k;
	uint8_t more[24];
};

_Static_assert(sizeof(struct parked) == 80, "what a million flows take");

struct slab {
	uint32_t used, free; /* places; the first that is free, in this slab */
	uint32_t fresh;	     /* of these on none was ever taken */
	_Alignas(8) uint8_t place[];
};

/* Slabs come and go as a whole, so that memory goes back; they keep their number. */
struct slabs {
	struct slab **slab;
	uint32_t n;	/* numbers given */
	uint32_t room;	/* no slab below has a free place */
	size_t size;	/* of a place */
	size_t used;
	uint32_t hand;
};

struct parking {
	struct slabs v4, v6;
	uint32_t *bucket;
	uint32_t mask;
};

struct parking *parking_new(void)
{
	struct parking *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->v4.size = sizeof(struct parked);
	p->v6.size = sizeof(struct parked6);
	p->mask = 255;
	p->bucket = malloc((p->mask + 1) * sizeof(*p->bucket));
	if (!p->bucket) {
		free(p);
		return NULL;
	}
	memset(p->bucket, 0xff, (p->mask + 1) * sizeof(*p->bucket));
	return p;
}

static struct parked *place(const struct slabs *s, uint32_t i)
{
	return (struct parked *)(s->slab[i / PER_SLAB]->place + i % PER_SLAB * s->size);
}

static struct parked *at(const struct parking *p, uint32_t i)
{
	return i & V6 ? place(&p->v6, i & ~V6) : place(&p->v4, i);
}

static void slabs_free(struct slabs *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct slab *b = s->slab[i];

		for (uint32_t k = 0; b && k < b->fresh; k++) {
			struct parked *x = place(s, i * PER_SLAB + k);

			if (x->id && x->has_rest)
				free(x->rest);
		}
		free(b);
	}
	free(s->slab);
}

void parking_free(struct parking *p)
{
	if (!p)
		return;
	slabs_free(&p->v4);
	slabs_free(&p->v6);
	free(p->bucket);
	free(p);
}

size_t parking_count(const struct parking *p)
{
	return p->v4.used + p->v6.used;
}

/* A place, NONE without memory. The lowest slab first: the others may run empty. */
static uint32_t slabs_take(struct slabs *s)
{
	struct slab *b;
	uint32_t i = s->room, k;

	while (i < s->n && s->slab[i] && s->slab[i]->used == PER_SLAB)
		i++;
	if (i == s->n) {
		struct slab **more = i < V6 / PER_SLAB - 1 ? realloc(s->slab, (i + 1) * sizeof(*more)) : NULL;

		if (!more)
			return NONE;
		s->slab = more;
		s->slab[i] = NULL;
		s->n++;
	}
	s->room = i;
	b = s->slab[i];
	if (!b) {
		b = s->slab[i] = malloc(sizeof(*b) + PER_SLAB * s->size);
		if (!b)
			return NONE;
		b->used = b->fresh = 0;
		b->free = NONE;
	}
	k = b->free;
	if (k == NONE)
		k = b->fresh++;
	else
		b->free = place(s, i * PER_SLAB + k)->next;
	b->used++;
	s->used++;
	place(s, i * PER_SLAB + k)->id = 0; /* nobody's yet */
	return i * PER_SLAB + k;
}

static void slabs_give(struct slabs *s, uint32_t i)
{
	struct slab *b = s->slab[i / PER_SLAB];
	struct parked *k = place(s, i);

	s->used--;
	if (i / PER_SLAB < s->room)
		s->room = i / PER_SLAB;
	if (!--b->used) {
		free(b);
		s->slab[i / PER_SLAB] = NULL;
		return;
	}
	k->id = 0;
	k->next = b->free;
	b->free = i % PER_SLAB;
}

/* As many buckets as flows, about; fewer again when they have gone. */
static void resize(struct parking *p, uint32_t buckets)
{
	const struct slabs *table[] = { &p->v4, &p->v6 };
	uint32_t *bucket = malloc(buckets * sizeof(*bucket));

	if (!bucket)
		return;
	memset(bucket, 0xff, buckets * sizeof(*bucket));
	for (unsigned t = 0; t < 2; t++) {
		const struct slabs *s = table[t];

		for (uint32_t i = 0; i < s->n * PER_SLAB; i++) {
			struct parked *k;

			if (!s->slab[i / PER_SLAB] || i % PER_SLAB >= s->slab[i / PER_SLAB]->fresh)
				continue;
			k = place(s, i);
			if (!k->id)
				continue;
			k->next = bucket[k->id & (buckets - 1)];
			bucket[k->id & (buckets - 1)] = i | (t ? V6 : 0);
		}
	}
	free(p->bucket);
	p->bucket = bucket;
	p->mask = buckets - 1;
}

void parking_expect(const struct parking *p, uint64_t id, unsigned stage)
{
	const uint32_t *place = &p->bucket[id & p->mask];

	if (!stage) {
		__builtin_prefetch(place);
	} else if (*place != NONE) {
		__builtin_prefetch(at(p, *place), 1);
		__builtin_prefetch((char *)at(p, *place) + 64, 1);
	}
}

struct parked *parking_find(const struct parking *p, uint64_t id)
{
	for (uint32_t i = p->bucket[id & p->mask]; i != NONE;) {
		struct parked *k = at(p, i);

		if (k->id == id)
			return k;
		i = k->next;
	}
	return NULL;
}

static void set_bytes(struct parked *k, unsigned way, uint64_t bytes)
{
	for (unsigned i = 0; i < 3; i++)
		k->bytes[way][i] = (uint16_t)(bytes >> 16 * i);
}

static uint64_t get_bytes(const struct parked *k, unsigned way)
{
	return k->bytes[way][0] | (uint64_t)k->bytes[way][1] << 16 | (uint64_t)k->bytes[way][2] << 32;
}

/* ---- history ---- */

#define KINDS (sizeof(HISTORY_LETTERS) - 1)

/* 1 to KINDS, the server's above; 0: not known. */
static unsigned number_of(char letter)
{
	const char *l = strchr(HISTORY_LETTERS, letter & ~0x20);

	return !l || !*l ? 0 : (unsigned)(l - HISTORY_LETTERS) + 1 + (letter & 0x20 ? KINDS : 0);
}

/* 0 for an empty one; false: too long for its place. */
static bool pack_history(const char *text, uint64_t *out)
{
	unsigned n = 0;

	for (*out = 0; text[n]; n++) {
		unsigned number = number_of(text[n]);

		if (n == LETTERS || !number)
			return false;
		*out |= (uint64_t)number << 5 * n;
	}
	return true;
}

static void unpack_history(uint64_t h, char *text)
{
	for (unsigned n = 0; n < LETTERS; n++) {
		unsigned number = h >> 5 * n & 31;

		if (!number)
			return;
		text[n] = number > KINDS ? HISTORY_LETTERS[number - KINDS - 1] | 0x20 : HISTORY_LETTERS[number - 1];
	}
}

static uint32_t said_of(const char *text)
{
	uint32_t said = 0;

	for (; *text; text++) {
		unsigned number = number_of(*text);

		if (number)
			said |= 1u << (number > KINDS ? 16 + number - KINDS - 1 : number - 1);
	}
	return said;
}

/* ---- the rest: what few flows have, one after the other ---- */

enum { HAS_LOSS = 1, HAS_MORE = 2, HAS_HINT = 4, HAS_RTT = 8 };

/* What of flow_counts a flow without losses has zero. */
struct losses {
	uint32_t retx, lost_before, lost_after, reordered, duplicated, spurious, zero_windows;
};

struct more {
	uint32_t own_drops;
	uint16_t icmp;
	uint8_t limit;
};

static struct losses losses_of(const struct flow_counts *c)
{
	return (struct losses){ c->retx,       c->lost_before, c->lost_after,	 c->reordered,
				c->duplicated, c->spurious,    c->zero_windows };
}

struct writer {
	uint8_t *at; /* NULL: only the length is wanted */
	size_t n;
};

static void put(struct writer *w, const void *p, size_t n)
{
	if (w->at)
		memcpy(w->at + w->n, p, n);
	w->n += n;
}

static void get(const uint8_t **from, void *p, size_t n)
{
	memcpy(p, *from, n);
	*from += n;
}

static uint8_t parts_of(const struct flow *f)
{
	static const struct losses none[2];
	struct losses l[2] = { losses_of(&f->count[0]), losses_of(&f->count[1]) };

	return (memcmp(l, none, sizeof(l)) ? HAS_LOSS : 0) | (f->own_drops || f->icmp || f->limit ? HAS_MORE : 0) |
	       (f->hint ? HAS_HINT : 0) | (f->rtt ? HAS_RTT : 0);
}

/* Losses come first: parked_count() compares them. */
static void write_rest(struct writer *w, const struct flow *f, uint8_t parts)
{
	uint8_t history = (uint8_t)strlen(f->history);

	put(w, &parts, 1);
	for (unsigned i = 0; parts & HAS_LOSS && i < 2; i++) {
		struct losses l = losses_of(&f->count[i]);

		put(w, &l, sizeof(l));
	}
	put(w, &history, 1);
	put(w, f->history, history);
	if (parts & HAS_MORE) {
		struct more m;

		memset(&m, 0, sizeof(m));
		m.own_drops = f->own_drops;
		m.icmp = f->icmp;
		m.limit = f->limit;
		put(w, &m, sizeof(m));
	}
	if (parts & HAS_HINT)
		put(w, f->hint, strlen(f->hint) + 1);
	if (parts & HAS_RTT)
		w->n += flow_rtt_pack(f->rtt, w->at ? w->at + w->n : NULL);
}

/* whole: what takes memory too. */
static void read_rest(const uint8_t *from, struct flow *f, bool whole)
{
	uint8_t parts, history;

	get(&from, &parts, 1);
	for (unsigned i = 0; parts & HAS_LOSS && i < 2; i++) {
		struct flow_counts *c = &f->count[i];
		struct losses l;

		get(&from, &l, sizeof(l));
		c->retx = l.retx;
		c->lost_before = l.lost_before;
		c->lost_after = l.lost_after;
		c->reordered = l.reordered;
		c->duplicated = l.duplicated;
		c->spurious = l.spurious;
		c->zero_windows = l.zero_windows;
	}
	get(&from, &history, 1);
	get(&from, f->history, history);
	if (parts & HAS_MORE) {
		struct more m;

		get(&from, &m, sizeof(m));
		f->own_drops = m.own_drops;
		f->icmp = m.icmp;
		f->limit = m.limit;
	}
	if (!whole)
		return;
	if (parts & HAS_HINT) {
		f->hint = strdup((const char *)from);
		from += strlen((const char *)from) + 1;
	}
	if (parts & HAS_RTT)
		f->rtt = flow_rtt_unpack(from);
}

/* ---- */

static void put_ends(struct parked *k, const struct flow *f, bool v4)
{
	const struct endpoint *end[2] = { &f->client, &f->server };

	for (unsigned i = 0; i < 2; i++) {
		k->port[i] = end[i]->port;
		if (v4)
			k->ip[i] = end[i]->ip.s6_addr32[3];
		else
			memcpy((uint8_t *)k + offsetof(struct parked, ip) + i * 16, &end[i]->ip, 16);
	}
}

static void get_ends(const struct parked *k, struct flow *f, bool v4)
{
	struct endpoint *end[2] = { &f->client, &f->server };

	for (unsigned i = 0; i < 2; i++) {
		end[i]->port = k->port[i];
		if (v4) {
			end[i]->ip.s6_addr32[2] = htonl(0xffff);
			end[i]->ip.s6_addr32[3] = k->ip[i];
		} else {
			memcpy(&end[i]->ip, (const uint8_t *)k + offsetof(struct parked, ip) + i * 16, 16);
		}
	}
}

bool parking_put(struct parking *p, struct flow *f)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(&f->client.ip) && IN6_IS_ADDR_V4MAPPED(&f->server.ip);
	struct slabs *s = v4 ? &p->v4 : &p->v6;
	uint64_t packed = 0, ms = f->last_ns > f->start_ns ? (f->last_ns - f->start_ns) / 1000000 : 0;
	struct writer w = { 0 };
	uint8_t parts = parts_of(f);
	struct parked *k;
	uint32_t i;

	if (!f->id)
		return false;
	for (unsigned way = 0; way < 2; way++)
		if (f->count[way].bytes > BYTES_MAX || f->count[way].packets > UINT32_MAX ||
		    f->count[way].data_packets > UINT32_MAX)
			return false;
	if (parts || !pack_history(f->history, &packed)) {
		write_rest(&w, f, parts);
		w.at = malloc(w.n);
		if (!w.at)
			return false;
		w.n = 0;
		write_rest(&w, f, parts);
	}
	i = slabs_take(s);
	if (i == NONE) {
		free(w.at);
		return false;
	}
	if (parking_count(p) / 2 > p->mask && p->mask < V6 / 2)
		resize(p, (p->mask + 1) * 2);
	k = place(s, i);
	memset(k, 0, sizeof(*k));
	k->id = f->id;
	k->start_ns = f->start_ns;
	k->has_rest = w.at != NULL;
	if (w.at)
		k->rest = w.at;
	else
		k->history = packed;
	k->last_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	for (unsigned way = 0; way < 2; way++) {
		k->packets[way] = (uint32_t)f->count[way].packets;
		k->data_packets[way] = (uint32_t)f->count[way].data_packets;
		set_bytes(k, way, f->count[way].bytes);
	}
	k->ifindex = f->ifindex;
	k->client_dir = f->client_dir;
	k->engine_client = f->engine_client;
	k->complete = f->complete;
	k->typed = f->typed;
	k->fragile = f->fragile;
	k->source = f->source;
	k->proto = f->proto;
	k->l7 = f->l7;
	k->type = f->type;
	k->app = f->app;
	put_ends(k, f, v4);
	k->next = p->bucket[k->id & p->mask];
	p->bucket[k->id & p->mask] = i | (v4 ? 0 : V6);
	free(f->hint);
	f->hint = NULL;
	flow_rtt_free(f);
	return true;
}

static void show(const struct parked *k, struct flow *f, bool v4, bool whole)
{
	memset(f, 0, sizeof(*f));
	f->id = k->id;
	f->start_ns = k->start_ns;
	f->last_ns = k->start_ns + k->last_ms * 1000000ull;
	for (unsigned way = 0; way < 2; way++) {
		f->count[way].packets = k->packets[way];
		f->count[way].data_packets = k->data_packets[way];
		f->count[way].bytes = get_bytes(k, way);
	}
	f->ifindex = k->ifindex;
	f->client_dir = k->client_dir;
	f->engine_client = k->engine_client;
	f->complete = k->complete;
	f->typed = k->typed;
	f->fragile = k->fragile;
	f->source = k->source;
	f->proto = k->proto;
	f->l7 = k->l7;
	f->type = k->type;
	f->app = k->app;
	get_ends(k, f, v4);
	if (k->has_rest)
		read_rest(k->rest, f, whole);
	else
		unpack_history(k->history, f->history);
	f->said = said_of(f->history);
}

void parking_take(struct parking *p, struct parked *k, struct flow *f)
{
	uint32_t *from = &p->bucket[k->id & p->mask], i;

	while (at(p, *from) != k)
		from = &at(p, *from)->next;
	i = *from;
	*from = k->next;
	show(k, f, !(i & V6), true);
	if (k->has_rest)
		free(k->rest);
	slabs_give(i & V6 ? &p->v6 : &p->v4, i & ~V6);
	if (p->mask > 255 && parking_count(p) < p->mask / 8)
		resize(p, (p->mask + 1) / 4);
}

static bool same_losses(const struct parked *k, const struct weir_flow *c)
{
	static const struct losses none[2];
	struct losses was[2] = { 0 }, now[2];

	if (k->has_rest && k->rest[0] & HAS_LOSS)
		memcpy(was, k->rest + 1, sizeof(was));
	for (unsigned dir = 0; dir < 2; dir++) {
		const struct weir_dir_cold *d = &c->cold[dir];

		now[dir == k->client_dir ? TO_SERVER : TO_CLIENT] = (struct losses){
			d->retx,       d->lost_before, d->lost_after,	d->reordered,
			d->duplicated, d->spurious,    d->zero_windows };
	}
	return !memcmp(was, now, sizeof(none));
}

bool parked_count(struct parked *k, const struct weir_flow *c, struct flow_counts old[2], struct flow_counts now[2])
{
	uint64_t last = c->dir[0].last_ns > c->dir[1].last_ns ? c->dir[0].last_ns : c->dir[1].last_ns, ms;

	for (unsigned dir = 0; dir < 2; dir++) {
		const struct weir_dir *d = &c->dir[dir];
		unsigned way = dir == k->client_dir ? TO_SERVER : TO_CLIENT;

		if (d->packets - k->packets[way] >= MOVED || d->bytes > BYTES_MAX)
			return false;
		memset(&old[way], 0, sizeof(old[way]));
		old[way].packets = k->packets[way];
		old[way].data_packets = k->data_packets[way];
		old[way].bytes = get_bytes(k, way);
		now[way] = old[way];
		now[way].packets = d->packets;
		now[way].data_packets = d->data_packets;
		now[way].bytes = d->bytes;
	}
	if (!same_losses(k, c))
		return false;
	for (unsigned way = 0; way < 2; way++) {
		k->packets[way] = (uint32_t)now[way].packets;
		k->data_packets[way] = (uint32_t)now[way].data_packets;
		set_bytes(k, way, now[way].bytes);
	}
	ms = last > k->start_ns ? (last - k->start_ns) / 1000000 : 0;
	if (ms > k->last_ms)
		k->last_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	return true;
}

uint8_t parked_type(const struct parked *k)
{
	return k->type;
}

uint8_t parked_proto(const struct parked *k)
{
	return k->proto;
}

void parking_each(const struct parking *p, bool (*fn)(struct flow *f, void *arg), void *arg)
{
	const struct slabs *table[] = { &p->v4, &p->v6 };

	for (unsigned t = 0; t < 2; t++)
		for (uint32_t i = 0; i < table[t]->n * PER_SLAB; i++) {
			const struct slab *b = table[t]->slab[i / PER_SLAB];
			const struct parked *k;
			struct flow f;

			if (!b || i % PER_SLAB >= b->fresh)
				continue;
			k = place(table[t], i);
			if (!k->id)
				continue;
			show(k, &f, !t, false);
			if (!fn(&f, arg))
				return;
		}
}

struct parked *parking_stale(struct parking *p)
{
	struct slabs *s = p->v4.used >= p->v6.used ? &p->v4 : &p->v6;
	uint64_t all = (uint64_t)s->n * PER_SLAB, oldest = UINT64_MAX;
	struct parked *best = NULL;
	unsigned looks = 0;

	for (uint64_t n = 0; n < all && looks < STALE_LOOKS; n++) {
		uint32_t i = s->hand < all ? s->hand : 0;
		struct slab *b = s->slab[i / PER_SLAB];
		struct parked *k;
		uint64_t last;

		if (!b || i % PER_SLAB >= b->fresh) { /* on to the next slab */
			s->hand = (i / PER_SLAB + 1) * PER_SLAB;
			n += PER_SLAB - i % PER_SLAB - 1;
			continue;
		}
		s->hand = i + 1;
		k = place(s, i);
		if (!k->id)
			continue;
		looks++;
		last = k->start_ns + k->last_ms * 1000000ull;
		if (last < oldest) {
			oldest = last;
			best = k;
		}
	}
	return best;
}
