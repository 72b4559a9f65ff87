// SPDX-License-Identifier: GPL-2.0-or-later
#include "drop_ends.h"

#include <stddef.h>
#include <string.h>

#define DOWN_NS 15000000000ull

static const struct end *set_of(const struct ends *e, const struct in6_addr *ip)
{
	return e->end[ip_hash(ip, 0) % ENDS_SETS];
}

static bool is_end(const struct end *x, const struct in6_addr *ip, unsigned type)
{
	return x->used && x->type == type && ip_same(&x->ip, ip);
}

/* The entry; where there is none *set and *tag say where it would be. */
static struct end *find(struct ends *e, const struct in6_addr *ip, unsigned type, unsigned *set, uint32_t *tag)
{
	uint32_t h = (uint32_t)ip_hash(ip, 0);

	*set = h % ENDS_SETS;
	*tag = (h ^ type * 0x85ebca6bu) | 1;
	for (unsigned i = 0; i < ENDS_WAYS; i++)
		if (e->tag[*set][i] == *tag && is_end(&e->end[*set][i], ip, type))
			return &e->end[*set][i];
	return NULL;
}

static uint64_t newest(const struct end *x)
{
	return x->ok_ns > x->fail_ns ? x->ok_ns : x->fail_ns;
}

static void grow(uint16_t *v, unsigned by)
{
	*v = *v + by > UINT16_MAX ? UINT16_MAX : *v + by;
}

/*
 * The bucket of that number; where another is in its place that one goes first, to *was. NULL: it is older than the
 * ring.
 */
static struct end_bucket *bucket(struct end_bucket *b, uint16_t *held, uint32_t no, struct end_bucket *was, bool *left)
{
	unsigned bit = 1u << no % END_BUCKETS;

	b += no % END_BUCKETS;
	*left = false;
	if (*held & bit) {
		if (b->no == no)
			return b;
		if (no < b->no)
			return NULL;
		*was = *b;
		*left = true;
	}
	*b = (struct end_bucket){ .no = no };
	*held |= (uint16_t)bit;
	return b;
}

static uint32_t coarse_no(uint32_t fine)
{
	return (uint32_t)(fine / (END_COARSE_NS / END_FINE_NS));
}

/* What leaves the fine ring, or comes too late for it. */
static void add_coarse(struct end *x, const struct end_bucket *from)
{
	struct end_bucket was, *b;
	bool left;

	b = bucket(x->coarse, &x->coarses, coarse_no(from->no), &was, &left);
	for (unsigned i = 0; b && i < ENDS_KINDS; i++) {
		grow(&b->n[i], from->n[i]);
		grow(&b->lost[i], from->lost[i]);
	}
}

static void tally(struct end *x, uint32_t no, unsigned channel, unsigned n, unsigned lost)
{
	struct end_bucket other, *b;
	bool left;

	b = bucket(x->fine, &x->fines, no, &other, &left);
	if (left)
		add_coarse(x, &other);
	if (!b) {
		other = (struct end_bucket){ .no = no };
		b = &other;
	}
	grow(&b->n[channel], n);
	if (lost)
		grow(&b->lost[channel], lost);
	if (b == &other)
		add_coarse(x, &other);
}

/* The entry, made where missing. */
static struct end *get(struct ends *e, const struct in6_addr *ip, unsigned type)
{
	uint32_t tag;
	unsigned set, way = 0;
	struct end *x = find(e, ip, type, &set, &tag);

	if (x)
		return x;
	for (unsigned i = 0; i < ENDS_WAYS; i++) {
		if (!e->tag[set][i]) {
			way = i;
			break;
		}
		if (e->newest[set][i] < e->newest[set][way])
			way = i;
	}
	e->tag[set][way] = tag;
	e->newest[set][way] = 0;
	x = &e->end[set][way];
	memset(x, 0, offsetof(struct end, fine));
	x->ip = *ip;
	x->type = type;
	x->used = true;
	x->at = (uint16_t)(set * ENDS_WAYS + way);
	return x;
}

void ends_add(struct ends *e, struct end **at, const struct in6_addr *ip, unsigned type, unsigned channel,
	      uint64_t flow, uint64_t time_ns, unsigned n, unsigned lost)
{
	struct end *x = *at;

	if (!x || !is_end(x, ip, type))
		x = *at = get(e, ip, type);
	tally(x, (uint32_t)(time_ns / END_FINE_NS), channel, n, lost);
	if (lost && time_ns > x->fail_ns)
		x->fail_ns = time_ns;
	if (n > lost) {
		if (time_ns > x->ok_ns)
			x->ok_ns = time_ns;
		if (!x->ok_flow)
			x->ok_flow = flow;
		else if (x->ok_flow != flow)
			x->many = true;
	}
	e->newest[x->at / ENDS_WAYS][x->at % ENDS_WAYS] = newest(x);
}

