/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The round trips of one type to one server, second by second. Shared by the
 * detector and its tests.
 */
#ifndef WEIR_DELAY_H
#define WEIR_DELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define DELAY_WAS     32 /* seconds that a server's usual round trip is taken from */
#define DELAY_WAS_MIN 4
#define DELAY_RUN     32 /* seconds held of a run of slow ones */

/* Times in seconds since the epoch. */
struct delay_end {
	struct in6_addr ip;
	uint8_t type; /* 0: free */
	uint8_t ttl;  /* of what it sends */
	bool slow;    /* the newest second was */

	uint32_t now_us, used_s; /* least of this second, 0 none; of the newest sample */
	uint8_t now_ttl;
	bool now_prompt; /* one of this second's was sent at once, see delay_sample() */

	uint32_t was_us[DELAY_WAS], was_s[DELAY_WAS]; /* ring: the newest usual seconds */
	uint32_t nwas;				      /* ever */
	uint32_t usual_us, spread_us;		      /* their median; ninth decile less the first */

	uint32_t first_s, last_s; /* of the newest run of slow seconds */
	uint32_t nrun;		  /* in it */
	uint32_t nprompt;	  /* seconds of it in which something was sent at once */
	float run_us[DELAY_RUN];  /* ring: what was added to usual_us */
	float run_load[DELAY_RUN][2]; /* bytes a second of the type by then, by way */
};

/*
 * A round trip us -> server -> us. prompt: what ends it waits for nothing (SYN-ACK; two
 * segments acknowledged); an acknowledgment of less may be held back (RFC 1122, 4.2.3.2).
 */
void delay_sample(struct delay_end *e, uint32_t us, uint8_t ttl, bool prompt, uint32_t s);

/* The second ends, in which the type carried so many bytes each way. */
void delay_second(struct delay_end *e, uint32_t s, const float load[2]);

/* Is that much more than usual a step, and no noise? */
bool delay_is_step(const struct delay_end *e, uint32_t us);

#endif
