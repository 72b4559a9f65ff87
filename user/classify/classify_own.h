/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The classifier's own: classify.c says what the bytes are, whose.c whose they are. */
#ifndef WEIR_CLASSIFY_OWN_H
#define WEIR_CLASSIFY_OWN_H

#include "classify.h"
#include "peers.h"
#include "probe.h"
#include "rules.h"
#include "stream.h"

/* What parsing needs; made with the first payload, for most connections of a SYN flood never. */
struct work {
	struct found found;
	union {
		struct {
			struct stream stream[2];
			uint16_t first; /* length of the client's first segment */
		} tcp;
		struct {
			struct udp_memory mem;
			uint16_t all, any; /* AND and OR of the datagrams' first two bytes */
			uint8_t random, datagrams;
		} udp;
	};
	tcp_probe tcp_chosen;
	udp_probe udp_chosen;
	uint16_t packets; /* with payload, saturates */
	uint8_t no_capture;
	uint8_t nothing;
	bool random; /* looks fully encrypted, and nothing else fits so far */
};

struct classify_flow {
	struct work *w;
	const char *tunnel; /* encapsulation, NULL none */
	uint32_t base[2];   /* TCP: of the first byte */
	bool known[2];	    /* base is set */
	bool exact[2];	    /* by a SYN */
	uint32_t told;	    /* hash of what was last told; 0: nothing yet */
	uint8_t l7;	    /* by the IP protocol alone */
	bool learnt, done;
};

struct classifier {
	struct model *m;
	const struct rules *rules;
	struct rules *own;
	struct peers *peers;
	uint16_t app_id[256]; /* of the model, by the rules' index; 0: not asked yet */
	uint16_t app_type[256][CHANNELS];
	uint16_t l7_type[WEIR_L7_COUNT];
};

/* What a call's five-tuple carries. */
static inline bool is_call(unsigned l7)
{
	return l7 == WEIR_L7_STUN || l7 == WEIR_L7_RTP || l7 == WEIR_L7_RTCP || l7 == WEIR_L7_DTLS;
}

/*
 * The verdict on what is known so far. last: no more bytes will come, so that
 * weak evidence is all there is. Learns of the flow's peers when cf is done.
 */
void decide(struct classifier *c, const struct flow *f, struct classify_flow *cf, uint64_t now,
	    bool last, struct class_result *r);

/* Addresses out of a DNS answer to the flow's client. */
void learn_answers(struct classifier *c, const struct flow *f, struct seg d, uint64_t now);

#endif
