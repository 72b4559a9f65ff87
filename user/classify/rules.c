/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "rules_own.h"

const char *channel_name(enum channel c)
{
	static const char *const names[CHANNELS] = { "", "text", "media", "call" };

	return c < CHANNELS ? names[c] : "";
}

struct rule_match rules_host(const struct rules *r, const char *host)
{
	struct rule_match best = { -1, CHANNEL_NONE };
	uint32_t h = HASH_START;
	size_t n = strlen(host);

	if (n && host[n - 1] == '.')
		n--;
	if (!r->buckets)
		return best;
	for (size_t i = n; i-- > 0;) {
		bool starred = false;

		h = hash_step(h, host[i]);
		if (i && host[i - 1] != '.')
			continue;
		for (int k = r->bucket[h & (r->buckets - 1)]; k >= 0; k = r->host[k].next) {
			const struct host_rule *hr = &r->host[k];
			size_t l = strlen(hr->suffix);

			if (hr->hash != h || l != n - i || memcmp(hr->suffix, host + i, l))
				continue;
			/* With a prefix it says more than the same suffix alone. */
			if (hr->prefix) {
				size_t p = strlen(hr->prefix);

				if (p > i || memcmp(host, hr->prefix, p))
					continue;
				starred = true;
			} else if (starred) {
				continue;
			}
			best.app = hr->app;
			best.channel = hr->channel;
		}
	}
	return best;
}

struct rule_match rules_signature(const struct rules *r, unsigned sig)
{
	return sig && sig < SIG_COUNT ? r->sig[sig] : (struct rule_match){ -1, CHANNEL_NONE };
}

struct rule_match rules_l7(const struct rules *r, unsigned l7)
{
	return l7 && l7 < WEIR_L7_COUNT ? r->l7[l7] : (struct rule_match){ -1, CHANNEL_NONE };
}

static bool in_net(const struct endpoint_rule *e, const struct in6_addr *ip)
{
	unsigned whole = e->prefix / 8, rest = e->prefix % 8;

	if (memcmp(e->ip.s6_addr, ip->s6_addr, whole))
		return false;
	return !rest || !((e->ip.s6_addr[whole] ^ ip->s6_addr[whole]) >> (8 - rest));
}

static const struct endpoint_rule *endpoint_rule(const struct rules *r, const struct in6_addr *ip,
						 unsigned proto, unsigned port)
{
	const struct endpoint_rule *best = NULL;

	for (unsigned i = 0; i < r->nends; i++) {
		const struct endpoint_rule *e = &r->end[i];

		if ((e->proto && e->proto != proto) || port < e->from || port > e->to ||
		    !in_net(e, ip))
			continue;
		/* The narrower net; of equal ones the narrower range of ports; then the first. */
		if (!best || e->prefix > best->prefix ||
		    (e->prefix == best->prefix && e->to - e->from < best->to - best->from))
			best = e;
	}
	return best;
}

struct rule_match rules_endpoint(const struct rules *r, const struct in6_addr *ip, unsigned proto,
				 unsigned port)
{
	const struct endpoint_rule *e = endpoint_rule(r, ip, proto, port);

	return e ? (struct rule_match){ e->app, e->channel }
		 : (struct rule_match){ -1, CHANNEL_NONE };
}

unsigned rules_apps(const struct rules *r)
{
	return r->napps;
}

const char *rules_app_name(const struct rules *r, unsigned app)
{
	return app < r->napps ? r->app[app].name : NULL;
}

enum channel rules_channel(const struct rules *r, unsigned app, unsigned l7)
{
	if (app >= r->napps || l7 >= WEIR_L7_COUNT)
		return CHANNEL_NONE;
	for (unsigned c = 1; c < CHANNELS; c++)
		if (r->app[app].channel_l7[c] >> l7 & 1)
			return (enum channel)c;
	return CHANNEL_NONE;
}
