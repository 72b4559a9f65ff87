/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model that says what a test tells it to. For outputs, which only read. Include in one file of a test. */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include <arpa/inet.h>
#include <string.h>

#include "model.h"

#define FAKE_FLOWS 64

struct model {
	uint64_t now;
	unsigned ntypes, nflows;
	struct type_stats type[MAX_TYPES];
	const char *app[8];
	struct flow flow[FAKE_FLOWS];
};

uint64_t model_now(const struct model *m)
{
	return m->now;
}

const char *model_type_name(const struct model *m, unsigned type)
{
	return m->type[type < m->ntypes ? type : 0].name;
}

const char *model_app_name(const struct model *m, unsigned app)
{
	return app && app < 8 ? m->app[app] : NULL;
}

unsigned model_types(const struct model *m)
{
	return m->ntypes;
}

const struct type_stats *model_type(const struct model *m, unsigned type)
{
	return &m->type[type];
}

void model_each_flow(struct model *m, bool (*fn)(struct flow *f, void *arg), void *arg)
{
	for (unsigned i = 0; i < m->nflows; i++)
		if (!fn(&m->flow[i], arg))
			return;
}

size_t model_flows(const struct model *m)
{
	return m->nflows;
}

size_t model_parked(const struct model *m)
{
	return 0;
}

struct flow *model_flow(struct model *m, uint64_t id)
{
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flow[i].id == id)
			return &m->flow[i];
	return NULL;
}

bool model_is_local(const struct model *m, const struct in6_addr *ip)
{
	return IN6_IS_ADDR_V4MAPPED(ip) ? ip->s6_addr[12] == 10 || (ip->s6_addr[12] == 192 && ip->s6_addr[13] == 168) :
					  (ip->s6_addr[0] & 0xfe) == 0xfc;
}

bool model_same_host(const struct model *m, const struct in6_addr *a, const struct in6_addr *b)
{
	return ip_same(a, b);
}

static inline struct in6_addr fake_ip(const char *text)
{
	struct in6_addr ip = { 0 };

	if (inet_pton(AF_INET, text, &ip.s6_addr[12]) == 1)
		ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
	else
		inet_pton(AF_INET6, text, &ip);
	return ip;
}

static inline unsigned fake_type(struct model *m, const char *name)
{
	struct type_stats *t = &m->type[m->ntypes];

	memcpy(t->name, name, strlen(name) + 1);
	return m->ntypes++;
}

static inline struct flow *fake_flow(struct model *m, uint64_t id, const char *client,
				     uint16_t cport, const char *server, uint16_t sport,
				     uint8_t proto)
{
	struct flow *f = &m->flow[m->nflows++];

	f->id = id;
	f->client = (struct endpoint){ fake_ip(client), cport };
	f->server = (struct endpoint){ fake_ip(server), sport };
	f->proto = proto;
	return f;
}

#endif
