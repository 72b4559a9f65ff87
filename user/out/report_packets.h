/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From evidence to the packets that the report shows. */
#ifndef WEIR_REPORT_PACKETS_H
#define WEIR_REPORT_PACKETS_H

#include "evidence.h"
#include "report.h"

/* Of those kept in memory. */
void report_packets(struct report_finding *f, const struct evidence *e);

/*
 * Of packets as an evidence file has them, raw IP from data on, in time's order: the
 * flow that the first commented one belongs to, what is around that one. No
 * address is kept.
 */
void report_packets_of(struct report_finding *f, const struct pcapng_view *p, unsigned n);

#endif
