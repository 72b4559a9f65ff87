// SPDX-License-Identifier: GPL-2.0-or-later
#include "join.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "join_ids.h"
#include "join_side.h"
#include "join_table.h"
#include "join_xlat.h"

#define JOIN_ODD 20 /* flows that went another way are no coincidence */

struct join {
	struct join_config cfg;
	struct join_table conns; /* a translated connection's names: what each end is called on the other side */
	struct join_table flows; /* by id: the verdict, of those that are called otherwise */
	struct join_ids plain;	 /* the verdict of the others */
	struct join_table xlat;  /* of the LAN, by what IPv4 and IPv6 have in common */
	bool clat;		 /* the WAN shows addresses of IPv6 that stand for others: the LAN's IPv4 may be they */
	struct join_table pairs; /* by the true name: which sighting is reported, what each counted */
	struct join_stats stats;
};

struct join *join_new(const struct join_config *cfg)
{
	struct join *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->cfg = *cfg;
	if (join_table_init(&j->conns, 2 * cfg->max) && join_table_init(&j->flows, 2 * cfg->max) &&
	    join_table_init(&j->pairs, cfg->max) && join_table_init(&j->xlat, cfg->max) &&
	    join_ids_init(&j->plain, 2 * cfg->max, j->flows.seed))
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
	join_table_free(&j->xlat);
	join_ids_free(&j->plain);
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

bool join_comes_in(const struct join *j, const struct in6_addr *ip, unsigned ifindex, bool wan)
{
	enum join_side side = join_side(&j->cfg, ip);
	unsigned way = join_leads_to(&j->cfg, ip);

	if (side == JOIN_OWN)
		return false;
	if (way == ifindex)
		return true;
	/* From outside it may come by another uplink than the one that leads there. */
	return (wan || !way) && side == (wan ? JOIN_OUTSIDE : JOIN_INSIDE);
}

static bool listed(const unsigned *list, unsigned n, unsigned ifindex)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == ifindex)
			return true;
	return false;
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
		/* Records of its packets may still be under way. */
		if (e->gone) {
			join_table_age(&j->conns, &k);
			continue;
		}
		v = join_table_add(&j->conns, &k);
		if (!v) {
			j->stats.refused++;
			continue;
		}
		join_table_keep(&j->conns, &k);
		memcpy(v->from, from, sizeof(v->from));
		memcpy(v->to, to, sizeof(v->to));
		v->reply = side;
	}
}

void join_settled(struct join *j)
{
	join_table_forget_aged(&j->conns);
}

void join_conntrack_lost(struct join *j)
{
	join_table_clear(&j->conns);
}

static struct join_end renamed(const struct join_value *v, const struct join_end *e)
{
	for (int i = 0; i < 2; i++)
		if (join_same_end(e, &v->from[i]))
			return v->to[i];
	return *e;
}

/* A translated connection's true ends, for what goes by this name of it. False: it has them. */
static bool true_ends(const struct join_value *conn, struct join_value *v)
{
	memcpy(v->from, conn->from, sizeof(v->from));
	memcpy(v->to, conn->from, sizeof(v->to));
	/* Who opened it, as the first packet said; who answered, as the answer did. */
	v->to[!conn->reply] = conn->to[!conn->reply];
	return !join_same_end(&v->from[!conn->reply], &v->to[!conn->reply]);
}

/* The name all sightings of the flow have in common. */
static void true_name(const struct join_value *v, const struct join_key *k, struct join_key *out)
{
	struct join_end a = k->end[0], b = k->end[1];

	if (v->renamed) {
		a = renamed(v, &k->end[0]);
		b = renamed(v, &k->end[1]);
	}
	join_key_make(out, &a, &b, k->proto);
}

/* Will the other side show it as well, as the one that is reported? */
static bool foreseen(const struct join *j, const struct join_key *k, const struct join_key *name, bool wan)
{
	if (!j->cfg.nwan || !j->cfg.nlan || !join_crosses(&j->cfg, name))
		return false;
	if (j->cfg.all_wans && !j->stats.lan_reports)
		/* A LAN does not show our own address as the client's: this is the carrier of an uplink. */
		return !wan && !join_has_own(&j->cfg, k);
	return wan && join_from_lan(&j->cfg, name);
}

