// SPDX-License-Identifier: GPL-2.0-or-later
/* What the interfaces show of the gateway: sides, translated names, and what stays in the dark. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addrs.h"
#include "cards.h"
#include "clsact.h"
#include "conntrack.h"
#include "coverage.h"
#include "drops.h"
#include "error.h"
#include "join_side.h"
#include "join_table.h"
#include "live_impl.h"
#include "neighbours.h"
#include "queues.h"
#include "routes.h"

#define LONG_WAY   8  /* TCP packets one way and none the other: no handshake looks like that */
#define GAP_SPAN   50000 /* bytes of a direction */
#define ONE_WAY	   10 /* such flows are no coincidence */
#define OWN_LEAST  3 /* packets that queues dropped within OWN_WINDOW_NS */
#define OWN_WINDOW_NS 10000000000ull
#define NAT64_NS   60000000000ull /* flows that last are told of at their end */

/* What was told of an interface: a bit each. */
enum told {
	TOLD_WAYS = 1u << 0,
	TOLD_CARD = 1u << 1,
	TOLD_OFFLOAD = 1u << 2,
	TOLD_LRO = 1u << 3,
	TOLD_NAT64 = 1u << 4,
	TOLD_GAPS = 1u << 5,
	TOLD_COPIES = 1u << 6,
	TOLD_FIRST_IN = 1u << 7,
	TOLD_FIRST_OUT = 1u << 8,
	TOLD_HW_FILTERS = 1u << 9,
	TOLD_QUEUE = 1u << 10,
	TOLD_OWN_HIDDEN = 1u << 11,
};

static bool is_local(const void *model, const struct in6_addr *ip)
{
	return model_is_local(model, ip);
}

/* The packet may have overtaken the news of its connection on their ways to us. */
static void more_connections(void *arg)
{
	live_connections(arg);
}

static bool is_watched(const struct live *l, unsigned ifindex)
{
	for (unsigned i = 0; i < l->nifaces; i++)
		if (l->iface[i].attached && l->iface[i].at.ifindex == ifindex)
			return true;
	return false;
}

/* Roles by route, where the user named none; addresses and networks as they are now. */
static void describe(struct live *l, struct join_config *c, const struct link *links, int nlinks)
{
	struct routes r, unwatched;
	int n;
	bool away = false;

	memset(c, 0, sizeof(*c));
	if (routes_read(&r))
		memset(&r, 0, sizeof(r));
	c->max = l->cfg.max_flows;
	c->since_ns = l->attached_ns;
	c->more = l->conntrack >= 0 ? more_connections : NULL;
	c->more_arg = l;
	c->is_local = is_local;
	c->is_local_arg = pipeline_model(l->pipeline);
	c->local_given = l->cfg.local_given;
	n = addrs_read(c->own, JOIN_ADDRS);
	c->nown = n < 0 ? 0 : n;
	memcpy(c->route, r.net, sizeof(c->route));
	c->nroutes = r.nnets;
	/* A PPP link that is watched is the WAN itself, and its carrier's sightings are the second. */
	unwatched = r;
	for (unsigned i = 0; i < unwatched.nuplinks;)
		if (is_watched(l, unwatched.uplink[i].ifindex))
			unwatched.uplink[i] = unwatched.uplink[--unwatched.nuplinks];
		else
			i++;
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];

		if (!f->attached)
			continue;
		if (f->role)
			f->wan = f->role == ROLE_WAN;
		else if (nlinks > 0) /* or as it was: the kernel could not be asked */
			f->wan = routes_is_uplink(&r, f->at.ifindex) ||
				 gateway_leads_out(links, nlinks, &unwatched, f->at.ifindex);
		if (f->wan)
			c->wan[c->nwan++] = f->at.ifindex;
		else
			c->lan[c->nlan++] = f->at.ifindex;
	}
	for (unsigned i = 0; i < r.nuplinks; i++) {
		bool watched = is_watched(l, r.uplink[i].ifindex);

		away |= r.uplink[i].used && !watched;
		c->default_wan |= watched && r.nnets;
	}
	c->all_wans = c->nwan && !away;
	l->uplink_away = away;
}

/* Addresses of the LANs' own networks are inside, public ones too: their people's. */
static void learn_inside(struct live *l, const struct join_config *c)
{
	struct join_key k = { 0 };

	for (unsigned i = 0; i < c->nown && !c->local_given; i++) {
		k.end[0].ip = c->own[i].ip;
		if (c->own[i].prefix < 127 && join_from_lan(c, &k))
			pipeline_local(l->pipeline, &c->own[i].ip, c->own[i].prefix);
	}
}

