/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packets that show a finding. All records pass a ring of fixed size; when
 * a finding opens or gets another flow, that flow's packets are taken out of the
 * ring, and what follows for two seconds is kept, too. One pcapng file for each
 * finding, written when it opens and whole when it closes: DIR/ID.pcapng.
 */
#ifndef WEIR_EVIDENCE_H
#define WEIR_EVIDENCE_H

#include <stdio.h>

#include "pcapng.h"
#include "redact.h"
#include "sink.h"

#define EVIDENCE_COMMENT 200

struct evidence;

/*
 * dir: where the files go, made if missing (its parent must be there); NULL: no
 * files, evidence_write() only. NULL: out of memory, or dir can't be made (said on stderr).
 * Headers only, everybody's address as it is, 64 MiB, until told otherwise.
 */
struct evidence *evidence_new(const char *dir);

#define EVIDENCE_SNAPLEN 376 /* at most: headers and 256 bytes behind them */
#define EVIDENCE_TOTAL	 (64ull << 20)

/* snaplen: bytes kept of a packet, 0: its headers. total: bytes of all files, the oldest go first; 0: 64 MiB. */
void evidence_limits(struct evidence *e, unsigned snaplen, uint64_t total);

/* Keep the flows of suspect resets without a finding, too: the last of them, in DIR/suspect-N.pcapng. */
void evidence_suspects(struct evidence *e, bool on);

/* Whose addresses are replaced; p holds as long as e. Payload is not searched for addresses. */
void evidence_privacy(struct evidence *e, const struct privacy *p);

/* A record of that flow, before the detectors see it. payload has r->caplen bytes. */
void evidence_record(struct evidence *e, const struct flow *f, const struct weir_rec *r, const uint8_t *payload);

/* The packet of that flow and time is the one that matters. Before or after its finding is reported; the last word stands. */
void evidence_mark(struct evidence *e, uint64_t flow_id, uint64_t time_ns, const char *comment);

/* What is kept of a finding, as pcapng. False: nothing is kept of it, or it can't be written. */
bool evidence_write(struct evidence *e, uint32_t finding_id, FILE *to);
unsigned evidence_packets(const struct evidence *e, uint32_t finding_id);

/* The same as views that hold until the next record or finding: at most max, in time's order. */
unsigned evidence_view(const struct evidence *e, uint32_t finding_id, struct pcapng_view *out, unsigned max);

/* The sink that is told of findings. Its close writes what is open; evidence_free() is still the caller's. */
struct sink_ref evidence_sink(struct evidence *e);

/* The first number that no file in its directory has; 1 without a directory. */
uint32_t evidence_next(const struct evidence *e);

/* Files that could not be written. */
unsigned evidence_failed(const struct evidence *e);
void evidence_free(struct evidence *e);

#endif