/* From now on what leaves unseen is reported as well, and whole. */
static void learn(struct join *j)
{
	uint64_t odd = j->stats.unmatched + j->stats.split;

	if (j->cfg.nlan && odd >= JOIN_ODD && odd >= j->stats.joined / 4 && odd >= j->stats.both_ways / 4)
		j->stats.lan_reports = true;
}

/* The first sighting is reported, the second counted. */
static void claim(struct join *j, uint64_t id, unsigned ifindex, bool wan, const struct join_key *name,
		  struct join_value *v)
{
	struct join_value *pair = join_table_add(&j->pairs, name);

	if (!pair) {
		j->stats.refused++;
	} else if (!pair->owner || pair->ended & 2) {
		/* The old one's echo may not be over: they can't be compared. */
		pair->partial |= pair->owner != 0;
		pair->answered = pair->half = false;
		pair->owner = id;
		pair->ifindex = ifindex;
		pair->wan = wan;
		pair->ended &= ~2;
		join_table_keep(&j->pairs, name);
	} else if (pair->owner != id && wan && pair->wan) {
		/* Another road, or another name by the NAT: a part of its packets, not the same again. */
		pair->partial = true;
		j->stats.split += pair->ifindex != ifindex;
		learn(j);
	} else if (pair->owner != id) {
		v->verdict = JOIN_ECHO;
		v->matched = true;
	}
}

/* Where a translator is at work, the LAN's flow is to be found by its other family's name. */
static void note_xlat(struct join *j, uint64_t id, const struct join_key *name)
{
	struct join_value *x;
	struct join_key k;
	int server;

	if ((!j->clat && !join_has_nat64(name)) || !join_xlat_key(&j->cfg, name, NULL, &k, &server))
		return;
	x = join_table_add(&j->xlat, &k);
	if (!x) {
		j->stats.refused++;
		return;
	}
	x->ambiguous = x->id && x->id != id;
	x->id = id;
	x->from[0] = name->end[!server];
	x->from[1] = name->end[server];
}

static void forget_xlat(struct join *j, uint64_t id, const struct join_key *name)
{
	const struct join_value *x;
	struct join_key k;
	int server;

	if (!j->xlat.n || !join_xlat_key(&j->cfg, name, NULL, &k, &server))
		return;
	x = join_table_get(&j->xlat, &k);
	if (x && x->id == id)
		join_table_del(&j->xlat, &k);
}

/* The WAN's flow may be one that the LAN shows in the other family: then it goes by that name. */
static void join_xlat(struct join *j, const struct join_key *k, struct join_key *name, struct join_value *v)
{
	bool nat64 = join_has_nat64(name);
	const struct join_value *x;
	struct join_key common;
	struct join_end from[2];
	int server;

	j->clat |= nat64;
	if (!j->xlat.n || !join_xlat_key(&j->cfg, name, v->renamed ? &v->to[0] : NULL, &common, &server))
		return;
	x = join_table_get(&j->xlat, &common);
	/* One of the two is by IPv6: else they are two flows of one family. */
	if (!x || x->ambiguous || join_is_nat64(&x->from[1].ip) == nat64)
		return;
	for (int i = 0; i < 2; i++) {
		struct join_end e = v->renamed ? renamed(v, &k->end[i]) : k->end[i];

		from[join_same_end(&e, &name->end[server])] = k->end[i];
	}
	memcpy(v->from, from, sizeof(v->from));
	memcpy(v->to, x->from, sizeof(v->to));
	v->renamed = true;
	v->verdict = JOIN_RENAME;
	true_name(v, k, name);
}