static void sight_changed(struct live *l, const struct link *links, int n)
{
	struct join_config c;

	if (!l->join)
		return;
	describe(l, &c, links, n);
	learn_inside(l, &c);
	join_configure(l->join, &c);
	for (unsigned i = 0; l->drops && i < l->nifaces; i++)
		if (l->iface[i].attached)
			drops_watch(l->drops, l->iface[i].at.ifindex);
}

static bool on_connection(void *arg, const struct ct_entry *e)
{
	join_conntrack(arg, e);
	return true;
}

int live_sight_open(struct live *l)
{
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	int n = links ? links_dump(links, LINKS_MAX) : -ENOMEM;
	struct join_config c;

	/* Events first: what changes during the dump is told by them. */
	l->conntrack = ct_monitor();
	describe(l, &c, links, n);
	l->join = join_new(&c);
	if (l->join)
		sight_changed(l, links, n);
	free(links);
	if (!l->join)
		return -ENOMEM;
	if (l->conntrack >= 0)
		l->conntrack_err = ct_dump(on_connection, l->join);
	else
		l->conntrack_err = l->conntrack;
	return 0;
}

void live_sight_changed(struct live *l)
{
	struct link *links = calloc(LINKS_MAX, sizeof(*links));

	sight_changed(l, links, links ? links_dump(links, LINKS_MAX) : -ENOMEM);
	free(links);
}

static void on_neighbour(void *arg, const struct in6_addr *ip, unsigned ifindex, const uint8_t mac[6])
{
	struct live *l = arg;

	pipeline_neighbour(l->pipeline, ip, ifindex, mac);
}

void live_neighbours(struct live *l)
{
	neighbours_each(on_neighbour, l);
}

void live_connections(struct live *l)
{
	if (l->conntrack < 0 || ct_drain(l->conntrack, on_connection, l->join) != -ENOBUFS)
		return;
	join_conntrack_lost(l->join);
	ct_dump(on_connection, l->join);
}

/* The screen's head says it as long as it holds. */
static void show(struct live *l, const char *shout)
{
	if (!l->problems++)
		snprintf(l->problem, sizeof(l->problem), "%s", shout);
}

static void problem_once(struct live *l, const struct live_iface *f, unsigned *told, enum told which, const char *shout,
			 const char *why)
{
	show(l, shout);
	l->dark = true;
	if (*told & which)
		return;
	*told |= which;
	notice("%s", why);
	live_tool(l, TOOL_LOST, f, why);
}

static void problem(struct live *l, struct live_iface *f, enum told which, const char *shout, const char *why)
{
	problem_once(l, f, &f->told, which, shout, why);
}

/*
 * -1: too little to tell. Else: were bytes acknowledged that never passed us? What
 * was sent again passed twice, headers count as short as can be: only gaps explain it.
 */
static int lacks_bytes(const struct weir_key6 *key, const struct weir_flow *f)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	unsigned header = memcmp(key->lo, mapped, sizeof(mapped)) ? 60 : 40;
	int known = -1;

	for (int d = 0; d < 2; d++) {
		const struct weir_dir *dir = &f->dir[d], *peer = &f->dir[!d];
		uint32_t span = dir->end - f->cold[d].isn - 1, acked = peer->ack - f->cold[d].isn - 1;

		if ((dir->flags & (WEIR_DIR_SYN | WEIR_DIR_SEQ)) != (WEIR_DIR_SYN | WEIR_DIR_SEQ) ||
		    !(peer->flags & WEIR_DIR_ACK) || span < GAP_SPAN || span > 1u << 30 || dir->bytes > 1u << 30 ||
		    acked > span + 1 || acked < span / 10 * 9)
			continue;
		if (dir->bytes - (uint64_t)header * dir->packets < span - span / 50)
			return 1;
		known = 0;
	}
	return known;
}

/* Every other packet is the very same again: both copies passed one interface. */
static bool is_twice(const struct weir_flow *f)
{
	for (int d = 0; d < 2; d++) {
		uint32_t data = f->dir[d].data_packets;

		if (data >= LONG_WAY && f->cold[d].duplicated >= data / 3 && f->cold[d].duplicated <= data / 2 + 1)
			return true;
	}
	return false;
}

