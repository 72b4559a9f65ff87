// SPDX-License-Identifier: GPL-2.0-or-later
/* weir check: the gateway as weir understands it, and what of it stays in the dark. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "before.h"
#include "check.h"
#include "coverage.h"
#include "gateway.h"
#include "routes.h"

struct view {
	struct link *link;
	enum role role[LINKS_MAX];
	unsigned n;
};

static const struct link *by_index(const struct view *v, unsigned ifindex)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->link[i].ifindex == ifindex)
			return &v->link[i];
	return NULL;
}

static bool is_named(const char *name, char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Where the programs would go on it, and why there. */
static void describe_hook(const struct link *l, unsigned hook, bool tcx, char *buf, size_t size)
{
	const char *tc = tcx && hook != ATTACH_TC ? "tcx" : "tc";
	char why[160];
	bool xdp = attach_plan(l, why, sizeof(why)) == ATTACH_XDP;

	if (hook == ATTACH_XDP)
		snprintf(buf, size, "xdp+%s, if the driver allows", tc);
	else if (hook == ATTACH_AUTO && xdp)
		snprintf(buf, size, "xdp+%s (%s)", tc, why);
	else if (hook == ATTACH_AUTO)
		snprintf(buf, size, "%s (%s)", tc, why);
	else
		snprintf(buf, size, "%s", tc);
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

/* All that hides traffic of it, a sentence each. */
static void describe_dark(const struct link *l, unsigned hook, bool tcx, char *buf, size_t size)
{
	char why[5][200];
	bool is[5] = { coverage_hw_filters(l, why[0], sizeof(why[0])), coverage_lro(l, why[1], sizeof(why[1])),
		       describe_drops(l, why[2], sizeof(why[2])),
		       describe_first(l, hook, tcx, false, why[3], sizeof(why[3])),
		       describe_first(l, hook, tcx, true, why[4], sizeof(why[4])) };
	size_t at = 0;

	buf[0] = 0;
	for (unsigned i = 0; i < 5 && at < size; i++)
		if (is[i])
			at += snprintf(buf + at, size - at, "%s%s", at ? " " : "", why[i]);
}

static void check_link(struct check *c, const struct view *v, unsigned i, unsigned hook, bool tcx,
		       bool all)
{
	const struct link *l = &v->link[i], *master = by_index(v, l->master);
	char found[320], where[200], dark[1024];

	describe_hook(l, hook, tcx, where, sizeof(where));
	snprintf(found, sizeof(found), "%s, %s%s%s, %s%s", role_name(v->role[i]),
		 l->kind[0] ? l->kind : l->driver[0] ? l->driver : "hardware", master ? " in " : "",
		 master ? master->name : "", link_is_ethernet(l) ? "" : "no Ethernet header, ", where);
	describe_dark(l, hook, tcx, dark, sizeof(dark));
	if (!l->up)
		check_line(c, &(struct check_line){ CHECK_WARN, l->name, found, "it is down", NULL });
	else if (dark[0])
		check_line(c, &(struct check_line){ CHECK_WARN, l->name, found, dark, NULL });
	else if (!all && v->role[i] == ROLE_PORT)
		check_line(c, &(struct check_line){ CHECK_WARN, l->name, found,
						    "its master shows the same packets again",
						    "watch the master, or the ports, not both" });
	else
		check_line(c, &(struct check_line){ CHECK_OK, l->name, found, NULL, NULL });
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

/* An uplink that is left out; NULL: none. */
static const char *other_uplink(const struct view *v, char *const *names, unsigned n)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->role[i] == ROLE_WAN && !is_named(v->link[i].name, names, n))
			return v->link[i].name;
	return NULL;
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
			wan |= v->role[i] == ROLE_WAN;
			lan |= v->role[i] == ROLE_LAN || v->role[i] == ROLE_PORT;
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

static void join(const struct view *v, enum role role, char *buf, size_t size)
{
	size_t at = 0;

	snprintf(buf, size, "(none)");
	for (unsigned i = 0; i < v->n && at < size; i++)
		if (v->role[i] == role)
			at += snprintf(buf + at, size - at, "%s%s", at ? ", " : "", v->link[i].name);
}

static void draw(const struct check *c, const struct view *v, const struct coverage *cov)
{
	char lan[160], wan[160];

	if (c->json)
		return;
	join(v, ROLE_LAN, lan, sizeof(lan));
	join(v, ROLE_WAN, wan, sizeof(wan));
	printf("\n      clients --- %s [ this gateway%s%s ] %s --- outside\n\n", lan,
	       cov->nat ? ", NAT" : "",
	       cov->hw_offload ? ", hardware offload" : cov->flowtables ? ", software offload" : "", wan);
}

void check_gateway(struct check *c, char *const *names, const enum role *role, unsigned n, unsigned hook, bool tcx)
{
	struct view *v = calloc(1, sizeof(*v));
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	struct routes routes;
	struct coverage cov;
	int got = links ? links_read(links, LINKS_MAX) : -1;

	if (v && got >= 0) {
		v->link = links;
		v->n = got;
		if (routes_read(&routes))
			memset(&routes, 0, sizeof(routes));
		gateway_roles(links, got, &routes, v->role);
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
		draw(c, v, &cov);
	}
	free(links);
	free(v);
}
