/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP errors that say a flow is prohibited: a filter that does not hide. Whose
 * it is, a host's own or a network's, they don't tell: it stays possible.
 */
#include "rst.h"

#define ICMP4_UNREACHABLE 3
#define ICMP6_UNREACHABLE 1

/* RFC 792, RFC 1812 5.2.7.1; RFC 4443 3.1 */
static bool prohibited(unsigned type, unsigned code, bool v4)
{
	if (v4)
		return type == ICMP4_UNREACHABLE && (code == 9 || code == 10 || code == 13);
	return type == ICMP6_UNREACHABLE && (code == 1 || code == 5 || code == 6);
}

void rst_on_icmp(struct rst_detector *d, const struct flow *f, const struct weir_rec *r)
{
	bool from_client = r->sport == f->client.port;
	struct inject_case k = {
		.key = inject_key(f, "icmp"),
		.kind = KIND_SELECTIVE_DROP,
		.subkind = SUBKIND_BLACKHOLE,
		.flow = f,
		.time_ns = r->time_ns,
		.rules = RST_BIT(RST_ICMP),
		.score = rst_score(RST_BIT(RST_ICMP)),
		.toward_client = !from_client,
		.degraded = f->fragile,
		.ttl = r->ttl,
		.copies = 1,
	};
	unsigned sent = f->count[from_client ? TO_SERVER : TO_CLIENT].ttl, left = r->ack & 0xff;
	struct inject_group *g;

	if (!prohibited(r->seq >> 8, r->seq & 0xff, r->flags & WEIR_REC_IPV4))
		return;
	g = inject_add(&d->inject, &k);
	/* The quoted packet's own TTL: how far it came, exactly. */
	if (!g)
		return;
	if (sent && left && left <= sent)
		g->drop_hops = sent - left;
	g->icmp = r->seq & 0xffff;
	g->dirty = true;
}