void live_note_ways(struct live *l, const struct weir_key6 *key, const struct weir_flow *f, bool ended)
{
	uint32_t lo = f->dir[0].packets, hi = f->dir[1].packets;
	struct in6_addr sender;

	if (key->proto != IPPROTO_TCP || lo + hi < LONG_WAY)
		return;
	memcpy(&sender, lo ? key->lo : key->hi, sizeof(sender));
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *at = &l->iface[i];

		if (!at->attached || (at->at.ifindex & 0xffff) != key->ifindex)
			continue;
		if (lo && hi)
			at->both_ways++;
		else
			at->one_way[join_comes_in(l->join, &sender, (unsigned)at->at.ifindex, at->wan)]++;
		if (ended && lacks_bytes(key, f) >= 0)
			++*(lacks_bytes(key, f) ? &at->gaps : &at->whole);
		at->twice += ended && is_twice(f);
	}
}

/* Answers that take another road leave TCP flows with one way only. */
static void look_at_ways(struct live *l, struct live_iface *f, bool reported)
{
	unsigned in = f->one_way[1], out = f->one_way[0];
	bool now = in + out >= ONE_WAY && in + out > 20 * f->both_ways;
	/* A route stays as it is while few flows pass. */
	bool half = now || (f->half && reported && f->both_ways <= in + out);
	const char *way = in > 20 * out ? "incoming" : out > 20 * in ? "outgoing" : "one direction's";
	char why[160];

	f->one_way[0] = f->one_way[1] = f->both_ways = 0;
	f->half = half && !f->loopback;
	if (!f->half)
		return;
	snprintf(why, sizeof(why), "%s shows only %s packets of its TCP flows (asymmetric route?): loss and "
		 "RTT can't be judged.", f->name, way);
	problem(l, f, TOLD_WAYS, "ONE DIRECTION ONLY", why);
}

/* Flows whose bytes were acknowledged without passing us. */
static void look_at_gaps(struct live *l, struct live_iface *f)
{
	bool many = f->gaps >= ONE_WAY && f->gaps > f->whole / 20;
	char why[200];

	if (many) {
		snprintf(why, sizeof(why), "%s does not show all packets: %u of %u TCP flows lack bytes that were "
			 "acknowledged (a sampled or mirrored port, hardware offload?): loss can't be judged.",
			 f->name, f->gaps, f->gaps + f->whole);
		problem(l, f, TOLD_GAPS, "GAPS: not all packets are seen", why);
	}
	/* Half of it fades: a gap that is mended is forgotten, flows that are rare add up. */
	if (f->gaps + f->whole >= 10 * ONE_WAY) {
		f->gaps /= 2;
		f->whole /= 2;
	}
}

/* Routed back out by where it came in, or a mirror of what goes in and comes out. */
static void look_at_copies(struct live *l, struct live_iface *f)
{
	char why[256];

	if (f->twice < ONE_WAY)
		return;
	snprintf(why, sizeof(why), "%s shows the packets of %u TCP flows twice (routed out again where they came in, or "
		 "mirrored in both directions?): they count double, and their times are of the first copy.", f->name,
		 f->twice);
	problem(l, f, TOLD_COPIES, "PACKETS COUNT TWICE", why);
	f->twice /= 2;
}

/* Drops of the card itself: before any hook, so the losses look like the path's. */
static void look_at_misses(struct live *l, const struct live_iface *f, struct card *c, const struct link *card)
{
	uint64_t missed = card_missed(c, card);
	char why[160];

	if (!missed) {
		c->told &= ~(unsigned)TOLD_CARD;
		return;
	}
	snprintf(why, sizeof(why), "%s dropped %llu packets before anybody saw them (receive ring full): such losses "
		 "are this host's.", card->name, (unsigned long long)missed);
	problem_once(l, f, &c->told, TOLD_CARD, "NIC DROPS", why);
}

/* The hardware that the link's packets come through. */
static void look_at_cards(struct live *l, const struct live_iface *f, const struct link *links, unsigned n)
{
	const struct link *card[CARDS_MAX];
	unsigned cards = cards_under(links, n, f->at.ifindex, card, CARDS_MAX);
	char why[200];

	for (unsigned i = 0; i < cards; i++) {
		struct card *c = cards_get(&l->cards, card[i]);
		struct link now = *card[i];

		if (c->look == l->looks) /* under another interface, too */
			continue;
		c->look = l->looks;
		link_ask_device(&now);
		if (coverage_hw_filters(&now, why, sizeof(why)))
			problem_once(l, f, &c->told, TOLD_HW_FILTERS, "HW FILTERS: part of the traffic is invisible", why);
		/* Its work can't be undone. */
		if (coverage_lro(&now, why, sizeof(why)))
			problem_once(l, f, &c->told, TOLD_LRO, "LRO: packets are merged", why);
		look_at_misses(l, f, c, &now);
	}
}

