/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The drop detector on any records: of eight flows, any label, any times, any
 * numbers. Input: 24 bytes a step. Whatever comes, memory stays right and what
 * is reported stays within bounds.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint64_t now_ns;

uint64_t model_now(const struct model *m)
{
	return now_ns;
}

bool model_is_local(const struct model *m, const struct in6_addr *ip)
{
	return ip->s6_addr[15] & 1;
}

struct flow *model_flow(struct model *m, uint64_t id)
{
	return NULL;
}

void model_drop_trials(struct model *m, unsigned type, uint32_t have, uint32_t need)
{
	if (type >= MAX_TYPES)
		abort();
}

void model_refuse(struct model *m)
{
}

/* Sometimes one host has two. */
bool model_same_host(const struct model *m, const struct in6_addr *a, const struct in6_addr *b)
{
	return ip_same(a, b) || (a->s6_addr[14] == b->s6_addr[14] && a->s6_addr[13] & 1);
}

static void check(const struct findings *s)
{
	for (unsigned i = 0; i < findings_count(s); i++) {
		const struct finding *f = findings_at(s, i);

		if (!(f->confidence >= 0 && f->confidence <= 1) || !f->reasons.n || !f->ruled_out.n)
			abort();
		for (unsigned k = 0; k < f->estimate.n; k++)
			if (!strcmp(f->estimate.fact[k].name, "drop_ratio") &&
			    !(f->estimate.fact[k].value >= 0 && f->estimate.fact[k].value <= 1))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct findings *s = findings_new(16, NULL, NULL);
	struct detect_env env = { .findings = s, .sensitivity = SENSITIVITY_HIGH };
	struct flow f[8];
	void *d = detect_drop.create(&env);

	if (!s || !d)
		abort();
	memset(f, 0, sizeof(f));
	now_ns = n ? p[0] * 1000000000ull : 0;
	for (unsigned i = 0; i < 8; i++) {
		f[i].id = i + 1;
		f[i].proto = i & 4 ? IPPROTO_UDP : IPPROTO_TCP;
		f[i].client.ip.s6_addr[15] = 1 + (i & 1) * 2;
		f[i].server.ip.s6_addr[15] = i & 2 ? 4 : 6;
		f[i].server.port = i & 1 ? 53 : 3478;
		f[i].source = SOURCE_PAYLOAD;
	}
	for (; n >= 24; p += 24, n -= 24) {
		struct flow *x = &f[p[0] & 7];
		struct weir_rec r = { .kind = WEIR_REC_PACKET, .proto = x->proto };

		/* mostly small steps; now and then hours, or back */
		now_ns += p[1] < 250 ? p[1] * 4000000ull : p[1] < 253 ? p[1] * 40000000000ull : 0;
		r.time_ns = p[1] == 255 && now_ns > 1000000000 ? now_ns - 1000000000 : now_ns;
		r.dir = p[2] & 1;
		r.label = p[2] >> 1 & 7;
		r.flags = (uint16_t)(p[2] & 0x80 ? WEIR_REC_DSACK : 0);
		r.nsack = p[2] >> 4 & 7;
		r.tcp_flags = p[3];
		r.payload_len = (uint32_t)(p[4] * 7);
		r.segs = p[5] < 200 ? 1 : p[5];
		r.seq = (uint32_t)(p[6] << 8 | p[7]) - (p[0] & 8 ? 40000u : 0);
		r.ack = (uint32_t)(p[8] << 8 | p[9]) - (p[0] & 16 ? 40000u : 0);
		r.rtt_min_us = (uint32_t)p[10] << (p[11] & 31);
		r.hole_age_us = (uint32_t)p[12] << (p[11] & 31);
		r.own_pkts = (uint16_t)(p[13] << (p[14] & 15));
		r.peer_pkts = p[15];
		if (x->proto == IPPROTO_UDP)
			memcpy(r.head, p, 24);
		else
			for (unsigned k = 0; k < WEIR_MAX_SACK; k++) {
				r.sack[k][0] = (uint32_t)(p[16 + k] << 8);
				r.sack[k][1] = (uint32_t)(p[17 + k] << 8);
			}
		x->l7 = p[22] % WEIR_L7_COUNT;
		x->fragile = p[23] & 1;
		if (p[23] & 2 && !x->typed) {
			x->type = p[23] >> 2 & 3;
			x->typed = true;
			detect_drop.typed(d, x, 0);
		}
		detect_drop.packet(d, x, &r, NULL);
		x->count[r.dir].packets += r.segs;
		x->last_ns = r.time_ns;
		if (p[23] & 64)
			detect_drop.tick(d, now_ns);
		if (p[23] >= 250) {
			detect_drop.flow_end(d, x);
			x->type = 0;
			x->typed = false;
		}
	}
	for (unsigned i = 0; i < 8; i++)
		detect_drop.flow_end(d, &f[i]);
	detect_drop.finish(d, now_ns);
	check(s);
	detect_drop.destroy(d);
	findings_free(s);
	return 0;
}
