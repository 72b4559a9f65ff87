/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hardware that a link's packets come through: a bridge, a bond, a VLAN or a PPPoE
 * session drops and merges nothing itself, the card under it does.
 */
#ifndef WEIR_CARDS_H
#define WEIR_CARDS_H

#include "links.h"

#define CARD_SHARE 10000
#define CARDS_MAX 64

struct card {
	unsigned ifindex;
	uint64_t missed; /* link_missed() at the last look */
	uint64_t packets; /* received until then */
	unsigned told;	 /* the caller's: a bit for each problem that was told */
	uint64_t look;	 /* the caller's: its look that this was last part of */
};

struct cards {
	struct card card[CARDS_MAX];
	unsigned n, next; /* which makes room when all are taken */
};

/*
 * What lies at the bottom of links' ifindex, as pointers into links, each once: hardware that is a member
 * of bridges and bonds, a carrier of VLANs, of MACVLANs and of PPPoE sessions; where it stands on nothing, the link
 * itself. Of a PPP link it is all that have a PPPoE session: the kernel does not tell whose is whose. How many, at
 * most max.
 */
unsigned cards_under(const struct link *links, unsigned n, unsigned ifindex, const struct link **out, unsigned max);

/* What is kept of one, made where it is new, in another's place where all are taken. */
struct card *cards_get(struct cards *c, const struct link *l);

/*
 * Packets that it dropped unseen since the last look, where they were more than one in CARD_SHARE of those it got;
 * 0 at the first look, and when its counters began anew.
 */
uint64_t card_missed(struct card *c, const struct link *l);

#endif