bool ends_alive(const struct ends *e, const struct in6_addr *ip, uint64_t since_ns, uint64_t flow)
{
	const struct end *set = set_of(e, ip);

	for (unsigned i = 0; i < ENDS_WAYS; i++)
		if (set[i].used && set[i].ok_ns && set[i].ok_ns >= since_ns &&
		    ip_same(&set[i].ip, ip) && (!flow || set[i].many || set[i].ok_flow != flow))
			return true;
	return false;
}

bool ends_down(const struct ends *e, const struct in6_addr *ip, unsigned type, uint64_t now_ns)
{
	const struct end *set = set_of(e, ip);
	bool others = false;

	for (unsigned i = 0; i < ENDS_WAYS; i++) {
		if (!set[i].used || !ip_same(&set[i].ip, ip))
			continue;
		if (set[i].ok_ns > set[i].fail_ns && set[i].ok_ns + DOWN_NS > now_ns)
			return false;
		if (set[i].type != type && set[i].fail_ns > set[i].ok_ns &&
		    set[i].fail_ns + DOWN_NS > now_ns)
			others = true;
	}
	return others;
}

static void add_bucket(const struct end_bucket *b, unsigned channels, double *n, double *lost)
{
	for (unsigned c = 0; c < ENDS_KINDS; c++) {
		if (!(channels & 1u << c))
			continue;
		*n += b->n[c];
		*lost += b->lost[c];
	}
}

void end_count(const struct end *x, unsigned channels, uint64_t from_ns, uint64_t to_ns, double *n,
	       double *lost)
{
	bool fine = from_ns + (END_BUCKETS - 1) * END_FINE_NS > newest(x);
	uint64_t width = fine ? END_FINE_NS : END_COARSE_NS, first = from_ns / width, last = to_ns / width;

	*n = *lost = 0;
	for (unsigned i = 0; i < END_BUCKETS; i++) {
		const struct end_bucket *b = &x->fine[i];
		uint64_t no = fine ? b->no : coarse_no(b->no);

		if (x->fines >> i & 1 && no >= first && no <= last)
			add_bucket(b, channels, n, lost);
		b = &x->coarse[i];
		if (!fine && x->coarses >> i & 1 && b->no >= first && b->no <= last)
			add_bucket(b, channels, n, lost);
	}
	if (*n < *lost)
		*n = *lost;
}

void ends_each(const struct ends *e, int type, bool (*fn)(const struct end *x, void *arg),
	       void *arg)
{
	for (unsigned i = 0; i < ENDS_SETS; i++)
		for (unsigned j = 0; j < ENDS_WAYS; j++) {
			const struct end *x = &e->end[i][j];

			if (x->used && (type < 0 || x->type == type) && !fn(x, arg))
				return;
		}
}

static uint64_t hash_spot(const struct endpoint *e, uint8_t proto)
{
	return ip_hash(&e->ip, (uint64_t)e->port << 8 | proto);
}

static const struct port_type *port_of(const struct spots *s, uint16_t port, uint8_t proto)
{
	return &s->port[proto == IPPROTO_UDP][port % PORT_SLOTS];
}

void spots_learn(struct spots *s, const struct endpoint *e, uint8_t proto, unsigned type,
		 uint64_t now_ns)
{
	struct spot *set = s->spot[hash_spot(e, proto) % SPOT_SETS], *x = set;
	struct port_type *p = (struct port_type *)port_of(s, e->port, proto);

	for (unsigned i = 0; i < SPOT_WAYS; i++) {
		if (!set[i].used || (set[i].port == e->port && set[i].proto == proto &&
				     ip_same(&set[i].ip, &e->ip))) {
			x = &set[i];
			break;
		}
		if (set[i].seen_ns < x->seen_ns)
			x = &set[i];
	}
	*x = (struct spot){ e->ip, e->port, type, proto, true, now_ns };
	if (p->used && p->port != e->port)
		return;
	if (!p->used)
		*p = (struct port_type){ e->port, type, 1, true, false, e->ip };
	else if (p->type != type)
		p->mixed = true;
	else if (p->hosts < 255 && !ip_same(&p->first, &e->ip))
		p->hosts++;
}

int spots_type(const struct spots *s, const struct endpoint *e, uint8_t proto)
{
	const struct spot *set = s->spot[hash_spot(e, proto) % SPOT_SETS];
	const struct port_type *p = port_of(s, e->port, proto);

	for (unsigned i = 0; i < SPOT_WAYS; i++)
		if (set[i].used && set[i].port == e->port && set[i].proto == proto &&
		    ip_same(&set[i].ip, &e->ip))
			return set[i].type;
	return p->used && p->port == e->port && !p->mixed && p->hosts >= 2 ? p->type : -1;
}
