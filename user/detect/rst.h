/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reset detector's parts: what passes (rst.c), and what is made of it (rst_judge.c). */
#ifndef WEIR_RST_H
#define WEIR_RST_H

#include "inject.h"
#include "rst_flow.h"
#include "rst_host.h"

#define RST_TRIGGERS 1024	    /* (client, server, port) that were reset: residual blocking */
#define RST_PASSED 2048		    /* servers, with and without a name, whose flows passed */
#define RST_STRAYS 64		    /* IP-IDs of fragmentable resets */
#define RST_EVENTS_PER_S 1000	    /* reset events told per second of packet time */
#define RESIDUAL_NS 420000000000ull /* no known box blocks for longer after a trigger */

struct rst_trigger {
	uint64_t key;	/* 0: free */
	uint64_t group; /* key of its finding */
	uint64_t first_ns, fail_ns, pass_ns;
};

struct rst_stray {
	uint64_t flow_id; /* the newest flow */
	uint16_t ipid;
	uint32_t flows;
};

struct rst_passed {
	uint64_t key;
	uint32_t flows;
};

struct rst_detector {
	const struct detect_env *env;
	struct rst_flows flows;
	struct rst_bursts bursts;
	struct rst_hosts hosts;
	struct rst_trigger trigger[RST_TRIGGERS];
	struct rst_passed passed[RST_PASSED];
	struct rst_stray stray[RST_STRAYS];
	unsigned nstrays;
	struct inject inject;
	uint64_t event_second;
	uint32_t events[2];    /* told in this second: honest, suspect */
	struct rst_event held; /* the newest beyond that, and how many before it; flow NULL: none */
	struct flow held_flow; /* its flow as it was: that may end before it is told */
	bool triggered;	       /* trigger[] holds something */
	uint64_t unseen_ns;    /* when it showed that packets pass that we don't see */
};

/* The case as it stands: rules, score. */
uint32_t rst_judge(struct rst_detector *d, struct rst_burst *b, struct rst_flow *s, double *score);

/* Other flows that were reset with this IP-ID; note: and so was this one. */
unsigned rst_strays(struct rst_detector *d, const struct rst_burst *b, bool note);

/* Something new is known of the burst: one of that score is reported now. */
void rst_look(struct rst_detector *d, struct rst_burst *b, struct rst_flow *s, double least);

/* Tells the event that stands for those held back, if any. */
void rst_tell_held(struct rst_detector *d);

/* Its time is over: event and finding; the burst is freed. waited: nothing more could have come. */
void rst_decide(struct rst_detector *d, struct rst_burst *b, bool waited);

/* A flow opened after a trigger between the same ends: is it still being blocked? */
bool rst_residual(struct rst_detector *d, const struct flow *f, uint64_t now_ns, bool failed);

/* A flow ended that passed. */
void rst_note_passed(struct rst_detector *d, const struct flow *f);

/* An ICMP error that quotes the flow: one that says "prohibited" is told of as possible. */
void rst_on_icmp(struct rst_detector *d, const struct flow *f, const struct weir_rec *r);

void rst_rest(const struct inject_group *g, struct finding *f);

#endif