/* Decides once for each flow, when it is first heard of. */
static void decide(struct join *j, uint64_t id, unsigned ifindex, const struct join_key *k, struct join_value *v)
{
	bool wan = listed(j->cfg.wan, j->cfg.nwan, ifindex);
	const struct join_value *conn;
	struct join_key name;

	v->verdict = JOIN_KEEP;
	if ((!wan && !listed(j->cfg.lan, j->cfg.nlan, ifindex)) || join_on_link(k))
		return;
	conn = join_table_get(&j->conns, k);
	if (!conn && j->cfg.more) {
		j->cfg.more(j->cfg.more_arg);
		conn = join_table_get(&j->conns, k);
	}
	if (conn && true_ends(conn, v)) {
		v->renamed = true;
		v->verdict = JOIN_RENAME;
	}
	true_name(v, k, &name);
	if (wan && j->cfg.nlan)
		join_xlat(j, k, &name, v);
	else if (!wan)
		note_xlat(j, id, &name);
	if (foreseen(j, k, &name, wan))
		v->verdict = JOIN_ECHO;
	else if (conn || j->cfg.nwan + j->cfg.nlan > 1)
		claim(j, id, ifindex, wan, &name, v);
	j->stats.renamed += v->verdict == JOIN_RENAME;
}

enum { PLAIN_ECHO = 1, PLAIN_MATCHED = 2 };

