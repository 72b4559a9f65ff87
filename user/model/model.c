// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "hosts.h"
#include "model_own.h"
#include "parked.h"
#include "pipeline.h"
#include "unacked.h"

#define CHUNK	 256
#define MAX_APPS 256
#define LIVES	 3   /* of a flow that both ends talk on: more than a question and its answer */
#define SPARED	 4   /* at most, for one that is parked */
#define TCP_RST	 4
#define TCP_SYN	 2
#define TCP_FIN	 1
#define TCP_ACK	 16

struct flow_chunk {
	struct flow flow[CHUNK];
	struct flow_chunk *next;
} __attribute__((aligned(64)));

struct model {
	struct flow **bucket;
	size_t mask, n, max; /* n: followed */
	size_t follow;
	struct parking *parking;
	struct flow *newest, *oldest, *free;
	struct flow_chunk *chunks;
	struct type_stats type[MAX_TYPES];
	unsigned ntypes;
	char app[MAX_APPS][TYPE_NAME_LEN];
	unsigned napps;
	struct local_net local[LOCAL_NETS];
	unsigned nlocal, given, learned; /* those said or usual; how many were added ever */
	struct hosts *hosts; /* NULL until the first is heard of */
	bool strangers;
	uint64_t now_ns, refused;
};

/* RFC 1918, RFC 6598, link-local, RFC 4193. */
static const struct local_net default_local[] = {
	{ { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10 } } }, 104 },
	{ { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 172, 16 } } }, 108 },
	{ { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168 } } }, 112 },
	{ { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 100, 64 } } }, 106 },
	{ { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 169, 254 } } }, 112 },
	{ { { { 0xfc } } }, 7 },
	{ { { { 0xfe, 0x80 } } }, 10 },
};

struct model *model_new(unsigned max_flows, const struct local_net *local, unsigned nlocal)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mask = 1023;
	m->max = max_flows ? max_flows : SIZE_MAX;
	m->follow = SIZE_MAX;
	m->bucket = calloc(m->mask + 1, sizeof(*m->bucket));
	m->parking = parking_new();
	if (!m->bucket || !m->parking) {
		parking_free(m->parking);
		free(m->bucket);
		free(m);
		return NULL;
	}
	if (!nlocal) {
		local = default_local;
		nlocal = sizeof(default_local) / sizeof(*default_local);
	}
	m->nlocal = nlocal < LOCAL_NETS ? nlocal : LOCAL_NETS;
	memcpy(m->local, local, m->nlocal * sizeof(*local));
	m->given = m->nlocal;
	m->ntypes = m->napps = 1;
	strcpy(m->type[0].name, "unknown");
	return m;
}

