/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "classify_own.h"
#include "tunnel.h"

#define TCP_PACKETS_MAX                                                                            \
	8192 /* with payload, until what is known is all there will be: bytes one by one */
#define UDP_PACKETS_MAX 16
#define NO_CAPTURE_MAX 8 /* payload packets that came without bytes: the engine is done */
#define NOTHING_MAX 4	 /* payload packets after the one that no parser knows */

static const tcp_probe tcp_probes[] = {
	tls_tcp,     http_tcp,	 ssh_tcp,   noise_tcp, mail_tcp,    bittorrent_tcp,  mqtt_tcp,
	rdp_tcp,     smb_tcp,	 sip_tcp,   mmtls_tcp, stun_tcp,    dns_tcp,	     ldap_tcp,
	openvpn_tcp, fbzero_tcp, viber_tcp, socks_tcp, rtmp_tcp,  mtproto_tcp, noisesocket_tcp,
};

static const udp_probe udp_probes[] = {
	quic_udp, dtls_udp,    stun_udp,  wireguard_udp,  sip_udp,   ssdp_udp,
	dhcp_udp, ntp_udp,     gquic_udp, bittorrent_udp, ipsec_udp, smb_udp,
	dns_udp,  openvpn_udp, rdp_udp,	  ldap_udp,	  calls_udp, rtp_udp,
};

/* What a call's five-tuple may carry once one of them was seen (RFC 7983). */
static const udp_probe call_probes[] = { dtls_udp, stun_udp, calls_udp, rtp_udp };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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
	if (cf->w && f->proto == IPPROTO_TCP) {
		stream_free(&cf->w->tcp.stream[0]);
		stream_free(&cf->w->tcp.stream[1]);
	}
	if (cf->w && f->proto == IPPROTO_UDP)
		quic_free(&cf->w->udp.mem);
	free(cf->w);
	free(cf);
	f->classify = NULL;
}

bool classify_begun(const struct flow *f)
{
	return f->classify && f->classify->w;
}

static struct classify_flow *flow_state(struct flow *f)
{
	if (!f->classify)
		f->classify = calloc(1, sizeof(*f->classify));
	return f->classify;
}

static void tcp_run(struct classify_flow *cf, const struct flow *f, bool full)
{
	struct work *k = cf->w;
	struct tcp_view v = { .server_port = f->server.port, .full = full };
	bool more = false;

	for (unsigned w = 0; w < 2; w++) {
		const struct stream *s = &k->tcp.stream[w];

		v.way[w] = (struct seg){ s->buf ? s->buf : (const uint8_t *)"", s->have };
	}
	v.first = seg_head(v.way[TO_SERVER], k->tcp.first);
	if (!v.way[0].n && !v.way[1].n)
		return;
	for (unsigned i = 0; i < COUNT(tcp_probes); i++) {
		struct found got = { 0 };
		enum match m;

		if (k->tcp_chosen && k->tcp_chosen != tcp_probes[i])
			continue;
		m = tcp_probes[i](&v, &got);
		if (m == MATCH_YES) {
			k->tcp_chosen = tcp_probes[i];
			k->found = got;
			k->random = false;
			cf->done |= got.final;
			return;
		}
		more |= m == MATCH_MORE;
	}
	if (k->tcp_chosen)
		return;
	/* Random from the first byte on: so the first byte must have been seen to be that. */
	k->random = cf->exact[TO_SERVER] && looks_random(v.first.p, v.first.n) &&
		    !has_plain_head(v.first.p, v.first.n);
	/* Nobody knows it: a little patience, for the other side has not spoken perhaps. */
	if (!more && (++k->nothing >= NOTHING_MAX || (v.way[0].n && v.way[1].n)))
		cf->done = true;
}