/* The flow's verdict; tmp is for one that keeps its name, or finds no room. */
static struct join_value *verdict(struct join *j, uint64_t id, unsigned ifindex,
				  const struct join_key *k, struct join_value *tmp)
{
	struct join_key by_id;
	struct join_value *v;
	int plain;

	memset(tmp, 0, sizeof(*tmp));
	/* One interface, nothing translated: every flow is what it seems. */
	if (j->cfg.nwan + j->cfg.nlan < 2 && !j->cfg.more && !j->conns.n)
		return tmp;
	plain = join_ids_get(&j->plain, id);
	if (plain >= 0) {
		tmp->verdict = plain & PLAIN_ECHO ? JOIN_ECHO : JOIN_KEEP;
		tmp->matched = plain & PLAIN_MATCHED;
		return tmp;
	}
	join_key_id(&by_id, id);
	v = join_table_get(&j->flows, &by_id);
	if (v)
		return v;
	decide(j, id, ifindex, k, tmp);
	if (!tmp->renamed) {
		j->stats.refused += !join_ids_add(&j->plain, id, (tmp->verdict == JOIN_ECHO ? PLAIN_ECHO : 0) |
									 (tmp->matched ? PLAIN_MATCHED : 0));
		return tmp;
	}
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

/*
 * A SYN-ACK from outside passes the WAN before the LAN. One that only the LAN shows came by a road
 * that nobody watches: told at once, for half a connection has no end but its timeout.
 */
static void note_answer(struct join *j, const struct weir_rec *r, const struct join_value *v, const struct join_key *k)
{
	bool wan = listed(j->cfg.wan, j->cfg.nwan, r->ifindex);
	struct join_value *pair;
	struct join_key name;
	struct in6_addr from, to;

	if (r->kind != WEIR_REC_PACKET || r->proto != IPPROTO_TCP ||
	    (r->tcp_flags & (TH_SYN | TH_ACK)) != (TH_SYN | TH_ACK))
		return;
	memcpy(&from, r->saddr, sizeof(from));
	memcpy(&to, r->daddr, sizeof(to));
	true_name(v, k, &name);
	pair = join_table_get(&j->pairs, &name);
	if (!pair || !pair->owner || !pair->wan || pair->half || join_side(&j->cfg, &from) != JOIN_OUTSIDE)
		return;
	if (wan) {
		pair->answered = true;
	} else if (join_leads_to(&j->cfg, &to) != r->ifindex) {
		return; /* an uplink's carrier, which a packet passes before the uplink */
	} else if (pair->answered) {
		j->stats.both_ways++;
	} else {
		pair->half = true;
		j->stats.split++;
		learn(j);
	}
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
	note_answer(j, r, v, &k);
	if (v->renamed) {
		/* Conntrack knows who opened it, even where we came too late to see. */
		r->client = join_same_end(&a, &v->from[0]) == !r->dir ? WEIR_CLIENT_LO : WEIR_CLIENT_HI;
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
	if (v->renamed) {
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
	if (!v || !v->renamed)
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
		uint32_t in = pair->packets[way ? 1 : 0][way], out = pair->packets[way ? 0 : 1][way];

		if (in > out)
			j->stats.own_drops[way] += in - out;
	}
}

/* Notes what a side (0 LAN, 1 WAN) counted; ways: 0 to the outside, 1 to the inside. */
static void note(struct join *j, struct join_value *pair, bool wan, const struct weir_key6 *key,
		 const struct weir_flow *f)
{
	struct in6_addr lo;
	bool lo_is_inside;

	memcpy(&lo, key->lo, sizeof(lo));
	lo_is_inside = join_side(&j->cfg, &lo) == JOIN_INSIDE;
	pair->packets[wan][0] = f->dir[lo_is_inside ? 0 : 1].packets;
	pair->packets[wan][1] = f->dir[lo_is_inside ? 1 : 0].packets;
	/* One that began before both sides were watched can't be compared. */
	pair->partial |= f->state & WEIR_FLOW_EARLY || f->start_ns < j->cfg.since_ns;
}

/* The WAN shows one way of it only, the LAN both: the other way takes a road that nobody watches. */
static bool is_half(const struct join_value *pair)
{
	for (int way = 0; way < 2; way++)
		if (!pair->packets[1][way] && pair->packets[0][way] && pair->packets[1][!way] && pair->packets[0][!way])
			return true;
	return false;
}

/* Both sightings of it are over. */
static void finish(struct join *j, const struct join_value *pair, const struct join_key *name)
{
	if (is_half(pair)) {
		j->stats.split += !pair->half;
		learn(j);
	} else if (!pair->partial && !pair->half) {
		compare(j, pair);
	}
	join_table_del(&j->pairs, name);
}

/* It was to show on the other side, and did not. */
static void never_showed(struct join *j, const struct join_key *k, const struct weir_flow *f)
{
	/* Without an answer it stayed here: this host dropped it. */
	if (!f->dir[0].packets || !f->dir[1].packets)
		return;
	if (join_has_nat64(k))
		j->stats.nat64++;
	else
		j->stats.unmatched++;
	learn(j);
}

/* The end of the one that is reported. */
static void owner_ended(struct join *j, const struct join_key *name, bool wan, const struct weir_key6 *key,
			const struct weir_flow *f)
{
	struct join_value *pair = join_table_get(&j->pairs, name);

	if (!pair || pair->owner != f->id)
		return;
	note(j, pair, wan, key, f);
	pair->ended |= 2;
	if (pair->ended == 3)
		finish(j, pair, name);
	else if (!j->cfg.nlan || !j->cfg.nwan || !join_crosses(&j->cfg, name))
		join_table_del(&j->pairs, name);
	else
		join_table_age(&j->pairs, name);
}

enum join_verdict join_end(struct join *j, struct weir_key6 *key, const struct weir_flow *f)
{
	bool wan = listed(j->cfg.wan, j->cfg.nwan, key->ifindex);
	struct join_key k, name, by_id;
	struct join_value v, tmp, *pair;

	key_of(key, &k);
	v = *verdict(j, f->id, key->ifindex, &k, &tmp);
	join_key_id(&by_id, f->id);
	join_table_del(&j->flows, &by_id);
	join_ids_del(&j->plain, f->id);
	true_name(&v, &k, &name);
	if (!wan)
		forget_xlat(j, f->id, &name);
	if (v.renamed) {
		rename_end(&v, key->lo, &key->lo_port);
		rename_end(&v, key->hi, &key->hi_port);
	}
	if (v.verdict != JOIN_ECHO) {
		owner_ended(j, &name, wan, key, f);
		return v.verdict;
	}
	pair = v.matched ? NULL : join_table_get(&j->pairs, &name);
	if (!v.matched && !pair) {
		never_showed(j, &k, f);
		return v.renamed ? JOIN_RENAME : JOIN_KEEP;
	}
	if (pair) {
		note(j, pair, wan, key, f);
		pair->partial |= pair->wan == wan; /* two of one side: nothing lies between them */
		pair->ended |= 1;
		if (pair->ended == 3)
			finish(j, pair, &name);
	}
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