void model_free(struct model *m)
{
	struct flow_chunk *next;

	if (!m)
		return;
	hosts_free(m->hosts);
	for (struct flow *f = m->newest; f; f = f->lru_next) {
		free(f->hint);
		flow_rtt_free(f);
		unacked_free(f);
	}
	for (struct flow_chunk *c = m->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	parking_free(m->parking);
	free(m->bucket);
	free(m);
}

void model_follow(struct model *m, unsigned flows)
{
	m->follow = flows ? flows : SIZE_MAX;
}

size_t model_flows(const struct model *m)
{
	return m->n + parking_count(m->parking);
}

size_t model_parked(const struct model *m)
{
	return parking_count(m->parking);
}

uint64_t model_now(const struct model *m)
{
	return m->now_ns;
}

void model_set_now(struct model *m, uint64_t ns)
{
	if (ns > m->now_ns)
		m->now_ns = ns;
}

void model_restart(struct model *m, uint64_t ns)
{
	m->now_ns = ns;
}

void model_refuse(struct model *m)
{
	m->refused++;
}

uint64_t model_refused(const struct model *m)
{
	return m->refused;
}

const char *model_type_name(const struct model *m, unsigned type)
{
	return type < m->ntypes ? m->type[type].name : "?";
}

const char *model_app_name(const struct model *m, unsigned app)
{
	return app && app < m->napps ? m->app[app] : NULL;
}

unsigned model_types(const struct model *m)
{
	return m->ntypes;
}

const struct type_stats *model_type(const struct model *m, unsigned type)
{
	return type < m->ntypes ? &m->type[type] : NULL;
}

void model_put_type(struct model *m, unsigned type, const struct type_stats *t)
{
	char name[TYPE_NAME_LEN];

	memcpy(name, m->type[type].name, sizeof(name));
	m->type[type] = *t;
	memcpy(m->type[type].name, name, sizeof(name));
}

unsigned model_type_id(struct model *m, const char *name)
{
	for (unsigned i = 0; i < m->ntypes; i++)
		if (!strncmp(m->type[i].name, name, TYPE_NAME_LEN - 1))
			return i;
	if (m->ntypes == MAX_TYPES) {
		m->refused++;
		return 0;
	}
	strncpy(m->type[m->ntypes].name, name, TYPE_NAME_LEN - 1);
	return m->ntypes++;
}

unsigned model_app_id(struct model *m, const char *name)
{
	for (unsigned i = 1; i < m->napps; i++)
		if (!strncmp(m->app[i], name, TYPE_NAME_LEN - 1))
			return i;
	if (m->napps == MAX_APPS) {
		m->refused++;
		return 0;
	}
	strncpy(m->app[m->napps], name, TYPE_NAME_LEN - 1);
	return m->napps++;
}

bool model_is_local(const struct model *m, const struct in6_addr *ip)
{
	for (unsigned i = 0; i < m->nlocal; i++) {
		const struct local_net *n = &m->local[i];
		unsigned whole = n->prefix / 8, rest = n->prefix % 8;

		if (memcmp(ip, &n->ip, whole))
			continue;
		if (!rest || !((ip->s6_addr[whole] ^ n->ip.s6_addr[whole]) >> (8 - rest)))
			return true;
	}
	return false;
}

void model_learn_local(struct model *m, const struct in6_addr *ip, unsigned prefix)
{
	unsigned room = LOCAL_NETS - m->given;

	if (!room || prefix > 128 || model_is_local(m, ip))
		return;
	/* A provider that renumbers each day: the oldest goes. */
	m->local[m->given + m->learned++ % room] = (struct local_net){ *ip, prefix };
	m->nlocal = m->given + (m->learned < room ? m->learned : room);
}

void model_learn_host(struct model *m, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6])
{
	if (!m->hosts)
		m->hosts = hosts_new();
	if (m->hosts)
		hosts_note(m->hosts, ip, ifindex, mac);
	else
		m->refused++;
}

bool model_strangers(struct model *m)
{
	bool any = m->strangers;

	m->strangers = false;
	return any;
}

bool model_same_host(const struct model *m, const struct in6_addr *a, const struct in6_addr *b)
{
	return m->hosts ? hosts_same(m->hosts, a, b) : ip_same(a, b);
}

static void unlink_lru(struct model *m, struct flow *f)
{
	if (f->lru_prev)
		f->lru_prev->lru_next = f->lru_next;
	else
		m->newest = f->lru_next;
	if (f->lru_next)
		f->lru_next->lru_prev = f->lru_prev;
	else
		m->oldest = f->lru_prev;
}

static void link_lru(struct model *m, struct flow *f)
{
	f->lru_prev = NULL;
	f->lru_next = m->newest;
	if (m->newest)
		m->newest->lru_prev = f;
	else
		m->oldest = f;
	m->newest = f;
}

void model_each_flow(struct model *m, bool (*fn)(struct flow *f, void *arg), void *arg)
{
	struct flow *next;

	for (struct flow *f = m->newest; f; f = next) {
		next = f->lru_next;
		if (!fn(f, arg))
			return;
	}
}

void model_each_parked(const struct model *m, bool (*fn)(struct flow *f, void *arg), void *arg)
{
	parking_each(m->parking, fn, arg);
}

struct flow *model_flow(struct model *m, uint64_t id)
{
	struct flow *f = m->bucket[id & m->mask];

	while (f && f->id != id)
		f = f->next_hash;
	return f;
}

void model_expect_counters(const struct model *m, uint64_t id, unsigned stage)
{
	struct flow *const *place = &m->bucket[id & m->mask];

	if (!stage)
		__builtin_prefetch(place);
	else if (*place)
		model_expect_flow(*place);
	if (model_parked(m))
		parking_expect(m->parking, id, stage);
}

void model_expect_flow(const struct flow *f)
{
	fetch_lines(f, offsetof(struct flow, end_ns));
}

void model_expect_parts(const struct flow *f)
{
	__builtin_prefetch(f->unacked, 1);
	__builtin_prefetch(f->rtt, 1);
#pragma GCC unroll 8
	for (unsigned i = 0; i < DETECTORS_MAX; i++)
		__builtin_prefetch(f->detector[i], 1);
}

