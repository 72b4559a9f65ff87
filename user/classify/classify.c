/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <stdio.h>

#include "classify.h"
#include "dns.h"
#include "peers.h"
#include "probe.h"
#include "rules.h"
#include "stream.h"
#include "tunnel.h"

#define TCP_PACKETS_MAX 8192	/* with payload, until what is known is all there will be: bytes one by one */
#define UDP_PACKETS_MAX 16
#define NO_CAPTURE_MAX	8	/* payload packets that came without bytes: the engine is done */
#define NOTHING_MAX	4	/* payload packets after the one that no parser knows */
#define LEARN_NS	(3600ull * 1000000000)
#define DNS_TTL_MIN_S	60	/* clients hold on to an answer a little longer */
#define DNS_TTL_MAX_S	86400

static const tcp_probe tcp_probes[] = {
	tls_tcp,  http_tcp, ssh_tcp,  noise_tcp, mail_tcp,  bittorrent_tcp, mqtt_tcp,
	rdp_tcp,  smb_tcp,  sip_tcp,  mmtls_tcp, stun_tcp,  dns_tcp,	    ldap_tcp,
	openvpn_tcp, fbzero_tcp, socks_tcp, rtmp_tcp, mtproto_tcp, noisesocket_tcp,
};

static const udp_probe udp_probes[] = {
	quic_udp,  dtls_udp, stun_udp,	wireguard_udp, sip_udp,	      ssdp_udp,	  dhcp_udp,
	ntp_udp,   gquic_udp, bittorrent_udp, ipsec_udp, smb_udp,     dns_udp,	  openvpn_udp,
	rdp_udp,   ldap_udp, calls_udp, rtp_udp,
};

/* What a call's five-tuple may carry once one of them was seen (RFC 7983). */
static const udp_probe call_probes[] = { dtls_udp, stun_udp, calls_udp, rtp_udp };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct classify_flow {
	struct class_result out; /* as last told */
	struct found found;
	const char *tunnel;	 /* encapsulation, NULL none */
	union {
		struct {
			struct stream stream[2];
			uint32_t base[2];
			bool known[2], exact[2]; /* base is set; by a SYN */
			uint16_t first;		 /* length of the client's first segment */
		} tcp;
		struct {
			struct udp_memory mem;
			uint16_t all, any; /* AND and OR of the datagrams' first two bytes */
			uint8_t random, datagrams;
		} udp;
	};
	tcp_probe tcp_chosen;
	udp_probe udp_chosen;
	uint16_t packets;    /* with payload, saturates */
	uint8_t no_capture;
	uint8_t nothing;
	bool tcp_flow, udp_flow;
	bool random;	     /* looks fully encrypted, and nothing else fits so far */
	bool learnt, told, done;
};

struct classifier {
	struct model *m;
	const struct rules *rules;
	struct rules *own;
	struct peers *peers;
	uint16_t app_id[256]; /* of the model, by the rules' index; 0: not asked yet */
	uint16_t app_type[256][CHANNELS];
	uint16_t l7_type[WEIR_L7_COUNT];
};

struct classifier *classifier_new(struct model *m, const struct rules *rules)
{
	struct classifier *c = calloc(1, sizeof(*c));
	char err[200];

	if (!c)
		return NULL;
	c->m = m;
	c->peers = peers_new();
	if (!rules)
		rules = c->own = rules_load(NULL, err, sizeof(err));
	c->rules = rules;
	if (!c->peers || !rules) {
		classifier_free(c);
		return NULL;
	}
	return c;
}

void classifier_rules(struct classifier *c, const struct rules *rules)
{
	if (!rules)
		return;
	rules_free(c->own);
	c->own = NULL;
	c->rules = rules;
	/* What was learnt names apps by the old rules' index. */
	peers_clear(c->peers);
	memset(c->app_id, 0, sizeof(c->app_id));
	memset(c->app_type, 0, sizeof(c->app_type));
}

void classifier_free(struct classifier *c)
{
	if (!c)
		return;
	rules_free(c->own);
	peers_free(c->peers);
	free(c);
}

