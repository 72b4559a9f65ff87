/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets written as pcapng (draft-ietf-opsawg-pcapng), made anew from records:
 * the headers as they passed, options that a record does not tell left out,
 * payload as far as it was kept, checksums computed.
 */
#ifndef WEIR_PCAPNG_H
#define WEIR_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir_abi.h"

#define PACKET_HEADERS_MAX 120 /* IPv6 and TCP with all its options */

#define PACKET_HEADERS_ONLY (~0u) /* as keep: not even the payload that a record itself has */

/*
 * The packet of r from its IP header on, payload (keep bytes of it, at most
 * r->caplen) behind it. to has room for PACKET_HEADERS_MAX + keep bytes. Returns
 * how many it holds; *original is what the packet on the wire had, as far as
 * the made-up header tells.
 */
unsigned packet_make(uint8_t *to, const struct weir_rec *r, const uint8_t *payload, unsigned keep, unsigned *original);

/* Section header and one interface of raw IP, times in ns. False: not written. */
bool pcapng_begin(FILE *f, const char *comment);

/* A packet; comment NULL or "": none. */
bool pcapng_packet(FILE *f, uint64_t time_ns, const uint8_t *data, unsigned len, unsigned original, const char *comment);

/* A packet of such a file: raw IP from data on. Points into the file. */
struct pcapng_view {
	uint64_t time_ns;
	const uint8_t *data;
	unsigned len, original;
	const char *comment; /* not terminated; NULL: none */
	unsigned comment_len;
};

/*
 * The packets of a file as this program writes them, of its own byte order: at most
 * max. What is broken ends it; another program's file has none.
 */
unsigned pcapng_read(const uint8_t *file, size_t len, struct pcapng_view *out, unsigned max);

#endif