/* A program or filter of somebody else's that gets the packets first: nobody knows what it takes away. */
static void look_at_filters(struct live *l, struct live_iface *f, const struct link *link)
{
	char who[64], why[200];

	for (int out = 0; out < 2; out++) {
		enum told bit = out ? TOLD_FIRST_OUT : TOLD_FIRST_IN;

		if (!before_us(&f->at, link, &l->owner, out, who, sizeof(who))) {
			f->told &= ~(unsigned)bit;
			continue;
		}
		snprintf(why, sizeof(why), "%s runs before ours on %s %s: what it takes away is not seen.", who,
			 f->name, out ? "egress" : "ingress");
		problem(l, f, bit, "ANOTHER FILTER FIRST: part may be unseen", why);
	}
}

static void look_at_offload(struct live *l, const struct coverage *c)
{
	char why[384];

	if (!c->hw_offload)
		return;
	snprintf(why, sizeof(why), "hardware flow offload is on (%s on %s): offloaded connections are "
		 "invisible after their first packets. OpenWrt: uci set "
		 "firewall.@defaults[0].flow_offloading_hw=0.", c->flowtable, c->flowtable_devs);
	problem(l, &l->iface[0], TOLD_OFFLOAD, "HW OFFLOAD: part of the traffic is invisible", why);
}

/* On the WAN alone only conntrack knows who is behind NAT; module and rules may come after us. */
static void look_at_clients(struct live *l, const struct coverage *c)
{
	static const char why[] = "conntrack can't be read: clients behind NAT can't be told apart";
	bool wan = false, lan = false, hidden;

	for (unsigned i = 0; i < l->nifaces; i++) {
		wan |= l->iface[i].attached && l->iface[i].wan;
		lan |= l->iface[i].attached && !l->iface[i].wan;
	}
	if (l->conntrack_err && l->conntrack >= 0)
		l->conntrack_err = ct_dump(on_connection, l->join);
	hidden = wan && !lan && l->conntrack_err && c->nat;
	if (hidden)
		show(l, "CLIENTS HIDDEN: NAT, and conntrack can't be read");
	if (hidden == l->clients_hidden)
		return;
	l->clients_hidden = hidden;
	findings_remark(pipeline_findings(l->pipeline),
			hidden ? "behind NAT, and conntrack can't be read: how many clients is unknown" : "");
	if (!hidden)
		return;
	notice("%s.", why);
	live_tool(l, TOOL_LOST, &l->iface[0], why);
}

/* Flows that do not show where they should. */
static void look_at_echoes(struct live *l)
{
	uint64_t now = live_mono_ns();
	struct join_stats s;
	char why[256];

	join_stats(l->join, &s);
	if (s.nat64 > l->nat64) {
		l->nat64 = s.nat64;
		l->nat64_ns = now;
	}
	if (l->nat64 && now < l->nat64_ns + NAT64_NS) {
		snprintf(why, sizeof(why), "%llu flows of the LAN went through a NAT64, which conntrack does not join: they "
			 "count as IPv6 on the LAN and as IPv4 on the WAN.", (unsigned long long)s.nat64);
		problem(l, &l->iface[0], TOLD_NAT64, "NAT64: flows count twice", why);
	} else {
		l->iface[0].told &= ~(unsigned)TOLD_NAT64;
	}
	if (!s.lan_reports || l->lan_told)
		return;
	l->lan_told = true;
	snprintf(why, sizeof(why), "%llu of %llu flows of the LAN showed on the WAN one way only or never, though they "
		 "were answered (a tunnel, a proxy here, two uplinks?): flows are reported as the LAN shows them from "
		 "now on.", (unsigned long long)(s.unmatched + s.split),
		 (unsigned long long)(s.unmatched + s.split + s.joined));
	notice("%s", why);
	live_tool(l, TOOL_LOST, &l->iface[0], why);
}