void classify_flow_free(struct classifier *c, struct flow *f)
{
	struct classify_flow *cf = f->classify;

	if (!cf)
		return;
	if (cf->tcp_flow) {
		stream_free(&cf->tcp.stream[0]);
		stream_free(&cf->tcp.stream[1]);
	}
	if (cf->udp_flow)
		quic_free(&cf->udp.mem);
	free(cf);
	f->classify = NULL;
}

static struct classify_flow *flow_state(struct flow *f)
{
	if (!f->classify) {
		f->classify = calloc(1, sizeof(*f->classify));
		if (f->classify) {
			f->classify->tcp_flow = f->proto == IPPROTO_TCP;
			f->classify->udp_flow = f->proto == IPPROTO_UDP;
		}
	}
	return f->classify;
}

/* ---- names ---- */

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

/* ---- whose ---- */

/* Traffic that serves the network, whatever names are in it. */
static bool infrastructure(unsigned l7)
{
	return l7 == WEIR_L7_DNS || l7 == WEIR_L7_MDNS || l7 == WEIR_L7_DOT ||
	       l7 == WEIR_L7_SSDP || l7 == WEIR_L7_DHCP || l7 == WEIR_L7_NTP ||
	       l7 == WEIR_L7_ICMP;
}

static bool call(unsigned l7)
{
	return l7 == WEIR_L7_STUN || l7 == WEIR_L7_RTP || l7 == WEIR_L7_RTCP ||
	       l7 == WEIR_L7_DTLS;
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
	case WEIR_L7_TLS: case WEIR_L7_QUIC: case WEIR_L7_HTTP: case WEIR_L7_STUN:
	case WEIR_L7_RTP: case WEIR_L7_RTCP: case WEIR_L7_DTLS: case WEIR_L7_UNKNOWN:
	case WEIR_L7_FULLY_ENCRYPTED:
		return true;
	}
	return false;
}

