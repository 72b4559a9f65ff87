// SPDX-License-Identifier: GPL-2.0-or-later
#include "join.h"

#include <stdlib.h>
#include <string.h>

#include "join_table.h"

struct join {
	struct join_config cfg;
	struct join_table conns; /* a translated connection's names: what each end is called on the other side */
	struct join_table flows; /* by id: the verdict */
	struct join_table pairs; /* by the inside's name: what both sightings counted */
	struct join_stats stats;
};

struct join *join_new(const struct join_config *cfg)
{
	struct join *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->cfg = *cfg;
	if (join_table_init(&j->conns, 2 * cfg->max) && join_table_init(&j->flows, 2 * cfg->max) &&
	    join_table_init(&j->pairs, cfg->max))
		return j;
	join_free(j);
	return NULL;
}

void join_free(struct join *j)
{
	if (!j)
		return;
	join_table_free(&j->conns);
	join_table_free(&j->flows);
	join_table_free(&j->pairs);
	free(j);
}

void join_configure(struct join *j, const struct join_config *cfg)
{
	unsigned max = j->cfg.max;

	j->cfg = *cfg;
	j->cfg.max = max;
}

void join_stats(const struct join *j, struct join_stats *s)
{
	*s = j->stats;
	s->connections = j->conns.n / 2;
}

static bool listed(const unsigned *list, unsigned n, unsigned ifindex)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == ifindex)
			return true;
	return false;
}

static bool same_net(const struct in6_addr *a, const struct in6_addr *b, unsigned prefix)
{
	unsigned bytes = prefix / 8, bits = prefix % 8;

	if (memcmp(a, b, bytes))
		return false;
	return !bits || !((a->s6_addr[bytes] ^ b->s6_addr[bytes]) >> (8 - bits));
}

/* Multicast, broadcast, link-local, unspecified, loopback: never routed. */
static bool stays_on_link(const struct in6_addr *ip)
{
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		const uint8_t *b = &ip->s6_addr[12];

		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || (b[0] == 169 && b[1] == 254);
	}
	return ip->s6_addr[0] == 0xff || IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_LOOPBACK(ip) ||
	       IN6_IS_ADDR_UNSPECIFIED(ip);
}

static bool is_own(const struct join *j, const struct in6_addr *ip)
{
	for (unsigned i = 0; i < j->cfg.nown; i++)
		if (!memcmp(ip, &j->cfg.own[i].ip, sizeof(*ip)))
			return true;
	return false;
}

/* In a network that one of these interfaces is connected to. */
static bool connected(const struct join *j, const unsigned *ifaces, unsigned n,
		      const struct in6_addr *ip)
{
	for (unsigned i = 0; i < j->cfg.nown; i++)
		if (listed(ifaces, n, j->cfg.own[i].ifindex) &&
		    same_net(ip, &j->cfg.own[i].ip, j->cfg.own[i].prefix))
			return true;
	return false;
}

static bool is_inside(const struct join *j, const struct in6_addr *ip)
{
	if (is_own(j, ip))
		return false;
	if (connected(j, j->cfg.lan, j->cfg.nlan, ip))
		return true;
	/* Private addresses are inside, but for those of the WAN's own network (double NAT). */
	if (connected(j, j->cfg.wan, j->cfg.nwan, ip))
		return false;
	return j->cfg.is_local && j->cfg.is_local(j->cfg.is_local_arg, ip);
}

static bool is_outside(const struct join *j, const struct in6_addr *ip)
{
	return !stays_on_link(ip) && !is_inside(j, ip) && !is_own(j, ip);
}

/* Does a flow seen on the LAN pass the gateway, and show on the WAN as well? */
static bool crosses(const struct join *j, const struct join_key *k)
{
	const struct in6_addr *a = &k->end[0].ip, *b = &k->end[1].ip;

	if (stays_on_link(a) || stays_on_link(b))
		return false;
	return (is_inside(j, a) && is_outside(j, b)) || (is_outside(j, a) && is_inside(j, b));
}

void join_conntrack(struct join *j, const struct ct_entry *e)
{
	const struct ct_tuple *o = &e->orig, *r = &e->reply;
	/* The same two ends, as each side calls them; the one that opened it first. */
	struct join_end first[2] = { { o->src, o->sport }, { o->dst, o->dport } };
	struct join_end second[2] = { { r->dst, r->dport }, { r->src, r->sport } };
	struct join_value *v;
	struct join_key k;

	if (!ct_translated(e))
		return;
	for (int side = 0; side < 2; side++) {
		const struct join_end *from = side ? second : first, *to = side ? first : second;

		join_key_make(&k, &from[0], &from[1], o->proto);
		if (e->gone) {
			join_table_del(&j->conns, &k);
			continue;
		}
		v = join_table_add(&j->conns, &k);
		if (!v) {
			j->stats.refused++;
			continue;
		}
		memcpy(v->from, from, sizeof(v->from));
		memcpy(v->to, to, sizeof(v->to));
	}
}

