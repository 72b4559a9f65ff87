// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One type's UDP (QUIC and others) under a ceiling of its own, before us. There is no loss and no round trip
 * to go by, so what is claimed is narrow: several clients, served from several networks, share one token
 * bucket that their flows by themselves know nothing of, and other types go much faster meanwhile.
 */
#include "rate.h"
#include "rate_ceiling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS	      2000000000ull
#define LOOK_PART     8 /* of the time that is held must be new */
#define LOOK_OPEN_NS  4000000000ull /* what is known need not be looked at as often */
#define AGAIN_NS      3000000000ull /* two looks so far apart must agree */
#define AGREE	      .02
#define HELD_NS	      60000000000ull /* older packets are left out */
#define SPAN_NS	      (CEILING_MIN_S * 1000000000ull)
#define QUIET_NS      15000000000ull
#define REPORT_NS     10000000000ull
#define PACKETS_MAX   12000
#define BYTES_MIN     200000 /* of the type */
#define MINOR	      .02 /* of its bytes: what a flow that matters has more of */
#define SHARE_MAX     .85 /* of one client, of one network */
#define CONTROL_S     .25
#define CONTROL_SLOTS 512
#define CONTROL_TIMES 2.0 /* the limit: so fast went the others, */
#define CONTROL_MIN   4   /* in so many quarter seconds, */
#define CONTROL_SPAN  3.0 /* between the first and the last of which so much time passed, s, */
#define CONTROL_FLOWS 2   /* of so many flows at least */

struct member {
	struct path *path;
	double bytes;
};

/* A look at a type. */
struct udp_look {
	struct member m[MEMBERS_MAX];
	unsigned n;
	uint64_t from_ns, span_ns; /* of what was fitted */
	double bytes;
	struct in6_addr client, net; /* who got, and which sent, most */
	struct ceiling c;
	unsigned control_flows;
	double control_best; /* bytes/s, over a quarter second: the lesser of to the clients and from the networks */
	char types[64];
};

/* The share of the bytes that the largest client got, that the largest network sent. */
static double largest(const struct rate *r, const struct udp_look *u, bool net, const struct path **of)
{
	double best = 0;

	for (unsigned i = 0; i < u->n; i++) {
		const struct path *p = u->m[i].path;
		double sum = 0;

		for (unsigned k = 0; k < u->n; k++) {
			const struct path *x = u->m[k].path;

			if (net ? ip_same_net(&x->server, &p->server) :
				  model_same_host(r->env.model, &x->client, &p->client))
				sum += u->m[k].bytes;
		}
		if (sum > best) {
			best = sum;
			*of = p;
		}
	}
	return best / u->bytes;
}

/* All it carried: live, some packets give no record. */
static double bytes_of(const struct path *p)
{
	const struct flow_counts *c = p->flow ? &p->flow->count[p->way] : &p->count;

	return fmax((double)p->s->bytes, (double)c->bytes);
}

/* What is held of a flow since then. */
static double bytes_since(const struct path *p, uint64_t from_ns)
{
	double bytes = 0;

	for (unsigned i = 0; i < p->s->n; i++)
		bytes += series_at(p->s, i)->t_ns >= from_ns ? obs_len(series_at(p->s, i)) : 0;
	return bytes;
}

/* Packets of them since then. */
static unsigned packets_since(const struct udp_look *u, uint64_t from_ns)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < u->n; i++) {
		const struct series *s = u->m[i].path->s;
		unsigned low = 0, high = s->n;

		while (low < high) {
			unsigned mid = (low + high) / 2;

			if (series_at(s, mid)->t_ns < from_ns)
				low = mid + 1;
			else
				high = mid;
		}
		sum += s->n - low;
	}
	return sum;
}