static void tcp_packet(struct classify_flow *cf, const struct flow *f, const struct weir_rec *r,
		       const uint8_t *p)
{
	unsigned w = rec_way(f, r);
	uint32_t seq = r->seq;
	size_t n = r->caplen;
	struct stream *s;
	int32_t off;

	if (r->tcp_flags & 2) { /* SYN */
		seq++;
		if (!cf->exact[w] && (!cf->known[w] || !cf->w || !cf->w->tcp.stream[w].top)) {
			cf->base[w] = seq;
			cf->known[w] = cf->exact[w] = true;
		}
	}
	if (!n || !cf->w || r->label == WEIR_KEEPALIVE)
		return;
	s = &cf->w->tcp.stream[w];
	if (!cf->known[w]) {
		cf->base[w] = seq;
		cf->known[w] = true;
	}
	off = (int32_t)(seq - cf->base[w]);
	if (off < 0 && !cf->exact[w] && off > -STREAM_MAX && stream_shift(s, (uint32_t)-off)) {
		cf->base[w] = seq;
		off = 0;
	}
	if (off < 0) {
		if ((size_t) - (int64_t)off >= n)
			return;
		p += -off;
		n -= (size_t)-off;
		off = 0;
	}
	if (w == TO_SERVER && !off && (!cf->w->tcp.first || !cf->exact[w]))
		cf->w->tcp.first = (uint16_t)n;
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
	struct found *b = &cf->w->found;
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
	struct work *k = cf->w;
	unsigned w = rec_way(f, r);
	struct udp_view v = { .d = { p, r->caplen },
			      .way = w,
			      .client_port = f->client.port,
			      .server_port = f->server.port,
			      .len = r->payload_len,
			      .mem = k ? &k->udp.mem : NULL };
	const udp_probe *list = udp_probes;
	size_t n = COUNT(udp_probes);
	bool known = false;

	if (!k || !r->caplen)
		return;
	if (!k->found.l7 && !cf->tunnel) {
		cf->tunnel = tunnel_in_udp(v.d, v.len, v.server_port);
		if (cf->tunnel) {
			cf->done = true;
			return;
		}
	}
	if (is_call(k->found.l7) || k->found.sig) {
		list = call_probes;
		n = COUNT(call_probes);
	}
	for (unsigned i = 0; i < n && !known; i++) {
		struct found got = { 0 };

		if (k->udp_chosen && k->udp_chosen != list[i])
			continue;
		if (list[i](&v, &got) != MATCH_YES)
			continue;
		known = true;
		keep_found(cf, &got);
		if (got.l7 == WEIR_L7_DNS || got.l7 == WEIR_L7_MDNS) {
			k->udp_chosen = dns_udp;
			if (got.l7 == WEIR_L7_DNS && w == TO_CLIENT)
				learn_answers(c, f, v.d, r->time_ns);
		} else if (!is_call(got.l7) && got.l7) {
			k->udp_chosen = list[i];
			cf->done |= got.final;
		}
	}
	if (k->udp.mem.seen[w] < 255)
		k->udp.mem.seen[w]++;
	if (known || k->found.l7 || k->found.sig || v.d.n < 2)
		return;
	if (!k->udp.datagrams)
		k->udp.all = 0xffff;
	k->udp.all &= be16(p);
	k->udp.any |= be16(p);
	k->udp.datagrams++;
	k->udp.random += looks_random(p, v.d.n) && !has_plain_head(p, v.d.n);
}

/* Several datagrams, all random, and hardly a bit of their first two bytes the same in all. */
static bool random_udp(const struct work *k)
{
	unsigned same =
		(unsigned)__builtin_popcount((uint16_t)(k->udp.all | (uint16_t)~k->udp.any));

	return k->udp.datagrams >= 3 && k->udp.random == k->udp.datagrams && same <= 7;
}

/* A hash of all that a result tells; never 0. */
static uint32_t result_hash(const struct class_result *r)
{
	const char *text[] = { r->hint, r->alpn };
	uint32_t h =
		(uint32_t)r->l7 << 24 ^ (uint32_t)r->source << 16 ^ (uint32_t)r->app << 8 ^ r->type;

	h = h * 16777619u + r->ech * 2u + r->done;
	for (unsigned i = 0; i < 2; i++)
		for (const char *s = text[i]; *s; s++)
			h = (h ^ (uint8_t)*s) * 16777619u;
	return h ? h : 1;
}

static bool changed(struct classify_flow *cf, const struct class_result *out)
{
	uint32_t was = cf->told;

	cf->told = result_hash(out);
	return cf->told != was;
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
		cf->l7 = WEIR_L7_ICMP;
		break;
	case IPPROTO_ESP:
	case IPPROTO_AH:
		cf->l7 = WEIR_L7_IPSEC;
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
	struct work *k = cf->w;

	if (k && f->proto == IPPROTO_TCP && !cf->done)
		tcp_run(cf, f, true);
	if (k && f->proto == IPPROTO_UDP && !k->found.l7 && !k->found.sig)
		k->random = random_udp(k);
	cf->done = true;
}

static void payload_packet(struct classifier *c, struct classify_flow *cf, const struct flow *f,
			   const struct weir_rec *r, const uint8_t *payload)
{
	bool tcp = f->proto == IPPROTO_TCP, dns;
	struct work *k;

	if (r->caplen && !cf->w)
		cf->w = calloc(1, sizeof(*cf->w));
	if (tcp)
		tcp_packet(cf, f, r, payload);
	else
		udp_packet(c, cf, f, r, payload);
	k = cf->w;
	if (!k || !r->payload_len)
		return;
	if (k->packets < 65535)
		k->packets++;
	if (!r->caplen && k->no_capture < 255)
		k->no_capture++;
	/* Answers come to every question of a socket that a resolver keeps. */
	dns = k->found.l7 == WEIR_L7_DNS && !tcp;
	if (!cf->done && !dns &&
	    (k->no_capture >= NO_CAPTURE_MAX ||
	     k->packets >= (tcp ? TCP_PACKETS_MAX : UDP_PACKETS_MAX)))
		conclude(cf, f);
}

bool classify_packet(struct classifier *c, struct flow *f, const struct weir_rec *r,
		     const uint8_t *payload, struct class_result *out)
{
	struct classify_flow *cf = flow_state(f);

	if (!cf) {
		memset(out, 0, sizeof(*out));
		return false;
	}
	if (!cf->done && !by_protocol(cf, f) && r->kind == WEIR_REC_PACKET)
		payload_packet(c, cf, f, r, payload);
	decide(c, f, cf, r->time_ns, cf->done, out);
	return changed(cf, out);
}

bool classify_finish(struct classifier *c, struct flow *f, struct class_result *out)
{
	struct classify_flow *cf = flow_state(f);

	if (!cf) {
		memset(out, 0, sizeof(*out));
		return false;
	}
	if (!by_protocol(cf, f))
		conclude(cf, f);
	decide(c, f, cf, f->last_ns, true, out);
	return changed(cf, out);
}
