/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for what a burst of resets looks like: the stage of the connection and
 * the 19 signatures of Sundara Raman et al., "Global, Passive Detection of
 * Connection Tampering" (SIGCOMM 2023), Table 1; and known injectors by their
 * header habits. Names label; they never decide.
 */
#ifndef WEIR_RST_NAMES_H
#define WEIR_RST_NAMES_H

#include "rst_rules.h"

enum rst_stage { RST_POST_SYN, RST_POST_ACK, RST_POST_PSH, RST_LATER };

const char *rst_stage_name(enum rst_stage stage);

/* The signature of a burst towards one end; NULL where the paper has none for it. */
const char *rst_signature(enum rst_stage stage, const struct rst_packet *one, unsigned n);

/*
 * An injector known to send resets like these; NULL: none. flow_ttl 0: unknown.
 * payload: the reset's, n bytes, may be NULL.
 */
const char *rst_label(const struct rst_packet *one, unsigned n, const uint8_t *payload,
		      unsigned payload_len);

/* Hops from the sender of a packet that arrived with this TTL, if it began at 32, 64, 128 or 255.
 */
unsigned rst_hops(uint8_t ttl);

#endif