static bool same_end(const struct join_end *a, const struct join_end *b)
{
	return a->port == b->port && !memcmp(&a->ip, &b->ip, sizeof(a->ip));
}

static struct join_end renamed(const struct join_value *v, const struct join_end *e)
{
	for (int i = 0; i < 2; i++)
		if (same_end(e, &v->from[i]))
			return v->to[i];
	return *e;
}

/* The name a flow goes by inside: that of the pair. */
static void inside_name(const struct join_value *v, const struct join_key *k, struct join_key *out)
{
	struct join_end a = k->end[0], b = k->end[1];

	if (v->verdict == JOIN_RENAME) {
		a = renamed(v, &k->end[0]);
		b = renamed(v, &k->end[1]);
	}
	join_key_make(out, &a, &b, k->proto);
}

/* Decides once for each flow, when it is first heard of. */
static void decide(struct join *j, unsigned ifindex, const struct join_key *k, struct join_value *v)
{
	bool lan = listed(j->cfg.lan, j->cfg.nlan, ifindex);
	const struct join_value *conn;
	struct join_key inside;
	struct join_value *pair;

	v->verdict = JOIN_KEEP;
	if (lan) {
		if (j->cfg.nwan && j->cfg.all_wans && crosses(j, k))
			v->verdict = JOIN_ECHO;
		return;
	}
	if (!listed(j->cfg.wan, j->cfg.nwan, ifindex))
		return;
	conn = join_table_get(&j->conns, k);
	if (!conn && j->cfg.more && (is_own(j, &k->end[0].ip) || is_own(j, &k->end[1].ip))) {
		j->cfg.more(j->cfg.more_arg);
		conn = join_table_get(&j->conns, k);
	}
	if (conn) {
		memcpy(v->from, conn->from, sizeof(v->from));
		memcpy(v->to, conn->to, sizeof(v->to));
		v->verdict = JOIN_RENAME;
	}
	inside_name(v, k, &inside);
	if (!j->cfg.nlan || (!is_inside(j, &inside.end[0].ip) && !is_inside(j, &inside.end[1].ip))) {
		j->stats.renamed += v->verdict == JOIN_RENAME;
		return;
	}
	if (!j->cfg.all_wans) {
		v->verdict = JOIN_ECHO;
		return;
	}
	j->stats.renamed += v->verdict == JOIN_RENAME;
	pair = join_table_add(&j->pairs, &inside);
	if (pair)
		pair->seen = true;
}

/* The flow's verdict; tmp is for one that needs no memory, or finds no room. */
static struct join_value *verdict(struct join *j, uint64_t id, unsigned ifindex,
				  const struct join_key *k, struct join_value *tmp)
{
	struct join_key by_id;
	struct join_value *v;

	memset(tmp, 0, sizeof(*tmp));
	/* One side, nothing translated: every flow is what it seems. */
	if (!j->cfg.nwan || (!j->cfg.nlan && !j->cfg.more && !j->conns.n))
		return tmp;
	join_key_id(&by_id, id);
	v = join_table_get(&j->flows, &by_id);
	if (v)
		return v;
	decide(j, ifindex, k, tmp);
	/* Nothing that could come later changes this one: it is decided anew each time. */
	if (tmp->verdict == JOIN_KEEP && !is_own(j, &k->end[0].ip) && !is_own(j, &k->end[1].ip))
		return tmp;
	v = join_table_add(&j->flows, &by_id);
	if (!v) {
		j->stats.refused++;
		return tmp;
	}
	*v = *tmp;
	return v;
}

static void rename_end(const struct join_value *v, __be32 ip[4], __u16 *port)
{
	struct join_end e = { .port = *port };

	memcpy(&e.ip, ip, sizeof(e.ip));
	e = renamed(v, &e);
	memcpy(ip, &e.ip, sizeof(e.ip));
	*port = e.port;
}

enum join_verdict join_record(struct join *j, struct weir_rec *r)
{
	struct join_end a = { .port = r->sport }, b = { .port = r->dport };
	struct join_value tmp, *v;
	struct join_key k;

	memcpy(&a.ip, r->saddr, sizeof(a.ip));
	memcpy(&b.ip, r->daddr, sizeof(b.ip));
	join_key_make(&k, &a, &b, r->proto);
	v = verdict(j, r->flow_id, r->ifindex, &k, &tmp);
	if (v->verdict == JOIN_RENAME) {
		/* Conntrack knows who opened it, even where we came too late to see. */
		r->client = same_end(&a, &v->from[0]) == !r->dir ? WEIR_CLIENT_LO : WEIR_CLIENT_HI;
		rename_end(v, r->saddr, &r->sport);
		rename_end(v, r->daddr, &r->dport);
	}
	return v->verdict;
}

static void key_of(const struct weir_key6 *key, struct join_key *k)
{
	struct join_end lo = { .port = key->lo_port }, hi = { .port = key->hi_port };

	memcpy(&lo.ip, key->lo, sizeof(lo.ip));
	memcpy(&hi.ip, key->hi, sizeof(hi.ip));
	join_key_make(k, &lo, &hi, key->proto);
}

