// SPDX-License-Identifier: GPL-2.0-or-later
/* weir check: the gateway as weir understands it, and what of it stays in the dark. */
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "before.h"
#include "cards.h"
#include "check.h"
#include "coverage.h"
#include "gateway.h"
#include "routes.h"

#define DRAWN_MAX 16 /* interfaces of a side */

struct view {
	struct link *link;
	enum role role[LINKS_MAX];
	unsigned n;
	struct routes routes;
};

static bool is_named(const char *name, char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Where the programs would go on it; why there, "" where the user said so. */
static const char *hook_of(const struct link *l, unsigned hook, bool tcx, char *why, size_t size)
{
	bool xdp = hook != ATTACH_TC && attach_plan(l, why, size) == ATTACH_XDP;

	if (hook != ATTACH_AUTO)
		why[0] = 0;
	if (hook == ATTACH_XDP || (hook == ATTACH_AUTO && xdp))
		return tcx ? "xdp+tcx" : "xdp+tc";
	return tcx && hook != ATTACH_TC ? "tcx" : "tc";
}

static const char *kind_of(const struct link *l)
{
	return l->kind[0] ? l->kind : l->driver[0] ? l->driver : "hardware";
}

/* What the card dropped before anybody saw it, where it is more than one in 10,000. */
static bool describe_drops(const struct link *l, char *buf, size_t size)
{
	uint64_t missed = link_missed(l);

	if (missed <= l->stats.rx_packets / 10000)
		return false;
	snprintf(buf, size, "the card dropped %llu of %llu packets unseen (receive ring full: ethtool -g %s): "
		 "such losses are this host's.", (unsigned long long)missed,
		 (unsigned long long)(l->stats.rx_packets + missed), l->name);
	return true;
}

/* Where the programs would go, but no links. */
static struct attachment planned(const struct link *l, unsigned hook, bool tcx)
{
	enum attach_kind tc = tcx && hook != ATTACH_TC ? ATTACH_TCX : ATTACH_TC;
	char why[160];
	bool xdp = hook == ATTACH_XDP || (hook == ATTACH_AUTO && attach_plan(l, why, sizeof(why)) == ATTACH_XDP);

	return (struct attachment){ .ifindex = l->ifindex, .in = xdp && !l->xdp_id ? ATTACH_XDP : tc, .out = tc,
				    .in_fd = -1, .out_fd = -1 };
}

/* What others take away before our hooks. */
static bool describe_first(const struct link *l, unsigned hook, bool tcx, bool out, char *buf, size_t size)
{
	struct attachment h = planned(l, hook, tcx);
	char who[64];

	if (!before_us(&h, l, NULL, out, who, sizeof(who)))
		return false;
	snprintf(buf, size, "%s runs before ours on %s: what it takes away is not seen.", who,
		 out ? "egress" : "ingress");
	return true;
}

/* Adds a sentence to text. */
static void say(char *text, size_t size, const char *sentence)
{
	size_t at = strlen(text);

	if (at < size)
		snprintf(text + at, size - at, "%s%s", at ? " " : "", sentence);
}

/* All that hides traffic of it, a sentence each. */
static void describe_dark(const struct view *v, const struct link *l, unsigned hook, bool tcx, char *buf, size_t size)
{
	const struct link *card[CARDS_MAX];
	unsigned n = cards_under(v->link, v->n, l->ifindex, card, CARDS_MAX);
	char why[200];

	buf[0] = 0;
	for (unsigned i = 0; i < n; i++) {
		if (coverage_hw_filters(card[i], why, sizeof(why)))
			say(buf, size, why);
		if (coverage_lro(card[i], why, sizeof(why)))
			say(buf, size, why);
		if (describe_drops(card[i], why, sizeof(why)))
			say(buf, size, why);
	}
	for (int out = 0; out < 2; out++)
		if (describe_first(l, hook, tcx, out, why, sizeof(why)))
			say(buf, size, why);
}

static void check_link(struct check *c, const struct view *v, unsigned i, unsigned hook, bool tcx,
		       bool all)
{
	const struct link *l = &v->link[i], *master = links_by_index(v->link, v->n, l->master);
	const struct link *bond = gateway_bond_of(v->link, v->n, l);
	char found[320], why[200], dark[1024], fix[64];
	const char *role = role_name(v->role[i]), *at = hook_of(l, hook, tcx, why, sizeof(why));
	struct check_line line = { CHECK_OK, l->name, found, NULL, NULL };

	snprintf(found, sizeof(found), "%s, %s%s%s, %s%s%s%s%s%s", role, kind_of(l), master ? " in " : "",
		 master ? master->name : "", link_is_ethernet(l) ? "" : "no Ethernet header, ", at,
		 hook == ATTACH_XDP ? ", if the driver allows" : "", why[0] ? " (" : "", why, why[0] ? ")" : "");
	describe_dark(v, l, hook, tcx, dark, sizeof(dark));
	if (!l->up) {
		line.effect = "it is down";
	} else if (dark[0]) {
		line.effect = dark;
	} else if (!all && bond) {
		line.effect = "a member shows a share of each flow: its bond is watched in its place";
		line.fix = fix;
		snprintf(fix, sizeof(fix), "name %s", bond->name);
	} else if (!all && v->role[i] == ROLE_PORT) {
		line.effect = "what passes between its master and the ports shows at both";
		line.fix = "watch the master, or two ports with their sides (PORT:lan PORT:wan), not both";
	}
	if (line.effect)
		line.state = CHECK_WARN;
	check_interface(c, &line, role, at);
}

void check_offload(struct check *c, const struct coverage *cov)
{
	char found[256];

	if (!cov->flowtables)
		return;
	snprintf(found, sizeof(found), "%s on %s%s", cov->flowtable,
		 cov->flowtable_devs[0] ? cov->flowtable_devs : "no interface",
		 cov->hw_offload ? ", hardware" : ", software");
	if (cov->hw_offload)
		check_line(c, &(struct check_line){
				      CHECK_WARN, "flow offload", found,
				      "offloaded connections are invisible after their first packets",
				      "OpenWrt: uci set firewall.@defaults[0].flow_offloading_hw=0; else take "
				      "\"flags offload\" out of the flowtable" });
	else
		check_line(c, &(struct check_line){ CHECK_OK, "flow offload", found,
						    "TC and XDP see offloaded packets all the same", NULL });
}

static void check_nat(struct check *c, const struct coverage *cov)
{
	char found[160], *to = found;
	size_t size = sizeof(found);
	int n;

	n = snprintf(to, size, "%s", cov->nat ? cov->nat_chain : cov->nft ? "none in nftables" : "unknown");
	if (cov->conntrack >= 0)
		snprintf(to + n, size - n, "; conntrack: %d connections, %u translated",
			 cov->conntrack, cov->translated);
	if (cov->conntrack < 0 && cov->nat)
		check_line(c, &(struct check_line){
				      CHECK_WARN, "NAT", found,
				      "conntrack can't be read: clients behind NAT can't be told apart on the WAN",
				      "modprobe nf_conntrack_netlink, or watch the LAN interface" });
	else
		check_line(c, &(struct check_line){ CHECK_OK, "NAT", found, NULL, NULL });
}

/* Does what it stands on show its packets: a VLAN's carrier, a PPPoE session's, a bond by its member? */
static bool shown_below(const struct view *v, unsigned up, char *const *names, unsigned n)
{
	struct routes only = { .uplink = { { v->link[up].ifindex, true } }, .nuplinks = 1 };

	for (unsigned i = 0; i < v->n; i++) {
		const struct link *l = &v->link[i], *bond = gateway_bond_of(v->link, v->n, l);

		if (is_named(l->name, names, n) &&
		    gateway_leads_out(v->link, v->n, &only, bond ? bond->ifindex : l->ifindex))
			return true;
	}
	return false;
}

/* An uplink that is left out; NULL: none. */
static const char *other_uplink(const struct view *v, char *const *names, unsigned n)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->role[i] == ROLE_WAN && !is_named(v->link[i].name, names, n) && !shown_below(v, i, names, n))
			return v->link[i].name;
	return NULL;
}