/* The id of a flow of the engine's tables; 0: not there. IPv4 mapped. */
static uint64_t flow_id(const struct live *l, const struct in6_addr ip[2], const uint16_t port[2], uint8_t proto,
			unsigned ifindex)
{
	struct weir_key6 k6 = { .proto = proto, .ifindex = ifindex };
	struct weir_key4 k4 = { .proto = proto, .ifindex = ifindex };
	struct weir_flow f;

	/* Which end comes first is the engine's matter: both ways are tried. */
	for (int way = 0; way < 2; way++) {
		bool v4 = IN6_IS_ADDR_V4MAPPED(&ip[0]);

		k4.lo = ip[way].s6_addr32[3];
		k4.hi = ip[!way].s6_addr32[3];
		memcpy(k6.lo, &ip[way], sizeof(k6.lo));
		memcpy(k6.hi, &ip[!way], sizeof(k6.hi));
		k4.lo_port = k6.lo_port = port[way];
		k4.hi_port = k6.hi_port = port[!way];
		if (!bpf_map_lookup_elem(v4 ? l->obj.flows4 : l->obj.flows6, v4 ? (void *)&k4 : (void *)&k6, &f))
			return f.id;
	}
	return 0;
}

/* On whichever side it is known, by either of its names. */
static void own_flow(void *arg, const struct drop_tuple *t, uint64_t packets)
{
	uint16_t port[2] = { ntohs(t->sport), ntohs(t->dport) };
	struct live *l = arg;
	struct in6_addr ip[2];
	uint64_t id;

	memcpy(&ip[0], t->src, sizeof(ip[0]));
	memcpy(&ip[1], t->dst, sizeof(ip[1]));
	for (int name = 0; name < 2; name++) {
		for (unsigned i = 0; i < l->nifaces; i++) {
			if (!l->iface[i].attached)
				continue;
			id = flow_id(l, ip, port, t->proto, l->iface[i].at.ifindex & 0xffff);
			if (id)
				pipeline_own_drops(l->pipeline, id, packets);
		}
		if (!join_other_name(l->join, ip, port, t->proto))
			break;
	}
}

void live_own_flows(struct live *l)
{
	if (l->drops)
		drops_flows(l->drops, own_flow, l);
}

/* The kernel's own word on it, where it gives one. */
static void tell_reasons(struct live *l)
{
	char reasons[160], why[256];
	uint64_t n;

	for (unsigned i = 0; l->drops && i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];

		if (!f->at.ifindex)
			continue;
		n = drops_since(l->drops, f->at.ifindex, reasons, sizeof(reasons));
		if (!n)
			continue;
		snprintf(why, sizeof(why), "this host dropped %llu packets at %s by itself: %s.",
			 (unsigned long long)n, f->name, reasons);
		live_tool(l, TOOL_LOST, f, why);
	}
	n = l->drops ? drops_since(l->drops, 0, reasons, sizeof(reasons)) : 0;
	if (!n)
		return;
	snprintf(why, sizeof(why), "this host dropped %llu packets by itself at interfaces that are not watched: "
		 "%s.", (unsigned long long)n, reasons);
	live_tool(l, TOOL_LOST, NULL, why);
}

/* What went in on one side and never came out on the other was dropped here. */
void live_own_drops(struct live *l)
{
	struct join_stats s;
	char why[200];

	tell_reasons(l);
	join_stats(l->join, &s);
	if (s.own_drops[0] == l->own_told[0] && s.own_drops[1] == l->own_told[1])
		return;
	snprintf(why, sizeof(why), "this host itself dropped %llu packets towards its clients and %llu "
		 "towards the outside (firewall, queue or memory): no path's doing.",
		 (unsigned long long)(s.own_drops[1] - l->own_told[1]),
		 (unsigned long long)(s.own_drops[0] - l->own_told[0]));
	memcpy(l->own_told, s.own_drops, sizeof(l->own_told));
	live_tool(l, TOOL_LOST, NULL, why);
}

/* What it dropped since it was last read; at first 0. */
static uint32_t dropped_more(struct live *l, const struct queue *q)
{
	for (unsigned i = 0; i < l->nqueues; i++) {
		struct queue *was = &l->queue[i];
		uint32_t more = q->dropped - was->dropped;

		if (was->ifindex != q->ifindex || was->filters != q->filters)
			continue;
		if (strcmp(was->kind, q->kind) || more > 1u << 31) /* another one in its place */
			more = q->dropped;
		*was = *q;
		return more;
	}
	if (l->nqueues < QUEUES_MAX)
		l->queue[l->nqueues++] = *q;
	else
		l->queue[l->looks % QUEUES_MAX] = *q;
	return 0;
}

