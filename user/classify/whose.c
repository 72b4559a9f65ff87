/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose a flow is: the rules over its own bytes first, then what other flows told, then addresses.
 */
#include <stdio.h>

#include "classify_own.h"
#include "dns.h"

#define LEARN_NS (3600ull * 1000000000)
#define DNS_TTL_MIN_S 60 /* clients hold on to an answer a little longer */
#define DNS_TTL_MAX_S 86400

static uint16_t app_id(struct classifier *c, unsigned app)
{
	if (!c->app_id[app])
		c->app_id[app] = (uint16_t)model_app_id(c->m, rules_app_name(c->rules, app));
	return c->app_id[app];
}

static uint16_t app_type(struct classifier *c, unsigned app, enum channel ch)
{
	if (!c->app_type[app][ch]) {
		char name[TYPE_NAME_LEN];

		snprintf(name, sizeof(name), "%s%s%s", rules_app_name(c->rules, app), ch ? "-" : "",
			 channel_name(ch));
		c->app_type[app][ch] = (uint16_t)model_type_id(c->m, name);
	}
	return c->app_type[app][ch];
}

static uint16_t l7_type(struct classifier *c, unsigned l7)
{
	if (!c->l7_type[l7] && l7)
		c->l7_type[l7] = (uint16_t)model_type_id(c->m, l7_name(l7));
	return c->l7_type[l7];
}

/* Traffic that serves the network, whatever names are in it. */
static bool infrastructure(unsigned l7)
{
	return l7 == WEIR_L7_DNS || l7 == WEIR_L7_MDNS || l7 == WEIR_L7_DOT || l7 == WEIR_L7_SSDP ||
	       l7 == WEIR_L7_DHCP || l7 == WEIR_L7_NTP || l7 == WEIR_L7_ICMP;
}

/* An address instead of a name: says no more than the server's address. */
static bool is_name(const char *host)
{
	bool letter = false;

	for (; *host; host++) {
		if (*host == ':')
			return false;
		letter |= (*host >= 'g' && *host <= 'z') || *host == '-' ||
			  (*host >= 'a' && *host <= 'f');
	}
	return letter;
}

struct verdict {
	int app;
	enum channel channel;
	uint8_t source;
	uint8_t l7;
	const char *name;
};

static bool take(struct verdict *v, struct rule_match m, unsigned source)
{
	if (m.app < 0)
		return false;
	v->app = m.app;
	v->channel = m.channel;
	v->source = (uint8_t)source;
	return true;
}

static bool take_peer(struct verdict *v, const struct peer *p, unsigned source)
{
	if (!p || p->several || p->app < 0)
		return false;
	v->app = p->app;
	v->channel = (enum channel)p->channel;
	v->source = (uint8_t)source;
	if (p->name[0])
		v->name = p->name;
	return true;
}

static struct peer_key server_key(const struct flow *f)
{
	return (struct peer_key){ f->client.ip, f->server.ip, f->server.port, f->proto };
}

static struct peer_key name_key(const struct in6_addr *client, const struct in6_addr *server)
{
	return (struct peer_key){ *client, *server, 0, 0 };
}

static struct peer_key socket_key(const struct endpoint *e)
{
	return (struct peer_key){ .client = e->ip, .port = e->port, .proto = IPPROTO_UDP };
}

/* What other flows tell; only where this one's bytes don't. */
static void from_others(struct classifier *c, const struct flow *f, uint64_t now, bool nameless,
			struct verdict *v)
{
	struct peer_key k;
	const struct peer *p;

	/* The client asked for a name and went to the address it got. */
	if (nameless) {
		k = name_key(&f->client.ip, &f->server.ip);
		if (take_peer(v, peers_find(c->peers, &k, now), SOURCE_DNS))
			return;
	}
	/* A socket that is in a call talks to the other side and to relays alike. */
	if (f->proto == IPPROTO_UDP &&
	    (v->l7 == WEIR_L7_STUN || v->l7 == WEIR_L7_RTP || v->l7 == WEIR_L7_RTCP ||
	     v->l7 == WEIR_L7_DTLS || v->l7 == WEIR_L7_UNKNOWN)) {
		k = socket_key(&f->client);
		if (take_peer(v, peers_find(c->peers, &k, now), SOURCE_PEER))
			return;
		k = socket_key(&f->server);
		if (take_peer(v, peers_find(c->peers, &k, now), SOURCE_PEER))
			return;
	}
	if (!nameless)
		return;
	k = server_key(f);
	p = peers_find(c->peers, &k, now);
	if (p && v->l7 == WEIR_L7_UNKNOWN && p->l7) {
		v->l7 = p->l7;
		v->source = SOURCE_PEER;
	}
	if (p && (!p->l7 || p->l7 == v->l7))
		take_peer(v, p, SOURCE_PEER);
}