/* last: no more bytes will come, so that weak evidence is all there is. */
static void decide(struct classifier *c, const struct flow *f, struct classify_flow *cf,
		   uint64_t now, bool last, struct class_result *r)
{
	const struct found *b = &cf->found;
	struct verdict v = { .app = -1, .l7 = b->l7 };
	bool name = is_name(b->host);

	if (!v.l7 && cf->random)
		v.l7 = WEIR_L7_FULLY_ENCRYPTED;
	v.source = v.l7 ? SOURCE_PAYLOAD : SOURCE_NONE;
	if (!infrastructure(v.l7) && !cf->tunnel) {
		bool sni = v.l7 == WEIR_L7_TLS || v.l7 == WEIR_L7_QUIC || v.l7 == WEIR_L7_DTLS;
		/*
		 * An outer name in front of an encrypted hello is the provider's, not the
		 * site's, and a TURN realm may be anything: no name, where no rule knows it.
		 */
		bool nameless = !name || b->ech || call(v.l7);
		bool got = name &&
			   take(&v, rules_host(c->rules, b->host), sni ? SOURCE_SNI : SOURCE_PAYLOAD);

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

/* ---- what ---- */

static void learn_answers(struct classifier *c, const struct flow *f, struct seg d, uint64_t now)
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

static void tcp_run(struct classify_flow *cf, const struct flow *f, bool full)
{
	struct tcp_view v = { .server_port = f->server.port, .full = full };
	bool more = false;

	for (unsigned w = 0; w < 2; w++) {
		const struct stream *s = &cf->tcp.stream[w];

		v.way[w] = (struct seg){ s->buf ? s->buf : (const uint8_t *)"", s->have };
	}
	v.first = seg_head(v.way[TO_SERVER], cf->tcp.first);
	if (!v.way[0].n && !v.way[1].n)
		return;
	for (unsigned i = 0; i < COUNT(tcp_probes); i++) {
		struct found got = { 0 };
		enum match m;

		if (cf->tcp_chosen && cf->tcp_chosen != tcp_probes[i])
			continue;
		m = tcp_probes[i](&v, &got);
		if (m == MATCH_YES) {
			cf->tcp_chosen = tcp_probes[i];
			cf->found = got;
			cf->random = false;
			cf->done |= got.final;
			return;
		}
		more |= m == MATCH_MORE;
	}
	if (cf->tcp_chosen)
		return;
	/* Random from the first byte on: so the first byte must have been seen to be that. */
	cf->random = cf->tcp.exact[TO_SERVER] && looks_random(v.first.p, v.first.n);
	/* Nobody knows it: a little patience, for the other side has not spoken perhaps. */
	if (!more && (++cf->nothing >= NOTHING_MAX || (v.way[0].n && v.way[1].n)))
		cf->done = true;
}

static void tcp_packet(struct classify_flow *cf, const struct flow *f, const struct weir_rec *r,
		       const uint8_t *p)
{
	unsigned w = rec_way(f, r);
	struct stream *s = &cf->tcp.stream[w];
	uint32_t seq = r->seq;
	size_t n = r->caplen;
	int32_t off;

	if (r->tcp_flags & 2) { /* SYN */
		seq++;
		if (!cf->tcp.exact[w] && (!cf->tcp.known[w] || !s->top)) {
			cf->tcp.base[w] = seq;
			cf->tcp.known[w] = cf->tcp.exact[w] = true;
		}
	}
	if (!n || r->label == WEIR_KEEPALIVE)
		return;
	if (!cf->tcp.known[w]) {
		cf->tcp.base[w] = seq;
		cf->tcp.known[w] = true;
	}
	off = (int32_t)(seq - cf->tcp.base[w]);
	if (off < 0 && !cf->tcp.exact[w] && off > -STREAM_MAX &&
	    stream_shift(s, (uint32_t)-off)) {
		cf->tcp.base[w] = seq;
		off = 0;
	}
	if (off < 0) {
		if ((size_t)-(int64_t)off >= n)
			return;
		p += -off;
		n -= (size_t)-off;
		off = 0;
	}
	if (w == TO_SERVER && !off && (!cf->tcp.first || !cf->tcp.exact[w]))
		cf->tcp.first = (uint16_t)n;
	if (stream_add(s, (uint32_t)off, p, n))
		tcp_run(cf, f, s->have == STREAM_MAX);
}

/* From what was seen to what a datagram now shows: which of the two names the flow. */
static bool better(unsigned was, unsigned now)
{
	if (!was)
		return true;
	switch (was) {
	case WEIR_L7_STUN:
		/* RTCP goes along with RTP: alone it does not yet rename the flow. */
		return now == WEIR_L7_RTP || now == WEIR_L7_DTLS;
	case WEIR_L7_RTCP:
		return now == WEIR_L7_RTP;
	}
	return false;
}

static void keep_found(struct classify_flow *cf, const struct found *got)
{
	struct found *b = &cf->found;
	bool named = got->host[0] && !b->host[0];

	if (got->l7 && (better(b->l7, got->l7)))
		b->l7 = got->l7;
	if (got->sig && !b->sig)
		b->sig = got->sig;
	if (named)
		memcpy(b->host, got->host, sizeof(b->host));
	if (got->alpn[0] && !b->alpn[0])
		memcpy(b->alpn, got->alpn, sizeof(b->alpn));
	b->ech |= got->ech;
}

static void udp_packet(struct classifier *c, struct classify_flow *cf, const struct flow *f,
		       const struct weir_rec *r, const uint8_t *p)
{
	unsigned w = rec_way(f, r);
	struct udp_view v = { .d = { p, r->caplen },
			      .way = w,
			      .client_port = f->client.port,
			      .server_port = f->server.port,
			      .len = r->payload_len,
			      .mem = &cf->udp.mem };
	const udp_probe *list = udp_probes;
	size_t n = COUNT(udp_probes);
	bool known = false;

	if (!r->caplen)
		return;
	if (!cf->found.l7 && !cf->tunnel) {
		cf->tunnel = tunnel_in_udp(v.d, v.len, v.server_port);
		if (cf->tunnel) {
			cf->done = true;
			return;
		}
	}
	if (call(cf->found.l7) || cf->found.sig) {
		list = call_probes;
		n = COUNT(call_probes);
	}
	for (unsigned i = 0; i < n && !known; i++) {
		struct found got = { 0 };

		if (cf->udp_chosen && cf->udp_chosen != list[i])
			continue;
		if (list[i](&v, &got) != MATCH_YES)
			continue;
		known = true;
		keep_found(cf, &got);
		if (got.l7 == WEIR_L7_DNS || got.l7 == WEIR_L7_MDNS) {
			cf->udp_chosen = dns_udp;
			if (got.l7 == WEIR_L7_DNS && w == TO_CLIENT)
				learn_answers(c, f, v.d, r->time_ns);
		} else if (!call(got.l7) && got.l7) {
			cf->udp_chosen = list[i];
			cf->done |= got.final;
		}
	}
	if (cf->udp.mem.seen[w] < 255)
		cf->udp.mem.seen[w]++;
	if (known || cf->found.l7 || cf->found.sig || v.d.n < 2)
		return;
	if (!cf->udp.datagrams)
		cf->udp.all = 0xffff;
	cf->udp.all &= be16(p);
	cf->udp.any |= be16(p);
	cf->udp.datagrams++;
	cf->udp.random += looks_random(p, v.d.n);
}

/* Several datagrams, all random, and hardly a bit of their first two bytes the same in all. */
static bool random_udp(const struct classify_flow *cf)
{
	unsigned same = (unsigned)__builtin_popcount(
		(uint16_t)(cf->udp.all | (uint16_t)~cf->udp.any));

	return cf->udp.datagrams >= 3 && cf->udp.random == cf->udp.datagrams && same <= 7;
}

static bool changed(struct classify_flow *cf, const struct class_result *r,
		    struct class_result *out)
{
	bool diff = !cf->told || memcmp(r, &cf->out, sizeof(*r));

	cf->told = true;
	cf->out = *r;
	*out = *r;
	return diff;
}

/* By the IP protocol alone. False: it is TCP or UDP. */
static bool by_protocol(struct classify_flow *cf, const struct flow *f)
{
	switch (f->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return false;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		cf->found.l7 = WEIR_L7_ICMP;
		break;
	case IPPROTO_ESP:
	case IPPROTO_AH:
		cf->found.l7 = WEIR_L7_IPSEC;
		break;
	default:
		cf->tunnel = tunnel_by_proto(f->proto);
	}
	cf->done = true;
	return true;
}

/* Nothing more can come of it: what is left is what the bytes had so far and weaker evidence. */
static void conclude(struct classify_flow *cf, const struct flow *f)
{
	if (cf->tcp_flow && !cf->done)
		tcp_run(cf, f, true);
	if (cf->udp_flow && !cf->found.l7 && !cf->found.sig)
		cf->random = random_udp(cf);
	cf->done = true;
}

bool classify_packet(struct classifier *c, struct flow *f, const struct weir_rec *r,
		     const uint8_t *payload, struct class_result *out)
{
	struct classify_flow *cf = flow_state(f);
	struct class_result res;
	bool dns;

	if (!cf) {
		memset(out, 0, sizeof(*out));
		return false;
	}
	if (cf->done || (r->kind != WEIR_REC_PACKET && cf->told)) {
		*out = cf->out;
		return false;
	}
	if (!by_protocol(cf, f) && r->kind == WEIR_REC_PACKET) {
		if (cf->tcp_flow)
			tcp_packet(cf, f, r, payload);
		else
			udp_packet(c, cf, f, r, payload);
		if (r->payload_len && cf->packets < 65535)
			cf->packets++;
		if (r->payload_len && !r->caplen && cf->no_capture < 255)
			cf->no_capture++;
		/* Answers come to every question of a socket that a resolver keeps. */
		dns = cf->found.l7 == WEIR_L7_DNS && cf->udp_flow;
		if (!cf->done && !dns &&
		    (cf->no_capture >= NO_CAPTURE_MAX ||
		     cf->packets >= (cf->tcp_flow ? TCP_PACKETS_MAX : UDP_PACKETS_MAX)))
			conclude(cf, f);
		/* Most packets change nothing. */
		if (cf->told && !cf->done && !r->caplen) {
			*out = cf->out;
			return false;
		}
	}
	decide(c, f, cf, r->time_ns, cf->done, &res);
	return changed(cf, &res, out);
}

bool classify_finish(struct classifier *c, struct flow *f, struct class_result *out)
{
	struct classify_flow *cf = flow_state(f);
	struct class_result res;

	if (!cf) {
		memset(out, 0, sizeof(*out));
		return false;
	}
	if (!by_protocol(cf, f))
		conclude(cf, f);
	decide(c, f, cf, f->last_ns, true, &res);
	return changed(cf, &res, out);
}
