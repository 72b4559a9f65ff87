/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run takes from the options beside its packets and its printing: rules, history, evidence. */
#ifndef WEIR_EXTRAS_H
#define WEIR_EXTRAS_H

#include "options.h"

struct extras {
	struct rules *rules;
	struct evidence *evidence;
	struct privacy *privacy; /* of the evidence */
	struct sink_ref history; /* the pipeline's; ops NULL: none is kept */
};

/*
 * Opens what the options ask for and puts it into cfg, sinks behind those that
 * are there. 0, or a sysexits code with the sentence in why; then nothing of it
 * is open, and the sinks that were there are as before.
 */
int extras_open(struct extras *x, const struct options *o, struct pipeline_config *cfg, char *why,
		size_t len);

/*
 * The rules file again (SIGHUP). False, and a sentence in why: the old rules
 * stay. Else *old is what the caller frees once nobody looks at it.
 */
bool extras_reload(struct extras *x, const struct options *o, struct rules **old, char *why,
		   size_t len);

/* After pipeline_free(). EX_OK, or EX_CANTCREAT when evidence could not be written. */
int extras_close(struct extras *x);

/* Closes the sinks of a run that never came to pipeline_finish(). */
void extras_drop_sinks(struct pipeline_config *cfg);

#endif