/* An address or a port says something of these only. */
static bool address_counts(unsigned l7)
{
	switch (l7) {
	case WEIR_L7_TLS:
	case WEIR_L7_QUIC:
	case WEIR_L7_HTTP:
	case WEIR_L7_STUN:
	case WEIR_L7_RTP:
	case WEIR_L7_RTCP:
	case WEIR_L7_DTLS:
	case WEIR_L7_UNKNOWN:
	case WEIR_L7_FULLY_ENCRYPTED:
		return true;
	}
	return false;
}

void decide(struct classifier *c, const struct flow *f, struct classify_flow *cf, uint64_t now,
	    bool last, struct class_result *r)
{
	static const struct found nothing;
	const struct found *b = cf->w ? &cf->w->found : &nothing;
	struct verdict v = { .app = -1, .l7 = cf->l7 ? cf->l7 : b->l7 };
	bool name = is_name(b->host);

	if (!v.l7 && cf->w && cf->w->random)
		v.l7 = WEIR_L7_FULLY_ENCRYPTED;
	v.source = v.l7 ? SOURCE_PAYLOAD : SOURCE_NONE;
	if (!infrastructure(v.l7) && !cf->tunnel) {
		bool sni = v.l7 == WEIR_L7_TLS || v.l7 == WEIR_L7_QUIC || v.l7 == WEIR_L7_DTLS;
		/*
		 * An outer name in front of an encrypted hello is the provider's, not the
		 * site's, and a TURN realm may be anything: no name, where no rule knows it.
		 */
		bool nameless = !name || b->ech || is_call(v.l7);
		bool got = name && take(&v, rules_host(c->rules, b->host),
					sni ? SOURCE_SNI : SOURCE_PAYLOAD);

		if (!got)
			got = take(&v, rules_signature(c->rules, b->sig), SOURCE_PAYLOAD);
		if (!got)
			got = take(&v, rules_l7(c->rules, v.l7), SOURCE_PAYLOAD);
		if (!got)
			from_others(c, f, now, nameless, &v);
		if (v.app < 0 && last && nameless && address_counts(v.l7))
			take(&v, rules_endpoint(c->rules, &f->server.ip, f->proto, f->server.port),
			     SOURCE_PORT);
	}
	memset(r, 0, sizeof(*r));
	r->l7 = v.l7;
	r->source = v.source;
	r->ech = b->ech;
	r->done = cf->done;
	memcpy(r->alpn, b->alpn, sizeof(r->alpn));
	if (b->host[0])
		memcpy(r->hint, b->host, sizeof(r->hint));
	else if (v.name)
		snprintf(r->hint, sizeof(r->hint), "%s", v.name);
	if (v.app >= 0) {
		/* Which channel: what the bytes are first, then what the rule said. */
		enum channel ch = rules_channel(c->rules, (unsigned)v.app, v.l7);

		if (!ch)
			ch = v.channel;
		r->app = app_id(c, (unsigned)v.app);
		r->type = app_type(c, (unsigned)v.app, ch);
		if (b->sig && !name && f->proto == IPPROTO_UDP && !cf->learnt) {
			struct peer_key k = socket_key(&f->client);

			peers_learn(c->peers, &k, v.app, v.channel, 0, NULL, now, LEARN_NS);
		}
	} else if (cf->tunnel) {
		r->type = (uint16_t)model_type_id(c->m, cf->tunnel);
		snprintf(r->hint, sizeof(r->hint), "%s", cf->tunnel);
	} else {
		r->type = l7_type(c, v.l7);
	}
	/* A server is what a flow's own bytes showed it to be. */
	if (cf->done && !cf->learnt && v.l7 && v.source >= SOURCE_SNI && !infrastructure(v.l7)) {
		struct peer_key k = server_key(f);

		peers_learn(c->peers, &k, v.app, v.channel, v.l7, NULL, now, LEARN_NS);
		cf->learnt = true;
	}
}

void learn_answers(struct classifier *c, const struct flow *f, struct seg d, uint64_t now)
{
	struct dns_answer a;
	struct rule_match m;

	if (!dns_addresses(d, &a))
		return;
	m = rules_host(c->rules, a.name);
	for (unsigned i = 0; i < a.n; i++) {
		struct peer_key k = name_key(&f->client.ip, &a.a[i].ip);
		uint32_t ttl = a.a[i].ttl;

		if (ttl < DNS_TTL_MIN_S)
			ttl = DNS_TTL_MIN_S;
		if (ttl > DNS_TTL_MAX_S)
			ttl = DNS_TTL_MAX_S;
		peers_learn(c->peers, &k, m.app, m.channel, 0, a.name, now, ttl * 1000000000ull);
	}
}
