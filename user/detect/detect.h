/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A detector: a pure function of what was observed. It gets records and flow
 * events in time order, keeps bounded state, reports findings. It does no I/O,
 * reads no clock, and asks nobody but the model.
 */
#ifndef WEIR_DETECT_H
#define WEIR_DETECT_H

#include "findings.h"
#include "model.h"

enum sensitivity { SENSITIVITY_LOW, SENSITIVITY_NORMAL, SENSITIVITY_HIGH };

/* A reset that a detector judged (contract: event rst). */
struct rst_event {
	const struct flow *flow;
	uint64_t time_ns;
	bool from_client; /* claims to come from the client */
	bool suspect;
	double score;
	const char *reasons[12];
	unsigned nreasons;
	const char *stage, *signature;
	uint8_t ttl, flow_ttl;
	uint16_t ipid;
	int64_t seq_rel; /* to the sender's highest end */
	uint32_t copies;
	uint32_t held_back; /* a flood: that many bursts of its second before it are not told of */
};

struct detect_env {
	struct model *model;
	struct findings *findings;
	enum sensitivity sensitivity;
	unsigned slot; /* the detector's index into flow->detector */
	void (*rst)(void *arg, const struct rst_event *e);
	void *rst_arg;
	/* The packet of that time shows it: kept, and commented, with the finding. NULL: nothing is kept. */
	void (*mark)(void *arg, const struct flow *f, uint64_t time_ns, const char *comment);
	void *mark_arg;
	/* Packets of this flow are wanted one by one from now on. NULL: they all come anyway. */
	void (*focus)(void *arg, const struct flow *f);
	void *focus_arg;
	bool drop_reasons; /* this host's kernel tells of what it drops itself: flow->own_drops */
};

/* What a detector may want of the records; each is of one or more of these. */
enum {
	PACKET_TCP = 1,
	PACKET_UDP = 2,
	PACKET_OTHER = 4,
	PACKET_RTT = 8,	   /* TCP, with a round trip's sample */
	PACKET_ERROR = 16, /* an ICMP error that quotes the flow */
	PACKET_ANY = 31
};

static inline unsigned packet_classes(const struct weir_rec *r)
{
	if (r->kind != WEIR_REC_PACKET)
		return PACKET_ERROR;
	if (r->proto == IPPROTO_TCP)
		return r->rtt_us ? PACKET_TCP | PACKET_RTT : PACKET_TCP;
	return r->proto == IPPROTO_UDP ? PACKET_UDP : PACKET_OTHER;
}

struct detector {
	const char *name;
	unsigned wants; /* PACKET_*: packet() gets no others */
	/* NULL: out of memory. env outlives the detector. */
	void *(*create)(const struct detect_env *env);
	/* A packet of a flow; payload has r->caplen bytes. Before the flow's own counters hold it. */
	void (*packet)(void *d, struct flow *f, const struct weir_rec *r, const uint8_t *payload);
	/* A packet of the flow that way comes soon: what it will touch of its state may be fetched. Changes nothing. */
	void (*expect)(const void *d, const struct flow *f, unsigned way);
	/* The flow's l7, app or type became known or changed; its old type is given. */
	void (*typed)(void *d, struct flow *f, unsigned old_type);
	/*
	 * The flow ends, or is followed no longer for others need its place (flow->ended is END_OPEN
	 * then; it may come back); flow->detector[slot] must be freed here.
	 */
	void (*flow_end)(void *d, struct flow *f);
	/* What comes of it in the next seconds decides something: it is followed on, if that can be. */
	bool (*busy)(void *d, const struct flow *f);
	/* About once a second of packet time, and once at the end of a capture. */
	void (*tick)(void *d, uint64_t now_ns);
	/* The end: every flow has ended. Last findings. */
	void (*finish)(void *d, uint64_t now_ns);
	void (*destroy)(void *d);
};

/* All of them, NULL at the end. Any hook may be NULL but create and destroy. */
extern const struct detector *const detectors[];

extern const struct detector detect_rst, detect_content, detect_dns, detect_rate, detect_drop, detect_delay, detect_opens;

#endif