enum join_verdict join_key(struct join *j, uint64_t id, struct weir_key6 *key)
{
	struct join_value tmp, *v;
	struct join_key k;

	key_of(key, &k);
	v = verdict(j, id, key->ifindex, &k, &tmp);
	if (v->verdict == JOIN_RENAME) {
		rename_end(v, key->lo, &key->lo_port);
		rename_end(v, key->hi, &key->hi_port);
	}
	return v->verdict;
}

void join_ctl(struct join *j, struct weir_ctl *ctl)
{
	struct join_value *v, back;
	struct join_key by_id;

	join_key_id(&by_id, ctl->flow_id);
	v = join_table_get(&j->flows, &by_id);
	if (!v || v->verdict != JOIN_RENAME)
		return;
	memset(&back, 0, sizeof(back));
	memcpy(back.from, v->to, sizeof(back.from));
	memcpy(back.to, v->from, sizeof(back.to));
	rename_end(&back, ctl->key.lo, &ctl->key.lo_port);
	rename_end(&back, ctl->key.hi, &ctl->key.hi_port);
}

/* Both sides have counted: what is missing on the way out stayed in this host. */
static void compare(struct join *j, const struct join_value *pair)
{
	for (int way = 0; way < 2; way++) {
		uint64_t in = pair->packets[way ? 1 : 0][way], out = pair->packets[way ? 0 : 1][way];

		if (in > out)
			j->stats.own_drops[way] += in - out;
	}
}

/* Notes what one sighting (0 LAN, 1 WAN) counted; ways: 0 to the outside, 1 to the inside. */
static void note(struct join *j, const struct join_key *inside, unsigned sighting, bool lo_is_inside,
		 const struct weir_flow *f)
{
	struct join_value *pair = join_table_get(&j->pairs, inside);

	if (!pair)
		return;
	pair->packets[sighting][0] = f->dir[lo_is_inside ? 0 : 1].packets;
	pair->packets[sighting][1] = f->dir[lo_is_inside ? 1 : 0].packets;
	pair->ended |= 1 << sighting;
	/* One that began before both sides were watched can't be compared. */
	pair->partial |= f->state & WEIR_FLOW_EARLY || f->start_ns < j->cfg.since_ns;
	if (pair->ended != 3)
		return;
	if (!pair->partial)
		compare(j, pair);
	join_table_del(&j->pairs, inside);
}

/* RFC 6052's well-known prefix, 64:ff9b::/96, and RFC 8215's for networks' own use, 64:ff9b:1::/48. */
static bool is_nat64(const struct in6_addr *ip)
{
	static const uint8_t known[12] = { 0, 0x64, 0xff, 0x9b }, local[6] = { 0, 0x64, 0xff, 0x9b, 0, 1 };

	return !memcmp(ip, known, sizeof(known)) || !memcmp(ip, local, sizeof(local));
}

enum join_verdict join_end(struct join *j, struct weir_key6 *key, const struct weir_flow *f)
{
	bool lan = listed(j->cfg.lan, j->cfg.nlan, key->ifindex);
	struct join_key k, inside, by_id;
	struct join_value v, tmp;
	struct in6_addr lo;
	bool matched;

	key_of(key, &k);
	v = *verdict(j, f->id, key->ifindex, &k, &tmp);
	join_key_id(&by_id, f->id);
	join_table_del(&j->flows, &by_id);
	inside_name(&v, &k, &inside);
	if (v.verdict == JOIN_RENAME) {
		rename_end(&v, key->lo, &key->lo_port);
		rename_end(&v, key->hi, &key->hi_port);
	}
	memcpy(&lo, key->lo, sizeof(lo));
	if (v.verdict != JOIN_ECHO) {
		note(j, &inside, 1, is_inside(j, &lo), f);
		return v.verdict;
	}
	matched = !lan || join_table_get(&j->pairs, &inside);
	if (!matched) {
		j->stats.unmatched++;
		j->stats.nat64 += is_nat64(&k.end[0].ip) || is_nat64(&k.end[1].ip);
		return JOIN_KEEP;
	}
	if (lan)
		note(j, &inside, 0, is_inside(j, &lo), f);
	j->stats.joined++;
	j->stats.echo_packets += (uint64_t)f->dir[0].packets + f->dir[1].packets;
	j->stats.echo_bytes += f->dir[0].bytes + f->dir[1].bytes;
	return JOIN_ECHO;
}

bool join_other_name(const struct join *j, struct in6_addr ip[2], uint16_t port[2], uint8_t proto)
{
	struct join_end end[2] = { { ip[0], port[0] }, { ip[1], port[1] } };
	const struct join_value *v;
	struct join_key k;

	join_key_make(&k, &end[0], &end[1], proto);
	v = join_table_get((struct join_table *)&j->conns, &k);
	for (int i = 0; v && i < 2; i++) {
		struct join_end to = renamed(v, &end[i]);

		ip[i] = to.ip;
		port[i] = to.port;
	}
	return v;
}
