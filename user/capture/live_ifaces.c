// SPDX-License-Identifier: GPL-2.0-or-later
/* Which interfaces, attached or away. */
#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "error.h"
#include "live_impl.h"
#include "routes.h"

/* "eth0 (up), br-lan (down)" */
static void list_links(char *buf, size_t size)
{
	struct link *links = calloc(LINKS_MAX, sizeof(*links));
	int n = links ? links_read(links, LINKS_MAX) : 0;
	size_t at = 0;

	snprintf(buf, size, "none");
	for (int i = 0; i < n && at < size; i++)
		at += snprintf(buf + at, size - at, "%s%s (%s)", i ? ", " : "", links[i].name,
			       links[i].up ? "up" : "down");
	free(links);
}

static int choose_by_route(struct live *l, struct live_error *e)
{
	char there[400];
	struct routes r;
	struct link link;

	if (!routes_read(&r))
		for (unsigned i = 0; i < r.nuplinks && l->nifaces < LIVE_IFACES; i++)
			if (r.uplink[i].used && !link_get(NULL, r.uplink[i].ifindex, &link))
				memcpy(l->iface[l->nifaces++].name, link.name, sizeof(link.name));
	if (l->nifaces)
		return 0;
	list_links(there, sizeof(there));
	return live_fail(e, EX_USAGE, "which interface? There is no default route to tell. Name one or "
			 "more of: %s.", there);
}

static const struct live_iface *chosen(const struct live *l, unsigned ifindex, const char *but)
{
	struct link link;

	for (unsigned i = 0; ifindex && i < l->nifaces; i++)
		if (strcmp(l->iface[i].name, but) && !link_get(l->iface[i].name, 0, &link) &&
		    link.ifindex == ifindex)
			return &l->iface[i];
	return NULL;
}

/* The chosen interface that shows all that this one does: its bridge or bond, its VLAN's carrier. */
static const struct live_iface *shown_at(const struct live *l, const struct live_iface *f, const struct link *link)
{
	const struct live_iface *at = chosen(l, link->master, f->name);

	return at || strcmp(link->kind, "vlan") ? at : chosen(l, link->lower, f->name);
}

/* Two ports of one bridge: no route tells their sides. */
static void say_sides(const struct live *l)
{
	struct link a, b, br;

	for (unsigned i = 0; i < l->nifaces; i++)
		for (unsigned k = 0; k < i; k++)
			if (!l->iface[i].role && !l->iface[k].role && !link_get(l->iface[i].name, 0, &a) &&
			    !link_get(l->iface[k].name, 0, &b) && a.master && a.master == b.master &&
			    !link_get(NULL, a.master, &br) && !strcmp(br.kind, "bridge"))
				notice("%s and %s are ports of %s: what passes from one to the other is counted once, "
				       "where it is seen first. Say which side they are on: %s:lan %s:wan.", b.name, a.name,
				       br.name, b.name, a.name);
}

/* Kinds of links whose packets leave inside others, most of them encrypted. */
static bool wraps(const struct link *l)
{
	static const char *const kinds[] = {
		"wireguard", "tun", "sit", "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "ip6tnl", "vti", "vti6",
		"xfrm", "vxlan", "geneve", "l2tp", "ovpn",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return false;
}

/* A tunnel beside the link that carries it: what is encrypted can't be joined. */
static void say_wrapped(const struct live *l)
{
	struct link tunnel, carrier;
	struct routes r;

	if (routes_read(&r))
		return;
	for (unsigned i = 0; i < l->nifaces; i++)
		for (unsigned k = 0; k < l->nifaces; k++)
			if (i != k && !link_get(l->iface[i].name, 0, &tunnel) && wraps(&tunnel) &&
			    !link_get(l->iface[k].name, 0, &carrier) && !wraps(&carrier) &&
			    routes_is_uplink(&r, carrier.ifindex))
				notice("%s is a tunnel: where its packets leave by %s they count there again, as one flow "
				       "of the tunnel's own protocol.", tunnel.name, carrier.name);
}

/* A member of a bond shows a share of each flow at best. */
static void watch_bonds(struct live *l)
{
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];
		struct link link, bond;

		if (link_get(f->name, 0, &link) || !link.master || link_get(NULL, link.master, &bond) ||
		    !link_is_bond(&bond) || chosen(l, bond.ifindex, f->name))
			continue;
		notice("%s is a member of %s and shows a share of its packets: %s is watched.", f->name, bond.name,
		       bond.name);
		memcpy(f->name, bond.name, sizeof(bond.name));
	}
}

/* A port beside its bridge or bond, a VLAN beside its carrier: the same packets twice. Once is enough. */
static void drop_shown_twice(struct live *l)
{
	for (unsigned i = 0; i < l->nifaces;) {
		struct live_iface *f = &l->iface[i];
		const struct live_iface *at = NULL;
		struct link link;

		if (!link_get(f->name, 0, &link))
			at = shown_at(l, f, &link);
		if (!at) {
			i++;
			continue;
		}
		notice("%s shows the same packets as %s: they are watched once, at %s.", f->name, at->name,
		       at->name);
		memmove(f, f + 1, (l->nifaces - i - 1) * sizeof(*f));
		memset(&l->iface[--l->nifaces], 0, sizeof(*f));
	}
}