/* The type's flows; since when all that matter are held packet by packet. */
static bool find_members(struct rate *r, unsigned type, uint64_t now_ns, struct udp_look *u)
{
	const struct path *client = NULL, *net = NULL;
	double tcp = 0, all = 0;

	memset(u, 0, sizeof(*u));
	u->from_ns = now_ns > HELD_NS ? now_ns - HELD_NS : 0;
	for (unsigned i = r->marks; i--;) {
		struct path *p = r->mark[i].path;

		if (!p || r->mark[i].type != type || r->mark[i].way != TO_CLIENT || p->last_ns < u->from_ns)
			continue;
		if (p->proto != IPPROTO_UDP)
			tcp += bytes_of(p);
		else if (p->outbound)
			return false;
		else if (u->n == MEMBERS_MAX) {
			r->refused++;
			return false;
		} else if (p->s->n)
			u->m[u->n++] = (struct member){ p, bytes_of(p) };
	}
	for (unsigned i = 0; i < u->n; i++)
		all += u->m[i].bytes;
	if (all < BYTES_MIN || tcp > MINOR * all)
		return false;
	for (unsigned i = 0; i < u->n; i++) {
		const struct path *p = u->m[i].path;

		if (u->m[i].bytes < MINOR * all)
			continue;
		if (!p->s->whole && p->s->from_ns > u->from_ns)
			u->from_ns = p->s->from_ns;
		if (p->gap_ns > u->from_ns)
			u->from_ns = p->gap_ns;
		if (p->untold && p->flow && p->flow->count[p->way].packets > p->expected)
			return false; /* it goes on, and what it carries is not known */
		if (p->ifindex != u->m[0].path->ifindex)
			return false;
	}
	if (now_ns < u->from_ns + SPAN_NS)
		return false;
	while (now_ns >= u->from_ns + SPAN_NS && packets_since(u, u->from_ns) > GATHER_MAX)
		u->from_ns += SPAN_NS / 4;
	if (now_ns < u->from_ns + SPAN_NS) {
		r->refused++;
		return false;
	}
	for (unsigned i = 0; i < u->n; i++) {
		u->m[i].bytes = bytes_since(u->m[i].path, u->from_ns);
		u->bytes += u->m[i].bytes;
	}
	if (u->bytes < BYTES_MIN)
		return false;
	if (largest(r, u, false, &client) > SHARE_MAX || largest(r, u, true, &net) > SHARE_MAX)
		return false;
	u->client = client->client;
	u->net = net->server;
	return true;
}

static int by_time(const void *a, const void *b)
{
	double x = ((const struct ceiling_packet *)a)->t, y = ((const struct ceiling_packet *)b)->t;

	return (x > y) - (x < y);
}

/* Since when PACKETS_MAX at most have passed. */
static uint64_t newest_since(const struct udp_look *u, uint64_t now_ns)
{
	uint64_t low = u->from_ns, high = now_ns + 1;

	if (packets_since(u, low) <= PACKETS_MAX)
		return low;
	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		if (packets_since(u, mid) > PACKETS_MAX)
			low = mid;
		else
			high = mid;
	}
	return high;
}

static bool fit(struct rate *r, struct udp_look *u, uint64_t now_ns)
{
	uint64_t since_ns = newest_since(u, now_ns);
	unsigned n = 0, room = packets_since(u, since_ns);
	struct ceiling_packet *p = malloc(room * sizeof(*p));

	if (!p)
		return false;
	for (unsigned i = 0; i < u->n; i++) {
		const struct path *x = u->m[i].path;
		uint8_t parts = (uint8_t)(model_same_host(r->env.model, &x->client, &u->client) << PART_CLIENT |
					  ip_same_net(&x->server, &u->net) << PART_NET);

		for (unsigned k = 0; k < x->s->n && n < room; k++) {
			const struct obs *o = series_at(x->s, k);

			if (o->t_ns >= since_ns)
				p[n++] = (struct ceiling_packet){ (double)(o->t_ns - u->from_ns) * 1e-9,
								  (float)obs_len(o), parts };
		}
	}
	u->span_ns = now_ns - since_ns;
	if (ceiling_possible(p, n)) {
		qsort(p, n, sizeof(*p), by_time);
		ceiling_fit(p, n, &u->c);
		r->credit -= (u->c.holds ? 2.0 : 1.0) * CEILING_COST * n;
	}
	free(p);
	return u->c.holds;
}

static bool is_near(const struct udp_look *u, const struct path *p, enum ceiling_part part)
{
	for (unsigned i = 0; i < u->n; i++) {
		const struct path *m = u->m[i].path;

		if (u->m[i].bytes >= MINOR * u->bytes && (part == PART_NET ? ip_same_net(&m->server, &p->server) :
									     ip_same(&m->client, &p->client)))
			return true;
	}
	return false;
}