/* The side of what is watched where it is named. */
static enum role side_of(const struct view *v, unsigned i)
{
	const struct link *l = &v->link[i], *bond = gateway_bond_of(v->link, v->n, l);

	if (v->role[i] != ROLE_PORT && v->role[i] != ROLE_CARRIER)
		return v->role[i];
	return gateway_leads_out(v->link, v->n, &v->routes, bond ? bond->ifindex : l->ifindex) ? ROLE_WAN : ROLE_LAN;
}

/* What is seen from the interfaces that are watched. */
static void check_sight(struct check *c, const struct view *v, char *const *names, unsigned n,
			const struct coverage *cov)
{
	const char *other = n ? other_uplink(v, names, n) : NULL;
	struct check_line line = { CHECK_OK, "sight", NULL, NULL, NULL };
	bool wan = false, lan = false;
	char found[80], fix[64];

	for (unsigned i = 0; i < v->n; i++)
		if (is_named(v->link[i].name, names, n)) {
			wan |= side_of(v, i) == ROLE_WAN;
			lan |= side_of(v, i) == ROLE_LAN;
		}
	if (!wan && !lan)
		return;
	line.found = wan && lan ? "LAN and WAN" : wan ? "WAN only" : "LAN only";
	if (wan && !lan && cov->nat && cov->conntrack < 0) {
		line = (struct check_line){ CHECK_WARN, "sight", "WAN only, behind NAT", "all clients look like one",
					    "watch the LAN as well" };
	} else if (wan && other) {
		snprintf(found, sizeof(found), "%s, but not %s", line.found, other);
		snprintf(fix, sizeof(fix), "name %s too", other);
		line = (struct check_line){ CHECK_WARN, "sight", found,
					    lan ? "flows are reported as the LAN shows them; this host's own drops are "
						  "told by the kernel's reasons only" :
						  "what leaves by it is not seen, flows may show one way only", fix };
	} else if (wan && !lan) {
		line.effect = "losses between us and the clients are told by their acknowledgments only";
	} else if (!wan) {
		line.effect = "the gateway's own traffic is not seen; what it drops towards the WAN looks lost outside";
		line.fix = "watch the WAN as well";
	}
	check_line(c, &line);
}

