/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What metrics.c counts and metrics_text.c writes. */
#ifndef WEIR_METRICS_OWN_H
#define WEIR_METRICS_OWN_H

#include <net/if.h>

#include "interval.h"
#include "live.h"
#include "metrics.h"

#define METRICS_IFACES LIVE_IFACES
#define STAGE_LIST(X) X(POST_SYN, "post_syn") X(POST_ACK, "post_ack") X(POST_PSH, "post_psh") X(LATER, "later")

#define X(id, name) STAGE_##id,
enum stage { STAGE_LIST(X) STAGES };
#undef X

/* Of one type at one interface. */
struct sums {
	uint64_t packets[2], bytes[2], retx[2], lost[2];
	uint64_t active, started, ended[END_COUNT];
	uint64_t resets[STAGES], suspect[STAGES], failed[STAGES];
};

struct per_iface {
	char name[IF_NAMESIZE], hook[32]; /* hook "": away */
	unsigned ifindex; /* 16 bits, as flows have it; 0: not seen yet */
	struct sums *ended; /* MAX_TYPES: flows that have ended, and events */
	struct sums *shown; /* MAX_TYPES: the largest told so far, for a flow may change its type */
	bool used[MAX_TYPES];
};

/* A finding's labels: kind, type (MAX_TYPES: none), level. */
struct opened {
	uint8_t kind, level;
	uint16_t type;
	uint64_t n;
};

#define OPENED_MAX 256
#define LEVELS_MAX 1024

struct metrics {
	struct live *live;
	struct model *model;
	const struct findings *findings;
	struct per_iface iface[METRICS_IFACES];
	unsigned nifaces;
	char names[METRICS_IFACES * (IF_NAMESIZE + 1)]; /* "wan0+lan0" */
	char type_name[MAX_TYPES][TYPE_NAME_LEN]; /* as long as the process lives */
	unsigned ntypes;
	uint8_t type_of[MAX_TYPES]; /* the model's -> ours */
	unsigned nmapped;
	struct rtt_sums rtt[MAX_TYPES][2], rtt_before[MAX_TYPES][2]; /* of earlier models */
	struct interval before;
	double loss[MAX_TYPES][2]; /* of the last full look; NaN: too few */
	uint64_t looked_ns;
	struct opened opened[OPENED_MAX];
	unsigned nopened;
	struct {
		uint32_t id;
		uint8_t level;
	} level_of[LEVELS_MAX]; /* by id % LEVELS_MAX */
	uint64_t kernel_lost[WEIR_UNSENT], kernel_lost_before[WEIR_UNSENT];
	uint64_t full, full_before; /* packets that found no room in the table */
	uint64_t lost[METRICS_LOST];
	struct totals totals;
	struct live_status status;
	char *evidence_dir;
	bool reload_ok;
	uint64_t reloaded_s;
};

const char *stage_name(unsigned stage);

/* Brings every figure up to date. */
void metrics_look(struct metrics *mx);

#endif