/* Bytes of each quarter second that a path carried while the ceiling held. */
static double add_control(const struct path *p, const struct udp_look *u, float *slot)
{
	double bytes = 0;

	for (unsigned k = 0; k < p->s->n; k++) {
		const struct obs *o = series_at(p->s, k);
		double t = (double)(int64_t)(o->t_ns - u->from_ns) * 1e-9 - u->c.first;

		if (t < 0 || t > u->c.last - u->c.first || t >= CONTROL_S * CONTROL_SLOTS ||
		    o->flags & OBS_LOST_BEFORE)
			continue;
		slot[(unsigned)(t / CONTROL_S)] += (float)obs_len(o);
		bytes += obs_len(o);
	}
	return bytes;
}

/* Did they go much faster than the ceiling, and not in one moment? */
static bool went_fast(const float *slot, double rate, double *best)
{
	unsigned n = 0, first = 0, last = 0;

	*best = 0;
	for (unsigned i = 0; i < CONTROL_SLOTS; i++) {
		*best = fmax(*best, slot[i] / CONTROL_S);
		if (slot[i] < CONTROL_TIMES * rate * CONTROL_S)
			continue;
		first = n++ ? first : i;
		last = i;
	}
	return n >= CONTROL_MIN && (last - first) * CONTROL_S >= CONTROL_SPAN;
}

/*
 * Did other types go much faster meanwhile, to these clients, and from these networks? If not, it may be a
 * plan, or a way, that is slow for all.
 */
static bool others_free(const struct rate *r, unsigned type, struct udp_look *u)
{
	float slot[CEILING_PARTS][CONTROL_SLOTS] = { { 0 } };
	double best[CEILING_PARTS];

	for (const struct path *p = r->paths; p; p = p->next) {
		double bytes = 0;

		if (p->type == type || p->way != TO_CLIENT || p->outbound || p->ifindex != u->m[0].path->ifindex)
			continue;
		for (unsigned k = 0; k < CEILING_PARTS; k++)
			if (is_near(u, p, k))
				bytes = fmax(bytes, add_control(p, u, slot[k]));
		if (bytes < u->c.rate * CONTROL_S)
			continue;
		u->control_flows++;
		fact_list(u->types, sizeof(u->types), model_type_name(r->env.model, p->type));
	}
	for (unsigned k = 0; k < CEILING_PARTS; k++)
		if (!went_fast(slot[k], u->c.rate, &best[k]))
			return false;
	u->control_best = fmin(best[PART_CLIENT], best[PART_NET]);
	return u->control_flows >= CONTROL_FLOWS;
}

/* ---- the finding ---- */

static uint32_t count_ends(const struct rate *r, const struct udp_look *u, bool net)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < u->n; i++) {
		bool known = false;

		for (unsigned k = 0; k < i && !known; k++)
			known = net ? ip_same(&u->m[k].path->server, &u->m[i].path->server) :
				      model_same_host(r->env.model, &u->m[k].path->client, &u->m[i].path->client);
		n += !known;
	}
	return n;
}