void model_expect_deep(const struct flow *f, unsigned way)
{
	if (f->rtt)
		__builtin_prefetch(f->rtt->side[!way].block, 1);
	unacked_expect(f, way);
}

static void grow(struct model *m)
{
	size_t size = (m->mask + 1) * 2;
	struct flow **bucket = calloc(size, sizeof(*bucket));

	if (!bucket)
		return;
	for (struct flow *f = m->newest; f; f = f->lru_next) {
		f->next_hash = bucket[f->id & (size - 1)];
		bucket[f->id & (size - 1)] = f;
	}
	free(m->bucket);
	m->bucket = bucket;
	m->mask = size - 1;
}

static struct flow *take_flow(struct model *m)
{
	struct flow *f;

	if (!m->free) {
		struct flow_chunk *c = aligned_alloc(64, sizeof(*c));

		if (!c)
			return NULL;
		c->next = m->chunks;
		m->chunks = c;
		for (unsigned i = 0; i < CHUNK; i++) {
			c->flow[i].next_hash = m->free;
			m->free = &c->flow[i];
		}
	}
	f = m->free;
	m->free = f->next_hash;
	memset(f, 0, sizeof(*f));
	return f;
}

/* Who is who, by the engine's word and a record's direction. */
static void set_ends(struct flow *f, const struct weir_rec *r)
{
	bool lo_is_client = r->client != WEIR_CLIENT_HI, sender_is_lo = !r->dir;
	struct endpoint from = { .port = r->sport }, to = { .port = r->dport };

	memcpy(&from.ip, r->saddr, sizeof(from.ip));
	memcpy(&to.ip, r->daddr, sizeof(to.ip));
	f->engine_client = r->client;
	f->client_dir = lo_is_client ? 0 : 1;
	f->client = lo_is_client == sender_is_lo ? from : to;
	f->server = lo_is_client == sender_is_lo ? to : from;
}

static void link_flow(struct model *m, struct flow *f)
{
	if (m->n > m->mask)
		grow(m);
	f->next_hash = m->bucket[f->id & m->mask];
	m->bucket[f->id & m->mask] = f;
	link_lru(m, f);
	m->n++;
}

static void unlink_flow(struct model *m, struct flow *f)
{
	struct flow **at = &m->bucket[f->id & m->mask];

	while (*at != f)
		at = &(*at)->next_hash;
	*at = f->next_hash;
	unlink_lru(m, f);
	f->next_hash = m->free;
	m->free = f;
	m->n--;
}

struct flow *model_crowd(struct model *m, const struct flow *keep, bool (*busy)(void *arg, const struct flow *f), void *arg)
{
	if (m->n <= m->follow)
		return NULL;
	for (unsigned spared = 0; spared < SPARED; spared++) {
		struct flow *f = m->oldest;

		if (f->lives)
			f->lives--;
		else if (f != keep && !busy(arg, f))
			return f;
		unlink_lru(m, f);
		link_lru(m, f);
	}
	return m->oldest == keep ? keep->lru_prev : m->oldest;
}

bool model_park(struct model *m, struct flow *f)
{
	if (!parking_put(m->parking, f))
		return false;
	unacked_free(f);
	unlink_flow(m, f);
	return true;
}

static struct flow *unpark(struct model *m, struct parked *k)
{
	struct flow *f = k ? take_flow(m) : NULL;

	if (!f)
		return NULL;
	parking_take(m->parking, k, f);
	link_flow(m, f);
	return f;
}

struct flow *model_unpark(struct model *m, uint64_t id)
{
	return unpark(m, parking_find(m->parking, id));
}

struct flow *model_unpark_any(struct model *m)
{
	return unpark(m, parking_stale(m->parking));
}

struct flow *model_flow_of(struct model *m, const struct weir_rec *r, struct flow **evict)
{
	struct flow *f = model_flow(m, r->flow_id);

