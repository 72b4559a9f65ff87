/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report out of the history: findings and series of days to years. */
#ifndef WEIR_REPORT_HISTORY_H
#define WEIR_REPORT_HISTORY_H

#include "history.h"
#include "report.h"

struct report_range {
	int64_t since_us, until_us; /* INT64_MIN, INT64_MAX: from the first, to the last */
	const char *type;	    /* only findings of it; NULL: all */
	const char *evidence;	    /* the directory of evidence files; NULL: none */
};

/*
 * Fills r, which is new. False: the database can't be read, sqlite3_errmsg() says
 * why. Rows that are no findings of ours are left out.
 */
bool report_history(struct report *r, sqlite3 *db, const struct report_range *range);

#endif
