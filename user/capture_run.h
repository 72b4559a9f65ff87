/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What watch, live and the daemon have in common: interfaces in, pipeline, sinks out. */
#ifndef WEIR_CAPTURE_RUN_H
#define WEIR_CAPTURE_RUN_H

#include "live.h"
#include "options.h"

/* What of the options a capture needs; cfg's interface names stay the options'. */
void capture_config(const struct options *o, struct live_config *cfg);

/*
 * Captures as the options say until a signal, the count or the front end ends
 * it; hands everything to the n sinks, which it closes in any case. 0, or
 * e->code with the sentence in e->text, to be said when the terminal is free.
 */
int capture_run(const struct options *o, const struct sink_ref *sinks, unsigned n,
		const struct live_ui *ui, struct live_error *e);

#endif