	*evict = NULL;
	if (f)
		return f;
	if (model_parked(m)) {
		struct parked *k = parking_find(m->parking, r->flow_id);

		if (k)
			return unpark(m, k);
	}
	if (model_flows(m) >= m->max) {
		*evict = model_unpark_any(m);
		if (!*evict)
			*evict = m->oldest;
		return NULL;
	}
	f = take_flow(m);
	if (!f) {
		m->refused++;
		return NULL;
	}
	f->id = r->flow_id;
	f->start_ns = f->last_ns = r->time_ns;
	f->ifindex = r->ifindex;
	f->proto = r->proto;
	f->complete = r->flags & WEIR_REC_NEW &&
		      (r->proto != IPPROTO_TCP || (r->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN);
	set_ends(f, r);
	m->strangers |= hosts_stranger(m->hosts, &f->client.ip) && model_is_local(m, &f->client.ip);
	link_flow(m, f);
	m->type[0].flows_started++;
	m->type[0].flows_active++;
	return f;
}

/* What a packet may tell of its flow, each way once: the letters of the history. */
enum { SAID_SYN, SAID_SYN_ACK, SAID_RST, SAID_ACK, SAID_HOLE, SAID_AGAIN, SAID_DATA, SAID_CLOSED, SAID_FIN, SAID };
static const char letters[] = HISTORY_LETTERS;
_Static_assert(2 * SAID < HISTORY_LEN, "all of them find room");

static void history(struct flow *f, const struct weir_rec *r)
{
	unsigned shift = r->dir == f->client_dir ? 0 : 16;
	uint8_t fl = r->tcp_flags;
	uint32_t now = 0;
	size_t n;

	if (r->payload_len && !(fl & TCP_RST))
		now = 1 << SAID_DATA;
	if (r->proto == IPPROTO_TCP) {
		if (fl & TCP_SYN)
			now |= fl & TCP_ACK ? 1 << SAID_SYN_ACK : 1 << SAID_SYN;
		else if (fl & TCP_RST)
			now |= 1 << SAID_RST;
		else if (!r->payload_len && !(fl & TCP_FIN))
			now |= 1 << SAID_ACK;
		if (r->label == WEIR_HOLE)
			now |= 1 << SAID_HOLE;
		if (r->label == WEIR_RETX_FILL || r->label == WEIR_RETX_SEEN || r->label == WEIR_RETX_ACKED)
			now |= 1 << SAID_AGAIN;
		if (!r->win && !(fl & (TCP_RST | TCP_SYN)))
			now |= 1 << SAID_CLOSED;
		if (fl & TCP_FIN)
			now |= 1 << SAID_FIN;
	}
	now &= ~(f->said >> shift);
	if (!now)
		return;
	n = (size_t)__builtin_popcount(f->said);
	for (unsigned i = 0; i < SAID; i++)
		if (now >> i & 1)
			f->history[n++] = shift ? letters[i] | 0x20 : letters[i];
	f->said |= now << shift;
}

static void count_packet(struct type_stats *t, struct flow *f, const struct weir_rec *r)
{
	unsigned way = rec_way(f, r);
	struct flow_counts *c = &f->count[way];

	c->packets += r->segs;
	c->bytes += r->ip_len;
	t->packets[way] += r->segs;
	t->bytes[way] += r->ip_len;
	if (r->payload_len) {
		c->data_packets += r->segs;
		t->data_packets[way] += r->segs;
		if (f->proto == IPPROTO_TCP)
			t->tcp_data_packets[way] += r->segs;
	}
	if (!(r->tcp_flags & TCP_RST) || !c->ttl)
		c->ttl = r->ttl;
	if (!r->win && r->proto == IPPROTO_TCP && !(r->tcp_flags & (TCP_SYN | TCP_RST)))
		c->zero_windows++;
	switch (r->label) {
	case WEIR_RETX_FILL:
		c->lost_before += r->segs;
		t->lost[way] += r->segs;
		goto retx;
	case WEIR_RETX_SEEN:
		c->lost_after += r->segs;
		t->lost[way] += r->segs;
		goto retx;
	case WEIR_RETX_ACKED:
		c->spurious++;
retx:
		c->retx += r->segs;
		t->retx[way] += r->segs;
		break;
	case WEIR_REORDER:
		c->reordered++;
		break;
	case WEIR_DUPLICATE:
		c->duplicated++;
		break;
	}
}

void model_packet(struct model *m, struct flow *f, const struct weir_rec *r, bool count)
{
	struct type_stats *t = &m->type[f->type];
	uint32_t rtt_us;

	model_set_now(m, r->time_ns);
	if (r->time_ns > f->last_ns)
		f->last_ns = r->time_ns;
	if (!count && m->newest != f) { /* a capture's flows are the engine's to end: no order is kept of them */
		unlink_lru(m, f);
		link_lru(m, f);
	}
	if (r->own_pkts && r->peer_pkts)
		f->lives = LIVES;
	if (r->kind == WEIR_REC_ICMP)
		f->icmp = (uint16_t)r->seq;
	if (r->kind != WEIR_REC_PACKET)
		return;
	if (r->client && r->client != f->engine_client)
		set_ends(f, r);
	history(f, r);
	if (r->tcp_flags & TCP_RST)
		t->rsts++;
	rtt_us = r->rtt_us;
	if (count) {
		count_packet(t, f, r);
		if (r->proto == IPPROTO_TCP)
			rtt_us = unacked_packet(f, r);
	} else if (rtt_us) {
		flow_rtt_add(f, rec_way(f, r) == TO_CLIENT ? TO_SERVER : TO_CLIENT, rtt_us);
	}
	if (rtt_us)
		rtt_sums_add(&t->rtt_side[rec_way(f, r) == TO_CLIENT ? TO_SERVER : TO_CLIENT], rtt_us);
	if (rtt_us && rec_way(f, r) == TO_CLIENT) /* the side that the path lies on */
		rtt_add(&t->rtt, rtt_us);
}

static void move_counts(struct type_stats *t, const struct flow *f, int sign)
{
	for (int way = 0; way < 2; way++) {
		const struct flow_counts *c = &f->count[way];

		t->packets[way] += sign * (int64_t)c->packets;
		t->bytes[way] += sign * (int64_t)c->bytes;
		t->data_packets[way] += sign * (int64_t)c->data_packets;
		if (f->proto == IPPROTO_TCP)
			t->tcp_data_packets[way] += sign * (int64_t)c->data_packets;
		t->retx[way] += sign * (int64_t)c->retx;
		t->lost[way] += sign * ((int64_t)c->lost_before + c->lost_after);
	}
}

void model_counters(struct model *m, struct flow *f, const struct weir_flow *c)
{
	move_counts(&m->type[f->type], f, -1);
	for (int dir = 0; dir < 2; dir++) {
		const struct weir_dir *d = &c->dir[dir];
		const struct weir_dir_cold *cold = &c->cold[dir];
		struct flow_counts *to = &f->count[dir == f->client_dir ? TO_SERVER : TO_CLIENT];

		to->packets = d->packets;
		to->bytes = d->bytes;
		to->data_packets = d->data_packets;
		to->retx = cold->retx;
		to->lost_before = cold->lost_before;
		to->lost_after = cold->lost_after;
		to->reordered = cold->reordered;
		to->duplicated = cold->duplicated;
		to->spurious = cold->spurious;
		to->zero_windows = cold->zero_windows;
		to->rtt_min_us = c->dir[!dir].rtt_min_us; /* to the receiver: its packets carry the answer */
		to->ttl = d->ttl;
	}
	move_counts(&m->type[f->type], f, 1);
	f->handshake_us = c->handshake_us;
	if (c->dir[0].packets && c->dir[1].packets && c->dir[0].packets + c->dir[1].packets > 2)
		f->lives = LIVES;
}

bool model_parked_counters(struct model *m, const struct weir_flow *c)
{
	struct parked *k = model_parked(m) ? parking_find(m->parking, c->id) : NULL;
	struct flow_counts old[2], now[2];
	struct type_stats *t;

	if (!k || !parked_count(k, c, old, now))
		return false;
	t = &m->type[parked_type(k)];
	for (unsigned way = 0; way < 2; way++) {
		t->packets[way] += now[way].packets - old[way].packets;
		t->bytes[way] += now[way].bytes - old[way].bytes;
		t->data_packets[way] += now[way].data_packets - old[way].data_packets;
		if (parked_proto(k) == IPPROTO_TCP)
			t->tcp_data_packets[way] += now[way].data_packets - old[way].data_packets;
	}
	return true;
}

void model_set_type(struct model *m, struct flow *f, unsigned type)
{
	if (type == f->type || type >= m->ntypes)
		return;
	move_counts(&m->type[f->type], f, -1);
	m->type[f->type].flows_started--;
	m->type[f->type].flows_active--;
	f->type = type;
	m->type[type].flows_started++;
	m->type[type].flows_active++;
	move_counts(&m->type[type], f, 1);
}

void model_suspect_rst(struct model *m, const struct flow *f)
{
	m->type[f->type].rsts_suspect++;
}

void model_drop_trials(struct model *m, unsigned type, uint32_t have, uint32_t need)
{
	m->type[type].drop_have = have;
	m->type[type].drop_need = need;
}

void model_flow_end(struct model *m, struct flow *f)
{
	m->type[f->type].flows_active--;
	m->type[f->type].flows_ended++;
	free(f->hint);
	flow_rtt_free(f);
	unacked_free(f);
	unlink_flow(m, f);
}