static void on_queue(void *arg, const struct queue *q)
{
	struct live *l = arg;
	uint32_t more = dropped_more(l, q);
	struct live_iface *at = NULL;

	if (!more)
		return;
	for (unsigned i = 0; i < l->nifaces; i++)
		if (l->iface[i].attached && l->iface[i].at.ifindex == q->ifindex)
			at = &l->iface[i];
	l->dropped += more;
	if (at) {
		at->own += more;
		memcpy(at->queue, q->kind, sizeof(at->queue));
	} else {
		l->own += more;
	}
}

/* A few are enough to make a small flow's losses, one is not. */
void live_own_queues(struct live *l)
{
	uint64_t mono = live_mono_ns();

	if (mono - l->window_ns > OWN_WINDOW_NS) {
		l->window_ns = mono;
		l->dropped = 0;
	}
	queues_read(on_queue, l);
	if (l->dropped >= OWN_LEAST && !l->own_hidden)
		findings_own_drops(pipeline_findings(l->pipeline), wallclock_ns(&l->clock, mono));
}

static void tell_queue(struct live *l, struct live_iface *f, uint32_t *own, const char *at, const char *kind)
{
	char why[200];

	if (*own < OWN_LEAST) {
		f->told &= ~(unsigned)TOLD_QUEUE;
		return;
	}
	snprintf(why, sizeof(why), "this host dropped %u packets at %s by itself (%s).", *own, at, kind);
	problem(l, f, TOLD_QUEUE, "OWN DROPS, of unknown flows", why);
	*own = 0;
}

static bool forwards(void)
{
	static const char *const paths[] = { "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding" };
	bool on = false;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		FILE *f = fopen(paths[i], "re");

		on |= f && fgetc(f) == '1';
		if (f)
			fclose(f);
	}
	return on;
}

/*
 * Without the kernel's reasons. The firewall counts nothing: it drops what came in by the WAN after we saw it, and
 * what leaves by it before; on the LAN alone what it takes looks lost outside.
 */
static void look_at_own(struct live *l)
{
	bool wan = false, lan = false;

	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];

		wan |= f->attached && f->wan;
		lan |= f->attached && !f->wan && !f->loopback && (f->role == ROLE_LAN || l->uplink_away);
	}
	l->own_hidden = lan && !wan && forwards();
	if (l->own_hidden) {
		/* Until the next look, and what may delay it. */
		findings_own_drops(pipeline_findings(l->pipeline), wallclock_ns(&l->clock, live_mono_ns()) + OWN_WINDOW_NS);
		problem(l, &l->iface[0], TOLD_OWN_HIDDEN, "OWN DROPS UNKNOWN",
			"this kernel gives no reasons of drops, and the WAN is not watched: what this host's own "
			"firewall drops looks lost outside.");
	}
	for (unsigned i = 0; i < l->nifaces; i++)
		tell_queue(l, &l->iface[i], &l->iface[i].own, l->iface[i].name, l->iface[i].queue);
	if (!l->iface[0].own && l->own)
		tell_queue(l, &l->iface[0], &l->own, "interfaces that are not watched", "their queues");
}

static void look_at(struct live *l, struct live_iface *f, bool reported, const struct link *links, unsigned n)
{
	const struct link *known = links_by_index(links, n, f->at.ifindex);
	struct link link;

	look_at_ways(l, f, reported);
	look_at_gaps(l, f);
	look_at_copies(l, f);
	look_at_cards(l, f, links, n);
	/* Of more links than were read it may be missing. */
	if (!known && !link_get(NULL, f->at.ifindex, &link))
		known = &link;
	if (known)
		look_at_filters(l, f, known);
}

void live_look_around(struct live *l)
{
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	int n = links ? links_dump(links, LINKS_MAX) : -ENOMEM;
	struct join_stats s;
	struct coverage c;

	join_stats(l->join, &s);
	coverage_read(&c);
	l->problems = 0;
	l->dark = false;
	l->looks++;
	sight_changed(l, links, n);
	look_at_offload(l, &c);
	look_at_clients(l, &c);
	for (unsigned i = 0; i < l->nifaces; i++)
		if (l->iface[i].attached)
			look_at(l, &l->iface[i], !(s.lan_reports && l->iface[i].wan), links, n < 0 ? 0 : n);
	free(links);
	look_at_echoes(l);
	if (!l->drops)
		look_at_own(l);
	live_own_drops(l);
}