int live_choose(struct live *l, const struct live_config *cfg, struct live_error *e)
{
	char there[400];
	struct link link;
	int err;

	if (!cfg->nifaces)
		return choose_by_route(l, e);
	for (unsigned i = 0; i < cfg->nifaces; i++) {
		struct live_iface *f = &l->iface[l->nifaces];
		char name[IFNAMSIZ + 4];

		snprintf(name, sizeof(name), "%s", cfg->iface[i]);
		f->role = role_take(name);
		err = link_get(name, 0, &link);
		if (err == -ENODEV && cfg->wait) {
			snprintf(f->name, sizeof(f->name), "%.*s", IFNAMSIZ - 1, name);
			l->nifaces++;
			continue;
		}
		if (err) {
			list_links(there, sizeof(there));
			return live_fail(e, EX_NOINPUT, "no interface \"%s\". There are: %s.", name, there);
		}
		memcpy(f->name, link.name, sizeof(link.name));
		l->nifaces++;
	}
	watch_bonds(l);
	drop_shown_twice(l);
	say_sides(l);
	say_wrapped(l);
	return 0;
}

void live_tool(struct live *l, enum tool_action action, const struct live_iface *i,
	       const char *why)
{
	struct tool_event t = { .action = action, .why = why };

	t.time_ns = wallclock_ns(&l->clock, live_mono_ns());
	if (i) {
		t.iface = i->name;
		t.hook = attach_text(&i->at);
	}
	pipeline_tool(l->pipeline, &t);
}

static int attach_one(struct live *l, struct live_iface *i, const struct link *link)
{
	int err = attach(&i->at, link, l->cfg.hook, &l->obj.progs, &l->owner);

	if (err)
		return err;
	i->attached = true;
	i->loopback = link->arphrd == ARPHRD_LOOPBACK;
	l->slots |= 1ULL << (link->ifindex & (WEIR_IF_SLOTS - 1));
	if (i->at.why[0] && strcmp(i->at.why, i->said)) {
		notice("%s", i->at.why);
		memcpy(i->said, i->at.why, sizeof(i->said));
	}
	live_tool(l, TOOL_ATTACH, i, i->at.why[0] ? i->at.why : NULL);
	return 0;
}

static void swept(void *arg, unsigned ifindex, bool egress, const char *name)
{
	struct link link;

	notice("removed a filter of an earlier run (tc %s %s, \"%s\").",
	       link_get(NULL, ifindex, &link) ? "?" : link.name, egress ? "egress" : "ingress", name);
}

int live_attach_all(struct live *l, struct live_error *e)
{
	int err;

	clsact_sweep(swept, l);
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];
		struct link link;

		err = link_get(f->name, 0, &link);
		if (err == -ENODEV && l->cfg.wait) {
			notice("%s is not there yet; waiting for it.", f->name);
			continue;
		}
		if (!err)
			err = attach_one(l, f, &link);
		else
			snprintf(f->at.why, sizeof(f->at.why), "%s.", strerror(-err));
		if (!err)
			continue;
		live_fail(e, err == -EPERM ? EX_NOPERM : err == -ENODEV ? EX_NOINPUT : EX_UNAVAILABLE,
			  "can't attach to %s: %s", f->name, f->at.why);
		live_detach_all(l);
		return e->code;
	}
	return 0;
}

void live_detach_all(struct live *l)
{
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];
		char hook[16];

		if (!f->attached)
			continue;
		snprintf(hook, sizeof(hook), "%s", attach_text(&f->at));
		detach(&f->at, &l->owner);
		f->attached = false;
		pipeline_tool(l->pipeline,
			      &(struct tool_event){
				      .time_ns = wallclock_ns(&l->clock, live_mono_ns()),
				      .action = TOOL_DETACH, .iface = f->name, .hook = hook });
	}
}

/* An interface keeps its programs under whatever name. */
static void renamed(struct live *l, struct live_iface *f, const struct link *link)
{
	char why[128];

	snprintf(why, sizeof(why), "%s is called %s now: it goes on being watched.", f->name, link->name);
	memcpy(f->name, link->name, sizeof(f->name));
	notice("%s", why);
	live_tool(l, TOOL_ATTACH, f, why);
}

static void link_changed(void *arg, const struct link *link, bool gone)
{
	struct live *l = arg;

	for (unsigned i = 0; i < l->nifaces; i++) {
		struct live_iface *f = &l->iface[i];
		struct link now;
		int err;

		if (gone && f->attached && f->at.ifindex == link->ifindex) {
			live_tool(l, TOOL_DETACH, f, "the interface went away; waiting for it");
			detach(&f->at, &l->owner);
			f->attached = false;
			f->seen = true;
			notice("%s went away; waiting for it (findings kept).", f->name);
		} else if (!gone && f->attached && f->at.ifindex == link->ifindex) {
			if (strcmp(f->name, link->name) && !link_get(NULL, link->ifindex, &now) &&
			    strcmp(f->name, now.name))
				renamed(l, f, &now);
		} else if (!gone && !f->attached && !strcmp(f->name, link->name)) {
			/* The news may be old: ask again what is there. */
			err = link_get(f->name, 0, &now);
			if (err || shown_at(l, f, &now))
				continue;
			err = attach_one(l, f, &now);
			if (err && !f->seen)
				notice("%s is there, but can't be attached to: %s", f->name, f->at.why);
			else if (err)
				notice("%s is back, but can't be attached to: %s", f->name, f->at.why);
			else
				notice("%s is %s.", f->name, f->seen ? "back" : "there");
		}
	}
}

/* Links that changed while news were lost. */
static void look_again(struct live *l)
{
	for (unsigned i = 0; i < l->nifaces; i++) {
		struct link link = { 0 };
		int err = link_get(l->iface[i].name, 0, &link);

		if (l->iface[i].attached && (err == -ENODEV || link.ifindex != l->iface[i].at.ifindex))
			link_changed(l, &(struct link){ .ifindex = l->iface[i].at.ifindex }, true);
		if (!err && !l->iface[i].attached)
			link_changed(l, &link, false);
	}
}

void live_links_changed(struct live *l)
{
	if (links_drain(l->monitor, link_changed, l) == -ENOBUFS)
		look_again(l);
	live_sight_changed(l);
}
