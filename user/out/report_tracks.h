/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes and losses of single flows over time, of as many flows as there is room for. */
#ifndef WEIR_REPORT_TRACKS_H
#define WEIR_REPORT_TRACKS_H

#include "report.h"

struct report_tracks *tracks_new(void); /* NULL: out of memory */
void tracks_free(struct report_tracks *t);
void tracks_record(struct report_tracks *t, const struct flow *f, const struct weir_rec *r);

/* The sum over the flows that a finding names, in its direction; of as many as were kept. */
void tracks_curve(const struct report_tracks *t, const struct finding *f, struct report_curve *c);

#endif
