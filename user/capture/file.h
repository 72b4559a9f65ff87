/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capture files: pcap and pcapng, plain or gzipped, through the host engine into the pipeline. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "host_engine.h"
#include "pipeline.h"

/*
 * Feeds every packet of path ("-": standard input) to p. filter: a pcap filter
 * expression or NULL. stop_after_s: of packet time; 0: to the end. Returns 0, or a sysexits code after saying why: EX_NOINPUT,
 * EX_DATAERR (what was readable has been analysed), EX_USAGE (filter). Totals are
 * in *t; the pipeline is not finished.
 */
int file_analyze(struct pipeline *p, const char *path, const char *filter, unsigned max_flows,
		 double stop_after_s, struct totals *t);

#endif