/* What it is made of or stands on: " of lan1, lan2", " on eth0.7". */
static void describe_under(const struct view *v, const struct link *l, char *buf, size_t size)
{
	const struct link *lower = strcmp(l->kind, "vlan") ? NULL : links_by_index(v->link, v->n, l->lower);
	size_t at = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < v->n && at < size; i++)
		if (v->link[i].master == l->ifindex && strcmp(l->kind, "vrf"))
			at += snprintf(buf + at, size - at, "%s%s", at ? ", " : " of ", v->link[i].name);
		else if (&v->link[i] == lower || (l->arphrd == ARPHRD_PPP && v->link[i].pppoe))
			at += snprintf(buf + at, size - at, "%s%s", at ? ", " : " on ", v->link[i].name);
	if (at >= size && size > 4)
		memcpy(buf + size - 4, "...", 4);
}

/* A side's interfaces, one a line. n 0: none was named, all are looked at. */
static void draw_side(const struct view *v, enum role role, char *const *names, unsigned n, unsigned hook, bool tcx)
{
	char under[80], what[120], why[200];
	unsigned drawn = 0, more = 0;

	for (unsigned i = 0; i < v->n; i++) {
		const struct link *l = &v->link[i];
		bool watched = !n || is_named(l->name, names, n);

		if (v->role[i] != role || (drawn == DRAWN_MAX && ++more))
			continue;
		drawn++;
		describe_under(v, l, under, sizeof(under));
		snprintf(what, sizeof(what), "%s%s", kind_of(l), under);
		printf("        +-- %-15s %-28s %s\n", l->name, what,
		       watched ? hook_of(l, hook, tcx, why, sizeof(why)) :
		       shown_below(v, i, names, n) ? "seen below" : "not watched");
	}
	if (more)
		printf("        +-- and %u more\n", more);
	if (!drawn)
		puts("        (no interface)");
}

static void draw(const struct check *c, const struct view *v, const struct coverage *cov, char *const *names, unsigned n,
		 unsigned hook, bool tcx)
{
	if (c->json)
		return;
	puts("\n      clients");
	draw_side(v, ROLE_LAN, names, n, hook, tcx);
	printf("      [ this gateway%s%s ]\n", cov->nat ? ", NAT" : "",
	       cov->hw_offload ? ", hardware offload: what is offloaded does not show" :
	       cov->flowtables ? ", software offload" : "");
	draw_side(v, ROLE_WAN, names, n, hook, tcx);
	puts("      outside\n");
}

void check_gateway(struct check *c, char *const *names, const enum role *role, unsigned n, unsigned hook, bool tcx)
{
	struct view *v = calloc(1, sizeof(*v));
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	struct coverage cov;
	int got = links ? links_read(links, LINKS_MAX) : -1;

	if (v && got >= 0) {
		v->link = links;
		v->n = got;
		if (routes_read(&v->routes))
			memset(&v->routes, 0, sizeof(v->routes));
		gateway_roles(links, got, &v->routes, v->role);
		for (unsigned i = 0; i < v->n; i++)
			for (unsigned k = 0; k < n; k++)
				if (role[k] && !strcmp(links[i].name, names[k]))
					v->role[i] = role[k];
		for (unsigned i = 0; i < v->n; i++)
			if (n ? is_named(links[i].name, names, n) : v->role[i] != ROLE_NONE)
				check_link(c, v, i, hook, tcx, !n);
		coverage_read(&cov);
		coverage_connections(&cov);
		check_offload(c, &cov);
		check_nat(c, &cov);
		check_sight(c, v, names, n, &cov);
		draw(c, v, &cov, names, n, hook, tcx);
	}
	free(links);
	free(v);
}
