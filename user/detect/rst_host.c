/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "rst_host.h"
#include "rst_rules.h"

#define WAYS 4
#define MAX_HOPS 32
#define SECOND 1000000000ull

uint64_t rst_hash(const void *data, size_t n, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ 0xcbf29ce484222325ull;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

static size_t set_of(const struct in6_addr *ip)
{
	return ip_hash(ip, 0) % (RST_HOSTS / WAYS) * WAYS;
}

struct rst_host *rst_host(struct rst_hosts *t, const struct in6_addr *ip, uint64_t now_ns)
{
	size_t set = set_of(ip);
	struct rst_host *old = &t->host[set];

	for (size_t i = set; i < set + WAYS; i++) {
		struct rst_host *h = &t->host[i];

		if (h->used_ns && !memcmp(&h->ip, ip, sizeof(*ip))) {
			h->used_ns = now_ns ? now_ns : 1;
			return h;
		}
		if (h->used_ns < old->used_ns)
			old = h;
	}
	memset(old, 0, sizeof(*old));
	old->ip = *ip;
	old->used_ns = now_ns ? now_ns : 1;
	old->span_ns = now_ns;
	return old;
}

void rst_host_rtt(struct rst_host *h, uint32_t us, uint64_t now_ns)
{
	if (!us)
		return;
	if (now_ns > h->span_ns + RST_HOST_SPAN_NS) {
		bool next = now_ns <= h->span_ns + 2 * RST_HOST_SPAN_NS;

		h->rtt_min_us[1] = next ? h->rtt_min_us[0] : 0;
		h->rtt_min_us[0] = 0;
		h->span_ns = now_ns;
		if (!next)
			h->rtt_n = 0, h->rtt_mean_us = 0;
	}
	if (!h->rtt_min_us[0] || us < h->rtt_min_us[0])
		h->rtt_min_us[0] = us;
	if (h->rtt_n < UINT32_MAX)
		h->rtt_n++;
	h->rtt_mean_us += ((float)us - h->rtt_mean_us) / (float)(h->rtt_n < 16 ? h->rtt_n : 16);
}

uint32_t rst_host_rtt_min(const struct rst_host *h, uint64_t now_ns)
{
	uint32_t a = h->rtt_min_us[0], b = h->rtt_min_us[1];

	if (now_ns > h->span_ns + 2 * RST_HOST_SPAN_NS)
		return 0;
	if (now_ns > h->span_ns + RST_HOST_SPAN_NS || !b)
		return a;
	return !a || b < a ? b : a;
}

bool rst_host_counts_ipid(const struct rst_host *h)
{
	return h->ipid_near >= 6 && h->ipid_near >= 4 * (uint64_t)h->ipid_far;
}

bool rst_host_reset(struct rst_host *h, uint64_t now_ns, uint64_t opened_ns)
{
	if (now_ns > h->rst_ns[0] + SECOND || now_ns < h->rst_ns[0]) {
		h->rst_ns[1] = h->rst_ns[0];
		h->rst_flows[1] = h->rst_flows[0];
		h->rst_ns[0] = now_ns;
		h->rst_flows[0] = 0;
	}
	if (opened_ns > h->rst_ns[0])
		return false;
	h->rst_flows[0]++;
	return true;
}

/* No path is so long, whatever of 32, 64, 128, 255 it began with. */
static bool no_stacks_ttl(uint8_t ttl)
{
	return (ttl > 64 && ttl < 128 - MAX_HOPS) || (ttl > 128 && ttl < 255 - MAX_HOPS);
}

bool rst_host_odd_ttl(struct rst_host *h, uint8_t ttl, uint64_t now_ns)
{
	bool wild = false;
	unsigned i = 0;

	if (now_ns > h->odd_ns + 2 * RST_HOST_SPAN_NS)
		h->nodd = 0;
	h->odd_ns = now_ns;
	while (i < h->nodd && abs(h->odd_ttl[i] - ttl) > RST_TTL_NEAR)
		i++;
	if (i == h->nodd && h->nodd < RST_ODD_TTLS)
		h->odd_ttl[h->nodd++] = ttl;
	for (i = 0; i < h->nodd; i++)
		wild |= no_stacks_ttl(h->odd_ttl[i]);
	return h->nodd >= 3 && wild;
}

uint32_t rst_host_resets(const struct rst_host *h, uint64_t ns)
{
	for (unsigned i = 0; i < 2; i++)
		if (h->rst_ns[i] && ns >= h->rst_ns[i] && ns <= h->rst_ns[i] + SECOND)
			return h->rst_flows[i];
	return 0;
}
