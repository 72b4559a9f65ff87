/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules are made of: for rules.c, which looks up, and rules_load.c, which reads files. */
#ifndef WEIR_RULES_OWN_H
#define WEIR_RULES_OWN_H

#include "names.h"
#include "probe.h"
#include "rules.h"

#define APPS_MAX 200 /* the model's app ids are bytes */

struct app {
	char name[APP_NAME_LEN];
	uint64_t channel_l7[CHANNELS]; /* bit per l7 */
	bool channels;
};

/* A host rule: a suffix, and where a '*' stood in it what must stand in front. */
struct host_rule {
	char *suffix;
	char *prefix; /* NULL: anything */
	int next;     /* in its bucket, -1 end */
	uint32_t hash;
	uint16_t app;
	uint8_t channel;
};

struct endpoint_rule {
	struct in6_addr ip;
	uint8_t prefix; /* of 128; 0 with any: every address */
	uint8_t proto;	/* 0: any */
	uint8_t channel;
	uint16_t from, to;
	uint16_t app;
};

struct rules {
	struct app app[APPS_MAX];
	unsigned napps;
	struct host_rule *host;
	unsigned nhosts, caphosts;
	int *bucket;
	unsigned buckets; /* a power of two */
	struct endpoint_rule *end;
	unsigned nends, capends;
	struct rule_match sig[SIG_COUNT];
	struct rule_match l7[WEIR_L7_COUNT];
};

_Static_assert(WEIR_L7_COUNT <= 64, "an l7 set is 64 bits");

#define HASH_START 2166136261u

/* Names are hashed from their end on, so that every suffix's hash is a step of the longer one's. */
static inline uint32_t hash_step(uint32_t h, char c)
{
	return (h ^ (uint8_t)c) * 16777619u;
}

#endif