static void report(struct rate *r, struct udp_limit *l, unsigned type, const struct udp_look *u)
{
	const struct ceiling *c = &u->c;
	struct finding f = { .key = l->key, .kind = KIND_RATE_LIMIT, .subkind = SUBKIND_UNKNOWN,
			     .level = LEVEL_LIKELY, .confidence = .95, .method = "rate_limit/ceiling/1",
			     .start_ns = l->start_ns, .type = (int)type, .direction = DIRECTION_DOWN,
			     .clients = count_ends(r, u, false), .servers = count_ends(r, u, true) };
	double packets = 0;

	for (unsigned i = 0; i < u->n; i++) {
		const struct path *p = u->m[i].path;

		packets += (double)p->s->packets;
		if (p->flow) {
			f.degraded |= p->flow->fragile;
			finding_add_flow(&f, p->flow);
		} else if (f.flows++ < FINDING_FLOWS) {
			f.flow_id[f.flows - 1] = p->flow_id;
		}
	}
	fact_num(&f.estimate, "limit_bps", c->rate * 8);
	fact_num(&f.estimate, "limit_bps_low", c->rate_low * 8);
	fact_num(&f.estimate, "limit_bps_high", c->rate_high * 8);
	fact_num(&f.estimate, "limit_l3_bps", c->rate * 8 * (1 - 14 * packets / u->bytes));
	fact_num(&f.control, "flows", u->control_flows);
	fact_text(&f.control, "types", "%s", u->types);
	fact_num(&f.control, "peak_rate_bps", u->control_best * 8);
	fact_text(&f.reasons, "ceiling", "reached %u times in %.0f s to %d packets, never exceeded", c->touches,
		  c->last - c->first, 3);
	fact_num(&f.reasons, "delivered_bps", c->base * 8);
	fact_num(&f.reasons, "bound_bytes", c->burst);
	fact_num(&f.reasons, "client_off_share_bytes", c->off[PART_CLIENT]);
	fact_num(&f.reasons, "network_off_share_bytes", c->off[PART_NET]);
	fact_vs(&f.reasons, "rate_bps_vs_control", c->rate * 8, u->control_best * 8);
	fact_text(&f.reasons, "shared_by", "UDP flows of one type");
	fact_text(&f.reasons, "kind", "neither loss nor round trips are seen: bucket or queue can not be told");
	fact_text(&f.ruled_out, "congestion", "other types, same clients, same networks: %.1f times its rate meanwhile",
		  u->control_best / c->rate);
	fact_text(&f.ruled_out, "app", "the sum keeps to the bound, none of its parts does");
	fact_text(&f.ruled_out, "sender_pacing", "senders in several networks do not know of each other");
	fact_text(&f.ruled_out, "receiver", "nor do the clients");
	rate_text(f.what, sizeof(f.what), c->rate * 8);
	findings_report(r->env.findings, &f);
}

static void found(struct rate *r, struct udp_limit *l, unsigned type, const struct udp_look *u,
		  uint64_t now_ns)
{
	uint64_t first = u->from_ns + (uint64_t)(u->c.first * 1e9);
	bool same = l->rate > 0 && fabs(u->c.rate / l->rate - 1) <= AGREE;

	if (!same && l->open)
		return;
	if (!same)
		l->seen_ns = now_ns;
	l->rate = u->c.rate;
	l->last_ns = u->from_ns + (uint64_t)(u->c.last * 1e9);
	if (!l->open) {
		if (now_ns < l->seen_ns + AGAIN_NS)
			return;
		l->open = true;
		l->start_ns = first;
		l->reported_ns = 0;
		l->key = (uint64_t)KIND_RATE_LIMIT << 56 | 1ull << 48 | (uint64_t)type << 40 | ++r->keys;
	}
	for (unsigned i = 0; i < u->n; i++)
		u->m[i].path->focused = false; /* more of its packets, before those that were asked for end */
	if (now_ns < l->reported_ns + REPORT_NS)
		return;
	l->reported_ns = now_ns;
	report(r, l, type, u);
}

void udp_packet(struct rate *rate, struct path *p, const struct weir_rec *r)
{
	unsigned next = r->own_pkts + r->segs;

	p->untold = r->flags & WEIR_REC_LAST;
	if (r->own_pkts != p->expected || next > UINT16_MAX || p->untold)
		p->gap_ns = r->time_ns;
	p->expected = next > UINT16_MAX ? UINT16_MAX : next;
	if (p->way == TO_CLIENT && !p->outbound && p->s->bytes >= BYTES_MIN / 16)
		rate->udp[p->type].newest_ns = r->time_ns;
}

void udp_tick(struct rate *r, uint64_t now_ns)
{
	if (now_ns < r->udp_ns + LOOK_NS)
		return;
	r->udp_ns = now_ns;
	for (unsigned type = 1; type < MAX_TYPES; type++) {
		struct udp_limit *l = &r->udp[type];
		bool seen = l->newest_ns + LOOK_NS > now_ns;

		if (now_ns < l->next_ns)
			continue;
		r->refused += seen && r->credit < 0;
		if (seen && r->credit >= 0) {
			struct udp_look u;

			if (find_members(r, type, now_ns, &u) && fit(r, &u, now_ns) && others_free(r, type, &u))
				found(r, l, type, &u, now_ns);
			l->next_ns = now_ns + (l->open ? LOOK_OPEN_NS : 0) + u.span_ns / LOOK_PART;
		}
		if (l->open && now_ns > l->last_ns + QUIET_NS)
			udp_close(r, l);
	}
}

void udp_close(struct rate *r, struct udp_limit *l)
{
	if (l->open)
		findings_close(r->env.findings, l->key, l->last_ns);
	memset(l, 0, sizeof(*l));
}
