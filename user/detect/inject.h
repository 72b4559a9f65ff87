/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The findings of injected packets, gathered: one per trigger (host name, or
 * the server's port where none was seen) and kind, over flows, clients, servers.
 */
#ifndef WEIR_INJECT_H
#define WEIR_INJECT_H

#include "detect.h"

#define INJECT_GROUPS 256
#define INJECT_HOSTS  32   /* clients and servers told apart per group */
#define INJECT_RULES  32   /* rules a detector may tell of */

/* One injected (or probably injected) packet, or burst of them, on one flow. */
struct inject_case {
	uint64_t key;		/* of its group */
	enum kind kind;
	enum subkind subkind;	/* what this case looks like; the group takes the commonest */
	const struct flow *flow;
	uint64_t time_ns;
	double score;		/* B.7: 6 and more is injected */
	uint32_t rules;		/* bits; names from the detector's table */
	bool toward_client;
	bool firm;		/* short of 6 points, but many such make a claim */
	bool path_known, genuine_after; /* the real sender's packets came, too (on path), or surely did not */
	bool degraded;
	const char *signature, *stage, *label; /* NULL: none; static */
	const char *trigger;	/* what set it off; NULL: the flow's hint, or its port */
	uint8_t ttl, flow_ttl;	/* 0: unknown */
	bool ttl_varies;
	uint32_t copies;
	uint32_t delay_us, rtt_us; /* trigger to packet, and the true sender's round trip; 0 unknown */
};

struct inject_group {
	uint64_t key;
	struct finding f;
	struct in6_addr server[INJECT_HOSTS], client[INJECT_HOSTS];
	uint32_t nclients; /* addresses in client */
	uint32_t rule_cases[INJECT_RULES];
	uint32_t subkind_cases[SUBKIND_COUNT];
	uint32_t injected, probable, firm, on_path, in_path;
	uint32_t copies_max, delay_min_us, rtt_us;
	uint8_t ttl_low, ttl_high, flow_ttl;
	bool ttl_varies, dirty, up, down;
	double score_max;
	const char *signature, *stage, *label;
	char trigger[96], text[2][96]; /* text: the detector's */
	uint32_t residual_low_s, residual_high_s; /* last failure, first success after a trigger; 0 none */
	uint32_t icmp, drop_hops; /* ICMP type << 8 | code that said so, and how far from us the packet was dropped */
	uint32_t passed_with, passed_without; /* flows to the same server that passed */
	uint64_t last_ns;
};

struct inject {
	struct inject_group *group[INJECT_GROUPS]; /* NULL: free */
	const struct detect_env *env;
	const char *(*rule_name)(unsigned rule);
	/* Adds what the detector ruled out, and estimates of its own. */
	void (*rest)(const struct inject_group *g, struct finding *f);
	const char *method;
	uint64_t refused; /* cases of groups beyond the table */
};

/* A case with score >= 4 joins its group, made where missing; a new or better claim is reported at once. */
struct inject_group *inject_add(struct inject *in, const struct inject_case *c);

/* What was told of a case so far. */
struct inject_told {
	uint32_t rules;
	double score;
	bool firm;
};

void inject_told(struct inject_told *t, const struct inject_case *c);

/*
 * More of a case that was added already: rules that hold now, its copies, what came after. A probable one that now
 * stays below 4 is taken back, and with the last one its finding is closed, where that was no claim.
 */
void inject_more(struct inject *in, const struct inject_case *c, const struct inject_told *before);

/* The key of a group: by the flow's hint, else by its server's port, and by what. */
uint64_t inject_key(const struct flow *f, const char *what);

/* The group of that key; NULL: none such. */
struct inject_group *inject_group(struct inject *in, uint64_t key);

void inject_free(struct inject *in); /* the groups, not *in */

/* Reports what changed; closes what was quiet for 10 minutes. */
void inject_tick(struct inject *in, uint64_t now_ns);

#endif
